"""Kill -9 of the whole process tree at random instants, then resume: nothing lost or doubled.

python tests/benchmarks/kill_and_resume.py --runs 100 --seed 0
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import trials


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    same = 0
    states: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        clips = trials.make_clips(Path(scratch) / "clips")
        want = Path(scratch) / "undisturbed"
        run_s = trials.timed(clips, want)
        for run in range(asked.runs):
            rng = random.Random(f"{asked.seed}/{run}")
            out = Path(scratch) / f"run-{run}"
            killed_at = trials.kill_at_random(clips, out, rng, run_s)
            exit_code, said = trials.finish(clips, out)
            ok = (
                exit_code == 3
                and trials.digests(out) == trials.digests(want)
                and trials.ledger(out) == trials.ledger(want)
            )
            same += ok
            states[killed_at] += 1
            if not ok:
                print(f"run {run}: killed at {killed_at}, resumed with {exit_code}: {said}")
    print(f"{same} of {asked.runs} killed runs resumed to the same bytes, seed {asked.seed}")
    print(f"killed in {len(states)} different states, such as:")
    for state, count in states.most_common(8):
        print(f"  {count:3d} x {state}")
    return 0 if same == asked.runs else 1


if __name__ == "__main__":
    sys.exit(main())
