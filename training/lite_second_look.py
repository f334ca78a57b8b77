"""Trains the second look of the embedded detector on what the first takes for faces.

Both looks are then weighed against each other on scenes of held-back photographs.
"""

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import swa_utils

from facekit import detectors, devices, lite_blocks, weights
from facekit.detectors.lite import MIN_SCORE, LiteDetector, logit
from facekit.detectors.lite_network import SecondLookNetwork
from facekit.errors import BadInput
from training import lite_candidates, lite_detector
from training.lite_candidates import Candidate
from training.lite_detector_file import first_look, write
from training.lite_detector_scores import scores
from training.lite_scenes import SceneMaker

log = logging.getLogger(__name__)

SCENES: Final = 8_000
"""Scenes on which the first look finds what the second learns from."""

WEIGHED: Final = 1000
"""Held-back scenes on which the two looks are weighed."""

STEPS: Final = 4_000
BATCH: Final = 128
FACES: Final = 0.4
"""Share of faces in a batch, before some are spoilt."""

_LARGER: Final = 0.4
_RATE: Final = 3e-3
_DECAY: Final = 0.05
_WARM: Final = 0.1
_REMEMBERED: Final = 0.998
_SURE: Final = 0.99
_POINT_BEND: Final = 0.05
_POINT_WEIGHT: Final = 0.5
_LOOSE: Final = 10.0
_JUDGED: Final = 1000
_LOWEST: Final = 0.05
_SAID_EVERY: Final = 500


def train(
    data: Path,
    out: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    count: int = SCENES,
    steps: int = STEPS,
) -> dict[str, float]:
    """Train the second look and write `lite_detector.safetensors` with both.

    Args:
        data: the data folder, see `training.lite_faces`.
        out: folder of the file; its first look is taken from here, else from the embedded file.
        seed: decides scenes and first weights.
        device: `auto`, `cpu` or `cuda`.
        count: scenes to look for candidates on.
        steps: how many batches to learn from.

    Returns:
        Scores on scenes made of the photographs that were held back; how much each look counts,
        three numbers, is fitted on other scenes of the same.

    Raises:
        BadInput: the data folder is not of that form, or a picture is damaged.
        MissingWeights: the teachers' models are not at hand and cannot be fetched.
    """
    devices.one_thread()
    taught, held_back = lite_detector.labelled(data, device)
    path = out / "lite_detector.safetensors"
    first = first_look(path if path.is_file() else weights.find("lite_detector").path)
    with tempfile.TemporaryDirectory() as scratch:
        alone = Path(scratch) / path.name
        write(alone, first)
        looking = LiteDetector(str(alone), device=device)
    candidates = found(looking, SceneMaker(taught, lite_detector.views()), seed, count)
    second = fitted(candidates, seed=seed, steps=steps, device=devices.torch_device(device))
    weigh = found(looking, SceneMaker(held_back, []), seed + 1, WEIGHED, judging=True)
    write(path, first, *weighed(second, weigh))
    rng = np.random.default_rng(seed)
    maker = SceneMaker(held_back, [])
    scenes = [maker(lite_detector.SIZES_WH[0], rng) for _ in range(_JUDGED)]
    detector = detectors.load(f"lite:{path}", device=device, min_score=_LOWEST)
    return scores(detector, scenes, MIN_SCORE)


def found(
    detector: LiteDetector, scenes: SceneMaker, seed: int, count: int, *, judging: bool = False
) -> list[Candidate]:
    """What the first look finds on scenes.

    Args:
        detector: whose first look it is.
        scenes: makes them.
        seed: decides them.
        count: how many.
        judging: scenes of one size, and only what is found; else some are twice as large, and
            faces that it misses and parts of faces come with them.
    """
    rng = np.random.default_rng(seed)
    sizes_wh = lite_detector.SIZES_WH[:1] if judging else lite_detector.SIZES_WH
    candidates: list[Candidate] = []
    for i in range(count):
        width, height = sizes_wh[i % len(sizes_wh)]
        larger = 1 if judging or rng.random() >= _LARGER else 2
        scene = scenes((larger * width, larger * height), rng)
        boxes = detector.first_look(scene.image_HWC)
        candidates += lite_candidates.found_on(scene, boxes)
        if not judging:
            candidates += lite_candidates.missed_on(scene, boxes, rng)
        if (i + 1) % _SAID_EVERY == 0:
            log.info("%d candidates on %d scenes", len(candidates), i + 1)
    return candidates


def fitted(
    candidates: Sequence[Candidate], *, seed: int, steps: int, device: torch.device
) -> SecondLookNetwork:
    """Fit the second look.

    Args:
        candidates: faces and others.
        seed: decides first weights, order and variations.
        steps: how many batches.
        device: where.

    Returns:
        The running mean of the network over the steps, without norm and points, on the CPU.

    Raises:
        BadInput: there are no faces, or nothing else.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = SecondLookNetwork(norm=True, points=True).to(device)
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _RATE, steps, pct_start=_WARM, final_div_factor=1e3
    )
    mean = swa_utils.AveragedModel(network, avg_fn=_remembering, use_buffers=True)
    sides = [[c for c in candidates if (c.points_xy is None) == none] for none in (False, True)]
    if not all(sides):
        raise BadInput(
            f"the first look gave {len(sides[0])} faces and {len(sides[1])} others to learn from; "
            "more scenes are needed"
        )
    faces, others = round(FACES * BATCH), BATCH - round(FACES * BATCH)
    began_s, said = time.monotonic(), 0.0
    for step in range(steps):
        batch = [
            lite_candidates.varied(side[int(i)], rng)
            for side, many in zip(sides, (faces, others), strict=True)
            for i in rng.integers(len(side), size=many)
        ]
        loss = _loss(network, batch, device)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        mean.update_parameters(network)
        said += float(loss.detach())
        if (step + 1) % _SAID_EVERY == 0:
            log.info(
                "step %d, %.0f s: %.4f", step + 1, time.monotonic() - began_s, said / _SAID_EVERY
            )
            said = 0.0
    return lite_blocks.folded(mean.module, SecondLookNetwork())


def _loss(
    network: SecondLookNetwork,
    batch: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32] | None]],
    device: torch.device,
) -> Tensor:
    """Cross-entropy of face and none, and how far the points of faces are off."""
    img_NHWC = torch.from_numpy(np.stack([image for image, _ in batch])).to(device)
    points = [points_xy for _, points_xy in batch if points_xy is not None]
    is_face = torch.tensor([points_xy is not None for _, points_xy in batch], device=device)
    want_F52 = torch.from_numpy(np.array(points, np.float32).reshape(-1, 5, 2)).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        logit_N, point_N52 = network.with_points(img_NHWC.permute(0, 3, 1, 2).float())
    aim_N = torch.where(is_face, _SURE, 1 - _SURE)
    apart = functional.smooth_l1_loss(
        point_N52[is_face], want_F52, beta=_POINT_BEND, reduction="sum"
    )
    told = functional.binary_cross_entropy_with_logits(logit_N, aim_N)
    return told + _POINT_WEIGHT * apart / max(1, len(points))


def _remembering(mean: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
    """The running mean after one more step; it forgets the first ones sooner."""
    kept = min(_REMEMBERED, (1 + int(steps)) / (10 + int(steps)))
    return mean + (now - mean) * (1 - kept)


def weighed(
    second: SecondLookNetwork, candidates: Sequence[Candidate]
) -> tuple[SecondLookNetwork, float]:
    """Weigh both looks so that the sum of their logits says best how likely a face is.

    Args:
        second: its last layer changes.
        candidates: found on scenes that taught neither.

    Returns:
        The second look, and what to multiply the logits of the first with.
    """
    from sklearn.linear_model import LogisticRegression

    crop_NHWC = np.stack([lite_candidates.seen(candidate) for candidate in candidates])
    with torch.inference_mode():
        second_N = second(torch.from_numpy(crop_NHWC).permute(0, 3, 1, 2).float())[:, 0].numpy()
    score_N = np.array([candidate.score for candidate in candidates])
    both_N2 = np.stack([logit(score_N), second_N], axis=1)
    is_face = [candidate.points_xy is not None for candidate in candidates]
    unit = LogisticRegression(C=_LOOSE).fit(both_N2, is_face)
    trust, gain = unit.coef_[0].tolist()
    with torch.no_grad():
        second.face.weight.mul_(gain)
        second.face.bias.mul_(gain).add_(float(unit.intercept_[0]))
    return second, float(trust)
