import hashlib

import pytest
from shard_making import columns, provenance, write_part

from facekit import shards
from facekit.errors import BadInput, BadShard
from facekit.shards import Header
from pipelines.ledger import LedgerRow
from pipelines.merge import merge
from pipelines.run_folder import RunFolder

HEADER = Header(provenance=provenance(), size_px=32, images=True)
OTHER = Header(provenance=provenance(margin=2.0), size_px=32, images=True)


def _dataset(path, keys, *, header=HEADER):
    """A complete folder with one shard a key."""
    path.mkdir(parents=True)
    for index, key in enumerate(keys):
        part = write_part(path / "part", key, columns(2, seed=ord(key)), header=header)
        shards.pack([(part, key)], path / shards.shard_name(index))
        part.unlink()
    shards.write_manifest(path)
    return path


def _digests(path):
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.iterdir())
    }


def test_merging_again_changes_nothing(tmp_path):
    folders = [_dataset(tmp_path / "one", "a"), _dataset(tmp_path / "two", "bc")]
    assert merge(folders, tmp_path / "out").inputs == 3
    before = _digests(tmp_path / "out")
    assert sorted(before) == ["faces-00000.h5", "ledger.csv", "manifest.json"]
    merge(folders, tmp_path / "out")
    assert _digests(tmp_path / "out") == before


def test_a_folder_joins_an_earlier_merge(tmp_path):
    one, two = _dataset(tmp_path / "one", "a"), _dataset(tmp_path / "two", "bc")
    merge(one, tmp_path / "out")
    merge([one, two], tmp_path / "out")
    merge([one, two], tmp_path / "fresh")
    assert _digests(tmp_path / "out") == _digests(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("keys", "header", "said"),
    [
        ("x", HEADER, "holds 1 videos that are not among the inputs"),
        ("abx", HEADER, "holds 1 videos that are not among the inputs"),
        ("ab", OTHER, "measured otherwise"),
    ],
)
def test_another_dataset_is_never_written_over(tmp_path, keys, header, said):
    source = _dataset(tmp_path / "source", "ab")
    before = _digests(_dataset(tmp_path / "out", keys, header=header))
    with pytest.raises(BadInput, match=said):
        merge(source, tmp_path / "out")
    assert _digests(tmp_path / "out") == before


def test_a_run_that_was_stopped_is_never_written_over(tmp_path):
    out = RunFolder(tmp_path / "out")
    out.make(parts=True)
    out.ledger.append(LedgerRow(key="x", status="ok"))
    write_part(out.part_path("x"), "x", columns(2))
    with pytest.raises(BadInput, match="such as x"):
        merge(_dataset(tmp_path / "source", "ab"), out.path)
    assert out.part_path("x").exists()


def _lose_a_shard(folder):
    (folder / "faces-00001.h5").unlink()


def _cut_a_shard(folder):
    shard = folder / "faces-00001.h5"
    shard.write_bytes(shard.read_bytes()[:-1])


def _damage_the_manifest(folder):
    (folder / shards.MANIFEST_NAME).write_text("{")


@pytest.mark.parametrize("damage", [_lose_a_shard, _cut_a_shard, _damage_the_manifest])
def test_a_damaged_source_is_refused(tmp_path, damage):
    source = _dataset(tmp_path / "source", "ab")
    damage(source)
    with pytest.raises(BadShard, match="run its extraction again"):
        merge(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("folders", "out", "said"),
    [
        ([], "out", "no folder to merge"),
        (["part-00001-of-00002"], "", "--out is empty"),
        (["part-00001-of-00002"], "out", "part-00002-of-00002 is missing"),
        (["one"], "one", "is one of the folders"),
        (["one"], "file", "is a file"),
        (["one", "one"], "out", "give each video once"),
        (["nothing"], "out", "not complete"),
    ],
)
def test_what_cannot_be_merged_is_refused_at_the_door(tmp_path, monkeypatch, folders, out, said):
    monkeypatch.chdir(tmp_path)
    for name in ("part-00001-of-00002", "one"):
        _dataset(tmp_path / name, "a")
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=said):
        merge(folders, out)
    assert sorted(tmp_path.rglob("*")) == before
