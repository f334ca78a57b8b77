"""Faces by insightface's SCRFD detectors: the one of a model pack, or any one ONNX file."""

import logging
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facekit import devices, weights
from facekit.detectors import Detections
from facekit.detectors.scaling import detections, none_found
from facekit.errors import BadWeights

log = logging.getLogger(__name__)

INPUT_WH: Final = (640, 640)
"""What the model sees: the frame, scaled to fit, the rest black. Never the library's own choice."""

_OUTPUTS: Final = (6, 9, 10, 15)
"""Scores and boxes, or scores, boxes and points, at three or at five strides."""


class InsightFaceDetector:
    """SCRFD through the insightface package, one frame at a time: the library has no batches.

    The five points come in facekit's own order. Overlapping boxes are thinned out by the library,
    at an overlap of 0.4.

    Args:
        model: a name in `facekit.catalogue.KNOWN` or the path of an ONNX file; None takes the
            detector of the pack `buffalo_l`.
        device: `auto`, `cpu` or `cuda`.
        min_score: threshold on the score; None takes 0.5.

    Raises:
        BadWeights: the file is no SCRFD model; an old RetinaFace export with three outputs is none.
        MissingWeights: the file is not at hand and cannot be fetched.

    Source: Guo et al., Sample and Computation Redistribution for Efficient Face Detection,
    ICLR 2022.
    """

    def __init__(
        self, model: str | None = None, *, device: str = "auto", min_score: float | None = None
    ) -> None:
        self.min_score = 0.5 if min_score is None else min_score
        self.models = (weights.find(model or "buffalo_l"),)
        session = devices.onnx_session(self.models[0].path, device)
        self.device: str = devices.session_device(session)
        self._scrfd = _scrfd(session, self.models[0])

    def __call__(self, images_HWC: Sequence[npt.NDArray[np.uint8]]) -> list[Detections]:
        """Find the faces of each (H, W, 3) uint8 RGB frame; sizes may differ."""
        with devices.quiet(log):
            return [self._detect(image_HWC) for image_HWC in images_HWC]

    def _detect(self, image_HWC: npt.NDArray[np.uint8]) -> Detections:
        import cv2

        if max(image_HWC.shape[:2]) >= INPUT_WH[0] * min(image_HWC.shape[:2]):
            return none_found()  # a line of pixels, scaled to less than one
        bgr_HWC = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2BGR)
        rows, points = self._scrfd.detect(bgr_HWC, input_size=INPUT_WH, det_thresh=self.min_score)
        return detections(rows[:, :4], rows[:, 4], points)


def _scrfd(session: Any, model: weights.ModelFile) -> Any:
    """The library's class around a session of ours, which has one thread."""
    outputs = session.get_outputs()
    if len(outputs) not in _OUTPUTS or len(session.get_inputs()) != 1:
        raise BadWeights(
            f"{model.path} is no SCRFD detector: it has {len(outputs)} outputs, "
            f"not one of {', '.join(map(str, _OUTPUTS))}"
        )
    with devices.quiet(log):
        from insightface.model_zoo.scrfd import SCRFD

        return SCRFD(session=session)
