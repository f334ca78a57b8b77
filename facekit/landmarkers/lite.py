"""68 points by facekit's own small networks, which come with it: a coarse look, then a fine one.

The coarse network looks at the square around the detector's box and says about where the points
are; that tells where the face is and how far it is turned. The fine network looks at the face
upright and reads each point from a heat map, between its cells.

Tensor names end in their axes: N faces, C colours, H and W of the crop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from facekit import checkpoints, crops, devices, weights
from facekit.faces import Face
from facekit.landmarkers import ibug68, lite_graph
from facekit.landmarkers.lite_graph import COARSE_PX, FINE_PX
from facekit.landmarkers.squares import FloatArray, square_affine, upright_axes

if TYPE_CHECKING:
    import torch

BOX_MARGIN: Final = 1.2
"""Side of the coarse crop over the longer side of the detector's box."""

POINTS_MARGIN: Final = 1.2
"""Side of the fine crop over the longer side of what the coarse points span."""

SURROUNDINGS: Final = 1.7
"""Side of what is kept of the frame around a large face over the longer side of its box."""

LEAST_SHRUNK_PX: Final = 120
"""A face is shrunk by whole steps as long as the longer side of its box keeps so many pixels."""

_BATCH: Final = 64
_FARTHEST_PX: Final = 1e9

Network = Callable[[npt.NDArray[np.uint8]], FloatArray]
"""(N, S, S, 3) uint8 RGB crops to (N, 68, 2) crop pixels."""


class LiteLandmarker:
    """The landmarker that comes with facekit.

    Faces go one by one on the CPU, so that what else is in a call cannot matter, and in batches
    on CUDA. Only the box of a face is looked at, so that any detector will do.

    Args:
        model: the path of another file of these networks; None takes `lite_landmarker`.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        BadWeights: the file does not hold these networks.
        MissingWeights: the file is not at hand.

    Source: facekit's own (`training.lite_landmarker`); its card is
    `facekit/models/lite_landmarker.md`.
    """

    def __init__(self, model: str | None = None, *, device: str = "auto") -> None:
        self.models = (weights.find(model or "lite_landmarker"),)
        path, cuda = self.models[0].path, devices.torch_cuda("the landmarker lite", device)
        self.device: str = "cpu" if cuda is None else "cuda"
        looks = lite_graph.sessions(path) if cuda is None else _on_cuda(path, cuda)
        self._coarse_look, self._fine_look = looks

    def __call__(self, faces: Sequence[Face]) -> FloatArray:
        """(N, 68, 2) float32, frame pixels, iBUG order; NaN where a box has no area."""
        near = [Surroundings.of(face) for face in faces]
        return self._fine(near, self._coarse(near))

    def follow(self, faces: Sequence[Face]) -> FloatArray:
        """The fine look alone, around the points that the faces come with."""
        near = [Surroundings.of(face) for face in faces]
        points_xy = np.array([face.points_xy for face in faces]).reshape(-1, ibug68.POINTS, 2)
        return self._fine(near, _from_frame(near, points_xy))

    def first_look(self, faces: Sequence[Face]) -> FloatArray:
        """What the coarse network alone gives: (N, 68, 2) float32, frame pixels."""
        near = [Surroundings.of(face) for face in faces]
        return _in_frame(near, self._coarse(near))

    def _coarse(self, near: Sequence["Surroundings"]) -> FloatArray:
        affines = [around_box(one.box_xyxy) for one in near]
        images = [one.image_HWC for one in near]
        return self._look(self._coarse_look, images, affines, COARSE_PX)

    def _fine(self, near: Sequence["Surroundings"], points_xy: FloatArray) -> FloatArray:
        affines = [around_points(points) for points in points_xy]
        images = [one.image_HWC for one in near]
        return _in_frame(near, self._look(self._fine_look, images, affines, FINE_PX))

    def _look(
        self,
        network: Network,
        images: Sequence[npt.NDArray[np.uint8]],
        affines: Sequence[FloatArray],
        crop_px: int,
    ) -> FloatArray:
        """As `squares.look`, but pixels stay as they lie in memory."""
        points_xy = np.full((len(images), ibug68.POINTS, 2), np.nan, np.float32)
        seen = [i for i, affine in enumerate(affines) if np.isfinite(affine).all()]
        at_once = _BATCH if self.device == "cuda" else 1
        for start in range(0, len(seen), at_once):
            some = seen[start : start + at_once]
            img_NHWC = np.stack([crops.cut(images[i], affines[i], crop_px) for i in some])
            affine_N23 = np.stack([affines[i] for i in some])
            points_xy[some] = crops.to_frame(network(img_NHWC), affine_N23)
        return points_xy


def _on_cuda(path: Path, device: "torch.device") -> tuple[Network, Network]:
    import torch

    from facekit import lite_blocks
    from facekit.landmarkers.lite_network import LandmarkNetworks

    networks = LandmarkNetworks()
    checkpoints.fill(networks, path, "the landmarker lite")
    # Channels last in memory: convolutions of this size take half the time.
    networks.to(device).to(memory_format=torch.channels_last)
    coarse, fine = (
        lite_blocks.on_device(network, device, unit=255.0)
        for network in (networks.coarse, networks.fine)
    )
    return coarse, fine


@dataclass(frozen=True)
class Surroundings:
    """The part of a frame that is looked at, shrunk where the face is large: the time is in pixels.

    Args:
        image_HWC: (H, W, 3) uint8 RGB.
        box_xyxy: (4,) float64, the detector's box in pixels of the image.
        corner_xy: (2,) the frame pixel at the image's top left corner.
        shrunk: frame pixels to a side of a pixel of the image.
    """

    image_HWC: npt.NDArray[np.uint8]
    box_xyxy: npt.NDArray[np.float64]
    corner_xy: npt.NDArray[np.float64]
    shrunk: int

    @classmethod
    def of(cls, face: Face) -> "Surroundings":
        """What lies around the box of a face; the frame as it is where the box is small."""
        import cv2

        image, box = face.image_HWC, np.asarray(face.box_xyxy, np.float64)
        whole = cls(image, box, np.zeros(2), 1)
        if not _is_box(box):
            return whole
        side_px = float((box[2:] - box[:2]).max())
        shrunk = int(side_px // LEAST_SHRUNK_PX)
        if shrunk < 2:
            return whole
        limits_xy = np.array(image.shape[1::-1])
        middle_xy, reach_px = (box[:2] + box[2:]) / 2, side_px * SURROUNDINGS / 2
        low_xy = np.clip(middle_xy - reach_px, 0, limits_xy).astype(int)
        count_xy = (np.clip(middle_xy + reach_px, 0, limits_xy).astype(int) - low_xy) // shrunk
        if not (count_xy > 0).all():
            return whole
        (left, top), (right, bottom) = low_xy, low_xy + count_xy * shrunk
        region = image[top:bottom, left:right]
        small = cv2.resize(region, count_xy.tolist(), interpolation=cv2.INTER_AREA)
        corners_xy = (box.reshape(2, 2) - low_xy + 0.5) / shrunk - 0.5
        return cls(np.asarray(small, np.uint8), corners_xy.ravel(), low_xy.astype(float), shrunk)


def _in_frame(near: Sequence[Surroundings], points_xy: FloatArray) -> FloatArray:
    """Pixels of the surroundings to frame pixels."""
    corner_N1xy, shrunk_N11 = _placed(near)
    return np.asarray((points_xy + 0.5) * shrunk_N11 - 0.5 + corner_N1xy, np.float32)


def _from_frame(near: Sequence[Surroundings], points_xy: FloatArray) -> FloatArray:
    """Frame pixels to pixels of the surroundings."""
    corner_N1xy, shrunk_N11 = _placed(near)
    return np.asarray((points_xy - corner_N1xy + 0.5) / shrunk_N11 - 0.5, np.float32)


def _placed(
    near: Sequence[Surroundings],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    corner_N1xy = np.array([one.corner_xy for one in near]).reshape(-1, 1, 2)
    return corner_N1xy, np.array([one.shrunk for one in near]).reshape(-1, 1, 1)


def _is_box(box_xyxy: npt.NDArray[np.float64]) -> bool:
    return bool((np.abs(box_xyxy) <= _FARTHEST_PX).all() and (box_xyxy[2:] > box_xyxy[:2]).all())


def around_box(box_xyxy: npt.NDArray[np.floating]) -> FloatArray:
    """Frame to coarse crop, for the square around a box; whole pixels, which cut fast.

    Args:
        box_xyxy: (4,) frame pixels.

    Returns:
        (2, 3) float32, frame pixel to crop pixel; NaN where the box has no area or no end.

    >>> around_box(np.array([0.0, 0.0, 40.0, 80.0])).round(3)
    array([[ 0.667,  0.   , 17.833],
           [ 0.   ,  0.667,  4.5  ]], dtype=float32)
    """
    box = np.asarray(box_xyxy, np.float64)
    if not _is_box(box):
        return np.full((2, 3), np.nan, np.float32)
    return crops.square_affine(box, BOX_MARGIN, COARSE_PX)


def around_points(points_xy: npt.NDArray[np.floating]) -> FloatArray:
    """Frame to fine crop, for the square around a face, turned upright by the line of its eyes.

    Args:
        points_xy: (68, 2) frame pixels.

    Returns:
        (2, 3) float32, frame pixel to crop pixel; NaN where the points are one or not finite.

    >>> points = np.zeros((68, 2))
    >>> points[ibug68.RIGHT_EYE] = [0.0, 280.0 / 3]  # below the other eye: a quarter turn
    >>> around_points(points).round(3) + 0.0
    array([[ 0.   ,  1.   ,  8.833],
           [-1.   ,  0.   , 55.5  ]], dtype=float32)
    """
    points = np.asarray(points_xy, np.float64)
    if not np.isfinite(points).all():
        return np.full((2, 3), np.nan, np.float32)
    centre_xy, side_px, roll_rad = square_of(points)
    return square_affine(centre_xy, side_px, FINE_PX, roll_rad=roll_rad)


def square_of(points_xy: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float, float]:
    """Centre, side and roll of the upright square around the points of a face.

    Args:
        points_xy: (68, 2) frame pixels.

    Returns:
        (2,) frame pixels, frame pixels, radians.

    >>> square_of(np.array([[0.0, 0.0]] * 67 + [[100.0, 50.0]]))
    (array([50., 25.]), 120.0, 0.0)
    """
    roll_rad = ibug68.roll_rad(points_xy)
    axes = upright_axes(roll_rad)
    upright_xy = points_xy @ axes.T
    low_xy, high_xy = upright_xy.min(axis=0), upright_xy.max(axis=0)
    side_px = POINTS_MARGIN * float((high_xy - low_xy).max())
    return (low_xy + high_xy) / 2.0 @ axes, side_px, roll_rad
