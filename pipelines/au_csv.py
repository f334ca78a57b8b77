"""OpenFace's CSVs as a source of labels: which video each belongs to, and its rows.

With a manifest (see `pipelines.tables`), `path` is the CSV itself or the video it was made from,
found as `--au openface-csv:FOLDER` finds it. Without one, names must tell what FaceForensics++'s
do: `Deepfakes__035_036.csv` beside `original__035.csv`, or its folders.
"""

import hashlib
import io
import logging
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput
from facekit.openface_files import MIN_CONFIDENCE, locate
from facekit.video import Video
from pipelines.au_labels import Block
from pipelines.datasets import ffpp
from pipelines.folders import shown
from pipelines.tables import videos_of_table

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_OCCURRENCE: Final = re.compile(r"(AU\d+)_c")
_STATE: Final = ("success", "confidence")
_MAGIC: Final = re.compile(r"[*?\[]")
_ENDINGS: Final = (".csv", ".csv.gz")
_BLOCK_ROWS: Final = 1 << 16
_REALS: Final = frozenset({"original", "original_sequences", "youtube", "actors", "real"})
_METHODS: Final = {name.lower(): name for name in ffpp.METHODS["manipulated_sequences"]}


class CsvLabels:
    """The occurrences in OpenFace's CSVs.

    Rows without success or below `openface_files.MIN_CONFIDENCE` count as unlabelled, and so does
    an empty cell for its AU.

    Args:
        pattern: a glob, a folder that is searched through, or one CSV.
        manifest: table of the videos; None reads what the names tell.

    Raises:
        BadInput: no such file, one that is not OpenFace's, two that differ in their AUs, or one
            that names no video.
    """

    def __init__(self, pattern: str | Path, manifest: str | Path | None = None) -> None:
        base, files = _files(str(pattern))
        placed = _by_name(base, files) if manifest is None else _by_table(base, files, manifest)
        placed.sort(key=lambda pair: pair[0].key)
        self.videos = with_originals([video for video, _ in placed])
        self._files = [file for _, file in placed]
        self.au_names = _au_names(self._files)
        self.labels_sha256 = [""] * len(placed)
        self.provenance: Mapping[str, object] = {
            "kind": "openface-csv",
            "au_names": list(self.au_names),
            "au_mode": "imported",
            "min_confidence": MIN_CONFIDENCE,
        }

    def blocks(self) -> Iterator[Block]:
        """The rows of each file in turn; its sha256 is known once it was read."""
        for number, file in enumerate(self._files):
            data = _bytes(file)
            self.labels_sha256[number] = hashlib.sha256(data).hexdigest()
            for table in _tables(file, data, self.au_names):
                yield np.full(len(table), number, np.int64), _occurrence(file, table, self.au_names)


def with_originals(videos: Sequence[Video]) -> list[Video]:
    """Name the original of each fake called as FaceForensics++ calls its own, `target_source`.

    An original that is already named stays.

    >>> real = Video(key="a/035", path=Path("035.csv"), relative_path="035.csv", label=0)
    >>> name = "035_036.csv"
    >>> fake = Video(key="b/035_036", path=Path(name), relative_path=name, label=1)
    >>> [video.original for video in with_originals([real, fake])]
    ['', 'a/035']
    """
    reals: dict[tuple[str, str, str], list[str]] = {}
    for video in videos:
        if video.label == 0:
            of_name = (video.dataset, video.compression, stem_of(video.relative_path))
            reals.setdefault(of_name, []).append(video.key)
    made = []
    for video in videos:
        target = "" if video.label != 1 or video.original else target_of(video.relative_path)
        found = reals.get((video.dataset, video.compression, target), []) if target else []
        made.append(replace(video, original=found[0]) if len(found) == 1 else video)
    return made


def stem_of(path: str) -> str:
    """The video's own name in the path of it or of its CSV.

    >>> stem_of("out/Deepfakes__035_036.csv.gz"), stem_of("c23/videos/035.mp4")
    ('035_036', '035')
    """
    name = path.rsplit("/", 1)[-1].removesuffix(".gz")
    return name.rpartition(".")[0].rsplit("__", 1)[-1]


def target_of(path: str) -> str:
    """Id of the video whose frames a fake of FaceForensics++ keeps; empty for another name.

    >>> target_of("Deepfakes__035_036.csv.gz"), target_of("clip.csv")
    ('035', '')
    """
    pair = re.fullmatch(r"(\d{3})_\d{3}", stem_of(path))
    return pair[1] if pair else ""


def _files(pattern: str) -> tuple[Path, list[Path]]:
    """The folder below which the files lie, and the files."""
    path = Path(pattern).expanduser()
    if path.is_file():
        return path.parent, [path]
    if path.is_dir():
        found = [file for ending in _ENDINGS for file in path.rglob(f"*{ending}")]
        base = path
    elif _MAGIC.search(pattern):
        fixed = next(i for i, part in enumerate(path.parts) if _MAGIC.search(part))
        base = Path(*path.parts[:fixed])
        found = list(base.glob("/".join(path.parts[fixed:])))
    else:
        raise BadInput(f"--csv {pattern}: no such file or folder")
    files = sorted(file for file in set(found) if file.is_file())
    if not files:
        raise BadInput(f"--csv {pattern}: no CSV matches; OpenFace's end in .csv or .csv.gz")
    return base, files


def _by_table(base: Path, files: Sequence[Path], manifest: str | Path) -> list[tuple[Video, Path]]:
    given = {file.resolve(): file for file in files}
    placed, missing = [], []
    for video in videos_of_table(Path(manifest), at_hand=False):
        file = given.get(video.path.resolve()) or _located(video.path, base, given)
        if file is None:
            missing.append(video.key)
        else:
            placed.append((video, file))
    if not placed:
        raise BadInput(f"none of the {len(files)} CSVs belongs to a video of {manifest}")
    _refuse_shared(placed)
    if missing:
        log.warning("%d videos of %s have no CSV, such as %s", len(missing), manifest, missing[0])
    unused = sorted(set(files) - {file for _, file in placed})
    if unused:
        log.warning("%d CSVs are of no video of %s, such as %s", len(unused), manifest, unused[0])
    return placed


def _located(video: Path, base: Path, given: Mapping[Path, Path]) -> Path | None:
    for folder in (base, None):
        try:
            file = locate(video, folder).resolve()
        except BadInput:
            continue
        if file in given:
            return given[file]
    return None


def _refuse_shared(placed: Sequence[tuple[Video, Path]]) -> None:
    owner: dict[Path, str] = {}
    for video, file in placed:
        other = owner.setdefault(file, video.key)
        if other != video.key:
            raise BadInput(
                f"{file} fits both {other} and {video.key}; name CSVs METHOD__NAME.csv, or give "
                "their own paths in the manifest"
            )


def _by_name(base: Path, files: Sequence[Path]) -> list[tuple[Video, Path]]:
    placed = [(_named(file, base), file) for file in files]
    owner: dict[str, Path] = {}
    for video, file in placed:
        other = owner.setdefault(video.key, file)
        if other != file:
            raise BadInput(f"{other} and {file} are both of {video.key}; give a --manifest")
    return placed


def _named(file: Path, base: Path) -> Video:
    """A video of FaceForensics++, as the names of its CSV and of the folders above tell."""
    relative = file.relative_to(base).as_posix()
    words = [*base.absolute().parts, *re.split(r"/|__", relative)[:-1]]
    lower = [word.lower() for word in words]
    methods = [_METHODS[word] for word in lower if word in _METHODS]
    compressions = [ffpp.COMPRESSIONS[word] for word in lower if word in ffpp.COMPRESSIONS]
    compression = compressions[-1] if compressions else ""
    is_real = not methods and bool(_REALS & set(lower))
    method = methods[-1] if methods else "youtube"
    if not (methods or is_real):
        raise BadInput(
            f"{shown(file)} does not say which video it is of; give a --manifest, or names such as "
            "Deepfakes__035_036.csv and original__035.csv"
        )
    return Video(
        key="/".join(filter(None, ("ffpp", method, compression, stem_of(relative)))),
        path=file,
        relative_path=relative,
        dataset="ffpp",
        method=method,
        compression=compression,
        label=0 if is_real else 1,
    )


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {shown(file)}: {error.strerror}") from error


def _au_names(files: Sequence[Path]) -> tuple[str, ...]:
    """The AUs of the first file, in its order; every other must have the same."""
    first: tuple[str, ...] = ()
    for file in files:
        names = _au_names_of(file)
        first = first or names
        if differing := sorted(set(first) ^ set(names)):
            raise BadInput(
                f"{shown(file)} and {shown(files[0])} differ in their action units: "
                f"{', '.join(differing)}; run the same OpenFace on both"
            )
    return tuple(sorted(first))


def _au_names_of(file: Path) -> tuple[str, ...]:
    columns = [str(name) for name in _read(file, file, nrows=0).columns]
    missing = [name for name in _STATE if name not in columns]
    if missing:
        raise BadInput(f"{shown(file)} has no column {missing[0]}; is it OpenFace's?")
    names = tuple(match[1] for name in columns if (match := _OCCURRENCE.fullmatch(name)))
    if not names:
        raise BadInput(f"{shown(file)} has no AU occurrences; run OpenFace with -aus")
    return names


def _tables(file: Path, data: bytes, au_names: Sequence[str]) -> Iterator["pd.DataFrame"]:
    columns = [*_STATE, *(f"{name}_c" for name in au_names)]
    table = _read(file, io.BytesIO(data), usecols=columns, dtype="float32")
    for start in range(0, len(table), _BLOCK_ROWS):
        yield table.iloc[start : start + _BLOCK_ROWS]


def _read(file: Path, source: Path | io.BytesIO, **options: Any) -> "pd.DataFrame":
    import pandas as pd

    try:
        table: pd.DataFrame = pd.read_csv(
            source,
            compression="gzip" if file.suffix == ".gz" else None,
            skipinitialspace=True,
            index_col=False,
            na_values=["-nan(ind)", "nan(ind)"],
            **options,
        )
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise BadInput(f"cannot read {shown(file)} as a CSV of OpenFace: {reason}") from error
    return table


def _occurrence(file: Path, table: "pd.DataFrame", au_names: Sequence[str]) -> npt.NDArray[np.int8]:
    values = table[[f"{name}_c" for name in au_names]].fillna(-1).to_numpy(np.float32)
    if not np.isin(values, (-1, 0, 1)).all():
        raise BadInput(f"{shown(file)}: AU occurrences other than 0 and 1; is it OpenFace's?")
    sure = (table["success"] == 1) & (table["confidence"] >= np.float32(MIN_CONFIDENCE))
    values[~sure.to_numpy()] = -1
    return values.astype(np.int8)
