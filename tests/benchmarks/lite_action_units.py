"""Agreement of the lite AU engine with OpenFace's own labels, on people its units have not seen.

    FACEKIT_TEST_DATA=... python tests/benchmarks/lite_action_units.py [--landmarker NAME]

Every clip of FaceForensics++ is measured on all frames and on 32. Units are fitted on every third
frame of the clips of eight ninths of the people and label the clips of the rest, nine times over.
What the shipped units claim is marked; they are fitted on all clips and judged on none. With
`--landmarker openface-csv:FOLDER` the points are OpenFace's own, which bounds what other points can
do.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from facekit import weights
from facekit.action_units import lite_units
from facekit.openface_files import AU_NAMES
from facekit.options import Measurement
from training import lite_action_units, lite_clips
from training.lite_agreement import Agreement, agreement
from training.lite_clips import Measured

PLANS = ("all", "32")
TEACHING_STRIDE = int(lite_action_units.FRAMES.removeprefix("every:"))


def thinned(clip: Measured) -> Measured:
    return Measured(
        people=clip.people,
        measures=clip.measures[::TEACHING_STRIDE],
        occurrence=clip.occurrence[::TEACHING_STRIDE],
    )


def line(name: str, claimed: bool, found: list[Agreement]) -> str:
    cells = [f"{one.kappa:.2f} | {one.f1:.2f}" for one in found]
    first = found[0]
    mark = "yes" if claimed else "no"
    return f"| {name} | {mark} | {' | '.join(cells)} | {first.base_rate:.2f} | {first.faces} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", default="lite")
    parser.add_argument("--landmarker", default="lite")
    asked = parser.parse_args()
    data = Path(os.environ["FACEKIT_TEST_DATA"])
    model, units = lite_units.read(weights.find("lite_action_units").path)
    began_s = time.monotonic()
    clips = {
        plan: lite_clips.measured(
            model,
            lite_clips.read(
                data,
                Measurement(frames=plan, detector=asked.detector, landmarker=asked.landmarker),
            ),
        )
        for plan in PLANS
    }
    print(f"measured in {time.monotonic() - began_s:.0f} s")
    teaching = [thinned(clip) for clip in clips["all"]]
    judged = [clip for plan in PLANS for clip in clips[plan]]
    together, alone = lite_action_units.held_back(teaching, judged, model)
    for kind, found, bias in (
        ("with the person's median", together, units.own_bias),
        ("each face alone", alone, units.alone_bias),
    ):
        half = len(clips["all"])
        tables = [
            agreement(clips["all"], found[:half]),
            agreement(clips["32"], found[half:]),
        ]
        print(f"\n{kind}\n")
        print("| AU | claimed | all: kappa | F1 | 32: kappa | F1 | base rate | faces |")
        print("|---|---|---|---|---|---|---|---|")
        for name, value in zip(AU_NAMES, bias, strict=True):
            print(line(name, bool(np.isfinite(value)), [table[name] for table in tables]))
        for plan, table in zip(PLANS, tables, strict=True):
            claimed = [n for n, b in zip(AU_NAMES, bias, strict=True) if np.isfinite(b)]
            mean = np.mean([table[name].kappa for name in claimed])
            print(f"mean kappa of the {len(claimed)} claimed, {plan}: {mean:.3f}")


if __name__ == "__main__":
    main()
