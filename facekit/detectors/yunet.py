"""Faces by YuNet, the small detector that OpenCV runs itself."""

import logging
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facekit import devices, weights
from facekit.detectors import Detections
from facekit.detectors.scaling import detections, shrunk_bgr
from facekit.errors import BadWeights

log = logging.getLogger(__name__)

LONGEST_PX: Final = 640
"""Longer side of what the model sees; larger frames are shrunk. It was trained at this size and
misses faces of more than about 300 px."""


class YuNetDetector:
    """YuNet through `cv2.FaceDetectorYN`, one frame at a time, on the CPU.

    The five points come in facekit's own order; OpenCV calls the first the right eye, as it is the
    person's right. Overlapping boxes are thinned out by OpenCV, at an overlap of 0.3.

    Args:
        model: a name in `facekit.catalogue.KNOWN` or the path of an ONNX file; None takes
            `yunet_2023mar`.
        device: `auto`, `cpu` or `cuda`; OpenCV's wheels have no CUDA, so `cuda` warns.
        min_score: threshold on the score; None takes 0.8, as the model also fires on vases at 0.7.

    Raises:
        BadWeights: the file is no YuNet model.
        MissingWeights: the file is not at hand and cannot be fetched.

    Source: Wu, Peng, Yu, YuNet: A Tiny Millisecond-level Face Detector, MIR 2023.
    """

    def __init__(
        self, model: str | None = None, *, device: str = "auto", min_score: float | None = None
    ) -> None:
        self.min_score = 0.8 if min_score is None else min_score
        self.models = (weights.find(model or "yunet_2023mar"),)
        self.device: str = devices.cpu_only("yunet", device)
        self._yunet = _yunet(self.models[0], self.min_score)

    def __call__(self, images_HWC: Sequence[npt.NDArray[np.uint8]]) -> list[Detections]:
        """Find the faces of each (H, W, 3) uint8 RGB frame; sizes may differ."""
        return [self._detect(image_HWC) for image_HWC in images_HWC]

    def _detect(self, image_HWC: npt.NDArray[np.uint8]) -> Detections:
        bgr_HWC, scale_xy = shrunk_bgr(image_HWC, LONGEST_PX)
        self._yunet.setInputSize(bgr_HWC.shape[1::-1])
        rows = self._yunet.detect(bgr_HWC)[1]
        if rows is None:
            rows = np.empty((0, 15), np.float32)
        box_xyxy = np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
        return detections(box_xyxy, rows[:, 14], rows[:, 4:14], scale_xy=scale_xy)


def _yunet(model: weights.ModelFile, min_score: float) -> Any:
    """OpenCV's detector, tried on a black square: it opens any ONNX file and fails on use."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        made = cv2.FaceDetectorYN.create(str(model.path), "", (64, 64), min_score)
        made.detect(np.zeros((64, 64, 3), np.uint8))
    except cv2.error as error:
        raise BadWeights(f"{model.path} is no YuNet model that OpenCV can run") from error
    finally:
        cv2.utils.logging.setLogLevel(level)
    return made
