"""Frames in; boxes, five points and scores out. One file a backend, one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from facekit import backends
from facekit.weights import ModelFile


@dataclass(frozen=True, kw_only=True)
class Detections:
    """The faces found on one frame, best score first.

    Args:
        box_xyxy: (N, 4) float32, frame pixels.
        keypoints_xy: (N, 5, 2) float32, frame pixels: image-left eye, image-right eye, nose,
            image-left and image-right mouth corner; NaN where the model gives none.
        score: (N,) float32, 0..1.
    """

    box_xyxy: npt.NDArray[np.float32]
    keypoints_xy: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.score)


class Detector(Protocol):
    """A face detector: one call, frames in, detections out."""

    models: tuple[ModelFile, ...]
    """The model files in use."""

    device: str
    """`cpu` or `cuda`: where the model really runs."""

    min_score: float
    """The threshold in use."""

    def __call__(self, images_HWC: Sequence[npt.NDArray[np.uint8]]) -> list[Detections]:
        """Find the faces of each (H, W, 3) uint8 RGB frame; sizes may differ."""
        ...


BUILT_IN: Final = {
    "insightface": "facekit.detectors.insightface:InsightFaceDetector",
    "lite": "facekit.detectors.lite:LiteDetector",
    "retinaface": "facekit.detectors.retinaface:RetinaFaceDetector",
    "yunet": "facekit.detectors.yunet:YuNetDetector",
}
"""Name -> `module:class`. The class is called as `cls(model, device=..., min_score=...)`."""


def load(spec: str, *, device: str = "auto", min_score: float | None = None) -> Detector:
    """Make the detector that `NAME[:MODEL]` names.

    Args:
        spec: backend name, with a model name or file after a colon.
        device: `auto`, `cpu` or `cuda`.
        min_score: threshold on the score; None takes the backend's own.

    Raises:
        BadInput: no such backend.
        MissingWeights: the model file is not at hand and cannot be fetched.
        MissingDevice: `cuda` was asked for and the backend cannot use it at all.
    """
    made: Detector = backends.make("detector", spec, BUILT_IN, device=device, min_score=min_score)
    return made
