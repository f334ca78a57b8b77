"""Folder layouts of known datasets. One file a layout, one function each."""

import importlib
from pathlib import Path
from typing import Final

from facekit.errors import BadInput
from facekit.video import Video

LAYOUTS: Final = {
    "ffpp": "pipelines.datasets.ffpp:videos_of",
}
"""Name -> `module:function`. The function is called with the root and returns its videos."""


def videos_of_layout(name: str, root: Path) -> list[Video]:
    """The videos of a known dataset.

    Args:
        name: one of `LAYOUTS`.
        root: the folder that holds the dataset.

    Raises:
        BadInput: no layout of that name, or the folder does not look like it.

    >>> videos_of_layout("imagenet", Path("anywhere"))
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: no dataset is called 'imagenet'; there are ffpp
    """
    if name not in LAYOUTS:
        raise BadInput(f"no dataset is called {name!r}; there are {', '.join(sorted(LAYOUTS))}")
    module_name, _, function_name = LAYOUTS[name].partition(":")
    function = getattr(importlib.import_module(module_name), function_name)
    videos: list[Video] = function(root)
    return videos
