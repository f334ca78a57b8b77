"""The arrays a video becomes, block by block, and the way from one to the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facekit import schema
from facekit.video import Video


@dataclass(frozen=True, kw_only=True)
class Face:
    """One face on one frame: what landmarkers and AU engines are given.

    Args:
        video: path of the video or image folder.
        frame_index: index in decode order.
        pts_s: presentation time in seconds.
        track_id: person within the video.
        image_HWC: the whole frame, (H, W, 3) uint8 RGB, not to be written to.
        box_xyxy: (4,) float32, frame pixels.
        keypoints_xy: (5, 2) float32, frame pixels; NaN where the detector gives none.
        score: the detector's score.
        points_xy: (68, 2) float32, frame pixels; None until the landmarker has run.
    """

    video: Path
    frame_index: int
    pts_s: float
    track_id: int
    image_HWC: npt.NDArray[np.uint8]
    box_xyxy: npt.NDArray[np.float32]
    keypoints_xy: npt.NDArray[np.float32]
    score: float
    points_xy: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class VideoFaces:
    """A block of faces of one video as columns of `facekit.schema.COLUMNS`.

    Args:
        columns: name -> array; the first axis is the face, the same length in each.

    >>> len(VideoFaces(columns={"frame_index": np.arange(3)}))
    3
    """

    columns: Mapping[str, npt.NDArray[np.generic]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


@dataclass(frozen=True, kw_only=True)
class VideoRecord:
    """The row of one video in `facekit.schema.VIDEOS`: who it is and how it ended."""

    video: Video
    status: schema.Status
    sha256: str = ""
    labels_sha256: str = ""
    fps: float = float("nan")
    size_wh: tuple[int, int] = (0, 0)
    frames_expected: int = 0
    frames_decoded: int = 0
    frames_corrupt: int = 0
    frames_sampled: int = 0
    frames_with_face: int = 0

    def row(self) -> dict[str, object]:
        """The values of `schema.VIDEOS`, by name."""
        mine = {name: getattr(self, name) for name in schema.VIDEOS if hasattr(self, name)}
        return {**{n: getattr(self.video, n) for n in schema.VIDEOS if n not in mine}, **mine}
