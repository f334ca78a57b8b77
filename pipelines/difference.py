"""How two sets of shards differ: how they were measured, which videos, every number."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facekit import schema
from facekit.shards import Shards, open_shards
from facekit.text_lines import flat, listed, said, section, table
from pipelines.pairing import INDEX, Array, Rows, Side, block_rows, blocks, row_pairs

_Floats = npt.NDArray[np.floating[Any]]
_Selection = tuple[slice, slice] | tuple[list[int], list[int]]


@dataclass(frozen=True, kw_only=True)
class ColumnDiff:
    """How one column differs over the faces that both sides have.

    Args:
        name: of the column.
        unit: of its values.
        values: numbers compared.
        equal: of these, the same on both sides; two that are NaN or unknown count as the same.
        one_sided: of these, NaN, infinite or unknown on one side alone.
        max_abs: largest absolute difference of two numbers; None where there are none.
        mean_abs: mean absolute difference, equal ones included; None where there are none.
        worst: key, frame and track of the face with the largest difference, or empty.
    """

    name: str
    unit: str
    values: int
    equal: int
    one_sided: int
    max_abs: float | None
    mean_abs: float | None
    worst: str

    @property
    def share_equal(self) -> float:
        """Share of values that are the same; 1 where there are none."""
        return self.equal / self.values if self.values else 1.0


@dataclass(frozen=True, kw_only=True)
class Diff:
    """What `diff` found; plain values, so that it can be written as JSON.

    Args:
        a: the first path, as given.
        b: the second.
        header: dotted name -> its value in `a` and in `b`, for each option, backend, hash, version
            or AU name that differs; None where one side lacks it.
        only_in_a: keys of videos that `b` lacks.
        only_in_b: keys of videos that `a` lacks.
        videos: key -> column of `schema.VIDEOS`, or `faces` for their number -> its value in `a`
            and in `b`, for each that differs.
        videos_common: number of videos on both sides.
        faces_common: number of faces, told by key, frame and track, on both sides.
        faces_only_in_a: number of faces of common videos that `b` lacks.
        faces_only_in_b: number of faces of common videos that `a` lacks.
        columns: one entry a column that can be compared.
        not_compared: column -> why it cannot be.
    """

    a: str
    b: str
    header: Mapping[str, tuple[object, object]]
    only_in_a: Sequence[str]
    only_in_b: Sequence[str]
    videos: Mapping[str, Mapping[str, tuple[object, object]]]
    videos_common: int
    faces_common: int
    faces_only_in_a: int
    faces_only_in_b: int
    columns: Sequence[ColumnDiff]
    not_compared: Mapping[str, str]

    @property
    def equal(self) -> bool:
        """Whether nothing at all differs; how the faces are spread over files does not count."""
        sides = (self.header, self.only_in_a, self.only_in_b, self.videos)
        faces = self.faces_only_in_a + self.faces_only_in_b
        same = all(column.equal == column.values for column in self.columns)
        return same and not faces and not self.not_compared and not any(sides)

    def as_json(self) -> dict[str, object]:
        """Everything as plain JSON values."""
        return {"equal": self.equal, **dataclasses.asdict(self)}

    def lines(self) -> list[str]:
        """Everything as text for a person."""
        counts = (
            f"{self.videos_common:,} videos and {self.faces_common:,} faces are on both sides; "
            f"{self.faces_only_in_a:,} of their faces only in A, {self.faces_only_in_b:,} only in B"
        )
        pairs = {name: f"{said(a)}  |  {said(b)}" for name, (a, b) in self.header.items()}
        return [
            f"A = {self.a}",
            f"B = {self.b}",
            "no difference" if self.equal else "they differ",
            counts,
            *section("measured otherwise, A | B", pairs),
            *listed("videos only in A", self.only_in_a),
            *listed("videos only in B", self.only_in_b),
            *listed("videos that differ, A | B", self._video_lines()),
            *section("not compared", self.not_compared),
            *table("columns that differ", [_row(c) for c in self.columns if c.equal < c.values]),
        ]

    def _video_lines(self) -> list[str]:
        return [
            f"{key}: "
            + ", ".join(f"{name} {said(a)} | {said(b)}" for name, (a, b) in columns.items())
            for key, columns in self.videos.items()
        ]


def diff(a: str | Path, b: str | Path) -> Diff:
    """Compare two sets of shards: what was measured how, and every number of every common face.

    Faces are the same if video key, frame and track are. Both sides are read in small blocks, so
    memory does not grow with their length. A column whose shape differs, such as crops of another
    size, is not compared; AU columns are compared by name. Shards that hold the same in other
    files are equal.

    Args:
        a: a folder with a manifest, or one shard or part.
        b: the same.

    Raises:
        BadInput: no such path.
        BadShard: a file is damaged, missing, hostile, or of another format.

    Example::

        facekit.diff("before/", "after/").equal
    """
    with open_shards(a) as in_a, open_shards(b) as in_b:
        one, other = Side(in_a), Side(in_b)
        common = [key for key in one.video_of if key in other.video_of]
        columns, not_compared = _comparable(in_a, in_b)
        tallies, faces_common = _tallied(one, other, common, columns)
        return Diff(
            a=str(a),
            b=str(b),
            header=_changes(_told(in_a), _told(in_b)),
            only_in_a=[key for key in one.video_of if key not in other.video_of],
            only_in_b=[key for key in other.video_of if key not in one.video_of],
            videos=_video_changes(one, other, common),
            videos_common=len(common),
            faces_common=faces_common,
            faces_only_in_a=one.faces_of(common) - faces_common,
            faces_only_in_b=other.faces_of(common) - faces_common,
            columns=[tally.result(one) for tally in tallies],
            not_compared=not_compared,
        )


class _Tally:
    """The differences in one column so far."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._values = self._equal = self._numbers = self._one_sided = 0
        self._sum = 0.0
        self._max, self._worst_row = 0.0, -1

    def add(self, a: Array, b: Array, rows: Rows) -> None:
        """Compare two blocks of the same faces, given their rows in A."""
        self._values += a.size
        if a.dtype == np.uint8 and np.array_equal(a, b):
            self._equal += a.size
            self._numbers += a.size
            return
        mine, theirs = _numbers(self._name, a), _numbers(self._name, b)
        both = np.isfinite(mine) & np.isfinite(theirs)
        same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
        gaps = np.abs(np.subtract(mine, theirs, where=both, out=np.zeros_like(mine)))
        self._equal += int(same.sum())
        self._numbers += int(both.sum())
        self._one_sided += int((~same & ~both).sum())
        self._sum += float(gaps.sum(dtype=np.float64))
        if gaps.size and float(gaps.max()) > self._max:
            self._max = float(gaps.max())
            self._worst_row = int(rows[gaps.reshape(len(rows), -1).max(axis=1).argmax()])

    def result(self, side_a: Side) -> ColumnDiff:
        return ColumnDiff(
            name=self._name,
            unit=schema.COLUMNS[self._name].unit,
            values=self._values,
            equal=self._equal,
            one_sided=self._one_sided,
            max_abs=self._max if self._numbers else None,
            mean_abs=self._sum / self._numbers if self._numbers else None,
            worst=side_a.name_of(self._worst_row) if self._worst_row >= 0 else "",
        )


def _numbers(name: str, array: Array) -> _Floats:
    """Values as floats that hold them exactly; unknown is NaN."""
    if array.dtype == np.uint8:
        return array.astype(np.float32)
    values = array.astype(np.float64)
    return np.where(values == -1, np.nan, values) if name == "au_occurrence" else values


def _tallied(
    one: Side, other: Side, common: Sequence[str], columns: Mapping[str, _Selection]
) -> tuple[list[_Tally], int]:
    tallies = {name: _Tally(name) for name in columns}
    faces = 0
    most_rows = block_rows(one, other, list(columns))
    for rows_a, rows_b in blocks(row_pairs(one, other, common), most_rows):
        block_a, block_b = one.take(columns, rows_a), other.take(columns, rows_b)
        faces += len(rows_a)
        for name, (at_a, at_b) in columns.items():
            tallies[name].add(block_a[name][..., at_a], block_b[name][..., at_b], rows_a)
    return list(tallies.values()), faces


def _comparable(a: Shards, b: Shards) -> tuple[dict[str, _Selection], dict[str, str]]:
    """Columns that can be compared, with what to pick of each on both sides; and why not others."""
    shapes_a, shapes_b = a.header.shapes(), b.header.shapes()
    picked: dict[str, _Selection] = {}
    why_not: dict[str, str] = {}
    for name in [name for name in schema.COLUMNS if name not in INDEX]:
        shape_a, shape_b = shapes_a.get(name), shapes_b.get(name)
        if shape_a is None or shape_b is None:
            if shape_a != shape_b:
                why_not[name] = f"only {'A' if shape_b is None else 'B'} has it"
        elif schema.COLUMNS[name].shape == ("A",):
            selection = _same_names(a.provenance.au_names, b.provenance.au_names)
            if selection[0]:
                picked[name] = selection
            elif shape_a != shape_b:
                why_not[name] = "no action unit has the same name on both sides"
        elif shape_a == shape_b:
            picked[name] = (slice(None), slice(None))
        else:
            why_not[name] = f"its shape is {shape_a} in A and {shape_b} in B"
    return picked, why_not


def _same_names(names_a: Sequence[str], names_b: Sequence[str]) -> tuple[list[int], list[int]]:
    both = [name for name in names_a if name in names_b]
    return [names_a.index(name) for name in both], [names_b.index(name) for name in both]


def _told(shards: Shards) -> dict[str, object]:
    told, header = shards.provenance, shards.header
    return {
        **flat(told.measurement, "measurement"),
        **flat(told.backends, "backends"),
        **flat(told.versions, "versions"),
        "au_mode": told.au_mode,
        "au_names": list(told.au_names),
        "size_px": header.size_px,
        "images": header.images,
    }


def _changes(a: Mapping[str, object], b: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """What is not the same in two mappings; NaN is the same as NaN, and is written as None."""
    names = [*a, *(name for name in b if name not in a)]
    values = {name: (_plain(a.get(name)), _plain(b.get(name))) for name in names}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def _plain(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def _video_changes(
    one: Side, other: Side, common: Sequence[str]
) -> dict[str, dict[str, tuple[object, object]]]:
    rows_a, rows_b = (_video_rows(side, common) for side in (one, other))
    changes = {
        key: _changes(a, b) for key, a, b in zip(common, rows_a, rows_b, strict=True) if a != b
    }
    return {key: changed for key, changed in changes.items() if changed}


def _video_rows(side: Side, keys: Sequence[str]) -> list[dict[str, object]]:
    table = side.videos.assign(faces=side.counts).iloc[[side.video_of[key] for key in keys]]
    columns = {str(name): table[name].tolist() for name in table.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _row(column: ColumnDiff) -> dict[str, object]:
    return {
        "column": column.name,
        "differ": f"{column.values - column.equal:,} of {column.values:,}",
        "mean |A-B|": column.mean_abs,
        "max |A-B|": column.max_abs,
        "one-sided": column.one_sided,
        "unit": column.unit,
        "worst": column.worst,
    }
