import pytest
import torch
from torch import nn

from facekit.errors import BadWeights
from training import optimisation
from training.options import Training


def network(seed=0):
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))
    made(torch.zeros(1, 3, 6, 6))
    return made.to(memory_format=torch.channels_last)


def descend(model, optimiser, steps):
    for step in range(steps):
        torch.manual_seed(step)
        model(torch.randn(4, 3, 6, 6)).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()


@pytest.mark.parametrize(
    ("warmup", "constant", "want"),
    [
        (0.0, 1.0, [1, 1, 1, 1, 1]),
        (0.0, 0.0, [1, 0.75, 0.5, 0.25, 0]),
        (0.0, 0.5, [1, 1, 1, 0.5, 0]),
        (0.0, 0.75, [1, 1, 1, 1, 0]),
        (0.5, 0.5, [0.5, 1, 1, 0.5, 0]),
        (1.0, 1.0, [0.25, 0.5, 0.75, 1, 1]),
    ],
)
def test_the_rate_rises_stays_and_falls_in_lines(warmup, constant, want):
    options = Training(rate=2.0, warmup=warmup, constant=constant)
    rates = [optimisation.rate_at(step, 4, options) for step in range(5)]
    assert rates == pytest.approx([2 * share for share in want])


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_what_is_remembered_is_all_that_counts(name):
    options = Training(optimiser=name, rate=0.01, weight_decay=0.1)
    one, other = network(), network(seed=1)
    mine = optimisation.make(one, options)
    assert optimisation.tensors(one, mine) == {}
    descend(one, mine, 3)
    other.load_state_dict(one.state_dict())
    again = optimisation.make(other, options)
    kept = {key: x.clone() for key, x in optimisation.tensors(one, mine).items()}
    optimisation.restore(other, again, {key: x.contiguous() for key, x in kept.items()})
    descend(one, mine, 3)
    descend(other, again, 3)
    for (key, x), y in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(x, y), key
    assert any(not torch.equal(x, kept[k]) for k, x in optimisation.tensors(one, mine).items())


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_weight_decay_leaves_biases_and_norms(name):
    model = network()
    before = {key: x.clone() for key, x in model.named_parameters()}
    optimiser = optimisation.make(model, Training(optimiser=name, rate=0.1, weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    shrunk = {key for key, x in model.named_parameters() if not torch.equal(x, before[key])}
    assert shrunk == {"0.weight", "3.weight"}


@pytest.mark.parametrize(
    "remembered",
    [
        {"none.weight|momentum_buffer": torch.zeros(1)},
        {"3.bias|momentum_buffer": torch.zeros(3)},
        {"3.bias|exp_avg": torch.zeros(2)},
        {"3.bias": torch.zeros(2)},
    ],
    ids=["name", "shape", "optimiser", "no kind"],
)
def test_what_does_not_fit_is_refused(remembered):
    model = network()
    with pytest.raises(BadWeights) as refused:
        optimisation.restore(model, optimisation.make(model, Training()), remembered)
    assert "\n" not in str(refused.value)
