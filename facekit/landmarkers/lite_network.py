"""The networks of the landmarker `lite`: a coarse one finds the face, a fine one reads its points.

Tensor names end in their axes: N faces, C colours or features, K points, H and W of a crop or map.
"""

import torch
from torch import nn
from torch.nn import functional

from facekit import lite_blocks
from facekit.landmarkers import lite_graph
from facekit.landmarkers.ibug68 import POINTS
from facekit.landmarkers.lite_graph import Pyramid
from facekit.lite_blocks import Block, Unit


class LandmarkNetworks(nn.Module):
    """Both networks, as one file holds them.

    Args:
        norm: with batch normalisation, to learn; without, to work.
    """

    def __init__(self, *, norm: bool = False) -> None:
        super().__init__()
        self.coarse = MapNetwork(lite_graph.COARSE, norm=norm)
        self.fine = MapNetwork(lite_graph.FINE, norm=norm)


class MapNetwork(nn.Module):
    """A heat map a point, and the mean place under it: a pyramid down, and up again to a quarter.

    Args:
        pyramid: how large it is.
        norm: see `LandmarkNetworks`.

    Source: soft-argmax by Nibali et al., Numerical Coordinate Regression with Convolutional Neural
    Networks, arXiv 1801.07372; the way up by Lin et al., Feature Pyramid Networks, CVPR 2017.
    """

    def __init__(self, pyramid: Pyramid, *, norm: bool) -> None:
        super().__init__()
        widths, blocks, up = pyramid
        self.stem = Unit(3, widths[0], stride=2, norm=norm)
        self.down = nn.ModuleList(
            nn.Sequential(
                Unit(taken, given, stride=2, norm=norm),
                *[Block(given, norm=norm) for _ in range(count)],
            )
            for taken, given, count in zip(widths[:-1], widths[1:], blocks, strict=True)
        )
        self.side = nn.ModuleList(Unit(width, up, 1, norm=norm, relu=False) for width in widths[1:])
        self.up = nn.ModuleList(Unit(up, up, norm=norm) for _ in widths[2:])
        self.out = nn.Conv2d(up, POINTS, 1)

    def forward(self, img_NCHW: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) RGB in 0..1 to (N, 68, 2) crop pixels."""
        return self.places(self.maps(img_NCHW), img_NCHW.shape[-1])

    def maps(self, img_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits of where each point is: (N, 68, S / 4, S / 4)."""
        x_NCHW = self.stem(img_NCHW - 0.5)
        levels = []
        for stage in self.down:
            x_NCHW = stage(x_NCHW)
            levels.append(x_NCHW)
        x_NCHW = self.side[-1](levels[-1]).relu_()
        for i in range(len(levels) - 2, -1, -1):
            beside_NCHW = self.side[i](levels[i])
            height, width = beside_NCHW.shape[2:]
            above_NCHW = functional.interpolate(x_NCHW, scale_factor=2.0)[..., :height, :width]
            x_NCHW = self.up[i]((beside_NCHW + above_NCHW).relu_())
        map_NKHW: torch.Tensor = self.out(x_NCHW)
        return map_NKHW

    @staticmethod
    def places(map_NKHW: torch.Tensor, crop_px: int) -> torch.Tensor:
        """Mean place under each map's softmax: (N, 68, 2) crop pixels."""
        count, points, height, width = map_NKHW.shape
        share_NKM = map_NKHW.float().flatten(2).softmax(-1)
        share_NKHW = share_NKM.view(count, points, height, width)
        cell = torch.arange(width, dtype=share_NKM.dtype, device=map_NKHW.device)
        cell_N68xy = torch.stack([share_NKHW.sum(2) @ cell, share_NKHW.sum(3) @ cell], dim=-1)
        return (cell_N68xy + 0.5) * (crop_px / width) - 0.5


def folded(learnt: LandmarkNetworks) -> LandmarkNetworks:
    """The same networks without batch normalisation, for evaluation.

    Args:
        learnt: networks made with `norm=True`.

    Returns:
        Networks that give the same points as `learnt.eval()`, within rounding.
    """
    return lite_blocks.folded(learnt, LandmarkNetworks())
