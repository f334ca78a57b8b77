"""All figures of the README, one after the other: some two hours on two cores.

    FACEKIT_WEIGHTS=... FACEKIT_TEST_DATA=... python tests/benchmarks/run.py [NAME ...]

With names, only the scripts called so.
"""

import subprocess
import sys
from pathlib import Path

COMMANDS = (
    ("help_time",),
    ("extraction",),
    ("extraction", "--detector", "lite", "--landmarker", "lite", "--au", "lite"),
    ("lite_detector",),
    ("lite_landmarker",),
    ("lite_action_units",),
    ("openface_engine",),
    ("openface_agreement",),
    ("openface_speed",),
    ("au_stats",),
    ("au_embedding",),
    ("tampering",),
    ("loading",),
    ("train_step",),
    ("exact_resume",),
    ("snapshots", "--kills", "200"),
    ("hour_long", "--every", "10"),
    ("kill_and_resume", "--runs", "100"),
    ("worker_faults", "--faults", "200", "--tasks", "600"),
    ("damaged_clips", "--clips", "300"),
    ("bit_flips", "--flips", "1000"),
    ("disk_full", "--runs", "20"),
)


def main() -> int:
    known = {name for name, *_ in COMMANDS}
    wanted = set(sys.argv[1:]) or known
    if not wanted <= known:
        raise SystemExit(f"no benchmark is called so; there are {', '.join(sorted(known))}")
    failed = []
    for name, *arguments in COMMANDS:
        if name not in wanted:
            continue
        print("==", name, *arguments, flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        ran = subprocess.run([sys.executable, script, *arguments], check=False)
        failed += [name] if ran.returncode else []
    print(f"failed: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
