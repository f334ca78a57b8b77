"""What a frame of a whole extraction costs, in calls of YuNet, and where the time goes.

    FACEKIT_WEIGHTS=... FACEKIT_TEST_DATA=... python tests/benchmarks/openface_speed.py \\
        [--clips 12] [--landmarker lite] [--detect-every 5]

As `facekit extract --frames all --no-images --au openface` does, clips of FaceForensics++ are
measured from file to columns, on one thread; without images there is next to nothing to pack, and
it is left out. Before each clip YuNet looks at 640x480 pixels a few times. All times are CPU
seconds of the process. OpenFace itself spends 2.05 such calls a frame.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facekit import devices, measure, video, weights
from facekit.measure import Backends
from facekit.options import Measurement
from facekit.video import Video

CALLS = 20


def yunet() -> Callable[[], object]:
    """One call: its time does not hang on what it sees."""
    path = weights.find("yunet_2023mar").path
    made = cv2.FaceDetectorYN.create(str(path), "", (640, 480), 0.8)
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    return lambda: made.detect(image)


class Clock:
    """CPU seconds by what they were spent on; what is inside another is not counted twice."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = defaultdict(float)
        self._inside = 0.0

    def timed(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            outer, self._inside = self._inside, 0.0
            began_s = time.process_time()
            try:
                return run(*arguments, **options)
            finally:
                all_s = time.process_time() - began_s
                self.spent_s[name] += all_s - self._inside
                self._inside = outer + all_s

        return wrapped

    def watch(self, thing: Any, name: str, *methods: str) -> None:
        """Time calls of some methods of an object, which keeps its class otherwise."""
        kind = type(thing)
        mine = {m: self.timed(name, getattr(kind, m)) for m in methods if hasattr(kind, m)}
        thing.__class__ = type(kind.__name__, (kind,), mine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--detector", default="lite")
    parser.add_argument("--landmarker", default="lite")
    parser.add_argument("--detect-every", type=int, default=5)
    asked = parser.parse_args()
    devices.torch_device("cpu")  # sets one thread, as in a worker
    cv2.setNumThreads(1)
    root = Path(os.environ["FACEKIT_TEST_DATA"]) / "ffpp"
    paths = sorted(root.glob("*/*/c23/videos/*.mp4"))
    paths = [paths[int(k)] for k in np.linspace(0, len(paths) - 1, asked.clips).round()]
    options = Measurement(
        frames="all",
        detector=asked.detector,
        landmarker=asked.landmarker,
        au="openface",
        images=False,
        detect_every=asked.detect_every,
    )
    models = Backends.load(options, device="cpu")
    models.warm_up(options)
    clock, call = Clock(), yunet()
    for _ in range(3):
        call()
    clock.watch(models.detector, "detector", "__call__")
    clock.watch(models.landmarker, "landmarks", "__call__", "follow")
    clock.watch(models.action_units, "action units", "__call__", "finish")
    video.Reading.__next__ = clock.timed("decoding", video.Reading.__next__)  # type: ignore[method-assign]
    whole = clock.timed("the rest: crops, masks, tracks", measure.measure)
    calls_s, frames = [], 0
    for path in paths:
        for _ in range(CALLS):
            began_s = time.process_time()
            call()
            calls_s.append(time.process_time() - began_s)
        source = Video(key=path.stem, path=path, relative_path=path.name)
        frames += whole(source, options, models, lambda block: None).record.frames_decoded
    call_ms = 1e3 * float(np.median(calls_s))
    all_ms = 1e3 * sum(clock.spent_s.values()) / frames
    print(f"{len(paths)} clips, {frames} frames; a call of YuNet at 640x480 takes {call_ms:.2f} ms")
    print("| stage | ms a frame | calls of YuNet | share |")
    print("|---|---|---|---|")
    for name, spent_s in sorted(clock.spent_s.items(), key=lambda one: -one[1]):
        ms = 1e3 * spent_s / frames
        print(f"| {name} | {ms:.2f} | {ms / call_ms:.2f} | {ms / all_ms:.0%} |")
    print(f"| all | {all_ms:.2f} | {all_ms / call_ms:.2f} | 100% |")


if __name__ == "__main__":
    main()
