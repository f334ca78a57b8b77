"""What a network costs to run, for FLOP utilisation."""

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(model: nn.Module, size_px: int) -> int:
    """Multiply-adds of one image through a network: convolutions and matrix products.

    One black image runs through a copy. A training step costs some three times as much, and twice
    that in FLOP.

    Args:
        model: takes (N, 3, size_px, size_px).
        size_px: side of the image.

    >>> count_macs(nn.Conv2d(3, 8, 3, stride=2, padding=1), 224)
    2709504
    """
    device = next(model.parameters()).device
    still = copy.deepcopy(model).eval().requires_grad_(False)
    counter = FlopCounterMode(display=False)
    with counter:
        still(torch.zeros(1, 3, size_px, size_px, device=device))
    return int(counter.get_total_flops()) // 2
