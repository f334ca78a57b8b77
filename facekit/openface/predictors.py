"""All linear models of a set at once: one product scores a description for every action unit.

Tensor names end in their axes: N faces, F the numbers of a description filled up to whole cache
lines (see `point_distribution`), K models, occurrences first.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from facekit.openface.model_files import FEATURES, ModelSet, Predictor
from facekit.openface.products import each
from facekit.openface_files import AU_NAMES

INTENSITY_NAMES: Final = tuple(name for name in AU_NAMES if name != "AU28")
OCCURRENCES: Final = len(AU_NAMES)
MODELS: Final = OCCURRENCES + len(INTENSITY_NAMES)

FILLED_FEATURES: Final = -(-FEATURES // 8) * 8
_FILLED_MODELS: Final = -(-MODELS // 8) * 8

_Float64 = npt.NDArray[np.float64]


class LinearModels:
    """The 18 classifiers and 17 regressors of a set, in the order of `AU_NAMES`.

    Args:
        models: the set.
        device: where descriptions are scored.
    """

    def __init__(self, models: ModelSet, device: torch.device) -> None:
        classifiers = [models.occurrence[name] for name in AU_NAMES]
        regressors = [models.intensity[name] for name in INTENSITY_NAMES]
        every = [*classifiers, *regressors]
        weights_FK = np.zeros((FILLED_FEATURES, _FILLED_MODELS))
        weights_FK[:FEATURES, :MODELS] = np.stack([one.weights for one in every], axis=1)
        self._weights_FK = torch.from_numpy(weights_FK).to(device)
        self._bias_K = _row(every, "bias")
        self._dynamic_weights_FK = weights_FK[:FEATURES, :MODELS] * _row(every, "dynamic")
        self._positive_means_A = _row(classifiers, "positive_means")
        self.cutoff_A = np.where(_row(regressors, "dynamic") > 0, _row(regressors, "cutoff"), -1.0)
        """(17,) float64: share of neutral frames of each intensity; -1 where none is assumed."""

    def scores(self, description_NF: torch.Tensor) -> _Float64:
        """Score descriptions, for now as if the person's median were 0.

        Args:
            description_NF: (N, `FILLED_FEATURES`) float64; HOG, geometry, zeros.

        Returns:
            (N, 35) float64; a row does not depend on the others.
        """
        weights_NFK = self._weights_FK.expand(len(description_NF), -1, -1)
        scores_NK = each(description_NF[:, None], weights_NFK)[:, 0, :MODELS]
        return scores_NK.cpu().numpy() + self._bias_K

    def median_share(self, median: _Float64) -> _Float64:
        """(35,) float64, what a person's median (4702,) takes off each score."""
        return median @ self._dynamic_weights_FK

    def occurs(self, scores_NK: _Float64) -> npt.NDArray[np.bool_]:
        """(N, 18): what the classifiers say of a face by itself."""
        above = scores_NK[:, :OCCURRENCES] > 0.0
        return np.equal(above, self._positive_means_A > 0.0)

    def decisions(self, scores_NK: _Float64) -> _Float64:
        """(N, 18) float64: the classifiers' values, turned so that higher speaks for occurrence."""
        return np.where(self._positive_means_A > 0.0, 1.0, -1.0) * scores_NK[:, :OCCURRENCES]


def intensities(scores_NK: _Float64) -> _Float64:
    """(N, 17) float64: what the regressors say, of any size."""
    return scores_NK[:, OCCURRENCES:]


def _row(models: Sequence[Predictor], name: str) -> _Float64:
    return np.array([getattr(one, name) for one in models], np.float64)
