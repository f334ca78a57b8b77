import json
import subprocess
import sys

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
