"""Trains the first look of the embedded detector on made-up scenes, and judges it on others."""

import logging
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.optim import swa_utils

from facekit import detectors, devices
from facekit.detectors.lite import MIN_SCORE
from facekit.detectors.lite_network import LiteDetectorNetwork, folded, places
from facekit.detectors.lite_places import STRIDES
from facekit.errors import BadInput
from training.lite_detector_file import write
from training.lite_detector_loss import losses, truth_of
from training.lite_detector_scores import scores
from training.lite_faces import annotated_faces, photographs
from training.lite_scenes import Photograph, SceneMaker
from training.lite_teacher import Teacher

log = logging.getLogger(__name__)

STEPS: Final = 8_000
BATCH: Final = 16
SIZES_WH: Final = ((320, 240), (320, 180), (256, 256), (320, 320), (180, 320), (224, 224))
"""The scenes of a batch have one of these sizes: common frames as the detector sees them."""

_RATE: Final = 2e-3
_WARM_STEPS: Final = 300
_DECAY: Final = 0.05
_REMEMBERED: Final = 0.998
_NO_FACE: Final = -4.0
_HELD_BACK_OF: Final = 8
_SAID_EVERY: Final = 200
_JUDGED: Final = 1000
_LOWEST: Final = 0.05


def train(
    data: Path, out: Path, *, seed: int = 0, device: str = "auto", steps: int = STEPS
) -> dict[str, float]:
    """Train the first look and write `lite_detector.safetensors`, as yet without a second.

    Args:
        data: the data folder, see `training.lite_faces`.
        out: folder of the file; must exist.
        seed: decides scenes and first weights.
        device: `auto`, `cpu` or `cuda`.
        steps: how many batches to learn from.

    Returns:
        Scores on scenes made of the photographs that were held back.

    Raises:
        BadInput: the data folder is not of that form, or a picture is damaged.
        MissingWeights: the teachers' models are not at hand and cannot be fetched.
    """
    used = devices.torch_device(device)
    taught, held_back = labelled(data, device)
    network = fresh(seed).to(used).to(memory_format=torch.channels_last)
    path = out / "lite_detector.safetensors"
    scenes = SceneMaker(taught, views())
    write(path, folded(fitted(network, scenes, seed=seed, steps=steps)))
    rng = np.random.default_rng(seed)
    maker = SceneMaker(held_back, [])
    judged = [maker(SIZES_WH[0], rng) for _ in range(_JUDGED)]
    detector = detectors.load(f"lite:{path}", device=device, min_score=_LOWEST)
    return scores(detector, judged, MIN_SCORE)


def labelled(data: Path, device: str = "auto") -> tuple[list[Photograph], list[Photograph]]:
    """Every photograph with what the teachers see on it: to learn from, and held back.

    Args:
        data: the data folder.
        device: of the teachers.
    """
    teacher = Teacher(device)
    sides: tuple[list[Photograph], list[Photograph]] = [], []
    for face in annotated_faces(data):
        image_HWC = _read(face.image)
        labels = teacher(image_HWC, face.points_xy)
        sides[face.held_back].append(Photograph(image_HWC, labels))
    for path in photographs(data):
        image_HWC = _read(path)
        held_back = zlib.crc32(path.stem.encode()) % _HELD_BACK_OF == 0
        sides[held_back].append(Photograph(image_HWC, teacher(image_HWC)))
    return sides


def views() -> list[npt.NDArray[np.uint8]]:
    """Pictures without a face: the two that scikit-learn brings along."""
    from sklearn.datasets import load_sample_images

    return [np.ascontiguousarray(image_HWC) for image_HWC in load_sample_images().images]


def fresh(seed: int) -> LiteDetectorNetwork:
    """A network of random weights that believes in no face.

    Args:
        seed: decides the weights.
    """
    torch.manual_seed(seed)
    network = LiteDetectorNetwork(norm=True)
    assert network.numbers.bias is not None
    with torch.no_grad():
        network.numbers.bias[0] = _NO_FACE
    return network


def fitted(
    network: LiteDetectorNetwork, scenes: SceneMaker, *, seed: int, steps: int
) -> LiteDetectorNetwork:
    """Fit a network to scenes that nobody sees twice.

    Args:
        network: with norm; learns.
        scenes: makes what it learns from.
        seed: decides the scenes.
        steps: how many batches.

    Returns:
        The running mean of the network over the steps, norms included.
    """
    rng = np.random.default_rng(seed)
    device = next(network.parameters()).device
    optimizer = torch.optim.AdamW(_groups(network), lr=_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _RATE, steps, pct_start=min(0.3, _WARM_STEPS / steps), final_div_factor=1e3
    )
    mean = swa_utils.AveragedModel(network, avg_fn=_remembering, use_buffers=True)
    network.train()
    began_s, said = time.monotonic(), []
    for step in range(steps):
        batch = [scenes(SIZES_WH[step % len(SIZES_WH)], rng) for _ in range(BATCH)]
        img_NHWC = torch.from_numpy(np.stack([scene.image_HWC for scene in batch])).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            found = network(img_NHWC.permute(0, 3, 1, 2).float())
        sizes_hw = _grid_sizes(batch[0].image_HWC.shape)
        lost = losses(found, *places(sizes_hw, device), truth_of(batch, device))
        optimizer.zero_grad()
        lost.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        mean.update_parameters(network)
        said.append([float(part.detach()) for part in lost])
        if (step + 1) % _SAID_EVERY == 0:
            parts = " ".join(f"{value:.4f}" for value in np.mean(said, 0))
            log.info(
                "step %d, %.0f s: score box points %s", step + 1, time.monotonic() - began_s, parts
            )
            said.clear()
    fitted_network = mean.module
    assert isinstance(fitted_network, LiteDetectorNetwork)
    return fitted_network.eval()


def _remembering(mean: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
    """The running mean after one more step; it forgets the first ones sooner."""
    kept = min(_REMEMBERED, (1 + int(steps)) / (10 + int(steps)))
    return mean + (now - mean) * (1 - kept)


def _grid_sizes(shape_hw: Sequence[int]) -> list[tuple[int, int]]:
    return [(-(-shape_hw[0] // s), -(-shape_hw[1] // s)) for s in STRIDES]


def _groups(network: LiteDetectorNetwork) -> list[dict[str, object]]:
    """Weights decay, biases and norms do not."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    kept = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": _DECAY}, {"params": kept, "weight_decay": 0.0}]


def _read(path: Path) -> npt.NDArray[np.uint8]:
    with path.open("rb") as stream:
        coded = np.frombuffer(stream.read(), np.uint8)
    bgr_HWC = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    if bgr_HWC is None:
        raise BadInput(f"{path} is no picture")
    return np.ascontiguousarray(bgr_HWC[..., ::-1], np.uint8)
