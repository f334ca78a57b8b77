"""Random draws that are the same on any machine: bytes of SHAKE-256, one stream a replicate.

Letters in shapes: B replicates, G identity groups.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

_DRAWN_AT_ONCE: Final = 1 << 21

Float = npt.NDArray[np.float64]


def bootstrap(groups: int, replicates: int, name: str) -> Iterator[Float]:
    """How often each group is drawn when as many as there are are drawn with replacement.

    Args:
        groups: how many there are.
        replicates: how many times to draw.
        name: whatever the draws shall depend on.

    Yields:
        (b, G) whole numbers in each row adding up to G; all b together are `replicates`.

    >>> [rows.tolist() for rows in bootstrap(3, 2, "example")]
    [[[2.0, 0.0, 1.0], [2.0, 0.0, 1.0]]]
    """
    for first, count in _batches(groups, replicates):
        drawn_BG = np.empty((count, groups))
        for row in range(count):
            words = _bytes(f"bootstrap {name} {first + row}", 4 * groups).view("<u4")
            # The upper half of the product is as even as 32 bits allow.
            draws = words.astype(np.uint64) * np.uint64(groups) >> np.uint64(32)
            drawn_BG[row] = np.bincount(draws.astype(np.int64), minlength=groups)
        yield drawn_BG


def exchanges(groups: int, replicates: int, name: str) -> Iterator[Float]:
    """Which groups have real and fake exchanged: all patterns if these are not more than asked for.

    Yields:
        (b, G) zeros and ones.

    >>> [rows.tolist() for rows in exchanges(2, 100, "example")]
    [[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]
    """
    if is_exact(groups, replicates):
        for first, count in _batches(groups, 2**groups):
            patterns = np.arange(first, first + count)[:, None] >> np.arange(groups)
            yield (patterns & 1).astype(np.float64)
        return
    for first, count in _batches(groups, replicates):
        names = (f"exchange {name} {first + row}" for row in range(count))
        bits = [np.unpackbits(_bytes(each, -(-groups // 8)))[:groups] for each in names]
        yield np.array(bits, np.float64)


def is_exact(groups: int, replicates: int) -> bool:
    """Whether all patterns of exchange are gone through, not a random part of them.

    >>> is_exact(13, 10_000), is_exact(14, 10_000)
    (True, False)
    """
    return groups < 62 and 2**groups <= replicates


def _batches(groups: int, replicates: int) -> Iterator[tuple[int, int]]:
    """First replicate and number of replicates of each batch that is held in memory."""
    most = max(1, min(1000, _DRAWN_AT_ONCE // max(1, groups)))
    for first in range(0, replicates, most):
        yield first, min(most, replicates - first)


def _bytes(name: str, length: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(hashlib.shake_256(name.encode()).digest(length), np.uint8)
