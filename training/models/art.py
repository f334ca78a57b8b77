"""The Action Units Relation Transformer: one encoder of it, section 3.2 of the paper.

Shape suffixes: N image, C channel, K action unit, H row, W column, T token (H * W), S token with
the class token before it, D channel of a token.
"""

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from facekit.au_masks import MASK_NAMES
from training.models.au_embedding import AuEmbedding
from training.options import Model

UNITS: Final = len(MASK_NAMES)
"""K: AU regions."""


class Relation(NamedTuple):
    """How the AUs of an image hang together, float32.

    Args:
        attention_NKHW: M_AU, 0..1: where each AU is looked for.
        embedding_NKC: E, equation 2.
        weight_NK: W, equation 4: what each AU counts.
    """

    attention_NKHW: Tensor
    embedding_NKC: Tensor
    weight_NK: Tensor


class Encoded(NamedTuple):
    """What an encoder gives.

    Args:
        features_NCHW: F_out, equation 7; None where the encoder is cut off behind its transformer.
        class_ND: x_c^o, the class token; None without the AU-agnostic branch.
        patch_NDHW: x_p^o, the transformer's patches; None without the AU-agnostic branch.
        relation: None without the AU-specific branch.
    """

    features_NCHW: Tensor | None
    class_ND: Tensor | None
    patch_NDHW: Tensor | None
    relation: Relation | None


def convolution(inputs: int, outputs: int, *, norm: bool) -> list[nn.Module]:
    """A 3x3 convolution, with batch norm and ReLU or, as the paper says it, alone."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=not norm)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)] if norm else [conv]


class Attention(nn.Sequential):
    """Features to AU attention maps: two 3x3 convolutions, a 1x1 convolution, sigmoid.

    Args:
        channels: of the features.
        width: channels between.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(
            *convolution(channels, width, norm=True),
            *convolution(width, width, norm=True),
            nn.Conv2d(width, UNITS, 1),
        )

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """(N, K, H, W) float32, 0..1."""
        out_NKHW: Tensor = super().forward(features_NCHW)  # type: ignore[no-untyped-call]
        return out_NKHW.float().sigmoid()


class SpecificBranch(nn.Module):
    """Relations among AUs: features, weighted by the regions of those that matter.

    Args:
        channels: of the features.
        options: section `model`.
    """

    def __init__(self, channels: int, options: Model) -> None:
        super().__init__()
        self.attention = Attention(channels, options.attention_width)
        self.embedding = AuEmbedding(channels, literal=options.embedding == "literal")
        self.form = options.au_weight

    def forward(self, features_NCHW: Tensor) -> tuple[Tensor, Relation]:
        """F_S, (N, C, H, W) in the dtype of the features, and what it came from."""
        attention_NKHW = self.attention(features_NCHW)
        embedding_NKC = self.embedding(features_NCHW, attention_NKHW)
        weight_NK = au_weight(embedding_NKC, self.form)
        # Equation 5, and the product with F that follows it.
        region_N1HW = (weight_NK[:, :, None, None] * attention_NKHW).amax(1, keepdim=True)
        specific_NCHW = region_N1HW.to(features_NCHW.dtype) * features_NCHW
        return specific_NCHW, Relation(attention_NKHW, embedding_NKC, weight_NK)


def au_weight(embedding_NKC: Tensor, form: str = "literal", eps: float = 1e-6) -> Tensor:
    """What each AU counts, equations 3 and 4, without the matrix in between.

    With a_ij = E_i . E_j and s the sum of all E_j, row i of the matrix sums to E_i . s and all of
    it to |s|^2.

    Args:
        embedding_NKC: float32.
        form: `literal`: E_i . s / |s|^2, which sums to 1 and may be negative; `scaled`: that times
            K; `softmax`: of the mean of row i over the root of C.
        eps: added to |s|^2.

    Returns:
        (N, K) float32.

    >>> au_weight(torch.tensor([[[1.0, 0.0], [0.0, 2.0], [1.0, 0.0]]])).numpy().round(3)
    array([[0.25, 0.5 , 0.25]], dtype=float32)
    """
    with torch.autocast(embedding_NKC.device.type, enabled=False):
        sum_N1C = embedding_NKC.float().sum(1, keepdim=True)
        row_NK = (embedding_NKC.float() * sum_N1C).sum(2)
        units, channels = embedding_NKC.shape[1:]
        if form == "softmax":
            mean_NK: Tensor = row_NK / (units * channels**0.5)
            return mean_NK.softmax(1)
        weight_NK: Tensor = row_NK / (sum_N1C.square().sum(2) + eps)
        return weight_NK * units if form == "scaled" else weight_NK


def relation_matrix(embedding_NKC: Tensor) -> Tensor:
    """A of equation 3, (N, K, K) float32: the dot product of each two embeddings."""
    with torch.autocast(embedding_NKC.device.type, enabled=False):
        return embedding_NKC.float() @ embedding_NKC.float().transpose(1, 2)


class AgnosticBranch(nn.Module):
    """Relations among image patches: a transformer block over all places and a class token.

    Args:
        channels: of the features.
        options: section `model`.
        back: project to the channels of the features again; without it there are only tokens.
    """

    def __init__(self, channels: int, options: Model, *, back: bool) -> None:
        super().__init__()
        width = options.token_width
        self.into = nn.Conv2d(channels, width, 1)
        self.block = TransformerBlock(width, options.heads, options.feed_forward)
        self.back = nn.Conv2d(width, channels, 1) if back else None

    def forward(
        self, features_NCHW: Tensor, class_ND: Tensor, position_1DHW: Tensor | None
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """F_A (N, C, H, W) or None, x_c^o (N, D) and x_p^o (N, D, H, W).

        Args:
            features_NCHW: float.
            class_ND: x_c^i, the class token of the encoder before.
            position_1DHW: added to the patches; None adds nothing.
        """
        patch_NDHW = self.into(features_NCHW)
        if position_1DHW is not None:
            patch_NDHW = patch_NDHW + position_1DHW
        patch_NTD = patch_NDHW.flatten(2).transpose(1, 2)
        token_NSD = torch.cat((class_ND[:, None].to(patch_NTD.dtype), patch_NTD), 1)
        token_NSD = self.block(token_NSD)
        height, width = features_NCHW.shape[-2:]
        patch_NDT = token_NSD[:, 1:].transpose(1, 2)
        patch_NDHW = patch_NDT.reshape(*patch_NDT.shape[:2], height, width)
        agnostic_NCHW = None if self.back is None else self.back(patch_NDHW)
        return agnostic_NCHW, token_NSD[:, 0], patch_NDHW


class TransformerBlock(nn.Module):
    """x' = LN(x + MSA(x)); LN(x' + FFN(x')): equation 6, normalised after each sum.

    Args:
        width: channels of a token.
        heads: of the attention.
        times: hidden channels of the feed-forward part, over `width`.
    """

    def __init__(self, width: int, heads: int, times: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.norm_attention = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, times * width), nn.GELU(), nn.Linear(times * width, width)
        )
        self.norm_feed_forward = nn.LayerNorm(width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, token_NSD: Tensor) -> Tensor:
        """The shape stays."""
        parts = self.query_key_value(token_NSD)
        parts = parts.unflatten(2, (3, self.heads, token_NSD.shape[2] // self.heads))
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value)
        token_NSD = self.norm_attention(token_NSD + self.merge(seen.transpose(1, 2).flatten(2)))
        out_NSD: Tensor = self.norm_feed_forward(token_NSD + self.feed_forward(token_NSD))
        return out_NSD


class Encoder(nn.Module):
    """One encoder: both branches and their integration.

    Args:
        channels: of the features, in and out.
        options: section `model`.
        only_tokens: nothing but the transformer, for a last encoder of which nothing else counts.
    """

    def __init__(self, channels: int, options: Model, *, only_tokens: bool = False) -> None:
        super().__init__()
        specific = options.specific and not only_tokens
        self.specific = SpecificBranch(channels, options) if specific else None
        self.agnostic = (
            AgnosticBranch(channels, options, back=not only_tokens) if options.agnostic else None
        )
        norm = options.integration == "norm"
        self.integration = (
            None
            if only_tokens
            else nn.Sequential(
                *convolution(channels, channels, norm=norm),
                *convolution(channels, channels, norm=norm),
            )
        )

    def forward(
        self, features_NCHW: Tensor, class_ND: Tensor | None, position_1DHW: Tensor | None
    ) -> Encoded:
        """Features and class token of the encoder before to those of this one."""
        specific_NCHW = agnostic_NCHW = relation = patch_NDHW = None
        if self.specific is not None:
            specific_NCHW, relation = self.specific(features_NCHW)
        if self.agnostic is not None:
            agnostic_NCHW, class_ND, patch_NDHW = self.agnostic(
                features_NCHW, class_ND, position_1DHW
            )
        out_NCHW = None
        if self.integration is not None:
            branches = [one for one in (specific_NCHW, agnostic_NCHW) if one is not None]
            out_NCHW = self.integration(sum(branches[1:], start=branches[0]))
        return Encoded(out_NCHW, class_ND, patch_NDHW, relation)
