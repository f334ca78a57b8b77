"""Which videos go into which shard, when a shard can be written, and writing it."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from facekit import shards
from facekit.errors import BadShard, DiskFull, FacekitError
from facekit.options import Run
from pipelines import jobs
from pipelines.ledger import LedgerRow
from pipelines.run_folder import ShardContent
from pipelines.signals import stopping
from pipelines.workers import Outcome, Workers

Group = tuple[LedgerRow, ...]
Source = dict[str, Any]
"""`file` and `key` of a video in a part or shard; or `video` and `status` of one without faces."""

KeyedTask = tuple[str, dict[str, Any]]


class ShardPlan:
    """Fills shards in order of key, as the videos before them are settled.

    Which shard a video is in follows from the keys and the number of faces of each video alone,
    so the shards are the same however many workers there were and however often the run was
    resumed. A shard can be written as soon as the video after its last one is settled.

    Args:
        keys: every input, sorted.
        images: whether the shards hold images, which decides how many faces one may hold.

    >>> plan = ShardPlan(["a", "b", "c"], images=True)
    >>> rows = {key: LedgerRow(key=key, status="ok", faces=300) for key in "abc"}
    >>> [(index, [row.key for row in group]) for index, group in plan.due({"a": rows["a"]})]
    []
    >>> [(index, [row.key for row in group]) for index, group in plan.due(rows)]
    [(0, ['a']), (1, ['b']), (2, ['c'])]
    """

    def __init__(self, keys: Sequence[str], *, images: bool) -> None:
        self._keys = keys
        self._images = images
        self._first = 0
        self._index = 0

    def due(self, settled: Mapping[str, LedgerRow]) -> Iterator[tuple[int, Group]]:
        """The shards that can be written now and were not given before, with their numbers."""
        stretch = []
        for key in self._keys[self._first :]:
            if key not in settled:
                break
            stretch.append(settled[key])
        ranges = shards.assign([row.faces for row in stretch], images=self._images)
        at_end = self._first + len(stretch) == len(self._keys)
        for found in ranges if at_end else ranges[:-1]:
            group = tuple(stretch[found.start : found.stop])
            self._first += len(group)
            self._index += 1
            yield self._index - 1, group


def first_stale(contents: Sequence[ShardContent], groups: Sequence[Group]) -> int:
    """Number of the first shard on the disk that does not hold what it should.

    Args:
        contents: what the shards hold, by number.
        groups: what they should hold, by number.

    >>> first_stale([], [])
    0
    """
    for index, content in enumerate(contents):
        if index >= len(groups) or not content.holds(groups[index]):
            return index
    return len(contents)


def pack_task(shard: Path, sources: Sequence[Source], *, remove: Iterable[Path] = ()) -> KeyedTask:
    """The task that writes one shard, and then removes the parts it has used up.

    Args:
        shard: where it goes.
        sources: its videos, in order.
        remove: files to remove once the shard is published.

    >>> pack_task(Path("out/faces-00000.h5"), [])[0]
    'faces-00000.h5'
    """
    return shard.name, {
        "do": "pack",
        "shard": str(shard),
        "sources": list(sources),
        "remove": [str(path) for path in remove],
    }


def unpack_task(shard: Path, parts: Mapping[str, Path]) -> KeyedTask:
    """The task that turns a shard back into one part a video, and then removes it.

    Args:
        shard: what to take apart.
        parts: key -> where the part of that video goes; other videos are dropped.

    >>> unpack_task(Path("faces-00000.h5"), {"a": Path("parts/a.h5")})[1]["parts"]
    {'a': 'parts/a.h5'}
    """
    return shard.name, {
        "do": "unpack",
        "shard": str(shard),
        "parts": {key: str(path) for key, path in parts.items()},
    }


def run_packing(tasks: Iterable[KeyedTask], folder: Path, header: shards.Header, run: Run) -> None:
    """Do these tasks in worker processes that load no model.

    Args:
        tasks: from `pack_task` and `unpack_task`.
        folder: where the shards lie.
        header: what holds for every face of them.
        run: how many workers, with which limits.

    Raises:
        DiskFull: no room is left.
        FacekitError: a shard could not be written.
        Interrupted: a signal came.
    """
    with (
        Workers(
            "pipelines.jobs:packing",
            {"header": jobs.header_to(header)},
            jobs=run.jobs or os.cpu_count() or 1,
            timeout_s=run.timeout,
            max_rss_mib=run.max_rss,
            engine=run.engine,
        ) as workers,
        stopping(workers),
    ):
        pack_all(workers, tasks, folder)


def pack_all(workers: Workers, tasks: Iterable[KeyedTask], folder: Path) -> None:
    """Do these tasks in workers that are there already.

    Args:
        workers: their job knows how to pack.
        tasks: from `pack_task` and `unpack_task`.
        folder: where the shards lie.

    Raises:
        DiskFull: no room is left.
        FacekitError: a shard could not be written.
    """
    for outcome in workers.run(tasks):
        raise_if_unpacked(outcome, folder)


def raise_if_unpacked(outcome: Outcome, folder: Path) -> None:
    """Say why a shard was not written.

    Raises:
        BadShard: what it is made of is damaged; the next run measures that anew.
        DiskFull: no room is left.
        FacekitError: anything else; the next run takes it up again.
    """
    if outcome.kind in ("done", "stopped"):
        return
    if ran_out_of_room(outcome, folder):
        raise DiskFull(f"no room left in {folder}; make room and run the same command again")
    kind = BadShard if outcome.error_kind == "BadShard" else FacekitError
    raise kind(
        f"{folder / outcome.key} could not be written: {outcome.reason}; run the same command again"
    )


def ran_out_of_room(outcome: Outcome, folder: Path) -> bool:
    """Whether a task failed because the disk is full, even where that killed its process."""
    return outcome.error_kind == "DiskFull" or (
        outcome.kind == "crashed" and shards.free_bytes(folder) < 1 << 20
    )
