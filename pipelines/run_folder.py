"""The folder of one run: its parts, shards and ledger, and what of them can be relied on."""

import contextlib
import hashlib
import logging
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facekit import schema, shards
from facekit.errors import BadInput, BadShard
from facekit.options import Measurement
from facekit.shards.manifest import shard_paths
from facekit.shards.seal import check_length
from facekit.video import Video
from pipelines.folders import exists
from pipelines.ledger import Ledger, LedgerRow

log = logging.getLogger(__name__)

_PART_STEM: Final = re.compile(r"[0-9a-f]{32}")
_PART_NAME: Final = re.compile(r"part-(\d{5,6})-of-(\d{5,6})")


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


def part_name(index: int, count: int) -> str:
    """Name of the folder that one task of a job array writes.

    >>> part_name(2, 8)
    'part-00002-of-00008'
    """
    return f"part-{index:05d}-of-{count:05d}"


def missing_parts(folders: Iterable[Path]) -> list[Path]:
    """Folders of job arrays that would have to be among these, and are not.

    >>> missing_parts([Path("out/part-00001-of-00002"), Path("alone")])
    [PosixPath('out/part-00002-of-00002')]
    """
    given = {folder.absolute(): folder for folder in folders}
    wanted = {
        folder.with_name(part_name(index, int(match[2])))
        for folder in given.values()
        if (match := _PART_NAME.fullmatch(folder.name))
        for index in range(1, int(match[2]) + 1)
    }
    return sorted(folder for folder in wanted if folder.absolute() not in given)


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

    def refuse_file(self) -> None:
        """Refuse a path that can be no folder.

        Raises:
            BadInput: it, or what it would lie in, is a file.
        """
        for path in (self.path, *self.path.parents):
            if exists(path) and not path.is_dir():
                raise BadInput(f"{path} is a file; give another folder for the shards")

    def make(self, *, parts: bool = False) -> None:
        """Make the folder.

        Args:
            parts: make the one for parts too.

        Raises:
            BadInput: the folder cannot be made.
            DiskFull: there is no room for it.
        """
        path = self.parts if parts else self.path
        try:
            with shards.disk_full(path):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise BadInput(
                f"{path} cannot be used for output: {problem.strerror}; give another folder"
            ) from problem

    def part_path(self, key: str) -> Path:
        """Where the part of a video lies: named by its key alone, whatever the order."""
        return self.parts / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.h5"

    def shard_path(self, index: int) -> Path:
        """Where the shard of this number lies."""
        return self.path / shards.shard_name(index)

    def shard_contents(self) -> list[ShardContent]:
        """What each shard holds, in order of number; one that is missing is passed over.

        Raises:
            BadShard: one is damaged.
        """
        return [ShardContent(path=path, rows=tuple(_rows_of(path))) for path in self._shards()]

    def remove_leftovers(self) -> None:
        """Remove what a killed run has left, and parts that are cut; only under the lock."""
        for folder in (self.path, self.parts):
            for temporary in folder.glob(".*.tmp-*"):
                temporary.unlink(missing_ok=True)
        self.ledger.cut_torn_line()
        for part in self._parts():
            try:
                check_length(part)
            except BadShard as problem:
                log.warning("%s; its video is measured anew", problem)
                part.unlink()

    def remove_parts(self) -> None:
        """Remove what the shards now hold, and nothing that is not ours; only under the lock."""
        for part in self._parts():
            part.unlink()
        if not any(self.parts.iterdir()):
            self.parts.rmdir()

    def _shards(self) -> list[Path]:
        return shard_paths(self.path) if self.path.is_dir() else []

    def _parts(self) -> list[Path]:
        parts = sorted(self.parts.glob("*.h5"))
        return [part for part in parts if _PART_STEM.fullmatch(part.stem)]

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
        self.refuse_strangers(known, {video.key for video in videos})
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

    def refuse_strangers(self, known: Collection[str], keys: Collection[str]) -> None:
        """Refuse to touch a folder that holds videos nobody asked for.

        Args:
            known: keys of what the folder holds.
            keys: those of this run.

        Raises:
            BadInput: the folder holds others.
        """
        strangers = sorted(set(known) - set(keys))
        if strangers:
            raise BadInput(
                f"{self.path} holds {len(strangers)} videos that are not among the inputs, such "
                f"as {strangers[0]}; give all inputs of the folder, or another folder"
            )

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
        """How what lies in the folder was measured; None while nothing does.

        Raises:
            BadShard: a shard is damaged.
        """
        for path in self._shards()[:1]:
            with _opened(path) as shard:
                return shard.header
        for path in self._parts():
            # What is damaged here is thrown away when it is packed, or before.
            with contextlib.suppress(BadShard), shards.open_shards(path) as part:
                return part.header
        return None


@contextlib.contextmanager
def _opened(shard: Path) -> Iterator[shards.Shards]:
    try:
        with shards.open_shards(shard) as opened:
            yield opened
    except BadShard as problem:
        raise BadShard(
            f"{problem}; if that is damage, remove the file, and its extraction run again "
            "measures its videos anew"
        ) from problem


def _rows_of(shard: Path) -> list[LedgerRow]:
    with _opened(shard) as opened:
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
