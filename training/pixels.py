"""Crops from shards into host memory, in runs of neighbours: never one by one."""

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from facekit.shards import Shards, open_shards
from training.table import Table

_CHUNK_ROWS: Final = 8
"""Crops that a shard keeps together: reading one costs as much as reading them all."""

_RUN_ROWS: Final = 256


class Run(NamedTuple):
    """Samples `start` to `stop` of a list, which lie in `rows` rows of a folder from `row` on."""

    start: int
    stop: int
    folder: int
    row: int
    rows: int


def runs(
    folder_N: npt.NDArray[np.int64], row_N: npt.NDArray[np.int64], most: int = _RUN_ROWS
) -> Iterator[Run]:
    """Cut samples in order of folder and row into runs that are worth one read each.

    Args:
        folder_N: (N,) int64, ascending.
        row_N: (N,) int64, ascending within a folder; a row may come more than once.
        most: rows of a run.

    >>> list(runs(np.zeros(4, int), np.array([3, 4, 6, 40])))
    [Run(start=0, stop=3, folder=0, row=3, rows=4), Run(start=3, stop=4, folder=0, row=40, rows=1)]
    """
    is_far_N = (np.diff(folder_N) != 0) | (np.diff(row_N) > _CHUNK_ROWS)
    is_far_N |= np.diff(row_N // most) != 0
    edges = [0, *(np.flatnonzero(is_far_N) + 1).tolist(), len(row_N)]
    for start, stop in pairwise(edges):
        if start < stop:
            first, last = int(row_N[start]), int(row_N[stop - 1])
            yield Run(start, stop, int(folder_N[start]), first, last - first + 1)


class Reader(AbstractContextManager["Reader"]):
    """The shards of a table, open for reading; of several threads one at a time.

    Args:
        table: whose samples are read.
    """

    def __init__(self, table: Table) -> None:
        self._samples = table.samples
        self._shards: Sequence[Shards] = [open_shards(folder) for folder in table.folders]
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, _close, self._shards)

    def fill(self, sample_N: npt.NDArray[np.int64], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Fill arrays with what the shards hold of some samples.

        Args:
            sample_N: (N,) int64, ascending.
            arrays: column -> C-contiguous array of its dtype and shape, N long.

        Raises:
            BadShard: the data fails its checksum.
        """
        folder_N, row_N = self._samples.folder_N[sample_N], self._samples.row_N[sample_N]
        with self._lock:
            self._fill(folder_N, row_N, arrays)

    def _fill(
        self,
        folder_N: npt.NDArray[np.int64],
        row_N: npt.NDArray[np.int64],
        arrays: dict[str, npt.NDArray[Any]],
    ) -> None:
        for run in runs(folder_N, row_N):
            shards, kept = self._shards[run.folder], slice(run.start, run.stop)
            if (np.diff(row_N[kept]) == 1).all():
                shards.read_into(run.row, {name: each[kept] for name, each in arrays.items()})
                continue
            whole = {
                name: np.empty((run.rows, *each.shape[1:]), each.dtype)
                for name, each in arrays.items()
            }
            shards.read_into(run.row, whole)
            for name, each in arrays.items():
                each[kept] = whole[name][row_N[kept] - run.row]

    def __exit__(self, *_: object) -> None:
        self._finalizer()


def _close(shards: Sequence[Shards]) -> None:
    for one in shards:
        one.close()
