"""The embedded detector: its file, its numbers, and what it makes of real pictures."""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from facekit import detectors
from facekit.detectors.lite import CROP_MARGIN, LONGEST_PX, MIN_SCORE, LiteDetector, second_crop
from facekit.detectors.lite_graph import CROP_PX
from facekit.detectors.lite_network import LiteDetectorNetworks
from facekit.errors import BadWeights, MissingWeights


@pytest.fixture(scope="module")
def detector():
    return detectors.load("lite", device="cpu")


def overlap(a, b):
    """Intersection over union of two boxes."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = np.prod(np.clip(sides, 0, None))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("box_xyxy", "keypoints_xy", "score")
    )


def test_the_file_is_small_and_half_precise(detector):
    path = detector.models[0].path
    assert path.stat().st_size <= 1_000_000
    assert {value.dtype for value in load_file(path).values()} == {torch.float16}
    assert detector.models[0].name == "lite_detector"


def test_it_is_at_hand_without_any_folder_of_models(monkeypatch, tmp_path):
    monkeypatch.delenv("FACEKIT_WEIGHTS", raising=False)
    made = detectors.load("lite")
    assert made.min_score == MIN_SCORE
    assert made.device in ("cpu", "cuda")


def test_no_frames(detector):
    assert detector([]) == []


@pytest.mark.parametrize("size_hw", [(240, 320), (16, 16), (1, 1), (1, 2000), (2000, 1), (1, 641)])
def test_frames_of_one_colour_and_any_size_hold_no_face(detector, size_hw):
    for level in (0, 128, 255):
        (found,) = detector([np.full((*size_hw, 3), level, np.uint8)])
        assert found.box_xyxy.shape == (0, 4)
        assert found.keypoints_xy.shape == (0, 5, 2)


@pytest.mark.parametrize("grain", [1, 16])
def test_noise_holds_no_face(detector, grain):
    cells = np.random.default_rng(0).integers(0, 256, (240 // grain, 320 // grain, 3))
    noise = cv2.resize(cells.astype(np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    assert len(detector([noise])[0]) == 0


def test_a_face_on_every_frame_of_real_clips(detector, frames):
    for found, frame in zip(detector(frames), frames, strict=True):
        assert len(found) >= 1
        assert found.score[0] >= MIN_SCORE
        x, y = ((found.box_xyxy[0, :2] + found.box_xyxy[0, 2:]) / 2).tolist()
        assert 0 < x < frame.shape[1]
        assert 0 < y < frame.shape[0]


def test_the_boxes_and_points_are_those_of_retinaface(detector, frames, weights_dir):
    wanted = detectors.load("retinaface", device="cpu")(frames)
    for mine, theirs in zip(detector(frames), wanted, strict=True):
        assert overlap(mine.box_xyxy[0], theirs.box_xyxy[0]) > 0.75
        side = np.sqrt(np.prod(theirs.box_xyxy[0, 2:] - theirs.box_xyxy[0, :2]))
        apart = np.linalg.norm(mine.keypoints_xy[0] - theirs.keypoints_xy[0], axis=1)
        assert apart.mean() < 0.06 * side


@pytest.mark.parametrize("longest", [0.05, 0.1, 0.3, 0.8])
@pytest.mark.parametrize("roll_deg", [-30, 0, 30])
def test_faces_from_5_to_80_percent_of_the_frame_upright_or_tilted(
    detector, single, longest, roll_deg
):
    """A photograph scaled and turned about its face, before a plain wall."""
    (large,) = detector([single])
    low, high = large.box_xyxy[0, :2], large.box_xyxy[0, 2:]
    factor = longest * 960 / float((high - low).max())
    middle = ((low + high) / 2).tolist()
    small = cv2.resize(single, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    turn = cv2.getRotationMatrix2D([x * factor for x in middle], roll_deg, 1.0)
    turn[:, 2] += np.array([480, 360]) - np.array(middle) * factor
    frame = cv2.warpAffine(small, turn, (960, 720), borderValue=(120, 110, 100))
    (found,) = detector([frame])
    assert len(found) >= 1
    x, y = ((found.box_xyxy[0, :2] + found.box_xyxy[0, 2:]) / 2).tolist()
    assert abs(x - 480) < 0.2 * longest * 960
    assert abs(y - 360) < 0.2 * longest * 960
    assert 0.6 * longest * 960 < (found.box_xyxy[0, 2:] - found.box_xyxy[0, :2]).max()
    right = found.keypoints_xy[0, 1] - found.keypoints_xy[0, 0]
    assert abs(np.rad2deg(np.arctan2(-right[1], right[0])) - roll_deg) < (
        20 if longest < 0.1 else 12
    )


def test_boxes_do_not_overlap(detector, group):
    (found,) = detector([group])
    pairs = [(i, j) for i in range(len(found)) for j in range(i)]
    assert len(pairs) >= 6
    assert all(overlap(found.box_xyxy[i], found.box_xyxy[j]) <= 0.41 for i, j in pairs)


def test_one_by_one_and_together_are_the_same(detector, frames, group):
    mixed = [frames[0], np.zeros((240, 320, 3), np.uint8), frames[0], group, frames[1]]
    together = detector(mixed)
    assert all(same(one, detector([frame])[0]) for one, frame in zip(together, mixed, strict=True))
    assert same(together[0], together[2])


def test_pixels_of_a_shrunk_frame_are_those_of_the_frame(detector, single):
    """Each pixel doubled, the frame shows the same to the model, half a pixel from its corner."""
    factor = LONGEST_PX / max(single.shape[:2])
    small = cv2.resize(single, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    (here,) = detector([small])
    (there,) = detector([small.repeat(2, 0).repeat(2, 1)])
    np.testing.assert_allclose(there.box_xyxy, 2 * here.box_xyxy + 0.5, atol=0.01)
    np.testing.assert_allclose(there.keypoints_xy, 2 * here.keypoints_xy + 0.5, atol=0.01)


def test_frames_are_left_as_they_were_and_views_are_frames_too(detector, frames):
    frame = frames[0].copy()
    frame.setflags(write=False)
    mirrored = frame[:, ::-1]
    assert same(detector([mirrored])[0], detector([np.ascontiguousarray(mirrored)])[0])
    assert np.array_equal(frame, frames[0])


def test_a_threshold_of_ones_own(group):
    scores = detectors.load("lite", device="cpu", min_score=0.3)([group])[0].score
    between = float(scores[1] + scores[2]) / 2
    strict = detectors.load("lite", device="cpu", min_score=between)
    assert strict([group])[0].score.tolist() == scores[:2].tolist()


def test_the_second_look_counts(group, tmp_path):
    """One that always says no leaves nothing; one that says nothing changes nothing."""
    embedded = detectors.load("lite", device="cpu", min_score=0.3)
    state = load_file(embedded.models[0].path)
    for key, value in LiteDetectorNetworks().state_dict().items():
        if key == "trust" or key.startswith("second."):
            state[key] = torch.ones(1) if key == "trust" else torch.zeros_like(value)
    for bias, same_as_first in ((0.0, True), (-50.0, False)):
        state["second.face.bias"][:] = bias
        save_file(state, tmp_path / "both.safetensors")
        spec = f"lite:{tmp_path / 'both.safetensors'}"
        (found,) = detectors.load(spec, device="cpu", min_score=0.3)([group])
        first = embedded.first_look(group).score
        assert len(found) == ((first >= 0.3).sum() if same_as_first else 0)


def test_the_first_look_is_the_same_below_any_threshold(group):
    """A threshold is for what both looks make of a face together."""
    strict, loose = (detectors.load("lite", device="cpu", min_score=s) for s in (0.99, 0.3))
    assert same(strict.first_look(group), loose.first_look(group))
    assert len(strict([group])[0]) <= len(loose([group])[0]) <= len(loose.first_look(group))


def test_the_second_look_sees_a_square_around_the_box():
    frame = np.zeros((200, 300, 3), np.uint8)
    frame[60:140, 110:190] = 255  # the box, and a margin of a fifth of it each way
    crop = second_crop(frame, np.array([110, 60, 190, 140], np.float32))
    assert crop.shape == (CROP_PX, CROP_PX, 3)
    inside = (CROP_PX / CROP_MARGIN) ** 2
    assert abs((crop[..., 0] > 127).sum() - inside) < 0.1 * inside


def saved(path, change):
    """A file of random weights of these networks, changed."""
    state = {key: value.half() for key, value in LiteDetectorNetworks().state_dict().items()}
    save_file(change(state), path)
    return path


def test_another_file_of_these_networks(tmp_path):
    path = saved(tmp_path / "other.safetensors", lambda state: state)
    other = LiteDetector(str(path), device="cpu")
    assert other.models[0].path == path
    assert len(other([np.zeros((50, 60, 3), np.uint8)])) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {k: v for k, v in state.items() if k != "head.conv.bias"},
        lambda state: state | {"more": torch.zeros(1)},
        lambda state: {key: value[:1].contiguous() for key, value in state.items()},
        lambda state: state | {"trust": torch.zeros(1, dtype=torch.int32)},
        lambda state: {k: v for k, v in state.items() if not k.startswith("second.")},
        lambda state: {k: v for k, v in state.items() if k != "trust"},
    ],
)
def test_files_of_other_networks_are_refused(change, tmp_path):
    path = saved(tmp_path / "other.safetensors", change)
    with pytest.raises(BadWeights, match="the lite detector"):
        LiteDetector(str(path), device="cpu")


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_is_no_model_is_refused(content, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(BadWeights):
        LiteDetector(str(tmp_path / "model.safetensors"), device="cpu")


def test_no_such_file():
    with pytest.raises(MissingWeights):
        detectors.load("lite:/no/such/model")
