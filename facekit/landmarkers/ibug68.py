"""The 68 points of iBUG 300-W: which is which, and what becomes of them in a mirror.

Left and right are the image's: the jaw runs from 0 at the image-left ear to 16.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

POINTS: Final = 68
"""Points of a face."""

LEFT_EYE: Final = slice(36, 42)
"""Contour of the image-left eye, from its outer corner over the upper lid."""

RIGHT_EYE: Final = slice(42, 48)
"""Contour of the image-right eye, from its inner corner over the upper lid."""

OUTER_CORNERS: Final = (36, 45)
"""Outer corners of the two eyes; their distance is what errors are divided by (300-W)."""

SWAP: Final = (
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31),  # bridge of the nose
    *range(35, 30, -1),  # nostrils
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lips
    *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lips
)
"""Point of the mirrored face that becomes each point. Its own inverse."""


def mirrored(points_xy: npt.NDArray[np.float32], width_px: int) -> npt.NDArray[np.float32]:
    """The points of the same face in the mirrored image, in their own order again.

    Args:
        points_xy: (..., 68, 2) float32, pixels of an image.
        width_px: width of the image.

    Returns:
        (..., 68, 2) float32, pixels of the image mirrored left to right.

    >>> points = np.zeros((68, 2), np.float32)
    >>> mirrored(points, 112)[8].tolist()
    [111.0, 0.0]
    """
    swapped = points_xy[..., SWAP, :]
    return np.stack([np.float32(width_px - 1) - swapped[..., 0], swapped[..., 1]], axis=-1)


def roll_rad(points_xy: npt.NDArray[np.floating]) -> float:
    """How far a face is turned in the image: the angle of the line through its eyes.

    Args:
        points_xy: (68, 2) pixels.

    Returns:
        Radians, -pi to pi; positive where the image-right eye is lower.

    >>> points = np.zeros((68, 2))
    >>> points[RIGHT_EYE] = 1.0
    >>> round(math.degrees(roll_rad(points)))
    45
    """
    x, y = points_xy[RIGHT_EYE].mean(axis=0) - points_xy[LEFT_EYE].mean(axis=0)
    return math.atan2(y, x)
