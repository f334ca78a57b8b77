"""The disk runs full at random moments of a run: a clean end, and a resumed run that is whole.

    python tests/benchmarks/disk_full.py --runs 20 --seed 0

Half of the runs meet a limit on the size of a file, the others a small disk of their own (a tmpfs;
root only) on which a filler takes all room but a random rest once the run has begun.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import trials

DISK_BYTES = 64 << 20


def starved_by_limit(clips: Path, out: Path, rng: random.Random) -> tuple[int, str]:
    limit = rng.randint(1_000, 2_000_000)

    def starve() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return trials.finish(clips, out, preexec_fn=starve)


def starved_by_disk(clips: Path, out: Path, rng: random.Random) -> tuple[int, str]:
    rest, rows = rng.randint(0, 3_000_000), rng.randint(0, 6)
    process = trials.start(clips, out)
    while process.poll() is None and trials._rows(out) < rows:
        trials._wait(process, 0.005)
    filler = out.parent / "filler"
    room = os.statvfs(out.parent)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_frsize - rest))
    _, said = process.communicate(timeout=300)
    filler.unlink()
    return process.returncode, said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    clean = whole = 0
    with tempfile.TemporaryDirectory() as scratch:
        clips = trials.make_clips(Path(scratch) / "clips")
        want = Path(scratch) / "undisturbed"
        trials.timed(clips, want)
        for run in range(asked.runs):
            rng = random.Random(f"{asked.seed}/{run}")
            disk = Path(scratch) / f"disk-{run}"
            disk.mkdir()
            small = run % 2 == 1 and os.geteuid() == 0
            if small:
                size = f"size={DISK_BYTES}"
                subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], check=True)
            starved = starved_by_disk if small else starved_by_limit
            exit_code, said = starved(clips, disk / "out", rng)
            one_line = len(said.strip().splitlines()) == 1
            # A run that needed less than what was left ends as if nothing had been.
            clean += one_line and exit_code in (74, 3)
            resumed, _ = trials.finish(clips, disk / "out")
            same = resumed == 3 and trials.digests(disk / "out") == trials.digests(want)
            whole += same
            print(f"run {run:2d}: {starved.__name__}: exit {exit_code}, whole after resume: {same}")
            if small:
                subprocess.run(["umount", disk], check=True)
    print(f"{clean} of {asked.runs} ended cleanly, {whole} of {asked.runs} whole after resume")
    return 0 if clean == whole == asked.runs else 1


if __name__ == "__main__":
    sys.exit(main())
