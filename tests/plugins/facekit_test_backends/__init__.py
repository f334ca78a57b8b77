"""Backends of a third party, found by their entry points: cheap, exact, and able to misbehave.

A video whose name begins with `fault-NAME` makes the landmarker do what NAME says, so that the
tests of the supervision need no model.
"""

import ctypes
import logging
import os
import signal
import sys

import numpy as np

from facekit.detectors import Detections


class BrightestDetector:
    """Takes the brighter half of a frame for a face; none on a black frame."""

    models = ()
    device = "cpu"

    def __init__(self, model, *, device, min_score):
        self.min_score = 0.5 if min_score is None else min_score
        if warning := os.environ.get("FACEKIT_TEST_WARNING"):
            logging.getLogger("facekit.devices").warning(warning)

    def __call__(self, images_HWC):
        return [self._find(image) for image in images_HWC]

    def _find(self, image_HWC):
        height, width = image_HWC.shape[:2]
        halves = [image_HWC[:, : width // 2].mean(), image_HWC[:, width // 2 :].mean()]
        if max(halves) < 8:
            return Detections(
                box_xyxy=np.empty((0, 4), np.float32),
                keypoints_xy=np.empty((0, 5, 2), np.float32),
                score=np.empty(0, np.float32),
            )
        x = width * 0.1 + image_HWC.mean() * 0.01
        box = np.array([x, height * 0.2, x + width * 0.7, height * 0.9], np.float32)
        eyes_mouth = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
        points = box[:2] + eyes_mouth * (box[2:] - box[:2])
        return Detections(
            box_xyxy=box[None],
            keypoints_xy=points[None].astype(np.float32),
            score=np.full(1, max(halves) / 255, np.float32),
        )


class OvalLandmarker:
    """Puts the 68 points on an oval in the box."""

    models = ()
    device = "cpu"

    def __init__(self, model, *, device):
        self._leak = []

    def __call__(self, faces):
        for face in faces:
            self._misbehave(face.video.stem)
        turn = np.linspace(0, 2 * np.pi, 68, endpoint=False)
        oval = 0.5 + 0.4 * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
        return np.stack(
            [f.box_xyxy[:2] + oval * (f.box_xyxy[2:] - f.box_xyxy[:2]) for f in faces]
        ).astype(np.float32)

    def _misbehave(self, name):
        if name.startswith("fault-segv"):
            ctypes.string_at(0)
        elif name.startswith("fault-kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif name.startswith("fault-stop"):
            os.kill(os.getpid(), signal.SIGSTOP)
        elif name.startswith("fault-hang"):
            while True:
                pass
        elif name.startswith("fault-raise"):
            raise RuntimeError("a fault on purpose")
        elif name.startswith("fault-exit"):
            os._exit(0)
        elif name.startswith("fault-print"):
            sys.stdout.write('{"say": "done"}\n')
        elif name.startswith("fault-leak"):
            while True:
                self._leak.append(np.ones(1 << 22))
