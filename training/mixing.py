"""Feature-level mixing: statistics of real features go into the tampered region of fake ones.

Shape suffixes: B pair of a real and a fake, N row of the batch (2B: all reals, then all fakes),
C channel, H row, W column.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from facekit.options import require

LAYERS: Final = "13579"
"""Names of the layers, one digit each: blocks of Xception (supplement, section 2 and table 3)."""


@dataclass(frozen=True)
class Mix:
    """What one step mixes.

    Args:
        layer: one of `LAYERS`; the backbone's table says which block it is.
        lambda_B3: float32; the share of the fake in mean, deviation and normalised features.
        mask_B1HW: float32, 0..1, at the size of the image: M_p.
    """

    layer: str
    lambda_B3: Tensor
    mask_B1HW: Tensor

    def __post_init__(self) -> None:
        known = len(self.layer) == 1 and self.layer in LAYERS
        require(known, f"there is no mixing layer {self.layer!r}; there are {', '.join(LAYERS)}")


def mix(features_NCHW: Tensor, mask_B1HW: Tensor, lambda_B3: Tensor, eps: float = 1e-5) -> Tensor:
    """Mix the fake half of a batch with the real half, equations 10 to 17.

    With a = s_s l_3 / s_f, b = s_s (1 - l_3) / s_r and c = m_s - a m_f - b m_r, where m and s are
    means and deviations, equations 12 to 17 are F_f + M (a F_f + b F_r + c - F_f): one pass over
    the features, and the identity where every lambda is 1. Gradients flow into both halves.

    Args:
        features_NCHW: rows i and B + i are a real and the fake made of it; any float dtype.
        mask_B1HW: float, 0..1, of any size: M_p. It is resized bilinearly, with antialiasing. A
            pair whose mask is empty is left as it is.
        lambda_B3: float32, 0..1: l_1, l_2, l_3 of equations 13 to 15.
        eps: added to the variance, inside the root; the print leaves open where (equation 11).

    Returns:
        The shape and dtype of `features_NCHW`; the real half as it came. What is computed in
        between is float32.

    >>> features_NCHW = torch.arange(8.0).reshape(2, 1, 2, 2)
    >>> mix(features_NCHW, torch.ones(1, 1, 2, 2), torch.tensor([[0.0, 1.0, 1.0]])).flatten()
    tensor([0., 1., 2., 3., 0., 1., 2., 3.])
    """
    with torch.autocast(features_NCHW.device.type, enabled=False):
        real_BCHW, fake_BCHW = features_NCHW.float().chunk(2)
        mask_B1HW = functional.interpolate(
            mask_B1HW.float(),
            size=features_NCHW.shape[-2:],
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        mean_real, deviation_real = _statistics(real_BCHW, mask_B1HW, eps)
        mean_fake, deviation_fake = _statistics(fake_BCHW, mask_B1HW, eps)
        one_B111, two_B111, three_B111 = lambda_B3.float()[:, :, None, None, None].unbind(1)
        mean = one_B111 * mean_fake + (1 - one_B111) * mean_real
        deviation = two_B111 * deviation_fake + (1 - two_B111) * deviation_real
        of_fake = deviation * three_B111 / deviation_fake
        of_real = deviation * (1 - three_B111) / deviation_real
        offset = mean - of_fake * mean_fake - of_real * mean_real
        change_BCHW = (of_fake - 1) * fake_BCHW + of_real * real_BCHW + offset
        mixed_BCHW = torch.addcmul(fake_BCHW, change_BCHW, mask_B1HW)
    return torch.cat((features_NCHW.chunk(2)[0], mixed_BCHW.to(features_NCHW.dtype)))


def _statistics(features_BCHW: Tensor, mask_B1HW: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel under the mask, (B, C, 1, 1): equations 10 and 11."""
    # An empty mask gives 0 / tiny = 0, and no change where the result is weighted with it again.
    share_B1HW = mask_B1HW / mask_B1HW.sum((2, 3), keepdim=True).clamp_min(1e-12)
    mean_BC11 = (features_BCHW * share_B1HW).sum((2, 3), keepdim=True)
    variance_BC11 = ((features_BCHW - mean_BC11).square() * share_B1HW).sum((2, 3), keepdim=True)
    return mean_BC11, (variance_BC11 + eps).sqrt()
