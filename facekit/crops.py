"""Box to square crop: the affine from frame pixel to crop pixel, and the pixels it cuts.

The affine alone decides the pixels: what a shard stores cuts the same crop from the same frame.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput

READ_SIDE_PX: Final = 4096
"""At most this many pixels a side are read for one crop; from a larger square, evenly chosen
ones. Bounds the memory whatever the box."""

TEMPLATE_SIDE_PX: Final = 112
"""Side of the picture in which `TEMPLATE_XY` stands."""

TEMPLATE_XY: Final = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Where the five points of an upright face stand: the reference of ArcFace (Deng et al., CVPR
2019), which face recognition and aligned forgery benchmarks share."""

_SNAP_PX: Final = 0.01
_FARTHEST_PX: Final = 1e9

_Points = npt.NDArray[np.floating]


class Square(NamedTuple):
    """Whole frame pixels: columns `left` to `left + side - 1`, rows `top` to `top + side - 1`."""

    left: int
    top: int
    side: int


def square_around(box_xyxy: npt.ArrayLike, margin: float) -> Square:
    """The square of whole pixels around the centre of a box.

    Args:
        box_xyxy: (4,) frame pixels.
        margin: side of the square over the longer side of the box.

    Returns:
        The square nearest to the exact one, at least one pixel wide. Boxes that differ by whole
        pixels get squares that differ by as many.

    Raises:
        BadInput: a coordinate of the box is not a finite number.

    >>> square_around([10, 20, 30, 60], 1.5)
    Square(left=-9, top=11, side=60)
    """
    left, top, right, bottom = (float(v) for v in np.asarray(box_xyxy, np.float64))
    if not all(abs(edge) <= _FARTHEST_PX for edge in (left, top, right, bottom)):
        raise BadInput(f"a face box must be finite frame pixels, not {np.asarray(box_xyxy)}")
    side = max(1, _nearest(margin * max(right - left, bottom - top)))
    return Square(
        left=_nearest((left + right - side + 1) / 2.0),
        top=_nearest((top + bottom - side + 1) / 2.0),
        side=side,
    )


def square_affine(
    box_xyxy: npt.ArrayLike, margin: float = 1.3, size_px: int = 224
) -> npt.NDArray[np.float32]:
    """Where the pixels of the square around a box go in its crop.

    Args:
        box_xyxy: (4,) frame pixels.
        margin: side of the square over the longer side of the box.
        size_px: side of the crop.

    Returns:
        (2, 3) float32, frame pixel to crop pixel: `crop_xy = A[:, :2] @ frame_xy + A[:, 2]`.

    Raises:
        BadInput: a coordinate of the box is not a finite number.

    >>> square_affine([10, 20, 30, 60], 1.5, 30)
    array([[ 0.5 ,  0.  ,  4.25],
           [ 0.  ,  0.5 , -5.75]], dtype=float32)
    """
    left, top, side = square_around(box_xyxy, margin)
    scale = size_px / side
    shifts = [(0.5 - edge) * scale - 0.5 for edge in (left, top)]
    return np.array([[scale, 0.0, shifts[0]], [0.0, scale, shifts[1]]], np.float32)


def aligned_affine(
    keypoints_xy: npt.ArrayLike, margin: float = 1.3, size_px: int = 224
) -> npt.NDArray[np.float32]:
    """The similarity that brings five points closest to their place in an upright face.

    Least squares over scale, roll and shift, no mirroring (Umeyama, PAMI 1991). The template
    stands in the middle of the crop, its own square enlarged by `margin`, so that a frontal face
    is framed much as the square around its box frames it.

    Args:
        keypoints_xy: (5, 2) frame pixels: image-left eye, image-right eye, nose, image-left and
            image-right mouth corner.
        margin: side of the crop over the side of the template.
        size_px: side of the crop.

    Returns:
        (2, 3) float32, frame pixel to crop pixel.

    Raises:
        BadInput: a point is not finite, or all are one.

    >>> template = np.array(TEMPLATE_XY)
    >>> aligned_affine(template + 100, margin=1.0, size_px=112).round(3) + 0.0
    array([[   1.,    0., -100.],
           [   0.,    1., -100.]], dtype=float32)
    """
    points = np.asarray(keypoints_xy, np.float64)
    if not np.isfinite(points).all():
        raise BadInput("--align needs five points a face; take a --detector that gives them")
    centre_px = (TEMPLATE_SIDE_PX - 1) / 2.0
    scale = size_px / (TEMPLATE_SIDE_PX * margin)
    template = (np.array(TEMPLATE_XY) - centre_px) * scale + (size_px - 1) / 2.0
    return _similarity(points, template).astype(np.float32)


def cut(
    image_HWC: npt.NDArray[np.uint8], affine: npt.NDArray[np.float32], size_px: int
) -> npt.NDArray[np.uint8]:
    """Cut the crop that an affine describes.

    Shrinking averages over the area that a crop pixel covers, enlarging is bilinear, and beyond
    the frame its border goes on. An affine of whole pixels, as `square_affine` gives, reads
    exactly the pixels of its square; any other is drawn at the least whole multiple of the size
    at which it does not shrink, and averaged from there.

    Args:
        image_HWC: (H, W, 3) uint8, the frame.
        affine: (2, 3) frame pixel to crop pixel, from `square_affine`, `aligned_affine` or a shard.
        size_px: side of the crop, the one `affine` was made for.

    Returns:
        (size_px, size_px, 3) uint8.

    >>> frame = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    >>> cut(frame, square_affine([0, 0, 3, 3], 4 / 3, 2), 2)[..., 0]
    array([[ 8, 14],
           [32, 38]], dtype=uint8)
    """
    square = _square_of(affine, size_px)
    if square is None:
        return _warp(image_HWC, affine, size_px)
    return _resize(_region(image_HWC, square), size_px)


def to_crop(
    points_xy: npt.NDArray[np.floating], affine: npt.NDArray[np.floating]
) -> npt.NDArray[np.float32]:
    """Frame pixels to crop pixels.

    Args:
        points_xy: (..., K, 2) frame pixels; NaN stays NaN.
        affine: (..., 2, 3) frame pixel to crop pixel.

    Returns:
        (..., K, 2) float32, crop pixels.

    >>> to_crop(np.array([[0.0, 10.0]]), square_affine([10, 20, 30, 60], 1.5, 30))
    array([[ 4.25, -0.75]], dtype=float32)
    """
    affine64 = np.asarray(affine, np.float64)
    turned = np.asarray(points_xy, np.float64) @ np.swapaxes(affine64[..., :2], -1, -2)
    return (turned + affine64[..., None, :, 2]).astype(np.float32)


def to_frame(
    points_xy: npt.NDArray[np.floating], affine: npt.NDArray[np.floating]
) -> npt.NDArray[np.float32]:
    """Crop pixels to frame pixels, the inverse of `to_crop`.

    Args:
        points_xy: (..., K, 2) crop pixels; NaN stays NaN.
        affine: (..., 2, 3) frame pixel to crop pixel.

    Returns:
        (..., K, 2) float32, frame pixels.

    >>> to_frame(np.array([[4.25, -0.75]]), square_affine([10, 20, 30, 60], 1.5, 30))
    array([[ 0., 10.]], dtype=float32)
    """
    affine64 = np.asarray(affine, np.float64)
    moved = np.asarray(points_xy, np.float64) - affine64[..., None, :, 2]
    back = np.linalg.inv(affine64[..., :2])
    return (moved @ np.swapaxes(back, -1, -2)).astype(np.float32)


def _nearest(value: float) -> int:
    """Half always up: `round` goes to even, and a box one pixel on would not get its square."""
    return math.floor(value + 0.5)


def _similarity(source: _Points, target: _Points) -> _Points:
    """(2, 3) least squares, with a point as a complex number and the similarity as z*a + b."""
    z, w = (points @ np.array([1.0, 1.0j]) for points in (source, target))
    spread = z - z.mean()
    size = float((np.abs(spread) ** 2).sum())
    if size == 0.0:
        raise BadInput("the five points of a face are one; leave --align out or raise --min-score")
    a = (spread.conj() @ (w - w.mean())) / size
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _square_of(affine: npt.NDArray[np.floating], size_px: int) -> Square | None:
    """The square of whole pixels an affine cuts; None where it cuts anything else."""
    (scale, shear_x, shift_x), (shear_y, scale_y, shift_y) = np.asarray(affine, np.float64)
    if shear_x != 0.0 or shear_y != 0.0 or scale != scale_y or scale <= 0.0:
        return None
    exact = (0.5 - (shift_x + 0.5) / scale, 0.5 - (shift_y + 0.5) / scale, size_px / scale)
    square = Square(*(_nearest(v) for v in exact))
    # float32 is good to 1e-7 of its value, which from 100,000 px on is a matter of pixels.
    slack = _SNAP_PX + 1e-6 * max(map(abs, exact))
    return square if all(abs(v - n) < slack for v, n in zip(exact, square, strict=True)) else None


def _region(image_HWC: npt.NDArray[np.uint8], square: Square) -> npt.NDArray[np.uint8]:
    """The pixels of a square, the frame's border repeated beyond it; chosen ones of a huge one."""
    import cv2

    height, width = image_HWC.shape[:2]
    if square.side > READ_SIDE_PX:
        rows, columns = (_chosen(at, square.side) for at in (square.top, square.left))
        rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
        return np.asarray(image_HWC[rows[:, None], columns])
    top, bottom, above, below = _overlap(square.top, square.side, height)
    left, right, before, after = _overlap(square.left, square.side, width)
    within = image_HWC[top:bottom, left:right]
    if within.shape[:2] == (square.side, square.side):
        return within
    made = cv2.copyMakeBorder(within, above, below, before, after, cv2.BORDER_REPLICATE)
    return np.asarray(made, np.uint8)


def _chosen(start: int, side: int) -> npt.NDArray[np.intp]:
    """`READ_SIDE_PX` rows or columns, evenly chosen."""
    steps = (np.arange(READ_SIDE_PX) + 0.5) * (side / READ_SIDE_PX)
    return np.asarray(start + np.floor(steps), np.intp)


def _overlap(start: int, side: int, limit: int) -> tuple[int, int, int, int]:
    """First and last + 1 line of the frame to read, at least one, and how many lie either side.

    >>> _overlap(-3, 5, 10), _overlap(8, 5, 10), _overlap(-9, 5, 10), _overlap(20, 5, 10)
    ((0, 2, 3, 0), (8, 10, 0, 3), (0, 1, 4, 0), (9, 10, 0, 4))
    """
    first = min(max(start, 0), limit - 1)
    last = max(min(start + side, limit), first + 1)
    before = min(first - start, side - 1) if start < 0 else 0
    return first, last, before, side - (last - first) - before


def _resize(region_HWC: npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    import cv2

    shrinks = region_HWC.shape[0] > size_px
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(region_HWC, (size_px, size_px), interpolation=how), np.uint8)


def _warp(
    image_HWC: npt.NDArray[np.uint8], affine: npt.NDArray[np.floating], size_px: int
) -> npt.NDArray[np.uint8]:
    import cv2

    affine64 = np.asarray(affine, np.float64)
    scale = math.sqrt(abs(float(np.linalg.det(affine64[:, :2]))))
    most = max(1, READ_SIDE_PX // size_px)
    multiple = min(most, max(1, math.ceil(1.0 / scale))) if scale > 0.0 else most
    larger = affine64 * multiple
    larger[:, 2] += (multiple - 1) / 2.0
    drawn = cv2.warpAffine(
        image_HWC,
        larger,
        (size_px * multiple, size_px * multiple),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return _resize(np.asarray(drawn, np.uint8), size_px)
