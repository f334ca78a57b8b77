"""One video: what is known before it is opened, what a probe tells, and its sampled frames.

A video is a file that libav can decode (`facekit.video_file`) or a folder of numbered images
(`facekit.image_folder`). Both are decoded once, in order; only wanted frames become RGB.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput, BadVideo

SIDE_LIMIT_PX: Final = 16384
"""A longer side is refused before anything is allocated for it."""

PIXEL_LIMIT: Final = 2**27
"""Frames of more pixels are refused."""

COUNT_LIMIT: Final = 2**31 - 1
"""The largest frame count that a shard can store; a larger promise is cut to it."""

_UNBOUNDED: Final = 2**62
_CHUNK_BYTES: Final = 1 << 20

ReadingStatus = Literal["ok", "short_read", "corrupt_frames"]
Progress = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Video:
    """One input: a video file or a folder of images, and what the manifest says of it.

    Args:
        key: unique, dataset-qualified name, such as `ffpp/Deepfakes/c23/000_003`.
        path: where the file or image folder lies on this machine; never stored.
        relative_path: the path below the folder that was given; stored.
        dataset: name of the dataset, or empty.
        method: forgery method, or source of a real video, or empty.
        compression: `raw`, `c23`, `c40` or empty.
        label: 0 real, 1 fake, -1 unknown.
        split: `train`, `val`, `test` or empty.
        original: key of the video this one was made from, or empty.
        group: name shared by videos whose people must not straddle a split, or empty.
        mask_path: manipulation mask video below the folder that was given, or empty.
    """

    key: str
    path: Path
    relative_path: str
    dataset: str = ""
    method: str = ""
    compression: str = ""
    label: int = -1
    split: str = ""
    original: str = ""
    group: str = ""
    mask_path: str = ""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a probe tells of a video.

    Args:
        size_wh: width and height of the first frame, pixels, upright.
        fps: average frame rate, NaN where the file tells none.
        frames_expected: how many frames the file promises, at most `COUNT_LIMIT`.
        frames_found: how many of them stand in the file, decodable or not.
        rotation_deg: 0, 90, 180 or 270: clockwise turn that the file asks for; done already in
            every image and in `size_wh`.
        codec: name of the decoder, such as `h264`; of an image folder, `images`.
        file_bytes: size of the file, or of the images together.
    """

    size_wh: tuple[int, int]
    fps: float
    frames_expected: int
    frames_found: int
    rotation_deg: int = 0
    codec: str = ""
    file_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class SampledFrame:
    """One wanted frame.

    Args:
        frame_index: index in the order in which frames come out of the decoder, which is the order
            of presentation; damaged frames count, frames that never came out do not.
        pts_s: presentation time in seconds; see `sample`.
        image_HWC: (H, W, 3) uint8 RGB, upright. Sizes may differ within a video.
    """

    frame_index: int
    pts_s: float
    image_HWC: npt.NDArray[np.uint8]


class DecodedFrame(Protocol):
    """A frame that came out of a decoder and is not yet RGB."""

    @property
    def is_corrupt(self) -> bool:
        """Whether the container or the decoder marks it as damaged."""
        ...

    def pts_s(self, frame_index: int) -> float:
        """Presentation time in seconds."""
        ...

    def image_HWC(self) -> npt.NDArray[np.uint8]:  # noqa: N802 - the suffix names the axes
        """The upright picture, (H, W, 3) uint8 RGB."""
        ...


class Reading(Iterator[SampledFrame]):
    """The wanted frames of one video, in order, and the count of all its frames.

    The counts grow while the frames are taken and are final once the iterator is exhausted.

    Args:
        path: for messages.
        info: what the probe told.
        frames: every frame in order; None for a damaged one that never came out.
        indices: the wanted ones.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        frames: Iterator[DecodedFrame | None],
        indices: Sequence[int],
    ) -> None:
        self.info = info
        """What the probe told."""
        self.frames_decoded = 0
        """Frames that came out of the decoder, damaged ones included."""
        self.frames_corrupt = 0
        """Frames marked as damaged, and those that the decoder refused as damaged."""
        self.frames_sampled = 0
        """Frames given to the caller."""
        self._path = path
        self._sampled = self._take(frames, indices)

    def __next__(self) -> SampledFrame:
        return next(self._sampled)

    def _take(
        self, frames: Iterator[DecodedFrame | None], indices: Sequence[int]
    ) -> Iterator[SampledFrame]:
        members = indices if isinstance(indices, range) else frozenset(indices)
        for frame in frames:
            self.frames_corrupt += frame is None or frame.is_corrupt
            if frame is None:
                continue
            index = self.frames_decoded
            self.frames_decoded += 1
            if index in members and not frame.is_corrupt:
                self.frames_sampled += 1
                yield SampledFrame(
                    frame_index=index, pts_s=frame.pts_s(index), image_HWC=frame.image_HWC()
                )
        if self.frames_decoded == 0:
            raise BadVideo(f"{self._path}: no frame came out; the video data are damaged")

    @property
    def status(self) -> ReadingStatus:
        """How the reading ended; see `reading_status`."""
        return reading_status(
            frames_expected=self.info.frames_expected,
            frames_decoded=self.frames_decoded,
            frames_corrupt=self.frames_corrupt,
        )


def reading_status(
    *, frames_expected: int, frames_decoded: int, frames_corrupt: int
) -> ReadingStatus:
    """Which status of `facekit.schema` these counts amount to.

    A short read outranks damaged frames, so that a cut file is always called short.

    Args:
        frames_expected: what the file promises.
        frames_decoded: what came out, damaged frames included.
        frames_corrupt: frames marked as damaged.

    >>> reading_status(frames_expected=72, frames_decoded=72, frames_corrupt=0)
    'ok'
    >>> reading_status(frames_expected=72, frames_decoded=71, frames_corrupt=3)
    'short_read'
    """
    if frames_decoded < frames_expected:
        return "short_read"
    return "corrupt_frames" if frames_corrupt else "ok"


def wanted(plan: str, frames_expected: int) -> Sequence[int]:
    """The frame indices that a plan asks for, rising, each once.

    `n` even positions among E frames are `round(i * (E - 1) / (n - 1))`, halves up, for i from 0 to
    n - 1, in exact integers: the first and the last frame are among them. One position is frame 0.
    With no more frames than n, each frame is taken once.

    Args:
        plan: `Measurement.frames`: a number, `every:N` or `all`.
        frames_expected: E, how many frames there are to spread over.

    Raises:
        BadInput: another plan.

    >>> wanted("4", 100)
    (0, 33, 66, 99)
    >>> list(wanted("8", 3)), list(wanted("every:10", 25)), wanted("all", 3)
    ([0, 1, 2], [0, 10, 20], range(0, 3))
    """
    head, _, tail = plan.partition(":")
    if plan == "all":
        return range(frames_expected)
    if head == "every" and tail.isdecimal() and int(tail) > 0:
        return range(0, frames_expected, int(tail))
    if not plan.isdecimal() or int(plan) < 1:
        raise BadInput(f"--frames must be a number, every:N or all, not {plan!r}")
    count = int(plan)
    if count >= frames_expected:
        return range(frames_expected)
    if count == 1:
        return (0,)
    return tuple(
        (2 * i * (frames_expected - 1) + count - 1) // (2 * (count - 1)) for i in range(count)
    )


def probe(path: Path, *, progress: Progress | None = None) -> VideoInfo:
    """Count the frames that a video promises and decode its first one.

    Args:
        path: a video file or a folder of images.
        progress: called now and then, so that a supervisor sees life.

    Raises:
        BadVideo: not found, empty, not a video, audio only, too large, or no frame comes out.

    >>> probe(Path("nowhere.mp4"))
    Traceback (most recent call last):
    ...
    facekit.errors.BadVideo: nowhere.mp4: not found
    """
    from facekit import image_folder, video_file

    if path.is_dir():
        return image_folder.probe(path)
    _require_file(path)
    return video_file.probe(path, progress or _no_progress)


def sample(path: Path, plan: str, *, progress: Progress | None = None) -> Reading:
    """Decode a video once, in order, and give the frames that a plan asks for.

    Presentation times are the file's own, `pts * time_base`, not shifted to start at zero; where a
    frame has none, frame index over frame rate (25 where that is unknown too). Frames of an image
    folder have no time: NaN.

    Colours follow the matrix and the range that the stream is tagged with; untagged YUV is taken
    as BT.601, limited range, as libav and OpenCV do, whatever its size. Transfer curves are left
    alone (HDR is not mapped), alpha is dropped, pixels are not stretched to square.

    A wanted frame that is damaged is not given, but counted.

    Args:
        path: a video file or a folder of images.
        plan: `Measurement.frames`: a number, `every:N` or `all`.
        progress: called at least every 25 frames.

    Returns:
        An iterator of `SampledFrame` that also counts.

    Raises:
        BadInput: no such plan.
        BadVideo: as `probe`; raised by the iterator where no frame comes out.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number in range(5):
    ...         Image.new("RGB", (4, 2)).save(Path(folder) / f"{number}.png")
    ...     reading = sample(Path(folder), "3")
    ...     print([(frame.frame_index, frame.image_HWC.shape) for frame in reading])
    ...     print(reading.frames_decoded, reading.status)
    [(0, (2, 4, 3)), (2, (2, 4, 3)), (4, (2, 4, 3))]
    5 ok
    """
    from facekit import image_folder, video_file

    info = probe(path, progress=progress)
    tick = progress or _no_progress
    frames: Iterator[DecodedFrame | None]
    frames = image_folder.frames(path, tick) if path.is_dir() else video_file.frames(path, tick)
    return Reading(path, info, frames, wanted(plan, _frames_to_span(plan, info)))


def sha256(path: Path, *, progress: Progress | None = None) -> str:
    """The sha256 of a video file, or of the names and contents of a folder's images in order.

    Args:
        path: a video file or a folder of images.
        progress: called every few megabytes.

    Raises:
        BadVideo: it cannot be read.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     sha256(Path(file.name))[:16]
    'e3b0c44298fc1c14'
    """
    from facekit import image_folder

    digest = hashlib.sha256()
    try:
        if not path.is_dir():
            _feed(digest, path, progress or _no_progress)
            return digest.hexdigest()
        for image in image_folder.images(path):
            name = image.name.encode()
            size = image.stat().st_size
            digest.update(len(name).to_bytes(8, "little") + name + size.to_bytes(8, "little"))
            _feed(digest, image, progress or _no_progress)
    except OSError as error:
        raise BadVideo(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _feed(digest: "hashlib._Hash", path: Path, progress: Progress) -> None:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            progress()


def _frames_to_span(plan: str, info: VideoInfo) -> int:
    """Over how many frames a plan spreads."""
    if not plan.isdecimal():
        return _UNBOUNDED
    # No coded frame takes fewer than 8 bytes: a header that promises more is damaged, and to
    # spread over its promise would sample frame 0 alone.
    credible = info.frames_expected <= max(info.frames_found, info.file_bytes // 8)
    return info.frames_expected if credible else info.frames_found


def _require_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise BadVideo(f"{path}: not found") from error
    except OSError as error:
        raise BadVideo(f"{path}: cannot be read: {error.strerror}") from error
    if not path.is_file():
        raise BadVideo(f"{path}: neither a file nor a folder")
    if size == 0:
        raise BadVideo(f"{path}: empty file (0 bytes)")


def _no_progress() -> None:
    """Nobody watches."""
