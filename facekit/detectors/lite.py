"""Faces by facekit's own small detector, which lies in the package: no download, no licence key."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facekit import checkpoints, devices, weights
from facekit.detectors import Detections
from facekit.detectors.scaling import detections

LONGEST_PX: Final = 320
"""Longer side of what the model sees: a face of 5 % of it has 16 pixels. Smaller frames stay."""

MIN_SCORE: Final = 0.76

_OVERLAP: Final = 0.4

RgbImage = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]


class LiteDetector:
    """The embedded detector, one frame at a time, for faces from 5 % to 80 % of the frame.

    The five points come in facekit's own order. Overlapping boxes are thinned out at 0.4. How it
    was trained, and what it scores, stands in `facekit/models/lite_detector.md`.

    Args:
        model: the path of another file of this network; None takes `lite_detector`.
        device: `auto`, `cpu` or `cuda`.
        min_score: threshold on the score; None takes `MIN_SCORE`.

    Raises:
        BadWeights: the file does not hold this network.
        MissingWeights: there is no such file.
    """

    def __init__(
        self, model: str | None = None, *, device: str = "auto", min_score: float | None = None
    ) -> None:
        import torch

        from facekit.detectors.lite_network import LiteDetectorNetwork

        self.min_score = MIN_SCORE if min_score is None else min_score
        self.models = (weights.find(model or "lite_detector"),)
        self._torch_device = devices.torch_device(device)
        self.device: str = self._torch_device.type
        network: Any = LiteDetectorNetwork()
        checkpoints.fill(network, self.models[0].path, "the lite detector")
        self._network = network.to(self._torch_device, memory_format=torch.channels_last)

    def __call__(self, images_HWC: Sequence[RgbImage]) -> list[Detections]:
        """Find the faces of each (H, W, 3) uint8 RGB frame; sizes may differ."""
        return [self._detect(image_HWC) for image_HWC in images_HWC]

    def _detect(self, image_HWC: RgbImage) -> Detections:
        import torch

        small_HWC, scale_xy = _shrunk(image_HWC)
        with torch.inference_mode():
            img_NHWC = torch.from_numpy(small_HWC).to(self._torch_device).float()[None]
            found = self._network(img_NHWC.permute(0, 3, 1, 2))
            score_P = found.logit_NP[0].sigmoid()
            kept = score_P >= self.min_score
            raw = (found.box_NP4[0][kept], score_P[kept], found.points_NP52[0][kept])
            box_xyxy, score, points_xy = (x.cpu().numpy() for x in raw)
        best = _thinned(box_xyxy, score)
        # A shrunk pixel's centre lies between those that it was made of: half a pixel each way.
        half_xy = (0.5 - 0.5 * np.asarray(scale_xy)).astype(np.float32)
        return detections(
            box_xyxy[best] + np.tile(half_xy, 2),
            score[best],
            points_xy[best] + half_xy,
            scale_xy=scale_xy,
        )


def _shrunk(image_HWC: RgbImage) -> tuple[RgbImage, tuple[float, float]]:
    """The frame, its longer side at most `LONGEST_PX`, and its pixels over the frame's in x, y."""
    import cv2

    height, width = image_HWC.shape[:2]
    factor = min(1.0, LONGEST_PX / max(height, width))
    size_wh = max(1, round(width * factor)), max(1, round(height * factor))
    small_HWC: Any = np.ascontiguousarray(image_HWC)
    if size_wh != (width, height):
        small_HWC = cv2.resize(small_HWC, size_wh, interpolation=cv2.INTER_AREA)
    return small_HWC, (size_wh[0] / width, size_wh[1] / height)


def _thinned(box_xyxy: Float32Array, score: Float32Array) -> npt.NDArray[np.intp]:
    """Which boxes stay: no two of them overlap by more than `_OVERLAP`."""
    import cv2

    box_xywh = np.hstack([box_xyxy[:, :2], box_xyxy[:, 2:] - box_xyxy[:, :2]])
    kept = cv2.dnn.NMSBoxes(box_xywh.tolist(), score.tolist(), 0.0, _OVERLAP)
    return np.asarray(kept, np.intp).reshape(-1)
