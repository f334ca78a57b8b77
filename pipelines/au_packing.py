"""Counts packed as rows of numbers that can be added up by group, and what is computed of them.

Counts are added as whole numbers below 2**53, exact in any order, also by a matrix product. What is
computed of them are single operations in a fixed order, so it rounds alike on every machine.

Letters in shapes: A action units, G identity groups, B replicates, K counts in packed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.au_counts import AUCounts

Float = npt.NDArray[np.float64]


class Packing:
    """Counts of a video or a group as one row of numbers, and quantities of such rows.

    Args:
        counts: of all videos; AUs without any label are left out.
    """

    def __init__(self, counts: AUCounts) -> None:
        used = np.flatnonzero(counts.labelled())
        self.au_names = tuple(counts.au_names[i] for i in used)
        self.aus = len(used)
        self._row_of = {video.key: row for row, video in enumerate(counts.videos)}
        self._upper = np.triu_indices(self.aus)
        self._counts = counts
        self._used = used
        # Engines that label all of their AUs or none, which is most, need half the numbers.
        self._is_whole = all(
            (counts.given_VAA[:, i][:, used] == counts.both_VAA[:, i, i, None]).all() for i in used
        )

    def faces(self, keys: Sequence[str]) -> int:
        """Labelled faces in these videos."""
        return int(self._counts.faces_V[[self._row_of[key] for key in keys]].sum())

    def packed(self, keys: Sequence[str], group_of: Sequence[int], groups: int) -> Float:
        """(G, K) the counts of these videos, added up by group."""
        made_GK = np.zeros((groups, self._width()))
        for key, group in zip(keys, group_of, strict=True):
            made_GK[group] += self._row(self._row_of[key])
        return made_GK

    def _width(self) -> int:
        return len(self._upper[0]) + self.aus + (0 if self._is_whole else self.aus**2)

    def _row(self, video: int) -> Float:
        used = self._used
        both_AA = self._counts.both_VAA[video][used[:, None], used]
        parts = [both_AA[self._upper], self._counts.known_VA[video][used]]
        if not self._is_whole:
            parts.append(self._counts.given_VAA[video][used[:, None], used].ravel())
        return np.concatenate(parts).astype(np.float64)

    def unpacked(self, sums_BK: Float) -> tuple[Float, Float, Float]:
        """(B, A, A) both, (B, A, A) given, (B, A) known."""
        pairs, aus = len(self._upper[0]), self.aus
        both_BAA = np.zeros((len(sums_BK), aus, aus))
        rows, columns = self._upper
        both_BAA[:, rows, columns] = both_BAA[:, columns, rows] = sums_BK[:, :pairs]
        occurs_BA = both_BAA[:, range(aus), range(aus)]
        given_BAA = np.broadcast_to(occurs_BA[:, :, None], both_BAA.shape)
        if not self._is_whole:
            given_BAA = sums_BK[:, pairs + aus :].reshape(both_BAA.shape)
        return both_BAA, given_BAA, sums_BK[:, pairs : pairs + aus]

    def quantities(self, sums_BK: Float) -> "Quantities":
        """C, A and the rate of each row of counts."""
        both_BAA, given_BAA, known_BA = self.unpacked(sums_BK)
        correlation_BAA = ratio(both_BAA, given_BAA)
        occurs_BA = both_BAA[:, range(self.aus), range(self.aus)]
        return Quantities(
            correlation_BAA=correlation_BAA,
            average_BA=added(correlation_BAA) / self.aus,
            rate_BA=ratio(occurs_BA, known_BA),
        )


@dataclass(frozen=True, kw_only=True)
class Quantities:
    """What is computed of counts.

    Args:
        correlation_BAA: C_ij.
        average_BA: A_i.
        rate_BA: share of faces on which AU i occurs.
    """

    correlation_BAA: Float
    average_BA: Float
    rate_BA: Float


def added(values: Float) -> Float:
    """The sum over the last axis, term by term in order, so that it rounds alike everywhere."""
    total = np.zeros(values.shape[:-1])
    for i in range(values.shape[-1]):
        total = total + values[..., i]
    return total


def ratio(part: Any, whole: Any) -> Float:
    """A ratio of counts; NaN where there is nothing to count."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.divide(part, whole, dtype=np.float64))
