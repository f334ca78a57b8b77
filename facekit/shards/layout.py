"""What stands where in a shard: datasets, their types and chunks, and the attributes."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import prod
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt
from h5py import h5d, h5p, h5s, h5t

from facekit import schema
from facekit.errors import BadInput
from facekit.faces import VideoRecord
from facekit.options import Measurement
from facekit.video import Video

Array = npt.NDArray[np.generic]

VIDEOS_PER_SHARD: Final = 4096
"""Videos in one shard at most; bounds what a reader holds of their names and paths."""

LIBVER: Final = ("v110", "v110")
"""The format of HDF5's own metadata: the oldest in which all of it has checksums."""

_JSON_BYTES: Final = 1 << 20
_SIDE_PX: Final = range(8, 4097)
_AU_COUNT: Final = range(129)
_TYPICAL_AUS: Final = 20
_TYPICAL_MASK_BYTES: Final = 400


@dataclass(frozen=True, kw_only=True)
class Header:
    """What holds for every face of a shard.

    Args:
        provenance: how the faces were measured.
        size_px: side of the crop, 8 to 4096.
        images: whether the crops are stored.
    """

    provenance: schema.Provenance
    size_px: int
    images: bool

    def __post_init__(self) -> None:
        au_count = len(self.provenance.au_names)
        if self.size_px not in _SIDE_PX:
            raise BadInput(f"crops have 8 to 4096 px, not {self.size_px}")
        if au_count not in _AU_COUNT:
            raise BadInput(f"a shard holds up to 128 action units, not {au_count}")
        self.attributes()

    def attributes(self) -> dict[str, int | bytes]:
        """The attributes of the file: numbers, text, and JSON with sorted keys.

        Raises:
            BadInput: a value has no JSON form, or is longer than 1 MiB.
        """
        told = self.provenance
        return {
            "facekit_format": schema.FORMAT,
            "size_px": self.size_px,
            "au_mode": _text("au_mode", told.au_mode),
            "au_names": _json("au_names", list(told.au_names)),
            "measurement": _json("measurement", told.measurement),
            "backends": _json("backends", told.backends),
            "versions": _json("versions", told.versions),
        }

    def same_as(self, other: "Header") -> str:
        """Name of the first attribute in which two shards differ; empty if they agree."""
        mine, theirs = self.attributes(), other.attributes()
        names = [name for name in mine if mine[name] != theirs[name]]
        return next(iter(names), "" if self.images == other.images else "images")

    @classmethod
    def of_attributes(cls, attributes: Mapping[str, Any], *, images: bool) -> "Header":
        """The header that has these attributes.

        Raises:
            ValueError: JSON is malformed, or holds what no header holds.
        """
        told = {
            name: json.loads(attributes[name])
            for name in ("au_names", "measurement", "backends", "versions")
        }
        told["au_mode"] = attributes["au_mode"].decode()
        return cls.of_json(told, size_px=int(attributes["size_px"]), images=images)

    @classmethod
    def of_json(cls, told: Mapping[str, Any], *, size_px: object, images: object) -> "Header":
        """The header of a provenance as plain JSON values.

        Raises:
            ValueError: a value is not of the kind that a header holds.
        """
        names = told["au_names"]
        if not all(isinstance(told[n], dict) for n in ("measurement", "backends", "versions")):
            raise ValueError("measurement, backends and versions must be JSON objects")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("au_names must be a JSON list of strings")
        if type(size_px) is not int or type(images) is not bool:
            raise ValueError("size_px must be a number and images true or false")
        try:
            provenance = schema.Provenance(**{**told, "au_names": tuple(names)})
            return cls(provenance=provenance, size_px=size_px, images=images)
        except (BadInput, AttributeError) as error:
            raise ValueError(str(error)) from error

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of one row of each column a reader can ask for."""
        au_count = len(self.provenance.au_names)
        return {
            name: column.row_shape(size_px=self.size_px, au_count=au_count)
            for name, column in schema.COLUMNS.items()
            if self.images or name != "image"
        }

    def stored(self) -> dict[str, schema.Column]:
        """The columns that have a dataset: not those without width, which HDF5 cannot chunk."""
        return {
            name: schema.COLUMNS[name] for name, shape in self.shapes().items() if 0 not in shape
        }


def _text(name: str, text: str) -> bytes:
    encoded = text.encode()
    if not encoded or len(encoded) > _JSON_BYTES:
        raise BadInput(f"{name} must have 1 byte to 1 MiB, not {len(encoded)} bytes")
    return encoded


def _json(name: str, value: object) -> bytes:
    plain = dict(value) if isinstance(value, Mapping) else value
    try:
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} holds what JSON cannot: {error}") from error
    return _text(name, text)


def bytes_per_face(measurement: Measurement) -> int:
    """Bytes that one face takes in a shard, about: masks are compressed, labels depend on the AUs.

    >>> bytes_per_face(Measurement()), bytes_per_face(Measurement(images=False))
    (152236, 1708)
    """
    columns = [c for n, c in schema.COLUMNS.items() if n != "image" or measurement.images]
    shapes = [c.row_shape(size_px=measurement.size, au_count=_TYPICAL_AUS) for c in columns]
    plain = (
        dtype_of(column).itemsize * prod(shape)
        for column, shape in zip(columns, shapes, strict=True)
        if not column.gzip
    )
    return sum(plain) + _TYPICAL_MASK_BYTES


@functools.cache
def dtype_of(column: schema.Column) -> np.dtype[Any]:
    """The numpy dtype of a column; fixed-length UTF-8 for a string.

    >>> dtype_of(schema.VIDEOS["split"]), dtype_of(schema.VIDEOS["fps"])
    (dtype('S16'), dtype('float64'))
    """
    kind, _, length = column.dtype.partition(":")
    made: np.dtype[Any] = (
        h5py.string_dtype("utf-8", int(length)) if kind == "utf8" else np.dtype(column.dtype)
    )
    return made


def create(
    file: h5py.File, header: Header
) -> tuple[dict[str, h5py.Dataset], dict[str, h5py.Dataset]]:
    """Lay out an empty shard: attributes, and every dataset with no rows.

    Returns:
        The datasets of the faces and those of the videos, by name.
    """
    for name, value in header.attributes().items():
        if isinstance(value, bytes):
            dtype = h5py.string_dtype("utf-8", len(value))
            file.attrs.create(name, np.array(value, dtype))
        else:
            file.attrs.create(name, np.array(value, "<i8"))
    shapes = header.shapes()
    faces = {
        name: _create_dataset(file, column, shapes[name])
        for name, column in header.stored().items()
    }
    group = file.create_group("videos", track_times=False)
    videos = {
        name: _create_dataset(group, column, column.row_shape(size_px=0, au_count=0))
        for name, column in schema.VIDEOS.items()
    }
    return faces, videos


def _create_dataset(
    group: h5py.Group, column: schema.Column, row_shape: tuple[int, ...]
) -> h5py.Dataset:
    kind, space, plan = _plan(column, row_shape)
    return h5py.Dataset(h5d.create(group.id, column.name.encode(), kind, space, dcpl=plan))


@functools.cache
def _plan(
    column: schema.Column, row_shape: tuple[int, ...]
) -> tuple[h5t.TypeID, h5s.SpaceID, h5p.PropDCID]:
    """What `Group.create_dataset` makes of a column anew each time, for as long as it takes."""
    plan = h5p.create(h5p.DATASET_CREATE)
    plan.set_chunk((column.chunk_rows, *row_shape))
    plan.set_fill_time(h5d.FILL_TIME_IFSET)
    if column.gzip:
        plan.set_deflate(column.gzip)
    plan.set_fletcher32()
    plan.set_obj_track_times(False)
    space = h5s.create_simple((0, *row_shape), (h5s.UNLIMITED, *row_shape))
    return h5t.py_create(dtype_of(column), logical=True), space, plan


def encode_record(record: VideoRecord) -> dict[str, Array]:
    """A video's row of `videos`, as arrays of one row.

    Raises:
        BadInput: a text is longer than its column, or a value does not fit.
    """
    return {
        name: _encode(schema.VIDEOS[name], value, record.video.key)
        for name, value in record.row().items()
    }


def _encode(column: schema.Column, value: object, key: str) -> Array:
    dtype = dtype_of(column)
    try:
        if isinstance(value, str):
            return np.array([_fitting(value.encode(), dtype.itemsize)], dtype)
        return np.array([value], dtype).reshape(1, *column.row_shape(size_px=0, au_count=0))
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(
            f"video {key!r}: {column.name} {value!r} cannot be stored: {error}"
        ) from error


def _fitting(text: bytes, length: int) -> bytes:
    if len(text) > length or b"\0" in text:
        raise ValueError(f"{len(text)} bytes; {length} without a NUL fit")
    return text


def decode_records(table: Mapping[str, Array]) -> list[VideoRecord]:
    """The records of a table `videos`.

    Raises:
        ValueError: a text is not UTF-8.
    """
    columns = {name: _decoded(array) for name, array in table.items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [_record(row) for row in rows]


def _record(row: dict[str, Any]) -> VideoRecord:
    of_video = {field.name: row[field.name] for field in fields(Video) if field.name in row}
    video = Video(path=Path(row["relative_path"]), **of_video)
    rest = {name: value for name, value in row.items() if name not in of_video}
    return VideoRecord(video=video, **{**rest, "size_wh": tuple(rest["size_wh"])})


def _decoded(array: Array) -> list[Any]:
    values: list[Any] = array.tolist()
    return [v.decode() for v in values] if array.dtype.kind == "S" else values
