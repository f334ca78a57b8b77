import numpy as np
import pytest
from face_folders import video, write_folder

from facekit.shards import open_shards
from training.pixels import Reader, runs
from training.table import read_table


def indices(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("folder", "row", "made"),
    [
        ([], [], []),
        ([0], [5], [(0, 1, 0, 5, 1)]),
        ([0, 0, 0], [5, 6, 7], [(0, 3, 0, 5, 3)]),
        ([0, 0], [0, 8], [(0, 2, 0, 0, 9)]),
        ([0, 0], [0, 9], [(0, 1, 0, 0, 1), (1, 2, 0, 9, 1)]),
        ([0, 1], [3, 4], [(0, 1, 0, 3, 1), (1, 2, 1, 4, 1)]),
        ([0, 0, 0], [7, 7, 9], [(0, 3, 0, 7, 3)]),
        ([0, 0, 0], [14, 15, 16], [(0, 2, 0, 14, 2), (2, 3, 0, 16, 1)]),
    ],
)
def test_runs(folder, row, made):
    assert [tuple(run) for run in runs(indices(*folder), indices(*row), 16)] == made


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("shards")
    one = write_folder(tmp_path / "one", [video(f"a{i}", 7) for i in range(6)])
    two = write_folder(tmp_path / "two", [video("b", 5), video("c", 0), video("d", 30)], seed=1)
    return read_table([one, two])


@pytest.mark.parametrize(
    "wanted",
    [[], [0], range(77), [0, 1, 5, 41, 42, 43, 76], [3, 3, 4], range(2, 77, 4), [40, 41, 42]],
)
def test_fill(table, wanted):
    sample_N = indices(*wanted)
    made = {
        "image": np.zeros((len(sample_N), 32, 32, 3), np.uint8),
        "landmarks_xy": np.zeros((len(sample_N), 68, 2), np.float32),
    }
    with Reader(table) as reader:
        reader.fill(sample_N, made)
    for name, array in made.items():
        whole = []
        for folder in table.folders:
            with open_shards(folder) as shards:
                whole.append(shards[:].columns[name])
        np.testing.assert_array_equal(array, np.concatenate(whole)[sample_N])
