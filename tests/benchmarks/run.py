"""All figures of the README, one after the other: about an hour on two cores.

    FACEKIT_WEIGHTS=... FACEKIT_TEST_DATA=... python tests/benchmarks/run.py [NAME ...]

With names, only those: help_time, extraction, hour_long, kill_and_resume, worker_faults,
damaged_clips, bit_flips, disk_full.
"""

import subprocess
import sys
from pathlib import Path

COMMANDS = {
    "help_time": [],
    "extraction": [],
    "hour_long": ["--every", "10"],
    "kill_and_resume": ["--runs", "100"],
    "worker_faults": ["--faults", "200", "--tasks", "600"],
    "damaged_clips": ["--clips", "300"],
    "bit_flips": ["--flips", "1000"],
    "disk_full": ["--runs", "20"],
}


def main() -> int:
    names = sys.argv[1:] or list(COMMANDS)
    failed = []
    for name in names:
        if name not in COMMANDS:
            raise SystemExit(f"no benchmark is called {name!r}; there are {', '.join(COMMANDS)}")
        print(f"== {name}", flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        ran = subprocess.run([sys.executable, script, *COMMANDS[name]], check=False)
        failed += [name] if ran.returncode else []
    print(f"failed: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
