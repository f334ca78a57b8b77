import os
from pathlib import Path

import pytest

from facekit.errors import BadInput, FolderLocked
from training import run_folder
from training.config import read_config


def test_a_lock_lasts_as_long_as_the_block(tmp_path):
    with run_folder.locked(tmp_path / "a"):
        with (
            pytest.raises(FolderLocked, match=f"process {os.getpid()} trains there"),
            run_folder.locked(tmp_path / "a"),
        ):
            pass
        with run_folder.locked(tmp_path / "b"):
            pass
    with run_folder.locked(tmp_path / "a"):
        pass


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a").write_text("")
    with (
        pytest.raises(BadInput, match="cannot be written"),
        run_folder.locked(tmp_path / "a"),
    ):
        pass


def test_what_was_asked_for_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read_config(None, ["training.epochs=7"])
    run_folder.begin(tmp_path, [Path("shards")], config, resume=False)
    assert run_folder.read(tmp_path) == ((tmp_path / "shards",), config)
    run_folder.begin(tmp_path, [], None, resume=True)
    assert run_folder.read(tmp_path) == ((tmp_path / "shards",), config)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"shards": 1, "config": {}}', '{"shards": [], "config": {"x": {}}}']
)
def test_what_cannot_be_made_sense_of(text, tmp_path):
    (tmp_path / run_folder.ASKED).write_text(text)
    with pytest.raises(BadInput, match=r"run\.json") as refused:
        run_folder.read(tmp_path)
    assert "\n" not in str(refused.value)
