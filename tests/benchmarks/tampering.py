"""Pairs of real and forged faces a second, from framed faces: `training.tampering.tamper`.

    python tests/benchmarks/tampering.py
    python tests/benchmarks/tampering.py --device cuda --batch 1024 [--compile]

On the CPU one thread is used, and processor seconds are counted beside those of the clock, so that
other work on the machine can be told. What bounds it is told too: how long the same faces take to
be read and written once, the least that any change of a picture costs.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import drawn_faces

from training.draws import Draws
from training.faces import Framed
from training.options import Tampering
from training.tampering import Tampered, tamper

SIZES_PX = (224, 380)
FIGURES = {("cpu", 224): 60, ("cpu", 380): 26, ("cuda", 224): 15_000}
"""Pairs a second to reach; one thread on the CPU, an H200 for cuda."""


@dataclass(frozen=True)
class Pace:
    """The best of some runs, a run being one batch.

    Args:
        clock_s: by the clock.
        processor_s: of the processor.
    """

    clock_s: float
    processor_s: float


def pace(make: Callable[[], object], runs: int, device: torch.device) -> Pace:
    """Time a batch."""
    clock_s, processor_s = [], []
    for _ in range(runs + 2):
        began = time.perf_counter(), time.process_time()
        make()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        clock_s.append(time.perf_counter() - began[0])
        processor_s.append(time.process_time() - began[1])
    return Pace(min(clock_s[2:]), min(processor_s[2:]))


def on(faces: Framed, device: torch.device) -> Framed:
    """The same faces on a device."""
    return Framed(**{name: part.to(device) for name, part in vars(faces).items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8, help="pairs in a batch")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--size", type=int, action="append", help="side of the input in pixels")
    parser.add_argument("--compile", action="store_true", help="by torch.compile")
    told = parser.parse_args()
    device = torch.device(told.device)
    torch.set_num_threads(1)

    for size_px in told.size or SIZES_PX:
        faces = on(drawn_faces.framed(told.batch, size_px), device)

        def forge(options: Tampering, faces: Framed = faces) -> Tampered:
            with torch.no_grad():
                return tamper(faces, Draws(0, 0, faces.sample_N), options)

        forged = torch.compile(forge) if told.compile else forge
        once = pace(lambda faces=faces: faces.image_NCHW.repeat(2, 1, 1, 1), told.runs, device)
        for recipe in ("aunet", "sbi"):
            options = Tampering(recipe=recipe)
            took = pace(lambda forged=forged, options=options: forged(options), told.runs, device)
            spent_s = took.clock_s if device.type == "cuda" else took.processor_s
            copied_s = once.clock_s if device.type == "cuda" else once.processor_s
            wanted = FIGURES.get((device.type, size_px))
            print(
                f"{device.type} {size_px} px {recipe:5}  {told.batch / spent_s:9.1f} pairs/s"
                f"  ({told.batch / took.clock_s:.1f} by the clock)"
                + (f"  to reach {wanted}" if wanted else "")
                + f"; {spent_s / copied_s:.0f} times the copy of its pictures"
            )


if __name__ == "__main__":
    main()
