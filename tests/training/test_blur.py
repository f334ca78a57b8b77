"""Blurs as matrix products are OpenCV's blurs."""

import cv2
import drawn_faces
import numpy as np
import pytest
import torch

from training import blur


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 1, 8, 12), (1, 3, 9, 5)])
def test_shapes_stay(shape):
    assert blur.gaussian_blur(torch.rand(shape), torch.ones(shape[0])).shape == shape


@pytest.mark.parametrize(("kernel_px", "sigma"), [(3, 0.5), (7, 7 / 6), (21, 3.5), (13, 30.0)])
def test_it_is_opencvs(kernel_px, sigma):
    image_NCHW = drawn_faces.picture(1, 48)[..., :40]
    made = blur.gaussian_blur(
        image_NCHW, torch.tensor([sigma]), torch.tensor([(kernel_px - 1) / 2])
    )
    image_HWC = image_NCHW[0].permute(1, 2, 0).numpy()
    want = cv2.GaussianBlur(image_HWC, (kernel_px, kernel_px), sigma)
    np.testing.assert_allclose(made[0].permute(1, 2, 0).numpy(), want, atol=2e-5)


def test_each_picture_has_its_own_width():
    image_NCHW = drawn_faces.picture(3, 32)
    sigma_N = torch.tensor([0.0, 1.0, 4.0])
    made = blur.gaussian_blur(image_NCHW, sigma_N)
    assert torch.equal(made[0], image_NCHW[0])
    for nth in (1, 2):
        alone = blur.gaussian_blur(image_NCHW[nth : nth + 1], sigma_N[nth : nth + 1])
        torch.testing.assert_close(made[nth], alone[0])
    assert made[2].std() < made[1].std() < made[0].std()


@pytest.mark.parametrize(("size_from", "size_to"), [(8, 8), (8, 20), (20, 8)])
def test_resampling_keeps_what_is_even(size_from, size_to):
    for matrix in (
        blur.gaussian_resampling(torch.tensor([1.5]), size_from, size_to)[0],
        blur.linear_resampling(torch.empty(0), size_from, size_to),
    ):
        assert matrix.shape == (size_to, size_from)
        torch.testing.assert_close(matrix.sum(-1), torch.ones(size_to))


def test_linear_resampling_is_interpolation():
    line = torch.rand(1, 1, 14)
    made = blur.linear_resampling(line, 14, 45) @ line[0, 0]
    want = torch.nn.functional.interpolate(line, size=45, mode="linear")[0, 0]
    torch.testing.assert_close(made, want)
