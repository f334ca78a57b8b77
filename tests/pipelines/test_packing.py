from pathlib import Path

import pytest

from pipelines.ledger import LedgerRow
from pipelines.packing import ShardPlan, first_stale
from pipelines.run_folder import ShardContent


def _rows(faces_by_key):
    return {
        key: LedgerRow(key=key, status="ok" if faces else "crashed", faces=faces)
        for key, faces in faces_by_key.items()
    }


def _keys(due):
    return [(index, "".join(row.key for row in group)) for index, group in due]


@pytest.mark.parametrize(
    ("faces_by_key", "images", "want"),
    [
        ({}, True, []),
        ({"a": 0}, True, [(0, "a")]),
        ({"a": 32}, True, [(0, "a")]),
        ({"a": 256, "b": 256, "c": 1}, True, [(0, "ab"), (1, "c")]),
        ({"a": 1, "b": 9000, "c": 1}, True, [(0, "a"), (1, "b"), (2, "c")]),
        ({"a": 1, "b": 9000, "c": 1}, False, [(0, "abc")]),
        ({"a": 512, "b": 0, "c": 0, "d": 1}, True, [(0, "abc"), (1, "d")]),
    ],
)
def test_videos_fill_shards_in_order(faces_by_key, images, want):
    plan = ShardPlan(list(faces_by_key), images=images)
    assert _keys(plan.due(_rows(faces_by_key))) == want
    assert _keys(plan.due(_rows(faces_by_key))) == []


@pytest.mark.parametrize("order", ["abcdefgh", "hgfedcba", "gaebhdcf"])
def test_the_shards_do_not_depend_on_the_order_in_which_videos_end(order):
    rows = _rows(dict(zip("abcdefgh", [200, 300, 100, 0, 512, 511, 2, 3], strict=True)))
    want = _keys(ShardPlan(list(rows), images=True).due(rows))
    plan = ShardPlan(list(rows), images=True)
    settled, got = {}, []
    for key in order:
        settled[key] = rows[key]
        got += _keys(plan.due(settled))
    assert got == want


def test_a_shard_is_not_given_before_its_end_is_sure():
    rows = _rows({"a": 500, "b": 12, "c": 1})
    plan = ShardPlan(list(rows), images=True)
    assert _keys(plan.due({"a": rows["a"], "b": rows["b"]})) == []
    assert _keys(plan.due(rows)) == [(0, "ab"), (1, "c")]


@pytest.mark.parametrize(
    ("held", "wanted", "first"),
    [
        ([], [], 0),
        ([], ["a"], 0),
        (["a"], ["a"], 1),
        (["a", "b"], ["a"], 1),
        (["a", "b"], ["a", "bc"], 1),
        (["ab", "c"], ["a", "bc"], 0),
    ],
)
def test_shards_from_the_first_that_differs_on_are_stale(held, wanted, first):
    rows = _rows(dict.fromkeys("abc", 1))
    contents = [
        ShardContent(path=Path(str(i)), rows=tuple(rows[key] for key in keys))
        for i, keys in enumerate(held)
    ]
    groups = [tuple(rows[key] for key in keys) for keys in wanted]
    assert first_stale(contents, groups) == first


def test_a_shard_whose_video_has_another_outcome_is_stale():
    content = ShardContent(path=Path("0"), rows=(LedgerRow(key="a", status="timeout"),))
    assert first_stale([content], [(LedgerRow(key="a", status="ok", faces=3),)]) == 0
