import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from facekit.errors import BadInput
from training.draws import Draws
from training.perturbations import LEVELS, MEANINGS, STRENGTHS, perturb, suite

SIDE = 96
NAMES = tuple(STRENGTHS)


def _images(count=3):
    """Smooth colours with some grain, whole levels of 255."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0.1, 0.9, (count, 3, 12, 12)).astype(np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), SIDE, mode="bicubic")
    grain = torch.from_numpy(rng.normal(0, 0.02, smooth.shape).astype(np.float32))
    return ((smooth + grain).clamp(0, 1) * 255).round() / 255


def _draws(samples, seed=0):
    return Draws(seed, 0, torch.tensor(samples))


def _bytes(image_NCHW):
    return (image_NCHW[0].permute(1, 2, 0) * 255).round().byte().numpy()


def _at(name, level):
    return suite(name)[level - 1]


def test_the_suite_has_five_levels_of_eight():
    every = suite("all")
    assert [str(each) for each in suite("blocks, blur")[::LEVELS]] == ["blocks 1", "blur 1"]
    assert len(every) == 8 * LEVELS and len({str(each) for each in every}) == len(every)
    assert suite("none") == [] and len(suite("blur,blur")) == LEVELS
    assert MEANINGS.keys() == STRENGTHS.keys()


@pytest.mark.parametrize("chosen", ["", "fog", "blur,", "all,blur"])
def test_an_unknown_name_is_refused(chosen):
    with pytest.raises(BadInput, match="--perturb takes none, all or of compression, blur"):
        suite(chosen)


@pytest.mark.parametrize("name", NAMES)
def test_no_pictures_stay_no_pictures(name):
    nothing = torch.empty(0, 3, 32, 32)
    assert perturb(nothing, _at(name, 1), _draws([])).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("name", NAMES)
def test_each_level_spoils_more(name):
    image = _images()
    before = image.clone()
    spoilt = [perturb(image, each, _draws([4, 5, 6])) for each in suite(name)]
    assert torch.equal(image, before)
    errors = [float((each - image).abs().mean()) for each in spoilt]
    assert errors[0] > 0 and sorted(errors) == errors and len(set(errors)) == LEVELS
    for each in spoilt:
        assert each.dtype == torch.float32 and each.shape == image.shape
        assert float(each.min()) >= 0 and float(each.max()) <= 1
        assert torch.allclose(each * 255, (each * 255).round(), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_spoilt_alike_in_any_batch(name):
    image, how = _images(), _at(name, 3)
    together = perturb(image, how, _draws([7, 8, 9]))
    alone = perturb(image[2:], how, _draws([9]))
    assert (together[2:] - alone).abs().max() < 1.5 / 255  # sums in another order may round apart
    is_drawn = name in ("noise", "salt_and_pepper", "blocks")
    other = perturb(image[2:], how, _draws([9], seed=1))
    assert torch.equal(other, alone) != is_drawn


@pytest.mark.parametrize("level", range(1, LEVELS + 1))
def test_blur_is_opencvs(level):
    image, how = _images(1), _at("blur", level)
    kernel = int(how.strength)
    want = cv2.GaussianBlur(image[0].permute(1, 2, 0).numpy(), (kernel, kernel), kernel / 6)
    got = _bytes(perturb(image, how, _draws([0])))
    assert np.abs(got.astype(int) - np.rint(want * 255)).max() <= 1


@pytest.mark.parametrize("level", range(1, LEVELS + 1))
def test_pixelation_is_opencvs_down_and_up(level):
    image, how = _images(1), _at("pixelation", level)
    source = image[0].permute(1, 2, 0).numpy()
    smaller = cv2.resize(source, (SIDE // (level + 1),) * 2)
    want = cv2.resize(smaller, (SIDE, SIDE))
    got = _bytes(perturb(image, how, _draws([0])))
    assert np.abs(got.astype(int) - np.rint(want * 255)).max() <= 1


@pytest.mark.parametrize("level", [1, 3, 5])
def test_compression_is_about_a_librarys(level):
    image, how = _images(1), _at("compression", level)
    file = io.BytesIO()
    Image.fromarray(_bytes(image)).save(
        file, "JPEG", quality=int(how.strength), subsampling="4:2:0"
    )
    want = np.asarray(Image.open(file)).astype(int)
    got = _bytes(perturb(image, how, _draws([0]))).astype(int)
    lost = np.abs(want - _bytes(image).astype(int)).mean()
    assert np.abs(got - want).mean() < max(0.5, 0.25 * lost)


def test_saturation_gains_only_the_colour_difference():
    image = _images(1)
    grey = perturb(image, _at("saturation", 5), _draws([0]))
    assert float((grey.amax(1) - grey.amin(1)).max()) == 0
    luma = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    assert float((grey[:, 0] - luma).abs().max()) <= 0.51 / 255
    some = perturb(image, _at("saturation", 1), _draws([0]))
    want = luma[:, None] + 0.4 * (image - luma[:, None])
    assert float((some - want).abs().max()) <= 0.51 / 255


def test_contrast_is_a_gain_from_black():
    image = _images(1)
    got = perturb(image, _at("contrast", 2), _draws([0]))
    assert float((got - 0.725 * image).abs().max()) <= 0.51 / 255


def test_noise_has_the_variance_it_says():
    middle = torch.full((2, 3, 128, 128), 0.5)
    got = perturb(middle, _at("noise", 2), _draws([1, 2])) - 0.5
    # Y, Cb and Cr of variance 0.002 each, brought to RGB in studio range.
    for channel, gains in enumerate(((1.164, 1.596), (1.164, 0.392, 0.813), (1.164, 2.017))):
        want = 0.002 * sum(gain**2 for gain in gains)
        assert float(got[:, channel].var()) == pytest.approx(want, rel=0.05)
    assert abs(float(got.mean())) < 0.002


def test_salt_and_pepper_whitens_and_blackens_that_share():
    middle = torch.full((2, 3, 128, 128), 100 / 255)
    got = perturb(middle, _at("salt_and_pepper", 3), _draws([1, 2]))
    hit = got != middle
    assert torch.equal(hit.all(1), hit.any(1))
    for value in (0.0, 1.0):
        assert float((got[:, 0] == value).float().mean()) == pytest.approx(0.025, abs=0.004)


@pytest.mark.parametrize(("side", "tiles"), [(96, 16), (512, 32)])
def test_blocks_are_grey_squares_of_eight(side, tiles):
    white = torch.ones(1, 3, side, side)
    got = perturb(white, _at("blocks", 1), _draws([3]))
    covered = got[0, 0] < 1
    assert torch.allclose(got[:, :, covered], torch.tensor(128 / 255))
    assert 0.6 * tiles * 64 < int(covered.sum()) <= tiles * 64
    # Every covered pixel lies in a full square that is covered.
    pooled = torch.nn.functional.avg_pool2d(covered.float()[None, None], 8, stride=1) >= 1
    grown = torch.nn.functional.max_pool2d(
        torch.nn.functional.pad(pooled.float(), (7, 7, 7, 7)), 8, stride=1
    )
    assert torch.equal(grown[0, 0] > 0, covered)


def test_small_pictures_are_spoilt_too():
    tiny = torch.rand(1, 3, 5, 5)
    for how in suite("all"):
        if how.name != "blocks":
            assert perturb(tiny, how, _draws([0])).shape == tiny.shape
