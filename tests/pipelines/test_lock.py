import json
import os
import socket
import subprocess
import sys
import time

import pytest

from facekit.errors import BadInput, FolderLocked
from pipelines.lock import NAME, locked


def _gone_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def _lock(**changed):
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
    return json.dumps({**mine, **changed})


def test_the_lock_lasts_as_long_as_the_block(tmp_path):
    with locked(tmp_path):
        assert (tmp_path / NAME).exists()
    assert not (tmp_path / NAME).exists()


def test_an_exception_releases_it(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    assert not (tmp_path / NAME).exists()


def test_a_second_run_is_refused_and_the_first_goes_on(tmp_path):
    with locked(tmp_path):
        with pytest.raises(FolderLocked, match=f"process {os.getpid()}"), locked(tmp_path):
            pass
        assert (tmp_path / NAME).exists()


@pytest.mark.parametrize(
    ("content", "taken_over"),
    [
        ("", True),
        ("{", True),
        ("[]", True),
        (_lock(pid=_gone_pid()), True),
        (_lock(started=0.0), True),
        (_lock(), False),
        (_lock(host="elsewhere"), False),
    ],
    ids=["empty", "torn", "foreign", "dead", "number reused", "alive", "other host"],
)
def test_only_a_lock_whose_process_is_surely_gone_is_taken_over(tmp_path, content, taken_over):
    (tmp_path / NAME).write_text(content)
    if taken_over:
        with locked(tmp_path):
            assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    else:
        with pytest.raises(FolderLocked, match="--force"), locked(tmp_path):
            pass


def test_force_takes_over_any_lock(tmp_path):
    (tmp_path / NAME).write_text(_lock(host="elsewhere"))
    with locked(tmp_path, force=True):
        assert json.loads((tmp_path / NAME).read_text())["host"] == socket.gethostname()


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_in_the_place_of_the_lock_is_named(tmp_path, force):
    (tmp_path / NAME).mkdir()
    with pytest.raises(BadInput, match=NAME), locked(tmp_path, force=force):
        pass
    assert (tmp_path / NAME).is_dir()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match="missing"), locked(tmp_path / "missing"):
        pass
