"""Eight ways to spoil the pictures that a detector is shown, five levels each, on the device.

Levels are those of DeeperForensics-1.0 where it has the perturbation: saturation, contrast, blocks,
noise, blur and pixelation. Compression is true JPEG (what that suite calls JPEG is pixelation here)
and salt and pepper has the published share as its middle level. Everything acts on the
network's input, in its pixels, so that shards of any crop size are spoilt alike, and what comes
out is of whole levels of 255, as a stored picture would be.

Letters in shapes: N pictures, C channels, H W rows and columns, T tiles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch.nn.functional import interpolate

from facekit.errors import BadInput
from training.blur import gaussian_blur
from training.draws import Draws
from training.jpeg import compress

LEVELS: Final = 5

_LUMA: Final = (0.299, 0.587, 0.114)
_FROM_YCBCR: Final = ((1.164, 0.0, 1.596), (1.164, -0.392, -0.813), (1.164, 2.017, 0.0))
"""Studio-range Y, Cb, Cr to RGB, ITU-R BT.601."""

_TILE_PX: Final = 8
_GREY: Final = 128 / 255


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """One way at one level.

    Args:
        name: a key of `STRENGTHS`.
        level: 1, the mildest, to 5.
        strength: what the way takes at this level.
    """

    name: str
    level: int
    strength: float

    def __str__(self) -> str:
        return f"{self.name} {self.level}"


STRENGTHS: Final[Mapping[str, tuple[float, ...]]] = {
    "compression": (90, 70, 50, 30, 10),
    "blur": (7, 9, 13, 17, 21),
    "contrast": (0.85, 0.725, 0.6, 0.475, 0.35),
    "saturation": (0.4, 0.3, 0.2, 0.1, 0.0),
    "pixelation": (2, 3, 4, 5, 6),
    "noise": (0.001, 0.002, 0.005, 0.01, 0.05),
    "salt_and_pepper": (0.01, 0.025, 0.05, 0.075, 0.1),
    "blocks": (16, 32, 48, 64, 80),
}
"""Name -> strength at levels 1 to 5; `MEANINGS` says of what."""

MEANINGS: Final[Mapping[str, str]] = {
    "compression": "quality of true JPEG, 4:2:0",
    "blur": "kernel of a Gaussian blur in pixels, a sixth of it the standard deviation",
    "contrast": "gain of every channel",
    "saturation": "gain of the colour difference",
    "pixelation": "how many times smaller the picture is made, then as large as before",
    "noise": "variance of noise in Y, Cb and Cr, of a range of 1",
    "salt_and_pepper": "share of the pixels that become white or black, each as likely",
    "blocks": "grey squares of 8 pixels laid over it, times the side over 256 where that is 2 up",
}


def suite(chosen: str = "all") -> list[Perturbation]:
    """The perturbations asked for, from the mildest level of each.

    Args:
        chosen: `none`, `all`, or names by comma.

    Raises:
        BadInput: there is no perturbation of that name.

    >>> [str(each) for each in suite("blur")]
    ['blur 1', 'blur 2', 'blur 3', 'blur 4', 'blur 5']
    >>> len(suite("all")), suite("none")
    (40, [])
    """
    if chosen == "none":
        return []
    names = list(STRENGTHS) if chosen == "all" else [name.strip() for name in chosen.split(",")]
    for name in names:
        if name not in STRENGTHS:
            raise BadInput(f"--perturb takes none, all or of {', '.join(STRENGTHS)}, not {name!r}")
    return [
        Perturbation(name=name, level=level, strength=float(strength))
        for name in dict.fromkeys(names)
        for level, strength in enumerate(STRENGTHS[name], start=1)
    ]


def perturb(image_NCHW: torch.Tensor, chosen: Perturbation, draws: Draws) -> torch.Tensor:
    """Spoil pictures.

    Args:
        image_NCHW: (N, 3, H, W) float32 RGB, 0..1.
        chosen: how.
        draws: of the N samples; each is spoilt the same in any batch.

    Returns:
        (N, 3, H, W) float32, 0..1, of whole levels of 255.

    Source:
        Jiang et al., "DeeperForensics-1.0", CVPR 2020.

    >>> white = torch.ones(1, 3, 8, 8)
    >>> darker = perturb(white, suite("contrast")[4], Draws(0, 0, torch.zeros(1)))
    >>> round(float(darker.max()) * 255)
    89
    """
    if not len(image_NCHW):
        return image_NCHW.clone()
    spoilt = _WAYS[chosen.name](image_NCHW, chosen.strength, draws)
    return (spoilt * 255.0).round_().clamp_(0.0, 255.0).mul_(1.0 / 255.0)


def _compressed(image_NCHW: torch.Tensor, strength: float, draws: Draws) -> torch.Tensor:
    del draws
    return compress(image_NCHW, _filled(image_NCHW, strength))


def _blurred(image_NCHW: torch.Tensor, strength: float, draws: Draws) -> torch.Tensor:
    del draws
    radius_N = _filled(image_NCHW, (strength - 1) / 2)
    return gaussian_blur(image_NCHW, _filled(image_NCHW, strength / 6), radius_N)


def _dimmed(image_NCHW: torch.Tensor, strength: float, draws: Draws) -> torch.Tensor:
    del draws
    return image_NCHW * strength


def _greyed(image_NCHW: torch.Tensor, strength: float, draws: Draws) -> torch.Tensor:
    del draws
    luma_N1HW = (image_NCHW * image_NCHW.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
    return luma_N1HW + strength * (image_NCHW - luma_N1HW)


def _pixelated(image_NCHW: torch.Tensor, strength: float, draws: Draws) -> torch.Tensor:
    del draws
    size_hw = tuple(image_NCHW.shape[-2:])
    smaller_hw = [max(1, side // int(strength)) for side in size_hw]
    # Linear without a filter, as the suite does it: what it loses it also aliases.
    smaller = interpolate(image_NCHW, smaller_hw, mode="bilinear", align_corners=False)
    return interpolate(smaller, size_hw, mode="bilinear", align_corners=False)


def _noisy(image_NCHW: torch.Tensor, strength: float, draws: Draws) -> torch.Tensor:
    noise_NYHW = draws.normal("noise", 3, *image_NCHW.shape[-2:]) * strength**0.5
    to_rgb_CY = image_NCHW.new_tensor(_FROM_YCBCR)
    return image_NCHW + torch.einsum("cy,nyhw->nchw", to_rgb_CY, noise_NYHW)


def _peppered(image_NCHW: torch.Tensor, strength: float, draws: Draws) -> torch.Tensor:
    drawn_N1HW = draws.uniform("salt and pepper", 1, *image_NCHW.shape[-2:])
    salted = image_NCHW.masked_fill(drawn_N1HW < strength / 2, 1.0)
    return salted.masked_fill(drawn_N1HW >= 1.0 - strength / 2, 0.0)


def _covered(image_NCHW: torch.Tensor, strength: float, draws: Draws) -> torch.Tensor:
    height, width = image_NCHW.shape[-2:]
    tiles = int(strength) * max(1, min(height, width) // 256)
    corners_NT = [
        draws.integers(f"blocks {axis}", tiles, high=max(1, size - _TILE_PX))
        for axis, size in (("y", height), ("x", width))
    ]
    rows_NTH, columns_NTW = (
        _from(corner_NT, size) for corner_NT, size in zip(corners_NT, (height, width), strict=True)
    )
    # A pixel is covered if the row and the column of some tile both hold it.
    covered_NHW = rows_NTH.mT @ columns_NTW > 0
    return image_NCHW.masked_fill(covered_NHW[:, None], _GREY)


def _from(corner_NT: torch.Tensor, size: int) -> torch.Tensor:
    """(N, T, size) 1.0 where a tile that begins at a corner lies."""
    beyond = torch.arange(size, device=corner_NT.device) - corner_NT[..., None]
    return ((beyond >= 0) & (beyond < _TILE_PX)).float()


def _filled(image_NCHW: torch.Tensor, value: float) -> torch.Tensor:
    return image_NCHW.new_full((len(image_NCHW),), value)


_WAYS: Final[Mapping[str, Callable[[torch.Tensor, float, Draws], torch.Tensor]]] = {
    "compression": _compressed,
    "blur": _blurred,
    "contrast": _dimmed,
    "saturation": _greyed,
    "pixelation": _pixelated,
    "noise": _noisy,
    "salt_and_pepper": _peppered,
    "blocks": _covered,
}
