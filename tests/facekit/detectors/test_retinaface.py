import pickle

import numpy as np
import pytest
import torch

from facekit.detectors import retinaface
from facekit.detectors.retinaface import RetinaFaceDetector
from facekit.errors import BadWeights


@pytest.fixture(scope="module")
def detector(weights_dir):
    return RetinaFaceDetector(device="cpu")


def by_the_library(path, images, threshold):
    """Face-alignment's own detector, given BGR: it takes the BGR means off whatever it is given."""
    from face_alignment.detection.retinaface import FaceDetector

    made = FaceDetector("cpu", path_to_detector=str(path), confidence_threshold=threshold)
    return [made.detect_from_image(np.ascontiguousarray(image[..., ::-1])) for image in images]


def test_the_numbers_are_the_librarys(detector, frames):
    small = [frame[:480, :640] for frame in frames]
    wanted = by_the_library(detector.models[0].path, small, detector.min_score)
    assert sum(map(len, wanted)) >= 3
    for found, rows in zip(detector(small), wanted, strict=True):
        rows = np.array(rows, np.float32).reshape(-1, 5)
        np.testing.assert_array_equal(found.box_xyxy, rows[:, :4])
        np.testing.assert_array_equal(found.score, rows[:, 4])


def test_the_right_channels_score_higher_than_swapped_ones(detector, frames):
    right = [found.score[0] for found in detector(frames)]
    swapped = [found.score[0] for found in detector([frame[..., ::-1] for frame in frames])]
    assert np.mean(right) > np.mean(swapped)


def test_frames_of_one_size_go_together(detector, frames, group, monkeypatch):
    """As on CUDA: the sums of a batch may differ from those of one frame in the last digits."""
    mixed = [frames[0], frames[0][::-1], frames[0][:, ::-1], group, frames[1], frames[1], frames[0]]
    alone = detector(mixed)
    monkeypatch.setattr(RetinaFaceDetector, "_at_once", 2)
    for a, b in zip(alone, detector(mixed), strict=True):
        np.testing.assert_allclose(a.box_xyxy, b.box_xyxy, atol=1e-2)
        np.testing.assert_allclose(a.score, b.score, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "at_most", "want"),
    [
        ([], 2, []),
        ([4], 1, [1]),
        ([4, 4, 4, 4, 4], 2, [2, 2, 1]),
        ([4, 4, 5, 4], 8, [2, 1, 1]),
        ([4, 4, 4], 1, [1, 1, 1]),
    ],
)
def test_runs_of_one_size(sizes, at_most, want):
    images = [np.full((side, side, 3), i, np.uint8) for i, side in enumerate(sizes)]
    runs = list(retinaface._of_one_size(images, at_most))
    assert [len(run) for run in runs] == want
    assert [int(image[0, 0, 0]) for run in runs for image in run] == list(range(len(sizes)))


def test_prior_boxes_are_kept_by_size():
    retinaface._priors.cache_clear()
    first = retinaface._priors(64, 96)
    assert retinaface._priors(64, 96) is first
    assert len(first) == 2 * (8 * 12 + 4 * 6 + 2 * 3)


def saved(tmp_path, state):
    torch.save(state, tmp_path / "weights.pth")
    return str(tmp_path / "weights.pth")


def test_names_with_the_prefix_of_data_parallel(detector, frames, tmp_path):
    state = torch.load(detector.models[0].path, map_location="cpu", weights_only=True)
    bare = {name.removeprefix("module."): value for name, value in state.items()}
    prefixed = {f"module.{name}": value for name, value in bare.items()}
    want = detector(frames[:1])[0].box_xyxy
    for form in (bare, prefixed):
        made = RetinaFaceDetector(saved(tmp_path, form), device="cpu")
        assert np.array_equal(made(frames[:1])[0].box_xyxy, want)


class Evil:
    def __reduce__(self):
        return (open, ("evil", "w"))


@pytest.mark.parametrize(
    "state", [{}, [], 3, {"a": torch.zeros(1)}, {"body": Evil()}, {1: torch.zeros(1)}]
)
def test_files_of_something_else_are_refused(tmp_path, monkeypatch, state):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadWeights, match=r"weights\.pth does not hold"):
        RetinaFaceDetector(saved(tmp_path, state))
    assert not (tmp_path / "evil").exists()


def test_a_bare_pickle_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(BadWeights):
        RetinaFaceDetector("weights.pth")
    assert not (tmp_path / "evil").exists()


def test_gradients_stay_as_they_were(detector, frames):
    assert torch.is_grad_enabled()
    detector(frames[:1])
    assert torch.is_grad_enabled()
