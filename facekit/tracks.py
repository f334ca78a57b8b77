"""Boxes through time: who is who within one video, and who is largest."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.detectors import Detections

MIN_AFFINITY: Final = -0.2
"""Boxes may be one person from here on: two equal squares whose edges just touch. Sampled frames
can be seconds apart, so a head may have moved by its own width."""

MAX_GROWTH: Final = 2.5
"""Longer side over longer side above which two boxes are not one person: a cut, not a step."""

LOST_FRAMES: Final = 5
"""Sampled frames without a box that a person outlives."""

LOST_S: Final = 2.0
"""Seconds without a box that a person outlives where times are given, however many frames these
are: a head turned away for a moment in a video of which every frame is read."""

_Float64 = npt.NDArray[np.float64]


@dataclass
class _Live:
    """A person who may be seen again."""

    track_id: int
    box_xyxy: _Float64
    frame: int
    pts_s: float


class Tracker:
    """Links the boxes of one video into people, fed frame by frame.

    Each frame's boxes are assigned to the people last seen so that the sum of affinities is
    largest (Hungarian method). The affinity is the distance-IoU of Zheng et al., AAAI 2020: the
    overlap, less the squared distance of the centres over that of the enclosing box's corners, so
    that boxes that no longer overlap are still told near from far. There is no look at the
    picture: after a cut, whoever appears in the same place at the same size is taken for the same
    person.

    Memory: a box for each person who may be seen again, twelve bytes for each one ever seen.

    >>> nan = np.full((1, 5, 2), np.nan, np.float32)
    >>> def frame(*box):
    ...     return Detections(box_xyxy=np.array([box], np.float32), keypoints_xy=nan,
    ...                       score=np.ones(1, np.float32))
    >>> tracker = Tracker()
    >>> [tracker.link(frame(x, 10, x + 50, 60)).tolist() for x in (10, 25, 400)]
    [[0], [0], [1]]
    >>> tracker.largest(), tracker.frames_seen(0), tracker.frames_lost(0)
    (0, 2, 1)
    """

    def __init__(self) -> None:
        self._live: list[_Live] = []
        self._frames = 0
        self._area_px2 = array("d")
        self._frames_seen = array("i")

    def link(self, detections: Detections, *, pts_s: float = float("nan")) -> npt.NDArray[np.int32]:
        """Say who each face of the next sampled frame is.

        Args:
            detections: the faces of the frame, best score first.
            pts_s: presentation time of the frame; NaN where unknown.

        Returns:
            (N,) int32, a different person for each; new ones are numbered from 0 on in order of
            appearance, within a frame in order of score.
        """
        self._frames += 1
        self._live = [live for live in self._live if not self._is_gone(live, pts_s)]
        boxes_N4 = detections.box_xyxy.astype(np.float64)
        known = self._assign(boxes_N4)
        track_ids = np.empty(len(boxes_N4), np.int32)
        for row, box_xyxy in enumerate(boxes_N4):
            live = known.get(row) or self._newcomer(box_xyxy)
            self._see(live, box_xyxy, pts_s)
            track_ids[row] = live.track_id
        return track_ids

    def keep(
        self,
        track_ids: Sequence[int],
        boxes_N4: npt.NDArray[np.floating],
        *,
        pts_s: float = float("nan"),
    ) -> None:
        """Take the next sampled frame, on which it is known who is where.

        Args:
            track_ids: people of the last frame.
            boxes_N4: frame pixels, a box for each of them.
            pts_s: presentation time of the frame; NaN where unknown.
        """
        self._frames += 1
        of_person = {live.track_id: live for live in self._live}
        for track_id, box_xyxy in zip(track_ids, boxes_N4.astype(np.float64), strict=True):
            self._see(of_person[track_id], box_xyxy, pts_s)

    def has_just_lost(self) -> bool:
        """Whether a person without a box on the last frame had one a few frames before."""
        return any(0 < self._frames - live.frame <= LOST_FRAMES for live in self._live)

    def largest(self) -> int | None:
        """The person with the largest area summed over time, the first of equals; None if none."""
        return int(np.argmax(self._area_px2)) if self._area_px2 else None

    def frames_seen(self, track_id: int) -> int:
        """On how many sampled frames the person has a box."""
        return self._frames_seen[track_id]

    def frames_lost(self, track_id: int) -> int:
        """On how many sampled frames, before, between or after, the person has none."""
        return self._frames - self._frames_seen[track_id]

    def _see(self, live: _Live, box_xyxy: _Float64, pts_s: float) -> None:
        live.box_xyxy, live.frame, live.pts_s = box_xyxy, self._frames, pts_s
        self._frames_seen[live.track_id] += 1
        self._area_px2[live.track_id] += _area_px2(box_xyxy)

    def _is_gone(self, live: _Live, pts_s: float) -> bool:
        is_recent = pts_s - live.pts_s <= LOST_S  # False where a time is NaN
        return self._frames - live.frame > LOST_FRAMES + 1 and not is_recent

    def _assign(self, boxes_N4: _Float64) -> dict[int, _Live]:
        """Row of a box -> the person it belongs to, where there is one."""
        from scipy.optimize import linear_sum_assignment

        if not self._live or not len(boxes_N4):
            return {}
        gain = _gain(boxes_N4, np.stack([live.box_xyxy for live in self._live]))
        rows, columns = linear_sum_assignment(gain, maximize=True)
        return {
            int(row): self._live[column]
            for row, column in zip(rows, columns, strict=True)
            if gain[row, column] > 0.0
        }

    def _newcomer(self, box_xyxy: _Float64) -> _Live:
        live = _Live(len(self._area_px2), box_xyxy, self._frames, float("nan"))
        self._area_px2.append(0.0)
        self._frames_seen.append(0)
        self._live.append(live)
        return live


def _area_px2(box_xyxy: _Float64) -> float:
    width, height = np.maximum(box_xyxy[2:] - box_xyxy[:2], 0.0)
    return float(np.nan_to_num(width * height, nan=0.0, posinf=0.0))


def _gain(one_N4: _Float64, other_M4: _Float64) -> _Float64:
    """(N, M) affinity above the least that links; 0 where two boxes cannot be one person."""
    one, other = one_N4[:, None], other_M4[None]
    one_wh, other_wh = one[..., 2:] - one[..., :2], other[..., 2:] - other[..., :2]
    common_wh = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    around_wh = np.maximum(one[..., 2:], other[..., 2:]) - np.minimum(one[..., :2], other[..., :2])
    apart_xy = (one[..., :2] + one[..., 2:] - other[..., :2] - other[..., 2:]) / 2.0
    common = np.prod(np.maximum(common_wh, 0.0), axis=-1)
    one_side, other_side = one_wh.max(axis=-1), other_wh.max(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap = common / (np.prod(one_wh, axis=-1) + np.prod(other_wh, axis=-1) - common)
        distance = (apart_xy**2).sum(axis=-1) / (around_wh**2).sum(axis=-1)
        growth = np.maximum(one_side / other_side, other_side / one_side)
    gain = overlap - distance - MIN_AFFINITY
    # NaN, from a box without area, compares false and so never links.
    return np.where((gain > 0.0) & (growth <= MAX_GROWTH), gain, 0.0)
