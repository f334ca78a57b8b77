import numpy as np
import pytest

from facekit.detectors import Detections
from facekit.detectors.lite_graph import CROP_PX
from training import lite_candidates
from training.lite_backgrounds import doll
from training.lite_candidates import KEPT_PX, Candidate, found_on, missed_on, seen, varied
from training.lite_scenes import Scene

FACE = np.array([60, 40, 100, 90], np.float32)
POINTS = np.array([[72, 58], [88, 58], [80, 68], [74, 78], [86, 78]], np.float32)


def scene(boxes=(FACE,), ignored=()):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Scene(
        image_HWC=np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8),
        box_xyxy=boxes,
        points_xy=np.tile(POINTS, (len(boxes), 1, 1)),
        ignored_xyxy=np.asarray(ignored, np.float32).reshape(-1, 4),
    )


def found(*boxes):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Detections(
        box_xyxy=boxes,
        keypoints_xy=np.zeros((len(boxes), 5, 2), np.float32),
        score=np.linspace(0.9, 0.5, len(boxes)).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("truth", "boxes", "want"),
    [
        (scene(), [], []),
        (scene(boxes=()), [FACE], [False]),
        (scene(), [FACE + 2], [True]),
        (scene(), [[5, 5, 30, 40]], [False]),
        (scene(), [[60, 40, 100, 61]], []),  # half a face: neither
        (scene(boxes=(), ignored=[FACE]), [FACE], []),
        (scene(), [FACE, [5, 5, 30, 40]], [True, False]),
    ],
)
def test_what_the_first_look_finds(truth, boxes, want):
    made = found_on(truth, found(*boxes))
    assert [one.points_xy is not None for one in made] == want
    assert all(one.image_HWC.shape == (KEPT_PX, KEPT_PX, 3) for one in made)
    assert [one.score for one in made] == sorted((one.score for one in made), reverse=True)


def test_the_points_lie_in_the_crop_where_they_lie_in_the_scene():
    """1.75 times the longer side, 50 px, becomes 60 px."""
    (one,) = found_on(scene(), found(FACE))
    scale = KEPT_PX / (1.75 * 50)
    np.testing.assert_allclose(
        one.points_xy - one.points_xy[2], (POINTS - POINTS[2]) * scale, atol=0.2
    )
    np.testing.assert_allclose(one.points_xy[2], [29.5, 29.5 + 3 * scale], atol=1)


def test_faces_that_are_missed_and_parts_of_faces():
    rng = np.random.default_rng(0)
    missed = [missed_on(scene(), found(), rng) for _ in range(100)]
    assert all(one[0].points_xy is not None and one[0].score == 0 for one in missed)
    parts = [one for made in missed for one in made[1:]]
    assert 5 < len(parts) < 30
    assert all(one.points_xy is None for one in parts)
    seen_too = [missed_on(scene(), found(FACE), rng) for _ in range(50)]
    assert all(one.points_xy is None for made in seen_too for one in made)


def candidate(*, face):
    image = np.zeros((KEPT_PX, KEPT_PX, 3), np.uint8)
    image[10:50, 12:48] = (200, 150, 120)
    points = np.array([[22, 24], [38, 24], [30, 32], [24, 40], [36, 40]], np.float32)
    for x, y in points.astype(int):
        image[y - 1 : y + 2, x - 1 : x + 2] = 0
    return Candidate(image_HWC=image, points_xy=points if face else None, score=0.5)


def test_what_is_seen_is_the_middle():
    one = candidate(face=True)
    border = (KEPT_PX - CROP_PX) // 2
    assert np.array_equal(seen(one), one.image_HWC[border:-border, border:-border])


def test_points_stay_on_what_they_mark(monkeypatch):
    """The marks are dark, the skin is not, whatever is done to the crop."""
    monkeypatch.setattr(lite_candidates, "_SPOILT", 0.0)
    monkeypatch.setattr(lite_candidates, "_developed", lambda image, rng: image)
    rng = np.random.default_rng(0)
    for _ in range(50):
        image, points = varied(candidate(face=True), rng)
        at = np.round(points * CROP_PX + (CROP_PX - 1) / 2).astype(int)
        assert image[at[:, 1], at[:, 0]].mean() < 90
        assert points[0, 0] < points[1, 0]
        assert points[3, 0] < points[4, 0]


def test_some_faces_are_spoilt_and_what_is_none_stays_none():
    rng = np.random.default_rng(1)
    spoilt = [varied(candidate(face=True), rng)[1] is None for _ in range(300)]
    assert 15 < sum(spoilt) < 70
    assert all(varied(candidate(face=False), rng)[1] is None for _ in range(50))


def test_every_way_to_spoil_a_face_changes_it():
    one, rng = candidate(face=True), np.random.default_rng(2)
    for _ in range(40):
        made = lite_candidates._spoilt(one.image_HWC, one.points_xy, rng)
        assert made.shape == one.image_HWC.shape
        assert not np.array_equal(made, one.image_HWC)


def test_a_face_on_its_side_lies_further_over_than_before():
    """One that leans by 40 degrees must not come back as one that leans by 50 the other way."""
    turn = np.deg2rad(40)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    one = candidate(face=True)
    for axes_22 in (axes, axes.T):
        points = ((one.points_xy - 29.5) @ axes_22.T + 29.5).astype(np.float32)
        eye = points[1] - points[0]
        turned = 3 if eye[1] > 0 else 1
        image = np.zeros((KEPT_PX, KEPT_PX, 3), np.uint8)
        image[20, 30] = 255
        made = [
            lite_candidates._spoilt(image, points, np.random.default_rng(seed))
            for seed in range(60)
        ]
        wrong = np.rot90(image, 4 - turned)
        assert any(np.array_equal(one, np.rot90(image, turned)) for one in made)
        assert not any(np.array_equal(one, wrong) for one in made)


def test_a_doll_stands_before_what_was_there():
    behind = np.full((KEPT_PX, KEPT_PX, 3), 77, np.uint8)
    for seed in range(20):
        made = doll(behind, np.random.default_rng(seed))
        changed = (made != behind).any(2)
        assert 0.05 < changed.mean() < 0.9
        assert changed[20:40, 20:40].mean() > 0.8
    assert (behind == 77).all()
