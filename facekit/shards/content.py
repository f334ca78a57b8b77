"""Whether what a shard says adds up: order, counts, states, finite numbers, masks as drawn."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit import schema
from facekit.shards.layout import Array, Header

INDEX: Final = ("video_id", "frame_index", "track_id")
"""The columns that order the faces; 12 bytes a face, so they are read in one piece."""

MASK_TOLERANCE: Final = 1
"""Levels of 255 by which a mask may differ when redrawn: processors round the last bit apart."""

_FINITE: Final = ("pts_s", "box_xyxy", "det_score", "crop_affine", "au_ellipses")


def index_problems(index: Mapping[str, Array], videos: Mapping[str, Array]) -> list[str]:
    """What is wrong with the order of the faces and the table of videos.

    Args:
        index: the columns `INDEX`, whole.
        videos: the table `videos`; strings as bytes.

    Returns:
        One line a problem.

    >>> none = {name: np.empty(0, np.int32) for name in INDEX}
    >>> index_problems(none, {name: np.empty(0, "S1") for name in schema.VIDEOS})
    []
    """
    video_id, frame_index, track_id = (np.asarray(index[name], np.int64) for name in INDEX)
    problems = []
    if len(video_id) and not 0 <= video_id.min() <= video_id.max() < len(videos["key"]):
        return ["video_id points outside the table of videos"]
    if not _ascending(video_id, frame_index, track_id):
        problems.append("faces are not in order of video, frame and track")
    if len(frame_index) and min(frame_index.min(), track_id.min()) < 0:
        problems.append("a frame_index or track_id is below 0")
    keys = videos["key"].tolist()
    if any(a >= b for a, b in pairwise(keys)) or b"" in keys:
        problems.append("keys of videos are not in order, not unique, or empty")
    frames = _frames_with_face(video_id, frame_index, len(keys))
    return problems + [line for i in range(len(keys)) for line in _video(videos, i, frames[i])]


def _ascending(*columns: npt.NDArray[np.int64]) -> bool:
    """Whether rows rise strictly, compared column by column as tuples are."""
    if len(columns[0]) < 2:
        return True
    order = np.lexsort(columns[::-1])
    rows = np.stack(columns, axis=1)
    distinct = (rows[1:] != rows[:-1]).any(axis=1).all()
    return bool(distinct and (order == np.arange(len(order))).all())


def _frames_with_face(
    video_id: npt.NDArray[np.int64], frame_index: npt.NDArray[np.int64], videos: int
) -> npt.NDArray[np.int64]:
    pairs = np.unique(np.stack([video_id, frame_index], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=videos)


def _video(videos: Mapping[str, Array], i: int, frames: int) -> list[str]:
    """What is wrong with one row of `videos`, given the frames on which its faces stand."""
    row = {name: array[i] for name, array in videos.items()}
    key = row["key"].decode(errors="backslashreplace")
    status = row["status"].decode(errors="backslashreplace")
    checks = {
        f"unknown status {status!r}": status in schema.STATUSES,
        f"label {row['label']}": row["label"] in (-1, 0, 1),
        f"status {status}, {frames} frames with a face": {
            "ok": frames > 0,
            "no_face": frames == 0,
        }.get(status, True),
        f"{frames} frames with a face, {row['frames_with_face']} are claimed": (
            frames == row["frames_with_face"]
        ),
        "more frames with a face than frames sampled": (
            row["frames_with_face"] <= row["frames_sampled"]
        ),
    }
    return [f"video {key}: {problem}" for problem, fine in checks.items() if not fine]


def block_problems(block: Mapping[str, Array], header: Header) -> list[str]:
    """What is wrong with the numbers of some faces, all columns given.

    Returns:
        One line a problem.
    """
    problems = [f"{name} is not finite" for name in _FINITE if not np.isfinite(block[name]).all()]
    if not np.isin(block["au_occurrence"], (-1, 0, 1)).all():
        problems.append("au_occurrence is none of -1, 0, 1")
    if not problems and not _masks_agree(block, header):
        problems.append("au_mask is not what au_ellipses draw")
    return problems


def _masks_agree(block: Mapping[str, Array], header: Header) -> bool:
    from facekit import au_masks

    ellipses_NE5 = np.asarray(block["au_ellipses"], np.float32)
    drawn = au_masks.render_stored(ellipses_NE5, size_px=header.size_px)
    apart = np.abs(drawn.astype(np.int16) - block["au_mask"].astype(np.int16))
    return bool((apart <= MASK_TOLERANCE).all())
