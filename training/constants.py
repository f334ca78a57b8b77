"""Tables of numbers as tensors, sent to each device once."""

from functools import lru_cache

import torch


def constant(table: tuple[object, ...], like: torch.Tensor) -> torch.Tensor:
    """A table as a float32 tensor on the device of another; not to be written to.

    Args:
        table: numbers, or tuples of one length of such.
        like: gives the device.

    >>> constant((1.0, 2.0), torch.empty(0))
    tensor([1., 2.])
    """
    return _on(table, like.device)


@lru_cache(maxsize=256)
def _on(table: tuple[object, ...], device: torch.device) -> torch.Tensor:
    return torch.tensor(table, device=device, dtype=torch.float32)
