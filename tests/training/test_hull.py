"""The hull drawn in batches is OpenCV's."""

import cv2
import drawn_faces
import numpy as np
import pytest
import torch

from training import hull

FINE = 8


def _by_opencv(points_P2, size_px, side_px):
    """Coverage by counting an eighth of a pixel each way."""
    fine_P2 = (points_P2 + 0.5) * (side_px / size_px * FINE) - 0.5
    corners = cv2.convexHull(fine_P2.astype(np.float32))
    drawn = np.zeros((side_px * FINE, side_px * FINE), np.uint8)
    cv2.fillConvexPoly(drawn, np.rint(corners * 16).astype(np.int32), 1, shift=4)
    return drawn.reshape(side_px, FINE, side_px, FINE).mean((1, 3))


def _sets(points, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-8, 72, (30, points, 2)).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_one_mask_a_set(count):
    made = hull.coverage(torch.rand(count, 9, 2) * 30, size_px=32, side_px=16)
    assert made.shape == (count, 16, 16)


@pytest.mark.parametrize(
    "points_NP2",
    [
        _sets(3),
        _sets(4),
        _sets(68),
        np.rint(_sets(12) / 10) * 10,  # many on one line, many at one place
        np.repeat(_sets(5), 3, axis=1),
        np.stack([drawn_faces.points(64), drawn_faces.points(64)[::-1]]),
    ],
    ids=["triangles", "quadrangles", "clouds", "on a grid", "thrice each", "a face"],
)
@pytest.mark.parametrize("side_px", [64, 40])
def test_it_is_the_convex_hull(points_NP2, side_px):
    made = hull.coverage(torch.tensor(points_NP2), size_px=64, side_px=side_px).numpy()
    for points_P2, made_HW in zip(points_NP2, made, strict=True):
        want_HW = _by_opencv(points_P2, 64, side_px)
        # Ours has four rows a pixel; OpenCV paints its rim too, a sixteenth of a pixel all round.
        assert np.abs(made_HW - want_HW).max() < 0.26
        assert 0 <= want_HW.sum() - made_HW.sum() < 4 * side_px / 16


@pytest.mark.parametrize(
    "points_P2",
    [
        np.zeros((68, 2)),
        np.full((68, 2), 20.3),
        np.full((68, 2), np.nan),
        np.concatenate([drawn_faces.points(64)[:67], [[np.inf, 3.0]]]),
        np.linspace(0, 60, 68)[:, None].repeat(2, 1),
        [[5.0, 5.0], [50.0, 20.0]],
        [[30.0, 30.0]],
    ],
    ids=["zero", "one place", "no answer", "infinite", "one line", "two", "one"],
)
def test_a_set_without_area_covers_nothing(points_P2):
    points_1P2 = torch.tensor(np.asarray(points_P2, np.float32))[None]
    assert not hull.coverage(points_1P2, size_px=64, side_px=32).any()


def test_a_hull_far_beyond_the_picture_covers_all_of_it():
    corners = torch.tensor([[[-900.0, -900.0], [900.0, -900.0], [900.0, 900.0], [-900.0, 900.0]]])
    assert bool((hull.coverage(corners, size_px=64, side_px=32) == 1).all())


def test_a_set_does_not_depend_on_its_batch():
    points_NP2 = torch.tensor(_sets(68))
    many = hull.coverage(points_NP2, size_px=64, side_px=30)
    alone = hull.coverage(points_NP2[7:8], size_px=64, side_px=30)
    assert torch.equal(many[7], alone[0])
