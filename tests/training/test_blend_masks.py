"""Blend masks are soft, leave out what they should, and lie within the face."""

import drawn_faces
import numpy as np
import pytest
import torch

from facekit import au_masks
from training import blend_masks, deformation, regions
from training.options import Tampering

COUNT = 6
KEPT = Tampering(deform=False)


def _masks(options, count=COUNT, size_px=112):
    draws = drawn_faces.draws(count)
    placement = deformation.placements(draws) if options.deform else deformation.untouched(draws)
    return blend_masks.blend_mask(drawn_faces.framed(count, size_px), draws, options, placement)


@pytest.mark.parametrize("recipe", ["aunet", "sbi"])
@pytest.mark.parametrize(("count", "size_px"), [(0, 64), (2, 112), (1, 299), (2, 224)])
def test_one_mask_a_face_from_0_to_1(recipe, count, size_px):
    masks = _masks(Tampering(recipe=recipe), count, size_px)
    assert masks.shape == (count, 1, size_px, size_px)
    assert ((masks >= 0) & (masks <= 1 + 1e-5)).all()
    assert count == 0 or (masks.amax((1, 2, 3)) > 0.5).all()


def test_the_regions_drawn_are_left_out():
    whole = _masks(Tampering(deform=False, partial=False))
    partial = _masks(KEPT)
    is_out_NE = regions.drawn(drawn_faces.draws(COUNT), KEPT.regions_most).numpy()
    ellipses = drawn_faces.framed(COUNT, 112).ellipses_NE5.numpy()
    for nth in range(COUNT):
        place_E2 = ellipses[nth, :, :2].round().astype(int)
        before, after = (
            np.array([masks[nth, 0, y, x] for x, y in place_E2]) for masks in (whole, partial)
        )
        out_E = is_out_NE[nth]
        assert (after[out_E] <= 0.65 * before[out_E] + 1e-6).all()
    assert (partial <= whole + 1e-5).all()


def test_the_regions_do_not_move_with_the_source():
    """What bending and placing may not change: the target stays where a region is left out."""
    points = drawn_faces.framed(COUNT, 112)
    is_out_NE = regions.drawn(drawn_faces.draws(COUNT), 6)
    out = regions.coverage(points.ellipses_NE5, is_out_NE, size_px=112, side_px=112)
    deep = torch.nn.functional.avg_pool2d(out, 9, 1, 4) > 0.999
    assert deep.any()
    assert _masks(Tampering())[:, 0][deep].max() < 0.45


def test_self_blendings_mask_lies_within_its_hull():
    """Eroded before it is blurred for the last time, by as much or less."""
    for nth in range(3):
        mask = _masks(Tampering(recipe="sbi", deform=False))[nth, 0]
        assert mask.amax() == pytest.approx(1.0, abs=1e-4)
        assert mask[:, :10].amax() < 0.05 and mask[:14].amax() < 0.05


def test_bending_changes_a_mask():
    assert (_masks(Tampering()) - _masks(KEPT)).abs().amax((1, 2, 3)).min() > 0.1


def test_masks_of_all_action_units_can_be_left_out():
    most = Tampering(deform=False, regions_most=13)
    left = _masks(most, 40).mean((1, 2, 3)) / _masks(
        Tampering(deform=False, partial=False), 40
    ).mean((1, 2, 3))
    assert left.min() < 0.6 < 0.9 < left.max()
    assert len(au_masks.MASK_AUS) == len(regions.INSIDE) + 2
