"""Corrections are learnt from what landmarkers and OpenFace say of the same faces."""

import numpy as np
import openface_models as of
import pytest
import torch
from click.testing import CliRunner

from facekit import devices
from facekit.errors import BadInput
from facekit.openface import corrections, model_files, point_distribution
from facekit.openface.corrections import Correction
from facekit.openface.point_distribution import PointModel
from training import openface_points
from training.openface_points import Clip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    devices.torch_device("cpu")
    folder = of.write(tmp_path_factory.mktemp("models") / "AU_predictors")
    return PointModel.of(model_files.read_set(folder, "dynamic").points, torch.device("cpu"))


def faces(model, count, seed):
    """Points of faces of the model that look at the camera, 2 px a mm."""
    local = torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 34)))
    fitted = point_distribution.Fit(
        torch.full((count,), 2.0, dtype=torch.float64),
        torch.eye(3, dtype=torch.float64).repeat(count, 1, 1),
        torch.full((count, 2), 300.0, dtype=torch.float64),
        local * model.variance_K.sqrt() * 0.3,
    )
    return point_distribution.project(fitted, model).numpy().astype(np.float32)


def clip(found_xy, wanted_xy):
    return Clip(people="a", found_xy=found_xy, wanted_xy=wanted_xy)


def test_of_no_faces_nothing_is_learnt(model):
    nobody = np.empty((0, 68, 2), np.float32)
    for clips in ([], [clip(nobody, nobody)]):
        weights = openface_points.fit(clips, model)
        assert weights.shape == (corrections.FEATURES, 136)
        assert not weights.any()


def test_a_habit_of_the_landmarker_is_taken_off_other_faces(model):
    """Each point is 3 mm too far out, the mouth opens half as wide as it should."""
    habit = np.random.default_rng(5).normal(0, 4, (68, 2)).astype(np.float32)

    def as_found(wanted):
        moved = wanted + habit
        moved[:, 48:, 1] -= 0.3 * (wanted[:, 48:, 1] - wanted[:, 48:, 1].mean(axis=0))
        return moved

    learnt, judged = faces(model, 200, 0), faces(model, 40, 1)
    weights = openface_points.fit([clip(as_found(learnt), learnt)], model, ridge=1e-3)
    found = torch.from_numpy(as_found(judged)).double()
    corrected = Correction(weights, model)(found).numpy()
    alone = corrections.project(found, model).numpy()
    error, before = np.abs(corrected - judged).mean(), np.abs(alone - judged).mean()
    assert error < 0.25 * before


def test_the_order_of_clips_hardly_matters_and_their_number_does_not_blow_weights_up(model):
    found, wanted = faces(model, 30, 2), faces(model, 30, 3)
    once = openface_points.fit([clip(found, wanted)], model)
    thrice = openface_points.fit([clip(found, wanted)] * 3, model)
    np.testing.assert_allclose(once, thrice, atol=1e-2)


def test_without_clips_it_says_so(tmp_path):
    with pytest.raises(BadInput, match="holds no clips in the layout"):
        openface_points.read(tmp_path, "16", {})


def test_the_command_ends_with_the_errors_code(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEKIT_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("FACEKIT_CACHE", str(tmp_path))
    ran = CliRunner().invoke(openface_points.main, [str(tmp_path), "-o", str(tmp_path / "t")])
    assert ran.exit_code == 69
    assert "openface_au" in ran.output
    assert not (tmp_path / "t").exists()


def test_points_of_real_clips_are_those_of_the_same_faces(data_dir, tmp_path):
    method = "original_sequences/youtube/c23/videos"
    here = tmp_path / "ffpp" / method
    here.mkdir(parents=True)
    (here / "035.mp4").symlink_to(data_dir / "ffpp" / method / "035.mp4")
    (tmp_path / "openface_reference").symlink_to(data_dir / "openface_reference")
    landmarker = openface_points.landmarkers.load("lite", device="cpu")
    (known,) = openface_points.read(tmp_path, "4", {"lite": landmarker})["lite"]
    assert known.people == "035"
    assert known.found_xy.shape == known.wanted_xy.shape == (4, 68, 2)
    eyes_px = np.linalg.norm(known.wanted_xy[:, 45] - known.wanted_xy[:, 36], axis=1)
    apart = np.linalg.norm(known.found_xy - known.wanted_xy, axis=2).mean(axis=1)
    assert (apart < 0.08 * eyes_px).all()
