"""68 points to 24 ellipses to 15 masks: where on a face each action unit shows.

Ellipses are what is measured and stored; masks are drawn from them at any size. Which ellipse
stands where is the table in `facekit.au_regions`.

Letters: N faces, E the 24 ellipses, K the 15 action units, S side of a mask.
"""

import math
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from facekit import schema
from facekit.au_regions import PROFILES, REGIONS, Profile, Region
from facekit.errors import BadInput

if TYPE_CHECKING:
    import torch

_Float32 = npt.NDArray[np.float32]
_Float64 = npt.NDArray[np.float64]


MASK_AUS: Final = tuple(region.au for region in REGIONS)
"""The action unit of each mask: 1, 2, 4, 6, 7, 9, 10, 12, 14, 15, 17, 23, 24, 25, 26."""

MASK_NAMES: Final = tuple(region.name for region in REGIONS)
"""The name of each mask's action unit."""

ELLIPSE_AU: Final = tuple(region.au for region in REGIONS for _ in region.points)
"""The action unit of each ellipse; of two, the image-left one comes first."""

D_RANGE: Final = (0.40, 0.65)
"""Between these times the distance of the eye centres d is kept: a face turned away hides one
inner eye corner behind the nose."""

BLUR_PX_AT_224: Final = 3.0
"""Standard deviation of the blur of a mask's edge in a crop of 224 px; it grows with the crop."""

_REACH_SIGMAS: Final = 4.5
"""From here on a mask is below 4e-6 and is not evaluated."""

_CENTRE: Final = 1e-12

_MASK_OF: Final = tuple(MASK_AUS.index(au) for au in ELLIPSE_AU)
_FIRST: Final = tuple(ELLIPSE_AU.index(au) for au in MASK_AUS)
_LAST: Final = tuple(
    first + len(region.points) - 1 for first, region in zip(_FIRST, REGIONS, strict=True)
)


class _Table:
    """A profile as one array a column of the table, so that all faces are done at once."""

    def __init__(self, regions: tuple[Region, ...]) -> None:
        sides = {1: (0.0,), 2: (-1.0, 1.0)}
        rows = [
            (region, points, side)
            for region in regions
            for points, side in zip(region.points, sides[len(region.points)], strict=True)
        ]
        self.mean_EP = np.zeros((len(rows), 68))
        for row, (_, points, _) in enumerate(rows):
            self.mean_EP[row, list(points)] = 1.0 / len(points)
        self.shift_E2 = np.array([(side * region.out, region.down) for region, _, side in rows])
        self.axes_E2 = np.array([(region.a, region.b) for region, *_ in rows])
        self.spread_E1 = np.array([[region.spread * math.sqrt(2.0)] for region, *_ in rows])


_TABLES: Final = {profile: _Table(regions) for profile, regions in PROFILES.items()}


def ellipses(
    points_N682: npt.NDArray[np.floating[Any]], *, profile: Profile = "default"
) -> _Float32:
    """The ellipses of `ELLIPSE_AU` on each face.

    They turn with the line of the eyes and grow with d, the distance of the inner eye corners,
    so that a face moved, turned, scaled or mirrored has its ellipses moved, turned, scaled or
    mirrored.

    Args:
        points_N682: (N, 68, 2) iBUG-68 points in crop pixels.
        profile: `default`, or `jaa`: one region for 12/14/15, for 23/24/25 and for 17/26, as
            JAA-Net draws them.

    Returns:
        (N, 24, 5) float32: cx, cy, a, b in pixels of the points, theta in radians from +x
        towards +y, the direction of a. All zero for a face with a point that is not finite or
        with both eyes in one place.

    Raises:
        BadInput: no such profile, or another shape.

    >>> ellipses(np.full((1, 68, 2), np.nan)).shape
    (1, 24, 5)
    """
    points = np.asarray(points_N682, np.float64)
    if profile not in _TABLES:
        raise BadInput(f"no mask profile is called {profile!r}; there are {', '.join(_TABLES)}")
    if points.ndim != 3 or points.shape[1:] != (68, 2):
        raise BadInput(f"points must be (N, 68, 2), not {points.shape}")
    table = _TABLES[profile]
    with np.errstate(all="ignore"):  # a degenerate face is told by what comes out
        middle_N12 = points[:, 36:48].mean(axis=1, keepdims=True)
        along_N2, across_N2, d_N11 = _axes_of(points)
        # In the face's own axes, from between its eyes, so that the variances lose no digits.
        own_NP2 = (points - middle_N12) @ np.stack([along_N2, across_N2], axis=-1)
        centre_NE2 = table.mean_EP @ own_NP2
        variance_NE2 = table.mean_EP @ own_NP2**2 - centre_NE2**2
        axes_NE2 = np.maximum(
            table.axes_E2 * d_N11, table.spread_E1 * np.sqrt(np.maximum(variance_NE2, 0.0))
        )
        shifted_NE2 = centre_NE2 + table.shift_E2 * d_N11
        place_NE2 = shifted_NE2 @ np.stack([along_N2, across_N2], axis=-2) + middle_N12
        theta_N = np.arctan2(along_N2[:, 1], along_N2[:, 0])
        theta_NE1 = np.broadcast_to(theta_N[:, None, None], (*axes_NE2.shape[:2], 1))
        made = np.concatenate([place_NE2, axes_NE2, theta_NE1], axis=-1).astype(np.float32)
    is_sound_N11 = np.logical_and(
        np.isfinite(points).all(axis=(1, 2), keepdims=True),
        np.isfinite(made).all(axis=(1, 2), keepdims=True),
    )
    return np.where(is_sound_N11, made, np.float32(0.0))


def _axes_of(points_N682: _Float64) -> tuple[_Float64, _Float64, _Float64]:
    """Unit vectors along the eyes and down the face, and d; NaN where the eyes are one."""
    left_N2, right_N2 = points_N682[:, 36:42].mean(axis=1), points_N682[:, 42:48].mean(axis=1)
    between_N1 = np.linalg.norm(right_N2 - left_N2, axis=-1, keepdims=True)
    along_N2 = (right_N2 - left_N2) / between_N1
    across_N2 = np.stack([-along_N2[:, 1], along_N2[:, 0]], axis=-1)
    inner_N1 = np.linalg.norm(points_N682[:, 39] - points_N682[:, 42], axis=-1, keepdims=True)
    least, most = D_RANGE
    d_N1 = np.clip(inner_N1, least * between_N1, most * between_N1)
    return along_N2, across_N2, d_N1[..., None]


def render(
    ellipses_NE5: npt.NDArray[np.floating[Any]],
    *,
    size_px: int = 224,
    side_px: int = schema.MASK_SIDE_PX,
    blur_px: float | None = None,
) -> _Float32:
    """Draw the masks of `MASK_AUS` from their ellipses.

    A pixel's value is that of a straight edge under a Gaussian blur, 0.5 erfc(s / (sqrt(2) blur)),
    at the first-order distance s = (r - 1) / |grad r| from the ellipse r = 1. Of two ellipses of
    one action unit the larger value counts. Computed in double precision, so that the same
    ellipses give the same masks on any machine.

    Args:
        ellipses_NE5: (N, 24, 5) from `ellipses`, crop pixels.
        size_px: side of the crop that the ellipses are in.
        side_px: side of the masks.
        blur_px: standard deviation of the blur in crop pixels; None takes 3 px at 224, scaled.

    Returns:
        (N, 15, side_px, side_px) float32, 0..1.

    Raises:
        BadInput: another shape, or a size or blur that is not positive.

    >>> masks_NKHW = render(np.tile([111.5, 111.5, 84, 42, 0], (1, 24, 1)), side_px=8)
    >>> masks_NKHW[0, 0, 4].round(2) + 0.0
    array([0.  , 0.99, 1.  , 1.  , 1.  , 1.  , 0.99, 0.  ], dtype=float32)
    """
    ellipses_NE5 = np.asarray(ellipses_NE5, np.float64)
    blur_px = _checked_blur_px(ellipses_NE5.shape, size_px, side_px, blur_px)
    masks_NKHW = np.zeros((len(ellipses_NE5), len(REGIONS), side_px, side_px), np.float32)
    for masks_KHW, ellipses_E5 in zip(masks_NKHW, ellipses_NE5, strict=True):
        place, value = _draw(ellipses_E5, size_px / side_px, side_px, blur_px)
        np.maximum.at(masks_KHW.reshape(-1), place, value)
    return masks_NKHW


def render_stored(
    ellipses_NE5: npt.NDArray[np.floating[Any]], *, size_px: int = 224
) -> npt.NDArray[np.uint8]:
    """`quantise(render(...))` at once: what a shard stores, in an eighth of the memory.

    Args:
        ellipses_NE5: (N, 24, 5) from `ellipses`, crop pixels.
        size_px: side of the crop that the ellipses are in.

    Returns:
        (N, 15, 56, 56) uint8, 0..255.

    Raises:
        BadInput: another shape, or a size that is not positive.

    >>> int(render_stored(np.tile([111.5, 111.5, 84, 42, 0], (1, 24, 1)))[0, 0, 28, 28])
    255
    """
    ellipses_NE5 = np.asarray(ellipses_NE5, np.float64)
    side_px = schema.MASK_SIDE_PX
    blur_px = _checked_blur_px(ellipses_NE5.shape, size_px, side_px, None)
    masks_NKHW = np.zeros((len(ellipses_NE5), len(REGIONS), side_px, side_px), np.uint8)
    for masks_KHW, ellipses_E5 in zip(masks_NKHW, ellipses_NE5, strict=True):
        place, value = _draw(ellipses_E5, size_px / side_px, side_px, blur_px)
        np.maximum.at(masks_KHW.reshape(-1), place, quantise(value))
    return masks_NKHW


def _draw(
    ellipses_E5: _Float64, step_px: float, side_px: int, blur_px: float
) -> tuple[npt.NDArray[np.int64], _Float32]:
    """One face: all pixels near any of its ellipses as one flat list, for speed, with values."""
    from scipy.special import erfc

    is_drawn_E = _is_drawn(ellipses_E5, np)
    cx, cy, a, b, theta = ellipses_E5[is_drawn_E].T
    cos, sin = np.cos(theta), np.sin(theta)
    reach_a, reach_b = _reach_px(a, b, blur_px), _reach_px(b, a, blur_px)
    left, width = _span(cx, abs(cos) * reach_a + abs(sin) * reach_b, step_px, side_px)
    top, height = _span(cy, abs(sin) * reach_a + abs(cos) * reach_b, step_px, side_px)

    widths, rows = np.repeat(width, height), np.repeat(top, height) + _count_up(height)
    column = np.repeat(np.repeat(left, height), widths) + _count_up(widths)
    row = np.repeat(rows, widths)
    pixels = width * height
    dx = (column + 0.5) * step_px - 0.5 - np.repeat(cx, pixels)
    dy = (row + 0.5) * step_px - 0.5 - np.repeat(cy, pixels)
    shape = (np.repeat(value, pixels) for value in (a, b, cos, sin))
    value = 0.5 * erfc(_distance_px(dx, dy, *shape) * (math.sqrt(0.5) / blur_px))
    mask = np.repeat(np.array(_MASK_OF)[is_drawn_E], pixels)
    place = (mask * side_px + row) * side_px + column
    return place, value.astype(np.float32)


def _count_up(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, 1, ... up to each count in turn."""
    starts = np.cumsum(counts) - counts
    return np.arange(counts.sum()) - np.repeat(starts, counts)


def render_torch(
    ellipses_NE5: "torch.Tensor",
    *,
    size_px: int = 224,
    side_px: int = schema.MASK_SIDE_PX,
    blur_px: float | None = None,
) -> "torch.Tensor":
    """`render` in torch, on the device and in the dtype of the ellipses; within 1e-5 of it.

    Holds some 24 * side_px**2 values a face at a time, several times over.

    Args:
        ellipses_NE5: (N, 24, 5) float32 from `ellipses`, crop pixels.
        size_px: side of the crop that the ellipses are in.
        side_px: side of the masks.
        blur_px: standard deviation of the blur in crop pixels; None takes 3 px at 224, scaled.

    Returns:
        (N, 15, side_px, side_px), 0..1.

    Raises:
        BadInput: another shape, or a size or blur that is not positive.

    >>> import torch
    >>> render_torch(torch.zeros(2, 24, 5)).shape
    torch.Size([2, 15, 56, 56])
    """
    import torch

    blur_px = _checked_blur_px(ellipses_NE5.shape, size_px, side_px, blur_px)
    step = torch.arange(side_px, device=ellipses_NE5.device, dtype=ellipses_NE5.dtype)
    at_px = (step + 0.5) * (size_px / side_px) - 0.5
    cx, cy, a, b, theta = ellipses_NE5[..., None, None].unbind(2)
    distance_NEHW = _distance_px(
        at_px - cx, at_px[:, None] - cy, a, b, torch.cos(theta), torch.sin(theta)
    )
    value_NEHW = 0.5 * torch.special.erfc(distance_NEHW * (math.sqrt(0.5) / blur_px))
    drawn_NE11 = _is_drawn(ellipses_NE5, torch)[..., None, None]
    value_NEHW = torch.where(drawn_NE11, value_NEHW, 0.0)
    first_K, last_K = _ends(value_NEHW.device)
    return torch.maximum(value_NEHW[:, first_K], value_NEHW[:, last_K])


@lru_cache(maxsize=16)
def _ends(device: "torch.device") -> "tuple[torch.Tensor, torch.Tensor]":
    """`_FIRST` and `_LAST` on a device: sent there with each use, they would be waited for."""
    import torch

    with torch.inference_mode(False):  # a gradient may need them later
        return torch.tensor(_FIRST, device=device), torch.tensor(_LAST, device=device)


def quantise(masks_NKHW: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Masks as they are stored: 0..1 to 0..255, to the nearest, halves up.

    >>> quantise(np.array([0.0, 0.499 / 255, 0.5 / 255, 0.5, 1.0])).tolist()
    [0, 0, 1, 128, 255]
    """
    return np.floor(np.asarray(masks_NKHW, np.float64) * 255.0 + 0.5).astype(np.uint8)


def _checked_blur_px(
    shape: tuple[int, ...], size_px: int, side_px: int, blur_px: float | None
) -> float:
    if len(shape) != 3 or tuple(shape[1:]) != (schema.ELLIPSES, 5):
        raise BadInput(f"ellipses must be (N, {schema.ELLIPSES}, 5), not {tuple(shape)}")
    blur_px = BLUR_PX_AT_224 * size_px / 224.0 if blur_px is None else blur_px
    if not (size_px > 0 and side_px > 0 and blur_px > 0.0):
        raise BadInput(
            f"size, side and blur must be above 0 px, not {size_px}, {side_px} and {blur_px}"
        )
    return blur_px


def _is_drawn(ellipses_NE5: Any, xp: ModuleType) -> Any:
    """(N, E) whether an ellipse is finite and has an area."""
    return xp.isfinite(ellipses_NE5).all(-1) & (ellipses_NE5[..., 2:4] > 0.0).all(-1)


def _distance_px(dx: Any, dy: Any, a: Any, b: Any, cos: Any, sin: Any) -> Any:
    """First-order distance from the ellipse, negative inside; arrays of numpy or torch."""
    p, q = (dx * cos + dy * sin) / a, (dy * cos - dx * sin) / b
    # The centre is 0/0, with limits from -a to -b by direction; what is added makes it -b there
    # and is lost to rounding a thousandth of a pixel on.
    radius = (p * p + q * q + _CENTRE) ** 0.5
    slope = ((p / a) ** 2 + (q / b) ** 2 + _CENTRE / (b * b)) ** 0.5  # times the radius
    return radius * (radius - 1.0) / slope


def _reach_px(along: _Float64, across: _Float64, blur_px: float) -> _Float64:
    """How far along one semi-axis a mask extends.

    The first-order distance is at most the true one, so a long ellipse reaches further than its
    axis and the blur: along + f * _REACH_SIGMAS * blur with f the largest of
    cos(t) * hypot(cos(t), along / across * sin(t)).
    """
    ratio2 = np.maximum((along / across) ** 2, 2.0)
    return along + ratio2 / (2.0 * np.sqrt(ratio2 - 1.0)) * _REACH_SIGMAS * blur_px


def _span(
    centre_px: _Float64, reach_px: _Float64, step_px: float, side_px: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The first and the number of pixels of a mask within reach of a place in the crop."""
    ends = [(centre_px + sign * reach_px + 0.5) / step_px - 0.5 for sign in (-1.0, 1.0)]
    first = np.clip(np.ceil(ends[0]), 0, side_px).astype(np.int64)
    last = np.clip(np.floor(ends[1]), -1, side_px - 1).astype(np.int64)
    return first, np.maximum(last + 1 - first, 0)
