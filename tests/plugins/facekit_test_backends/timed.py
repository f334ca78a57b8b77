"""Real backends behind a stopwatch: what a worker spends in decoding and in models.

`--detector timed:NAME:MODEL` and `--landmarker timed:NAME:MODEL`; the seconds go to the file that
`FACEKIT_TIMES` names, one JSON line a call.
"""

import json
import os
import time
from pathlib import Path

from facekit import detectors, landmarkers, video


def _note(what, seconds):
    with Path(os.environ["FACEKIT_TIMES"]).open("a") as file:
        file.write(json.dumps([what, seconds]) + "\n")


class _TimedReading:
    def __init__(self, reading):
        self._reading = reading

    def __iter__(self):
        return self

    def __next__(self):
        began_s = time.perf_counter()
        try:
            return next(self._reading)
        finally:
            _note("decode", time.perf_counter() - began_s)

    def __getattr__(self, name):
        return getattr(self._reading, name)


def _time_decoding():
    sample = video.sample

    def timed_sample(*arguments, **options):
        began_s = time.perf_counter()
        reading = sample(*arguments, **options)
        _note("decode", time.perf_counter() - began_s)
        return _TimedReading(reading)

    video.sample = timed_sample


class TimedDetector:
    def __init__(self, model, *, device, min_score):
        self._model = detectors.load(model, device=device, min_score=min_score)
        _time_decoding()

    def __getattr__(self, name):
        return getattr(self._model, name)

    def __call__(self, images_HWC):
        began_s = time.perf_counter()
        found = self._model(images_HWC)
        _note("detector", time.perf_counter() - began_s)
        return found


class TimedLandmarker:
    def __init__(self, model, *, device):
        self._model = landmarkers.load(model, device=device)

    def __getattr__(self, name):
        return getattr(self._model, name)

    def __call__(self, faces):
        began_s = time.perf_counter()
        points = self._model(faces)
        _note("landmarker", time.perf_counter() - began_s)
        return points
