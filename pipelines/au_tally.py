"""How far two sources agree on action units, counted video by video.

Letters in shapes: N faces that are the same in A and in B, A action units. B is the reference.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_Intensity = npt.NDArray[np.floating[Any]]

BOTH, ONLY_A, ONLY_B, NEITHER = range(4)
"""Rows of a confusion: where the action unit occurs."""

_SUMS: Final = ("gap", "a", "b", "aa", "bb", "ab")


class AuTally:
    """Counts and sums over the faces so far; nothing of a face is kept.

    Args:
        au_count: A.

    Attributes:
        confusion_4A: (4, A) int64, faces labelled on both sides, by `BOTH` to `NEITHER`.
        unknown_a_A: (A,) int64, faces whose occurrence A does not know.
        unknown_b_A: (A,) int64, the same of B.
        clips_A: (A,) int64, videos in which Cohen's kappa is defined.
        intensities_A: (A,) int64, faces with an intensity on both sides.

    >>> tally = AuTally(1)
    >>> tally.add(np.array([[1], [0], [1], [-1]]), np.array([[1], [0], [0], [1]]),
    ...           np.array([[2.0], [0], [1], [3]]), np.array([[2.5], [0], [0], [np.nan]]))
    >>> tally.confusion_4A[:, 0].tolist(), tally.unknown_a_A.tolist(), tally.mae().tolist()
    ([1, 1, 0, 1], [1], [0.5])
    """

    def __init__(self, au_count: int) -> None:
        self.confusion_4A: Counts = np.zeros((4, au_count), np.int64)
        self.unknown_a_A: Counts = np.zeros(au_count, np.int64)
        self.unknown_b_A: Counts = np.zeros(au_count, np.int64)
        self.clips_A: Counts = np.zeros(au_count, np.int64)
        self.intensities_A: Counts = np.zeros(au_count, np.int64)
        self._clip_kappas_A = np.zeros(au_count)
        self._sums = {name: np.zeros(au_count) for name in _SUMS}
        self._origin_2A = np.full((2, au_count), np.nan)

    def add(
        self,
        occurrence_a_NA: npt.NDArray[np.integer[Any]],
        occurrence_b_NA: npt.NDArray[np.integer[Any]],
        intensity_a_NA: _Intensity,
        intensity_b_NA: _Intensity,
    ) -> None:
        """Count one video, whole: it is one term of the mean over clips.

        Args:
            occurrence_a_NA: 0, 1, -1 where unknown.
            occurrence_b_NA: the same of the reference.
            intensity_a_NA: 0..5, NaN where there is none.
            intensity_b_NA: the same of the reference.
        """
        confusion_4A = confusion(occurrence_a_NA, occurrence_b_NA)
        self.confusion_4A += confusion_4A
        self.unknown_a_A += (occurrence_a_NA < 0).sum(axis=0)
        self.unknown_b_A += (occurrence_b_NA < 0).sum(axis=0)
        kappa_A = kappa(confusion_4A)
        self.clips_A += np.isfinite(kappa_A)
        self._clip_kappas_A += np.nan_to_num(kappa_A)
        self._add_intensities(intensity_a_NA.astype(np.float64), intensity_b_NA.astype(np.float64))

    def _add_intensities(self, a_NA: Floats, b_NA: Floats) -> None:
        known_NA = np.isfinite(a_NA) & np.isfinite(b_NA)
        self.intensities_A += known_NA.sum(axis=0)
        self._place_origin(a_NA, b_NA, known_NA)
        gaps_NA = np.abs(_difference(a_NA, b_NA, known_NA))
        x_NA = _difference(a_NA, self._origin_2A[0], known_NA)
        y_NA = _difference(b_NA, self._origin_2A[1], known_NA)
        products = {"aa": x_NA * x_NA, "bb": y_NA * y_NA, "ab": x_NA * y_NA}
        for name, values_NA in {"gap": gaps_NA, "a": x_NA, "b": y_NA, **products}.items():
            self._sums[name] += values_NA.sum(axis=0)

    def _place_origin(self, a_NA: Floats, b_NA: Floats, known_NA: npt.NDArray[np.bool_]) -> None:
        """Count from the first value: one that never changes then has a variance of exactly 0."""
        new = np.flatnonzero(np.isnan(self._origin_2A[0]) & known_NA.any(axis=0))
        if len(new):
            first = known_NA[:, new].argmax(axis=0)
            self._origin_2A[:, new] = a_NA[first, new], b_NA[first, new]

    def clip_kappa(self) -> Floats:
        """(A,) mean of the videos' own kappas where they are defined; NaN where none is."""
        return _over(self._clip_kappas_A, self.clips_A)

    def mae(self) -> Floats:
        """(A,) mean absolute difference of the intensities; NaN without any."""
        return _over(self._sums["gap"], self.intensities_A)

    def pearson(self) -> Floats:
        """(A,) correlation of the intensities; NaN where a side does not vary."""
        var_a_A, var_b_A, covariance_A = self._moments()
        return _over(covariance_A, np.sqrt(var_a_A * var_b_A))

    def icc(self) -> Floats:
        """(A,) intraclass correlation ICC(3,1) of the intensities; NaN where neither side varies.

        Consistency of two fixed raters (Shrout and Fleiss, 1979, Psychological Bulletin 86), by
        which intensities of action units are usually judged. For two raters it is
        `2 cov(a, b) / (var a + var b)`: a constant offset costs nothing, another scale does.
        """
        var_a_A, var_b_A, covariance_A = self._moments()
        return _over(2.0 * covariance_A, var_a_A + var_b_A)

    def _moments(self) -> tuple[Floats, Floats, Floats]:
        """Variances of A and B and their covariance, each times the square of the count."""
        n_A, s = self.intensities_A, self._sums
        return (
            np.maximum(n_A * s["aa"] - s["a"] ** 2, 0.0),
            np.maximum(n_A * s["bb"] - s["b"] ** 2, 0.0),
            n_A * s["ab"] - s["a"] * s["b"],
        )


def confusion(
    occurrence_a_NA: npt.NDArray[np.integer[Any]], occurrence_b_NA: npt.NDArray[np.integer[Any]]
) -> Counts:
    """(4, A) int64, how many faces of each kind; those unknown on either side are of none.

    >>> confusion(np.array([[1], [1], [0], [-1]]), np.array([[1], [0], [0], [0]]))[:, 0].tolist()
    [1, 1, 0, 1]
    """
    pairs = ((1, 1), (1, 0), (0, 1), (0, 0))
    kinds = [(occurrence_a_NA == a) & (occurrence_b_NA == b) for a, b in pairs]
    return np.array([kind.sum(axis=0) for kind in kinds], np.int64)


def agreement(confusion_4A: Counts) -> Floats:
    """Share of faces with the same label; NaN without faces.

    Args:
        confusion_4A: (4, ...) as `confusion` gives it.
    """
    return _over(confusion_4A[BOTH] + confusion_4A[NEITHER], confusion_4A.sum(axis=0))


def kappa(confusion_4A: Counts) -> Floats:
    """Cohen's kappa; NaN where both sides say the same of every face, or there is none.

    Agreement beyond chance (Cohen, 1960), which tells nothing then: chance alone would give 1.

    Args:
        confusion_4A: (4, ...) as `confusion` gives it.

    >>> kappa(np.array([[20, 0], [5, 0], [10, 0], [15, 50]])).tolist()
    [0.4, nan]
    """
    both, only_a, only_b, neither = confusion_4A.astype(np.float64)
    chance = (both + only_a) * (only_a + neither) + (both + only_b) * (only_b + neither)
    return _over(2.0 * (both * neither - only_a * only_b), chance)


def f1(confusion_4A: Counts) -> Floats:
    """F1 of A with B as the reference; NaN where the action unit occurs on neither side.

    Args:
        confusion_4A: (4, ...) as `confusion` gives it.

    >>> f1(np.array([[20, 0], [5, 0], [10, 0], [15, 50]])).round(3).tolist()
    [0.727, nan]
    """
    both, only_a, only_b, _ = confusion_4A
    return _over(2 * both, 2 * both + only_a + only_b)


def _difference(one_NA: Floats, other: Floats, where_NA: npt.NDArray[np.bool_]) -> Floats:
    """One less the other, 0 elsewhere."""
    return np.subtract(one_NA, other, out=np.zeros_like(one_NA), where=where_NA)


def _over(
    numerator: npt.NDArray[np.number[Any]], denominator: npt.NDArray[np.number[Any]]
) -> Floats:
    """Quotients, NaN where the denominator is 0."""
    quotient: Floats = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=np.not_equal(denominator, 0))
    return quotient
