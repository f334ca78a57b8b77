"""Small clips made on the spot, for tests."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


def gradient(index: int, width: int, height: int) -> Image:
    """A picture that moves with its index and that no flip or turn maps onto itself."""
    y_HW, x_HW = np.mgrid[:height, :width]
    planes = (x_HW * 2 + index * 5, y_HW * 2 + index * 3, x_HW + 3 * y_HW + index * 7)
    return np.stack([plane % 256 for plane in planes], axis=-1).astype(np.uint8)


def quadrants(index: int, width: int, height: int) -> Image:
    """Red top left, green top right, blue bottom left, gray bottom right."""
    del index
    image = np.full((height, width, 3), 128, np.uint8)
    image[: height // 2, : width // 2] = (200, 40, 40)
    image[: height // 2, width // 2 :] = (40, 200, 40)
    image[height // 2 :, : width // 2] = (40, 40, 200)
    return image


def make_clip(
    path: Path,
    *,
    frames: int = 24,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size_wh: tuple[int, int] = (96, 64),
    fps: int = 25,
    group: int = 8,
    pts: Sequence[int] | None = None,
    tags: tuple[int, int] | None = None,
    picture: Callable[[int, int, int], Image] = gradient,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    turn: tuple[int, bool, bool] | None = None,
) -> Path:
    """Encode a clip.

    Args:
        path: its suffix chooses the container.
        frames: how many.
        codec: libav's name of the encoder.
        pix_fmt: libav's name of the pixel layout.
        size_wh: width and height in pixels.
        fps: frame rate.
        group: distance of key frames.
        pts: presentation times in ticks of 1 / fps; None for one a tick.
        tags: matrix and range (1 limited, 2 full) to convert with and to tag; None for BT.601,
            limited, untagged.
        picture: index, width, height -> (H, W, 3) uint8 RGB.
        options: the encoder's.
        container_options: the container's.
        turn: counter-clockwise degrees, mirror left-right, mirror top-bottom.
    """
    matrix, colour_range = tags or (5, 1)
    with av.open(str(path), "w", options=dict(container_options or {})) as container:
        stream = container.add_stream(codec, rate=fps, options=dict(options or {}))
        stream.width, stream.height = size_wh
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = group
        if tags:
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_range = colour_range
        if turn:
            stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        for index in range(frames):
            rgb = av.VideoFrame.from_ndarray(picture(index, *size_wh), format="rgb24")
            frame = rgb.reformat(
                format=pix_fmt, dst_colorspace=matrix, dst_color_range=colour_range
            )
            frame.pts = pts[index] if pts else index
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_sound(path: Path) -> Path:
    """A file that holds nothing but silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        silence = np.zeros((1, 1024), np.float32)
        for _ in range(8):
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def copy_packets(
    source: Path,
    target: Path,
    *,
    skip_ticks: int = 0,
    change: Callable[[int, bytes], bytes] = lambda number, data: data,
    container_options: Mapping[str, str] | None = None,
) -> Path:
    """Copy coded frames to another file, shifted to earlier times or with other bytes."""
    with (
        av.open(str(source)) as before,
        av.open(str(target), "w", options=dict(container_options or {})) as after,
    ):
        stream = before.streams.video[0]
        copy = after.add_stream_from_template(stream)
        packets = [packet for packet in before.demux(stream) if packet.dts is not None]
        for number, packet in enumerate(packets):
            new = av.Packet(change(number, bytes(packet)))
            new.pts, new.dts = packet.pts - skip_ticks, packet.dts - skip_ticks
            new.duration, new.time_base = packet.duration, packet.time_base
            new.is_keyframe = packet.is_keyframe
            new.stream = copy
            after.mux(new)
    return target
