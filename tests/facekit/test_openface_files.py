"""Where OpenFace's CSV of a video is looked for, what is read from it, which row is a face's."""

import csv
import gzip
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import openface_tables as tables
import pytest

from facekit import openface_files
from facekit.errors import BadInput
from facekit.openface_files import OpenFaceFiles, locate, read

FFPP = "original_sequences/youtube/c23/videos/035.mp4"
FAKE = "manipulated_sequences/Deepfakes/c23/videos/035_036.mp4"


@pytest.mark.parametrize(
    ("video", "files", "want"),
    [
        ("035.mp4", [], None),  # an empty folder
        ("035.mp4", ["035.csv"], "035.csv"),
        ("035.mp4", ["035.csv.gz"], "035.csv.gz"),
        ("035.mp4", ["035.csv.gz", "035.csv"], "035.csv"),  # plain before gzipped
        ("035.mp4", ["35.csv", "0350.csv", "035.txt"], None),
        ("take.2.mov", ["take.csv", "take.2.csv"], "take.2.csv"),
        (FAKE, ["Deepfakes__035_036.csv.gz"], "Deepfakes__035_036.csv.gz"),
        (FAKE, ["FaceSwap__035_036.csv.gz", "Deepfakes__036_035.csv.gz"], None),
        (FFPP, ["original__035.csv.gz"], "original__035.csv.gz"),
        (FFPP, ["youtube__035.csv", "actors__035.csv"], "youtube__035.csv"),
        (FFPP, ["orig__035.csv"], None),  # a name is cut at an underscore only
        (FAKE, ["Deepfakes__035_036.csv", "035_036.csv"], "Deepfakes__035_036.csv"),
        (FAKE, ["FaceSwap__035_036.csv", "035_036.csv"], "035_036.csv"),
        (
            FAKE,
            ["Deepfakes__035_036.csv", "Deepfakes__c23__035_036.csv"],
            "Deepfakes__c23__035_036.csv",  # more names before fewer
        ),
        (FAKE, ["c23__Deepfakes__035_036.csv"], None),  # folders in the wrong order
        (FAKE, ["c23/videos/035_036.csv", "Deepfakes__035_036.csv"], "c23/videos/035_036.csv"),
        (FAKE, ["videos/035_036.csv", "c23/videos/035_036.csv.gz"], "c23/videos/035_036.csv.gz"),
        (FAKE, ["FaceSwap/c23/videos/035_036.csv"], None),
        ("id0__walk.mp4", ["id0__walk.csv"], "id0__walk.csv"),  # a stem with two underscores
        ("DFD/actors/01__walk.mp4", ["actors__01__walk.csv"], "actors__01__walk.csv"),
        ("a[1].mp4", ["a1.csv", "a[1].csv"], "a[1].csv"),  # no pattern
    ],
)
def test_locate_in_a_folder(tmp_path, video, files, want):
    folder = tmp_path / "labels"
    folder.mkdir()
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    with pytest.raises(BadInput, match="FeatureExtraction") if want is None else nullcontext():
        found = locate(tmp_path / "data" / video, folder)
        assert found == folder / want


def test_locate_refuses_to_choose(tmp_path):
    for name in ("original__035.csv", "youtube__035.csv.gz"):
        (tmp_path / name).touch()
    with pytest.raises(BadInput, match=r"both original__035.csv and youtube__035.csv"):
        locate(tmp_path / FFPP, tmp_path)


@pytest.mark.parametrize(
    ("video", "is_folder", "files", "want"),
    [
        ("clip.mp4", False, [], None),
        ("clip.mp4", False, ["clip.csv.gz"], "clip.csv.gz"),
        ("clip.mp4", False, ["clip.csv", "x__clip.csv"], "clip.csv"),
        ("clip.mp4", False, ["x__clip.csv", "sub/clip.csv"], None),
        ("frames.v2", True, ["frames.csv", "frames.v2.csv"], "frames.v2.csv"),
    ],
)
def test_locate_beside_the_video(tmp_path, video, is_folder, files, want):
    if is_folder:
        (tmp_path / video).mkdir()
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(BadInput, match=r"no clip\.csv") if want is None else nullcontext():
        assert locate(tmp_path / video) == tmp_path / want


def test_a_folder_that_is_none_is_refused_at_once(tmp_path):
    with pytest.raises(BadInput, match="is no folder"):
        OpenFaceFiles(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("separator", [", ", ","])
@pytest.mark.parametrize("name", ["clip.csv", "clip.csv.gz"])
def test_read_in_every_form(tmp_path, name, separator):
    rows = [tables.row(2, on=(12, 28)), tables.row(1, (5, 5, 25, 45), on=())]  # out of order
    got = read(tables.write(tmp_path / name, rows, separator=separator))
    assert got.frame_index.tolist() == [0, 1]
    np.testing.assert_array_equal(got.points_xy[0], tables.points_in((5, 5, 25, 45)).astype("f4"))
    assert got.occurrence.tolist() == [[0] * 18, [int(n in (12, 28)) for n in tables.AUS]]
    want = [2.5 if n == 12 else 0.0 for n in tables.AUS if n != 28]
    assert np.delete(got.intensity[1], 16).tolist() == want
    assert np.isnan(got.intensity[:, 16]).all()  # AU28 has none
    assert (got.points_xy.dtype, got.occurrence.dtype, got.intensity.dtype) == ("f4", "i1", "f4")


@pytest.mark.parametrize(
    ("rows", "frames"),
    [
        ([], []),
        ([tables.row(1), tables.row(3)], [0, 2]),
        ([tables.row(1, success=0)], []),
        ([tables.row(1, confidence=0.79), tables.row(2, confidence=0.8)], [1]),
        ([tables.row(1, confidence="-nan(ind)"), tables.row(2)], [1]),
        ([{**tables.row(1), "y_67": ""}, tables.row(2)], [1]),  # a torn row
        ([tables.row(1, face_id=0), tables.row(1, (80, 10, 120, 60), face_id=1)], [0, 0]),
    ],
)
def test_only_rows_that_openface_is_sure_of(tmp_path, rows, frames):
    assert read(tables.write(tmp_path / "clip.csv", rows)).frame_index.tolist() == frames


def test_an_empty_label_is_unknown(tmp_path):
    rows = [{**tables.row(1), "AU45_c": "", "AU45_r": "nan"}]
    got = read(tables.write(tmp_path / "clip.csv", rows))
    assert got.occurrence[0].tolist() == [1, *[0] * 16, -1]
    assert np.isnan(got.intensity[0, 17])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot read"),
        (b"\xff\xfe\x00\x01", "cannot read"),
        (b"name,age\nAda,36\n", "no column frame"),
        (tables.text([tables.row()], without=["success"]).encode(), "no column success"),
        (tables.text([tables.row()], without=["x_"]).encode(), "no column x_0: run .* -2Dfp"),
        (tables.text([tables.row()], without=["y_67"]).encode(), "no column y_67"),
        (tables.text([tables.row(0)]).encode(), "does not count from 1"),
        (tables.text([tables.row(1.5)]).encode(), "does not count from 1"),
        (tables.text([{**tables.row(), "frame": ""}]).encode(), "does not count from 1"),
        (tables.text([{**tables.row(), "x_3": "left"}]).encode(), "cannot read .*left"),
        (tables.text([{**tables.row(), "AU01_c": 0.5}]).encode(), "other than 0 and 1"),
    ],
)
def test_foreign_files_are_refused(tmp_path, data, message):
    path = tmp_path / "clip.csv"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-20],
        lambda data: b"not gzip" + data,
        lambda data: data[:40] + b"\0" * 40 + data[80:],
    ],
)
def test_a_damaged_archive_is_refused(tmp_path, damage):
    path = tmp_path / "clip.csv.gz"
    path.write_bytes(damage(gzip.compress(tables.text([tables.row()] * 9).encode())))
    with pytest.raises(BadInput, match="cannot read"):
        read(path)


def test_a_file_is_parsed_once_until_it_changes(tmp_path, monkeypatch):
    parsed = []
    table = openface_files._table
    monkeypatch.setattr(openface_files, "_table", lambda path: parsed.append(path) or table(path))
    path = tables.write(tmp_path / "clip.csv", [tables.row(1)])
    for _ in range(2):
        assert read(path).frame_index.tolist() == [0]
    assert parsed == [path]
    tables.write(path, [tables.row(1), tables.row(2)])
    assert read(path).frame_index.tolist() == [0, 1]


def test_the_file_of_a_video_is_looked_for_once(tmp_path, monkeypatch):
    looked = []
    find = openface_files.locate
    monkeypatch.setattr(openface_files, "locate", lambda v, f: looked.append(v.name) or find(v, f))
    for name in ("a.csv", "b.csv"):
        tables.write(tmp_path / name, [tables.row(1)])
    files = OpenFaceFiles(str(tmp_path))
    for name in ("a", "a", "b", "b", "a"):
        assert [found.tolist() for _, _, found in files.match([tables.face(f"{name}.mp4")])] == [
            [0]
        ]
    assert looked == ["a.mp4", "b.mp4", "a.mp4"]


LEFT, RIGHT = (10, 10, 50, 60), (80, 10, 120, 60)


@pytest.mark.parametrize(
    ("frame_index", "box_xyxy", "want"),
    [
        (0, LEFT, 0),
        (0, RIGHT, 1),
        (1, RIGHT, 2),
        (1, LEFT, -1),  # OpenFace saw one of the two there
        (2, LEFT, -1),  # no row for this frame
        (9, LEFT, -1),  # fewer rows than frames
        (0, (10, 10, 50, 60 + 100), 0),  # overlap 1/3
        (0, (10, 10, 50, 60 + 120), -1),  # overlap 0.294
        (0, (30, 10, 115, 60), 1),  # overlaps both, one more
        (0, (30, 30, 30, 30), -1),  # no box at all
        (0, (np.nan, 10, 50, 60), -1),
    ],
)
def test_the_row_of_a_face(tmp_path, frame_index, box_xyxy, want):
    rows = [tables.row(1, LEFT), tables.row(1, RIGHT, face_id=1), tables.row(2, RIGHT, face_id=1)]
    got = read(tables.write(tmp_path / "clip.csv", rows))
    assert got.row_of(tables.face(frame_index=frame_index, box_xyxy=box_xyxy)) == want


def test_match_goes_video_by_video(tmp_path):
    for name, frame in (("a.csv", 1), ("b.csv", 2)):
        tables.write(tmp_path / name, [tables.row(frame)])
    faces = [
        tables.face(tmp_path / f"{video}.mp4", frame_index)
        for video, frame_index in (("a", 0), ("a", 1), ("b", 0), ("b", 1), ("a", 0))
    ]
    got = [
        (span.start, span.stop, rows.path.name, found.tolist())
        for span, rows, found in OpenFaceFiles(None).match(faces)
    ]
    assert got == [(0, 2, "a.csv", [0, -1]), (2, 4, "b.csv", [-1, 0]), (4, 5, "a.csv", [0])]
    assert list(OpenFaceFiles(None).match([])) == []


def by_hand(path: Path):
    """The rows of a CSV by the csv module alone."""
    data = path.read_bytes()
    lines = (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()
    return [{k.strip(): float(v) for k, v in r.items()} for r in csv.DictReader(lines)]


def check_against(path: Path):
    want = [r for r in by_hand(path) if r["success"] == 1 and r["confidence"] >= 0.8]
    got = read(path)
    assert got.frame_index.tolist() == [r["frame"] - 1 for r in want]
    for i, r in enumerate(want):
        assert got.points_xy[i].tolist() == [
            [np.float32(r[f"x_{p}"]), np.float32(r[f"y_{p}"])] for p in range(68)
        ]
        assert got.occurrence[i].tolist() == [r[f"AU{n:02d}_c"] for n in tables.AUS]
    return len(want)


def test_a_real_file_of_the_time_before_face_ids(pyfeat_clips):
    assert check_against(pyfeat_clips / "OpenFace_Test.csv") > 50


@pytest.mark.parametrize(
    ("clip", "rows"),
    [("no_face", 0), ("face_noface", 73), ("noface_face", 72), ("single_face", 72)],
)
def test_real_files_of_clips_with_and_without_a_face(data_dir, clip, rows):
    folder = data_dir / "openface_reference" / "pyfeat_clips"
    assert check_against(locate(Path(f"{clip}.mov"), folder)) == rows


def test_every_real_clip_has_its_own_file(data_dir):
    folder = data_dir / "openface_reference" / "ffpp"
    videos = sorted((data_dir / "ffpp").rglob("*.mp4"))
    found = {locate(video, folder) for video in videos}
    assert len(found) == len(videos) == len(list(folder.iterdir()))
