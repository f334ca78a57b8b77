"""Image-level tampering: real faces to pairs of a real and a forged one, with what was forged.

AUNet's (Section 3.3 of the paper) or self-blending's (Shiohara and Yamasaki, CVPR 2022), for a
batch at once, on its device. Every draw of a face belongs to the face, so a pair does not depend
on the batch that it is made in.

Letters: N faces, C channels, H W rows and columns, T tokens,
R the 2N pictures of N pairs, real ones first.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from training import blend_masks, colour, deformation, frequency, jpeg
from training.constants import constant
from training.draws import Draws
from training.faces import Framed
from training.options import Tampering

_FREQUENCY: Final = 0.5
"""Share of AUNet's views whose frequencies are changed; the paper gives none."""

_RATIOS: Final = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)

_JPEG: Final = 0.5


@dataclass(frozen=True)
class Tampered:
    """Pairs of a real and a forged face.

    Args:
        real_NCHW: (N, 3, H, W) float32 RGB 0..1, the target I_t.
        fake_NCHW: (N, 3, H, W) float32 RGB 0..1, the forgery I_f.
        mask_N1HW: (N, 1, H, W) float32 0..1, how much of the source is in each pixel.
        token_mask_N1HW: (N, 1, H, W) float32 0..1, the same before the ratio: M_p.
    """

    real_NCHW: torch.Tensor
    fake_NCHW: torch.Tensor
    mask_N1HW: torch.Tensor
    token_mask_N1HW: torch.Tensor


def tamper(framed: Framed, draws: Draws, options: Tampering) -> Tampered:
    """Forge each face with itself.

    Args:
        framed: real faces, with points and ellipses.
        draws: of the faces.
        options: how.

    Returns:
        As many pairs as faces.

    Source:
        Equations 8 and 9 of AUNet.
    """
    moved = options.deform and options.image
    placement = deformation.placements(draws) if moved else deformation.untouched(draws)
    target_NCHW, source_NCHW = _views(framed.image_NCHW, draws, options, placement)  # (8)
    token_mask_N1HW = blend_masks.blend_mask(framed, draws, options, placement)
    mask_N1HW = token_mask_N1HW
    if options.ratios:
        ratios_6 = constant(_RATIOS, mask_N1HW)
        chosen_N = draws.integers("ratio", high=len(_RATIOS))
        mask_N1HW = mask_N1HW * ratios_6[chosen_N, None, None, None]
    fake_NCHW = source_NCHW
    if options.image:
        fake_NCHW = torch.lerp(target_NCHW, source_NCHW, mask_N1HW)  # (9)
    if options.post:
        both = published(torch.cat([target_NCHW, fake_NCHW]), draws)
        target_NCHW, fake_NCHW = both.chunk(2)
    return Tampered(target_NCHW, fake_NCHW, mask_N1HW, token_mask_N1HW)


def token_labels(
    mask_N1HW: torch.Tensor, grid_hw: tuple[int, int], threshold: float
) -> torch.Tensor:
    """Which tokens of a forged face are forged.

    Args:
        mask_N1HW: (N, 1, H, W) float32, M_p.
        grid_hw: rows and columns of tokens.
        threshold: share of a token that must be exceeded.

    Returns:
        (N, T) int64, 1 for forged, row by row.

    Source:
        Equation 18 of AUNet; the mask is downsampled by its mean over each token.

    >>> token_labels(torch.tensor([[[[1.0, 1.0, 0.0, 1.0]]]]), (1, 2), 0.5)
    tensor([[1, 0]])
    """
    share_N1HW = functional.adaptive_avg_pool2d(mask_N1HW, grid_hw)
    return (share_N1HW > threshold).flatten(1).long()


def _views(
    image_NCHW: torch.Tensor,
    draws: Draws,
    options: Tampering,
    placement: deformation.Placement,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Target and source, equation 8: AUNet changes both, self-blending one or the other."""
    here = deformation.untouched(draws)
    both_N = draws.chance("view", p=1.0)
    first_N = draws.chance("which view", p=0.5) if options.recipe == "sbi" else both_N
    second_N = ~first_N if options.recipe == "sbi" else both_N
    return (
        _view(image_NCHW, draws, "target", options, first_N, here),
        _view(image_NCHW, draws, "source", options, second_N, placement),
    )


def _view(
    image_NCHW: torch.Tensor,
    draws: Draws,
    name: str,
    options: Tampering,
    is_on_N: torch.Tensor,
    placement: deformation.Placement,
) -> torch.Tensor:
    """Where it is on, another colour and other frequencies; and all of it where it is placed."""
    is_sbi = options.recipe == "sbi"
    limits = colour.SBI_VIEW if is_sbi else colour.VIEW
    view = colour.recoloured(image_NCHW, *colour.changes(draws, name, limits, is_on_N))
    change = frequency.changes(draws, name, 1.0 if is_sbi else _FREQUENCY, is_on_N)
    view = frequency.sharpened(view, change)
    return frequency.resampled(view, change.step_N, *placement.read_at(image_NCHW.shape[-1]))


def published(image_RCHW: torch.Tensor, draws: Draws) -> torch.Tensor:
    """What may happen to a picture on its way to a viewer: colour, brightness, JPEG's loss.

    Args:
        image_RCHW: (R, 3, H, W) float32 RGB 0..1; R is once or twice the number of faces, and the
            second picture of a face gets the draw of its first.
        draws: of the faces.

    Returns:
        The same shape.
    """
    copies = len(image_RCHW) // max(1, len(draws))
    matrix_N33, offset_N31 = colour.changes(draws, "post", colour.POST)
    changed = colour.recoloured(
        image_RCHW, matrix_N33.repeat(copies, 1, 1), offset_N31.repeat(copies, 1, 1)
    )
    lossy_N, quality_N = draws.uniform("post jpeg", 2).unbind(1)
    quality_R = (40.0 + (61.0 * quality_N).floor()).repeat(copies)
    is_lossy_R = (lossy_N < _JPEG).repeat(copies)
    return torch.where(is_lossy_R[:, None, None, None], jpeg.compress(changed, quality_R), changed)
