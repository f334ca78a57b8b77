"""What the second look of the embedded detector learns from: crops of faces, and of what is none.

Most are what the first look itself finds on made-up scenes. Beside these stand faces that it
misses, parts of faces, faces that have been spoilt, and drawn dolls.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from facekit import crops
from facekit.detectors import Detections
from facekit.detectors.lite import CROP_MARGIN
from facekit.detectors.lite_graph import CROP_PX
from training import lite_backgrounds
from training.lite_detector_scores import covered
from training.lite_scenes import MIRRORED, Scene
from training.lite_teacher import overlaps

RgbImage = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

KEPT_PX: Final = 60
"""Side of the crops that are kept: a margin around what the network sees, to stray in."""

_FACE: Final = 0.5
_NO_FACE: Final = 0.3
_PARTS: Final = 0.25
_SPOILT: Final = 0.12
_DOLLS: Final = 0.06
_MARGIN: Final = CROP_MARGIN * KEPT_PX / CROP_PX
_MIDDLE: Final = (KEPT_PX - 1) / 2


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A place that may be taken for a face.

    Args:
        image_HWC: (60, 60, 3) uint8 RGB, what lies around it.
        points_xy: (5, 2) float32, pixels of that, where it is a face; None where it is none.
        score: of the first look; 0 where it sees nothing.
    """

    image_HWC: RgbImage
    points_xy: Float32Array | None
    score: float


def found_on(scene: Scene, found: Detections) -> list[Candidate]:
    """What the first look finds on a scene; nothing of what is half a face or ignored.

    Args:
        scene: the truth.
        found: by the first look.
    """
    told = [_told(scene, box) for box in found.box_xyxy]
    return [
        _candidate(scene, box, face, float(score))
        for box, score, face in zip(found.box_xyxy, found.score, told, strict=True)
        if face is not None
    ]


def missed_on(scene: Scene, found: Detections, rng: np.random.Generator) -> list[Candidate]:
    """Faces of a scene that the first look misses, and parts of faces, which are none.

    Args:
        scene: the truth.
        found: by the first look.
        rng: decides how boxes stray and where parts are.
    """
    seen = {_told(scene, box) for box in found.box_xyxy}
    made = []
    for i, box in enumerate(scene.box_xyxy):
        size_wh, middle_xy = box[2:] - box[:2], (box[:2] + box[2:]) / 2
        if i not in seen:
            strayed = box + np.tile(size_wh, 2) * rng.normal(0, 0.05, 4)
            made.append(_candidate(scene, strayed, i, 0.0))
        if rng.random() < _PARTS:
            part_wh = size_wh * np.exp(rng.uniform(-1.2, 1.0))
            centre_xy = middle_xy + rng.uniform(-1, 1, 2) * (size_wh + part_wh) * 0.45
            part = np.concatenate([centre_xy - part_wh / 2, centre_xy + part_wh / 2])
            if _told(scene, part.astype(np.float32)) == -1:
                made.append(_candidate(scene, part, -1, 0.0))
    return made


def _told(scene: Scene, box_xyxy: Float32Array) -> int | None:
    """Which face a box shows, -1 for none; None where that is open."""
    shared = overlaps(box_xyxy, scene.box_xyxy)
    best = int(shared.argmax()) if len(shared) else -1
    most = float(shared[best]) if len(shared) else 0.0
    if most >= _FACE:
        return best
    return None if most >= _NO_FACE or covered(box_xyxy, scene.ignored_xyxy) else -1


def _candidate(scene: Scene, box_xyxy: Any, face: int, score: float) -> Candidate:
    affine = crops.square_affine(box_xyxy, _MARGIN, KEPT_PX)
    image_HWC = crops.cut(scene.image_HWC, affine, KEPT_PX)
    points_xy = crops.to_crop(scene.points_xy[face], affine) if face >= 0 else None
    return Candidate(image_HWC=image_HWC, points_xy=points_xy, score=score)


def seen(candidate: Candidate) -> RgbImage:
    """(48, 48, 3) uint8 RGB: the crop as the second look gets it, nothing strayed."""
    return _drawn(candidate.image_HWC, np.eye(2))


def varied(candidate: Candidate, rng: np.random.Generator) -> tuple[RgbImage, Float32Array | None]:
    """A crop to learn from, as another detector, camera or day would have given it.

    Args:
        candidate: its origin; a face may be spoilt, and what is none become a doll.
        rng: decides all of it.

    Returns:
        (48, 48, 3) uint8 RGB; (5, 2) float32, the points from the middle, in sides of the crop, of
        a face; None where it shows none.
    """
    image_HWC, points_xy = candidate.image_HWC, candidate.points_xy
    if points_xy is not None and rng.random() < _SPOILT:
        image_HWC, points_xy = _spoilt(image_HWC, points_xy, rng), None
    elif points_xy is None and rng.random() < _DOLLS:
        image_HWC = lite_backgrounds.doll(image_HWC, rng)
    roll = rng.normal(0, 0.25 if points_xy is None else 0.07)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    turn *= np.exp(rng.normal(0, 0.06))
    mirror = rng.random() < 0.5
    if mirror:
        turn = turn @ np.diag([-1.0, 1.0])
    stray_px = rng.normal(0, 0.03, 2) * CROP_PX
    made = _developed(_drawn(image_HWC, turn, stray_px), rng)
    if points_xy is None:
        return made, None
    placed = (points_xy - _MIDDLE) @ turn.T + stray_px
    return made, (placed[MIRRORED] if mirror else placed).astype(np.float32) / CROP_PX


def _drawn(image_HWC: RgbImage, turn_22: Any, stray_px: Any = (0.0, 0.0)) -> RgbImage:
    shift = (CROP_PX - 1) / 2 + np.asarray(stray_px) - turn_22 @ [_MIDDLE, _MIDDLE]
    made = cv2.warpAffine(
        image_HWC,
        np.column_stack([turn_22, shift]),
        (CROP_PX, CROP_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(made, np.uint8)


def _developed(image_HWC: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Other light, other colours, at times grey or blurred."""
    made: Any = image_HWC
    if rng.random() < 0.7:
        tone = (np.arange(256) / 255.0)[:, None] ** np.exp(rng.normal(0, 0.2))
        tone = tone * np.exp(rng.normal(0, 0.1) + rng.normal(0, 0.07, 3))
        made = cv2.LUT(made, np.clip(tone * 255, 0, 255).astype(np.uint8).reshape(1, 256, 3))
    if rng.random() < 0.1:
        made = cv2.cvtColor(cv2.cvtColor(made, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.15:
        made = cv2.GaussianBlur(made, (0, 0), rng.uniform(0.4, 1.2))
    return np.asarray(made, np.uint8)


def _spoilt(image_HWC: RgbImage, points_xy: Float32Array, rng: np.random.Generator) -> RgbImage:
    """A face that is none any more: upside down, on its side, wiped, or its parts shuffled."""
    low, high = points_xy.min(0), points_xy.max(0)
    reach = (high - low) * rng.uniform(0.75, 1.1)
    middle = (low + high) / 2
    x0, y0 = np.clip(middle - reach, 0, KEPT_PX - 16).astype(int).tolist()
    x1, y1 = np.clip(middle + reach, [x0 + 12, y0 + 12], KEPT_PX).astype(int).tolist()
    leans_left = points_xy[1, 1] < points_xy[0, 1]
    ways: list[Callable[[], Any]] = [
        lambda: np.rot90(image_HWC, 2),
        lambda: np.rot90(image_HWC, 1 if leans_left else 3),  # further down, not up again
        lambda: _wiped(image_HWC, (x0, y0, x1, y1), rng),
        lambda: _shuffled(image_HWC, (x0, y0, x1, y1), rng),
    ]
    return np.ascontiguousarray(ways[int(rng.integers(len(ways)))](), np.uint8)


def _wiped(
    image_HWC: RgbImage, region: tuple[int, int, int, int], rng: np.random.Generator
) -> RgbImage:
    """Uneven skin in place of eyes, nose and mouth."""
    x0, y0, x1, y1 = region
    mask_HW = np.zeros(image_HWC.shape[:2], np.float32)
    centre, axes = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
    cv2.ellipse(mask_HW, centre, axes, 0, 0, 360, 1, -1)
    mask_HW1 = cv2.GaussianBlur(mask_HW, (0, 0), 1.5)[..., None]
    cells = tuple(rng.integers(3, 16, 2).tolist())
    coarse = rng.normal(0, rng.uniform(2, 25), cells).astype(np.float32)
    light = cv2.resize(coarse, image_HWC.shape[1::-1], interpolation=cv2.INTER_CUBIC)[..., None]
    skin = np.median(image_HWC[y0:y1, x0:x1].reshape(-1, 3), axis=0) + light
    wiped: RgbImage = np.clip(image_HWC * (1 - mask_HW1) + skin * mask_HW1, 0, 255).astype(np.uint8)
    return wiped


def _shuffled(
    image_HWC: RgbImage, region: tuple[int, int, int, int], rng: np.random.Generator
) -> RgbImage:
    """Four or nine tiles of the middle of a face in another order."""
    x0, y0, x1, y1 = region
    tiles = int(rng.integers(2, 4))
    width, height = (x1 - x0) // tiles, (y1 - y0) // tiles
    order = rng.permutation(tiles * tiles)
    if (order == np.arange(tiles * tiles)).all():
        order = order[::-1]
    made_HWC = image_HWC.copy()
    for to, start in enumerate(order):
        (i, j), (k, n) = divmod(to, tiles), divmod(int(start), tiles)
        tile = image_HWC[y0 + k * height :, x0 + n * width :][:height, :width]
        made_HWC[y0 + i * height :, x0 + j * width :][:height, :width] = tile
    return made_HWC
