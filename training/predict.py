"""What a trained model says of videos: who on them is forged, where, and when."""

import dataclasses
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import torch

from facekit import detectors, devices, results_folder, schema, video
from facekit.errors import BadInput, BadVideo, DiskFull, FacekitError
from facekit.options import Measurement, require
from facekit.shards import publishing
from facekit.video import Video
from training import checkpoint
from training.face_scores import provenance
from training.prediction import Prediction, ScoredFrame, ScoredVideo
from training.video_scores import Scorer

log = logging.getLogger(__name__)

REASON_CHARS: Final = 300
"""Longest reason that is kept."""

_LAST: Final = "predictions.json"
"""Written once every input has its own file."""


def predict(
    run: str | Path,
    videos: str | Path | Video | Sequence[str | Path | Video],
    *,
    out: str | Path,
    overlay: bool = False,
    frames: str = "32",
    face: Literal["all", "largest"] = "all",
    detector: str = "lite",
    min_score: float | None = None,
    device: str = "auto",
    which: checkpoint.Which = "best",
    batch: int = 32,
    on_video: Callable[[ScoredVideo], None] = lambda scored: None,
) -> Prediction:
    """Score the people of videos with a trained model.

    Faces are found, followed and cut as `facekit extract` does it, at the margin and size that the
    model validates with. A face's score is equation 3 of AUNet's supplement, the class token's
    probability and half the largest of the patch tokens', over 1.5. A frame scores as its most
    suspicious face, a video as the mean of its frames with a face.

    Every input ends as one row, whatever happened. `out` gets `videos/KEY.json` as each video
    ends, and `predictions.json` last; both follow `training/prediction.schema.json`.

    Args:
        run: folder of a training run.
        videos: video files or folders of images, each known by its file name; or `Video`s, known
            by their keys.
        out: folder for the results; made if it is not there.
        overlay: also write `videos/KEY.overlay.mp4`: the video with boxes, scores and the
            tampering map.
        frames: frames of each video: a number (evenly spaced), every:N, or all.
        face: `all` people, or the `largest` alone.
        detector: NAME[:MODEL]; best the one that the shards learnt from were made with.
        min_score: detections below this do not count; None takes the detector's own threshold.
        device: `auto`, `cpu` or `cuda`.
        which: `best` or `last` snapshot of the run.
        batch: faces scored at once. No score depends on it.
        on_video: called when a video ends.

    Returns:
        What was said of every input; `failures` are those that could not be read to their end.

    Raises:
        BadInput: an option cannot be carried out, two videos share a name, or no such run.
        BadWeights: the snapshot is damaged, or of another model.
        DiskFull: the disk ran out.

    >>> predict("runs/a", [], out="out")
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: no videos to score
    """
    inputs = _keyed([videos] if isinstance(videos, str | Path | Video) else videos)
    require(batch >= 1, f"--batch must be at least 1, not {batch}")
    measurement = Measurement(frames=frames, face=face, detector=detector, min_score=min_score)
    threads = torch.get_num_threads()
    where = devices.torch_device(device)
    loaded = checkpoint.load_model(run, which=which, device=where)
    scorer = Scorer(loaded, where, batch)
    measurement = dataclasses.replace(measurement, margin=scorer.margin, size=scorer.size_px)
    finder = detectors.load(measurement.detector, device=device, min_score=min_score)
    torch.set_num_threads(threads)  # loading sets one, meant for a worker process among many
    told = measurement.as_json()
    prediction = Prediction(
        out=_made(Path(out)),
        model=provenance(loaded),
        measurement={
            **{name: told[name] for name in ("frames", "face", "detector")},
            "min_score": finder.min_score,
            "detector_models": {model.name: model.sha256 for model in finder.models},
        },
    )
    folder = Path(out) / "videos"
    rows = []
    for one in inputs:
        scored, scored_frames = _score(one, measurement, finder, scorer)
        if overlay and scored.frames_with_face:
            scored = _with_overlay(scored, scored_frames, scorer.margin, folder)
        row = scored.as_json() | {"frames": [frame.as_json() for frame in scored_frames]}
        _write(folder / f"{one.key}.json", prediction.told([row]))
        rows.append(scored)
        on_video(scored)
    prediction = dataclasses.replace(prediction, videos=tuple(rows))
    _write(prediction.out / _LAST, prediction.as_json())
    return prediction


def _keyed(videos: Iterable[str | Path | Video]) -> list[Video]:
    keyed: dict[str, Video] = {}
    for given in videos:
        one = given if isinstance(given, Video) else _named(Path(given), str(given))
        parts = one.key.split("/")
        if not one.key or any(part in ("", ".", "..") for part in parts):
            raise BadInput(f"{str(given)!r} has no name that its results could be filed under")
        if one.key in keyed:
            raise BadInput(
                f"{keyed[one.key].path} and {one.path} would both be {one.key!r} in the results; "
                "score them into two folders"
            )
        keyed[one.key] = one
    require(bool(keyed), "no videos to score")
    return list(keyed.values())


def _named(path: Path, given: str) -> Video:
    name = (path.name if path.name not in ("", "..") else path.resolve().name) if given else ""
    return Video(key=name, path=path, relative_path=name)


def _made(folder: Path) -> Path:
    try:
        (folder / "videos").mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(f"--out {folder} is a file, or lies below one; give a folder") from error
    results_folder.begin(folder, _LAST)
    return folder


def _score(
    one: Video, measurement: Measurement, finder: detectors.Detector, scorer: Scorer
) -> tuple[ScoredVideo, list[ScoredFrame]]:
    """Score one video; what goes wrong becomes its status."""
    row = ScoredVideo(key=one.key, path=one.path, status="error")
    try:
        reading = video.sample(one.path, measurement.frames)
        frames = scorer.frames(one.path, reading, measurement, finder)
    except BadVideo as problem:
        return _failed(row, "decode_error", problem), []
    except (MemoryError, torch.cuda.OutOfMemoryError) as problem:
        return _failed(row, "out_of_memory", problem), []
    except DiskFull:
        raise
    except Exception as problem:
        log.debug("%s", one.path, exc_info=True)
        return _failed(row, "error", problem), []
    scored = dataclasses.replace(
        row,
        status=reading.status,
        fps=reading.info.fps,
        size_wh=reading.info.size_wh,
        frames_expected=reading.info.frames_expected,
        frames_decoded=reading.frames_decoded,
    ).with_frames(frames)
    if reading.status == "short_read":
        reason = f"{reading.frames_decoded} of {reading.info.frames_expected} frames came out"
        scored = dataclasses.replace(scored, reason=reason)
    elif reading.status == "corrupt_frames":
        scored = dataclasses.replace(scored, reason=f"{reading.frames_corrupt} frames are damaged")
    elif scored.score is None:
        scored = dataclasses.replace(scored, status="no_face")
    return scored, frames


def _failed(row: ScoredVideo, status: schema.Status, problem: Exception) -> ScoredVideo:
    told = " ".join(str(problem).split())[:REASON_CHARS]
    reason = told if status == "decode_error" else f"{type(problem).__name__}: {told}"
    return dataclasses.replace(row, status=status, reason=reason)


def _with_overlay(
    scored: ScoredVideo, frames: Sequence[ScoredFrame], margin: float, folder: Path
) -> ScoredVideo:
    from training.overlay import write_overlay

    target = folder / f"{scored.key}.overlay.mp4"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_overlay(scored.path, frames, target, margin=margin, fps=scored.fps)
    except DiskFull:
        raise
    except FacekitError as problem:
        return _failed(scored, "error", problem)
    return dataclasses.replace(scored, overlay=target.name)


def _write(path: Path, told: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with publishing(path) as draft:
        draft.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n", encoding="utf-8")
