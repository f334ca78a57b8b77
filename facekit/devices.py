"""Where the models run: one CPU thread a process, or CUDA, and which of the two it really is."""

import contextlib
import io
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from facekit.errors import BadInput, BadWeights
from facekit.options import DEVICES

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

Device = Literal["cpu", "cuda"]
_CPU: Final = "CPUExecutionProvider"
_CUDA: Final = "CUDAExecutionProvider"
_CUDA_OPTIONS: Final = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
"""The default search times every algorithm and may choose another on each run."""


def onnx_session(path: Path, device: str = "auto", *, content: bytes | None = None) -> Any:
    """Open an ONNX model: one thread on the CPU, or CUDA where that works.

    Args:
        path: the model file.
        device: `auto`, `cpu` or `cuda`; `cuda` that cannot be had warns and takes the CPU.
        content: the model, where it is made of what the file holds; None reads the file as one.

    Returns:
        An `onnxruntime.InferenceSession`; `session_device` tells where it runs.

    Raises:
        BadInput: no such device.
        BadWeights: the file is no ONNX model that onnxruntime can run.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as kinds

    providers = _providers(device)
    try:
        with quiet(log):
            session = onnxruntime.InferenceSession(
                str(path) if content is None else content,
                sess_options=_one_thread(),
                providers=providers,
            )
    except (
        kinds.EPFail,
        kinds.Fail,
        kinds.InvalidArgument,
        kinds.InvalidGraph,
        kinds.InvalidProtobuf,
        kinds.NoModel,
        kinds.NoSuchFile,
        kinds.NotImplemented,
        kinds.RuntimeException,
    ) as error:
        raise BadWeights(f"{path} is no ONNX model that runs here: {_one_line(error)}") from error
    _say(path.name, device, session_device(session), why_no_onnx_cuda)
    return session


def session_device(session: Any) -> Device:
    """Where an onnxruntime session really runs.

    Args:
        session: an `onnxruntime.InferenceSession`.
    """
    return "cuda" if session.get_providers()[0] == _CUDA else "cpu"


def torch_device(device: str = "auto") -> "torch.device":
    """The torch device to use, after setting torch to one CPU thread.

    Args:
        device: `auto`, `cpu` or `cuda`; `cuda` that cannot be had warns and takes the CPU.

    Raises:
        BadInput: no such device.

    >>> torch_device("cpu").type
    'cpu'
    """
    import torch

    _known(device)
    torch.set_num_threads(1)
    used: Device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    _say("torch", device, used, why_no_torch_cuda)
    return torch.device(used)


def torch_cuda(what: str, device: str = "auto") -> "torch.device | None":
    """The CUDA device of torch, or None where the CPU is to be used; torch is spared if it can be.

    Args:
        what: the model's name, for the log.
        device: `auto`, `cpu` or `cuda`; `cuda` that cannot be had warns and takes the CPU.

    Raises:
        BadInput: no such device.

    >>> torch_cuda("lite", "cpu") is None
    True
    """
    _known(device)
    if device != "cpu" and _has_cuda_driver():
        found = torch_device(device)
        return found if found.type == "cuda" else None
    _say(what, device, "cpu", lambda: "this machine has no CUDA driver")
    return None


def _has_cuda_driver() -> bool:
    import ctypes

    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def one_thread() -> None:
    """Keep OpenCV to the calling thread: a worker process is one CPU's worth, and no more.

    Environment variables do not reach OpenCV's own pool. Torch and ONNX Runtime are told where a
    model is opened.
    """
    import cv2

    cv2.setNumThreads(1)


def cpu_only(what: str, device: str) -> Device:
    """Say that a model runs on the CPU whatever was asked for, and warn where that was `cuda`.

    Args:
        what: the model's name, for the log.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        BadInput: no such device.

    >>> cpu_only("yunet", "auto")
    'cpu'
    """
    _known(device)
    _say(what, device, "cpu", lambda: "it has no CUDA form in facekit")
    return "cpu"


@contextlib.contextmanager
def quiet(logger: logging.Logger) -> Iterator[None]:
    """Send what a library prints to the log, at level DEBUG.

    Args:
        logger: where it goes.

    >>> with quiet(log):
    ...     print("noise")
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        for line in printed.getvalue().splitlines():
            logger.debug("%s", line)


def _known(device: str) -> None:
    if device not in DEVICES:
        raise BadInput(f"--device must be one of {', '.join(DEVICES)}, not {device!r}")


def _one_thread() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone: warnings go to stderr, past every log
    return options


def _providers(device: str) -> list[Any]:
    import onnxruntime

    _known(device)
    if device == "cpu" or _CUDA not in onnxruntime.get_available_providers():
        return [_CPU]
    with quiet(log):
        onnxruntime.preload_dlls()  # finds the CUDA libraries that torch brings
    return [(_CUDA, _CUDA_OPTIONS), _CPU]


def _say(what: str, asked: str, used: Device, why: Callable[[], str]) -> None:
    if asked == "cuda" and used == "cpu":
        log.warning("%s: --device cuda was asked for but it RUNS ON THE CPU: %s", what, why())
    else:
        log.info("%s runs on %s", what, used)


def why_no_onnx_cuda() -> str:
    """Why onnxruntime runs on the CPU, and what to do."""
    import onnxruntime

    if _CUDA not in onnxruntime.get_available_providers():
        return "this onnxruntime has no CUDA; install onnxruntime-gpu in place of onnxruntime"
    return "onnxruntime could not start CUDA; check the driver and `facekit doctor`"


def why_no_torch_cuda() -> str:
    """Why torch runs on the CPU, and what to do."""
    import torch

    if torch.version.cuda is None:
        return "this torch is built without CUDA"
    return f"torch for CUDA {torch.version.cuda} finds no usable GPU; check the driver"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
