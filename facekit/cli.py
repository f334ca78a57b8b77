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
import typing
from pathlib import Path
from typing import Any

import click

import facekit
from facekit import cli_training
from facekit.cli_options import PATH, config_file, json_flag, options_of, quiet_flag, say
from facekit.errors import (
    BadInput,
    BadShard,
    BadWeights,
    DiskFull,
    FacekitError,
    Interrupted,
    RunIncomplete,
)
from facekit.options import Measurement, Run, Statistics


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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="facekit")
@click.option("-v", "--verbose", is_flag=True, help="Say more of what is going on, on stderr.")
def cli(*, verbose: bool) -> None:
    """Raw videos become verified face datasets, AU statistics and forgery detectors."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="facekit: %(levelname)s: %(message)s",
    )


@cli.command()
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--out", required=True, help="Folder for the shards.")
@click.option("--dataset", help="Take INPUTS as the root of a known layout, such as ffpp.")
@options_of(Measurement)
@options_of(Run)
@config_file
@json_flag
@quiet_flag
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
    say(extraction, as_json=as_json, quiet=quiet)
    if extraction.failures:
        raise RunIncomplete(
            f"{len(extraction.failures)} of {extraction.inputs} inputs failed; "
            f"see {extraction.out / 'ledger.csv'}"
        )


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", required=True, help="Folder for the merged shards.")
@click.option("--force", is_flag=True, help="Take over a lock that another run left behind.")
@quiet_flag
def merge(*, folders: tuple[Path, ...], out: str, force: bool, quiet: bool) -> None:
    """Join the shard folders of a job array into one: the same bytes as one run."""
    from pipelines.merge import merge as run

    say(run(folders, out, force=force), as_json=False, quiet=quiet)


@cli.command()
@click.argument("path", type=PATH)
@json_flag
def inspect(*, path: Path, as_json: bool) -> None:
    """Say what is in shards: how the crops were made, counts, labels, sizes, rates."""
    from pipelines.inspection import inspect as run

    say(run(path), as_json=as_json)


@cli.command()
@click.argument("path", type=PATH)
@click.option("--deep", is_flag=True, help="Read every byte and draw every mask again.")
@click.option("--rebuild", is_flag=True, help="Write a lost manifest anew from sound shards.")
@json_flag
def verify(*, path: Path, deep: bool, rebuild: bool, as_json: bool) -> None:
    """Check shards against their manifest and themselves."""
    from facekit import shards

    if rebuild:
        shards.rebuild_manifest(path)
    report = shards.verify(path, deep=deep)
    say(report, as_json=as_json)
    if not report.ok:
        raise BadShard(f"{path} is damaged: {len(report.problems)} problems")


@cli.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@json_flag
def diff(*, a: Path, b: Path, as_json: bool) -> None:
    """Say how two shard folders differ; exit code 1 if they do."""
    from pipelines.inspection import diff as run

    found = run(a, b)
    say(found, as_json=as_json)
    if not found.equal:
        click.get_current_context().exit(1)


@cli.command("compare-au")
@click.argument("a")
@click.argument("b")
@click.option("-o", "--out", type=PATH, help="PNG or SVG to draw.")
@click.option("--table", type=PATH, help="CSV to write, one row an action unit.")
@click.option(
    "--min-positives",
    default=100,
    show_default=True,
    help="Positive faces in B from which an action unit counts in the second mean.",
)
@json_flag
def compare_au(
    *, a: str, b: str, out: Path | None, table: Path | None, min_positives: int, as_json: bool
) -> None:
    """Say how far two sources of AU labels agree; B is the reference.

    A and B are each a shard folder, or OpenFace's CSVs: one, a folder, or a quoted glob.
    """
    from pipelines.au_comparison import compare_au as run

    found = run(a, b, out=out, table=table, min_positives=min_positives)
    say(found, as_json=as_json)


@cli.command()
@click.argument("path", type=PATH)
@click.option(
    "-o", "--out", type=PATH, default="preview.png", show_default=True, help="PNG to write."
)
@click.option("--faces", default=12, show_default=True, help="How many faces to draw.")
@click.option("--key", help="Only videos whose key contains this.")
@click.option("--masks", is_flag=True, help="Draw the 15 masks of one face, each on its own.")
@click.option(
    "--tampered", is_flag=True, help="Draw what training forges: real, mask, fake, token labels."
)
def preview(
    *, path: Path, out: Path, faces: int, key: str | None, masks: bool, tampered: bool
) -> None:
    """Draw crops with points, masks and AU names, as a sheet to judge at a glance."""
    if tampered:
        if key or masks:
            raise BadInput(
                "--tampered draws real faces of every video: give neither --key nor --masks"
            )
        from training.preview import preview_tampered

        click.echo(f"wrote {preview_tampered(path, out, faces=faces)}")
        return
    from pipelines.preview import preview as run

    click.echo(f"wrote {run(path, out, faces=faces, key=key, masks=masks)}")


@cli.command()
@json_flag
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
@click.argument("inputs", nargs=-1, type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="Folder for the findings.")
@click.option("--csv", help="OpenFace's CSVs instead of shards: a quoted glob, folder or file.")
@click.option("--manifest", type=PATH, help="Table of the videos behind the CSVs.")
@options_of(Statistics)
@click.option("--show-top", default=0, show_default=True, help="Strongest changes to print.")
@config_file
@json_flag
@quiet_flag
def au_stats(*, out: Path, show_top: int, as_json: bool, quiet: bool, **options: Any) -> None:
    """Say what the correlation of action units tells of real and forged faces.

    INPUTS are shards. Fakes are matched with the videos they were made from and compared method by
    method; tables, figures and report.html go to the folder.
    """
    from pipelines.au_stats import au_stats as run

    found = run(out=out, **options)
    if as_json:
        say(found, as_json=True)
    elif not quiet:
        click.echo("\n".join([*found.lines(show_top), "", f"see {out / 'report.html'}"]))


for learning in (
    cli_training.train,
    cli_training.evaluate,
    cli_training.predict,
    cli_training.export_model,
):
    cli.add_command(learning)
