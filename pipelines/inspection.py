"""What is in shards: how the crops were made, how the videos ended, counts, sizes, rates."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from facekit import schema
from facekit.shards import Shards, open_shards
from facekit.shards.manifest import shard_paths
from facekit.text_lines import flat, section, table
from pipelines.difference import Diff as Diff
from pipelines.difference import diff as diff
from pipelines.pairing import faces_of_videos

if TYPE_CHECKING:
    import pandas as pd

QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Of the distribution of box sides."""

_LABELS: Final = {0: "real", 1: "fake", -1: "unknown"}
_GROUP_BY: Final = ["dataset", "method", "compression", "label", "split"]
_FRAMES: Final = ("expected", "decoded", "corrupt", "sampled", "with_face")
_BLOCK_ROWS: Final = 4096


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What `inspect` found; plain values, so that it can be written as JSON.

    Args:
        path: the folder or file, as given.
        format: version of the shard format.
        provenance: how the faces were measured: options, backends with hashes, versions.
        size_px: side of the crops.
        images: whether the crops are stored.
        files: number of shards.
        bytes: their length.
        videos: number of videos, whatever their status.
        faces: number of faces.
        statuses: status -> videos that ended so.
        frames: `expected`, `decoded`, `corrupt`, `sampled`, `with_face` -> frames in all videos.
        faces_per_video: `min`, `median`, `max` over all videos; empty without videos.
        box_side_px: quantile in percent -> longer side of the detector's box, in frame pixels;
            empty without faces.
        groups: dataset, method, compression, label and split, each with its number of videos, of
            those `ok`, `no_face` and `failed`, and of faces.
        au_rates: action unit -> `rate` of occurrence among the `known` faces, which are those
            whose occurrence is not -1; None where that is no face.
    """

    path: str
    format: int
    provenance: schema.Provenance
    size_px: int
    images: bool
    files: int
    bytes: int
    videos: int
    faces: int
    statuses: Mapping[str, int]
    frames: Mapping[str, int]
    faces_per_video: Mapping[str, float]
    box_side_px: Mapping[str, float]
    groups: Sequence[Mapping[str, str | int]]
    au_rates: Mapping[str, Mapping[str, float | int | None]]

    def as_json(self) -> dict[str, object]:
        """Everything as plain JSON values."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """Everything as text for a person."""
        told = self.provenance
        return [
            f"{self.path}: format {self.format}, {self.files} files, {self.bytes / 1e6:,.1f} MB, "
            f"{self.videos:,} videos, {self.faces:,} faces",
            *section("how the crops were made", flat(told.measurement)),
            *section("backends", flat(told.backends)),
            *section("versions", flat(told.versions)),
            *section("how the videos ended", self.statuses),
            *section("frames", self.frames),
            *section("faces in a video", self.faces_per_video),
            *section("longer side of the box, frame px", self.box_side_px),
            *table("videos", self.groups),
            *table(f"action units ({told.au_mode})", self._au_rows()),
        ]

    def _au_rows(self) -> list[Mapping[str, object]]:
        """The action units of which anything is known; with `--au none` that is not one."""
        return [{"name": name, **rate} for name, rate in self.au_rates.items() if rate["known"]]


def inspect(path: str | Path) -> Inspection:
    """Say what is in shards. Pixels and masks are not read, so this is quick.

    Args:
        path: a folder with a manifest, or one shard or part.

    Raises:
        BadInput: no such path.
        BadShard: a file is damaged, missing, hostile, or of another format.

    Example::

        facekit.inspect("shards/").au_rates["AU12"]
    """
    path = Path(path)
    files = shard_paths(path) if path.is_dir() else [path]
    with open_shards(path, columns=("box_xyxy", "au_occurrence")) as shards:
        measured = _measured(shards)
        faces_of_video = faces_of_videos(shards)
        videos = shards.videos.assign(faces=faces_of_video)
        return Inspection(
            path=str(path),
            format=schema.FORMAT,
            provenance=shards.provenance,
            size_px=shards.header.size_px,
            images=shards.header.images,
            files=len(files),
            bytes=sum(file.stat().st_size for file in files),
            videos=len(videos),
            faces=len(shards),
            statuses=_counts(videos["status"]),
            frames={name: int(videos[f"frames_{name}"].sum()) for name in _FRAMES},
            faces_per_video=_spread(faces_of_video),
            box_side_px=_quantiles(measured.side_px),
            groups=_groups(videos),
            au_rates=_rates(shards.provenance.au_names, measured),
        )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What a pass over the faces yields.

    Args:
        side_px: (faces,) float32, longer side of the box.
        au_known: (A,) int64, faces whose occurrence is 0 or 1.
        au_occurs: (A,) int64, faces whose occurrence is 1.
    """

    side_px: npt.NDArray[np.float32]
    au_known: npt.NDArray[np.int64]
    au_occurs: npt.NDArray[np.int64]


def _measured(shards: Shards) -> _Measured:
    au_count = len(shards.provenance.au_names)
    au_known, au_occurs = np.zeros(au_count, np.int64), np.zeros(au_count, np.int64)
    side_px = np.empty(len(shards), np.float32)
    start = 0
    for block in shards.iter_blocks(_BLOCK_ROWS):
        columns: Mapping[str, npt.NDArray[np.generic]] = block.columns
        box_xyxy = columns["box_xyxy"].astype(np.float32)
        side_px[start : start + len(block)] = (box_xyxy[:, 2:] - box_xyxy[:, :2]).max(axis=1)
        au_known += (columns["au_occurrence"] != -1).sum(axis=0)
        au_occurs += (columns["au_occurrence"] == 1).sum(axis=0)
        start += len(block)
    return _Measured(side_px=side_px, au_known=au_known, au_occurs=au_occurs)


def _counts(values: "pd.Series[str]") -> dict[str, int]:
    return {str(name): int(count) for name, count in values.value_counts().sort_index().items()}


def _spread(faces_of_video: Sequence[int]) -> dict[str, float]:
    if not faces_of_video:
        return {}
    median = float(np.median(faces_of_video))
    return {"min": min(faces_of_video), "median": median, "max": max(faces_of_video)}


def _quantiles(side_px: npt.NDArray[np.float32]) -> dict[str, float]:
    if not len(side_px):
        return {}
    values = np.quantile(side_px, QUANTILES).tolist()
    return {f"{100 * q:g} %": value for q, value in zip(QUANTILES, values, strict=True)}


def _groups(videos: "pd.DataFrame") -> list[Mapping[str, str | int]]:
    told = videos.assign(
        label=videos["label"].map(_LABELS),
        ok=videos["status"] == "ok",
        no_face=videos["status"] == "no_face",
        failed=~videos["status"].isin(list(schema.SUCCESSES)),
        videos=1,
    )
    sums = told.groupby(_GROUP_BY)[["videos", "ok", "no_face", "failed", "faces"]].sum()
    rows = sums.reset_index().to_dict("records")
    return [{str(k): v if isinstance(v, str) else int(v) for k, v in row.items()} for row in rows]


def _rates(names: Sequence[str], measured: _Measured) -> dict[str, dict[str, float | int | None]]:
    known, occurs = measured.au_known.tolist(), measured.au_occurs.tolist()
    return {
        name: {"rate": occurs[i] / known[i] if known[i] else None, "known": known[i]}
        for i, name in enumerate(names)
    }
