import json

import numpy as np
import pytest
from synthetic_shards import SIDE_PX, faces, header, shards, three_videos

from facekit.errors import BadInput, BadShard
from facekit.options import Measurement
from pipelines.inspection import inspect


@pytest.fixture
def three(tmp_path):
    return three_videos(tmp_path / "three")


def test_inspect_without_a_face(tmp_path):
    found = inspect(shards(tmp_path / "empty", header(aus=()), [("v", None, {})]))
    assert (found.files, found.videos, found.faces) == (1, 1, 0)
    assert (found.statuses, found.box_side_px, found.au_rates) == ({"no_face": 1}, {}, {})
    assert found.faces_per_video == {"min": 0, "median": 0, "max": 0}
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["faces"] == 0
    assert "1 videos, 0 faces" in found.lines()[0]


def test_inspect_counts(three):
    found = inspect(three)
    assert (found.files, found.videos, found.faces) == (2, 3, 6)
    assert found.bytes == sum(path.stat().st_size for path in three.glob("*.h5"))
    assert found.statuses == {"decode_error": 1, "ok": 1, "short_read": 1}
    want = {"expected": 120, "decoded": 120, "corrupt": 0, "sampled": 64, "with_face": 6}
    assert found.frames == want
    assert found.faces_per_video == {"min": 0, "median": 2, "max": 4}


def test_inspect_box_sides_are_those_of_numpy(three):
    sides = [20, 40, 60, 80, 100, 100]
    want = {"0 %": 20, "5 %": 25, "25 %": 45, "50 %": 70, "75 %": 95, "95 %": 100, "100 %": 100}
    assert inspect(three).box_side_px == pytest.approx(want)
    assert inspect(three).box_side_px["25 %"] == np.quantile(sides, 0.25)


def test_inspect_groups(three):
    empty = {"dataset": "", "compression": ""}
    counts = {"videos": 1, "ok": 0, "no_face": 0, "failed": 1}
    groups = inspect(three).groups
    assert sorted(groups, key=lambda group: str(group["label"])) == [
        {**empty, "method": "swap", "label": "fake", "split": "train", **counts, "ok": 1}
        | {"failed": 0, "faces": 4},
        {**empty, "method": "", "label": "real", "split": "train", **counts, "faces": 2},
        {**empty, "method": "", "label": "unknown", "split": "", **counts, "faces": 0},
    ]
    assert sum(int(group["faces"]) for group in groups) == 6


def test_inspect_action_units_leave_out_the_unknown(three):
    assert inspect(three).au_rates == {
        "AU01": {"rate": 3 / 5, "known": 5},
        "AU12": {"rate": None, "known": 0},
    }


def test_inspect_one_shard(three):
    found = inspect(three / "faces-00000.h5")
    assert (found.files, found.videos, found.faces) == (1, 2, 4)


def test_inspect_says_how_to_make_the_crops_again(three):
    text = "\n".join(inspect(three).lines())
    for name, value in Measurement(size=SIDE_PX).as_json().items():
        assert f"  {name} " in text
        assert (str(value) if value is not None else "-") in text
    for said in ("detector.models.y.onnx  " + "ab" * 32, "numpy  2.0", "decode_error  1", "AU01"):
        assert said in text
    assert "AU12" not in text
    assert all("nan" not in line.lower() for line in inspect(three).lines())


def test_inspect_reads_no_pixels(tmp_path):
    told = header(images=False)
    found = inspect(shards(tmp_path / "bare", told, [("a", faces(told, 3), {})]))
    assert (found.images, found.faces) == (False, 3)


@pytest.mark.parametrize(
    ("name", "error"), [("gone", BadInput), ("bare", BadShard), ("text.h5", BadShard)]
)
def test_what_is_no_shard(tmp_path, name, error):
    (tmp_path / "bare").mkdir()
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(error, match=name):
        inspect(tmp_path / name)
