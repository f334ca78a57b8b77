"""Felzenszwalb's histograms of oriented gradients as dlib computes them, of 112 px crops.

Tensor names end in their axes: N faces, C colours, H and W rows and columns, O the 18 directions,
R and S rows and columns of cells, K the 4 blocks about a cell, Q a crop's pixels.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Final

import numpy as np
import torch

CELL_PX: Final = 8
SIDE_PX: Final = 112
CELLS: Final = SIDE_PX // CELL_PX
CHANNELS: Final = 31

_DIRECTIONS: Final = 18
_HALF: Final = _DIRECTIONS // 2
_INNER: Final = SIDE_PX - 2
_LEVELS: Final = 255
_CODES: Final = 2 * _LEVELS + 1
_UNIT_XY: Final = (
    *((1.0, 0.0), (0.9397, 0.3420), (0.7660, 0.6428), (0.5, 0.8660), (0.1736, 0.9848)),
    *((-0.1736, 0.9848), (-0.5, 0.8660), (-0.7660, 0.6428), (-0.9397, 0.3420)),
)
_LATE_X: Final = 105
"""From this column on dlib breaks ties between colours the other way round."""

_CLIP: Final = 0.2
_EPSILON: Final = 1e-4
_TEXTURE: Final = 0.4714
_BLOCKS: Final = ((1, 1), (0, 1), (1, 0), (0, 0))


class Fhog:
    """Describes crops; holds tables that do not change.

    Args:
        device: where it runs.
    """

    def __init__(self, device: torch.device) -> None:
        self._direction_G = torch.from_numpy(_direction_table()).to(device)
        late_W = torch.arange(1, SIDE_PX - 1) >= _LATE_X
        self._late_W = late_W.to(device, torch.int32)
        cell, share = _votes_of_pixels()
        self._cell_4Q = torch.from_numpy(cell).to(device)
        self._share_4Q = torch.from_numpy(share).to(device)

    def __call__(self, img_NCHW: torch.Tensor) -> torch.Tensor:
        """Describe crops.

        Args:
            img_NCHW: (N, 3, 112, 112) int16, 0..255, red before green before blue.

        Returns:
            (N, 4464) float32: rows, columns and channels of 12 x 12 cells of 31 numbers.

        Source: Felzenszwalb et al., Object Detection with Discriminatively Trained Part Based
        Models, PAMI 2010; variants as in dlib's `extract_fhog_features`.
        """
        return _normalised(self._histograms(img_NCHW)).flatten(1)

    def _histograms(self, img_NCHW: torch.Tensor) -> torch.Tensor:
        """(N, O, R, S) float32: each cell's votes, weighted by length and nearness."""
        code_NHW, square_NHW = self._gradients(img_NCHW)
        count = len(code_NHW)
        direction_NQ = self._direction_G.index_select(0, code_NHW.flatten()).reshape(count, -1)
        length_NQ = square_NHW.flatten(1).float().sqrt()
        cells = (CELLS + 2) ** 2
        bin_N4Q = direction_NQ[:, None] * cells + self._cell_4Q
        vote_N4Q = length_NQ[:, None] * self._share_4Q
        votes_NB = vote_N4Q.new_zeros(count, _DIRECTIONS * cells)
        votes_NB.scatter_add_(1, bin_N4Q.flatten(1), vote_N4Q.flatten(1))
        side = CELLS + 2
        return votes_NB.reshape(count, _DIRECTIONS, side, side)[:, :, 1:-1, 1:-1]

    def _gradients(self, img_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradients of the steepest colours: number in the table, squared length.

        (N, 110, 110) int32 each.
        """
        img_NCHW = img_NCHW.to(torch.int32)
        x_NCHW = img_NCHW[:, :, 1:-1, 2:] - img_NCHW[:, :, 1:-1, :-2]
        y_NCHW = img_NCHW[:, :, 2:, 1:-1] - img_NCHW[:, :, :-2, 1:-1]
        square_NCHW = x_NCHW * x_NCHW + y_NCHW * y_NCHW
        code_NCHW = (x_NCHW + _LEVELS) * _CODES + (y_NCHW + _LEVELS)
        code_NHW, square_NHW = code_NCHW[:, 2], square_NCHW[:, 2]
        for colour in (1, 0):
            steeper = square_NCHW[:, colour] > square_NHW - self._late_W
            code_NHW = torch.where(steeper, code_NCHW[:, colour], code_NHW)
            square_NHW = torch.maximum(square_NHW, square_NCHW[:, colour])
        return code_NHW, square_NHW


def _normalised(votes_NORS: torch.Tensor) -> torch.Tensor:
    """(N, 12, 12, 31): each inner cell's votes against the energy of four blocks about it."""
    unsigned = votes_NORS[:, :_HALF] + votes_NORS[:, _HALF:]
    energy_NRS = _in_turn((unsigned * unsigned).unbind(dim=1))
    pairs = energy_NRS[:, :, :-1] + energy_NRS[:, :, 1:]
    blocks_NRS = pairs[:, :-1] + pairs[:, 1:]
    inner = CELLS - 2
    around = [blocks_NRS[:, r : r + inner, s : s + inner] for r, s in _BLOCKS]
    limit_NK1RS = (_CLIP * (torch.stack(around, dim=1) + _EPSILON).sqrt())[:, :, None]
    both_NORS = torch.cat([votes_NORS, unsigned], dim=1)[:, :, 1:-1, 1:-1]
    clipped_NKORS = torch.minimum(both_NORS[:, None], limit_NK1RS) * (0.1 / limit_NK1RS)
    k0, k1, k2, k3 = clipped_NKORS.unbind(dim=1)
    texture_NKRS = _in_turn(clipped_NKORS[:, :, :_DIRECTIONS].unbind(dim=2)) * _TEXTURE
    return torch.cat([k0 + k1 + k2 + k3, texture_NKRS], dim=1).permute(0, 2, 3, 1)


def _in_turn(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum, from first to last: rounded the same way however many faces there are."""
    return reduce(torch.add, parts)


def _direction_table() -> np.ndarray:
    """Direction of each gradient a pixel can have, by x and y in -255..255."""
    step = np.arange(-_LEVELS, _LEVELS + 1, dtype=np.float32)
    x, y = step[:, None], step[None]
    best = np.zeros((_CODES, _CODES), np.float32)
    direction = np.zeros((_CODES, _CODES), np.int64)
    for number, (unit_x, unit_y) in enumerate(_UNIT_XY):
        dot = x * np.float32(unit_x) + y * np.float32(unit_y)
        for sign, found in ((1, number), (-1, number + _HALF)):
            better = sign * dot > best
            best = np.where(better, sign * dot, best)
            direction = np.where(better, found, direction)
    return direction.ravel()


def _votes_of_pixels() -> tuple[np.ndarray, np.ndarray]:
    """For each inner pixel the four cells it votes for, by number, and its share in each.

    Cells beyond the crop's edge are numbered too, and dropped later.
    """
    place = (np.arange(1, SIDE_PX - 1, dtype=np.float32) + np.float32(0.5)) / np.float32(
        CELL_PX
    ) - np.float32(0.5)
    first = np.floor(place)
    part = place - first
    cell = first.astype(np.int64) + 1
    side = CELLS + 2
    cells, shares = [], []
    for down in (0, 1):
        for right in (0, 1):
            cells.append(((cell + down)[:, None] * side + (cell + right)[None]).ravel())
            rows = part if down else 1 - part
            columns = part if right else 1 - part
            shares.append((rows[:, None] * columns[None]).ravel())
    return np.stack(cells), np.stack(shares).astype(np.float32)
