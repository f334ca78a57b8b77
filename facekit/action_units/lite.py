"""Action units by geometry alone: how the points of a face have moved, pose taken away."""

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facekit import devices, weights
from facekit.action_units import AULabels, lite_units
from facekit.action_units.lite_measures import measures
from facekit.faces import Face
from facekit.openface_files import AU_NAMES
from facekit.weights import ModelFile


class LiteActionUnits:
    """Occurrence by the embedded linear units, without a look at the picture.

    The points are turned to the front by a fit of the embedded 3-D point model; what is left of
    their places is compared with the median of the same person's faces in the video, and with the
    mean of all people. One small linear unit an action unit says from that whether it occurs. A
    person on fewer than `lite_units.MIN_FRAMES` faces is compared with the mean alone, by units of
    their own. The median needs the whole video, so the labels that stand are those of `finish`.

    The columns are OpenFace's 18, so that labels of both stand side by side and what is computed
    from one is computed from the other. An action unit that geometry cannot tell stays unknown,
    -1, and the model card says which; so does every one of a face without points, near profile, or
    with points that make no face. `score` is the decision value, 0 the threshold; it is no
    intensity, and that stays NaN.

    Args:
        model: the path of a file of `training.lite`; None takes the embedded one.
        device: any; a few products a face run on the CPU.

    Raises:
        BadInput: no such device.
        BadWeights: the file is damaged or holds something else.
        MissingWeights: there is no such file.

    Source: facekit's own (`training.lite_action_units`); its card is
    `facekit/models/lite_action_units.md`.

    >>> LiteActionUnits.mode, len(LiteActionUnits.au_names)
    ('geometric', 18)
    """

    au_names: tuple[str, ...] = AU_NAMES
    mode = "geometric"

    def __init__(self, model: str | None = None, *, device: str = "auto") -> None:
        self.models: tuple[ModelFile, ...] = (weights.find(model or "lite_action_units"),)
        self.device: str = devices.cpu_only("the lite AU engine", device)
        self._point_model, self._units = lite_units.read(self.models[0].path)
        self._measures: list[npt.NDArray[np.float32]] = []
        self._people = array("i")

    def __call__(self, faces: Sequence[Face]) -> AULabels:
        """Label these faces as if nothing else were known of these people."""
        found = measures(self._point_model, _points(faces))
        self._measures.append(found)
        self._people.extend(face.track_id for face in faces)
        return _labels(self._units.alone(found))

    def finish(self) -> AULabels | None:
        """Label every face since the last `finish`, each by the median of its person."""
        if not self._people:
            return None
        found, people = np.concatenate(self._measures), np.array(self._people)
        self._measures, self._people = [], array("i")
        score = np.empty((len(found), len(self.au_names)), np.float32)
        for person in np.unique(people):
            mine = people == person
            score[mine] = self._units.together(found[mine])
        return _labels(score)


def _points(faces: Sequence[Face]) -> npt.NDArray[np.float32]:
    unknown = np.full((68, 2), np.nan, np.float32)
    points = [unknown if face.points_xy is None else face.points_xy for face in faces]
    return np.array(points, np.float32).reshape(len(faces), 68, 2)


def _labels(score: npt.NDArray[np.float32]) -> AULabels:
    return AULabels(
        occurrence=np.where(np.isnan(score), -1, score > 0).astype(np.int8),
        intensity=np.full_like(score, np.nan),
        score=score,
    )
