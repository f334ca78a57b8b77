"""Looks after the steps of a run: what each came to, whether it is a number, whether to stop.

A GPU is never waited for: what a step comes to is read while the next one is under way.

Letters: N faces.
"""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType

import torch
from safetensors.torch import save
from torch import Tensor

from facekit.errors import Diverged
from facekit.shards.disk import publishing
from training.faces import Faces
from training.learner import NAMES
from training.ranks import Ranks


@dataclass(frozen=True)
class Taken:
    """A step that was launched.

    Args:
        step: its number, from 0.
        epoch: passes done before it.
        parts: the faces of this rank, part by part.
        mine: losses of this rank and norm of the gradient, on the host once `ready` has come.
        mean: the same over all ranks, and last how many of them were told to stop.
        ready: on CUDA, when they are there.
    """

    step: int
    epoch: int
    parts: Sequence[Faces]
    mine: Tensor
    mean: Tensor
    ready: "torch.cuda.Event | None"


class Watch:
    """Keeps the last step until it is known what it came to.

    Args:
        folder: of the run; a batch that did not come to a number is written there.
        ranks: of the run.
        stop: the signals received so far.
    """

    def __init__(self, folder: Path, ranks: Ranks, stop: Sequence[int]) -> None:
        self._folder = folder
        self._ranks = ranks
        self._stop = stop
        self._taken: Taken | None = None
        self.told_to_stop = False
        """Whether any rank was, by the last step read: the same on all of them."""

    def launched(
        self, step: int, epoch: int, parts: Sequence[Faces], mine: Tensor
    ) -> dict[str, float] | None:
        """A step was launched.

        Args:
            step: its number.
            epoch: passes done before it.
            parts: the faces of this rank.
            mine: (5,) float32 on the device, `NAMES` of this rank.

        Returns:
            What the step before came to, as `flush` does.
        """
        # Filled on the device: a copy of a number from the host would wait for the step.
        stop = mine.new_full((1,), float(bool(self._stop)) * self._ranks.world)
        mean = self._ranks.sum(torch.cat([mine, stop])) / self._ranks.world
        ready = None
        if mine.is_cuda:
            mine, mean = (x.to("cpu", non_blocking=True) for x in (mine, mean))
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record()
        before = self.flush()
        self._taken = Taken(step, epoch, parts, mine, mean, ready)
        return before

    def flush(self) -> dict[str, float] | None:
        """Wait for the last step.

        Returns:
            Mean over the ranks of each of `NAMES`; None where no step is under way.

        Raises:
            Diverged: one of them is not finite; the batch has been written.
            DiskFull: there was no room to write it.
        """
        taken, self._taken = self._taken, None
        if taken is None:
            return None
        if taken.ready is not None:
            taken.ready.synchronize()
        *values, stop = taken.mean.tolist()
        self.told_to_stop = stop > 0
        if not taken.mean.isfinite().all():
            raise Diverged(self._report(taken))
        return dict(zip(NAMES, values, strict=True))

    def _report(self, taken: Taken) -> str:
        told = ", ".join(
            f"{name} {value:.4g}"
            for name, value in zip(NAMES, taken.mean.tolist(), strict=False)
            if not torch.isfinite(torch.tensor(value))
        )
        where = "the batch of another rank is to blame, which has written it"
        if not taken.mine.isfinite().all():
            path = self._folder / f"not-finite-{taken.step:08d}-{self._ranks.rank}.safetensors"
            _write(path, taken)
            where = f"its batch is in {path}"
        return (
            f"step {taken.step} of epoch {taken.epoch} came to {told}: stopped, {where}; "
            "lower training.rate or set training.clip, in a new run"
        )


def _write(path: Path, taken: Taken) -> None:
    """The faces as the step was given them: with config, epoch and step they give the loss again.

    `training.step.compute` takes each `part` on its own.
    """
    tensors = {
        f"{one.name}.{part}": getattr(faces, one.name)
        .cpu()
        .clone(memory_format=torch.contiguous_format)
        for part, faces in enumerate(taken.parts)
        for one in fields(faces)
    }
    told = {"step": str(taken.step), "epoch": str(taken.epoch), "parts": str(len(taken.parts))}
    with publishing(path) as draft:
        draft.write_bytes(save(tensors, metadata=told))


@contextmanager
def signals(*, patient: bool = False) -> Iterator[list[int]]:
    """While the block runs, SIGINT and SIGTERM are collected; a second one acts as it always did.

    Only the main thread can receive signals; elsewhere the list stays empty.

    Args:
        patient: collect all of them. Under torchrun one press of Ctrl-C arrives twice, from the
            terminal and from torchrun, which kills who takes too long.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)
        if not patient:
            restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield received
    finally:
        restore()
