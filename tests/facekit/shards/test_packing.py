"""Which videos go into which shard, and that its bytes follow from them alone."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import shard_making as making

from facekit.errors import BadInput, BadShard
from facekit.shards import Header, assign, pack
from facekit.shards.file import ShardFile


@pytest.mark.parametrize(
    ("rows", "images", "expected"),
    [
        ([], True, []),
        ([0], True, [[0]]),
        ([0, 0, 0], True, [[0, 1, 2]]),
        ([512], True, [[0]]),
        ([513], True, [[0]]),
        ([256, 256, 1], True, [[0, 1], [2]]),
        ([300, 300, 300], True, [[0], [1], [2]]),
        ([300, 300, 300], False, [[0, 1, 2]]),
        ([1, 600, 1], True, [[0], [1], [2]]),
        ([0, 600, 0, 0, 1], True, [[0, 1, 2, 3], [4]]),
        ([512, 0, 0], True, [[0, 1, 2]]),
        ([262_144, 1], False, [[0], [1]]),
    ],
)
def test_assign(rows, images, expected):
    assert [list(each) for each in assign(rows, images=images)] == expected


def test_assign_counts_videos_too():
    assert [len(each) for each in assign([0] * 10_000, images=True)] == [4096, 4096, 1808]


@pytest.mark.parametrize("seed", range(5))
def test_assign_keeps_its_promises(seed):
    rows = np.random.default_rng(seed).choice([0, 1, 32, 100, 511, 512, 2000], 300).tolist()
    ranges = assign(rows, images=True)
    assert [video for each in ranges for video in each] == list(range(300))
    for each in ranges:
        held = [rows[video] for video in each if rows[video]]
        assert sum(held) <= 512 or len(held) == 1
    for before, after in pairwise(ranges):
        assert sum(rows[video] for video in before) + rows[after.start] > 512


def test_assign_grows_by_appending():
    """Shards before the last never change when more videos come."""
    rows = np.random.default_rng(1).integers(0, 200, 100).tolist()
    for count in range(100):
        assert (
            assign(rows[:count], images=True)[:-1]
            == assign(rows, images=True)[: max(0, len(assign(rows[:count], images=True)) - 1)]
        )


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    lengths = {"a": 5, "b": 130, "c": 0, "d": 64, "e": 9}
    made = {key: making.columns(rows, seed=i) for i, (key, rows) in enumerate(lengths.items())}
    paths = {key: making.write_part(folder / f"{key}.h5", key, made[key]) for key in made}
    return paths, made


def _sources(paths):
    sources = [(path, key) for key, path in paths.items()]
    return [*sources[:2], making.failed("bb"), *sources[2:], making.failed("f", "crashed")]


def test_pack_holds_all_in_order(parts, tmp_path):
    paths, made = parts
    ticks = []
    rows = pack(_sources(paths), tmp_path / "x.h5", progress=lambda: ticks.append(1))
    assert (rows, len(ticks)) == (208, 7)
    with ShardFile(tmp_path / "x.h5") as shard:
        columns, videos = shard.read(0, shard.rows), shard.videos()
    assert videos["key"].tolist() == [b"a", b"b", b"bb", b"c", b"d", b"e", b"f"]
    assert videos["status"].tolist()[2::2] == [b"timeout", b"ok", b"crashed"]
    assert videos["status"][3] == b"no_face"
    assert np.bincount(columns["video_id"], minlength=7).tolist() == [5, 130, 0, 0, 64, 9, 0]
    for name in set(made["a"]) - {"video_id"}:
        whole = np.concatenate([each[name] for each in made.values()])
        np.testing.assert_array_equal(columns[name], whole, err_msg=name)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.h5"]


def test_bytes_do_not_depend_on_the_sources(parts, tmp_path):
    paths, _ = parts
    one = tmp_path / "one.h5"
    pack(_sources(paths), one)
    keys = ["a", "b", "bb", "c", "d", "e", "f"]
    pack([(one, key) for key in keys], tmp_path / "again.h5")
    pack([(one, key) for key in keys[:3]], tmp_path / "left.h5")
    pack([(one, key) for key in keys[3:]], tmp_path / "right.h5")
    halves = [(tmp_path / ("left.h5" if key < "c" else "right.h5"), key) for key in keys]
    pack(halves, tmp_path / "joined.h5")
    mixed = [(paths["a"], "a"), *halves[1:6], making.failed("f", "crashed")]
    pack(mixed, tmp_path / "mixed.h5")
    for name in ("again", "joined", "mixed"):
        assert (tmp_path / f"{name}.h5").read_bytes() == one.read_bytes(), name


def test_a_shard_comes_apart_into_the_same_parts(parts, tmp_path):
    paths, _ = parts
    pack(_sources(paths), tmp_path / "one.h5")
    for key, path in paths.items():
        pack([(tmp_path / "one.h5", key)], tmp_path / "part.h5")
        assert (tmp_path / "part.h5").read_bytes() == path.read_bytes()


def test_failed_videos_alone_need_a_header(tmp_path):
    sources = [making.failed("a"), making.failed("b", "crashed")]
    with pytest.raises(BadInput, match="the header must be given"):
        pack(sources, tmp_path / "x.h5")
    assert pack(sources, tmp_path / "x.h5", header=making.BARE) == 0
    with ShardFile(tmp_path / "x.h5") as shard:
        assert (shard.rows, shard.video_rows) == (0, 2)
        assert shard.header == making.BARE


OTHER = Header(provenance=making.provenance(margin=1.5), size_px=32, images=True)


@pytest.mark.parametrize(
    ("keys", "header", "error", "message"),
    [
        ([], making.HEADER, BadInput, "1 to 4096 videos, not 0"),
        (["b", "a"], None, BadInput, "'a' after 'b': keys must rise"),
        (["a", "a"], None, BadInput, "'a' after 'a': keys must rise"),
        (["a", "b"], OTHER, BadInput, "measured otherwise: measurement differs"),
        (["a", "x"], None, BadShard, "holds no video 'x'"),
    ],
)
def test_pack_refuses(parts, tmp_path, keys, header, error, message):
    paths, _ = parts
    with pytest.raises(error, match=message):
        pack([(paths.get(key, paths["a"]), key) for key in keys], tmp_path / "x.h5", header=header)
    assert list(tmp_path.iterdir()) == []


def test_too_many_videos(tmp_path):
    with pytest.raises(BadInput, match="not 4097"):
        pack([making.failed(f"{i:05}") for i in range(4097)], tmp_path / "x.h5")


def test_damaged_part_is_named_and_nothing_is_published(parts, tmp_path):
    paths, _ = parts
    data = bytearray(paths["b"].read_bytes())
    at = data.index(making.columns(130, seed=1)["image"][0].tobytes())
    data[at] ^= 1
    (tmp_path / "b.h5").write_bytes(data)
    with pytest.raises(BadShard, match=r"b\.h5: cannot be read"):
        pack([(paths["a"], "a"), (tmp_path / "b.h5", "b")], tmp_path / "x.h5")
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.h5"]


def test_faces_of_another_video_do_not_slip_in(tmp_path):
    made = making.columns(6)
    made["video_id"][:] = [0, 1, 0, 1, 0, 1]
    records = [making.record("a", 3), making.record("b", 3)]
    path = making.write_raw(tmp_path / "mixed.h5", made, records)
    with pytest.raises(BadShard, match="not in order of video"):
        pack([(path, "a"), (path, "b")], tmp_path / "x.h5")


def test_video_table_over_many_chunks(tmp_path):
    """Beyond 16 videos their table takes several chunks; the bytes still agree."""
    records = [making.failed(f"{i:04}") for i in range(1500)]
    pack(records, tmp_path / "x.h5", header=making.HEADER)
    keys = [each.video.key for each in records]
    pack([(tmp_path / "x.h5", key) for key in keys], tmp_path / "y.h5")
    assert (tmp_path / "y.h5").read_bytes() == (tmp_path / "x.h5").read_bytes()
    renamed = dataclasses.replace(making.HEADER, size_px=64)
    with pytest.raises(BadInput, match="size_px differs"):
        pack([(tmp_path / "x.h5", "0000")], tmp_path / "z.h5", header=renamed)
