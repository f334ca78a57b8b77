import cv2
import numpy as np
import pytest

from facekit.detectors.yunet import LONGEST_PX, YuNetDetector


@pytest.fixture
def detector(weights_dir):
    return YuNetDetector()


def by_opencv(path, image):
    bgr = np.ascontiguousarray(image[..., ::-1])
    made = cv2.FaceDetectorYN.create(str(path), "", bgr.shape[1::-1], 0.8)
    rows = made.detect(bgr)[1]
    return np.empty((0, 15), np.float32) if rows is None else rows


def test_the_numbers_are_opencvs(detector, frames):
    small = [frame[:480, :LONGEST_PX] for frame in frames]
    for found, image in zip(detector(small), small, strict=True):
        rows = by_opencv(detector.models[0].path, image)
        rows = rows[np.argsort(-rows[:, 14], kind="stable")]
        np.testing.assert_array_equal(found.box_xyxy[:, :2], rows[:, :2])
        np.testing.assert_array_equal(found.box_xyxy[:, 2:], rows[:, :2] + rows[:, 2:4])
        np.testing.assert_array_equal(found.keypoints_xy, rows[:, 4:14].reshape(-1, 5, 2))
        np.testing.assert_array_equal(found.score, rows[:, 14])


def test_a_large_face_on_a_large_frame_is_found(detector, single):
    """At full size it is more than the model can see; shrunk it is not."""
    large = cv2.resize(single, None, fx=4, fy=4)
    (found,) = detector([large])
    assert len(found) == 1
    assert (found.box_xyxy[0, 2:] - found.box_xyxy[0, :2]).min() > 300


def test_the_log_level_of_opencv_stays(detector):
    level = cv2.utils.logging.getLogLevel()
    YuNetDetector()
    assert cv2.utils.logging.getLogLevel() == level
