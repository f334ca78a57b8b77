"""Convex hulls of point sets, drawn in batches: no sorting, no walk along the hull, no loop.

Seen from a corner of the hull, all points lie within half a turn, and the first of them going
round is the next corner: that is asked of all points at once. A row of pixels then cuts the hull in
one interval, between the innermost of its edges on either side.

Letters: N point sets, P points, R rows (several to a pixel), H W rows and columns of the mask.
"""

from typing import Final

import torch

_ROWS_A_PIXEL: Final = 4
_STRAIGHT: Final = 1e-5
"""Sine of the angle of a corner below which it is none: its neighbours' edges do for its own."""


def coverage(points_NP2: torch.Tensor, *, size_px: int, side_px: int) -> torch.Tensor:
    """How much of each pixel the convex hull of the points covers.

    Exact across a row, and the mean of four rows down a pixel.

    Args:
        points_NP2: (N, P, 2) float32 x and y in pixels of a picture, P >= 1; points may repeat.
        size_px: side of the picture.
        side_px: side of the mask, which lies over the same square.

    Returns:
        (N, side_px, side_px) float32, 0..1; 0 everywhere if the hull has no area or a point is
        not finite.

    >>> square = torch.tensor([[[0.5, 0.5], [2.5, 0.5], [2.5, 2.5], [0.5, 2.5], [1.5, 1.5]]])
    >>> coverage(square, size_px=4, side_px=4)[0]
    tensor([[0., 0., 0., 0.],
            [0., 1., 1., 0.],
            [0., 1., 1., 0.],
            [0., 0., 0., 0.]])
    """
    points_NP2 = (points_NP2 + 0.5) * (side_px / size_px)  # from the corner, in pixels of the mask
    left_NR1, right_NR1 = _intervals(points_NP2, side_px)
    column_W = torch.arange(side_px, device=points_NP2.device, dtype=torch.float32)
    covered = torch.minimum(right_NR1, column_W + 1.0) - torch.maximum(left_NR1, column_W)
    return covered.clamp_(0.0, 1.0).view(-1, side_px, _ROWS_A_PIXEL, side_px).mean(2)


def _intervals(points_NP2: torch.Tensor, side_px: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, R, 1) where each row enters and leaves the hull; it enters last if it misses it."""
    normal_NE2, reach_NE1, is_edge_NE1 = _edges(points_NP2)
    rows = side_px * _ROWS_A_PIXEL
    row_R = (torch.arange(rows, device=points_NP2.device) + 0.5) / _ROWS_A_PIXEL
    # An edge along the row bounds it neither left nor right, but leaves all or nothing of it:
    # so does one turned by a millionth.
    across, down = normal_NE2[..., :1], normal_NE2[..., 1:]
    across = torch.where(across.abs() < 1e-6, 1e-6, across)
    bound_NER = (reach_NE1 - down * row_R) / across
    far = 1e6
    right_NR = torch.where(is_edge_NE1 & (across > 0.0), bound_NER, far).amin(1)
    left_NR = torch.where(is_edge_NE1 & (across < 0.0), bound_NER, -far).amax(1)
    is_hull_N1 = is_edge_NE1.any(1)
    return left_NR[..., None], torch.where(is_hull_N1, right_NR, -far)[..., None]


def _edges(points_NP2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One half plane for each point: normal . x <= reach, and whether it bounds the hull.

    Angles are counted from the direction of the mean, which from a corner has points on both
    sides, and are stood in for by a number that grows with them and takes no arc tangent.
    """
    is_sound_N11 = torch.isfinite(points_NP2).all(2).all(1)[:, None, None]
    points_NP2 = torch.where(is_sound_N11, points_NP2, 0.0)
    side_NPP2 = points_NP2[:, None] - points_NP2[:, :, None]  # [i, j] leads from i to j
    inward_NP2 = points_NP2.mean(1, keepdim=True) - points_NP2
    along_NPP = (side_NPP2 * inward_NP2[:, :, None]).sum(-1)
    across_NPP = _cross(inward_NP2[:, :, None], side_NPP2)
    extent_NPP = along_NPP.abs() + across_NPP.abs()
    share_NPP = torch.where(extent_NPP > 0.0, along_NPP / extent_NPP, 1.0)
    angle_NPP = torch.copysign(1.0 - share_NPP, across_NPP)
    first_NP2 = _picked(side_NPP2, angle_NPP.argmin(2))
    last_NP2 = _picked(side_NPP2, angle_NPP.argmax(2))
    first_NP2, last_NP2 = _of_length_1(first_NP2), _of_length_1(last_NP2)
    is_edge_NP1 = _cross(first_NP2, last_NP2)[..., None] > _STRAIGHT
    normal_NP2 = torch.stack([first_NP2[..., 1], -first_NP2[..., 0]], -1)
    return normal_NP2, (normal_NP2 * points_NP2).sum(-1, keepdim=True), is_edge_NP1


def _cross(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def _of_length_1(side_NP2: torch.Tensor) -> torch.Tensor:
    """Unit vectors; 0 stays 0."""
    return side_NP2 / side_NP2.square().sum(-1, keepdim=True).sqrt().clamp_min(1e-6)


def _picked(side_NPP2: torch.Tensor, which_NP: torch.Tensor) -> torch.Tensor:
    """(N, P, 2) of each point the side to the chosen one."""
    return side_NPP2.gather(2, which_NP[..., None, None].expand(-1, -1, 1, 2))[:, :, 0]
