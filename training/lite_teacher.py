"""Boxes and five points for the embedded detector to learn: what YuNet and RetinaFace agree on."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from facekit import detectors

RgbImage = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

LARGER: Final = 1.5
"""RetinaFace sees the photographs at this scale: its smallest anchors have 16 pixels."""

_UNSURE: Final = 0.3
_SURE: Final = 0.8
_SURE_TOGETHER: Final = 0.5
_SAME: Final = 0.5
_SAME_AS_POINTS: Final = 0.3
_FOREHEAD: Final = 0.15
"""What a box shows above the brows, over the height of the 68 points."""

_MIRRORED: Final = [1, 0, 2, 4, 3]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The faces of one picture.

    Args:
        box_xyxy: (N, 4) float32, pixels; as RetinaFace draws them, beyond the border too.
        points_xy: (N, 5, 2) float32, pixels, the order of `facekit.detectors`.
        ignored_xyxy: (M, 4) float32, pixels: where there may be a face, or half of one.
    """

    box_xyxy: Float32Array
    points_xy: Float32Array
    ignored_xyxy: Float32Array


class Teacher:
    """RetinaFace on a photograph and its mirror image, and YuNet, asked for more than they believe.

    A face is what RetinaFace is sure of, or both are half sure of, or people have marked. What
    else one of them sees is ignored.

    Args:
        device: `auto`, `cpu` or `cuda`.

    Raises:
        MissingWeights: the models are not at hand and cannot be fetched.
    """

    def __init__(self, device: str = "auto") -> None:
        self._retinaface = detectors.load("retinaface", device=device, min_score=_UNSURE)
        self._yunet = detectors.load("yunet", device=device, min_score=_UNSURE)

    def __call__(self, image_HWC: RgbImage, marked_xy: Float32Array | None = None) -> Labels:
        """The faces of a photograph.

        Args:
            image_HWC: (H, W, 3) uint8 RGB.
            marked_xy: (68, 2) float32, the points of one of the faces, iBUG order; or None.
        """
        sure = self._both_ways(image_HWC)
        (second,) = self._yunet([image_HWC])
        boxes, points, scores = list(sure.box_xyxy), list(sure.keypoints_xy), list(sure.score)
        ignored = [box for box in second.box_xyxy if _best(box, sure.box_xyxy)[1] < _SAME]
        for i, box in enumerate(boxes):
            j, shared = _best(box, second.box_xyxy)
            if shared >= _SAME:
                points[i] = (points[i] + second.keypoints_xy[j]) / 2
                if second.score[j] >= _SURE_TOGETHER and scores[i] >= _SURE_TOGETHER:
                    scores[i] = np.float32(1)
        if marked_xy is not None:
            box = box_of(marked_xy)
            i, shared = _best(box, np.array(boxes, np.float32).reshape(-1, 4))
            if shared >= _SAME_AS_POINTS:
                points[i], scores[i] = five_of(marked_xy), np.float32(1)
            else:
                boxes, points = [*boxes, box], [*points, five_of(marked_xy)]
                scores = [*scores, np.float32(1)]
        kept = [i for i, score in enumerate(scores) if score >= _SURE]
        ignored += [box for i, box in enumerate(boxes) if i not in kept]
        return Labels(
            box_xyxy=np.array([boxes[i] for i in kept], np.float32).reshape(-1, 4),
            points_xy=np.array([points[i] for i in kept], np.float32).reshape(-1, 5, 2),
            ignored_xyxy=np.array(ignored, np.float32).reshape(-1, 4),
        )

    def _both_ways(self, image_HWC: RgbImage) -> detectors.Detections:
        """RetinaFace's faces, averaged with those of the mirror image; halved score without one."""
        large_HWC = np.asarray(
            cv2.resize(image_HWC, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_CUBIC),
            np.uint8,
        )
        plain, mirrored = self._retinaface([large_HWC, large_HWC[:, ::-1]])
        width = large_HWC.shape[1]
        back_xyxy = mirrored.box_xyxy[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [width, 0, width, 0]
        back_P52 = mirrored.keypoints_xy[:, _MIRRORED] * [-1, 1] + [width, 0]
        boxes, points, scores = plain.box_xyxy.copy(), plain.keypoints_xy.copy(), plain.score / 2
        for i, box in enumerate(plain.box_xyxy):
            j, shared = _best(box, back_xyxy.astype(np.float32))
            if shared >= _SAME:
                boxes[i] = (box + back_xyxy[j]) / 2
                points[i] = (points[i] + back_P52[j]) / 2
                scores[i] += mirrored.score[j] / 2
        return detectors.Detections(
            box_xyxy=boxes / np.float32(LARGER),
            keypoints_xy=points / np.float32(LARGER),
            score=scores.astype(np.float32),
        )


def five_of(points_xy: Float32Array) -> Float32Array:
    """The five points of a face with 68.

    Args:
        points_xy: (68, 2) float32, iBUG order.

    Returns:
        (5, 2) float32: centres of the eyes, tip of the nose, corners of the mouth.
    """
    eyes = [points_xy[36:42].mean(0), points_xy[42:48].mean(0)]
    return np.stack([*eyes, points_xy[30], points_xy[48], points_xy[54]]).astype(np.float32)


def box_of(points_xy: Float32Array) -> Float32Array:
    """The box of a face with 68 points, roughly as RetinaFace draws it.

    Args:
        points_xy: (68, 2) float32, iBUG order.

    Returns:
        (4,) float32, xyxy.
    """
    low, high = points_xy.min(0), points_xy.max(0)
    low[1] -= _FOREHEAD * (high[1] - low[1])
    return np.concatenate([low, high]).astype(np.float32)


def overlaps(box_xyxy: Float32Array, others_xyxy: Float32Array) -> Float32Array:
    """Intersection over union of one box with each of others.

    Args:
        box_xyxy: (4,) float32.
        others_xyxy: (N, 4) float32.

    Returns:
        (N,) float32.

    >>> overlaps(np.float32([0, 0, 2, 2]), np.float32([[1, 0, 3, 2], [2, 2, 3, 3]])).round(3)
    array([0.333, 0.   ], dtype=float32)
    """
    low = np.maximum(box_xyxy[:2], others_xyxy[:, :2])
    high = np.minimum(box_xyxy[2:], others_xyxy[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    areas = (others_xyxy[:, 2:] - others_xyxy[:, :2]).prod(1)
    union = (box_xyxy[2:] - box_xyxy[:2]).prod() + areas - shared
    return np.asarray(shared / union, np.float32)


def _best(box_xyxy: Float32Array, others_xyxy: Float32Array) -> tuple[int, float]:
    """Which of the others overlaps most, and by how much; -1 and 0 where there are none."""
    if not len(others_xyxy):
        return -1, 0.0
    shared = overlaps(box_xyxy, others_xyxy)
    return int(shared.argmax()), float(shared.max())
