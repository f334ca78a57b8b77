"""The networks of the embedded face detector: a small pyramid of dense convolutions, and a check.

Shape suffixes: N image, C channel, H row, W column, P place (a cell of one of the three grids),
F the 15 numbers of a place.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from facekit import lite_blocks
from facekit.detectors.lite_graph import (
    BLOCKS,
    CROP_PX,
    NUMBERS,
    PYRAMID,
    SECOND_BLOCKS,
    SECOND_WIDTHS,
    WIDTHS,
)
from facekit.detectors.lite_places import BOX_UNIT, LARGEST_LOG, POINT_UNIT, STRIDES
from facekit.lite_blocks import Block, Unit


class Places(NamedTuple):
    """What the network says at every place of every grid, finest grid first, row by row.

    Args:
        logit_NP: face or none; the sigmoid is the score.
        box_NP4: left, top, right and bottom edge, pixels of the image.
        points_NP52: the five points, pixels of the image.
    """

    logit_NP: Tensor
    box_NP4: Tensor
    points_NP52: Tensor


class LiteDetectorNetwork(nn.Module):
    """Image in; at every place of three grids a score, a box and five points out.

    A place of stride s in row i, column j lies at the pixel (s * j, s * i) and measures from there.
    Images of any size will do: nothing is padded but the border of each convolution.

    Args:
        norm: batch norm after the convolutions, for training. What is shipped has none: `folded`.

    Source: the places and distances of Tian et al., FCOS, ICCV 2019; the pyramid of Lin et al.,
    Feature Pyramid Networks, CVPR 2017.
    """

    def __init__(self, *, norm: bool = False) -> None:
        super().__init__()
        stages, inputs = [], 3
        for width, blocks in zip(WIDTHS, BLOCKS, strict=True):
            first = Unit(inputs, width, 3, stride=2, norm=norm)
            stages.append(nn.Sequential(first, *(Block(width, norm=norm) for _ in range(blocks))))
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.sides = nn.ModuleList(Unit(w, PYRAMID, 1, norm=norm, relu=False) for w in WIDTHS[2:])
        self.merged = nn.ModuleList(Unit(PYRAMID, PYRAMID, 3, norm=norm) for _ in STRIDES)
        self.head = Unit(PYRAMID, PYRAMID, 3, norm=norm)
        self.numbers = nn.Conv2d(PYRAMID, NUMBERS, 1)

    def forward(self, img_NCHW: Tensor) -> Places:
        """(N, 3, H, W) RGB, 0..255, float32; the sides need not be multiples of anything."""
        row_NPF = self.rows(img_NCHW)
        height, width = img_NCHW.shape[2:]
        sizes_hw = [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
        at_P2, stride_P1 = places(sizes_hw, row_NPF.device)
        reach_NP4 = row_NPF[..., 1:5].clamp(max=LARGEST_LOG).exp() * (BOX_UNIT * stride_P1)
        box_NP4 = torch.cat([at_P2 - reach_NP4[..., :2], at_P2 + reach_NP4[..., 2:]], -1)
        shift_NP52 = row_NPF[..., 5:].reshape(*row_NPF.shape[:2], 5, 2) * (
            POINT_UNIT * stride_P1[:, None]
        )
        return Places(row_NPF[..., 0], box_NP4, at_P2[:, None] + shift_NP52)

    def rows(self, img_NCHW: Tensor) -> Tensor:
        """The same, as (N, P, 15) float32 numbers that `facekit.detectors.lite_places` explains."""
        grids = [self.numbers(self.head(x_NCHW)) for x_NCHW in self._pyramid(img_NCHW)]
        return torch.cat([g.permute(0, 2, 3, 1).flatten(1, 2) for g in grids], 1).float()

    def _pyramid(self, img_NCHW: Tensor) -> list[Tensor]:
        """Features at the three strides, finest first; the coarser ones are added to the finer."""
        x_NCHW, levels = (img_NCHW - 127.5) / 64.0, []
        for stage in self.stages:
            x_NCHW = stage(x_NCHW)
            levels.append(x_NCHW)
        merged: list[Tensor] = []
        for i in reversed(range(len(STRIDES))):
            y_NCHW = self.sides[i](levels[2 + i])
            if merged:
                up_NCHW = functional.interpolate(merged[0], scale_factor=2.0)
                y_NCHW = y_NCHW + up_NCHW[..., : y_NCHW.shape[2], : y_NCHW.shape[3]]
            merged.insert(0, self.merged[i](functional.relu(y_NCHW)))
        return merged


class SecondLookNetwork(nn.Module):
    """Crop in; face or none out. While it learns it also says where the five points are.

    Args:
        norm: as in `LiteDetectorNetwork`.
        points: with the points, to learn.

    Source: learning points beside the decision: Zhang et al., Joint Face Detection and Alignment
    using Multi-task Cascaded Convolutional Networks, IEEE Signal Processing Letters 2016.
    """

    def __init__(self, *, norm: bool = False, points: bool = False) -> None:
        super().__init__()
        stages, inputs = [], 3
        for width, blocks in zip(SECOND_WIDTHS, SECOND_BLOCKS, strict=True):
            first = Unit(inputs, width, 3, stride=2, norm=norm)
            stages.append(nn.Sequential(first, *(Block(width, norm=norm) for _ in range(blocks))))
            inputs = width
        self.stages = nn.Sequential(*stages)
        flat = inputs * (CROP_PX >> len(SECOND_WIDTHS)) ** 2
        self.face = nn.Linear(flat, 1)
        self.points = nn.Linear(flat, 10) if points else None

    def forward(self, img_NCHW: Tensor) -> Tensor:
        """(N, 3, 48, 48) RGB, 0..255, float32 to (N, 1) logits."""
        logit_N1: Tensor = self.face(self._features(img_NCHW))
        return logit_N1

    def with_points(self, img_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The logits (N,), and the points (N, 5, 2) from the middle of the crop, in its sides."""
        assert self.points is not None
        x_NF = self._features(img_NCHW)
        return self.face(x_NF)[:, 0].float(), self.points(x_NF).float().reshape(-1, 5, 2)

    def _features(self, img_NCHW: Tensor) -> Tensor:
        x_NF: Tensor = self.stages((img_NCHW - 127.5) / 64.0).flatten(1)
        return x_NF


class LiteDetectorNetworks(LiteDetectorNetwork):
    """Both looks, and how much the first counts beside the second, as one file holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.second = SecondLookNetwork()
        self.trust = nn.Parameter(torch.ones(1))


def places(sizes_hw: list[tuple[int, int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the places of the grids lie, and their strides.

    Args:
        sizes_hw: rows and columns of each grid, finest first.
        device: of the answers.

    Returns:
        (P, 2) float32 x and y, pixels of the image; (P, 1) float32 stride.

    >>> places([(1, 2), (1, 1), (1, 1)], torch.device("cpu"))[0].tolist()
    [[0.0, 0.0], [8.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    at, strides = [], []
    for (rows, columns), stride in zip(sizes_hw, STRIDES, strict=True):
        y_HW, x_HW = torch.meshgrid(
            torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
        )
        at.append(torch.stack([x_HW, y_HW], -1).reshape(-1, 2) * float(stride))
        strides.append(torch.full((rows * columns, 1), float(stride), device=device))
    return torch.cat(at), torch.cat(strides)


def folded(network: LiteDetectorNetwork) -> LiteDetectorNetwork:
    """The same network without batch norm: each norm has become part of its convolution.

    Args:
        network: made with `norm=True`; its running statistics count. It stays as it is.
    """
    return lite_blocks.folded(network, LiteDetectorNetwork(norm=False), divide=True)
