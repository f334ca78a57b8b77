"""A few faces of a shard folder, spread evenly over its videos, as one picture."""

from pathlib import Path

import numpy as np

from facekit import pictures, shards
from facekit.errors import BadInput


def preview(
    path: str | Path,
    out: str | Path = "preview.png",
    *,
    faces: int = 12,
    key: str | None = None,
    masks: bool = False,
) -> Path:
    """Draw crops with points, masks and AU names, as a sheet that a person can judge at a glance.

    Args:
        path: a shard folder, or one shard.
        out: PNG to write.
        faces: how many faces to draw, 1 to 100; spread evenly over the videos.
        key: only videos whose key contains this; None takes all.
        masks: draw the 15 masks of one face, each on its own, in place of the sheet.

    Returns:
        `out`.

    Raises:
        BadInput: there is no face to draw, `faces` is out of range, or `out` cannot be written.
        BadShard: the shards cannot be read.

    >>> preview("shards/", faces=0)
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: --faces must lie in 1 to 100, not 0
    """
    if not 1 <= faces <= 100:
        raise BadInput(f"--faces must lie in 1 to 100, not {faces}")
    with shards.open_shards(path) as opened:
        videos = opened.videos
        wanted = videos["key"].str.contains(key or "", regex=False).to_numpy()
        video_of_face = np.repeat(np.arange(len(videos)), opened.faces_per_video())
        drawable = np.flatnonzero(wanted[video_of_face])
        if not len(drawable):
            raise BadInput(
                f"{path} holds no such face, in {len(videos)} videos; `facekit inspect` says what "
                "it holds"
            )
        chosen = pictures.spread(video_of_face[drawable].tolist(), 1 if masks else faces)
        rows = [
            {**opened[int(row)], **videos.loc[video_of_face[row], ["key", "status"]].to_dict()}
            for row in drawable[chosen]
        ]
        au_names, size_px = opened.provenance.au_names, opened.header.size_px
    if masks:
        pictures.mask_grid(rows[0], Path(out), au_names=au_names, size_px=size_px)
    else:
        pictures.contact_sheet(rows, Path(out), au_names=au_names, size_px=size_px)
    return Path(out)
