"""Masks of a face from its 68 points: the hull, the hull with a forehead, self-blending's four.

Letters: N faces, P points, Q parts of a face, H W rows and columns of the mask.
"""

from typing import Final, Literal

import torch

from training import hull
from training.constants import indices
from training.draws import Draws

FaceMask = Literal["hull68", "extended", "sbi4"]

_BROWS: Final = tuple(range(17, 27))
_BELOW_BROWS: Final = (36, 36, 37, 38, 39, 42, 43, 44, 45, 45)
"""The point of an eye under each point of a brow."""

_EYES_HIGH: Final = (*range(17, 27), 0, 27, 16, 33)
_WHOLE: Final = (tuple(range(17)), _EYES_HIGH, (*range(27, 31), 33))
_PIECES: Final = (
    (*range(9), 17),
    (*range(8, 17), 26),
    (17, 18, 19, 8),
    (24, 25, 26, 8),
    (*range(19, 25), 8),
    (*range(17, 22), 27, *range(31, 36), 8),
    (*range(22, 27), 27, *range(31, 36), 8),
    tuple(range(27, 36)),
)
"""Parts of which self-blending's masks are the unions, after the masks of Face X-ray (Li et al.,
CVPR 2020): three large ones (jaw, eyes and brows, ridge of the nose), and eight (two of the jaw,
two cheeks, ridge of the nose, two eyes, nose). Of the jaw's points those of the mouth are left
out: they lie within it."""

_MOST: Final = max(map(len, (*_WHOLE, *_PIECES)))


def _table(parts: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Parts as rows of one length and one number, with points repeated; the last ones are empty."""
    filled = tuple(part + (part[0],) * (_MOST - len(part)) for part in parts)
    return filled + ((0,) * _MOST,) * (len(_PIECES) - len(filled))


_PARTS: Final = (_table(_WHOLE), _table(_PIECES))


def face_mask(
    points_NP2: torch.Tensor, kind: FaceMask, draws: Draws, *, size_px: int, side_px: int
) -> torch.Tensor:
    """Draw M_f, the mask of the face.

    Args:
        points_NP2: (N, 68, 2) float32 iBUG-68 points in pixels of the picture.
        kind: `hull68`, the hull of the points (the paper's); `extended`, with the brows raised to
            the forehead; `sbi4`, for each face one of self-blending's four.
        draws: of the faces.
        size_px: side of the picture.
        side_px: side of the mask.

    Returns:
        (N, side_px, side_px) float32, 0..1.

    Source:
        Section 3.3 of AUNet; Shiohara and Yamasaki, CVPR 2022, for `sbi4`.

    >>> face_mask(torch.zeros(2, 68, 2), "hull68", Draws(0, 0, torch.arange(2)), size_px=8,
    ...     side_px=4).shape
    torch.Size([2, 4, 4])
    """
    if kind == "extended":
        points_NP2 = _with_forehead(points_NP2, 1.0)
    if kind == "sbi4":
        return _one_of_four(points_NP2, draws, size_px, side_px)
    return hull.coverage(points_NP2, size_px=size_px, side_px=side_px)


def _with_forehead(points_NP2: torch.Tensor, share: float) -> torch.Tensor:
    """The brows moved up by a share of their distance from the eyes."""
    brows_NB2 = points_NP2[:, 17:27]
    below_NB2 = points_NP2[:, indices(_BELOW_BROWS, points_NP2)]
    raised_NB2 = brows_NB2 + share * (brows_NB2 - below_NB2)
    return torch.cat([points_NP2[:, :17], raised_NB2, points_NP2[:, 27:]], 1)


def _one_of_four(
    points_NP2: torch.Tensor, draws: Draws, size_px: int, side_px: int
) -> torch.Tensor:
    """The hull; the union of three parts; of eight; of eight with raised brows."""
    count = len(points_NP2)
    kind_N = draws.integers("face mask", high=4)
    raised = (kind_N == 3)[:, None, None]
    points_NP2 = torch.where(raised, _with_forehead(points_NP2, 0.5), points_NP2)
    chosen_NQP = indices(_PARTS, points_NP2)[(kind_N >= 2).long()]
    row_N11 = torch.arange(count, device=points_NP2.device)[:, None, None]
    parts_NQP2 = points_NP2[row_N11, chosen_NQP]
    parts = hull.coverage(parts_NQP2.flatten(0, 1), size_px=size_px, side_px=side_px)
    # Two parts that share an edge cover half of its pixels each: their sum, not the larger.
    union_NHW = parts.view(count, len(_PIECES), side_px, side_px).sum(1).clamp_(max=1.0)
    hull_NHW = hull.coverage(points_NP2, size_px=size_px, side_px=side_px)
    return torch.where((kind_N == 0)[:, None, None], hull_NHW, union_NHW)
