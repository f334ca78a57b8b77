"""A detector of your own, known to facekit by an entry point alone.

In your package's metadata:

    [project.entry-points."facekit.backends"]
    "detector.centre" = "own_detector:CentreDetector"

and then: facekit extract videos/ -o shards/ --detector centre

This script shows the class at work without installing anything.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facekit.detectors import Detections
from facekit.weights import ModelFile


class CentreDetector:
    """Takes the middle half of every frame for a face: for clips that are framed already.

    Args:
        model: what stands after the colon of `--detector centre:MODEL`; goes unused.
        device: `auto`, `cpu` or `cuda`; goes unused.
        min_score: threshold on the score; goes unused.
    """

    models: tuple[ModelFile, ...] = ()
    device = "cpu"

    def __init__(self, model: str | None, *, device: str, min_score: float | None) -> None:
        del model, device
        self.min_score = 0.0 if min_score is None else min_score

    def __call__(self, images_HWC: Sequence[npt.NDArray[np.uint8]]) -> list[Detections]:
        """One face on each frame."""
        return [self._middle(image.shape[1], image.shape[0]) for image in images_HWC]

    def _middle(self, width: int, height: int) -> Detections:
        box = np.array([[width / 4, height / 4, 3 * width / 4, 3 * height / 4]], np.float32)
        return Detections(
            box_xyxy=box,
            keypoints_xy=np.full((1, 5, 2), np.nan, np.float32),
            score=np.ones(1, np.float32),
        )


if __name__ == "__main__":
    detector = CentreDetector(None, device="cpu", min_score=None)
    (found,) = detector([np.zeros((480, 640, 3), np.uint8)])
    print("box", found.box_xyxy[0].tolist(), "score", found.score[0])
