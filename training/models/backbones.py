"""Convolutional backbones of timm: where each is cut, and where its features are mixed.

Shape suffixes: N image, C channel, H row, W column.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch
from torch import Tensor, nn

from facekit import checkpoints
from facekit.errors import BadWeights, MissingWeights
from facekit.weights import offline
from training import mixing
from training.mixing import LAYERS, Mix

log = logging.getLogger(__name__)

_Three = tuple[float, float, float]
_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_STD: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One backbone.

    Args:
        timm: its name in timm; the weights that timm takes by default are the hub's.
        stem: timm's modules before the first block, in order.
        blocks: its blocks up to the cut, at a stride of 16, in order.
        rest: its modules from the cut to global average pooling, in order.
        channels: of the features at the cut.
        whole_channels: of the features before global average pooling.
        mixing: the block after which features are mixed, for each of `mixing.LAYERS`. In others
            than Xception it is the block with the same share of the blocks behind it.
        mean: of R, G and B where they lie in 0..1; what the weights were learnt with.
        std: the same, deviations.
        padded: whether every halving pads to the larger half; Xception's stem does not pad.
    """

    timm: str
    stem: tuple[str, ...]
    blocks: tuple[str, ...]
    rest: tuple[str, ...]
    channels: int
    whole_channels: int
    mixing: tuple[str, str, str, str, str]
    mean: _Three = _IMAGENET_MEAN
    std: _Three = _IMAGENET_STD
    padded: bool = True

    def side(self, size_px: int, *, whole: bool) -> int:
        """Rows, and columns, of the features of a square image.

        >>> KINDS["xception"].side(224, whole=False), KINDS["resnet18"].side(112, whole=False)
        (14, 7)
        """
        side = -(-size_px // 2) if self.padded else (size_px - 1) // 2 - 2
        for _ in range(4 if whole else 3):
            side = -(-side // 2)
        return side


def _numbered(form: str, counts: tuple[int, ...], first: int) -> tuple[str, ...]:
    return tuple(
        form.format(stage, block)
        for stage, count in enumerate(counts, first)
        for block in range(count)
    )


KINDS: Final[dict[str, Kind]] = {
    "xception": Kind(
        timm="legacy_xception",
        stem=("conv1", "bn1", "act1", "conv2", "bn2", "act2"),
        # A block's output is a sum before activation: the next block starts with its ReLU.
        blocks=tuple(f"block{number}" for number in range(1, 12)),
        rest=("block12", "conv3", "bn3", "act3", "conv4", "bn4", "act4"),
        channels=728,
        whole_channels=2048,
        mixing=("block1", "block3", "block5", "block7", "block9"),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        padded=False,
    ),
    "resnet34": Kind(
        timm="resnet34",
        stem=("conv1", "bn1", "act1", "maxpool"),
        blocks=_numbered("layer{}.{}", (3, 4, 6), 1),
        rest=_numbered("layer{}.{}", (3,), 4),
        channels=256,
        whole_channels=512,
        mixing=("layer1.0", "layer2.0", "layer2.2", "layer3.0", "layer3.3"),
    ),
    "efficientnet_b4": Kind(
        timm="tf_efficientnet_b4",
        stem=("conv_stem", "bn1"),
        blocks=_numbered("blocks.{}.{}", (2, 4, 4, 6, 6), 0),
        rest=(*_numbered("blocks.{}.{}", (8, 2), 5), "conv_head", "bn2"),
        channels=160,
        whole_channels=1792,
        mixing=("blocks.0.1", "blocks.1.3", "blocks.2.3", "blocks.3.3", "blocks.4.1"),
    ),
    "resnet18": Kind(
        timm="resnet18",
        stem=("conv1", "bn1", "act1", "maxpool"),
        blocks=_numbered("layer{}.{}", (2, 2, 2), 1),
        rest=_numbered("layer{}.{}", (2,), 4),
        channels=256,
        whole_channels=512,
        mixing=("layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0"),
    ),
}


class Backbone(nn.Module):
    """An image into features, with mixing on the way; what lies behind the cut does not exist.

    Args:
        name: one of `KINDS`.
        weights: `hub` (what timm gives, downloaded once), `none`, or a file of timm's weights for
            this network, `.safetensors` or PyTorch's own; a classifier in it is left out.
        whole: up to global average pooling, at a stride of 32, not to the cut at 16.
        fresh: False where a checkpoint is loaded next: `weights` are not looked for.

    Raises:
        BadWeights: the file is damaged or holds another network.
        MissingWeights: there is no such file, or the hub cannot be reached or may not be.
    """

    mean_C11: Tensor
    std_C11: Tensor

    def __init__(
        self, name: str, *, weights: str = "none", whole: bool = False, fresh: bool = True
    ) -> None:
        super().__init__()
        self.kind = KINDS[name]
        self.whole = whole
        self.channels = self.kind.whole_channels if whole else self.kind.channels
        kept = (*self.kind.stem, *self.kind.blocks, *(self.kind.rest if whole else ()))
        network = _network(name, self.kind, weights if fresh else "")
        self.parts = nn.ModuleDict({_key(part): network.get_submodule(part) for part in kept})
        self._mixed_after = {
            _key(block): layer for layer, block in zip(LAYERS, self.kind.mixing, strict=True)
        }
        for label, values in (("mean_C11", self.kind.mean), ("std_C11", self.kind.std)):
            buffer = torch.tensor(values)[:, None, None]
            self.register_buffer(label, buffer, persistent=False)

    def grid_hw(self, size_px: int) -> tuple[int, int]:
        """Rows and columns of the features of a square image."""
        side = self.kind.side(size_px, whole=self.whole)
        return side, side

    def forward(self, image_NCHW: Tensor, mix: Mix | None = None) -> Tensor:
        """Features of a batch.

        Args:
            image_NCHW: (N, 3, H, W) float, RGB, 0..1.
            mix: what to mix on the way; the batch then is reals and, behind them, their fakes.

        Returns:
            (N, `channels`, H / 16, W / 16) where not `whole`; Xception's are before activation.
        """
        x_NCHW = (image_NCHW - self.mean_C11) / self.std_C11
        for key, part in self.parts.items():
            x_NCHW = part(x_NCHW)
            if mix is not None and self._mixed_after.get(key) == mix.layer:
                x_NCHW = mixing.mix(x_NCHW, mix.mask_B1HW, mix.lambda_B3)
        return x_NCHW


def _key(part: str) -> str:
    return part.replace(".", "_")


def _network(name: str, kind: Kind, weights: str) -> nn.Module:
    """The whole network of timm, without its classifier; empty `weights` ask for nothing."""
    import timm

    if weights == "hub":
        return _from_hub(name, kind)
    network: nn.Module = timm.create_model(kind.timm, pretrained=False, num_classes=0)
    if weights == "none":
        log.warning("model.weights = none: %s starts from random numbers, not ImageNet", name)
    elif weights:
        path = Path(weights).expanduser()
        if not path.is_file():
            raise MissingWeights(
                f"model.weights: no file {weights}; give a file for timm's {kind.timm}, hub or none"
            )
        log.info("model.weights: %s starts from %s", name, path)
        told: Any = network.pretrained_cfg
        classifier = str(told["classifier"])
        checkpoints.fill(network, path, f"timm's {kind.timm}", without=(classifier,))
        network.train()
    return network


def _from_hub(name: str, kind: Kind) -> nn.Module:
    import timm
    from safetensors import SafetensorError

    remedy = "give model.weights a file of them, or none to start from random numbers"
    if offline():
        raise MissingWeights(
            f"FACEKIT_OFFLINE keeps timm's {kind.timm} from being downloaded; {remedy}"
        )
    log.info("model.weights = hub: %s starts from timm's weights of ImageNet", name)
    try:
        network: nn.Module = timm.create_model(kind.timm, pretrained=True, num_classes=0)
    except OSError as error:
        raise MissingWeights(
            f"timm's {kind.timm} could not be downloaded ({_cause(error)}); {remedy}"
        ) from error
    except (EOFError, LookupError, RuntimeError, SafetensorError, UnpicklingError) as error:
        raise BadWeights(
            f"what was downloaded does not hold timm's {kind.timm} ({_cause(error)}); delete it "
            f"from timm's cache, or {remedy}"
        ) from error
    return network


def _cause(error: BaseException) -> str:
    """What went wrong at the bottom of it, in one short line."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return " ".join(str(error).split())[:160]
