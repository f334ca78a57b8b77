import cv2
import numpy as np
import pytest

from training.lite_faces import annotated_faces, photographs
from training.lite_teacher import Labels, Teacher, box_of, five_of, overlaps

SQUARE = np.array([0, 0, 2, 2], np.float32)


@pytest.mark.parametrize(
    ("others", "want"),
    [
        (np.empty((0, 4)), []),
        ([[0, 0, 2, 2]], [1]),
        ([[1, 0, 3, 2], [2, 0, 4, 2], [5, 5, 6, 6]], [1 / 3, 0, 0]),
        ([[0.5, 0.5, 1.5, 1.5]], [1 / 4]),
    ],
)
def test_overlaps(others, want):
    got = overlaps(SQUARE, np.asarray(others, np.float32).reshape(-1, 4))
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_five_of_68():
    points_xy = np.stack([np.arange(68), 100 - np.arange(68)], 1).astype(np.float32)
    assert five_of(points_xy)[:, 0].tolist() == [38.5, 44.5, 30, 48, 54]
    assert five_of(points_xy)[:, 1].tolist() == [61.5, 55.5, 70, 52, 46]


def test_box_of_68_leaves_the_points_alone():
    points_xy = np.stack([np.arange(68), np.arange(68)], 1).astype(np.float32)
    before = points_xy.copy()
    box = box_of(points_xy)
    assert (box[[0, 2, 3]] == [0, 67, 67]).all()
    assert box[1] < 0
    assert np.array_equal(points_xy, before)


@pytest.fixture(scope="module")
def teacher(weights_dir):
    return Teacher("cpu")


def read(path):
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def test_marked_faces_have_the_marked_points(teacher, data_dir):
    for face in annotated_faces(data_dir)[::300]:
        labels = teacher(read(face.image), face.points_xy)
        apart = np.abs(labels.points_xy - five_of(face.points_xy)).max((1, 2))
        assert apart.min() == 0
        mine = labels.box_xyxy[int(apart.argmin())]
        assert overlaps(box_of(face.points_xy), mine[None])[0] > 0.6


def test_other_photographs_have_a_face_in_the_middle(teacher, data_dir):
    for path in photographs(data_dir)[::200]:
        labels = teacher(read(path))
        x0, y0, x1, y1 = labels.box_xyxy[0]
        assert x0 < 125 < x1
        assert y0 < 125 < y1
        left, right = labels.points_xy[0, 0], labels.points_xy[0, 1]
        assert left[0] < right[0]


def test_a_wall_has_no_face(teacher):
    labels = teacher(np.full((120, 160, 3), 90, np.uint8))
    assert isinstance(labels, Labels)
    assert labels.box_xyxy.shape == (0, 4)
    assert labels.points_xy.shape == (0, 5, 2)
    assert labels.ignored_xyxy.shape == (0, 4)
