"""Fakes with the videos they were made from, and which of these pairs a volume compares.

Everything is drawn by hashing keys with the seed, so that a selection does not depend on the order
of the inputs, on the machine, or on a random number generator.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from facekit.errors import BadInput
from facekit.video import Video
from pipelines.au_csv import stem_of

REENACTMENTS: Final = frozenset({"Face2Face", "NeuralTextures"})
"""Methods that keep the original's face and borrow its expression from another video."""

_IDS: Final = re.compile(r"(\d{3})(?:_(\d{3}))?")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A fake and its original.

    Args:
        real: key of the original, which gave the fake its frames.
        fake: key of the fake.
        identity: name of the identity group: the least key among the reals whose people are
            linked with these.
    """

    real: str
    fake: str
    identity: str


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Every fake with its original.

    Args:
        pairs: group of fakes, named by method, -> its pairs, in order of the fake's key.
        left_out: reason -> videos that cannot be compared for it.
        example: reason -> key of one of these.
    """

    pairs: Mapping[str, Sequence[Pair]]
    left_out: Mapping[str, int]
    example: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What one comparison is made of: m reals and their m fakes.

    Args:
        method: group of fakes.
        volume: share of its pairs, as text.
        available: pairs there are.
        pairs: those taken, in order of the real's key.
    """

    method: str
    volume: str
    available: int
    pairs: tuple[Pair, ...]


def match(videos: Sequence[Video], faces: Sequence[int]) -> Matching:
    """Pair every fake with its original, and link the people.

    Args:
        videos: with labels, methods and originals.
        faces: labelled faces of each.

    Raises:
        BadInput: there is no real or no fake among the videos, or no pair.

    >>> real = Video(key="a", path=None, relative_path="a.mp4", label=0)
    >>> fake = Video(key="b", path=None, relative_path="b.mp4", label=1, method="x", original="a")
    >>> match([real, fake], [9, 9]).pairs["x"]
    [Pair(real='a', fake='b', identity='a')]
    """
    by_key = {video.key: video for video in videos}
    labelled = {video.key for video, count in zip(videos, faces, strict=True) if count}
    reasons = {video.key: _unfit(video, by_key, labelled) for video in videos}
    fakes = [video for video in videos if video.label == 1 and not reasons[video.key]]
    paired = {video.original for video in fakes}
    for video in videos:
        if video.label == 0 and not reasons[video.key] and video.key not in paired:
            reasons[video.key] = "a real video without a fake"
    if not fakes:
        raise BadInput(_why_none(videos, reasons))
    identity_of = _identities(videos, fakes)
    name_of = _group_names(fakes)
    pairs: dict[str, list[Pair]] = defaultdict(list)
    for fake in sorted(fakes, key=lambda video: video.key):
        pair = Pair(real=fake.original, fake=fake.key, identity=identity_of[fake.original])
        pairs[name_of[fake.key]].append(pair)
    left = sorted((reason, key) for key, reason in reasons.items() if reason)
    return Matching(
        pairs=dict(sorted(pairs.items())),
        left_out=dict(sorted(Counter(reason for reason, _ in left).items())),
        example=dict(reversed(left)),
    )


def _unfit(video: Video, by_key: Mapping[str, Video], labelled: set[str]) -> str:
    if video.label not in (0, 1):
        return "neither real nor fake by its label"
    if video.key not in labelled:
        return "no face of it has an AU label"
    if video.label == 0:
        return ""
    if not video.original:
        return "a fake that does not name its original"
    original = by_key.get(video.original)
    if original is None:
        return "a fake whose original is not among the inputs"
    if original.label != 0:
        return "a fake whose original is not labelled real"
    return "" if original.key in labelled else "a fake whose original has no labelled face"


def _why_none(videos: Sequence[Video], reasons: Mapping[str, str]) -> str:
    counts = Counter(video.label for video in videos)
    if not counts[0] or not counts[1]:
        lacking = "real" if not counts[0] else "fake"
        unknown = f" and {counts[-1]} of unknown label" if counts[-1] else ""
        return (
            f"no video is labelled {lacking}: there are {counts[0]} real, {counts[1]} fake"
            f"{unknown}; labels come from extract --dataset or a manifest"
        )
    fakes = [video for video in videos if video.label == 1]
    reason, count = Counter(reasons[video.key] for video in fakes).most_common(1)[0]
    first = next(video for video in fakes if reasons[video.key] == reason)
    named = f", original {first.original!r}" if first.original else ""
    return (
        f"no pair to compare: {counts[0]} real and {counts[1]} fake videos, of the fakes {count} "
        f"are each {reason}, such as {first.key}{named}"
    )


def _identities(videos: Sequence[Video], fakes: Sequence[Video]) -> dict[str, str]:
    """Key of a real -> name of its identity group, a connected component of shared people."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    reals = [video for video in videos if video.label == 0]
    for video in [*reals, *fakes]:
        nodes = [f"video {video.key}", *_people(video)]
        if video.original:
            nodes.append(f"video {video.original}")
        for node in nodes[1:]:
            parent[root(node)] = root(nodes[0])
    members: dict[str, list[str]] = defaultdict(list)
    for video in reals:
        members[root(f"video {video.key}")].append(video.key)
    return {key: min(keys) for keys in members.values() for key in keys}


def _people(video: Video) -> list[str]:
    """Names of the people in a video: its group, and the ids in a name of FaceForensics++."""
    people = [f"group {video.dataset} {video.group}"] if video.group else []
    ids = _IDS.fullmatch(stem_of(video.relative_path))
    if ids and video.dataset in ("", "ffpp"):
        people += [f"id {number}" for number in ids.groups() if number]
    return people


def _group_names(fakes: Sequence[Video]) -> dict[str, str]:
    """Key -> method, with dataset and compression where these differ among the fakes."""
    fields = ["method"]
    if len({video.dataset for video in fakes}) > 1:
        fields.insert(0, "dataset")
    if len({video.compression for video in fakes}) > 1:
        fields.append("compression")
    named = {video.key: [getattr(video, field) for field in fields] for video in fakes}
    return {key: "/".join(filter(None, parts)) or "fake" for key, parts in named.items()}


def select(
    matching: Matching, shares: Sequence[Fraction], *, disjoint: bool, seed: int
) -> list[Selection]:
    """Draw the pairs of every method and volume.

    Reals stand in the order of a hash of seed and key, the same for every method; a volume takes
    the first of them, so larger volumes hold the smaller. Disjoint volumes take theirs one after
    the other, so `0.2,0.8` are the first fifth and the rest. Of several fakes of one real by one
    method, the one with the least hash counts.

    Args:
        matching: the pairs.
        shares: volumes, above 0 and at most 1.
        disjoint: no pair in two volumes.
        seed: any.

    Raises:
        BadInput: a volume comes to no pair at all.
    """
    made = []
    for method, pairs in matching.pairs.items():
        order = _drawn(pairs, seed)
        start = Fraction(0)
        for share in shares:
            begin = _rounded(start * len(order)) if disjoint else 0
            end = _rounded((start + share if disjoint else share) * len(order))
            if end <= begin:
                raise BadInput(
                    f"--volumes: {said(share)} of the {len(order)} pairs of {method} is not one"
                )
            taken = tuple(sorted(order[begin:end], key=lambda pair: pair.real))
            made.append(
                Selection(method=method, volume=said(share), available=len(order), pairs=taken)
            )
            start += share
    return made


def _drawn(pairs: Iterable[Pair], seed: int) -> list[Pair]:
    """One pair a real, in hashed order."""
    ranked = sorted(pairs, key=lambda pair: hashed(seed, pair.fake))
    of_real: dict[str, Pair] = {}
    for pair in ranked:
        of_real.setdefault(pair.real, pair)
    return sorted(of_real.values(), key=lambda pair: hashed(seed, pair.real))


def hashed(seed: int, key: str) -> tuple[bytes, str]:
    """What puts keys in a random order that is the same everywhere.

    >>> sorted(["a", "b", "c"], key=lambda key: hashed(1, key))
    ['b', 'c', 'a']
    """
    return hashlib.sha256(f"{seed}\n{key}".encode()).digest(), key


def _rounded(number: Fraction) -> int:
    """To the nearest whole number, halves up."""
    return int(number + Fraction(1, 2))


def said(share: Fraction) -> str:
    """A share in percent, as names of panels and files write it.

    >>> said(Fraction(1, 5)), said(Fraction(1, 8))
    ('20%', '12.5%')
    """
    return f"{float(share * 100):.10g}%"
