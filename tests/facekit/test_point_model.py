"""The 3-D point model: pose and weights found again, whatever the image's own frame."""

import itertools
import math

import numpy as np
import pytest

from facekit import point_model, weights
from facekit.action_units import lite_units
from facekit.point_model import PointModel


@pytest.fixture(scope="module")
def model() -> PointModel:
    found, _ = lite_units.read(weights.find("lite_action_units").path)
    return found


def turned(yaw=0.0, pitch=0.0, roll=0.0):
    """Rotation by degrees about y, x and z, in this order."""
    (cy, sy), (cp, sp), (cr, sr) = (
        (math.cos(math.radians(angle)), math.sin(math.radians(angle)))
        for angle in (yaw, pitch, roll)
    )
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def seen(shape, rotation, scale_px=80.0, centre_xy=(320.0, 200.0)):
    return (scale_px * (shape @ rotation.T)[:, :2] + centre_xy)[None]


def degrees_apart(one, other):
    return math.degrees(math.acos(min(1.0, (np.trace(one @ other.T) - 1) / 2)))


@pytest.mark.parametrize(
    "pose",
    [
        {},
        {"yaw": 30.0},
        {"yaw": -45.0},
        {"pitch": 25.0},
        {"pitch": -25.0},
        {"roll": 170.0},
        {"yaw": 35.0, "pitch": -15.0, "roll": -100.0},
    ],
)
def test_a_face_of_the_model_is_found_again(model, pose):
    drawn = np.random.default_rng(0).normal(size=(1, len(model.modes))) * 0.5
    shape, rotation = model.shapes(drawn)[0], turned(**pose)
    fits = model.fit(seen(shape, rotation))
    assert degrees_apart(fits.rotation[0], rotation) < 4.0
    assert fits.scale_px[0] == pytest.approx(80.0, rel=0.02)
    assert fits.error[0] < 0.01
    # the prior draws the weights to 0; the points turned to the front hardly feel that
    assert np.abs(fits.upright_xy[0] - shape[:, :2]).max() < 0.06
    assert np.abs(fits.upright_xy[0] - shape[:, :2]).mean() < 0.015


def test_the_mean_is_found_exactly(model):
    rotation = turned(20.0, -10.0, 5.0)
    fits = model.fit(seen(model.mean, rotation))
    np.testing.assert_allclose(fits.rotation[0], rotation, atol=1e-6)
    np.testing.assert_allclose(fits.weights[0], 0.0, atol=1e-6)
    np.testing.assert_allclose(fits.centre_xy[0], [320.0, 200.0], atol=1e-4)


def test_upright_points_do_not_depend_on_the_frame(model):
    """Scale, place and roll of the picture are taken away whatever the points."""
    points = seen(model.mean, np.eye(3)) + np.random.default_rng(1).normal(size=(1, 68, 2))
    roll = turned(roll=75.0)[:2, :2]
    moved = 3.7 * points @ roll.T + [-900.0, 44.0]
    one, other = model.fit(points), model.fit(moved)
    np.testing.assert_allclose(other.upright_xy, one.upright_xy, atol=1e-9)
    np.testing.assert_allclose(other.scale_px, 3.7 * one.scale_px, rtol=1e-9)


def test_what_no_mode_follows_stays_in_the_upright_points(model):
    """A point that was put elsewhere is elsewhere, not drawn to where the model would have it."""
    points = seen(model.mean, turned(yaw=15.0))
    before = model.fit(points).upright_xy[0]
    points[0, 30] += [4.0, -3.0]
    moved = model.fit(points).upright_xy[0, 30] - before[30]
    np.testing.assert_allclose(moved, [4.0 / math.cos(math.radians(15.0)) / 80, -3 / 80], atol=0.01)


@pytest.mark.parametrize("broken", ["one nan", "all nan", "infinite", "one spot", "one line"])
def test_points_that_make_no_face_have_no_fit(model, broken):
    points = np.repeat(seen(model.mean, np.eye(3)), 3, axis=0)
    if broken == "one spot":
        points[1] = 7.0
    elif broken == "one line":
        points[1, :, 1] = 7.0
    else:
        value = np.inf if broken == "infinite" else np.nan
        points[1, : 1 if broken == "one nan" else None] = value
    fits = model.fit(points)
    for name, value in vars(fits).items():
        assert np.isnan(value[1]).all(), name
        assert np.isfinite(value[[0, 2]]).all(), name


def test_no_faces(model):
    fits = model.fit(np.empty((0, 68, 2)))
    assert fits.upright_xy.shape == (0, 68, 2)
    assert fits.weights.shape == (0, len(model.modes))


def test_a_fit_does_not_depend_on_its_company(model):
    rng = np.random.default_rng(2)
    shapes = model.shapes(rng.normal(size=(80, len(model.modes))))
    points = np.concatenate([seen(s, turned(*rng.normal(size=3) * 20)) for s in shapes])
    together = model.fit(points)
    for k, name in itertools.product((0, 31, 32, 79), vars(together)):
        lone = model.fit(points[k : k + 1])
        np.testing.assert_array_equal(getattr(lone, name)[0], getattr(together, name)[k])


def test_steps_are_enough_on_annotated_faces(model, data_dir, monkeypatch):
    from training.lite_faces import annotated_faces

    faces = annotated_faces(data_dir)[::10]
    points = np.stack([face.points_xy for face in faces])
    shipped = model.fit(points)
    monkeypatch.setattr(point_model, "ITERATIONS", 60)
    final = model.fit(points)
    apart = [degrees_apart(a, b) for a, b in zip(shipped.rotation, final.rotation, strict=True)]
    assert max(apart) < 0.1
    assert np.percentile(shipped.error, 99) < 0.05


def test_turns_of_real_faces(model, data_dir):
    """AFLW2000-3D's own yaw: the same side, and nearly the same order."""
    from scipy.io import loadmat
    from scipy.stats import spearmanr

    files = sorted((data_dir / "faces68" / "small" / "aflw2000_prnet").glob("*.mat"))
    tables = [loadmat(file) for file in files]
    fits = model.fit(np.stack([table["pt3d_68"][:2].T for table in tables]))
    yaw = np.array([table["Pose_Para"][0, 1] for table in tables])
    found = np.arctan2(fits.rotation[:, 0, 2], fits.rotation[:, 2, 2])
    assert spearmanr(yaw, found).statistic > 0.95
    far = np.abs(yaw) > math.radians(10)
    assert (np.sign(yaw) == np.sign(found))[far].all()


def test_arrays_and_back(model):
    back = PointModel.from_arrays(model.arrays())
    for name, value in vars(model).items():
        np.testing.assert_array_equal(getattr(back, name), value.astype(np.float32))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mean": None}, KeyError, "mean"),
        ({"mean": np.zeros((67, 3))}, ValueError, "these shapes"),
        ({"modes": np.zeros((4, 68, 2))}, ValueError, "these shapes"),
        ({"noise": np.zeros(68)}, ValueError, "above 0"),
        ({"mean": np.full((68, 3), np.nan)}, ValueError, "not finite"),
    ],
)
def test_arrays_of_no_point_model(model, change, error, message):
    arrays = {name: value for name, value in (model.arrays() | change).items() if value is not None}
    with pytest.raises(error, match=message):
        PointModel.from_arrays(arrays)
