"""What became of each input: one row an attempt, appended and synced as it ends."""

import csv
import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facekit import schema
from facekit.errors import BadShard
from facekit.shards.disk import disk_full

CSV_COLUMNS: Final = (
    "key", "status", "reason", "faces", "frames_expected", "frames_decoded", "frames_corrupt",
    "frames_sampled", "frames_with_face", "part_bytes", "duration_s", "peak_rss_mib",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """How one attempt at one input ended.

    Args:
        key: the video's key.
        status: one of `facekit.schema.STATUSES`.
        reason: one line; empty for a success.
        faces: rows in the shard.
        frames_expected: frames that the file promises.
        frames_decoded: frames that came out.
        frames_corrupt: frames that the decoder marked damaged.
        frames_sampled: frames looked at for faces.
        frames_with_face: sampled frames on which a kept face stands.
        part_bytes: size of the part file; 0 where there is none.
        duration_s: wall time of the attempt.
        peak_rss_mib: the worker's memory at its highest.
    """

    key: str
    status: schema.Status
    reason: str = ""
    faces: int = 0
    frames_expected: int = 0
    frames_decoded: int = 0
    frames_corrupt: int = 0
    frames_sampled: int = 0
    frames_with_face: int = 0
    part_bytes: int = 0
    duration_s: float = 0.0
    peak_rss_mib: float = 0.0

    @property
    def was_read(self) -> bool:
        """Whether the video was read to its end, so that a part file stands for it."""
        return self.status in ("ok", "no_face", "short_read", "corrupt_frames")


class Ledger:
    """The file `ledger.jsonl` of a run folder.

    A line is appended and synced when an attempt ends. A torn last line, all that a kill can
    leave behind, is ignored; that input is taken up again.

    Args:
        path: the file; made by the first `append`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> dict[str, LedgerRow]:
        """The last row of each key.

        Raises:
            BadShard: a line other than the last cannot be read.
        """
        if not self.path.exists():
            return {}
        rows = {}
        lines = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):
            try:
                row = LedgerRow(**json.loads(line))
            except (ValueError, TypeError) as problem:
                raise BadShard(
                    f"{self.path} line {number} cannot be read; remove the line and run again"
                ) from problem
            rows[row.key] = row
        return rows

    def cut_torn_line(self) -> None:
        """Cut a torn last line off, for the next to stand on its own; only under the lock."""
        if self.path.exists():
            whole, newline, _ = self.path.read_bytes().rpartition(b"\n")
            os.truncate(self.path, len(whole) + len(newline))

    def append(self, row: LedgerRow) -> None:
        """Add a row and wait until it is on the disk.

        Raises:
            DiskFull: there is no room for it.
        """
        with disk_full(self.path), self.path.open("ab") as file:
            file.write(json.dumps(dataclasses.asdict(row)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def write_csv(path: Path, rows: Iterable[LedgerRow]) -> None:
    """Write the closing ledger: one row an input, in the order given.

    Args:
        path: the CSV; a file of that name is replaced once the new one is whole.
        rows: the inputs.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "ledger.csv"
    ...     write_csv(path, [LedgerRow(key="a", status="no_face")])
    ...     path.read_text().splitlines()[1]
    'a,no_face,,0,0,0,0,0,0,0,0.0,0.0'
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, CSV_COLUMNS)
        table.writeheader()
        table.writerows(dataclasses.asdict(row) for row in rows)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
