"""The front door: a thin Click command over a public function of the same name.

Only this module prints and exits. Everything heavy is imported inside the commands, so that
`facekit --help` is instant.
"""

import dataclasses
import errno
import importlib.util
import json
import logging
import os
import signal
import sys
import tomllib
import typing
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, Final

import click

import facekit
from facekit.errors import (
    BadInput,
    BadShard,
    BadWeights,
    DiskFull,
    FacekitError,
    Interrupted,
    RunIncomplete,
)
from facekit.options import Measurement, Run, Statistics, field_docs

Command = Callable[..., Any]
_PATH: Final = click.Path(path_type=Path)


def main() -> None:
    """Run the command line; every error of ours is one line and its own exit code."""
    _open_standard_streams()
    try:
        refuse_shadowed()
        exit_code = cli(standalone_mode=False)
    except Interrupted as stopped:
        _fail(str(stopped), 128 + stopped.signal_number)
    except FacekitError as problem:
        _fail(str(problem), problem.exit_code)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped", 130)
    except SystemExit:
        # Click's way out, taken only when the reader of our output, such as `head`, has left.
        sys.exit(128 + signal.SIGPIPE)
    except OSError as problem:
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
        where = f"{problem.filename}: " if problem.filename else ""
        _fail(f"{where}{problem.strerror or problem}", DiskFull.exit_code if full else 1)
    sys.exit(exit_code)


def _open_standard_streams() -> None:
    """Put the null device where a stream was closed, lest a file or socket gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - for good
            setattr(sys, name, stream)


def refuse_shadowed() -> None:
    """Refuse to run where another package has taken the name of one of ours.

    Raises:
        BadInput: `pipelines` or `training` is imported from elsewhere.
    """
    home = Path(facekit.__file__).resolve().parent.parent
    for name in ("pipelines", "training"):
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != home:
            raise BadInput(
                f"the package {name!r} is taken from {origin}, not from facekit in {home}; "
                "run elsewhere, or uninstall what shadows it"
            )


def _fail(message: str, exit_code: int) -> typing.NoReturn:
    click.echo(f"facekit: {message}", err=True)
    sys.exit(exit_code)


def _options_of(kind: type) -> Callable[[Command], Command]:
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


_config = click.option(
    "--config",
    type=_PATH,
    is_eager=True,
    expose_value=False,
    callback=_read_config,
    help="TOML file of options by name; flags win over it.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
_quiet = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")


def _say(result: Any, *, as_json: bool, quiet: bool = False) -> None:
    """Print a result that has `lines()` and `as_json()`."""
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=1, default=str))
    elif not quiet:
        click.echo("\n".join(result.lines()))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="facekit")
@click.option("-v", "--verbose", is_flag=True, help="Say more of what is going on, on stderr.")
def cli(*, verbose: bool) -> None:
    """Raw videos become verified face datasets with landmarks, action units and AU masks."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="facekit: %(levelname)s: %(message)s",
    )


@cli.command()
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--out", required=True, help="Folder for the shards.")
@click.option("--dataset", help="Take INPUTS as the root of a known layout, such as ffpp.")
@_options_of(Measurement)
@_options_of(Run)
@_config
@_as_json
@_quiet
def extract(
    *, inputs: tuple[str, ...], out: str, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Turn raw videos into shards of faces, landmarks, action units and masks.

    INPUTS are videos, folders (searched through), image folders, quoted globs, or a CSV or
    Parquet table with the columns path, label, method, split, original, group.

    A run that was stopped goes on where it was when the same command is run again.
    """
    from pipelines.extract import extract as run
    from pipelines.progress import ProgressBar

    bar = ProgressBar(sys.stderr)
    if not (quiet or as_json):
        options["on_progress"] = bar
    try:
        extraction = run(inputs, out, **options)
    finally:
        bar.close()
    _say(extraction, as_json=as_json, quiet=quiet)
    if extraction.failures:
        raise RunIncomplete(
            f"{len(extraction.failures)} of {extraction.inputs} inputs failed; "
            f"see {extraction.out / 'ledger.csv'}"
        )


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=_PATH)
@click.option("-o", "--out", required=True, help="Folder for the merged shards.")
@click.option("--force", is_flag=True, help="Take over a lock that another run left behind.")
@_quiet
def merge(*, folders: tuple[Path, ...], out: str, force: bool, quiet: bool) -> None:
    """Join the shard folders of a job array into one: the same bytes as one run."""
    from pipelines.merge import merge as run

    _say(run(folders, out, force=force), as_json=False, quiet=quiet)


@cli.command()
@click.argument("path", type=_PATH)
@_as_json
def inspect(*, path: Path, as_json: bool) -> None:
    """Say what is in shards: how the crops were made, counts, labels, sizes, rates."""
    from pipelines.inspection import inspect as run

    _say(run(path), as_json=as_json)


@cli.command()
@click.argument("path", type=_PATH)
@click.option("--deep", is_flag=True, help="Read every byte and draw every mask again.")
@click.option("--rebuild", is_flag=True, help="Write a lost manifest anew from sound shards.")
@_as_json
def verify(*, path: Path, deep: bool, rebuild: bool, as_json: bool) -> None:
    """Check shards against their manifest and themselves."""
    from facekit import shards

    if rebuild:
        shards.rebuild_manifest(path)
    report = shards.verify(path, deep=deep)
    _say(report, as_json=as_json)
    if not report.ok:
        raise BadShard(f"{path} is damaged: {len(report.problems)} problems")


@cli.command()
@click.argument("a", type=_PATH)
@click.argument("b", type=_PATH)
@_as_json
def diff(*, a: Path, b: Path, as_json: bool) -> None:
    """Say how two shard folders differ; exit code 1 if they do."""
    from pipelines.inspection import diff as run

    found = run(a, b)
    _say(found, as_json=as_json)
    if not found.equal:
        click.get_current_context().exit(1)


@cli.command("compare-au")
@click.argument("a")
@click.argument("b")
@click.option("-o", "--out", type=_PATH, help="PNG or SVG to draw.")
@click.option("--table", type=_PATH, help="CSV to write, one row an action unit.")
@click.option(
    "--min-positives",
    default=100,
    show_default=True,
    help="Positive faces in B from which an action unit counts in the second mean.",
)
@_as_json
def compare_au(
    *, a: str, b: str, out: Path | None, table: Path | None, min_positives: int, as_json: bool
) -> None:
    """Say how far two sources of AU labels agree; B is the reference.

    A and B are each a shard folder, or OpenFace's CSVs: one, a folder, or a quoted glob.
    """
    from pipelines.au_comparison import compare_au as run

    found = run(a, b, out=out, table=table, min_positives=min_positives)
    _say(found, as_json=as_json)


@cli.command()
@click.argument("path", type=_PATH)
@click.option(
    "-o", "--out", type=_PATH, default="preview.png", show_default=True, help="PNG to write."
)
@click.option("--faces", default=12, show_default=True, help="How many faces to draw.")
@click.option("--key", help="Only videos whose key contains this.")
@click.option("--masks", is_flag=True, help="Draw the 15 masks of one face, each on its own.")
def preview(*, path: Path, out: Path, faces: int, key: str | None, masks: bool) -> None:
    """Draw crops with points, masks and AU names, as a sheet to judge at a glance."""
    from pipelines.preview import preview as run

    click.echo(f"wrote {run(path, out, faces=faces, key=key, masks=masks)}")


@cli.command()
@_as_json
def doctor(*, as_json: bool) -> None:
    """Say what is installed, and which device and model files are really in use."""
    from facekit.diagnosis import doctor as run

    findings = run()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
        return
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        click.echo(f"{finding.state:<7} {finding.topic:<{width}}  {finding.text}")


@cli.group()
def weights() -> None:
    """List, fetch and verify model files."""


@weights.command("list")
def weights_list() -> None:
    """Say which model files are known, where they lie, and their licences."""
    from facekit import weights as files

    for line in files.lines():
        click.echo(line)


@weights.command("fetch")
@click.argument("names", nargs=-1, required=True)
@click.option("--accept-licence", is_flag=True, help="Accept the licence without being asked.")
def weights_fetch(*, names: tuple[str, ...], accept_licence: bool) -> None:
    """Fetch model files by name into the cache."""
    from facekit import weights as files

    for name in names:
        accepted = accept_licence or _accepts(name, files.licence_to_accept(name))
        click.echo(f"{name}: {files.fetch(name, accept_licence=accepted).path}")


def _accepts(name: str, licence: str | None) -> bool:
    return licence is None or click.confirm(f"{name}: {licence}\nDo you accept it?", err=True)


@weights.command("verify")
def weights_verify() -> None:
    """Hash every model file at hand and compare."""
    from facekit import weights as files

    wrong = [check for check in files.verify() if not check.ok]
    for check in wrong:
        click.echo(str(check), err=True)
    if wrong:
        raise BadWeights(f"{len(wrong)} model files are not what their name says")
    click.echo("every model file at hand is what its name says")


@cli.command("au-stats")
@click.argument("inputs", nargs=-1, type=_PATH)
@click.option("-o", "--out", required=True, type=_PATH, help="Folder for the findings.")
@click.option("--csv", help="OpenFace's CSVs instead of shards: a quoted glob, folder or file.")
@click.option("--manifest", type=_PATH, help="Table of the videos behind the CSVs.")
@_options_of(Statistics)
@click.option("--show-top", default=0, show_default=True, help="Strongest changes to print.")
@_config
@_as_json
@_quiet
def au_stats(*, out: Path, show_top: int, as_json: bool, quiet: bool, **options: Any) -> None:
    """Say what the correlation of action units tells of real and forged faces.

    INPUTS are shards. Fakes are matched with the videos they were made from and compared method by
    method; tables, figures and report.html go to the folder.
    """
    from pipelines.au_stats import au_stats as run

    found = run(out=out, **options)
    if as_json:
        _say(found, as_json=True)
    elif not quiet:
        click.echo("\n".join([*found.lines(show_top), "", f"see {out / 'report.html'}"]))
