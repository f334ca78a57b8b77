"""Which pixels of an aligned crop show the face: those in the triangles between its points.

Tensor names end in their axes: N faces, P points, E edges, F triangles, H and W rows and columns.
"""

from functools import reduce
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from facekit.openface.alignment import SIDE_PX

RAISED_POINTS: Final = (0, *range(16, 27))
"""The ends of the jaw line and the brows, lifted so that the forehead above them counts too."""

RAISED_PX: Final = 30.0

_FAR: Final = 1e9
"""Pixels away from everything."""


class FaceMask:
    """Draws masks for one set of triangles.

    Args:
        triangles_F3: int64, points that are the corners of each.
        device: where masks are drawn.
    """

    def __init__(self, triangles_F3: npt.NDArray[np.int64], device: torch.device) -> None:
        sides_F32 = np.sort(np.stack([triangles_F3, np.roll(triangles_F3, -1, 1)], axis=2), axis=2)
        edges_E2, side_of = np.unique(sides_F32.reshape(-1, 2), axis=0, return_inverse=True)
        self._from_E, self._to_E = torch.from_numpy(edges_E2).to(device).unbind(dim=1)
        self._edges_3F = torch.from_numpy(side_of.reshape(-1, 3).T.copy()).to(device)
        self._row_H = torch.arange(SIDE_PX, dtype=torch.float64, device=device)

    def __call__(self, points_NP2: torch.Tensor) -> torch.Tensor:
        """Say which pixels lie in a triangle or on its edge.

        Args:
            points_NP2: float64, crop pixels, the 68 points as they are.

        Returns:
            (N, 112, 112) bool.
        """
        points_NP2 = points_NP2.clone()
        points_NP2[:, list(RAISED_POINTS), 1] -= RAISED_PX
        x_NEH, missed_NEH = self._crossings(points_NP2)
        # A row meets a triangle from the first to the last place where it crosses an edge.
        low_NFH, high_NFH = (
            reduce(choose, (values_NEH.index_select(1, edges_F) for edges_F in self._edges_3F))
            for choose, values_NEH in (
                (torch.minimum, x_NEH + missed_NEH),
                (torch.maximum, x_NEH - missed_NEH),
            )
        )
        first_NFH = low_NFH.ceil().clamp(0, SIDE_PX).long()
        after_NFH = (high_NFH.floor() + 1).clamp(0, SIDE_PX).long()
        met_NFH = (first_NFH < after_NFH).to(torch.int32)
        change_NHW = points_NP2.new_zeros(len(points_NP2), SIDE_PX, SIDE_PX + 1, dtype=torch.int32)
        change_NHW.scatter_add_(2, first_NFH.transpose(1, 2), met_NFH.transpose(1, 2))
        change_NHW.scatter_add_(2, after_NFH.transpose(1, 2), -met_NFH.transpose(1, 2))
        return change_NHW.cumsum(dim=2)[:, :, :-1] > 0

    def _crossings(self, points_NP2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Where each row's line crosses each edge's; and 0, or `_FAR` where the edge is not there.

        A level edge crosses nothing: its ends are those of its triangle's other edges.
        """
        from_NE2, to_NE2 = points_NP2[:, self._from_E], points_NP2[:, self._to_E]
        from_x, from_y = from_NE2[..., None].unbind(dim=2)
        to_x, to_y = to_NE2[..., None].unbind(dim=2)
        rise = to_y - from_y
        slope = torch.where(rise == 0.0, 0.0, (to_x - from_x) / rise)
        x_NEH = (from_x + (self._row_H - from_y) * slope).clamp(-_FAR / 4.0, _FAR / 4.0)
        top_y, end_y = torch.minimum(from_y, to_y), torch.maximum(from_y, to_y)
        top_y = torch.where(rise == 0.0, _FAR, top_y)
        missed_NEH = (self._row_H < top_y) | (self._row_H > end_y)
        return x_NEH, missed_NEH.double() * _FAR


def to_crop(points_NP2: torch.Tensor, affine_N23: torch.Tensor) -> torch.Tensor:
    """(N, P, 2) float64: points in crop pixels, of points in frame pixels."""
    x, y = points_NP2.unbind(dim=2)
    a, b, c, d, e, f = affine_N23.flatten(1)[:, :, None].unbind(dim=1)
    return torch.stack([a * x + b * y + c, d * x + e * y + f], dim=2)
