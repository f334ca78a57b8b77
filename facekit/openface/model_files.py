"""The files of OpenFace's AU predictors: point model, triangles, linear models, lists of them.

Nothing is taken on trust: each size and type is compared with what OpenFace's own files have, and
a file that differs is refused with its name and what is wrong with it.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from facekit.errors import BadWeights
from facekit.openface_files import AU_NAMES

POINTS: Final = 68
MODES: Final = 34
HOG_SIZE: Final = 12 * 12 * 31
GEOMETRY_SIZE: Final = 3 * POINTS + MODES
FEATURES: Final = HOG_SIZE + GEOMETRY_SIZE
"""Length of a face's description: HOG first, geometry after it."""

MAIN_FILES: Final = {"dynamic": "main_dynamic_svms.txt", "static": "main_static_svms.txt"}
"""Name of a set of models -> the file that names its parts."""

SetName = Literal["dynamic", "static"]

_INT32: Final = 4
_FLOAT64: Final = 6
_NUMBERS: Final = {_INT32: np.int64, _FLOAT64: np.float64}
_INTENSITY_STATIC, _INTENSITY_DYNAMIC, _OCCURRENCE_STATIC, _OCCURRENCE_DYNAMIC = 0, 1, 4, 5
_INTENSITIES: Final = (_INTENSITY_STATIC, _INTENSITY_DYNAMIC)
_DYNAMIC: Final = (_INTENSITY_DYNAMIC, _OCCURRENCE_DYNAMIC)
_LARGEST_BYTES: Final = 1 << 20
_FileRead = TypeVar("_FileRead")


@dataclass(frozen=True, kw_only=True)
class PointDistribution:
    """A mean face and the ways in which faces differ from it.

    Args:
        mean: (204,) float64, mm: 68 x, 68 y, 68 z; x right, y down, z away from the viewer.
        modes: (204, 34) float64, orthonormal columns.
        variances: (34,) float64, above 0, of the parameters of the modes.
    """

    mean: npt.NDArray[np.float64]
    modes: npt.NDArray[np.float64]
    variances: npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A linear model over a face's description.

    Args:
        weights: (4702,) float64.
        bias: to be added to the product; the mean of the training data is already in it.
        dynamic: whether the person's median is to be taken off the description first.
        cutoff: share of frames taken for neutral, of a dynamic intensity; else -1.
        positive_means: label of a score above 0, 0 or 1; -1 for an intensity.
    """

    weights: npt.NDArray[np.float64]
    bias: float
    dynamic: bool
    cutoff: float = -1.0
    positive_means: int = -1


@dataclass(frozen=True, kw_only=True)
class ModelSet:
    """One of the two sets of models that OpenFace publishes.

    Args:
        points: the point model.
        triangles: (T, 3) int64, points that are the corners of the triangles of a face.
        occurrence: action unit, as in `AU_NAMES`, -> its classifier; all 18.
        intensity: action unit -> its regressor; all but `AU28`.
    """

    points: PointDistribution
    triangles: npt.NDArray[np.int64]
    occurrence: Mapping[str, Predictor]
    intensity: Mapping[str, Predictor]


def read_set(folder: Path, name: SetName) -> ModelSet:
    """Read all that one set of models consists of.

    Args:
        folder: `AU_predictors` of an OpenFace 2 checkout.
        name: `dynamic`, for videos, or `static`, for single pictures.

    Raises:
        BadWeights: a file is missing, damaged, or not what OpenFace 2 publishes.

    >>> read_set(Path("nowhere"), "static")
    Traceback (most recent call last):
    ...
    facekit.errors.BadWeights: nowhere/main_static_svms.txt cannot be read: \
No such file or directory
    """
    parts = read_main(folder / MAIN_FILES[name])
    intensity: dict[str, Predictor] = {}
    occurrence: dict[str, Predictor] = {}
    list_file = folder / parts["AUPredictor"]
    for file_name, au_name in read_list(list_file):
        predictor = read_predictor(folder / file_name)
        if predictor.dynamic and name == "static":
            raise _refused(list_file, f"a dynamic model for {au_name}")
        kind = intensity if predictor.positive_means < 0 else occurrence
        if au_name in kind:
            raise _refused(list_file, f"two models of one kind for {au_name}")
        kind[au_name] = predictor
    lacking = set(AU_NAMES) - occurrence.keys() | set(AU_NAMES) - {"AU28"} - intensity.keys()
    foreign = (occurrence.keys() | intensity.keys()) - set(AU_NAMES) | {"AU28"} & intensity.keys()
    if lacking or foreign:
        raise _refused(list_file, f"models lacking or foreign: {sorted(lacking | foreign)}")
    return ModelSet(
        points=read_points(folder / parts["PDM"]),
        triangles=read_triangles(folder / parts["Triangulation"]),
        occurrence=occurrence,
        intensity=intensity,
    )


def read_main(path: Path) -> dict[str, str]:
    """Read which files a set is made of: `AUPredictor`, `PDM`, `Triangulation` -> file name.

    Raises:
        BadWeights: one of them is not named, or lies outside the folder.
    """

    def parsed(text: str) -> dict[str, str]:
        parts = dict(_pairs(text))
        wanted = {"AUPredictor", "PDM", "Triangulation"}
        if parts.keys() != wanted:
            raise ValueError(f"names {sorted(parts)}, not {sorted(wanted)}")
        return {key: _below(name) for key, name in parts.items()}

    return _read_text(path, parsed)


def read_list(path: Path) -> list[tuple[str, str]]:
    """Read the list of a set's linear models: file name below the folder, action unit.

    Raises:
        BadWeights: a line is no pair, or names a file outside the folder.
    """
    return _read_text(path, lambda text: [(_below(name), au) for name, au in _pairs(text)])


def read_points(path: Path) -> PointDistribution:
    """Read a point model of 68 points and 34 modes.

    Raises:
        BadWeights: sizes or types differ, a number is missing or not finite.
    """

    def parsed(text: str) -> PointDistribution:
        sizes = ((3 * POINTS, 1), (3 * POINTS, MODES), (1, MODES))
        mean, modes, variances = _text_matrices(text, [(*size, _FLOAT64) for size in sizes])
        if not (variances > 0).all():
            raise ValueError("a variance is not above 0")
        if not np.allclose(modes.T @ modes, np.eye(MODES), atol=1e-3):
            raise ValueError("the modes are not orthonormal")
        return PointDistribution(mean=mean[:, 0], modes=modes, variances=variances[0])

    return _read_text(path, parsed)


def read_triangles(path: Path) -> npt.NDArray[np.int64]:
    """Read the triangles of a face: (T, 3) int64, 0-based points.

    Raises:
        BadWeights: sizes or types differ, or a corner is no point.
    """

    def parsed(text: str) -> npt.NDArray[np.int64]:
        (corners,) = _text_matrices(text, [(None, 3, _INT32)])
        if not ((corners >= 0) & (corners < POINTS)).all():
            raise ValueError(f"a corner is not a point from 0 to {POINTS - 1}")
        return corners.astype(np.int64)

    return _read_text(path, parsed)


def read_predictor(path: Path) -> Predictor:
    """Read a linear model.

    Raises:
        BadWeights: it is not one of the four kinds, its size is not exactly that of its kind, or a
            number in it is not finite or out of range.
    """
    return _read(path, _predictor)


def _predictor(stored: bytes) -> Predictor:
    if len(stored) < 4:
        raise ValueError(f"{len(stored)} bytes are too few")
    (kind,) = struct.unpack_from("<i", stored)
    if kind not in (*_INTENSITIES, _OCCURRENCE_STATIC, _OCCURRENCE_DYNAMIC):
        raise ValueError(f"{kind} is no kind of model")
    before = 1 if kind == _INTENSITY_DYNAMIC else 0
    after = 1 if kind in _INTENSITIES else 3
    size = 4 + 8 * before + 2 * (12 + 8 * FEATURES) + 8 * after
    if len(stored) != size:
        raise ValueError(f"{len(stored)} bytes, where a model of kind {kind} has {size}")
    mean = _binary_vector(stored, 4 + 8 * before, (1, FEATURES))
    weights = _binary_vector(stored, 16 + 8 * (before + FEATURES), (FEATURES, 1))
    numbers = (
        *struct.unpack_from(f"<{before}d", stored, 4),
        *struct.unpack_from(f"<{after}d", stored, size - 8 * after),
    )
    if not np.isfinite(numbers).all():
        raise ValueError("a number is not finite")
    bias = numbers[before] - float(mean @ weights)
    dynamic = kind in _DYNAMIC
    if kind in _INTENSITIES:
        cutoff = numbers[0] if dynamic else -1.0
        if dynamic and cutoff != -1.0 and not 0.0 <= cutoff < 1.0:
            raise ValueError(f"a cutoff of {cutoff}, which is no share")
        return Predictor(weights=weights, bias=bias, dynamic=dynamic, cutoff=cutoff)
    labels = numbers[1:]
    if labels not in ((0.0, 1.0), (1.0, 0.0)):
        raise ValueError(f"labels {labels}, which are not 0 and 1")
    return Predictor(weights=weights, bias=bias, dynamic=dynamic, positive_means=int(labels[0]))


def _binary_vector(stored: bytes, at: int, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    found = struct.unpack_from("<3i", stored, at)
    if found != (*shape, _FLOAT64):
        raise ValueError(f"a matrix headed {found}, not {(*shape, _FLOAT64)}")
    vector = np.frombuffer(stored, "<f8", FEATURES, at + 12).astype(np.float64)
    if not np.isfinite(vector).all():
        raise ValueError("a number is not finite")
    return vector


def _text_matrices(
    text: str, wanted: list[tuple[int | None, int, int]]
) -> list[npt.NDArray[np.float64]]:
    """Matrices of OpenCV: rows, columns and type of number, then the numbers; None is any rows."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    words = " ".join(lines).split()
    matrices = []
    for rows, columns, kind in wanted:
        head, words = tuple(int(word) for word in words[:3]), words[3:]
        if len(head) < 3 or (rows or head[0], columns, kind) != head or head[0] < 1:
            raise ValueError(f"a matrix headed {head}, not {(rows or 'any', columns, kind)}")
        count = head[0] * columns
        if len(words) < count:
            raise ValueError(f"it ends after {len(words)} of {count} numbers")
        matrix = np.array(words[:count], _NUMBERS[kind]).astype(np.float64)
        if not np.isfinite(matrix).all():
            raise ValueError("a number is not finite")
        matrices.append(matrix.reshape(head[0], columns))
        words = words[count:]
    if words:
        raise ValueError(f"{len(words)} numbers too many")
    return matrices


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for line in filter(str.strip, text.splitlines()):
        words = line.split()
        if len(words) != 2:
            raise ValueError(f"the line {line[:80]!r} is no pair")
        pairs.append((words[0], words[1]))
    return pairs


def _below(name: str) -> str:
    """The name of a file below the folder, where a list has no business to point elsewhere."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith("/") or ":" in name or not all(parts) or {".", ".."} & set(parts):
        raise ValueError(f"{name!r} is no file below its folder")
    return "/".join(parts)


def _read_text(path: Path, parse: Callable[[str], _FileRead]) -> _FileRead:
    return _read(path, lambda stored: parse(stored.decode("ascii")))


def _read(path: Path, parse: Callable[[bytes], _FileRead]) -> _FileRead:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise _refused(path, "it is larger than any of them")
        stored = path.read_bytes()
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}") from error
    try:
        return parse(stored)
    except (ValueError, OverflowError) as error:
        raise _refused(path, str(error)) from error


def _refused(path: Path, reason: str) -> BadWeights:
    return BadWeights(f"{path} is none of OpenFace's AU models: {reason}")
