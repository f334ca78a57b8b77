import csv
import json

import pytest

from facekit.errors import BadShard
from pipelines.ledger import CSV_COLUMNS, Ledger, LedgerRow, write_csv

OK = LedgerRow(key="a", status="ok", faces=32)
BAD = LedgerRow(key="b", status="timeout", reason="no progress for 5 s")


def test_no_ledger_has_no_rows(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.cut_torn_line()
    assert ledger.rows() == {}
    assert not ledger.path.exists()


def test_the_last_row_of_a_key_counts(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for row in (OK, BAD, LedgerRow(key="b", status="ok", faces=1)):
        ledger.append(row)
    assert {key: row.status for key, row in ledger.rows().items()} == {"a": "ok", "b": "ok"}


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_a_torn_last_line_is_ignored_and_does_not_spoil_the_next(tmp_path, kept):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(OK)
    whole = ledger.path.stat().st_size
    ledger.append(BAD)
    with ledger.path.open("r+b") as file:
        file.truncate(whole + kept)
    torn = ledger.path.read_bytes()
    assert ledger.rows() == {"a": OK}
    assert ledger.path.read_bytes() == torn  # another run may be writing it
    ledger.cut_torn_line()
    ledger.append(BAD)
    assert ledger.rows() == {"a": OK, "b": BAD}


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b'{"key": "a"}', b'{"key": "a", "status": "ok", "what": 1}']
)
def test_a_damaged_line_is_named_and_not_passed_over(tmp_path, line):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.path.write_bytes(line + b"\n")
    ledger.append(OK)
    with pytest.raises(BadShard, match="line 1"):
        ledger.rows()


@pytest.mark.parametrize(
    ("status", "was_read"),
    [("ok", True), ("no_face", True), ("short_read", True), ("crashed", False), ("error", False)],
)
def test_what_was_read_has_a_part(status, was_read):
    assert LedgerRow(key="a", status=status).was_read is was_read


@pytest.mark.parametrize("rows", [[], [OK], [OK, BAD]])
def test_the_closing_table_has_one_line_an_input(tmp_path, rows):
    write_csv(tmp_path / "ledger.csv", rows)
    with (tmp_path / "ledger.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(line["key"], line["status"], line["reason"]) for line in table] == [
        (row.key, row.status, row.reason) for row in rows
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.csv"]


def test_a_row_fits_the_closing_table():
    assert set(json.loads(json.dumps(vars(OK)))) == set(CSV_COLUMNS)
