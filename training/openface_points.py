"""The table of `facekit.openface.corrections`, fitted on clips that OpenFace has gone through.

    python -m training.openface_points DATA -o FILE [--frames 16] [LANDMARKER ...]

DATA holds the clips of `ffpp` with OpenFace's CSVs in `openface_reference/ffpp`. FILE is what
`facekit/openface/corrections.safetensors` ships; the same data give the same file. How well it does
is for `tests/benchmarks/openface_agreement.py` to say.
"""

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import numpy as np
import numpy.typing as npt
import torch

from facekit import detectors, following, landmarkers, openface_files, tracks, video, weights
from facekit.errors import BadInput, FacekitError
from facekit.faces import Face
from facekit.landmarkers import Landmarker
from facekit.openface import corrections, point_distribution
from facekit.openface.model_files import read_set
from facekit.openface.point_distribution import PointModel
from training.lite_clips import people_of

log = logging.getLogger(__name__)

LANDMARKERS: Final = ("lite", "mobilefacenet", "pfld")
"""Those whose model files are at hand; `fan` has no table, and its points are taken as they are."""

RIDGE: Final = 1.0
"""What draws the weights of features to 0, a frame. Of 0.1, 0.3, 1, 3 and 10 the best for the
labels of people held back."""

ONLY_PROJECTED: Final = ("lite",)
"""Those whose points are best taken as they are, and put on OpenFace's point model: on people held
back a correction took labels of `lite` from 91.6 % agreement to 91.4 %."""

_AT_ONCE: Final = 256


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Points of the largest person of one clip, on the frames that OpenFace is sure of.

    Args:
        people: name shared by all clips of the same people.
        found_xy: (N, 68, 2) float32, frame pixels, a landmarker's.
        wanted_xy: likewise, OpenFace's.
    """

    people: str
    found_xy: npt.NDArray[np.float32]
    wanted_xy: npt.NDArray[np.float32]


def train(data: Path, out: Path, *, frames: str = "16", names: Sequence[str] = LANDMARKERS) -> None:
    """Fit the corrections of landmarkers and write the table.

    Args:
        data: the data folder.
        out: the file.
        frames: of each clip; they differ little within one.
        names: landmarkers, `NAME[:MODEL]`.

    Raises:
        BadInput: the data folder lacks something, or a landmarker has no model file.
        MissingWeights: OpenFace's files or those of a landmarker are not at hand.
    """
    points = read_set(weights.find("openface_au").path, "dynamic").points
    model = PointModel.of(points, torch.device("cpu"))
    made = {name: landmarkers.load(name) for name in names}
    keys = {name: _only_file(name, landmarker) for name, landmarker in made.items()}
    clips = read(data, frames, {n: made[n] for n in names if n not in ONLY_PROJECTED})
    table = {keys[name]: corrections.NOTHING for name in names}
    table |= {keys[name]: fit(some, model) for name, some in clips.items()}
    corrections.write(out, table)


def fit(clips: Sequence[Clip], model: PointModel, *, ridge: float = RIDGE) -> corrections.Weights:
    """The weights that take a landmarker's points nearest to OpenFace's.

    Args:
        clips: every frame counts alike.
        model: OpenFace's point model.
        ridge: see `RIDGE`.

    Returns:
        (F, 136) float16, see `corrections.Correction`.
    """
    gram = torch.zeros(corrections.FEATURES, corrections.FEATURES, dtype=torch.float64)
    product = torch.zeros(corrections.FEATURES, 136, dtype=torch.float64)
    faces = 0
    for found, wanted in _batches(clips):
        fitted = point_distribution.fit(found, model)
        features_NF = corrections.features(found, fitted, model)
        offset_NQ = corrections.to_millimetres(wanted - found, fitted).flatten(1)
        gram += features_NF.T @ features_NF
        product += features_NF.T @ offset_NQ
        faces += len(found)
    drawn = torch.full((corrections.FEATURES,), ridge * max(faces, 1), dtype=torch.float64)
    drawn[0] = 1e-9  # the constant offset is not drawn to 0
    solved: npt.NDArray[np.float16] = (
        torch.linalg.solve(gram + drawn.diag(), product).numpy().astype(np.float16)
    )
    return solved


def read(data: Path, frames: str, models: dict[str, Landmarker]) -> dict[str, list[Clip]]:
    """Measure the clips of `ffpp` with several landmarkers.

    Args:
        data: the data folder.
        frames: of each clip.
        models: name -> landmarker.

    Returns:
        Name -> its points and OpenFace's, one a clip in order of name.

    Raises:
        BadInput: there are no clips, or one has no CSV.
    """
    paths = sorted((data / "ffpp").glob("*/*/c23/videos/*.mp4"))
    if not paths:
        raise BadInput(f"{data / 'ffpp'} holds no clips in the layout of FaceForensics++")
    detector = detectors.load("lite")
    clips: dict[str, list[Clip]] = {name: [] for name in models}
    people = people_of([path.stem for path in paths])
    for path, who in zip(paths, people, strict=True):
        log.info("measuring %s", path.name)
        rows = openface_files.read(
            openface_files.locate(path, data / "openface_reference" / "ffpp")
        )
        faces = [face for face in _largest(path, frames, detector) if rows.row_of(face) >= 0]
        wanted_xy = rows.points_xy[[rows.row_of(face) for face in faces]]
        for name, landmarker in models.items():
            found_xy = landmarker(faces)
            seen = np.isfinite(found_xy).all(axis=(1, 2))
            clips[name].append(Clip(people=who, found_xy=found_xy[seen], wanted_xy=wanted_xy[seen]))
    return clips


def _largest(path: Path, frames: str, detector: detectors.Detector) -> list[Face]:
    tracker = tracks.Tracker()
    faces = [
        face
        for frame in video.sample(path, frames)
        for face in following.detected(path, [frame], detector, tracker)
    ]
    return [face for face in faces if face.track_id == tracker.largest()]


def _batches(clips: Sequence[Clip]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for clip in clips:
        for start in range(0, len(clip.found_xy), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found, wanted = clip.found_xy[part], clip.wanted_xy[part]
            yield torch.from_numpy(found).double(), torch.from_numpy(wanted).double()


def _only_file(name: str, landmarker: Landmarker) -> str:
    if len(landmarker.models) != 1:
        raise BadInput(f"landmarker {name} has {len(landmarker.models)} model files, not one")
    return landmarker.models[0].sha256


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, metavar="[LANDMARKER]...")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="File to write.")
@click.option("--frames", default="16", show_default=True, help="Frames of each clip.")
def main(data: Path, names: tuple[str, ...], out: Path, frames: str) -> None:
    """Fit the corrections of landmarkers to OpenFace's points on the clips of DATA."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        train(data, out, frames=frames, names=names or LANDMARKERS)
    except FacekitError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
