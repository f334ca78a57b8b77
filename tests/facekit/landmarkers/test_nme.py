"""The mean error on annotated faces, in the boxes of real detectors."""

import cv2
import numpy as np
import pytest
from annotated import nme, overlap, small

from facekit import detectors, landmarkers
from training.lite_faces import annotated_faces

LEAST_OVERLAP = 0.5


def in_best_boxes(listed, detector, face):
    """Each face in the box that fits its points best, and the points."""
    images = {path: cv2.imread(str(path))[..., ::-1].copy() for path, _ in listed}
    boxes = {path: detector([image])[0].box_xyxy for path, image in images.items()}
    faces = []
    for path, points in listed:
        best = max(boxes[path], key=lambda box: overlap(box, points))
        assert overlap(best, points) > LEAST_OVERLAP
        faces.append(face(images[path], best))
    return faces, np.stack([points for _, points in listed])


@pytest.fixture(scope="module")
def annotated(data_dir, weights_dir, face):
    """47 faces in the best box of SCRFD-2.5g, and their 68 points."""
    detector = detectors.load("insightface:scrfd_2.5g_kps", device="cpu")
    return in_best_boxes(small(data_dir), detector, face)


@pytest.fixture(scope="module")
def held_back(data_dir, weights_dir, face):
    """The HELEN faces that taught nothing, in the best box of RetinaFace, and their 68 points."""
    listed = [(one.image, one.points_xy) for one in annotated_faces(data_dir) if one.held_back]
    return in_best_boxes(listed, detectors.load("retinaface", device="cpu"), face)


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


@pytest.mark.parametrize(("faces_of", "most"), [("annotated", 5.0), ("held_back", 4.8)])
def test_nme_of_lite(request, faces_of, most):
    faces, truth = request.getfixturevalue(faces_of)
    assert nme(landmarkers.load("lite", device="cpu")(faces), truth) <= most
