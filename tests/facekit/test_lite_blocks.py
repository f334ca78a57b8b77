import pytest
import torch
from torch import nn

from facekit.lite_blocks import Block, Unit, folded


def layers(*, norm):
    return nn.Sequential(Unit(3, 8, stride=2, norm=norm), Block(8, norm=norm), nn.Conv2d(8, 4, 1))


@pytest.fixture
def learnt():
    """Layers whose norms have seen something: none of their numbers is 0 or 1."""
    torch.manual_seed(0)
    made = layers(norm=True).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_()
    return made


@pytest.mark.parametrize("divide", [False, True])
def test_folding_changes_nothing_but_the_last_digits(learnt, divide):
    plain = folded(learnt, layers(norm=False), divide=divide)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    image = torch.randn(2, 3, 9, 12)
    with torch.inference_mode():
        assert plain(image).shape == (2, 4, 5, 6)
        torch.testing.assert_close(plain(image), learnt(image), rtol=1e-5, atol=1e-5)


def test_folding_copies(learnt):
    before = {key: value.clone() for key, value in learnt.state_dict().items()}
    for parameter in folded(learnt, layers(norm=False)).parameters():
        parameter.data.zero_()
    assert all(torch.equal(value, before[key]) for key, value in learnt.state_dict().items())


def test_the_last_unit_of_a_block_may_take_away(learnt):
    """The ReLU stands behind the sum."""
    block = Block(2, norm=False)
    for unit in (block.first, block.second):
        nn.init.zeros_(unit.conv.weight)
        nn.init.constant_(unit.conv.bias, -1.0)
    out = block(torch.tensor([[[[3.0]], [[0.5]]]]))
    assert out.flatten().tolist() == [2.0, 0.0]
