"""Other expressions of a photographed face: lids, lips and brows moved, pixels and points together.

An expression is a map from pixels of the new picture to pixels of the old one. Lids and lips move
along the height of their own eye or mouth, column by column and linearly between the lines that
they bound, so that a lid can come down to the other without folding the picture. Corners of the
mouth and brows move by smooth bumps on top of that. Photographs with marked points rarely blink or
speak; frames of videos do.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.landmarkers import ibug68

Array = npt.NDArray[np.float32]

_EYES: Final = (
    # corner, corner, upper lid, lower lid, brow
    (36, 39, (36, 37, 38, 39), (36, 41, 40, 39), (17, 18, 19, 20, 21)),
    (42, 45, (42, 43, 44, 45), (42, 47, 46, 45), (22, 23, 24, 25, 26)),
)
_UPPER_OUTER: Final = (48, 49, 50, 51, 52, 53, 54)
_UPPER_INNER: Final = (60, 61, 62, 63, 64)
_LOWER_INNER: Final = (60, 67, 66, 65, 64)
_LOWER_OUTER: Final = (48, 59, 58, 57, 56, 55, 54)
_CHIN: Final = (5, 6, 7, 8, 9, 10, 11)
_INNER_LIPS: Final = slice(60, 68)
_BUMP_GRID_PX: Final = 8
_LEAST_PX: Final = 0.05


@dataclass(frozen=True)
class _Columns:
    """Lines across an eye or mouth that move along its height.

    `before` and `after` are heights over the same knots along the axis, one pair a line, from the
    topmost line, which does not move, to the lowest, which does not move either.
    """

    centre_xy: Array
    axes: Array
    half_px: float
    reach: float
    knots: list[Array]
    before: list[Array]
    after: list[Array]

    def pull(self, pixel_xy: Array) -> None:
        """Replace places of the new picture, (..., 2), by those of the old one they show."""
        limits = self.half_px * self.reach
        top, bottom = float(self.after[0].min()), float(self.after[-1].max())
        pixel_xy = self._around(pixel_xy, limits, top, bottom)
        local = (pixel_xy - self.centre_xy) @ self.axes.T
        along, height = local[..., 0], local[..., 1]
        near = (np.abs(along) < limits) & (height > top) & (height < bottom)
        if not near.any():
            return
        u, v = along[near], height[near]
        lines = [
            (np.interp(u, x, a), np.interp(u, x, b))
            for x, b, a in zip(self.knots, self.before, self.after, strict=True)
        ]
        moved = np.zeros_like(v)
        for (after, before), (next_after, next_before) in pairwise(lines):
            share = np.clip((v - after) / np.maximum(next_after - after, _LEAST_PX), 0.0, 1.0)
            moved += share * ((next_before - next_after) - (before - after))
        fade = np.clip((limits - np.abs(u)) / (limits - self.half_px + 1e-6), 0.0, 1.0)
        pixel_xy[near] += (moved * fade)[:, None].astype(np.float32) * self.axes[1]

    def _around(self, pixel_xy: Array, limit: float, top: float, bottom: float) -> Array:
        """The part of the picture that the lines can reach, as a view."""
        corners = np.array([[u, v] for u in (-limit, limit) for v in (top, bottom)])
        corner_xy = corners @ self.axes + self.centre_xy
        spare = _BUMP_GRID_PX  # the bumps have moved the places already
        low, high = corner_xy.min(axis=0) - spare, corner_xy.max(axis=0) + spare
        left, upper = np.maximum(low, 0).astype(int)
        right, lower = np.maximum(high, 0).astype(int) + 1
        return pixel_xy[upper:lower, left:right]


@dataclass(frozen=True)
class _Bump:
    """A smooth push: places near `centre_xy` of the new picture come from `-push_xy` away."""

    centre_xy: Array
    push_xy: Array
    sigma_px: float

    def at(self, pixel_xy: Array) -> Array:
        away = ((pixel_xy - self.centre_xy) ** 2).sum(-1)
        weight = np.exp(away * np.float32(-0.5 / self.sigma_px**2))
        return np.asarray(weight[..., None] * self.push_xy, np.float32)


@dataclass(frozen=True)
class Expression:
    """A changed expression of one face.

    Args:
        points_xy: (68, 2) float32, pixels: the points of the new picture.
        columns: the moves of lids and lips.
        bumps: the smooth moves on top of them.
        opened: whether a closed mouth was opened, so that its inside has to be painted.
    """

    points_xy: Array
    columns: tuple[_Columns, ...]
    bumps: tuple[_Bump, ...]
    opened: bool

    def source(self, side_px: int) -> Array:
        """(side, side, 2) float32: for each pixel of the new picture, its place in the old one."""
        pixel_xy = np.stack(np.meshgrid(*[np.arange(side_px, dtype=np.float32)] * 2), axis=-1)
        if self.bumps:
            pixel_xy -= self._pushes(side_px)
        for part in self.columns:
            part.pull(pixel_xy)
        return pixel_xy

    def _pushes(self, side_px: int) -> Array:
        """The bumps on a coarse grid, enlarged: they are smooth."""
        import cv2

        cells = -(-side_px // _BUMP_GRID_PX)
        step = side_px / cells
        centre = (np.arange(cells, dtype=np.float32) + 0.5) * np.float32(step) - np.float32(0.5)
        coarse = _pushed(self.bumps, np.stack(np.meshgrid(centre, centre), axis=-1))
        return np.asarray(cv2.resize(coarse, (side_px, side_px)), np.float32)


def draw(points_xy: Array, rng: np.random.Generator) -> Expression:
    """A random expression for a face.

    Args:
        points_xy: (68, 2) float32, pixels, the face about upright.
        rng: where the chance comes from.

    Returns:
        The expression; its points follow its pixels.
    """
    moved = points_xy.copy()
    columns = []
    kind = rng.random()
    closing = rng.choice([0.0, 0.1, 0.3, 0.6, 1.25], p=[0.35, 0.2, 0.15, 0.15, 0.15])
    for eye in _EYES:
        if kind < 0.55:
            one = float(np.clip(closing + rng.normal(0, 0.06), 0.0, 1.3))
            columns.append(_eye(points_xy, moved, eye, one))
        if kind < 0.05:  # a wink
            break
    opened = False
    if rng.random() < 0.6:
        mouth, opened = _mouth(points_xy, moved, rng)
        columns.append(mouth)
    bumps = _bumps(moved, rng) if rng.random() < 0.6 else ()
    places = moved.copy()
    for _ in range(6):  # a bump is known by where it ends; the fixed point is where a point ends
        places = moved + _pushed(bumps, places)
    return Expression(places, tuple(columns), bumps, opened)


def paint_mouth(
    image_HWC: npt.NDArray[np.uint8], points_xy: Array, rng: np.random.Generator
) -> None:
    """Paint the inside of an opened mouth, dark and at times with teeth, into the picture."""
    import cv2

    inner = points_xy[_INNER_LIPS]
    dark = rng.uniform(15, 90) * np.array([1.0, rng.uniform(0.4, 0.9), rng.uniform(0.4, 0.9)])
    cv2.fillPoly(image_HWC, [_fixed(inner)], dark.tolist(), cv2.LINE_AA, shift=4)
    if rng.random() < 0.5:
        upper, lower = inner[:5], inner[[0, 7, 6, 5, 4]]
        edge = upper + (lower - upper) * np.float32(rng.uniform(0.2, 0.6))
        teeth = np.concatenate([upper, edge[::-1]])
        white = (rng.uniform(110, 230) * np.array([1.0, 0.96, 0.88])).tolist()
        cv2.fillPoly(image_HWC, [_fixed(teeth)], white, cv2.LINE_AA, shift=4)


def _fixed(polygon_xy: Array) -> npt.NDArray[np.int32]:
    return np.asarray((polygon_xy * 16).round(), np.int32)


def _pushed(bumps: tuple[_Bump, ...], pixel_xy: Array) -> Array:
    return sum((bump.at(pixel_xy) for bump in bumps), start=np.zeros_like(pixel_xy))


def _frame(points_xy: Array, first: int, last: int) -> tuple[Array, Array, float]:
    """Middle, (2, 2) axes along and across, and half the length of the line between two points."""
    chord = points_xy[last] - points_xy[first]
    length = max(float(np.hypot(*chord)), 1.0)
    along = chord / np.float32(length)
    axes = np.array([along, [-along[1], along[0]]], np.float32)
    return (points_xy[first] + points_xy[last]) / 2, axes, length / 2


def _rising(local: Array, indices: tuple[int, ...]) -> tuple[Array, Array]:
    """Knots along and heights of a line, the knots made to rise."""
    knots = np.maximum.accumulate(local[list(indices), 0])
    return knots + np.arange(len(knots), dtype=np.float32) * np.float32(1e-3), local[
        list(indices), 1
    ]


def _eye(
    points_xy: Array,
    moved: Array,
    eye: tuple[int, int, tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    openness: float,
) -> _Columns:
    """The upper lid goes to `openness` of its distance from the lower one; `moved` follows."""
    first, last, upper, lower, brow = eye
    centre_xy, axes, half_px = _frame(points_xy, first, last)
    local = np.asarray((points_xy - centre_xy) @ axes.T, np.float32)
    up_knots, up = _rising(local, upper)
    low_knots, low = _rising(local, lower)
    lifted = low - np.float32(0.15 * max(0.0, 1.0 - openness)) * (
        low - np.interp(low_knots, up_knots, up).astype(np.float32)
    )
    floor = np.interp(up_knots, low_knots, lifted).astype(np.float32)
    lowered = floor + np.float32(openness) * (up - floor)
    brow_knots, brow_line = _rising(local, brow)
    brow_line = np.minimum(brow_line, up.min() - np.float32(0.2 * half_px))
    under = low_knots, np.full_like(low, low.max() + np.float32(0.8 * half_px))
    moved[list(upper)] += (lowered - up)[:, None] * axes[1]
    inner_lower = list(lower[1:-1])
    moved[inner_lower] += (lifted - low)[1:-1, None] * axes[1]
    return _Columns(
        centre_xy,
        axes,
        half_px,
        1.15,
        [brow_knots, up_knots, low_knots, under[0]],
        [brow_line, up, low, under[1]],
        [brow_line, lowered, lifted, under[1]],
    )


def _mouth(points_xy: Array, moved: Array, rng: np.random.Generator) -> tuple[_Columns, bool]:
    """The lips part or close and the chin follows; `moved` follows. Also: was it opened?"""
    centre_xy, axes, half_px = _frame(points_xy, 48, 54)
    local = np.asarray((points_xy - centre_xy) @ axes.T, np.float32)
    lines = [_UPPER_OUTER, _UPPER_INNER, _LOWER_INNER, _LOWER_OUTER, _CHIN]
    knots, before = map(list, zip(*[_rising(local, line) for line in lines], strict=True))
    gap = float(local[66, 1] - local[62, 1])
    if gap > 0.12 * half_px and rng.random() < 0.6:
        change = (rng.choice([0.0, rng.uniform(0.0, 1.0)]) - 1.0) * gap
    else:
        change = rng.uniform(0.05, 0.9) * half_px * rng.choice([0.4, 1.0])
    opened = change > 0.0 and gap < 0.12 * half_px
    share_up = rng.uniform(0.1, 0.4)  # how much of the change the upper lip takes
    bow = [_bow(k) for k in knots]
    down = np.float32((1 - share_up) * change)
    jaw = np.float32(rng.uniform(0.6, 1.0)) * down
    if change < 0:  # each column closes by its own gap
        own = (np.interp(knots[1], knots[2], before[2]) - before[1]).astype(np.float32)
        shift_up = own * np.float32(share_up * -change / gap)
        own_low = (before[2] - np.interp(knots[2], knots[1], before[1])).astype(np.float32)
        shift_down = own_low * np.float32((1 - share_up) * change / gap)
    else:
        shift_up = bow[1] * np.float32(-share_up * change)
        shift_down = bow[2] * down
    shifts = [
        bow[0] * np.float32(-share_up * change),
        shift_up,
        shift_down,
        bow[3] * down,
        np.full_like(knots[4], jaw),
    ]
    nose = np.full_like(before[0], min(float(local[33, 1]), float(before[0].min()) - 1.0))
    under = np.full_like(before[4], before[4].max() + abs(float(jaw)) + np.float32(0.8 * half_px))
    for line, shift in zip(lines, shifts, strict=True):
        fade = np.clip((1.9 * half_px - np.abs(local[list(line), 0])) / (0.9 * half_px), 0, 1)
        inner = slice(1, -1) if line in (_UPPER_OUTER, _LOWER_OUTER, _LOWER_INNER) else slice(None)
        move = (shift * fade).astype(np.float32)[inner]
        moved[list(line)[inner]] += move[:, None] * axes[1]
    columns = _Columns(
        centre_xy,
        axes,
        half_px,
        1.9,
        [knots[0], *knots, knots[4]],
        [nose, *before, under],
        [nose, *[b + s for b, s in zip(before, shifts, strict=True)], under],
    )
    return columns, opened


def _bow(knots: Array) -> Array:
    """1 in the middle of a line, 0 at its ends."""
    middle, half = (knots[0] + knots[-1]) / 2, max(float(knots[-1] - knots[0]) / 2, 1e-3)
    return np.asarray(np.clip(1 - ((knots - middle) / half) ** 2, 0, 1), np.float32)


def _bumps(points_xy: Array, rng: np.random.Generator) -> tuple[_Bump, ...]:
    """Pushes of the corners of the mouth and of the brows, much the same on both sides."""
    left, right = ibug68.OUTER_CORNERS
    eyes_px = float(np.hypot(*(points_xy[right] - points_xy[left])))
    out, up = rng.normal(0, 0.05) * eyes_px, rng.normal(0, 0.05) * eyes_px
    bumps = []
    for corner, side in ((48, -1.0), (54, 1.0)):
        push = np.array([side * out, -up], np.float32) + rng.normal(0, 0.01, 2) * eyes_px
        bumps.append(_Bump(points_xy[corner], push.astype(np.float32), 0.14 * eyes_px))
    raised, knit = rng.normal(0.01, 0.04) * eyes_px, rng.normal(0, 0.025) * eyes_px
    for brow, side in ((19, 1.0), (24, -1.0)):
        push = np.array([side * knit, -raised], np.float32) + rng.normal(0, 0.008, 2) * eyes_px
        bumps.append(_Bump(points_xy[brow], push.astype(np.float32), 0.16 * eyes_px))
    return tuple(bumps)
