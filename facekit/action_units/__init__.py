"""Faces and their points in; occurrence and intensity out. One file a backend, one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from facekit import backends
from facekit.faces import Face
from facekit.weights import ModelFile


@dataclass(frozen=True, kw_only=True)
class AULabels:
    """Labels of N faces over the A action units of a backend.

    Args:
        occurrence: (N, A) int8: 0, 1, and -1 where unknown.
        intensity: (N, A) float32, 0..5, NaN where unknown.
        score: (N, A) float32, the backend's raw decision value, NaN where it has none.
    """

    occurrence: npt.NDArray[np.int8]
    intensity: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]

    @classmethod
    def unknown(cls, faces: int, action_units: int) -> "AULabels":
        """Labels that say nothing: -1 and NaN.

        >>> AULabels.unknown(1, 2).occurrence.tolist()
        [[-1, -1]]
        """
        nan = np.full((faces, action_units), np.nan, np.float32)
        return cls(
            occurrence=np.full((faces, action_units), -1, np.int8), intensity=nan, score=nan.copy()
        )


class ActionUnits(Protocol):
    """An AU engine: faces with points in, labels out, video by video.

    One that reads files beside the videos also has `source_sha256(video) -> str`: the sha256 of the
    file it has read for a video, empty if none; the shard records it.
    """

    models: tuple[ModelFile, ...]
    """The model files in use; empty for a backend without any."""

    device: str
    """`cpu` or `cuda`: where the model really runs."""

    au_names: tuple[str, ...]
    """One name a column of the labels, such as `AU01`."""

    mode: str
    """`dynamic`, `static`, `geometric`, `imported` or `none`; see `schema.Provenance`."""

    def __call__(self, faces: Sequence[Face]) -> AULabels:
        """Label these faces; a video comes in one or more calls, in order of frame."""
        ...

    def finish(self) -> AULabels | None:
        """End the video.

        Returns:
            Labels of every face since the last `finish`, in call order, where the engine needs
            the whole video to be sure of them; None where what it returned before stands.
        """
        ...


@runtime_checkable
class OverTime(ActionUnits, Protocol):
    """An AU engine whose labels of a frame can lean on the frames about it."""

    consecutive: bool
    """Whether every frame of a video is looked at; set once, before the first face, and with it
    `mode` is settled. False until then."""

    def finish(self, frames: int | None = None) -> AULabels | None:
        """End the video, which has this many frames: a face may have been gone on the last."""
        ...


@runtime_checkable
class OfPoints(ActionUnits, Protocol):
    """An AU engine that takes one landmarker's points otherwise than another's."""

    def points_come_from(self, landmarker: Sequence[ModelFile]) -> None:
        """Be told the model files of the landmarker; called once, before the first face."""
        ...


BUILT_IN: Final = {
    "lite": "facekit.action_units.lite:LiteActionUnits",
    "none": "facekit.action_units.none:NoActionUnits",
    "openface": "facekit.action_units.openface:OpenFaceActionUnits",
    "openface-csv": "facekit.action_units.openface_csv:OpenFaceCsv",
    "pyfeat": "facekit.action_units.pyfeat:PyFeatActionUnits",
}
"""Name -> `module:class`. The class is called as `cls(model, device=...)`."""


def load(spec: str, *, device: str = "auto") -> ActionUnits:
    """Make the AU engine that `NAME[:PATH]` names.

    Args:
        spec: backend name, with a model name, file or folder after a colon.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        BadInput: no such backend.
        MissingWeights: the model file is not at hand and cannot be fetched.
        MissingDevice: `cuda` was asked for and the backend cannot use it at all.

    >>> load("none").mode
    'none'
    """
    made: ActionUnits = backends.make("action_units", spec, BUILT_IN, device=device)
    return made
