"""The folders of a job array become one: the same bytes as one run."""

import time
from collections.abc import Sequence
from pathlib import Path

from facekit import shards
from facekit.errors import BadInput, BadShard
from facekit.options import Run
from pipelines import lock, packing, summary
from pipelines.ledger import LedgerRow, write_csv
from pipelines.run_folder import RunFolder, missing_parts


def merge(
    folders: str | Path | Sequence[str | Path], out: str | Path, *, force: bool = False
) -> summary.Extraction:
    """Join shard folders that were measured alike into one.

    Args:
        folders: complete shard folders, such as those that `extract` with `part` wrote.
        out: folder for the joined shards; made if it is not there. The sources stay as they are.
        force: take over a lock that another run left behind.

    Returns:
        What the joined shards hold.

    Raises:
        BadInput: a folder is not complete, was measured otherwise, or holds a video that another
            one holds too; a folder of a job array is missing; `out` holds other videos.
        BadShard: a folder is damaged.
        DiskFull: the disk ran out; call again when there is room.

    >>> merge([], "joined/")
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: no folder to merge
    """
    began_s = time.monotonic()
    listed = [folders] if isinstance(folders, (str, Path)) else list(folders)
    sources = [RunFolder(Path(folder)) for folder in listed]
    if not str(out):
        raise BadInput("--out is empty; give a folder for the merged shards")
    rows, places = _videos_of(sources)
    target = RunFolder(Path(out))
    if any(source.path.resolve() == target.path.resolve() for source in sources):
        raise BadInput(f"{target.path} is one of the folders to merge; give another for the result")
    header = sources[0].header()
    target.refuse_file()
    _refuse_other(target, rows, header)
    target.make()
    with lock.locked(target.path, force=force):
        target.remove_leftovers()
        if header is not None:
            _pack(target, rows, places, header)
        write_csv(target.ledger_csv, rows.values())
        shards.write_manifest(target.path)
    return summary.of_rows(target.path, rows.values(), duration_s=time.monotonic() - began_s)


def _videos_of(sources: Sequence[RunFolder]) -> tuple[dict[str, LedgerRow], dict[str, Path]]:
    """Key -> how it ended, and key -> shard, sorted by key."""
    if not sources:
        raise BadInput("no folder to merge")
    missing = missing_parts(source.path for source in sources)
    if missing:
        raise BadInput(f"{missing[0]} is missing; give all folders of the job array")
    rows: dict[str, LedgerRow] = {}
    places: dict[str, Path] = {}
    header = sources[0].header()
    for source in sources:
        if not source.manifest.exists():
            raise BadInput(
                f"{source.path} is not complete: it has no {source.manifest.name}; "
                "run its extraction to the end"
            )
        report = shards.verify(source.path)
        if not report.ok:
            first = report.problems[0]
            raise BadShard(f"{source.path / first.where}: {first.what}; run its extraction again")
        if source.header() != header:
            raise BadInput(
                f"{source.path} was measured otherwise than {sources[0].path}; "
                "`facekit diff` says how"
            )
        recorded = source.ledger.rows()
        for content in source.shard_contents():
            for row in content.rows:
                if row.key in places:
                    raise BadInput(
                        f"{row.key} is in {places[row.key]} and in {content.path}; "
                        "give each video once"
                    )
                rows[row.key] = recorded.get(row.key, row)
                places[row.key] = content.path
    return dict(sorted(rows.items())), places


def _refuse_other(
    target: RunFolder, rows: dict[str, LedgerRow], header: shards.Header | None
) -> None:
    """Refuse to write over what is no earlier merge of these folders."""
    held = [row.key for content in target.shard_contents() for row in content.rows]
    target.refuse_strangers([*held, *target.ledger.rows()], rows)
    if held and target.header() != header:
        raise BadInput(f"{target.path} was measured otherwise; give another folder for the result")


def _pack(
    target: RunFolder, rows: dict[str, LedgerRow], places: dict[str, Path], header: shards.Header
) -> None:
    """Write the shards that are not there yet; those of a killed merge are kept."""
    groups = [group for _, group in packing.ShardPlan(list(rows), images=header.images).due(rows)]
    contents = target.shard_contents()
    first = packing.first_stale(contents, groups)
    for content in contents[first:]:
        content.path.unlink()
    tasks = [
        packing.pack_task(
            target.shard_path(index),
            [{"file": str(places[row.key]), "key": row.key} for row in groups[index]],
        )
        for index in range(first, len(groups))
    ]
    if tasks:
        target.manifest.unlink(missing_ok=True)
        packing.run_packing(tasks, target.path, header, Run())
