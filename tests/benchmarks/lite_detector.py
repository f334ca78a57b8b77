"""The embedded detector against RetinaFace on the FaceForensics++ clips, and its speed.

    FACEKIT_WEIGHTS=... FACEKIT_TEST_DATA=... python tests/benchmarks/lite_detector.py

The truth is what RetinaFace sees at its own threshold, and that is not always a face: a hand with
a microphone, a sign, a toy. So recall is told three times: of all of it, of what YuNet or SCRFD see
too, and of the largest box of each frame.
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facekit import detectors, video
from facekit.detectors import Detections, Detector

SAME = 0.5
"""Intersection over union from which two boxes are one."""

WITNESSES = ("yunet", "insightface:scrfd_2.5g_kps")
WITNESS_SCORE = 0.5


@dataclass
class Count:
    """How many of some boxes were found."""

    found: int = 0
    of: int = 0

    def add(self, found: bool) -> None:
        self.found += found
        self.of += 1

    def __str__(self) -> str:
        return f"{self.found} of {self.of} ({self.found / max(1, self.of):.4f})"


def frames_of(root: Path, each: int) -> Iterator[tuple[str, np.ndarray]]:
    """Evenly spaced frames of every clip, with the clip's name."""
    for path in sorted(root.rglob("*.mp4")):
        if "masks" in path.parts:
            continue
        for frame in video.sample(path, str(each)):
            yield f"{path.parent.parent.parent.name}/{path.stem}", frame.image_HWC


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with each of others."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.clip(sides, 0, None).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + areas - shared)


def seen(box: np.ndarray, by: Detections) -> bool:
    return bool((overlaps(box, by.box_xyxy) >= SAME).any())


def milliseconds(detector: Detector, runs: int) -> tuple[float, float]:
    """Median and 90th percentile of a whole call on one 640x480 frame."""
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    spent = []
    for _ in range(runs + 10):
        began_s = time.perf_counter()
        detector([frame])
        spent.append(1e3 * (time.perf_counter() - began_s))
    return float(np.median(spent[10:])), float(np.percentile(spent[10:], 90))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="another file than the embedded one")
    parser.add_argument("--min-score", type=float)
    parser.add_argument("--each", type=int, default=8, help="frames a clip")
    parser.add_argument("--runs", type=int, default=200, help="calls to time")
    asked = parser.parse_args()
    root = Path(os.environ["FACEKIT_TEST_DATA"]) / "ffpp"
    spec = f"lite:{asked.model}" if asked.model else "lite"
    lite = detectors.load(spec, device="cpu", min_score=asked.min_score)
    retinaface = detectors.load("retinaface", device="cpu")
    witnesses = [detectors.load(w, device="cpu", min_score=WITNESS_SCORE) for w in WITNESSES]
    everything, confirmed, largest = Count(), Count(), Count()
    frames, false, false_unseen = 0, [], 0
    for name, image in frames_of(root, asked.each):
        frames += 1
        (mine,), (wanted,) = lite([image]), retinaface([image])
        others = [witness([image])[0] for witness in witnesses]
        areas = (wanted.box_xyxy[:, 2:] - wanted.box_xyxy[:, :2]).prod(1)
        for i, box in enumerate(wanted.box_xyxy):
            found = seen(box, mine)
            everything.add(found)
            if any(seen(box, other) for other in others):
                confirmed.add(found)
            if i == areas.argmax():
                largest.add(found)
        wrong = [box for box in mine.box_xyxy if not seen(box, wanted)]
        false += [name] * len(wrong)
        false_unseen += sum(not any(seen(box, other) for other in others) for box in wrong)
    print(f"frames                      {frames}, threshold {lite.min_score}")
    print(f"recall, all of RetinaFace's {everything}")
    print(f"  seen by a second model    {confirmed}")
    print(f"  largest of each frame     {largest}")
    print(f"false positives             {len(false)} ({len(false) / frames:.4f} a frame)")
    print(f"  seen by no other model    {false_unseen} ({false_unseen / frames:.4f} a frame)")
    print(f"  on clips                  {', '.join(sorted(set(false))) or 'none'}")
    median_ms, slow_ms = milliseconds(lite, asked.runs)
    print(f"a 640x480 frame             {median_ms:.2f} ms (median), {slow_ms:.2f} (90 %)")
    print(f"file                        {lite.models[0].path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
