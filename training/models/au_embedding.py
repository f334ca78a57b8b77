"""Embeddings of action units: equation 2, E_i = GAP(Conv(F * M_i + F)), without the convolution.

Global average pooling and a 3x3 convolution are both linear, so the mean of the convolution is
the convolution of means: each of the nine taps sees the features in a window that misses one row
or column at most, and E_i is the sum over taps of W_tap times the mean of F (1 + M_i) in that
window. For 728 channels of 14x14 and 15 units this is 0.09 instead of 14 GMAC an image.

Shape suffixes: N image, C channel in, D channel out, K action unit, H row, W column,
L place (H * W), T tap of the kernel.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class AuEmbedding(nn.Module):
    """The 3x3 convolution of equation 2, pooled.

    Args:
        channels: of the features, in and out.
        literal: compute as written, with a convolution for each unit; for comparison.
    """

    def __init__(self, channels: int, *, literal: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.literal = literal

    def forward(self, features_NCHW: Tensor, mask_NKHW: Tensor) -> Tensor:
        """Embeddings, (N, K, C) float32.

        Args:
            features_NCHW: any float dtype.
            mask_NKHW: float32, 0..1: the attention maps M_AU.
        """
        form = literal if self.literal else tap_sum
        assert self.conv.bias is not None
        return form(features_NCHW, mask_NKHW, self.conv.weight, self.conv.bias)


def tap_sum(
    features_NCHW: Tensor, mask_NKHW: Tensor, weight_DC33: Tensor, bias_D: Tensor
) -> Tensor:
    """Equation 2 as a sum over the taps of the kernel; equal to `literal` up to rounding.

    Means are summed in float32. Under autocast the product with the kernel is in its dtype, and is
    accumulated in float32 like every product.

    Args:
        features_NCHW: any float dtype.
        mask_NKHW: float32.
        weight_DC33: kernel of a convolution that pads by 1.
        bias_D: its bias.

    Returns:
        (N, K, D) float32.
    """
    units, (height, width) = mask_NKHW.shape[1], features_NCHW.shape[-2:]
    with torch.autocast(features_NCHW.device.type, enabled=False):
        weighted_NKHW = (1 + mask_NKHW.float()) / (height * width)
        window_THW = _windows(height, width, features_NCHW.device)
        weighted_NKTL = (weighted_NKHW[:, :, None] * window_THW).flatten(3)
        features_NLC = features_NCHW.float().flatten(2).transpose(1, 2)
        mean_NPC = weighted_NKTL.flatten(1, 2) @ features_NLC
        mean_NKTC = mean_NPC.reshape(-1, units, 9, mean_NPC.shape[-1])
    kernel_DTC = weight_DC33.permute(0, 2, 3, 1).flatten(1)
    return functional.linear(mean_NKTC.flatten(2), kernel_DTC).float() + bias_D.float()


def literal(
    features_NCHW: Tensor, mask_NKHW: Tensor, weight_DC33: Tensor, bias_D: Tensor
) -> Tensor:
    """Equation 2 as written; arguments and result as of `tap_sum`."""
    units = mask_NKHW.shape[1]
    masked_NKCHW = features_NCHW[:, None] * (1 + mask_NKHW[:, :, None])
    out_NDHW = functional.conv2d(masked_NKCHW.flatten(0, 1), weight_DC33, bias_D, padding=1)
    return out_NDHW.float().mean((2, 3)).reshape(-1, units, out_NDHW.shape[1])


def _windows(height: int, width: int, device: torch.device) -> Tensor:
    """(9, H, W): 1 where a tap, in the order of the kernel, sees a place, and 0 elsewhere."""
    rows_3H = _seen(height, device)
    columns_3W = _seen(width, device)
    return (rows_3H[:, None, :, None] * columns_3W[None, :, None, :]).flatten(0, 1)


def _seen(side: int, device: torch.device) -> Tensor:
    """(3, side): whether the tap at offset -1, 0, 1 reads a row when some output row is inside."""
    offset_31 = torch.arange(-1, 2, device=device)[:, None]
    output_3S = torch.arange(side, device=device) - offset_31
    return ((output_3S >= 0) & (output_3S < side)).float()
