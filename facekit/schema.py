"""The columns of a shard: name, dtype, shape, unit, meaning. The only place that knows them.

Light on purpose: neither numpy nor h5py is imported here. Dtypes are numpy's own strings; a string
column is written `utf8:N`, N bytes, fixed length, because HDF5 checksums no other kind.

Letters in shapes: S side of the crop in pixels, A number of action units.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

FORMAT: Final = 1
"""Version of the shard format. A reader refuses any other."""

ELLIPSES: Final = 24
"""Ellipses on a face, from which its masks are drawn (`facekit.au_masks`)."""

MASKS: Final = 15
"""Action units that have a mask (`facekit.au_masks`)."""

MASK_SIDE_PX: Final = 56
"""Side of a stored mask. Ellipses render at any other size."""

Status = Literal[
    "ok",
    "no_face",
    "short_read",
    "corrupt_frames",
    "decode_error",
    "timeout",
    "crashed",
    "out_of_memory",
    "error",
]

STATUSES: Final[Mapping[Status, str]] = {
    "ok": "every frame expected was decoded and a face was found",
    "no_face": "every frame expected was decoded, none of those sampled shows a face",
    "short_read": "fewer frames came out than the file promises; the faces seen are kept",
    "corrupt_frames": "the decoder marked frames as damaged; those are dropped, the rest is kept",
    "decode_error": "not a video that can be opened, or no frame came out",
    "timeout": "no progress for the time allowed; the worker was killed",
    "crashed": "the worker process died",
    "out_of_memory": "the worker outgrew the memory allowed and was killed",
    "error": "an exception in a backend or in facekit itself",
}
"""Every way an input can end; each ends in exactly one. Only those of `SUCCESSES` are success."""

SUCCESSES: Final[frozenset[Status]] = frozenset({"ok", "no_face"})


@dataclass(frozen=True, kw_only=True)
class Column:
    """One dataset of a shard.

    Args:
        name: dataset name; in the group `videos` for a column of `VIDEOS`.
        dtype: numpy dtype string, or `utf8:N` for a string of at most N bytes.
        shape: shape of one row; `"S"` and `"A"` stand for crop side and number of AUs.
        unit: unit and frame of reference.
        meaning: one sentence.
        chunk_rows: rows in one HDF5 chunk.
        gzip: compression level; 0 stores as is.
    """

    name: str
    dtype: str
    shape: tuple[int | Literal["S", "A"], ...] = ()
    unit: str = ""
    meaning: str
    chunk_rows: int = 512
    gzip: int = 0

    def row_shape(self, *, size_px: int, au_count: int) -> tuple[int, ...]:
        """Shape of one row in a shard of this crop side and number of AUs.

        >>> COLUMNS["image"].row_shape(size_px=224, au_count=18)
        (224, 224, 3)
        """
        letters = {"S": size_px, "A": au_count}
        return tuple(letters[n] if isinstance(n, str) else n for n in self.shape)


def _by_name(*columns: Column, chunk_rows: int | None = None) -> Mapping[str, Column]:
    return {
        column.name: replace(column, chunk_rows=chunk_rows or column.chunk_rows)
        for column in columns
    }


COLUMNS: Final[Mapping[str, Column]] = _by_name(
    Column(
        name="image",
        dtype="|u1",
        shape=("S", "S", 3),
        unit="RGB, 0..255",
        meaning="the crop",
        chunk_rows=8,
    ),
    Column(name="frame_index", dtype="<i4", unit="frames", meaning="index in decode order"),
    Column(name="pts_s", dtype="<f8", unit="s", meaning="presentation time of the frame"),
    Column(name="video_id", dtype="<i4", meaning="row of `videos`"),
    Column(name="track_id", dtype="<i4", meaning="person within the video"),
    Column(name="box_xyxy", dtype="<f4", shape=(4,), unit="frame px", meaning="the detector's box"),
    Column(
        name="keypoints_xy",
        dtype="<f4",
        shape=(5, 2),
        unit="frame px",
        meaning="image-left eye, image-right eye, nose, image-left and image-right mouth corner",
    ),
    Column(name="det_score", dtype="<f4", unit="0..1", meaning="the detector's score"),
    Column(
        name="crop_affine",
        dtype="<f4",
        shape=(2, 3),
        unit="px",
        meaning="frame pixel to crop pixel: crop_xy = A[:, :2] @ frame_xy + A[:, 2]",
    ),
    Column(
        name="landmarks_xy",
        dtype="<f4",
        shape=(68, 2),
        unit="crop px",
        meaning="iBUG-68 points, sub-pixel",
    ),
    Column(
        name="au_occurrence",
        dtype="|i1",
        shape=("A",),
        unit="0, 1, -1 unknown",
        meaning="whether the action unit occurs; names in the attribute `au_names`",
    ),
    Column(
        name="au_intensity",
        dtype="<f4",
        shape=("A",),
        unit="0..5 or NaN",
        meaning="intensity where the backend gives one",
    ),
    Column(
        name="au_score",
        dtype="<f4",
        shape=("A",),
        unit="the backend's",
        meaning="the raw decision value behind `au_occurrence`, or NaN",
    ),
    Column(
        name="au_ellipses",
        dtype="<f4",
        shape=(ELLIPSES, 5),
        unit="crop px, rad",
        meaning="cx, cy, a, b, theta of each ellipse",
    ),
    Column(
        name="au_mask",
        dtype="|u1",
        shape=(MASKS, MASK_SIDE_PX, MASK_SIDE_PX),
        unit="0..255",
        meaning="the masks of `facekit.au_masks.MASK_AUS`, drawn from the ellipses",
        chunk_rows=16,
        gzip=4,
    ),
)
"""One row a face, in order of video, frame and track. `image` is absent with `images=False`."""


VIDEOS: Final[Mapping[str, Column]] = _by_name(
    Column(name="key", dtype="utf8:512", meaning="unique, dataset-qualified name", gzip=4),
    Column(name="relative_path", dtype="utf8:1024", meaning="below the folder given", gzip=4),
    Column(name="sha256", dtype="utf8:64", meaning="of the file; empty if unread", gzip=4),
    Column(name="dataset", dtype="utf8:64", meaning="where the video belongs", gzip=4),
    Column(name="method", dtype="utf8:64", meaning="forgery method or source", gzip=4),
    Column(name="compression", dtype="utf8:16", meaning="raw, c23, c40 or empty", gzip=4),
    Column(name="label", dtype="|i1", unit="0, 1, -1", meaning="0 real, 1 fake, -1 unknown"),
    Column(name="split", dtype="utf8:16", meaning="train, val, test or empty", gzip=4),
    Column(name="original", dtype="utf8:512", meaning="key of the video it was made from", gzip=4),
    Column(name="group", dtype="utf8:256", meaning="people not to straddle a split", gzip=4),
    Column(name="mask_path", dtype="utf8:1024", meaning="manipulation mask, relative", gzip=4),
    Column(
        name="labels_sha256",
        dtype="utf8:64",
        meaning="of the file beside the video that labels were read from; empty if none was",
        gzip=4,
    ),
    Column(name="status", dtype="utf8:16", meaning="how the video ended, see `STATUSES`", gzip=4),
    Column(name="fps", dtype="<f8", unit="1/s", meaning="average frame rate; NaN if unknown"),
    Column(name="size_wh", dtype="<i4", shape=(2,), unit="px", meaning="upright frame size"),
    Column(name="frames_expected", dtype="<i4", unit="frames", meaning="what the file promises"),
    Column(name="frames_decoded", dtype="<i4", unit="frames", meaning="what came out"),
    Column(name="frames_corrupt", dtype="<i4", unit="frames", meaning="marked damaged"),
    Column(name="frames_sampled", dtype="<i4", unit="frames", meaning="looked at for faces"),
    Column(
        name="frames_with_face",
        dtype="<i4",
        unit="frames",
        meaning="sampled frames on which a kept face stands",
    ),
    chunk_rows=16,  # a part holds one video, and pays for a whole chunk of each column
)
"""One row a video, whatever its status, in order of key."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How the faces of a shard were measured; stored as its attributes, compared on resume.

    Args:
        measurement: the resolved `facekit.options.Measurement` as plain JSON values.
        au_names: AU numbers or names, one a column of `au_occurrence`; may be empty.
        au_mode: `dynamic`, `static`, `geometric`, `imported` or `none`.
        backends: role (`detector`, `landmarker`, `action_units`) -> name, model file names and
            their sha256.
        versions: package name -> version, for each package that touches the numbers.
    """

    measurement: Mapping[str, object]
    au_names: tuple[str, ...]
    au_mode: str
    backends: Mapping[str, object]
    versions: Mapping[str, str] = field(default_factory=dict)
