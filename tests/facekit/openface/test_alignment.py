"""Crops: OpenFace's own to the grey level, and a slow blend of four pixels to the bit."""

import math

import numpy as np
import pytest
import torch

from facekit.openface import alignment, point_distribution
from facekit.openface.alignment import SIDE_PX
from facekit.openface.face_mask import FaceMask, to_crop
from facekit.openface.point_distribution import Fit, PointModel

RNG = np.random.default_rng(5)
IMAGE_HWC = RNG.integers(0, 256, (90, 130, 3), dtype=np.uint8)


def _affine(*rows):
    return torch.tensor([rows], dtype=torch.float64)


def _slowly(image_HWC, affine_23):
    """The blend as it is defined, pixel by pixel, with whole numbers."""
    back = np.linalg.inv(np.vstack([affine_23, [0, 0, 1]]))
    height, width, _ = image_HWC.shape
    crop = np.zeros((SIDE_PX, SIDE_PX, 3), int)

    def pixel(x, y):
        inside = 0 <= x < width and 0 <= y < height
        return image_HWC[y, x].astype(int) if inside else np.zeros(3, int)

    for row in range(SIDE_PX):
        for column in range(SIDE_PX):
            place = []
            for axis in (0, 1):
                fine = round((back[axis, 1] * row + back[axis, 2]) * 1024)
                fine += round(back[axis, 0] * column * 1024)
                place.append((fine + 16) // 32)
            (x, y), (right, down) = (p // 32 for p in place), (p % 32 for p in place)
            blend = pixel(x, y) * (32 - right) * (32 - down) + pixel(x + 1, y) * right * (32 - down)
            blend += pixel(x, y + 1) * (32 - right) * down + pixel(x + 1, y + 1) * right * down
            crop[row, column] = (blend + 512) // 1024
    return crop


@pytest.mark.parametrize("rows", [
    ((0.7, 0.1, 13.3), (-0.1, 0.7, 21.9)),
    ((1.9, -0.4, -60.2), (0.4, 1.9, -30.7)),
    ((0.31, 0.0, -3.7), (0.0, 0.31, 80.2)),
])  # fmt: skip
def test_pixels_are_blended_as_defined(rows):
    crop = alignment.cut([IMAGE_HWC], _affine(*rows))[0].permute(1, 2, 0)
    expected = _slowly(IMAGE_HWC, np.array(rows))
    assert (expected > 0).any() and (expected == 0).all(axis=2).any()  # the edge is in sight
    np.testing.assert_array_equal(crop, expected)


@pytest.mark.parametrize("rows", [
    ((1.0, 0.0, 500.0), (0.0, 1.0, 0.0)),
    ((1.0, 0.0, 0.0), (0.0, 1.0, -500.0)),
    ((1e-9, 0.0, 500.0), (0.0, 1e-9, 500.0)),
    ((1e9, 0.0, -1e15), (0.0, 1e9, -1e15)),
])  # fmt: skip
def test_beyond_the_frame_there_is_nothing(rows):
    assert not alignment.cut([IMAGE_HWC], _affine(*rows)).any()


def test_frames_of_any_size_and_make_go_together():
    small, grey = IMAGE_HWC[:7, :5], np.full((200, 300, 3), 9, np.uint8)
    frozen = grey.copy()
    frozen.flags.writeable = False
    affine = _affine((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    crops = alignment.cut([small, frozen, IMAGE_HWC[::-1]], affine.repeat(3, 1, 1))
    assert crops.dtype == torch.int16
    np.testing.assert_array_equal(crops[0, :, :7, :5], small.transpose(2, 0, 1))
    assert not crops[0, :, 7:].any() and not crops[0, :, :, 5:].any()
    assert (crops[1] == 9).all()
    np.testing.assert_array_equal(crops[2, :, :90, :112], IMAGE_HWC[::-1, :112].transpose(2, 0, 1))


@pytest.mark.parametrize("turn_rad, scale", [(0.0, 1.0), (0.4, 2.5), (-3.0, 0.3)])
def test_the_mean_face_lies_upright_in_the_middle(invented_set, cpu, turn_rad, scale):
    model = PointModel.of(invented_set.points, cpu)
    cos, sin = scale * math.cos(turn_rad), scale * math.sin(turn_rad)
    mean_P2 = model.mean_3P[:2].T
    shift = torch.tensor([[210.0, 95.0]], dtype=torch.float64)
    rotation = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
    points = (mean_P2 @ rotation.T + shift)[None]
    fitted = Fit(torch.ones(1), torch.eye(3)[None], shift, torch.zeros(1, 34))
    affine = alignment.crop_affine(points, fitted, model)
    np.testing.assert_allclose(to_crop(points, affine)[0], 0.7 * mean_P2 + 56, atol=1e-9)


def test_only_steady_points_turn_the_crop(invented_set, cpu):
    model = PointModel.of(invented_set.points, cpu)
    points = model.mean_3P[:2].T[None] + 200.0
    fitted = Fit(torch.ones(1), torch.eye(3)[None], points.mean(dim=1), torch.zeros(1, 34))
    affine = alignment.crop_affine(points, fitted, model)
    for point in range(68):
        moved = points.clone()
        moved[0, point] += 5.0
        same = torch.equal(alignment.crop_affine(moved, fitted, model), affine)
        assert same == (point not in alignment.STEADY_POINTS)


def test_crops_are_those_of_openface(reference, real_model, real_set, cpu):
    points = torch.tensor(reference.arrays["landmarks"]).double()
    fitted = point_distribution.fit(points, real_model)
    affine = alignment.crop_affine(points, fitted, real_model)
    mask_NHW = FaceMask(real_set.triangles, cpu)(to_crop(points, affine))
    img_NCHW = alignment.cut(reference.chosen, affine) * mask_NHW[:, None]
    ours, theirs = img_NCHW.permute(0, 2, 3, 1).numpy(), reference.arrays["aligned_bgr"][..., ::-1]
    assert (ours != theirs).mean() < 1e-3
    assert np.abs(ours - theirs.astype(int)).max() <= 3
    dark = (theirs == 0).all(axis=3)
    assert not ours[dark].any()
    assert mask_NHW.numpy()[~dark].all()
