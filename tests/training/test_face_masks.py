"""Masks of the face: the hull, one with a forehead, and self-blending's four."""

import drawn_faces
import pytest
import torch

from training import hull
from training.face_masks import face_mask

SIDE_PX = 64


def _masks(kind, count=1):
    points = torch.from_numpy(drawn_faces.points(128)).expand(count, 68, 2)
    return face_mask(points, kind, drawn_faces.draws(count), size_px=128, side_px=SIDE_PX)


def _top(mask_HW):
    return mask_HW.amax(1).gt(0.5).nonzero()[0].item()


@pytest.mark.parametrize("kind", ["hull68", "extended", "sbi4"])
@pytest.mark.parametrize("count", [0, 3])
def test_one_mask_a_face_from_0_to_1(kind, count):
    masks = _masks(kind, count)
    assert masks.shape == (count, SIDE_PX, SIDE_PX)
    assert ((masks >= 0) & (masks <= 1)).all()


def test_hull68_is_the_hull():
    points = torch.from_numpy(drawn_faces.points(128))[None]
    assert torch.equal(_masks("hull68"), hull.coverage(points, size_px=128, side_px=SIDE_PX))


def test_extended_adds_a_forehead_and_nothing_else():
    whole, raised = _masks("hull68")[0], _masks("extended")[0]
    assert (raised >= whole - 1e-5).all()
    assert _top(raised) < _top(whole) - 4
    assert torch.equal(raised[40:], whole[40:])


def test_self_blendings_four_are_as_likely_and_differ():
    masks = _masks("sbi4", 400)
    shapes, counts = torch.unique(masks.flatten(1), dim=0, return_counts=True)
    assert len(shapes) == 4
    assert counts.min() > 70
    whole = _masks("hull68")[0].flatten()
    assert sum(torch.equal(shape, whole) for shape in shapes) == 1
    raised = [shape.view(SIDE_PX, SIDE_PX) for shape in shapes if (shape > whole + 0.5).any()]
    assert len(raised) == 1 and _top(raised[0]) < _top(whole.view(SIDE_PX, SIDE_PX))


def test_parts_that_share_an_edge_leave_no_gap():
    for mask in torch.unique(_masks("sbi4", 40), dim=0):
        for row in mask[30:50]:  # below the eyes the face is one piece
            inside = row[row.gt(0.5).nonzero()[0] + 1 : row.gt(0.5).nonzero()[-1]]
            assert inside.min() > 0.9
