"""What a detector finds on scenes whose faces are known: recall by size, and what is false."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.detectors import Detections, Detector
from training.lite_scenes import Scene
from training.lite_teacher import overlaps

Float32Array = npt.NDArray[np.float32]

SAME: Final = 0.5
"""Intersection over union from which a box is that of the face."""

BANDS: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Longer side of a face over that of the frame: limits of the bands that recall is told for."""

_COVERED: Final = 0.4
_THRESHOLDS: Final = [i / 100 for i in range(5, 100)]


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Detections of many frames against the truth.

    Args:
        face_score: (F,) float32, the score of each true face's box, 0 where it was not found.
        face_size: (F,) float32, its longer side over that of the frame.
        face_overlap: (F,) float32, intersection over union with the box that found it.
        point_error: (F,) float32, mean distance of its five points over the root of width times
            height; NaN where it was not found.
        false_score: (D,) float32, the scores of boxes that are no face.
        frames: how many frames.
    """

    face_score: Float32Array
    face_size: Float32Array
    face_overlap: Float32Array
    point_error: Float32Array
    false_score: Float32Array
    frames: int

    def recall(self, min_score: float, low: float = 0.0, high: float = np.inf) -> float:
        """The share of the faces of a size from `low` to `high` that reach a score, NaN of none."""
        counted = (self.face_size >= low) & (self.face_size < high)
        if not counted.any():
            return float("nan")
        return float((self.face_score[counted] >= min_score).mean())

    def false_a_frame(self, min_score: float) -> float:
        """Boxes a frame that reach a score and are no face."""
        return float((self.false_score >= min_score).sum() / self.frames)

    def score_for(self, false_a_frame: float) -> float:
        """The lowest threshold, in hundredths, with at most so many false boxes a frame."""
        return next((s for s in _THRESHOLDS if self.false_a_frame(s) <= false_a_frame), 1.0)

    def fewest_errors(self) -> float:
        """The threshold, in hundredths, with the fewest missed faces and false boxes together."""
        errors = [
            int((self.face_score < s).sum() + (self.false_score >= s).sum()) for s in _THRESHOLDS
        ]
        return _THRESHOLDS[int(np.argmin(errors))]


def matched(found: Sequence[Detections], scenes: Sequence[Scene]) -> Matches:
    """Match detections to true faces, best score first, each face once.

    Args:
        found: of each scene, one.
        scenes: the truth. A detection that lies mostly in an ignored box counts for nothing.
    """
    faces: list[tuple[float, float, float, float]] = []
    false: list[float] = []
    for detections, scene in zip(found, scenes, strict=True):
        longest = max(scene.image_HWC.shape[:2])
        rows = [
            [0.0, float((box[2:] - box[:2]).max() / longest), 0.0, np.nan] for box in scene.box_xyxy
        ]
        for box, points, score in zip(
            detections.box_xyxy, detections.keypoints_xy, detections.score, strict=True
        ):
            shared = overlaps(box, scene.box_xyxy)
            shared[[row[0] > 0 for row in rows]] = 0
            if len(shared) and shared.max() >= SAME:
                i = int(shared.argmax())
                side = np.sqrt((scene.box_xyxy[i, 2:] - scene.box_xyxy[i, :2]).prod())
                apart = np.linalg.norm(points - scene.points_xy[i], axis=1).mean() / side
                rows[i] = [float(score), rows[i][1], float(shared[i]), float(apart)]
            elif not covered(box, scene.ignored_xyxy):
                false.append(float(score))
        faces += [(row[0], row[1], row[2], row[3]) for row in rows]
    columns = np.array(faces, np.float32).reshape(-1, 4).T
    return Matches(
        face_score=columns[0],
        face_size=columns[1],
        face_overlap=columns[2],
        point_error=columns[3],
        false_score=np.array(false, np.float32),
        frames=len(scenes),
    )


def scores(detector: Detector, scenes: Sequence[Scene], min_score: float) -> dict[str, float]:
    """Plain numbers for the model card.

    Args:
        detector: with a threshold below `min_score`.
        scenes: to judge on.
        min_score: the threshold in use.
    """
    matches = matched(detector([scene.image_HWC for scene in scenes]), scenes)
    made = {
        "scenes": float(matches.frames),
        "faces": float(len(matches.face_score)),
        "recall": matches.recall(min_score),
        "false_a_frame": matches.false_a_frame(min_score),
        "score_of_fewest_errors": matches.fewest_errors(),
        "score_for_0.01_false_a_frame": matches.score_for(0.01),
        "median_overlap": _median(matches.face_overlap[matches.face_score >= min_score]),
        "median_point_error": _median(matches.point_error[matches.face_score >= min_score]),
    }
    for low, high in pairwise(BANDS):
        made[f"recall_{low:.0%}_to_{high:.0%}"] = matches.recall(min_score, low, high)
    return made


def covered(box_xyxy: Float32Array, ignored_xyxy: Float32Array) -> bool:
    """Whether a large part of a box lies in one of the ignored ones.

    Args:
        box_xyxy: (4,) float32.
        ignored_xyxy: (N, 4) float32.
    """
    low = np.maximum(box_xyxy[:2], ignored_xyxy[:, :2])
    high = np.minimum(box_xyxy[2:], ignored_xyxy[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1) / (box_xyxy[2:] - box_xyxy[:2]).prod()
    return bool((shared > _COVERED).any())


def _median(values: Float32Array) -> float:
    return float(np.median(values)) if len(values) else float("nan")
