"""A dataset as one long sequence of faces, read in blocks."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np

from facekit import schema
from facekit.errors import BadInput, BadShard
from facekit.faces import VideoFaces, VideoRecord
from facekit.shards import layout, tables
from facekit.shards.disk import damaged
from facekit.shards.file import ShardFile
from facekit.shards.layout import Array, Header
from facekit.shards.manifest import read_manifest

if TYPE_CHECKING:
    import pandas as pd

PIXELS: Final = frozenset({"image", "au_mask"})
"""The columns that `Shards.to_pandas` leaves out."""

_OPEN_FILES: Final = 32


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A shard, and where its faces and videos begin in the whole."""

    path: Path
    rows: int
    videos: int
    first_row: int
    first_video: int


def open_shards(path: Path | str, *, columns: Sequence[str] | None = None) -> "Shards":
    """Open a dataset, or one shard of it, for reading.

    Args:
        path: a folder with a manifest, or one shard or part.
        columns: the columns that slices and blocks hold; None for all.

    Returns:
        The faces, in order of video, frame and track. Close it, or use it in a `with`.

    Raises:
        BadInput: no such path or column.
        BadShard: a file is damaged, missing, hostile, or of another format.

    >>> import tempfile
    >>> from facekit import schema
    >>> from facekit.faces import VideoRecord
    >>> from facekit.shards import Header, pack
    >>> from facekit.video import Video
    >>> told = schema.Provenance(measurement={}, au_names=(), au_mode="none", backends={})
    >>> video = Video(key="a", path=Path("a.mp4"), relative_path="a.mp4")
    >>> failed = VideoRecord(video=video, status="timeout")
    >>> header = Header(provenance=told, size_px=224, images=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pack([failed], Path(folder) / "faces-00000.h5", header=header)
    ...     with open_shards(Path(folder) / "faces-00000.h5", columns=["image"]) as shards:
    ...         len(shards), shards[:].columns["image"].shape, shards.videos["status"][0]
    (0, (0, 224, 224, 3), 'timeout')
    """
    path = Path(path)
    if path.is_dir():
        manifest = read_manifest(path)
        _require_lengths(path, {entry.name: entry.bytes for entry in manifest.shards})
        counts = [(path / e.name, e.rows, e.videos) for e in manifest.shards]
        return Shards(_places(counts), manifest.header, columns)
    if not path.is_file():
        raise BadInput(f"{path}: no such file or folder")
    with ShardFile(path) as shard:
        return Shards(_places([(path, shard.rows, shard.video_rows)]), shard.header, columns)


def _places(counts: Sequence[tuple[Path, int, int]]) -> list[_Place]:
    first_rows = accumulate((rows for _, rows, _ in counts), initial=0)
    first_videos = accumulate((videos for _, _, videos in counts), initial=0)
    return [
        _Place(path=path, rows=rows, videos=videos, first_row=row, first_video=video)
        for (path, rows, videos), row, video in zip(counts, first_rows, first_videos, strict=False)
    ]


def _require_lengths(folder: Path, lengths: Mapping[str, int]) -> None:
    for name, length in lengths.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != length:
            raise BadShard(f"{path}: missing or cut; see facekit verify {folder}")


class Shards(AbstractContextManager["Shards"]):
    """Faces of a dataset: sized, sliceable, picklable. Made by `open_shards`.

    Files are opened when first needed, in the process that needs them, so it can be passed to
    workers by fork or by pickle. Reading is by contiguous blocks, as lists of indices cost HDF5
    hundreds of times more: shuffle blocks, or load all with `read_into`.

    Attributes:
        header: how the faces were measured, the crop's side, whether there are crops.
        columns: the names of what slices and blocks hold.
    """

    def __init__(
        self, places: Sequence[_Place], header: Header, columns: Sequence[str] | None
    ) -> None:
        self._places = tuple(places)
        self._first_rows = np.array([place.first_row for place in places], np.int64)
        self._rows = sum(place.rows for place in places)
        self._shapes = header.shapes()
        self.header = header
        self.columns = tuple(self._shapes if columns is None else columns)
        unknown = [name for name in self.columns if name not in self._shapes]
        if unknown:
            raise BadInput(f"no column {unknown[0]!r} here; there are {', '.join(self._shapes)}")
        self._files: OrderedDict[int, ShardFile] = OrderedDict()
        self._pid = os.getpid()
        self._videos: pd.DataFrame | None = None

    @property
    def provenance(self) -> schema.Provenance:
        """How the faces were measured."""
        return self.header.provenance

    @property
    def videos(self) -> "pd.DataFrame":
        """One row a video, failed ones included, with the columns of `schema.VIDEOS`.

        `video_id` of a face is the row here, also where there are many shards.
        """
        if self._videos is None:
            self._videos = tables.videos(self.records())
        return self._videos

    def __len__(self) -> int:
        return self._rows

    @overload
    def __getitem__(self, which: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, which: slice) -> VideoFaces: ...
    def __getitem__(self, which: int | slice) -> dict[str, Any] | VideoFaces:
        """One face as name -> value, or a contiguous run of faces as a block.

        Raises:
            IndexError: there is no such face.
            BadInput: the slice has a step.
        """
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            if step != 1:
                raise BadInput(f"a slice of shards has step 1, not {step}; slice the block instead")
            return self.read(start, max(start, stop))
        row = which + len(self) if which < 0 else which
        if not 0 <= row < len(self):
            raise IndexError(f"face {which} of {len(self)}")
        return {name: array[0] for name, array in self.read(row, row + 1).columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for block in self.iter_blocks():
            for i in range(len(block)):
                yield {name: array[i] for name, array in block.columns.items()}

    def iter_blocks(self, rows: int = 64) -> Iterator[VideoFaces]:
        """All faces in order, that many at a time; the last block may be shorter.

        Args:
            rows: multiples of 64 read no chunk twice.
        """
        for start in range(0, len(self), rows):
            yield self[start : start + rows]

    def read(self, start: int, stop: int) -> VideoFaces:
        """Faces `start` to `stop`, of `columns`.

        Raises:
            BadShard: the data fails its checksum.
        """
        return VideoFaces(columns=self._read(start, stop, self.columns))

    def _read(self, start: int, stop: int, names: Sequence[str]) -> dict[str, Array]:
        made: dict[str, Array] = {
            name: np.empty((stop - start, *self._shapes[name]), schema.COLUMNS[name].dtype)
            for name in names
        }
        self.read_into(start, made)
        return made

    def read_into(self, start: int, arrays: Mapping[str, Array]) -> None:
        """Fill C-contiguous arrays, such as pinned memory, with the faces from `start` on.

        Args:
            start: first face.
            arrays: column -> array of its dtype and shape; as many faces are read as it is long.

        Raises:
            BadInput: there are fewer faces, or an array is not of the column's dtype and shape.
            BadShard: the data fails its checksum.
        """
        for name, array in arrays.items():
            self._require_fits(start, name, array)
            stop, row = start + len(array), start
            while row < stop:
                row += self._fill(name, array[row - start :], row)

    def _require_fits(self, start: int, name: str, array: Array) -> None:
        shape, rows = self._shapes.get(name), len(array)
        fits = shape is not None and array.shape == (rows, *shape)
        if not fits or array.dtype != schema.COLUMNS[name].dtype or not array.flags.c_contiguous:
            raise BadInput(f"{name}: {array.dtype} {array.shape} is not what the column needs")
        if not 0 <= start <= start + rows <= len(self):
            raise BadInput(f"faces {start} to {start + rows} of {len(self)} do not exist")

    def _fill(self, name: str, array: Array, row: int) -> int:
        """Read what one shard holds of these rows; give how many that were."""
        number = int(np.searchsorted(self._first_rows, row, side="right")) - 1
        place = self._places[number]
        rows = min(len(array), place.first_row + place.rows - row)
        self._file(number).read_into(row - place.first_row, {name: array[:rows]})
        if name == "video_id":
            array[:rows] += np.int32(place.first_video)  # type: ignore[misc]
        return rows

    def _file(self, number: int) -> ShardFile:
        if os.getpid() != self._pid:
            self._files, self._pid = OrderedDict(), os.getpid()
        if number not in self._files:
            self._files[number] = self._open(self._places[number])
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(number)
        return self._files[number]

    def _open(self, place: _Place) -> ShardFile:
        file = ShardFile(place.path)
        agrees = (file.rows, file.video_rows) == (place.rows, place.videos)
        if not agrees or file.header.same_as(self.header):
            file.close()
            raise BadShard(f"{place.path}: not the shard its manifest lists; see facekit verify")
        return file

    def records(self) -> list[VideoRecord]:
        """The same as `videos`, as records; the path of each is its relative path.

        Raises:
            BadShard: the data fails its checksum.
        """
        made: list[VideoRecord] = []
        for number, place in enumerate(self._places):
            with damaged(place.path):
                made += layout.decode_records(self._file(number).videos())
        return made

    def faces_per_video(self) -> list[int]:
        """How many faces each video has, in the order of `videos`."""
        video_id = self._read(0, len(self), ["video_id"])["video_id"]
        count = sum(place.videos for place in self._places)
        counts: list[int] = np.bincount(video_id, minlength=count).tolist()
        return counts

    def to_pandas(self) -> "pd.DataFrame":
        """One row a face: everything but pixels, and of its video the key, label, split, status.

        A column of more than one number is spread: `box_xyxy_0`, `landmarks_xy_67_1`,
        `au_occurrence_AU12`.

        Returns:
            Every column of `schema.COLUMNS` but `image` and `au_mask`, whatever `columns` is.
        """
        names = [name for name in self._shapes if name not in PIXELS]
        faces = self._read(0, len(self), names)
        return tables.faces(faces, self.videos, self.provenance.au_names)

    def __getstate__(self) -> dict[str, Any]:
        return {"places": self._places, "header": self.header, "columns": self.columns}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def close(self) -> None:
        """Close all files; they open again when needed."""
        while self._files:
            self._files.popitem()[1].close()

    def __exit__(self, *_: object) -> None:
        self.close()
