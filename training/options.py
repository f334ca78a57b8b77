"""What decides a training run, as five frozen sections: data, tampering, model, loss, training.

The docstring under a field is its help. Where the paper leaves a point open, the field says so.
"""

import typing
from dataclasses import dataclass
from typing import Final, Literal

from facekit.options import require, require_types

SIZES_PX: Final = (112, 224, 256, 299, 380, 384)
"""Sides of the network's input; 112 is the small configuration's."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which faces are learnt from, and how they are framed."""

    task: Literal["tampered", "labelled"] = "tampered"
    """tampered: real faces only, forged on the fly (TAP, section 3.3 of the paper); labelled: real
    against fake as the shards label them, without TAP (the paper's table 1)."""

    methods: str = ""
    """Forgery methods to learn from with task = labelled, by comma; empty takes all."""

    frames: int = 8
    """Frames of each video, evenly spaced among those in the shards (paper: 8)."""

    split: Literal["auto", "column", "groups"] = "auto"
    """column: the shards' own train, val, test; groups: by people, hashed with the seed;
    auto: column where every video has one."""

    folds: int = 5
    """With split = groups: parts of the people, one of which tests."""

    fold: int = 0
    """With split = groups: which part tests."""

    validation: float = 0.15
    """With split = groups: share of the other people who validate (one group at least); the rest
    train."""

    balance: Literal["label", "method", "none"] = "label"
    """With task = labelled: a batch has as many real as fake faces (label), and of the fakes as
    many of each method (method), or what comes (none)."""

    augment: bool = True
    """With task = labelled: colour, brightness and JPEG-like loss, drawn as after tampering; the
    paper does not say."""

    margin_low: float = 1.1
    """Side of the training crop over the longer side of the box, least."""

    margin_high: float = 1.4
    """The same, largest; drawn evenly between the two."""

    margin: float = 1.25
    """The same where nothing is drawn: validation, test, predict (12.5 % a side)."""

    shift: float = 0.03
    """Largest shift of the crop, either way, over its side."""

    flip: float = 0.5
    """Share of faces that are mirrored."""

    def __post_init__(self) -> None:
        require_types(self, "data.")
        _one_of(self, "data", "task", "split", "balance")
        require(self.frames >= 1, f"data.frames must be at least 1, not {self.frames}")
        require(self.folds >= 2, f"data.folds must be at least 2, not {self.folds}")
        require(
            0 <= self.fold < self.folds,
            f"data.fold must lie in 0 to {self.folds - 1}, not {self.fold}",
        )
        for name in ("margin_low", "margin_high", "margin"):
            value = getattr(self, name)
            require(1.0 <= value <= 4.0, f"data.{name} must lie in 1.0 to 4.0, not {value}")
        require(
            self.margin_low <= self.margin_high,
            f"data.margin_low {self.margin_low} is above data.margin_high {self.margin_high}",
        )
        require(0.0 <= self.shift <= 0.5, f"data.shift must lie in 0 to 0.5, not {self.shift}")
        _share("data.flip", self.flip)
        require(
            0.0 < self.validation < 1.0,
            f"data.validation must lie between 0 and 1, not {self.validation}",
        )

    def method_names(self) -> tuple[str, ...]:
        """The names in `methods`, in order.

        >>> Data(methods="Deepfakes, FaceSwap").method_names()
        ('Deepfakes', 'FaceSwap')
        """
        return tuple(name.strip() for name in self.methods.split(",") if name.strip())


@dataclass(frozen=True, kw_only=True)
class Tampering:
    """Image-level tampering, equations 8 and 9 of the paper, and feature-level mixing, 10 to 17."""

    recipe: Literal["aunet", "sbi"] = "aunet"
    """aunet: both views transformed, partial face mask; sbi: self-blending's own recipe."""

    image: bool = True
    """Image-level tampering; without it (the paper's w/o IT) the fake is the real with a colour
    and frequency transform of its own, and only the features are mixed."""

    partial: bool = True
    """Leave random AU regions out of the mask; without it (w/o M_p) the whole face is blended."""

    face_mask: Literal["hull68", "extended", "sbi4"] = "hull68"
    """M_f: hull of the 68 points (paper), the same with a forehead, or one of self-blending's."""

    regions_most: int = 6
    """Most AU regions left out; 1 to this many are drawn, each as likely (the paper: several)."""

    deform: bool = True
    """Shift and scale the source, bend the mask (self-blending's; the paper is silent)."""

    ratios: bool = True
    """Blend at 0.25, 0.5, 0.75 or, half of the time, in full (self-blending's)."""

    post: bool = True
    """After blending, colour, brightness and JPEG-like loss: the same for real and fake."""

    mixing_layers: str = "1357"
    """Layers of the backbone of which one a step is drawn for mixing; empty: none (w/o FM)."""

    mixing_alpha: float = 10.0
    """First parameter of the beta distribution of lambda (paper: 10); the second is 1."""

    threshold: float = 0.5
    """Share of a token that must be blended for its label to be fake (equation 18)."""

    def __post_init__(self) -> None:
        require_types(self, "tampering.")
        _one_of(self, "tampering", "recipe", "face_mask")
        require(
            1 <= self.regions_most <= 13,
            f"tampering.regions_most must lie in 1 to 13, not {self.regions_most}",
        )
        require(
            set(self.mixing_layers) <= set("13579")
            and len(set(self.mixing_layers)) == len(self.mixing_layers),
            f"tampering.mixing_layers must be digits of 13579, not {self.mixing_layers!r}",
        )
        require(
            self.mixing_alpha > 0,
            f"tampering.mixing_alpha must be above 0, not {self.mixing_alpha}",
        )
        _share("tampering.threshold", self.threshold)


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network. Each open point of the paper is one field; the default is our reading."""

    name: Literal["aunet", "cnn"] = "aunet"
    """aunet, or the plain backbone with its last features as tokens (supplement, 3.2)."""

    backbone: Literal["xception", "resnet34", "efficientnet_b4", "resnet18"] = "xception"
    """Cut where a token covers 16 pixels; xception after block11 (paper). With name = cnn it is
    whole, up to its pooling, and a token covers 32."""

    weights: str = "hub"
    """Start of the backbone: hub (ImageNet, downloaded by timm), none, or a file."""

    size_px: int = 224
    """Side of the input (paper: 224)."""

    encoders: int = 3
    """ART encoders (paper: 3)."""

    specific: bool = True
    """The AU-specific branch; without it: w/o SPB."""

    agnostic: bool = True
    """The AU-agnostic branch; without it: w/o AGB, which learns only with `integration` norm: what
    the other branch passes on is a few hundredths of what comes in, three times over."""

    embedding: Literal["tap_sum", "literal"] = "tap_sum"
    """How GAP(Conv(F*M + F)) is computed: as a sum over the nine taps, or as written."""

    attention_width: int = 256
    """Channels within the attention module; the paper gives none. 728 is the literal reading."""

    au_weight: Literal["literal", "softmax", "scaled"] = "literal"
    """W_i of equation 4: as written, by softmax, or as written times the number of AUs."""

    token_width: int = 512
    """C', channels of a token in the transformer; the paper gives none."""

    heads: int = 8
    """Attention heads; the paper gives none."""

    feed_forward: int = 4
    """Hidden channels of the feed-forward part over `token_width`."""

    position: bool = True
    """A learnt position grid before the first encoder; the paper mentions none."""

    integration: Literal["plain", "norm"] = "plain"
    """The two convolutions of equation 7: alone, as written, or each with batch norm and ReLU."""

    tokens: Literal["art", "vit"] = "art"
    """What the token labels supervise: the last encoder's output, or its transformer's."""

    def __post_init__(self) -> None:
        require_types(self, "model.")
        _one_of(self, "model", "name", "backbone", "embedding", "au_weight")
        _one_of(self, "model", "integration", "tokens")
        require(
            self.size_px in SIZES_PX,
            f"model.size_px must be one of {SIZES_PX}, not {self.size_px}",
        )
        for name in ("encoders", "attention_width", "token_width", "heads", "feed_forward"):
            value = getattr(self, name)
            require(value >= 1, f"model.{name} must be at least 1, not {value}")
        require(
            self.token_width % self.heads == 0,
            f"model.token_width {self.token_width} cannot be divided by {self.heads} heads",
        )
        require(
            self.specific or self.agnostic,
            "model.specific and model.agnostic cannot both be off: nothing would be left",
        )
        require(
            self.agnostic or self.tokens == "art",
            "model.tokens = vit needs model.agnostic: there is no transformer without it",
        )


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Weights of equation 20."""

    cls: float = 1.0
    """lambda_c, of the class token's cross-entropy."""

    token: float = 30.0
    """lambda_t, of the token labels (paper: 30; its table 5 has 50 best); 0 is w/o LS."""

    attention: float = 0.5
    """lambda_a, of the attention maps' Huber loss."""

    huber: float = 0.5
    """Delta of that loss."""

    def __post_init__(self) -> None:
        require_types(self, "loss.")
        for name in ("cls", "token", "attention"):
            value = getattr(self, name)
            require(value >= 0, f"loss.{name} must be 0 or more, not {value}")
        require(self.huber > 0, f"loss.huber must be above 0, not {self.huber}")


@dataclass(frozen=True, kw_only=True)
class Training:
    """The steps."""

    epochs: int = 100
    """Passes over the faces (paper: 100)."""

    batch: int = 32
    """Images a step over all ranks; with task = tampered half of them are real (paper: 32)."""

    accumulate: int = 1
    """Parts into which a step's batch is cut to fit the memory."""

    optimiser: Literal["sgd", "adamw"] = "sgd"
    """sgd with momentum 0.9 (paper: SGD), or adamw."""

    rate: float = 1e-3
    """Learning rate (paper: 0.001)."""

    weight_decay: float = 0.0
    """Weight decay; the paper gives none."""

    warmup: float = 0.0
    """Share of the steps in which the rate rises to the full one in a line."""

    constant: float = 0.75
    """Share of the steps until which the rate is full; then it falls to 0 in a line
    (self-blending's)."""

    clip: float = 0.0
    """Norm to which gradients are clipped; 0: not."""

    precision: Literal["bf16", "fp32"] = "bf16"
    """Of the network's products; weights, statistics and losses stay in fp32."""

    start: str = ""
    """Run, or folder of one of its snapshots, whose network to go on from with new steps, such as
    one that has learnt from tampered faces; of a run the last snapshot."""

    freeze_norm: bool = False
    """Keep batch normalisation at the statistics it started with."""

    channels_last: bool = True
    """Lay images and weights out channel by channel within a pixel, which convolutions prefer."""

    compile: bool = False
    """Compile the network (torch.compile)."""

    seed: int = 0
    """Decides every random draw and the order."""

    log_every: int = 10
    """Steps between two lines of the log."""

    validate_every: int = 1
    """Epochs between two validations; the last epoch is always validated. 0: never."""

    keep: int = 1
    """Best snapshots to keep, by validation video AUC, besides the last."""

    def __post_init__(self) -> None:
        require_types(self, "training.")
        _one_of(self, "training", "optimiser", "precision")
        for name, least in (
            ("epochs", 1),
            ("batch", 2),
            ("accumulate", 1),
            ("log_every", 1),
            ("validate_every", 0),
            ("keep", 1),
        ):
            value = getattr(self, name)
            require(value >= least, f"training.{name} must be at least {least}, not {value}")
        require(self.rate > 0, f"training.rate must be above 0, not {self.rate}")
        for name in ("weight_decay", "clip"):
            value = getattr(self, name)
            require(value >= 0, f"training.{name} must be 0 or more, not {value}")
        _share("training.constant", self.constant)
        require(
            0.0 <= self.warmup <= self.constant,
            f"training.warmup must lie in 0 to training.constant {self.constant}, "
            f"not {self.warmup}",
        )
        require(
            self.batch % (2 * self.accumulate) == 0,
            f"training.batch {self.batch} must be a multiple of twice training.accumulate "
            f"{self.accumulate}",
        )


def _one_of(section: object, prefix: str, *names: str) -> None:
    hints = typing.get_type_hints(type(section))
    for name in names:
        allowed = typing.get_args(hints[name])
        value = getattr(section, name)
        require(value in allowed, f"{prefix}.{name} must be one of {allowed}, not {value!r}")


def _share(name: str, value: float) -> None:
    require(0.0 <= value <= 1.0, f"{name} must lie in 0 to 1, not {value}")
