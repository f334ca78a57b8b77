"""Work done ahead of who needs it: items made by a thread, batches staged in pinned memory."""

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

import torch

_Item = TypeVar("_Item")
_END: Final = object()


def ahead(items: Generator[_Item, None, None], depth: int) -> Generator[_Item, None, None]:
    """The same items, made by a thread of their own.

    What the generator raises is raised here, in its place. When this iterator is closed, the item
    being made is finished first.

    Args:
        items: run in the thread alone.
        depth: items made before they are asked for, at least 1.

    >>> list(ahead((i * i for i in range(4)), depth=2))
    [0, 1, 4, 9]
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")

    def submit() -> "Future[object]":
        return pool.submit(next, items, _END)

    try:
        waiting = deque(submit() for _ in range(depth))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(submit())
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        items.close()


class Staging:
    """Host buffers for batches on their way to a device, gone round so that they stay pinned.

    For the CPU there is no way to go: each batch gets memory of its own, and keeps it.

    Args:
        device: where the batches go.
        buffers: how many, at least one more than are on their way at a time.
    """

    def __init__(self, device: torch.device, buffers: int) -> None:
        self._device = device
        self._buffers: list[torch.Tensor | None] = [None] * buffers
        is_cuda = device.type == "cuda"
        self._copied = [torch.cuda.Event() for _ in range(buffers * is_cuda)]  # type: ignore[no-untyped-call]
        self._turn = 0

    def empty(self, shape: tuple[int, ...]) -> tuple[int, torch.Tensor]:
        """A buffer to fill, and its number: uint8, on the host. Waits until its last copy is done.

        Args:
            shape: of the batch.
        """
        if self._device.type != "cuda":
            return 0, torch.empty(shape, dtype=torch.uint8)
        number = self._turn = (self._turn + 1) % len(self._buffers)
        self._copied[number].synchronize()
        buffer = self._buffers[number]
        if buffer is None or buffer.shape != shape:
            buffer = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
            self._buffers[number] = buffer
        return number, buffer

    def send(self, number: int, buffer: torch.Tensor) -> torch.Tensor:
        """The batch on the device; the host does not wait for it.

        Args:
            number: that `empty` gave with the buffer.
            buffer: filled.
        """
        if self._device.type != "cuda":
            return buffer.to(self._device)
        sent = buffer.to(self._device, non_blocking=True)
        self._copied[number].record(torch.cuda.current_stream(self._device))
        return sent
