"""SIGINT and SIGTERM end a run in good order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from facekit.errors import Interrupted
from pipelines.workers import Workers

GRACE_S: Final = 10.0
"""How long tasks in flight may go on after a first signal."""


@contextmanager
def stopping(workers: Workers) -> Iterator[None]:
    """While the block runs, SIGINT and SIGTERM stop the workers.

    The first signal lets tasks in flight end for `GRACE_S`, the second ends them at once. Only the
    main thread can receive signals; elsewhere the block runs as it is.

    Raises:
        Interrupted: a signal came; raised when the block has ended by itself.
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        workers.stop(0.0 if received else GRACE_S)
        received.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(number, stop) for number in numbers]
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if received:
        raise Interrupted(
            f"stopped by {signal.Signals(received[0]).name}; what is done is kept: run the same "
            "command again to go on",
            received[0],
        )
