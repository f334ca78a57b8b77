"""The processes of a run: one, or as many as torchrun started, which act as one.

Ranks count from 0; rank 0 alone writes files. `torchrun --nproc-per-node 8 -m facekit train ...`
starts them, and starts all of them again should one die.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
from torch import Tensor, distributed

from facekit.errors import BadInput, MissingDevice
from facekit.options import DEVICES

_PATIENCE: Final = timedelta(hours=2)
"""How long ranks wait for another: rank 0 validates and writes while they do."""


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run.

    Args:
        rank: this one, from 0.
        world: how many there are.
        device: where this one computes.
        here: how many there are on this machine.
        is_launched: whether torchrun started it.
        restarts: how often torchrun has started all of them again.
    """

    rank: int
    world: int
    device: torch.device
    here: int = 1
    is_launched: bool = False
    restarts: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which writes the files."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks, in place; all of them call it."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values

    def told(self, value: float | None) -> float | None:
        """What rank 0 gives, on every rank; all of them call it.

        Args:
            value: a number or None; that of other ranks does not count.
        """
        if self.world == 1:
            return value
        box = torch.tensor([math.nan if value is None else value], dtype=torch.float64)
        box = box.to(self.device)
        distributed.broadcast(box, src=0)
        told = box.item()
        return None if math.isnan(told) else told

    def wait(self) -> None:
        """Go on when all ranks are here."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """Join the other processes of the run, if torchrun started any, while the block runs.

    Args:
        device: `auto` takes CUDA where it works, `cpu` or `cuda`; of several GPUs each rank takes
            that of its number on this machine.

    Raises:
        BadInput: no such device, or torchrun's variables make no sense.
        MissingDevice: `cuda` was asked for and cannot be had, or there are fewer GPUs than ranks.

    >>> with joined("cpu") as ranks:
    ...     ranks.rank, ranks.world, ranks.device.type
    (0, 1, 'cpu')
    """
    rank, world, local = (_number(*told) for told in (("RANK", 0), ("WORLD_SIZE", 1), _LOCAL))
    if not 0 <= rank < world:
        raise BadInput(f"RANK {rank} does not lie in 0 to WORLD_SIZE {world}; use torchrun")
    mine = Ranks(
        rank,
        world,
        _device(device, local),
        here=_number("LOCAL_WORLD_SIZE", 1),
        is_launched="TORCHELASTIC_RUN_ID" in os.environ,
        restarts=_number("TORCHELASTIC_RESTART_COUNT", 0),
    )
    if world == 1:
        yield mine
        return
    backend = "nccl" if mine.device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield mine
    finally:
        distributed.destroy_process_group()


_LOCAL: Final = ("LOCAL_RANK", 0)


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    try:
        return int(text)
    except ValueError as error:
        raise BadInput(f"{variable} must be a whole number, not {text!r}") from error


def _device(asked: str, local: int) -> torch.device:
    if asked not in DEVICES:
        raise BadInput(f"--device must be one of {', '.join(DEVICES)}, not {asked!r}")
    if asked == "cpu" or (asked == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise MissingDevice("--device cuda: torch finds no usable GPU; see facekit doctor")
    if local >= torch.cuda.device_count():
        raise MissingDevice(
            f"rank {local} of this machine has no GPU: there are {torch.cuda.device_count()}; "
            "start fewer with --nproc-per-node"
        )
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    return device
