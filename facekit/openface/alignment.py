"""A face cut out of its frame as OpenFace does: upright, 112 px, always at the same scale.

The pixels are blended here and not by OpenCV, whose versions round differently: places to 1/32 px,
weights in whole 1/1024, halves up. That is what OpenCV 2 to 4 do, on which OpenFace was built.

Tensor names end in their axes: N faces, P points, Q the pixels of a crop, T the four taps of each.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from facekit.openface.point_distribution import Fit, PointModel

SIDE_PX: Final = 112
PX_PER_MM: Final = 0.7
"""Scale of the crop: the mean face is 101 px wide in it."""

STEADY_POINTS: Final = (
    *(1, 2, 3, 4, 12, 13, 14, 15),
    *(27, 28, 29, 31, 32, 33, 34, 35),
    *(36, 39, 40, 41, 42, 45, 46, 47),
)
"""Points that move little with expression: what the crop is turned and scaled by."""

_STEP_BITS: Final = 5
_STEPS: Final = 1 << _STEP_BITS
"""Places from one pixel to the next."""

_FINE_STEPS: Final = 1 << 10
"""Places from one pixel to the next to which the two parts of a place are rounded at first."""

_FARTHEST: Final = 1 << 28
"""Bounds a place, so that the sum of two of them fits 32 bits."""


def crop_affine(points_NP2: torch.Tensor, fitted: Fit, model: PointModel) -> torch.Tensor:
    """The similarity that lays a face's steady points on those of the mean face.

    Its rotation and scale come from the points; the fitted model's middle goes to the crop's.

    Args:
        points_NP2: float64, frame pixels.
        fitted: where the model stands.
        model: the 68-point model.

    Returns:
        (N, 2, 3) float64, frame pixel to crop pixel; not finite where the points are all one.

    Source: Kabsch, Acta Crystallographica A32, 1976, with scale; in two dimensions the angle is
    that of the sums of dot and of cross products.
    """
    steady = list(STEADY_POINTS)
    x_NP, y_NP = _centred(points_NP2[:, steady])
    to_x_1P, to_y_1P = _centred(PX_PER_MM * model.mean_3P[:2, steady].T[None])
    dot_N = _row_sum(x_NP * to_x_1P + y_NP * to_y_1P)
    cross_N = _row_sum(x_NP * to_y_1P - y_NP * to_x_1P)
    square_N = _row_sum(x_NP * x_NP + y_NP * y_NP)
    to_square_1 = _row_sum(to_x_1P * to_x_1P + to_y_1P * to_y_1P)
    length_N = (dot_N * dot_N + cross_N * cross_N).sqrt()
    scale_N = (to_square_1 / square_N).sqrt() / length_N
    cos_N, sin_N = dot_N * scale_N, cross_N * scale_N
    shift_x_N, shift_y_N = fitted.shift_N2.unbind(dim=1)
    half = SIDE_PX / 2
    rows = [
        *(cos_N, -sin_N, half - (cos_N * shift_x_N - sin_N * shift_y_N)),
        *(sin_N, cos_N, half - (sin_N * shift_x_N + cos_N * shift_y_N)),
    ]
    return torch.stack(rows, dim=1).reshape(-1, 2, 3)


def cut(images: Sequence[npt.NDArray[np.uint8]], affine_N23: torch.Tensor) -> torch.Tensor:
    """Cut crops out of frames; beyond a frame's edge everything is 0.

    Args:
        images: N frames, (H, W, 3) uint8.
        affine_N23: float64, frame pixel to crop pixel, finite and of full rank.

    Returns:
        (N, 3, 112, 112) int16, 0..255, colours in the frames' order, on the affine's device.
    """
    place_N2Q = _places(affine_N23)
    whole_N2Q, part_N2Q = place_N2Q >> _STEP_BITS, (place_N2Q & (_STEPS - 1)).to(torch.int16)
    taps_NC4Q = torch.stack(
        [_taps(image, xy_2Q) for image, xy_2Q in zip(images, whole_N2Q, strict=True)]
    ).to(torch.int16)
    right_N1Q, down_N1Q = part_N2Q[:, :1], part_N2Q[:, 1:]
    left_N1Q = _STEPS - right_N1Q
    down_N1Q = down_N1Q.float()
    up_N1Q = _STEPS - down_N1Q
    upper_NCQ = taps_NC4Q[:, :, 0] * left_N1Q + taps_NC4Q[:, :, 1] * right_N1Q
    lower_NCQ = taps_NC4Q[:, :, 2] * left_N1Q + taps_NC4Q[:, :, 3] * right_N1Q
    # whole numbers below 2^24, so float32 is exact
    blended_NCQ = upper_NCQ.float() * up_N1Q + lower_NCQ.float() * down_N1Q
    rounded_NCQ = (blended_NCQ * (1.0 / _STEPS**2) + 0.5).to(torch.int16)
    return rounded_NCQ.reshape(len(images), -1, SIDE_PX, SIDE_PX)


def _centred(points_NP2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x_NP, y_NP = points_NP2.unbind(dim=2)
    count = points_NP2.shape[1]
    return x_NP - _row_sum(x_NP)[:, None] / count, y_NP - _row_sum(y_NP)[:, None] / count


def _row_sum(values_NP: torch.Tensor) -> torch.Tensor:
    """Sums in an order that does not hang on how many rows there are."""
    total_N = values_NP[:, 0]
    for column in values_NP.unbind(dim=1)[1:]:
        total_N = total_N + column
    return total_N


def _places(affine_N23: torch.Tensor) -> torch.Tensor:
    """(N, 2, Q) int32: x and y in the frame of each pixel of the crop, in 1/32 px."""
    a, b, c, d, e, f = affine_N23.flatten(1).unbind(dim=1)
    over_N = 1.0 / (a * e - b * d)
    back_N23 = torch.stack(
        [
            *(e * over_N, -b * over_N, (b * f - e * c) * over_N),
            *(-d * over_N, a * over_N, (d * c - a * f) * over_N),
        ],
        dim=1,
    ).reshape(-1, 2, 3)
    step = torch.arange(SIDE_PX, dtype=affine_N23.dtype, device=affine_N23.device)
    by_x_N2W = back_N23[:, :, 0, None] * step
    by_y_N2H = back_N23[:, :, 1, None] * step + back_N23[:, :, 2, None]
    by_x_N2W, by_y_N2H = (
        (by * _FINE_STEPS).round().clamp(-_FARTHEST, _FARTHEST).to(torch.int32)
        for by in (by_x_N2W, by_y_N2H)
    )
    finer = _FINE_STEPS // _STEPS
    place_N2HW = (by_y_N2H[:, :, :, None] + finer // 2) + by_x_N2W[:, :, None, :]
    return (place_N2HW >> finer.bit_length() - 1).flatten(2)


def _taps(image_HWC: npt.NDArray[np.uint8], xy_2Q: torch.Tensor) -> torch.Tensor:
    """(3, 4, Q) uint8: the pixel at each place, its right, its lower, its lower right neighbour.

    Only the part of the frame that is needed is touched.
    """
    height, width = image_HWC.shape[:2]
    (left, right), (top, bottom) = torch.stack(xy_2Q.aminmax(dim=1), dim=1).tolist()
    # one pixel of nothing on each side of the frame stands for all that lies beyond it
    left, top = max(left, -1), max(top, -1)
    right, bottom = min(right + 1, width), min(bottom + 1, height)
    if right < left or bottom < top:
        return xy_2Q.new_zeros(3, 4, xy_2Q.shape[1], dtype=torch.uint8)
    high, wide = bottom - top + 1, right - left + 1
    patch_HWC = np.zeros((high, wide, 3), np.uint8)
    seen_HWC = image_HWC[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
    y, x = max(-top, 0), max(-left, 0)
    patch_HWC[y : y + seen_HWC.shape[0], x : x + seen_HWC.shape[1]] = seen_HWC
    values_I = torch.from_numpy(patch_HWC).to(xy_2Q.device).flatten()
    x_Q, y_Q = xy_2Q[0] - left, xy_2Q[1] - top
    columns = [3 * x_Q.clamp(0, wide - 1), 3 * (x_Q + 1).clamp(0, wide - 1)]
    rows = [3 * wide * y_Q.clamp(0, high - 1), 3 * wide * (y_Q + 1).clamp(0, high - 1)]
    index_I = torch.cat([row + column for row in rows for column in columns])
    colours = [values_I[colour:].index_select(0, index_I) for colour in range(3)]
    return torch.stack(colours).reshape(3, 4, -1)
