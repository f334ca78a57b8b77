"""What the embedded AU engine looks at: where the points of a face are, pose and asymmetry aside.

A face and its mirror image have the same measures: a lip corner that a landmarker has put too high
on one side is more often noise than news, and none of the labels names a side.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.landmarkers.ibug68 import SWAP
from facekit.point_model import PointModel

MAX_TURN_RAD: Final = math.radians(55)
"""A face that looks further past the camera has no measures: half of its points are guesses."""

MAX_ERROR: Final = 0.08
"""Nor has a face whose points are further than this, in outer-eye distances, from any that the
point model can take: it is none, or its landmarks are lost."""

_LEFT: Final = [point for point, twin in enumerate(SWAP) if point < twin]
_RIGHT: Final = [SWAP[point] for point in _LEFT]
_MIDDLE: Final = [point for point, twin in enumerate(SWAP) if point == twin]

NAMES: Final = (
    *(f"out_{point}" for point in _LEFT),
    *(f"down_{point}" for point in (*_LEFT, *_MIDDLE)),
)
"""The measures, in order: how far a point and its twin are out from the midline, on average, and
how far down; of the points on the midline only how far down. 68 of them, as it happens."""


def symmetric(upright_xy: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """The measures of upright faces.

    Args:
        upright_xy: (N, 68, 2), units of the point model.

    Returns:
        (N, M) float32, in order of `NAMES`, units of the point model; NaN for points that are.

    >>> points = np.zeros((1, 68, 2))
    >>> points[0, 48], points[0, 54] = (-0.3, 0.8), (0.3, 0.9)
    >>> found = symmetric(points)[0]
    >>> found[NAMES.index("out_48")], found[NAMES.index("down_48")]
    (np.float32(0.3), np.float32(0.85))
    """
    left, right = upright_xy[:, _LEFT], upright_xy[:, _RIGHT]
    out = (right[..., 0] - left[..., 0]) / 2
    down = (right[..., 1] + left[..., 1]) / 2
    found = np.concatenate([out, down, upright_xy[:, _MIDDLE, 1]], axis=1)
    return found.astype(np.float32)


def measures(model: PointModel, points_xy: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """The measures of faces in an image.

    Args:
        model: takes the pose away.
        points_xy: (N, 68, 2) pixels, iBUG order; NaN where unknown.

    Returns:
        (N, M) float32, in order of `NAMES`, units of the point model; NaN throughout for a face
        without points, turned further than `MAX_TURN_RAD` or fitted worse than `MAX_ERROR`.
    """
    fits = model.fit(points_xy)
    towards = fits.rotation[:, 2, 2]  # cosine of the turn; NaN compares false
    usable = (towards >= math.cos(MAX_TURN_RAD)) & (fits.error <= MAX_ERROR)
    found = symmetric(fits.upright_xy)
    found[~usable] = np.nan
    return found
