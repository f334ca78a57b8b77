"""A trained model as ONNX: faces in, scores and tampering maps out, without any of facekit."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from facekit import devices
from facekit.errors import FacekitError, MissingDevice
from facekit.options import require
from facekit.shards import publishing
from training import checkpoint
from training.face_scores import FaceScores, provenance
from training.options import SIZES_PX

if TYPE_CHECKING:
    from onnx import ModelProto

log = logging.getLogger(__name__)

TOLERANCE: Final = 1e-4
"""Largest difference between ONNX Runtime and torch, of values in 0..1."""

OPSETS: Final = range(14, 21)
"""Those in which the attention of a transformer can be written and torch writes."""

INPUT: Final = "image_NCHW"
OUTPUTS: Final = ("score_N", "class_score_N", "token_map_NHW")
"""Fields of `training.face_scores.Scores`; the last only where the model has learnt tokens."""

_CHECKED_BATCHES: Final = (1, 2, 5)


def export_model(
    run: str | Path,
    path: str | Path,
    *,
    which: checkpoint.Which = "best",
    opset: int = 17,
    size: int | None = None,
) -> Path:
    """Write a trained model as ONNX, once it was seen to say what torch says.

    Its input is `image_NCHW`, any number of RGB faces in 0..1, cut as `predict` cuts them: a
    square of `margin` times the longer side of the box. Its outputs are `score_N`, equation 3 of
    AUNet's supplement in 0..1, `class_score_N` and `token_map_NHW`. Size, margin, step and the
    sha256 of the weights stand in the file's metadata.

    Args:
        run: folder of a training run, or of one of its snapshots.
        path: the file to write; its name ends in .onnx.
        which: `best` or `last` snapshot of the run.
        opset: version of ONNX's operators, 14 to 20.
        size: side of the input in pixels; None takes the one the model was trained with.

    Returns:
        `path`.

    Raises:
        BadInput: an option cannot be carried out, or no such run.
        BadWeights: the snapshot is damaged, or of another model.
        MissingDevice: onnx or onnxruntime is not installed.
        FacekitError: ONNX Runtime says something else than torch; nothing was written.
        DiskFull: the disk ran out.

    >>> export_model("runs/a", "model.pt")
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: model.pt: end the name of an ONNX file in .onnx
    """
    target = Path(path)
    require(target.suffix == ".onnx", f"{path}: end the name of an ONNX file in .onnx")
    require(opset in OPSETS, f"--opset must lie in {OPSETS[0]} to {OPSETS[-1]}, not {opset}")
    require(size is None or size in SIZES_PX, f"--size must be one of {SIZES_PX}, not {size}")
    _require_packages()
    loaded = checkpoint.load_model(run, which=which)
    size_px = size or loaded.config.model.size_px
    model = _Outputs(FaceScores(loaded.model, size_px))
    told = provenance(loaded, size_px)
    target.parent.mkdir(parents=True, exist_ok=True)
    with publishing(target) as draft:
        _write(model, draft, size_px, opset)
        _tell(draft, {name: str(value) for name, value in told.items()})
        difference = _largest_difference(model, draft, size_px)
        if not difference <= TOLERANCE:
            raise FacekitError(
                f"{target} is not written: ONNX Runtime and torch differ by {difference:.2g}, "
                f"more than {TOLERANCE:g}; try another --opset"
            )
    log.info("%s says what torch says to %.1e", target, difference)
    return target


class _Outputs(nn.Module):
    """The scores as a plain tuple, which is all that tracing knows."""

    def __init__(self, scores: FaceScores) -> None:
        super().__init__()
        self.scores = scores
        self.eval()  # the exporter puts all of it back into the mode that it found here

    def forward(self, image_NCHW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(value for value in self.scores(image_NCHW) if value is not None)


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise MissingDevice(
            f"export-model needs the package {error.name}, which is not installed; "
            "pip install onnx onnxruntime"
        ) from error


def _write(model: _Outputs, path: Path, size_px: int, opset: int) -> None:
    """Trace the model: the exporter of torch that needs onnx alone."""
    # Two, since a batch of one is traced as if there were never more.
    image_NCHW = _noise(2, size_px)
    with torch.inference_mode():
        names = OUTPUTS[: len(model(image_NCHW))]
    with devices.quiet(log), warnings.catch_warnings():
        # It warns that it is the older of two, and of each shape that it takes for fixed.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (image_NCHW,),
            str(path),
            dynamo=False,
            input_names=[INPUT],
            output_names=list(names),
            dynamic_axes={name: {0: "N"} for name in (INPUT, *names)},
            opset_version=opset,
        )


def _tell(path: Path, told: dict[str, str]) -> None:
    """Check the file and put the facts into its metadata."""
    import onnx

    model: ModelProto = onnx.load(path)
    onnx.checker.check_model(model)
    onnx.helper.set_model_props(model, told)
    onnx.save(model, path)


def _largest_difference(model: _Outputs, path: Path, size_px: int) -> float:
    session = devices.onnx_session(path, "cpu")
    return max(_difference(model, session, _noise(count, size_px)) for count in _CHECKED_BATCHES)


def _difference(model: _Outputs, session: Any, image_NCHW: torch.Tensor) -> float:
    with torch.inference_mode():
        expected = model(image_NCHW)
    said = session.run(None, {INPUT: image_NCHW.numpy()})
    return max(
        float((torch.from_numpy(one) - other).abs().max())
        for one, other in zip(said, expected, strict=True)
    )


def _noise(count: int, size_px: int) -> torch.Tensor:
    """Pictures with coarse and fine structure, the same every time."""
    random = torch.Generator().manual_seed(count)
    coarse = torch.rand(count, 3, 4, 4, generator=random)
    fine = torch.rand(count, 3, size_px, size_px, generator=random)
    smooth = nn.functional.interpolate(coarse, size=(size_px, size_px), mode="bilinear")
    return (0.7 * smooth + 0.3 * fine).clamp(0.0, 1.0)
