"""The golden run: 30 steps whose losses are known.

A change of the code that is not meant to change what a run comes to must leave them as they are;
one that is meant to is committed with a new file:

    python tests/training/test_golden.py

Machines differ in the order in which they add. Over 30 steps that grew to TOLERANCE_SEEN between
instruction sets (SSE 4.1, AVX2, AVX-512) and numbers of threads; ten times that is allowed. A
change of the seed, of a draw or of the learning rate by a tenth moves the losses by far more.
"""

import sys
from pathlib import Path

import pytest
import torch

WANT = Path(__file__).with_name("golden_losses.txt")
STEPS = 30
TOLERANCE_SEEN = 1e-4


def found(folder):
    """The loss of each step, in order."""
    from synthetic_faces import make_shards
    from tiny_runs import losses, tiny

    from training.loop import train

    shards = make_shards(folder / "shards")
    config = tiny("training.epochs=10", "training.batch=4", "training.rate=0.0003")
    train([shards], folder / "run", config=config, device="cpu", steps=STEPS)
    return list(losses(folder / "run").values())


def test_the_losses_are_those_that_are_known(tmp_path):
    want = [float(line.split()[1]) for line in WANT.read_text().splitlines()]
    got = found(tmp_path)
    assert len(got) == len(want) == STEPS
    for step, (one, other) in enumerate(zip(got, want, strict=True), 1):
        assert one == pytest.approx(other, rel=10 * TOLERANCE_SEEN), f"step {step}"


if __name__ == "__main__":
    import tempfile

    home = Path(__file__).parents[2]
    sys.path[:0] = [str(home), str(home / "tests")]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        lines = [f"{step} {loss:.9g}\n" for step, loss in enumerate(found(Path(scratch)), 1)]
    WANT.write_text("".join(lines))
