"""The networks of the landmarker `lite`: a coarse one finds the face, a fine one reads its points.

While they learn, each convolution has a batch normalisation; `folded` takes these into the
convolutions, and what is shipped has none.

Tensor names end in their axes: N faces, C colours or features, K points, H and W of a crop or map.
"""

import torch
from torch import nn
from torch.nn import functional

from facekit.landmarkers.ibug68 import POINTS


class LandmarkNetworks(nn.Module):
    """Both networks, as one file holds them.

    Args:
        norm: with batch normalisation, to learn; without, to work.
    """

    def __init__(self, *, norm: bool = False) -> None:
        super().__init__()
        self.coarse = MapNetwork((16, 32, 48, 64), (0, 0, 2), up=32, norm=norm)
        self.fine = MapNetwork((16, 32, 64, 96, 112), (1, 1, 1, 1), up=48, norm=norm)


class MapNetwork(nn.Module):
    """A heat map a point, and the mean place under it: a pyramid down, and up again to a quarter.

    Args:
        widths: features after each halving of the crop.
        blocks: residual blocks after each halving but the first.
        up: features on the way up.
        norm: see `LandmarkNetworks`.

    Source: soft-argmax by Nibali et al., Numerical Coordinate Regression with Convolutional Neural
    Networks, arXiv 1801.07372; the way up by Lin et al., Feature Pyramid Networks, CVPR 2017.
    """

    def __init__(
        self, widths: tuple[int, ...], blocks: tuple[int, ...], *, up: int, norm: bool
    ) -> None:
        super().__init__()
        self.stem = Unit(3, widths[0], stride=2, norm=norm)
        self.down = nn.ModuleList(
            nn.Sequential(
                Unit(taken, given, stride=2, norm=norm),
                *[Residual(given, norm=norm) for _ in range(count)],
            )
            for taken, given, count in zip(widths[:-1], widths[1:], blocks, strict=True)
        )
        self.side = nn.ModuleList(
            Unit(width, up, size=1, norm=norm, rectified=False) for width in widths[1:]
        )
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


class Unit(nn.Module):
    """A convolution, its batch normalisation while it learns, and a rectifier unless told not."""

    def __init__(
        self,
        taken: int,
        given: int,
        *,
        size: int = 3,
        stride: int = 1,
        norm: bool = False,
        rectified: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(taken, given, size, stride, size // 2, bias=not norm)
        self.norm = nn.BatchNorm2d(given) if norm else None
        self.rectified = rectified

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Features to features."""
        x_NCHW = self.conv(x_NCHW)
        if self.norm is not None:
            x_NCHW = self.norm(x_NCHW)
        return x_NCHW.relu_() if self.rectified else x_NCHW


class Residual(nn.Module):
    """Two units that add to what they are given."""

    def __init__(self, width: int, *, norm: bool) -> None:
        super().__init__()
        self.first = Unit(width, width, norm=norm)
        self.second = Unit(width, width, norm=norm, rectified=False)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Features to as many features."""
        moved_NCHW: torch.Tensor = self.second(self.first(x_NCHW))
        return (moved_NCHW + x_NCHW).relu_()


def folded(learnt: LandmarkNetworks) -> LandmarkNetworks:
    """The same networks without batch normalisation, for evaluation.

    Args:
        learnt: networks made with `norm=True`.

    Returns:
        Networks that give the same points as `learnt.eval()`, within rounding.
    """
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    working = LandmarkNetworks()
    names = working.state_dict().keys()
    state = {name: value for name, value in learnt.state_dict().items() if name in names}
    for name, unit in learnt.named_modules():
        if isinstance(unit, Unit) and unit.norm is not None:
            conv, norm = unit.conv, unit.norm
            assert norm.running_mean is not None
            assert norm.running_var is not None
            state[f"{name}.conv.weight"], state[f"{name}.conv.bias"] = fuse_conv_bn_weights(
                conv.weight,
                conv.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
    working.load_state_dict(state)
    return working.eval()
