"""What JPEG loses here is what Pillow's JPEG loses."""

import io

import drawn_faces
import numpy as np
import pytest
import torch
from PIL import Image

from training.jpeg import compress


def _by_pillow(image_HWC, quality):
    kept = io.BytesIO()
    Image.fromarray(image_HWC).save(kept, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(kept), np.float32)


def test_no_picture_stays_none():
    assert compress(torch.zeros(0, 3, 32, 32), torch.zeros(0)).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("size_px", [64, 56, 45])
@pytest.mark.parametrize("quality", [5, 40, 75, 90, 100])
def test_it_is_pillows(quality, size_px):
    levels = (drawn_faces.picture(1, size_px)[0] * 255).round()
    image_HWC = levels.permute(1, 2, 0).byte().numpy()
    want = _by_pillow(image_HWC, quality)
    made = compress(levels[None] / 255, torch.tensor([quality]))[0].permute(1, 2, 0).numpy() * 255
    lost = np.abs(want - image_HWC).mean()
    apart = np.abs(made - want)
    assert np.median(apart) < 1.01
    assert apart.mean() < 0.12 * lost


def test_each_picture_has_its_own_quality():
    image_NCHW = drawn_faces.picture(1, 48).expand(3, -1, -1, -1)
    quality_N = torch.tensor([10.0, 50.0, 95.0])
    made = compress(image_NCHW, quality_N)
    lost_N = (made - image_NCHW).abs().mean((1, 2, 3))
    assert lost_N[0] > lost_N[1] > lost_N[2] > 0
    for nth in range(3):
        alone = compress(image_NCHW[nth : nth + 1], quality_N[nth : nth + 1])
        assert torch.equal(made[nth], alone[0])


def test_levels_are_whole_and_within_range():
    levels = compress(drawn_faces.picture(2, 32) * 3 - 1, torch.tensor([60, 60])) * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
    assert levels.min() >= 0 and levels.max() <= 255
