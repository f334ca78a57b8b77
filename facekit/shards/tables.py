"""Videos and faces as pandas tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from facekit import schema
from facekit.faces import VideoRecord
from facekit.shards.layout import Array

if TYPE_CHECKING:
    import pandas as pd

JOINED: Final = (
    "key",
    "dataset",
    "method",
    "compression",
    "label",
    "split",
    "original",
    "group",
    "status",
)
"""What a row of `faces` tells of its video."""


def videos(records: Sequence[VideoRecord]) -> "pd.DataFrame":
    """One row a video, with the columns of `schema.VIDEOS`; `size_wh` holds pairs."""
    import pandas as pd

    made = pd.DataFrame([record.row() for record in records], columns=list(schema.VIDEOS))
    return made.astype(
        {
            name: column.dtype
            for name, column in schema.VIDEOS.items()
            if not column.shape and not column.dtype.startswith("utf8")
        }
    )


def faces(
    columns: Mapping[str, Array], of_videos: "pd.DataFrame", au_names: Sequence[str]
) -> "pd.DataFrame":
    """One row a face: `JOINED` of its video, then its columns, one a number.

    Args:
        columns: columns of `schema.COLUMNS`, `video_id` among them.
        of_videos: the table that `video_id` points into.
        au_names: names for the columns of action units.
    """
    import pandas as pd

    spread: dict[str, Array] = {}
    for name, array in columns.items():
        spread.update(_spread(name, array, au_names))
    rows = (
        of_videos[list(JOINED)]
        .iloc[np.asarray(columns["video_id"], np.int64)]
        .reset_index(drop=True)
    )
    return pd.concat([rows, pd.DataFrame(spread)], axis=1)


def _spread(name: str, array: Array, au_names: Sequence[str]) -> dict[str, Array]:
    if array.ndim == 1:
        return {name: array}
    labels = ["_".join(map(str, at)) for at in np.ndindex(array.shape[1:])]
    if schema.COLUMNS[name].shape == ("A",):
        labels = list(au_names)
    flat = array.reshape(len(array), len(labels))
    return {f"{name}_{label}": flat[:, i] for i, label in enumerate(labels)}
