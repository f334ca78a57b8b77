"""The linear units of the embedded AU engine, and the file that holds them with its point model.

Letters: N faces, M measures (`facekit.action_units.lite_measures`), A action units.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.action_units.lite_measures import NAMES
from facekit.errors import BadWeights
from facekit.openface_files import AU_NAMES
from facekit.point_model import PointModel

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

MIN_FRAMES: Final = 4
"""Frames of a person from which the median is a better idea of the face at rest than the mean of
all people. Below, the units for lone faces decide."""

_AT_ONCE: Final = 4096
"""Faces scored at once, so that a video of an hour takes no more memory than its measures."""

_MODEL: Final = "point_model."
_ABOUT: Final = {"action_units": " ".join(AU_NAMES), "measures": " ".join(NAMES)}


@dataclass(frozen=True, kw_only=True)
class Units:
    """What each action unit looks like: a weighted sum of displacements, and where it begins.

    The score of an action unit is the sum plus its bias; it occurs above 0. The bias of one that
    cannot be told is NaN, and so is its score.

    Args:
        neutral: (M,) float64, the measures of the mean face, units of the point model.
        own_weights: (A, M) float64, of the displacement from the person's own median.
        habit_weights: (A, M) float64, of the displacement from the mean face, beside it.
        own_bias: (A,) float64.
        alone_weights: (A, M) float64, of the displacement from the mean face, where the person has
            too few frames for a median.
        alone_bias: (A,) float64.
    """

    neutral: Float64
    own_weights: Float64
    habit_weights: Float64
    own_bias: Float64
    alone_weights: Float64
    alone_bias: Float64

    def alone(self, measures: Float32) -> Float32:
        """Decision values of faces of whom no more is known.

        Args:
            measures: (N, M), units of the point model; NaN where unknown.

        Returns:
            (N, A) float32, above 0 where the action unit occurs; NaN where that cannot be told.
        """
        from_mean = measures.astype(np.float64) - self.neutral
        return (_weighed(from_mean, self.alone_weights) + self.alone_bias).astype(np.float32)

    def together(self, measures: Float32) -> Float32:
        """Decision values of all the faces of one person in a video.

        Args:
            measures: (N, M), units of the point model; NaN where unknown.

        Returns:
            (N, A) float32, above 0 where the action unit occurs; NaN where that cannot be told.
        """
        known = np.isfinite(measures).all(axis=1)
        if np.count_nonzero(known) < MIN_FRAMES:
            return self.alone(measures)
        median = np.median(measures[known], axis=0).astype(np.float64)
        return np.concatenate(
            [
                self._own(measures[start : start + _AT_ONCE], median)
                for start in range(0, len(measures), _AT_ONCE)
            ]
        )

    def _own(self, measures: Float32, median: Float64) -> Float32:
        found = measures.astype(np.float64)
        own = _weighed(found - median, self.own_weights)
        habit = _weighed(found - self.neutral, self.habit_weights)
        return (own + habit + self.own_bias).astype(np.float32)


def write(path: Path, model: PointModel, units: Units) -> None:
    """Write a file that `read` takes.

    Args:
        path: where; what is there is replaced.
        model: the point model that the measures were taken with.
        units: one for each of `openface_files.AU_NAMES`.
    """
    from safetensors.numpy import save

    arrays = {_MODEL + name: value for name, value in model.arrays().items()}
    arrays |= {name: value.astype(np.float32) for name, value in vars(units).items()}
    path.write_bytes(save(arrays, metadata=_ABOUT))


def read(path: Path) -> tuple[PointModel, Units]:
    """Read the point model and the units.

    Args:
        path: a file that `write` wrote.

    Raises:
        BadWeights: the file is damaged, holds something else, or units of other measures.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model, units = _model(arrays), _units(arrays)
    except (KeyError, OSError, SafetensorError, TypeError, ValueError) as error:
        raise BadWeights(f"{path} holds no units of the lite AU engine: {error}") from error
    if about != _ABOUT:
        raise BadWeights(f"{path} holds units for other action units or measures than these")
    return model, units


def _weighed(moved_NM: Float64, weights_AM: Float64) -> Float64:
    # face by face: one product over all of them would round by how many there are
    found: Float64 = np.matmul(moved_NM[:, None], weights_AM.T)[:, 0]
    return found


def _model(arrays: Mapping[str, Float32]) -> PointModel:
    mine = {name: value for name, value in arrays.items() if name.startswith(_MODEL)}
    return PointModel.from_arrays({n.removeprefix(_MODEL): value for n, value in mine.items()})


def _units(arrays: Mapping[str, Float32]) -> Units:
    shapes = {
        "neutral": (len(NAMES),),
        "own_bias": (len(AU_NAMES),),
        "alone_bias": (len(AU_NAMES),),
    }
    found = {}
    for field in fields(Units):
        value = np.asarray(arrays[field.name], np.float64)
        if value.shape != shapes.get(field.name, (len(AU_NAMES), len(NAMES))):
            raise ValueError(f"{field.name} has the shape {value.shape}")
        if not (field.name.endswith("bias") or np.isfinite(value).all()):
            raise ValueError(f"{field.name} holds numbers that are not finite")
        found[field.name] = value
    return Units(**found)
