"""Fitting the embedded AU engine: its point model, its linear units, and how well they agree."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facekit.action_units import lite_units
from facekit.action_units.lite_measures import NAMES, symmetric
from facekit.action_units.lite_units import Units
from facekit.openface_files import AU_NAMES
from facekit.options import Measurement
from facekit.point_model import PointModel
from training import lite_clips, lite_point_model
from training.lite_agreement import Agreement, agreement, best_threshold
from training.lite_clips import Measured
from training.lite_faces import annotated_faces

Float64 = npt.NDArray[np.float64]
Occurrence = npt.NDArray[np.int8]

FRAMES: Final = "every:2"
"""Frames of the clips that are learnt from; their neighbours show next to nothing new."""

FOLDS: Final = 9
"""Groups of people, each judged by units that have seen none of them."""

MIN_KAPPA: Final = 0.3
"""Agreement with OpenFace on held-back people below which an action unit stays unknown."""

SHRINK: Final = 0.03
"""Pull of the weights to 0, per frame: what they explain has to be worth it."""

HABIT: Final = 0.3
"""Standard deviations of a displacement from the mean face count for so many of one from the
person's own median: there are thousands of frames and few people."""


def train(data: Path, out: Path, *, seed: int, device: str) -> dict[str, Any]:
    """Learn the point model and the units, judge them on held-back people, write the file.

    The clips are measured by the lite detector and landmarker, those of OUT where it has them.

    Args:
        data: the data folder.
        out: where `lite_action_units.safetensors` goes.
        seed: unused; nothing here is drawn at random.
        device: of detector and landmarker: `auto`, `cpu` or `cuda`.

    Returns:
        Agreement with OpenFace by action unit, of units with the person's median and without.

    Raises:
        BadInput: the data folder lacks something.
    """
    del seed
    model = learn_point_model(data)
    measurement = Measurement(
        frames=FRAMES,
        detector=_newest(out, "lite_detector"),
        landmarker=_newest(out, "lite_landmarker"),
    )
    clips = lite_clips.measured(model, lite_clips.read(data, measurement, device=device))
    units, scores = fit_and_judge(clips, model)
    lite_units.write(out / "lite_action_units.safetensors", model, units)
    return scores


def learn_point_model(data: Path) -> PointModel:
    """The point model of the annotated faces that are not held back, as its file will hold it.

    Args:
        data: the data folder.
    """
    faces = [face for face in annotated_faces(data) if not face.held_back]
    learnt = lite_point_model.learn(np.stack([face.points_xy for face in faces]))
    return PointModel.from_arrays(learnt.arrays())


def fit_and_judge(clips: list[Measured], model: PointModel) -> tuple[Units, dict[str, Any]]:
    """Units of all clips that claim what units of other people's clips could be held to.

    Args:
        clips: measured with `model`.
        model: the point model.

    Returns:
        The units, NaN in the bias of each that agrees less than `MIN_KAPPA`; and the agreement by
        action unit, `together` and `alone`.
    """
    own, alone = held_back(clips, clips, model)
    judged = {
        "together": agreement(clips, own),
        "alone": agreement(clips, alone),
    }
    units = fit(clips, model)
    for bias, kind in ((units.own_bias, "together"), (units.alone_bias, "alone")):
        bias[[not _claimed(judged[kind][name]) for name in AU_NAMES]] = np.nan
    return units, {
        kind: {name: found.as_json() for name, found in table.items()}
        for kind, table in judged.items()
    }


def held_back(
    teaching: list[Measured], judged: list[Measured], model: PointModel
) -> tuple[list[Occurrence], list[Occurrence]]:
    """Label clips by units that were fitted without any of their people.

    Args:
        teaching: clips to fit on.
        judged: clips to label; the same people, maybe on other frames.
        model: the point model.

    Returns:
        For each judged clip (N, A) occurrences, -1 where hopeless: as one person's video, and each
        face alone.
    """
    fold_of = _folds(teaching)
    own: list[Occurrence] = [np.empty(0, np.int8)] * len(judged)
    alone = own.copy()
    for fold in sorted(set(fold_of.values())):
        units = fit([c for c in teaching if fold_of[c.people] != fold], model)
        for k, clip in enumerate(judged):
            if fold_of[clip.people] == fold:
                own[k] = _occurrence(units.together(clip.measures))
                alone[k] = _occurrence(units.alone(clip.measures))
    return own, alone


def fit(clips: list[Measured], model: PointModel) -> Units:
    """Fit every unit, claimed or not.

    Args:
        clips: measured with `model`.
        model: the point model.

    Returns:
        Units whose thresholds give the best kappa on people they were not fitted on; the bias of
        an action unit that never or always occurs is NaN.
    """
    neutral = symmetric(model.mean[None, :, :2])[0].astype(np.float64)
    folds = _folds(clips)
    fold_N = np.concatenate([np.full(len(clip.measures), folds[clip.people]) for clip in clips])
    habit_NM = np.concatenate([clip.measures - neutral for clip in clips])
    own_NM = np.concatenate([clip.measures - np.nanmedian(clip.measures, axis=0) for clip in clips])
    truth_NA = np.concatenate([clip.occurrence for clip in clips])
    known = np.isfinite(habit_NM).all(axis=1)
    both = [
        _Sample(np.hstack([own_NM, habit_NM])[known], np.repeat([1.0, HABIT], len(NAMES))),
        _Sample(habit_NM[known], np.ones(len(NAMES))),
    ]
    (own_AM, own_A), (alone_AM, alone_A) = (
        sample.units(truth_NA[known], fold_N[known]) for sample in both
    )
    return Units(
        neutral=neutral,
        own_weights=own_AM[:, : len(NAMES)],
        habit_weights=own_AM[:, len(NAMES) :],
        own_bias=own_A,
        alone_weights=alone_AM,
        alone_bias=alone_A,
    )


class _Sample:
    """Displacements of N faces, and how much each may count."""

    def __init__(self, moved_NM: Float64, worth_M: Float64) -> None:
        self._mean_M = moved_NM.mean(axis=0)
        self._scale_M = worth_M / np.maximum(moved_NM.std(axis=0), 1e-6)
        self._scaled_NM = (moved_NM - self._mean_M) * self._scale_M

    def units(
        self,
        truth_NA: Occurrence,
        fold_N: npt.NDArray[np.int64],
    ) -> tuple[Float64, Float64]:
        """(A, M) weights of the displacements as they come, and (A,) biases."""
        weights, biases = [], []
        for truth_N in truth_NA.T:
            weight_M, bias = self._unit(truth_N, fold_N)
            weight_M = weight_M * self._scale_M
            weights.append(weight_M)
            biases.append(bias - weight_M @ self._mean_M)
        return np.array(weights), np.array(biases)

    def _unit(
        self,
        truth_N: Occurrence,
        fold_N: npt.NDArray[np.int64],
    ) -> tuple[Float64, float]:
        told = truth_N >= 0
        if len(set(truth_N[told])) < 2:
            return np.zeros(len(self._mean_M)), np.nan
        unseen_N = np.full(len(truth_N), np.nan)
        for fold in sorted(set(fold_N)):
            rest = told & (fold_N != fold)
            if len(set(truth_N[rest])) == 2:
                weight_M, bias = _logistic(self._scaled_NM[rest], truth_N[rest])
                mine = told & (fold_N == fold)
                unseen_N[mine] = self._scaled_NM[mine] @ weight_M + bias
        judged = np.isfinite(unseen_N)
        weight_M, bias = _logistic(self._scaled_NM[told], truth_N[told])
        return weight_M, bias - best_threshold(truth_N[judged], unseen_N[judged])


def _logistic(moved_NM: Float64, truth_N: Occurrence) -> tuple[Float64, float]:
    from sklearn.linear_model import LogisticRegression

    unit = LogisticRegression(
        C=1.0 / (SHRINK * len(truth_N)), class_weight="balanced", max_iter=500
    ).fit(moved_NM, truth_N)
    return unit.coef_[0], float(unit.intercept_[0])


def _folds(clips: list[Measured]) -> dict[str, int]:
    """People -> which fold judges them; folds hold about as many faces each."""
    faces: dict[str, int] = {}
    for clip in clips:
        faces[clip.people] = faces.get(clip.people, 0) + len(clip.measures)
    held = [0] * min(FOLDS, len(faces))
    fold_of = {}
    for people in sorted(faces, key=lambda who: (-faces[who], who)):
        fold_of[people] = held.index(min(held))
        held[fold_of[people]] += faces[people]
    return fold_of


def _occurrence(score: npt.NDArray[np.float32]) -> Occurrence:
    return np.where(np.isnan(score), -1, score > 0).astype(np.int8)


def _claimed(found: Agreement) -> bool:
    return found.kappa >= MIN_KAPPA


def _newest(out: Path, name: str) -> str:
    """The lite backend of this file in OUT, or the embedded one."""
    path = out / f"{name}.safetensors"
    return f"lite:{path}" if path.is_file() else "lite"
