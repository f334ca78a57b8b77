"""What the places of the embedded detector should say, and how wrong they are.

Shape suffixes: N image, P place, F face (padded), 4 and 52 the numbers of a box and of five points.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from facekit.detectors.lite_network import Places
from training.lite_scenes import Scene

FITTING_PX: Final = {8: (0.0, 52.0), 16: (36.0, 116.0), 32: (88.0, 1e6)}
"""Stride -> which faces its grid is for: root of width times height, pixels."""

_NEAR: Final = 1.3
"""Strides from the middle of a face within which a place should find it."""

_POINT_BEND: Final = 0.03
_BOX_WEIGHT: Final = 1.5
_POINT_WEIGHT: Final = 1.0


class Truth(NamedTuple):
    """The faces of a batch of scenes, padded with empty boxes.

    Args:
        box_NF4: xyxy, pixels.
        points_NF52: pixels.
        ignored_NF4: xyxy, pixels.
    """

    box_NF4: Tensor
    points_NF52: Tensor
    ignored_NF4: Tensor


class Losses(NamedTuple):
    """The parts of the loss, each a scalar."""

    score: Tensor
    box: Tensor
    points: Tensor

    @property
    def total(self) -> Tensor:
        """Their weighted sum."""
        return self.score + _BOX_WEIGHT * self.box + _POINT_WEIGHT * self.points


def truth_of(scenes: Sequence[Scene], device: torch.device) -> Truth:
    """Pad the faces of scenes to a batch.

    Args:
        scenes: of one size.
        device: of the tensors.
    """
    most = max(1, *(max(len(s.box_xyxy), len(s.ignored_xyxy)) for s in scenes))
    box = np.zeros((len(scenes), most, 4), np.float32)
    points, ignored = np.zeros((len(scenes), most, 5, 2), np.float32), np.zeros_like(box)
    for i, scene in enumerate(scenes):
        box[i, : len(scene.box_xyxy)] = scene.box_xyxy
        points[i, : len(scene.points_xy)] = scene.points_xy
        ignored[i, : len(scene.ignored_xyxy)] = scene.ignored_xyxy
    return Truth(*(torch.from_numpy(x).to(device) for x in (box, points, ignored)))


def losses(found: Places, at_P2: Tensor, stride_P1: Tensor, truth: Truth) -> Losses:
    """How far the places are from the truth.

    The score should be the overlap of the place's box with the face, and 0 elsewhere; a place of
    no face counts as much as it is believed, as most of them are easy.

    Args:
        found: of the network.
        at_P2: where the places lie, pixels.
        stride_P1: their strides.
        truth: of the same scenes.

    Source: Zhang et al., VarifocalNet, CVPR 2021, equation 2 with alpha 1 and gamma 1 (score);
    Rezatofighi et al., Generalized Intersection over Union, CVPR 2019 (box).
    """
    face_NP, counted_NP = assigned(at_P2, stride_P1, truth)
    image, place = torch.nonzero(face_NP >= 0, as_tuple=True)
    face = face_NP[image, place]
    many = max(1, len(image))
    want_14, got_14 = truth.box_NF4[image, face], found.box_NP4[image, place]
    overlap, generalized = _overlaps(got_14, want_14)
    aim_NP = torch.zeros_like(found.logit_NP)
    aim_NP[image, place] = overlap.detach().clamp(0, 1)
    weight_NP = torch.where(aim_NP > 0, aim_NP, found.logit_NP.detach().sigmoid())
    wrong_NP = functional.binary_cross_entropy_with_logits(found.logit_NP, aim_NP, reduction="none")
    size_1 = (want_14[:, 2:] - want_14[:, :2]).prod(1).sqrt()[:, None, None]
    apart = (found.points_NP52[image, place] - truth.points_NF52[image, face]) / size_1
    return Losses(
        score=(wrong_NP * weight_NP * counted_NP).sum() / many,
        box=(1 - generalized).sum() / many,
        points=functional.smooth_l1_loss(
            apart, torch.zeros_like(apart), beta=_POINT_BEND, reduction="sum"
        )
        / many,
    )


def assigned(at_P2: Tensor, stride_P1: Tensor, truth: Truth) -> tuple[Tensor, Tensor]:
    """Which face each place should find.

    Args:
        at_P2: where the places lie, pixels.
        stride_P1: their strides.
        truth: the faces.

    Returns:
        (N, P) int64, the number of the face, -1 where there is none; (N, P) float32, 1 where the
        score counts, 0 where something ignored lies.
    """
    size_N1F = (truth.box_NF4[..., 2:] - truth.box_NF4[..., :2]).prod(-1).sqrt()[:, None]
    middle_N1F2 = (truth.box_NF4[..., :2] + truth.box_NF4[..., 2:])[:, None] / 2
    low_P1, high_P1 = (
        sum(limits[i] * (stride_P1 == s) for s, limits in FITTING_PX.items()) for i in (0, 1)
    )
    away_NPF = (at_P2[:, None] - middle_N1F2).abs().amax(-1)
    within_NPF = _within(at_P2, truth.box_NF4)
    fits_NPF = (size_N1F > low_P1) & (size_N1F <= high_P1)
    wanted_NPF = within_NPF & fits_NPF & (away_NPF < _NEAR * stride_P1)
    ranked_NPF = torch.where(wanted_NPF, size_N1F, torch.inf)
    smallest_NP, face_NP = ranked_NPF.min(-1)
    face_NP = torch.where(smallest_NP.isinf(), -1, face_NP)
    blurred_NP = _within(at_P2, truth.ignored_NF4).any(-1) & (face_NP < 0)
    return face_NP, 1.0 - blurred_NP.float()


def _within(at_P2: Tensor, box_NF4: Tensor) -> Tensor:
    """(N, P, F): whether a place lies in a box."""
    low, high = box_NF4[:, None, :, :2], box_NF4[:, None, :, 2:]
    at = at_P2[None, :, None]
    return ((at > low) & (at < high)).all(-1)


def _overlaps(a_14: Tensor, b_14: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of pairs of boxes, and its generalized form."""
    sides = torch.minimum(a_14[:, 2:], b_14[:, 2:]) - torch.maximum(a_14[:, :2], b_14[:, :2])
    around = torch.maximum(a_14[:, 2:], b_14[:, 2:]) - torch.minimum(a_14[:, :2], b_14[:, :2])
    shared, hull = sides.clamp(min=0).prod(1), around.prod(1)
    union = (a_14[:, 2:] - a_14[:, :2]).prod(1) + (b_14[:, 2:] - b_14[:, :2]).prod(1) - shared
    overlap = shared / union
    return overlap, overlap - (hull - union) / hull
