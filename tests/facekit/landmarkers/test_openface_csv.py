"""Points from OpenFace's own CSVs: the right row's, or NaN."""

import numpy as np
import openface_tables as tables
import pytest

from facekit import landmarkers
from facekit.errors import BadInput

LEFT, RIGHT = (10, 10, 50, 60), (80, 10, 120, 60)
NOBODY = np.full((68, 2), np.nan)


@pytest.mark.parametrize(
    ("faces", "want"),
    [
        ([], np.empty((0, 68, 2))),
        ([(0, LEFT)], [tables.points_in(LEFT)]),
        ([(0, RIGHT), (0, LEFT)], [tables.points_in(RIGHT), tables.points_in(LEFT)]),
        ([(1, LEFT), (2, LEFT), (3, LEFT)], [NOBODY, NOBODY, tables.points_in(LEFT)]),
        ([(0, (200, 200, 240, 250)), (9, LEFT)], [NOBODY, NOBODY]),
    ],
)
def test_each_face_gets_its_row(tmp_path, faces, want):
    rows = [
        tables.row(1, LEFT),
        tables.row(1, RIGHT, face_id=1),
        tables.row(2, LEFT, success=0),
        tables.row(3, LEFT, confidence=0.7),
        tables.row(4, LEFT),
    ]
    tables.write(tmp_path / "clip.csv", rows)
    points = landmarkers.load("openface-csv")(
        [tables.face(tmp_path / "clip.mp4", *face) for face in faces]
    )
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, np.asarray(want, np.float32))


def test_points_need_no_au_columns(tmp_path):
    tables.write(tmp_path / "clip.csv", [tables.row()], without=["AU", "face_id"])
    points = landmarkers.load(f"openface-csv:{tmp_path}")([tables.face("clip.mp4")])
    np.testing.assert_array_equal(points[0], tables.points_in(LEFT).astype(np.float32))


def test_what_it_says_of_itself():
    landmarker = landmarkers.load("openface-csv", device="cuda")
    assert (landmarker.models, landmarker.device) == ((), "cpu")


@pytest.mark.parametrize(
    ("name", "without", "message"),
    [
        ("clip.csv", ["x_"], "no column x_0: run OpenFace with -2Dfp"),
        ("clip.csv", ["confidence"], r"no column confidence: is it OpenFace's\?"),
        ("other.csv", [], r"no clip\.csv or clip\.csv\.gz"),
    ],
)
def test_files_that_will_not_do(tmp_path, name, without, message):
    tables.write(tmp_path / name, [tables.row()], without=without)
    with pytest.raises(BadInput, match=message):
        landmarkers.load("openface-csv")([tables.face(tmp_path / "clip.mp4")])


@pytest.fixture(scope="module")
def seen(data_dir, weights_dir):
    """The first 40 faces of a real clip, and the five points a real detector gives each."""
    import av

    from facekit import detectors

    video = data_dir / "ffpp/original_sequences/youtube/c23/videos/035.mp4"
    with av.open(str(video)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    found = detectors.load("insightface:scrfd_2.5g_kps", device="cpu")(frames[:40])
    faces = [tables.face(video, i, d.box_xyxy[0]) for i, d in enumerate(found)]
    after = tables.face(video, len(frames), found[-1].box_xyxy[0])
    last = tables.face(video, len(frames) - 1, found[-1].box_xyxy[0])
    return faces, np.stack([d.keypoints_xy[0] for d in found]), last, after


def five_of(points_N68xy):
    eyes = [points_N68xy[:, first : first + 6].mean(axis=1) for first in (36, 42)]
    return np.stack([*eyes, *(points_N68xy[:, i] for i in (30, 48, 54))], axis=1)


def test_real_points_lie_where_a_real_detector_sees_them(data_dir, seen):
    faces, keypoints_N5xy, last, after = seen
    landmarker = landmarkers.load(f"openface-csv:{data_dir / 'openface_reference' / 'ffpp'}")
    five_N5xy = five_of(landmarker(faces))
    span_px = np.linalg.norm(keypoints_N5xy[:, 0] - keypoints_N5xy[:, 1], axis=1)
    gap_px = np.linalg.norm(five_N5xy - keypoints_N5xy, axis=2)
    assert (gap_px < 0.2 * span_px[:, None]).all()
    points = landmarker([last, after])
    assert np.isfinite(points[0]).all()
    assert np.isnan(points[1]).all()


def test_real_points_belong_to_their_own_frame(data_dir, seen):
    """They move when the face in the decoded frames moves, not a frame earlier or later."""
    faces, keypoints_N5xy, _, _ = seen
    landmarker = landmarkers.load(f"openface-csv:{data_dir / 'openface_reference' / 'ffpp'}")
    theirs, ours = (
        np.diff(p.mean(axis=1), axis=0) for p in (keypoints_N5xy, five_of(landmarker(faces)))
    )
    agreement = {
        late: np.corrcoef(theirs[2:-2].ravel(), ours[2 + late : len(ours) - 2 + late].ravel())[0, 1]
        for late in (-2, -1, 0, 1, 2)
    }
    assert max(agreement, key=agreement.get) == 0, agreement
    assert agreement[0] > 0.9
