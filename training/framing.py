"""The stored crop to the network's image: scale, shift and flip, for a whole batch on its device.

A stored crop is a square of `margin` times the longer side of the face's box, so a training crop
of another margin is a smaller square within it, and one extraction serves every framing up to its
own. The square is upright, so rows and columns are resampled one after the other, each by a
product with a matrix of weights.

Letters: N faces, S side of the stored crop, T side of the image made, P points, E ellipses.
"""

import logging
import math
from typing import Final

import torch

from facekit.au_masks import ELLIPSE_AU
from training.constants import indices
from training.draws import Draws
from training.faces import Faces, Framed
from training.options import Data

log = logging.getLogger(__name__)

LARGEST_ENLARGEMENT: Final = 1.2
"""A crop that is enlarged by more is warned about, once."""


def _mirrored_points() -> list[int]:
    """For each of the iBUG-68 points the one that stands there in a mirror."""
    spans = ((0, 16), (17, 26), (31, 35), (48, 54), (60, 64))  # jaw, brows, nostrils, lips above
    pairs = [(first + i, last - i) for first, last in spans for i in range(last - first + 1)]
    pairs += [(i, i) for i in range(27, 31)]  # ridge of the nose
    pairs += [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]  # eyes
    pairs += [(55, 59), (56, 58), (57, 57), (65, 67), (66, 66)]  # lips below
    both = dict(pairs) | {other: one for one, other in pairs}
    return [both[i] for i in range(68)]


MIRRORED_POINTS: Final = tuple(_mirrored_points())
"""Point i of a mirrored face is point MIRRORED_POINTS[i] of the face, its x mirrored."""

MIRRORED_ELLIPSES: Final = tuple(
    next((j for j, other in enumerate(ELLIPSE_AU) if other == au and j != i), i)
    for i, au in enumerate(ELLIPSE_AU)
)
"""The same for ellipses: of the two of an action unit the image-left one stays first."""


def frame(faces: Faces, size_px: int, *, draws: Draws | None, data: Data) -> Framed:
    """Frame faces for the network.

    Each pixel of the image is the mean over the square it covers, or, where the crop is enlarged,
    bilinear. The square stays within the stored crop: a margin above the stored one is cut down to
    it, and so is a shift that would leave it.

    Args:
        faces: as stored, with crops of at least one pixel.
        size_px: T.
        draws: margin, shift and flip of each face; None takes `data.margin`, no shift, no flip.
        data: `margin_low`, `margin_high`, `shift` and `flip`, or `margin`.

    Returns:
        The faces on the same device, points and ellipses moved with them. An ellipse of a face
        without any stays without extent.

    >>> from training.faces import blank
    >>> framed = frame(blank(2, 64), 112, draws=None, data=Data())
    >>> framed.image_NCHW.shape
    torch.Size([2, 3, 112, 112])
    """
    margin_N, shift_N2, is_flipped_N = _drawn(faces, draws, data)
    stored_px = faces.size_px
    share_N = (margin_N / faces.margin_N).clamp(max=1.0)
    side_N = stored_px * share_N
    room_N = (stored_px - side_N) / 2.0
    wanted_N2 = shift_N2 * side_N[:, None]
    moved_N2 = torch.maximum(torch.minimum(wanted_N2, room_N[:, None]), -room_N[:, None])
    centre_N2 = (stored_px - 1) / 2.0 + moved_N2
    step_N = side_N / size_px
    low, high = (data.margin, data.margin) if draws is None else (data.margin_low, data.margin_high)
    _warn_once(faces, size_px, low, high)

    weights_N2TS = _weights(centre_N2, step_N, size_px, stored_px)
    flipped_NTS = torch.where(
        is_flipped_N[:, None, None], weights_N2TS[:, 0].flip(1), weights_N2TS[:, 0]
    )
    return Framed(
        image_NCHW=_resampled(faces.image_NHWC, flipped_NTS, weights_N2TS[:, 1]),
        landmarks_NP2=_points(faces.landmarks_NP2, centre_N2, step_N, is_flipped_N, size_px),
        ellipses_NE5=_ellipses(faces.ellipses_NE5, centre_N2, step_N, is_flipped_N, size_px),
        label_N=faces.label_N,
        video_N=faces.video_N,
        sample_N=faces.sample_N,
    )


def _drawn(
    faces: Faces, draws: Draws | None, data: Data
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Margin, shift over the side, and whether it is mirrored, of each face."""
    if draws is None:
        still_N2 = faces.margin_N.new_zeros(len(faces), 2)
        return torch.full_like(faces.margin_N, data.margin), still_N2, still_N2[:, 0] > 0.0
    return (
        draws.uniform("framing margin", low=data.margin_low, high=data.margin_high),
        draws.uniform("framing shift", 2, low=-data.shift, high=data.shift),
        draws.chance("framing flip", p=data.flip),
    )


def _weights(
    centre_N2: torch.Tensor, step_N: torch.Tensor, size_px: int, stored_px: int
) -> torch.Tensor:
    """(N, 2, T, S): what each stored column (0) and row (1) gives to each of the image.

    A pixel of the image covers a stretch of `step` stored pixels, at least one: the share of the
    stretch that lies on a stored pixel is its weight. With a stretch of one pixel that is linear
    interpolation. What hangs over the crop's edge is left out.
    """
    made = torch.arange(size_px, device=step_N.device, dtype=step_N.dtype)
    at_N2T1 = (
        centre_N2[:, :, None, None]
        + ((made - (size_px - 1) / 2.0) * step_N[:, None])[:, None, :, None]
    )
    half_N111 = step_N.clamp(min=1.0)[:, None, None, None] / 2.0
    stored = torch.arange(stored_px, device=step_N.device, dtype=step_N.dtype)
    right = torch.minimum(at_N2T1 + half_N111, stored + 0.5)
    left = torch.maximum(at_N2T1 - half_N111, stored - 0.5)
    overlap = (right - left).clamp(min=0.0)
    return overlap / overlap.sum(-1, keepdim=True)


def _resampled(
    image_NHWC: torch.Tensor, columns_NTS: torch.Tensor, rows_NTS: torch.Tensor
) -> torch.Tensor:
    """(N, 3, T, T) float32, 0..1."""
    rows_NTD = rows_NTS @ image_NHWC.flatten(2).float()
    rows_NTWC = rows_NTD.reshape(*rows_NTD.shape[:2], image_NHWC.shape[2], 3)
    rows_NCTW = rows_NTWC.permute(0, 3, 1, 2)
    return (rows_NCTW @ columns_NTS.mT[:, None]).mul_(1.0 / 255.0).clamp_(0.0, 1.0)


def _points(
    points_NP2: torch.Tensor,
    centre_N2: torch.Tensor,
    step_N: torch.Tensor,
    is_flipped_N: torch.Tensor,
    size_px: int,
) -> torch.Tensor:
    moved = (points_NP2 - centre_N2[:, None]) / step_N[:, None, None] + (size_px - 1) / 2.0
    swapped = moved[:, indices(MIRRORED_POINTS, moved)]
    mirrored = torch.stack([size_px - 1 - swapped[..., 0], swapped[..., 1]], dim=-1)
    return torch.where(is_flipped_N[:, None, None], mirrored, moved)


def _ellipses(
    ellipses_NE5: torch.Tensor,
    centre_N2: torch.Tensor,
    step_N: torch.Tensor,
    is_flipped_N: torch.Tensor,
    size_px: int,
) -> torch.Tensor:
    half = (size_px - 1) / 2.0
    place_NE2 = (ellipses_NE5[..., :2] - centre_N2[:, None]) / step_N[:, None, None] + half
    axes_NE2 = ellipses_NE5[..., 2:4] / step_N[:, None, None]
    moved = torch.cat([place_NE2, axes_NE2, ellipses_NE5[..., 4:]], dim=-1)
    cx, cy, a, b, theta = moved[:, indices(MIRRORED_ELLIPSES, moved)].unbind(-1)
    mirrored = torch.stack([size_px - 1 - cx, cy, a, b, -theta], dim=-1)
    return torch.where(is_flipped_N[:, None, None], mirrored, moved)


def _warn_once(faces: Faces, size_px: int, low: float, high: float) -> None:
    """Look at the first batch of each kind: looking at any other would wait for the device."""
    told = (faces.size_px, size_px, low, high)
    if told in _told or not len(faces):
        return
    _told.add(told)
    stored = float(faces.margin_N.min())
    least = min(low, stored) / stored
    enlargement = size_px / (faces.size_px * least)
    if enlargement > LARGEST_ENLARGEMENT:
        log.warning(
            "crops of %d px at margin %.2f are enlarged by up to %.2f to fill %d px; extract them "
            "with --size %d for this",
            *(faces.size_px, stored, enlargement, size_px, math.ceil(size_px / least)),
        )
    if high > stored + 1e-3:
        log.warning(
            "crops are stored at margin %.2f, so a margin of %.2f is cut down to that; extract "
            "them with --margin %.1f for this",
            *(stored, high, high),
        )


_told: Final[set[tuple[int, int, float, float]]] = set()
