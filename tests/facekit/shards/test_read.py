"""Reading, against what plain h5py reads from the same files."""

import multiprocessing
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor

import h5py
import numpy as np
import pytest
import shard_making as making

from facekit import schema
from facekit.errors import BadInput, BadShard
from facekit.faces import VideoFaces
from facekit.shards import Shards, open_shards, read


@pytest.fixture(scope="module")
def reference(whole_dataset):
    """Every column of both shards, joined; video_id counted through."""
    joined = {}
    with (
        h5py.File(whole_dataset / "faces-00000.h5") as one,
        h5py.File(whole_dataset / "faces-00001.h5") as two,
    ):
        for name in schema.COLUMNS:
            joined[name] = np.concatenate([one[name][:], two[name][:]])
        joined["video_id"][len(one["video_id"]) :] += len(one["videos/key"])
    return joined


@pytest.fixture
def shards(whole_dataset):
    with open_shards(whole_dataset) as opened:
        yield opened


def _assert_same(block, reference, which):
    assert isinstance(block, VideoFaces)
    for name, array in block.columns.items():
        np.testing.assert_array_equal(array, reference[name][which], err_msg=name)
        assert array.dtype == reference[name].dtype


@pytest.mark.parametrize(
    "which",
    [
        slice(0, 0),
        slice(5, 2),
        slice(500, 600),
        slice(0, 1),
        slice(3, 20),
        slice(105, 115),
        slice(None),
        slice(-12, None),
        slice(-500, -110),
    ],
)
def test_slices(shards, reference, which):
    _assert_same(shards[which], reference, which)
    assert len(shards[which]) == len(reference["pts_s"][which])


@pytest.mark.parametrize("row", [0, 1, 109, 110, 118, -1, -119])
def test_one_face(shards, reference, row):
    face = shards[row]
    assert set(face) == set(schema.COLUMNS)
    for name, value in face.items():
        np.testing.assert_array_equal(value, reference[name][row], err_msg=name)


@pytest.mark.parametrize("row", [119, -120, 10**9])
def test_no_such_face(shards, row):
    with pytest.raises(IndexError, match="of 119"):
        shards[row]


def test_steps_are_refused(shards):
    with pytest.raises(BadInput, match="step 1, not 2"):
        shards[::2]


@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
def test_blocks_are_all_faces_once(shards, reference, rows):
    blocks = list(shards.iter_blocks(rows))
    assert {len(block) for block in blocks[:-1]} <= {rows}
    joined = {n: np.concatenate([block.columns[n] for block in blocks]) for n in shards.columns}
    _assert_same(VideoFaces(columns=joined), reference, slice(None))


def test_iteration(shards, reference):
    assert [face["frame_index"] for face in shards] == reference["frame_index"].tolist()


def test_some_columns(whole_dataset, reference):
    with open_shards(str(whole_dataset), columns=["au_mask", "track_id"]) as some:
        assert some.columns == ("au_mask", "track_id")
        block = some[100:119]
        assert list(block.columns) == ["au_mask", "track_id"]
        assert len(block) == 19
        _assert_same(block, reference, slice(100, 119))


def test_read_into_the_callers_memory(shards, reference):
    pinned = np.full((50, 32, 32, 3), 99, np.uint8)
    shards.read_into(80, {"image": pinned[:30]})
    np.testing.assert_array_equal(pinned[:30], reference["image"][80:110])
    assert (pinned[30:] == 99).all()


@pytest.mark.parametrize(
    ("start", "arrays"),
    [
        (110, {"pts_s": np.empty(10, "f8")}),
        (-1, {"pts_s": np.empty(1, "f8")}),
        (0, {"pts_s": np.empty(2, "f4")}),
        (0, {"box_xyxy": np.empty((2, 3), "f4")}),
        (0, {"box_xyxy": np.empty((2, 8), "f4")[:, ::2]}),
        (0, {"nothing": np.empty(2, "f4")}),
    ],
)
def test_read_into_what_does_not_fit(shards, start, arrays):
    with pytest.raises(BadInput, match=r"column needs|do not exist"):
        shards.read_into(start, arrays)


def test_videos_and_records(shards, whole_dataset):
    videos = shards.videos
    assert list(videos.columns) == list(schema.VIDEOS)
    assert videos["key"].tolist() == ["a", "b", "c", "d", "e", "f"]
    assert videos["status"].tolist() == ["ok", "timeout", "no_face", "ok", "crashed", "ok"]
    assert videos["size_wh"][0] == (640, 480)
    assert videos["label"].dtype == np.int8
    records = shards.records()
    assert [record.row() for record in records[2:3]] == [making.record("c").row()]
    assert records[5].video.relative_path == "f.mp4"
    assert shards.faces_per_video() == [40, 0, 0, 70, 0, 9]


def test_provenance(shards):
    assert shards.provenance == making.provenance()
    assert (shards.header.size_px, shards.header.images) == (32, True)


def test_to_pandas(shards, reference):
    faces = shards.to_pandas()
    assert len(faces) == 119
    assert not any(name.startswith(("image", "au_mask")) for name in faces.columns)
    assert faces["key"].tolist() == ["a"] * 40 + ["d"] * 70 + ["f"] * 9
    assert set(faces["status"]) == {"ok"}
    assert set(faces["label"]) == {1}
    np.testing.assert_array_equal(faces["landmarks_xy_67_1"], reference["landmarks_xy"][:, 67, 1])
    np.testing.assert_array_equal(faces["au_score_AU12"], reference["au_score"][:, 2])
    np.testing.assert_array_equal(faces["box_xyxy_3"], reference["box_xyxy"][:, 3])
    np.testing.assert_array_equal(faces["video_id"], reference["video_id"])


def test_one_file_by_itself(whole_dataset):
    with open_shards(whole_dataset / "faces-00001.h5") as shard:
        assert len(shard) == 9
        assert shard.videos["key"].tolist() == ["e", "f"]
        assert set(shard[:].columns["video_id"]) == {1}


def test_without_images_or_action_units(tmp_path):
    made = making.columns(10, header=making.BARE)
    path = making.write_part(tmp_path / "a.h5", "a", made, header=making.BARE)
    with open_shards(path) as part:
        assert "image" not in part.columns
        assert part[2:6].columns["au_occurrence"].shape == (4, 0)
        assert len(part.to_pandas()) == 10
    with pytest.raises(BadInput, match="no column 'image'"):
        open_shards(path, columns=["image"])


def test_no_faces_at_all(tmp_path):
    path = making.write_part(tmp_path / "a.h5", "a", making.columns(0))
    with open_shards(path) as part:
        assert len(part) == 0
        assert list(part) == list(part.iter_blocks()) == []
        assert part[:].columns["image"].shape == (0, 32, 32, 3)
        assert len(part.to_pandas()) == 0
        assert part.faces_per_video() == [0]


def test_pickle_carries_no_data(shards, reference):
    shards[0:5]
    data = pickle.dumps(shards)
    assert len(data) < 4096
    with pickle.loads(data) as again:
        assert isinstance(again, Shards)
        _assert_same(again[60:115], reference, slice(60, 115))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_read_by_themselves(shards, reference, method):
    shards[0:20]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        halves = list(pool.map(shards.read, [0, 60], [60, 119]))
    _assert_same(halves[0], reference, slice(0, 60))
    _assert_same(halves[1], reference, slice(60, 119))
    _assert_same(shards[20:40], reference, slice(20, 40))


def test_few_files_stay_open(shards, reference, monkeypatch):
    monkeypatch.setattr(read, "_OPEN_FILES", 1)
    for row in (0, 118, 1, 117):
        assert shards[row]["frame_index"] == reference["frame_index"][row]
        assert len(shards._files) == 1


def test_closed_shards_open_again(shards, reference):
    shards.close()
    assert shards[3]["pts_s"] == reference["pts_s"][3]


def test_reading_does_not_touch_the_file(whole_dataset):
    """Read-only, without a lock: also from a folder nobody may write to."""
    path = whole_dataset / "faces-00000.h5"
    before = (path.stat().st_mtime_ns, path.read_bytes())
    with open_shards(whole_dataset) as one, open_shards(whole_dataset) as two, path.open("r+b"):
        assert (one[5]["image"] == two[5]["image"]).all()
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


@pytest.mark.parametrize(
    ("harm", "error", "message"),
    [
        (lambda d: shutil.rmtree(d), BadInput, "no such file"),
        (lambda d: (d / "manifest.json").unlink(), BadShard, "manifest.json is missing"),
        (lambda d: (d / "manifest.json").write_text("{}"), BadShard, "manifest.json"),
        (lambda d: (d / "faces-00001.h5").unlink(), BadShard, "faces-00001.h5: missing or cut"),
        (lambda d: os.truncate(d / "faces-00000.h5", 5000), BadShard, "missing or cut"),
    ],
)
def test_open_refuses(dataset, harm, error, message):
    harm(dataset)
    with pytest.raises(error, match=message):
        open_shards(dataset)


def test_shards_that_were_exchanged(dataset):
    """Of the right length, but another's: found when it is opened."""
    path = dataset / "faces-00001.h5"
    made = making.columns(9, seed=9)
    renamed = making.provenance(frames="64")
    header = making.Header(provenance=renamed, size_px=32, images=True)
    making.write_raw(path, made, [making.failed("e"), making.record("f", 9)], header=header)
    lengths = {entry.name: (dataset / entry.name).stat().st_size for entry in _entries(dataset)}
    if lengths["faces-00001.h5"] != _entries(dataset)[1].bytes:
        with pytest.raises(BadShard, match="missing or cut"):
            open_shards(dataset)
        return
    with open_shards(dataset) as shards, pytest.raises(BadShard, match="not the shard"):
        shards[110:119]


def _entries(folder):
    from facekit.shards import read_manifest

    return read_manifest(folder).shards


def test_flipped_bits_never_read_as_data(dataset, reference):
    """A block either reads as written or raises: checksums of HDF5 alone, no digest."""
    path = dataset / "faces-00001.h5"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    outcomes = set()
    for bit in rng.integers(8 * 512, 8 * len(whole), 40):
        harmed = bytearray(whole)
        harmed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(harmed)
        try:
            with open_shards(dataset) as shards:
                _assert_same(shards[110:119], reference, slice(110, 119))
            outcomes.add("unharmed")
        except BadShard:
            outcomes.add("refused")
    assert "refused" in outcomes
