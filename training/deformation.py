"""Shift, scale and bending, drawn for each face: what makes a source not lie where its target does.

Letters: N faces, G nodes of the bending's grid, H W rows and columns, S side of the picture.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from training import blur
from training.constants import constant
from training.draws import Draws

_BENDING: Final = 50.0 / 256
"""Displacements evenly drawn up to this, over the side, before they are smoothed ..."""
_SMOOTHING: Final = 7.0 / 256
"""... by a Gaussian of this, over the side: self-blending's alpha and sigma, which are in pixels
of its crops. What is left of them is some half a hundredth of the side."""

_NODES: Final = 32


@dataclass(frozen=True)
class Placement:
    """Where a source lies in its target: scaled about the middle, then shifted.

    Args:
        scale_N: (N,) float32.
        shift_N2: (N, 2) float32 x and y, over the side.
    """

    scale_N: torch.Tensor
    shift_N2: torch.Tensor

    def read_at(self, side_px: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, side_px) columns and rows to read for each pixel of a picture of this side."""
        middle_px = (side_px - 1) / 2
        own_S = torch.arange(side_px, device=self.scale_N.device) - middle_px
        moved_N2S = own_S - self.shift_N2[..., None] * side_px
        x_NS, y_NS = (moved_N2S / self.scale_N[:, None, None] + middle_px).unbind(1)
        return x_NS, y_NS


def placements(draws: Draws) -> Placement:
    """Draw a placement for each face: 3 % across, 1.5 % down, 0.95 to 1 / 0.95 of the size."""
    limits_3 = constant((0.03, 0.015, 1.0), draws.sample_N)
    drawn_N3 = draws.uniform("placement", 3, low=-1.0, high=1.0) * limits_3
    least, most = 0.95, 1 / 0.95
    return Placement(0.5 * (least + most + (most - least) * drawn_N3[:, 2]), drawn_N3[:, :2])


def untouched(draws: Draws) -> Placement:
    """The placement of a source that stays where it is."""
    scale_N = torch.ones(len(draws), device=draws.sample_N.device)
    return Placement(scale_N, scale_N.new_zeros(len(draws), 2))


def bent(mask_NHW: torch.Tensor, placement: Placement, draws: Draws) -> torch.Tensor:
    """Place a mask like its source and bend it.

    Args:
        mask_NHW: (N, H, W) float32, H = W.
        placement: of the source.
        draws: of the faces.

    Returns:
        (N, H, W) float32; what comes from beyond the border is 0.
    """
    side_px = mask_NHW.shape[-1]
    x_NW, y_NH = placement.read_at(side_px)
    off_N2HW = _displacements(draws, side_px) * side_px
    x_NHW, y_NHW = x_NW[:, None] + off_N2HW[:, 0], y_NH[..., None] + off_N2HW[:, 1]
    grid = torch.stack([x_NHW, y_NHW], -1) * (2.0 / (side_px - 1)) - 1.0
    return functional.grid_sample(mask_NHW[:, None], grid, align_corners=True)[:, 0]


def _displacements(draws: Draws, side_px: int) -> torch.Tensor:
    """(N, 2, side_px, side_px) over the side.

    Smooth noise is drawn where it differs, at nodes about as far apart as it is smooth, with the
    deviation that is left of evenly drawn noise at every one of 256 pixels a side.
    """
    sigma_px = _SMOOTHING * 256
    deviation: float = _BENDING * 3**-0.5 / (2 * math.pi**0.5 * sigma_px)
    spread = _SMOOTHING * _NODES
    weight: float = 1 / (2 * math.pi**0.5 * spread)
    nodes_N2GG = draws.uniform("bending", 2, _NODES, _NODES, low=-(3**0.5), high=3**0.5)
    up_1SG = blur.gaussian_resampling(nodes_N2GG.new_full((1,), spread), _NODES, side_px)
    smooth = up_1SG[0] @ nodes_N2GG @ up_1SG[0].mT
    return smooth * (deviation / weight)
