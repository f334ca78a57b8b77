"""Multiply-adds, counted against what arithmetic says."""

import pytest
import torch
from torch import nn

from training.models import build
from training.models.backbones import Backbone
from training.models.cost import count_macs
from training.options import Model


@pytest.mark.parametrize(
    ("layers", "macs"),
    [
        ((nn.ReLU(),), 0),
        ((nn.Conv2d(3, 8, 3, padding=1),), 32 * 32 * 8 * 27),
        ((nn.Conv2d(3, 3, 3, padding=1, groups=3),), 32 * 32 * 3 * 9),
        ((nn.Flatten(), nn.Linear(3 * 32 * 32, 5)), 3 * 32 * 32 * 5),
    ],
)
def test_layers(layers: tuple[nn.Module, ...], macs: int) -> None:
    model = nn.Sequential(*layers, nn.Conv2d(3, 1, 1)) if macs == 0 else nn.Sequential(*layers)
    assert count_macs(model, 32) == macs + (3 * 32 * 32 if macs == 0 else 0)


def test_a_known_network() -> None:
    macs = count_macs(Backbone("resnet18", whole=True, fresh=False), 224)
    assert macs == pytest.approx(1.81e9, rel=0.01)


def test_the_embedding_as_written_costs_a_convolution_a_unit() -> None:
    macs = {}
    for form in ("tap_sum", "literal"):
        options = Model(backbone="resnet18", weights="none", size_px=112, embedding=form)
        macs[form] = count_macs(build(options), 112)
    channels, places, units, encoders = 256, 49, 15, 3
    literal = encoders * units * places * 9 * channels**2
    tap_sum = encoders * units * (9 * channels**2 + 9 * places * channels)
    assert macs["literal"] - macs["tap_sum"] == literal - tap_sum


def test_counting_changes_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count_macs(model, 8)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
