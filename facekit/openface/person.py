"""One person through a video: scores while it runs, labels when it ends.

A frame leaves behind 35 scores, and every other one its votes for the median. The models are
linear, so what the median takes off every score is known without the frame's description.
"""

from array import array
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.openface import timeline
from facekit.openface.medians import RunningMedian, clipped
from facekit.openface.model_files import FEATURES
from facekit.openface.predictors import MODELS, LinearModels, intensities

LOOKED_AT_TWICE: Final = 3000
"""Frames with the person that are scored again with the median of the whole video."""

_Float64 = npt.NDArray[np.float64]


class Person:
    """The frames of one person, in order.

    Args:
        models: what the scores come from.
        dynamic: whether the median of the person is taken off.
    """

    def __init__(self, models: LinearModels, *, dynamic: bool) -> None:
        self.rows = array("q")
        """The number of each of the person's faces among all of the video."""

        self.frames = array("q")
        """The frame of each."""

        self._models = models
        self._dynamic = dynamic
        self._scores = array("d")
        self._median = RunningMedian()
        self._only: tuple[int, _Float64] | None = None
        self._share_K: _Float64 | None = None

    @staticmethod
    def votes_on(frame_index: int) -> bool:
        """Whether descriptions of this frame count towards medians: every other frame's do."""
        return frame_index % 2 == 0

    def add(
        self,
        row: int,
        frame_index: int,
        scores_K: _Float64,
        description: _Float64,
        vote: npt.NDArray[np.int16],
    ) -> None:
        """Take the next frame.

        Args:
            row: number of the face.
            frame_index: above that of the last one.
            scores_K: (35,), as if the median were 0.
            description: (4702,).
            vote: (4702,), its bins.
        """
        if self._dynamic and self.votes_on(frame_index):
            self._median.add(vote)
            self._only = (frame_index, description.copy()) if self._median.votes == 1 else None
            self._share_K = None
        if self._dynamic and len(self.rows) >= LOOKED_AT_TWICE:
            self._median.count()
            scores_K = scores_K - self._taken_off(frame_index)
        self.rows.append(row)
        self.frames.append(frame_index)
        self._scores.frombytes(scores_K.tobytes())

    def end(self, last_frame: int) -> None:
        """Score again what is to be scored again; no frame can follow.

        Args:
            last_frame: index of the last frame that was looked at.
        """
        if self._dynamic:
            twice = self._scored()[:LOOKED_AT_TWICE]
            twice -= self._taken_off(last_frame)
            self._dynamic = False
        self._median = RunningMedian()
        self._only = self._share_K = None

    def labels(self, frames: int) -> tuple[npt.NDArray[np.bool_], _Float64, _Float64]:
        """What is to be said of each frame, after `end`.

        Args:
            frames: number of frames of the video.

        Returns:
            Occurrence (N, 18), intensity (N, 17) and the classifiers' values (N, 18).
        """
        scores_NK = self._scored()
        frame_index = np.array(self.frames, np.int64)
        return (
            timeline.occurrence(self._models.occurs(scores_NK), frame_index, frames),
            timeline.intensity(intensities(scores_NK), frame_index, frames, self._models.cutoff_A),
            self._models.decisions(scores_NK),
        )

    def _scored(self) -> _Float64:
        return np.frombuffer(self._scores, np.float64).reshape(-1, MODELS)

    def _taken_off(self, frame_index: int) -> _Float64:
        """What the median takes off each score on this frame."""
        if self._median.votes == 1:
            return self._models.median_share(self._only_median(frame_index))
        if self._share_K is None:
            self._share_K = self._models.median_share(self._median.value())
        return self._share_K

    def _only_median(self, frame_index: int) -> _Float64:
        """With one vote, OpenFace's median is that description, and 0 after a failed frame."""
        assert self._only is not None
        voted_on, description = self._only
        return clipped(description) if frame_index - voted_on < 2 else np.zeros(FEATURES)
