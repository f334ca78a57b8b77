import logging
import math

import cv2
import numpy as np
import pytest
import torch
from synthetic_faces import template_68

from facekit import au_masks
from facekit.crops import cut, square_affine
from training import framing
from training.draws import Draws
from training.faces import Faces, blank
from training.framing import MIRRORED_ELLIPSES, MIRRORED_POINTS, frame
from training.options import Data

FLIPPED = Data(flip=1.0, margin_low=1.2, margin_high=1.2, shift=0.0)
STRAIGHT = Data(flip=0.0, margin_low=1.2, margin_high=1.2, shift=0.0)


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    monkeypatch.setattr(framing, "_told", set())


def faces(count=4, size=64, margin=1.6, seed=0):
    """Smooth random pictures, each with the points of a tilted, slightly askew face."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, 6, 6, 3)).astype(np.float32)
    image = np.stack(
        [cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in coarse]
    )
    angle = rng.uniform(-0.4, 0.4, count)
    turn = np.stack([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).T
    points = (template_68() * size / 4 + rng.normal(0, size / 100, (count, 68, 2))) @ turn
    points = (points + (size - 1) / 2).astype(np.float32)
    return Faces(
        image_NHWC=torch.from_numpy(image.clip(0, 255).astype(np.uint8)),
        landmarks_NP2=torch.from_numpy(points),
        ellipses_NE5=torch.from_numpy(au_masks.ellipses(points)),
        margin_N=torch.full((count,), margin),
        label_N=torch.arange(count) % 2,
        video_N=torch.arange(count) + 100,
        sample_N=torch.arange(count) + 7,
    )


def dots(points_NP2, size, radius=2.0):
    """A soft dot in each channel at each of three points: (N, size, size, 3) uint8."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    away = (x - points_NP2[..., 0, None, None]) ** 2 + (y - points_NP2[..., 1, None, None]) ** 2
    return (255 * torch.exp(-away / (2 * radius**2))).round().byte().permute(0, 2, 3, 1)


def centres(image_NCHW):
    """(N, 3, 2) the centre of mass of each channel."""
    x = torch.arange(image_NCHW.shape[-1], dtype=torch.float64)
    mass = image_NCHW.double()
    total = mass.sum((2, 3))
    return (
        torch.stack([(mass.sum(2) * x).sum(2), (mass.sum(3) * x).sum(2)], dim=-1) / total[..., None]
    )


@pytest.mark.parametrize("draws", [None, Draws(0, 0, torch.arange(0))])
def test_no_faces(draws):
    framed = frame(blank(0, 64), 112, draws=draws, data=Data())
    assert framed.image_NCHW.shape == (0, 3, 112, 112)
    assert framed.landmarks_NP2.shape == (0, 68, 2)
    assert framed.ellipses_NE5.shape == (0, 24, 5)
    assert len(framed) == 0


def test_the_whole_crop_at_its_own_size_is_itself():
    told = faces(margin=1.25)
    framed = frame(told, 64, draws=None, data=Data(margin=1.25))
    back = (framed.image_NCHW.permute(0, 2, 3, 1) * 255).round().byte()
    assert (back == told.image_NHWC).all()
    torch.testing.assert_close(framed.landmarks_NP2, told.landmarks_NP2)
    torch.testing.assert_close(framed.ellipses_NE5, told.ellipses_NE5)
    assert framed.image_NCHW.dtype == framed.landmarks_NP2.dtype == torch.float32
    for name in ("label_N", "video_N", "sample_N"):
        assert (getattr(framed, name) == getattr(told, name)).all()


def test_a_flip_mirrors_the_picture():
    told = faces()
    draws = Draws(0, 0, told.sample_N)
    straight = frame(told, 56, draws=draws, data=STRAIGHT)
    flipped = frame(told, 56, draws=draws, data=FLIPPED)
    torch.testing.assert_close(flipped.image_NCHW, straight.image_NCHW.flip(-1))


def test_flipped_twice_is_the_face_again():
    told = faces(margin=1.2)
    draws = Draws(0, 0, told.sample_N)
    once = frame(told, 64, draws=draws, data=FLIPPED)
    stored = Faces(
        image_NHWC=(once.image_NCHW.permute(0, 2, 3, 1) * 255).round().byte(),
        landmarks_NP2=once.landmarks_NP2,
        ellipses_NE5=once.ellipses_NE5,
        margin_N=told.margin_N,
        label_N=told.label_N,
        video_N=told.video_N,
        sample_N=told.sample_N,
    )
    twice = frame(stored, 64, draws=draws, data=FLIPPED)
    assert ((twice.image_NCHW.permute(0, 2, 3, 1) * 255).round().byte() == told.image_NHWC).all()
    torch.testing.assert_close(twice.landmarks_NP2, told.landmarks_NP2)
    torch.testing.assert_close(twice.ellipses_NE5, told.ellipses_NE5)


def test_the_mirror_maps_are_their_own_inverse():
    points, ellipses = np.array(MIRRORED_POINTS), np.array(MIRRORED_ELLIPSES)
    assert (points[points] == np.arange(68)).all()
    assert (ellipses[ellipses] == np.arange(24)).all()
    assert [au_masks.ELLIPSE_AU[i] for i in ellipses] == list(au_masks.ELLIPSE_AU)
    # An upright symmetrical face stays what it is.
    upright = template_68()
    mirrored = upright[points] * [-1, 1]
    np.testing.assert_allclose(mirrored, upright, atol=1e-12)


def test_points_and_ellipses_of_a_flipped_face_are_those_of_the_mirrored_points():
    told = faces()
    flipped = frame(told, 112, draws=Draws(0, 0, told.sample_N), data=FLIPPED)
    again = au_masks.ellipses(flipped.landmarks_NP2.numpy())
    np.testing.assert_allclose(flipped.ellipses_NE5.numpy(), again, atol=2e-3)


def test_the_masks_of_a_flipped_face_are_mirrored_channel_by_channel():
    told = faces()
    draws = Draws(0, 0, told.sample_N)
    drawn = [
        au_masks.render_torch(frame(told, 112, draws=draws, data=data).ellipses_NE5, size_px=112)
        for data in (STRAIGHT, FLIPPED)
    ]
    assert drawn[0].amax((2, 3)).min() > 0.5
    torch.testing.assert_close(drawn[1], drawn[0].flip(-1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [48, 112, 160])
@pytest.mark.parametrize("data", [None, Data(), FLIPPED])
def test_points_lie_where_the_picture_shows_them(size, data):
    """Dots drawn at three points are found at the framed points, to 0.05 px."""
    told = faces(count=8, size=128, seed=3)
    place = (told.landmarks_NP2[:, [30, 36, 54]] - 63.5) * 0.6 + 63.5
    picture = Faces(
        **{
            **{name: getattr(told, name) for name in told.__dataclass_fields__},
            "image_NHWC": dots(place, 128),
            "landmarks_NP2": told.landmarks_NP2.clone(),
        }
    )
    picture.landmarks_NP2[:, [30, 36, 54]] = place
    draws = Draws(0, 0, told.sample_N) if data else None
    framed = frame(picture, size, draws=draws, data=data or Data())
    is_flipped = data is FLIPPED
    if data and not is_flipped:
        is_flipped = draws.chance("framing flip", p=data.flip)[:, None]
    straight = framed.landmarks_NP2[:, [30, 36, 54]]
    mirrored = framed.landmarks_NP2[:, [30, 45, 48]]
    wanted = torch.where(torch.as_tensor(is_flipped)[..., None], mirrored, straight)
    found = centres(framed.image_NCHW)
    assert (found - wanted).abs().max() < 0.05


@pytest.mark.parametrize("size", [56, 112, 224, 299])
def test_framing_a_crop_is_cutting_the_frame_at_that_margin(size):
    """The same square cut by `facekit.crops` at the final size: the crop loses next to nothing."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (90, 110, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (1100, 900), interpolation=cv2.INTER_CUBIC)
    picture = picture.clip(0, 255).astype(np.uint8)
    box = [350, 250, 750, 600]  # 400 px: squares of 1.6 and 1.25 are whole pixels
    stored = cut(picture, square_affine(box, 1.6, 320), 320)
    told = blank(1, 320)
    told.image_NHWC[0] = torch.from_numpy(stored)
    told.margin_N[:] = 1.6
    framed = frame(told, size, draws=None, data=Data(margin=1.25)).image_NCHW[0]
    direct = cut(picture, square_affine(box, 1.25, size), size)

    def wrong(picture_HWC):
        return np.abs(framed.permute(1, 2, 0).numpy() * 255 - picture_HWC).mean()

    assert wrong(direct) < 1.3
    # Half a pixel aside, which is what the wrong convention for pixel centres would give, is seen.
    for aside in (-0.5, 0.5):
        moved = cv2.warpAffine(direct, np.float32([[1, 0, aside], [0, 1, 0]]), (size, size))
        assert wrong(moved) > 5 * wrong(direct)


def test_shrinking_averages():
    """A checkerboard of single pixels becomes grey, not a moiré."""
    told = blank(1, 256)
    y, x = np.mgrid[:256, :256]
    told.image_NHWC[0] = torch.from_numpy(((x + y) % 2 * 255).astype(np.uint8))[..., None]
    framed = frame(told, 112, draws=None, data=Data(margin=1.0))
    assert (framed.image_NCHW - 0.5).abs().max() < 0.12
    assert framed.image_NCHW.std() < 0.06


def test_each_face_is_framed_as_it_would_be_alone():
    told = faces(count=5)
    whole = frame(told, 48, draws=Draws(3, 2, told.sample_N), data=Data())
    for i in range(5):
        one = told[i : i + 1]
        alone = frame(one, 48, draws=Draws(3, 2, one.sample_N), data=Data())
        torch.testing.assert_close(alone.image_NCHW[0], whole.image_NCHW[i])
        assert (alone.landmarks_NP2[0] == whole.landmarks_NP2[i]).all()
        assert (alone.ellipses_NE5[0] == whole.ellipses_NE5[i]).all()


def test_margins_shifts_and_flips_are_as_wide_as_said():
    told = blank(4000, 8)
    told.margin_N[:] = 1.6
    ends = torch.tensor([[0.0, 0.0], [7.0, 7.0]])
    told.landmarks_NP2[:] = ends.repeat(34, 1)
    data = Data(flip=0.25)
    framed = frame(told, 112, draws=Draws(0, 0, told.sample_N), data=data)
    first, second = framed.landmarks_NP2[:, 30], framed.landmarks_NP2[:, 27]
    is_flipped = second[:, 0] < first[:, 0]
    is_flipped = is_flipped if is_flipped.float().mean() < 0.5 else ~is_flipped
    assert is_flipped.float().mean() == pytest.approx(0.25, abs=0.03)
    span_px = (first - second)[:, 1].abs()  # 7 stored pixels, in pixels of the image
    side_px = 7 * 112 / span_px
    margin = side_px / 8 * 1.6
    assert margin.min() == pytest.approx(1.1, abs=2e-3)
    assert margin.max() == pytest.approx(1.4, abs=2e-3)
    assert margin.mean() == pytest.approx(1.25, abs=0.01)
    shift = ((first + second)[:, 1] / 2 - 55.5) / 112
    assert shift.abs().max() == pytest.approx(0.03, abs=1e-3)
    assert abs(float(shift.mean())) < 2e-3


def test_what_lies_beyond_the_crop_is_not_made_up():
    """A margin above the stored one takes the whole crop, unshifted."""
    told = faces(margin=1.3)
    wide = Data(margin_low=1.5, margin_high=1.5, shift=0.03, flip=0.0)
    framed = frame(told, 64, draws=Draws(0, 0, told.sample_N), data=wide)
    assert ((framed.image_NCHW.permute(0, 2, 3, 1) * 255).round().byte() == told.image_NHWC).all()
    torch.testing.assert_close(framed.landmarks_NP2, told.landmarks_NP2)


def test_margins_of_several_extractions_in_one_batch():
    told = faces(count=2)
    told.margin_N[:] = torch.tensor([1.6, 1.25])
    framed = frame(told, 64, draws=None, data=Data(margin=1.25))
    for i, margin in enumerate((1.6, 1.25)):
        one = faces(count=2, margin=margin)[i : i + 1]
        alone = frame(one, 64, draws=None, data=Data(margin=1.25))
        torch.testing.assert_close(framed.image_NCHW[i], alone.image_NCHW[0])


def test_a_face_without_points_stays_without():
    framed = frame(blank(2, 64), 112, draws=Draws(0, 0, torch.arange(2)), data=FLIPPED)
    assert framed.landmarks_NP2.isnan().all()
    assert (framed.ellipses_NE5[..., 2:4] == 0).all()
    assert (au_masks.render_torch(framed.ellipses_NE5, size_px=112, side_px=7) == 0).all()


@pytest.mark.parametrize(
    ("stored", "margin", "size", "data", "told"),
    [
        (320, 1.6, 112, Data(), []),
        (320, 1.6, 224, Data(), []),
        (224, 1.6, 224, Data(), ["enlarged by up to 1.45 to fill 224 px", "--size 326"]),
        (112, 1.4, 112, Data(), ["enlarged by up to 1.27", "--size 143"]),
        (320, 1.3, 112, Data(), ["stored at margin 1.30, so a margin of 1.40 is cut down"]),
        (320, 1.3, 112, Data(margin_high=1.3), []),
    ],
)
def test_warnings(caplog, stored, margin, size, data, told):
    caplog.set_level(logging.WARNING)
    few = blank(1, stored)
    few.margin_N[:] = margin
    for _ in range(3):
        frame(few, size, draws=Draws(0, 0, few.sample_N), data=data)
    assert len(caplog.messages) == (1 if told else 0)
    assert all(part in caplog.text for part in told)


def test_without_draws_the_fixed_margin_alone_is_warned_about(caplog):
    few = blank(1, 224)
    few.margin_N[:] = 1.6
    frame(few, 224, draws=None, data=Data())
    assert f"enlarged by up to {1.6 / 1.25:.2f}" in caplog.text
    assert math.ceil(224 * 1.6 / 1.25) == 287
    assert "--size 287" in caplog.text
