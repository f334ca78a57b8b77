"""Another landmarker's points, moved to where OpenFace's tracker would have put them.

Landmarkers agree on what a face looks like and not on where exactly its points are, and OpenFace's
models are used to OpenFace's. What is corrected is linear in what the point model says of the
points: one small table a landmarker. Then the points become those of the nearest face of the model,
as OpenFace's own always are.

Tensor names end in their axes: N faces, P the 68 points, K modes, F features.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from facekit.errors import BadWeights
from facekit.openface import point_distribution
from facekit.openface.model_files import MODES, POINTS
from facekit.openface.point_distribution import Fit, PointModel
from facekit.openface.products import each
from facekit.weights import ModelFile, sha256_of

TABLE: Final = Path(__file__).with_name("corrections.safetensors")
"""The corrections that come with facekit, by the sha256 of the landmarker's model file; made by
`python -m training.openface_points`."""

FEATURES: Final = 1 + MODES + 5 + 2 * POINTS
"""Numbers that say how a landmarker's points lie: see `features`."""

_TURN_UNITS: Final = 3.0
"""A third, some 20 degrees, counts as one, as a standard deviation of a mode does."""

Weights = npt.NDArray[np.float16]
"""(F, 136): millimetres of x and y of each point in turn, for each unit of a feature."""


NOTHING: Final[Weights] = np.zeros((FEATURES, 2 * POINTS), np.float16)
"""Points stay where they are, and are only put on the point model."""


class Correction:
    """Corrects the points of one landmarker.

    Args:
        weights: of the features.
        model: OpenFace's point model.

    Source: facekit's own.
    """

    def __init__(self, weights: npt.NDArray[np.floating], model: PointModel) -> None:
        self._weights_FQ = torch.from_numpy(weights.astype(np.float64)).to(model.mean_3P)
        self._moves = bool(weights.any())
        self._model = model

    def __call__(self, points_NP2: torch.Tensor) -> torch.Tensor:
        """Correct points.

        Args:
            points_NP2: float64, frame pixels.

        Returns:
            Likewise; those of a face do not depend on the faces beside it. Not finite where no
            face can have such points.
        """
        if not self._moves:
            return project(points_NP2, self._model)
        fitted = point_distribution.fit(points_NP2, self._model)
        features_NF = features(points_NP2, fitted, self._model)
        weights_NFQ = self._weights_FQ.expand(len(points_NP2), -1, -1)
        offset_mm = each(features_NF[:, None], weights_NFQ)[:, 0].reshape(-1, POINTS, 2)
        moved = points_NP2 + to_pixels(offset_mm, fitted)
        return project(moved, self._model)


def project(points_NP2: torch.Tensor, model: PointModel) -> torch.Tensor:
    """The points of the nearest face of the model; not finite where there is none."""
    sound_N = points_NP2.flatten(1).isfinite().all(1)
    projected = torch.full_like(points_NP2, torch.nan)
    if bool(sound_N.any()):
        fitted = point_distribution.fit(points_NP2[sound_N], model)
        projected[sound_N] = point_distribution.project(fitted, model)
    return projected


def features(points_NP2: torch.Tensor, fitted: Fit, model: PointModel) -> torch.Tensor:
    """What a correction is linear in.

    Args:
        points_NP2: float64, frame pixels.
        fitted: the model's face nearest to them.
        model: OpenFace's point model.

    Returns:
        (N, F) float64: 1; the parameters in standard deviations; how far the face is turned about
        x and y, as sines in thirds, their squares and their product; and for each point in turn by
        how much the fit misses it in x and y, millimetres of an upright face.
    """
    # sines are at hand; an angle may round differently by where in a batch its face lies
    turn = fitted.rotation_N33
    turn_N2 = torch.stack([-turn[:, 1, 2], turn[:, 0, 2]], dim=1) * _TURN_UNITS
    missed = to_millimetres(point_distribution.project(fitted, model) - points_NP2, fitted)
    return torch.cat(
        [
            torch.ones_like(turn_N2[:, :1]),
            fitted.local_NK / model.variance_K.sqrt(),
            turn_N2,
            turn_N2 * turn_N2,
            turn_N2[:, :1] * turn_N2[:, 1:],
            missed.flatten(1),
        ],
        dim=1,
    )


def to_millimetres(offset_px: torch.Tensor, fitted: Fit) -> torch.Tensor:
    """(N, P, 2) offsets in the frame -> the same on a face that is upright and of the model's size.

    Only the roll is taken away: turned faces stay turned.
    """
    cosine, sine, scale = _upright(fitted)
    x, y = offset_px.unbind(dim=2)
    return torch.stack([(cosine * x + sine * y) / scale, (cosine * y - sine * x) / scale], dim=2)


def to_pixels(offset_mm: torch.Tensor, fitted: Fit) -> torch.Tensor:
    """The way back from `to_millimetres`."""
    cosine, sine, scale = _upright(fitted)
    x, y = offset_mm.unbind(dim=2)
    return torch.stack([(cosine * x - sine * y) * scale, (sine * x + cosine * y) * scale], dim=2)


def of_landmarker(
    models: Sequence[ModelFile], model: PointModel, table: Path = TABLE
) -> Correction | None:
    """The correction for a landmarker; None where there is none for its very model file.

    Args:
        models: the landmarker's.
        model: OpenFace's point model.
        table: a file that `write` wrote.

    Raises:
        BadWeights: the table is damaged.
    """
    known = read(table)
    found = next((known[one.sha256] for one in models if one.sha256 in known), None)
    return None if found is None else Correction(found, model)


def as_model(table: Path = TABLE) -> ModelFile:
    """The table as one of the model files that a shard names."""
    return ModelFile(name=table.stem, path=table, sha256=sha256_of(table))


def write(path: Path, by_sha256: Mapping[str, npt.NDArray[np.floating]]) -> None:
    """Write a table that `read` takes: sha256 of a landmarker's model file -> its weights."""
    from safetensors.numpy import save

    path.write_bytes(save({key: by_sha256[key].astype(np.float16) for key in sorted(by_sha256)}))


@lru_cache(maxsize=2)
def read(path: Path) -> Mapping[str, Weights]:
    """Read a table.

    Raises:
        BadWeights: it is damaged or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        table = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise BadWeights(f"{path} holds no corrections of points: {error}") from error
    for key, weights in table.items():
        if weights.shape != (FEATURES, 2 * POINTS) or not np.isfinite(weights).all():
            raise BadWeights(f"{path}: what it holds for {key} corrects no points")
    return table


def _upright(fitted: Fit) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cosine and sine of the roll, and the scale: (N, 1) each."""
    turn = fitted.rotation_N33
    across, along = turn[:, 1, 0] - turn[:, 0, 1], turn[:, 0, 0] + turn[:, 1, 1]
    length = (across * across + along * along).sqrt()
    return (along / length)[:, None], (across / length)[:, None], fitted.scale_N[:, None]
