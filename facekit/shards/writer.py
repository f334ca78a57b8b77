"""Rows in, whole chunks out: the one way in which any shard is written."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import h5py
import numpy as np
from h5py import h5s

from facekit import schema
from facekit.errors import BadInput
from facekit.faces import VideoRecord
from facekit.shards import layout
from facekit.shards.disk import Sink
from facekit.shards.layout import Array, Header
from facekit.shards.seal import SEAL_BYTES, seal


class _Table:
    """Datasets of equal length that grow by whole chunks.

    The order of writes decides where HDF5 puts each chunk, so rows are taken in steps cut at
    multiples of the smallest chunk: the same rows give the same bytes in blocks of any length.
    """

    def __init__(
        self, datasets: Mapping[str, h5py.Dataset], columns: Mapping[str, schema.Column]
    ) -> None:
        self.rows = 0
        self._datasets = datasets
        self._pending = {
            name: np.zeros(dataset.chunks, dataset.dtype)
            for name, dataset in self._datasets.items()
        }
        self._step = min(column.chunk_rows for column in columns.values())

    def append(self, arrays: Mapping[str, Array], rows: int) -> None:
        start = 0
        while start < rows:
            stop = min(rows, start + self._step - self.rows % self._step)
            self._take({name: arrays[name][start:stop] for name in self._datasets}, stop - start)
            start = stop

    def _take(self, arrays: Mapping[str, Array], rows: int) -> None:
        for name, pending in self._pending.items():
            at = self.rows % len(pending)
            pending[at : at + rows] = arrays[name]
            if at + rows == len(pending):
                self._write(name, self.rows + rows, len(pending))
        self.rows += rows

    def flush(self) -> None:
        for name, pending in self._pending.items():
            if self.rows % len(pending):
                self._write(name, self.rows, self.rows % len(pending))

    def _write(self, name: str, end: int, rows: int) -> None:
        """By way of HDF5's own calls: those of h5py take twice as long for a row of a table."""
        stored, array = self._datasets[name].id, self._pending[name][:rows]
        stored.set_extent((end, *array.shape[1:]))
        place = stored.get_space()
        place.select_hyperslab((end - rows, *[0] * (array.ndim - 1)), array.shape)
        stored.write(h5s.create_simple(array.shape), place, array, stored.get_type())

    def overwrite(self, name: str, array: Array) -> None:
        dataset, chunk_rows = self._datasets[name], len(self._pending[name])
        if array.shape != dataset.shape:
            raise BadInput(f"{name} is {array.shape}, not {dataset.shape}: one row a face appended")
        for start in range(0, self.rows, chunk_rows):
            stop = min(start + chunk_rows, self.rows)
            dataset[start:stop] = array[start:stop]


class ShardWriter(AbstractContextManager["ShardWriter"]):
    """Writes one shard; memory is one chunk a column, whatever the number of rows.

    Args:
        path: created, or emptied if it exists; sealed by `finish`.
        header: what holds for every face.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._sink = Sink(path)
        self._file = h5py.File(
            self._sink,
            "w",
            libver=layout.LIBVER,
            userblock_size=SEAL_BYTES,
            track_order=False,
            rdcc_nbytes=0,  # whole chunks are given: a cache would only delay a full disk
        )
        faces, videos = layout.create(self._file, header)
        self._faces = _Table(faces, header.stored())
        self._videos = _Table(videos, schema.VIDEOS)

    @property
    def rows(self) -> int:
        """Faces so far."""
        return self._faces.rows

    def append(self, arrays: Mapping[str, Array], rows: int) -> None:
        """Add faces; `arrays` holds at least every stored column, each of that many rows.

        Raises:
            DiskFull: the disk ran out.
        """
        self._faces.append(arrays, rows)
        self._sink.check()

    def append_video(self, video: VideoRecord | Mapping[str, Array]) -> None:
        """Add a video: its record, or its row of `videos` as read from another shard.

        Raises:
            BadInput: a text is longer than its column.
        """
        row = layout.encode_record(video) if isinstance(video, VideoRecord) else video
        self._videos.append(row, 1)

    def finish(self, replaced: Mapping[str, Array] | None = None) -> None:
        """Write what is pending, close and seal.

        Args:
            replaced: columns, uncompressed ones, to put in place of what was appended.

        Raises:
            DiskFull: the disk ran out.
            BadInput: a replaced column has another shape.
        """
        self._faces.flush()
        self._videos.flush()
        for name, array in (replaced or {}).items():
            self._faces.overwrite(name, array)
        self.close()
        self._sink.check()
        seal(self._path)

    def close(self) -> None:
        """Let go of the file, finished or not."""
        if self._file:
            self._file.close()
            self._sink.close()

    def __exit__(self, *_: object) -> None:
        self.close()
