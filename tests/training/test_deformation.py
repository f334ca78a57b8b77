"""A mask is moved like its source, and bent by as much as self-blending bends."""

import math

import drawn_faces
import pytest
import torch

from training import deformation, frequency
from training.deformation import Placement, bent, placements, untouched


def _spot(count=1, side_px=64, at=(24.0, 40.0)):
    """A round spot at x, y."""
    place = torch.arange(side_px).float()
    squared = (place - at[0]) ** 2 + ((place - at[1]) ** 2)[:, None]
    return torch.exp(-squared / 32).expand(count, side_px, side_px)


def _middle(mask_HW):
    place = torch.arange(mask_HW.shape[-1]).float()
    total = mask_HW.sum()
    return ((mask_HW.sum(0) * place).sum() / total).item(), (
        (mask_HW.sum(1) * place).sum() / total
    ).item()


def test_no_face():
    draws = drawn_faces.draws(0)
    assert bent(torch.zeros(0, 16, 16), placements(draws), draws).shape == (0, 16, 16)


def test_placements_stay_within_self_blendings_limits():
    placement = placements(drawn_faces.draws(4000))
    assert placement.scale_N.min() >= 0.95 and placement.scale_N.max() <= 1 / 0.95
    assert placement.scale_N.std() > 0.02
    most_2 = placement.shift_N2.abs().amax(0)
    assert 0.0295 < most_2[0] <= 0.03 and 0.0145 < most_2[1] <= 0.015


def test_an_untouched_picture_is_read_where_it_is():
    x_NS, y_NS = untouched(drawn_faces.draws(2)).read_at(7)
    assert torch.equal(x_NS, torch.arange(7.0).expand(2, 7))
    assert torch.equal(x_NS, y_NS)


@pytest.mark.parametrize(
    ("scale", "shift_xy", "want_xy"),
    [(1.0, (0.0, 0.0), (24, 40)), (1.0, (0.125, -0.0625), (32, 36)), (0.8, (0, 0), (25.5, 38.3))],
)
def test_mask_and_source_move_alike(scale, shift_xy, want_xy, monkeypatch):
    monkeypatch.setattr(deformation, "_BENDING", 0.0)
    placement = Placement(torch.tensor([scale]), torch.tensor([shift_xy]))
    moved = bent(_spot(), placement, drawn_faces.draws(1))[0]
    source = frequency.resampled(
        _spot()[:, None].clone(), torch.tensor([1]), *placement.read_at(64)
    )
    assert _middle(moved) == pytest.approx(want_xy, abs=0.02)
    torch.testing.assert_close(moved, source[0, 0], atol=1e-4, rtol=0)


def test_bending_is_that_of_evenly_drawn_noise_under_a_gaussian():
    made = 256 * deformation._displacements(drawn_faces.draws(64), 64)
    # 50 times evenly drawn noise of deviation 3**-0.5, blurred by 7 px in both directions.
    want_px = 50 * 3**-0.5 / (2 * math.pi**0.5 * 7)
    assert made.std() == pytest.approx(want_px, rel=0.06)
    assert abs(made.mean()) < 0.05
    near_px = (made[..., 1:] - made[..., :-1]).std()  # 4 px apart the blur lets them differ
    assert near_px == pytest.approx(want_px * (2 - 2 * math.exp(-16 / 196)) ** 0.5, rel=0.1)
