"""Changes of the spatial frequencies, drawn for each picture: fewer pixels, or sharper.

Letters: N pictures, C channels, H W rows and columns.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from training.draws import Draws


@dataclass(frozen=True)
class Change:
    """What happens to each picture.

    Args:
        step_N: (N,) int64 1, 2 or 4: every so many pixels are kept.
        sharpness_N: (N,) float32 share of the sharpened picture; 0 for none.
        lightness_N: (N,) float32 how much brighter that is.
    """

    step_N: torch.Tensor
    sharpness_N: torch.Tensor
    lightness_N: torch.Tensor


def changes(draws: Draws, name: str, chance: float, is_on_N: torch.Tensor) -> Change:
    """Draw a change for each picture: every other pixel, every fourth, or sharper.

    Fewer pixels and sharper are as likely as each other.

    Args:
        draws: of the pictures.
        name: of these draws.
        chance: of a change.
        is_on_N: (N,) bool, the pictures to change.
    """
    changed_N, sharper_N, step_N, sharpness_N, lightness_N = draws.uniform(
        f"{name} frequency", 5
    ).unbind(1)
    is_changed_N = (changed_N < chance) & is_on_N
    is_sharper_N = sharper_N < 0.5
    steps_N = torch.where(step_N < 0.5, 2, 4)
    return Change(
        torch.where(is_changed_N & ~is_sharper_N, steps_N, 1),
        (0.2 + 0.3 * sharpness_N) * (is_changed_N & is_sharper_N),
        0.5 + 0.5 * lightness_N,
    )


def sharpened(image_NCHW: torch.Tensor, change: Change) -> torch.Tensor:
    """Pictures mixed with their sharpened form, 9 + lightness times a pixel less its 3 x 3 sum.

    Args:
        image_NCHW: (N, C, H, W) float32, 0..1.
        change: `sharpness_N` and `lightness_N` of it.

    Returns:
        (N, C, H, W) float32, 0..1.
    """
    share_N111 = change.sharpness_N[:, None, None, None]
    own_N111 = 1.0 + share_N111 * (8.0 + change.lightness_N[:, None, None, None])
    high = functional.pad(image_NCHW, (1, 1, 1, 1), mode="reflect")
    rows = (high[..., :-2, :] + high[..., 1:-1, :]).add_(high[..., 2:, :])
    sums = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:])
    return sums.mul_(-share_N111).addcmul_(image_NCHW, own_N111).clamp_(0.0, 1.0)


def resampled(
    image_NCHW: torch.Tensor, step_N: torch.Tensor, x_NW: torch.Tensor, y_NH: torch.Tensor
) -> torch.Tensor:
    """Read each picture, of which every so many pixels are kept, at places of its own.

    As if the pixels kept were a picture over the same square, read between its pixels linearly;
    beyond its border, that is repeated.

    Args:
        image_NCHW: (N, C, S, S) float32; what it holds is lost.
        step_N: (N,) int64 1, 2 or 4.
        x_NW: (N, W) float32 columns to read, in pixels of the whole picture.
        y_NH: (N, H) float32 rows to read.

    Returns:
        (N, C, H, W) float32.
    """
    size = image_NCHW.shape[-1]
    for step in (2, 4):  # the pixels kept move into the corner
        kept = image_NCHW[..., ::step, ::step].clone()
        corner = image_NCHW[..., : kept.shape[-2], : kept.shape[-1]]
        corner.copy_(torch.where((step_N == step)[:, None, None, None], kept, corner))
    step_N1 = step_N[:, None].float()
    last_N1 = torch.ceil(size / step_N1) - 1.0

    def scaled(at_NL: torch.Tensor) -> torch.Tensor:
        """In pixels kept, and then from -1 to 1 over the picture."""
        kept_NL = ((at_NL + 0.5) / step_N1 - 0.5).clamp_min(0.0).minimum(last_N1)
        return kept_NL * (2.0 / (size - 1)) - 1.0

    grid_NHW2 = image_NCHW.new_empty(len(x_NW), y_NH.shape[1], x_NW.shape[1], 2)
    grid_NHW2[..., 0] = scaled(x_NW)[:, None]
    grid_NHW2[..., 1] = scaled(y_NH)[..., None]
    return functional.grid_sample(image_NCHW, grid_NHW2, mode="bilinear", align_corners=True)
