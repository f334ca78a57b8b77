"""What to process: files, folders, globs, tables and known datasets become a list of videos.

Keys do not depend on the order of the inputs, on the machine, or on what else is given:

| input | key |
|---|---|
| folder `videos` | `videos/<path below it>` |
| file, or image folder | `files/<name>` |
| glob `videos/*/x*.mp4` | `files/<path below videos>`, as if the shell had expanded the last part |
| table `list.csv` | its column `key`, else `list/<path as given>` |
| known dataset | `ffpp/Deepfakes/c23/000_003` |
"""

import logging
import re
import stat
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from facekit import schema
from facekit.errors import BadInput
from facekit.image_folder import SUFFIXES as IMAGE_EXTENSIONS
from facekit.video import Video
from pipelines.datasets import videos_of_layout
from pipelines.folders import (
    entries_of,
    exists,
    is_hidden,
    is_video,
    kind_of,
    said,
    shown,
    videos_in,
)
from pipelines.tables import EXTENSIONS as TABLE_EXTENSIONS
from pipelines.tables import videos_of_table

log = logging.getLogger(__name__)

_MAGIC: Final = re.compile(r"[*?\[]")
_UNSTORABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAMES: Final = ("key", "dataset", "method", "compression", "original", "group")
_TEXT_BYTES: Final = {
    name: int(schema.VIDEOS[name].dtype.removeprefix("utf8:"))
    for name in (*_NAMES, "relative_path", "split", "mask_path")
}


def videos_of(
    inputs: str | Path | Sequence[str | Path], *, dataset: str | None = None
) -> list[Video]:
    """Every video that the inputs name, sorted by key; nothing is opened.

    A folder is searched at any depth for files with a known ending, and for folders that hold
    nothing but images, which count as one video each. What is ignored is counted and logged. A
    file given by name is taken whatever its ending. A glob whose last part ends in an extension
    counts as naming its files; any other picks out what a folder would.

    Args:
        inputs: files, folders, globs (`**` crosses folders), tables ending in .csv or .parquet
            (see `pipelines.tables`); or roots of a known dataset.
        dataset: name of the layout that the inputs follow (see `pipelines.datasets`).

    Raises:
        BadInput: an input is not there, holds no video, or two videos claim the same key.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "clip.mp4").touch()
    ...     [video.key for video in videos_of([Path(folder) / "clip.mp4"])]
    ['files/clip.mp4']
    """
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if not given:
        raise BadInput("no inputs: give videos, folders, globs in quotes, or a .csv or .parquet")
    found = [video for one in given for video in _videos_of_one(str(one), dataset)]
    videos = _unique(map(_storable, found))
    if len(given) > 1:
        _warn_of_doubles(videos)
    return videos


def part_of(videos: Sequence[Video], index: int, count: int) -> list[Video]:
    """One share of a manifest for job arrays: every `count`-th video from the `index`-th on.

    Args:
        videos: in any order; shares are taken from them sorted by key.
        index: which share, 1 to `count`.
        count: how many shares.

    Raises:
        BadInput: `index` is no number from 1 to `count`.

    >>> videos = [Video(key=key, path=Path(key), relative_path=key) for key in "cabd"]
    >>> [video.key for video in part_of(videos, 2, 3)]
    ['b']
    """
    if not 1 <= index <= count:
        raise BadInput(f"--part must be i/n with 1 <= i <= n, not {index}/{count}")
    return sorted(videos, key=lambda video: video.key)[index - 1 :: count]


def _videos_of_one(given: str, dataset: str | None) -> list[Video]:
    if not given:
        raise BadInput("an input is empty; give a video, folder, glob or table")
    path = Path(given)
    kind = _kind(path)
    if kind == "folder":
        return videos_of_layout(dataset, path) if dataset else _of_folder(path)
    if dataset and kind != "nothing":
        raise BadInput(f"{shown(path)} is no folder; a dataset is given by its root folder")
    if kind == "file":
        return _of_file(path, path.name)
    if kind == "nothing" and _MAGIC.search(given):
        return _of_glob(given)
    raise BadInput(_why_not(path, kind))


def _kind(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot look up {shown(path)}: {error}") from error
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "special"


def _of_folder(folder: Path) -> list[Video]:
    """A folder is named by its own last part, a link by the link's, `.` by where it leads."""
    ignored: Counter[str] = Counter()
    paths = videos_in(folder, ignored)
    if not paths:
        raise BadInput(_no_videos(folder, ignored))
    log.info("%s: %d videos, %s", shown(folder), len(paths), said(ignored))
    name = folder.name if folder.name not in ("", "..") else folder.resolve().name
    if paths == [folder]:
        return [_video(f"files/{name}", folder, name)]
    relatives = {path.relative_to(folder).as_posix(): path for path in paths}
    return [_video(f"{name or 'files'}/{below}", path, below) for below, path in relatives.items()]


def _of_file(path: Path, relative: str) -> list[Video]:
    if path.suffix.lower() in TABLE_EXTENSIONS:
        return videos_of_table(path)
    return [_video(f"files/{relative}", path, relative)]


def _of_glob(pattern: str) -> list[Video]:
    base, rest = _split_glob(pattern)
    try:
        matches = sorted(base.glob(rest))
    except (ValueError, NotImplementedError) as error:
        raise BadInput(f"{shown(pattern)} is no glob: {error}") from error
    ignored: Counter[str] = Counter()
    videos = [
        video
        for match in matches
        if not _is_unasked(match.relative_to(base), rest)
        for video in _of_match(match, base, rest, ignored)
    ]
    if not videos:
        raise BadInput(f"no videos match {shown(pattern)}; {said(ignored)}")
    log.info("%s: %d videos, %s", shown(pattern), len(videos), said(ignored))
    return videos


def _split_glob(pattern: str) -> tuple[Path, str]:
    """The folder before the first wildcard, and the rest.

    >>> _split_glob("data/*/c23/*.mp4")
    (PosixPath('data'), '*/c23/*.mp4')
    """
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if _MAGIC.search(part))
    return Path(*parts[:fixed]), "/".join(parts[fixed:])


def _is_unasked(relative: Path, rest: str) -> bool:
    """Hidden names match only a pattern that has a dot where they have one, as in a shell."""
    return any(map(is_hidden, relative.parts)) and not any(map(is_hidden, rest.split("/")))


def _of_match(match: Path, base: Path, rest: str, ignored: Counter[str]) -> list[Video]:
    if _kind(match) == "folder":
        paths = videos_in(match, ignored)
        return [_video(f"files/{_below(path, base)}", path, _below(path, base)) for path in paths]
    ending = Path(rest).suffix
    if is_video(match.name) or (ending and not _MAGIC.search(ending)):
        return _of_file(match, _below(match, base))
    ignored[kind_of(match.name)] += 1
    return []


def _below(path: Path, base: Path) -> str:
    return path.resolve().name if path == base else path.relative_to(base).as_posix()


def _video(key: str, path: Path, relative_path: str) -> Video:
    return Video(key=key, path=path.absolute(), relative_path=relative_path)


def _no_videos(folder: Path, ignored: Counter[str]) -> str:
    hint = ""
    if IMAGE_EXTENSIONS & ignored.keys():
        hint = "; images count as a video only in a folder that holds nothing else"
    return f"no videos in {shown(folder)}; {said(ignored)}{hint}"


def _why_not(path: Path, kind: str) -> str:
    if kind == "special":
        return f"{shown(path)} is neither a file nor a folder"
    if path.is_symlink():
        return f"{shown(path)} is a link that leads nowhere"
    missing = path
    while not exists(missing.parent):
        missing = missing.parent
    names = [entry.name for entry in entries_of(missing.parent)]
    close = [shown(missing.parent / name) for name in get_close_matches(missing.name, names)]
    hint = f"did you mean {' or '.join(close)}?" if close else "nothing there has a name like it"
    return f"{shown(missing)} is not there; {hint}"


def _storable(video: Video) -> Video:
    """The video with its names in Unicode's composed form, if a shard can hold all of its text."""
    key, dataset, method, compression, original, group = (
        unicodedata.normalize("NFC", getattr(video, name)) for name in _NAMES
    )
    video = replace(
        video,
        key=key,
        dataset=dataset,
        method=method,
        compression=compression,
        original=original,
        group=group,
    )
    for name, most_bytes in _TEXT_BYTES.items():
        fault = _fault(getattr(video, name), most_bytes)
        if fault:
            raise BadInput(f"{shown(video.path)}: its {name} {fault}")
    if {"", ".", ".."} & set(video.key.split("/")):
        raise BadInput(f"{shown(video.path)}: its key {video.key!r} has an empty part or dots")
    return video


def _fault(text: str, most_bytes: int) -> str:
    if _UNSTORABLE.search(text):
        return "holds a control character or is not UTF-8; rename it"
    length = len(text.encode())
    if length > most_bytes:
        return f"is {length} bytes long and {most_bytes} fit; give a table with shorter names"
    return ""


def _unique(videos: Iterable[Video]) -> list[Video]:
    """The videos sorted by key, one and the same given twice once."""
    by_key: dict[str, Video] = {}
    for video in videos:
        other = by_key.setdefault(video.key, video)
        if other.path != video.path and _identity(other) != _identity(video):
            raise BadInput(
                f"{_pair(other, video)} are both called {shown(video.key)}; give one folder that "
                "holds both, or a table with a column key"
            )
        if replace(other, path=video.path) != video:
            raise BadInput(
                f"{_pair(other, video)} are one file, called {shown(video.key)} and described in "
                "two ways; keep one"
            )
    return [by_key[key] for key in sorted(by_key)]


def _identity(video: Video) -> tuple[int, int] | str:
    """Device and inode; the path of what is not there."""
    if not exists(video.path):
        return str(video.path)
    status = video.path.stat()
    return status.st_dev, status.st_ino


def _pair(one: Video, other: Video) -> str:
    """Both paths; escaped where they differ only in how an accent is encoded."""
    paths = str(one.path), str(other.path)
    alike = len({unicodedata.normalize("NFC", path) for path in paths}) == 1
    show = ascii if alike and paths[0] != paths[1] else shown
    return " and ".join(map(show, sorted(paths)))


def _warn_of_doubles(videos: Sequence[Video]) -> None:
    keys: dict[tuple[int, int] | str, list[str]] = defaultdict(list)
    for video in videos:
        keys[_identity(video)].append(video.key)
    doubles = [names for names in keys.values() if len(names) > 1]
    if doubles:
        log.warning(
            "%d files are taken more than once under different keys, such as %s",
            len(doubles),
            " and ".join(map(shown, doubles[0])),
        )
