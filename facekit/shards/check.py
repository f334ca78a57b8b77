"""What a file is refused for before a byte of its data is read.

An HDF5 file can point at other files, run filters from plug-ins, hold Python objects and claim any
size. A shard does none of that: each part of it is compared with what this facekit would write.
"""

import functools
from typing import Any, Final, NamedTuple

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5p, h5t, h5z

from facekit import schema
from facekit.shards import layout
from facekit.shards.layout import Header
from facekit.shards.seal import SEAL_BYTES

_ATTRIBUTE_BYTES: Final = 1 << 20
_ATTRIBUTES: Final = {
    "facekit_format": h5t.INTEGER,
    "size_px": h5t.INTEGER,
    "au_mode": h5t.STRING,
    "au_names": h5t.STRING,
    "measurement": h5t.STRING,
    "backends": h5t.STRING,
    "versions": h5t.STRING,
}
_CHECKSUM_BYTES: Final = 4


class Checked(NamedTuple):
    """What an open shard turned out to hold; datasets stay open, as opening takes its time.

    Args:
        header: what holds for every face.
        rows: number of faces.
        video_rows: number of videos.
        faces: the datasets of faces by name.
        videos: those of videos.
    """

    header: Header
    rows: int
    video_rows: int
    faces: dict[str, h5py.Dataset]
    videos: dict[str, h5py.Dataset]


def checked(file: h5py.File) -> Checked:
    """Check the whole layout of an open shard.

    Raises:
        ValueError: the file is not what a shard is, with the reason.
    """
    _require(
        file.id.get_create_plist().get_userblock() == SEAL_BYTES, "it has no seal of 512 bytes"
    )
    attributes = _attributes(file)
    _require(
        attributes["facekit_format"] == schema.FORMAT,
        f"format {attributes['facekit_format']}; this facekit reads format {schema.FORMAT}",
    )
    header = Header.of_attributes(attributes, images=file.id.links.exists(b"image"))
    faces, videos = header.stored(), schema.VIDEOS
    _links(file.id, {*faces, "videos"})
    group = h5g.open(file.id, b"videos")
    _links(group, set(videos))
    _require(h5a.get_num_attrs(group) == 0, "videos has attributes")
    shapes = header.shapes()
    of_faces = {n: _dataset(file.id, column, shapes[n]) for n, column in faces.items()}
    of_videos = {
        n: _dataset(group, column, column.row_shape(size_px=0, au_count=0))
        for n, column in videos.items()
    }
    face_rows = {dataset.shape[0] for dataset in of_faces.values()}
    video_rows = {dataset.shape[0] for dataset in of_videos.values()}
    _require(len(face_rows) == 1, f"its columns have {sorted(face_rows)} rows")
    _require(len(video_rows) == 1, f"its columns of videos have {sorted(video_rows)} rows")
    count = video_rows.pop()
    _require(count <= layout.VIDEOS_PER_SHARD, f"{count} videos")
    return Checked(header, face_rows.pop(), count, of_faces, of_videos)


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise ValueError(reason)


def _attributes(file: h5py.File) -> dict[str, Any]:
    _require(h5a.get_num_attrs(file.id) == len(_ATTRIBUTES), "it has other attributes than a shard")
    for name, kind in _ATTRIBUTES.items():
        _require(h5a.exists(file.id, name.encode()), f"it has no attribute {name}")
        attribute = h5a.open(file.id, name.encode())
        stored = attribute.get_type()
        fixed = kind != h5t.STRING or not stored.is_variable_str()
        _require(
            stored.get_class() == kind and fixed and attribute.shape == (),
            f"attribute {name} has another type",
        )
        _require(stored.get_size() <= _ATTRIBUTE_BYTES, f"attribute {name} is too long")
    return {
        name: file.attrs[name] if kind == h5t.INTEGER else _bytes(file, name)
        for name, kind in _ATTRIBUTES.items()
    }


def _bytes(file: h5py.File, name: str) -> bytes:
    attribute = h5a.open(file.id, name.encode())
    value = np.empty((), np.dtype(f"S{attribute.get_type().get_size()}"))
    attribute.read(value, mtype=attribute.get_type())
    return bytes(value[()])


def _links(group: h5g.GroupID, expected: set[str]) -> None:
    _require(group.get_num_objs() == len(expected), "it holds other datasets than a shard")
    for name in sorted(expected):
        _require(group.links.exists(name.encode()), f"{name} is missing")
        kind = group.links.get_info(name.encode()).type
        _require(kind == h5l.TYPE_HARD, f"{name} is a link to elsewhere")


def _dataset(group: h5g.GroupID, column: schema.Column, row_shape: tuple[int, ...]) -> h5py.Dataset:
    """Open one dataset and check it."""
    name = column.name
    dataset = h5d.open(group, name.encode())
    _require(h5a.get_num_attrs(dataset) == 0, f"{name} has attributes")
    _require(dataset.get_type() == _type_of(column), f"{name} has another type")
    space, plan = dataset.get_space(), dataset.get_create_plist()
    _require(plan.get_layout() == h5d.CHUNKED, f"{name} is not stored in chunks of this file")
    _require(plan.get_external_count() == 0, f"{name} is stored in another file")
    _require(plan.get_chunk() == (column.chunk_rows, *row_shape), f"{name} has other chunks")
    _require(_filters(plan) == _filters_of(column), f"{name} has other filters")
    _require(
        space.get_simple_extent_dims(maxdims=True) == (h5py.h5s.UNLIMITED, *row_shape)
        and space.get_simple_extent_dims()[1:] == row_shape,
        f"{name} has another shape",
    )
    rows = int(space.get_simple_extent_dims()[0])
    _stored_whole(dataset, column, row_shape, rows)
    return h5py.Dataset(dataset)


@functools.cache
def _type_of(column: schema.Column) -> h5t.TypeID:
    return h5t.py_create(layout.dtype_of(column), logical=True)


def _filters(plan: h5p.PropDCID) -> list[tuple[int, tuple[int, ...]]]:
    found = [plan.get_filter(i) for i in range(min(plan.get_nfilters(), 8))]
    return [
        (code, tuple(values[:1]) if code == h5z.FILTER_DEFLATE else ())
        for code, _, values, _ in found
    ]


def _filters_of(column: schema.Column) -> list[tuple[int, tuple[int, ...]]]:
    gzip = [(h5z.FILTER_DEFLATE, (column.gzip,))] if column.gzip else []
    return [*gzip, (h5z.FILTER_FLETCHER32, ())]


def _stored_whole(
    dataset: h5d.DatasetID, column: schema.Column, row_shape: tuple[int, ...], rows: int
) -> None:
    """Refuse rows that are claimed and not stored, before memory is asked for to hold them."""
    item_bytes = layout.dtype_of(column).itemsize
    chunk_bytes = column.chunk_rows * item_bytes
    for side in row_shape:
        chunk_bytes *= side
    chunks = -(-rows // column.chunk_rows)
    ceiling = chunks * (chunk_bytes + _CHECKSUM_BYTES)
    stored = dataset.get_storage_size()
    whole = stored <= ceiling + 64 * chunks if column.gzip else stored == ceiling
    _require(whole, f"{column.name} claims {rows} rows, {stored} bytes are stored")
