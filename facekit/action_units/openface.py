"""OpenFace's own action units from our own boxes and points, without OpenFace."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from facekit import devices, weights
from facekit.action_units import AULabels
from facekit.faces import Face
from facekit.openface import corrections, medians, timeline
from facekit.openface.description import Describer
from facekit.openface.model_files import FEATURES, SetName, read_set
from facekit.openface.people import People
from facekit.openface.person import Person
from facekit.openface.predictors import INTENSITY_NAMES, LinearModels, intensities
from facekit.openface_files import AU_NAMES
from facekit.weights import ModelFile

log = logging.getLogger(__name__)

BATCH: Final = 32
"""Faces described at once."""

_HAS_INTENSITY: Final = [AU_NAMES.index(name) for name in INTENSITY_NAMES]


class OpenFaceActionUnits:
    """18 occurrences and 17 intensities, with OpenFace 2's own models and by its own rules.

    Where every frame of a video is looked at (`consecutive`), the dynamic models are used: each
    person's median description is taken off, intensities are moved by their cutoff, and both
    kinds of label are smoothed, which is settled when the video ends; until then all is unknown.
    Where only some frames are looked at, the static models are, and each face stands by itself.

    Points of a landmarker that facekit has a table for are moved to where OpenFace's own would be
    (`facekit.openface.corrections`); those of others, such as OpenFace's own, are taken as they
    are.

    The score is the classifier's decision value before smoothing, its sign turned so that above 0
    always speaks for the action unit. A face without points, or with points that no face can
    have, stays unknown; for the frames about it, it and frames on which the person has no face
    count as failed.

    Args:
        model: None; `static` for the static models on consecutive frames too, smoothed as
            OpenFace's `-au_static` does; or the path of an `AU_predictors` folder.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        BadWeights: a file is not OpenFace's.
        MissingWeights: the files are not at hand.

    Source: Baltrusaitis et al., Cross-dataset learning and person-specific normalisation for
    automatic action unit detection, FG 2015; OpenFace 2.0, FG 2018.

    >>> OpenFaceActionUnits.au_names[:4]
    ('AU01', 'AU02', 'AU04', 'AU05')
    """

    au_names: tuple[str, ...] = AU_NAMES

    def __init__(self, model: str | None = None, *, device: str = "auto") -> None:
        self._always_static = model == "static"
        self._files = weights.find(model if model and not self._always_static else "openface_au")
        self._torch_device = devices.torch_device(device)
        self.device: str = self._torch_device.type
        self._landmarker: tuple[ModelFile, ...] = ()
        self._table = corrections.TABLE
        self.consecutive = False

    @property
    def models(self) -> tuple[ModelFile, ...]:
        """OpenFace's files, and the table of corrections where it is in use."""
        table = [corrections.as_model(self._table)] if self._correction else []
        return (self._files, *table)

    def points_come_from(
        self, landmarker: Sequence[ModelFile], *, table: Path = corrections.TABLE
    ) -> None:
        """Be told whose points there will be; to be called between videos.

        Args:
            landmarker: its model files.
            table: of corrections, which need not have one for them.

        Raises:
            BadWeights: the table is damaged.
        """
        self._landmarker, self._table = tuple(landmarker), table
        self._start()
        if landmarker and self._correction is None:
            log.warning(
                "points of %s are taken as they are: no correction is known that would make them "
                "OpenFace's, so labels agree less with its own",
                ", ".join(one.name for one in landmarker),
            )

    @property
    def consecutive(self) -> bool:
        """Whether faces come from every frame of a video; to be set between videos."""
        return self._consecutive

    @consecutive.setter
    def consecutive(self, consecutive: bool) -> None:
        self._consecutive = consecutive
        models = read_set(self._files.path, self.mode)
        self._linear = LinearModels(models, self._torch_device)
        self._describer = Describer(models, self._torch_device)
        self._start()

    @property
    def mode(self) -> SetName:
        """`dynamic` on consecutive frames, else `static`."""
        return "dynamic" if self._consecutive and not self._always_static else "static"

    def _start(self) -> None:
        self._faces, self._last_frame = 0, -1
        self._correction = corrections.of_landmarker(
            self._landmarker, self._describer.model, self._table
        )
        self._people = People(lambda: Person(self._linear, dynamic=self.mode == "dynamic"))

    def __call__(self, faces: Sequence[Face]) -> AULabels:
        """Label these faces, or, on consecutive frames, take note of them."""
        labels = AULabels.unknown(len(faces), len(AU_NAMES))
        usable = [
            i
            for i, face in enumerate(faces)
            if face.points_xy is not None and np.isfinite(face.points_xy).all()
        ]
        for start in range(0, len(usable), BATCH):
            self._label(faces, usable[start : start + BATCH], labels)
        self._faces += len(faces)
        if faces:
            self._last_frame = max(self._last_frame, max(face.frame_index for face in faces))
        return labels

    def finish(self, frames: int | None = None) -> AULabels | None:
        """End the video.

        Args:
            frames: how many it has; None if none follows the last one with a face.

        Returns:
            Labels of every face, on consecutive frames; else None.
        """
        faces, last_frame = self._faces, max(self._last_frame, (frames or 0) - 1)
        people = self._people.end(last_frame)
        self._start()
        if not self._consecutive:
            return None
        labels = AULabels.unknown(faces, len(AU_NAMES))
        for person in people:
            rows = np.array(person.rows)
            occurrence, intensity, decision = person.labels(last_frame + 1)
            labels.occurrence[rows] = occurrence
            labels.intensity[rows[:, None], _HAS_INTENSITY] = intensity
            labels.score[rows] = decision
        return labels

    def _label(self, faces: Sequence[Face], some: list[int], labels: AULabels) -> None:
        points_N682 = np.stack([np.asarray(faces[i].points_xy) for i in some])
        with torch.inference_mode():
            if self._correction is not None:
                points_N682 = self._corrected(points_N682)
            description_NF, sound_N = self._describer(
                [faces[i].image_HWC for i in some], points_N682
            )
            scores_NK = self._linear.scores(description_NF)
        rows = np.array(some)[sound_N]
        if not self._consecutive:
            scores_NK = scores_NK[sound_N]
            labels.occurrence[rows] = self._linear.occurs(scores_NK)
            labels.intensity[rows[:, None], _HAS_INTENSITY] = timeline.clip(intensities(scores_NK))
            labels.score[rows] = self._linear.decisions(scores_NK)
            return
        votes_NF = medians.bins(description_NF)
        plain_NF = description_NF[:, :FEATURES].cpu().numpy()
        for n in np.flatnonzero(sound_N):
            face, row = faces[some[n]], self._faces + some[n]
            person = self._people.at(face.track_id, face.frame_index, face.pts_s)
            person.add(row, face.frame_index, scores_NK[n], plain_NF[n], votes_NF[n])

    def _corrected(self, points_N682: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        assert self._correction is not None
        points = torch.from_numpy(points_N682.astype(np.float64)).to(self._torch_device)
        return self._correction(points).cpu().numpy()
