"""Draws belong to a sample, whatever the batch; they are spread as they say."""

import numpy as np
import pytest
import torch
from scipy import stats

from training.draws import Draws


def _many(seed: int = 0, epoch: int = 0, count: int = 50_000) -> Draws:
    return Draws(seed, epoch, torch.arange(count))


def test_an_empty_batch_draws_nothing() -> None:
    draws = Draws(0, 0, torch.zeros(0, dtype=torch.int64))
    assert draws.uniform("a", 2).shape == (0, 2)
    assert draws.normal("a").shape == (0,)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 5)])
def test_a_sample_draws_alone_what_it_draws_in_a_batch(shape: tuple[int, ...]) -> None:
    samples = torch.tensor([5, 0, 2**40, 17])
    batch = Draws(3, 2, samples)
    for draw in ("uniform", "normal"):
        together = getattr(batch, draw)("name", *shape)
        alone = [getattr(Draws(3, 2, sample[None]), draw)("name", *shape) for sample in samples]
        assert torch.equal(together, torch.cat(alone))


def test_a_larger_draw_begins_with_the_smaller() -> None:
    draws = _many(count=4)
    assert torch.equal(draws.uniform("a", 5)[:, :2], draws.uniform("a", 2))


def test_the_bits_are_pinned() -> None:
    drawn = Draws(1, 2, torch.tensor([0, 1, 1_000_000])).integers("pinned", high=1 << 30)
    assert drawn.tolist() == [299868876, 803198, 661082568]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(_many(seed=1).uniform("a"), id="seed"),
        pytest.param(_many(epoch=1).uniform("a"), id="epoch"),
        pytest.param(_many().uniform("b"), id="name"),
        pytest.param(Draws(0, 0, torch.arange(1, 50_001)).uniform("a"), id="next sample"),
        pytest.param(_many().uniform("a", 2)[:, 1], id="next number"),
        pytest.param(_many(seed=-1).uniform("a"), id="negative seed"),
    ],
)
def test_another_seed_epoch_name_or_sample_is_independent(other: torch.Tensor) -> None:
    correlation = stats.spearmanr(_many().uniform("a").numpy(), other.numpy()).statistic
    assert abs(correlation) < 4 / np.sqrt(50_000)


def test_uniform_numbers_fill_their_range() -> None:
    drawn = _many().uniform("u", low=-2.0, high=3.0).double().numpy()
    assert -2.0 <= drawn.min() < drawn.max() <= 3.0
    assert stats.kstest(drawn, stats.uniform(-2.0, 5.0).cdf).pvalue > 1e-3


def test_normal_numbers_are_normal() -> None:
    assert stats.kstest(_many().normal("n").double().numpy(), "norm").pvalue > 1e-3


def test_beta_numbers_follow_beta() -> None:
    drawn = _many().beta("lambda", alpha=10.0).double().numpy()
    assert stats.kstest(drawn, stats.beta(10.0, 1.0).cdf).pvalue > 1e-3


def test_integers_are_equally_likely_and_within_their_range() -> None:
    counts = np.bincount(_many().integers("i", low=3, high=10).numpy(), minlength=10)
    assert (counts[:3] == 0).all()
    assert stats.chisquare(counts[3:]).pvalue > 1e-3


@pytest.mark.parametrize(("p", "share"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_chance_is_true_as_often_as_told(p: float, share: float) -> None:
    assert _many().chance("c", p=p).float().mean().item() == pytest.approx(share, abs=0.01)
