"""How often action units occur alone and together, video by video, from one pass over the labels.

Letters in shapes: V videos, A action units, R faces of a block.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput, BadShard
from facekit.video import Video
from pipelines.au_labels import Block, Labels

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class AUCounts:
    """What a pass over labels keeps: some kilobytes a video, however long it is.

    Faces without any label do not count. A label is 1, 0, or unknown, each AU for itself, so that
    an AU that an engine does not claim has no counts at all.

    Args:
        au_names: the action units.
        videos: in order of key.
        labels_sha256: of the file each video's labels came from, or empty.
        faces_V: (V,) labelled faces: one a frame, unless several people were kept.
        known_VA: (V, A) faces on which AU i is labelled.
        both_VAA: (V, A, A) int32, faces on which AU i and AU j occur; AU i alone on the diagonal.
        given_VAA: (V, A, A) int32, faces on which AU i occurs and AU j is labelled.
    """

    au_names: tuple[str, ...]
    videos: tuple[Video, ...]
    labels_sha256: tuple[str, ...]
    faces_V: Counts
    known_VA: Counts
    both_VAA: npt.NDArray[np.int32]
    given_VAA: npt.NDArray[np.int32]

    def labelled(self) -> list[bool]:
        """For each AU, whether it is labelled on any face."""
        return [bool(known) for known in (self.known_VA.sum(axis=0) > 0).tolist()]


def count(sources: Sequence[Labels]) -> AUCounts:
    """Count in one pass over every source.

    Args:
        sources: at least one; the order makes no difference.

    Raises:
        BadInput: two sources differ in their AUs or share a video, or no face has a label.
        BadShard: the faces of a video do not stand together.
    """
    au_names = sources[0].au_names
    for source in sources[1:]:
        if differing := sorted(set(au_names) ^ set(source.au_names)):
            raise BadInput(
                f"the inputs differ in their action units: {', '.join(differing)} "
                "is not in all of them; label them with the same engine"
            )
    counted = [_count(source, au_names) for source in sources]
    videos = [video for source in sources for video in source.videos]
    _refuse_doubles(videos)
    order = sorted(range(len(videos)), key=lambda row: videos[row].key)
    faces, known, both, given = (_joined(arrays, order) for arrays in zip(*counted, strict=True))
    if not faces.any():
        raise BadInput("no face has an AU label; extract with --au lite or another engine")
    sha256 = [digest for source in sources for digest in source.labels_sha256]
    return AUCounts(
        au_names=au_names,
        videos=tuple(videos[row] for row in order),
        labels_sha256=tuple(sha256[row] for row in order),
        faces_V=faces.astype(np.int64),
        known_VA=known.astype(np.int64),
        both_VAA=both.astype(np.int32, copy=False),
        given_VAA=given.astype(np.int32, copy=False),
    )


def _refuse_doubles(videos: Iterable[Video]) -> None:
    seen: set[str] = set()
    for video in videos:
        if video.key in seen:
            raise BadInput(f"two inputs hold a video called {video.key}; give it once")
        seen.add(video.key)


def _joined(arrays: Sequence[npt.NDArray[np.int32]], order: Sequence[int]) -> npt.NDArray[np.int32]:
    if len(arrays) == 1 and list(order) == sorted(order):
        return arrays[0]
    return np.concatenate(arrays)[list(order)]


def _count(source: Labels, au_names: Sequence[str]) -> tuple[npt.NDArray[np.int32], ...]:
    """Faces, known, both, given, in the order of the source's videos and of `au_names`."""
    videos, aus = len(source.videos), len(au_names)
    columns = [source.au_names.index(name) for name in au_names]
    faces_V = np.zeros(videos, np.int32)
    known_VA = np.zeros((videos, aus), np.int32)
    both_VAA = np.zeros((videos, aus, aus), np.int32)
    given_VAA = np.zeros((videos, aus, aus), np.int32)
    for video_R, occurrence_RA in source.blocks():
        known_RA, pairs = _pairs(occurrence_RA[:, columns])
        for video, run in _runs((video_R, occurrence_RA), videos):
            # Sums of ones below 2**24 are exact in float32, in any order of adding.
            sums_AP = (pairs[run, :aus].T @ pairs[run]).astype(np.int32)
            both_VAA[video] += sums_AP[:, :aus]
            given_VAA[video] += sums_AP[:, aus:]
            known_VA[video] += known_RA[run].sum(axis=0, dtype=np.int32)
            faces_V[video] += np.int32(known_RA[run].any(axis=1).sum())
    return faces_V, known_VA, both_VAA, given_VAA


def _pairs(
    occurrence_RA: npt.NDArray[np.int8],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """(R, A) where a label is known; (R, 2 A) which AUs occur, then which are known."""
    known_RA = occurrence_RA != -1
    return known_RA, np.hstack([occurrence_RA == 1, known_RA]).astype(np.float32)


def _runs(block: Block, videos: int) -> Iterable[tuple[int, slice]]:
    """Each video of a block with the slice of its faces."""
    video_R, _ = block
    if not len(video_R):
        return []
    if video_R[0] < 0 or video_R[-1] >= videos or (np.diff(video_R) < 0).any():
        raise BadShard("the faces are not in order of video; see facekit verify --deep")
    starts = np.flatnonzero(np.diff(video_R, prepend=-1)).tolist()
    return [
        (int(video_R[start]), slice(start, stop))
        for start, stop in zip(starts, [*starts[1:], len(video_R)], strict=True)
    ]
