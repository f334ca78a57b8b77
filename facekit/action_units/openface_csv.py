"""Action units as OpenFace itself labelled them, read from its CSV of each video."""

from collections.abc import Sequence
from pathlib import Path

from facekit.action_units import AULabels
from facekit.errors import BadInput
from facekit.faces import Face
from facekit.openface_files import AU_NAMES, OpenFaceFiles
from facekit.weights import ModelFile


class OpenFaceCsv:
    """18 occurrences and 17 intensities from OpenFace's own output; nothing is computed.

    A face gets the labels of the CSV's row on its frame whose points overlap its box
    (`openface_files.MIN_IOU`). It stays unknown where there is none: a frame OpenFace failed on,
    was unsure of (`openface_files.MIN_CONFIDENCE`) or never reached, or another person.

    Args:
        model: folder of the CSVs, see `openface_files.locate`; None looks beside each video.
        device: any; nothing runs.

    Raises:
        BadInput: `model` is no folder.

    >>> engine = OpenFaceCsv()
    >>> engine.mode, len(engine.au_names), engine([]).occurrence.shape
    ('imported', 18, (0, 18))
    """

    models: tuple[ModelFile, ...] = ()
    device = "cpu"
    au_names: tuple[str, ...] = AU_NAMES
    mode = "imported"

    def __init__(self, model: str | None = None, *, device: str = "auto") -> None:
        del device
        self._files = OpenFaceFiles(model)

    def __call__(self, faces: Sequence[Face]) -> AULabels:
        """Look these faces up; `score` is NaN, since the CSV holds no decision values.

        Raises:
            BadInput: a video has no CSV, or one that is not OpenFace's or lacks AU columns.
        """
        labels = AULabels.unknown(len(faces), len(self.au_names))
        for span, rows, found in self._files.match(faces):
            if rows.occurrence is None or rows.intensity is None:
                raise BadInput(f"{rows.path} lacks AU columns: run OpenFace with -aus")
            known = found >= 0
            labels.occurrence[span][known] = rows.occurrence[found[known]]
            labels.intensity[span][known] = rows.intensity[found[known]]
        return labels

    def source_sha256(self, video: Path) -> str:
        """The sha256 of the CSV that was read for this video; empty if none was."""
        return self._files.sha256(video)

    def finish(self) -> None:
        """Nothing to add: OpenFace has seen the whole video already."""
