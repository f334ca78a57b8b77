"""The landmarker `lite` from scratch: its coarse and its fine network, and how well they do.

Both learn from faces that people have marked. Half-way the fine one, averaged over several crops,
also marks the photographs that nobody has, and goes on with those on which its looks agree.

Tensor names end in their axes: B crops of a batch, C colours, K points, H and W of a crop or map.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from facekit import crops, devices
from facekit.errors import BadInput
from facekit.faces import Face
from facekit.landmarkers import ibug68, lite
from facekit.landmarkers.lite_graph import COARSE_PX, FINE_PX
from facekit.landmarkers.lite_network import LandmarkNetworks, MapNetwork, folded
from training import lite_crops
from training.lite_crops import Framing, Portrait
from training.lite_faces import AnnotatedFace, annotated_faces, photographs

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]
Square = tuple[npt.NDArray[np.float64], float, float]
"""Centre (x and y), side, roll in radians."""

COARSE: Final = Framing(crop_px=COARSE_PX, shift=0.04, scale=0.1, roll_rad=0.25, wild=0.2)
FINE: Final = Framing(crop_px=FINE_PX, shift=0.03, scale=0.07, roll_rad=0.09)

COARSE_STEPS: Final = 3_000
FINE_STEPS: Final = 8_500

BOX_OVER_POINTS: Final = 1.26
"""Longer side of a detector's box over that of what the points span: RetinaFace's, SCRFD's and
YuNet's median on the faces to learn from is 1.24 to 1.27, nine in ten lie within 0.12."""

BOX_ABOVE: Final = 0.155
"""How far the middle of a box lies above that of the points, in sides of the points; likewise."""

PORTRAIT_SHARE: Final = 0.6
"""Side of the square around the face over the side of an `lfw` photograph."""

GUESSED_SHARE: Final = 0.25
"""Share of crops with guessed points, from half-way on."""

MOST_APART: Final = 0.02
"""Looks that agree: mean standard deviation of the points, in outer-eye distances."""

_LOOKS: Final = 8
_BATCH: Final = 32
_KEPT: Final = 4_096
_RATE: Final = 2e-3
_DECAY: Final = 0.02
_WARM_SHARE: Final = 0.03
_AVERAGING: Final = 0.998
_MAP_SHARE: Final = 0.02
_SPOT_CELLS: Final = 0.8
_GAP_SHARE: Final = 0.25
_GAPS: Final = ((37, 41), (38, 40), (43, 47), (44, 46), (61, 67), (62, 66), (63, 65))
"""Points across lids and lips: how far they are apart says what the face does."""


def train(
    data: Path,
    out: Path,
    *,
    seed: int,
    device: str,
    coarse_steps: int = COARSE_STEPS,
    fine_steps: int = FINE_STEPS,
) -> dict[str, Any]:
    """Train both networks and judge them on the faces that were held back.

    Args:
        data: the data folder, see `training.lite_faces`.
        out: gets `lite_landmarker.safetensors`.
        seed: of every random draw.
        device: `auto`, `cpu` or `cuda`.
        coarse_steps: batches that the coarse network sees.
        fine_steps: batches that the fine network sees.

    Returns:
        Scores by name; errors in per cent of the outer-eye distance.

    Raises:
        BadInput: the data folder lacks something.
    """
    from safetensors.torch import save_file

    devices.one_thread()
    torch.set_num_threads(1)
    where = devices.torch_device(device)
    faces = annotated_faces(data)
    unmarked = photographs(data)
    portraits = [_portrait(face) for face in faces if not face.held_back]
    torch.manual_seed(seed)
    networks = LandmarkNetworks(norm=True).to(where)
    coarse = _learn(networks.coarse, _crops(portraits, [], COARSE, box_square, seed), coarse_steps)
    guessed: list[Portrait] = []

    def guess(fine: MapNetwork) -> None:
        guessed.extend(_guesses(unmarked, coarse, fine, seed))
        log.info("the looks agree on %d of %d photographs", len(guessed), len(unmarked))

    fine = _learn(
        networks.fine,
        _crops(portraits, guessed, FINE, points_square, seed + 1),
        fine_steps,
        halfway=guess,
    )
    networks.coarse, networks.fine = coarse, fine
    state = folded(networks.cpu().eval()).state_dict()
    path = out / "lite_landmarker.safetensors"
    save_file({name: value.half().contiguous() for name, value in state.items()}, path)
    judged = [face for face in faces if face.held_back]
    return {
        "faces_learnt_from": len(portraits),
        "photographs_guessed": len(guessed),
        "faces_held_back": len(judged),
        "nme_held_back": round(_mean_error(path, judged, device), 3),
    }


def points_square(points_xy: Array) -> Square:
    """The square of the fine look."""
    return lite.square_of(points_xy.astype(np.float64))


def box_square(points_xy: Array) -> Square:
    """The square of the coarse look, around the box that a detector would give."""
    centre_xy, side_px = _box_of(points_xy)
    return centre_xy, lite.BOX_MARGIN * side_px, 0.0


def _box_of(points_xy: Array) -> tuple[npt.NDArray[np.float64], float]:
    low_xy, high_xy = points_xy.min(axis=0).astype(float), points_xy.max(axis=0).astype(float)
    side_px = float((high_xy - low_xy).max())
    return (low_xy + high_xy) / 2 - np.array([0.0, BOX_ABOVE * side_px]), BOX_OVER_POINTS * side_px


def _photograph(path: Path) -> npt.NDArray[np.uint8]:
    import cv2

    image = cv2.imread(str(path))
    if image is None:
        raise BadInput(f"{path} is no photograph that can be read")
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


def _portrait(face: AnnotatedFace) -> Portrait:
    return Portrait(_photograph(face.image), face.points_xy)


def _crops(
    marked: Sequence[Portrait],
    guessed: Sequence[Portrait],
    framing: Framing,
    square_of: Callable[[Array], Square],
    seed: int,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches: half of each fresh, half the mirror images of crops drawn before.

    `guessed` is looked at anew for each crop and may fill up meanwhile.
    """
    rng = np.random.default_rng(seed)
    kept: list[tuple[npt.NDArray[np.uint8], Array]] = []
    queue: list[int] = []
    while True:
        batch = []
        for _ in range(_BATCH // 2):
            if guessed and rng.random() < GUESSED_SHARE:
                portrait = guessed[int(rng.integers(len(guessed)))]
            else:
                queue = queue or rng.permutation(len(marked)).tolist()
                portrait = marked[queue.pop()]
            affine = lite_crops.strayed(*square_of(portrait.points_xy), framing, rng)
            batch.append(lite_crops.sample(portrait, affine, framing.crop_px, marked, rng))
        kept += batch
        if len(kept) > _KEPT:
            for one in batch:
                kept[int(rng.integers(_KEPT))] = one
            del kept[_KEPT:]
        for i in rng.integers(len(kept), size=_BATCH // 2):
            image, points_xy = kept[i]
            batch.append((image[:, ::-1], ibug68.mirrored(points_xy, framing.crop_px)))
        points = np.stack([points_xy for _, points_xy in batch]).astype(np.float32)
        yield _tensor([image for image, _ in batch]), torch.from_numpy(points)


def _tensor(images_HWC: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
    img_BCHW = torch.from_numpy(np.stack(images_HWC)).permute(0, 3, 1, 2)
    return img_BCHW.float().div_(255.0)  # channels last in memory


def _learn(
    network: MapNetwork,
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    steps: int,
    *,
    halfway: Callable[[MapNetwork], None] = lambda averaged: None,
) -> MapNetwork:
    """AdamW on a cosine; gives the moving average of the network, to which `halfway` is shown."""
    network = network.to(memory_format=torch.channels_last).train()
    where = next(network.parameters()).device
    moving = get_ema_multi_avg_fn(_AVERAGING)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(network, multi_avg_fn=moving, use_buffers=True)
    learnt = averaged.module.eval()
    assert isinstance(learnt, MapNetwork)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    warm = max(1, round(_WARM_SHARE * steps))

    def rate(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, steps - warm))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    total = torch.zeros(())
    for step in range(steps):
        img_BCHW, points_BKxy = (tensor.to(where) for tensor in next(batches))
        with torch.autocast(where.type, torch.bfloat16):
            loss = _loss(network, img_BCHW, points_BKxy)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(network)
        total += loss.detach().cpu()
        if step % 200 == 199:
            log.info("step %d of %d: loss %.4f", step + 1, steps, float(total) / 200)
            total.zero_()
        if step == steps // 2:
            halfway(learnt)
    return learnt


def _guesses(
    photographed: Sequence[Path], coarse: MapNetwork, fine: MapNetwork, seed: int
) -> list[Portrait]:
    """Photographs with the points on which several looks of the fine network agree."""
    rng = np.random.default_rng(seed)
    where = next(fine.parameters()).device
    left, right = ibug68.OUTER_CORNERS
    found = []
    for path in photographed:
        image = _photograph(path)
        centre_xy = (np.array(image.shape[1::-1]) - 1) / 2
        side_px = PORTRAIT_SHARE * min(image.shape[:2])
        points_xy = _seen(coarse, where, image, [((centre_xy, side_px, 0.0), COARSE)], rng)[0]
        points_xy = _seen(fine, where, image, [(points_square(points_xy), FINE)], rng)[0]
        square = points_square(points_xy)
        looks_xy = _seen(fine, where, image, [(square, FINE)] * _LOOKS, rng)
        points_xy = np.median(looks_xy, axis=0).astype(np.float32)
        eyes_px = float(np.hypot(*(points_xy[right] - points_xy[left])))
        apart_px = float(np.linalg.norm(looks_xy.std(axis=0), axis=-1).mean())
        if apart_px < MOST_APART * eyes_px:
            found.append(Portrait(image, points_xy))
    return found


def _seen(
    network: MapNetwork,
    where: torch.device,
    image_HWC: npt.NDArray[np.uint8],
    squares: Sequence[tuple[Square, Framing]],
    rng: np.random.Generator,
) -> Array:
    """What a network sees in strayed squares, every other one mirrored: (L, 68, 2) image pixels."""
    crop_px = squares[0][1].crop_px
    affines = [lite_crops.strayed(*square, framing, rng) for square, framing in squares]
    cut = [crops.cut(image_HWC, affine, crop_px) for affine in affines]
    turned = [image[:, ::-1] if i % 2 else image for i, image in enumerate(cut)]
    with torch.inference_mode():
        points_LKxy = network(_tensor(turned).to(where)).float().cpu().numpy()
    points_LKxy[1::2] = ibug68.mirrored(points_LKxy[1::2], crop_px)
    return crops.to_frame(points_LKxy, np.stack(affines))


def _loss(network: MapNetwork, img_BCHW: torch.Tensor, points_BKxy: torch.Tensor) -> torch.Tensor:
    """Distances of points, of those across lids and lips from each other, and sharp maps."""
    crop_px = img_BCHW.shape[-1]
    within_BKxy = points_BKxy.clamp(0.0, crop_px - 1.0)
    map_BKHW = network.maps(img_BCHW).float()
    error_BKxy = network.places(map_BKHW, crop_px) - within_BKxy
    upper, lower = zip(*_GAPS, strict=True)
    gap_BGxy = error_BKxy[:, upper] - error_BKxy[:, lower]
    loss = _off(error_BKxy, points_BKxy) + _GAP_SHARE * _off(gap_BGxy, points_BKxy)
    return loss + _MAP_SHARE * _unlike_spots(map_BKHW, within_BKxy, crop_px)


def _off(error_BKxy: torch.Tensor, points_BKxy: torch.Tensor) -> torch.Tensor:
    """Mean length of errors in outer-eye distances: what a landmarker is judged by."""
    left, right = ibug68.OUTER_CORNERS
    eyes_B = (points_BKxy[:, left] - points_BKxy[:, right]).norm(dim=-1).clamp_min(1.0)
    length_BK = (error_BKxy.float().square().sum(-1) + 1e-4).sqrt()
    mean: torch.Tensor = (length_BK.mean(1) / eyes_B).mean()
    return mean


def _unlike_spots(map_BKHW: torch.Tensor, points_BKxy: torch.Tensor, crop_px: int) -> torch.Tensor:
    """Cross-entropy of the maps against a Gaussian spot around each point."""
    cells = map_BKHW.shape[-1]
    at_BKxy = (points_BKxy + 0.5) * (cells / crop_px) - 0.5
    cell = torch.arange(cells, dtype=torch.float32, device=map_BKHW.device)
    spot_BKxyW = torch.exp(-((cell - at_BKxy[..., None]) ** 2) / (2 * _SPOT_CELLS**2))
    spot_BKxyW = spot_BKxyW / spot_BKxyW.sum(-1, keepdim=True)
    log_BKHW = map_BKHW.flatten(2).log_softmax(-1).view(map_BKHW.shape)
    rows_BKH = (log_BKHW * spot_BKxyW[:, :, 0, None, :]).sum(-1)
    return -(rows_BKH * spot_BKxyW[:, :, 1]).sum(-1).mean()


def _mean_error(path: Path, faces: Sequence[AnnotatedFace], device: str) -> float:
    """NME in the boxes that detectors give as a rule."""
    landmarker = lite.LiteLandmarker(str(path), device=device)
    left, right = ibug68.OUTER_CORNERS
    errors = []
    for face in faces:
        centre_xy, side_px = _box_of(face.points_xy)
        box_xyxy = np.concatenate([centre_xy - side_px / 2, centre_xy + side_px / 2])
        (found_xy,) = landmarker(
            [
                Face(
                    video=face.image,
                    frame_index=0,
                    pts_s=0.0,
                    track_id=0,
                    image_HWC=_photograph(face.image),
                    box_xyxy=box_xyxy.astype(np.float32),
                    keypoints_xy=np.full((5, 2), np.nan, np.float32),
                    score=1.0,
                )
            ]
        )
        eyes_px = np.hypot(*(face.points_xy[right] - face.points_xy[left]))
        off_px = np.linalg.norm(found_xy - face.points_xy, axis=-1).mean()
        errors.append(100.0 * float(off_px / eyes_px))
    return float(np.mean(errors))
