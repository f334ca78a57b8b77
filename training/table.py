"""What there is to learn from: every video of the shards, and where each of its faces lies.

Letters: N faces.
"""

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput, BadShard
from facekit.shards import Shards, open_shards
from training import splits
from training.options import Data

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

COLUMNS: Final = (
    *("key", "dataset", "method", "compression", "label", "split", "original", "group"),
    *("mask_path", "status", "frames_sampled", "frames_with_face"),
)
"""The columns of a shard's videos that `Table.videos` keeps; `role` and `why` are added."""

_BLOCK_ROWS: Final = 8192


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Where each face lies and whose it is; row n is what `sample_N` means by n.

    Args:
        folder_N: (N,) int64, index into `Table.folders`.
        row_N: (N,) int64, face of that folder.
        video_N: (N,) int64, row of `Table.videos`.
        frame_index_N: (N,) int64, frame of the video in decode order.
        track_id_N: (N,) int64, person within the video.
        label_N: (N,) int64: 0 real, 1 fake, -1 unknown.
        margin_N: (N,) float32, side of the crop over the longer side of the face's box.
        is_sound_N: (N,) bool, whether there are landmarks and ellipses.
    """

    folder_N: npt.NDArray[np.int64]
    row_N: npt.NDArray[np.int64]
    video_N: npt.NDArray[np.int64]
    frame_index_N: npt.NDArray[np.int64]
    track_id_N: npt.NDArray[np.int64]
    label_N: npt.NDArray[np.int64]
    margin_N: npt.NDArray[np.float32]
    is_sound_N: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.row_N)

    def __getitem__(self, which: npt.NDArray[np.bool_]) -> Self:
        return type(self)(**{one.name: getattr(self, one.name)[which] for one in fields(self)})


@dataclass(frozen=True, kw_only=True)
class Table:
    """Videos and their faces. Made by `open_table` or `read_table`; never changed, only narrowed.

    Args:
        folders: of shards.
        size_px: side of the stored crops.
        videos: one row a video, those without a face included, with `COLUMNS`, `role` and `why`.
        samples: one row a face, in order of folder and row.
    """

    folders: tuple[Path, ...]
    size_px: int
    videos: "pd.DataFrame"
    samples: Samples

    def __len__(self) -> int:
        return len(self.samples)

    def subset(self, role: str) -> Self:
        """The videos of a role, with their faces; rows are numbered anew.

        Args:
            role: train, val or test.
        """
        return self.of_videos((self.videos.role == role).to_numpy())

    def of_videos(self, kept_V: npt.NDArray[np.bool_]) -> Self:
        """Some of the videos, with their faces; rows are numbered anew.

        Args:
            kept_V: (videos,) bool.
        """
        kept = self.of_samples(kept_V[self.samples.video_N])
        renumbered_V = np.cumsum(kept_V) - 1
        told = {one.name: getattr(kept.samples, one.name) for one in fields(kept.samples)}
        told["video_N"] = renumbered_V[kept.samples.video_N]
        return self._with(
            videos=self.videos[kept_V].reset_index(drop=True), samples=Samples(**told)
        )

    def of_samples(self, kept_N: npt.NDArray[np.bool_]) -> Self:
        """All videos with some of their faces; the faces are numbered anew.

        Args:
            kept_N: (N,) bool.
        """
        return self._with(videos=self.videos, samples=self.samples[kept_N])

    def frames(self, count: int) -> Self:
        """All videos with at most that many frames of each, evenly spaced, and the faces on them.

        Args:
            count: frames a video. Of F frames with a face, the middle of each of `count` equal
                stretches: (2i + 1) F // (2 count).

        Raises:
            BadInput: `count` is below 1.
        """
        if count < 1:
            raise BadInput(f"frames must be at least 1, not {count}")
        video_N, frame_N = self.samples.video_N, self.samples.frame_index_N
        # Faces are in order of video, frame, track: a frame begins where either number changes.
        is_new_N = np.ones(len(self), bool)
        is_new_N[1:] = (np.diff(video_N) != 0) | (np.diff(frame_N) != 0)
        frames_V = np.bincount(video_N[is_new_N], minlength=len(self.videos)).tolist()
        is_kept_F = np.concatenate([np.zeros(0, bool), *(_spread(n, count) for n in frames_V)])
        return self.of_samples(is_kept_F[np.cumsum(is_new_N) - 1])

    def _with(self, **changed: Any) -> Self:
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        return type(self)(**{**told, **changed})


@functools.cache
def _spread(total: int, count: int) -> npt.NDArray[np.bool_]:
    """Which of so many frames to keep.

    >>> _spread(5, 2).tolist(), _spread(2, 5).tolist()
    ([False, True, False, True, False], [True, True])
    """
    if total <= count:
        return np.ones(total, bool)
    made = np.zeros(total, bool)
    made[(2 * np.arange(count) + 1) * total // (2 * count)] = True
    return made


def open_table(folders: Sequence[Path | str], data: Data, seed: int) -> Table:
    """What to train on, to validate with and to test.

    Faces without landmarks are left out of training; they stay in validation and test.

    Args:
        folders: of shards.
        data: `task`, `methods`, `split`, `folds` and `fold`. `frames` is left to the caller:
            `table.subset("train").frames(data.frames)`.
        seed: of the run.

    Returns:
        All videos, each with its role: see `splits.roles`.

    Raises:
        BadInput: as `read_table`; a video without a label; splits that make no sense; nothing to
            train on, or only one label with task = labelled.
        BadShard: as `read_table`.
    """
    table = read_table(folders)
    unlabelled = table.videos.key[table.videos.label == -1]
    if len(unlabelled):
        raise BadInput(
            f"{len(unlabelled)} of {len(table.videos)} videos have no label, such as "
            f"{unlabelled.iloc[0]}; give each a label in the manifest and extract again"
        )
    told = splits.roles(table.videos, data, seed)
    role, why = (list(column) for column in zip(*told, strict=True)) if told else ([], [])
    table = table._with(videos=table.videos.assign(role=role, why=why))
    is_trained_N = (table.videos.role == "train").to_numpy()[table.samples.video_N]
    blind = int((is_trained_N & ~table.samples.is_sound_N).sum())
    if blind:
        log.warning("%d of %d faces have no landmarks; not trained on", blind, is_trained_N.sum())
    table = table.of_samples(table.samples.is_sound_N | ~is_trained_N)
    _require_trainable(table.subset("train"), data)
    _report(table)
    return table


def _require_trainable(train: Table, data: Data) -> None:
    faces = {label: int((train.samples.label_N == label).sum()) for label in (0, 1)}
    if data.task == "tampered" and not faces[0]:
        raise BadInput("no real face to train on; see data.split, data.fold and the labels")
    if data.task == "labelled" and not (faces[0] and faces[1]):
        raise BadInput(
            f"data.task = labelled needs real and fake faces to train on; here are {faces[0]} "
            f"and {faces[1]}; see data.split, data.methods and the labels"
        )


def _report(table: Table) -> None:
    for role in splits.ROLES:
        of_role = table.subset(role)
        is_fake = of_role.videos.label == 1
        log.info(
            "%s: %d real and %d fake videos, %d faces",
            *(role, int((~is_fake).sum()), int(is_fake.sum()), len(of_role)),
        )


def read_table(folders: Sequence[Path | str]) -> Table:
    """All videos and faces of some folders of shards, without roles.

    Args:
        folders: of shards, or single shards.

    Raises:
        BadInput: no folder; folders that cannot be used together (crop size, alignment); a video
            that is in two.
        BadShard: a shard is damaged, or without crops, landmarks or ellipses.
    """
    import pandas as pd

    if not folders:
        raise BadInput("no shards: give at least one folder that facekit extract has written")
    paths = tuple(Path(folder) for folder in folders)
    parts: list[_Part] = []
    for path in paths:
        with open_shards(path) as shards:
            parts.append(_read(path, shards, len(parts), sum(len(one.videos) for one in parts)))
    for part in parts:
        _require_alike(parts[0], part)
    videos = pd.concat([part.videos for part in parts], ignore_index=True)
    _require_unique(videos)
    arrays = {
        one.name: np.concatenate([getattr(part.samples, one.name) for part in parts])
        for one in fields(Samples)
    }
    return Table(
        folders=paths,
        size_px=parts[0].size_px,
        videos=videos[list(COLUMNS)].assign(role="", why=""),
        samples=Samples(**arrays),
    )


class _Part(NamedTuple):
    """What one folder holds."""

    path: Path
    size_px: int
    is_aligned: bool
    detector: object
    videos: "pd.DataFrame"
    samples: Samples


def _read(path: Path, shards: Shards, folder: int, first_video: int) -> _Part:
    if not shards.header.images:
        raise BadShard(f"{path}: holds no crops; extract without --no-images")
    told = shards.provenance.measurement
    margin = told.get("margin")
    if not isinstance(margin, float | int):
        raise BadShard(f"{path}: does not tell at which margin its crops were cut; extract again")
    rows, videos = len(shards), shards.videos
    index = {name: np.empty(rows, np.int32) for name in ("video_id", "frame_index", "track_id")}
    shards.read_into(0, index)
    is_sound_N = _is_sound(shards)
    if rows and not is_sound_N.any():
        raise BadShard(f"{path}: no face has landmarks and ellipses; extract with a landmarker")
    samples = Samples(
        folder_N=np.full(rows, folder, np.int64),
        row_N=np.arange(rows, dtype=np.int64),
        video_N=index["video_id"].astype(np.int64) + first_video,
        frame_index_N=index["frame_index"].astype(np.int64),
        track_id_N=index["track_id"].astype(np.int64),
        label_N=videos.label.to_numpy().astype(np.int64)[index["video_id"]],
        margin_N=np.full(rows, margin, np.float32),
        is_sound_N=is_sound_N,
    )
    is_aligned, detector = bool(told.get("align")), told.get("detector")
    return _Part(path, shards.header.size_px, is_aligned, detector, videos, samples)


def _is_sound(shards: Shards) -> npt.NDArray[np.bool_]:
    """(N,) whether all points are finite and any ellipse has an extent; read block by block."""
    made = np.empty(len(shards), bool)
    for start in range(0, len(shards), _BLOCK_ROWS):
        rows = min(_BLOCK_ROWS, len(shards) - start)
        points = np.empty((rows, 68, 2), np.float32)
        ellipses = np.empty((rows, 24, 5), np.float32)
        shards.read_into(start, {"landmarks_xy": points, "au_ellipses": ellipses})
        made[start : start + rows] = (
            np.isfinite(points).all(axis=(1, 2))
            & np.isfinite(ellipses).all(axis=(1, 2))
            & (ellipses[:, :, 2:4].min(axis=2) > 0.0).any(axis=1)
        )
    return made


def _require_alike(first: _Part, other: _Part) -> None:
    for what, one, two in (
        ("size", first.size_px, other.size_px),
        ("align", first.is_aligned, other.is_aligned),
    ):
        if one != two:
            raise BadInput(
                f"{other.path} was extracted with {what} = {two}, {first.path} with {one}; "
                "extract them alike to use them together"
            )
    if first.detector != other.detector:
        log.warning(
            "the boxes of %s are of %s, those of %s of %s: margins differ in meaning",
            *(first.path, first.detector, other.path, other.detector),
        )


def _require_unique(videos: "pd.DataFrame") -> None:
    twice = videos.key[videos.key.duplicated()]
    if len(twice):
        raise BadInput(f"{twice.iloc[0]} is in the shards twice; give each video once")
