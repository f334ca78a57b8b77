"""Whether rows add up, against the plainest Python that says the same."""

import numpy as np
import pytest
import shard_making as making

from facekit.shards import content, layout


def _table(*records):
    rows = [layout.encode_record(record) for record in records]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _index(*rows):
    columns = np.array(rows, np.int32).reshape(-1, 3).T
    return dict(zip(content.INDEX, columns, strict=True))


@pytest.mark.parametrize(
    ("rows", "in_order"),
    [
        ([], True),
        ([(0, 5, 0)], True),
        ([(0, 5, 0), (0, 5, 1)], True),
        ([(0, 5, 1), (0, 6, 0)], True),
        ([(0, 9, 9), (1, 0, 0)], True),
        ([(0, 5, 0), (0, 5, 0)], False),
        ([(0, 5, 1), (0, 5, 0)], False),
        ([(0, 6, 0), (0, 5, 1)], False),
        ([(1, 0, 0), (0, 9, 9)], False),
    ],
)
def test_order(rows, in_order):
    records = [making.record("a", status="short_read"), making.record("b", status="short_read")]
    problems = content.index_problems(_index(*rows), _table(*records))
    assert ("faces are not in order of video, frame and track" not in problems) == in_order


@pytest.mark.parametrize("seed", range(20))
def test_order_is_that_of_sorted_tuples(seed):
    rng = np.random.default_rng(seed)
    rows = [tuple(row) for row in rng.integers(0, 3, (int(rng.integers(2, 9)), 3)).tolist()]
    if seed % 2:
        rows = sorted(set(rows))
    columns = [np.array(column, np.int64) for column in zip(*rows, strict=True)]
    assert content._ascending(*columns) == (rows == sorted(set(rows)))


@pytest.mark.parametrize(
    ("record", "frames", "problem"),
    [
        (making.failed("a"), 0, None),
        (making.record("a", 2), 2, None),
        (making.record("a", 2, status="short_read"), 2, None),
        (making.record("a", 0, status="short_read"), 0, None),
        (making.record("a", 2, status="corrupt_frames", frames_corrupt=9), 2, None),
        (making.record("a", 2), 1, "1 frames with a face, 2 are claimed"),
        (making.record("a", 0, status="ok"), 0, "status ok, 0 frames"),
        (making.record("a", 1, status="no_face"), 1, "status no_face, 1 frames"),
        (making.record("a", 1, status="OK"), 1, "unknown status 'OK'"),
        (making.record("a", 1, frames_sampled=0), 1, "more frames with a face"),
        (making.record("", 0), 0, "keys of videos"),
    ],
)
def test_videos(record, frames, problem):
    index = _index(*[(0, frame, person) for frame in range(frames) for person in (0, 1)])
    problems = content.index_problems(index, _table(record))
    assert len(problems) == (problem is not None)
    assert problem is None or problem in problems[0]


@pytest.mark.parametrize(
    ("keys", "fine"),
    [
        (["a"], True),
        (["a", "b"], True),
        (["a", "a/b", "aa"], True),
        (["Z", "a", "é", "🎬"], True),
        (["a", "a"], False),
        (["b", "a"], False),
        (["a", "Z"], False),
        (["", "a"], False),
    ],
)
def test_keys(keys, fine):
    table = _table(*[making.failed(key) for key in keys])
    assert (content.index_problems(_index(), table) == []) == fine


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("au_score", np.nan, None),
        ("au_intensity", np.nan, None),
        ("keypoints_xy", np.nan, None),
        ("landmarks_xy", np.nan, None),
        ("au_occurrence", -1, None),
        ("au_occurrence", -2, "au_occurrence is none of -1, 0, 1"),
        ("pts_s", np.nan, "pts_s is not finite"),
        ("det_score", np.inf, "det_score is not finite"),
        ("crop_affine", -np.inf, "crop_affine is not finite"),
        ("au_mask", 7, "au_mask is not what au_ellipses draw"),
    ],
)
def test_blocks(name, value, problem):
    block = making.columns(6)
    assert content.block_problems(block, making.HEADER) == []
    block[name][3:] = value
    assert content.block_problems(block, making.HEADER) == ([] if problem is None else [problem])


@pytest.mark.parametrize(("levels", "agree"), [(0, True), (1, True), (-1, True), (2, False)])
def test_masks_may_differ_by_a_rounding(levels, agree):
    block = making.columns(3)
    middle = (block["au_mask"] > 5) & (block["au_mask"] < 250)
    assert middle.any()
    block["au_mask"][middle] += np.int64(levels).astype(np.uint8)
    assert (content.block_problems(block, making.HEADER) == []) == agree
