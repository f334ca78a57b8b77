"""Crafted files, each well-formed HDF5 with a valid seal: refused before any data is read."""

import shutil

import h5py
import numpy as np
import pytest
import shard_making as making

from facekit.errors import BadShard
from facekit.shards import open_shards, verify
from facekit.shards.seal import seal

SENTINEL = b"the secret of another file"


@pytest.fixture(scope="module")
def whole_part(tmp_path_factory):
    return making.write_part(tmp_path_factory.mktemp("part") / "a.h5", "a", making.columns(20))


@pytest.fixture
def part(whole_part, tmp_path):
    return shutil.copy(whole_part, tmp_path / "a.h5")


@pytest.fixture
def sentinel(tmp_path):
    path = tmp_path / "sentinel.bin"
    path.write_bytes(SENTINEL * 100_000)
    return path


def _replace(file, name, **options):
    """Put a dataset in the place of one, alike but for the options."""
    old = file[name]
    told = {
        "shape": old.shape,
        "dtype": old.dtype,
        "maxshape": old.maxshape,
        "chunks": old.chunks,
        "fletcher32": True,
        **options,
    }
    if told["fletcher32"] and "compression" not in told:
        told["compression"] = old.compression_opts
    del file[name]
    return file.create_dataset(name, **told)


def external_link(file, sentinel):
    del file["image"]
    file["image"] = h5py.ExternalLink(str(sentinel), "/image")


def soft_link(file, sentinel):
    del file["au_score"]
    file["au_score"] = h5py.SoftLink("/au_intensity")


def soft_link_to_group(file, sentinel):
    file.move("videos", "elsewhere")
    file["videos"] = h5py.SoftLink("/elsewhere")


def external_storage(file, sentinel):
    shape, dtype = file["image"].shape, file["image"].dtype
    del file["image"]
    where = [(str(sentinel), 0, int(np.prod(shape)))]
    file.create_dataset("image", shape, dtype, external=where)


def virtual_dataset(file, sentinel):
    shape, dtype = file["image"].shape, file["image"].dtype
    del file["image"]
    layout = h5py.VirtualLayout(shape, dtype, maxshape=(None, *shape[1:]))
    layout[:] = h5py.VirtualSource(str(sentinel), "image", shape)
    file.create_virtual_dataset("image", layout)


def variable_length_strings(file, sentinel):
    _replace(file, "videos/key", dtype=h5py.string_dtype(), fletcher32=False)


def objects(file, sentinel):
    _replace(file, "pts_s", dtype=h5py.vlen_dtype(np.uint8), fletcher32=False)


def references(file, sentinel):
    _replace(file, "pts_s", dtype=h5py.ref_dtype)


def enumeration(file, sentinel):
    _replace(file, "au_occurrence", dtype=h5py.enum_dtype({"no": 0, "yes": 1}, "i1"))


def compound(file, sentinel):
    _replace(file, "pts_s", dtype=np.dtype([("a", "f4"), ("b", "f4")]))


def other_byte_order(file, sentinel):
    _replace(file, "pts_s", dtype=">f8")


def ascii_strings(file, sentinel):
    _replace(file, "videos/split", dtype="S16")


def longer_strings(file, sentinel):
    _replace(file, "videos/split", dtype=h5py.string_dtype("utf-8", 1 << 20))


def no_checksum(file, sentinel):
    _replace(file, "image", fletcher32=False)[:] = 1


def another_filter(file, sentinel):
    _replace(file, "image", compression="lzf")[:] = 1


def filter_of_a_plugin(file, sentinel):
    old = file["image"]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(old.chunks)
    plan.set_filter(32008, h5py.h5z.FLAG_OPTIONAL, ())
    plan.set_fletcher32()
    space, kind = old.id.get_space(), old.id.get_type()
    del file["image"]
    h5py.h5d.create(file.id, b"image", kind, space, plan)


def another_level(file, sentinel):
    _replace(file, "au_mask", compression=9)[:] = 1


def other_chunks(file, sentinel):
    _replace(file, "image", chunks=(1, 32, 32, 3))[:] = 1


def contiguous(file, sentinel):
    shape, dtype = file["pts_s"].shape, file["pts_s"].dtype
    del file["pts_s"]
    file.create_dataset("pts_s", shape, dtype)


def fixed_length(file, sentinel):
    _replace(file, "pts_s", maxshape=(20,), chunks=(20,))[:] = 1


def other_row_shape(file, sentinel):
    _replace(
        file, "image", shape=(20, 32, 32, 4), maxshape=(None, 32, 32, 4), chunks=(8, 32, 32, 4)
    )


def other_rank(file, sentinel):
    _replace(file, "pts_s", shape=(20, 1), maxshape=(None, 1), chunks=(512, 1))


def scalar(file, sentinel):
    del file["pts_s"]
    file["pts_s"] = 1.0


def fewer_rows(file, sentinel):
    file["pts_s"].resize(19, axis=0)


def rows_without_data(file, sentinel):
    for name in file:
        if name != "videos":
            file[name].resize(1 << 40, axis=0)


def videos_without_data(file, sentinel):
    for dataset in file["videos"].values():
        dataset.resize(1 << 30, axis=0)


def too_many_videos(file, sentinel):
    for dataset in file["videos"].values():
        dataset.resize(4097, axis=0)
        dataset[:] = dataset[0]


def one_dataset_more(file, sentinel):
    file["payload"] = SENTINEL


def one_video_column_more(file, sentinel):
    file["videos/payload"] = SENTINEL


def one_dataset_less(file, sentinel):
    del file["crop_affine"]


def group_for_dataset(file, sentinel):
    del file["pts_s"]
    file.create_group("pts_s")


def dataset_for_group(file, sentinel):
    del file["videos"]
    file["videos"] = 1


def named_type_for_dataset(file, sentinel):
    del file["pts_s"]
    file["pts_s"] = np.dtype("f8")


def group_in_itself(file, sentinel):
    del file["videos"]
    file["videos"] = file["/"]


def attribute_of_dataset(file, sentinel):
    file["image"].attrs["x"] = 1


def attribute_of_group(file, sentinel):
    file["videos"].attrs["x"] = 1


def one_attribute_more(file, sentinel):
    file.attrs["x"] = 1


def one_attribute_less(file, sentinel):
    del file.attrs["versions"]


def another_format(file, sentinel):
    file.attrs["facekit_format"] = 2


def format_of_objects(file, sentinel):
    file.attrs["facekit_format"] = "1"


def variable_length_attribute(file, sentinel):
    file.attrs["measurement"] = "{}"


def endless_attribute(file, sentinel):
    file.attrs["measurement"] = np.bytes_(b"[" * (2 << 20))


def array_attribute(file, sentinel):
    file.attrs["measurement"] = np.array([b"{}", b"{}"])


def broken_json(file, sentinel):
    file.attrs["measurement"] = np.bytes_(b'{"frames": ')


def deep_json(file, sentinel):
    file.attrs["measurement"] = np.bytes_(b"[" * 500_000)


def list_for_object(file, sentinel):
    file.attrs["measurement"] = np.bytes_(b"[1]")


def numbers_for_names(file, sentinel):
    file.attrs["au_names"] = np.bytes_(b"[1, 2, 3]")


def more_names_than_columns(file, sentinel):
    file.attrs["au_names"] = np.bytes_(b'["AU01", "AU02"]')


def absurd_crop(file, sentinel):
    file.attrs["size_px"] = 1 << 40


def negative_crop(file, sentinel):
    file.attrs["size_px"] = -32


ATTACKS = [
    (external_link, "image is a link to elsewhere"),
    (soft_link, "au_score is a link to elsewhere"),
    (soft_link_to_group, "other datasets"),
    (external_storage, "image is not stored in chunks of this file"),
    (virtual_dataset, "image is not stored in chunks of this file"),
    (variable_length_strings, "key has another type"),
    (objects, "pts_s has another type"),
    (references, "pts_s has another type"),
    (enumeration, "au_occurrence has another type"),
    (compound, "pts_s has another type"),
    (other_byte_order, "pts_s has another type"),
    (ascii_strings, "split has another type"),
    (longer_strings, "split has another type"),
    (no_checksum, "image has other filters"),
    (another_filter, "image has other filters"),
    (filter_of_a_plugin, "image has other filters"),
    (another_level, "au_mask has other filters"),
    (other_chunks, "image has other chunks"),
    (contiguous, "pts_s is not stored in chunks"),
    (fixed_length, "pts_s has other chunks"),
    (other_row_shape, "image has other chunks"),
    (other_rank, "pts_s has other chunks"),
    (scalar, "pts_s"),
    (fewer_rows, "its columns have"),
    (rows_without_data, "claims 1099511627776 rows"),
    (videos_without_data, "claims 1073741824 rows"),
    (too_many_videos, "4097 videos"),
    (one_dataset_more, "other datasets"),
    (one_video_column_more, "other datasets"),
    (one_dataset_less, "other datasets"),
    (group_for_dataset, "cannot be read"),
    (dataset_for_group, "cannot be read"),
    (named_type_for_dataset, "cannot be read"),
    (group_in_itself, "other datasets"),
    (attribute_of_dataset, "image has attributes"),
    (attribute_of_group, "videos has attributes"),
    (one_attribute_more, "other attributes"),
    (one_attribute_less, "other attributes"),
    (another_format, "format 2; this facekit reads format 1"),
    (format_of_objects, "facekit_format has another type"),
    (variable_length_attribute, "measurement has another type"),
    (endless_attribute, "measurement is too long"),
    (array_attribute, "measurement has another type"),
    (broken_json, "cannot be read"),
    (deep_json, "cannot be read"),
    (list_for_object, "must be JSON objects"),
    (numbers_for_names, "list of strings"),
    (more_names_than_columns, "au_occurrence has other chunks"),
    (absurd_crop, "8 to 4096 px"),
    (negative_crop, "8 to 4096 px"),
]


@pytest.mark.parametrize(("attack", "reason"), ATTACKS, ids=[a.__name__ for a, _ in ATTACKS])
def test_refused(part, sentinel, attack, reason):
    making.tamper(part, lambda file: attack(file, sentinel))
    with pytest.raises(BadShard, match=reason) as caught:
        open_shards(part)
    assert str(part) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sentinel.read_bytes() == SENTINEL * 100_000


def test_no_attack_no_refusal(part, sentinel):
    making.tamper(part, lambda file: file["pts_s"][:])
    with open_shards(part) as opened:
        assert len(opened) == 20


def test_each_attack_is_one_problem_of_one_call(part, tmp_path, sentinel):
    """One child reads them all; `verify` tells each and lives."""
    for i, (attack, _) in enumerate(ATTACKS):
        path = shutil.copy(part, tmp_path / f"faces-{i:05}.h5")
        making.tamper(path, lambda file, attack=attack: attack(file, sentinel))
    report = verify(tmp_path)
    assert report.shards == len(ATTACKS)
    told = {problem.where: problem.what for problem in report.problems}
    assert len(told) == len(ATTACKS) + 1
    for i, (_, reason) in enumerate(ATTACKS):
        assert reason in told[f"faces-{i:05}.h5"]


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"facekit shard\n" * 1000])
def test_not_hdf5_at_all(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(BadShard):
        open_shards(path)


def test_sealed_rubbish(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    seal(path)
    with pytest.raises(BadShard, match="cannot be read"):
        open_shards(path)


def test_shard_without_a_seal_of_its_own(tmp_path):
    """A user block of another length: the seal would not cover what it must."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=1024) as file:
        file["x"] = 1
    seal(path)
    with pytest.raises(BadShard, match="no seal of 512 bytes"):
        open_shards(path)
