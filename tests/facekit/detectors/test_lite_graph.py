"""The detector's graphs against the networks that learn: the same numbers."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from facekit import devices, lite_blocks
from facekit.detectors import lite_graph
from facekit.detectors.lite_graph import CROP_PX
from facekit.detectors.lite_network import LiteDetectorNetworks
from facekit.detectors.lite_places import boxes_and_points, grids


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    made = LiteDetectorNetworks().eval()
    torch.nn.init.constant_(made.trust, 1.75)
    return made


@pytest.fixture(scope="module")
def sessions(networks, tmp_path_factory):
    path = tmp_path_factory.mktemp("lite") / "detector.safetensors"
    save_file(networks.state_dict(), path)
    return lite_graph.sessions(path)


def picture(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)


@pytest.mark.parametrize("size_hw", [(240, 320), (181, 320), (1, 1), (1, 320), (33, 9)])
def test_the_first_look(networks, sessions, size_hw):
    image = picture(1, *size_hw)
    want = lite_blocks.on_device(networks.rows, torch.device("cpu"))(image)
    np.testing.assert_allclose(sessions[0](image), want, atol=1e-4)


def test_the_second_look_at_one_crop_and_at_several(networks, sessions):
    crops = picture(5, CROP_PX, CROP_PX)
    want = lite_blocks.on_device(networks.second, torch.device("cpu"))(crops)
    assert want.shape == (5, 1)
    np.testing.assert_allclose(sessions[1](crops), want, atol=1e-4)
    np.testing.assert_allclose(sessions[1](crops[:1]), want[:1], atol=1e-4)


def test_how_much_the_first_counts(sessions):
    assert sessions[2] == 1.75


def test_a_file_without_a_second_look(networks, tmp_path):
    path = tmp_path / "first.safetensors"
    state = networks.state_dict().items()
    save_file({k: v for k, v in state if k != "trust" and not k.startswith("second.")}, path)
    first, second, trust = lite_graph.sessions(path)
    assert (second, trust) == (None, 1.0)
    assert first(picture(1, 8, 8)).shape == (1, 3, 15)


def test_boxes_and_points_are_those_that_the_network_learns(networks):
    image = picture(1, 100, 90)
    with torch.inference_mode():
        img_NCHW = torch.from_numpy(image).permute(0, 3, 1, 2).float()
        row_PF, want = networks.rows(img_NCHW)[0], networks(img_NCHW)
    box_xyxy, points_xy = boxes_and_points(row_PF.numpy(), *grids(100, 90))
    np.testing.assert_allclose(box_xyxy, want.box_NP4[0], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(points_xy, want.points_NP52[0], rtol=1e-5, atol=1e-4)


def test_no_torch_where_there_is_no_driver(monkeypatch, caplog):
    """It takes seconds and half a gigabyte, which only a GPU repays."""
    monkeypatch.setattr(devices, "_has_cuda_driver", lambda: False)
    monkeypatch.setattr(devices, "torch_device", None)
    assert devices.torch_cuda("this", "auto") is None
    assert not caplog.records
    assert devices.torch_cuda("this", "cuda") is None
    assert "this: --device cuda was asked for but it RUNS ON THE CPU" in caplog.text
