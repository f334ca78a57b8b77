import numpy as np
import pytest
import torch

from facekit.landmarkers import lite
from facekit.landmarkers.lite_network import LandmarkNetworks, MapNetwork, Unit, folded


@pytest.fixture(scope="module")
def learnt():
    """Networks that have seen a little, so that no normalisation is the identity."""
    torch.manual_seed(0)
    networks = LandmarkNetworks(norm=True).train()
    for module in networks.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0.0, 0.3)
    for _ in range(3):
        networks.coarse(torch.rand(4, 3, lite.COARSE_PX, lite.COARSE_PX))
        networks.fine(torch.rand(4, 3, lite.FINE_PX, lite.FINE_PX))
    return networks.eval()


@pytest.mark.parametrize(("part", "side"), [("coarse", lite.COARSE_PX), ("fine", lite.FINE_PX)])
def test_folding_changes_no_point(learnt, part, side):
    img_NCHW = torch.rand(2, 3, side, side)
    with torch.inference_mode():
        want = getattr(learnt, part)(img_NCHW)
        got = getattr(folded(learnt), part)(img_NCHW)
    assert want.shape == (2, 68, 2)
    torch.testing.assert_close(got, want, atol=2e-3, rtol=1e-4)


def test_folded_networks_have_no_normalisation(learnt):
    plain = folded(learnt)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in plain.modules())
    assert sum(isinstance(module, Unit) for module in plain.modules()) == sum(
        isinstance(module, Unit) for module in learnt.modules()
    )


@pytest.mark.parametrize("cell_xy", [(0, 0), (27, 27), (5, 20), (13, 13)])
def test_a_place_is_the_middle_of_its_cell(cell_xy):
    """Cell 0 covers the crop's pixels 0 to 3, whose middle is 1.5."""
    map_NKHW = torch.full((1, 68, 28, 28), -50.0)
    map_NKHW[:, :, cell_xy[1], cell_xy[0]] = 50.0
    (points_xy,) = MapNetwork.places(map_NKHW, 112)
    np.testing.assert_allclose(points_xy, np.tile(4 * np.array(cell_xy) + 1.5, (68, 1)), atol=1e-4)


def test_a_place_lies_between_cells():
    map_NKHW = torch.full((1, 68, 28, 28), -50.0)
    map_NKHW[:, :, 9, 4], map_NKHW[:, :, 9, 5] = np.log(0.25), np.log(0.75)
    (points_xy,) = MapNetwork.places(map_NKHW, 112)
    np.testing.assert_allclose(points_xy, np.tile([4.75 * 4 + 1.5, 37.5], (68, 1)), atol=1e-4)
