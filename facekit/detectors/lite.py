"""Faces by facekit's own small detector, which lies in the package: no download, no licence key.

A first look at the whole frame, shrunk, says where faces may be. A second look at each of these
places, cut out of the frame as it is, says how much to believe of it, where the file holds one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from facekit import checkpoints, crops, devices, weights
from facekit.detectors import Detections, lite_graph
from facekit.detectors.lite_graph import CROP_PX
from facekit.detectors.lite_places import boxes_and_points, grids
from facekit.detectors.scaling import detections
from facekit.lite_graph import Weights

if TYPE_CHECKING:
    import torch

LONGEST_PX: Final = 320
"""Longer side of what the first look sees: a face of 5 % of it has 16 pixels. Smaller frames
stay."""

MIN_SCORE: Final = 0.76

CANDIDATE_SCORE: Final = 0.2
"""What the first look believes less than this gets no second."""

CROP_MARGIN: Final = 1.4
"""Side of what the second look sees over the longer side of the box."""

_OVERLAP: Final = 0.4

RgbImage = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Network = Callable[[npt.NDArray[np.uint8]], Float32Array]


class LiteDetector:
    """The embedded detector, one frame at a time, for faces from 5 % to 80 % of the frame.

    The five points come in facekit's own order. Overlapping boxes are thinned out at 0.4. How it
    was trained, and what it scores, stands in `facekit/models/lite_detector.md`.

    Args:
        model: the path of another file of these networks; None takes `lite_detector`.
        device: `auto`, `cpu` or `cuda`.
        min_score: threshold on the score; None takes `MIN_SCORE`. With a second look, nothing is
            found that the first believes less than `CANDIDATE_SCORE`, whatever the threshold.

    Raises:
        BadWeights: the file does not hold these networks.
        MissingWeights: there is no such file.
    """

    def __init__(
        self, model: str | None = None, *, device: str = "auto", min_score: float | None = None
    ) -> None:
        self.min_score = MIN_SCORE if min_score is None else min_score
        self.models = (weights.find(model or "lite_detector"),)
        path, cuda = self.models[0].path, devices.torch_cuda("the lite detector", device)
        self.device: str = "cpu" if cuda is None else "cuda"
        networks = lite_graph.sessions(path) if cuda is None else _on_cuda(path, cuda)
        self._first, self._second, self._trust = networks

    def __call__(self, images_HWC: Sequence[RgbImage]) -> list[Detections]:
        """Find the faces of each (H, W, 3) uint8 RGB frame; sizes may differ."""
        return [self._detect(image_HWC) for image_HWC in images_HWC]

    def first_look(self, image_HWC: RgbImage) -> Detections:
        """What the first look takes for faces on an (H, W, 3) uint8 RGB frame, thinned out."""
        return self._first_look(*_shrunk(image_HWC), CANDIDATE_SCORE)

    def _detect(self, image_HWC: RgbImage) -> Detections:
        small_HWC, scale_xy = _shrunk(image_HWC)
        if self._second is None:
            return self._first_look(small_HWC, scale_xy, self.min_score)
        found = self._first_look(small_HWC, scale_xy, CANDIDATE_SCORE)
        if not len(found):
            return found
        factor = min(scale_xy)
        crop_NHWC = np.stack(
            [
                # A face that is large on the shrunk frame has pixels enough there.
                second_crop(small_HWC, (box + 0.5) * np.tile(scale_xy, 2) - 0.5)
                if factor * CROP_MARGIN * (box[2:] - box[:2]).max() >= CROP_PX
                else second_crop(image_HWC, box)
                for box in found.box_xyxy
            ]
        )
        logit_N = logit(found.score) * self._trust + self._second(crop_NHWC)[:, 0]
        score = np.asarray(1 / (1 + np.exp(-logit_N)), np.float32)
        kept = score >= self.min_score
        return detections(found.box_xyxy[kept], score[kept], found.keypoints_xy[kept])

    def _first_look(
        self, small_HWC: RgbImage, scale_xy: tuple[float, float], min_score: float
    ) -> Detections:
        (row_PF,) = self._first(small_HWC[None])
        score_P = 1 / (1 + np.exp(-row_PF[:, 0]))
        kept = score_P >= min_score
        at_P2, stride_P1 = grids(*small_HWC.shape[:2])
        box_xyxy, points_xy = boxes_and_points(row_PF[kept], at_P2[kept], stride_P1[kept])
        score = score_P[kept]
        best = _thinned(box_xyxy, score)
        # A shrunk pixel's centre lies between those that it was made of: half a pixel each way.
        half_xy = (0.5 - 0.5 * np.asarray(scale_xy)).astype(np.float32)
        return detections(
            box_xyxy[best] + np.tile(half_xy, 2),
            score[best],
            points_xy[best] + half_xy,
            scale_xy=scale_xy,
        )


def second_crop(image_HWC: RgbImage, box_xyxy: Float32Array) -> RgbImage:
    """What the second look sees of a box.

    Args:
        image_HWC: (H, W, 3) uint8 RGB, the frame.
        box_xyxy: (4,) float32, frame pixels.

    Returns:
        (48, 48, 3) uint8 RGB.
    """
    return crops.cut(image_HWC, crops.square_affine(box_xyxy, CROP_MARGIN, CROP_PX), CROP_PX)


def logit(score: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """What the sigmoid gives a score for, finite for 0 and 1 too.

    Args:
        score: 0..1, any shape.

    >>> logit(np.array([0.0, 0.5, 1.0])).round(1).tolist()
    [-13.8, 0.0, 13.8]
    """
    within = np.clip(score, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(within / (1 - within)))


def _on_cuda(path: Path, device: "torch.device") -> tuple[Network, Network | None, float]:
    import torch

    from facekit import lite_blocks
    from facekit.detectors.lite_network import LiteDetectorNetwork, LiteDetectorNetworks

    twice = lite_graph.TRUST in Weights(path, "the lite detector")
    networks: Any = LiteDetectorNetworks() if twice else LiteDetectorNetwork()
    checkpoints.fill(networks, path, "the lite detector")
    networks = networks.to(device, memory_format=torch.channels_last)
    first = lite_blocks.on_device(networks.rows, device)
    if not twice:
        return first, None, 1.0
    return first, lite_blocks.on_device(networks.second, device), float(networks.trust)


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
