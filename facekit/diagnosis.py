"""What is installed, which device and model files are really in use, and why not."""

import importlib.util
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

from facekit import devices, versions, weights
from facekit.errors import BadWeights

State = Literal["ok", "warn", "missing"]

_SCARCE_BYTES: Final = 2 << 30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor's report.

    Args:
        topic: what it is about, such as `package torch` or `model yunet_2023mar`.
        state: `ok`, `warn` (works, but look at it) or `missing`.
        text: one line; where something is to be done, what.
    """

    topic: str
    state: State
    text: str


def doctor() -> list[Finding]:
    """Look at the machine, the packages and the model files; torch and onnxruntime are imported.

    >>> [finding.topic for finding in doctor()][:2]
    ['python', 'facekit']
    """
    return [
        _python(),
        *(_ours(name) for name in ("facekit", "pipelines", "training")),
        *_packages(),
        _torch(),
        _onnxruntime(),
        _weights_folder(),
        *map(_model, weights.listing(hashed=True)),
        _cores(),
        _disk(Path.cwd()),
    ]


def _python() -> Finding:
    return Finding(
        topic="python", state="ok", text=f"{platform.python_version()}, {sys.executable}"
    )


def _ours(name: str) -> Finding:
    """Whether importing a package of ours gives ours, and not another of that name."""
    ours = Path(__file__).resolve().parents[1] / name
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or []) if spec else []
    if ours in [Path(place).resolve() for place in places][:1]:
        return Finding(topic=name, state="ok", text=str(ours))
    if spec is None:
        return Finding(topic=name, state="missing", text=f"not installed; expected in {ours}")
    taker = places[0] if places else spec.origin
    return Finding(topic=name, state="warn", text=f"{taker} shadows {ours}; rename or remove it")


def _packages() -> list[Finding]:
    try:
        lines = metadata.requires("facekit") or []
    except metadata.PackageNotFoundError:
        why = "no package metadata: install facekit with pip to have its packages checked"
        return [Finding(topic="packages", state="warn", text=why)]
    return [_package(line) for line in lines if "extra ==" not in line]


def _package(requirement: str) -> Finding:
    name, wanted = re.fullmatch(r"([\w.-]+)\s*([^;]*).*", requirement).groups()  # type: ignore[union-attr]  # it is one by its metadata
    found = versions.installed(name)
    topic, text = f"package {name}", ", ".join(f"{n} {v}" for n, v in found.items())
    if not found:
        return Finding(topic=topic, state="missing", text=f"pip install '{name}{wanted}'")
    if len(found) > 1:
        return Finding(topic=topic, state="warn", text=f"{text} overwrite each other: keep one")
    return Finding(topic=topic, state="ok", text=text)


def _torch() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding(topic="torch device", state="missing", text=f"cannot import torch: {error}")
    if torch.cuda.is_available():
        text = f"auto takes cuda: {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
        return Finding(topic="torch device", state="ok", text=text)
    text = f"auto takes cpu: {devices.why_no_torch_cuda()}"
    return Finding(topic="torch device", state=_cpu_state(), text=text)


def _onnxruntime() -> Finding:
    """What `auto` really gives, by opening a model where one is at hand."""
    topic = "onnxruntime device"
    try:
        import onnxruntime
    except ImportError as error:
        return Finding(topic=topic, state="missing", text=f"cannot import onnxruntime: {error}")
    there = ", ".join(onnxruntime.get_available_providers())
    paths = [h.path for h in weights.listing() if h.path and h.path.suffix == ".onnx"]
    if not paths:
        return Finding(topic=topic, state="warn", text=f"{there}; untried, as no model is at hand")
    try:
        used = devices.session_device(devices.onnx_session(paths[0]))
    except BadWeights as error:
        return Finding(topic=topic, state="warn", text=str(error))
    if used == "cuda":
        return Finding(topic=topic, state="ok", text=f"auto takes cuda ({there})")
    text = f"auto takes cpu: {devices.why_no_onnx_cuda()} ({there})"
    return Finding(topic=topic, state=_cpu_state(), text=text)


def _cpu_state() -> State:
    """The CPU is worth a warning only where a GPU lies idle."""
    return "warn" if Path("/dev/nvidiactl").exists() else "ok"


def _weights_folder() -> Finding:
    given = os.environ.get("FACEKIT_WEIGHTS")
    if not given:
        text = f"not set; models are kept in {weights.cache_folder()}"
        return Finding(topic="FACEKIT_WEIGHTS", state="ok", text=text)
    if not Path(given).expanduser().is_dir():
        return Finding(topic="FACEKIT_WEIGHTS", state="warn", text=f"{given} is no folder")
    return Finding(topic="FACEKIT_WEIGHTS", state="ok", text=given)


def _model(listed: weights.Holding) -> Finding:
    topic = f"model {listed.name}"
    if listed.path is None:
        how = listed.known.note or f"facekit weights fetch {listed.name}"
        return Finding(topic=topic, state="missing", text=f"{how} ({listed.known.licence})")
    if not listed.ok:
        text = f"damaged: {listed.path} does not have the size or hash it should; fetch it again"
        return Finding(topic=topic, state="warn", text=text)
    return Finding(topic=topic, state="ok", text=str(listed.path))


def _cores() -> Finding:
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(topic="cpu", state="ok", text=f"{affine} of {os.cpu_count()} cores are ours")


def _disk(folder: Path) -> Finding:
    free_bytes = shutil.disk_usage(folder).free
    state: State = "ok" if free_bytes > _SCARCE_BYTES else "warn"
    return Finding(topic="disk", state=state, text=f"{free_bytes / 1e9:.1f} GB free in {folder}")
