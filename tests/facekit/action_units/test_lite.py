"""The embedded AU engine: what it compares a face with, and what it leaves unknown."""

import dataclasses
import math

import numpy as np
import openface_tables as tables
import pytest

from facekit import action_units, measure, openface_files, video, weights
from facekit.action_units import lite_measures, lite_units
from facekit.action_units.lite_measures import NAMES
from facekit.action_units.lite_units import MIN_FRAMES, Units
from facekit.errors import BadInput, BadWeights, MissingWeights
from facekit.landmarkers.ibug68 import mirrored
from facekit.openface_files import AU_NAMES
from facekit.options import Measurement

OPEN, WIDE, UNTOLD = (AU_NAMES.index(name) for name in ("AU25", "AU12", "AU04"))


@pytest.fixture(scope="module")
def embedded():
    return lite_units.read(weights.find("lite_action_units").path)


@pytest.fixture(scope="module")
def engine_file(embedded, tmp_path_factory):
    """Units that are easy to foretell: AU25 is an open mouth, AU12 a wide one, AU04 unknown."""
    model, _ = embedded
    neutral = lite_measures.symmetric(model.mean[None, :, :2])[0].astype(np.float64)
    none = np.zeros((len(AU_NAMES), len(NAMES)))
    gap, width = none.copy(), none.copy()
    gap[OPEN, [NAMES.index("down_66"), NAMES.index("down_62")]] = 1.0, -1.0
    width[WIDE, NAMES.index("out_48")] = 1.0
    bias = np.full(len(AU_NAMES), -0.1)
    bias[UNTOLD] = np.nan
    units = Units(
        neutral=neutral,
        own_weights=gap,
        habit_weights=width,
        own_bias=bias,
        alone_weights=gap,
        alone_bias=bias - 0.1,
    )
    path = tmp_path_factory.mktemp("units") / "units.safetensors"
    lite_units.write(path, model, units)
    return path


@pytest.fixture
def engine(engine_file):
    return action_units.load(f"lite:{engine_file}")


def points(embedded, *, gap=0.0, out=0.0, yaw=0.0, at=(100.0, 80.0)):
    """A mean face of 100 px between the outer eye corners, lips apart, lip corners out, turned."""
    model, _ = embedded
    angle = math.radians(yaw)
    shape = model.mean @ np.array([[math.cos(angle), 0], [0, 1], [math.sin(angle), 0]])
    shape[[65, 66, 67, 55, 56, 57, 58, 59], 1] += gap
    shape[48, 0] -= out
    shape[54, 0] += out
    return (100 * shape + at).astype(np.float32)


def face(points_xy, frame=0, track_id=0):
    made = tables.face("clip.mp4", frame, points_xy=points_xy)
    return dataclasses.replace(made, track_id=track_id)


def test_a_person_is_compared_with_their_own_median(embedded, engine):
    """A mouth that is always a little open is at rest; one that opens further is not."""
    faces = [face(points(embedded, gap=0.15), k) for k in range(MIN_FRAMES)]
    faces.append(face(points(embedded, gap=0.5), MIN_FRAMES))
    engine(faces)
    final = engine.finish()
    assert final.occurrence[:, OPEN].tolist() == [0] * MIN_FRAMES + [1]
    np.testing.assert_allclose(final.score[:-1, OPEN], -0.1, atol=1e-6)


@pytest.mark.parametrize("frames", [1, MIN_FRAMES - 1])
def test_too_few_frames_are_compared_with_the_mean_face(embedded, engine, frames):
    faces = [face(points(embedded, gap=0.5), k) for k in range(frames)]
    first = engine(faces)
    final = engine.finish()
    np.testing.assert_array_equal(first.score, final.score)
    assert final.occurrence[:, OPEN].tolist() == [1] * frames


def test_frames_without_a_fit_do_not_count_towards_the_median(embedded, engine):
    faces = [face(points(embedded, gap=0.5), k) for k in range(MIN_FRAMES - 1)]
    faces.append(face(None, MIN_FRAMES))
    engine(faces)
    final = engine.finish()
    assert final.occurrence[:-1, OPEN].tolist() == [1] * (MIN_FRAMES - 1)
    assert (final.occurrence[-1] == -1).all()


def test_people_are_kept_apart(embedded, engine):
    """Labels of one person are the same whether the engine sees the others or not."""
    mine = [face(points(embedded, gap=0.02 * k), k) for k in range(20)]
    others = [face(points(embedded, gap=0.6, out=0.2), k, track_id=1) for k in range(20)]
    engine(mine)
    alone = engine.finish()
    engine([one for pair in zip(mine, others, strict=True) for one in pair])
    both = engine.finish()
    for name, value in vars(alone).items():
        np.testing.assert_array_equal(getattr(both, name)[::2], value)


def test_labels_do_not_depend_on_the_slices(embedded, engine):
    rng = np.random.default_rng(0)
    faces = [
        face(points(embedded, gap=abs(rng.normal()) * 0.2) + rng.normal(size=(68, 2)), k)
        for k in range(70)
    ]
    engine(faces)
    whole = engine.finish()
    for start in range(0, 70, 9):
        engine(faces[start : start + 9])
    np.testing.assert_array_equal(engine.finish().score, whole.score)


def test_long_videos_are_scored_in_parts(embedded, engine, monkeypatch):
    faces = [face(points(embedded, gap=0.01 * k), k) for k in range(40)]
    engine(faces)
    whole = engine.finish()
    monkeypatch.setattr(lite_units, "_AT_ONCE", 7)
    engine(faces)
    np.testing.assert_array_equal(engine.finish().score, whole.score)


def test_finish_forgets(embedded, engine):
    engine([face(points(embedded), k) for k in range(10)])
    assert len(engine.finish().score) == 10
    assert engine.finish() is None
    engine([face(points(embedded, gap=0.5))])
    final = engine.finish()
    assert final.occurrence[:, OPEN].tolist() == [1]


def test_what_cannot_be_told_is_unknown(embedded, engine):
    good = points(embedded)
    profile = points(embedded, yaw=75.0)
    garbage = good[np.random.default_rng(0).permutation(68)]
    partly = good.copy()
    partly[5] = np.nan
    labels = engine([face(p) for p in (good, None, partly, garbage, profile)])
    assert labels.occurrence[0].tolist() == [-1 if k == UNTOLD else 0 for k in range(18)]
    assert (labels.occurrence[1:] == -1).all()
    np.testing.assert_array_equal(np.isnan(labels.score), labels.occurrence == -1)
    assert np.isnan(labels.intensity).all()


def test_no_faces(engine):
    labels = engine([])
    assert labels.occurrence.shape == labels.score.shape == (0, 18)
    assert engine.finish() is None


def test_what_it_says_of_itself(caplog):
    engine = action_units.load("lite", device="cuda")
    assert (engine.device, engine.mode, engine.au_names) == ("cpu", "geometric", AU_NAMES)
    assert [model.name for model in engine.models] == ["lite_action_units"]
    assert "RUNS ON THE CPU" in caplog.text


def test_models_that_are_none(tmp_path, engine_file, embedded):
    from safetensors.numpy import load_file, save_file

    with pytest.raises(MissingWeights):
        action_units.load(f"lite:{tmp_path / 'nowhere.safetensors'}")
    with pytest.raises(BadInput, match="--device"):
        action_units.load("lite", device="tpu")
    whole, broken = engine_file.read_bytes(), tmp_path / "broken.safetensors"
    arrays = load_file(engine_file)
    about = {"action_units": " ".join(AU_NAMES), "measures": " ".join(NAMES)}
    for content, message in [
        (b"", "holds no units"),
        (whole[: len(whole) // 2], "holds no units"),
        ({k: v for k, v in arrays.items() if k != "own_bias"}, "holds no units"),
        (arrays | {"own_weights": arrays["own_weights"][:, 1:]}, "own_weights has the shape"),
        (arrays | {"alone_weights": arrays["own_weights"] * np.nan}, "not finite"),
        (arrays | {"point_model.noise": np.zeros(68, "f4")}, "above 0"),
    ]:
        if isinstance(content, bytes):
            broken.write_bytes(content)
        else:
            save_file(content, broken, metadata=about)
        with pytest.raises(BadWeights, match=message):
            action_units.load(f"lite:{broken}")
    save_file(arrays, broken, metadata={"action_units": "AU01"})
    with pytest.raises(BadWeights, match="other action units or measures"):
        action_units.load(f"lite:{broken}")


def test_a_file_comes_back_as_written(tmp_path, embedded):
    model, units = embedded
    lite_units.write(tmp_path / "again.safetensors", model, units)
    again = lite_units.read(tmp_path / "again.safetensors")
    for before, after in zip((model, units), again, strict=True):
        for name, value in vars(before).items():
            np.testing.assert_array_equal(getattr(after, name), value)


def test_the_embedded_units_claim_what_they_must(embedded):
    _, units = embedded
    claimed = {n for n, bias in zip(AU_NAMES, units.own_bias, strict=True) if np.isfinite(bias)}
    assert {"AU12", "AU25", "AU26", "AU45"} <= claimed
    assert 8 <= len(claimed) < 18
    assert "AU28" not in claimed  # next to nobody in the clips sucks their lips


def test_a_mirror_image_has_the_same_labels(data_dir):
    rows = openface_files.read(reference(data_dir, "original__134"))
    engine = action_units.load("lite")
    engine([face(p, k) for k, p in enumerate(rows.points_xy)])
    straight = engine.finish()
    engine([face(p, k) for k, p in enumerate(mirrored(rows.points_xy, 640))])
    swapped = engine.finish()
    told = straight.occurrence >= 0
    np.testing.assert_array_equal(swapped.occurrence >= 0, told)
    assert (swapped.occurrence == straight.occurrence)[told].mean() > 0.97


@pytest.mark.parametrize(
    ("clip", "name", "kappa"),
    [
        ("original__134", "AU12", 0.5),
        ("original__134", "AU25", 0.3),
        ("original__272", "AU45", 0.4),
        ("original__654", "AU26", 0.3),
    ],
)
@pytest.mark.parametrize("every", [1, 4])
def test_openfaces_own_points_give_nearly_openfaces_labels(data_dir, clip, name, kappa, every):
    """Of people the units have seen: this guards the engine, the card has the honest figures."""
    from sklearn.metrics import cohen_kappa_score

    rows = openface_files.read(reference(data_dir, clip))
    engine = action_units.load("lite")
    engine([face(p, k) for k, p in enumerate(rows.points_xy[::every])])
    column = AU_NAMES.index(name)
    found = engine.finish().occurrence[:, column]
    assert cohen_kappa_score(rows.occurrence[::every, column], found) > kappa


def test_a_smile_comes_and_goes(data_dir):
    """A clip that nothing was fitted on, by the embedded detector and landmarker."""
    asked = Measurement(frames="16", detector="lite", landmarker="lite", au="lite", images=False)
    models = measure.Backends.load(asked, device="cpu")
    clip = video.Video(
        key="smile", path=data_dir / "expressions" / "smile_25fps.mp4", relative_path="smile"
    )
    labels = measure.measure(clip, asked, models, lambda _: None).labels
    smiles = labels.occurrence[:, WIDE]
    # the smile is on from the fourth frame to the tenth, and again near the end
    assert smiles[[0, 1, 2, 11, 12]].tolist() == [0] * 5
    assert smiles[4:9].tolist() == [1] * 5
    assert labels.score[4:9, WIDE].min() > labels.score[:3, WIDE].max() + 2


def reference(data_dir, clip):
    return data_dir / "openface_reference" / "ffpp" / f"{clip}.csv.gz"
