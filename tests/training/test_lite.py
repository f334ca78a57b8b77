import json
import os
import subprocess
import sys
import threading

import pytest

from facekit.errors import BadInput
from training import lite


def test_an_unknown_role_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no embedded model plays 'nose'; there are detector, "):
        lite.train(tmp_path, tmp_path / "out", roles=("nose",))


def test_no_role_trains_nothing_and_says_so(tmp_path):
    assert lite.train(tmp_path, tmp_path / "out", roles=()) == {}
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == {}


@pytest.mark.parametrize("role", lite.ROLES)
def test_a_folder_without_data_ends_in_one_line(tmp_path, role):
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "training.lite", str(tmp_path)),
            *("-o", str(tmp_path / "out"), "--only", role),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == BadInput.exit_code
    assert ran.stderr.startswith("training.lite: ")
    assert len(ran.stderr.splitlines()) == 1


def test_one_that_fails_ends_the_other_at_once(tmp_path, monkeypatch):
    """What both would have taken hours for is not to be learnt of when the other has ended."""

    def train(role, data, out, seed, device):
        if role == "landmarker":
            (out / "pid").write_text(str(os.getpid()))
            threading.Event().wait(60)  # hours
            (out / "ended").touch()
            return {}
        while not (out / "pid").is_file():
            pass
        raise BadInput("no photographs")

    def is_running(pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    monkeypatch.setattr(lite, "_train", train)
    with pytest.raises(BadInput, match="no photographs"):
        lite.train(tmp_path, tmp_path, roles=("detector", "landmarker"))
    pid = int((tmp_path / "pid").read_text())
    while is_running(pid):
        pass
    assert not (tmp_path / "ended").exists()
    assert not (tmp_path / "scores.json").exists()
