"""68 points as OpenFace itself placed them, read from its CSV of each video."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facekit.faces import Face
from facekit.openface_files import OpenFaceFiles
from facekit.weights import ModelFile


class OpenFaceCsvLandmarker:
    """The points of OpenFace's own output, to the 0.1 px that it writes; nothing is computed.

    A face gets the points of the CSV's row on its frame that overlap its box
    (`openface_files.MIN_IOU`), and NaN where there is none: a frame OpenFace failed on, was unsure
    of (`openface_files.MIN_CONFIDENCE`) or never reached, or another person.

    Args:
        model: folder of the CSVs, see `openface_files.locate`; None looks beside each video.
        device: any; nothing runs.

    Raises:
        BadInput: `model` is no folder.

    >>> OpenFaceCsvLandmarker()([]).shape
    (0, 68, 2)
    """

    models: tuple[ModelFile, ...] = ()
    device = "cpu"

    def __init__(self, model: str | None = None, *, device: str = "auto") -> None:
        del device
        self._files = OpenFaceFiles(model)

    def __call__(self, faces: Sequence[Face]) -> npt.NDArray[np.float32]:
        """(N, 68, 2) float32, frame pixels; NaN where there is no answer.

        Raises:
            BadInput: a video has no CSV, or one that is not OpenFace's or lacks 2-D points.
        """
        points_N68xy = np.full((len(faces), 68, 2), np.nan, np.float32)
        for span, rows, found in self._files.match(faces):
            known = found >= 0
            points_N68xy[span][known] = rows.points_xy[found[known]]
        return points_N68xy

    def source_sha256(self, video: Path) -> str:
        """The sha256 of the CSV that was read for this video; empty if none was."""
        return self._files.sha256(video)
