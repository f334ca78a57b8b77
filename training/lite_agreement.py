"""How well occurrences agree with a reference, over many clips at once."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facekit.openface_files import AU_NAMES
from training.lite_clips import Measured

Occurrence = npt.NDArray[np.int8]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement on one action unit, all faces in one table.

    Args:
        kappa: Cohen's kappa: 0 for chance, 1 for full agreement.
        f1: of occurrence.
        base_rate: share of faces on which the reference sees it.
        faces: on which both say something.
    """

    kappa: float
    f1: float
    base_rate: float
    faces: int

    def as_json(self) -> dict[str, float]:
        """Plain values, rounded to what they are worth."""
        return {name: round(value, 3) for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def of(cls, truth: Occurrence, found: Occurrence) -> "Agreement":
        """Compare two labels of the same faces.

        Args:
            truth: (N,) the reference: 0, 1, -1 unknown.
            found: (N,) likewise.

        >>> Agreement.of(np.array([0, 0, 1, 1, -1], np.int8), np.array([0, 1, 1, 1, 1], np.int8))
        Agreement(kappa=0.5, f1=0.8, base_rate=0.5, faces=4)
        """
        both = (truth >= 0) & (found >= 0)
        wanted, got = truth[both] == 1, found[both] == 1
        if not both.any():
            return cls(kappa=0.0, f1=0.0, base_rate=0.0, faces=0)
        agreed = np.count_nonzero(wanted & got)
        chance = wanted.mean() * got.mean() + (1 - wanted.mean()) * (1 - got.mean())
        seen = (wanted == got).mean()
        return cls(
            kappa=float((seen - chance) / (1 - chance)) if chance < 1 else 0.0,
            f1=float(2 * agreed / max(wanted.sum() + got.sum(), 1)),
            base_rate=float(wanted.mean()),
            faces=int(both.sum()),
        )


def agreement(clips: Sequence[Measured], found: Sequence[Occurrence]) -> dict[str, Agreement]:
    """Name of an action unit -> agreement on it.

    Args:
        clips: with the reference's labels.
        found: (N, A) labels of each clip.
    """
    truth_NA = np.concatenate([clip.occurrence for clip in clips])
    found_NA = np.concatenate(list(found))
    return {name: Agreement.of(truth_NA[:, k], found_NA[:, k]) for k, name in enumerate(AU_NAMES)}


def best_threshold(truth: Occurrence, score: npt.NDArray[np.float64]) -> float:
    """The threshold above which scores agree with the reference best, by kappa.

    Args:
        truth: (N,) 0 or 1.
        score: (N,) decision values.

    >>> best_threshold(np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.4, 0.6, 0.9]))
    0.5
    """
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])  # with the k + 1 highest taken for occurrences
    faces, present = len(truth), truth.sum()
    taken = np.arange(1, faces + 1)
    agreed = (hits + (faces - present) - (taken - hits)) / faces
    chance = (taken * present + (faces - taken) * (faces - present)) / faces**2
    # both are 1 only where nothing is left to agree on
    kappa = (agreed - chance) / np.maximum(1 - chance, np.finfo(float).eps)
    parts = score[order[:-1]] > score[order[1:]]  # no threshold lies between equal scores
    best = int(np.argmax(np.where(parts, kappa[:-1], -np.inf)))
    return float(score[order[best]] + score[order[best + 1]]) / 2
