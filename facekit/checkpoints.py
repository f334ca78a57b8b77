"""Weight files of PyTorch and safetensors into networks, with no trust in what the file holds."""

import pickle
import struct
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facekit.errors import BadWeights

if TYPE_CHECKING:
    import torch

_UNREADABLE: Final = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.PickleError,
    struct.error,
)
"""All that torch's reader of weights was seen to raise on 9,000 files of damaged or random bytes,
and what a sound file of another network makes of it."""


def fill(
    network: "torch.nn.Module", path: Path, name: str, *, without: Collection[str] = ()
) -> None:
    """Load a file of weights into a network and set it to evaluation.

    Nothing but tensors is read from the file. The prefix `module.`, which training on several
    GPUs leaves in front of each name, is taken off. Numbers take the network's own precision: half
    precision in the file is only how it is stored.

    Args:
        network: takes the weights, every one of them.
        path: the file; `.safetensors` is read as that, any other as PyTorch's own.
        name: what the network is called, for the error.
        without: modules that the file may hold and the network has not, such as a classifier.

    Raises:
        BadWeights: the file is damaged, or holds another network.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        named = {key.removeprefix("module."): x for key, x in state.items()}
        network.load_state_dict(
            {key: x for key, x in named.items() if key.rpartition(".")[0] not in without}
        )
    except (*_UNREADABLE, SafetensorError) as error:
        raise BadWeights(f"{path} does not hold the weights of {name}") from error
    network.eval()
