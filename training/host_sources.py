"""Crops that the device has no room for: in host memory, or on disk and read ahead of their use.

A thread gathers the next batches into pinned buffers, from where they go to the device without the
host waiting. From disk, another thread fills one window of the order while one is being used.

Letters: N faces, S side of a crop.
"""

from abc import abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from training.ahead import Staging, ahead
from training.faces import Faces
from training.memory import free_host_bytes
from training.source import Index, Source, Tier, load, sent
from training.table import Table

_BATCHES_AHEAD: Final = 2

_WINDOWS: Final = 2
"""One in use, one being read."""

_WINDOWS_SHARE: Final = 0.3
"""Of the host's free memory, what both may take."""


class _Staged(NamedTuple):
    """A batch on its way: what it holds, and its buffer with the number that `Staging` gave."""

    index_N: torch.Tensor
    number: int
    image_NHWC: torch.Tensor


class _HostSource(Source):
    """A source whose batches are gathered on the host."""

    def stream(self, batches: Sequence[Index], *, window: int) -> Iterator[Faces]:
        for sample_N in batches:
            self._require_there(torch.as_tensor(sample_N))
        staging = Staging(self.device, buffers=_BATCHES_AHEAD + 2)
        with closing(ahead(self._gathered(batches, staging, window), _BATCHES_AHEAD)) as gathered:
            for index_N, number, image_NHWC in gathered:
                yield self._faces(staging.send(number, image_NHWC), sent(index_N, self.device))

    @abstractmethod
    def _gathered(
        self, batches: Sequence[Index], staging: Staging, window: int
    ) -> Generator[_Staged, None, None]:
        """The batches in order, each in a buffer of `staging`; run by a thread."""


class PinnedSource(_HostSource):
    """All crops in one tensor of the host.

    It is not pinned itself: a batch has to be gathered before it is sent, and so only the gathered
    ones need to be, which leaves the machine its memory.
    """

    tier: ClassVar[Tier] = "pinned"

    def __init__(self, table: Table, device: torch.device) -> None:
        super().__init__(table, device)
        self._image_NHWC = torch.empty(self._shape(len(table)), dtype=torch.uint8)
        load(self._reader, self._image_NHWC)

    def _images(self, asked_N: torch.Tensor, index_N: torch.Tensor) -> torch.Tensor:
        return self._image_NHWC[asked_N.cpu()].to(self.device)

    def _gathered(
        self, batches: Sequence[Index], staging: Staging, window: int
    ) -> Generator[_Staged, None, None]:
        for sample_N in batches:
            index_N = torch.as_tensor(sample_N)
            number, image_NHWC = staging.empty(self._shape(len(index_N)))
            torch.index_select(self._image_NHWC, 0, index_N, out=image_NHWC)
            yield _Staged(index_N, number, image_NHWC)


class DiskSource(_HostSource):
    """Crops stay in their shards; a stream reads them a window at a time, in runs of neighbours.

    An order of `training.order` reads each crop once. Any other is right as well, but slower, and
    `take` reads what it is asked for there and then.
    """

    tier: ClassVar[Tier] = "disk"

    def __init__(self, table: Table, device: torch.device, *, sharing: int = 1) -> None:
        super().__init__(table, device)
        room = int(free_host_bytes() * _WINDOWS_SHARE / sharing / _WINDOWS)
        self._most_rows = max(1, room // (self.bytes // len(self)))

    def _images(self, asked_N: torch.Tensor, index_N: torch.Tensor) -> torch.Tensor:
        wanted, slot_N = np.unique(asked_N.cpu().numpy(), return_inverse=True)
        image_NHWC = np.empty(self._shape(len(wanted)), np.uint8)
        self._reader.fill(wanted, {"image": image_NHWC})
        return torch.from_numpy(image_NHWC)[torch.from_numpy(slot_N)].to(self.device)

    def _gathered(
        self, batches: Sequence[Index], staging: Staging, window: int
    ) -> Generator[_Staged, None, None]:
        whole = np.concatenate(batches) if len(batches) else np.empty(0, np.int64)
        with closing(ahead(self._windows(whole, window), _WINDOWS - 1)) as windows:
            held, slot = torch.empty(0), torch.empty(0, dtype=torch.int64)
            for sample_N in batches:
                number, image_NHWC = staging.empty(self._shape(len(sample_N)))
                filled = 0
                while filled < len(image_NHWC):
                    if not len(slot):
                        held, slot = next(windows)
                    part = image_NHWC[filled : filled + len(slot)]
                    torch.index_select(held, 0, slot[: len(part)], out=part)
                    filled, slot = filled + len(part), slot[len(part) :]
                yield _Staged(torch.as_tensor(sample_N), number, image_NHWC)

    def _windows(
        self, whole: Index, window: int
    ) -> Generator[tuple[torch.Tensor, torch.Tensor], None, None]:
        """The crops of each window in order of their place on disk, and which of them come."""
        rows = min(window, self._most_rows, len(whole))
        buffers: list[npt.NDArray[np.uint8]] = []
        for turn, start in enumerate(range(0, len(whole), max(1, rows))):
            if turn < _WINDOWS:
                buffers.append(np.empty(self._shape(rows), np.uint8))
            wanted, slot = np.unique(whole[start : start + rows], return_inverse=True)
            held = buffers[turn % _WINDOWS][: len(wanted)]
            self._reader.fill(wanted, {"image": held})
            yield torch.from_numpy(held), torch.from_numpy(slot)
