import dataclasses
import hashlib
import io
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from facekit import catalogue, weights
from facekit.detectors.insightface import InsightFaceDetector
from facekit.errors import BadWeights, MissingWeights


def by_the_library(path, images):
    """Insightface's own way: its session, its threads, its call."""
    from insightface import model_zoo

    model = model_zoo.get_model(str(path), providers=["CPUExecutionProvider"])
    model.prepare(ctx_id=-1, input_size=(640, 640), det_thresh=0.5)
    return [model.detect(np.ascontiguousarray(image[..., ::-1])) for image in images]


@pytest.mark.parametrize("name", ["scrfd_2.5g_kps", "scrfd_500m_kps"])
def test_the_numbers_are_the_librarys(name, weights_dir, frames, group):
    images = [*frames, group]
    detector = InsightFaceDetector(name, device="cpu")
    wanted = by_the_library(detector.models[0].path, images)
    for found, (rows, points) in zip(detector(images), wanted, strict=True):
        np.testing.assert_array_equal(found.box_xyxy, rows[:, :4])
        np.testing.assert_array_equal(found.score, rows[:, 4])
        np.testing.assert_array_equal(found.keypoints_xy, points.astype(np.float32))


def test_a_path_does_as_well_as_a_name(weights_dir, frames):
    named = InsightFaceDetector("scrfd_500m_kps", device="cpu")
    given = InsightFaceDetector(str(named.models[0].path), device="cpu")
    assert given.models[0].sha256 == named.models[0].sha256
    assert np.array_equal(given(frames[:1])[0].box_xyxy, named(frames[:1])[0].box_xyxy)


def test_a_model_of_free_input_size_sees_640_by_640(weights_dir, frames, group, tmp_path):
    """As those of the packs: the library would look at 128 by 128 as well.

    With free sizes onnxruntime folds the graph otherwise, which moves the last digit.
    """
    fixed = InsightFaceDetector("scrfd_500m_kps", device="cpu")
    model = onnx.load(fixed.models[0].path)
    for value in (*model.graph.input, *model.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            dimension.dim_param = f"free{id(dimension)}"
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "free.onnx")
    free = InsightFaceDetector(str(tmp_path / "free.onnx"), device="cpu")
    assert free._scrfd.static_input_size is None
    for a, b in zip(fixed([*frames, group]), free([*frames, group]), strict=True):
        np.testing.assert_allclose(a.box_xyxy, b.box_xyxy, atol=1e-3)
        np.testing.assert_allclose(a.score, b.score, atol=1e-5)


def onnx_file(path, outputs, inputs=1):
    """A model with so many outputs, each a zero."""
    names = [f"out{i}" for i in range(outputs)]
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1, 1], [0.0])
    pictures = [
        helper.make_tensor_value_info(f"in{i}", TensorProto.FLOAT, [1, 3, "h", "w"])
        for i in range(inputs)
    ]
    graph = helper.make_graph(
        [helper.make_node("Constant", [], [name], value=zero) for name in names],
        "zeros",
        pictures,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in names],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (3, 1), (5, 1), (12, 1), (9, 2)])
def test_other_networks_are_refused(tmp_path, outputs, inputs):
    path = onnx_file(tmp_path / "other.onnx", outputs, inputs)
    with pytest.raises(BadWeights, match=rf"no SCRFD detector: it has {outputs} outputs"):
        InsightFaceDetector(str(path))


def test_without_the_pack_it_says_what_to_do():
    with pytest.raises(MissingWeights, match="facekit weights fetch buffalo_l --accept-licence"):
        InsightFaceDetector()


def test_the_default_is_the_packs_detector(weights_dir, monkeypatch, tmp_path, frames):
    """A pack in the real format, with another detector under the name of the right one."""
    detector_file = (weights_dir / "scrfd_500m_kps" / "scrfd_500m_kps.onnx").read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1k3d68.onnx", b"not needed")
        archive.writestr("det_10g.onnx", detector_file)
    pack = catalogue.Pack(
        sha256=hashlib.sha256(packed.getvalue()).hexdigest(), size_bytes=len(packed.getvalue())
    )
    entry = dataclasses.replace(
        catalogue.KNOWN["buffalo_l"],
        pack=pack,
        sha256=hashlib.sha256(detector_file).hexdigest(),
        size_bytes=len(detector_file),
    )
    monkeypatch.setitem(weights.KNOWN, "buffalo_l", entry)
    monkeypatch.setenv("FACEKIT_OFFLINE", "0")
    monkeypatch.setattr(weights, "_open", lambda _: io.BytesIO(packed.getvalue()))
    weights.fetch("buffalo_l", accept_licence=True)
    monkeypatch.delattr(weights, "_open")
    detector = InsightFaceDetector(device="cpu")
    assert detector.models[0].name == "buffalo_l"
    assert detector.models[0].path == tmp_path / "cache" / "weights" / "buffalo_l" / "det_10g.onnx"
    want = InsightFaceDetector("scrfd_500m_kps", device="cpu")(frames[:1])[0]
    assert np.array_equal(detector(frames[:1])[0].box_xyxy, want.box_xyxy)


def test_the_session_has_one_thread(weights_dir):
    detector = InsightFaceDetector("scrfd_500m_kps", device="cpu")
    options = detector._scrfd.session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
