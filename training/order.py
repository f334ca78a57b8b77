"""In which order faces are learnt from: a pure function of seed, epoch and position.

Neither the number of ranks nor the tier decides it. Every step has one slice of the one order, of
which rank r of W takes r, r + W, r + 2W and so on. The order can be read from disk: blocks of 64
neighbours are shuffled, and of what then lies in a row each 8,192 faces are shuffled among
themselves, so a reader that holds two such windows reads every face once and in blocks. Up to
8,192 faces any order is as likely as any other.

Letters: N faces, S steps, B faces that a step takes from the table.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from facekit.errors import BadInput
from training.draws import Draws
from training.options import Data

BLOCK: Final = 64
"""Neighbouring faces that stay together until they are in memory."""

WINDOW: Final = 8192
"""Faces that are shuffled among themselves."""

_Index = npt.NDArray[np.int64]


def positions(count: int, seed: int, epoch: int, *, stream: str = "faces") -> _Index:
    """Each of `count` faces once.

    Args:
        count: N.
        seed: of the run.
        epoch: which pass.
        stream: orders of different names are independent.

    Returns:
        (N,) int64, a permutation of 0 to N - 1.

    >>> positions(6, seed=0, epoch=0), positions(6, seed=0, epoch=1)
    (array([5, 3, 2, 1, 4, 0]), array([3, 0, 5, 2, 1, 4]))
    """
    block_N = np.arange(count) // BLOCK
    blocks = _drawn(-(-count // BLOCK), seed, epoch, f"order of blocks of {stream}")
    by_block_N = np.argsort(blocks[block_N], kind="stable")
    within_N = _drawn(count, seed, epoch, f"order of {stream}")
    return by_block_N[np.lexsort((within_N, np.arange(count) // WINDOW))]


def _drawn(count: int, seed: int, epoch: int, name: str) -> _Index:
    """62 random bits each; the order of these is the same for any version of any package."""
    draws = Draws(seed, epoch, torch.arange(count))
    high, low = draws.integers(name, 2, high=1 << 31).unbind(1)
    made: _Index = (high * (1 << 31) + low).numpy()
    return made


def epoch_order(
    kind_N: npt.NDArray[np.int64], batch: int, data: Data, *, seed: int, epoch: int
) -> _Index:
    """The faces of each step of an epoch, over all ranks.

    Args:
        kind_N: (N,) int64, 0 real, 1 and more fakes of a kind, of each face of the table: `kinds`.
        batch: images a step. With task = tampered each real face makes a pair of them.
        data: `task` and `balance`.
        seed: of the run.
        epoch: which.

    Returns:
        (S, B) int64, indices into `kind_N`. What is left over after the last whole step is not
        seen in this epoch. Balanced, the first half of each row is real and the second is fake,
        as many of each kind: what is rarer goes round as often as needed, in another order each
        time.

    Raises:
        BadInput: the faces do not fill a single step.
    """
    steps = steps_per_epoch(kind_N, batch, data)
    if is_balanced(data):
        half = batch // 2
        reals = _cycled(np.flatnonzero(kind_N == 0), steps * half, seed, epoch, "real")
        forged = [kind for kind in np.unique(kind_N).tolist() if kind > 0]
        of_each = -(-steps * half // len(forged))
        fakes_EK = np.stack(
            [
                _cycled(np.flatnonzero(kind_N == kind), of_each, seed, epoch, f"fake {kind}")
                for kind in forged
            ],
            axis=1,
        )
        fakes_SH = fakes_EK.reshape(-1)[: steps * half].reshape(steps, half)
        # Ranks take every so many-th face: in turn, a rank could meet one kind alone.
        places_SH = _drawn(steps * half, seed, epoch, "places of fakes").reshape(steps, half)
        fakes_SH = np.take_along_axis(fakes_SH, np.argsort(places_SH, axis=1), axis=1)
        return np.concatenate([reals.reshape(steps, half), fakes_SH], axis=1)
    taken = _taken(kind_N, data)
    a_step = batch // 2 if data.task == "tampered" else batch
    order = taken[positions(len(taken), seed, epoch)]
    return order[: steps * a_step].reshape(steps, a_step)


def steps_per_epoch(kind_N: npt.NDArray[np.int64], batch: int, data: Data) -> int:
    """How many whole steps the faces fill; see `epoch_order`.

    Raises:
        BadInput: not one.

    >>> steps_per_epoch(np.array([0, 0, 0, 1]), 2, Data())
    3
    >>> steps_per_epoch(np.array([0, 0, 0, 1]), 2, Data(task="labelled"))
    3
    """
    if is_balanced(data):
        reals = int((kind_N == 0).sum())
        count, a_step = max(reals, len(kind_N) - reals), batch // 2
    else:
        count = len(_taken(kind_N, data))
        a_step = batch // 2 if data.task == "tampered" else batch
    if count < a_step:
        raise BadInput(
            f"{count} faces do not fill one step, which takes {a_step}; lower training.batch, or "
            "raise data.frames"
        )
    return count // a_step


def is_balanced(data: Data) -> bool:
    """Whether a batch takes real and fake faces from an order each."""
    return data.task == "labelled" and data.balance != "none"


def kinds(
    label_N: npt.NDArray[np.int64], method_N: npt.NDArray[np.str_], data: Data
) -> npt.NDArray[np.int64]:
    """What a batch is to hold as much of: 0 real, 1 and more fakes.

    Args:
        label_N: 0 real or 1 fake.
        method_N: what made the fakes.
        data: `balance`; but for `method` all fakes are of one kind.

    >>> kinds(np.array([0, 1, 1]), np.array(["", "b", "a"]), Data(balance="method"))
    array([0, 2, 1])
    """
    if data.balance != "method":
        return label_N
    kind_N = np.zeros_like(label_N)
    is_fake_N = label_N == 1
    kind_N[is_fake_N] = 1 + np.unique(method_N[is_fake_N], return_inverse=True)[1]
    return kind_N


def _taken(kind_N: npt.NDArray[np.int64], data: Data) -> _Index:
    return np.flatnonzero(kind_N == 0) if data.task == "tampered" else np.arange(len(kind_N))


def _cycled(taken: _Index, count: int, seed: int, epoch: int, name: str) -> _Index:
    """That many of them, going round in a fresh order each lap."""
    laps = -(-count // max(1, len(taken)))
    orders = [positions(len(taken), seed, epoch, stream=f"{name} {lap}") for lap in range(laps)]
    return np.concatenate([taken[order] for order in orders])[:count]
