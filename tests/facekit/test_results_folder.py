import pytest

from facekit import results_folder
from facekit.errors import BadInput


def test_nothing_to_write(tmp_path):
    results_folder.begin(tmp_path / "a/b", "last.json")
    assert results_folder.write(tmp_path / "a/b", {}) == []
    assert list((tmp_path / "a/b").iterdir()) == []


def test_a_folder_that_is_begun_again_is_not_complete(tmp_path):
    files = {"one.csv": b"1", "last.json": b"{}"}
    written = results_folder.write(tmp_path, files)
    assert {path.name: path.read_bytes() for path in written} == files
    results_folder.begin(tmp_path, "last.json")
    assert [path.name for path in tmp_path.iterdir()] == ["one.csv"]


@pytest.mark.parametrize("below", ["taken", "taken/deeper"])
def test_a_file_in_the_way_is_one_line(below, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(BadInput, match=r"cannot write to .*taken"):
        results_folder.begin(tmp_path / below, "last.json")
