"""Faces between the frames on which the detector looks."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from facekit import following, tracks
from facekit.detectors import Detections
from facekit.following import Follower
from facekit.measure import Backends, measure
from facekit.options import Measurement
from facekit.video import SampledFrame, Video

SIDE = 40
SHAPE_P2 = np.random.default_rng(0).uniform(0, 1, (68, 2))


class Scene:
    """Squares on grey: what is at hand to be found, frame by frame."""

    def __init__(self, places, *, flash=(), deaf=()):
        self.places, self.flash, self.deaf = places, flash, deaf
        self.asked, self.located, self.followed = [], [], []

    def frame(self, index):
        image = np.full((120, 200, 3), 250 if index in self.flash else 90, np.uint8)
        image[0, 0, 0] = index
        return SampledFrame(frame_index=index, pts_s=index / 25, image_HWC=image)

    def boxes(self, image_HWC):
        index = int(image_HWC[0, 0, 0])
        corners = np.array(self.places[index], np.float32).reshape(-1, 2)
        return index, np.hstack([corners, corners + SIDE])


class Detector:
    models, device, min_score = (), "cpu", 0.5

    def __init__(self, scene):
        self.scene = scene

    def __call__(self, images_HWC):
        return [self.found(image) for image in images_HWC]

    def found(self, image_HWC):
        index, boxes = self.scene.boxes(image_HWC)
        self.scene.asked.append(index)
        boxes = boxes[:0] if index in self.scene.deaf else boxes
        points = boxes[:, None, :2] + SIDE * np.linspace(0.2, 0.8, 10).reshape(5, 2)
        score = np.full(len(boxes), 0.9, np.float32)
        return Detections(box_xyxy=boxes, keypoints_xy=points.astype(np.float32), score=score)


class Landmarker:
    """Points of the square nearest to a box; NaN on a frame without any."""

    models, device = (), "cpu"

    def __init__(self, scene):
        self.scene = scene

    def __call__(self, faces):
        self.scene.located += [face.frame_index for face in faces]
        return self.points(faces, [face.box_xyxy[:2] for face in faces])

    def points(self, faces, corners):
        found = np.full((len(faces), 68, 2), np.nan, np.float32)
        for row, (face, corner) in enumerate(zip(faces, corners, strict=True)):
            _, boxes = self.scene.boxes(face.image_HWC)
            if len(boxes):
                nearest = np.linalg.norm(boxes[:, :2] - corner, axis=1).argmin()
                found[row] = boxes[nearest, :2] + SIDE * SHAPE_P2
        return found


class FollowingLandmarker(Landmarker):
    def follow(self, faces):
        self.scene.followed += [face.frame_index for face in faces]
        low = SIDE * SHAPE_P2.min(axis=0)
        return self.points(faces, [face.points_xy.min(axis=0) - low for face in faces])


def run(scene, *, every=4, kind=FollowingLandmarker):
    tracker = tracks.Tracker()
    follower = Follower(Detector(scene), kind(scene), tracker, every=every)
    faces = [follower.look(Path("a.mp4"), scene.frame(i)) for i in range(len(scene.places))]
    return faces, tracker


def still(count, *corners):
    return [list(corners or [(50, 30)])] * count


def test_no_face_is_looked_for_on_every_frame():
    scene = Scene([[]] * 6)
    faces, _ = run(scene)
    assert faces == [[]] * 6
    assert scene.asked == list(range(6))
    assert scene.located == scene.followed == []


@pytest.mark.parametrize(
    ("every", "asked"), [(1, list(range(9))), (4, [0, 4, 8]), (8, [0, 8]), (100, [0])]
)
def test_the_detector_looks_on_every_nth_frame(every, asked):
    scene = Scene(still(9))
    faces, tracker = run(scene, every=every)
    assert scene.asked == scene.located == asked
    assert scene.followed == sorted(set(range(9)) - set(asked))
    assert [[face.track_id for face in some] for some in faces] == [[0]] * 9
    assert [face.frame_index for some in faces for face in some] == list(range(9))
    assert tracker.frames_seen(0) == 9


@pytest.mark.parametrize("kind", [Landmarker, FollowingLandmarker])
def test_box_and_five_points_move_with_the_face(kind):
    """Whatever the landmarker can do, a followed face is where the detector would have found it."""
    places = [[(50 + 2 * i, 30 - i)] for i in range(12)]
    followed, _ = run(Scene(places), every=5, kind=kind)
    detected, _ = run(Scene(places), every=1, kind=kind)
    for mine, theirs in zip(followed, detected, strict=True):
        for name in ("box_xyxy", "keypoints_xy", "points_xy"):
            mine_xy, theirs_xy = getattr(mine[0], name), getattr(theirs[0], name)
            np.testing.assert_allclose(mine_xy, theirs_xy, atol=1e-3)
            assert mine_xy.dtype == np.float32
        assert mine[0].score == theirs[0].score


@pytest.mark.parametrize(
    ("scene", "asked"),
    [
        pytest.param(Scene(still(8), flash=(2,)), [0, 2, 3, 7], id="a flash, and its end"),
        pytest.param(
            Scene([*still(2), *still(6, (150, 70))]),
            [0, 2, 3, 4, 5, 6, 7],
            id="a face far from where it was: another one, the first is looked for",
        ),
        pytest.param(Scene([*still(2), [], *still(5)]), [0, 2, 3, 7], id="points of nobody"),
        pytest.param(
            Scene(still(12), deaf=(4,)), [0, 4, 5, 9], id="the detector overlooks the face once"
        ),
        pytest.param(
            Scene([*still(4, (50, 30), (120, 60)), *still(8)]),
            [0, 4, 5, 6, 7, 8, 9],
            id="one of two has gone: looked for, for a few frames",
        ),
        pytest.param(
            Scene([*still(2), *still(7, (50, 30), (120, 60))]), [0, 4, 8], id="somebody joins"
        ),
    ],
)
def test_the_detector_looks_where_it_is_needed(scene, asked):
    run(scene)
    assert scene.asked == asked


def test_several_people_keep_their_numbers():
    places = [[(20 + i, 30), (120 - i, 60)] for i in range(9)]
    faces, tracker = run(Scene(places))
    assert [[face.track_id for face in some] for some in faces] == [[0, 1]] * 9
    for i, some in enumerate(faces):
        got = np.array([face.box_xyxy[:2] for face in some])
        np.testing.assert_allclose(got, places[i], atol=1e-3)
    assert [tracker.frames_seen(person) for person in (0, 1)] == [9, 9]


@pytest.mark.parametrize("behind", [0, 1])
def test_who_goes_behind_another_does_not_take_their_number(behind):
    """Where one has gone, points lead to the other: it must stay the one that it was."""
    before, left = (50, 30), 80
    places = [[before, (left - 5 * i, 30)][:: -1 if behind == 0 else 1] for i in range(6)]
    scene = Scene([*places, *still(6, before)])
    faces, _ = run(scene)
    assert {face.track_id for some in faces[:6] for face in some} == {0, 1}
    assert [[face.track_id for face in some] for some in faces[6:]] == [[1 - behind]] * 6
    assert scene.asked[:2] == [0, 4]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda p: np.add(p, [4.0, -3.0]), True),
        (lambda p: p * 1.05, True),
        (lambda p: p * 1.2, False),
        (lambda p: np.add(p, [40.0, 0.0]), False),
        (lambda p: np.random.default_rng(1).permutation(p), False),
        (lambda p: p * np.nan, False),
        (lambda p: np.where(np.arange(68)[:, None] == 5, np.nan, p), False),
        (lambda p: p * 0.0, False),
    ],
)
def test_what_points_can_do_in_a_frame(change, same):
    points = np.random.default_rng(0).normal((300, 200), 30, (68, 2))
    middle = points.mean(axis=0)
    assert following.is_same_face(points, change(points - middle) + middle) is same


def test_points_in_one_place_are_nobodys():
    points = np.full((68, 2), 5.0)
    assert not following.is_same_face(points, points + 1.0)


def test_real_faces_are_found_where_the_detector_finds_them(data_dir):
    clip = data_dir / "ffpp/original_sequences/youtube/c23/videos/035.mp4"
    columns = {}
    for every in (1, 5):
        options = Measurement(frames="all", au="none", detect_every=every, images=False, size=64)
        blocks = []
        source = Video(key="a", path=clip, relative_path=clip.name)
        models = Backends.load(options, device="cpu")
        measured = measure(source, options, models, blocks.append)
        every_one = {
            name: np.concatenate([block.columns[name] for block in blocks])
            for name in ("frame_index", "track_id", "box_xyxy")
        }
        largest = np.isin(every_one["track_id"], list(measured.keep_tracks))
        columns[every] = {name: values[largest] for name, values in every_one.items()}
    one, five = columns[1], columns[5]
    for name in ("frame_index", "track_id"):
        np.testing.assert_array_equal(one[name], five[name])
    side_px = (one["box_xyxy"][:, 2:] - one["box_xyxy"][:, :2]).max(axis=1)
    apart = np.abs(one["box_xyxy"] - five["box_xyxy"]).max(axis=1) / side_px
    assert np.median(apart) < 0.03
    assert apart.max() < 0.15
    assert (one["box_xyxy"] == five["box_xyxy"]).all(axis=1).mean() < 0.5


@pytest.mark.parametrize("every", [1, 5])
def test_sparse_frames_are_all_looked_at(every, plugins, tmp_path):
    from trials import make_faces

    clip = make_faces(tmp_path / "a.mp4", frames=20)
    options = Measurement(**plugins, frames="every:2", detect_every=every, size=64)
    models = Backends.load(options)
    asked = []
    detector = models.detector

    def counted(images):
        asked.append(len(images))
        return detector(images)

    counted.device = "cpu"
    models = dataclasses.replace(models, detector=counted)
    source = Video(key="a", path=clip, relative_path="a.mp4")
    measure(source, options, models, lambda block: None)
    assert sum(asked) == 10
