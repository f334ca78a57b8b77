"""Rows in, whole chunks out."""

import h5py
import numpy as np
import pytest
import shard_making as making

from facekit.errors import BadInput
from facekit.shards.seal import check_seal
from facekit.shards.writer import ShardWriter


def _write(path, made, cuts):
    with ShardWriter(path, making.HEADER) as writer:
        for start, stop in zip([0, *cuts], [*cuts, len(made["pts_s"])], strict=True):
            writer.append({n: array[start:stop] for n, array in made.items()}, stop - start)
        writer.append_video(making.failed("a"))
        writer.finish()
    return path.read_bytes()


@pytest.fixture(scope="module")
def in_one_block(tmp_path_factory):
    """Rows 0 to 519 cross the edge of every chunk there is: 8, 16 and 512."""
    made = making.columns(520)
    return made, _write(tmp_path_factory.mktemp("one") / "a.h5", made, [])


@pytest.mark.parametrize(
    "cuts",
    [
        [0, 0],
        [7, 8, 9],
        [63, 65],
        [511, 512, 513],
        list(range(0, 520, 13)),
    ],
)
def test_blocks_leave_no_trace(tmp_path, in_one_block, cuts):
    made, wanted = in_one_block
    assert _write(tmp_path / "a.h5", made, cuts) == wanted


def test_chunks_are_written_once(tmp_path):
    """A chunk written, read again and written longer would leave holes in the file."""
    made = making.columns(129)
    path = tmp_path / "a.h5"
    _write(path, made, list(range(129)))
    with h5py.File(path) as file:
        stored = sum(file[name].id.get_storage_size() for name in made)
        stored += sum(column.id.get_storage_size() for column in file["videos"].values())
        metadata = path.stat().st_size - stored
        assert file.id.get_freespace() == 0
    assert metadata < 60_000


def test_replacing_reaches_every_chunk(tmp_path):
    made = making.columns(1100)
    wanted = np.arange(3300, dtype=np.float32).reshape(1100, 3)
    path = tmp_path / "a.h5"
    with ShardWriter(path, making.HEADER) as writer:
        writer.append(made, 1100)
        writer.append_video(making.record("a", 1100))
        writer.finish({"au_score": wanted})
    check_seal(path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["au_score"][:], wanted)
        np.testing.assert_array_equal(file["au_intensity"][:], made["au_intensity"])


@pytest.mark.parametrize("shape", [(9, 3), (10, 2), (10,), (11, 3)])
def test_replacing_with_another_shape(tmp_path, shape):
    with ShardWriter(tmp_path / "a.h5", making.HEADER) as writer:
        writer.append(making.columns(10), 10)
        with pytest.raises(BadInput, match=r"not \(10, 3\)"):
            writer.finish({"au_score": np.zeros(shape, np.float32)})


def test_unfinished_files_have_no_seal(tmp_path):
    with ShardWriter(tmp_path / "a.h5", making.HEADER) as writer:
        writer.append(making.columns(10), 10)
    assert (tmp_path / "a.h5").read_bytes()[:512] == bytes(512)
