"""A real extraction with one worker and with two: outcome, overhead, scaling, memory, CPU time.

    FACEKIT_WEIGHTS=... FACEKIT_TEST_DATA=... python tests/benchmarks/extraction.py

The runs measure the same clips with the same models. Overhead is the wall time of the whole run
with one worker, start-up and packing included, over the seconds that the same run spent inside
decoding and the models. To compare two sets of models, run it for each and divide what they print
as faces a CPU second: user and system time of every process of the run.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

PLUGINS = Path(__file__).parent.parent / "plugins"


@dataclass(frozen=True)
class Ran:
    """What one run took and gave."""

    wall_s: float
    cpu_s: float
    stages_s: dict[str, float]
    ledger: list[dict[str, str]]

    def total(self, column: str) -> int:
        return sum(int(row[column]) for row in self.ledger)


def extract(root: Path, scratch: Path, jobs: int, asked: argparse.Namespace) -> Ran:
    """Run the command in a process of its own."""
    out, times = scratch / f"jobs-{jobs}", scratch / f"times-{jobs}"
    began_s, cpu_began_s = time.monotonic(), cpu_s()
    subprocess.run(
        [
            *(sys.executable, "-m", "facekit", "extract", "--dataset", "ffpp", str(root)),
            *("-o", str(out), "--jobs", str(jobs), "--frames", asked.frames, "--device", "cpu"),
            *("--detector", f"timed:{asked.detector}"),
            *("--landmarker", f"timed:{asked.landmarker}"),
            *("--au", f"timed:{asked.au}"),
        ],
        env={**os.environ, "PYTHONPATH": str(PLUGINS), "FACEKIT_TIMES": str(times)},
        check=True,
    )
    wall_s, used_s = time.monotonic() - began_s, cpu_s() - cpu_began_s
    with (out / "ledger.csv").open(newline="") as file:
        ledger = list(csv.DictReader(file))
    return Ran(wall_s, used_s, spent(times), ledger)


def cpu_s() -> float:
    """User and system seconds of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def spent(times: Path) -> dict[str, float]:
    """Seconds by stage."""
    seconds: dict[str, float] = defaultdict(float)
    for line in times.read_text().splitlines():
        what, second = json.loads(line)
        seconds[what] += second
    return dict(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", default="32")
    parser.add_argument("--detector", default="insightface:scrfd_2.5g_kps")
    parser.add_argument("--landmarker", default="mobilefacenet")
    parser.add_argument("--au", default="none")
    parser.add_argument("--jobs", type=int, nargs="+", choices=(1, 2), default=[1, 2])
    asked = parser.parse_args()
    root = Path(os.environ["FACEKIT_TEST_DATA"]) / "ffpp"
    with tempfile.TemporaryDirectory() as scratch:
        runs = {jobs: extract(root, Path(scratch), jobs, asked) for jobs in asked.jobs}
    for jobs, ran in runs.items():
        sampled, found = ran.total("frames_sampled"), ran.total("frames_with_face")
        faces, inside_s = ran.total("faces"), sum(ran.stages_s.values())
        ok = sum(row["status"] == "ok" for row in ran.ledger)
        peak_mib = max(float(row["peak_rss_mib"]) for row in ran.ledger)
        stages = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in ran.stages_s.items())
        print(f"== workers               {jobs}")
        print(f"clips ok                 {ok} of {len(ran.ledger)}")
        print(f"sampled frames with face {found} of {sampled} ({found / sampled:.2%})")
        print(f"peak memory of a worker  {peak_mib:.0f} MiB")
        print(f"wall time                {ran.wall_s:.1f} s, of which {stages}")
        print(f"CPU time                 {ran.cpu_s:.1f} s, {faces / ran.cpu_s:.2f} faces a second")
        if jobs == 1:
            over_ms = 1000 * (ran.wall_s - inside_s) / faces
            print(f"over decode and models   {ran.wall_s / inside_s:.3f}, {over_ms:.1f} ms a face")
    if len(runs) == 2:
        print(f"two workers              {runs[1].wall_s / runs[2].wall_s:.2f} times one worker")


if __name__ == "__main__":
    main()
