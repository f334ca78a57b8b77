"""What a model says of videos: faces, frames, people, videos, and how it is told as JSON.

One schema for all files, `prediction.schema.json` beside this module: a run's `predictions.json`
lists every video, and each video has a file of its own that also has its frames.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facekit import schema
from training.metrics import THRESHOLD

FORMAT: Final = 1
"""Version of the JSON schema."""

PEOPLE_SHOWN: Final = 4
"""Of a video, in its one line."""

_DIGITS: Final = 6
_BOX_DIGITS: Final = 2


@dataclass(frozen=True, kw_only=True)
class ScoredFace:
    """One face on one frame.

    Args:
        track_id: person within the video.
        box_xyxy: (4,) float32, frame pixels, as the detector gave it.
        det_score: the detector's score.
        score: 0 real to 1 fake: equation 3 of AUNet's supplement over its largest value, 1.5.
        class_score: the class token's probability of fake.
        token_score: the largest probability of tampering among the tokens; None where the model
            has learnt no tokens, and the score is the class's alone.
        token_map_HW: (h, w) uint8, that of every token, 0..255, or None; not part of the JSON.
    """

    track_id: int
    box_xyxy: npt.NDArray[np.float32]
    det_score: float
    score: float
    class_score: float
    token_score: float | None
    token_map_HW: npt.NDArray[np.uint8] | None

    def as_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {
            "track_id": self.track_id,
            "box_xyxy": [round(float(edge), _BOX_DIGITS) for edge in self.box_xyxy],
            "det_score": _number(self.det_score),
            "score": _number(self.score),
            "class_score": _number(self.class_score),
            "token_score": _number(self.token_score),
        }


@dataclass(frozen=True, kw_only=True)
class ScoredFrame:
    """One frame that was looked at.

    Args:
        frame_index: index in decode order.
        pts_s: presentation time in seconds; NaN in an image folder.
        faces: the people on it.
    """

    frame_index: int
    pts_s: float
    faces: tuple[ScoredFace, ...] = ()

    @property
    def score(self) -> float | None:
        """The largest score among its faces; None where there is none."""
        return max((face.score for face in self.faces), default=None)

    def as_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {
            "frame_index": self.frame_index,
            "pts_s": _number(self.pts_s),
            "score": _number(self.score),
            "faces": [face.as_json() for face in self.faces],
        }


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person of a video: the mean of the scores, and when they were seen.

    Args:
        track_id: person within the video.
        score: mean over the frames on which the person stands.
        score_max: the largest of them.
        frames: how many there are.
        first_s: presentation time of the first one; NaN in an image folder.
        last_s: that of the last one.
    """

    track_id: int
    score: float
    score_max: float
    frames: int
    first_s: float
    last_s: float

    def as_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {name: _number(value) for name, value in dataclasses.asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class ScoredVideo:
    """One input and how it ended.

    Args:
        key: its name in the results.
        path: where it lies, as it was given.
        status: one of `facekit.schema.STATUSES`.
        reason: one line; empty for a success.
        score: mean over the frames with a face of the largest score on each; None without any.
        fps: average frame rate; NaN where unknown.
        size_wh: width and height, frame pixels.
        frames_expected: frames that the file promises.
        frames_decoded: frames that came out.
        frames_sampled: frames that were looked at.
        frames_with_face: those on which a face stands.
        people: who was seen, by number.
        overlay: name of the video with the tampering map, beside the JSON; empty where none is.
    """

    key: str
    path: Path
    status: schema.Status
    reason: str = ""
    score: float | None = None
    fps: float = math.nan
    size_wh: tuple[int, int] = (0, 0)
    frames_expected: int = 0
    frames_decoded: int = 0
    frames_sampled: int = 0
    frames_with_face: int = 0
    people: tuple[Person, ...] = ()
    overlay: str = ""

    def with_frames(self, frames: Sequence[ScoredFrame]) -> "ScoredVideo":
        """The same with what these frames amount to: score, people and counts.

        Args:
            frames: those that were looked at, in order.

        >>> def face(track_id, score):
        ...     return ScoredFace(track_id=track_id, box_xyxy=np.zeros(4, np.float32),
        ...                       det_score=1.0, score=score, class_score=score,
        ...                       token_score=None, token_map_HW=None)
        >>> faces = [(face(0, 0.25), face(1, 0.75)), (), (face(0, 0.25),)]
        >>> frames = [ScoredFrame(frame_index=i, pts_s=i / 25, faces=f)
        ...           for i, f in enumerate(faces)]
        >>> video = ScoredVideo(key="a", path=Path("a"), status="ok").with_frames(frames)
        >>> video.score, [(person.score, person.frames) for person in video.people]
        (0.5, [(0.25, 2), (0.75, 1)])
        """
        scores = [frame.score for frame in frames if frame.score is not None]
        return dataclasses.replace(
            self,
            score=math.fsum(scores) / len(scores) if scores else None,
            frames_sampled=len(frames),
            frames_with_face=len(scores),
            people=_people(frames),
        )

    @property
    def is_fake(self) -> bool | None:
        """Whether the score reaches `THRESHOLD`; None without a score."""
        return None if self.score is None else self.score >= THRESHOLD

    @property
    def failed(self) -> bool:
        """Whether it ended as anything but a success; no face is a result, not a failure."""
        return self.status not in schema.SUCCESSES

    def as_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {
            "key": self.key,
            "path": str(self.path),
            "status": self.status,
            "reason": self.reason,
            "score": _number(self.score),
            "is_fake": self.is_fake,
            "fps": _number(self.fps),
            "size_wh": list(self.size_wh),
            "frames_expected": self.frames_expected,
            "frames_decoded": self.frames_decoded,
            "frames_sampled": self.frames_sampled,
            "frames_with_face": self.frames_with_face,
            "overlay": self.overlay or None,
            "people": [person.as_json() for person in self.people],
        }

    def line(self) -> str:
        """The video in one line."""
        if self.score is None:
            return f"{self.status:<14}   -    {self.key}" + (self.reason and f": {self.reason}")
        people = ", ".join(f"{one.track_id}: {one.score:.2f}" for one in self.people[:PEOPLE_SHOWN])
        people += ", ..." if len(self.people) > PEOPLE_SHOWN else ""
        told = f"{self.status:<14} {self.score:.3f}  {self.key} (person {people})"
        return told + (self.reason and f": {self.reason}")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Every input of a run of `predict`, in the order given.

    Args:
        out: the folder with the files.
        model: which model: `step`, `sha256` and what decides the crop.
        measurement: how faces were found: frames, people, detector and its files.
        videos: one for each input; their frames lie in their own files.
    """

    out: Path
    model: Mapping[str, Any]
    measurement: Mapping[str, Any]
    videos: Sequence[ScoredVideo] = field(default_factory=tuple)

    @property
    def failures(self) -> list[ScoredVideo]:
        """The inputs that ended as anything but a success."""
        return [video for video in self.videos if video.failed]

    def as_json(self) -> dict[str, Any]:
        """What `predictions.json` says."""
        return self.told(video.as_json() for video in self.videos)

    def told(self, videos: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """A file of the schema about these videos."""
        return {
            "facekit_prediction": FORMAT,
            "model": dict(self.model),
            "measurement": dict(self.measurement),
            "threshold": THRESHOLD,
            "videos": list(videos),
        }

    def lines(self) -> list[str]:
        """The result for a person to read: a line a video, the counts, where the files are."""
        counts = Counter(video.status for video in self.videos)
        told = ", ".join(f"{number} {status}" for status, number in counts.most_common())
        return [
            "status         score  video",
            *(video.line() for video in self.videos),
            f"{len(self.videos)} videos: {told}",
            f"see {self.out / 'predictions.json'}",
        ]


def _people(frames: Sequence[ScoredFrame]) -> tuple[Person, ...]:
    seen: dict[int, list[tuple[float, float]]] = {}
    for frame in frames:
        for face in frame.faces:
            seen.setdefault(face.track_id, []).append((frame.pts_s, face.score))
    return tuple(
        Person(
            track_id=track_id,
            score=math.fsum(score for _, score in when) / len(when),
            score_max=max(score for _, score in when),
            frames=len(when),
            first_s=when[0][0],
            last_s=when[-1][0],
        )
        for track_id, when in sorted(seen.items())
    )


def _number(value: float | None) -> float | int | None:
    """A number that JSON can hold; None for NaN."""
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else round(float(value), _DIGITS)
