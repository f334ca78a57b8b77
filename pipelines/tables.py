"""A manifest written by the user: a CSV or Parquet table, one row a video."""

import csv
import logging
import math
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Final, TypeVar

from facekit.errors import BadInput
from facekit.video import Video
from pipelines.folders import exists, shown

log = logging.getLogger(__name__)

EXTENSIONS: Final = frozenset({".csv", ".parquet"})
"""Endings by which a file given by name is a table."""

COLUMNS: Final = (
    *("path", "label", "method", "split", "original", "group"),
    *("dataset", "compression", "key", "mask_path"),
)
"""The columns that are read; only `path` has to be there."""

LABELS: Final = {"0": 0, "real": 0, "1": 1, "fake": 1, "": -1, "-1": -1}
"""How a label may be written, in any case; -1 is how a shard writes an unknown one."""

SPLITS: Final = ("train", "val", "test", "")

_CLIMBING: Final = re.compile(r"^(\.\./)+")

_Row = Mapping[str, str]
_Value = TypeVar("_Value")


def videos_of_table(table: Path, *, at_hand: bool = True) -> list[Video]:
    """The videos that a table lists, in the order of its rows.

    Paths are relative to the table's folder; either kind of slash will do. A row without a `key`
    gets `<table's name>/<path>`. `original` is the key or the path of another row, or any key.
    A path that leads nowhere stays in the list, so that the run reports it; all of them doing so
    is refused.

    Args:
        table: a file ending in .csv (UTF-8, commas, a header line) or .parquet.
        at_hand: whether the files are needed; without, nobody looks for them.

    Raises:
        BadInput: the table cannot be read, has no column `path` or no row, or a row of it makes
            no sense; the message names the row, for a CSV by its line.
    """
    videos = [_video(table, where, row) for where, row in _rows(table)]
    if not videos:
        raise BadInput(f"no videos in {shown(table)}: the table has no rows")
    if at_hand:
        _report_missing(table, videos)
    return _with_originals(table, videos)


def _rows(table: Path) -> Iterator[tuple[str, _Row]]:
    """Each row that holds anything, with the words that tell where it stands."""
    read = _parquet_rows if table.suffix.lower() == ".parquet" else _csv_rows
    for number, row in read(table):
        known = {name: (row.get(name) or "").strip() for name in COLUMNS}
        if any(known.values()):
            yield f"row {number} of {shown(table)}", known


def _csv_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = _checked_header(table, next(reader, []))
            for fields in reader:
                if len(fields) > len(header):
                    raise BadInput(
                        f"row {reader.line_num} of {shown(table)} has {len(fields)} fields, the "
                        f"header {len(header)}; put a path with a comma in double quotes"
                    )
                yield reader.line_num, dict(zip(header, fields, strict=False))
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadInput(f"cannot read {shown(table)} as UTF-8 CSV: {error}") from error


def _parquet_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(table) as file:
            header = _checked_header(table, file.schema_arrow.names)
            rows = file.read().rename_columns(header).select(_used(header)).to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"cannot read {shown(table)} as Parquet: {reason}") from error
    for number, row in enumerate(rows, start=1):
        yield number, {name: _as_text(value) for name, value in row.items()}


def _used(header: Sequence[str]) -> list[str]:
    return [name for name in header if name in COLUMNS]


def _as_text(value: object) -> str:
    """A cell as CSV would hold it; labels with gaps come as floats."""
    if value is None:
        return ""
    if isinstance(value, float) and not value.is_integer():
        return "" if math.isnan(value) else str(value)
    return str(int(value)) if isinstance(value, float) else str(value)


def _checked_header(table: Path, header: Sequence[str]) -> list[str]:
    names = [name.strip().lower() for name in header]
    if "path" not in names:
        raise BadInput(
            f"{shown(table)} has no column called path; its columns are "
            f"{', '.join(map(shown, names)) or 'none'}, known are {', '.join(COLUMNS)}"
        )
    for name in COLUMNS:
        if names.count(name) > 1:
            raise BadInput(f"{shown(table)} has the column {name} twice; keep one")
    unused = [shown(name) for name in names if name not in COLUMNS]
    if unused:
        log.info("%s: columns not used: %s", shown(table), ", ".join(unused))
    return names


def _video(table: Path, where: str, row: _Row) -> Video:
    if not row["path"]:
        raise BadInput(f"{where} has no path")
    folder = table.absolute().parent
    path, relative_path = _place(folder, row["path"])
    return Video(
        key=row["key"] or f"{table.stem}/{_CLIMBING.sub('', relative_path)}",
        path=path,
        relative_path=relative_path,
        dataset=row["dataset"],
        method=row["method"],
        compression=row["compression"],
        label=_choice(where, "label", row, LABELS),
        split=_choice(where, "split", row, {split: split for split in SPLITS}),
        original=row["original"],
        group=row["group"],
        mask_path=_mask(where, folder, row["mask_path"]),
    )


def _place(folder: Path, given: str) -> tuple[Path, str]:
    """Where a path of the table leads, and what of it may be stored."""
    local = given if "\\" not in given or exists(folder / given) else given.replace("\\", "/")
    path = folder / local
    if not _is_absolute(local):
        return path, posixpath.normpath(local)
    return path, path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _is_absolute(local: str) -> bool:
    return local.startswith("/") or PureWindowsPath(local).is_absolute()


def _mask(where: str, folder: Path, given: str) -> str:
    if not given:
        return ""
    path, relative_path = _place(folder, given)
    if _is_absolute(given) and not path.is_relative_to(folder):
        raise BadInput(f"{where}: mask_path {shown(given)} must be relative to the table's folder")
    return relative_path


def _choice(where: str, column: str, row: _Row, choices: Mapping[str, _Value]) -> _Value:
    value = row[column].lower()
    if value not in choices:
        named = ", ".join(choice or "empty" for choice in choices)
        raise BadInput(f"{where}: {column} {row[column]!r} is none of {named}")
    return choices[value]


def _report_missing(table: Path, videos: Sequence[Video]) -> None:
    missing = [video for video in videos if not exists(video.path)]
    if not missing:
        return
    first = shown(missing[0].relative_path)
    if len(missing) == len(videos):
        raise BadInput(
            f"none of the {len(videos)} files of {shown(table)} is there, not even {first}; "
            f"paths are relative to the table's folder, {shown(table.absolute().parent)}"
        )
    log.warning(
        "%s: %d of %d files are not there, such as %s; the run will report each",
        shown(table),
        len(missing),
        len(videos),
        first,
    )


def _with_originals(table: Path, videos: Sequence[Video]) -> list[Video]:
    """Originals by key: one given by path is looked up among the rows."""
    keys = {video.key for video in videos}
    by_path = {video.relative_path: video.key for video in videos}
    resolved = []
    for video in videos:
        given = video.original
        if given and given not in keys:
            given = by_path.get(_place(table.absolute().parent, given)[1], given)
        resolved.append(replace(video, original=given))
    outside = {video.original for video in resolved} - keys - {""}
    if outside:
        log.info(
            "%s: %d originals are not in the table, such as %s",
            shown(table),
            len(outside),
            shown(min(outside)),
        )
    return resolved
