"""Blend masks: AUNet's Partial Face Mask M_p, and self-blending's.

Both are drawn at 112 pixels a side and enlarged by the product that blurs them last: they are
smooth, so nothing finer is in them.

Letters: N faces, H W rows and columns of the mask, T side of the pictures.
"""

from typing import Final

import torch

from training import blur, regions
from training.deformation import Placement, bent
from training.draws import Draws
from training.face_masks import FaceMask, face_mask
from training.faces import Framed
from training.options import Tampering

SIDE_PX: Final = 112

_BLUR_AT_224_PX: Final = (1.5, 6.0)
"""Least and most standard deviation of the blur of M_p. The paper has a Gaussian blur and does
not give its size: here the range that self-blending's kernels of 5 to 25 pixels have, short of
what would fill the regions left out."""


def blend_mask(
    framed: Framed, draws: Draws, options: Tampering, placement: Placement
) -> torch.Tensor:
    """Draw the mask through which a source is blended into its target.

    The face mask lies and bends with the source; the AU regions left out of it are the target's.

    Args:
        framed: faces.
        draws: of the faces.
        options: which mask.
        placement: of the source.

    Returns:
        (N, 1, H, W) float32, 0..1, of the size of the pictures.

    Source:
        Section 3.3 of AUNet, "AU-related Region Modification".
    """
    size_px = framed.image_NCHW.shape[-1]
    kind: FaceMask = "sbi4" if options.recipe == "sbi" else options.face_mask
    mask_NHW = face_mask(framed.landmarks_NP2, kind, draws, size_px=size_px, side_px=SIDE_PX)
    if options.deform:
        mask_NHW = bent(mask_NHW, placement, draws)
    if options.recipe == "sbi":
        return _eroded_and_blurred(mask_NHW, draws, size_px)[:, None]
    if options.partial:
        is_out_NE = regions.drawn(draws, options.regions_most)
        out_NHW = regions.coverage(framed.ellipses_NE5, is_out_NE, size_px=size_px, side_px=SIDE_PX)
        mask_NHW = mask_NHW * (1.0 - out_NHW)
    least, most = (SIDE_PX / 224 * px for px in _BLUR_AT_224_PX)
    sigma_N = draws.uniform("mask blur", low=least, high=most)
    kernels_NTH = blur.gaussian_resampling(sigma_N, SIDE_PX, size_px)
    return (kernels_NTH @ mask_NHW @ kernels_NTH.mT)[:, None]


def _eroded_and_blurred(mask_NHW: torch.Tensor, draws: Draws, size_px: int) -> torch.Tensor:
    """Self-blending's blur, cut and blur again.

    The mask is seen at 192 to 256 pixels a side. A kernel of 5 to 25 pixels blurs it, and all that
    it lowered is set to 0: that leaves where its whole square lies within. The second kernel
    blurs what is left, with a deviation of 5 to 45 pixels: nearly flat.
    """
    size_N, erosion_N, radius_N, sigma_N = draws.uniform("mask edge", 4).unbind(1)
    pixel_N = SIDE_PX / (192.0 + (65.0 * size_N).floor())
    flat_N = torch.full_like(pixel_N, torch.inf)
    square_NHH = _kernels(pixel_N * (2.0 + (11.0 * erosion_N).floor()), flat_N)
    missing_NHW = square_NHH @ (1.0 - mask_NHW) @ square_NHH.mT
    left_NHW = (1.0 - missing_NHW).clamp_(0.0, 1.0)
    kernel_NHH = _kernels(
        pixel_N * (2.0 + (11.0 * radius_N).floor()), pixel_N * (5.0 + 40.0 * sigma_N)
    )
    kernel_NHH = kernel_NHH / kernel_NHH.sum(-1, keepdim=True)
    kernel_NTH = blur.linear_resampling(mask_NHW, SIDE_PX, size_px) @ kernel_NHH
    blurred_NTT = kernel_NTH @ left_NHW @ kernel_NTH.mT
    return blurred_NTT / blurred_NTT.amax((1, 2), keepdim=True).clamp_min(1e-6)


def _kernels(radius_N: torch.Tensor, sigma_N: torch.Tensor) -> torch.Tensor:
    """(N, 112, 112) how much of each pixel lies within a radius of each, times a Gaussian."""
    at = torch.arange(SIDE_PX, device=radius_N.device, dtype=torch.float32)
    distance = (at[:, None] - at).abs()
    within_NHH = (radius_N[:, None, None] + 0.5 - distance).clamp_(0.0, 1.0)
    return within_NHH * torch.exp(-0.5 * (distance / sigma_N[:, None, None]) ** 2)
