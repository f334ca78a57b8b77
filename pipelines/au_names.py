"""What action units are called in the Facial Action Coding System, and groups in names of files."""

import re
from collections.abc import Iterable
from typing import Final

NAMES: Final = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    11: "nasolabial deepener",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    28: "lip suck",
    43: "eyes closed",
    45: "blink",
}
"""Number -> name."""

_NUMBER: Final = re.compile(r"AU0*(\d+)")


def name_of(au: str) -> str:
    """The name of an action unit as shards and CSVs write it; empty if it has none.

    >>> name_of("AU01"), name_of("AU12"), name_of("AU99"), name_of("smile")
    ('inner brow raiser', 'lip corner puller', '', '')
    """
    number = _NUMBER.fullmatch(au)
    return NAMES.get(int(number[1]), "") if number else ""


def labelled(au: str) -> str:
    """An action unit with its name, for a person.

    >>> labelled("AU12"), labelled("smile")
    ('AU12 lip corner puller', 'smile')
    """
    return f"{au} {name_of(au)}".rstrip()


def file_names(groups: Iterable[str]) -> dict[str, str]:
    """Group -> how it is called in names of files.

    >>> file_names(["real", "ffpp/Deepfakes/c23", "a b", "a/b"])
    {'real': 'real', 'ffpp/Deepfakes/c23': 'ffpp-Deepfakes-c23', 'a b': 'a-b', 'a/b': 'a-b-2'}
    """
    made: dict[str, str] = {}
    for group in groups:
        plain = re.sub(r"[^\w.]+", "-", group) or "group"
        name, number = plain, 1
        while name in made.values():
            number += 1
            name = f"{plain}-{number}"
        made[group] = name
    return made
