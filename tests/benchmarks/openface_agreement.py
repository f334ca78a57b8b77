"""Agreement with OpenFace's own labels, end to end, from our own boxes and points.

    FACEKIT_WEIGHTS=... FACEKIT_TEST_DATA=... python tests/benchmarks/openface_agreement.py \\
        [--landmarker lite] [--detect-every 5] [--stride 1] [--out FILE]

Every frame of every clip of FaceForensics++ is measured. Corrections of points are fitted on the
people of four fifths of the clips and judged on the rest, five times over, so that what labels a
clip has not seen its people; the table that facekit ships is fitted on all. Rows of the first table
say what each step is worth: points as the landmarker gives them; made those of a face of OpenFace's
model; moved by a constant for each point; and by the whole correction. The second table has the
action units one by one, for what facekit ships for the landmarker.

Frames count on which OpenFace is sure and the largest person has a box. Kappa is that of all clips
in one table; its mean is over the action units that OpenFace sees on at least 100 frames.
"""

import argparse
import dataclasses
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from facekit import detectors, following, landmarkers, openface_files, tracks, video, weights
from facekit.action_units.openface import OpenFaceActionUnits
from facekit.detectors import Detector
from facekit.faces import Face
from facekit.landmarkers import Landmarker
from facekit.openface import corrections
from facekit.openface.model_files import read_set
from facekit.openface.point_distribution import PointModel
from facekit.openface_files import AU_NAMES, OpenFaceRows
from training import openface_points
from training.lite_agreement import Agreement
from training.lite_clips import people_of

FOLDS = 5
FITTED_FRAMES = 16
LEAST_FRAMES = 100
BLOCK_FRAMES = 64
STEPS = ("points as found", "+ on the point model", "+ constant offsets", "+ linear correction")


@dataclass(frozen=True)
class Followed:
    """The largest person of a clip, by frame, and OpenFace's rows that show them."""

    path: Path
    people: str
    frames: int
    faces: dict[int, Face]
    row: dict[int, int]
    rows: OpenFaceRows


def follow(
    path: Path, who: str, data: Path, detector: Detector, landmarker: Landmarker, every: int
) -> Followed:
    """Find the largest person; faces are kept without their frames."""
    rows = openface_files.read(openface_files.locate(path, data / "openface_reference" / "ffpp"))
    tracker = tracks.Tracker()
    follower = following.Follower(detector, landmarker, tracker, every=every)
    reading = video.sample(path, "all")
    everyone = [without_frame(face) for frame in reading for face in follower.look(path, frame)]
    largest = [face for face in everyone if face.track_id == tracker.largest()]
    return Followed(
        path,
        who,
        reading.frames_decoded,
        {face.frame_index: face for face in largest},
        {face.frame_index: row for face in largest if (row := rows.row_of(face)) >= 0},
        rows,
    )


def without_frame(face: Face) -> Face:
    return with_frame(face, np.empty((0, 0, 3), np.uint8))


def with_frame(face: Face, image_HWC: npt.NDArray[np.uint8]) -> Face:
    return dataclasses.replace(face, image_HWC=image_HWC)


def fitted_on(clip: Followed) -> openface_points.Clip:
    """What the correction is fitted on, as many frames as the shipped table's."""
    known = [n for n in clip.row if np.isfinite(np.asarray(clip.faces[n].points_xy)).all()]
    places = (np.arange(FITTED_FRAMES) + 0.5) * len(known) / FITTED_FRAMES
    some = [known[int(place)] for place in places] if known else []
    found = [np.asarray(clip.faces[n].points_xy) for n in some]
    return openface_points.Clip(
        people=clip.people,
        found_xy=np.array(found, np.float32).reshape(-1, 68, 2),
        wanted_xy=clip.rows.points_xy[[clip.row[n] for n in some]],
    )


def write_tables(
    clips: list[Followed], held_back: int, model: PointModel, key: str, folder: Path
) -> list[Path]:
    """One table a step, for the clips of one fold of people."""
    of_fold = zip(clips, folds(clips), strict=True)
    learnt = [fitted_on(clip) for clip, part in of_fold if part != held_back]
    linear = openface_points.fit(learnt, model)
    constant = np.zeros_like(linear)
    constant[0] = openface_points.fit(learnt, model, ridge=1e9)[0]
    paths = []
    for step, table in enumerate(
        ({}, {key: np.zeros_like(linear)}, {key: constant}, {key: linear})
    ):
        paths.append(folder / f"{held_back}-{step}.safetensors")
        corrections.write(paths[-1], table)
    return paths


def folds(clips: list[Followed]) -> list[int]:
    """The fold of each clip; a person is in one alone."""
    people = sorted({clip.people for clip in clips})
    order = np.random.default_rng(0).permutation(len(people))
    fold = {who: int(place) % FOLDS for who, place in zip(people, order, strict=True)}
    return [fold[clip.people] for clip in clips]


def labelled(
    clip: Followed, engines: list[OpenFaceActionUnits]
) -> list[tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]]:
    """Occurrence and intensity of the person's faces by each engine, the frames decoded once."""

    def flush() -> None:
        for engine in engines:
            engine(block)

    block: list[Face] = []
    for frame in video.sample(clip.path, "all"):
        if frame.frame_index in clip.faces:
            block.append(with_frame(clip.faces[frame.frame_index], frame.image_HWC))
        if len(block) == BLOCK_FRAMES:
            flush()
            block = []
    flush()
    ended = [engine.finish(clip.frames) for engine in engines]
    return [(labels.occurrence, labels.intensity) for labels in ended if labels is not None]


def agreement(truth: npt.NDArray[np.int8], found: npt.NDArray[np.int8]) -> dict[str, Agreement]:
    return {name: Agreement.of(truth[:, k], found[:, k]) for k, name in enumerate(AU_NAMES)}


def same(truth: npt.NDArray[np.int8], found: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    return np.asarray((truth == found).mean(axis=0))


def counted(truth: npt.NDArray[np.int8]) -> list[str]:
    seen = (truth == 1).sum(axis=0)
    return [name for name, frames in zip(AU_NAMES, seen, strict=True) if frames >= LEAST_FRAMES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--detector", default="lite")
    parser.add_argument("--landmarker", default="lite")
    parser.add_argument("--detect-every", type=int, default=5)
    parser.add_argument("--stride", type=int, default=1, help="take every n-th clip")
    parser.add_argument("--out", type=Path, help="file for the tables, as Markdown")
    asked = parser.parse_args()
    data = Path(os.environ["FACEKIT_TEST_DATA"])
    paths = sorted((data / "ffpp").glob("*/*/c23/videos/*.mp4"))[:: asked.stride]
    detector = detectors.load(asked.detector, device="cpu")
    landmarker = landmarkers.load(asked.landmarker, device="cpu")
    (model_file,) = landmarker.models
    clips = [
        follow(path, who, data, detector, landmarker, asked.detect_every)
        for path, who in zip(paths, people_of([path.stem for path in paths]), strict=True)
    ]
    model = PointModel.of(
        read_set(weights.find("openface_au").path, "dynamic").points, torch.device("cpu")
    )
    engines = [OpenFaceActionUnits(device="cpu") for _ in STEPS]
    for engine in engines:
        engine.consecutive = True
    truths, truths_r = [], []
    found: list[list[npt.NDArray[np.int8]]] = [[] for _ in STEPS]
    found_r: list[list[npt.NDArray[np.float32]]] = [[] for _ in STEPS]
    with tempfile.TemporaryDirectory() as scratch:
        tables = [
            write_tables(clips, part, model, model_file.sha256, Path(scratch))
            for part in range(FOLDS)
        ]
        for clip, part in zip(clips, folds(clips), strict=True):
            for engine, table in zip(engines, tables[part], strict=True):
                engine.points_come_from([model_file], table=table)
            frames = sorted(clip.faces)
            sure = np.array([n in clip.row for n in frames])
            rows = [clip.row[n] for n in frames if n in clip.row]
            assert clip.rows.occurrence is not None
            assert clip.rows.intensity is not None
            truths.append(clip.rows.occurrence[rows])
            truths_r.append(clip.rows.intensity[rows])
            for step, (occurrence, intensity) in enumerate(labelled(clip, engines)):
                found[step].append(occurrence[sure])
                found_r[step].append(intensity[sure])
            print(clip.path.parts[-4], clip.path.stem, len(rows), flush=True)
    shipped = corrections.read(corrections.TABLE).get(model_file.sha256)
    of_units = STEPS[-1] if shipped is None or shipped.any() else STEPS[1]
    text = told(
        of_units,
        np.concatenate(truths),
        np.concatenate(truths_r),
        [np.concatenate(one) for one in found],
        [np.concatenate(one) for one in found_r],
    )
    print(text)
    if asked.out is not None:
        asked.out.write_text(text)


def told(
    of_units: str,
    truth: npt.NDArray[np.int8],
    truth_r: npt.NDArray[np.float32],
    found: list[npt.NDArray[np.int8]],
    found_r: list[npt.NDArray[np.float32]],
) -> str:
    """Both tables, the second one of the step of that name."""
    names = counted(truth)
    lines = [
        "| points | agreement | mean kappa | mean F1 | intensity error |",
        "|---|---|---|---|---|",
    ]
    for name, one, one_r in zip(STEPS, found, found_r, strict=True):
        by_name = agreement(truth, one)
        kappa = np.mean([by_name[n].kappa for n in names])
        f1 = np.mean([by_name[n].f1 for n in names])
        error = np.nanmean(np.abs(one_r - truth_r))
        lines.append(
            f"| {name} | {same(truth, one).mean():.2%} | {kappa:.3f} | {f1:.3f} | {error:.3f} |"
        )
    lines += ["", f"{len(truth)} frames, {len(names)} action units with {LEAST_FRAMES} or more", ""]
    lines += ["| AU | OpenFace sees it on | agreement | kappa | F1 | intensity error |"]
    lines += ["|---|---|---|---|---|---|"]
    step = STEPS.index(of_units)
    by_name, equal_A = agreement(truth, found[step]), same(truth, found[step])
    for k, name in enumerate(AU_NAMES):
        one = by_name[name]
        error = np.abs(found_r[step][:, k] - truth_r[:, k]).mean()
        rest = f"{one.kappa:.2f} | {one.f1:.2f}" if name in names else "too few | too few"
        shown = "none" if name == "AU28" else f"{error:.2f}"
        lines.append(
            f"| {name} | {(truth[:, k] == 1).sum()} | {equal_A[k]:.1%} | {rest} | {shown} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
