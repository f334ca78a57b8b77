"""Files that appear whole or not at all, also on a full disk."""

import errno
import fnmatch
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from facekit.errors import BadShard, DiskFull
from facekit.shards import disk


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFull),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), DiskFull),
        (OSError(errno.EFBIG, "File too large"), DiskFull),
        (OSError(errno.EACCES, "Permission denied"), PermissionError),
        (ValueError("nothing to do with it"), ValueError),
    ],
)
def test_disk_full(raised, expected):
    with pytest.raises(expected) as caught, disk.disk_full(Path("out/faces.h5")):
        raise raised
    if expected is DiskFull:
        assert str(caught.value).startswith("out/faces.h5: ")
        assert caught.value.exit_code == 74


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError("Can't read data (fletcher32)"), "f.h5: cannot be read: Can't read data"),
        (FileNotFoundError(2, "No such file"), "f.h5: cannot be read: No such file"),
        (KeyError("image"), "f.h5: cannot be read: KeyError: 'image'"),
        (RuntimeError("one\ntwo"), "f.h5: cannot be read: RuntimeError: one"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "f.h5: cannot be read: Unicode"),
    ],
)
def test_damaged(raised, expected):
    with pytest.raises(BadShard) as caught, disk.damaged(Path("f.h5")):
        raise raised
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("purpose", ["", "kept"])
def test_the_message_has_the_name_that_people_know(tmp_path, purpose):
    target = tmp_path / "a.b.h5"
    draft = disk.temporary(target, purpose)
    assert draft.parent == tmp_path
    assert fnmatch.fnmatch(draft.name, ".*.tmp-*")
    with pytest.raises(DiskFull, match=f"^{target}: No space"), disk.disk_full(draft):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_require_free(tmp_path):
    disk.require_free(tmp_path, 0)
    free = disk.free_bytes(tmp_path)
    with pytest.raises(DiskFull, match=str(tmp_path)):
        disk.require_free(tmp_path, 2 * free + (1 << 40))


class TestPublishing:
    def test_new_file_has_its_content_and_mode(self, tmp_path):
        before = os.umask(0o027)
        try:
            with disk.publishing(tmp_path / "a.txt") as draft:
                assert draft.parent == tmp_path
                assert draft.name == f".a.txt.tmp-{os.getpid()}"
                draft.write_text("whole")
        finally:
            os.umask(before)
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
        assert (tmp_path / "a.txt").read_text() == "whole"
        assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640

    @pytest.mark.parametrize(
        ("raised", "expected"),
        [
            (KeyboardInterrupt(), KeyboardInterrupt),
            (OSError(errno.ENOSPC, "No space left"), DiskFull),
        ],
    )
    def test_failure_leaves_the_old_file(self, tmp_path, raised, expected):
        target = tmp_path / "a.txt"
        target.write_text("old")
        with pytest.raises(expected), disk.publishing(target) as draft:
            draft.write_text("half")
            raise raised
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
        assert target.read_text() == "old"


class _FullAfter:
    """A raw file on a disk that holds that many bytes."""

    def __init__(self, raw, room):
        self._raw, self._room = raw, room

    def write(self, data):
        if self._raw.tell() + len(data) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._raw.write(data)

    def __getattr__(self, name):
        return getattr(self._raw, name)


@pytest.mark.parametrize("room", [0, 1000, 3000, 50_000, 10_000_000])
def test_sink_lets_hdf5_close_whatever_the_room(tmp_path, room):
    path = tmp_path / "a.h5"
    data = np.random.default_rng(0).integers(0, 255, (40, 4096), np.uint8)
    sink = disk.Sink(path)
    sink._file = _FullAfter(sink._file, room)
    with h5py.File(sink, "w", libver=("v110", "v110")) as file:
        dataset = file.create_dataset("x", data=data, chunks=(1, 4096), fletcher32=True)
        file.flush()
        assert (dataset[:] == data).all()
    full = room < 40 * 4096
    if full:
        with pytest.raises(DiskFull, match=r"a\.h5"):
            sink.check()
    else:
        sink.check()
    sink.close()
    if not full:
        with h5py.File(path) as file:
            assert (file["x"][:] == data).all()


def test_sink_keeps_what_interrupts_a_write(tmp_path):
    sink = disk.Sink(tmp_path / "a.h5")

    class _Interrupted(_FullAfter):
        def write(self, data):
            raise KeyboardInterrupt

    sink._file = _Interrupted(sink._file, 0)
    assert sink.write(memoryview(b"abc")) == 3
    sink.seek(1)
    assert sink.read() == b"bc"
    with pytest.raises(KeyboardInterrupt):
        sink.check()
    sink.close()


LIMITED = """
import resource, sys
from pathlib import Path
from facekit.errors import DiskFull
import shard_making as making
from facekit.shards import pack

folder, made = Path(sys.argv[1]), making.columns(40)
part = making.write_part(folder / "whole.h5", "a", made)
pack([(part, "a")], folder / "shard.h5")
size = (folder / "shard.h5").stat().st_size
steps = {
    "part": lambda: making.write_part(folder / "again.h5", "a", made),
    "pack": lambda: pack([(part, "a")], folder / "again.h5"),
}
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for step in steps.values():
    for limit in [0, 100, 600, 5_000, *range(20_000, size, size // 6), size - 1, size]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            step()
            outcome = "ok"
        except DiskFull as error:
            outcome = "full" if "again.h5" in str(error) else str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        left = {path.name for path in folder.iterdir()} - {"whole.h5", "shard.h5"}
        print(outcome, limit >= size, *sorted(left))
        (folder / "again.h5").unlink(missing_ok=True)
    step()
    assert (folder / "again.h5").read_bytes() == (folder / "shard.h5").read_bytes()
    (folder / "again.h5").unlink()
"""


def test_process_outlives_a_full_disk(tmp_path):
    """HDF5 would end it with SIGSEGV at exit; the limits stand for a full disk."""
    tests = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])},
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert len(lines) >= 20
    assert set(lines) == {"full False", "ok True again.h5"}
