import math

import numpy as np
import pytest
from skimage.transform import SimilarityTransform

from facekit import crops
from facekit.landmarkers import squares


@pytest.mark.parametrize(
    ("centre_xy", "side_px", "degrees"),
    [((0, 0), 112, 0), ((300.25, 200.75), 57.3, 0), ((-10, 40), 900, 30), ((5, 5), 10, -170)],
)
def test_a_square_is_the_similarity_that_turns_it_upright(centre_xy, side_px, degrees):
    roll_rad = math.radians(degrees)
    got = squares.square_affine(centre_xy, side_px, 112, roll_rad=roll_rad)
    want = (
        SimilarityTransform(translation=-np.array(centre_xy, float))
        + SimilarityTransform(rotation=-roll_rad)
        + SimilarityTransform(scale=112 / side_px)
        + SimilarityTransform(translation=(55.5, 55.5))
    )
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want.params[:2], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side_px", [0.0, -1.0, math.nan, math.inf])
def test_no_square_without_a_side(side_px):
    assert np.isnan(squares.square_affine([0, 0], side_px, 112)).all()


@pytest.mark.parametrize("centre_xy", [(math.nan, 0), (0, math.inf)])
def test_no_square_without_a_centre(centre_xy):
    assert np.isnan(squares.square_affine(centre_xy, 10, 112)).all()


def test_the_axes_of_a_face_are_its_own_right_and_down():
    right, down = squares.upright_axes(math.radians(90))
    np.testing.assert_allclose(right, [0, 1], atol=1e-12)
    np.testing.assert_allclose(down, [-1, 0], atol=1e-12)


class Recorder:
    """A network that finds every point at one crop pixel and keeps what it was given."""

    def __init__(self):
        self.seen = []

    def __call__(self, img_NCHW):
        self.seen.append(img_NCHW)
        return np.full((len(img_NCHW), 68, 2), [20.0, 30.0], np.float32)


NOWHERE = np.full((2, 3), np.nan, np.float32)


@pytest.mark.parametrize(
    ("wanted", "at_once", "calls"),
    [
        ("", 1, []),
        (".", 1, []),  # nothing to look at
        ("x", 1, [1]),
        ("xxx", 1, [1, 1, 1]),
        ("xxx", 2, [2, 1]),
        (".x.xx", 2, [2, 1]),
        ("x.xx", 64, [3]),
    ],
)
def test_look_leaves_out_only_what_has_no_square(face, wanted, at_once, calls):
    rng = np.random.default_rng(0)
    faces = [face(rng.integers(0, 256, (40, 50, 3), np.uint8), (0, 0, 9, 9)) for _ in wanted]
    affines = [
        squares.square_affine([20 + i, 15], 16, 32) if mark == "x" else NOWHERE
        for i, mark in enumerate(wanted)
    ]
    network = Recorder()
    points = squares.look(faces, affines, network, crop_px=32, at_once=at_once)
    assert [len(batch) for batch in network.seen] == calls
    assert points.shape == (len(wanted), 68, 2)
    assert points.dtype == np.float32
    for mark, affine, points_xy in zip(wanted, affines, points, strict=True):
        if mark == "x":
            back = np.linalg.solve(affine[:, :2], np.array([20.0, 30.0]) - affine[:, 2])
            np.testing.assert_allclose(points_xy, np.tile(back, (68, 1)), rtol=1e-5)
        else:
            assert np.isnan(points_xy).all()


def test_the_network_sees_rgb_in_0_to_1(face):
    image = np.zeros((64, 64, 3), np.uint8)
    image[...] = 255, 102, 0
    network = Recorder()
    affine = squares.square_affine([32, 32], 20, 40)
    squares.look([face(image, (0, 0, 9, 9))], [affine], network, crop_px=40, at_once=1)
    (img_NCHW,) = network.seen
    assert img_NCHW.dtype == np.float32
    assert img_NCHW.shape == (1, 3, 40, 40)
    assert img_NCHW.flags.c_contiguous
    for channel, value in enumerate((1.0, 0.4, 0.0)):
        np.testing.assert_allclose(img_NCHW[0, channel], value, rtol=1e-6)


@pytest.mark.parametrize("side_px", [14.0, 56.3, 112.0, 250.7, 700.0])
@pytest.mark.parametrize("degrees", [0, 33])
def test_a_spot_stays_in_its_place_at_any_scale(face, spot, side_px, degrees):
    """Also what is shrunk: a spot of one frame pixel must not fall between the samples."""
    place_xy = np.array([401.3, 377.8])
    image = spot((800, 800), place_xy, max(1.0, side_px / 60))
    affine = squares.square_affine([400, 380], side_px, 112, roll_rad=math.radians(degrees))
    network = Recorder()
    squares.look([face(image, (0, 0, 9, 9))], [affine], network, crop_px=112, at_once=1)
    grey = network.seen[0][0, 0].astype(float)
    x, y = np.meshgrid(np.arange(112), np.arange(112))
    centroid_xy = np.array([(grey * x).sum(), (grey * y).sum()]) / grey.sum()
    np.testing.assert_allclose(centroid_xy, crops.to_crop(place_xy[None], affine)[0], atol=0.1)
