"""A few faces of a shard folder, spread evenly over its videos, as one picture."""

from pathlib import Path

from facekit import preview as drawing
from facekit import shards
from facekit.errors import BadInput


def preview(
    path: str | Path, out: str | Path = "preview.png", *, faces: int = 12, key: str | None = None
) -> Path:
    """Draw crops with points, masks and AU names, as a sheet that a person can judge at a glance.

    Args:
        path: a shard folder, or one shard.
        out: PNG to write.
        faces: how many faces to draw; spread evenly.
        key: only videos whose key contains this; None takes all.

    Returns:
        `out`.

    Raises:
        BadInput: there is no face to draw, or `faces` is not 1 to 100.
        BadShard: the shards cannot be read.
    """
    if not 1 <= faces <= 100:
        raise BadInput(f"--faces must lie in 1 to 100, not {faces}")
    with shards.open_shards(path) as opened:
        of_face = opened.to_pandas()
        wanted = (
            of_face.index
            if key is None
            else of_face.index[of_face["key"].str.contains(key, regex=False)]
        )
        if not len(wanted):
            raise BadInput(f"{path} holds no face to draw; `facekit inspect` says what it holds")
        count = min(faces, len(wanted))
        chosen = [int(wanted[i * len(wanted) // count]) for i in range(count)]
        rows = [
            {**opened[row], "key": of_face["key"][row], "status": of_face["status"][row]}
            for row in chosen
        ]
        au_names = opened.provenance.au_names
    drawing.contact_sheet(rows, Path(out), au_names=au_names)
    return Path(out)
