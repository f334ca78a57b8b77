"""A plain convolutional network that learns from tampered faces: supplement, section 3.2."""

from torch import Tensor, nn

from training.mixing import Mix
from training.models.backbones import Backbone
from training.models.output import Output
from training.options import Model


class TokenCNN(nn.Module):
    """A backbone up to its global average pooling; every place of its last features is a token.

    Args:
        options: section `model`; what is AUNet's own is not used.
        tokens: whether the tokens are classified.
        fresh: as in `Backbone`.
    """

    def __init__(self, options: Model, *, tokens: bool = True, fresh: bool = True) -> None:
        super().__init__()
        self.backbone = Backbone(options.backbone, weights=options.weights, whole=True, fresh=fresh)
        self.fc = nn.Linear(self.backbone.channels, 2)
        self.fc_s = nn.Linear(self.backbone.channels, 2) if tokens else None

    def grid_hw(self, size_px: int) -> tuple[int, int]:
        """Rows and columns of the tokens of a square image; the stride is 32."""
        return self.backbone.grid_hw(size_px)

    def forward(self, image_NCHW: Tensor, mix: Mix | None = None, details: bool = False) -> Output:
        """Logits of images, from their mean features, and of their tokens.

        Args:
            image_NCHW: (N, 3, H, W) float, RGB, 0..1.
            mix: what to mix on the way; the batch then is reals and, behind them, their fakes.
            details: changes nothing: there are no AUs.
        """
        features_NCHW = self.backbone(image_NCHW, mix)
        token_NTC = features_NCHW.flatten(2).transpose(1, 2)
        return Output(
            class_logits_N2=self.fc(token_NTC.float().mean(1)).float(),
            token_logits_NT2=None if self.fc_s is None else self.fc_s(token_NTC).float(),
        )
