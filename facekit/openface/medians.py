"""How a person usually looks: the running median of descriptions, from OpenFace's histograms.

Memory does not grow with the video: one count for each bin of each of the 4,702 numbers, 27 MB a
person, and only for who is seen for long; before that, two bytes for each number of each vote.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from facekit.openface.model_files import FEATURES, GEOMETRY_SIZE, HOG_SIZE

HOG_BINS: Final = 1000
HOG_RANGE: Final = (-0.005, 1.0)
GEOMETRY_BINS: Final = 10_000
GEOMETRY_RANGE: Final = (-60.0, 60.0)

FEW_VOTES: Final = 1024
"""Votes that are kept one by one; more are only counted."""

_NEAR: Final = 6
"""Bins that a median moves one by one; farther ones are looked for."""

_Float64 = npt.NDArray[np.float64]
_Bins = npt.NDArray[np.int16]


def _per_feature(hog: float, geometry: float) -> _Float64:
    return np.repeat([hog, geometry], [HOG_SIZE, GEOMETRY_SIZE])


_BINS: Final = _per_feature(HOG_BINS, GEOMETRY_BINS).astype(np.int64)
_LOW: Final = _per_feature(HOG_RANGE[0], GEOMETRY_RANGE[0])
_SPAN: Final = _per_feature(HOG_RANGE[1], GEOMETRY_RANGE[1]) - _LOW
_FIRST_BIN: Final = np.concatenate([[0], np.cumsum(_BINS)[:-1]])
_ALL_BINS: Final = int(_BINS.sum())


def bins(description_NF: torch.Tensor) -> _Bins:
    """The bin of each number of descriptions.

    Args:
        description_NF: (N, F) float64, F at least 4702; what follows is not looked at.

    Returns:
        (N, 4702) int16.
    """
    values = description_NF[:, :FEATURES]
    low, span, count = (torch.from_numpy(x).to(values) for x in (_LOW, _SPAN, _BINS))
    place = ((values - low) * count / span).trunc().clamp(min=0.0)
    found: _Bins = torch.minimum(place, count - 1).to(torch.int16).cpu().numpy()
    return found


class RunningMedian:
    """Medians of all numbers of a person's descriptions, to the width of a bin.

    >>> median = RunningMedian()
    >>> for hog in (100, 300, 200):
    ...     median.add(np.full(4702, hog, np.int16))
    >>> median.votes, float(median.value()[0].round(4))
    (3, 0.1965)
    """

    def __init__(self) -> None:
        self.votes = 0
        """How many descriptions were added."""

        self._few: list[_Bins] = []
        self._counts: npt.NDArray[np.int32] | None = None
        self._bin = np.zeros(FEATURES, np.int64)
        self._below = np.zeros(FEATURES, np.int64)

    def add(self, vote: _Bins) -> None:
        """Count one description, (4702,) int16, its bins as `bins` gives them."""
        self.votes += 1
        if self._counts is not None:
            self._counts[_FIRST_BIN + vote] += 1
            self._below += vote < self._bin
            return
        self._few.append(vote.copy())
        if len(self._few) > FEW_VOTES:
            self.count()

    def count(self) -> None:
        """From now on keep counts, so that each further vote and value take little time."""
        if self._counts is not None:
            return
        counts = np.zeros(_ALL_BINS, np.int32)
        for vote in self._few:
            counts[_FIRST_BIN + vote] += 1
        if self._few:
            self._bin = self._middle()
            self._below = sum(
                ((vote < self._bin).astype(np.int64) for vote in self._few),
                np.zeros(FEATURES, np.int64),
            )
        self._few = []
        self._counts = counts

    def value(self) -> _Float64:
        """The middles of the bins in which the medians lie, of the first bins without votes.

        (4702,) float64; a median below 0 of the HOG part counts as 0.
        """
        if self._counts is None:
            self._bin = self._middle()
        elif self.votes:
            self._move(self._counts)
        return clipped(_LOW + (self._bin + 0.5) * (_SPAN / _BINS))

    def _middle(self) -> npt.NDArray[np.int64]:
        if not self._few:
            return np.zeros(FEATURES, np.int64)
        rank = (self.votes + 1) // 2 - 1
        votes = np.stack(self._few)
        middle: npt.NDArray[np.int64] = np.partition(votes, rank, axis=0)[rank].astype(np.int64)
        return middle

    def _move(self, counts: npt.NDArray[np.int32]) -> None:
        """Move each median to the first bin up to which half of the votes lie."""
        half = (self.votes + 1) // 2
        for _ in range(_NEAR):
            here = counts[_FIRST_BIN + self._bin]
            down, up = self._below >= half, self._below + here < half
            if not (down | up).any():
                return
            self._below[up] += here[up]
            self._bin += up
            self._bin -= down
            self._below[down] -= counts[_FIRST_BIN[down] + self._bin[down]]
        here = counts[_FIRST_BIN + self._bin]
        for feature in np.flatnonzero((self._below >= half) | (self._below + here < half)):
            first = _FIRST_BIN[feature]
            up_to = np.cumsum(counts[first : first + _BINS[feature]])
            place = int(np.searchsorted(up_to, half))
            self._bin[feature] = place
            self._below[feature] = up_to[place - 1] if place else 0


def clipped(median: _Float64) -> _Float64:
    """The median with what is below 0 of its HOG part set to 0."""
    median = median.copy()
    np.maximum(median[:HOG_SIZE], 0.0, out=median[:HOG_SIZE])
    return median
