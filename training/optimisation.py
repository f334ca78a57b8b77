"""From gradients to weights: the optimiser, its rate at each step, and its memory as plain tensors.

The rate is a function of the step alone, so there is no scheduler whose state could be lost.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from facekit.errors import BadWeights
from training.options import Training

MOMENTUM: Final = 0.9
"""Of SGD."""

_MARK: Final = "|"
"""Between a parameter's name and what is remembered of it; no name of a module contains it."""


def make(model: nn.Module, options: Training) -> Optimizer:
    """The optimiser of all parameters that learn, one fused kernel a step.

    Weight decay does not touch what has a single axis: biases and the gains of norms.

    Args:
        model: on its device already.
        options: which optimiser, rate and decay.
    """
    learning = [x for x in model.parameters() if x.requires_grad]
    groups = [
        {"params": [x for x in learning if x.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [x for x in learning if x.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if options.optimiser == "sgd":
        return SGD(groups, lr=options.rate, momentum=MOMENTUM, fused=True)
    return AdamW(groups, lr=options.rate, fused=True)


def rate_at(step: int, steps: int, options: Training) -> float:
    """The learning rate of a step: up in a line, constant, then down to 0 in a line.

    Args:
        step: from 0.
        steps: of the whole run.
        options: the full rate, and the shares of the steps that rise to it and that have it.

    Source:
        Shiohara and Yamasaki, "Detecting deepfakes with self-blended images", CVPR 2022, whose
        code falls from three quarters of the epochs on; AUNet gives no schedule.

    >>> [rate_at(step, 8, Training(rate=1.0, constant=0.5)) for step in range(9)]
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    rising, falling = steps * options.warmup, steps * (1.0 - options.constant)
    risen = min(1.0, (step + 1) / rising) if rising > 0 else 1.0
    left = min(1.0, (steps - step) / falling) if falling > 0 else 1.0
    return options.rate * min(risen, left)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Give all parameters this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def tensors(model: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    """What the optimiser remembers, by parameter: `head.weight|momentum_buffer`.

    Args:
        model: whose parameters it was made for.
        optimiser: before its first step it remembers nothing.
    """
    return {
        f"{name}{_MARK}{kind}": value
        for name, parameter in _learning(model)
        for kind, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore(model: nn.Module, optimiser: Optimizer, remembered: Mapping[str, Tensor]) -> None:
    """Make the optimiser remember.

    Args:
        model: whose parameters it was made for.
        optimiser: as `make` gives it.
        remembered: from `tensors`.

    Raises:
        BadWeights: they are of another network or optimiser.
    """
    parameters = dict(_learning(model))
    states: dict[str, dict[str, Any]] = {}
    for key, value in remembered.items():
        name, _, kind = key.partition(_MARK)
        parameter = parameters.get(name)
        if parameter is None or value.shape not in (parameter.shape, torch.Size()):
            raise BadWeights(f"the optimiser's {key} of {tuple(value.shape)} fits no parameter")
        states.setdefault(name, {})[kind] = _laid_out_as(parameter, value)
    kinds = _KINDS[type(optimiser)]
    if any(state.keys() != kinds for state in states.values()):
        raise BadWeights(f"the snapshot's optimiser is no {type(optimiser).__name__}")
    for name, state in states.items():
        optimiser.state[parameters[name]] = state


_KINDS: Final[Mapping[type[Optimizer], set[str]]] = {
    SGD: {"momentum_buffer"},
    AdamW: {"exp_avg", "exp_avg_sq", "step"},
}


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """In the parameter's device and memory format, which fused kernels take for granted."""
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, requires_grad=False).copy_(value)
    return value.to(parameter.device)


def _learning(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, x) for name, x in model.named_parameters() if x.requires_grad)
