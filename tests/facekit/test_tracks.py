import csv
import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

from facekit import tracks
from facekit.detectors import Detections


def detections(*boxes) -> Detections:
    box_xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(
        box_xyxy=box_xyxy,
        keypoints_xy=np.full((len(box_xyxy), 5, 2), np.nan, np.float32),
        score=np.linspace(0.9, 0.5, len(box_xyxy)).astype(np.float32),
    )


def square(x, y=100.0, side=100.0):
    """A box by its centre."""
    return (x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def linked(frames, **options):
    tracker = tracks.Tracker()
    return [tracker.link(detections(*boxes), **options).tolist() for boxes in frames], tracker


NAN_BOX = (np.nan,) * 4
NOTHING = ()


@pytest.mark.parametrize(
    ("frames", "want"),
    [
        pytest.param([], [], id="no frame"),
        pytest.param([NOTHING, NOTHING], [[], []], id="no face"),
        pytest.param([[square(100)]], [[0]], id="one face"),
        pytest.param([[square(100)], [square(100)]], [[0], [0]], id="still"),
        pytest.param([[square(100)], [square(190)]], [[0], [0]], id="by almost its width"),
        pytest.param([[square(100)], [square(199.9)]], [[0], [0]], id="edges touch"),
        pytest.param([[square(100)], [square(230)]], [[0], [1]], id="too far: another person"),
        pytest.param([[square(100)], [square(100, side=240)]], [[0], [0]], id="zoom"),
        pytest.param([[square(100)], [square(100, side=260)]], [[0], [1]], id="cut to a close-up"),
        pytest.param([[square(100)], [square(100, side=38)]], [[0], [1]], id="cut to a wide shot"),
        pytest.param(
            [[square(100), square(300)], [square(305), square(95)]],
            [[0, 1], [1, 0]],
            id="score order changes",
        ),
        pytest.param(
            [[square(300), square(100)], [square(500), square(300), square(100)]],
            [[0, 1], [2, 0, 1]],
            id="newcomer with the best score",
        ),
        pytest.param(
            [[square(100), square(180)], [square(150), square(230)]],
            [[0, 1], [0, 1]],
            id="both move right: nearest-first would swap them",
        ),
        pytest.param(
            [[square(100), square(200)], [square(190)]], [[0, 1], [1]], id="the nearer one stays"
        ),
        pytest.param([[square(100)], [square(100), square(100)]], [[0], [0, 1]], id="two on one"),
        pytest.param([[NAN_BOX], [NAN_BOX]], [[0], [1]], id="NaN links to nothing"),
        pytest.param([[(5, 5, 5, 5)], [(5, 5, 5, 5)]], [[0], [1]], id="no area, no link"),
        pytest.param(
            [[square(100)], *[NOTHING] * tracks.LOST_FRAMES, [square(100)]],
            [[0], *[[]] * tracks.LOST_FRAMES, [0]],
            id="back in time",
        ),
        pytest.param(
            [[square(100)], *[NOTHING] * (tracks.LOST_FRAMES + 1), [square(100)]],
            [[0], *[[]] * (tracks.LOST_FRAMES + 1), [1]],
            id="back too late",
        ),
        pytest.param(
            [[square(100)], [square(600)], [square(100)]], [[0], [1], [0]], id="cut away and back"
        ),
    ],
)
def test_link(frames, want):
    assert linked(frames)[0] == want


@pytest.mark.parametrize(
    ("gap_s", "frames_between", "want"),
    [
        (0.0, 0, 0),
        (tracks.LOST_S, 49, 0),  # every frame read: a head turned away for two seconds
        (tracks.LOST_S + 0.1, 52, 1),
        (60.0, tracks.LOST_FRAMES, 0),  # frames far apart: their number counts
        (60.0, tracks.LOST_FRAMES + 1, 1),
        (float("nan"), tracks.LOST_FRAMES, 0),
        (float("nan"), tracks.LOST_FRAMES + 1, 1),
    ],
)
def test_a_person_outlives_a_gap(gap_s, frames_between, want):
    tracker = tracks.Tracker()
    tracker.link(detections(square(100)), pts_s=10.0)
    for _ in range(frames_between):
        tracker.link(detections(), pts_s=10.0 + gap_s)
    assert tracker.link(detections(square(100)), pts_s=10.0 + gap_s).tolist() == [want]


@pytest.mark.parametrize(
    ("frames", "largest", "seen", "lost"),
    [
        ([], None, [], []),
        ([NOTHING], None, [], []),
        ([[square(100)]], 0, [1], [0]),
        ([[square(100), square(300)]], 0, [1, 1], [0, 0]),  # equals: the first
        ([[square(100), square(300, side=101)]], 1, [1, 1], [0, 0]),
        # a smaller face that stays outweighs a larger one that passes
        ([[square(100, side=150), square(400)], [square(400)], [square(400)]], 1, [1, 3], [2, 0]),
        ([NOTHING, [square(100)], NOTHING, [square(100)]], 0, [2], [2]),
        ([[NAN_BOX], [square(100)]], 1, [1, 1], [1, 1]),
        ([[(50, 50, 10, 10)], [square(300, side=1)]], 1, [1, 1], [1, 1]),  # inside out: no area
    ],
)
def test_largest_and_frames(frames, largest, seen, lost):
    tracker = linked(frames)[1]
    assert tracker.largest() == largest
    assert [tracker.frames_seen(i) for i in range(len(seen))] == seen
    assert [tracker.frames_lost(i) for i in range(len(lost))] == lost


def test_link_gives_each_face_of_a_frame_another_person():
    rng = np.random.default_rng(0)
    tracker, newest = tracks.Tracker(), -1
    for _ in range(300):
        xy = rng.uniform(0, 400, (rng.integers(0, 9), 2))
        boxes = np.concatenate([xy, xy + rng.uniform(20, 200, (len(xy), 1))], axis=1)
        track_ids = tracker.link(detections(*boxes))
        assert track_ids.dtype == np.int32
        assert len(set(track_ids.tolist())) == len(boxes)
        new = [i for i in track_ids.tolist() if i > newest]
        assert new == list(range(newest + 1, newest + 1 + len(new)))
        newest += len(new)


def test_link_does_not_depend_on_where_the_frame_begins():
    rng = np.random.default_rng(1)
    frames = [
        [square(*rng.uniform(0, 400, 2).round(), side=80.0) for _ in range(4)] for _ in range(50)
    ]
    shifted = [[tuple(v + 512.0 for v in box) for box in boxes] for boxes in frames]
    assert linked(frames)[0] == linked(shifted)[0]


def test_hungarian_assignment_is_the_best_of_all():
    rng = np.random.default_rng(2)
    for _ in range(50):
        before = [square(*rng.uniform(0, 250, 2)) for _ in range(4)]
        after = [square(*rng.uniform(0, 250, 2)) for _ in range(4)]
        track_ids = linked([before, after])[0][1]
        gain = tracks._gain(np.array(after), np.array(before))
        got = sum(gain[row, i] for row, i in enumerate(track_ids) if i < 4)
        best = max(
            sum(gain[row, i] for row, i in enumerate(order))
            for order in itertools.permutations(range(4))
        )
        assert got == pytest.approx(best)


def test_state_stays_small():
    tracker = tracks.Tracker()
    for step in range(2000):
        tracker.link(detections(square(1000 * step)), pts_s=float(step))
    assert len(tracker._live) <= tracks.LOST_FRAMES + 2
    assert tracker.frames_lost(1999) == 1999


def boxes_of_openface(path: Path):
    """The box of the points of each frame that OpenFace is sure of."""
    with gzip.open(path, "rt", newline="") as lines:
        for row in csv.DictReader(lines, skipinitialspace=True):
            if row["success"] == "1":
                x = [float(row[f"x_{i}"]) for i in range(68)]
                y = [float(row[f"y_{i}"]) for i in range(68)]
                yield min(x), min(y), max(x), max(y)


@pytest.mark.parametrize("step", [1, 25, 60])
def test_real_talking_heads_are_one_person_each(data_dir, step):
    paths = sorted((data_dir / "openface_reference" / "ffpp").glob("*.csv.gz"))[::6]
    assert paths
    for path in paths:
        boxes = list(boxes_of_openface(path))[::step]
        track_ids, tracker = linked([[box] for box in boxes])
        assert {i for frame in track_ids for i in frame} == {0}, path.name
        assert tracker.frames_seen(0) == len(boxes)


def test_people_who_were_followed_are_counted_as_seen():
    tracker = tracks.Tracker()
    tracker.keep([], np.empty((0, 4)))
    assert tracker.link(detections(square(100), square(300, side=50))).tolist() == [0, 1]
    tracker.keep([1, 0], np.array([square(310, side=200), square(110)]))
    assert [tracker.frames_seen(person) for person in (0, 1)] == [2, 2]
    assert [tracker.frames_lost(person) for person in (0, 1)] == [1, 1]
    assert tracker.largest() == 1
    assert tracker.link(detections(square(115), square(315, side=200))).tolist() == [0, 1]


def test_a_loss_is_news_for_a_few_frames():
    tracker = tracks.Tracker()
    assert not tracker.has_just_lost()
    tracker.link(detections(square(100), square(300)))
    assert not tracker.has_just_lost()
    told = []
    for _ in range(tracks.LOST_FRAMES + 2):
        tracker.link(detections(square(100)))
        told.append(tracker.has_just_lost())
    assert told == [True] * tracks.LOST_FRAMES + [False, False]
