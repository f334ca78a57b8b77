"""One video's way: sampled frames, boxes, people, points, labels, masks, block by block."""

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from facekit import (
    action_units,
    au_masks,
    backends,
    crops,
    detectors,
    following,
    landmarkers,
    schema,
    tracks,
    versions,
    video,
)
from facekit.action_units import AULabels
from facekit.faces import Face, VideoFaces, VideoRecord
from facekit.options import Measurement
from facekit.weights import ModelFile

BLOCK_BYTES: Final = 192 << 20
"""Frames held at once; what bounds the memory of a worker, with the models."""

BLOCK_FRAMES: Final = 64
"""Frames held at once however small they are, so that a killed run loses little."""

SLICE_FACES: Final = 64
"""Faces cut and labelled at once; with crop and masks, 0.2 MB each at 224 px."""

SLICE_BYTES: Final = 48 << 20
"""Crops held at once, where they are large."""

CUDA_BATCH: Final = 32
"""Frames or faces a model is given at once on cuda. On the CPU one by one is as fast."""

_FIVE_POINTS: Final = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])

_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class Backends:
    """The three models a measurement runs on."""

    detector: detectors.Detector
    landmarker: landmarkers.Landmarker
    action_units: action_units.ActionUnits

    @classmethod
    def load(cls, measurement: Measurement, *, device: str = "auto") -> "Backends":
        """Make the backends that a measurement names.

        Args:
            measurement: names and threshold.
            device: `auto`, `cpu` or `cuda`.

        Raises:
            BadInput: no such backend.
            MissingWeights: a model file is not at hand and cannot be fetched.
        """
        labeller = action_units.load(measurement.au, device=device)
        landmarker = landmarkers.load(measurement.landmarker, device=device)
        if isinstance(labeller, action_units.OverTime):
            labeller.consecutive = measurement.consecutive
        if isinstance(labeller, action_units.OfPoints):
            labeller.points_come_from(landmarker.models)
        return cls(
            detector=detectors.load(
                measurement.detector, device=device, min_score=measurement.min_score
            ),
            landmarker=landmarker,
            action_units=labeller,
        )

    @property
    def devices(self) -> dict[str, str]:
        """Role -> `cpu` or `cuda`: where each model really runs."""
        return {
            "detector": self.detector.device,
            "landmarker": self.landmarker.device,
            "action_units": self.action_units.device,
        }

    def finish(self, frames: int) -> AULabels | None:
        """End a video of this many frames; labels to replace those given, if any."""
        if isinstance(self.action_units, action_units.OverTime):
            return self.action_units.finish(frames)
        return self.action_units.finish()

    def warm_up(self, measurement: Measurement) -> None:
        """Measure a grey frame, so that the first video does not pay for imports and allocation.

        What a supervisor's clock counts as a video's time is then that video's own. Backends
        without a model read files beside the video, of which a grey frame has none.
        """
        image_HWC = np.full((480, 640, 3), 128, np.uint8)
        self.detector([image_HWC])
        found = detectors.Detections(
            box_xyxy=np.array([[240, 160, 400, 320]], np.float32),
            keypoints_xy=np.full((1, 5, 2), np.nan, np.float32),
            score=np.ones(1, np.float32),
        )
        tracker = tracks.Tracker()
        tracker.link(found)
        tracker.link(found)
        corner_xy, side_px = found.box_xyxy[0, :2], 160.0
        face = Face(
            video=Path(),
            frame_index=0,
            pts_s=0.0,
            track_id=0,
            image_HWC=image_HWC,
            box_xyxy=found.box_xyxy[0],
            keypoints_xy=(corner_xy + side_px * _FIVE_POINTS).astype(np.float32),
            score=1.0,
            points_xy=(corner_xy + side_px * np.linspace(0, 1, 136).reshape(68, 2)).astype("f4"),
        )
        if self.landmarker.models:
            self.landmarker([face])
        if self.action_units.models:
            self.action_units([face])
            self.action_units.finish()
        _columns([face], AULabels.unknown(1, len(self.action_units.au_names)), measurement)

    def labels_sha256(self, path: Path) -> str:
        """The sha256 of the file read beside a video; of two files, of both their sums."""
        readers = (self.landmarker, self.action_units)
        told = {r.source_sha256(path) for r in readers if hasattr(r, "source_sha256")} - {""}
        return told.pop() if len(told) == 1 else _joint_sha256(told)

    def provenance(self, measurement: Measurement) -> schema.Provenance:
        """How the faces are measured, as the shards record it."""

        def described(spec: str, models: Sequence[ModelFile]) -> dict[str, object]:
            name, _ = backends.split_spec(spec)
            return {"name": name, "models": {model.name: model.sha256 for model in models}}

        return schema.Provenance(
            measurement=measurement.as_json(),
            au_names=self.action_units.au_names,
            au_mode=self.action_units.mode,
            backends={
                "detector": {
                    **described(measurement.detector, self.detector.models),
                    "min_score": self.detector.min_score,
                },
                "landmarker": described(measurement.landmarker, self.landmarker.models),
                "action_units": described(measurement.au, self.action_units.models),
            },
            versions=versions.measuring(),
        )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How a video ended, and what its blocks still need.

    Args:
        record: its row in `videos`.
        keep_tracks: the people asked for, where blocks hold others too; None keeps all.
        labels: labels of every face written, in order, where the AU engine replaces what the
            blocks hold; None where they stand.
    """

    record: VideoRecord
    keep_tracks: frozenset[int] | None
    labels: AULabels | None


def measure(
    source: video.Video,
    measurement: Measurement,
    models: Backends,
    write: Callable[[VideoFaces], None],
    *,
    progress: Callable[[], None] = lambda: None,
) -> Measured:
    """Measure the faces of one video.

    Blocks keep memory flat for videos of any length. Who is largest over time is known only when
    the video ends, so all candidates are written and the rest is dropped by whoever holds the
    blocks; a video that fits one block is spared that work, with the same result.

    Args:
        source: the video.
        measurement: what to measure.
        models: the backends that `measurement` names.
        write: takes each block, in order of frame.
        progress: called often, as a sign of life.

    Returns:
        The video's record; the tracks to keep; labels to replace.

    Raises:
        BadVideo: the video cannot be opened, or no frame came out.
    """
    models.action_units.finish()  # what a video that failed half-way has left is not this one's
    reading = video.sample(source.path, measurement.frames, progress=progress)
    tracker = tracks.Tracker()
    find = _finder(source.path, measurement, models, tracker, progress)
    frames_sampled = frames_with_any = 0
    whole = True
    for frames, last in _blocks(reading):
        faces = find(frames)
        frames_sampled += len(frames)
        frames_with_any += len({face.frame_index for face in faces})
        if last and whole and measurement.face == "largest":
            faces = [face for face in faces if face.track_id == tracker.largest()]
        whole = whole and last
        for some in _slices(faces, measurement.size):
            located = _landmarks(some, models.landmarker, progress)
            write(_columns(located, models.action_units(located), measurement))
            progress()
            del some, located
        del frames, faces  # or this block is alive while the next one is read
    labels = models.finish(reading.frames_decoded)
    kept = tracker.largest() if measurement.face == "largest" else None
    frames_with_face = frames_with_any if kept is None else tracker.frames_seen(kept)
    status = reading.status
    return Measured(
        record=VideoRecord(
            video=source,
            status="no_face" if status == "ok" and frames_with_face == 0 else status,
            sha256=video.sha256(source.path, progress=progress),
            labels_sha256=models.labels_sha256(source.path),
            fps=reading.info.fps,
            size_wh=reading.info.size_wh,
            frames_expected=reading.info.frames_expected,
            frames_decoded=reading.frames_decoded,
            frames_corrupt=reading.frames_corrupt,
            frames_sampled=frames_sampled,
            frames_with_face=frames_with_face,
        ),
        keep_tracks=None if kept is None else frozenset({kept}),
        labels=labels,
    )


def _blocks(
    reading: Iterator[video.SampledFrame],
) -> Iterator[tuple[list[video.SampledFrame], bool]]:
    """Frames in blocks of bounded size, each with whether it is the last."""
    block: list[video.SampledFrame] = []
    block_bytes = 0
    for frame in reading:
        if block and (block_bytes >= BLOCK_BYTES or len(block) >= BLOCK_FRAMES):
            yield block, False
            block, block_bytes = [], 0
        block.append(frame)
        block_bytes += frame.image_HWC.nbytes
    yield block, True


def _batches(items: Sequence[_Item], device: str) -> Iterator[Sequence[_Item]]:
    size = CUDA_BATCH if device == "cuda" else 1
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _joint_sha256(sums: Collection[str]) -> str:
    return hashlib.sha256(" ".join(sorted(sums)).encode()).hexdigest() if sums else ""


def _slices(faces: Sequence[Face], size_px: int) -> Iterator[Sequence[Face]]:
    """Faces in runs whose crops take bounded memory, however many people a frame shows."""
    most = max(1, min(SLICE_FACES, SLICE_BYTES // (3 * size_px**2)))
    for start in range(0, len(faces), most):
        yield faces[start : start + most]


def _finder(
    path: Path,
    measurement: Measurement,
    models: Backends,
    tracker: tracks.Tracker,
    progress: Callable[[], None],
) -> Callable[[Sequence[video.SampledFrame]], list[Face]]:
    """What finds the faces of the next frames; with their points where it had to follow them."""
    detector, every = models.detector, measurement.detect_every
    if measurement.consecutive and every > 1:
        follower = following.Follower(detector, models.landmarker, tracker, every=every)
        return lambda frames: _each(frames, lambda frame: follower.look(path, frame), progress)
    return lambda frames: _each(
        list(_batches(frames, detector.device)),
        lambda batch: following.detected(path, batch, detector, tracker),
        progress,
    )


def _each(
    items: Iterable[_Item], faces_of: Callable[[_Item], list[Face]], progress: Callable[[], None]
) -> list[Face]:
    faces: list[Face] = []
    for item in items:
        faces += faces_of(item)
        progress()
    return faces


def _landmarks(
    faces: Sequence[Face], landmarker: landmarkers.Landmarker, progress: Callable[[], None]
) -> list[Face]:
    if all(face.points_xy is not None for face in faces):
        return list(faces)
    located: list[Face] = []
    for batch in _batches(faces, landmarker.device):
        points_N682 = landmarker(batch)
        located += [
            dataclasses.replace(face, points_xy=points)
            for face, points in zip(batch, points_N682, strict=True)
        ]
        progress()
    return located


def _columns(faces: Sequence[Face], labels: AULabels, measurement: Measurement) -> VideoFaces:
    affine_N23 = np.stack([_affine(face, measurement) for face in faces])
    landmarks_N682 = np.stack(
        [
            crops.to_crop(_points(face), affine)
            for face, affine in zip(faces, affine_N23, strict=True)
        ]
    )
    ellipses_NE5 = au_masks.ellipses(landmarks_N682, profile=measurement.mask_profile)
    masks_NKHW = au_masks.render_stored(ellipses_NE5, size_px=measurement.size)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "frame_index": np.array([face.frame_index for face in faces], np.int32),
        "pts_s": np.array([face.pts_s for face in faces], np.float64),
        "video_id": np.zeros(len(faces), np.int32),
        "track_id": np.array([face.track_id for face in faces], np.int32),
        "box_xyxy": np.stack([face.box_xyxy for face in faces]),
        "keypoints_xy": np.stack([face.keypoints_xy for face in faces]),
        "det_score": np.array([face.score for face in faces], np.float32),
        "crop_affine": affine_N23,
        "landmarks_xy": landmarks_N682,
        "au_occurrence": labels.occurrence,
        "au_intensity": labels.intensity,
        "au_score": labels.score,
        "au_ellipses": ellipses_NE5,
        "au_mask": masks_NKHW,
    }
    if measurement.images:
        columns["image"] = np.stack(
            [
                crops.cut(face.image_HWC, affine, measurement.size)
                for face, affine in zip(faces, affine_N23, strict=True)
            ]
        )
    return VideoFaces(columns=columns)


def _affine(face: Face, measurement: Measurement) -> npt.NDArray[np.float32]:
    if measurement.align:
        return crops.aligned_affine(face.keypoints_xy, measurement.margin, measurement.size)
    return crops.square_affine(face.box_xyxy, measurement.margin, measurement.size)


def _points(face: Face) -> npt.NDArray[np.float32]:
    if face.points_xy is None:
        return np.full((68, 2), np.nan, np.float32)
    return face.points_xy
