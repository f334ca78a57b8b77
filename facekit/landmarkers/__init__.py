"""Faces in; 68 points out, sub-pixel, in frame pixels. One file a backend, one protocol."""

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from facekit import backends
from facekit.faces import Face
from facekit.weights import ModelFile


class Landmarker(Protocol):
    """A 68-point landmarker: one call, faces in, points out.

    One that reads files beside the videos also has `source_sha256(video) -> str`: the sha256 of the
    file it has read for a video, empty if none; the shard records it.
    """

    models: tuple[ModelFile, ...]
    """The model files in use; empty for a backend without any."""

    device: str
    """`cpu` or `cuda`: where the model really runs."""

    def __call__(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        """(N, 68, 2) float32, frame pixels, iBUG order; NaN where there is no answer."""
        ...


@runtime_checkable
class FollowingLandmarker(Landmarker, Protocol):
    """A landmarker that can start from where the points of a face were one frame before."""

    def follow(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        """As a call of the landmarker, of faces whose points and boxes are the last frame's."""
        ...


BUILT_IN: Final = {
    "lite": "facekit.landmarkers.lite:LiteLandmarker",
    "fan": "facekit.landmarkers.fan:FanLandmarker",
    "mobilefacenet": "facekit.landmarkers.mobilefacenet:MobileFaceNetLandmarker",
    "pfld": "facekit.landmarkers.pfld:PfldLandmarker",
    "openface-csv": "facekit.landmarkers.openface_csv:OpenFaceCsvLandmarker",
}
"""Name -> `module:class`. The class is called as `cls(model, device=...)`."""


def load(spec: str, *, device: str = "auto") -> Landmarker:
    """Make the landmarker that `NAME[:MODEL]` names.

    Args:
        spec: backend name, with a model name or file after a colon.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        BadInput: no such backend.
        MissingWeights: the model file is not at hand and cannot be fetched.
        MissingDevice: `cuda` was asked for and the backend cannot use it at all.

    >>> load("openface-csv")([]).shape
    (0, 68, 2)
    """
    made: Landmarker = backends.make("landmarker", spec, BUILT_IN, device=device)
    return made
