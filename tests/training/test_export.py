import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from trained_runs import config, write_run

from facekit.errors import BadInput, BadWeights, FacekitError, MissingDevice
from training import checkpoint, export
from training.export import export_model
from training.face_scores import FaceScores


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("model", {}, "model: end the name of an ONNX file in .onnx"),
        ("model.pt", {}, "model.pt: end the name of an ONNX file in .onnx"),
        ("m.onnx", {"size": 100}, "--size must be one of .*, not 100"),
        ("m.onnx", {"opset": 13}, "--opset must lie in 14 to 20, not 13"),
        ("m.onnx", {"which": "first"}, "--which must be best or last, not 'first'"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(run, tmp_path, path, options, message):
    with pytest.raises(BadInput, match=message) as refused:
        export_model(run, tmp_path / path, **options)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="gone holds no snapshot; give the folder of a run"):
        export_model(tmp_path / "gone", tmp_path / "m.onnx")


def test_damaged_weights(run, tmp_path):
    path = next(run.rglob("model.safetensors"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    try:
        with pytest.raises(BadWeights, match=r"model\.safetensors is damaged"):
            export_model(run, tmp_path / "m.onnx")
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(run, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDevice, match=f"needs the package {package}, which is not installed"):
        export_model(run, tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("told", "size", "grid_hw"),
    [
        (config(), None, (7, 7)),
        (config(tokens="vit", au_weight="softmax"), 224, (14, 14)),
        (config(embedding="literal", agnostic=False), None, (7, 7)),
        (config(name="cnn"), None, (4, 4)),
        (config(data={"task": "labelled"}), None, None),
    ],
    ids=["aunet", "another size", "no transformer", "cnn", "no tokens"],
)
def test_onnx_says_what_torch_says(tmp_path, told, size, grid_hw):
    path = export_model(write_run(tmp_path / "run", told), tmp_path / "new" / "m.onnx", size=size)
    loaded = checkpoint.load_model(tmp_path / "run")
    size_px = size or told.model.size_px
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    assert names == ["score_N", "class_score_N", "token_map_NHW"][: 3 if grid_hw else 2]
    image_NCHW = torch.rand(3, 3, size_px, size_px)
    with torch.inference_mode():
        expected = FaceScores(loaded.model, size_px)(image_NCHW)
    said = dict(zip(names, session.run(None, {"image_NCHW": image_NCHW.numpy()}), strict=True))
    for name in names:
        np.testing.assert_allclose(said[name], getattr(expected, name).numpy(), atol=1e-4)
    if grid_hw:
        assert said["token_map_NHW"].shape == (3, *grid_hw)
    facts = {one.key: one.value for one in onnx.load(path).metadata_props}
    assert facts == {
        "facekit": "0.1.0",
        "sha256": loaded.sha256,
        "step": "7",
        "name": told.model.name,
        "backbone": "resnet18",
        "size_px": str(size_px),
        "margin": "1.25",
    }
    assert [one.name for one in path.parent.iterdir()] == ["m.onnx"]


def test_nothing_is_written_that_does_not_agree(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    path = tmp_path / "m.onnx"
    path.write_bytes(b"of last week")
    with pytest.raises(FacekitError, match="is not written: ONNX Runtime and torch differ by"):
        export_model(run, path)
    assert path.read_bytes() == b"of last week"
    assert list(tmp_path.iterdir()) == [path]
