"""What the embedded networks are made of: a convolution with its norm, and two with a way around.

While a network learns, each convolution has a batch norm; `folded` takes these into the
convolutions, and what is shipped has none.

Shape suffixes: N image, C channel, H row, W column.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

_Network = TypeVar("_Network", bound=nn.Module)


class Unit(nn.Module):
    """Convolution, norm and, unless told otherwise, ReLU.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side of the kernel, odd.
        stride: step of the kernel.
        norm: batch norm after the convolution, for training; without it the convolution has a bias.
        relu: whether negative values become 0.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        norm: bool,
        stride: int = 1,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not norm)
        self.norm = nn.BatchNorm2d(outputs) if norm else None
        self.relu = relu

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, C, H, W) float32 to (N, `outputs`, H / stride, W / stride), rounded up."""
        out_NCHW: Tensor = self.conv(x_NCHW)
        if self.norm is not None:
            out_NCHW = self.norm(out_NCHW)
        return functional.relu(out_NCHW, inplace=True) if self.relu else out_NCHW


class Block(nn.Module):
    """Two units with a way around them.

    Args:
        width: channels.
        norm: as in `Unit`.
    """

    def __init__(self, width: int, *, norm: bool) -> None:
        super().__init__()
        self.first = Unit(width, width, norm=norm)
        self.second = Unit(width, width, norm=norm, relu=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """The shape stays."""
        return functional.relu(self.second(self.first(x_NCHW)) + x_NCHW, inplace=True)


def on_device(
    forward: Callable[[Tensor], Tensor], device: torch.device, *, unit: float = 1.0
) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """What `facekit.lite_graph.Session` is on the CPU, for a network that torch runs.

    Args:
        forward: the network, or a method of it: (N, 3, H, W) RGB, 0..255 over `unit`, to any shape.
        device: where the network lies.
        unit: what pixels are divided by.

    Returns:
        (N, H, W, 3) uint8 RGB to what the network gives, float32.
    """

    def run(img_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            img_NCHW = torch.from_numpy(img_NHWC).to(device).permute(0, 3, 1, 2).float()
            return np.asarray(forward(img_NCHW.div_(unit)).float().cpu().numpy())

    return run


def folded(learnt: nn.Module, working: _Network, *, divide: bool = False) -> _Network:
    """Give a network without batch norm the weights of one with: norms become part of convolutions.

    Args:
        learnt: made with norms; their running statistics count. It stays as it is.
        working: the same without norms, on the CPU; takes the weights, set to evaluation.
        divide: divide by roots where a product with their inverse is taken else. The two differ in
            the last bit, and so would the files that were made before.

    Returns:
        `working`.
    """
    names = working.state_dict().keys()
    state = {name: value for name, value in learnt.state_dict().items() if name in names}
    for name, unit in learnt.named_modules():
        if isinstance(unit, Unit) and unit.norm is not None:
            fold = _divided if divide else _multiplied
            state[f"{name}.conv.weight"], state[f"{name}.conv.bias"] = fold(unit.conv, unit.norm)
    working.load_state_dict({name: value.detach().cpu() for name, value in state.items()})
    return working.eval()


def _divided(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    return conv.weight * gain[:, None, None, None], norm.bias - norm.running_mean * gain


def _multiplied(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    assert norm.running_mean is not None
    assert norm.running_var is not None
    return fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
