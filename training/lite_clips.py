"""The clips that teach the embedded AU engine: faces, OpenFace's labels, and who is in them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facekit import crops, measure
from facekit.action_units.lite_measures import measures
from facekit.errors import BadInput
from facekit.faces import VideoFaces
from facekit.measure import Backends
from facekit.options import Measurement
from facekit.point_model import PointModel
from facekit.video import Video


@dataclass(frozen=True, kw_only=True)
class Clip:
    """The largest person of one clip.

    Args:
        name: method and file name, such as `Deepfakes/035_036`.
        people: name shared by all clips of the same people.
        points_xy: (N, 68, 2) float32, frame pixels.
        occurrence: (N, A) int8, OpenFace's labels; -1 where it has none.
    """

    name: str
    people: str
    points_xy: npt.NDArray[np.float32]
    occurrence: npt.NDArray[np.int8]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A clip as the units see it.

    Args:
        people: as of the clip.
        measures: (N, M) float32, see `lite_measures`; NaN where hopeless.
        occurrence: (N, A) int8, OpenFace's labels; -1 where it has none.
    """

    people: str
    measures: npt.NDArray[np.float32]
    occurrence: npt.NDArray[np.int8]


def read(data: Path, measurement: Measurement, *, device: str = "auto") -> list[Clip]:
    """Measure the clips of `ffpp` and look up OpenFace's labels of the same faces.

    Args:
        data: the data folder.
        measurement: frames, detector and landmarker; what labels it names is of no account.
        device: `auto`, `cpu` or `cuda`.

    Returns:
        One a clip in order of name; frames that OpenFace is not sure of are left in, unknown.

    Raises:
        BadInput: there are no clips, or one has no CSV.
    """
    labels = data / "openface_reference" / "ffpp"
    paths = sorted((data / "ffpp").glob("*/*/c23/videos/*.mp4"))
    if not paths:
        raise BadInput(f"{data / 'ffpp'} holds no clips in the layout of FaceForensics++")
    asked = Measurement(
        frames=measurement.frames,
        detector=measurement.detector,
        landmarker=measurement.landmarker,
        au=f"openface-csv:{labels}",
        images=False,
    )
    models = Backends.load(asked, device=device)
    people = people_of([path.stem for path in paths])
    clips = []
    for path, who in zip(paths, people, strict=True):
        points_xy, occurrence = _largest(path, asked, models)
        name = f"{path.parts[-4]}/{path.stem}"
        clips.append(Clip(name=name, people=who, points_xy=points_xy, occurrence=occurrence))
    return clips


def people_of(stems: list[str]) -> list[str]:
    """Who is in each clip: the least id of all people that swaps tie together.

    Args:
        stems: FaceForensics++ names, `TARGET` or `TARGET_SOURCE`.

    >>> people_of(["035", "036_035", "036", "183"])
    ['035', '035', '035', '183']
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ids = sorted({person for stem in stems for person in stem.split("_")})
    place = {person: k for k, person in enumerate(ids)}
    ties = np.array([[place[p] for p in (stem.split("_") * 2)[:2]] for stem in stems])
    graph = coo_array((np.ones(len(ties)), ties.T), shape=(len(ids), len(ids)))
    _, component = connected_components(graph, directed=False)
    first = {int(c): ids[k] for k, c in reversed(list(enumerate(component)))}
    return [first[int(component[place[stem.split("_")[0]]])] for stem in stems]


def measured(model: PointModel, clips: list[Clip]) -> list[Measured]:
    """The clips in measures of a point model.

    Args:
        model: takes the pose away.
        clips: of `read`.
    """
    return [
        Measured(
            people=clip.people,
            measures=measures(model, clip.points_xy),
            occurrence=clip.occurrence,
        )
        for clip in clips
    ]


def _largest(
    path: Path, asked: Measurement, models: Backends
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Points in frame pixels and labels of the largest person of a clip."""
    blocks: list[VideoFaces] = []
    video = Video(key=path.stem, path=path, relative_path=path.name)
    found = measure.measure(video, asked, models, blocks.append)
    if not blocks:
        raise BadInput(f"no face was found in {path}")
    points, affine, labels, people = (
        np.concatenate([block.columns[name] for block in blocks])
        for name in ("landmarks_xy", "crop_affine", "au_occurrence", "track_id")
    )
    kept = np.isin(people, list(found.keep_tracks or ()))
    points_xy = crops.to_frame(points[kept].astype(np.float32), affine[kept].astype(np.float32))
    return points_xy, labels[kept].astype(np.int8)
