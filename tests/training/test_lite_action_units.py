"""Fitting the units: they find what is there, and nobody is judged by units that know them."""

import numpy as np
import pytest

from facekit import weights
from facekit.action_units import lite_units
from facekit.action_units.lite_measures import NAMES
from facekit.openface_files import AU_NAMES
from training import lite_action_units
from training.lite_clips import Measured

RAISED = AU_NAMES.index("AU01")
BROW = NAMES.index("down_21")


@pytest.fixture(scope="module")
def model():
    return lite_units.read(weights.find("lite_action_units").path)[0]


def clips(model, people=6, frames=60, seed=0, inverted=()):
    """Clips in which AU01 is a brow above its own median; faces differ more than expressions do."""
    rng = np.random.default_rng(seed)
    neutral = lite_action_units.symmetric(model.mean[None, :, :2])[0]
    made = []
    for person in range(people):
        raised = rng.random(frames) < 0.3
        moved = rng.normal(size=(frames, len(NAMES))) * 0.005
        moved[:, BROW] -= 0.06 * raised
        habit = rng.normal(size=len(NAMES)) * 0.1
        truth = np.zeros((frames, len(AU_NAMES)), np.int8)
        truth[:, RAISED] = raised ^ (person in inverted)
        made.append(
            Measured(
                people=str(person),
                measures=(neutral + habit + moved).astype(np.float32),
                occurrence=truth,
            )
        )
    return made


def test_units_find_the_point_that_moves(model):
    units = lite_action_units.fit(clips(model), model)
    assert np.argmax(np.abs(units.own_weights[RAISED])) == BROW
    assert units.own_weights[RAISED, BROW] < 0
    score = units.together(clips(model, people=1, seed=9)[0].measures)
    truth = clips(model, people=1, seed=9)[0].occurrence[:, RAISED]
    assert ((score[:, RAISED] > 0) == truth).mean() > 0.95


def test_what_never_occurs_has_no_unit(model):
    units = lite_action_units.fit(clips(model), model)
    assert np.isfinite(units.own_bias).tolist() == [k == RAISED for k in range(len(AU_NAMES))]
    np.testing.assert_array_equal(np.isfinite(units.alone_bias), np.isfinite(units.own_bias))


def test_only_what_agrees_on_held_back_people_is_claimed(model):
    units, scores = lite_action_units.fit_and_judge(clips(model), model)
    assert scores["together"]["AU01"]["kappa"] > 0.8
    assert np.isfinite(units.own_bias[RAISED])
    lies, scores = lite_action_units.fit_and_judge(clips(model, inverted=(0, 1, 2)), model)
    assert scores["together"]["AU01"]["kappa"] < lite_action_units.MIN_KAPPA
    assert np.isnan(lies.own_bias[RAISED])


def test_nobody_is_judged_by_units_that_know_them(model):
    """One whose labels are the wrong way round is judged as the others would have it."""
    made = clips(model, inverted=(3,))
    found, _ = lite_action_units.held_back(made, made, model)
    for person, (clip, labels) in enumerate(zip(made, found, strict=True)):
        agreed = (clip.occurrence[:, RAISED] == labels[:, RAISED]).mean()
        assert (agreed < 0.2) == (person == 3)


def test_frames_without_measures_or_labels_teach_nothing(model):
    whole = clips(model)
    spoilt = []
    for clip in whole:
        measures = np.vstack([clip.measures, np.full((5, len(NAMES)), np.nan, np.float32)])
        unsure = clip.measures[:5] - 0.5
        spoilt.append(
            Measured(
                people=clip.people,
                measures=np.vstack([measures, unsure]).astype(np.float32),
                occurrence=np.vstack(
                    [
                        clip.occurrence,
                        np.ones((5, len(AU_NAMES)), np.int8),
                        np.full((5, len(AU_NAMES)), -1, np.int8),
                    ]
                ),
            )
        )
    found, _ = lite_action_units.held_back(spoilt, spoilt, model)
    assert (found[0][60:65] == -1).all()
    agreed = [(c.occurrence == f)[:60, RAISED].mean() for c, f in zip(spoilt, found, strict=True)]
    assert min(agreed) > 0.9


def test_the_file_is_written_and_says_what_was_judged(model, tmp_path, monkeypatch, data_dir):
    monkeypatch.setattr(lite_action_units, "learn_point_model", lambda _: model)
    monkeypatch.setattr(lite_action_units.lite_clips, "read", lambda *_, **__: [])
    monkeypatch.setattr(lite_action_units.lite_clips, "measured", lambda *_: clips(model))
    scores = [
        lite_action_units.train(data_dir, tmp_path, seed=seed, device="cpu") for seed in (0, 1)
    ]
    assert scores[0] == scores[1]
    assert set(scores[0]) == {"together", "alone"}
    written, units = lite_units.read(tmp_path / "lite_action_units.safetensors")
    np.testing.assert_array_equal(written.mean, model.mean)
    assert np.isfinite(units.own_bias[RAISED])
