"""What a landmarker looks at: a square of the frame, drawn as the crop that its network takes."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from facekit import crops
from facekit.faces import Face
from facekit.landmarkers.ibug68 import POINTS

FloatArray = npt.NDArray[np.float32]


def upright_axes(roll_rad: float) -> npt.NDArray[np.float64]:
    """Directions in the frame that are right and down to a face turned by so much.

    Args:
        roll_rad: radians; positive where the image-right eye is lower.

    Returns:
        (2, 2) float64, one direction a row: `upright_xy = axes @ frame_xy`.

    >>> upright_axes(0.0)
    array([[1., 0.],
           [0., 1.]])
    """
    cosine, sine = math.cos(roll_rad), math.sin(roll_rad)
    return np.array([[cosine, sine], [-sine, cosine]]) + 0.0  # -0.0 becomes 0.0


def square_affine(
    centre_xy: npt.ArrayLike, side_px: float, crop_px: int, *, roll_rad: float = 0.0
) -> FloatArray:
    """Where a square of the frame goes in its crop.

    Unlike `facekit.crops.square_affine` it moves with its face by fractions of a pixel.

    Args:
        centre_xy: (2,) frame pixels.
        side_px: side of the square, frame pixels.
        crop_px: side of the crop, crop pixels.
        roll_rad: by how much the square is turned, see `upright_axes`.

    Returns:
        (2, 3) float32, frame pixel to crop pixel; NaN where there is no such square.

    >>> square_affine([27.5, 27.5], 56.0, 112)
    array([[2. , 0. , 0.5],
           [0. , 2. , 0.5]], dtype=float32)
    """
    if not (np.isfinite(centre_xy).all() and 0.0 < side_px < math.inf):
        return np.full((2, 3), np.nan, np.float32)
    turned = upright_axes(roll_rad) * (crop_px / side_px)
    shift = (crop_px - 1) / 2.0 - turned @ np.asarray(centre_xy, np.float64)
    return np.column_stack([turned, shift]).astype(np.float32)


def look(
    faces: Sequence[Face],
    affines: Sequence[FloatArray],
    points_of: Callable[[FloatArray], FloatArray],
    *,
    crop_px: int,
    at_once: int,
) -> FloatArray:
    """Cut a crop of each face, ask a network for its points, bring them back to the frame.

    Args:
        faces: N faces.
        affines: (2, 3) frame pixel to crop pixel, one a face; NaN leaves the face out.
        points_of: the network: (B, 3, H, W) float32 RGB in 0..1 to (B, 68, 2) crop pixels.
        crop_px: side of the crops.
        at_once: at most so many crops a call of the network.

    Returns:
        (N, 68, 2) float32, frame pixels; NaN for a face left out.

    >>> look([], [], lambda img_NCHW: img_NCHW, crop_px=112, at_once=1).shape
    (0, 68, 2)
    """
    points_xy = np.full((len(faces), POINTS, 2), np.nan, np.float32)
    seen = [i for i, affine in enumerate(affines) if np.isfinite(affine).all()]
    for start in range(0, len(seen), at_once):
        some = seen[start : start + at_once]
        cut = [crops.cut(faces[i].image_HWC, affines[i], crop_px) for i in some]
        img_NCHW = np.stack(cut).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        affine_N23 = np.stack([affines[i] for i in some])
        points_xy[some] = crops.to_frame(points_of(np.ascontiguousarray(img_NCHW)), affine_N23)
    return points_xy
