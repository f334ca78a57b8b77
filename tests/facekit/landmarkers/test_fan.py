import math

import numpy as np
import pytest
import torch
from face_alignment.models import FAN

from facekit import crops, landmarkers
from facekit.errors import BadWeights, MissingWeights
from facekit.landmarkers import fan, ibug68
from facekit.landmarkers.fan import FanLandmarker


@pytest.fixture(scope="module")
def state():
    """Weights of the right shapes, without any sense in them."""
    torch.manual_seed(0)
    return FAN(4).state_dict()


@pytest.fixture(scope="module")
def model(state, tmp_path_factory):
    """As face-alignment's file was made: the old format, from before batches were counted."""
    path = tmp_path_factory.mktemp("fan") / "2DFAN4.pth.tar"
    old = {name: x for name, x in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, path, _use_new_zipfile_serialization=False)
    yield path
    path.unlink()  # 96 MB


@pytest.fixture(scope="module")
def landmarker(model):
    return landmarkers.load(f"fan:{model}", device="cpu")


class SpotSeer:
    """A network whose heat maps are the brightness of the crop, a cell the mean of its pixels."""

    def __init__(self):
        self.batches = []

    def __call__(self, img_NCHW):
        assert not torch.is_grad_enabled()
        self.batches.append(tuple(img_NCHW.shape))
        map_NKHW = torch.nn.functional.avg_pool2d(img_NCHW[:, :1], fan.CELL_PX)
        return [map_NKHW * 0, map_NKHW.expand(-1, 68, -1, -1)]


@pytest.fixture(params=[True, False], ids=["mirror", "plain"])
def seer(landmarker, request, monkeypatch):
    """The landmarker with a network that sees spots."""
    monkeypatch.setattr(landmarker, "_network", SpotSeer())
    monkeypatch.setattr(landmarker, "_mirror", request.param)
    return landmarker


def test_the_weights_are_those_of_the_file(landmarker, state):
    loaded = landmarker._network.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], x) for name, x in state.items())
    assert not landmarker._network.training
    assert [m.name for m in landmarker.models] == ["2DFAN4.pth.tar"]
    assert landmarker.device == "cpu"


def test_heat_maps_are_those_of_face_alignment(landmarker):
    """Its flip and its order of the points, around the same network."""
    from face_alignment.utils import flip

    torch.manual_seed(1)
    img_NCHW = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        network = landmarker._network
        want = network(img_NCHW)[-1] + flip(network(flip(img_NCHW))[-1], is_label=True)
    got = landmarker._maps(img_NCHW.numpy())
    assert got.shape == (1, 68, 64, 64)
    np.testing.assert_allclose(got, want.numpy() / 2, rtol=1e-5, atol=1e-6)


def test_with_any_weights_the_points_lie_in_the_crop_and_are_the_same_again(landmarker, face):
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    some = [face(image, (40, 30, 90, 100)), face(image, (10, 10, 60, 80))]
    points = landmarker(some)
    assert points.shape == (2, 68, 2)
    assert points.dtype == np.float32
    for one, points_xy in zip(some, points, strict=True):
        in_crop = crops.to_crop(points_xy, fan.around_box(one.box_xyxy))
        assert in_crop.min() >= 0
        assert in_crop.max() <= 255
    assert landmarker(some[1:]).tobytes() == points[1:].tobytes()


def test_gradients_are_left_as_they_were(landmarker, face):
    assert torch.is_grad_enabled()
    FanLandmarker(str(landmarker.models[0].path), device="cpu")
    landmarker([face(np.zeros((50, 50, 3), np.uint8), (10, 10, 40, 40))])
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("size_wh", "box_xyxy", "place_xy", "sigma_px", "error_px"),
    [
        ((300, 260), (80, 60, 180, 200), (131.3, 117.7), 10.0, 0.02),
        ((300, 260), (150, 120, 158, 131), (155.2, 124.6), 1.5, 0.05),  # a face of 10 px
        ((120, 100), (-30, -20, 50, 60), (12.4, 17.9), 5.0, 0.05),  # half outside of the frame
        ((1300, 1200), (200, 150, 900, 1050), (555.5, 480.25), 60.0, 0.5),  # a cell is 31 px
    ],
)
def test_points_come_back_where_they_were_seen(
    seer, face, spot, size_wh, box_xyxy, place_xy, sigma_px, error_px
):
    (points,) = seer([face(spot(size_wh, place_xy, sigma_px), box_xyxy)])
    np.testing.assert_allclose(points, np.tile(place_xy, (68, 1)), atol=error_px)


def test_faces_go_alone_on_the_cpu_and_together_on_cuda(seer, face, spot, monkeypatch):
    image = spot((200, 160), (101.3, 77.7), 5.0)
    some = [face(image, (60 + i, 30, 140 + i, 130)) for i in range(17)]
    alone = seer(some)
    assert {shape[0] for shape in seer._network.batches} == {1}
    seer._network.batches.clear()
    monkeypatch.setattr(seer, "device", "cuda")
    np.testing.assert_array_equal(seer(some), alone)
    looks = 2 if seer._mirror else 1
    assert [s[0] for s in seer._network.batches] == [16] * looks + [1] * looks


def test_no_faces(seer):
    assert seer([]).shape == (0, 68, 2)
    assert seer._network.batches == []


@pytest.mark.parametrize("box_xyxy", [(5, 5, 5, 9), (9, 9, 5, 5), (math.nan, 0, 9, 9)])
def test_a_box_without_area_has_no_points(seer, face, spot, box_xyxy):
    image = spot((200, 160), (101.3, 77.7), 8.0)
    points = seer([face(image, box_xyxy), face(image, (60, 30, 140, 130))])
    assert np.isnan(points[0]).all()
    np.testing.assert_allclose(points[1], np.tile([101.3, 77.7], (68, 1)), atol=0.02)


@pytest.mark.parametrize(
    "box_xyxy", [(110.0, 90.0, 190.0, 190.0), (90, 100, 210, 180), (-40, 60, 130, 260)]
)
def test_the_crop_is_that_of_face_alignment(spot, box_xyxy):
    """To the two frame pixels that its rounding to whole ones may take."""
    from face_alignment.utils import CENTER_Y_OFFSET, crop

    place_xy = (120.0, 130.0)
    image = spot((300, 280), place_xy, 8.0)
    left, top, right, bottom = box_xyxy
    centre = np.array([(left + right) / 2, (top + bottom) / 2 - CENTER_Y_OFFSET * (bottom - top)])
    theirs = crop(image, centre, (right - left + bottom - top) / 165)[..., 0].astype(float)
    x, y = np.meshgrid(np.arange(256), np.arange(256))
    seen_xy = np.array([(theirs * x).sum(), (theirs * y).sum()]) / theirs.sum()
    affine = fan.around_box(np.array(box_xyxy))
    ours_xy = crops.to_crop(np.array([place_xy]), affine)[0]
    assert np.abs(seen_xy - ours_xy).max() < 2 * affine[0, 0]


def test_the_scale_is_what_face_alignment_takes_for_the_detectors_here():
    from face_alignment.detection.retinaface import FaceDetector as RetinaFace
    from face_alignment.detection.scrfd import FaceDetector as Scrfd
    from face_alignment.detection.yunet import FaceDetector as YuNet

    for theirs in (RetinaFace, Scrfd, YuNet):
        assert theirs.reference_scale.fget(None) == fan.REFERENCE_SCALE


def text(path):
    path.write_text("this is no model")


def noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(500))


def cut_short(path):
    torch.save(FAN(1).state_dict(), path)
    path.write_bytes(path.read_bytes()[:100_000])


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.touch(),
        text,
        noise,
        cut_short,
        lambda path: torch.save(FAN(1).state_dict(), path),  # one stack
        lambda path: torch.save({}, path),
        lambda path: torch.save([torch.zeros(3)], path),
        lambda path: torch.save(torch.zeros(3), path),
        lambda path: torch.save(FAN(1), path),  # a pickled object: code, not weights
        lambda path: path.mkdir(),
    ],
    ids=[
        "empty",
        "text",
        "noise",
        "cut",
        "one stack",
        "no names",
        "list",
        "tensor",
        "object",
        "folder",
    ],
)
def test_another_file_is_refused(make, tmp_path):
    make(tmp_path / "model.pth")
    with pytest.raises(BadWeights, match=r"model\.pth.*FAN"):
        FanLandmarker(str(tmp_path / "model.pth"), device="cpu")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingWeights, match="gone"):
        FanLandmarker(str(tmp_path / "gone.pth"), device="cpu")


def test_mirrored_maps_are_put_back_into_order(landmarker, monkeypatch):
    """A network that draws each point at a place of its own, whatever it is shown."""
    torch.manual_seed(2)
    drawn = torch.rand(1, ibug68.POINTS, 64, 64)
    monkeypatch.setattr(landmarker, "_network", lambda img_NCHW: [drawn])
    got = landmarker._maps(np.zeros((1, 3, 256, 256), np.float32))
    for point in (0, 8, 36, 48):
        other = drawn[0, ibug68.SWAP[point]].numpy()[:, ::-1]
        np.testing.assert_allclose(got[0, point], (drawn[0, point].numpy() + other) / 2, rtol=1e-6)
