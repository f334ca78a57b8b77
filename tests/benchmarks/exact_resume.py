"""100 steps straight, and 50, kill -9, resume, 50 more: the weights must be equal bit for bit.

    python tests/benchmarks/exact_resume.py [--steps 100]

On the CPU, with the smallest network and drawn faces; the learning rate, the optimiser's memory,
the order of faces and every random draw have to survive. Killed runs lose the steps after their
last snapshot and take them again.
"""

import argparse
import hashlib
import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from synthetic_faces import make_shards
from tiny_runs import losses, start

from training import checkpoint

SETS = ("training.optimiser=adamw", "training.rate=0.0003", "training.clip=1.0")


def run(shards: Path, out: Path, steps: int, *, epochs: int, kill_at: int | None = None) -> None:
    sets = (f"training.epochs={epochs}", *SETS)
    with start(shards, out, steps, *sets, SNAPSHOT_MINUTES="0") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if kill_at is not None and line.startswith(f"step {kill_at}/"):
                process.kill()
    if kill_at is None and process.returncode:
        raise SystemExit(f"{out.name} ended with {process.returncode}")


def digests(out: Path) -> list[str]:
    last = checkpoint.last(out)
    assert last is not None
    names = (checkpoint.MODEL, checkpoint.OPTIMISER)
    return [hashlib.sha256((last.path / name).read_bytes()).hexdigest() for name in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=100)
    steps = parser.parse_args().steps
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shards = make_shards(folder / "shards")
        whole, parts = folder / "whole", folder / "parts"
        run(shards, whole, steps, epochs=steps)
        run(shards, parts, steps, epochs=steps, kill_at=steps // 2)
        killed = checkpoint.last(parts)
        assert killed is not None
        run(shards, parts, steps, epochs=steps)
        same = digests(whole) == digests(parts)
        alike = losses(whole) == losses(parts)
    print(f"killed at step {steps // 2}, resumed from step {killed.state.step}")
    print(f"weights and optimiser after {steps} steps: {'equal' if same else 'DIFFERENT'}")
    print(f"losses of all steps: {'equal' if alike else 'DIFFERENT'}")
    return 0 if same and alike else 1


if __name__ == "__main__":
    sys.exit(main())
