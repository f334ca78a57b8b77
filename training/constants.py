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
    return _on(table, like.device, torch.float32)


def indices(table: tuple[object, ...], like: torch.Tensor) -> torch.Tensor:
    """The same as int64, to index with: a list would be sent, and waited for, at every use.

    >>> torch.tensor([5.0, 6.0, 7.0])[indices((2, 0), torch.empty(0))]
    tensor([7., 5.])
    """
    return _on(table, like.device, torch.int64)


@lru_cache(maxsize=256)
def _on(table: tuple[object, ...], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    with torch.inference_mode(False):  # it may be made by a validation and learnt with later
        return torch.tensor(table, device=device, dtype=dtype)
