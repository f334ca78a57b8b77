"""OpenFace's AU model files as it writes them, of invented numbers; and its own inner stages."""

import struct
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from facekit.openface.model_files import FEATURES, MODES, POINTS
from facekit.openface_files import AU_NAMES

STATIC_IN_DYNAMIC = ("AU04", "AU06", "AU07", "AU10", "AU12", "AU14")
CLIPS = {"WolfgangLanger_Pexels": "dynamic", "single_face": "static"}


def matrix(values, kind=6):
    """A matrix in OpenCV's binary layout."""
    return struct.pack("<3i", *values.shape, kind) + values.astype("<f8").tobytes()


def predictor(kind, *, seed=0, labels=(0.0, 1.0), cutoff=0.5, size=FEATURES, scale=1.0):
    """The bytes of a linear model: 0, 1 regress and 4, 5 classify, the odd ones with medians."""
    rng = np.random.default_rng(seed)
    mean, weights = rng.uniform(0, 0.2, (1, size)), rng.normal(0, scale, (size, 1))
    head = struct.pack("<i", kind) + (struct.pack("<d", cutoff) if kind == 1 else b"")
    tail = struct.pack("<d", rng.normal()) + (struct.pack("<2d", *labels) if kind > 1 else b"")
    return head + matrix(mean) + matrix(weights) + tail


def text_matrix(values, kind=6):
    """A matrix in OpenFace's text layout."""
    rows = (" ".join(f"{value:.12g}" for value in row) for row in values)
    return "\n".join([*map(str, (*values.shape, kind)), *rows]) + "\n"


def mean_face():
    """(3, 68) mm: points on two rings, bulging towards the viewer."""
    angle = np.arange(POINTS) * 2.4
    radius = 70 * np.sqrt((np.arange(POINTS) + 1) / POINTS)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    return np.stack([x, y, (x**2 + y**2) / 140])


def points_file(seed=0):
    """A point model."""
    modes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3 * POINTS, MODES)))
    return "\n".join(
        [
            "# mean",
            text_matrix(mean_face().reshape(-1, 1)),
            "# modes",
            text_matrix(modes),
            "# variances",
            text_matrix(np.geomspace(800, 0.6, MODES)[None]),
        ]
    )


def write(folder: Path) -> Path:
    """A whole `AU_predictors` folder: both sets, with OpenFace's names and kinds."""
    from scipy.spatial import Delaunay

    triangles = Delaunay(mean_face()[:2].T).simplices
    (folder / "svm_combined").mkdir(parents=True)
    (folder / "svr_combined").mkdir()
    (folder / "pdm.txt").write_text(points_file())
    (folder / "tris.txt").write_text(text_matrix(triangles, 4))
    for name, dynamic in (("dynamic", True), ("static", False)):
        lines = []
        for number, au in enumerate(AU_NAMES):
            moving = dynamic and au not in STATIC_IN_DYNAMIC
            labels = (1.0, 0.0) if au in ("AU10", "AU12", "AU25") else (0.0, 1.0)
            files = {f"svm_combined/{au}_{moving:d}.dat": (5 if moving else 4, 0.02)}
            if au != "AU28":
                files[f"svr_combined/{au}_{moving:d}.dat"] = (1 if moving else 0, 0.05)
            for file, (kind, scale) in files.items():
                stored = predictor(kind, seed=number + kind, labels=labels, scale=scale)
                (folder / file).write_bytes(stored)
                lines.append(f"{file} {au}")
        (folder / f"AU_all_{name}.txt").write_text("\n".join(lines) + "\n")
        (folder / f"main_{name}_svms.txt").write_text(
            f"AUPredictor AU_all_{name}.txt\nPDM pdm.txt\nTriangulation tris.txt"
        )
    return folder


@dataclass(frozen=True)
class Reference:
    """What OpenFace did inside with a clip: arrays by name, and the clip's frames, RGB."""

    clip: str
    arrays: dict
    images: list

    @property
    def chosen(self):
        """The 24 frames of which the inner stages are there."""
        return [self.images[index] for index in self.arrays["frame"]]


def reference(clip: str, data: Path, clips: Path) -> Reference:
    """Read a reference and decode its clip."""
    path = data / "openface_reference" / f"stages_{clip}_{CLIPS[clip]}.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    with av.open(str(clips / f"{clip}.mp4")) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return Reference(clip, arrays, images)
