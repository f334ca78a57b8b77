"""The faces that two sets of shards share: by video key, frame and track, block by block."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit import schema
from facekit.errors import BadShard
from facekit.shards import Shards

INDEX: Final = ("video_id", "frame_index", "track_id")
"""The columns that say which face a row is."""

_BLOCK_ROWS: Final = 64
_BLOCK_BYTES: Final = 32 << 20

Array = npt.NDArray[np.generic]
Rows = npt.NDArray[np.int64]


def faces_of_videos(shards: Shards) -> list[int]:
    """How many faces each video has.

    Raises:
        BadShard: a face belongs to no video.
    """
    counts = shards.faces_per_video()
    if len(counts) != len(shards.videos):
        raise BadShard("a face belongs to no video; see facekit verify --deep")
    return counts


class Side:
    """One of the two sets.

    Args:
        shards: open.

    Attributes:
        shards: the same.
        videos: its table of videos.
        video_of: key -> row of `videos`.
        counts: (videos,) int64, faces of each video.
    """

    def __init__(self, shards: Shards) -> None:
        self.shards = shards
        self.videos = shards.videos
        self.video_of = {str(key): i for i, key in enumerate(self.videos["key"])}
        self.counts = np.array(faces_of_videos(shards), np.int64)
        self._first_rows = np.cumsum(self.counts) - self.counts

    def _read(self, names: Iterable[str], start: int, stop: int) -> dict[str, Array]:
        shapes = self.shards.header.shapes()
        arrays: dict[str, Array] = {
            name: np.empty((stop - start, *shapes[name]), schema.COLUMNS[name].dtype)
            for name in names
        }
        self.shards.read_into(start, arrays)
        return arrays

    def take(self, names: Iterable[str], rows: Rows) -> dict[str, Array]:
        """These rows, which lie close together, of these columns."""
        start = int(rows[0])
        arrays = self._read(names, start, int(rows[-1]) + 1)
        return {name: array[rows - start] for name, array in arrays.items()}

    def identities(self, key: str) -> tuple[int, npt.NDArray[np.int64]]:
        """First row of a video, and frame and track of its faces as one rising number each.

        Raises:
            BadShard: the faces do not stand in order of video, frame and track.
        """
        video = self.video_of[key]
        first = int(self._first_rows[video])
        index = self._read(INDEX, first, first + int(self.counts[video]))
        video_id, frame_index, track_id = (index[name].astype(np.int64) for name in INDEX)
        faces = frame_index << 32 | track_id
        if (video_id != video).any() or (np.diff(faces) <= 0).any():
            raise BadShard(f"faces of {key} are not in order; see facekit verify --deep")
        return first, faces

    def faces_of(self, keys: Iterable[str]) -> int:
        """Number of faces in these videos."""
        return int(self.counts[[self.video_of[key] for key in keys]].sum())

    def name_of(self, row: int) -> str:
        """Key, frame and track of a face."""
        index = {name: int(array[0]) for name, array in self._read(INDEX, row, row + 1).items()}
        key = self.videos["key"].iloc[index["video_id"]]
        return f"{key} frame {index['frame_index']} track {index['track_id']}"


def row_pairs(one: Side, other: Side, common: Sequence[str]) -> Iterator[tuple[Rows, Rows]]:
    """For each video on both sides, the rows of its common faces in A and in B."""
    for key in common:
        (first_a, faces_a), (first_b, faces_b) = one.identities(key), other.identities(key)
        _, at_a, at_b = np.intersect1d(faces_a, faces_b, assume_unique=True, return_indices=True)
        yield first_a + at_a, first_b + at_b


def blocks(pairs: Iterable[tuple[Rows, Rows]], most_rows: int) -> Iterator[tuple[Rows, Rows]]:
    """Regroup rising pairs of rows so that a block spans a limited number of rows on each side.

    >>> runs = [(np.array([0, 1, 2]), np.array([0, 1, 9]))]
    >>> [(a.tolist(), b.tolist()) for a, b in blocks(runs, 4)]
    [([0, 1], [0, 1]), ([2], [9])]
    """
    held_a = held_b = np.empty(0, np.int64)
    for rows_a, rows_b in pairs:
        held_a, held_b = np.concatenate([held_a, rows_a]), np.concatenate([held_b, rows_b])
        while len(held_a) and max(held_a[-1] - held_a[0], held_b[-1] - held_b[0]) >= most_rows:
            cuts = (int(np.searchsorted(rows, rows[0] + most_rows)) for rows in (held_a, held_b))
            cut = max(1, min(cuts))
            yield held_a[:cut], held_b[:cut]
            held_a, held_b = held_a[cut:], held_b[cut:]
    if len(held_a):
        yield held_a, held_b


def block_rows(one: Side, other: Side, columns: Sequence[str]) -> int:
    """As many rows as fit the bytes allowed on either side, 64 at most: a chunk of the masks."""
    row_bytes = max(_row_bytes(one, columns), _row_bytes(other, columns))
    return max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // max(1, row_bytes)))


def _row_bytes(side: Side, columns: Sequence[str]) -> int:
    shapes = side.shards.header.shapes()
    sizes = {name: np.dtype(schema.COLUMNS[name].dtype).itemsize for name in columns}
    return sum(size * math.prod(shapes[name]) for name, size in sizes.items())
