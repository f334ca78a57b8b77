"""Points of another landmarker, moved to where OpenFace would have put them."""

import numpy as np
import pytest
import torch

from facekit import landmarkers, weights
from facekit.action_units import OfPoints
from facekit.action_units.openface import OpenFaceActionUnits
from facekit.errors import BadWeights
from facekit.openface import corrections, point_distribution
from facekit.openface.corrections import FEATURES, Correction
from facekit.openface.point_distribution import PointModel
from facekit.weights import ModelFile

NOTHING = np.zeros((FEATURES, 136))


@pytest.fixture(scope="module")
def model(invented_set, cpu):
    return PointModel.of(invented_set.points, cpu)


@pytest.fixture(scope="module")
def points(model):
    """Faces of the model, moved about, with a little that it cannot follow."""
    rng = np.random.default_rng(0)
    local = torch.from_numpy(rng.normal(size=(9, 34))) * model.variance_K.sqrt() * 0.4
    roll = rng.uniform(-0.6, 0.6, 9)
    turn = np.zeros((9, 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(roll)
    turn[:, 1, 0], turn[:, 0, 1], turn[:, 2, 2] = np.sin(roll), -np.sin(roll), 1.0
    fitted = point_distribution.Fit(
        torch.from_numpy(rng.uniform(1.0, 3.0, 9)),
        torch.from_numpy(turn),
        torch.from_numpy(rng.uniform(200, 400, (9, 2))),
        local,
    )
    return point_distribution.project(fitted, model) + torch.from_numpy(rng.normal(size=(9, 68, 2)))


def constant(offset_mm):
    """A correction that moves every point alike."""
    table = NOTHING.copy()
    table[0] = np.tile(offset_mm, 68)
    return table


def test_no_face_no_points(model):
    assert Correction(NOTHING, model)(torch.empty(0, 68, 2, dtype=torch.float64)).shape == (
        0,
        68,
        2,
    )


def test_nothing_to_correct_leaves_the_nearest_face_of_the_model(model, points):
    corrected = Correction(NOTHING, model)(points)
    torch.testing.assert_close(corrected, corrections.project(points, model), rtol=0, atol=0)
    again = corrections.project(corrected, model)
    assert (again - corrected).abs().max() < (corrected - points).abs().max()


def test_offsets_are_millimetres_of_the_upright_face(model, points):
    """A face that is twice as large is moved twice as far, a tilted one in its own directions."""
    fitted = point_distribution.fit(points, model)
    moved = Correction(constant([2.0, -3.0]), model)(points) - Correction(NOTHING, model)(points)
    turn = fitted.rotation_N33[:, :2, :2]
    want = fitted.scale_N[:, None] * (turn @ torch.tensor([2.0, -3.0], dtype=torch.float64))
    length = want.norm(dim=1)
    assert ((moved.mean(dim=1) - want).norm(dim=1) < 0.1 * length).all()


def test_millimetres_are_the_way_back_from_pixels(model, points):
    fitted = point_distribution.fit(points, model)
    there = corrections.to_millimetres(points, fitted)
    torch.testing.assert_close(corrections.to_pixels(there, fitted), points)


def test_features_do_not_change_with_place_and_roll(model, points):
    fitted = point_distribution.fit(points, model)
    angle = 0.3
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points @ turn.T + torch.tensor([30.0, -20.0])
    first = corrections.features(points, fitted, model)
    second = corrections.features(moved, point_distribution.fit(moved, model), model)
    assert first.shape == (9, FEATURES)
    assert (second - first).abs().mean() < 0.05 * first.abs().mean()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_face_is_corrected_the_same_whatever_lies_beside_it(model, points, size):
    table = np.random.default_rng(1).normal(0, 0.2, (FEATURES, 136)).astype(np.float16)
    correct = Correction(table, model)
    together = correct(points)
    apart = torch.cat([correct(points[k : k + size]) for k in range(0, len(points), size)])
    assert torch.equal(together, apart)


def test_points_of_no_face_stay_so(model, points):
    hopeless = points.clone()
    hopeless[3] = 7.0
    corrected = Correction(constant([1.0, 1.0]), model)(hopeless)
    assert not corrected[3].isfinite().all()
    kept = torch.arange(9) != 3
    assert torch.equal(corrected[kept], Correction(constant([1.0, 1.0]), model)(points)[kept])


def test_a_table_is_read_as_it_was_written(tmp_path):
    table = {"b" * 64: constant([1.0, 2.0]), "a" * 64: NOTHING}
    corrections.write(tmp_path / "one", table)
    corrections.write(tmp_path / "other", dict(reversed(table.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    found = corrections.read(tmp_path / "one")
    assert set(found) == set(table)
    np.testing.assert_array_equal(found["b" * 64], table["b" * 64])


@pytest.mark.parametrize(
    "weights_FQ",
    [np.zeros((3, 3)), np.full((FEATURES, 136), np.nan), np.full((FEATURES, 136), 1e9)],
)
def test_what_corrects_no_points_is_refused(tmp_path, weights_FQ):
    with np.errstate(over="ignore"):
        corrections.write(tmp_path / "table", {"a": weights_FQ})
    with pytest.raises(BadWeights, match="table: what it holds for a corrects no points"):
        corrections.read(tmp_path / "table")


@pytest.mark.parametrize("content", [None, b"", b"no table", bytes(100)])
def test_a_damaged_table_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "table").write_bytes(content)
    with pytest.raises(BadWeights, match="table holds no corrections"):
        corrections.read(tmp_path / "table")


def test_only_the_very_model_file_is_corrected(tmp_path, model):
    corrections.write(tmp_path / "table", {"a" * 64: NOTHING})
    mine = ModelFile(name="m", path=tmp_path, sha256="a" * 64)
    other = ModelFile(name="m", path=tmp_path, sha256="b" * 64)
    for models, known in (((), False), ((other,), False), ((mine,), True), ((other, mine), True)):
        found = corrections.of_landmarker(models, model, tmp_path / "table")
        assert (found is not None) == known


def test_the_engine_names_the_table_that_it_uses(invented, tmp_path):
    corrections.write(tmp_path / "mine.safetensors", {"a" * 64: constant([3.0, 0.0])})
    engine = OpenFaceActionUnits(str(invented), device="cpu")
    assert isinstance(engine, OfPoints)
    assert [one.name for one in engine.models] == ["AU_predictors"]
    landmarker = ModelFile(name="m", path=tmp_path, sha256="a" * 64)
    engine.points_come_from([landmarker], table=tmp_path / "mine.safetensors")
    assert [one.name for one in engine.models] == ["AU_predictors", "mine"]
    engine.points_come_from([], table=tmp_path / "mine.safetensors")
    assert [one.name for one in engine.models] == ["AU_predictors"]


def test_points_that_stay_as_they_are_are_told_of(invented, tmp_path, caplog):
    corrections.write(tmp_path / "mine.safetensors", {"a" * 64: constant([3.0, 0.0])})
    engine = OpenFaceActionUnits(str(invented), device="cpu")
    for sha256, told in (("", 0), ("a" * 64, 0), ("b" * 64, 1)):
        models = [ModelFile(name="a_landmarker", path=tmp_path, sha256=sha256)] if sha256 else []
        caplog.clear()
        engine.points_come_from(models, table=tmp_path / "mine.safetensors")
        assert caplog.text.count("points of a_landmarker are taken as they are") == told


def test_the_shipped_table_is_for_the_embedded_landmarker():
    known = corrections.read(corrections.TABLE)
    (mine,) = landmarkers.load("lite", device="cpu").models
    assert mine.sha256 in known
    assert corrections.TABLE.stat().st_size < 200_000
    named = {
        weights.KNOWN[name].sha256 for name in ("lite_landmarker", "mobilefacenet_68", "pfld_68")
    }
    assert set(known) == named
