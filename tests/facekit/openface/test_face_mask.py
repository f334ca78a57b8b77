"""Masks: every pixel in or on a triangle, and no other."""

import numpy as np
import pytest
import torch

from facekit.openface.alignment import SIDE_PX
from facekit.openface.face_mask import RAISED_POINTS, RAISED_PX, FaceMask, to_crop


def _slowly(points_P2, triangles):
    """The pixels on the inner side of all three edges, for either way round."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    mask = np.zeros((SIDE_PX, SIDE_PX), bool)
    for corners in points_P2[triangles]:
        sides = []
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0), strict=True):
            sides.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
        sides = np.stack(sides)
        mask |= (sides >= 0).all(0) | (sides <= 0).all(0)
    return mask


def _raised(points_P2):
    points_P2 = points_P2.copy()
    points_P2[list(RAISED_POINTS), 1] -= RAISED_PX
    return points_P2


TWO = np.array([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("seed", range(4))
def test_a_mask_is_the_union_of_the_triangles(cpu, seed):
    rng = np.random.default_rng(seed)
    triangles = rng.permutation(68)[:60].reshape(-1, 3)
    points_NP2 = rng.uniform(-20, 132, (3, 68, 2))
    masks = FaceMask(triangles, cpu)(torch.tensor(points_NP2))
    for mask, points_P2 in zip(masks, points_NP2, strict=True):
        expected = _slowly(_raised(points_P2), triangles)
        assert 0.2 < expected.mean() < 1.0
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("corners", [
    ((10, 10), (30, 10), (10, 30)),
    ((10, 30), (30, 30), (20, 10)),
    ((5, 5), (5, 20), (40, 20)),
    ((10.5, 7.25), (11.4, 60.0), (10.6, 90.75)),
])  # fmt: skip
def test_edges_and_corners_on_whole_pixels_belong_to_it(cpu, corners):
    points_P2 = np.full((68, 2), -50.0)
    points_P2[[1, 2, 3]] = corners
    points_P2[[4, 5, 6]] = np.add(corners, (60, 20))
    mask = FaceMask(TWO, cpu)(torch.tensor(points_P2)[None])[0]
    expected = _slowly(points_P2, TWO)
    assert expected.sum() > 20
    np.testing.assert_array_equal(mask, expected)


def test_brows_and_jaw_ends_are_lifted_and_nothing_else(cpu):
    points = torch.zeros(1, 68, 2, dtype=torch.float64)
    points[0, [40, 41]] = torch.tensor([[0.0, 80.0], [100.0, 80.0]], dtype=torch.float64)
    for point in range(68):
        if point in (40, 41):
            continue
        moved = points.clone()
        moved[0, point] = torch.tensor([50.0, 70.0])
        mask = FaceMask(np.array([[40, 41, point]]), cpu)(moved)[0]
        top = int(mask.any(dim=1).nonzero()[0])
        assert top == (40 if point in (0, 16, *range(17, 27)) else 70)
        assert not moved[0, point].ne(torch.tensor([50.0, 70.0])).any()  # the points stay theirs


def test_points_go_into_the_crop():
    affine = torch.tensor([[[2.0, 0.0, 1.0], [0.0, 3.0, -1.0]]])
    points = torch.tensor([[[10.0, 20.0], [0.0, 0.0]]])
    assert to_crop(points, affine).tolist() == [[[21.0, 59.0], [1.0, -1.0]]]
