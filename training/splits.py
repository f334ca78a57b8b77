"""Which videos are trained on, validated with and tested: never the same people in two of them."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from facekit.errors import BadInput
from training.options import Data

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

ROLES: Final = ("train", "val", "test")
"""What a video can be used for; an empty role is none of them."""


def people(videos: "pd.DataFrame") -> list[str]:
    """The name of the set of people whom each video shows, the same for all that are linked.

    Videos are linked by an equal `group`; a fake with its `original`; and, where a fake is named
    `ORIGINAL_SOURCE` as FaceForensics++ names them, with the video SOURCE beside its original.
    Links chain. A video that says none of this is known by its own key.

    Args:
        videos: one row a video, with `key`, `group` and `original`.

    Returns:
        One name a video: the first in order of the groups that are linked, or of the keys where
        there are no groups.

    >>> import pandas as pd
    >>> rows = [("y/1", "", "1"), ("y/2", "", "2"), ("d/1_2", "y/1", "12"), ("y/3", "", "")]
    >>> people(pd.DataFrame(rows, columns=["key", "original", "group"]))
    ['1', '1', '1', 'y/3']
    """
    links = _Links()
    for key, original, group in zip(videos.key, videos.original, videos.group, strict=True):
        links.join(("key", key), ("key", key))
        if group:
            links.join(("key", key), ("group", group))
        if original:
            links.join(("key", key), ("key", original))
            source = _source(key, original)
            if source:
                links.join(("key", key), ("key", source))
    return [links.name(("key", key)) for key in videos.key]


def _source(key: str, original: str) -> str:
    """Key of the video whose face was put into a fake, by name; empty where names do not say.

    >>> _source("ffpp/Deepfakes/c23/035_036", "ffpp/youtube/c23/035")
    'ffpp/youtube/c23/036'
    >>> _source("035_036", "035")
    '036'
    >>> _source("dfdc/abc", "dfdc/xyz")
    ''
    """
    folder, slash, target = original.rpartition("/")
    stem = key.rpartition("/")[2]
    if not stem.startswith(f"{target}_"):
        return ""
    return f"{folder}{slash}{stem[len(target) + 1 :]}"


_Node = tuple[str, str]


class _Links:
    """Sets that grow together; the name of one is its first group, or its first key."""

    def __init__(self) -> None:
        self._parent: dict[_Node, _Node] = {}

    def join(self, one: _Node, other: _Node) -> None:
        # "group" sorts before "key", so the root of a set is its name.
        first, last = sorted((self._root(one), self._root(other)))
        self._parent[last] = first

    def _root(self, node: _Node) -> _Node:
        parent = self._parent.setdefault(node, node)
        while parent != self._parent[parent]:
            self._parent[node] = self._parent[parent]
            node, parent = parent, self._parent[parent]
        return parent

    def name(self, node: _Node) -> str:
        return self._root(node)[1]


def part_of(name: str, seed: int, parts: int) -> int:
    """Which part a set of people falls into: a pure function of its name and the seed.

    It stays what it is when videos are added or left out, at the price of parts of uneven size.

    >>> [part_of(name, 0, 3) for name in ("ffpp/035_036", "ffpp/044_945")]
    [0, 1]
    """
    return _hash(f"{seed}:{name}") % parts


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def roles(videos: "pd.DataFrame", data: Data, seed: int) -> list[tuple[str, str]]:
    """What each video is for, and why.

    Args:
        videos: one row a video, with `key`, `method`, `label`, `split`, `group` and `original`.
        data: `split`, `folds` and `fold`; `task` and `methods`.
        seed: of the run; decides the parts of the people.

    Returns:
        One (role, why) a video; a video that is not used has an empty role. With task = tampered,
        fakes are not trained on; with `methods`, other fakes are neither trained on nor validated
        with. Both are tested.

    Raises:
        BadInput: the shards' own splits are missing, unknown or divide people; no such method.
    """
    _require_methods(videos, data)
    named = people(videos)
    if _goes_by_column(videos, data):
        split = _by_column(videos, named)
    else:
        _report_unnamed(videos)
        split = _by_people(named, data, seed)
    both = zip(split, videos.label, videos.method, strict=True)
    return [_narrowed(role, why, label, method, data) for (role, why), label, method in both]


def _require_methods(videos: "pd.DataFrame", data: Data) -> None:
    known = sorted(set(videos.method[videos.label == 1]))
    for name in data.method_names():
        if name not in known:
            there = ", ".join(filter(None, known)) or "none"
            raise BadInput(f"data.methods: no fake here was made by {name!r}; there are {there}")


def _goes_by_column(videos: "pd.DataFrame", data: Data) -> bool:
    if data.split == "auto":
        return bool((videos.split != "").all())
    return data.split == "column"


def _by_column(videos: "pd.DataFrame", named: Iterable[str]) -> list[tuple[str, str]]:
    """The shards' own splits, where they make sense."""
    first: dict[str, tuple[str, str]] = {}
    for key, split, name in zip(videos.key, videos.split, named, strict=True):
        if split not in ("", *ROLES):
            raise BadInput(f"{key}: its split is {split!r}, none of {', '.join(ROLES)}")
        if split:
            other, beside = first.setdefault(name, (split, key))
            if other != split:
                raise BadInput(
                    f"the people {name!r} are in {other} with {beside} and in {split} with {key}; "
                    "take data.split = groups"
                )
    if not first:
        raise BadInput("data.split = column, but no video here has a split; take groups")
    without = int((videos.split == "").sum())
    if without:
        log.warning("%d of %d videos have no split and are not used", without, len(videos))
    return [(split, "its own split" if split else "no split") for split in videos.split]


def _report_unnamed(videos: "pd.DataFrame") -> None:
    unnamed = (videos.group == "") & (videos.original == "") & (videos.label == 1)
    if unnamed.any():
        log.warning(
            "%d fakes name neither a group nor an original, such as %s: whether their people are "
            "in two splits cannot be told",
            int(unnamed.sum()),
            videos.key[unnamed].iloc[0],
        )


def _by_people(named: Sequence[str], data: Data, seed: int) -> list[tuple[str, str]]:
    """One part tests; of the others, those who come first by another hash validate."""
    role = {name: "test" for name in named if part_of(name, seed, data.folds) == data.fold}
    others = sorted(set(named) - set(role), key=lambda name: _hash(f"{seed}:val:{name}"))
    validating = max(1, round(data.validation * len(others)))
    for place, name in enumerate(others):
        role[name] = "val" if place < validating else "train"
    return [(role[name], f"people {name}") for name in named]


def _narrowed(role: str, why: str, label: int, method: str, data: Data) -> tuple[str, str]:
    if role == "train" and label == 1 and data.task == "tampered":
        return "", "fake, and data.task = tampered learns from real faces"
    methods = data.method_names()
    if role in ("train", "val") and label == 1 and methods and method not in methods:
        return "", "its method is not among data.methods"
    return role, why
