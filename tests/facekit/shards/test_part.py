"""One video's faces, streamed into a file of their own."""

import os

import numpy as np
import pytest
import shard_making as making

from facekit.action_units import AULabels
from facekit.errors import BadInput
from facekit.faces import VideoFaces
from facekit.shards import PartWriter
from facekit.shards.file import ShardFile


def _writer(path, header=making.HEADER):
    return PartWriter(path, header.provenance, size_px=header.size_px, images=header.images)


def _read(path):
    with ShardFile(path) as part:
        return part.read(0, part.rows), part.videos()


@pytest.mark.parametrize("header", [making.HEADER, making.BARE])
@pytest.mark.parametrize("rows", [0, 1, 8, 63, 130])
def test_what_is_read_is_what_was_written(tmp_path, header, rows):
    made = making.columns(rows, header=header, people=3)
    path = making.write_part(tmp_path / "a.h5", "a", made, header=header)
    columns, videos = _read(path)
    assert columns.keys() == made.keys()
    for name, array in made.items():
        np.testing.assert_array_equal(columns[name], array, err_msg=name)
        assert columns[name].dtype == array.dtype
    assert videos["key"].tolist() == [b"a"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


def test_bytes_do_not_depend_on_the_blocks(tmp_path):
    made = making.columns(100)
    written = {
        making.write_part(tmp_path / "a.h5", "a", made, block_rows=rows).read_bytes()
        for rows in (1, 7, 64, 1000)
    }
    assert len(written) == 1


@pytest.mark.parametrize("keep", [{1}, {0, 2}, {0, 1, 2, 9}, None])
def test_tracks_not_asked_for_leave_no_trace(tmp_path, keep):
    made = making.columns(131, people=3)
    kept = np.isin(made["track_id"], sorted({0, 1, 2} if keep is None else keep))
    wanted = {name: array[kept] for name, array in made.items()}
    direct = making.write_part(tmp_path / "direct.h5", "a", wanted)
    with _writer(tmp_path / "a.h5") as part:
        part.append(VideoFaces(columns=made))
        assert part.rows == 131
        told = making.record("a", making.frames_of(wanted))
        assert part.close(told, keep_tracks=keep) == kept.sum()
    assert (tmp_path / "a.h5").read_bytes() == direct.read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.h5", "direct.h5"]


@pytest.mark.parametrize("rows", [0, 5, 600])
def test_labels_replace_those_appended(tmp_path, rows):
    made = making.columns(rows, header=making.HEADER)
    labels = AULabels(
        occurrence=made["au_occurrence"][::-1].copy(),
        intensity=np.arange(3 * rows, dtype=np.float32).reshape(rows, 3),
        score=made["au_intensity"] + np.float32(1),
    )
    with _writer(tmp_path / "a.h5") as part:
        part.append(VideoFaces(columns=made))
        part.close(making.record("a", making.frames_of(made)), labels=labels)
    columns, _ = _read(tmp_path / "a.h5")
    np.testing.assert_array_equal(columns["au_occurrence"], labels.occurrence)
    np.testing.assert_array_equal(columns["au_intensity"], labels.intensity)
    np.testing.assert_array_equal(columns["au_score"], labels.score)
    np.testing.assert_array_equal(columns["landmarks_xy"], made["landmarks_xy"])


def test_labels_and_tracks_together(tmp_path):
    made = making.columns(40, people=2)
    labels = AULabels.unknown(40, 3)
    labels.intensity[:] = np.arange(40)[:, None]
    with _writer(tmp_path / "a.h5") as part:
        part.append(VideoFaces(columns=made))
        part.close(making.record("a", 20), keep_tracks={1}, labels=labels)
    columns, _ = _read(tmp_path / "a.h5")
    assert columns["au_intensity"][:, 0].tolist() == list(range(1, 40, 2))


def _without(made, name):
    return {key: array for key, array in made.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: _without(made, "video_id"), None),
        (lambda made: {**made, "video_id": made["video_id"] + 7}, None),
        (lambda made: _without(made, "image"), "columns missing or not of a shard: image"),
        (lambda made: {**made, "extra": made["pts_s"]}, "columns missing or not of a shard: extra"),
        (lambda made: {**made, "pts_s": made["pts_s"].astype("f4")}, "pts_s is float32"),
        (lambda made: {**made, "image": made["image"][:, :30]}, r"image is uint8 \(5, 30, 32, 3\)"),
        (lambda made: {**made, "pts_s": made["pts_s"][:-1]}, r"pts_s is float64 \(4,\)"),
    ],
)
def test_block_refused(tmp_path, change, message):
    with _writer(tmp_path / "a.h5") as part:
        block = VideoFaces(columns=change(making.columns(5)))
        if message is None:
            part.append(block)
            part.close(making.record("a", 5))
        else:
            with pytest.raises(BadInput, match=message):
                part.append(block)
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if message else ["a.h5"])


@pytest.mark.parametrize(
    ("told", "labels", "change", "message"),
    [
        (making.record("a", 4), None, {}, "5 frames with a face, 4 are claimed"),
        (making.record("a", 0), None, {}, "status no_face, 5 frames"),
        (making.record("a", 5, frames_sampled=3), None, {}, "more frames with a face"),
        (making.record("a", 5, status="fine"), None, {}, "unknown status 'fine'"),
        (making.record("", 5), None, {}, "keys of videos"),
        (
            making.record("a", 5),
            AULabels.unknown(4, 3),
            {},
            r"au_occurrence is \(4, 3\), not \(5, 3\)",
        ),
        (making.record("a", 5), AULabels.unknown(5, 2), {}, r"is \(5, 2\), not \(5, 3\)"),
        (making.record("a", 5), None, {"frame_index": [0, 1, 3, 2, 4]}, "not in order"),
        (making.record("a", 4), None, {"frame_index": [0, 1, 1, 2, 3]}, "not in order"),
        (making.record("a", 5), None, {"frame_index": [-1, 1, 2, 3, 4]}, "below 0"),
        (making.record("k" * 600, 5), None, {}, "cannot be stored"),
    ],
)
def test_disagreement_publishes_nothing(tmp_path, told, labels, change, message):
    made = making.columns(5)
    made.update({name: np.array(values, np.int32) for name, values in change.items()})
    with pytest.raises(BadInput, match=message), _writer(tmp_path / "a.h5") as part:
        part.append(VideoFaces(columns=made))
        part.close(told, labels=labels)
    assert list(tmp_path.iterdir()) == []


def test_exception_leaves_the_old_part_and_nothing_else(tmp_path):
    path = making.write_part(tmp_path / "a.h5", "a", making.columns(5))
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), _writer(path) as part:
        part.append(VideoFaces(columns=making.columns(30)))
        assert (tmp_path / f".a.h5.tmp-{os.getpid()}").exists()
        raise KeyboardInterrupt
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_bytes() == before


def test_nothing_is_published_without_close(tmp_path):
    with _writer(tmp_path / "a.h5") as part:
        part.append(VideoFaces(columns=making.columns(5)))
    assert list(tmp_path.iterdir()) == []
