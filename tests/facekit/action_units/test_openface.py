"""OpenFace's action units: its own labels from its own points, and the rules about videos."""

import dataclasses

import numpy as np
import openface_models as of
import pandas as pd
import pytest
import torch
from openface_tables import face

from facekit import action_units, devices
from facekit.errors import BadWeights, MissingWeights

TABLES = {
    ("WolfgangLanger_Pexels", "dynamic"): "WolfgangLanger_Pexels.csv.gz",
    ("single_face", "dynamic"): "single_face.csv.gz",
    ("single_face", "static"): "single_face.static.csv.gz",
}
IMAGE_HWC = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    devices.torch_device("cpu")


@pytest.fixture(scope="module")
def invented(tmp_path_factory):
    """An engine's name with a folder of invented models."""
    return f"openface:{of.write(tmp_path_factory.mktemp('models') / 'AU_predictors')}"


def _engine(spec, *, consecutive=True, device="cpu"):
    engine = action_units.load(spec, device=device)
    engine.consecutive = consecutive
    return engine


def _faces(frames, *, track_id=0, seed=0):
    """A face that moves and deforms over a picture of noise."""
    rng = np.random.default_rng([seed, track_id])
    mean_P2 = of.mean_face()[:2].T
    shift_xy = (150 + 10 * track_id, 120)
    made = []
    for frame in frames:
        points_P2 = shift_xy + rng.uniform(0.7, 1.1) * mean_P2 + rng.normal(0, 2, (68, 2))
        one = face(
            frame_index=frame,
            image_HWC=np.roll(IMAGE_HWC, frame, axis=1),
            points_xy=points_P2.astype(np.float32),
        )
        made.append(dataclasses.replace(one, track_id=track_id))
    return made


def _run(engine, faces, *, at_once=64, frames=None):
    """What stands in the end."""
    found = [engine(faces[i : i + at_once]) for i in range(0, len(faces), at_once)]
    settled = engine.finish(frames)
    if settled is not None:
        return settled
    return action_units.AULabels(
        **{
            field.name: np.concatenate([getattr(labels, field.name) for labels in found])
            for field in dataclasses.fields(action_units.AULabels)
        }
    )


def _assert_same(one, other):
    for field in dataclasses.fields(action_units.AULabels):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def _some(labels, rows):
    return action_units.AULabels(
        occurrence=labels.occurrence[rows],
        intensity=labels.intensity[rows],
        score=labels.score[rows],
    )


@pytest.mark.parametrize("clip, models", TABLES)
def test_labels_are_those_of_openface(weights_dir, data_dir, pyfeat_clips, clip, models):
    """From its own points, at most one frame wrong of each action unit."""
    folder = weights_dir / "openface_au"
    if not folder.is_dir():
        pytest.skip("FACEKIT_WEIGHTS holds no openface_au")
    known = of.reference(clip, data_dir, pyfeat_clips)
    found_on = np.flatnonzero(known.arrays["all_ok"])
    faces = [
        face(
            clip,
            int(frame),
            image_HWC=known.images[frame],
            points_xy=known.arrays["all_landmarks"][frame],
        )
        for frame in found_on
    ]
    engine = _engine("openface:static" if models == "static" else "openface")
    assert engine.mode == models
    labels = _run(engine, faces, frames=len(known.images))
    table = data_dir / "openface_reference" / "pyfeat_clips" / TABLES[clip, models]
    theirs = pd.read_csv(table, skipinitialspace=True).iloc[found_on]
    for column, name in enumerate(engine.au_names):
        wrong = labels.occurrence[:, column] != theirs[f"{name}_c"].to_numpy()
        assert wrong.sum() <= 1, name
        if name == "AU28":
            assert np.isnan(labels.intensity[:, column]).all()
            continue
        off = np.abs(labels.intensity[:, column] - theirs[f"{name}_r"].to_numpy())
        assert off.mean() <= 0.005, name
    assert 0.05 < labels.occurrence.mean() < 0.95


@pytest.mark.parametrize("consecutive", [False, True])
@pytest.mark.parametrize("at_once", [1, 3, 40])
def test_labels_are_the_same_in_any_batch(invented, consecutive, at_once):
    faces = _faces(range(40))
    together = _run(_engine(invented, consecutive=consecutive), faces)
    apart = _run(_engine(invented, consecutive=consecutive), faces, at_once=at_once)
    _assert_same(apart, together)
    assert len(np.unique(together.occurrence, axis=0)) > 3
    assert len(np.unique(together.score, axis=0)) == 40


def test_of_some_frames_each_face_stands_by_itself(invented):
    engine, faces = _engine(invented, consecutive=False), _faces(range(0, 90, 10))
    assert engine.mode == "static"
    labels = engine(faces)
    assert engine.finish(90) is None
    assert set(np.unique(labels.occurrence)) == {0, 1}
    np.testing.assert_array_equal(labels.occurrence, labels.score > 0)
    without_28 = np.array([name != "AU28" for name in engine.au_names])
    assert np.isnan(labels.intensity[:, ~without_28]).all()
    assert labels.intensity[:, without_28].min() == 0 < labels.intensity[:, without_28].max() <= 5
    backwards = engine(faces[::-1])
    _assert_same(_some(backwards, slice(None, None, -1)), labels)


@pytest.mark.parametrize("spec, consecutive, mode", [
    ("", False, "static"),
    ("", True, "dynamic"),
])  # fmt: skip
def test_the_mode_follows_the_frames(invented, spec, consecutive, mode):
    engine = action_units.load(invented + spec, device="cpu")
    assert isinstance(engine, action_units.OverTime)
    assert (engine.consecutive, engine.mode) == (False, "static")
    engine.consecutive = consecutive
    assert engine.mode == mode


def test_every_frame_is_settled_at_the_end(invented):
    engine, faces = _engine(invented), _faces(range(30))
    before = engine(faces)
    assert (before.occurrence == -1).all() and np.isnan(before.intensity).all()
    after = engine.finish()
    assert after.occurrence.shape == (30, 18) and set(np.unique(after.occurrence)) == {0, 1}
    assert engine.finish().occurrence.shape == (0, 18)


def test_smoothing_and_the_median_change_labels(invented):
    faces = _faces(range(30))
    raw = _run(_engine(invented, consecutive=False), faces)
    settled = _run(_engine(invented), faces)
    assert (raw.occurrence != settled.occurrence).any()
    changes = [np.abs(np.diff(labels.occurrence, axis=0)).sum() for labels in (raw, settled)]
    assert changes[1] < changes[0]


def test_a_video_leaves_nothing_to_the_next(invented):
    engine, faces = _engine(invented), _faces(range(25))
    first = _run(engine, faces)
    _run(engine, _faces(range(9), seed=8))
    _assert_same(_run(engine, faces), first)


def test_people_are_kept_apart(invented):
    one, other = _faces(range(20)), _faces(range(5, 30), track_id=1)
    mixed = sorted([*one, *other], key=lambda face: (face.frame_index, face.track_id))
    rows = np.array([face.track_id for face in mixed])
    together = _run(_engine(invented), mixed, at_once=7, frames=30)
    _assert_same(_some(together, rows == 0), _run(_engine(invented), one, frames=30))
    _assert_same(_some(together, rows == 1), _run(_engine(invented), other, frames=30))


def test_frames_after_the_last_face_count_as_failed(invented):
    faces = _faces(range(20))
    to_the_end = _run(_engine(invented), faces, frames=20)
    _assert_same(_run(_engine(invented), faces), to_the_end)
    gone = _run(_engine(invented), faces, frames=30)
    _assert_same(_some(gone, slice(0, 17)), _some(to_the_end, slice(0, 17)))
    last, before = gone.intensity[19], to_the_end.intensity[18:]
    assert (np.nan_to_num(last) != np.nan_to_num(before[1])).any()


@pytest.mark.parametrize("points", [None, "nan", "one spot", "nothing", "infinite"])
@pytest.mark.parametrize("consecutive", [False, True])
def test_a_face_without_usable_points_stays_unknown(invented, points, consecutive):
    faces = _faces(range(20))
    bad = {
        None: None,
        "nan": np.where(np.arange(136).reshape(68, 2) == 7, np.nan, 50.0).astype(np.float32),
        "one spot": np.full((68, 2), 50.0, np.float32),
        "nothing": np.zeros((68, 2), np.float32),
        "infinite": np.full((68, 2), np.inf, np.float32),
    }[points]
    faces[6] = dataclasses.replace(faces[6], points_xy=bad)
    labels = _run(_engine(invented, consecutive=consecutive), faces)
    assert (labels.occurrence[6] == -1).all()
    assert np.isnan(labels.intensity[6]).all() and np.isnan(labels.score[6]).all()
    kept = [*range(6), *range(7, 20)]
    without = _run(_engine(invented, consecutive=consecutive), [faces[i] for i in kept], frames=20)
    _assert_same(_some(labels, kept), without)


def test_points_beyond_all_measure_do_no_harm(invented):
    faces = _faces(range(6))
    huge = np.geomspace(1, 3e38, 136, dtype=np.float32).reshape(68, 2)
    faces[2] = dataclasses.replace(faces[2], points_xy=huge)
    labels = _run(_engine(invented, consecutive=False), faces)
    others = [0, 1, 3, 4, 5]
    _assert_same(
        _some(labels, others),
        _run(_engine(invented, consecutive=False), [faces[i] for i in others]),
    )


def test_no_faces(invented):
    engine = _engine(invented)
    assert engine([]).occurrence.shape == (0, 18)
    assert engine.finish(100).score.shape == (0, 18)


def test_the_models_are_recorded(invented):
    (models,) = action_units.load(invented, device="cpu").models
    assert models.name == "AU_predictors" and len(models.sha256) == 64


def test_models_that_are_not_there_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FACEKIT_CACHE", str(tmp_path))
    monkeypatch.delenv("FACEKIT_WEIGHTS", raising=False)
    monkeypatch.setenv("FACEKIT_OFFLINE", "1")
    with pytest.raises(MissingWeights, match="openface_au"):
        action_units.load("openface")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadWeights, match=r"main_static_svms\.txt cannot be read"):
        action_units.load(f"openface:{tmp_path / 'empty'}")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
@pytest.mark.parametrize("consecutive", [False, True])
def test_cuda_says_the_same(invented, consecutive):
    faces = _faces(range(40))
    here = _run(_engine(invented, consecutive=consecutive), faces)
    engine = _engine(invented, consecutive=consecutive, device="cuda")
    assert engine.device == "cuda"
    there = _run(engine, faces)
    np.testing.assert_allclose(there.intensity, here.intensity, atol=1e-4)
    np.testing.assert_allclose(there.score, here.score, atol=1e-4)
