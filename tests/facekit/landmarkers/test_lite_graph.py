"""The landmarker's graphs against the networks that learn: the same points."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from facekit import lite_blocks
from facekit.landmarkers import lite, lite_graph
from facekit.landmarkers.lite_network import LandmarkNetworks


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return LandmarkNetworks().eval()


@pytest.fixture(scope="module")
def sessions(networks, tmp_path_factory):
    path = tmp_path_factory.mktemp("lite") / "landmarker.safetensors"
    save_file(networks.state_dict(), path)
    return dict(zip(("coarse", "fine"), lite_graph.sessions(path), strict=True))


@pytest.mark.parametrize(("part", "side"), [("coarse", lite.COARSE_PX), ("fine", lite.FINE_PX)])
@pytest.mark.parametrize("count", [1, 3])
def test_the_points_are_the_same(networks, sessions, part, side, count):
    shape = (count, side, side, 3)
    crops = np.random.default_rng(count).integers(0, 256, shape).astype(np.uint8)
    network = getattr(networks, part)
    want = lite_blocks.on_device(network, torch.device("cpu"), unit=255.0)(crops)
    assert want.shape == (count, 68, 2)
    np.testing.assert_allclose(sessions[part](crops), want, atol=2e-4)
