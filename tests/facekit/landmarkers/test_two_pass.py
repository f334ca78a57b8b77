import math

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facekit import crops, landmarkers
from facekit.errors import BadWeights, MissingWeights
from facekit.landmarkers import ibug68, two_pass
from facekit.landmarkers.two_pass import TwoPassLandmarker

AROUND = np.random.default_rng(0).uniform(-0.25, 0.25, (68, 2)).astype(np.float32)
"""How the points of `spot_finder` lie around the spot, which is their mean; far from upright."""
AROUND -= AROUND.mean(axis=0)


def spot_finder(path, bias_xy=(0.0, 0.0), *, side=112, points=68):
    """An ONNX file of the networks' kind: it puts its points around the centre of brightness."""
    edges = ((np.arange(side) + 0.5) / side).astype(np.float32)
    around = (AROUND[np.arange(points) % 68] + np.float32(bias_xy)).reshape(1, -1)
    constants = {
        "x": edges.reshape(1, 1, 1, side),
        "y": edges.reshape(1, 1, side, 1),
        "axes": np.array([2, 3]),
        "times": np.array([1, points]),
        "around": around.astype(np.float32),
        "first": np.array([0]),
    }
    nodes = [
        helper.make_node("Gather", ["input", "first"], ["red"], axis=1),
        helper.make_node("ReduceSum", ["red", "axes"], ["sum"], keepdims=0),
        *(
            node
            for axis in "xy"
            for node in (
                helper.make_node("Mul", ["red", axis], [f"red_{axis}"]),
                helper.make_node("ReduceSum", [f"red_{axis}", "axes"], [f"sum_{axis}"], keepdims=0),
                helper.make_node("Div", [f"sum_{axis}", "sum"], [f"mean_{axis}"]),
            )
        ),
        helper.make_node("Concat", ["mean_x", "mean_y"], ["mean"], axis=1),
        helper.make_node("Tile", ["mean", "times"], ["means"]),
        helper.make_node("Add", ["means", "around"], ["output"]),
    ]
    taken = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, side, side])
    given = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 2 * points])
    initial = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "spot_finder", [taken], [given], initial)
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return str(path)


@pytest.fixture
def finder(tmp_path):
    return TwoPassLandmarker(spot_finder(tmp_path / "finder.onnx"), device="cpu")


SPOTS = [
    ((200, 150), (60, 40, 100, 90), (81.3, 66.7), 2.0),
    ((200, 150), (100, 70, 108, 80), (104.3, 75.1), 0.8),  # a face of 10 px
    ((120, 100), (-30, -20, 50, 60), (12.4, 17.9), 2.0),  # half outside of the frame
    ((120, 100), (40, 60, 110, 130), (83.6, 92.2), 1.5),  # the same at the far edges
    ((900, 800), (200, 100, 700, 760), (455.4, 431.8), 10.0),  # 6 frame pixels to one of the crop
]


@pytest.mark.parametrize(("size_wh", "box_xyxy", "place_xy", "sigma_px"), SPOTS)
def test_points_come_back_where_they_were_seen(
    finder, face, spot, size_wh, box_xyxy, place_xy, sigma_px
):
    some = [face(spot(size_wh, place_xy, sigma_px), box_xyxy)]
    for points in (finder.first_pass(some), finder(some)):
        np.testing.assert_allclose(points[0].mean(axis=0), place_xy, atol=0.03)


def test_the_second_look_takes_back_a_bias_across_the_face(tmp_path, face, spot):
    biased = TwoPassLandmarker(spot_finder(tmp_path / "b.onnx", (0.05, 0.0)), device="cpu")
    some = [face(spot((200, 200), (101.3, 97.6), 3.0), (60, 60, 140, 140))]
    first_xy = biased.first_pass(some)[0].mean(axis=0)
    np.testing.assert_allclose(first_xy - (101.3, 97.6), [0.05 * 80, 0], atol=0.03)
    np.testing.assert_allclose(biased(some)[0].mean(axis=0), (101.3, 97.6), atol=0.03)


@pytest.mark.parametrize(
    "box_xyxy",
    [
        (50, 50, 50, 90),
        (50, 50, 90, 50),
        (50, 50, 50, 50),
        (90, 90, 50, 50),  # inside out
        (math.nan, 0, 10, 10),
        (0, 0, 10, math.inf),
        (-math.inf, 0, 10, 10),
    ],
)
def test_a_box_without_area_has_no_points_and_harms_no_other(finder, face, spot, box_xyxy):
    image = spot((200, 150), (81.3, 66.7), 2.0)
    good, bad = face(image, (60, 40, 100, 90)), face(image, box_xyxy)
    points = finder([good, bad, good])
    assert np.isnan(points[1]).all()
    assert points[0].tobytes() == points[2].tobytes() == finder([good])[0].tobytes()
    assert np.isnan(finder([bad])).all()


@pytest.mark.parametrize(
    "box_xyxy",
    [(500, 500, 540, 550), (-1e9, -1e9, 1e9, 1e9), (-3e38, 0, 3e38, 1), (0, 0, 1e-30, 1)],
)
def test_an_absurd_box_is_no_crash(finder, face, spot, box_xyxy):
    points = finder([face(spot((60, 50), (30, 20), 2.0), box_xyxy)])
    assert points.shape == (1, 68, 2)
    assert points.dtype == np.float32


def test_no_faces(finder):
    points = finder([])
    assert points.shape == (0, 68, 2)
    assert points.dtype == np.float32


def test_in_a_batch_as_alone(finder, face, spot):
    """Batches are for CUDA; this is the same way with the CPU beneath."""
    some = [face(spot(size_wh, place, sigma), box) for size_wh, box, place, sigma in SPOTS]
    alone = finder(some)
    finder.device = "cuda"
    np.testing.assert_allclose(finder(some), alone, atol=1e-3)


def junk(path):
    path.write_bytes(b"this is no model")
    return str(path)


@pytest.mark.parametrize(
    "make",
    [
        junk,
        lambda path: spot_finder(path, side=128),
        lambda path: spot_finder(path, points=98),
    ],
    ids=["junk", "another side", "other points"],
)
def test_another_model_is_refused(make, tmp_path):
    with pytest.raises(BadWeights, match=r"model\.onnx"):
        TwoPassLandmarker(make(tmp_path / "model.onnx"), device="cpu")


@pytest.mark.parametrize("name", ["mobilefacenet", "pfld"])
def test_a_missing_file_is_named(name, tmp_path):
    with pytest.raises(MissingWeights, match="gone"):
        landmarkers.load(f"{name}:{tmp_path / 'gone.onnx'}", device="cpu")


@pytest.mark.parametrize("name", ["mobilefacenet", "pfld"])
def test_a_path_will_do(name, tmp_path):
    path = spot_finder(tmp_path / "mine.onnx")
    made = landmarkers.load(f"{name}:{path}", device="cpu")
    assert [model.name for model in made.models] == ["mine.onnx"]
    assert made.device == "cpu"


@pytest.mark.parametrize("degrees", [-150, -90, 0, 20, 180])
def test_a_face_is_looked_at_upright(degrees):
    upright = np.random.default_rng(1).uniform(0, 80, (68, 2))
    upright[ibug68.LEFT_EYE] = [[20, 30]]
    upright[ibug68.RIGHT_EYE] = [[60, 30]]
    turn = cv2.getRotationMatrix2D((0, 0), -degrees, 1.7)
    affine = two_pass.around_points(upright @ turn[:, :2].T + [300, 200])
    seen = crops.to_crop(upright @ turn[:, :2].T + [300, 200], affine)
    left_xy, right_xy = seen[36], seen[45]
    assert right_xy[0] > left_xy[0]
    np.testing.assert_allclose(right_xy[1], left_xy[1], atol=1e-3)
    np.testing.assert_allclose(seen.min(axis=0) + seen.max(axis=0), [111, 111], atol=1e-3)
    np.testing.assert_allclose(np.ptp(seen, axis=0).max() * 1.25, 112, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 7.0, math.nan, math.inf])
def test_points_that_are_one_have_no_square(value):
    assert np.isnan(two_pass.around_points(np.full((68, 2), value))).all()


@pytest.fixture(scope="module", params=["mobilefacenet", "pfld"])
def real(weights_dir, request):
    return landmarkers.load(request.param, device="cpu")


def moved(image, affine, size_wh):
    return cv2.warpAffine(
        image, affine, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


@pytest.fixture(scope="module")
def portrait(photograph, weights_dir):
    """The photograph 400 px high, and the box of its face."""
    from facekit import detectors

    scale = 400 / photograph.shape[0]
    image = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    (found,) = detectors.load("insightface:scrfd_2.5g_kps", device="cpu")([image])
    return image, found.box_xyxy[0]


def apart(points, others):
    """Mean distance in per cent of that of the outer eye corners."""
    outer, inner = others[list(ibug68.OUTER_CORNERS)]
    return 100 * np.linalg.norm(points - others, axis=1).mean() / np.linalg.norm(outer - inner)


def test_the_same_bytes_every_time_and_in_any_company(real, face, portrait):
    image, box = portrait
    some = [face(image, box + shift) for shift in (0, 3, -5)]
    together = real(some)
    assert np.isfinite(together).all()
    assert real(some).tobytes() == together.tobytes()
    assert real(some[2:]).tobytes() == together[2:].tobytes()


def test_points_go_with_the_picture(real, face, portrait):
    image, box = portrait
    height, width = image.shape[:2]
    shift = np.array([[1, 0, 7], [0, 1, -4]], float)
    shifted = real([face(moved(image, shift, (width, height)), np.add(box, [7, -4, 7, -4]))])[0]
    assert apart(shifted - [7, -4], real([face(image, box)])[0]) < 0.5


@pytest.mark.parametrize("degrees", [-60, -20, 35, 60])
def test_points_turn_with_the_picture(real, face, portrait, degrees):
    image, box = portrait
    centre, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max()
    turn = cv2.getRotationMatrix2D(centre.astype(float).tolist(), -degrees, 1.0)
    turned_box = np.concatenate([centre - side / 2, centre + side / 2])
    turned = real([face(moved(image, turn, image.shape[1::-1]), turned_box)])[0]
    upright = real([face(image, box)])[0]
    assert apart(turned, crops.to_crop(upright, turn)) < 2.5


@pytest.mark.parametrize("scale", [0.5, 3.0, 6.0])
def test_points_grow_with_the_picture(real, face, portrait, scale):
    """Six times as large, a face spans over 1000 px and must not alias."""
    image, box = portrait
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    larger = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)
    points = real([face(larger, (box + 0.5) * scale - 0.5)])[0]
    assert apart((points + 0.5) / scale - 0.5, real([face(image, box)])[0]) < 1.5
