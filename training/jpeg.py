"""What JPEG loses, batched and on the device, with a quality of its own for each picture.

Baseline JPEG with 4:2:0 chroma, but for the entropy coding, which loses nothing.

Letters: N pictures, C channels, H W rows and columns, M blocks of eight by eight.
"""

import math
from typing import Final

import torch
from torch.nn import functional

from training.colour import coloured
from training.constants import constant

_LUMA: Final = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA: Final = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)
"""Steps of the quantisation at quality 50 by frequency, row by row: tables K.1 and K.2 of
ITU-T T.81 (1992), annex K."""

_TO_YCC: Final = (
    (255 * 0.299, 255 * 0.587, 255 * 0.114),
    (255 * -0.168735892, 255 * -0.331264108, 255 * 0.5),
    (255 * 0.5, 255 * -0.418687589, 255 * -0.081312411),
)
_TO_RGB: Final = ((0.0, 1.402), (-0.344136286, -0.714136286), (1.772, 0.0))
"""RGB of 0..1 to luma and chroma of 255 levels, and what chroma adds to luma to make RGB: JFIF
1.02 (Hamilton, 1992)."""


def _cosines() -> tuple[tuple[float, ...], ...]:
    """(8, 8) the orthonormal cosine transform: a row a frequency."""
    return tuple(
        tuple(
            (0.5 if f else 8**-0.5) * math.cos(math.pi / 16 * f * (2 * at + 1)) for at in range(8)
        )
        for f in range(8)
    )


_COSINES: Final = _cosines()


def compress(image_NCHW: torch.Tensor, quality_N: torch.Tensor) -> torch.Tensor:
    """What is left of pictures after JPEG.

    Rounds where a codec does, but for the averaged chroma and within the cosine transforms: from
    libjpeg it differs by half of one of 255 levels on average.

    Args:
        image_NCHW: (N, 3, H, W) float32 RGB, 0..1.
        quality_N: (N,) 1 to 100, as libjpeg scales its tables.

    Returns:
        (N, 3, H, W) float32, 0..1, of whole levels of 255.

    Source:
        ITU-T T.81 (1992); chroma is interpolated as libjpeg does by default.

    >>> grey = torch.full((1, 3, 20, 20), 0.5)
    >>> bool(torch.allclose(compress(grey, torch.tensor([75])), grey, atol=0.003))
    True
    """
    height, width = image_NCHW.shape[-2:]
    ycc = coloured(_padded(image_NCHW), constant(_TO_YCC, image_NCHW)).round_()
    luma = _quantised(ycc[:, :1] - 128.0, _steps(_LUMA, quality_N)).add_(128.0)
    chroma = _upsampled(_quantised(_halved(ycc[:, 1:]), _steps(_CHROMA, quality_N)))
    rgb = coloured(chroma, constant(_TO_RGB, chroma), luma).round_()
    return rgb.clamp_(0.0, 255.0).mul_(1.0 / 255.0)[..., :height, :width]


def _padded(image_NCHW: torch.Tensor) -> torch.Tensor:
    """Last row and column repeated up to whole blocks of chroma."""
    height, width = image_NCHW.shape[-2:]
    if height % 16 == 0 and width % 16 == 0:
        return image_NCHW
    return functional.pad(image_NCHW, (0, -width % 16, 0, -height % 16), mode="replicate")


def _steps(table: tuple[int, ...], quality_N: torch.Tensor) -> torch.Tensor:
    """(N, 1, 1, 8, 8) the steps at each quality, scaled as by libjpeg's jpeg_set_quality."""
    quality_N1 = quality_N.float().round().clamp(1.0, 100.0)[:, None]
    percent_N1 = torch.where(quality_N1 < 50.0, 5000.0 / quality_N1, 200.0 - 2.0 * quality_N1)
    step_N64 = (
        ((constant(table, quality_N) * percent_N1.floor() + 50.0) / 100.0).floor().clamp(1.0, 255.0)
    )
    return step_N64.view(-1, 1, 1, 8, 8)


def _quantised(plane_NCHW: torch.Tensor, step_N1188: torch.Tensor) -> torch.Tensor:
    """Planes about zero, each block of eight by eight in whole steps of its cosine transform.

    Blocks stay where they are in the plane: eight rows are transformed as one product, and any
    eight neighbours in a row as another.
    """
    count, channels, height, width = plane_NCHW.shape
    cosines_88 = constant(_COSINES, plane_NCHW)
    step_N118W = step_N1188.repeat(1, 1, 1, 1, width // 8)
    blocks = plane_NCHW.view(count, channels, height // 8, 8, width)
    waves = _along_rows(cosines_88 @ blocks, cosines_88.mT)
    waves.mul_(1.0 / step_N118W).round_().mul_(step_N118W)
    kept = cosines_88.mT @ _along_rows(waves, cosines_88)
    return kept.view(count, channels, height, width).round_().clamp_(-128.0, 127.0)


def _along_rows(blocks: torch.Tensor, matrix_88: torch.Tensor) -> torch.Tensor:
    return (blocks.view(-1, 8) @ matrix_88).view(blocks.shape)


def _halved(chroma_NCHW: torch.Tensor) -> torch.Tensor:
    """The mean of each two by two pixels."""
    rows = chroma_NCHW[..., ::2, :] + chroma_NCHW[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)


def _upsampled(chroma_NCHW: torch.Tensor) -> torch.Tensor:
    """Twice the size, each new pixel three parts of the nearest and one of the next."""
    return functional.interpolate(
        chroma_NCHW, scale_factor=2.0, mode="bilinear", align_corners=False
    )
