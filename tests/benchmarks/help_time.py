"""How long `facekit --help` takes, and what it imports.

python tests/benchmarks/help_time.py --runs 10
"""

import argparse
import subprocess
import sys
import time

HEAVY = ("torch", "cv2", "insightface", "feat", "face_alignment", "onnxruntime", "av", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    asked = parser.parse_args()
    seconds = []
    for _ in range(asked.runs):
        began_s = time.perf_counter()
        subprocess.run([sys.executable, "-m", "facekit", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - began_s)
    program = f"import sys, facekit.cli; print([n for n in {HEAVY!r} if n in sys.modules])"
    heavy = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    seconds.sort()
    print(f"--help: median {seconds[len(seconds) // 2]:.3f} s, slowest {seconds[-1]:.3f} s")
    print(f"heavy imports: {heavy.stdout.decode().strip()}")


if __name__ == "__main__":
    main()
