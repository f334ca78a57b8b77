"""The AU regions R that are left out of the face mask: which, and where they lie.

Letters: N faces, E 24 ellipses, A the 13 action units within the hull, H W rows and columns.
"""

from typing import Final

import torch
from torch.nn import functional

from facekit.au_masks import ELLIPSE_AU, MASK_AUS
from training.constants import constant, indices
from training.draws import Draws

INSIDE: Final = tuple(au for au in MASK_AUS if au not in (1, 2))
"""Action units of which at least a quarter of the mask lies within the hull of the 68 points. Of
1 and 2, over the brows, a twentieth does: to leave them out would change nothing."""

_OF: Final = tuple(INSIDE.index(au) if au in INSIDE else len(INSIDE) for au in ELLIPSE_AU)

_FAR: Final = 1e6


def drawn(draws: Draws, most: int) -> torch.Tensor:
    """Choose 1 to `most` action units of each face, each number and each choice as likely.

    Args:
        draws: of the faces.
        most: 1 to 13.

    Returns:
        (N, 24) bool, which of `facekit.au_masks.ELLIPSE_AU` are left out; both sides of one
        action unit go together.

    >>> drawn(Draws(0, 0, torch.arange(3)), 2).shape
    torch.Size([3, 24])
    """
    share_NA = draws.uniform("regions", 1 + len(INSIDE))
    count_N1 = 1.0 + (share_NA[:, :1] * most).floor()
    share_NA = share_NA[:, 1:]
    rank_NA = (share_NA[:, None] < share_NA[..., None]).sum(-1)
    is_out_NA = functional.pad(rank_NA < count_N1, (0, 1))  # the last stands for 1 and 2
    return is_out_NA[:, indices(_OF, is_out_NA)]


def coverage(
    ellipses_NE5: torch.Tensor, is_out_NE: torch.Tensor, *, size_px: int, side_px: int
) -> torch.Tensor:
    """How much of each pixel the union of the chosen ellipses covers, to first order at its edge.

    Args:
        ellipses_NE5: (N, 24, 5) float32 from `facekit.au_masks.ellipses`, pixels of the picture.
        is_out_NE: (N, 24) bool, which are meant.
        size_px: side of the picture.
        side_px: side of the mask.

    Returns:
        (N, side_px, side_px) float32, 0..1.
    """
    middle_px = (size_px - 1) / 2  # squares of places far from 0 would lose digits
    at_px = torch.arange(side_px, device=ellipses_NE5.device, dtype=torch.float32)
    at_px = (at_px + 0.5) * (size_px / side_px) - 0.5 - middle_px
    forms_NE6 = _forms(ellipses_NE5, is_out_NE, middle_px)
    radius2_NEP = forms_NE6 @ _terms(at_px).expand(len(ellipses_NE5), -1, -1)
    radius_NHW = radius2_NEP.amin(1).clamp_min_(0.0).sqrt_().view(-1, side_px, side_px)
    down_NHW, across_NHW = torch.gradient(radius_NHW, dim=(1, 2))
    slope_NHW = (down_NHW.square() + across_NHW.square()).sqrt_().clamp_min_(1e-6)
    return (0.5 - (radius_NHW - 1.0) / slope_NHW).clamp_(0.0, 1.0)


def _forms(ellipses_NE5: torch.Tensor, is_out_NE: torch.Tensor, middle_px: float) -> torch.Tensor:
    """(N, E, 6) factors of x x, x y, y y, x, y and 1 that make (r / ellipse)**2.

    An ellipse that is not meant, or has no area, is far from everywhere.
    """
    cx, cy, a, b, theta = ellipses_NE5.unbind(-1)
    cx, cy = cx - middle_px, cy - middle_px
    cos, sin = torch.cos(theta), torch.sin(theta)
    along, across = a**-2.0, b**-2.0
    xx = cos * cos * along + sin * sin * across
    xy = 2.0 * cos * sin * (along - across)
    yy = sin * sin * along + cos * cos * across
    x, y = -2.0 * xx * cx - xy * cy, -2.0 * yy * cy - xy * cx
    one = xx * cx * cx + xy * cx * cy + yy * cy * cy
    forms_NE6 = torch.stack([xx, xy, yy, x, y, one], -1)
    is_meant_NE1 = (is_out_NE & torch.isfinite(forms_NE6).all(-1))[..., None]
    far_6 = constant((0.0, 0.0, 0.0, 0.0, 0.0, _FAR), forms_NE6)
    return torch.where(is_meant_NE1, forms_NE6, far_6)


def _terms(at_px: torch.Tensor) -> torch.Tensor:
    """(6, H * W) the terms of a quadratic form at each pixel."""
    y, x = torch.meshgrid(at_px, at_px, indexing="ij")
    return torch.stack([x * x, x * y, y * y, x, y, torch.ones_like(x)]).flatten(1)
