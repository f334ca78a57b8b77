import json
from pathlib import Path

import pytest

from pipelines.ledger import LedgerRow
from pipelines.summary import Estimate, is_failure, of_rows, size


def _row(key, status, **changed):
    return LedgerRow(key=key, status=status, **changed)


@pytest.mark.parametrize(
    ("status", "strict", "failed"),
    [
        ("ok", True, False),
        ("no_face", False, False),
        ("no_face", True, True),
        ("short_read", False, True),
        ("corrupt_frames", False, True),
        ("timeout", False, True),
    ],
)
def test_what_counts_as_a_failure(status, strict, failed):
    assert is_failure(_row("a", status), strict=strict) is failed


@pytest.mark.parametrize(
    ("rows", "statuses"),
    [
        ([], {}),
        ([_row("a", "ok")], {"ok": 1}),
        (
            [_row("a", "timeout"), _row("b", "ok"), _row("c", "no_face"), _row("d", "ok")],
            {"ok": 2, "no_face": 1, "timeout": 1},
        ),
    ],
)
def test_the_rows_add_up(tmp_path, rows, statuses):
    found = of_rows(tmp_path, rows, duration_s=1.0)
    assert dict(found.statuses) == statuses
    assert sum(found.statuses.values()) == found.inputs == len(rows)


def test_the_table_shows_ten_failures_and_counts_the_rest(tmp_path):
    rows = [_row(f"{i:02d}", "crashed", reason=f"killed {i}") for i in range(13)]
    lines = of_rows(tmp_path, rows, duration_s=1.0).lines()
    assert "  09: crashed: killed 9" in lines
    assert "  10: crashed: killed 10" not in lines
    assert "  and 3 more" in lines
    assert lines[-1] == "try them again with --retry failed"


@pytest.mark.parametrize(
    ("embedded", "said"),
    [
        ((), None),
        (("detector", "au"), "models              lite detector, au: to begin with; "),
    ],
)
def test_a_run_with_embedded_models_says_so_in_one_line(tmp_path, embedded, said):
    lines = of_rows(tmp_path, [], duration_s=1.0, embedded=embedded).lines()
    named = [line for line in lines if line.startswith("models")]
    assert [said is not None and line.startswith(said) for line in named] == [True] * len(
        embedded[:1]
    )
    assert all("--preset paper" in line for line in named)


def test_a_retry_is_not_promised_where_it_changes_nothing(tmp_path):
    lines = of_rows(tmp_path, [_row("a", "no_face")], strict=True, duration_s=1.0).lines()
    assert "1 inputs failed" in "\n".join(lines)
    assert "--retry" not in "\n".join(lines)


def test_bytes_are_those_of_the_shards_alone(tmp_path):
    (tmp_path / "faces-00000.h5").write_bytes(b"x" * 1200)
    (tmp_path / "ledger.csv").write_bytes(b"x" * 5000)
    found = of_rows(tmp_path, [_row("a", "ok", faces=2)], duration_s=1.0)
    assert found.shard_bytes == 1200
    assert json.loads(json.dumps(found.as_json()))["faces"] == 2


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (17_300_000_000, "17.3 GB"),
        (2e15, "2000.0 TB"),
    ],
)
def test_sizes_as_people_read_them(count, text):
    assert size(count) == text


def test_an_estimate_of_nothing_says_so():
    nothing = Estimate(
        videos=0, measured=0, faces=0, shard_bytes=0, duration_s=0.0, free_bytes=1, failed=0
    )
    assert nothing.lines() == ["dry run: nothing is left to do"]


def test_a_dry_run_is_no_closing_table():
    estimate = Estimate(
        videos=9,
        measured=3,
        faces=288,
        shard_bytes=43_000_000,
        duration_s=65.0,
        free_bytes=10**9,
        failed=0,
    )
    found = of_rows(Path("out"), [], pending=9, duration_s=1.0)
    lines = type(found)(**{**vars(found), "estimate": estimate}).lines()
    assert lines[0].startswith("dry run: 9 videos")
    assert "43.0 MB" in lines[1]
    assert "1 min 05 s" in lines[1]
