"""What two sources of labels share: which videos, and which faces of a video.

Letters in shapes: N and M faces of one video in A and in B.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput
from facekit.openface_files import MIN_IOU, in_order
from pipelines.label_sources import CSVS, FaceLabels, LabelSource, VideoName

_Rows = npt.NDArray[np.int64]
_Boxes = npt.NDArray[np.floating[Any]]
_Candidates = Mapping[str, Sequence[tuple[str, tuple[str, ...]]]]


@dataclass(frozen=True, kw_only=True)
class Unjoined:
    """What of common videos is on one side alone.

    Args:
        frames_only_in_a: frames on which A has a face and B none.
        frames_only_in_b: frames on which B has a face and A none.
        faces_apart_in_a: faces of A, on frames that both have, that are none of B's.
        faces_apart_in_b: faces of B, on frames that both have, that are none of A's.

    >>> Unjoined(frames_only_in_a=2) + Unjoined(frames_only_in_a=3, faces_apart_in_b=1)
    Unjoined(frames_only_in_a=5, frames_only_in_b=0, faces_apart_in_a=0, faces_apart_in_b=1)
    """

    frames_only_in_a: int = 0
    frames_only_in_b: int = 0
    faces_apart_in_a: int = 0
    faces_apart_in_b: int = 0

    def __add__(self, other: "Unjoined") -> "Unjoined":
        mine, theirs = asdict(self), asdict(other)
        return Unjoined(**{name: count + theirs[name] for name, count in mine.items()})

    def lines(self) -> list[str]:
        """The counts as text for a person."""
        return [
            f"of common videos, frames with a face in A alone: {self.frames_only_in_a:,}, "
            f"in B alone: {self.frames_only_in_b:,}",
            f"on common frames, faces of A that are none of B's: {self.faces_apart_in_a:,}, "
            f"of B that are none of A's: {self.faces_apart_in_b:,}",
        ]


@dataclass(frozen=True, kw_only=True)
class JoinedFaces:
    """Which faces of a video are the same in A and in B.

    Args:
        rows_a: (P,) int64, rising.
        rows_b: (P,) int64, their partners.
        unjoined: the others.
    """

    rows_a: _Rows
    rows_b: _Rows
    unjoined: Unjoined


def same_videos(a: LabelSource, b: LabelSource) -> list[tuple[str, str]]:
    """The keys of each video that both sources have, in the order of the shards, or of A.

    Two shard folders share keys, two sets of CSVs the path below the folder given. CSVs belong to
    the videos of shards by name, `035_036.csv` to `035_036.mp4`. Since methods of one dataset
    share names, words before it that are joined by `__`, and folders, must each be a folder above
    the video, in this order, whole or up to an underscore: `Deepfakes__035_036.csv`,
    `Deepfakes/c23/videos/035_036.csv`, `original__035.csv` for
    `original_sequences/youtube/c23/videos/035.mp4`. More words win over fewer. One CSV given by
    itself is that of the other side's only video, whatever the names.

    Raises:
        BadInput: two CSVs fit a video equally well, or one CSV fits two videos.
    """
    keys_a, keys_b = ([video.key for video in source.videos] for source in (a, b))
    if (a.is_one_file or b.is_one_file) and len(keys_a) == len(keys_b) == 1:
        return [(keys_a[0], keys_b[0])]
    if a.kind == b.kind:
        known = set(keys_b)
        return [(key, key) for key in keys_a if key in known]
    if b.kind == CSVS:
        return csvs_of(a.videos, keys_b)
    return [(csv_key, key) for key, csv_key in csvs_of(b.videos, keys_a)]


def csvs_of(videos: Sequence[VideoName], csv_keys: Sequence[str]) -> list[tuple[str, str]]:
    """The key of each video with that of its CSV; see `same_videos`.

    >>> clip = VideoName(key="set/a/x.mp4", stem="x", folders=[["set", "a"]])
    >>> csvs_of([clip], ["b__x", "a__x", "y"])
    [('set/a/x.mp4', 'a__x')]
    """
    candidates: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    for key in csv_keys:
        for stem, words in _readings(key):
            candidates[stem].append((key, words))
    found = {video.key: _csv_of(video, candidates) for video in videos}
    pairs = [(key, csv_key) for key, csv_key in found.items() if csv_key is not None]
    uses = Counter(csv_key for _, csv_key in pairs)
    shared = [csv_key for csv_key in uses if uses[csv_key] > 1]
    if shared:
        one, other, *_ = (key for key, csv_key in pairs if csv_key == shared[0])
        raise BadInput(
            f"the CSV {shared[0]} fits both {one} and {other}; put a folder of each video before "
            "its name, as in Deepfakes__035_036.csv"
        )
    return pairs


def _readings(csv_key: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What may be the video's stem, which may hold `__` itself, and the words before it."""
    *folders, name = csv_key.split("/")
    pieces = name.split("__")
    for start in range(len(pieces)):
        yield "__".join(pieces[start:]), (*folders, *pieces[:start])


def _csv_of(video: VideoName, candidates: _Candidates) -> str | None:
    fitting = {
        key: len(words)
        for key, words in candidates.get(video.stem, ())
        if any(in_order(words, chain) for chain in video.folders)
    }
    best = sorted(key for key in fitting if fitting[key] == max(fitting.values()))
    if len(best) > 1:
        raise BadInput(f"the CSVs {best[0]} and {best[1]} both fit {video.key}; leave one out")
    return best[0] if best else None


def same_faces(a: FaceLabels, b: FaceLabels) -> JoinedFaces:
    """Pair the faces of a video by frame and place.

    On each frame faces are assigned to each other so that the sum of overlaps is largest; below
    `openface_files.MIN_IOU` two boxes are two people, also where there is one on either side:
    `--face largest` may have kept another person.

    Args:
        a: N faces.
        b: M faces of the same video.
    """
    frames = np.intersect1d(a.frame_index, b.frame_index)
    first_a, count_a = _runs(a.frame_index, frames)
    first_b, count_b = _runs(b.frame_index, frames)
    alone = (count_a == 1) & (count_b == 1)
    one_a, one_b = first_a[alone], first_b[alone]
    same = overlap(a.box_xyxy[one_a], b.box_xyxy[one_b]) >= MIN_IOU
    rows_a, rows_b = [one_a[same]], [one_b[same]]
    for at in np.flatnonzero(~alone):
        here_a = slice(first_a[at], first_a[at] + count_a[at])
        here_b = slice(first_b[at], first_b[at] + count_b[at])
        mine, theirs = _assigned(a.box_xyxy[here_a], b.box_xyxy[here_b])
        rows_a.append(first_a[at] + mine)
        rows_b.append(first_b[at] + theirs)
    joined_a, joined_b = np.concatenate(rows_a), np.concatenate(rows_b)
    order = np.argsort(joined_a)
    unjoined = Unjoined(
        frames_only_in_a=len(np.unique(a.frame_index)) - len(frames),
        frames_only_in_b=len(np.unique(b.frame_index)) - len(frames),
        faces_apart_in_a=int(count_a.sum()) - len(joined_a),
        faces_apart_in_b=int(count_b.sum()) - len(joined_b),
    )
    return JoinedFaces(rows_a=joined_a[order], rows_b=joined_b[order], unjoined=unjoined)


def _runs(frame_index: _Rows, frames: _Rows) -> tuple[_Rows, _Rows]:
    """Where the faces of each of these frames begin, and how many there are."""
    first = np.searchsorted(frame_index, frames, "left")
    return first, np.searchsorted(frame_index, frames, "right") - first


def _assigned(one_N4: _Boxes, other_M4: _Boxes) -> tuple[_Rows, _Rows]:
    from scipy.optimize import linear_sum_assignment

    overlaps = overlap(one_N4[:, None], other_M4[None])
    gain = np.where(overlaps >= MIN_IOU, overlaps, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    linked = gain[rows, columns] > 0.0
    return rows[linked], columns[linked]


def overlap(one_xyxy: _Boxes, other_xyxy: _Boxes) -> npt.NDArray[np.float64]:
    """Intersection over union of boxes, (..., 4) each, broadcast; NaN for boxes without area.

    >>> overlap(np.array([0.0, 0, 2, 2]), np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]]))
    array([1.        , 0.33333333, 0.        ])
    """
    one, other = np.asarray(one_xyxy, np.float64), np.asarray(other_xyxy, np.float64)
    low_xy = np.maximum(one[..., :2], other[..., :2])
    high_xy = np.minimum(one[..., 2:], other[..., 2:])
    common = np.prod(np.maximum(high_xy - low_xy, 0.0), axis=-1)
    areas = [np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (one, other)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(common / (areas[0] + areas[1] - common))
