from pathlib import Path

import pytest
from shard_making import columns, write_part

from facekit import shards
from facekit.errors import BadInput, BadShard
from pipelines.ledger import LedgerRow
from pipelines.run_folder import RunFolder, missing_parts


@pytest.fixture
def folder(tmp_path):
    """Three shards of one video each, and the part of a fourth video."""
    made = RunFolder(tmp_path / "out")
    made.make(parts=True)
    for index, key in enumerate("abc"):
        part = write_part(tmp_path / f"{key}.h5", key, columns(3, seed=index))
        shards.pack([(part, key)], made.shard_path(index))
    write_part(made.part_path("d"), "d", columns(3, seed=9))
    return made


def _held(folder):
    return [(c.path.name, [row.key for row in c.rows]) for c in folder.shard_contents()]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    folder = RunFolder(tmp_path / "out")
    assert (folder.shard_contents(), folder.header()) == ([], None)
    assert not folder.path.exists()


@pytest.mark.parametrize("lost", [None, 0, 1, 2])
def test_a_lost_shard_does_not_hide_the_others(folder, lost):
    want = [(f"faces-{i:05d}.h5", [key]) for i, key in enumerate("abc") if i != lost]
    header = folder.header()
    if lost is not None:
        folder.shard_path(lost).unlink()
    assert _held(folder) == want
    assert folder.header() == header


@pytest.mark.parametrize("content", [b"", b"text", None], ids=["empty", "text", "cut"])
def test_a_damaged_shard_is_named_with_what_to_do(folder, content):
    shard = folder.shard_path(0)
    shard.write_bytes(shard.read_bytes()[:9000] if content is None else content)
    for look in (folder.shard_contents, folder.header):
        with pytest.raises(BadShard, match=r"faces-00000\.h5: .*remove the file"):
            look()


@pytest.mark.parametrize(
    ("kept_bytes", "stays"), [(0, False), (100, False), (4000, False), (None, True)]
)
def test_a_part_that_is_cut_is_left_over(folder, kept_bytes, stays):
    part = folder.part_path("d")
    part.write_bytes(part.read_bytes()[:kept_bytes])
    folder.remove_leftovers()
    assert part.exists() == stays


def test_a_part_that_cannot_be_read_says_nothing_of_the_folder(folder):
    for index in range(3):
        folder.shard_path(index).unlink()
    assert folder.header() is not None
    folder.part_path("d").write_bytes(b"")
    assert folder.header() is None


def test_what_is_not_ours_stays(folder):
    theirs = [folder.parts / "notes.txt", folder.parts / "mine.h5"]
    for path in theirs:
        path.write_text("theirs")
    folder.remove_leftovers()
    folder.remove_parts()
    assert sorted(folder.parts.iterdir()) == sorted(theirs)


def test_the_folder_of_parts_goes_with_the_last_part(folder):
    folder.remove_parts()
    assert not folder.parts.exists()


def test_a_torn_line_is_cut_with_the_leftovers(folder):
    folder.ledger.append(LedgerRow(key="a", status="ok"))
    whole = folder.ledger.path.read_bytes()
    folder.ledger.path.write_bytes(whole + b'{"key"')
    folder.remove_leftovers()
    assert folder.ledger.path.read_bytes() == whole


@pytest.mark.parametrize(
    ("known", "keys", "said"),
    [
        ("", "", None),
        ("", "ab", None),
        ("a", "ab", None),
        ("abc", "b", "holds 2 videos that are not among the inputs, such as a;"),
    ],
)
def test_strangers_are_named(tmp_path, known, keys, said):
    folder = RunFolder(tmp_path)
    if said is None:
        folder.refuse_strangers(known, keys)
    else:
        with pytest.raises(BadInput, match=said):
            folder.refuse_strangers(known, keys)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ([], []),
        (["alone", "part-1-of-2"], []),
        (["o/part-00001-of-00001"], []),
        (["o/part-00001-of-00002", "o/part-00002-of-00002"], []),
        (["o/part-00003-of-00003"], ["o/part-00001-of-00003", "o/part-00002-of-00003"]),
        (["o/part-00001-of-00002", "p/part-00002-of-00002"],
         ["o/part-00002-of-00002", "p/part-00001-of-00002"]),
    ],
)  # fmt: skip
def test_parts_of_a_job_array_that_are_missing(given, missing):
    assert missing_parts(map(Path, given)) == list(map(Path, missing))
