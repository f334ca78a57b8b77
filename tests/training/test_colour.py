"""Changes of colour do what their names say, within their limits."""

import colorsys
import math

import drawn_faces
import pytest
import torch

from training import colour
from training.colour import Limits

NONE = {"hue_deg": 0.0, "saturation": 0.0, "value": 0.0, "brightness": 0.0, "contrast": 0.0}
COUNT = 2000


def _changed(colours_N3, limits, **only):
    matrix_N33, offset_N31 = colour.changes(drawn_faces.draws(len(colours_N3)), "a", limits, **only)
    image = colours_N3[..., None, None]
    return colour.recoloured(image, matrix_N33, offset_N31)[..., 0, 0]


def _even(red, green, blue, count=COUNT):
    return torch.tensor([red, green, blue]).expand(count, 3)


def test_no_picture_stays_none():
    assert _changed(torch.zeros(0, 3), colour.VIEW).shape == (0, 3)


@pytest.mark.parametrize(
    "limits", [Limits(shift_chance=0.0, **NONE), Limits(shift=0.0, **NONE)], ids=["no turn", "0"]
)
def test_without_a_change_colours_stay(limits):
    colours = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(_changed(colours, limits), colours)


def test_pictures_that_are_off_stay():
    is_on_N = torch.arange(COUNT) % 2 == 0
    made = _changed(_even(0.5, 0.4, 0.3), colour.VIEW, is_on_N=is_on_N)
    torch.testing.assert_close(made[~is_on_N], _even(0.5, 0.4, 0.3, COUNT // 2))
    assert ((made[is_on_N] - made[1]).abs().amax(1) > 1e-3).float().mean() > 0.95


def test_shifts_are_even_to_their_limit_and_come_at_their_chance():
    shift_N3 = _changed(_even(0.5, 0.5, 0.5), Limits(shift=0.1, shift_chance=0.3, **NONE)) - 0.5
    has_turn_N = shift_N3.abs().amax(1) > 1e-6
    assert abs(has_turn_N.float().mean() - 0.3) < 0.04
    drawn = shift_N3[has_turn_N]
    assert 0.095 < drawn.abs().max() <= 0.1001
    assert abs(drawn.mean()) < 0.005
    assert (torch.corrcoef(drawn.T) - torch.eye(3)).abs().max() < 0.15


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("brightness", 0.3, 0.5), ("contrast", 0.36, 0.44), ("value", 0.36, 0.44)],
)
def test_grey_stays_grey_and_moves_within_the_limit(name, low, high):
    limits = Limits(shift_chance=0.0, **(NONE | {name: 0.1}))
    made = _changed(_even(0.4, 0.4, 0.4), limits)
    torch.testing.assert_close(made.amax(1), made.amin(1), atol=1e-5, rtol=0)
    assert low - 1e-4 <= made.min() < low + 0.01 * (high - low) + 1e-3
    assert high + 1e-4 >= made.max() > high - 0.01 * (high - low) - 1e-3


def test_hue_turns_by_the_angle():
    base = (0.7, 0.45, 0.4)
    limits = Limits(shift_chance=0.0, **(NONE | {"hue_deg": 10.0}))
    hues = [360 * colorsys.rgb_to_hsv(*rgb)[0] for rgb in _changed(_even(*base), limits).tolist()]
    turned = torch.tensor([(hue - 360 * colorsys.rgb_to_hsv(*base)[0] + 180) % 360 - 180
                           for hue in hues])  # fmt: skip
    assert 8.5 < turned.max() < 11.5 and -11.5 < turned.min() < -8.5


def test_a_full_turn_and_no_saturation():
    angle_N = torch.tensor([2 * math.pi, 0.0])
    full, grey = colour.turned(angle_N, torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(full, torch.eye(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(grey, torch.full((3, 3), 1 / 3), atol=1e-6, rtol=0)
