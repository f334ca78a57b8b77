"""OpenFace's own CSV of a video: where it lies, what its rows say, which row shows a given face.

Written by OpenFace 2's FeatureExtraction or FaceLandmarkVidMulti. Points are in frame pixels with
pixel centres at integers, as everywhere in facekit, so none of them is shifted.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput
from facekit.faces import Face
from facekit.weights import sha256_of

if TYPE_CHECKING:
    import pandas as pd

AU_NAMES: Final = tuple(
    f"AU{number:02d}"
    for number in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
)
"""The action units of OpenFace; each has an occurrence, each but `AU28` an intensity."""

MIN_CONFIDENCE: Final = 0.8
"""Rows less confident than this, or without success, are as good as absent."""

MIN_IOU: Final = 0.3
"""Least overlap of a face's box with the box around a row's 68 points for the two to be one face.

The two never coincide, for a detector's box reaches over the forehead: on 96 frames of 32 clips of
FaceForensics++ the overlap was 0.36 to 0.82 (half of them above 0.71) with the boxes of SCRFD,
RetinaFace and YuNet, and at most 0.27 for any other box on those frames.
"""

_SUFFIXES: Final = (".csv", ".csv.gz")
_STATE: Final = ("frame", "confidence", "success")
_POINTS: Final = tuple(f"{axis}_{point}" for point in range(68) for axis in "xy")
_OCCURRENCE: Final = tuple(f"{name}_c" for name in AU_NAMES)
_INTENSITY: Final = tuple(f"{name}_r" for name in AU_NAMES if name != "AU28")
_WANTED: Final = frozenset((*_STATE, *_POINTS, *_OCCURRENCE, *_INTENSITY))


@dataclass(frozen=True, kw_only=True)
class OpenFaceRows:
    """The rows of one CSV that OpenFace is sure of, in order of frame.

    Args:
        path: the file they come from.
        frame_index: (R,) int64, 0-based index in decode order; several rows may share one.
        points_xy: (R, 68, 2) float32, frame pixels, iBUG order.
        occurrence: (R, 18) int8, 0, 1, -1 where the cell is empty; None without AU columns.
        intensity: (R, 18) float32, 0..5, NaN for `AU28`; None without AU columns.
    """

    path: Path
    frame_index: npt.NDArray[np.int64]
    points_xy: npt.NDArray[np.float32]
    occurrence: npt.NDArray[np.int8] | None
    intensity: npt.NDArray[np.float32] | None

    def row_of(self, face: Face) -> int:
        """The row that shows this face: the best overlap on its frame; -1 below `MIN_IOU`."""
        first, end = np.searchsorted(self.frame_index, [face.frame_index, face.frame_index + 1])
        if first == end:
            return -1
        points_xy = self.points_xy[first:end]
        box_xyxy = np.concatenate([points_xy.min(axis=1), points_xy.max(axis=1)], axis=1)
        overlap = _iou(face.box_xyxy, box_xyxy)
        best = int(overlap.argmax())
        return int(first) + best if overlap[best] >= MIN_IOU else -1


class OpenFaceFiles:
    """The CSVs of many videos: beside each, or in one folder.

    Args:
        folder: where to look; None for the folder of each video. See `locate`.

    Raises:
        BadInput: `folder` is no folder.

    >>> OpenFaceFiles("nowhere")
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: openface-csv:nowhere is no folder; name the one with OpenFace's CSVs
    """

    def __init__(self, folder: str | None) -> None:
        self._video: Path | None = None
        self._rows: OpenFaceRows
        self.folder = None if folder is None else Path(folder).expanduser()
        if self.folder is not None and not self.folder.is_dir():
            raise BadInput(f"openface-csv:{folder} is no folder; name the one with OpenFace's CSVs")

    def match(
        self, faces: Sequence[Face]
    ) -> Iterator[tuple[slice, OpenFaceRows, npt.NDArray[np.intp]]]:
        """Find the row of each face, video by video.

        Yields:
            For each run of faces of one video: where it stands in `faces`, the rows of its CSV,
            and (N,) the row of each of its faces, -1 where no row shows it.

        Raises:
            BadInput: a video has no CSV, or one that `read` refuses.
        """
        start = 0
        for video, group in groupby(faces, key=lambda face: face.video):
            rows = self._rows_of(video)
            found = np.array([rows.row_of(face) for face in group], np.intp)
            yield slice(start, start + len(found)), rows, found
            start += len(found)

    def sha256(self, video: Path) -> str:
        """The sha256 of the CSV that was read for this video; empty if none was."""
        return sha256_of(self._rows.path) if video == self._video else ""

    def _rows_of(self, video: Path) -> OpenFaceRows:
        """Faces come one by one; the file is looked for once a video."""
        if video != self._video:
            self._rows, self._video = read(locate(video, self.folder)), video
        return self._rows


def locate(video: Path, folder: Path | None = None) -> Path:
    """The OpenFace CSV of a video, plain or gzipped; the plain one where both are there.

    Beside the video it has the video's stem (the name, of a folder of images). In a folder of CSVs
    the most telling name wins, because methods of one dataset share stems:

    1. the video's own folders, as many as there are: `FOLDER/Deepfakes/c23/videos/035_036.csv`;
    2. `FOLDER/A__B__STEM.csv` where A, B are folders above the video, in this order, each whole or
       up to an underscore: `Deepfakes__035_036.csv`, and `original__035.csv` for
       `original_sequences/youtube/c23/videos/035.mp4`; more names before fewer;
    3. `FOLDER/STEM.csv`.

    Args:
        video: path of the video or image folder.
        folder: folder of CSVs; None looks beside the video.

    Raises:
        BadInput: there is no such file, or two fit equally well.

    >>> locate(Path("clip.mp4"), Path("nowhere"))
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: no clip.csv or clip.csv.gz of OpenFace in nowhere for clip.mp4; \
run its FeatureExtraction on the video
    """
    stem = video.name if video.is_dir() else video.stem
    parents = video.absolute().parent.parts[1:]
    if folder is None:
        found = _file(video.parent, stem)
    else:
        tails = (folder.joinpath(*parents[cut:]) for cut in range(len(parents)))
        mirrored = next((file for tail in tails if (file := _file(tail, stem))), None)
        found = mirrored or _joined(folder, stem, parents) or _file(folder, stem)
    if found is None:
        raise BadInput(
            f"no {stem}.csv or {stem}.csv.gz of OpenFace in {folder or video.parent} for {video}; "
            "run its FeatureExtraction on the video"
        )
    return found


def read(path: Path) -> OpenFaceRows:
    """Read a CSV of OpenFace; the last two read are remembered.

    Rows without success, below `MIN_CONFIDENCE` or with an empty cell among the points are left
    out, so frames that OpenFace gave up, or never reached, have none.

    Args:
        path: `.csv` or `.csv.gz`, with or without spaces after the commas.

    Raises:
        BadInput: not to be read, not of OpenFace, or without its 2-D points.

    >>> read(Path("nowhere.csv"))
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: cannot read nowhere.csv as a CSV of OpenFace: No such file or directory
    """
    try:
        state = path.stat()
    except OSError as error:
        raise BadInput(f"cannot read {path} as a CSV of OpenFace: {error.strerror}") from error
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2)
def _read(path: Path, _mtime_ns: int, _size_bytes: int) -> OpenFaceRows:
    """A landmarker and an AU engine ask for the same file in turn; it is parsed once."""
    table = _table(path)
    missing = [name for name in (*_STATE, *_POINTS) if name not in table]
    if missing:
        advice = "run OpenFace with -2Dfp" if missing[0] in _POINTS else "is it OpenFace's?"
        raise BadInput(f"{path} has no column {missing[0]}: {advice}")
    frame = table["frame"].to_numpy(np.float64)
    if not ((frame >= 1) & (frame == np.floor(frame))).all():
        raise BadInput(f"{path}: the column frame does not count from 1; is it OpenFace's?")
    sure = (table["success"] == 1) & (table["confidence"] >= MIN_CONFIDENCE)
    table = table[sure & table[list(_POINTS)].notna().all(axis=1)]
    table = table.sort_values("frame", kind="stable")
    return OpenFaceRows(
        path=path,
        frame_index=table["frame"].to_numpy(np.int64) - 1,
        points_xy=table[list(_POINTS)].to_numpy(np.float32).reshape(-1, 68, 2),
        occurrence=_occurrence(path, table),
        intensity=_intensity(table),
    )


def _table(path: Path) -> "pd.DataFrame":
    import pandas as pd

    kinds: defaultdict[str, str] = defaultdict(lambda: "float32", frame="float64")
    try:
        return pd.read_csv(
            path,
            skipinitialspace=True,
            index_col=False,
            usecols=lambda name: name in _WANTED,
            dtype=kinds,
            na_values=["-nan(ind)", "nan(ind)"],
        )
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise BadInput(f"cannot read {path} as a CSV of OpenFace: {reason}") from error


def _occurrence(path: Path, table: "pd.DataFrame") -> npt.NDArray[np.int8] | None:
    if not {*_OCCURRENCE, *_INTENSITY} <= {*table.columns}:
        return None
    values = table[list(_OCCURRENCE)].fillna(-1).to_numpy(np.float32)
    if not np.isin(values, (-1, 0, 1)).all():
        raise BadInput(f"{path}: AU occurrences other than 0 and 1; is it OpenFace's?")
    return values.astype(np.int8)


def _intensity(table: "pd.DataFrame") -> npt.NDArray[np.float32] | None:
    if not {*_OCCURRENCE, *_INTENSITY} <= {*table.columns}:
        return None
    return table.reindex(columns=[f"{name}_r" for name in AU_NAMES]).to_numpy(np.float32)


def _file(folder: Path, stem: str) -> Path | None:
    return next((p for end in _SUFFIXES if (p := folder / f"{stem}{end}").is_file()), None)


def _joined(folder: Path, stem: str, parents: Sequence[str]) -> Path | None:
    """The file `A__B__STEM.csv` of `folder` that names most of the folders above the video."""
    names = (
        _joined_names(folder, folder.stat().st_mtime_ns).get(stem, ()) if folder.is_dir() else ()
    )
    pieces = {name: name.removesuffix(f"__{stem}.csv").split("__") for name in names}
    fitting = {name: len(p) for name, p in pieces.items() if in_order(p, parents)}
    best = sorted(name for name in fitting if fitting[name] == max(fitting.values()))
    if len(best) > 1:
        raise BadInput(f"both {best[0]} and {best[1]} in {folder} name {stem}; leave one there")
    return _file(folder, best[0].removesuffix(".csv")) if best else None


@lru_cache(maxsize=2)
def _joined_names(folder: Path, _mtime_ns: int) -> dict[str, set[str]]:
    """Stem -> names `A__B__STEM.csv`; listed once, not once a video."""
    names: dict[str, set[str]] = {}
    for path in folder.glob("*__*"):
        if path.name.endswith(_SUFFIXES):
            name = path.name.removesuffix(".gz")
            for stem in _stems(name.removesuffix(".csv")):
                names.setdefault(stem, set()).add(name)
    return names


def _stems(name: str) -> Iterator[str]:
    """What may be the video's stem in `A__B__STEM`: a stem may hold `__` itself."""
    pieces = name.split("__")
    for start in range(1, len(pieces)):
        yield "__".join(pieces[start:])


def in_order(pieces: Sequence[str], parents: Sequence[str]) -> bool:
    """Whether the pieces of a CSV's name are folders above a video, or begin such, in order.

    Args:
        pieces: what stands before the video's stem in the CSV's name.
        parents: names of the folders above the video, outermost first.

    >>> in_order(["original", "c23"], ["original_sequences", "youtube", "c23", "videos"])
    True
    """
    rest = iter(parents)
    return all(any(part == p or part.startswith(f"{p}_") for part in rest) for p in pieces)


def _iou(
    box_xyxy: npt.NDArray[np.float32], others_xyxy: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Intersection over union of one box with (R, 4) others."""
    box, others = box_xyxy.astype(np.float64), others_xyxy.astype(np.float64)
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common: npt.NDArray[np.float64] = (high - low).clip(min=0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - common
    overlap: npt.NDArray[np.float64] = common / np.maximum(union, np.finfo(np.float64).tiny)
    return overlap
