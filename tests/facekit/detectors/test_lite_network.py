import pytest
import torch
from torch import nn

from facekit.detectors.lite_network import LiteDetectorNetwork, folded, places
from facekit.detectors.lite_places import STRIDES


@pytest.fixture(scope="module")
def trained():
    """A network with norms that have seen something: none of their numbers is 0 or 1."""
    torch.manual_seed(0)
    network = LiteDetectorNetwork(norm=True).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_()
    return network


def picture(height, width):
    generator = torch.Generator().manual_seed(1)
    return 255 * torch.rand(2, 3, height, width, generator=generator)


@pytest.mark.parametrize(
    ("size_hw", "cells"),
    [
        ((240, 320), 40 * 30 + 20 * 15 + 10 * 8),
        ((1, 1), 3),
        ((1, 320), 40 + 20 + 10),
        ((33, 9), 5 * 2 + 3 * 1 + 2 * 1),
    ],
)
def test_a_place_for_every_cell_of_images_of_any_size(trained, size_hw, cells):
    with torch.inference_mode():
        found = trained(picture(*size_hw))
    assert found.logit_NP.shape == (2, cells)
    assert found.box_NP4.shape == (2, cells, 4)
    assert found.points_NP52.shape == (2, cells, 5, 2)
    assert all(torch.isfinite(x).all() for x in found)


def test_a_place_lies_in_its_box(trained):
    with torch.inference_mode():
        found = trained(picture(64, 96))
    at_P2, _ = places([(8, 12), (4, 6), (2, 3)], torch.device("cpu"))
    assert (found.box_NP4[..., :2] < at_P2).all()
    assert (found.box_NP4[..., 2:] > at_P2).all()


def test_places_lie_at_multiples_of_their_stride():
    at_P2, stride_P1 = places([(2, 3), (1, 2), (1, 1)], torch.device("cpu"))
    assert at_P2.tolist() == [
        *([0, 0], [8, 0], [16, 0], [0, 8], [8, 8], [16, 8]),
        *([0, 0], [16, 0]),
        [0, 0],
    ]
    assert stride_P1[:, 0].tolist() == [STRIDES[0]] * 6 + [STRIDES[1]] * 2 + [STRIDES[2]]


def test_folding_the_norms_changes_nothing_but_the_last_digits(trained):
    plain = folded(trained)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    with torch.inference_mode():
        for a, b in zip(trained(picture(48, 80)), plain(picture(48, 80)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)


def test_what_is_folded_is_a_copy(trained):
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    for parameter in folded(trained).parameters():
        parameter.data.zero_()
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())
