"""A real extraction with one worker and with two: outcome, overhead, scaling, memory.

    FACEKIT_WEIGHTS=... FACEKIT_TEST_DATA=... python tests/benchmarks/extraction.py

Both runs measure the same clips with the same models. Overhead is the wall time of the whole run
with one worker, start-up and packing included, over the seconds that the same run spent inside
decoding, the detector and the landmarker.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

PLUGINS = Path(__file__).parent.parent / "plugins"


def extract(root: Path, out: Path, times: Path, jobs: int, asked: argparse.Namespace) -> float:
    """Run the command; gives the wall seconds of the whole process."""
    began_s = time.monotonic()
    subprocess.run(
        [
            *(sys.executable, "-m", "facekit", "extract", "--dataset", "ffpp", str(root)),
            *("-o", str(out), "--jobs", str(jobs), "--frames", asked.frames, "--device", "cpu"),
            *("--detector", f"timed:{asked.detector}"),
            *("--landmarker", f"timed:{asked.landmarker}"),
        ],
        env={**os.environ, "PYTHONPATH": str(PLUGINS), "FACEKIT_TIMES": str(times)},
        check=True,
    )
    return time.monotonic() - began_s


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
    asked = parser.parse_args()
    root = Path(os.environ["FACEKIT_TEST_DATA"]) / "ffpp"
    with tempfile.TemporaryDirectory() as scratch:
        walls, stages, ledgers = {}, {}, {}
        for jobs in (1, 2):
            out, times = Path(scratch) / f"jobs-{jobs}", Path(scratch) / f"times-{jobs}"
            walls[jobs] = extract(root, out, times, jobs, asked)
            stages[jobs] = spent(times)
            with (out / "ledger.csv").open(newline="") as file:
                ledgers[jobs] = list(csv.DictReader(file))
    rows = ledgers[1]
    sampled, found = (sum(int(r[n]) for r in rows) for n in ("frames_sampled", "frames_with_face"))
    inside = sum(stages[1].values())
    print(f"clips ok                 {sum(r['status'] == 'ok' for r in rows)} of {len(rows)}")
    print(f"sampled frames with face {found} of {sampled} ({found / sampled:.2%})")
    print(f"peak memory of a worker  {max(float(r['peak_rss_mib']) for r in rows):.0f} MiB")
    print(
        f"one worker               {walls[1]:.1f} s, of which "
        + ", ".join(f"{what} {seconds:.1f} s" for what, seconds in stages[1].items())
    )
    print(f"over decode and models   {walls[1] / inside:.3f}")
    print(f"two workers              {walls[2]:.1f} s; {walls[1] / walls[2]:.2f} times one worker")


if __name__ == "__main__":
    main()
