import logging

import numpy as np
import pytest
from face_folders import video, write_folder

from facekit.errors import BadInput, BadShard
from training.options import Data
from training.table import open_table, read_table

REAL = {"label": 0, "method": "youtube"}
FAKE = {"label": 1, "method": "Deepfakes"}


def split_videos(**frames):
    """A real and a fake video in each split, of different people."""
    return [
        video(f"{split}/{name}", frames.get(split, 4), split=split, group=f"{split} {name}", **told)
        for split in ("train", "val", "test")
        for name, told in (("real", REAL), ("fake", FAKE))
    ]


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "shards", split_videos())


def test_no_folder():
    with pytest.raises(BadInput, match="no shards: give at least one folder"):
        read_table([])


def test_a_table_says_where_each_face_lies(tmp_path):
    one = write_folder(tmp_path / "one", [video("a", 3), video("b", 0), video("c", 2, people=2)])
    two = write_folder(tmp_path / "two", [video("d", 1, **FAKE)], margin=1.3, seed=1)
    table = read_table([one, two])
    assert table.videos.key.tolist() == ["a", "b", "c", "d"]
    assert table.videos.status.tolist() == ["ok", "no_face", "ok", "ok"]
    assert table.videos.role.tolist() == [""] * 4
    samples = table.samples
    assert len(table) == len(samples) == 3 + 0 + 4 + 1
    assert samples.folder_N.tolist() == [0] * 7 + [1]
    assert samples.row_N.tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    assert samples.video_N.tolist() == [0, 0, 0, 2, 2, 2, 2, 3]
    assert samples.frame_index_N.tolist() == [0, 3, 6, 0, 0, 3, 3, 0]
    assert samples.track_id_N.tolist() == [0, 0, 0, 0, 1, 0, 1, 0]
    assert samples.label_N.tolist() == [0] * 7 + [1]
    assert samples.margin_N.tolist() == [np.float32(1.6)] * 7 + [np.float32(1.3)]
    assert samples.is_sound_N.all()


def test_a_subset_is_a_table_of_its_own(folder):
    table = open_table([folder], Data(task="labelled"), 0)
    val = table.subset("val")
    assert val.videos.key.tolist() == ["val/fake", "val/real"]
    assert val.samples.video_N.tolist() == [0] * 4 + [1] * 4
    assert val.samples.label_N.tolist() == [1] * 4 + [0] * 4
    assert len(table.subset("nothing")) == len(table.subset("nothing").videos) == 0


@pytest.mark.parametrize(
    ("frames", "count", "kept"),
    [
        (0, 8, []),
        (1, 8, [0]),
        (8, 8, range(8)),
        (32, 8, range(2, 32, 4)),
        (9, 2, [2, 6]),
        (10, 1, [5]),
        (5, 4, [0, 1, 3, 4]),
    ],
)
def test_frames_are_evenly_spaced(tmp_path, frames, count, kept):
    told = [video("a", frames), video("b", 2)]
    table = read_table([write_folder(tmp_path / "shards", told)]).frames(count)
    assert len(table.videos) == 2
    of_a = table.samples.video_N == 0
    assert (table.samples.frame_index_N[of_a] // 3).tolist() == list(kept)
    assert (~of_a).sum() == min(2, count)


def test_all_faces_of_a_frame_are_kept_together(tmp_path):
    told = [video("a", 6, people=3)]
    table = read_table([write_folder(tmp_path / "shards", told)]).frames(2)
    assert (table.samples.frame_index_N // 3).tolist() == [1, 1, 1, 4, 4, 4]
    assert table.samples.track_id_N.tolist() == [0, 1, 2, 0, 1, 2]


def test_frames_below_one_are_refused(folder):
    with pytest.raises(BadInput, match="frames must be at least 1, not 0"):
        read_table([folder]).frames(0)


def test_tampered_trains_on_real_faces_and_tests_on_both(folder, caplog):
    caplog.set_level(logging.INFO, "training")
    table = open_table([folder], Data(task="tampered"), 0)
    assert table.subset("train").videos.key.tolist() == ["train/real"]
    assert set(table.subset("val").videos.label) == {0, 1}
    assert set(table.subset("test").videos.label) == {0, 1}
    assert "train: 1 real and 0 fake videos, 4 faces" in caplog.messages
    assert "test: 1 real and 1 fake videos, 8 faces" in caplog.messages
    why = table.videos.set_index("key").why
    assert why["train/fake"] == "fake, and data.task = tampered learns from real faces"


def test_a_video_without_a_face_keeps_its_role(tmp_path):
    folder = write_folder(tmp_path / "shards", split_videos(test=0))
    test = open_table([folder], Data(), 0).subset("test")
    assert test.videos.key.tolist() == ["test/fake", "test/real"]
    assert len(test) == 0


def test_faces_without_landmarks_are_left_out_of_training_alone(tmp_path, caplog):
    told = [
        video("a", 4, blind=3, split="train", group="a"),
        video("b", 4, blind=3, split="test", group="b"),
    ]
    table = open_table([write_folder(tmp_path / "shards", told)], Data(), 0)
    assert len(table.subset("train")) == 1
    assert table.subset("train").samples.frame_index_N.tolist() == [9]
    assert len(table.subset("test")) == 4
    assert "3 of 4 faces have no landmarks; not trained on" in caplog.messages


def bad_folders(tmp_path):
    """What is wrong -> folders and the error."""
    good = [video("a", group="a", split="train")]

    def folder(name, videos=good, **options):
        return write_folder(tmp_path / name, videos, **options)

    return {
        "size": ([folder("s1"), folder("s2", [video("b")], size=48)], BadInput, "size = 48"),
        "align": ([folder("l1"), folder("l2", [video("b")], align=True)], BadInput, "align = True"),
        "twice": ([folder("t1"), folder("t2")], BadInput, "a is in the shards twice"),
        "images": ([folder("i", images=False)], BadShard, "holds no crops; extract without"),
        "blind": (
            [folder("b", [video("a", 4, blind=4)])],
            BadShard,
            "no face has landmarks and ellipses",
        ),
        "missing": ([tmp_path / "none"], BadInput, "no such file or folder"),
    }


@pytest.mark.parametrize("what", ["size", "align", "twice", "images", "blind", "missing"])
def test_folders_that_cannot_be_used(tmp_path, what):
    folders, kind, told = bad_folders(tmp_path)[what]
    with pytest.raises(kind, match=told) as caught:
        read_table(folders)
    assert "\n" not in str(caught.value)


def test_boxes_of_different_detectors_are_said_aloud(tmp_path, caplog):
    one = write_folder(tmp_path / "one", [video("a")], detector="yunet")
    two = write_folder(tmp_path / "two", [video("b")], detector="lite")
    assert len(read_table([one, two])) == 8
    assert "margins differ in meaning" in caplog.text


@pytest.mark.parametrize(
    ("videos", "data", "told"),
    [
        (
            [video("a", label=-1, split="train"), video("b", split="train")],
            Data(),
            "1 of 2 videos have no label, such as a",
        ),
        ([video("a", split="train", **FAKE)], Data(), "no real face to train on"),
        ([video("a", 0, split="train")], Data(), "no real face to train on"),
        ([video("a", split="test")], Data(), "no real face to train on"),
        (
            [video("a", split="train")],
            Data(task="labelled"),
            "needs real and fake faces to train on; here are 4 and 0",
        ),
        (
            [video("a", split="train", **FAKE), video("b", split="test")],
            Data(task="labelled"),
            "here are 0 and 4",
        ),
    ],
)
def test_videos_that_cannot_be_trained_on(tmp_path, videos, data, told):
    folder = write_folder(tmp_path / "shards", videos)
    with pytest.raises(BadInput, match=told) as caught:
        open_table([folder], data, 0)
    assert "\n" not in str(caught.value)
    assert len(read_table([folder]).videos) == len(videos)


def test_a_damaged_shard_is_refused(folder):
    shard = folder / "faces-00000.h5"
    told = bytearray(shard.read_bytes())
    told[len(told) // 2 : len(told) // 2 + 64] = bytes(64)
    shard.write_bytes(told[: len(told) - 1])
    with pytest.raises(BadShard, match=r"faces-00000\.h5"):
        read_table([folder])
