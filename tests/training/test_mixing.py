"""Feature-level mixing does what equations 10 to 17 say, to the fakes alone."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from facekit.errors import BadInput
from training import mixing
from training.mixing import Mix, mix

ONES_B3 = torch.ones(3, 3)


def _features(seed: int = 0, pairs: int = 3, side: int = 8) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return 5 + 3 * torch.randn(2 * pairs, 4, side, side, generator=draw)


def _mask(seed: int = 0, pairs: int = 3, side: int = 8) -> Tensor:
    return torch.rand(pairs, 1, side, side, generator=torch.Generator().manual_seed(seed))


def _lambdas(seed: int = 0, pairs: int = 3) -> Tensor:
    return torch.rand(pairs, 3, generator=torch.Generator().manual_seed(seed))


def _as_printed(features_NCHW: Tensor, mask_B1HW: Tensor, lambda_B3: Tensor) -> Tensor:
    """Equations 10 to 17, line by line, in float64."""
    m = mask_B1HW.double()
    real, fake = features_NCHW.double().chunk(2)
    total = m.sum((2, 3), keepdim=True)
    mu_r, mu_f = ((f * m).sum((2, 3), keepdim=True) / total for f in (real, fake))
    sigma_r, sigma_f = (
        ((((f - mu) ** 2) * m).sum((2, 3), keepdim=True) / total + 1e-5).sqrt()
        for f, mu in ((real, mu_r), (fake, mu_f))
    )
    bar_r, bar_f = (real - mu_r) * m / sigma_r, (fake - mu_f) * m / sigma_f
    l_1, l_2, l_3 = lambda_B3.double()[:, :, None, None, None].unbind(1)
    mu_s = l_1 * mu_f + (1 - l_1) * mu_r
    sigma_s = l_2 * sigma_f + (1 - l_2) * sigma_r
    bar_s = l_3 * bar_f + (1 - l_3) * bar_r
    return torch.cat((real, fake * (1 - m) + sigma_s * bar_s + mu_s * m))


def _moments(features_BCHW: Tensor, mask_B1HW: Tensor) -> tuple[Tensor, Tensor]:
    total = mask_B1HW.sum((2, 3))
    mean = (features_BCHW * mask_B1HW).sum((2, 3)) / total
    square = (features_BCHW**2 * mask_B1HW).sum((2, 3)) / total
    return mean, (square - mean**2).sqrt()


def test_no_pairs_stay_no_pairs() -> None:
    mixed = mix(torch.zeros(0, 4, 8, 8), torch.zeros(0, 1, 8, 8), torch.zeros(0, 3))
    assert mixed.shape == (0, 4, 8, 8)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_printed_equations(seed: int) -> None:
    arguments = _features(seed), _mask(seed), _lambdas(seed)
    assert torch.allclose(mix(*arguments).double(), _as_printed(*arguments), atol=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_lambda_of_one_is_the_identity(scale: float) -> None:
    features = scale * _features()
    mixed = mix(features, _mask(), ONES_B3)
    assert torch.allclose(mixed, features, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_real_half_is_the_same_bits(dtype: torch.dtype) -> None:
    features = _features().to(dtype)
    mixed = mix(features, _mask(), _lambdas())
    assert mixed.dtype == dtype
    assert torch.equal(mixed[:3], features[:3])
    assert not torch.equal(mixed[3:], features[3:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pair_with_an_empty_mask_is_the_same_bits(dtype: torch.dtype) -> None:
    features, mask = _features().to(dtype).requires_grad_(), _mask()
    mask[1] = 0
    mixed = mix(features, mask, torch.zeros(3, 3))
    assert torch.equal(mixed[4], features[4])
    assert not torch.equal(mixed[3], features[3])
    mixed.float().square().sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_outside_the_mask_a_fake_keeps_its_bits() -> None:
    features, mask = _features(), (_mask() > 0.5).float()
    outside = (mask == 0).expand(-1, 4, -1, -1)
    mixed = mix(features, mask, _lambdas())
    assert torch.equal(mixed[3:][outside], features[3:][outside])


def test_under_a_binary_mask_mean_and_deviation_are_the_convex_ones() -> None:
    features, mask, lambdas = _features(), (_mask() > 0.4).float(), _lambdas()
    lambdas[:, 2] = 1
    mean_real, deviation_real = _moments(features[:3], mask)
    mean_fake, deviation_fake = _moments(features[3:], mask)
    mean, deviation = _moments(mix(features, mask, lambdas)[3:], mask)
    one, two = lambdas[:, :1], lambdas[:, 1:2]
    assert torch.allclose(mean, one * mean_fake + (1 - one) * mean_real, rtol=1e-4)
    wanted = two * deviation_fake + (1 - two) * deviation_real
    assert torch.allclose(deviation, wanted, rtol=1e-4)


def test_lambda_of_zero_under_a_full_mask_makes_the_fake_real() -> None:
    features = _features()
    mixed = mix(features, torch.ones(3, 1, 8, 8), torch.zeros(3, 3))
    assert torch.allclose(mixed[3:], features[:3], atol=1e-4)


def test_gradients_reach_both_halves() -> None:
    features = _features().requires_grad_()
    mix(features, _mask(), _lambdas())[3:].square().sum().backward()
    assert features.grad is not None
    assert (features.grad.abs().sum((1, 2, 3)) > 0).all()


def test_gradients_are_those_of_the_printed_equations() -> None:
    grads = []
    for form in (mix, _as_printed):
        features = _features().requires_grad_()
        form(features, _mask(), _lambdas()).float().sin().sum().backward()
        assert features.grad is not None
        grads.append(features.grad)
    assert torch.allclose(grads[0], grads[1], atol=1e-4)


def test_a_larger_mask_is_averaged_down() -> None:
    mask_B1HW = torch.zeros(3, 1, 64, 64)
    mask_B1HW[..., :32] = 1
    small_B1HW = functional.interpolate(mask_B1HW, size=(8, 8), mode="bilinear", antialias=True)
    arguments = _features(), small_B1HW, _lambdas()
    assert torch.equal(mix(_features(), mask_B1HW, _lambdas()), mix(*arguments))
    assert small_B1HW[0, 0, 0].round(decimals=2).unique().tolist() == pytest.approx(
        [0, 0.12, 0.88, 1]
    )


def test_statistics_stay_in_float32_under_autocast() -> None:
    # A mean of 1000 and a deviation of 3 has no three digits left in bfloat16.
    features = 1000 + _features()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = mix(features, _mask(), _lambdas())
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, mix(features, _mask(), _lambdas()))


@pytest.mark.parametrize("layer", ["", "2", "13", "block1"])
def test_a_layer_that_there_is_not_is_refused(layer: str) -> None:
    with pytest.raises(BadInput, match="there is no mixing layer"):
        Mix(layer, _lambdas(), _mask())


def test_the_layers_are_those_of_the_options() -> None:
    from training.options import Tampering

    assert Tampering(mixing_layers=mixing.LAYERS).mixing_layers == "13579"
