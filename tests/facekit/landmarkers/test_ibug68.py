import math

import numpy as np
import pytest
import torch

from facekit.landmarkers import ibug68


def test_the_swap_is_that_of_face_alignment():
    from face_alignment.utils import shuffle_lr

    theirs = shuffle_lr(torch.arange(ibug68.POINTS).reshape(1, ibug68.POINTS, 1, 1))
    assert tuple(theirs.flatten().tolist()) == ibug68.SWAP


def test_swapping_twice_changes_nothing():
    swap = np.array(ibug68.SWAP)
    assert (swap[swap] == np.arange(ibug68.POINTS)).all()


@pytest.mark.parametrize("shape", [(0, 68, 2), (68, 2), (3, 68, 2)])
def test_mirrored_twice_is_the_same(shape):
    points = np.random.default_rng(0).integers(0, 112, shape).astype(np.float32)
    once = ibug68.mirrored(points, 112)
    assert once.shape == shape
    assert once.dtype == np.float32
    np.testing.assert_array_equal(ibug68.mirrored(once, 112), points)


def test_a_mirrored_point_lies_on_the_same_pixel_of_the_mirrored_image():
    image = np.random.default_rng(0).random((20, 30))
    points = np.random.default_rng(1).integers(0, 20, (68, 2)).astype(np.float32)
    x, y = ibug68.mirrored(points, 30).astype(int).T
    before_x, before_y = points[list(ibug68.SWAP)].astype(int).T
    np.testing.assert_array_equal(image[:, ::-1][y, x], image[before_y, before_x])


def test_a_mirrored_face_has_its_left_eye_left_and_its_outer_corners_outside():
    points = np.zeros((68, 2), np.float32)
    points[ibug68.LEFT_EYE, 0], points[ibug68.RIGHT_EYE, 0] = 30, 80
    points[list(ibug68.OUTER_CORNERS), 0] = 25, 85
    turned = ibug68.mirrored(points, 112)
    assert turned[ibug68.LEFT_EYE, 0].max() < turned[ibug68.RIGHT_EYE, 0].min()
    assert turned[ibug68.OUTER_CORNERS, 0].tolist() == [111 - 85, 111 - 25]


@pytest.mark.parametrize(
    ("right_eye_xy", "want_degrees"),
    [
        ((0, 0), 0),  # both eyes at one place: as good as upright
        ((1, 0), 0),
        ((1, 1), 45),
        ((0, 1), 90),
        ((0, -1), -90),
        ((-1, 0), 180),
        ((math.nan, 0), math.nan),
    ],
)
def test_roll(right_eye_xy, want_degrees):
    points = np.zeros((68, 2))
    points[ibug68.RIGHT_EYE] = right_eye_xy
    np.testing.assert_allclose(math.degrees(ibug68.roll_rad(points)), want_degrees, atol=1e-12)
