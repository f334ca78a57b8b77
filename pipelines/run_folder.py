"""The folder of one run: its parts, shards and ledger, and what of them can be relied on."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facekit import schema, shards
from facekit.errors import BadInput
from facekit.options import Measurement
from facekit.video import Video
from pipelines.ledger import Ledger, LedgerRow


@dataclass(frozen=True, kw_only=True)
class ShardContent:
    """What one shard of the folder holds.

    Args:
        path: the shard.
        rows: one row a video, in order.
    """

    path: Path
    rows: tuple[LedgerRow, ...]

    def holds(self, rows: Iterable[LedgerRow]) -> bool:
        """Whether these videos, with these outcomes, are exactly what the shard holds."""
        return [_outcome(row) for row in self.rows] == [_outcome(row) for row in rows]


def _outcome(row: LedgerRow) -> tuple[str, str, int]:
    return row.key, row.status, row.faces


class RunFolder:
    """Where a run writes; nothing is made before `make`.

    `parts/` holds one file a video until its shard is written, `ledger.jsonl` one line an attempt,
    `faces-00000.h5` and so on the shards, `manifest.json` the mark that all of it is complete.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts: Final = path / "parts"
        self.manifest: Final = path / shards.MANIFEST_NAME
        self.ledger: Final = Ledger(path / "ledger.jsonl")
        self.ledger_csv: Final = path / "ledger.csv"

    def make(self) -> None:
        """Make the folder and the one for parts.

        Raises:
            BadInput: the path is a file, or the folder cannot be made.
        """
        try:
            self.parts.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise BadInput(
                f"{self.path} cannot be used for output: {problem.strerror}"
            ) from problem

    def part_path(self, key: str) -> Path:
        """Where the part of a video lies: named by its key alone, whatever the order."""
        return self.parts / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.h5"

    def shard_path(self, index: int) -> Path:
        """Where the shard of this number lies."""
        return self.path / shards.shard_name(index)

    def shard_contents(self) -> list[ShardContent]:
        """What each shard holds, in order of number, up to the first that is missing."""
        contents: list[ShardContent] = []
        while (path := self.shard_path(len(contents))).exists():
            contents.append(ShardContent(path=path, rows=tuple(_rows_of(path))))
        return contents

    def remove_leftovers(self) -> None:
        """Remove the temporary files of a killed run; only under the lock."""
        for folder in (self.path, self.parts):
            for temporary in folder.glob(".*.tmp-*"):
                temporary.unlink(missing_ok=True)

    def remove_parts(self) -> None:
        """Remove what the shards now hold; only under the lock."""
        self.remove_leftovers()
        for part in self.parts.glob("*.h5"):
            part.unlink()
        self.parts.rmdir()

    def settled(
        self, videos: Collection[Video], contents: Iterable[ShardContent], *, retry_failed: bool
    ) -> dict[str, LedgerRow]:
        """The inputs that need no more work, with how each ended.

        A video that was read counts only while its part or its row in a shard is there.

        Args:
            videos: all inputs of this run.
            contents: what the shards hold.
            retry_failed: leave out what did not succeed.

        Raises:
            BadInput: the folder holds videos that are not among the inputs.
        """
        in_shards = {row.key: row for content in contents for row in content.rows}
        known = {**in_shards, **self.ledger.rows()}
        _refuse_strangers(self.path, known, {video.key for video in videos})
        return {
            key: row
            for key, row in known.items()
            if not (retry_failed and row.status not in schema.SUCCESSES)
            and (
                not row.was_read
                or self.part_path(key).exists()
                or (key in in_shards and _outcome(in_shards[key]) == _outcome(row))
            )
        }

    def refuse_other(self, measurement: Measurement) -> None:
        """Refuse to mix what is measured differently in one folder.

        Raises:
            BadInput: what lies in the folder was measured with other options.
        """
        header = self.header()
        if header is None:
            return
        before, now = header.provenance.measurement, measurement.as_json()
        other = [
            f"{name} {before.get(name)!r} before, {now[name]!r} now"
            for name in now
            if before.get(name) != now[name]
        ]
        if other:
            raise BadInput(
                f"{self.path} was begun with other options ({'; '.join(other)}); "
                "use the same options, or another folder"
            )

    def header(self) -> shards.Header | None:
        """How what lies in the folder was measured; None while nothing does."""
        for path in (self.shard_path(0), *sorted(self.parts.glob("*.h5"))):
            if path.exists():
                with shards.open_shards(path) as opened:
                    return opened.header
        return None


def _rows_of(shard: Path) -> list[LedgerRow]:
    with shards.open_shards(shard) as opened:
        faces = opened.faces_per_video()
        return [
            LedgerRow(
                key=record.video.key,
                status=record.status,
                faces=faces[i],
                frames_expected=record.frames_expected,
                frames_decoded=record.frames_decoded,
                frames_corrupt=record.frames_corrupt,
                frames_sampled=record.frames_sampled,
                frames_with_face=record.frames_with_face,
            )
            for i, record in enumerate(opened.records())
        ]


def _refuse_strangers(folder: Path, known: Mapping[str, LedgerRow], keys: Collection[str]) -> None:
    strangers = sorted(known.keys() - set(keys))
    if strangers:
        raise BadInput(
            f"{folder} holds {len(strangers)} videos that are not among the inputs, such as "
            f"{strangers[0]}; give all inputs of the folder, or another folder"
        )
