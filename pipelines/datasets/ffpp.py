"""FaceForensics++ and DeepFakeDetection, in the folders that the official script downloads.

```
original_sequences/{youtube,actors}/{raw,c23,c40}/videos/035.mp4, 01__exit_phone_room.mp4
manipulated_sequences/<method>/{raw,c23,c40}/videos/035_036.mp4
manipulated_sequences/<method>/masks/videos/035_036.mp4
train.json val.json test.json                     # here, in splits/ or in dataset/splits/
```

A fake `035_036` shows the video 035 with the face of 036; `01_02__exit_phone_room__0AB1CDEF` shows
actor 01 with the face of actor 02. Names of folders match in any case, and c0 is called raw.
"""

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from facekit.errors import BadInput
from facekit.video import Video
from pipelines.folders import (
    entries_of,
    exists,
    is_folder,
    is_hidden,
    is_video,
    kind_of,
    said,
    shown,
)

log = logging.getLogger(__name__)

KINDS: Final = {"original_sequences": 0, "manipulated_sequences": 1}
"""Folder below the root -> label of what lies in it."""

METHODS: Final = {
    "original_sequences": ("youtube", "actors"),
    "manipulated_sequences": (
        *("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter"),
        "DeepFakeDetection",
    ),
}
"""Folder below the root -> folders in it, each a method or a source of real videos."""

COMPRESSIONS: Final = {"raw": "raw", "c0": "raw", "c23": "c23", "c40": "c40"}
"""Name of the folder -> name in the key."""

SPLITS: Final = ("train", "val", "test")
_SPLIT_FOLDERS: Final = (".", "splits", "dataset/splits")

_BESIDE: Final = frozenset({"masks", "splits", "dataset", "train.json", "val.json", "test.json"})
"""Names that belong to the layout without being a level of it."""

_FAKE: Final = re.compile(r"(?P<target>\d{3})_(?P<source>\d{3})")
_NAMES: Final = {
    "youtube": re.compile(r"(?P<target>\d{3})"),
    "actors": re.compile(r"(?P<target>\d{2})__(?P<scene>.+)"),
    "DeepFakeDetection": re.compile(
        r"(?P<target>\d{2})_(?P<source>\d{2})__(?P<scene>.+)__[A-Za-z0-9]{8}"
    ),
}
"""How files of a method are named; those not listed here as `_FAKE`."""

_EXPECTED: Final = (
    "the layout is original_sequences/{youtube,actors}/{raw,c23,c40}/videos/*.mp4 and "
    "manipulated_sequences/METHOD/{raw,c23,c40}/videos/*.mp4"
)

_Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A video file with what its folders and its name say."""

    path: Path
    method: str
    compression: str
    label: int
    mask: Path | None
    target: str = ""
    source: str = ""
    scene: str = ""

    @property
    def is_staged(self) -> bool:
        """Whether actors play in it: the part called DeepFakeDetection."""
        return self.method in ("actors", "DeepFakeDetection")

    @property
    def original(self) -> str:
        """Key of the video whose frames a fake keeps, whether or not that one is there."""
        if not (self.label and self.target):
            return ""
        if self.is_staged:
            return f"ffpp/actors/{self.compression}/{self.target}__{self.scene}"
        return f"ffpp/youtube/{self.compression}/{self.target}"

    @property
    def linked(self) -> _Pair | None:
        """The YouTube ids that must share group and split, twice the same for a real video."""
        unknown = self.is_staged or not self.target
        return None if unknown else (self.target, self.source or self.target)

    @property
    def own_group(self) -> str:
        """The group of an actor's video."""
        return f"ffpp/actors/{self.target}" if self.is_staged and self.target else ""


@dataclass(frozen=True, kw_only=True)
class _Left:
    """What is left out."""

    folders: list[str] = field(default_factory=list)
    files: Counter[str] = field(default_factory=Counter)

    def add(self, entry: os.DirEntry[str]) -> None:
        if is_folder(entry) and not is_hidden(entry.name):
            self.folders.append(entry.path)
        else:
            self.files[kind_of(entry.name)] += 1


def videos_of(root: Path) -> list[Video]:
    """The videos of FaceForensics++ that are there: any methods, any compressions.

    `original` is the key of the target's video at the same compression, whether or not that video
    is there. `split` comes from the official files where they are given, by pairs in both
    directions; the actors' videos have no official split and keep an empty one. `group` joins the
    ids that fakes or pairs link, as `ffpp/035_036`; it is the official pair once the split files
    or all fakes of one method are there. Fakes link nearly all actors with each other, which would
    leave one group that cannot be divided; theirs is the target actor, `ffpp/actors/01`, so that
    the faces put in do cross these groups.

    Args:
        root: the folder that holds `original_sequences` and `manipulated_sequences`.

    Raises:
        BadInput: neither folder is there, they hold no video, or a split file makes no sense.
    """
    left = _Left()
    if not list(_known(root, KINDS, _Left())):
        raise BadInput(_wrong_root(root))
    found = list(_found(root, left))
    if not found:
        raise BadInput(f"no videos below {shown(root)}; {said(left.files)}; {_EXPECTED}")
    _report(root, found, left)
    pairs = _official_pairs(root)
    split_of = _splits(root, pairs)
    official = [pair for listed in pairs.values() for pair in listed]
    group_of = _groups([one.linked for one in found if one.linked] + official)
    return [_video(root, one, split_of, group_of) for one in found]


def _found(root: Path, left: _Left) -> Iterator[_Found]:
    for kind, method, compression, folder in _video_folders(root, left):
        masks = _masks(folder.parent.parent)
        for entry in entries_of(folder):
            if is_folder(entry) or not is_video(entry.name):
                left.add(entry)
                continue
            path = folder / entry.name
            name = _NAMES.get(method, _FAKE).fullmatch(path.stem)
            yield _Found(
                path=path,
                method=method,
                compression=COMPRESSIONS[compression],
                label=KINDS[kind],
                mask=masks.get(path.stem),
                **(name.groupdict() if name else {}),
            )


def _video_folders(root: Path, left: _Left) -> Iterator[tuple[str, str, str, Path]]:
    for kind, of_kind in _known(root, KINDS, left):
        for method, of_method in _known(of_kind, METHODS[kind], left):
            for compression, of_compression in _known(of_method, COMPRESSIONS, left):
                for _, folder in _known(of_compression, ("videos",), left):
                    yield kind, method, compression, folder


def _known(folder: Path, names: Iterable[str], left: _Left) -> Iterator[tuple[str, Path]]:
    """Folders that have one of these names in any case; the rest is counted."""
    by_lower = {name.lower(): name for name in names}
    for entry in entries_of(folder):
        lower = entry.name.lower()
        if lower in by_lower and is_folder(entry):
            yield by_lower[lower], folder / entry.name
        elif lower not in _BESIDE:
            left.add(entry)


def _masks(of_method: Path) -> dict[str, Path]:
    """Name without ending -> mask video, for a method that has any."""
    return {
        Path(entry.name).stem: folder / entry.name
        for masks, in_masks in _known(of_method, ("masks",), _Left())
        for _, folder in _known(in_masks, ("videos",), _Left())
        for entry in entries_of(folder)
        if is_video(entry.name)
    }


def _report(root: Path, found: Sequence[_Found], left: _Left) -> None:
    log.info("%s: %d videos, %s", shown(root), len(found), said(left.files))
    if left.folders:
        log.warning(
            "%s: %d folders are left out, the layout does not know them: %s",
            shown(root),
            len(left.folders),
            ", ".join(map(shown, sorted(left.folders)[:12])),
        )
    odd = [one.path for one in found if not one.target]
    if odd:
        log.warning(
            "%d videos are taken without original, split and group, as their names are not the "
            "official ones, such as %s",
            len(odd),
            shown(odd[0]),
        )


def _wrong_root(root: Path) -> str:
    parts = root.absolute().parts
    inside = [i for i, part in enumerate(parts) if part.lower() in KINDS]
    if inside:
        return f"{shown(root)} lies inside FaceForensics++; give {shown(Path(*parts[: inside[0]]))}"
    for entry in entries_of(root):
        if any(exists(root / entry.name / kind) for kind in KINDS):
            return f"FaceForensics++ lies one folder deeper; give {shown(root / entry.name)}"
    return f"no FaceForensics++ in {shown(root)}; {_EXPECTED}"


def _official_pairs(root: Path) -> dict[str, list[_Pair]]:
    """Split -> its pairs, of the first folder that has any of the three files."""
    for place in _SPLIT_FOLDERS:
        files = {split: root / place / f"{split}.json" for split in SPLITS}
        there = {split: file for split, file in files.items() if exists(file)}
        missing = [shown(file) for split, file in files.items() if split not in there]
        if there and missing:
            log.warning("%s: not there, its videos get no split", " and ".join(missing))
        if there:
            return {split: _read_pairs(file) for split, file in there.items()}
    log.info("%s: no train.json, val.json and test.json, so no video gets a split", shown(root))
    return {}


def _read_pairs(file: Path) -> list[_Pair]:
    try:
        pairs = json.loads(file.read_text(encoding="utf-8"))
        return [(_id(one), _id(other)) for one, other in pairs]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise BadInput(
            f'{shown(file)} is no split file, a list of pairs such as ["035", "036"]: {error}'
        ) from error


def _id(value: object) -> str:
    if not isinstance(value, str) or not _NAMES["youtube"].fullmatch(value):
        raise ValueError(f"{value!r} is no id")
    return value


def _splits(root: Path, pairs: Mapping[str, Sequence[_Pair]]) -> dict[str, str]:
    """Id -> split."""
    split_of: dict[str, str] = {}
    for split, listed in pairs.items():
        for number in {number for pair in listed for number in pair}:
            other = split_of.setdefault(number, split)
            if other != split:
                raise BadInput(
                    f"{shown(root)}: video {number} is in {other}.json and in {split}.json"
                )
    return split_of


def _groups(links: Iterable[_Pair]) -> dict[str, str]:
    """Id -> name of the set of ids that links join: its two smallest, since no id is in two.

    >>> sorted(_groups([("036", "035"), ("035", "036"), ("044", "044")]).items())
    [('035', 'ffpp/035_036'), ('036', 'ffpp/035_036'), ('044', 'ffpp/044')]
    """
    joined: dict[str, set[str]] = {}
    for one, other in links:
        both = joined.get(one, {one}) | joined.get(other, {other})
        joined.update(dict.fromkeys(both, both))
    return {number: f"ffpp/{'_'.join(sorted(ids)[:2])}" for number, ids in joined.items()}


def _video(
    root: Path, one: _Found, split_of: Mapping[str, str], group_of: Mapping[str, str]
) -> Video:
    splits = {split_of.get(number, "") for number in one.linked or ()}
    return Video(
        key=f"ffpp/{one.method}/{one.compression}/{one.path.stem}",
        path=one.path.absolute(),
        relative_path=one.path.relative_to(root).as_posix(),
        dataset="ffpp",
        method=one.method,
        compression=one.compression,
        label=one.label,
        split=splits.pop() if len(splits) == 1 else "",
        original=one.original,
        group=one.own_group or group_of.get(one.target, ""),
        mask_path=one.mask.relative_to(root).as_posix() if one.mask else "",
    )
