"""A dataset of two shards with failed videos, whole; tests copy it before they harm it."""

import shutil
from pathlib import Path

import pytest
import shard_making as making

from facekit.shards import pack, write_manifest


@pytest.fixture(scope="session")
def whole_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    parts = {
        key: making.write_part(
            folder / f"part-{key}.h5", key, making.columns(rows, people=people, seed=rows)
        )
        for key, rows, people in [("a", 40, 1), ("c", 0, 1), ("d", 70, 2), ("f", 9, 1)]
    }
    pack(
        [(parts["a"], "a"), making.failed("b"), (parts["c"], "c"), (parts["d"], "d")],
        folder / "faces-00000.h5",
    )
    pack([making.failed("e", "crashed"), (parts["f"], "f")], folder / "faces-00001.h5")
    write_manifest(folder)
    return folder


@pytest.fixture
def dataset(whole_dataset: Path, tmp_path: Path) -> Path:
    """A copy of the dataset that a test may harm."""
    return Path(shutil.copytree(whole_dataset, tmp_path / "dataset"))
