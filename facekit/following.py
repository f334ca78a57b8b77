"""Faces of consecutive frames: looked for now and then, followed by their points in between.

A detector looks at the whole frame, though from one frame to the next a face hardly moves. Where
its points lay is enough to find them again; the box moves along with them. The detector is asked
on every n-th frame, and on any frame on which it may be needed: the picture has changed, points
have jumped, come apart or met those of another, or somebody has just been lost.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit import tracks, video
from facekit.detectors import Detector
from facekit.faces import Face
from facekit.landmarkers import FollowingLandmarker, Landmarker

LARGEST_CHANGE: Final = 20.0
"""Mean change of the green channel, 0..255, above which a frame is not the next one of a scene."""

LARGEST_MOVE: Final = 0.35
"""Most that points as a whole move in a frame, in root mean square distances from their middle. Of
13,094 steps of talking faces at 25 and 30 frames a second one in a thousand is above 0.17."""

LARGEST_GROWTH: Final = 1.08
"""Most that points grow or shrink by in a frame; one step in a thousand is above 1.033."""

LARGEST_BEND: Final = 0.12
"""Most that points move within a face in a frame, likewise; one step in a thousand is above
0.058."""

_ROWS, _COLUMNS = 24, 32

_Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Followed:
    """A face on the last frame, and what the detector said of it when it last looked."""

    face: Face
    seen: Face


class Follower:
    """Finds the faces of one video, fed frame by frame.

    Args:
        detector: looks at whole frames.
        landmarker: gives the points; one without `follow` is given the box that moved along.
        tracker: says who is who.
        every: the detector looks on every so manieth frame at the least; 1 follows nobody.
    """

    def __init__(
        self, detector: Detector, landmarker: Landmarker, tracker: tracks.Tracker, *, every: int
    ) -> None:
        self._detector = detector
        self._landmarker = landmarker
        self._tracker = tracker
        self._every = every
        self._unasked = 0
        self._last: list[_Followed] = []
        self._picture: _Float64 | None = None

    def look(self, path: Path, frame: video.SampledFrame) -> list[Face]:
        """The faces of the next frame with their points, in order of person.

        A face that was followed has the box and the five points of when it was last detected, moved
        as its 68 points have moved, and the score of then.

        Args:
            path: the video.
            frame: follows the one of the last call.
        """
        picture = _coarse(frame.image_HWC)
        goes_on = self._picture is not None and _change(self._picture, picture) <= LARGEST_CHANGE
        self._picture = picture
        followed = self._followed(frame) if goes_on else None
        if followed is None:
            self._last = self._detected(path, frame)
            self._unasked = 0
        else:
            self._last = followed
            self._unasked += 1
        return [one.face for one in self._last]

    def _followed(self, frame: video.SampledFrame) -> list[_Followed] | None:
        """The faces of the last frame on this one; None where the detector has to look."""
        is_lost = not self._last or self._tracker.has_just_lost()
        if is_lost or self._unasked + 1 >= self._every:
            return None
        before = [
            dataclasses.replace(
                one.face,
                frame_index=frame.frame_index,
                pts_s=frame.pts_s,
                image_HWC=frame.image_HWC,
            )
            for one in self._last
        ]
        points_N682 = (
            self._landmarker.follow(before)
            if isinstance(self._landmarker, FollowingLandmarker)
            else self._landmarker(before)
        )
        for face, points in zip(before, points_N682, strict=True):
            if not is_same_face(_points(face), points):
                return None
        if any(is_same_face(one, other) for one, other in combinations(points_N682, 2)):
            return None  # somebody has gone behind another, whose face two people cannot share
        followed = [
            _Followed(_moved(one.seen, face, points), one.seen)
            for one, face, points in zip(self._last, before, points_N682, strict=True)
        ]
        faces = [one.face for one in followed]
        self._tracker.keep(
            [face.track_id for face in faces],
            np.stack([face.box_xyxy for face in faces]),
            pts_s=frame.pts_s,
        )
        return followed

    def _detected(self, path: Path, frame: video.SampledFrame) -> list[_Followed]:
        faces = detected(path, [frame], self._detector, self._tracker)
        points_N682 = self._landmarker(faces) if faces else ()
        located = [
            dataclasses.replace(face, points_xy=points)
            for face, points in zip(faces, points_N682, strict=True)
        ]
        return [_Followed(face, face) for face in located]


def detected(
    path: Path,
    frames: Sequence[video.SampledFrame],
    detector: Detector,
    tracker: tracks.Tracker,
) -> list[Face]:
    """The faces that a detector finds on the next frames, without points, in order of person.

    Args:
        path: the video.
        frames: looked at in one call.
        detector: finds them.
        tracker: says who is who.
    """
    return [
        Face(
            video=path,
            frame_index=frame.frame_index,
            pts_s=frame.pts_s,
            track_id=int(track_ids[i]),
            image_HWC=frame.image_HWC,
            box_xyxy=found.box_xyxy[i],
            keypoints_xy=found.keypoints_xy[i],
            score=float(found.score[i]),
        )
        for frame, found in zip(frames, detector([f.image_HWC for f in frames]), strict=True)
        for track_ids in [tracker.link(found, pts_s=frame.pts_s)]
        for i in np.argsort(track_ids, kind="stable")
    ]


def is_same_face(before_xy: npt.NDArray[np.floating], now_xy: npt.NDArray[np.floating]) -> bool:
    """Whether points can be those of the same face one frame later.

    Args:
        before_xy: (68, 2) frame pixels.
        now_xy: likewise; NaN is nobody's.

    >>> points = np.random.default_rng(0).normal(300, 40, (68, 2))
    >>> [is_same_face(points, points * by) for by in (1.0, 1.02, 1.2, np.nan)]
    [True, True, False, False]
    """
    before, now = np.asarray(before_xy, np.float64), np.asarray(now_xy, np.float64)
    if not (np.isfinite(before).all() and np.isfinite(now).all()):
        return False
    turn, shift = _similarity(before, now)
    size = np.sqrt(((before - before.mean(axis=0)) ** 2).sum(axis=1).mean())
    bend = np.sqrt(((before @ turn.T + shift - now) ** 2).sum(axis=1).mean())
    move = np.linalg.norm(now.mean(axis=0) - before.mean(axis=0))
    growth = np.hypot(*turn[0])
    return bool(
        bend <= LARGEST_BEND * size
        and move <= LARGEST_MOVE * size
        and 1.0 / LARGEST_GROWTH <= growth <= LARGEST_GROWTH
    )


def _moved(seen: Face, face: Face, points_xy: npt.NDArray[np.float32]) -> Face:
    """The face at its new points, with the detector's box and five points moved along."""
    turn, shift = _similarity(_points(seen), points_xy.astype(np.float64))
    low_xy, high_xy = seen.box_xyxy.reshape(2, 2).astype(np.float64)
    middle_xy = turn @ ((low_xy + high_xy) / 2.0) + shift
    half_xy = np.hypot(*turn[0]) * (high_xy - low_xy) / 2.0
    return dataclasses.replace(
        face,
        points_xy=points_xy,
        box_xyxy=np.concatenate([middle_xy - half_xy, middle_xy + half_xy]).astype(np.float32),
        keypoints_xy=(seen.keypoints_xy.astype(np.float64) @ turn.T + shift).astype(np.float32),
    )


def _similarity(from_xy: _Float64, to_xy: _Float64) -> tuple[_Float64, _Float64]:
    """(2, 2) and (2,), which together bring points nearest to others in least squares."""
    before, now = from_xy - from_xy.mean(axis=0), to_xy - to_xy.mean(axis=0)
    square = max(float((before**2).sum()), float(np.finfo(np.float64).tiny))
    cosine = float((before * now).sum()) / square
    sine = float((before[:, 0] * now[:, 1] - before[:, 1] * now[:, 0]).sum()) / square
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return turn, to_xy.mean(axis=0) - turn @ from_xy.mean(axis=0)


def _points(face: Face) -> _Float64:
    assert face.points_xy is not None
    return face.points_xy.astype(np.float64)


def _coarse(image_HWC: npt.NDArray[np.uint8]) -> _Float64:
    """The green channel at a few hundred places."""
    rows, columns = (
        np.arange(count) * side // count
        for count, side in zip((_ROWS, _COLUMNS), image_HWC.shape[:2], strict=True)
    )
    coarse: _Float64 = image_HWC[rows[:, None], columns, 1].astype(np.float64)
    return coarse


def _change(one: _Float64, other: _Float64) -> float:
    return float(np.abs(one - other).mean())
