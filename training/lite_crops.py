"""What the landmarker learns from: crops of annotated faces, changed by chance.

A crop is drawn as a video would show the face (some resolution, blur, compression, light,
something in front of it) and then resampled to the network's size as `facekit.crops.cut` does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.landmarkers import ibug68
from facekit.landmarkers.squares import square_affine
from training import lite_expressions

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

_LOG_SHARES: Final = (math.log(0.45), math.log(1.5))
"""Resolutions of faces, as the logarithm of the side they are drawn at over that of the crop."""


@dataclass(frozen=True)
class Portrait:
    """A photograph in memory and the points of a face on it.

    Args:
        image_HWC: (H, W, 3) uint8 RGB.
        points_xy: (68, 2) float32, pixels of the photograph.
    """

    image_HWC: Image
    points_xy: Array


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How far the square of a crop strays from where it should be.

    Args:
        crop_px: side of the crop.
        shift: standard deviation of its centre, in sides of the square.
        scale: standard deviation of the logarithm of its side.
        roll_rad: standard deviation of its roll.
        wild: share of faces that are turned by up to 75 degrees.
    """

    crop_px: int
    shift: float
    scale: float
    roll_rad: float
    wild: float = 0.0


def sample(
    portrait: Portrait,
    affine: Array,
    crop_px: int,
    others: Sequence[Portrait],
    rng: np.random.Generator,
) -> tuple[Image, Array]:
    """One crop and its points.

    Args:
        portrait: the face.
        affine: (2, 3) photograph to crop of `crop_px`, see `strayed`.
        crop_px: side of the crop.
        others: what may get in front of the face.
        rng: where the chance comes from.

    Returns:
        (crop_px, crop_px, 3) uint8 and (68, 2) float32, crop pixels.
    """
    import cv2

    drawn_px = round(crop_px * math.exp(rng.uniform(*_LOG_SHARES)))
    if rng.random() < 0.15:
        drawn_px = 2 * crop_px  # sharper than most videos
    image, points_xy = _draw(portrait, _scaled(affine, crop_px, drawn_px), drawn_px, rng)
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        points_xy = ibug68.mirrored(points_xy, drawn_px)
    image = _light(image, rng)
    if rng.random() < 0.25:
        _occlude(image, others, rng)
    image = _damage(image, rng)
    if drawn_px != crop_px:
        how = cv2.INTER_AREA if drawn_px > crop_px else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (crop_px, crop_px), interpolation=how), np.uint8)
    scale = np.float32(crop_px / drawn_px)
    return image, (points_xy + np.float32(0.5)) * scale - np.float32(0.5)


def strayed(
    centre_xy: npt.ArrayLike,
    side_px: float,
    roll_rad: float,
    framing: Framing,
    rng: np.random.Generator,
) -> Array:
    """(2, 3) photograph to crop, for a square that has strayed by chance."""
    shift_xy = rng.normal(0.0, framing.shift, 2) * side_px
    side_px *= math.exp(rng.normal(0.0, framing.scale))
    roll_rad += rng.normal(0.0, framing.roll_rad)
    if rng.random() < framing.wild:
        roll_rad += rng.uniform(-1.3, 1.3)
    centre = np.asarray(centre_xy, np.float64) + shift_xy
    affine = square_affine(centre, side_px, framing.crop_px, roll_rad=roll_rad)
    stretch = math.exp(rng.normal(0.0, 0.04))
    middle = (framing.crop_px - 1) / 2
    affine[0] *= np.float32(stretch)
    affine[0, 2] += np.float32(middle * (1 - stretch))
    return affine


def _scaled(affine: Array, crop_px: int, drawn_px: int) -> Array:
    scale = drawn_px / crop_px
    scaled = affine.astype(np.float64) * scale
    scaled[:, 2] += (scale - 1) / 2
    return scaled.astype(np.float32)


def _draw(
    portrait: Portrait, affine: Array, drawn_px: int, rng: np.random.Generator
) -> tuple[Image, Array]:
    """The crop with, at times, another expression."""
    import cv2

    points_xy = portrait.points_xy @ affine[:, :2].T + affine[:, 2]
    if rng.random() < 0.5:
        drawn = cv2.warpAffine(
            portrait.image_HWC,
            affine,
            (drawn_px, drawn_px),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(drawn, np.uint8), points_xy
    expression = lite_expressions.draw(points_xy, rng)
    inverse = np.asarray(cv2.invertAffineTransform(affine), np.float32)
    place_xy = expression.source(drawn_px) @ inverse[:, :2].T + inverse[:, 2]
    x_HW, y_HW = cv2.split(place_xy)
    drawn = cv2.remap(
        portrait.image_HWC, x_HW, y_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    image = np.asarray(drawn, np.uint8)
    if expression.opened:
        lite_expressions.paint_mouth(image, expression.points_xy, rng)
    return image, expression.points_xy


def _light(image_HWC: Image, rng: np.random.Generator) -> Image:
    """Gamma, contrast, brightness and the colour of the light; at times grey."""
    import cv2

    if rng.random() < 0.15:
        grey = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2GRAY)
        image_HWC = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    if rng.random() < 0.2:
        return image_HWC
    level = (np.arange(256, dtype=np.float32) / 255.0)[:, None]
    gain = np.exp(rng.normal(0.0, 0.2) + rng.normal(0.0, 0.07, 3))
    curve = level ** math.exp(rng.normal(0.0, 0.3)) * gain + rng.normal(0.0, 0.06)
    table = np.clip(curve * 255.0, 0, 255).astype(np.uint8)[None]
    image = np.asarray(cv2.LUT(image_HWC, table), np.uint8)
    if rng.random() < 0.2:  # light from one side
        side = image.shape[0]
        angle, depth = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.7)
        ramp = np.linspace(-1, 1, side, dtype=np.float32)
        slope = math.cos(angle) * ramp + math.sin(angle) * ramp[:, None]
        shade = np.clip(1 - depth * (slope * 0.7 + 0.5), 0.1, 1.2)
        image = np.clip(image * shade[..., None], 0, 255).astype(np.uint8)
    return image


def _occlude(image_HWC: Image, others: Sequence[Portrait], rng: np.random.Generator) -> None:
    """Put a plain or a photographed patch in front of a part of the crop."""
    import cv2

    side = image_HWC.shape[0]
    width, height = (rng.uniform(0.1, 0.45, 2) * side).astype(int) + 2
    left, top = int(rng.integers(-width // 2, side)), int(rng.integers(-height // 2, side))
    left, top, right, bottom = max(left, 0), max(top, 0), left + width, top + height
    region = image_HWC[top:bottom, left:right]
    if not region.size:
        return
    if rng.random() < 0.4:
        patch = np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), region.shape)
    else:
        other = others[int(rng.integers(len(others)))].image_HWC
        x = int(rng.integers(0, max(1, other.shape[1] - region.shape[1])))
        y = int(rng.integers(0, max(1, other.shape[0] - region.shape[0])))
        piece = other[y : y + region.shape[0], x : x + region.shape[1]]
        patch = np.asarray(cv2.resize(piece, (region.shape[1], region.shape[0])), np.uint8)
    mask = np.zeros(region.shape[:2], np.uint8)
    if rng.random() < 0.5:
        mask[:] = 1
    else:
        half = (region.shape[1] // 2, region.shape[0] // 2)
        cv2.ellipse(mask, half, half, 0.0, 0.0, 360.0, 1, -1)
    region[mask > 0] = patch[mask > 0]


def _damage(image_HWC: Image, rng: np.random.Generator) -> Image:
    """Blur of focus or motion, noise, and compression, each at times."""
    import cv2

    side = image_HWC.shape[0]
    if rng.random() < 0.25:
        sigma = float(rng.uniform(0.003, 0.014)) * side
        image_HWC = np.asarray(cv2.GaussianBlur(image_HWC, (0, 0), sigma), np.uint8)
    elif rng.random() < 0.1:
        length = max(3, int(side * rng.uniform(0.02, 0.07)))
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, math.pi)
        arm = np.array([math.cos(angle), math.sin(angle)]) * (length - 1) / 2
        middle = (length - 1) / 2
        ends = [tuple((middle + sign * arm).round().astype(int).tolist()) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0)
        image_HWC = np.asarray(cv2.filter2D(image_HWC, -1, kernel / kernel.sum()), np.uint8)
    if rng.random() < 0.2:
        noise = rng.normal(0.0, rng.uniform(2, 14), (*image_HWC.shape[:2], 1)).astype(np.float32)
        image_HWC = np.clip(image_HWC + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.uniform(12, 80))
        _, coded = cv2.imencode(".jpg", image_HWC[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        shown = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
        image_HWC = np.ascontiguousarray(shown[..., ::-1])
    return image_HWC
