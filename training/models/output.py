"""What a network says of a batch, and the score that it comes to.

Shape suffixes: N image, T token, E encoder, K action unit, H row, W column.
"""

from typing import Literal, NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """Logits and attention, all float32; of two logits the second is that of a fake.

    Args:
        class_logits_N2: of the image, fc(x_c).
        token_logits_NT2: of each token, row by row, fc_s(x_i); None where tokens are not learnt.
        attention_ENKHW: M_AU, 0..1, of each encoder that has an AU-specific branch; None if none.
        relation_NKK: A of equation 3 in the last of these; only with details.
        au_weight_NK: W of equation 4 in the last of these; only with details.
    """

    class_logits_N2: Tensor
    token_logits_NT2: Tensor | None = None
    attention_ENKHW: Tensor | None = None
    relation_NKK: Tensor | None = None
    au_weight_NK: Tensor | None = None


def score(output: Output, form: Literal["probability", "logit"] = "probability") -> Tensor:
    """How much an image is a fake: equation 3 of the supplement.

    Args:
        output: of N images.
        form: of what the class and the largest token are summed. `probability`: of softmax, the
            sum brought to 0..1; `logit`: of the logit of fake less that of real.

    Returns:
        (N,) float32. Where tokens are not learnt, the class alone.

    >>> import torch
    >>> output = Output(torch.zeros(1, 2), torch.tensor([[[0.0, 0.0], [9.0, -9.0]]]))
    >>> score(output).tolist(), score(output, "logit").tolist()
    ([0.5], [0.0])
    """
    class_N = _fake(output.class_logits_N2, form)
    if output.token_logits_NT2 is None:
        return class_N
    sum_N = class_N + 0.5 * _fake(output.token_logits_NT2, form).amax(1)
    return sum_N / 1.5 if form == "probability" else sum_N


def token_map(output: Output, grid_hw: tuple[int, int]) -> Tensor | None:
    """How much each token is a fake, (N, H, W) float32 in 0..1; None where they are not learnt.

    Args:
        output: of N images.
        grid_hw: rows and columns of tokens: `grid_hw` of the network.
    """
    if output.token_logits_NT2 is None:
        return None
    return _fake(output.token_logits_NT2, "probability").reshape(-1, *grid_hw)


def _fake(logits: Tensor, form: str) -> Tensor:
    """Without the last axis, of two: the logit of fake less that of real, or its probability."""
    margin = logits[..., 1].float() - logits[..., 0].float()
    return margin if form == "logit" else margin.sigmoid()
