"""What a worker process does: measure a video into its part, pack parts into a shard."""

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facekit import shards
from facekit.errors import BadInput, BadShard, BadVideo
from facekit.faces import VideoRecord
from facekit.options import Measurement
from facekit.schema import Provenance
from facekit.shards.seal import check_seal
from facekit.video import Video

if TYPE_CHECKING:
    from facekit.measure import Backends

log = logging.getLogger(__name__)

Task = dict[str, Any]
Job = Callable[[Task, Callable[[], None]], dict[str, Any]]


def measuring(config: Mapping[str, Any]) -> Job:
    """Load the models once, then measure a video a call; also packs.

    Args:
        config: `measurement` (fields of `Measurement`), `device`, and `header` of what lies in the
            folder already, or None.

    Raises:
        BadInput: the folder was begun with other models or package versions.
        MissingWeights: a model file is not at hand and cannot be fetched.
    """
    from facekit import devices
    from facekit.measure import Backends

    devices.one_thread()
    measurement = Measurement(**config["measurement"])
    with _warnings() as warnings:
        models = Backends.load(measurement, device=config["device"])
    header = shards.Header(
        provenance=models.provenance(measurement),
        size_px=measurement.size,
        images=measurement.images,
    )
    if config["header"] is not None:
        _refuse_other(header_from(config["header"]).provenance, header.provenance)
    models.warm_up(measurement)
    return _Measuring(measurement, models, header, warnings)


def packing(config: Mapping[str, Any]) -> Job:
    """Pack and unpack shards; loads no model.

    Args:
        config: `header` of the shards.
    """
    return functools.partial(_pack, header_from(config["header"]))


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """What facekit warns of meanwhile, to be handed up: nobody reads a worker's own log."""
    messages: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, handler = logging.getLogger("facekit"), Handler(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def pass_on_warnings(info: Mapping[str, Any]) -> None:
    """Log what a worker warned of while it loaded its models.

    Args:
        info: what the job says of itself; empty where no worker got that far.
    """
    for message in info.get("warnings", ()):
        log.warning("%s", message)


class _Measuring:
    def __init__(
        self,
        measurement: Measurement,
        models: "Backends",
        header: shards.Header,
        warnings: list[str],
    ) -> None:
        self._measurement = measurement
        self._models = models
        self._header = header
        self.info = {
            "devices": models.devices,
            "header": header_to(header),
            "warnings": warnings,
        }

    def __call__(self, task: Task, progress: Callable[[], None]) -> dict[str, Any]:
        if task["do"] != "measure":
            return _pack(self._header, task, progress)
        try:
            return self._measure(video_from(task["video"]), Path(task["part"]), progress)
        except BadVideo as problem:
            return {"status": "decode_error", "reason": str(problem)}

    def _measure(self, source: Video, part: Path, progress: Callable[[], None]) -> dict[str, Any]:
        from facekit.measure import measure

        header = self._header
        with shards.PartWriter(
            part, header.provenance, size_px=header.size_px, images=header.images
        ) as writer:
            measured = measure(
                source, self._measurement, self._models, writer.append, progress=progress
            )
            faces = writer.close(
                measured.record, keep_tracks=measured.keep_tracks, labels=measured.labels
            )
        record = measured.record
        return {
            "status": record.status,
            "reason": _reason(record),
            "faces": faces,
            "part_bytes": part.stat().st_size,
            "frames_expected": record.frames_expected,
            "frames_decoded": record.frames_decoded,
            "frames_corrupt": record.frames_corrupt,
            "frames_sampled": record.frames_sampled,
            "frames_with_face": record.frames_with_face,
        }


def _reason(record: VideoRecord) -> str:
    if record.status == "short_read":
        return f"{record.frames_decoded} of {record.frames_expected} frames came out"
    if record.status == "corrupt_frames":
        return f"{record.frames_corrupt} of {record.frames_expected} frames are damaged"
    return ""


def _pack(header: shards.Header, task: Task, progress: Callable[[], None]) -> dict[str, Any]:
    """Build one shard from parts, or take one apart into parts; then remove what is used up."""
    shard = Path(task["shard"])
    if task["do"] == "unpack":
        _unpack(header, shard, task["parts"], progress)
        return {}
    sources = [
        (Path(source["file"]), source["key"])
        if "file" in source
        else VideoRecord(video=video_from(source["video"]), status=source["status"])
        for source in task["sources"]
    ]
    try:
        shards.pack(sources, shard, header=header, progress=progress)
    except BadShard:
        _remove_damaged(map(Path, task["remove"]))
        raise
    for used in task["remove"]:
        Path(used).unlink(missing_ok=True)
    return {}


def _unpack(
    header: shards.Header, shard: Path, parts: Mapping[str, str], progress: Callable[[], None]
) -> None:
    try:
        for key, part in parts.items():
            shards.pack([(shard, key)], Path(part), header=header, progress=progress)
    except BadShard as problem:
        raise BadShard(f"{problem}; remove {shard}, its videos are measured anew") from problem
    shard.unlink()


def _remove_damaged(parts: Iterable[Path]) -> None:
    """Remove the parts that a shard cannot be made of, for the next run to measure them anew."""
    for part in parts:
        try:
            check_seal(part)
        except BadShard:
            part.unlink(missing_ok=True)


def header_to(header: shards.Header) -> dict[str, Any]:
    """A header as JSON values.

    Args:
        header: of the shards.

    >>> told = Provenance(measurement={}, au_names=("AU12",), au_mode="static", backends={})
    >>> header = shards.Header(provenance=told, size_px=224, images=True)
    >>> header_from(header_to(header)) == header
    True
    """
    return dataclasses.asdict(header)


def header_from(values: Mapping[str, Any]) -> shards.Header:
    """The header that `header_to` wrote."""
    told = values["provenance"]
    provenance = Provenance(**{**told, "au_names": tuple(told["au_names"])})
    return shards.Header(**{**values, "provenance": provenance})


def video_to(video: Video) -> dict[str, Any]:
    """A video as JSON values.

    >>> video_to(Video(key="a", path=Path("x/a.mp4"), relative_path="a.mp4"))["path"]
    'x/a.mp4'
    """
    return {**dataclasses.asdict(video), "path": str(video.path)}


def video_from(values: Mapping[str, Any]) -> Video:
    """The video that `video_to` wrote.

    >>> video_from(video_to(Video(key="a", path=Path("x/a.mp4"), relative_path="a.mp4"))).key
    'a'
    """
    return Video(**{**values, "path": Path(values["path"])})


def _refuse_other(before: Provenance, now: Provenance) -> None:
    """Refuse models or versions that would give other numbers than what lies there."""
    for then, here in ((before.backends, now.backends), (before.versions, now.versions)):
        for name in sorted({*then, *here}):
            if then.get(name) != here.get(name):
                raise BadInput(
                    f"the folder was begun with {name} {then.get(name)}, and this is "
                    f"{here.get(name)}; use the same, or another folder"
                )
