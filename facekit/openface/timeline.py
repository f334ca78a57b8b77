"""Raw predictions of a person's frames -> labels, with what the frames about them say.

A frame without the person counts as OpenFace's failed frames do: 0 to those about it.

Array names end in their axes: N frames with the person, A action units, T all frames in question.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

HIGHEST: Final = 5.0
INTENSITY_WINDOW: Final = 3
OCCURRENCE_WINDOW: Final = 7

_Float64 = npt.NDArray[np.float64]
_Bool = npt.NDArray[np.bool_]
_Frames = npt.NDArray[np.int64]


def clip(raw_NA: _Float64) -> _Float64:
    """Intensities of faces that stand by themselves: (N, A), 0..5."""
    return raw_NA.clip(0.0, HIGHEST)


def intensity(raw_NA: _Float64, frame_index: _Frames, frames: int, cutoff_A: _Float64) -> _Float64:
    """Intensities over time.

    Each action unit with a cutoff is moved so that this share of the frames is at most 0; what
    is beyond 0..5 is cut; then each frame becomes the mean of itself and its two neighbours.

    Args:
        raw_NA: what the regressors say.
        frame_index: (N,) rising.
        frames: number of frames of the video, above the last index.
        cutoff_A: share of frames taken for neutral, -1 for none.

    Returns:
        (N, A), 0..5.

    >>> raw = np.array([[1.0], [2.0], [6.0], [7.0]])
    >>> intensity(raw, np.array([0, 1, 2, 4]), 6, np.array([-1.0])).ravel().round(2).tolist()
    [1.0, 2.67, 2.33, 1.67]
    """
    offset_A = np.zeros(raw_NA.shape[1])
    ordered_NA = np.sort(raw_NA, axis=0)
    for column in np.flatnonzero(cutoff_A != -1.0):
        offset_A[column] = ordered_NA[int(len(raw_NA) * cutoff_A[column]), column]
    timeline = _Timeline(frame_index, frames, INTENSITY_WINDOW)
    sums_NA, whole_N = timeline.sums(clip(raw_NA - offset_A))
    return np.where(whole_N[:, None], sums_NA / INTENSITY_WINDOW, clip(raw_NA - offset_A))


def occurrence(raw_NA: _Bool, frame_index: _Frames, frames: int) -> _Bool:
    """Occurrences over time: what at least 4 of the 7 frames about a frame say.

    Args:
        raw_NA: what the classifiers say.
        frame_index: (N,) rising.
        frames: number of frames of the video, above the last index.

    Returns:
        (N, A); the first and last three frames of the video keep what they have.

    >>> says = np.array([[True], [False], [True], [True], [True]])
    >>> occurrence(says, np.arange(3, 8), 12).ravel().tolist()
    [False, True, True, True, False]
    """
    timeline = _Timeline(frame_index, frames, OCCURRENCE_WINDOW)
    sums_NA, whole_N = timeline.sums(raw_NA.astype(np.float64))
    return np.where(whole_N[:, None], 2 * sums_NA >= OCCURRENCE_WINDOW, raw_NA)


class _Timeline:
    """The frames about those of a person."""

    def __init__(self, frame_index: _Frames, frames: int, window: int) -> None:
        self._window = window
        self._reach = window // 2
        self._at_N = frame_index - frame_index[0] + self._reach
        inner = (frame_index >= self._reach) & (frame_index < frames - self._reach)
        self._whole_N = inner

    def sums(self, values_NA: _Float64) -> tuple[_Float64, _Bool]:
        """Sums over the window about each frame, and whether the video has all of the window."""
        values_TA = np.zeros((self._at_N[-1] + self._reach + 1, values_NA.shape[1]))
        values_TA[self._at_N] = values_NA
        sums_NA = np.zeros_like(values_NA)
        for step in range(-self._reach, self._reach + 1):
            sums_NA += values_TA[self._at_N + step]
        return sums_NA, self._whole_N
