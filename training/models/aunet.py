"""AUNet: a backbone, encoders of the Action Units Relation Transformer, and the two classifiers.

Shape suffixes as in `training.models.art`; E encoder.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from facekit.options import require
from training.mixing import Mix
from training.models.art import Encoder, relation_matrix
from training.models.backbones import Backbone
from training.models.output import Output
from training.options import Model


class AUNet(nn.Module):
    """The network of section 3.

    Nothing is built that no loss could reach: where the transformer's tokens count, or the class
    token alone, the last encoder is its transformer only.

    Args:
        options: section `model`.
        tokens: whether patch tokens are classified; without it only the class token is.
        fresh: as in `Backbone`.

    Raises:
        BadInput: one encoder, of which the class token counts alone, has no AU-specific branch.
    """

    def __init__(self, options: Model, *, tokens: bool = True, fresh: bool = True) -> None:
        super().__init__()
        self.backbone = Backbone(options.backbone, weights=options.weights, fresh=fresh)
        channels, width = self.backbone.channels, options.token_width
        only_tokens = options.agnostic and (options.tokens == "vit" or not tokens)
        require(
            not (only_tokens and options.specific and options.encoders == 1),
            "model.encoders = 1 has an AU-specific branch only with model.tokens = art and token "
            "labels; take 2 or more, or model.specific = false",
        )
        self.encoders = nn.ModuleList(
            Encoder(channels, options, only_tokens=only_tokens and last)
            for last in (number == options.encoders - 1 for number in range(options.encoders))
        )
        self.class_1D = self.position_1DHW = None
        if options.agnostic:
            self.class_1D = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, width), std=0.02))
            if options.position:
                grid_hw = self.backbone.grid_hw(options.size_px)
                position = nn.init.trunc_normal_(torch.empty(1, width, *grid_hw), std=0.02)
                self.position_1DHW = nn.Parameter(position)
        self.fc = nn.Linear(width if options.agnostic else channels, 2)
        self.from_transformer = options.tokens == "vit"
        self.fc_s = nn.Linear(width if self.from_transformer else channels, 2) if tokens else None

    def grid_hw(self, size_px: int) -> tuple[int, int]:
        """Rows and columns of the tokens of a square image."""
        return self.backbone.grid_hw(size_px)

    def forward(self, image_NCHW: Tensor, mix: Mix | None = None, details: bool = False) -> Output:
        """Logits of images and of their tokens.

        Args:
            image_NCHW: (N, 3, H, W) float, RGB, 0..1.
            mix: what to mix on the way; the batch then is reals and, behind them, their fakes.
            details: also give `relation_NKK` and `au_weight_NK`.
        """
        features_NCHW = self.backbone(image_NCHW, mix)
        class_ND = None
        if self.class_1D is not None:
            # Not len(), which a tracer takes for a constant.
            class_ND = self.class_1D.expand(image_NCHW.shape[0], -1)
        position_1DHW = self._position(features_NCHW)
        relations = []
        for encoder in self.encoders:
            features_NCHW, class_ND, patch_NDHW, relation = encoder(
                features_NCHW, class_ND, position_1DHW
            )
            position_1DHW = None
            if relation is not None:
                relations.append(relation)
        if class_ND is None:
            class_ND = features_NCHW.float().mean((2, 3))
        token_logits_NT2 = None
        if self.fc_s is not None:
            token_NDHW = patch_NDHW if self.from_transformer else features_NCHW
            token_logits_NT2 = self.fc_s(token_NDHW.flatten(2).transpose(1, 2)).float()
        last = relations[-1] if details and relations else None
        return Output(
            class_logits_N2=self.fc(class_ND).float(),
            token_logits_NT2=token_logits_NT2,
            attention_ENKHW=(
                torch.stack([one.attention_NKHW for one in relations]) if relations else None
            ),
            relation_NKK=None if last is None else relation_matrix(last.embedding_NKC),
            au_weight_NK=None if last is None else last.weight_NK,
        )

    def _position(self, features_NCHW: Tensor) -> Tensor | None:
        """The position grid for these features; resized where they are of another size."""
        if self.position_1DHW is None or self.position_1DHW.shape[-2:] == features_NCHW.shape[-2:]:
            return self.position_1DHW
        return functional.interpolate(
            self.position_1DHW, size=features_NCHW.shape[-2:], mode="bicubic", align_corners=False
        )
