"""What is minimised: equation 20, the sum of three losses.

Shape suffixes: N image, T token, E encoder, K action unit, H row, W column.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from training.models.output import Output
from training.options import Loss


class Losses(NamedTuple):
    """Scalars, float32: the weighted sum, and the parts before they are weighted.

    Args:
        total: what is minimised.
        cls: cross-entropy of the images.
        token: cross-entropy of the tokens, equation 19.
        attention: Huber loss of the attention maps, equation 1.
    """

    total: Tensor
    cls: Tensor
    token: Tensor
    attention: Tensor


def losses(
    output: Output,
    label_N: Tensor,
    token_label_NT: Tensor | None,
    attention_target_NKHW: Tensor | None,
    options: Loss,
) -> Losses:
    """Losses of a batch, means over images, tokens, encoders and places.

    A part is 0, and is not computed, where its target or what it judges is None or its weight 0.

    Args:
        output: of the network.
        label_N: int64, 0 real, 1 fake.
        token_label_NT: int64, the same for each token, row by row.
        attention_target_NKHW: float32, 0..1: Y_Att, at the size of the tokens.
        options: section `loss`.
    """
    with torch.autocast(label_N.device.type, enabled=False):
        cls = token = attention = output.class_logits_N2.new_zeros(())
        if options.cls > 0:
            cls = functional.cross_entropy(output.class_logits_N2.float(), label_N)
        logits_NT2, map_ENKHW = output.token_logits_NT2, output.attention_ENKHW
        target_NKHW = attention_target_NKHW
        if options.token > 0 and token_label_NT is not None and logits_NT2 is not None:
            token = functional.cross_entropy(
                logits_NT2.float().flatten(0, 1), token_label_NT.flatten()
            )
        if options.attention > 0 and target_NKHW is not None and map_ENKHW is not None:
            attention = functional.huber_loss(
                map_ENKHW.float(),
                target_NKHW.float().expand_as(map_ENKHW),
                delta=options.huber,
            )
        total = options.cls * cls + options.token * token + options.attention * attention
    return Losses(total, cls, token, attention)
