"""The file of the embedded detector, while its two looks are learnt one after the other."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from facekit.detectors.lite_graph import TRUST
from facekit.detectors.lite_network import LiteDetectorNetwork, SecondLookNetwork

_SECOND = "second."


def first_look(path: Path) -> LiteDetectorNetwork:
    """The network of the first look that a file holds.

    Args:
        path: a file with a second look or without.
    """
    network = LiteDetectorNetwork()
    held = load_file(path).items()
    network.load_state_dict(
        {name: x for name, x in held if name != TRUST and not name.startswith(_SECOND)}
    )
    return network.eval()


def write(
    path: Path,
    first: LiteDetectorNetwork,
    second: SecondLookNetwork | None = None,
    trust: float = 1.0,
) -> None:
    """Write one look or both, in half precision.

    Args:
        path: the file.
        first: the first look, without norm.
        second: the second, without norm and points; None leaves it out.
        trust: what the logit of the first is multiplied by before both are added.
    """
    state = first.state_dict()
    if second is not None:
        state |= {_SECOND + name: x for name, x in second.state_dict().items()}
        state[TRUST] = torch.tensor([trust])
    save_file({name: value.half().contiguous() for name, value in state.items()}, path)
