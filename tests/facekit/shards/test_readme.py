"""The example in the README is the format, line by line."""

from pathlib import Path

import numpy as np
import pytest

from facekit import schema, shards

README = (Path(shards.__file__).parent / "README.md").read_text()


@pytest.mark.parametrize(
    ("prefix", "column", "rows"),
    [
        *(("/", column, 8) for column in schema.COLUMNS.values()),
        *(("/videos/", column, 2) for column in schema.VIDEOS.values()),
    ],
)
def test_each_column_is_in_the_example(prefix, column, rows):
    text = column.dtype.startswith("utf8")
    dtype = column.dtype if text else np.dtype(column.dtype).name
    shape = (rows, *column.row_shape(size_px=224, au_count=3))
    (line,) = (
        line for line in README.splitlines() if line.split(" ")[0] == f"{prefix}{column.name}"
    )
    assert line.split(maxsplit=2)[1] == dtype
    assert line.split(maxsplit=2)[2].startswith(str(shape))


def test_nothing_else_is_in_the_example():
    listed = [line.split()[0] for line in README.splitlines() if line.startswith("/")]
    assert len(listed) == 1 + len(schema.COLUMNS) + len(schema.VIDEOS)
