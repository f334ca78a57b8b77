"""Fewer pixels and sharper pictures are OpenCV's."""

import cv2
import drawn_faces
import numpy as np
import pytest
import torch

from training import frequency
from training.frequency import Change


def _change(step=1, sharpness=0.0, lightness=0.5):
    return Change(torch.tensor([step]), torch.tensor([sharpness]), torch.tensor([lightness]))


def _own(size_px, count=1):
    return torch.arange(size_px).float().expand(count, size_px)


def test_no_picture_stays_none():
    image = torch.zeros(0, 3, 8, 8)
    none = drawn_faces.draws(0)
    change = frequency.changes(none, "a", 1.0, torch.zeros(0, dtype=torch.bool))
    made = frequency.resampled(
        frequency.sharpened(image, change), change.step_N, _own(8, 0), _own(8, 0)
    )
    assert made.shape == (0, 3, 8, 8)


@pytest.mark.parametrize("size_px", [32, 30])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_fewer_pixels_are_those_of_nearest_and_then_linear(step, size_px):
    image = drawn_faces.picture(1, size_px)
    made = frequency.resampled(image.clone(), torch.tensor([step]), _own(size_px), _own(size_px))
    few = np.ascontiguousarray(image[0].permute(1, 2, 0).numpy()[::step, ::step])
    whole = (len(few) * step,) * 2
    want = cv2.resize(few, whole, interpolation=cv2.INTER_LINEAR)[:size_px, :size_px]
    np.testing.assert_allclose(made[0].permute(1, 2, 0).numpy(), want, atol=1e-5)


def test_places_are_read_between_pixels_and_beyond_the_border():
    image = torch.arange(64.0).view(1, 1, 8, 8)
    at = torch.tensor([[-3.0, 0.5, 7.0, 9.0]])
    made = frequency.resampled(image.clone(), torch.tensor([1]), at, torch.zeros(1, 1))
    torch.testing.assert_close(made[0, 0, 0], torch.tensor([0.0, 0.5, 7.0, 7.0]))


@pytest.mark.parametrize(("share", "light"), [(0.0, 1.0), (0.2, 0.5), (0.5, 1.0)])
def test_sharpening_is_the_kernel(share, light):
    image = drawn_faces.picture(1, 24)
    kernel = np.full((3, 3), -share, np.float32)
    kernel[1, 1] = share * (8 + light) + 1 - share
    source = image[0].permute(1, 2, 0).numpy()
    want = cv2.filter2D(source, -1, kernel, borderType=cv2.BORDER_REFLECT_101).clip(0, 1)
    made = frequency.sharpened(image, _change(1, share, light))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(made, want, atol=1e-5)


def test_changes_come_at_their_chance_and_never_where_off():
    draws = drawn_faces.draws(4000)
    is_on_N = torch.arange(4000) % 2 == 0
    change = frequency.changes(draws, "a", 0.5, is_on_N)
    is_changed_N = (change.step_N > 1) | (change.sharpness_N > 0)
    assert not is_changed_N[~is_on_N].any()
    shares = [(change.step_N[is_on_N] == step).float().mean().item() for step in (2, 4)]
    shares.append((change.sharpness_N[is_on_N] > 0).float().mean().item())
    np.testing.assert_allclose(shares, [0.125, 0.125, 0.25], atol=0.03)
    assert not ((change.step_N > 1) & (change.sharpness_N > 0)).any()
    sharp = change.sharpness_N[change.sharpness_N > 0]
    assert sharp.min() >= 0.2 and sharp.max() < 0.5
    assert change.lightness_N.min() >= 0.5 and change.lightness_N.max() < 1.0
