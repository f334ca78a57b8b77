"""The seal finds every flipped bit, and HDF5 tools do not mind it."""

import hashlib

import h5py
import pytest
import shard_making as making

from facekit.errors import BadShard
from facekit.shards import seal


@pytest.fixture
def small(tmp_path):
    """A small HDF5 file with room for a seal."""
    path = tmp_path / "small.h5"
    with h5py.File(path, "w", userblock_size=seal.SEAL_BYTES) as file:
        file["x"] = [1, 2, 3]
    seal.seal(path)
    return path


def test_seal_is_the_digest_of_the_rest(small):
    data = small.read_bytes()
    lines = data[: seal.SEAL_BYTES].rstrip(b"\0").decode().splitlines()
    body_sha256 = hashlib.sha256(data[seal.SEAL_BYTES :]).hexdigest()
    assert lines == ["facekit shard", "format 1", f"bytes {len(data)}", f"sha256 {body_sha256}"]
    assert seal.check_seal(small) == hashlib.sha256(data).hexdigest()


def test_hdf5_reads_a_sealed_file(small):
    assert h5py.is_hdf5(small)
    with h5py.File(small) as file:
        assert file["x"][:].tolist() == [1, 2, 3]


def test_every_bit_of_the_seal_counts(small):
    whole = bytearray(small.read_bytes())
    missed = []
    for bit in range(8 * seal.SEAL_BYTES):
        whole[bit // 8] ^= 1 << bit % 8
        small.write_bytes(whole)
        try:
            seal.check_seal(small)
            missed.append(bit)
        except BadShard:
            pass
        whole[bit // 8] ^= 1 << bit % 8
    assert missed == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: b"", "no facekit shard"),
        (lambda data: b"no shard at all", "no facekit shard"),
        (lambda data: data[512:], "no facekit shard"),
        (lambda data: data[:100], "no facekit shard"),
        (lambda data: data[:600], "cut or damaged"),
        (lambda data: data[:-1], "cut or damaged"),
        (lambda data: data + b"\0", "cut or damaged"),
        (lambda data: data.replace(b"format 1", b"format 2"), "another format"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "do not match its seal"),
    ],
)
def test_damage_is_named(small, change, reason):
    small.write_bytes(change(small.read_bytes()))
    with pytest.raises(BadShard, match=reason) as caught:
        seal.check_seal(small)
    assert str(small) in str(caught.value)


def test_length_alone_costs_no_reading_of_the_rest(small):
    data = bytearray(small.read_bytes())
    data[-1] ^= 1
    small.write_bytes(data)
    seal.check_length(small)


@pytest.mark.parametrize("check", [seal.check_length, seal.check_seal])
def test_missing_file(tmp_path, check):
    with pytest.raises(BadShard, match="No such file"):
        check(tmp_path / "none.h5")


def test_sealing_again_changes_nothing(tmp_path):
    path = making.write_part(tmp_path / "a.h5", "a", making.columns(3))
    before = path.read_bytes()
    seal.seal(path)
    assert path.read_bytes() == before
