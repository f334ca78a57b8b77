"""Frames scaled down for a model, and what the model finds scaled back: sound boxes, best first."""

import numpy as np
import numpy.typing as npt

from facekit.detectors import Detections

Float32Array = npt.NDArray[np.float32]


def shrunk_bgr(
    image_HWC: npt.NDArray[np.uint8], longest_px: int
) -> tuple[npt.NDArray[np.uint8], tuple[float, float]]:
    """Turn a frame to BGR, and shrink it where its longer side is too long.

    Args:
        image_HWC: (H, W, 3) uint8 RGB.
        longest_px: the longer side allowed; a smaller frame keeps its size.

    Returns:
        (h, w, 3) uint8 BGR, and the scales in x and y: its pixels over the frame's.

    >>> shrunk_bgr(np.zeros((100, 200, 3), np.uint8), 50)[1]
    (0.25, 0.25)
    """
    import cv2

    height, width = image_HWC.shape[:2]
    factor = min(1.0, longest_px / max(height, width))
    size_wh = max(1, round(width * factor)), max(1, round(height * factor))
    bgr_HWC = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2BGR)
    if size_wh != (width, height):
        bgr_HWC = cv2.resize(bgr_HWC, size_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(bgr_HWC, np.uint8), (size_wh[0] / width, size_wh[1] / height)


def detections(
    box_xyxy: npt.ArrayLike,
    score: npt.ArrayLike,
    keypoints_xy: npt.ArrayLike | None = None,
    *,
    scale_xy: tuple[float, float] = (1.0, 1.0),
) -> Detections:
    """Sort boxes by score, back in frame pixels, and drop those that are none.

    A box keeps the corners that the model gave it, beyond the frame's border too. It is dropped
    where a side is not positive or a number is not finite; points that are not finite are NaN.

    Args:
        box_xyxy: (N, 4), pixels of the image that the model saw.
        score: (N,), 0..1.
        keypoints_xy: (N, 5, 2), the same pixels; None where the model gives none.
        scale_xy: pixels of that image over pixels of the frame.

    Returns:
        The sound ones, best first; of equal scores the first stays first.

    >>> boxes = [[0, 0, 4, 4], [2, 2, 2, 4], [1, 1, 3, 3]]
    >>> detections(boxes, [0.5, 0.9, 0.7], scale_xy=(0.5, 0.5)).box_xyxy
    array([[2., 2., 6., 6.],
           [0., 0., 8., 8.]], dtype=float32)
    """
    scale = np.asarray(scale_xy, np.float32)
    boxes = (np.asarray(box_xyxy, np.float32).reshape(-1, 2, 2) / scale).reshape(-1, 4)
    scores = np.asarray(score, np.float32).reshape(-1)
    points = np.full((len(scores), 5, 2), np.nan, np.float32)
    if keypoints_xy is not None:
        points = np.asarray(keypoints_xy, np.float32).reshape(-1, 5, 2) / scale
    order = np.argsort(-scores, kind="stable")
    kept = order[_is_sound(boxes, scores)[order]]
    return Detections(
        box_xyxy=boxes[kept],
        keypoints_xy=np.where(np.isfinite(points), points, np.float32(np.nan))[kept],
        score=scores[kept],
    )


def none_found() -> Detections:
    """No face.

    >>> len(none_found())
    0
    """
    return detections(np.empty((0, 4)), np.empty(0))


def _is_sound(box_xyxy: Float32Array, score: Float32Array) -> npt.NDArray[np.bool_]:
    finite = np.isfinite(box_xyxy).all(axis=1) & np.isfinite(score)
    sound: npt.NDArray[np.bool_] = finite & (box_xyxy[:, 2:] > box_xyxy[:, :2]).all(axis=1)
    return sound
