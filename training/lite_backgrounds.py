"""Pictures without a face for the embedded detector: colours, patterns, pieces of photographs."""

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

RgbImage = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
_FloatArray = npt.NDArray[np.floating[Any]]

_LETTERS: Final = np.array(
    list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .:-/&")
)
_FONTS: Final = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)
_TRIES: Final = 8
_SHORTEST_PX: Final = 24


def free_piece(
    image_HWC: RgbImage, faces_xyxy: Float32Array, rng: np.random.Generator
) -> RgbImage | None:
    """A rectangle of a photograph that touches none of its faces.

    Args:
        image_HWC: (H, W, 3) uint8 RGB.
        faces_xyxy: (N, 4) float32: boxes to keep clear of.
        rng: decides which.

    Returns:
        A view of the photograph; None where none was found in a few tries.
    """
    height, width = image_HWC.shape[:2]
    for _ in range(_TRIES):
        w, h = (int(rng.integers(_SHORTEST_PX, max(side, 25))) for side in (width, height))
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        apart = (
            (faces_xyxy[:, 0] >= x + w)
            | (faces_xyxy[:, 2] <= x)
            | (faces_xyxy[:, 1] >= y + h)
            | (faces_xyxy[:, 3] <= y)
        )
        if apart.all():
            return image_HWC[y : y + h, x : x + w]
    return None


def colours(size_wh: tuple[int, int], rng: np.random.Generator) -> RgbImage:
    """A few random colours that run into each other, or meet at hard edges.

    Args:
        size_wh: width and height, pixels.
        rng: decides all of it.
    """
    cells = rng.integers(1, 9, 2)
    tone = rng.integers(0, 256, 3)
    coarse = tone + rng.normal(0, rng.uniform(5, 90), (*cells, 3))
    kind = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[rng.integers(3)]
    smooth_HWC = cv2.resize(np.clip(coarse, 0, 255).astype(np.uint8), size_wh, interpolation=kind)
    return np.asarray(smooth_HWC, np.uint8)


def speckles(size_wh: tuple[int, int], rng: np.random.Generator) -> RgbImage:
    """Noise of a random grain about a random colour.

    Args:
        size_wh: width and height, pixels.
        rng: decides all of it.
    """
    grain = 2.0 ** rng.uniform(0, 5)
    cells = max(2, round(size_wh[1] / grain)), max(2, round(size_wh[0] / grain))
    depth = rng.normal(0, rng.uniform(5, 70), (*cells, 1 if rng.random() < 0.5 else 3))
    coarse = np.clip(rng.integers(0, 256, 3) + depth, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC), np.uint8)


def bars(size_wh: tuple[int, int], rng: np.random.Generator) -> RgbImage:
    """Stripes or a grid, as of blinds, shelves and windows.

    Args:
        size_wh: width and height, pixels.
        rng: decides all of it.
    """
    made_HWC = colours(size_wh, rng)
    for axis in range(2):
        if rng.random() < 0.6:
            continue
        step, colour = int(rng.integers(4, 60)), rng.integers(0, 256, 3)
        thick = int(rng.integers(1, max(2, step // 2)))
        rows = (np.arange(made_HWC.shape[axis]) + rng.integers(step)) % step < thick
        np.moveaxis(made_HWC, axis, 0)[rows] = colour
    return made_HWC


def write_on(image_HWC: RgbImage, rng: np.random.Generator) -> None:
    """Put a line or two of letters on a picture, half of the time on a banner.

    Args:
        image_HWC: (H, W, 3) uint8 RGB; changed.
        rng: decides all of it.
    """
    height, width = image_HWC.shape[:2]
    scale = float(rng.uniform(0.25, 1.4))
    x, y = int(rng.integers(-10, width)), int(rng.integers(5, height))
    if rng.random() < 0.5:
        low, high = (x - 4, y - round(24 * scale)), (int(rng.integers(x + 1, 2 * width)), y + 6)
        cv2.rectangle(image_HWC, low, high, _colour(rng), -1)
    for line in range(int(rng.integers(1, 3))):
        text = "".join(rng.choice(_LETTERS, int(rng.integers(2, 24))))
        font = _FONTS[rng.integers(len(_FONTS))]
        at = x, y + round(line * 30 * scale)
        cv2.putText(image_HWC, text, at, font, scale, _colour(rng), int(rng.integers(1, 3)))


def limb(skin: Sequence[float], rng: np.random.Generator) -> tuple[RgbImage, RgbImage]:
    """A blob of skin, with fingers or without: no face.

    Args:
        skin: red, green, blue of the skin.
        rng: decides its form.

    Returns:
        (96, 96, 3) uint8 RGB, and its (96, 96) uint8 mask, 0 or 255.
    """
    mask_HW = np.zeros((96, 96), np.uint8)
    centre = rng.integers(36, 60, 2)
    axes = (int(rng.integers(10, 30)), int(rng.integers(10, 34)))
    cv2.ellipse(mask_HW, centre.tolist(), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    shade_HWC = np.empty((96, 96, 3), np.uint8)
    light = speckles((96, 96), rng).astype(np.float32).mean(2, keepdims=True)
    light = (light - light.mean()) * rng.uniform(0.1, 0.7)
    shade_HWC[:] = np.clip(np.asarray(skin) + light, 0, 255)
    dark = (np.asarray(skin) * rng.uniform(0.3, 0.9)).tolist()
    base = rng.uniform(0, 2 * np.pi)
    for finger in range(int(rng.integers(0, 6))):
        angle = base + finger * rng.uniform(0.15, 0.5)
        end = (centre + rng.uniform(25, 46) * np.array([np.cos(angle), np.sin(angle)])).astype(int)
        thick = int(rng.integers(5, 12))
        cv2.line(mask_HW, centre.tolist(), end.tolist(), 255, thick)
        cv2.line(shade_HWC, centre.tolist(), (end + thick // 2).tolist(), dark, 2)
    return cv2.GaussianBlur(shade_HWC, (0, 0), 1.5).astype(np.uint8), mask_HW


def emblem(rng: np.random.Generator) -> tuple[RgbImage, RgbImage]:
    """Shapes and letters on a plate, as of logos, signs, lamps and buttons.

    Args:
        rng: decides all of it.

    Returns:
        (64, 64, 3) uint8 RGB, and its (64, 64) uint8 mask, 0 or 255.
    """
    mask_HW = np.zeros((64, 64), np.uint8)
    width, height = rng.integers(14, 32, 2).tolist()
    if rng.random() < 0.5:
        cv2.ellipse(mask_HW, (32, 32), (width, height), 0, 0, 360, 255, -1)
    else:
        cv2.rectangle(mask_HW, (32 - width, 32 - height), (32 + width, 32 + height), 255, -1)
    made_HWC = colours((64, 64), rng) if rng.random() < 0.5 else speckles((64, 64), rng)
    for _ in range(int(rng.integers(1, 8))):
        at, size = rng.integers(4, 60, 2), rng.integers(2, 16, 2)
        filled = -1 if rng.random() < 0.7 else int(rng.integers(1, 4))
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(
            made_HWC, at.tolist(), size.tolist(), turn, 0, 360, _colour(rng), filled, cv2.LINE_AA
        )
        if rng.random() < 0.3:
            cv2.line(made_HWC, at.tolist(), rng.integers(0, 64, 2).tolist(), _colour(rng), 3)
    if rng.random() < 0.4:  # alike on both sides, as much is that people make
        made_HWC[:, 32:] = made_HWC[:, :32][:, ::-1]
    if rng.random() < 0.4:
        text, font = "".join(rng.choice(_LETTERS, 3)), _FONTS[rng.integers(len(_FONTS))]
        size_px = float(rng.uniform(0.6, 1.6))
        cv2.putText(made_HWC, text, (6, 44), font, size_px, _colour(rng), 2, cv2.LINE_AA)
    return made_HWC, mask_HW


def jigsaw(face_HWC: RgbImage, rng: np.random.Generator) -> RgbImage:
    """A face cut into tiles and put together wrongly: no face any more.

    Args:
        face_HWC: (H, W, 3) uint8 RGB, the box of a face.
        rng: decides the order.

    Returns:
        (96, 96, 3) uint8 RGB.
    """
    tiles = int(rng.integers(3, 5))
    side = 96 // tiles
    whole = cv2.resize(face_HWC, (96, 96), interpolation=cv2.INTER_AREA)
    made_HWC = np.asarray(whole, np.uint8).copy()
    for to, start in enumerate(rng.permutation(tiles * tiles)):
        (i, j), (k, n) = divmod(to, tiles), divmod(int(start), tiles)
        tile = whole[k * side : (k + 1) * side, n * side : (n + 1) * side]
        turned = np.rot90(tile, int(rng.integers(4)))
        made_HWC[i * side : (i + 1) * side, j * side : (j + 1) * side] = turned
    return made_HWC


def doll(image_HWC: RgbImage, rng: np.random.Generator) -> RgbImage:
    """A round head of one colour with two drawn eyes, as of toys and cartoons: no face.

    Args:
        image_HWC: (H, W, 3) uint8 RGB, what lies behind; H and W at least 24.
        rng: decides all of it.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    made_HWC = image_HWC.copy()
    side = min(image_HWC.shape[:2])
    middle = np.array(image_HWC.shape[1::-1]) / 2 + rng.normal(0, 0.05 * side, 2)
    axes = side * rng.uniform(0.2, 0.36, 2)
    colour = np.array(_colour(rng))

    def spot(centre: _FloatArray, reach: _FloatArray, tone: npt.ArrayLike) -> None:
        at, half = centre.astype(int).tolist(), np.maximum(1, reach).astype(int).tolist()
        shade = np.clip(np.asarray(tone, float), 0, 255).tolist()
        cv2.ellipse(made_HWC, at, half, 0, 0, 360, shade, -1, cv2.LINE_AA)

    if rng.random() < 0.6:  # ears, or arms
        reach, up = axes * rng.uniform(0.3, 0.6), rng.uniform(-1.0, 0.3)
        for sign in (-1, 1):
            spot(middle + axes * [sign * rng.uniform(0.7, 1.1), up], reach, _colour(rng))
    spot(middle, axes, colour)
    spot(middle - axes * 0.3, axes * 0.4, colour * rng.uniform(1.0, 1.3))
    apart, high = rng.uniform(0.25, 0.6), rng.uniform(-0.4, 0.1)
    size = side * rng.uniform(0.03, 0.08) * np.exp(rng.normal(0, 0.2, 2))
    for sign in (-1, 1):
        eye = middle + axes * [sign * apart, high]
        if rng.random() < 0.5:
            spot(eye, size * rng.uniform(1.2, 1.8), (240, 240, 240))
        spot(eye, size, (20, 20, 20))
    if rng.random() < 0.5:
        spot(middle + axes * [0, high + 0.35], size * rng.uniform(0.5, 1.2), _colour(rng))
    if rng.random() < 0.6:
        at, half = (middle + axes * [0, high + 0.5]).astype(int).tolist(), axes * [0.35, 0.2]
        bend = np.maximum(1, half).astype(int).tolist()
        cv2.ellipse(made_HWC, at, bend, 0, 10, 170, _colour(rng), 1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(made_HWC, (0, 0), rng.uniform(0.4, 1.6)), np.uint8)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue
