"""AU regions are drawn evenly and lie where the AU masks are."""

import drawn_faces
import numpy as np
import pytest
import torch

from facekit import au_masks
from training import hull, regions


@pytest.mark.parametrize("most", [1, 6, 13])
def test_one_to_most_are_drawn_each_as_likely(most):
    is_out_NE = regions.drawn(drawn_faces.draws(3000), most).numpy()
    aus = np.array(au_masks.ELLIPSE_AU)
    is_out_NK = np.stack([is_out_NE[:, aus == au].any(1) for au in au_masks.MASK_AUS], 1)
    both_NK = np.stack([is_out_NE[:, aus == au].all(1) for au in au_masks.MASK_AUS], 1)
    np.testing.assert_array_equal(is_out_NK, both_NK)
    counts = np.bincount(is_out_NK.sum(1), minlength=most + 1) / 3000
    assert len(counts) == most + 1 and counts[0] == 0
    np.testing.assert_allclose(counts[1:], 1 / most, atol=0.04)
    often_K = is_out_NK.mean(0)
    assert not often_K[:2].any()
    np.testing.assert_allclose(often_K[2:], (most + 1) / 2 / 13, atol=0.05)


def test_no_face():
    assert regions.drawn(drawn_faces.draws(0), 6).shape == (0, 24)
    none = regions.coverage(
        torch.zeros(0, 24, 5), torch.zeros(0, 24, dtype=torch.bool), size_px=8, side_px=4
    )
    assert none.shape == (0, 4, 4)


@pytest.mark.parametrize(("size_px", "side_px"), [(224, 112), (112, 112), (380, 112)])
def test_the_union_is_that_of_the_masks(size_px, side_px):
    ellipses = torch.from_numpy(au_masks.ellipses(drawn_faces.points(size_px)[None]))
    aus = np.array(au_masks.ELLIPSE_AU)
    for chosen in ([4], [6, 12], [7, 9, 17, 26], [23, 24, 25]):
        is_out = torch.from_numpy(np.isin(aus, chosen))[None]
        made = regions.coverage(ellipses, is_out, size_px=size_px, side_px=side_px)[0].numpy()
        masks_KHW = au_masks.render(
            ellipses.numpy(), size_px=size_px, side_px=4 * side_px, blur_px=0.01
        )[0]
        union = masks_KHW[[au_masks.MASK_AUS.index(au) for au in chosen]].max(0)
        want = union.reshape(side_px, 4, side_px, 4).mean((1, 3))
        assert np.abs(made - want).mean() < 0.002
        assert made.sum() == pytest.approx(want.sum(), rel=0.02)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_ellipses_that_are_none_take_nothing_out(value):
    ellipses = torch.full((1, 24, 5), value)
    is_out = torch.ones(1, 24, dtype=torch.bool)
    assert not regions.coverage(ellipses, is_out, size_px=64, side_px=32).any()


def test_action_units_within_the_hull_are_the_thirteen():
    points = torch.from_numpy(drawn_faces.points())[None]
    inside_HW = hull.coverage(points, size_px=224, side_px=112)[0].numpy()
    masks_KHW = au_masks.render(au_masks.ellipses(points.numpy()), side_px=112)[0]
    share_K = (masks_KHW * inside_HW).sum((1, 2)) / masks_KHW.sum((1, 2))
    within = tuple(au for au, share in zip(au_masks.MASK_AUS, share_K, strict=True) if share > 0.25)
    assert within == regions.INSIDE
