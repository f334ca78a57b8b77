"""The faces of one video, found, cut and scored, a few at a time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from facekit import crops, detectors, tracks
from facekit.following import detected
from facekit.options import Measurement
from facekit.video import SampledFrame
from training.checkpoint import Loaded
from training.face_scores import FaceScores
from training.prediction import ScoredFace, ScoredFrame

DETECTOR_FRAMES: Final = 32
"""Frames a detector on cuda is given at once, where they are small. On the CPU one by one is as
fast."""

DETECTOR_BYTES: Final = 192 << 20
"""Frames held at once."""


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """A face that waits for its score."""

    frame_index: int
    track_id: int
    box_xyxy: npt.NDArray[np.float32]
    det_score: float
    image_HWC: npt.NDArray[np.uint8]


class Scorer:
    """A snapshot that scores faces cut for it.

    Args:
        loaded: the snapshot.
        device: where it runs.
        batch: faces scored at once.
    """

    def __init__(self, loaded: Loaded, device: torch.device, batch: int) -> None:
        self.size_px = loaded.config.model.size_px
        self.margin = loaded.config.data.margin
        self.batch = batch
        self._device = device
        self._model = FaceScores(loaded.model, self.size_px).to(device)

    def frames(
        self,
        path: Path,
        reading: Iterable[SampledFrame],
        measurement: Measurement,
        detector: detectors.Detector,
    ) -> list[ScoredFrame]:
        """Score the faces of a video. Of its pictures only a few are held at a time.

        Args:
            path: the video.
            reading: its frames, in order.
            measurement: margin, size, and which people.
            detector: finds the faces.

        Returns:
            Every frame that was read, in order.
        """
        tracker = tracks.Tracker()
        times: list[tuple[int, float]] = []
        faces_of = defaultdict(list)
        found = _cut(path, reading, measurement, detector, tracker, times)
        while some := list(islice(found, self.batch)):
            for one, scored in zip(some, self._scored(some), strict=True):
                faces_of[one.frame_index].append(scored)
        only = tracker.largest() if measurement.face == "largest" else None
        return [
            ScoredFrame(
                frame_index=frame_index,
                pts_s=pts_s,
                faces=tuple(f for f in faces_of[frame_index] if only in (None, f.track_id)),
            )
            for frame_index, pts_s in times
        ]

    def _scored(self, faces: Sequence[_Cut]) -> list[ScoredFace]:
        image_NHWC = torch.from_numpy(np.stack([face.image_HWC for face in faces]))
        image_NCHW = image_NHWC.to(self._device).permute(0, 3, 1, 2).float() / 255.0
        with torch.inference_mode():
            scores = self._model(image_NCHW)
        map_NHW = scores.token_map_NHW
        most_N: list[Any] = [None] * len(faces)
        levels_NHW: Any = most_N
        if map_NHW is not None:
            most_N = map_NHW.flatten(1).amax(dim=1).tolist()
            levels_NHW = (map_NHW * 255.0).round().to(torch.uint8).cpu().numpy()
        score_N, class_N = scores.score_N.tolist(), scores.class_score_N.tolist()
        return [
            ScoredFace(
                track_id=face.track_id,
                box_xyxy=face.box_xyxy,
                det_score=face.det_score,
                score=score_N[i],
                class_score=class_N[i],
                token_score=most_N[i],
                token_map_HW=levels_NHW[i],
            )
            for i, face in enumerate(faces)
        ]


def _cut(
    path: Path,
    reading: Iterable[SampledFrame],
    measurement: Measurement,
    detector: detectors.Detector,
    tracker: tracks.Tracker,
    times: list[tuple[int, float]],
) -> Iterator[_Cut]:
    """The faces of a video, in order; index and time of every frame looked at go to `times`."""
    for frames in _held(reading, DETECTOR_FRAMES if detector.device == "cuda" else 1):
        times += [(frame.frame_index, frame.pts_s) for frame in frames]
        for face in detected(path, frames, detector, tracker):
            affine = crops.square_affine(face.box_xyxy, measurement.margin, measurement.size)
            yield _Cut(
                frame_index=face.frame_index,
                track_id=face.track_id,
                box_xyxy=face.box_xyxy,
                det_score=face.score,
                image_HWC=crops.cut(face.image_HWC, affine, measurement.size),
            )


def _held(frames: Iterable[SampledFrame], most: int) -> Iterator[list[SampledFrame]]:
    """Frames in lists of bounded length and size."""
    held: list[SampledFrame] = []
    for frame in frames:
        held.append(frame)
        if len(held) == most or sum(one.image_HWC.nbytes for one in held) >= DETECTOR_BYTES:
            yield held
            held = []
    if held:
        yield held
