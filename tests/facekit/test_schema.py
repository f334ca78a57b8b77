import re

import numpy as np
import pytest

from facekit import schema
from facekit.au_masks import MASK_AUS
from facekit.faces import VideoRecord
from facekit.video import Video

ALL = [*schema.COLUMNS.values(), *schema.VIDEOS.values()]


@pytest.mark.parametrize("column", ALL, ids=lambda column: column.name)
def test_every_column_says_what_it_is(column):
    assert column.meaning
    assert column.chunk_rows > 0
    if not (text := re.fullmatch(r"utf8:(\d+)", column.dtype)):
        # Byte order is spelt out, so that the bytes are the same on every machine.
        assert np.dtype(column.dtype).str == column.dtype
    else:
        assert int(text[1]) > 0


def test_the_columns_are_pinned():
    assert list(schema.COLUMNS) == [
        "image", "frame_index", "pts_s", "video_id", "track_id", "box_xyxy", "keypoints_xy",
        "det_score", "crop_affine", "landmarks_xy", "au_occurrence", "au_intensity", "au_score",
        "au_ellipses", "au_mask",
    ]  # fmt: skip
    assert list(schema.VIDEOS) == [
        "key", "relative_path", "sha256", "dataset", "method", "compression", "label", "split",
        "original", "group", "mask_path", "labels_sha256", "status", "fps", "size_wh",
        "frames_expected", "frames_decoded", "frames_corrupt", "frames_sampled", "frames_with_face",
    ]  # fmt: skip


def test_masks_and_their_column_agree():
    assert len(MASK_AUS) == schema.MASKS == schema.COLUMNS["au_mask"].shape[0]


def test_every_status_is_described_and_fits_its_column():
    width = int(schema.VIDEOS["status"].dtype.removeprefix("utf8:"))
    assert all(meaning for meaning in schema.STATUSES.values())
    assert all(len(status) <= width for status in schema.STATUSES)
    assert schema.STATUSES.keys() > schema.SUCCESSES


def test_the_record_of_a_video_has_a_value_for_every_column(tmp_path):
    record = VideoRecord(
        video=Video(key="a", path=tmp_path, relative_path="a.mp4"), status="no_face"
    )
    assert record.row().keys() == schema.VIDEOS.keys()
    assert record.row()["status"] == "no_face"
    assert record.row()["key"] == "a"
