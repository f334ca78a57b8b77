"""Matrix products of many faces at once, each rounded as if it were alone."""

import torch


def each(one_NIJ: torch.Tensor, other_NJK: torch.Tensor) -> torch.Tensor:
    """Multiply matrix by matrix: (N, I, K).

    A product of one pair goes another way through the libraries beneath, and rounds differently; so
    it is made twice. That matrices begin on whole cache lines is up to the caller.
    """
    if len(one_NIJ) != 1:
        return torch.bmm(one_NIJ, other_NJK)
    return torch.bmm(one_NIJ.expand(2, -1, -1), other_NJK.expand(2, -1, -1))[:1]
