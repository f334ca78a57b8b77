"""Runs small enough to test with: synthetic faces, the smallest network, one thread.

    python tests/tiny_runs.py SHARDS OUT STEPS SECTION.NAME=VALUE ...

trains in a process of its own, goes on where OUT already holds a run, and prints each line of the
log. With SNAPSHOT_MINUTES=0 there is a snapshot after each step.
"""

import os
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parent.parent

TINY = (
    *("model.backbone=resnet18", "model.weights=none", "model.size_px=112", "model.encoders=2"),
    *("model.attention_width=8", "model.token_width=32", "model.heads=4", "model.feed_forward=1"),
    *("training.batch=8", "training.log_every=1", "training.precision=fp32"),
    *("training.validate_every=0", "data.frames=4"),
)


def tiny(*sets):
    """A config of the smallest network, in fp32, with each step logged; some values changed."""
    from training.config import read_config

    return read_config(None, (*TINY, *sets))


def command(shards, out, steps, *sets, program=(sys.executable,)):
    """Train in a process of its own."""
    return [*program, __file__, str(shards), str(out), str(steps), *sets]


def environment(**more):
    """One thread, and the packages of this repository ahead of the tests' folders of that name."""
    path = os.pathsep.join([str(HOME), str(HOME / "tests")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **more}


def start(shards, out, steps, *sets, program=(sys.executable,), **more):
    """The process, with its output piped."""
    return subprocess.Popen(
        command(shards, out, steps, *sets, program=program),
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def losses(out):
    """Step -> the loss that the log tells."""
    from training.log import read

    return {line["step"]: line["loss"] for line in read(out / "log.jsonl") if "loss" in line}


def say(stream, line):
    stream.write(f"{line}\n")
    stream.flush()


def main():
    import torch

    from facekit.errors import FacekitError, Interrupted
    from training import run_folder
    from training.loop import train

    torch.set_num_threads(1)
    shards, out, steps, *sets = sys.argv[1:]
    is_new = not run_folder.exists(Path(out))
    try:
        train(
            [shards] if is_new or "RANK" in os.environ else [],
            out,
            config=tiny(*sets) if is_new or "RANK" in os.environ else None,
            device="cpu",
            steps=int(steps),
            resume=not is_new and "RANK" not in os.environ,
            snapshot_minutes=float(os.environ.get("SNAPSHOT_MINUTES", "10")),
            tell=lambda line: say(sys.stdout, line),
        )
    except FacekitError as problem:
        say(sys.stderr, f"{type(problem).__name__}: {problem}")
        stopped = isinstance(problem, Interrupted)
        sys.exit(128 + problem.signal_number if stopped else problem.exit_code)


if __name__ == "__main__":
    main()
