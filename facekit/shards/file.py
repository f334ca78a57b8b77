"""One shard file, opened for reading and checked."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import h5py
import numpy as np

from facekit import schema
from facekit.shards import check
from facekit.shards.disk import damaged
from facekit.shards.layout import Array
from facekit.shards.seal import check_length

_COPIED_BYTES: Final = 1 << 16
"""Up to here h5py is faster by way of an array of its own: 12 microseconds instead of 130."""


class ShardFile(AbstractContextManager["ShardFile"]):
    """A part or a shard: its header, its videos, and blocks of its faces.

    Args:
        path: the file.
        sealed: False for a file that is still being made.

    Attributes:
        header: what holds for every face.
        rows: number of faces.
        video_rows: number of videos.

    Raises:
        BadShard: damaged, cut, hostile, or of another format.
    """

    def __init__(self, path: Path, *, sealed: bool = True) -> None:
        self.path = path
        if sealed:
            check_length(path)
        with damaged(path):
            self._file = h5py.File(path, "r", locking=False)
            try:
                found = check.checked(self._file)
            except BaseException:
                self._file.close()
                raise
        self.header, self.rows, self.video_rows = found.header, found.rows, found.video_rows
        self._shapes = self.header.shapes()
        # Held open, because HDF5 forgets the chunks it has unpacked when a dataset closes.
        self._datasets, self._videos = found.faces, found.videos

    def read(self, start: int, stop: int, names: Sequence[str] | None = None) -> dict[str, Array]:
        """Faces `start` to `stop` of these columns, or of all.

        Raises:
            BadShard: the data fails its checksum.
        """
        made = self.empty(stop - start, self._shapes if names is None else names)
        self.read_into(start, made)
        return made

    def empty(self, rows: int, names: Sequence[str] | Mapping[str, object]) -> dict[str, Array]:
        """Arrays of the right type and shape for that many faces."""
        return {
            name: np.empty((rows, *self._shapes[name]), schema.COLUMNS[name].dtype)
            for name in names
        }

    def read_into(self, start: int, arrays: Mapping[str, Array]) -> None:
        """Fill C-contiguous arrays with the faces from `start` on, without a copy on the way.

        Raises:
            BadShard: the data fails its checksum.
        """
        with damaged(self.path):
            for name, array in arrays.items():
                run = np.s_[start : start + len(array)]
                if array.nbytes > _COPIED_BYTES:
                    self._datasets[name].read_direct(array, run)
                elif array.size:
                    array[...] = self._datasets[name][run]

    def videos(self) -> dict[str, Array]:
        """The table `videos`, column by column; strings as bytes.

        Raises:
            BadShard: the data fails its checksum.
        """
        with damaged(self.path):
            return {name: dataset[:] for name, dataset in self._videos.items()}

    def close(self) -> None:
        """Close the file."""
        self._datasets.clear()
        self._videos.clear()
        self._file.close()

    def __exit__(self, *_: object) -> None:
        self.close()
