"""Kill -9 while snapshots are written: what is left must be whole, and not older than was told.

    python tests/benchmarks/snapshots.py --kills 200 --seed 0

A child writes snapshots one after the other and says each step when it is published. It is killed
at a random instant; then the last and the best snapshot are read, every byte, and the next child
goes on from there.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

import torch

from training import checkpoint
from training.config import Config

VALUES = 200_000


def tensors(step: int) -> dict[str, torch.Tensor]:
    return {"w": torch.full((VALUES,), float(step)), "v": torch.arange(VALUES) + step}


def write(run: Path, said: int) -> None:
    """Go on from the last snapshot until killed."""
    found = checkpoint.last(run)
    step = 0 if found is None else found.state.step
    while True:
        step += 1
        state = checkpoint.State(
            config=Config(),
            step=step,
            epoch=step,
            position=0,
            steps_per_epoch=1,
            rate=0.1,
            world=1,
            data=(),
            score=random.Random(step).random() if step % 3 else None,
        )
        checkpoint.write(run, state, model=tensors(step), optimiser=tensors(-step))
        os.write(said, step.to_bytes(8, "little"))
        checkpoint.prune(run, keep=2)


def kill_one(run: Path, rng: random.Random) -> tuple[int, str]:
    """Start a writer, kill it; the last step that it told and the state of the folder."""
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write(run, said)
        finally:
            os._exit(1)
    os.close(said)
    first = os.read(heard, 8)  # it is on its way
    time.sleep(rng.uniform(0.0, 0.05))
    os.kill(child, signal.SIGKILL)
    told = [first]
    while chunk := os.read(heard, 8):
        told.append(chunk)
    os.close(heard)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise SystemExit("a writer ended by itself")
    drafts = sorted(path.name for path in (run / "snapshots").glob(".*"))
    kinds = {"published": not drafts, "removing": any("-old" in name for name in drafts)}
    kind = next((name for name, holds in kinds.items() if holds), "")
    if not kind:
        inside = {path.name for draft in drafts for path in (run / "snapshots" / draft).iterdir()}
        kind = f"writing, with {len(inside)} files"
    return int.from_bytes(told[-1], "little"), kind


def is_whole(run: Path, told: int) -> bool:
    last, best = checkpoint.last(run), checkpoint.best(run)
    if last is None or last.state.step < told:
        return False
    for snapshot in filter(None, (last, best)):
        step = snapshot.state.step
        for name, sign in ((checkpoint.MODEL, 1), (checkpoint.OPTIMISER, -1)):
            found, want = snapshot.tensors(name), tensors(sign * step)
            if any(not torch.equal(found[key], want[key]) for key in want):
                return False
    scores = [random.Random(step).random() for step in range(1, last.state.step + 1) if step % 3]
    return best is None or best.state.score == max(scores)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(asked.seed)
    whole, kinds = 0, Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch)
        for kill in range(asked.kills):
            told, kind = kill_one(run, rng)
            ok = is_whole(run, told)
            whole += ok
            kinds[kind] += 1
            if not ok:
                print(f"kill {kill}: {kind}: not whole, or older than step {told}")
        last = checkpoint.last(run)
    print(f"killed while: {', '.join(f'{kind} {n}' for kind, n in kinds.most_common())}")
    print(f"{0 if last is None else last.state.step} snapshots were written")
    print(f"{whole} of {asked.kills} killed writers left a snapshot that is whole")
    return 0 if whole == asked.kills else 1


if __name__ == "__main__":
    sys.exit(main())
