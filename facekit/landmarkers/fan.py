"""68 points by FAN, the face alignment network: four stacked hourglasses that draw heat maps.

Tensor names end in their axes: N faces, K points, C colours, H and W of the crop or map.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facekit import checkpoints, devices, weights
from facekit.faces import Face
from facekit.landmarkers import heatmaps, ibug68
from facekit.landmarkers.squares import FloatArray, look, square_affine

SIDE_PX: Final = 256
"""Side of the crop that the network takes."""

CELL_PX: Final = 4
"""Crop pixels to a cell of the heat maps."""

REFERENCE_SCALE: Final = 165.0
"""Width plus height of a box over the side of its crop, in 200ths. face-alignment takes this for
the boxes of RetinaFace, SCRFD and YuNet, which are all that facekit makes; 195 is for S3FD's."""

_UP: Final = 0.12
_STACKS: Final = 4
_BATCH: Final = 16


class FanLandmarker:
    """FAN with its heat maps read between the cells, where face-alignment gives whole pixels.

    Faces go one by one on the CPU, so that what else is in a call cannot matter, and in batches
    on CUDA. A crop reaches as far as face-alignment's, but by fractions of a pixel, and beyond the
    frame its border goes on.

    Args:
        model: a name in `facekit.catalogue.KNOWN` or the path of a file of face-alignment's 2D
            network with four stacks; None takes `2dfan4`.
        device: `auto`, `cpu` or `cuda`.
        mirror: average the heat maps with those of the mirrored crop, as face-alignment does;
            doubles the time.

    Raises:
        BadWeights: the file does not hold this network.
        MissingWeights: the file is not at hand and cannot be fetched.

    Source: Bulat and Tzimiropoulos, How far are we from solving the 2D & 3D Face Alignment
    problem?, ICCV 2017; network and crop by the package face-alignment.
    """

    def __init__(
        self, model: str | None = None, *, device: str = "auto", mirror: bool = True
    ) -> None:
        self.models = (weights.find(model or "2dfan4"),)
        self._torch_device = devices.torch_device(device)
        self.device: str = self._torch_device.type
        self._mirror = mirror
        self._network = _network(self.models[0].path).to(self._torch_device)

    def __call__(self, faces: Sequence[Face]) -> FloatArray:
        """(N, 68, 2) float32, frame pixels, iBUG order; NaN where a box has no area."""
        affines = [around_box(face.box_xyxy) for face in faces]
        at_once = _BATCH if self.device == "cuda" else 1
        return look(faces, affines, self._points, crop_px=SIDE_PX, at_once=at_once)

    def _points(self, img_NCHW: FloatArray) -> FloatArray:
        """Crop pixels: the centre of a cell lies between the middle two of its `CELL_PX`."""
        cells = heatmaps.peaks(self._maps(img_NCHW))
        return cells * np.float32(CELL_PX) + np.float32((CELL_PX - 1) / 2)

    def _maps(self, img_NCHW: FloatArray) -> FloatArray:
        """The heat maps of the last stack, (N, 68, 64, 64)."""
        import torch

        with torch.inference_mode():
            input_NCHW = torch.from_numpy(img_NCHW).to(self._torch_device)
            map_NKHW = self._network(input_NCHW)[-1]
            if self._mirror:
                mirrored_NKHW = self._network(input_NCHW.flip(-1))[-1]
                map_NKHW = (map_NKHW + mirrored_NKHW[:, ibug68.SWAP].flip(-1)) / 2
            return np.asarray(map_NKHW.cpu().numpy(), np.float32)


def around_box(box_xyxy: npt.NDArray[np.floating]) -> FloatArray:
    """Frame to crop, for the square that face-alignment cuts around a box.

    Its side is 200 / `REFERENCE_SCALE` of width plus height, its centre lies 0.12 of the height
    above that of the box.

    Args:
        box_xyxy: (4,) frame pixels.

    Returns:
        (2, 3) float32, frame pixel to crop pixel; NaN where the box has no area or no end.

    >>> around_box(np.array([0.0, 0.0, 82.5, 82.5]))
    array([[ 1.28 ,  0.   , 74.7  ],
           [ 0.   ,  1.28 , 87.372]], dtype=float32)
    """
    low_xy, high_xy = np.asarray(box_xyxy, np.float64).reshape(2, 2)
    side_xy = high_xy - low_xy
    centre_xy = (low_xy + high_xy) / 2.0 - np.array([0.0, _UP]) * side_xy
    side_px = 200.0 / REFERENCE_SCALE * float(side_xy.sum()) if (side_xy > 0.0).all() else 0.0
    return square_affine(centre_xy, side_px, SIDE_PX)


def _network(path: Path) -> Any:
    from face_alignment.models import FAN

    network = FAN(_STACKS)
    checkpoints.fill(network, path, f"FAN with {_STACKS} stacks")
    return network
