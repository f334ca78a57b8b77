"""A video with what was said of it: boxes, scores, and where each face is held to be tampered.

The map is that of figure 5 of the AUNet paper, the patch tokens' probabilities in their places,
drawn over the square that the network saw: an authentic face stays clear.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit import crops, video
from training.metrics import THRESHOLD
from training.prediction import ScoredFace, ScoredFrame
from training.video_writer import writing

_Image = npt.NDArray[np.uint8]
_Map = npt.NDArray[np.float32]

LOW_RGB: Final = (240, 228, 66)
HIGH_RGB: Final = (213, 94, 0)
"""Ends of the map's colours; with `REAL_RGB` from Okabe and Ito, Color Universal Design, 2008."""

REAL_RGB: Final = (86, 180, 233)
OPACITY: Final = 0.7
"""Of a token that is surely tampered."""

_INK_RGB: Final = (255, 255, 255)
_GROUND_RGB: Final = (24, 24, 24)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A face as drawn on one frame.

    Args:
        track_id: person within the video.
        box_xyxy: (4,) float64, frame pixels.
        score: 0 real to 1 fake.
        token_map_HW: (h, w) float32, 0..1; None where the model has learnt no tokens.
    """

    track_id: int
    box_xyxy: npt.NDArray[np.float64]
    score: float
    token_map_HW: _Map | None


class Timeline:
    """What to draw on any frame, of those that were scored.

    Between two scored frames a person who stands on both moves evenly from one to the other, and
    so do score and map; who stands on one of them stays until half-way. Before the first and
    after the last nothing changes.

    Args:
        frames: the scored ones, in order.

    >>> def frame(index, *left):
    ...     return ScoredFrame(frame_index=index, pts_s=index / 25, faces=tuple(
    ...         ScoredFace(track_id=i, box_xyxy=np.array([x, 0, x + 9, 9], np.float32),
    ...                    det_score=1.0, score=0.5, class_score=0.5, token_score=None,
    ...                    token_map_HW=None) for i, x in enumerate(left)))
    >>> timeline = Timeline([frame(0, 10), frame(10, 30, 99)])
    >>> [[float(seen.box_xyxy[0]) for seen in timeline.at(i)] for i in (0, 4, 6, 10, 11)]
    [[10.0], [18.0], [22.0, 99.0], [30.0, 99.0], [30.0, 99.0]]
    """

    def __init__(self, frames: Sequence[ScoredFrame]) -> None:
        self._frames = frames
        self._indices = np.array([frame.frame_index for frame in frames], np.int64)

    def at(self, frame_index: int) -> list[Seen]:
        """The faces to draw on a frame, by person.

        Args:
            frame_index: index in decode order.
        """
        after = int(np.searchsorted(self._indices, frame_index))
        if after in (0, len(self._frames)):
            nearest = self._frames[min(after, len(self._frames) - 1)]
            return [_between(face, face, 0.0) for face in nearest.faces]
        first, second = self._frames[after - 1], self._frames[after]
        share = (frame_index - first.frame_index) / (second.frame_index - first.frame_index)
        before = {face.track_id: face for face in first.faces}
        later = {face.track_id: face for face in second.faces}
        shown = (before if share < 0.5 else later).keys() | (before.keys() & later.keys())
        pairs = [(before.get(one) or later[one], later.get(one) or before[one]) for one in shown]
        pairs.sort(key=lambda pair: pair[0].track_id)
        return [_between(one, other, share) for one, other in pairs]


def _between(one: ScoredFace, other: ScoredFace, share: float) -> Seen:
    def mixed(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return (1.0 - share) * np.asarray(a, np.float64) + share * np.asarray(b, np.float64)

    token_map_HW = None
    if one.token_map_HW is not None and other.token_map_HW is not None:
        level_HW = mixed(one.token_map_HW, other.token_map_HW)
        token_map_HW = (level_HW / 255.0).astype(np.float32)
    return Seen(
        track_id=one.track_id,
        box_xyxy=mixed(one.box_xyxy, other.box_xyxy),
        score=float(mixed(one.score, other.score)),
        token_map_HW=token_map_HW,
    )


def write_overlay(
    source: Path, frames: Sequence[ScoredFrame], target: Path, *, margin: float, fps: float
) -> None:
    """Write every frame of a video with the faces that were scored on it.

    One frame is held at a time. Sound is copied where an MP4 can hold it.

    Args:
        source: the video, or a folder of images.
        frames: what was said of it, in order; at least one.
        target: the MP4 to write; its folder must exist.
        margin: side of the square that was scored over the longer side of the box.
        fps: frame rate; NaN where unknown.

    Raises:
        BadVideo: the video cannot be read any more.
        DiskFull: the disk ran out.
    """
    timeline = Timeline(frames)
    with writing(target, source=source, fps=fps) as writer:
        for frame in video.sample(source, "all"):
            drawn_HWC = drawn(frame.image_HWC, timeline.at(frame.frame_index), margin)
            writer.write(drawn_HWC, frame.pts_s)


def drawn(image_HWC: _Image, faces: Sequence[Seen], margin: float) -> _Image:
    """A frame with its faces drawn on.

    Args:
        image_HWC: (H, W, 3) uint8 RGB; left as it is.
        faces: what to draw.
        margin: side of the square that was scored over the longer side of the box.

    Returns:
        (H, W, 3) uint8 RGB.

    >>> grey_HWC = np.full((80, 80, 3), 128, np.uint8)
    >>> clear, marked = (
    ...     drawn(grey_HWC, [Seen(track_id=0, box_xyxy=np.array([10.0, 30, 59, 79]), score=p,
    ...                           token_map_HW=np.full((2, 2), p, np.float32))], 1.2)
    ...     for p in (0.0, 1.0))
    >>> clear[50, 30].tolist(), marked[50, 30].tolist()
    ([128, 128, 128], [188, 104, 38])
    """
    made_HWC = image_HWC.copy()
    for seen in faces:
        if seen.token_map_HW is not None:
            square = crops.square_around(seen.box_xyxy, margin)
            _lay_map(made_HWC, seen.token_map_HW, square)
    unit_px = max(1, round(min(image_HWC.shape[:2]) / 360))
    for seen in faces:
        _mark(made_HWC, seen, unit_px)
    if any(seen.token_map_HW is not None for seen in faces):
        _explain(made_HWC, unit_px)
    return made_HWC


def _lay_map(image_HWC: _Image, token_map_HW: _Map, square: crops.Square) -> None:
    """Blend the map into the square it was made of, as far as that lies on the frame."""
    import cv2

    left, top, side = square
    height, width = image_HWC.shape[:2]
    x0, x1 = max(left, 0), min(left + side, width)
    y0, y1 = max(top, 0), min(top + side, height)
    if x0 >= x1 or y0 >= y1:
        return
    rows, columns = token_map_HW.shape
    # Pixel centres at integers: pixel x lies at (x + 0.5 - left) * columns / side - 0.5 tokens.
    across, down = columns / side, rows / side
    affine = np.array(
        [
            [across, 0.0, (x0 + 0.5 - left) * across - 0.5],
            [0.0, down, (y0 + 0.5 - top) * down - 0.5],
        ]
    )
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    shown_HW = cv2.warpAffine(
        token_map_HW, affine, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    _blend(image_HWC[y0:y1, x0:x1], np.asarray(shown_HW, np.float32)[..., None])


def _blend(region_HWC: _Image, share_HW1: npt.NDArray[np.floating]) -> None:
    """Tint a region by how much of it is tampered; 0 leaves it clear."""
    share_HW1 = np.clip(share_HW1, 0.0, 1.0)
    low, high = np.array(LOW_RGB, np.float32), np.array(HIGH_RGB, np.float32)
    colour_HWC = low + share_HW1 * (high - low)
    region_HWC[:] = np.rint(region_HWC + OPACITY * share_HW1 * (colour_HWC - region_HWC))


def _mark(image_HWC: _Image, seen: Seen, unit_px: int) -> None:
    """The box in the colour of its verdict, person and score above it, or within where it ends."""
    import cv2

    height, width = image_HWC.shape[:2]
    limit = np.array([width, height, width, height], np.float64)
    x0, y0, x1, y1 = np.clip(np.rint(seen.box_xyxy), -limit, 2 * limit).astype(int).tolist()
    colour = HIGH_RGB if seen.score >= THRESHOLD else REAL_RGB
    cv2.rectangle(image_HWC, (x0, y0), (x1, y1), colour, 2 * unit_px, cv2.LINE_AA)
    text = f"person {seen.track_id}: {seen.score:.2f}"
    wide, tall = _text_wh(text, unit_px)
    x = min(max(x0, 0), max(0, width - wide))
    y = y0 if y0 >= tall else max(y0, 0) + tall
    _write(image_HWC, text, x, y, unit_px)
    cv2.line(image_HWC, (x, y - tall), (x, y), colour, 2 * unit_px)


def _explain(image_HWC: _Image, unit_px: int) -> None:
    """What the map's colours mean, in the lower left corner of a frame that has room for it."""
    text = "tampered: 0"
    wide, tall = _text_wh(text, unit_px)
    bar_px, bottom = 64 * unit_px, image_HWC.shape[0]
    if wide + bar_px + 2 * tall > image_HWC.shape[1] or 4 * tall > bottom:
        return
    _write(image_HWC, text, 0, bottom, unit_px)
    share_1W1 = np.linspace(0.0, 1.0, bar_px, dtype=np.float32)[None, :, None]
    bar_HWC = image_HWC[bottom - tall :, wide : wide + bar_px]
    _blend(bar_HWC, np.broadcast_to(share_1W1, (*bar_HWC.shape[:2], 1)))
    _write(image_HWC, "1", wide + bar_px, bottom, unit_px)


def _text_wh(text: str, unit_px: int) -> tuple[int, int]:
    """Width and height of what `_write` paints."""
    import cv2

    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * unit_px, unit_px)
    return wide + 6 * unit_px, high + below + 4 * unit_px


def _write(image_HWC: _Image, text: str, x: int, y: int, unit_px: int) -> None:
    """Write on a dark ground whose lower left corner is given."""
    import cv2

    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.5 * unit_px
    wide, tall = _text_wh(text, unit_px)
    below = cv2.getTextSize(text, font, scale, unit_px)[1]
    cv2.rectangle(image_HWC, (x, y - tall), (x + wide - 1, y - 1), _GROUND_RGB, cv2.FILLED)
    at = (x + 3 * unit_px, y - below - 2 * unit_px)
    cv2.putText(image_HWC, text, at, font, scale, _INK_RGB, unit_px, cv2.LINE_AA)
