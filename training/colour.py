"""Changes of colour, drawn for each picture: one matrix and one offset each.

Shifts of red, green and blue, of hue, saturation and value, and of brightness and contrast are
linear in RGB, so their sequence is one product a pixel; what leaves 0..1 is cut off at its end.

Letters: N pictures, H W rows and columns.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch

from training.constants import constant, indices
from training.draws import Draws

_GREY: Final = ((1 / 3,) * 3,) * 3
_COLOUR: Final = ((2 / 3, -1 / 3, -1 / 3), (-1 / 3, 2 / 3, -1 / 3), (-1 / 3, -1 / 3, 2 / 3))
_CROSS: Final = ((0.0, -(3**-0.5), 3**-0.5), (3**-0.5, 0.0, -(3**-0.5)), (-(3**-0.5), 3**-0.5, 0.0))
"""What a matrix makes of a colour: its mean, what differs from that, and that turned by 90 deg."""

_TURN: Final = (0, 0, 0, 1, 1, 1, 2, 2)
"""Which draw decides whether each of the eight amounts of `Limits` has its turn."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How far colours are changed, either way, and how often.

    Args:
        shift: added to red, green and blue, each by itself; 1 is the full range.
        shift_chance: of a picture to be shifted.
        hue_deg: turn about the grey axis.
        saturation: added to 1, times the distance from grey.
        value: added to 1, times the colour.
        hsv_chance: of hue, saturation and value to be changed.
        brightness: added to the colour.
        contrast: added to 1, times the colour.
        light_chance: of brightness and contrast to be changed.
    """

    shift: float = 20 / 255
    shift_chance: float = 0.3
    hue_deg: float
    saturation: float
    value: float
    hsv_chance: float = 1.0
    brightness: float
    contrast: float
    light_chance: float = 1.0

    def amounts(self) -> tuple[float, ...]:
        """The eight limits, in the order in which `changes` draws."""
        hsv = (math.radians(self.hue_deg), self.saturation, self.value)
        return (self.shift,) * 3 + hsv + (self.contrast, self.brightness)

    def chances(self) -> tuple[float, ...]:
        """How often each of the eight has its turn: shifts together, hue to value, light."""
        return (self.shift_chance,) * 3 + (self.hsv_chance,) * 3 + (self.light_chance,) * 2


VIEW: Final = Limits(hue_deg=5.0, saturation=0.1, value=0.05, brightness=0.1, contrast=0.1)
"""Of a view of AUNet's. The paper names the shifts and not their size: here self-blending's, but
for hue, saturation and value, which are visible."""

_NEXT_TO_NOTHING: Final = 0.3 / 255
"""Self-blending's limit of saturation and value: 0.3 of 255 steps. Of hue, 0.3 of 180 steps."""

SBI_VIEW: Final = Limits(
    hue_deg=0.6,
    saturation=_NEXT_TO_NOTHING,
    value=_NEXT_TO_NOTHING,
    brightness=0.1,
    contrast=0.1,
)
"""Of a view of self-blending's."""

POST: Final = Limits(
    hue_deg=0.6,
    saturation=_NEXT_TO_NOTHING,
    value=_NEXT_TO_NOTHING,
    hsv_chance=0.3,
    brightness=0.3,
    contrast=0.3,
    light_chance=0.3,
)
"""After blending, self-blending's."""


def changes(
    draws: Draws, name: str, limits: Limits, is_on_N: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one change of colour for each picture.

    Args:
        draws: of the pictures.
        name: of these draws; another name gives other colours.
        limits: how far and how often.
        is_on_N: (N,) bool, the pictures to change; None for all.

    Returns:
        (N, 3, 3) and (N, 3, 1) float32, matrix and offset; the identity and 0 for no change.

    >>> none = Limits(hue_deg=0, saturation=0, value=0, brightness=0, contrast=0, shift_chance=0)
    >>> changes(Draws(0, 0, torch.arange(1)), "view", none)[0].round(decimals=3)[0] + 0.0
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]])
    """
    share_N11 = draws.uniform(f"{name} colour", 11)
    turn_N8 = share_N11[:, indices(_TURN, share_N11)] < constant(limits.chances(), share_N11)
    if is_on_N is not None:
        turn_N8 = turn_N8 & is_on_N[:, None]
    amount_N8 = (2.0 * share_N11[:, 3:] - 1.0) * constant(limits.amounts(), share_N11) * turn_N8
    angle_N, saturation_N, value_N, gain_N, light_N = amount_N8[:, 3:].unbind(1)
    factor_N11 = ((1.0 + value_N) * (1.0 + gain_N))[:, None, None]
    matrix_N33 = factor_N11 * turned(angle_N, 1.0 + saturation_N)
    return matrix_N33, matrix_N33 @ amount_N8[:, :3, None] + light_N[:, None, None]


def turned(angle_N: torch.Tensor, saturation_N: torch.Tensor) -> torch.Tensor:
    """Matrices that turn colours about the grey axis and scale their distance from it.

    Args:
        angle_N: (N,) radians, from red towards green.
        saturation_N: (N,) factors; 0 makes grey.

    Returns:
        (N, 3, 3) float32; grey stays as it is.

    Source:
        Rodrigues' rotation about (1, 1, 1).

    >>> third = torch.tensor([2 * math.pi / 3])
    >>> (turned(third, torch.ones(1))[0] @ torch.tensor([1.0, 0, 0])).round(decimals=3) + 0.0
    tensor([0., 1., 0.])
    """
    grey_33, cross_33 = constant(_GREY, angle_N), constant(_CROSS, angle_N)
    colour_33 = constant(_COLOUR, angle_N)
    along_N11 = (saturation_N * torch.cos(angle_N))[:, None, None]
    across_N11 = (saturation_N * torch.sin(angle_N))[:, None, None]
    return grey_33 + along_N11 * colour_33 + across_N11 * cross_33


def recoloured(
    image_NCHW: torch.Tensor, matrix_N33: torch.Tensor, offset_N31: torch.Tensor
) -> torch.Tensor:
    """Pictures with their colours changed.

    Args:
        image_NCHW: (N, 3, H, W) float32 RGB, 0..1.
        matrix_N33: (N, 3, 3) from `changes`.
        offset_N31: (N, 3, 1).

    Returns:
        (N, 3, H, W) float32, 0..1.
    """
    return coloured(image_NCHW, matrix_N33, offset_N31[..., None]).clamp_(0.0, 1.0)


def coloured(
    image_NCHW: torch.Tensor, matrix: torch.Tensor, offset: torch.Tensor | None = None
) -> torch.Tensor:
    """The product of a matrix and the channels of each pixel, and an offset; without a limit.

    Args:
        image_NCHW: (N, C, H, W) float32.
        matrix: (K, C) for all pictures or (N, K, C).
        offset: None, or what can be broadcast to the result.

    Returns:
        (N, K, H, W) float32.
    """
    count, channels, height, width = image_NCHW.shape
    matrix_NKC = matrix.expand(count, -1, -1)
    flat_NCP = image_NCHW.reshape(count, channels, height * width)
    if offset is None:
        made = torch.bmm(matrix_NKC, flat_NCP)
    else:
        made = torch.baddbmm(offset.flatten(2), matrix_NKC, flat_NCP)
    return made.view(count, matrix_NKC.shape[1], height, width)
