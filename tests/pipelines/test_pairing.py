import numpy as np
import pytest
from synthetic_shards import faces, header, record, shards

from facekit.errors import BadShard
from facekit.shards import open_shards
from facekit.shards.writer import ShardWriter
from pipelines.inspection import diff, inspect
from pipelines.pairing import Side, block_rows, blocks, row_pairs


def runs_of(a, b, cuts):
    pieces = (np.split(np.asarray(rows, np.int64), cuts) for rows in (a, b))
    return list(zip(*pieces, strict=True))


@pytest.mark.parametrize(
    ("a", "b", "cuts", "want"),
    [
        ([], [], [], []),
        ([], [], [0, 0], []),
        ([5], [900], [], [1]),
        (range(10), range(10), [], [4, 4, 2]),
        (range(10), range(10), [1, 1, 3, 9], [4, 4, 2]),
        (range(0, 40, 4), range(10), [], [1] * 10),
        (range(10), range(0, 40, 4), [5], [1] * 10),
        ([0, 1, 50, 51], [0, 1, 2, 3], [2], [2, 2]),
    ],
)
def test_blocks(a, b, cuts, want):
    got = list(blocks(runs_of(a, b, cuts), 4))
    assert [len(rows) for rows, _ in got] == want
    for side, rows in enumerate((a, b)):
        assert [int(row) for block in got for row in block[side]] == list(rows)


@pytest.mark.parametrize("seed", range(20))
def test_no_block_spans_more_than_asked_for(seed):
    rng = np.random.default_rng(seed)
    a, b = (np.sort(rng.choice(3000, 400, replace=False)) for _ in range(2))
    most = int(rng.integers(1, 200))
    got = list(blocks(runs_of(a, b, np.sort(rng.integers(0, 401, 7))), most))
    assert max(rows[-1] - rows[0] for block in got for rows in block) < most
    assert np.array_equal(np.concatenate([rows for rows, _ in got]), a)
    assert np.array_equal(np.concatenate([rows for _, rows in got]), b)


def test_pairs_are_the_same_faces_on_both_sides(tmp_path):
    told = header(images=False)
    dense = faces(told, 12, frame_index=np.repeat(range(6), 2), track_id=[0, 1] * 6)
    some = {name: array[[1, 2, 7, 11]] for name, array in dense.items()}
    a = shards(tmp_path / "a", told, [("u", dense, {}), ("v", dense, {})])
    b = shards(tmp_path / "b", told, [("v", some, {}), ("w", dense, {})])
    with open_shards(a) as in_a, open_shards(b) as in_b:
        one, other = Side(in_a), Side(in_b)
        ((rows_a, rows_b),) = row_pairs(one, other, ["v"])
        assert (rows_a.tolist(), rows_b.tolist()) == ([13, 14, 19, 23], [0, 1, 2, 3])
        taken = one.take(["pts_s", "box_xyxy"], rows_a)
        assert np.array_equal(taken["box_xyxy"], some["box_xyxy"])
        assert np.array_equal(taken["pts_s"], some["pts_s"])
        assert one.name_of(19) == "v frame 3 track 1"
        assert (one.faces_of(["u", "v"]), one.faces_of([])) == (24, 0)
        assert block_rows(one, other, ["pts_s"]) == 64
        assert block_rows(one, other, []) == 64


def test_blocks_of_large_crops_have_fewer_rows(tmp_path, monkeypatch):
    told = header()
    path = shards(tmp_path / "a", told, [("v", faces(told, 2), {})])
    monkeypatch.setattr("pipelines.pairing._BLOCK_BYTES", 10 * 32 * 32 * 3)
    with open_shards(path) as opened:
        side = Side(opened)
        assert block_rows(side, side, ["image"]) == 10
        assert block_rows(side, side, list(told.shapes())) == 1


@pytest.mark.parametrize(
    ("column", "values", "error"),
    [
        ("video_id", [0, 0, 1, 1], None),
        ("video_id", [0, 1, 0, 1], "faces of v. are not in order"),
        ("video_id", [0, 0, 1, 2], "a face belongs to no video"),
        ("frame_index", [1, 0, 0, 1], "faces of v0 are not in order"),
        ("frame_index", [0, 1, 1, 1], "faces of v1 are not in order"),
    ],
)
@pytest.mark.parametrize("tool", [inspect, lambda path: diff(path, path)], ids=["inspect", "diff"])
def test_shards_that_contradict_themselves(tmp_path, tool, column, values, error):
    """Written past the checks, as somebody hostile would."""
    told = header(images=False)
    block = faces(told, 4, frame_index=[0, 1, 0, 1], video_id=[0, 0, 1, 1])
    block[column] = np.array(values, np.int32)
    path = tmp_path / "made.h5"
    with ShardWriter(path, told) as writer:
        writer.append(block, 4)
        for key in ("v0", "v1"):
            writer.append_video(record(key, None))
        writer.finish()
    if error is None or (tool is inspect and "order" in error):
        tool(path)
        return
    with pytest.raises(BadShard, match=error):
        tool(path)
