"""What stands where in the file, as plain h5py sees it."""

import dataclasses
import json
import math

import h5py
import numpy as np
import pytest
import shard_making as making

from facekit import schema
from facekit.errors import BadInput
from facekit.options import Measurement
from facekit.shards import layout
from facekit.shards.layout import Header


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    path = tmp_path_factory.mktemp("part") / "a.h5"
    return making.write_part(path, "a", making.columns(10))


def _datasets(file):
    return {**{n: file[n] for n in file if n != "videos"}, **dict(file["videos"].items())}


def test_every_column_has_its_dataset(part):
    with h5py.File(part) as file:
        assert set(file) == {*schema.COLUMNS, "videos"}
        assert set(file["videos"]) == set(schema.VIDEOS)


def test_every_dataset_is_checksummed_chunked_and_can_grow(part):
    with h5py.File(part) as file:
        for name, dataset in _datasets(file).items():
            column = {**schema.COLUMNS, **schema.VIDEOS}[name]
            assert dataset.fletcher32, name
            assert dataset.chunks[0] == column.chunk_rows
            assert dataset.maxshape[0] is None
            assert dataset.compression == ("gzip" if column.gzip else None)
            assert dataset.compression_opts == (column.gzip or None)


def test_strings_have_fixed_length_and_utf8(part):
    with h5py.File(part) as file:
        for name, column in schema.VIDEOS.items():
            if column.dtype.startswith("utf8"):
                told = h5py.check_string_dtype(file["videos"][name].dtype)
                assert (told.encoding, told.length) == ("utf-8", int(column.dtype[5:]))
        for name, value in file.attrs.items():
            kind = h5py.h5a.open(file.id, name.encode()).get_type()
            assert not isinstance(value, str) or not kind.is_variable_str()


def test_no_object_has_a_time(part):
    with h5py.File(part) as file:
        objects = {"/": file, "videos": file["videos"], **_datasets(file)}
        times = {name: h5py.h5o.get_info(thing.id).ctime for name, thing in objects.items()}
    assert set(times.values()) == {0}


def test_attributes(part):
    with h5py.File(part) as file:
        told = {name: json.loads(file.attrs[name]) for name in ("au_names", "measurement")}
        assert file.attrs["facekit_format"] == schema.FORMAT
        assert file.attrs["size_px"] == 32
        assert file.attrs["au_mode"] == b"static"
        assert file.attrs["measurement"] == b'{"frames":"32","size":32}'
    assert told == {
        "au_names": list(making.AU_NAMES),
        "measurement": dict(making.HEADER.provenance.measurement),
    }


def test_unfilled_rows_of_a_chunk_are_zero(part):
    with h5py.File(part) as file:
        _, chunk = file["landmarks_xy"].id.read_direct_chunk((0, 0, 0))
    stored = np.frombuffer(chunk[:-4], "<f4").reshape(-1, 68, 2)
    assert len(stored) == 512
    assert not stored[10:].any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size_px": 7}, "8 to 4096 px"),
        ({"size_px": 5000}, "8 to 4096 px"),
        ({"provenance": making.provenance(map(str, range(129)))}, "128 action units"),
        ({"provenance": making.provenance(frames={1, 2})}, "measurement holds what JSON cannot"),
        ({"provenance": making.provenance(margin=math.nan)}, "measurement holds what JSON cannot"),
        ({"provenance": making.provenance(frames="x" * (1 << 20))}, "1 MiB"),
    ],
)
def test_header_refuses(values, message):
    with pytest.raises(BadInput, match=message):
        dataclasses.replace(making.HEADER, **values)


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (making.HEADER, ""),
        (Header(provenance=making.provenance(), size_px=32, images=False), "images"),
        (Header(provenance=making.provenance(), size_px=64, images=True), "size_px"),
        (Header(provenance=making.provenance(frames="8"), size_px=32, images=True), "measurement"),
        (Header(provenance=making.provenance(("1",)), size_px=32, images=True), "au_names"),
    ],
)
def test_same_as(other, name):
    assert making.HEADER.same_as(other) == name


def test_long_attributes_fit(tmp_path):
    """Beyond 64 KiB HDF5 keeps an attribute in another place."""
    told = making.provenance(frames="x" * 200_000)
    header = Header(provenance=told, size_px=32, images=True)
    path = making.write_part(tmp_path / "a.h5", "a", making.columns(1), header=header)
    with layout.h5py.File(path) as file:
        assert len(file.attrs["measurement"]) > 200_000


@pytest.mark.parametrize(
    "record",
    [
        making.failed("a"),
        making.record("ffpp/Deepfakes/c23/000_003", 7),
        making.record("Straße/视频/🎬", 1, fps=math.inf, status="short_read"),
        making.record("k" * 512, 1),
    ],
)
def test_record_round_trip(record):
    (back,) = layout.decode_records(layout.encode_record(record))
    want = {**record.row(), "fps": repr(record.fps)}
    assert {**back.row(), "fps": repr(back.fps)} == want


@pytest.mark.parametrize(
    ("record", "column"),
    [
        (making.record("k" * 513), "key"),
        (making.record("a\0b"), "key"),
        (making.record("\udcff"), "key"),
        (making.record("a", status="x" * 17), "status"),
        (making.record("a", frames_decoded=1 << 31), "frames_decoded"),
        (making.record("a", size_wh=(1, 2, 3)), "size_wh"),
    ],
)
def test_record_that_cannot_be_stored(record, column):
    with pytest.raises(BadInput, match=f"{column} .* cannot be stored"):
        layout.encode_record(record)


@pytest.mark.parametrize("images", [True, False])
def test_bytes_per_face_is_about_what_a_file_takes(tmp_path, images):
    header = Header(
        provenance=making.provenance([f"AU{i:02}" for i in range(20)]), size_px=224, images=images
    )
    made = making.columns(64, header=header)
    for name in ("landmarks_xy", "au_ellipses", "au_mask"):
        made[name][:] = made[name][:1]  # rows alike: what a compressed column costs at least
    rows = 8 * 64
    arrays = {name: np.tile(array, (8, *[1] * (array.ndim - 1))) for name, array in made.items()}
    path = making.write_raw(tmp_path / "a.h5", arrays, [making.failed("a")], header=header)
    told = layout.bytes_per_face(Measurement(images=images))
    assert rows * told == pytest.approx(path.stat().st_size, rel=0.02 if images else 0.3)
