"""A video file through libav: what it promises, and its frames with every damage seen.

One decoder thread: with more, libav turns off the error concealment that also marks damaged frames
(measured on clips with flipped bits: 388 marked by one thread, 274 by several).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.codec.context import Flags
from av.stream import Discard, Disposition
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from facekit.errors import BadVideo
from facekit.file_structure import is_whole
from facekit.video import COUNT_LIMIT, PIXEL_LIMIT, SIDE_LIMIT_PX, Progress, VideoInfo

PACKETS_A_TICK: Final = 25
"""Packets between two calls of the progress hook."""

_FALLBACK_FPS: Final = 25.0
_NOT_VIDEO_FORMATS: Final = frozenset({"tty", "hls", "concat", "dash", "sdp", "imf"})
"""Formats that draw text as a picture, or that only point at other files."""

_DECODER_OPTIONS: Final = {"max_pixels": str(PIXEL_LIMIT)}
_NVOP_BYTES: Final = 8
_VP8_SHOW_FRAME: Final = 0x10

# Bit-exact and with interpolated chroma: libav's faster paths differ from one processor to the next
# and repeat chroma (up to 42 grey levels off at edges); this costs 9 ms a megapixel.
_SCALING: Final = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)

_MATRICES: Final = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
"""Matrix code (ITU-T H.273, table 4) -> what swscale calls it. Any other code is BT.601."""


@dataclass
class _Tally:
    """Packets of a file, by what they will become."""

    shown: int = 0
    silent: int = 0
    end_s: float = -math.inf
    broke_off: bool = False

    def add(self, packet: Any) -> None:
        if packet.is_discard:
            return
        if not _shows_picture(packet):
            self.silent += 1
            return
        self.shown += 1
        if packet.pts is not None:
            end = packet.pts + (packet.duration or 0)
            self.end_s = max(self.end_s, float(end * packet.time_base))


@dataclass
class FileFrame:
    """One frame out of the decoder."""

    path: Path
    frame: Any
    is_corrupt: bool
    time_base: Fraction
    fps: float
    reformatter: VideoReformatter

    def pts_s(self, frame_index: int) -> float:
        """Presentation time in seconds, exact; index over frame rate where the file has none."""
        if self.frame.pts is None:
            return frame_index / (_FALLBACK_FPS if math.isnan(self.fps) else self.fps)
        return float(self.frame.pts * self.time_base)

    def image_HWC(self) -> npt.NDArray[np.uint8]:  # noqa: N802 - the suffix names the axes
        """The upright picture, (H, W, 3) uint8 RGB."""
        try:
            rgb = self.reformatter.reformat(
                self.frame,
                format="rgb24",
                src_colorspace=_MATRICES.get(self.frame.colorspace, Colorspace.ITU601),
                interpolation=_SCALING,
                threads=1,
            )
        except av.FFmpegError as error:
            layout = self.frame.format.name
            raise BadVideo(f"{self.path}: cannot turn pixels of {layout} into RGB") from error
        return _upright(np.asarray(rgb.to_ndarray(), np.uint8), _display_matrix(self.frame))


@dataclass
class _Decoder:
    """The decoder of one stream, which remembers what became of each packet."""

    stream: Any
    refused: set[int] = field(default_factory=set)
    suspect: set[int] = field(default_factory=set)
    ordinal: int = 0

    def __post_init__(self) -> None:
        context = self.stream.codec_context
        context.thread_count = 1
        # Give out what is damaged, marked, instead of dropping it; carry packet numbers to frames.
        context.flags |= Flags.output_corrupt | Flags.copy_opaque
        context.options = _DECODER_OPTIONS

    def decode(self, packet: Any) -> Iterator[tuple[Any, bool]]:
        """Frames that this packet brings out, each with whether it is damaged."""
        number, self.ordinal = self.ordinal, self.ordinal + 1
        packet.opaque = number
        if packet.is_corrupt:
            self.suspect.add(number)
        try:
            frames = self.stream.codec_context.decode(packet)
        except av.EOFError:
            return
        except av.FFmpegError:
            self.refused.add(number)
            return
        for frame in frames:
            damaged = frame.is_corrupt or frame.opaque in self.suspect | self.refused
            self.refused.discard(frame.opaque)
            yield frame, damaged


def probe(path: Path, progress: Progress) -> VideoInfo:
    """Read all packets of a file and decode until the first frame.

    Args:
        path: the file.
        progress: called every `PACKETS_A_TICK` packets.

    Raises:
        BadVideo: see `facekit.video.probe`.
    """
    with _open(path) as (container, stream):
        decoder, tally, first = _Decoder(stream), _Tally(), None
        for packet in _packets(container, stream, tally, progress):
            if packet.size:
                tally.add(packet)
            if first is None:
                first = next((frame for frame, _ in decoder.decode(packet)), None)
        if first is None:
            raise BadVideo(f"{path}: no frame came out; the video data are damaged")
        matrix = _display_matrix(first)
        size_wh = (first.width, first.height)
        return VideoInfo(
            size_wh=size_wh[::-1] if _is_turned(matrix) else size_wh,
            fps=_fps(stream),
            frames_expected=min(_expected(path, container, stream, tally), COUNT_LIMIT),
            frames_found=tally.shown,
            rotation_deg=_rotation_deg(matrix),
            codec=stream.codec_context.name,
            file_bytes=path.stat().st_size,
        )


def frames(path: Path, progress: Progress) -> Iterator[FileFrame | None]:
    """Every frame of a file, in the order in which the decoder gives them.

    Args:
        path: the file.
        progress: called every `PACKETS_A_TICK` packets.

    Yields:
        A frame, or None for a packet that the decoder refused and that no frame came from.

    Raises:
        BadVideo: see `facekit.video.probe`.
    """
    with _open(path) as (container, stream):
        decoder, reformatter, fps = _Decoder(stream), VideoReformatter(), _fps(stream)
        for packet in _packets(container, stream, _Tally(), progress):
            for frame, damaged in decoder.decode(packet):
                yield FileFrame(path, frame, damaged, stream.time_base, fps, reformatter)
        for _ in decoder.refused:
            yield None


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, Any]]:
    # The prefix keeps a colon in a name from being read as a protocol, the list keeps playlists
    # from reaching beyond this machine.
    options = {"protocol_whitelist": "file", **_DECODER_OPTIONS}
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except PermissionError as error:
        raise BadVideo(f"{path}: cannot be read: permission denied") from error
    except (av.FFmpegError, ValueError) as error:
        raise BadVideo(f"{path}: not a video, or its header is damaged") from error
    with container:
        stream = _video_stream(path, container)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        yield container, stream


def _video_stream(path: Path, container: Any) -> Any:
    if container.format.name in _NOT_VIDEO_FORMATS:
        raise BadVideo(f"{path}: not a video, but {container.format.long_name or 'text'}")
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise BadVideo(f"{path}: no video stream")
    stream = streams[0]
    if stream.codec_context is None:
        raise BadVideo(f"{path}: no decoder for its video stream")
    width, height = stream.codec_context.width, stream.codec_context.height
    if max(width, height) > SIDE_LIMIT_PX or width * height > PIXEL_LIMIT:
        raise BadVideo(
            f"{path}: frames of {width} x {height} pixels; at most {SIDE_LIMIT_PX} on a side "
            f"and {PIXEL_LIMIT} in all are read"
        )
    return stream


def _packets(container: Any, stream: Any, tally: _Tally, progress: Progress) -> Iterator[Any]:
    """The stream's packets, then the empty one that drains the decoder, whatever happens."""
    count = 0
    try:
        for packet in container.demux(stream):
            if count % PACKETS_A_TICK == 0:
                progress()
            count += 1
            drains = packet.size == 0 and packet.pts is None and packet.dts is None
            if packet.size or drains:
                yield packet
    except av.FFmpegError:
        tally.broke_off = True
        yield av.Packet()
    except IndexError:
        # PyAV trips at the end over streams that turned up after opening (transport streams).
        yield av.Packet()


def _expected(path: Path, container: Any, stream: Any, tally: _Tally) -> int:
    """How many frames a file promises.

    The larger of the packets found and the container's own count, in both of which only packets
    that are to be shown count: not those that an edit list discards, not an AVI's dropped frames.
    Where the container keeps no count and its structure is broken, at least one more than found.
    """
    expected: int = max(tally.shown, _promised(path, container, stream) - tally.silent)
    broken = tally.broke_off or not (stream.frames or is_whole(path, container.format.name))
    if broken and expected == tally.shown:
        return expected + _lost_at_least(container, stream, tally)
    return expected


def _promised(path: Path, container: Any, stream: Any) -> int:
    """The container's own count, less what it says is not to be shown."""
    name, index, counted = container.format.name, stream.index_entries, int(stream.frames)
    if "mov" in name:
        kept: int = sum(not entry.is_discard and entry.size > 0 for entry in index)
        if counted <= len(index):
            return kept
        # Samples may be missing from the index because an edit list cuts them away, or because
        # the tables that list them are damaged: only the latter are lost.
        with av.open(
            f"file:{path}", options={"ignore_editlist": "1"}, metadata_errors="replace"
        ) as whole:
            listed = len(whole.streams[stream.index].index_entries)
        return kept + max(0, counted - listed)
    if name == "avi" and len(index):
        # Time runs on over a dropped frame, which takes no packet.
        return counted - max(0, int(index[-1].timestamp) + 1 - len(index))
    return counted


def _lost_at_least(container: Any, stream: Any, tally: _Tally) -> int:
    """Frames missing from a broken file that keeps no count, by its declared duration."""
    fps = _fps(stream)
    if "matroska" not in container.format.name or not container.duration or math.isnan(fps):
        return 1
    declared_s = _declared_s(container, stream)
    missing = max(declared_s * fps - tally.shown, (declared_s - tally.end_s) * fps)
    return max(0, round(min(missing, float(COUNT_LIMIT))))


def _declared_s(container: Any, stream: Any) -> float:
    """Duration of a Matroska track by its own tag, or that of the whole file."""
    try:
        hours, minutes, seconds = stream.metadata["DURATION"].rstrip("\0").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (KeyError, ValueError):
        return float(Fraction(container.duration, av.time_base))


def _shows_picture(packet: Any) -> bool:
    """Whether a frame is meant to come out of a packet.

    None does out of VP8's reference-only frames (RFC 6386, section 9.1) nor out of the stand-ins
    for dropped frames in MPEG-4 part 2: a start code and at most 22 bits.
    """
    codec = packet.stream.codec_context.name
    if codec in ("vp8", "libvpx"):
        return bool(bytes(packet)[0] & _VP8_SHOW_FRAME)
    return codec != "mpeg4" or int(packet.size) > _NVOP_BYTES


def _fps(stream: Any) -> float:
    rate = stream.average_rate
    return float(rate) if rate else math.nan


def _display_matrix(frame: Any) -> npt.NDArray[np.int32]:
    """Row-vector transform from stored to shown pixels; identity where the file has none."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV cannot list side data beside one of a kind it does not know, such as a photograph's
        # EXIF; the angle it still gives, so only a mirrored picture would go unnoticed.
        return _turn(-frame.rotation)
    if data is None:
        return np.eye(3, dtype=np.int32)
    return np.frombuffer(bytes(data), np.int32).reshape(3, 3)


def _turn(clockwise_deg: int) -> npt.NDArray[np.int32]:
    """The matrix of a turn by a multiple of 90 degrees.

    >>> _turn(90).tolist()
    [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    """
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[round(clockwise_deg / 90) % 4]
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]], np.int32)


def _is_turned(matrix: npt.NDArray[np.int32]) -> bool:
    """Whether width and height change places; the nearest quarter turn counts."""
    return abs(int(matrix[0, 1])) > abs(int(matrix[0, 0]))


def _rotation_deg(matrix: npt.NDArray[np.int32]) -> int:
    """Clockwise turn; what is mirrored too counts as turned first, then mirrored left-right."""
    if _is_turned(matrix):
        return 90 if matrix[0, 1] > 0 else 270
    return 180 if matrix[1, 1] < 0 else 0


def _upright(
    image_HWC: npt.NDArray[np.uint8], matrix: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint8]:
    if _is_turned(matrix):
        image_HWC = image_HWC.transpose(1, 0, 2)
        flip_x, flip_y = matrix[1, 0] < 0, matrix[0, 1] < 0
    else:
        flip_x, flip_y = matrix[0, 0] < 0, matrix[1, 1] < 0
    return np.ascontiguousarray(image_HWC[:: -1 if flip_y else 1, :: -1 if flip_x else 1])
