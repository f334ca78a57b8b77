from itertools import pairwise

import numpy as np
import pytest
import torch

from facekit.detectors.lite_network import Places, places
from training.lite_detector_loss import assigned, losses, truth_of
from training.lite_scenes import Scene

CPU = torch.device("cpu")
GRIDS = [(30, 40), (15, 20), (8, 10)]
FIRST = (0, 1200, 1500, 1580)
"""Where the places of each grid begin."""


def scene(boxes=(), ignored=()):
    box_xyxy = np.asarray(boxes, np.float32).reshape(-1, 4)
    middle = (box_xyxy[:, None, :2] + box_xyxy[:, None, 2:]) / 2
    return Scene(
        image_HWC=np.zeros((240, 320, 3), np.uint8),
        box_xyxy=box_xyxy,
        points_xy=np.tile(middle, (1, 5, 1)),
        ignored_xyxy=np.asarray(ignored, np.float32).reshape(-1, 4),
    )


def square(side, x=160, y=128):
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


@pytest.mark.parametrize(
    ("side", "grids"),
    [(14, [0]), (30, [0]), (44, [0, 1]), (80, [1]), (100, [1, 2]), (150, [2]), (250, [2])],
)
def test_faces_belong_to_the_grid_of_their_size(side, grids):
    face_NP, counted_NP = assigned(*places(GRIDS, CPU), truth_of([scene([square(side)])], CPU))
    many = [int((face_NP[0, a:b] >= 0).sum()) for a, b in pairwise(FIRST)]
    assert [i for i, n in enumerate(many) if n] == grids
    assert all(1 <= many[i] <= 9 for i in grids)
    assert counted_NP.min() == 1


def test_of_two_faces_the_smaller_takes_the_place():
    truth = truth_of([scene([square(48), square(20)])], CPU)
    face_NP, _ = assigned(*places(GRIDS, CPU), truth)
    at_middle = face_NP[0, 16 * 40 + 20]
    assert at_middle == 1


def test_ignored_places_do_not_count_unless_they_are_of_a_face():
    truth = truth_of([scene([square(30)], [square(60)]), scene()], CPU)
    face_NP, counted_NP = assigned(*places(GRIDS, CPU), truth)
    assert (counted_NP[0] == 0).sum() >= 30
    assert (counted_NP[0][face_NP[0] >= 0] == 1).all()
    assert (counted_NP[1] == 1).all()
    assert (face_NP[1] == -1).all()


def perfect(truth, at_P2, stride_P1):
    """What a network would say that knows the truth."""
    face_NP, _ = assigned(at_P2, stride_P1, truth)
    chosen = face_NP.clamp(min=0)
    pick = torch.arange(len(chosen))[:, None]
    return Places(
        torch.where(face_NP >= 0, 12.0, -12.0),
        truth.box_NF4[pick, chosen],
        truth.points_NF52[pick, chosen],
    )


def test_the_truth_costs_nothing_and_errors_cost():
    truth = truth_of([scene([square(40), square(150, 100, 100)]), scene([square(20)])], CPU)
    at_P2, stride_P1 = places(GRIDS, CPU)
    right = perfect(truth, at_P2, stride_P1)
    lost = losses(right, at_P2, stride_P1, truth)
    assert [round(float(part), 4) for part in lost] == [0, 0, 0]
    wrong = {
        "score": right._replace(logit_NP=-right.logit_NP),
        "box": right._replace(box_NP4=right.box_NP4 + torch.tensor([-9.0, -9, 9, 9])),
        "points": right._replace(points_NP52=right.points_NP52 + 3.0),
    }
    for part, found in wrong.items():
        assert float(getattr(losses(found, at_P2, stride_P1, truth), part)) > 0.05


def test_scenes_without_faces_have_a_loss_too():
    at_P2, stride_P1 = places(GRIDS, CPU)
    found = Places(torch.zeros(1, 1580), torch.zeros(1, 1580, 4), torch.zeros(1, 1580, 5, 2))
    lost = losses(found, at_P2, stride_P1, truth_of([scene()], CPU))
    assert float(lost.score) > 1
    assert (float(lost.box), float(lost.points)) == (0, 0)
    assert torch.isfinite(lost.total)
