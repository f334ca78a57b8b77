import math

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from facekit import crops, landmarkers, weights
from facekit.errors import BadWeights, MissingWeights
from facekit.landmarkers import ibug68, lite
from facekit.landmarkers.lite import LiteLandmarker
from facekit.landmarkers.lite_network import LandmarkNetworks


@pytest.fixture(scope="module")
def landmarker():
    return landmarkers.load("lite", device="cpu")


class SpotSeer:
    """A network whose points all lie at the centre of brightness, spread about it upright."""

    around_xy = np.random.default_rng(0).uniform(-0.3, 0.3, (68, 2))

    def __init__(self):
        self.batches = []

    def __call__(self, img_NHWC):
        assert img_NHWC.dtype == np.uint8
        self.batches.append(img_NHWC.shape)
        red_NHW = img_NHWC[..., 0].astype(float)
        pixel = np.arange(img_NHWC.shape[2])
        total_N = red_NHW.sum((1, 2))
        x_N, y_N = (red_NHW.sum(1) @ pixel / total_N, red_NHW.sum(2) @ pixel / total_N)
        spread = self.around_xy - self.around_xy.mean(0)
        return np.stack([x_N, y_N], 1)[:, None] + spread * img_NHWC.shape[2]


@pytest.fixture
def seer(landmarker, monkeypatch):
    """The landmarker with two networks that see spots."""
    monkeypatch.setattr(landmarker, "_coarse_look", SpotSeer())
    monkeypatch.setattr(landmarker, "_fine_look", SpotSeer())
    return landmarker


SPOTS = [
    ((200, 150), (60, 40, 100, 90), (81.3, 66.7), 2.0),
    ((200, 150), (100, 70, 108, 80), (104.3, 75.1), 0.8),  # a face of 10 px
    ((120, 100), (-30, -20, 50, 60), (12.4, 17.9), 2.0),  # half outside of the frame
    ((120, 100), (40, 60, 110, 130), (83.6, 92.2), 1.5),  # the same at the far edges
    ((900, 800), (200, 100, 700, 760), (455.4, 431.8), 12.0),  # 14 frame pixels to one of the crop
]


@pytest.mark.parametrize(("size_wh", "box_xyxy", "place_xy", "sigma_px"), SPOTS)
def test_points_come_back_where_they_were_seen(
    seer, face, spot, size_wh, box_xyxy, place_xy, sigma_px
):
    some = [face(spot(size_wh, place_xy, sigma_px), box_xyxy)]
    off_px = 0.03 * max(1.0, (box_xyxy[3] - box_xyxy[1]) / lite.FINE_PX)
    for points in (seer.first_look(some), seer(some)):
        np.testing.assert_allclose(points[0].mean(axis=0), place_xy, atol=off_px)


def test_faces_go_alone_on_the_cpu_and_together_on_cuda(seer, face, spot, monkeypatch):
    some = [face(spot(size_wh, place, sigma), box) for size_wh, box, place, sigma in SPOTS]
    alone = seer(some)
    assert [shape[0] for shape in seer._fine_look.batches] == [1] * len(SPOTS)
    seer._fine_look.batches.clear()
    monkeypatch.setattr(seer, "device", "cuda")
    np.testing.assert_allclose(seer(some), alone, atol=1e-3)
    assert seer._fine_look.batches == [(len(SPOTS), lite.FINE_PX, lite.FINE_PX, 3)]


@pytest.mark.parametrize(
    "box_xyxy",
    [
        (50, 50, 50, 90),
        (50, 50, 90, 50),
        (90, 90, 50, 50),  # inside out
        (math.nan, 0, 10, 10),
        (0, 0, 10, math.inf),
        (-math.inf, 0, 10, 10),
    ],
)
def test_a_box_without_area_has_no_points_and_harms_no_other(landmarker, face, spot, box_xyxy):
    image = spot((200, 150), (81.3, 66.7), 20.0)
    good, bad = face(image, (60, 40, 100, 90)), face(image, box_xyxy)
    points = landmarker([good, bad, good])
    assert np.isnan(points[1]).all()
    assert np.isfinite(points[0]).all()
    assert points[0].tobytes() == points[2].tobytes() == landmarker([good])[0].tobytes()


@pytest.mark.parametrize(
    "box_xyxy",
    [(500, 500, 540, 550), (-1e9, -1e9, 1e9, 1e9), (-3e38, 0, 3e38, 1), (0, 0, 1e-30, 1)],
)
def test_an_absurd_box_is_no_crash(landmarker, face, spot, box_xyxy):
    points = landmarker([face(spot((60, 50), (30, 20), 2.0), box_xyxy)])
    assert points.shape == (1, 68, 2)
    assert points.dtype == np.float32


def test_no_faces(landmarker):
    points = landmarker([])
    assert points.shape == (0, 68, 2)
    assert points.dtype == np.float32


def test_the_embedded_file_is_small_and_is_what_runs(landmarker):
    (model,) = landmarker.models
    assert model == weights.find("lite_landmarker")
    assert model.path.stat().st_size <= 2_000_000
    assert {value.dtype for value in load_file(model.path).values()} == {torch.float16}
    assert landmarker.device == "cpu"


def test_another_file_by_its_path(tmp_path, face, spot):
    torch.manual_seed(0)
    path = tmp_path / "mine.safetensors"
    save_file(LandmarkNetworks().state_dict(), path)
    made = landmarkers.load(f"lite:{path}", device="cpu")
    assert [model.name for model in made.models] == ["mine.safetensors"]
    assert np.isfinite(made([face(spot((99, 99), (50, 50), 9.0), (20, 20, 80, 80))])).all()


def learning(path):
    save_file(LandmarkNetworks(norm=True).state_dict(), path)


def without_one(path):
    state = LandmarkNetworks().state_dict()
    save_file({name: x for name, x in state.items() if name != "fine.out.bias"}, path)


def cut_short(path):
    save_file(LandmarkNetworks().state_dict(), path)
    path.write_bytes(path.read_bytes()[:100_000])


@pytest.mark.parametrize(
    "make", [lambda path: path.write_bytes(b"no model"), learning, without_one, cut_short]
)
def test_another_model_is_refused(make, tmp_path):
    make(tmp_path / "model.safetensors")
    with pytest.raises(BadWeights, match=r"model\.safetensors"):
        LiteLandmarker(str(tmp_path / "model.safetensors"), device="cpu")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingWeights, match="gone"):
        landmarkers.load(f"lite:{tmp_path / 'gone.safetensors'}", device="cpu")


@pytest.mark.parametrize("degrees", [-150, -90, 0, 20, 180])
def test_a_face_is_read_upright(degrees):
    upright = np.random.default_rng(1).uniform(0, 80, (68, 2))
    upright[ibug68.LEFT_EYE] = [[20, 30]]
    upright[ibug68.RIGHT_EYE] = [[60, 30]]
    turn = cv2.getRotationMatrix2D((0, 0), -degrees, 1.7)
    turned = upright @ turn[:, :2].T + [300, 200]
    seen = crops.to_crop(turned, lite.around_points(turned))
    np.testing.assert_allclose(seen[45, 1], seen[36, 1], atol=1e-3)
    assert seen[45, 0] > seen[36, 0]
    np.testing.assert_allclose(seen.min(0) + seen.max(0), [lite.FINE_PX - 1] * 2, atol=1e-3)
    span_px = np.ptp(seen, axis=0).max()
    np.testing.assert_allclose(span_px * lite.POINTS_MARGIN, lite.FINE_PX, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 7.0, math.nan, math.inf])
def test_points_that_are_one_have_no_square(value):
    assert np.isnan(lite.around_points(np.full((68, 2), value))).all()


@pytest.fixture(scope="module")
def portrait(photograph):
    """The photograph 400 px high, and the box that RetinaFace gives its face."""
    scale = 400 / photograph.shape[0]
    image = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return image, np.array([136.7, 96.8, 264.5, 283.9], np.float32)


def moved(image, affine, size_wh):
    return cv2.warpAffine(
        image, affine, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def apart(points, others):
    """Mean distance in per cent of that of the outer eye corners."""
    left, right = others[list(ibug68.OUTER_CORNERS)]
    return 100 * np.linalg.norm(points - others, axis=1).mean() / np.linalg.norm(left - right)


def test_the_same_bytes_every_time_and_in_any_company(landmarker, face, portrait):
    image, box = portrait
    some = [face(image, box + shift) for shift in (0, 3, -5)]
    together = landmarker(some)
    assert np.isfinite(together).all()
    assert landmarker(some).tobytes() == together.tobytes()
    assert landmarker(some[2:]).tobytes() == together[2:].tobytes()


@pytest.mark.parametrize("shift_px", [(7, -4), (0.5, 0.25)])
def test_points_go_with_the_picture(landmarker, face, portrait, shift_px):
    image, box = portrait
    shift = np.array([[1, 0, shift_px[0]], [0, 1, shift_px[1]]], float)
    shifted = moved(image, shift, image.shape[1::-1])
    (points,) = landmarker([face(shifted, box + np.tile(shift_px, 2))])
    assert apart(points - shift_px, landmarker([face(image, box)])[0]) < 0.7


@pytest.mark.parametrize("slip", [(-0.08, 0.0), (0.05, 0.08), (0.0, -0.06)])
def test_points_stay_when_the_box_slips(landmarker, face, portrait, slip):
    image, box = portrait
    slipped = box + np.tile(np.array(slip) * (box[3] - box[1]), 2)
    points, others = landmarker([face(image, slipped), face(image, box)])
    assert apart(points, others) < 1.5


@pytest.mark.parametrize("degrees", [-60, -20, 35, 60])
def test_points_turn_with_the_picture(landmarker, face, portrait, degrees):
    image, box = portrait
    centre, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max()
    turn = cv2.getRotationMatrix2D(centre.astype(float).tolist(), -degrees, 1.0)
    turned_box = np.concatenate([centre - side / 2, centre + side / 2])
    turned = landmarker([face(moved(image, turn, image.shape[1::-1]), turned_box)])[0]
    upright = landmarker([face(image, box)])[0]
    assert apart(turned, crops.to_crop(upright, turn)) < 2.5


@pytest.mark.parametrize("scale", [0.5, 3.0, 6.0])
def test_points_grow_with_the_picture(landmarker, face, portrait, scale):
    """Six times as large, a face spans over 1000 px and must not alias."""
    image, box = portrait
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    larger = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)
    points = landmarker([face(larger, (box + 0.5) * scale - 0.5)])[0]
    assert apart((points + 0.5) / scale - 0.5, landmarker([face(image, box)])[0]) < 1.5
