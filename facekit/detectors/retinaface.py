"""Faces by RetinaFace with the mobilenet-0.25 backbone, through face-alignment's network."""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from facekit import checkpoints, devices, weights
from facekit.detectors import Detections
from facekit.detectors.scaling import detections, shrunk_bgr

if TYPE_CHECKING:
    import torch

LONGEST_PX: Final = 640
"""Longer side of what the model sees; larger frames are shrunk, or a frame of 1080p takes 0.5 s."""

_MEAN_BGR: Final = np.array([104.0, 117.0, 123.0], np.float32)
_OVERLAP: Final = 0.4
_BATCH: Final = 32

BgrImage = npt.NDArray[np.uint8]


class RetinaFaceDetector:
    """RetinaFace-mobilenet0.25: frames of one size go as a batch on CUDA, one by one on the CPU.

    The five points come in facekit's own order. Overlapping boxes are thinned out at 0.4. The
    network was trained on BGR less the BGR means, and that is what it is given.

    Args:
        model: a name in `facekit.catalogue.KNOWN` or the path of a `.pth` file; None takes
            `retinaface_mnet025`.
        device: `auto`, `cpu` or `cuda`.
        min_score: threshold on the score; None takes 0.8, as the model also fires on vases at 0.7.

    Raises:
        BadWeights: the file does not hold this network.
        MissingWeights: the file is not at hand and cannot be fetched.

    Source: Deng et al., RetinaFace: Single-shot Multi-level Face Localisation in the Wild,
    CVPR 2020; weights of Pytorch_Retinaface.
    """

    def __init__(
        self, model: str | None = None, *, device: str = "auto", min_score: float | None = None
    ) -> None:
        self.min_score = 0.8 if min_score is None else min_score
        self.models = (weights.find(model or "retinaface_mnet025"),)
        self._torch_device = devices.torch_device(device)
        self.device: str = self._torch_device.type
        self._network = _network(self.models[0].path).to(self._torch_device)

    def __call__(self, images_HWC: Sequence[npt.NDArray[np.uint8]]) -> list[Detections]:
        """Find the faces of each (H, W, 3) uint8 RGB frame; sizes may differ."""
        import torch

        found: list[Detections] = []
        shrunk = [shrunk_bgr(image_HWC, LONGEST_PX) for image_HWC in images_HWC]
        with torch.inference_mode():
            for batch in _of_one_size([bgr for bgr, _ in shrunk], self._at_once):
                for raw in self._run(batch):
                    scale_xy = shrunk[len(found)][1]
                    found.append(detections(*raw, scale_xy=scale_xy))
        return found

    @property
    def _at_once(self) -> int:
        return _BATCH if self.device == "cuda" else 1

    def _run(self, batch_NHWC: Sequence[BgrImage]) -> Iterator[tuple[Any, Any, Any]]:
        """Boxes, scores and points of each image, in its pixels."""
        import torch

        img_NHWC = np.stack(batch_NHWC).astype(np.float32) - _MEAN_BGR
        img_NCHW = torch.from_numpy(img_NHWC).permute(0, 3, 1, 2).contiguous()
        outputs = [out.cpu() for out in self._network(img_NCHW.to(self._torch_device))]
        for offsets, scores, points in zip(*outputs, strict=True):
            yield self._decode(offsets, scores[:, 1], points, img_NHWC.shape[1:3])

    def _decode(
        self,
        offset_P4: "torch.Tensor",
        score_P: "torch.Tensor",
        point_P10: "torch.Tensor",
        size_hw: tuple[int, ...],
    ) -> tuple[Any, Any, Any]:
        """Offsets from the P prior boxes become boxes and points; the overlapping ones go."""
        from face_alignment.detection.retinaface.box_utils import decode, py_cpu_nms
        from face_alignment.detection.retinaface.net_retinaface import cfg_mnet

        kept = score_P >= self.min_score
        prior_P4 = _priors(*size_hw)[kept]
        variance = cfg_mnet["variance"]
        wh = np.array([size_hw[1], size_hw[0]], np.float32)
        box_xyxy = decode(offset_P4[kept], prior_P4, variance).numpy() * np.tile(wh, 2)
        shift_P52 = point_P10[kept].reshape(-1, 5, 2) * variance[0] * prior_P4[:, None, 2:]
        point_P52 = (prior_P4[:, None, :2] + shift_P52).numpy() * wh
        score = score_P[kept].numpy()
        best = py_cpu_nms(np.hstack([box_xyxy, score[:, None]]), _OVERLAP)
        return box_xyxy[best], score[best], point_P52[best]


@functools.lru_cache(maxsize=8)
def _priors(height: int, width: int) -> Any:
    """(P, 4) centre and size of the prior boxes, over the image's; a Python loop, so kept."""
    from face_alignment.detection.retinaface.net_retinaface import cfg_mnet
    from face_alignment.detection.retinaface.prior_box import PriorBox

    return PriorBox(cfg_mnet, image_size=(height, width)).forward()


def _of_one_size(images_HWC: Sequence[BgrImage], at_most: int) -> Iterator[Sequence[BgrImage]]:
    """Runs of neighbouring images of one size, none longer than `at_most`."""
    start = 0
    for end in range(1, len(images_HWC) + 1):
        full = end - start == at_most
        if full or end == len(images_HWC) or images_HWC[end].shape != images_HWC[start].shape:
            yield images_HWC[start:end]
            start = end


def _network(path: Path) -> Any:
    from face_alignment.detection.retinaface.net_retinaface import RetinaFace, cfg_mnet

    network = RetinaFace(cfg_mnet)
    checkpoints.fill(network, path, "RetinaFace-mobilenet0.25")
    return network
