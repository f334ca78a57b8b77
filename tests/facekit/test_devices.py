import logging

import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from facekit import devices
from facekit.errors import BadInput, BadWeights


@pytest.fixture
def model(tmp_path):
    """The smallest ONNX model: what goes in comes out."""
    shape = [1, 3]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["in"], ["out"])],
        "identity",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, tmp_path / "identity.onnx")
    return tmp_path / "identity.onnx"


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def warnings_in(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("device", "warns", "error"),
    [("auto", False, None), ("cpu", False, None), ("cuda", True, None), ("tpu", False, BadInput)],
)
def test_without_a_gpu_everything_runs_on_the_cpu(no_gpu, model, caplog, device, warns, error):
    caplog.set_level(logging.INFO)
    opened = [
        lambda: devices.session_device(devices.onnx_session(model, device)),
        lambda: devices.torch_device(device).type,
        lambda: devices.cpu_only("yunet", device),
    ]
    for use in opened:
        caplog.clear()
        if error is not None:
            with pytest.raises(error, match="--device must be one of auto, cpu, cuda"):
                use()
            continue
        assert use() == "cpu"
        assert [("RUNS ON THE CPU" in text) for text in warnings_in(caplog)] == [True] * warns
        assert warns or "runs on cpu" in caplog.text


def test_a_cuda_provider_that_fails_to_start_is_told(monkeypatch, model, caplog, capfd):
    """The package promises CUDA and then runs on the CPU: the very case that went unseen."""
    promised = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: promised)
    real = onnxruntime.InferenceSession

    def falls_back(path, sess_options, providers):
        assert providers[0][0] == "CUDAExecutionProvider"
        print("EP Error")  # noqa: T201 - as onnxruntime does
        return real(path, sess_options=sess_options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    session = devices.onnx_session(model, "cuda")
    assert devices.session_device(session) == "cpu"
    assert "could not start CUDA" in warnings_in(caplog)[0]
    caplog.clear()
    devices.onnx_session(model, "auto")
    assert warnings_in(caplog) == []
    assert capfd.readouterr().out == ""


def test_cuda_is_taken_where_it_works(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.torch_device("auto").type == "cuda"
    assert devices.torch_device("cuda").type == "cuda"
    assert devices.torch_device("cpu").type == "cpu"
    assert warnings_in(caplog) == []


def test_a_session_has_one_thread(model):
    options = devices.onnx_session(model, "cpu").get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_torch_has_one_thread():
    torch.set_num_threads(2)
    devices.torch_device("cpu")
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("content", [b"", b"text, not a model", b"\x08\x07" * 50, None])
def test_what_is_no_model_is_bad_weights(tmp_path, content):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadWeights, match=r"model\.onnx is no ONNX model") as raised:
        devices.onnx_session(path, "cpu")
    assert "\n" not in str(raised.value)


def test_what_a_library_prints_goes_to_the_log(caplog, capsys):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(KeyError), devices.quiet(logging.getLogger("facekit.test")):
        print("find model: x")  # noqa: T201 - as insightface does
        raise KeyError
    assert capsys.readouterr().out == ""
    assert [r.getMessage() for r in caplog.records] == ["find model: x"]
