"""The sections of a training run as one: a TOML file, and `section.name=value` over it.

All of it is stored in every snapshot. What only decides how a run goes (device, tier, folders) is
an argument of `training.loop.train` and never stored.
"""

import dataclasses
import json
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facekit.errors import BadInput
from facekit.options import field_docs, require
from training.options import Data, Loss, Model, Tampering, Training


@dataclass(frozen=True, kw_only=True)
class Config:
    """All of it.

    >>> Config().model.backbone, Config().loss.token
    ('xception', 30.0)
    """

    data: Data = field(default_factory=Data)
    tampering: Tampering = field(default_factory=Tampering)
    model: Model = field(default_factory=Model)
    loss: Loss = field(default_factory=Loss)
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        require(
            self.loss.cls > 0 or self.learns_tokens,
            "loss.cls = 0 leaves nothing that learns to tell real from fake, but for token labels: "
            "they take data.task = tampered and loss.token above 0",
        )

    @property
    def learns_tokens(self) -> bool:
        """Whether token labels are learnt: on tampered faces, unless they weigh nothing.

        >>> Config().learns_tokens, Config(loss=Loss(token=0.0)).learns_tokens
        (True, False)
        """
        return self.data.task == "tampered" and self.loss.token > 0

    def as_json(self) -> dict[str, dict[str, object]]:
        """The sections as plain JSON values, in order.

        >>> Config.of(Config().as_json()) == Config()
        True
        """
        return dataclasses.asdict(self)

    def as_toml(self) -> str:
        """The same as a TOML file, each field under its help.

        >>> Config().as_toml().splitlines()[1]
        '[data]'
        """
        lines = []
        for section, values in self.as_json().items():
            kind = type(getattr(self, section))
            docs = field_docs(kind)
            lines += [f"# {(kind.__doc__ or '').splitlines()[0]}", f"[{section}]"]
            for name, value in values.items():
                lines += [f"# {line}" for line in docs[name].splitlines()]
                lines.append(f"{name} = {json.dumps(value)}")
            lines.append("")
        return "\n".join(lines)

    @classmethod
    def of(cls, told: Mapping[str, Any], where: str = "config") -> "Config":
        """A config of plain values; what is left out takes its default.

        Args:
            told: section -> field -> value.
            where: what they were read from, for the error.

        Raises:
            BadInput: no such section or field, or a value out of range.
        """
        kinds = typing.get_type_hints(cls)
        sections = {}
        for section, values in told.items():
            if section not in kinds:
                raise BadInput(f"{where}: no section {section!r}; there are {', '.join(kinds)}")
            names = [one.name for one in dataclasses.fields(kinds[section])]
            if not isinstance(values, Mapping):
                raise BadInput(f"{where}: {section} must be a table, not {values!r}")
            for name in values:
                if name not in names:
                    raise BadInput(
                        f"{where}: [{section}] has no {name!r}; there are {', '.join(names)}"
                    )
            sections[section] = kinds[section](**values)
        return cls(**sections)


def read_config(path: Path | None = None, assignments: Iterable[str] = ()) -> Config:
    """Read a TOML file, then change single values.

    Args:
        path: the file; None starts from the defaults.
        assignments: `section.name=value`, the value as TOML; text needs no quotes.

    Raises:
        BadInput: the file cannot be read, or says something that a config cannot take.

    >>> read_config(assignments=["training.epochs=5", "model.backbone=resnet18"]).training.epochs
    5
    """
    told: dict[str, dict[str, Any]] = {}
    if path is not None:
        try:
            told = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise BadInput(f"{path} cannot be read: {problem}") from problem
        Config.of(told, str(path))  # what is wrong with the file is not put down to an assignment
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot):
            raise BadInput(f"--set must look like training.epochs=5, not {assignment!r}")
        told.setdefault(section, {})[key] = _value(value.strip())
    return Config.of(told, "--set")


def _value(text: str) -> Any:
    """A TOML value, or the text itself where it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text
