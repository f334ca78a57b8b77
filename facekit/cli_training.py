"""The commands that learn, for `facekit.cli` alone: train, evaluate, predict, export-model."""

from pathlib import Path
from typing import Any

import click

from facekit.cli_options import PATH, json_flag, quiet_flag, say
from facekit.errors import BadInput, RunIncomplete
from facekit.options import DEVICES

TIERS = ("auto", "device", "pinned", "disk")

_device = click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Where the network runs; auto takes cuda where it works and says so.",
)
_tier = click.option(
    "--tier",
    type=click.Choice(TIERS),
    default="auto",
    show_default=True,
    help="Where the faces are kept: on the device, in pinned memory, or on disk.",
)
_which = click.option(
    "--which",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Which snapshot: the best by validation video AUC, or the last.",
)


@click.command()
@click.argument("shards", nargs=-1, type=PATH)
@click.option("-o", "--out", type=PATH, help="Folder of the run.")
@click.option("--resume", type=PATH, help="Go on with the run in this folder.")
@click.option("--config", type=PATH, help="TOML file of sections; --set wins over it.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="SECTION.NAME=VALUE",
    help="Change one value, such as training.epochs=5; may be repeated.",
)
@click.option("--show-config", is_flag=True, help="Print the config as TOML with its help.")
@click.option("--steps", type=click.IntRange(1), help="Stop when this many are done; resumable.")
@click.option(
    "--snapshot-minutes",
    type=click.FloatRange(0.0),
    default=10.0,
    show_default=True,
    help="Longest time between two snapshots.",
)
@_tier
@click.option("--tensorboard", is_flag=True, help="Log for TensorBoard as well.")
@_device
@json_flag
@quiet_flag
def train(
    *,
    shards: tuple[Path, ...],
    out: Path | None,
    resume: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    show_config: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a forgery detector on the faces in SHARDS.

    On several devices: torchrun --nproc-per-node 8 -m facekit train SHARDS -o RUN. A run that was
    stopped goes on with --resume RUN.
    """
    from training.config import read_config

    if show_config:
        click.echo(read_config(config, assignments).as_toml())
        return
    from training.loop import resume as go_on
    from training.loop import train as run

    tell = None if quiet or as_json else lambda line: click.echo(str(line), err=True)
    if resume is not None:
        if shards or out or config or assignments:
            raise BadInput("--resume RUN takes shards and config from the run: give neither")
        trained = go_on(resume, tell=tell, **options)
    else:
        if not shards:
            raise BadInput("no shards: name the folders that facekit extract made, or --resume RUN")
        if out is None:
            raise BadInput("-o RUN is missing: the folder of the run")
        trained = run(shards, out, config=read_config(config, assignments), tell=tell, **options)
    say(trained, as_json=as_json, quiet=quiet)


@click.command()
@click.argument("run", type=PATH)
@click.argument("shards", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", type=PATH, help="Folder for tables, scores and report.html.")
@click.option(
    "--protocol",
    type=click.Choice(["video", "frame"]),
    default="video",
    show_default=True,
    help="video: the most suspicious face of a frame, mean over frames; frame: each by itself.",
)
@click.option(
    "--split",
    type=click.Choice(["auto", "train", "val", "test", "all"]),
    default="auto",
    show_default=True,
    help="auto: the run's own test people on its own shards, every video of others.",
)
@click.option(
    "--frames", type=int, default=32, show_default=True, help="Of each video, evenly spaced."
)
@click.option(
    "--perturb",
    default="none",
    show_default=True,
    help="none, all (eight kinds of degradation, five levels each), or names by comma.",
)
@click.option(
    "--masks", type=PATH, help="Folder that mask paths lie below: says where forgeries are."
)
@click.option(
    "--bootstrap", type=int, default=1000, show_default=True, help="Resamples behind intervals."
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Faces scored at once; no score depends on it.",
)
@_tier
@_which
@_device
@json_flag
@quiet_flag
def evaluate(
    *, run: Path, shards: tuple[Path, ...], as_json: bool, quiet: bool, **options: Any
) -> None:
    """Score the faces in SHARDS with the network of RUN: AUC with intervals, coverage, report."""
    from training.evaluate import evaluate as go

    say(go(run, shards, **options), as_json=as_json, quiet=quiet)


@click.command()
@click.argument("run", type=PATH)
@click.argument("videos", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="Folder for one JSON a video.")
@click.option("--overlay", is_flag=True, help="Write each video with its tampering map.")
@click.option(
    "--frames",
    default="32",
    show_default=True,
    help="Frames of each video: a number (evenly spaced), every:N, or all.",
)
@click.option(
    "--face",
    type=click.Choice(["largest", "all"]),
    default="all",
    show_default=True,
    help="Which people to score.",
)
@click.option("--detector", default="lite", show_default=True, help="Face detector, NAME[:MODEL].")
@click.option("--min-score", type=float, help="Of the detector; unset takes its own.")
@click.option(
    "--batch", type=click.IntRange(1), default=32, show_default=True, help="Faces scored at once."
)
@_which
@_device
@json_flag
@quiet_flag
def predict(
    *,
    run: Path,
    videos: tuple[Path, ...],
    out: Path,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Score VIDEOS, per person and over time; what is scored as fake is no failure.

    VIDEOS are files and folders of images; of a folder of videos name the files: FOLDER/*.mp4.
    """
    from training.predict import predict as go

    found = go(run, videos, out=out, **options)
    say(found, as_json=as_json, quiet=quiet)
    if found.failures:
        raise RunIncomplete(f"{len(found.failures)} of {len(videos)} videos failed; see {out}")


@click.command("export-model")
@click.argument("run", type=PATH)
@click.argument("path", type=PATH)
@click.option("--size", type=int, help="Side of the input, px; unset takes that of training.")
@click.option("--opset", type=int, default=17, show_default=True, help="Of ONNX, 14 to 20.")
@_which
def export_model(*, run: Path, path: Path, **options: Any) -> None:
    """Write the network of RUN as ONNX to PATH, once it agrees with torch."""
    from training.export import export_model as go

    click.echo(f"wrote {go(run, path, **options)}")
