"""Pictures with their times into an MP4, with the sound of the video they come from."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from facekit.errors import FacekitError
from facekit.shards import publishing

log = logging.getLogger(__name__)

SOUND: Final = frozenset({"aac", "ac3", "alac", "eac3", "mp3", "opus"})
"""Kinds of sound that an MP4 holds and players know; copied as they are."""

_TICKS: Final = 60_000
"""Of a second. MPEG-4 part 2 allows no more than 65,535."""

_FALLBACK_FPS: Final = 25.0
_BT709: Final = 1
_LIMITED: Final = 1


class VideoWriter:
    """One MP4 under way: H.264, or MPEG-4 part 2 where libav has no x264; see `writing`.

    Args:
        container: libav's, open for writing.
        sound: the source's sound, or None.
        fps: frame rate, for frames without a time and for the encoder's planning.
    """

    def __init__(self, container: Any, sound: "_Sound | None", fps: float) -> None:
        self._container = container
        self._fps = fps if math.isfinite(fps) and fps > 0.0 else _FALLBACK_FPS
        self._sound = sound
        self._stream: Any = None
        self._size_wh = (0, 0)
        self._ticks = -1
        self._frames = 0

    def write(self, image_HWC: npt.NDArray[np.uint8], pts_s: float) -> None:
        """Add a frame.

        Args:
            image_HWC: (H, W, 3) uint8 RGB. The first one decides the size, rounded up to even
                sides; others are brought to it.
            pts_s: presentation time in seconds, rising; NaN: index over frame rate.
        """
        if self._stream is None:
            height, width = image_HWC.shape[:2]
            self._size_wh = (width, height)
            self._stream = self._opened(width + width % 2, height + height % 2)
            if self._sound is not None:
                self._sound.join(self._container)
        time_s = self._frames / self._fps if math.isnan(pts_s) else pts_s
        self._ticks = max(self._ticks + 1, round(time_s * _TICKS))
        self._frames += 1
        frame = av.VideoFrame.from_ndarray(self._fitted(image_HWC), format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = self._ticks, Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))
        if self._sound is not None:
            self._sound.copy_until(self._container, self._ticks / _TICKS)

    def finish(self) -> None:
        """Write out what the encoder holds back, and the rest of the sound."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.copy_until(self._container, math.inf)

    def _opened(self, width: int, height: int) -> Any:
        has_x264 = "libx264" in av.codecs_available
        stream = self._container.add_stream(
            "libx264" if has_x264 else "mpeg4",
            rate=Fraction(self._fps).limit_denominator(1001),
            options={"preset": "veryfast", "crf": "20"} if has_x264 else {},
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.colorspace, context.color_range = _BT709, _LIMITED
        if not has_x264:
            context.bit_rate = max(2_000_000, 5 * width * height)
        return stream

    def _fitted(self, image_HWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        import cv2

        width, height = self._size_wh
        if image_HWC.shape[:2] != (height, width):
            image_HWC = np.asarray(cv2.resize(image_HWC, (width, height)), np.uint8)
        odd = ((0, height % 2), (0, width % 2), (0, 0))
        return np.ascontiguousarray(np.pad(image_HWC, odd, mode="edge"))


class _Sound:
    """The coded sound of a file, copied packet by packet."""

    def __init__(self, container: Any, path: Path) -> None:
        self._path = path
        self._source = container.streams.audio[0]
        self._packets = container.demux(self._source)
        self._stream: Any = None
        self._next: Any = None

    def join(self, container: Any) -> None:
        self._stream = container.add_stream_from_template(self._source)
        self._next = self._read()

    def copy_until(self, container: Any, time_s: float) -> None:
        while self._next is not None and self._next.dts * self._next.time_base <= time_s:
            self._next.stream = self._stream
            try:
                container.mux(self._next)
            except av.FFmpegError as error:
                log.warning("%s: its sound is copied no further: %s", self._path, error)
                self._next = None
                return
            self._next = self._read()

    def _read(self) -> Any:
        """The next packet with a time; None at the end."""
        try:
            return next((packet for packet in self._packets if packet.dts is not None), None)
        except av.FFmpegError as error:
            log.warning("%s: its sound is copied no further: %s", self._path, error)
            return None


@contextmanager
def writing(target: Path, *, source: Path, fps: float) -> Iterator[VideoWriter]:
    """Write an MP4 whole or not at all.

    Args:
        target: the file; its folder must exist.
        source: the video whose sound goes with it; a folder of images has none.
        fps: frame rate; NaN where unknown.

    Raises:
        DiskFull: the disk ran out.
        FacekitError: libav could not write it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with writing(Path(folder) / "a.mp4", source=Path(folder), fps=25.0) as writer:
    ...         for index in range(3):
    ...             writer.write(np.zeros((31, 33, 3), np.uint8), index / 25)
    ...     with av.open(Path(folder) / "a.mp4") as made:
    ...         [(f.width, f.height, round(f.time, 2)) for f in made.decode(video=0)]
    [(34, 32, 0.0), (34, 32, 0.04), (34, 32, 0.08)]
    """
    with publishing(target) as draft, _sound_of(source) as sound:
        try:
            options = {"movflags": "+faststart"}
            with av.open(str(draft), "w", format="mp4", options=options) as container:
                writer = VideoWriter(container, sound, fps)
                yield writer
                writer.finish()
        except av.FFmpegError as error:
            if isinstance(error, OSError) and error.errno:
                raise OSError(error.errno, error.strerror) from error
            raise FacekitError(f"{target}: cannot be written: {error}") from error


@contextmanager
def _sound_of(source: Path) -> Iterator[_Sound | None]:
    if source.is_dir():
        yield None
        return
    # As in facekit.video_file: no colon in a name is a protocol, no playlist leads elsewhere.
    options = {"protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{source}", options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        log.warning("%s: its sound is left out: %s", source, error)
        yield None
        return
    with container:
        kinds = [s.codec_context.codec.canonical_name for s in container.streams.audio]
        if kinds and kinds[0] not in SOUND:
            log.warning("%s: its sound is left out: an MP4 takes no %s", source, kinds[0])
        yield _Sound(container, source) if kinds and kinds[0] in SOUND else None
