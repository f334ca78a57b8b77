"""Videos and faces as pandas tables, against values put in by hand."""

import math

import numpy as np
import shard_making as making

from facekit import schema
from facekit.shards import tables


def test_videos():
    table = tables.videos([making.failed("a"), making.record("b", 3, fps=29.97)])
    assert list(table.columns) == list(schema.VIDEOS)
    assert table["key"].tolist() == ["a", "b"]
    assert table["relative_path"].tolist() == ["a.mp4", "b.mp4"]
    assert math.isnan(table["fps"][0])
    assert table["fps"][1] == 29.97
    assert table["size_wh"].tolist() == [(0, 0), (640, 480)]
    assert table["frames_with_face"].tolist() == [0, 3]
    assert {str(table[name].dtype) for name in ("frames_decoded", "label")} == {"int32", "int8"}


def test_no_videos_and_no_faces():
    videos = tables.videos([])
    assert list(videos.columns) == list(schema.VIDEOS)
    assert videos["label"].dtype == np.int8
    columns = {"video_id": np.empty(0, np.int32), "box_xyxy": np.empty((0, 4), np.float32)}
    faces = tables.faces(columns, videos, [])
    assert len(faces) == 0
    assert list(faces.columns[len(tables.JOINED) :]) == [
        "video_id",
        *(f"box_xyxy_{i}" for i in range(4)),
    ]


def test_faces_are_joined_with_their_videos():
    videos = tables.videos([making.record("a", 1), making.failed("b"), making.record("c", 1)])
    columns = {
        "video_id": np.array([0, 2, 2], np.int32),
        "au_occurrence": np.array([[0, 1], [1, 0], [-1, 1]], np.int8),
        "crop_affine": np.arange(18, dtype=np.float32).reshape(3, 2, 3),
    }
    faces = tables.faces(columns, videos, ["AU06", "AU12"])
    assert faces["key"].tolist() == ["a", "c", "c"]
    assert faces["method"].tolist() == ["Deepfakes"] * 3
    assert faces["au_occurrence_AU12"].tolist() == [1, 0, 1]
    assert faces["crop_affine_1_2"].tolist() == [5, 11, 17]
    assert faces.index.tolist() == [0, 1, 2]
