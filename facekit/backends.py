"""Backends by name: the built-in ones and those that other packages bring.

A third party adds one through the entry point group `facekit.backends`; the entry's name is
`ROLE.NAME`, such as `detector.mine = my_package.my_module:MyDetector`.
"""

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Final, Literal

from facekit.errors import BadInput

GROUP: Final = "facekit.backends"
Role = Literal["detector", "landmarker", "action_units"]


def split_spec(spec: str) -> tuple[str, str | None]:
    """Name and model of `NAME[:MODEL]`.

    >>> split_spec("insightface:scrfd_2.5g_kps"), split_spec("yunet")
    (('insightface', 'scrfd_2.5g_kps'), ('yunet', None))
    """
    name, _, model = spec.partition(":")
    return name, model or None


def known(role: Role, built_in: Mapping[str, str]) -> dict[str, str]:
    """Name -> `module:class` of every backend of a role, plug-ins included.

    Args:
        role: which of the three.
        built_in: facekit's own; a plug-in cannot take one of these names.

    >>> known("detector", {"mine": "my_package:MyDetector"})["mine"]
    'my_package:MyDetector'
    """
    prefix = f"{role}."
    plugged = {
        entry.name.removeprefix(prefix): entry.value
        for entry in entry_points(group=GROUP)
        if entry.name.startswith(prefix)
    }
    return {**plugged, **built_in}


def make(role: Role, spec: str, built_in: Mapping[str, str], **options: object) -> Any:
    """Import the class that a spec names and call it with the model and these options.

    Args:
        role: which of the three.
        spec: `NAME[:MODEL]`.
        built_in: name -> `module:class` of facekit's own.
        **options: keyword arguments of the class.

    Raises:
        BadInput: no backend of that name.

    >>> make("detector", "mine:1/3", {"mine": "fractions:Fraction"})
    Fraction(1, 3)
    """
    name, model = split_spec(spec)
    places = known(role, built_in)
    if name not in places:
        raise BadInput(f"no {role} is called {name!r}; there are {', '.join(sorted(places))}")
    module_name, _, class_name = places[name].partition(":")
    return getattr(importlib.import_module(module_name), class_name)(model, **options)
