"""The one place where a batch of faces becomes a loss.

Shape suffixes: N image of the batch, B pair of a real and a fake (N = 2B: all reals, then all
fakes), C channel, K action unit, T token, H row, W column.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from facekit.au_masks import render_torch
from training.config import Config
from training.draws import Draws
from training.faces import Faces
from training.framing import frame
from training.losses import Losses, losses
from training.mixing import Mix
from training.models import AUNet, TokenCNN
from training.tampering import published, tamper, token_labels

_LOOKS_A_SIDE: Final = 4
"""The AU masks of a token are the mean of so many by so many places of it."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What the network is given, and what is asked of it.

    Args:
        image_NCHW: (N, 3, H, W) float32, RGB, 0..1.
        label_N: (N,) int64: 0 real, 1 fake.
        token_label_NT: (N, T) int64, 0 real and 1 fake; None with task = labelled, where nobody
            knows which part of a fake is one.
        attention_NKHW: (N, 15, h, w) float32, 0..1: the AU masks on the grid of tokens.
        mix: what is mixed, and in which layer; None: nothing.
    """

    image_NCHW: Tensor
    label_N: Tensor
    token_label_NT: Tensor | None
    attention_NKHW: Tensor
    mix: Mix | None


def compute(model: nn.Module, faces: Faces, config: Config, *, epoch: int, step: int) -> Losses:
    """The losses of a batch, a function of its arguments: framing, tampering, network, losses.

    Args:
        model: from `training.models.build`, or that in `DistributedDataParallel`.
        faces: real faces for task = tampered, which are forged here: N = 2 * len(faces).
        config: all of it.
        epoch: passes done; of every sample's draws.
        step: steps done; of the draw of the mixing layer.
    """
    with torch.no_grad():
        batch = prepare(model, faces, config, epoch=epoch, step=step)
    return losses_of(model, batch, config)


def prepare(model: nn.Module, faces: Faces, config: Config, *, epoch: int, step: int) -> Batch:
    """What the network is given of these faces; arguments as in `compute`."""
    size_px = config.model.size_px
    grid_hw = _grid_hw(model, size_px)
    draws = Draws(config.training.seed, epoch, faces.sample_N)
    framed = frame(faces, size_px, draws=draws, data=config.data)
    # One look a token would miss small units: at 112 px AU24 and AU25 on every other face.
    fine_NKHW = render_torch(
        framed.ellipses_NE5, size_px=size_px, side_px=_LOOKS_A_SIDE * grid_hw[0]
    )
    attention_NKHW = functional.avg_pool2d(fine_NKHW, _LOOKS_A_SIDE)
    if config.data.task == "labelled":
        image_NCHW = framed.image_NCHW
        return Batch(
            image_NCHW=published(image_NCHW, draws) if config.data.augment else image_NCHW,
            label_N=framed.label_N,
            token_label_NT=None,
            attention_NKHW=attention_NKHW,
            mix=None,
        )
    tampered = tamper(framed, draws, config.tampering)
    forged_BT = token_labels(tampered.token_mask_N1HW, grid_hw, config.tampering.threshold)
    label_B = torch.zeros_like(framed.label_N)
    return Batch(
        image_NCHW=torch.cat((tampered.real_NCHW, tampered.fake_NCHW)),
        label_N=torch.cat((label_B, label_B + 1)),
        token_label_NT=torch.cat((torch.zeros_like(forged_BT), forged_BT)),
        attention_NKHW=attention_NKHW.repeat(2, 1, 1, 1),
        mix=_mix(tampered.token_mask_N1HW, draws, config, step),
    )


def losses_of(model: nn.Module, batch: Batch, config: Config) -> Losses:
    """Forward pass and losses of a batch that is prepared."""
    is_bf16 = config.training.precision == "bf16"
    image_NCHW = batch.image_NCHW
    if config.training.channels_last:
        image_NCHW = image_NCHW.contiguous(memory_format=torch.channels_last)
    with torch.autocast(image_NCHW.device.type, torch.bfloat16, enabled=is_bf16):
        output = model(image_NCHW, batch.mix)
    return losses(output, batch.label_N, batch.token_label_NT, batch.attention_NKHW, config.loss)


def _mix(mask_B1HW: Tensor, draws: Draws, config: Config, step: int) -> Mix | None:
    """The layer is drawn once a step, the same on all ranks; the lambdas once a pair."""
    layers = config.tampering.mixing_layers
    if not layers:
        return None
    of_step = Draws(config.training.seed, 0, torch.tensor([step]))
    layer = layers[int(of_step.integers("mixing layer", high=len(layers)))]
    return Mix(layer, draws.beta("mixing", 3, alpha=config.tampering.mixing_alpha), mask_B1HW)


def _grid_hw(model: nn.Module, size_px: int) -> tuple[int, int]:
    inner = model.module if isinstance(model, DistributedDataParallel) else model
    assert isinstance(inner, AUNet | TokenCNN)
    return inner.grid_hw(size_px)
