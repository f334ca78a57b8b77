"""What a run came to: inputs, outcomes, faces, bytes, seconds."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facekit import schema
from pipelines.ledger import LedgerRow
from pipelines.progress import duration


def is_failure(row: LedgerRow, *, strict: bool) -> bool:
    """Whether an outcome counts as a failure; `no_face` is a result, unless strict.

    >>> row = LedgerRow(key="a", status="no_face")
    >>> is_failure(row, strict=False), is_failure(row, strict=True)
    (False, True)
    """
    return row.status not in schema.SUCCESSES or (strict and row.status == "no_face")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run would take, extrapolated from a few videos that were really measured.

    Args:
        videos: videos to measure.
        measured: videos that were measured for the estimate.
        failed: of these, how many failed.
        faces: faces expected.
        shard_bytes: bytes of the shards expected.
        duration_s: wall time expected with the workers asked for.
        free_bytes: free space where the shards would go.
    """

    videos: int
    measured: int
    failed: int
    faces: int
    shard_bytes: int
    duration_s: float
    free_bytes: int

    def lines(self) -> list[str]:
        """The estimate as people read it."""
        if not self.videos:
            return ["dry run: nothing is left to do"]
        failed = f", of which {self.failed} failed" if self.failed else ""
        return [
            f"dry run: {self.videos} videos to do; measured {self.measured} of them for this"
            + failed,
            f"  about {self.faces} faces, {size(self.shard_bytes)}, {duration(self.duration_s)}; "
            f"{size(self.free_bytes)} are free",
        ]


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What became of every input of `extract`.

    Args:
        out: the folder of shards.
        inputs: how many there were.
        pending: how many are not done; above 0 only for a dry run.
        statuses: status -> count; they add up to `inputs` less `pending`.
        failures: the rows that failed.
        faces: faces in the shards.
        frames_sampled: frames looked at.
        frames_with_face: frames on which a kept face stands.
        shard_bytes: bytes of all shards.
        duration_s: wall time of this run.
        devices: role -> `cpu` or `cuda`, where each model really ran; empty if none had to.
        embedded: the roles that facekit's own small models play.
        estimate: what the run would take; only for a dry run.
    """

    out: Path
    inputs: int
    pending: int
    statuses: Mapping[str, int]
    failures: tuple[LedgerRow, ...]
    faces: int
    frames_sampled: int
    frames_with_face: int
    shard_bytes: int
    duration_s: float
    devices: Mapping[str, str]
    embedded: tuple[str, ...] = ()
    estimate: Estimate | None = None

    def as_json(self) -> dict[str, Any]:
        """The summary as plain JSON values."""
        return {**dataclasses.asdict(self), "out": str(self.out)}

    def lines(self) -> list[str]:
        """The closing table."""
        if self.estimate is not None:
            return self.estimate.lines()
        found = (
            f" ({self.frames_with_face / self.frames_sampled:.1%})" if self.frames_sampled else ""
        )
        rows = [
            ("inputs", str(self.inputs)),
            *((status, str(count)) for status, count in self.statuses.items()),
            ("faces", str(self.faces)),
            ("frames with a face", f"{self.frames_with_face} of {self.frames_sampled}{found}"),
            ("shards", f"{size(self.shard_bytes)} in {self.out}"),
            ("device", ", ".join(sorted(set(self.devices.values()))) or "none needed"),
            ("time", duration(self.duration_s)),
            *self._embedded_rows(),
        ]
        width = max(len(name) for name, _ in rows)
        return [f"{name:<{width}}  {value}" for name, value in rows] + self._failure_lines()

    def _embedded_rows(self) -> list[tuple[str, str]]:
        if not self.embedded:
            return []
        roles = ", ".join(self.embedded)
        return [("models", f"lite {roles}: to begin with; for publication see --preset paper")]

    def _failure_lines(self, most: int = 10) -> list[str]:
        if not self.failures:
            return []
        shown = [f"  {row.key}: {row.status}: {row.reason}" for row in self.failures[:most]]
        more = len(self.failures) - len(shown)
        rest = [f"  and {more} more"] if more else []
        can_change = any(row.status not in schema.SUCCESSES for row in self.failures)
        return [
            f"{len(self.failures)} inputs failed; all of them are in {self.out / 'ledger.csv'}:",
            *shown,
            *rest,
            *(["try them again with --retry failed"] if can_change else []),
        ]


def of_rows(
    out: Path,
    rows: Collection[LedgerRow],
    *,
    pending: int = 0,
    strict: bool = False,
    duration_s: float,
    devices: Mapping[str, str] | None = None,
    embedded: Sequence[str] = (),
) -> Extraction:
    """Add up how the inputs ended.

    Args:
        out: the folder of shards.
        rows: one row an input that is done.
        pending: inputs that are not done.
        strict: count a video without a face as a failure.
        duration_s: wall time of this run.
        devices: role -> `cpu` or `cuda`.
        embedded: the roles that facekit's own small models play.

    >>> of_rows(Path("shards"), [LedgerRow(key="a", status="no_face")], duration_s=2.0).statuses
    {'no_face': 1}
    """
    counts = Counter(row.status for row in rows)
    return Extraction(
        out=out,
        inputs=len(rows) + pending,
        pending=pending,
        statuses={status: counts[status] for status in schema.STATUSES if counts[status]},
        failures=tuple(row for row in rows if is_failure(row, strict=strict)),
        faces=sum(row.faces for row in rows),
        frames_sampled=sum(row.frames_sampled for row in rows),
        frames_with_face=sum(row.frames_with_face for row in rows),
        shard_bytes=sum(path.stat().st_size for path in out.glob("faces-*.h5")),
        duration_s=duration_s,
        devices=devices or {},
        embedded=tuple(embedded),
    )


def size(count: float) -> str:
    """Bytes as people read them.

    >>> size(999), size(77_000_000)
    ('999 B', '77.0 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
