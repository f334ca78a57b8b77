"""A model as what predicts: faces in, their scores and tampering maps out."""

from typing import Any, NamedTuple

import torch
from torch import nn

from facekit import versions
from training.checkpoint import Loaded
from training.models import AUNet, Output, TokenCNN, score, token_map


class Scores(NamedTuple):
    """What is said of N faces, all float32 in 0 real to 1 fake.

    Args:
        score_N: equation 3 of AUNet's supplement over its largest value, 1.5; where the model has
            learnt no tokens, the class's probability alone.
        class_score_N: the class token's probability of fake.
        token_map_NHW: each token's probability of tampering, in its place; None where the model
            has learnt no tokens.
    """

    score_N: torch.Tensor
    class_score_N: torch.Tensor
    token_map_NHW: torch.Tensor | None


class FaceScores(nn.Module):
    """A network with what turns its logits into `Scores`: what `predict` runs and ONNX holds.

    Args:
        model: as `training.models.build` makes it.
        size_px: side of the faces it will be given.
    """

    def __init__(self, model: AUNet | TokenCNN, size_px: int) -> None:
        super().__init__()
        self.model = model
        self.grid_hw = model.grid_hw(size_px)
        self.eval()

    def forward(self, image_NCHW: torch.Tensor) -> Scores:
        """Score faces.

        Args:
            image_NCHW: (N, 3, size_px, size_px) float32 RGB, 0..1.
        """
        output: Output = self.model(image_NCHW)
        return Scores(
            score_N=score(output),
            class_score_N=score(Output(output.class_logits_N2)),
            token_map_NHW=token_map(output, self.grid_hw),
        )


def provenance(loaded: Loaded, size_px: int | None = None) -> dict[str, Any]:
    """What a prediction or an exported model says of the snapshot it comes from.

    Args:
        loaded: the snapshot.
        size_px: side of the faces; None takes the one it was trained with.
    """
    return {
        "facekit": versions.measuring()["facekit"],
        "sha256": loaded.sha256,
        "step": loaded.step,
        "name": loaded.config.model.name,
        "backbone": loaded.config.model.backbone,
        "size_px": size_px or loaded.config.model.size_px,
        "margin": loaded.config.data.margin,
    }
