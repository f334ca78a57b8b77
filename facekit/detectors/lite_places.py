"""What the numbers of the embedded detector mean: places on three grids, and what each says.

Shape suffixes: P place (a cell of one of the grids), K some of them, F the 15 numbers of a place:
the logit of its score, four distances to the edges of a box, x and y of five points.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

STRIDES: Final = (8, 16, 32)
"""Pixels between neighbouring places of the three grids."""

BOX_UNIT: Final = 2.0
"""Strides to the edge of a box for a number of 0: distances are exponentials."""

LARGEST_LOG: Final = 4.0
"""A larger number counts as this."""

POINT_UNIT: Final = 4.0
"""Strides to a point for a number of 1."""

Float32Array = npt.NDArray[np.float32]


@lru_cache(maxsize=64)
def grids(height: int, width: int) -> tuple[Float32Array, Float32Array]:
    """Where the places of an image lie, finest grid first, row by row; and their strides.

    Args:
        height: of the image, pixels.
        width: likewise.

    Returns:
        (P, 2) float32 x and y, pixels; (P, 1) float32 stride.

    >>> grids(8, 16)[0].tolist()
    [[0.0, 0.0], [8.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    at, strides = [], []
    for stride in STRIDES:
        row, column = np.mgrid[: -(-height // stride), : -(-width // stride)]
        at.append(np.stack([column.ravel(), row.ravel()], axis=1) * stride)
        strides.append(np.full((row.size, 1), stride))
    return np.concatenate(at).astype(np.float32), np.concatenate(strides).astype(np.float32)


def boxes_and_points(
    row_KF: Float32Array, at_K2: Float32Array, stride_K1: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """What some places say.

    Args:
        row_KF: (K, 15) float32, of the network.
        at_K2: (K, 2) float32, where they lie.
        stride_K1: (K, 1) float32.

    Returns:
        (K, 4) float32 boxes, xyxy; (K, 5, 2) float32 points; pixels of the image.
    """
    reach_K4 = np.exp(np.minimum(row_KF[:, 1:5], np.float32(LARGEST_LOG)))
    reach_K4 *= np.float32(BOX_UNIT) * stride_K1
    box_K4 = np.hstack([at_K2 - reach_K4[:, :2], at_K2 + reach_K4[:, 2:]])
    shift_K52 = row_KF[:, 5:].reshape(-1, 5, 2) * (np.float32(POINT_UNIT) * stride_K1[:, None])
    return box_K4, at_K2[:, None] + shift_K52
