"""Two kinds of sources of AU labels that can be compared: shards, and OpenFace's own CSVs.

A source hands out one video at a time, so memory is that of the longest video's labels.

Letters in shapes: N faces of one video, A action units of the source.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from facekit import openface_files
from facekit.errors import BadInput
from facekit.shards import MANIFEST_NAME, Shards, open_shards
from facekit.shards.manifest import shard_paths
from pipelines.folders import is_hidden, is_video, shown
from pipelines.pairing import Side
from pipelines.run_folder import RunFolder

SHARDS: Final = "shards"
CSVS: Final = "openface-csv"

_COLUMNS: Final = ("box_xyxy", "au_occurrence", "au_intensity")
_NAMED: Final = ("key", "relative_path", "dataset", "method", "compression")
_CSV_ENDINGS: Final = (".csv.gz", ".csv")
_MAGIC: Final = re.compile(r"[*?\[]")
_NUMBER: Final = re.compile(r"(?:AU)?0*(\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class FaceLabels:
    """The faces of one video with their labels, in order of frame.

    Args:
        frame_index: (N,) int64, index in decode order; several faces may share one.
        box_xyxy: (N, 4) float32, frame pixels.
        occurrence: (N, A) int8, 0, 1, -1 where unknown.
        intensity: (N, A) float32, 0..5, NaN where there is none.
    """

    frame_index: npt.NDArray[np.int64]
    box_xyxy: npt.NDArray[np.float32]
    occurrence: npt.NDArray[np.int8]
    intensity: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frame_index)


@dataclass(frozen=True, kw_only=True)
class VideoName:
    """What a source calls a video, and what else is known of where it lies.

    Args:
        key: unique in the source.
        stem: the file's name without its ending; the whole name of an image folder.
        folders: chains of names that it may be said to lie below, outermost first.
    """

    key: str
    stem: str = ""
    folders: Sequence[Sequence[str]] = ()


class LabelSource(Protocol):
    """Where labels come from.

    Attributes:
        text: the path as it was given.
        kind: `SHARDS` or `CSVS`.
        is_one_file: whether one CSV was given by itself, which says what it is to be compared with.
        au_names: one an action unit, as `au_name` writes it.
        au_mode: how the labels were made, as in `schema.Provenance`.
        videos: every video, also those without a face.
    """

    text: str
    kind: str
    is_one_file: bool
    au_names: tuple[str, ...]
    au_mode: str
    videos: Sequence[VideoName]

    def labels(self, key: str) -> FaceLabels:
        """The faces of one video.

        Raises:
            BadInput: a CSV is not OpenFace's, or lacks its action units.
            BadShard: a shard is damaged.
        """
        ...


class ShardSource:
    """The labels in shards, whoever made them.

    Args:
        shards: open, with the box and the labels among its columns.
        text: the path as it was given.

    Raises:
        BadShard: a face belongs to no video.
        BadInput: two action units have one name.
    """

    kind = SHARDS
    is_one_file = False

    def __init__(self, shards: Shards, text: str) -> None:
        self._side = Side(shards)
        self.text = text
        self.au_names = tuple(au_name(name) for name in shards.provenance.au_names)
        self.au_mode = shards.provenance.au_mode
        twice = [name for name in self.au_names if self.au_names.count(name) > 1]
        if twice:
            raise BadInput(f"{text} has the action unit {twice[0]} twice")
        self.videos: Sequence[VideoName] = [
            _video_name(*row) for row in shards.videos[list(_NAMED)].to_numpy().tolist()
        ]

    def labels(self, key: str) -> FaceLabels:
        """See `LabelSource`."""
        first, faces = self._side.identities(key)
        block = self._side.shards.read(first, first + len(faces))
        columns: Mapping[str, npt.NDArray[np.generic]] = block.columns
        return FaceLabels(
            frame_index=faces >> 32,
            box_xyxy=columns["box_xyxy"].astype(np.float32),
            occurrence=columns["au_occurrence"].astype(np.int8),
            intensity=columns["au_intensity"].astype(np.float32),
        )


class CsvSource:
    """The labels in OpenFace's CSVs; a face's box is the one around its 68 points.

    Args:
        files: key -> CSV. The key is the path below the folder given, without its ending.
        text: the path as it was given.
        is_one_file: whether that is the file itself.
    """

    kind = CSVS
    au_names: tuple[str, ...] = openface_files.AU_NAMES
    au_mode = "imported"

    def __init__(self, files: Mapping[str, Path], text: str, *, is_one_file: bool) -> None:
        self._files = files
        self.is_one_file = is_one_file
        self.text = text
        self.videos: Sequence[VideoName] = [VideoName(key=key) for key in files]

    def labels(self, key: str) -> FaceLabels:
        """See `LabelSource`; rows that OpenFace is not sure of are left out."""
        rows = openface_files.read(self._files[key])
        if rows.occurrence is None or rows.intensity is None:
            raise BadInput(f"{shown(rows.path)} lacks AU columns: run OpenFace with -aus")
        low_xy, high_xy = rows.points_xy.min(axis=1), rows.points_xy.max(axis=1)
        return FaceLabels(
            frame_index=rows.frame_index,
            box_xyxy=np.concatenate([low_xy, high_xy], axis=1),
            occurrence=rows.occurrence,
            intensity=rows.intensity,
        )


@contextlib.contextmanager
def open_labels(path: str | Path) -> Iterator[LabelSource]:
    """Open whatever holds labels.

    Args:
        path: a shard folder, one shard or part; or OpenFace's CSVs, plain or gzipped: one, a
            folder that is searched through, or a glob.

    Raises:
        BadInput: there is no such thing, or the folder holds neither.
        BadShard: a shard is damaged, missing, hostile, or of another format.

    >>> with open_labels("nowhere") as source:
    ...     source.videos
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: nowhere: no such file or folder
    """
    text = str(path)
    files = _csvs(text)
    if files is not None:
        yield CsvSource(files, text, is_one_file=Path(text).expanduser().is_file())
    else:
        with open_shards(path, columns=_COLUMNS) as shards:
            yield ShardSource(shards, text)


def au_name(name: str) -> str:
    """An action unit as this package writes it, however a third party does.

    >>> [au_name(name) for name in ("AU01", "AU1", "au12", "45", "AU12L", "smile")]
    ['AU01', 'AU01', 'AU12', 'AU45', 'AU12L', 'smile']
    """
    number = _NUMBER.fullmatch(name)
    return f"AU{int(number[1]):02d}" if number else name


def _video_name(
    key: str, relative_path: str, dataset: str, method: str, compression: str
) -> VideoName:
    *parents, name = relative_path.split("/")
    return VideoName(
        key=key,
        stem=Path(name).stem if is_video(name) else name,
        folders=(parents, key.split("/")[:-1], (dataset, method, compression)),
    )


def _csvs(given: str) -> dict[str, Path] | None:
    """Key -> CSV; None where the path is to be taken for shards."""
    path = Path(given).expanduser()
    if path.is_file():
        return _keyed(path.parent, [path]) or None
    if path.is_dir():
        run = RunFolder(path)
        if run.manifest.exists() or run.ledger_csv.exists() or shard_paths(path):
            return None
        files = _keyed(path, path.rglob("*"))
        if not files:
            raise BadInput(
                f"{shown(given)} holds neither shards with a {MANIFEST_NAME} nor OpenFace's CSVs"
            )
        return files
    if not _MAGIC.search(given):
        return None
    fixed = next(i for i, part in enumerate(path.parts) if _MAGIC.search(part))
    base = Path(*path.parts[:fixed])
    try:
        files = _keyed(base, base.glob("/".join(path.parts[fixed:])))
    except (ValueError, NotImplementedError) as error:
        raise BadInput(f"{shown(given)} is no glob: {error}") from error
    if not files:
        raise BadInput(f"no CSV matches {shown(given)}; OpenFace's end in .csv or .csv.gz")
    return files


def _keyed(base: Path, paths: Iterable[Path]) -> dict[str, Path]:
    """The CSVs among these, in order of key; the plain one where a gzipped one is beside it."""
    found: dict[str, Path] = {}
    files = [path for path in paths if not is_hidden(path.name) and path.is_file()]
    for ending in _CSV_ENDINGS:
        for file in files:
            if file.name.endswith(ending):
                found[file.relative_to(base).as_posix().removesuffix(ending)] = file
    return dict(sorted(found.items()))
