"""Scenes for the embedded detector: photographs of faces at all sizes, put before other things."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from training import lite_backgrounds
from training.lite_teacher import Labels

RgbImage = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

SMALLEST: Final = 0.04
LARGEST: Final = 0.85
"""Longer side of a face over the longer side of the scene."""

_LEVELS: Final = 4
_SHOWN: Final = 0.65
_HIDDEN: Final = 0.25
MIRRORED: Final = [1, 0, 2, 4, 3]
"""The five points in the order in which a mirror shows them."""


class Photograph:
    """A picture, its halves and quarters, and its faces.

    Args:
        image_HWC: (H, W, 3) uint8 RGB.
        labels: its faces.
    """

    def __init__(self, image_HWC: RgbImage, labels: Labels) -> None:
        self.labels = labels
        """Its faces."""
        self.levels = [image_HWC]
        """Each half as large as the one before."""
        for _ in range(1, _LEVELS):
            size_wh = [max(1, side // 2) for side in self.levels[-1].shape[1::-1]]
            smaller = cv2.resize(self.levels[-1], size_wh, interpolation=cv2.INTER_AREA)
            self.levels.append(np.asarray(smaller, np.uint8))

    @property
    def occupied_xyxy(self) -> Float32Array:
        """(N, 4) float32: every box with a face or perhaps one."""
        return np.concatenate([self.labels.box_xyxy, self.labels.ignored_xyxy])


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A made-up picture and where its faces are.

    Args:
        image_HWC: (H, W, 3) uint8 RGB.
        box_xyxy: (N, 4) float32, pixels, beyond the border too.
        points_xy: (N, 5, 2) float32, pixels.
        ignored_xyxy: (M, 4) float32, pixels: neither face nor background.
    """

    image_HWC: RgbImage
    box_xyxy: Float32Array
    points_xy: Float32Array
    ignored_xyxy: Float32Array


class SceneMaker:
    """Makes scenes out of photographs and face-free pictures.

    Args:
        photographs: with faces; their face-free parts serve as background too.
        views: pictures without any face.
    """

    def __init__(self, photographs: Sequence[Photograph], views: Sequence[RgbImage]) -> None:
        self._photographs = photographs
        self._with_faces = [p for p in photographs if len(p.labels.box_xyxy)]
        self._views = views

    def __call__(self, size_wh: tuple[int, int], rng: np.random.Generator) -> Scene:
        """One scene.

        Args:
            size_wh: width and height, pixels.
            rng: decides all of it.
        """
        canvas = _Canvas(self._background(size_wh, rng))
        for _ in range(int(rng.choice([0, 2, 4, 8], p=[0.2, 0.4, 0.25, 0.15]))):
            self._add_thing(canvas, rng)
        for _ in range(int(rng.choice([0, 1, 2, 3, 5], p=[0.1, 0.42, 0.24, 0.16, 0.08]))):
            self._add_face(canvas, rng)
        for _ in range(int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1]))):
            self._add_thing(canvas, rng)
        for _ in range(int(rng.choice([0, 1, 2], p=[0.7, 0.2, 0.1]))):
            canvas.write(rng)
        return canvas.scene(rng)

    def _piece(self, rng: np.random.Generator) -> RgbImage:
        """A face-free part of a photograph or of a view."""
        if self._views and rng.random() < 0.15:
            view = self._views[int(rng.integers(len(self._views)))]
            found = lite_backgrounds.free_piece(view, np.empty((0, 4), np.float32), rng)
            return view if found is None else found
        while True:
            photograph = self._photographs[int(rng.integers(len(self._photographs)))]
            level = int(rng.integers(2))
            found = lite_backgrounds.free_piece(
                photograph.levels[level], photograph.occupied_xyxy / 2**level, rng
            )
            if found is not None:
                return found

    def _background(self, size_wh: tuple[int, int], rng: np.random.Generator) -> RgbImage:
        kind = rng.random()
        if kind < 0.15:
            made = lite_backgrounds.colours(size_wh, rng)
        elif kind < 0.22:
            made = lite_backgrounds.speckles(size_wh, rng)
        elif kind < 0.3:
            made = lite_backgrounds.bars(size_wh, rng)
        else:
            piece = self._piece(rng)
            if rng.random() < 0.4:
                piece = np.hstack([piece, piece[:, ::-1]])
            if rng.random() < 0.3:
                piece = np.vstack([piece, piece[::-1]])
            made = np.asarray(cv2.resize(piece, size_wh), np.uint8)
        if rng.random() < 0.3:
            reach = 2 * int(rng.integers(1, 10)) + 1
            made = np.asarray(cv2.blur(made, (reach, reach)), np.uint8)
        return made.copy()

    def _add_thing(self, canvas: "_Canvas", rng: np.random.Generator) -> None:
        """Something that is no face, in front of whatever is there."""
        kind, mask = rng.random(), None
        if kind < 0.55:
            image = self._piece(rng)
        elif kind < 0.72:
            image, mask = lite_backgrounds.emblem(rng)
        else:
            photograph = self._with_faces[rng.integers(len(self._with_faces))]
            face = _cut(photograph, rng)
            if kind < 0.88:
                skin = face[::4, ::4].mean((0, 1)) * rng.uniform(0.6, 1.2)
                image, mask = lite_backgrounds.limb(skin.tolist(), rng)
            else:
                image = lite_backgrounds.jigsaw(face, rng)
        longest = max(canvas.image_HWC.shape[:2])
        factor = longest * np.exp(rng.uniform(np.log(0.03), np.log(0.6))) / max(image.shape[:2])
        centre = rng.uniform(0, 1, 2) * canvas.image_HWC.shape[1::-1]
        placing = _placing(np.array(image.shape[1::-1]) / 2, centre, factor, rng)
        if canvas.most_hidden(image, placing) <= _HIDDEN:
            canvas.paste(image, placing, _mask(image, mask, rng))

    def _add_face(self, canvas: "_Canvas", rng: np.random.Generator) -> None:
        """A photograph, whole or faded out around one of its faces, which decides the scale."""
        photograph = self._with_faces[rng.integers(len(self._with_faces))]
        boxes = photograph.labels.box_xyxy
        box = boxes[rng.integers(len(boxes))]
        size_wh = np.array(canvas.image_HWC.shape[1::-1])
        target = size_wh.max() * np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))
        factor = float(target / (box[2:] - box[:2]).max())
        level = int(np.clip(np.round(-np.log2(factor)), 0, _LEVELS - 1))
        image, shrink = photograph.levels[level], 0.5**level
        centre = rng.uniform(0.02, 0.98, 2) * size_wh
        middle = (box[:2] + box[2:]) / 2 * shrink
        placing = _placing(middle, centre, factor / shrink, rng)
        if canvas.most_hidden(image, placing) > _HIDDEN and rng.random() < 0.9:
            return
        whole = rng.random() < 0.6
        mask = _mask(image, None, rng) if whole else _faded(image, box * shrink, rng)
        canvas.paste(image, placing, mask)
        to_level = np.diag([shrink, shrink, 1.0])
        to_level[:2, 2] = (shrink - 1) / 2  # pixel centres at integers, in every level
        canvas.add(photograph.labels, placing @ to_level, None if whole else box)


class _Canvas:
    """A scene in the making."""

    def __init__(self, image_HWC: RgbImage) -> None:
        self.image_HWC = image_HWC
        self._boxes: list[Float32Array] = []
        self._points: list[Float32Array] = []
        self._shown: list[float] = []
        self._ignored: list[Float32Array] = []

    def most_hidden(self, image_HWC: RgbImage, placing_33: Any) -> float:
        """How much of the most hidden face would be hidden behind a picture placed like this."""
        if not self._boxes:
            return 0.0
        height, width = image_HWC.shape[:2]
        low, high = _extent(
            np.array([[0, 0], [width, 0], [width, height], [0, height]]), placing_33
        )
        shares = [
            np.clip(np.minimum(high, box[2:]) - np.maximum(low, box[:2]), 0, None).prod()
            / (box[2:] - box[:2]).prod()
            for box in self._boxes
        ]
        return max(shares, default=0.0)

    def paste(self, image_HWC: RgbImage, placing_33: Any, mask_HW: RgbImage) -> None:
        """Put a picture in front; what it hides of a face is remembered."""
        height, width = image_HWC.shape[:2]
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]])
        low, high = _extent(corners, placing_33)
        x0, y0 = np.maximum(np.floor(low), 0).astype(int).tolist()
        x1, y1 = np.minimum(np.ceil(high), self.image_HWC.shape[1::-1]).astype(int).tolist()
        if x1 - x0 < 2 or y1 - y0 < 2:
            return
        shifted = np.asarray(placing_33) - [[0, 0, x0], [0, 0, y0], [0, 0, 0]]
        region = self.image_HWC[y0:y1, x0:x1]
        warped = cv2.warpAffine(
            image_HWC, shifted[:2], (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REPLICATE
        )
        alpha = cv2.warpAffine(mask_HW, shifted[:2], (x1 - x0, y1 - y0)).astype(np.float32) / 255
        region[:] = cv2.blendLinear(warped, np.ascontiguousarray(region), alpha, 1 - alpha)
        for i, box in enumerate(self._boxes):
            x2, y2, x3, y3 = (round(float(v)) for v in box)
            hiding = alpha[max(y2 - y0, 0) : max(y3 - y0, 0), max(x2 - x0, 0) : max(x3 - x0, 0)]
            self._shown[i] -= float(hiding.sum()) / max(1.0, (x3 - x2) * (y3 - y2))

    def add(self, labels: Labels, placing_33: Any, only_xyxy: Float32Array | None) -> None:
        """Note the faces of a picture that was pasted; all of them, or one box alone."""
        for box, points in zip(labels.box_xyxy, labels.points_xy, strict=True):
            moved = _moved_box(box, placing_33)
            if only_xyxy is not None and not np.array_equal(only_xyxy, box):
                self._ignored.append(moved)
                continue
            placed = points @ placing_33[:2, :2].T + placing_33[:2, 2]
            if np.linalg.det(placing_33[:2, :2]) < 0:
                placed = placed[MIRRORED]
            self._boxes.append(moved)
            self._points.append(placed.astype(np.float32))
            self._shown.append(self._inside(moved))
        self._ignored += [_moved_box(box, placing_33) for box in labels.ignored_xyxy]

    def write(self, rng: np.random.Generator) -> None:
        """Letters, where they hide no face."""
        lettered = self.image_HWC.copy()
        lite_backgrounds.write_on(lettered, rng)
        hit = (lettered != self.image_HWC).any(2)
        for box in self._boxes:
            x0, y0, x1, y1 = np.maximum(box, 0).astype(int).tolist()
            if hit[y0:y1, x0:x1].any() and hit[y0:y1, x0:x1].mean() > _HIDDEN:
                return
        self.image_HWC = lettered

    def scene(self, rng: np.random.Generator) -> Scene:
        """The scene as a camera would give it: faces of which too little is seen are ignored."""
        longest = [float((box[2:] - box[:2]).max()) for box in self._boxes]
        least = 0.8 * SMALLEST * max(self.image_HWC.shape[:2])
        kept = [i for i, shown in enumerate(self._shown) if shown >= _SHOWN and longest[i] >= least]
        rest = [box for i, box in enumerate(self._boxes) if i not in kept]
        return Scene(
            image_HWC=_developed(self.image_HWC, rng),
            box_xyxy=np.array([self._boxes[i] for i in kept], np.float32).reshape(-1, 4),
            points_xy=np.array([self._points[i] for i in kept], np.float32).reshape(-1, 5, 2),
            ignored_xyxy=np.array([*rest, *self._ignored], np.float32).reshape(-1, 4),
        )

    def _inside(self, box_xyxy: Float32Array) -> float:
        """The share of a box that lies on the canvas."""
        within = np.clip(box_xyxy.reshape(2, 2), 0, self.image_HWC.shape[1::-1])
        return float((within[1] - within[0]).prod() / (box_xyxy[2:] - box_xyxy[:2]).prod())


def _cut(photograph: Photograph, rng: np.random.Generator) -> RgbImage:
    """The box of one of its faces."""
    boxes = photograph.labels.box_xyxy
    x0, y0, x1, y1 = np.maximum(boxes[rng.integers(len(boxes))], 0).astype(int).tolist()
    return photograph.levels[0][y0 : y1 + 1, x0 : x1 + 1]


def _placing(
    middle_xy: Any, centre_xy: Any, factor: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """(3, 3): scale, roll, perhaps mirror, squeeze a little, and bring `middle` to `centre`."""
    roll = rng.normal(0, 8) if rng.random() < 0.65 else rng.uniform(-42, 42)
    angle, squeeze = np.deg2rad(roll), np.exp(rng.normal(0, 0.05))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    linear = factor * turn @ np.diag([mirror * squeeze, 1 / squeeze])
    placing = np.eye(3)
    placing[:2, :2], placing[:2, 2] = linear, centre_xy - linear @ middle_xy
    return placing


def _extent(corners_xy: Any, placing_33: Any) -> tuple[Any, Any]:
    moved = corners_xy @ placing_33[:2, :2].T + placing_33[:2, 2]
    return moved.min(0), moved.max(0)


def _moved_box(box_xyxy: Float32Array, placing_33: Any) -> Float32Array:
    """The box about the moved ellipse that fills a box: heads have no corners."""
    middle = placing_33[:2, :2] @ ((box_xyxy[:2] + box_xyxy[2:]) / 2) + placing_33[:2, 2]
    half = np.sqrt(((placing_33[:2, :2] * ((box_xyxy[2:] - box_xyxy[:2]) / 2)) ** 2).sum(1))
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def _mask(image_HWC: RgbImage, mask_HW: RgbImage | None, rng: np.random.Generator) -> RgbImage:
    """All of a picture, or a form within it; with a hard edge or a soft one."""
    if mask_HW is None:
        mask_HW = np.full(image_HWC.shape[:2], 255, np.uint8)
    if rng.random() < 0.5:
        return mask_HW
    soft = max(1, round(min(image_HWC.shape[:2]) * rng.uniform(0.02, 0.12)))
    return np.asarray(
        cv2.blur(mask_HW, (2 * soft + 1, 2 * soft + 1), borderType=cv2.BORDER_CONSTANT), np.uint8
    )


def _faded(image_HWC: RgbImage, box_xyxy: Float32Array, rng: np.random.Generator) -> RgbImage:
    """An ellipse about the head and what is below it, fading out."""
    mask_HW = np.zeros(image_HWC.shape[:2], np.uint8)
    middle, half = (box_xyxy[:2] + box_xyxy[2:]) / 2, (box_xyxy[2:] - box_xyxy[:2]) / 2
    middle = middle + half * [0, rng.uniform(-0.2, 0.3)]
    axes = np.maximum(1, half * rng.uniform(1.15, 2.2, 2)).astype(int).tolist()
    if rng.random() < 0.5:
        cv2.ellipse(mask_HW, middle.astype(int).tolist(), axes, 0, 0, 360, 255, -1)
    else:
        low, high = (middle - axes).astype(int).tolist(), (middle + axes).astype(int).tolist()
        cv2.rectangle(mask_HW, low, high, 255, -1)
    if rng.random() < 0.4:  # and the shoulders
        left, right = axes[0] * rng.uniform(0.7, 1.5, 2)
        low = [int(middle[0] - left), int(middle[1])]
        high = [int(middle[0] + right), int(middle[1] + 9 * half[1])]
        cv2.rectangle(mask_HW, low, high, 255, -1)
    soft = max(1, round(float(half.min()) * rng.uniform(0.03, 0.3)))
    return np.asarray(cv2.blur(mask_HW, (2 * soft + 1, 2 * soft + 1)), np.uint8)


def _developed(image_HWC: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Light, colour, sharpness, noise and compression of some camera."""
    tone = (np.arange(256) / 255.0)[:, None] ** np.exp(rng.normal(0, 0.3, 1))
    gain = np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.08, 3))
    tone = (tone * gain - 0.5) * np.exp(rng.normal(0, 0.15)) + 0.5 + rng.normal(0, 0.05)
    table = np.clip(tone * 255, 0, 255).astype(np.uint8).reshape(1, 256, 3)
    made: Any = cv2.LUT(image_HWC, table)
    if rng.random() < 0.1:
        made = cv2.cvtColor(cv2.cvtColor(made, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    kind = rng.random()
    if kind < 0.15:
        made = cv2.GaussianBlur(made, (0, 0), rng.uniform(0.4, 1.6))
    elif kind < 0.22:
        reach = int(rng.integers(2, 8))
        made = cv2.blur(made, (reach, 1) if rng.random() < 0.7 else (1, reach))
    elif kind < 0.32:
        size_wh, part = made.shape[1::-1], rng.uniform(0.4, 0.9)
        small = cv2.resize(made, None, fx=part, fy=part, interpolation=cv2.INTER_AREA)
        made = cv2.resize(small, size_wh, interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(1, 14), made.shape[:2]).astype(np.float32)
        made = np.clip(made + noise[..., None], 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        made = cv2.imdecode(cv2.imencode(".jpg", made, quality)[1], cv2.IMREAD_COLOR)
    return np.asarray(made, np.uint8)
