import os
from collections import Counter

import pytest

from facekit.errors import BadInput
from pipelines import folders


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.mark.parametrize(
    ("names", "videos", "ignored"),
    [
        ([], [], {}),
        (["a.txt", "b.JSON", "README"], [], {".txt": 1, ".json": 1, "without ending": 1}),
        (["a.mp4", "b/c.MKV", "b/d/e.webm"], ["a.mp4", "b/c.MKV", "b/d/e.webm"], {}),
        (["a.mp4", "._a.mp4", ".trash/b.mp4"], ["a.mp4"], {"hidden": 2}),
        (["s/1/0.png", "s/1/1.png", "s/2/0.jpg"], ["s/1", "s/2"], {}),
        (["s/0.png", "s/Thumbs.db", "s/.DS_Store"], ["s"], {}),
        (["s/0.png", "s/labels.csv"], [], {".png": 1, ".csv": 1}),
        (["cover.jpg", "s/0.png"], ["s"], {".jpg": 1}),
        (["s/0.png", "s/v.mp4"], ["s/v.mp4"], {".png": 1}),
        (["0.png", "1.png"], ["."], {}),
        (["no.mp4/yes.mp4"], ["no.mp4/yes.mp4"], {}),
        (["s/folder.png/0.png"], ["s/folder.png"], {}),
    ],
)
def test_videos_in(tmp_path, names, videos, ignored):
    make(tmp_path, *names)
    counted = Counter()
    found = folders.videos_in(tmp_path, counted)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in found) == sorted(videos)
    assert counted == ignored


def test_a_loop_of_links_ends_and_says_so(tmp_path):
    make(tmp_path, "a/b/x.mp4")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    counted = Counter()
    assert folders.videos_in(tmp_path, counted) == [tmp_path / "a/b/x.mp4"]
    assert counted == {"link to a folder above it": 1, "without ending": 1}


def test_links_to_folders_elsewhere_are_followed(tmp_path):
    make(tmp_path / "disk", "x.mp4")
    make(tmp_path / "set", "y.mp4")
    (tmp_path / "set" / "more").symlink_to(tmp_path / "disk")
    found = folders.videos_in(tmp_path / "set", Counter())
    assert sorted(found) == [tmp_path / "set/more/x.mp4", tmp_path / "set/y.mp4"]


@pytest.mark.parametrize("target", ["nowhere.mp4", "broken.mp4"], ids=["missing", "itself"])
def test_a_broken_link_is_kept_so_that_the_run_reports_it(tmp_path, target):
    (tmp_path / "broken.mp4").symlink_to(tmp_path / target)
    assert folders.videos_in(tmp_path, Counter()) == [tmp_path / "broken.mp4"]


def test_a_pipe_is_no_video(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    counted = Counter()
    assert folders.videos_in(tmp_path, counted) == []
    assert counted == {"pipe, socket or device": 1}


def test_an_unreadable_folder_is_refused(tmp_path, monkeypatch):
    make(tmp_path, "locked/x.mp4", "y.mp4")
    real = os.scandir

    def scandir(folder):
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(BadInput, match=r"cannot read folder .*locked: Permission denied"):
        folders.videos_in(tmp_path, Counter())


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"cannot read folder .*gone: No such file"):
        folders.videos_in(tmp_path / "gone", Counter())


def test_depth_is_bounded_by_the_system_alone(tmp_path):
    deep = tmp_path
    for _ in range(900):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "x.mp4").touch()
    assert folders.videos_in(tmp_path, Counter()) == [deep / "x.mp4"]


@pytest.mark.parametrize(
    ("ignored", "said"),
    [
        ({}, "ignored nothing"),
        ({".txt": 1}, "ignored 1 file that is no video: .txt 1"),
        ({".json": 2, ".txt": 10}, "ignored 12 files that are no videos: .txt 10, .json 2"),
        ({".\n": 2}, "ignored 2 files that are no videos: '.\\n' 2"),
        (
            {f".{i:02d}": 1 for i in range(14)},
            "ignored 14 files that are no videos: "
            + ", ".join(f".{i:02d} 1" for i in range(12))
            + " and 2 other kinds",
        ),
    ],
)
def test_said(ignored, said):
    assert folders.said(Counter(ignored)) == said


@pytest.mark.parametrize(
    ("name", "there"), [("", True), ("x" * 300, False), ("a\0b", False), ("gone/x", False)]
)
def test_exists(tmp_path, name, there):
    assert folders.exists(tmp_path / name) is there
