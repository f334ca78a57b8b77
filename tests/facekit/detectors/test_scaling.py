import numpy as np
import pytest

from facekit.detectors.scaling import detections, none_found, shrunk_bgr

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("box_xyxy", "score", "want"),
    [
        (np.empty((0, 4)), [], []),
        ([[0, 0, 4, 4]], [0.9], [0]),
        ([[-5, -5, 4, 4]], [0.9], [0]),
        ([[0, 0, 4, 4], [1, 1, 5, 5]], [0.5, 0.9], [1, 0]),
        ([[0, 0, 4, 4], [1, 1, 5, 5], [2, 2, 6, 6]], [0.5, 0.5, 0.5], [0, 1, 2]),
        ([[0, 0, 0, 4], [4, 0, 0, 4], [0, 4, 4, 4], [0, 0, 4, 4]], [0.9, 0.8, 0.7, 0.6], [3]),
        ([[NAN, 0, 4, 4], [0, 0, INF, 4], [-INF, 0, INF, 4], [0, 0, 4, 4]], [0.9] * 4, [3]),
        ([[0, 0, 4, 4], [1, 1, 5, 5]], [NAN, 0.9], [1]),
        ([[INF, INF, INF, INF]], [0.9], []),
    ],
)
def test_sound_boxes_best_first(box_xyxy, score, want):
    found = detections(box_xyxy, score)
    np.testing.assert_array_equal(
        found.box_xyxy, np.asarray(box_xyxy, np.float32).reshape(-1, 4)[want]
    )
    assert found.score.tolist() == [np.float32(score[i]) for i in want]
    assert np.isnan(found.keypoints_xy).all()
    assert found.keypoints_xy.shape == (len(want), 5, 2)
    assert {a.dtype for a in (found.box_xyxy, found.score, found.keypoints_xy)} == {
        np.dtype(np.float32)
    }


def test_points_follow_their_box_and_unsound_ones_are_nan():
    points = np.arange(20, dtype=np.float32).reshape(2, 5, 2)
    points[0, 3] = INF
    found = detections([[0, 0, 4, 4], [1, 1, 5, 5]], [0.5, 0.9], points, scale_xy=(0.5, 0.25))
    np.testing.assert_array_equal(found.keypoints_xy[0], points[1] * [2, 4])
    assert np.isnan(found.keypoints_xy[1, 3]).all()
    np.testing.assert_array_equal(found.keypoints_xy[1, :3], points[0, :3] * [2, 4])
    np.testing.assert_array_equal(found.box_xyxy[0], [2, 4, 10, 20])


def test_none_found_has_the_shapes():
    none = none_found()
    assert (none.box_xyxy.shape, none.keypoints_xy.shape) == ((0, 4), (0, 5, 2))
    assert none.score.shape == (0,)


@pytest.mark.parametrize(
    ("size_wh", "want_wh"),
    [
        ((1, 1), (1, 1)),
        ((640, 480), (640, 480)),
        ((1920, 1080), (640, 360)),
        ((1080, 1920), (360, 640)),
        ((5000, 2), (640, 1)),
        ((641, 479), (640, 478)),
    ],
)
def test_shrunk_bgr(size_wh, want_wh):
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    image[..., 0] = 200
    small, scale_xy = shrunk_bgr(image, 640)
    assert small.shape == (want_wh[1], want_wh[0], 3)
    assert small.dtype == np.uint8
    assert small[0, 0].tolist() == [0, 0, 200]
    assert scale_xy == (want_wh[0] / size_wh[0], want_wh[1] / size_wh[1])
    assert (image[..., 0] == 200).all()
