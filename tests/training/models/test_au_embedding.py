"""The sum over taps is the convolution as written, in values and gradients."""

import pytest
import torch
from torch import Tensor

from training.models.au_embedding import AuEmbedding, literal, tap_sum


def _case(images: int, channels: int, units: int, height: int, width: int) -> list[Tensor]:
    """Features, masks, kernel and bias."""
    draw = torch.Generator().manual_seed(channels)
    return [
        torch.randn(images, channels, height, width, generator=draw),
        torch.rand(images, units, height, width, generator=draw),
        torch.randn(channels, channels, 3, 3, generator=draw) / channels,
        torch.randn(channels, generator=draw),
    ]


CASES = [
    (0, 4, 3, 5, 5),
    (1, 4, 1, 1, 1),
    (2, 4, 3, 1, 6),
    (3, 5, 2, 2, 2),
    (2, 8, 15, 7, 7),
    (2, 16, 15, 14, 9),
    (1, 728, 15, 14, 14),
]


def _difference(one: Tensor, other: Tensor) -> float:
    """Largest difference over the largest value."""
    if not one.numel():
        return 0.0
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("case", CASES)
def test_the_two_forms_agree(case: tuple[int, int, int, int, int]) -> None:
    arguments = _case(*case)
    images, channels, units, *_ = case
    got, want = tap_sum(*arguments), literal(*arguments)
    assert got.shape == want.shape == (images, units, channels)
    assert _difference(got, want) < 1e-5


@pytest.mark.parametrize("case", CASES[1:-1])
def test_the_gradients_agree(case: tuple[int, int, int, int, int]) -> None:
    grads = []
    for form in (tap_sum, literal):
        arguments = [each.requires_grad_() for each in _case(*case)]
        form(*arguments).sin().sum().backward()
        grads.append([each.grad for each in arguments])
    for got, want in zip(*grads, strict=True):
        assert got is not None
        assert want is not None
        assert _difference(got, want) < 1e-4


def test_each_tap_misses_the_edge_that_it_cannot_see() -> None:
    features_NCHW = torch.zeros(1, 1, 3, 4)
    features_NCHW[0, 0, 0, 1] = 12.0
    weight_DC33, mask_NKHW = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 4)
    seen = []
    for row in range(3):
        for column in range(3):
            weight_DC33.zero_()[0, 0, row, column] = 1.0
            embedding = tap_sum(features_NCHW, mask_NKHW, weight_DC33, torch.zeros(1))
            seen.append(float(embedding))
    # Only the taps of the last row would need an output above the first.
    assert seen == [1.0] * 6 + [0.0] * 3


@pytest.mark.parametrize("literal_form", [False, True])
def test_under_autocast_it_is_float32_and_near(literal_form: bool) -> None:
    torch.manual_seed(0)
    module = AuEmbedding(64, literal=literal_form)
    features_NCHW, mask_NKHW, *_ = _case(2, 64, 15, 14, 14)
    with torch.no_grad():
        want = module(features_NCHW, mask_NKHW)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = module(features_NCHW.bfloat16(), mask_NKHW)
    assert got.dtype == torch.float32
    assert _difference(got, want) < 0.02


def test_channels_last_changes_nothing() -> None:
    features_NCHW, *rest = _case(2, 16, 15, 7, 7)
    last_NCHW = features_NCHW.contiguous(memory_format=torch.channels_last)
    assert _difference(tap_sum(last_NCHW, *rest), tap_sum(features_NCHW, *rest)) < 1e-6
