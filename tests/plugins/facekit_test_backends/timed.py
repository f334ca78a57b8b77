"""Real backends behind a stopwatch: what a worker spends in decoding and in models.

`--detector timed:NAME:MODEL`, `--landmarker timed:NAME:MODEL` and `--au timed:NAME:MODEL`; the
seconds go to the file that `FACEKIT_TIMES` names, one JSON line a call.
"""

import functools
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

from facekit import action_units, detectors, landmarkers, video


@functools.cache
def _times():
    return Path(os.environ["FACEKIT_TIMES"]).open("a", buffering=1)


@contextmanager
def _timed(what):
    began_s = time.perf_counter()
    try:
        yield
    finally:
        _times().write(json.dumps([what, time.perf_counter() - began_s]) + "\n")


class _TimedReading:
    def __init__(self, reading):
        self._reading = reading

    def __iter__(self):
        return self

    def __next__(self):
        with _timed("decode"):
            return next(self._reading)

    def __getattr__(self, name):
        return getattr(self._reading, name)


def _time_decoding():
    sample = video.sample

    def timed_sample(*arguments, **options):
        with _timed("decode"):
            return _TimedReading(sample(*arguments, **options))

    video.sample = timed_sample


class _Timed:
    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)


class TimedDetector(_Timed):
    def __init__(self, model, *, device, min_score):
        super().__init__(detectors.load(model, device=device, min_score=min_score))
        _time_decoding()

    def __call__(self, images_HWC):
        with _timed("detector"):
            return self._model(images_HWC)


class TimedLandmarker(_Timed):
    def __init__(self, model, *, device):
        super().__init__(landmarkers.load(model, device=device))

    def __call__(self, faces):
        with _timed("landmarker"):
            return self._model(faces)


class TimedActionUnits(_Timed):
    def __init__(self, model, *, device):
        super().__init__(action_units.load(model, device=device))

    def __call__(self, faces):
        with _timed("action units"):
            return self._model(faces)

    def finish(self):
        with _timed("action units"):
            return self._model.finish()
