import numpy as np
import pytest

from facekit.detectors import Detections
from training.lite_detector_scores import matched, scores
from training.lite_scenes import Scene

A, B = [10, 10, 30, 30], [60, 60, 92, 92]
NEAR_A, HALF_A = [11, 11, 31, 31], [10, 10, 30, 22]
ELSEWHERE = [40, 5, 50, 15]


def scene(boxes=(), ignored=()):
    box_xyxy = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Scene(
        image_HWC=np.zeros((100, 160, 3), np.uint8),
        box_xyxy=box_xyxy,
        points_xy=np.tile(box_xyxy[:, None, :2], (1, 5, 1)),
        ignored_xyxy=np.asarray(ignored, np.float32).reshape(-1, 4),
    )


def found(*rows):
    box_xyxy = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    return Detections(
        box_xyxy=box_xyxy,
        keypoints_xy=np.tile(box_xyxy[:, None, :2], (1, 5, 1)),
        score=np.array([score for _, score in rows], np.float32),
    )


@pytest.mark.parametrize(
    ("detections", "truth", "face_score", "false_score"),
    [
        (found(), scene(), [], []),
        (found(), scene([A]), [0], []),
        (found((A, 0.9)), scene(), [], [0.9]),
        (found((NEAR_A, 0.9), (B, 0.8)), scene([B, A]), [0.8, 0.9], []),
        (found((A, 0.9), (NEAR_A, 0.8)), scene([A]), [0.9], [0.8]),  # a face counts once
        (found((HALF_A, 0.9), (ELSEWHERE, 0.7)), scene([A]), [0.9], [0.7]),
        (found((A, 0.9)), scene([B], [A]), [0], []),  # ignored
    ],
)
def test_matched(detections, truth, face_score, false_score):
    got = matched([detections], [truth])
    np.testing.assert_allclose(got.face_score, face_score, rtol=1e-6)
    np.testing.assert_allclose(got.false_score, false_score, rtol=1e-6)
    assert got.frames == 1


def test_recall_by_size_and_false_boxes_by_score():
    got = matched([found((A, 0.9), (ELSEWHERE, 0.4)), found((B, 0.6))], [scene([A, B]), scene([B])])
    assert got.recall(0.5) == pytest.approx(2 / 3)
    assert got.recall(0.7) == pytest.approx(1 / 3)
    assert got.recall(0.5, 0.1, 0.15) == 1
    assert got.recall(0.5, 0.15, 1) == 0.5
    assert got.false_a_frame(0.3) == 0.5
    assert got.false_a_frame(0.5) == 0
    assert got.score_for(0.01) == 0.41
    assert got.fewest_errors() == 0.41


def test_points_are_judged_by_the_size_of_the_face():
    detections = found((A, 0.9))
    detections.keypoints_xy[0] += [3, 4]
    got = matched([detections], [scene([A])])
    assert got.point_error.tolist() == [0.25]


def test_scores_are_plain_numbers():
    class Given:
        models, device, min_score = (), "cpu", 0.05

        def __call__(self, images_HWC):
            return [found((A, 0.9))] * len(images_HWC)

    made = scores(Given(), [scene([A]), scene([A, B])], 0.5)
    assert made["recall"] == pytest.approx(2 / 3)
    assert made["false_a_frame"] == 0
    assert made["recall_10%_to_20%"] == 1
    assert made["recall_20%_to_40%"] == 0
    assert made["median_point_error"] == 0
    assert {type(value) for value in made.values()} == {float}
