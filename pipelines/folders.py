"""What lies in a folder: video files, image folders, and what is neither."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from facekit.errors import BadInput
from facekit.image_folder import SUFFIXES as IMAGE_EXTENSIONS

# fmt: off
VIDEO_EXTENSIONS: Final = frozenset(
    {
        ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264", ".hevc",
        ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
        ".mxf", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
    }
)
# fmt: on
"""Endings by which a file in a folder is taken for a video; of a file given by name any will do."""

_DROPPINGS: Final = frozenset({"desktop.ini", "thumbs.db"})
"""Files that file managers leave behind; like hidden files they say nothing about a folder."""


def is_video(name: str) -> bool:
    """Whether a file of this name is taken for a video.

    >>> is_video("000_003.MP4"), is_video("._000_003.mp4"), is_video("notes.txt")
    (True, False, False)
    """
    return Path(name).suffix.lower() in VIDEO_EXTENSIONS and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether a name starts with a dot or is left behind by a file manager.

    >>> is_hidden(".cache"), is_hidden("Thumbs.db"), is_hidden("035.mp4")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in _DROPPINGS


def shown(name: str | Path) -> str:
    r"""A path as messages show it: escaped where a terminal could not tell what it is.

    >>> shown("caf\u00e9.mp4"), shown("a\nb.mp4"), shown("\udcff.mp4")
    ('café.mp4', "'a\\nb.mp4'", "'\\udcff.mp4'")
    """
    text = str(name)
    return text if text.isprintable() else ascii(text)


def exists(path: Path) -> bool:
    """Whether a path leads anywhere; one that the system refuses to look up does not.

    >>> exists(Path()), exists(Path("nowhere")), exists(Path("n" * 300))
    (True, False, False)
    """
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """Everything in a folder, sorted by name.

    Raises:
        BadInput: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise BadInput(
            f"cannot read folder {shown(folder)}: {error.strerror}; "
            "make it readable or leave it out"
        ) from error


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link that leads nowhere is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def videos_in(folder: Path, ignored: Counter[str]) -> list[Path]:
    """Every video below a folder: files with a known ending, and folders that hold images alone.

    Links are followed, except into a folder that the link itself lies in. A link that leads
    nowhere counts as the file its name promises, so that it is reported and not lost.

    Args:
        folder: where to look, at any depth.
        ignored: what is no video is counted here, by ending.

    Returns:
        Paths that start with `folder`, in no particular order; `folder` itself if it holds images.

    Raises:
        BadInput: a folder cannot be read.
    """
    found: list[Path] = []
    waiting: list[tuple[Path, frozenset[tuple[int, int]]]] = [(folder, frozenset())]
    while waiting:
        place, above = waiting.pop()
        identity = _identity(place)
        if identity in above:
            ignored["link to a folder above it"] += 1
            continue
        entries = entries_of(place)
        if _is_image_folder(entries):
            found.append(place)
            continue
        folders = [entry for entry in entries if is_folder(entry)]
        waiting += [
            (place / entry.name, above | {identity})
            for entry in folders
            if not is_hidden(entry.name)
        ]
        found += _files(place, entries, ignored)
    return found


def said(ignored: Counter[str]) -> str:
    """What was ignored, in one clause.

    >>> said(Counter({".txt": 10, ".json": 2}))
    'ignored 12 files that are no videos: .txt 10, .json 2'
    >>> said(Counter())
    'ignored nothing'
    """
    if not ignored:
        return "ignored nothing"
    kinds = sorted(ignored.items(), key=lambda kind: (-kind[1], kind[0]))
    named = ", ".join(f"{shown(kind)} {count}" for kind, count in kinds[:12])
    more = f" and {len(kinds) - 12} other kinds" if len(kinds) > 12 else ""
    total = ignored.total()
    what = "file that is no video" if total == 1 else "files that are no videos"
    return f"ignored {total} {what}: {named}{more}"


def kind_of(name: str) -> str:
    """The word under which an ignored file is counted: its ending, in lower case.

    >>> kind_of("LIST.TXT"), kind_of(".cache"), kind_of("Makefile")
    ('.txt', 'hidden', 'without ending')
    """
    return "hidden" if is_hidden(name) else Path(name).suffix.lower() or "without ending"


def _identity(folder: Path) -> tuple[int, int]:
    """Device and inode, the same by whichever link the folder is reached."""
    try:
        status = folder.stat()
    except OSError as error:
        raise BadInput(f"cannot read folder {shown(folder)}: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _is_image_folder(entries: list[os.DirEntry[str]]) -> bool:
    visible = [entry for entry in entries if not is_hidden(entry.name)]
    return bool(visible) and all(
        Path(entry.name).suffix.lower() in IMAGE_EXTENSIONS and not is_folder(entry)
        for entry in visible
    )


def _files(place: Path, entries: list[os.DirEntry[str]], ignored: Counter[str]) -> Iterator[Path]:
    for entry in entries:
        if is_folder(entry) and not is_hidden(entry.name):
            continue
        if not is_video(entry.name):
            ignored[kind_of(entry.name)] += 1
        elif _is_special(entry):
            ignored["pipe, socket or device"] += 1
        else:
            yield place / entry.name


def _is_special(entry: os.DirEntry[str]) -> bool:
    """A pipe, socket or device: opening one may wait for ever."""
    return not entry.is_symlink() and not entry.is_file()
