"""What the commands share: options made from dataclasses, a TOML file of them, and printing."""

import dataclasses
import json
import tomllib
import typing
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, Final

import click

from facekit.options import field_docs

Command = Callable[..., Any]
PATH: Final = click.Path(path_type=Path)


def options_of(kind: type) -> Callable[[Command], Command]:
    """Click options for every field of an options dataclass, with its docstring as help."""
    docs, types = field_docs(kind), typing.get_type_hints(kind)

    def decorate(command: Command) -> Command:
        for field in reversed(dataclasses.fields(kind)):
            command = _option(field.name, types[field.name], field.default, docs[field.name])(
                command
            )
        return command

    return decorate


def _option(name: str, kind: Any, default: Any, doc: str) -> Callable[[Command], Command]:
    flag = f"--{name.replace('_', '-')}"
    if kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", default=default, help=doc, show_default=True)
    if isinstance(kind, UnionType):
        (kind,) = (k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is typing.Literal:
        kind = click.Choice(typing.get_args(kind))
    return click.option(flag, type=kind, default=default, help=doc, show_default=True)


def _read_config(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Take defaults from a TOML file; flags given on the command line win over them."""
    if path is None:
        return
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise click.BadParameter(f"{path} cannot be read: {problem}") from problem
    known = {_config_name(p): p for p in context.command.params if p.expose_value}
    for name, value in values.items():
        parameter = known.get(name.replace("-", "_"))
        if parameter is None:
            raise click.BadParameter(f"{path}: {name!r} is no option of {context.info_name}")
        if not _fits(value, parameter):
            raise click.BadParameter(f"{path}: {name} cannot be {value!r}")
        context.default_map = {**(context.default_map or {}), str(parameter.name): value}


def _config_name(parameter: click.Parameter) -> str:
    """A parameter as a file calls it: its long flag without the dashes."""
    return max(parameter.opts, key=len).lstrip("-").replace("-", "_")


def _fits(value: object, parameter: click.Parameter) -> bool:
    """Whether TOML gave the kind of value that the parameter takes; Click would make do."""
    if parameter.nargs == -1:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    is_switch = isinstance(parameter.type, click.types.BoolParamType)
    if isinstance(value, bool) or is_switch:
        return isinstance(value, bool) and is_switch
    if parameter.type is click.INT:
        return isinstance(value, int)
    return isinstance(value, int | float | str)


config_file = click.option(
    "--config",
    type=PATH,
    is_eager=True,
    expose_value=False,
    callback=_read_config,
    help="TOML file of options by name; flags win over it.",
)
json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
quiet_flag = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")


def say(result: Any, *, as_json: bool, quiet: bool = False) -> None:
    """Print a result that has `lines()` and `as_json()`."""
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=1, default=str))
    elif not quiet:
        click.echo("\n".join(result.lines()))
