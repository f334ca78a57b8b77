"""What every built-in detector has to do alike, on real frames, and whether they agree."""

import csv
import logging

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from facekit import detectors
from facekit.detectors import lite
from facekit.errors import BadWeights, MissingWeights

SPECS = ("insightface:scrfd_500m_kps", "lite", "retinaface", "yunet")
NAMES = ("insightface", "lite", "retinaface", "yunet")
MODELS = ("scrfd_500m_kps", "lite_detector", "retinaface_mnet025", "yunet_2023mar")
BLACK = np.zeros((240, 320, 3), np.uint8)


@pytest.fixture(scope="module")
def made(weights_dir):
    """Spec -> detector, made once."""
    return {spec: detectors.load(spec, device="cpu") for spec in SPECS}


@pytest.fixture(params=SPECS)
def detector(request, made):
    return made[request.param]


def overlap(a, b):
    """Intersection over union of two boxes."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = np.prod(np.clip(sides, 0, None))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True)
        for name in ("box_xyxy", "keypoints_xy", "score")
    )


def test_no_frames(detector):
    assert detector([]) == []


@pytest.mark.parametrize("size_hw", [(240, 320), (16, 16), (1, 1), (1, 2000), (2000, 1), (1, 641)])
def test_black_frames_of_any_size_hold_no_face(detector, size_hw):
    found = detector([np.zeros((*size_hw, 3), np.uint8)])
    assert [len(one) for one in found] == [0]
    assert found[0].keypoints_xy.shape == (0, 5, 2)


def test_noise_holds_no_face(detector):
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    assert len(detector([noise])[0]) == 0


def test_a_face_on_every_frame_of_real_clips(detector, frames):
    found = detector(frames)
    assert [len(one) >= 1 for one in found] == [True] * len(frames)
    for one, frame in zip(found, frames, strict=True):
        assert (one.score >= detector.min_score).all()
        assert (one.score <= 1).all()
        assert (np.diff(one.score) <= 0).all()
        assert np.isfinite(one.keypoints_xy).all()
        x, y = ((one.box_xyxy[0, :2] + one.box_xyxy[0, 2:]) / 2).tolist()
        assert 0 < x < frame.shape[1]
        assert 0 < y < frame.shape[0]


def test_everybody_on_a_photograph(detector, group):
    found = detector([group])[0]
    assert len(found) == 5
    pairs = [(i, j) for i in range(5) for j in range(i)]
    assert all(overlap(found.box_xyxy[i], found.box_xyxy[j]) < 0.4 for i, j in pairs)


def test_one_by_one_and_together_are_the_same(detector, frames, group):
    mixed = [frames[0], BLACK, frames[0], group, frames[1]]
    together = detector(mixed)
    assert all(same(one, detector([frame])[0]) for one, frame in zip(together, mixed, strict=True))
    assert same(together[0], together[2])


def test_frames_are_left_as_they_were(detector, frames):
    frame = frames[0].copy()
    frame.setflags(write=False)
    detector([frame])
    assert np.array_equal(frame, frames[0])


def test_a_view_with_negative_strides_is_a_frame_too(detector, frames):
    mirrored = frames[0][:, ::-1]
    assert same(detector([mirrored])[0], detector([np.ascontiguousarray(mirrored)])[0])


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_frame_of_another_size_gives_the_same_face(detector, single, factor):
    base = cv2.resize(single, (640, 640 * single.shape[0] // single.shape[1]))
    other = cv2.resize(base, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    small, large = detector([base])[0], detector([other])[0]
    assert overlap(small.box_xyxy[0] * factor, large.box_xyxy[0]) > 0.85


def test_the_points_lie_where_people_marked_them(detector, data_dir):
    """The five points against hand-made annotations of the 68, iBUG order."""
    errors = []
    for path, points in annotated(data_dir / "faces68" / "afw", 12):
        image = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        want = np.stack(
            [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
        )
        apart = np.linalg.norm(want[0] - want[1])
        found = detector([image])[0]
        if len(found):
            per_face = np.linalg.norm(found.keypoints_xy - want, axis=2).mean(1)
            errors.append(per_face.min() / apart)
    assert len(errors) >= 10
    assert np.median(errors) < 0.12


def annotated(folder, count):
    with (folder / "landmarks.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for row in rows[:: len(rows) // count]:
        points = [[float(row[f"{axis}{i}"]) for axis in "xy"] for i in range(68)]
        yield folder / row["file"], np.array(points)


def test_all_agree_on_the_main_face(made, frames):
    for frame in frames:
        boxes = [detector([frame])[0].box_xyxy[0] for detector in made.values()]
        pairs = [overlap(boxes[i], boxes[j]) for i in range(len(boxes)) for j in range(i)]
        assert min(pairs) > 0.7


@pytest.mark.parametrize("spec", SPECS)
def test_a_threshold_of_ones_own(spec, made, group):
    scores = made[spec]([group])[0].score
    between = float(scores[1] + scores[2]) / 2
    strict = detectors.load(spec, device="cpu", min_score=between)
    assert strict.min_score == between
    assert strict([group])[0].score.tolist() == scores[:2].tolist()


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ("insightface:scrfd_500m_kps", 0.5),
        ("lite", lite.MIN_SCORE),
        ("retinaface", 0.8),
        ("yunet", 0.8),
    ],
)
def test_default_thresholds(made, spec, want):
    assert made[spec].min_score == want


def test_it_tells_its_model_and_its_device(detector):
    (model,) = detector.models
    assert model.name in MODELS
    assert len(model.sha256) == 64
    assert detector.device == "cpu"


@pytest.mark.parametrize("spec", SPECS)
def test_cuda_that_is_not_there_is_warned_of(spec, weights_dir, monkeypatch, caplog):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert detectors.load(spec, device="cuda").device == "cpu"
    loud = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert ["RUNS ON THE CPU" in r.getMessage() for r in loud] == [True]


@pytest.mark.parametrize("spec", SPECS)
def test_nothing_is_printed(spec, weights_dir, frames, capfd):
    detectors.load(spec, device="cpu")(frames[:1])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_is_no_model_is_refused(name, content, tmp_path):
    (tmp_path / "model.onnx").write_bytes(content)
    refused(f"{name}:{tmp_path / 'model.onnx'}")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        (name, other)
        for name, mine in zip(NAMES, MODELS, strict=True)
        for other in (*MODELS, "pfld_68")
        if other != mine
    ],
)
def test_the_weights_of_something_else_are_refused(name, other, weights_dir):
    refused(f"{name}:{other}")


def refused(spec):
    with pytest.raises(BadWeights) as raised:
        detectors.load(spec, device="cpu")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", NAMES)
def test_missing_weights(name):
    with pytest.raises(MissingWeights, match="neither a file nor"):
        detectors.load(f"{name}:/no/such/model")
