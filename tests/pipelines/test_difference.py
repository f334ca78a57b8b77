import json

import numpy as np
import pytest
from synthetic_shards import faces, header, shards, three_videos

from facekit import schema
from facekit.errors import BadInput, BadShard
from facekit.shards import Header
from pipelines.inspection import diff


@pytest.fixture
def three(tmp_path):
    return three_videos(tmp_path / "three")


def test_diff_with_itself(three):
    found = diff(three, three)
    assert found.equal
    assert (found.videos_common, found.faces_common) == (3, 6)
    assert {column.name for column in found.columns} == set(schema.COLUMNS) - {
        "video_id",
        "frame_index",
        "track_id",
    }
    assert all(column.max_abs in (0, None) for column in found.columns)
    assert all(column.share_equal == 1 and not column.worst for column in found.columns)
    assert found.lines()[2] == "no difference"
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["equal"] is True


def test_diff_does_not_care_for_files(tmp_path):
    told = header()
    videos = [(f"v{i}", faces(told, 3, seed=i), {}) for i in range(5)]
    one = shards(tmp_path / "one", told, videos, per_shard=1)
    assert diff(one, shards(tmp_path / "two", told, videos, per_shard=4)).equal


def test_diff_of_what_is_empty(tmp_path, three):
    empty = shards(tmp_path / "empty", header(), [("v", None, {})])
    assert diff(empty, empty).equal
    found = diff(three, empty)
    assert not found.equal
    assert (found.only_in_a, found.only_in_b) == (["set/a", "set/b", "set/c"], ["v"])
    assert (found.videos_common, found.faces_common) == (0, 0)
    assert diff(empty, three).only_in_b == found.only_in_a


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"margin": 1.5}, {"measurement.margin": (1.3, 1.5)}),
        ({"min_score": 0.5}, {"measurement.min_score": (None, 0.5)}),
        ({"detector": "yunet"}, {"measurement.detector": ("lite", "yunet")}),
        ({"aus": ("AU12",)}, {"au_names": (["AU01", "AU12"], ["AU12"])}),
        (
            {"images": False},
            {"measurement.images": (True, False), "images": (True, False)},
        ),
    ],
)
def test_diff_of_how_it_was_measured(tmp_path, change, where):
    sides = []
    for name, told in (("a", header()), ("b", header(**change))):
        sides.append(shards(tmp_path / name, told, [("v", faces(told, 2), {})]))
    found = diff(*sides)
    assert found.header == where
    assert not found.equal
    assert next(iter(where)) in "\n".join(found.lines())
    assert found.not_compared == ({"image": "only A has it"} if "images" in change else {})


def two(tmp_path, change, *, count=70, row=None, **options):
    """The same video twice, the second time with some columns changed."""
    told = header(**options)
    columns = faces(told, count)
    changed = {name: array.copy() for name, array in columns.items()}
    change(changed)
    a = shards(tmp_path / "a", told, [("v", columns, {})])
    return a, shards(tmp_path / "b", told, [("v", changed, row or {})])


def column_of(found, name):
    return next(column for column in found.columns if column.name == name)


def test_diff_of_numbers_is_that_of_numpy(tmp_path):
    noise = np.random.default_rng(3).normal(0, 2, (70, 68, 2)).astype(np.float32)
    noise[:, ::2] = 0

    def change(columns):
        columns["landmarks_xy"] += noise

    a, b = two(tmp_path, change)
    found = diff(a, b)
    column = column_of(found, "landmarks_xy")
    want = np.abs(
        (faces(header(), 70)["landmarks_xy"] + noise).astype(np.float64)
        - faces(header(), 70)["landmarks_xy"]
    )
    assert column.values == noise.size
    assert column.equal == int((want == 0).sum())
    assert column.max_abs == want.max()
    assert column.mean_abs == pytest.approx(want.mean(), rel=1e-12)
    assert column.worst == f"v frame {want.max(axis=(1, 2)).argmax()} track 0"
    assert [c.name for c in found.columns if c.equal < c.values] == ["landmarks_xy"]
    assert not found.equal


def test_diff_of_pixels_is_that_of_numpy(tmp_path):
    def change(columns):
        columns["image"][65, 3, 4] = 255
        columns["au_mask"][1] = 7

    a, b = two(tmp_path, change)
    found = diff(a, b)
    mine = faces(header(), 70)
    image, mask = column_of(found, "image"), column_of(found, "au_mask")
    gap = 255 - mine["image"][65, 3, 4].astype(int)
    assert (image.max_abs, image.values - image.equal) == (gap.max(), 3)
    assert image.mean_abs == pytest.approx(gap.sum() / mine["image"].size)
    assert image.worst == "v frame 65 track 0"
    assert (mask.max_abs, mask.worst) == (7, "v frame 1 track 0")
    assert mask.mean_abs == pytest.approx(7 / 70)


@pytest.mark.parametrize(
    ("a", "b", "equal", "one_sided", "max_abs"),
    [
        (np.nan, np.nan, 1, 0, None),
        (np.nan, 2, 0, 1, None),
        (np.inf, np.inf, 1, 0, None),
        (np.inf, -np.inf, 0, 1, None),
        (2, 2.5, 0, 0, 0.5),
    ],
)
def test_diff_of_what_is_no_number(tmp_path, a, b, equal, one_sided, max_abs):
    told = header()
    sides = [
        shards(tmp_path / name, told, [("v", faces(told, 1, au_intensity=[[value, value]]), {})])
        for name, value in (("a", a), ("b", b))
    ]
    column = column_of(diff(*sides), "au_intensity")
    assert (column.values, column.equal, column.one_sided) == (2, 2 * equal, 2 * one_sided)
    assert column.max_abs == max_abs
    assert diff(*sides).equal is bool(equal)


def test_diff_takes_the_unknown_for_no_number(tmp_path):
    def change(columns):
        columns["au_occurrence"][:2] = [[-1, 0], [1, 0]]

    column = column_of(diff(*two(tmp_path, change)), "au_occurrence")
    assert (column.values - column.equal, column.one_sided, column.max_abs) == (2, 1, 1)


def test_diff_compares_action_units_by_name(tmp_path):
    sides = []
    for name, aus in (("a", ("AU01", "AU12", "AU45")), ("b", ("AU12", "AU01"))):
        told = header(aus=aus)
        scores = [[float(au[2:]) for au in aus]] * 3
        columns = faces(told, 3, au_score=scores)
        sides.append(shards(tmp_path / name, told, [("v", columns, {})]))
    column = column_of(diff(*sides), "au_score")
    assert (column.values, column.equal, column.max_abs) == (6, 6, 0)


def test_diff_without_common_action_units(tmp_path):
    sides = []
    for name, aus in (("a", ("AU01",)), ("b", ())):
        told = header(aus=aus)
        sides.append(shards(tmp_path / name, told, [("v", faces(told, 3), {})]))
    found = diff(*sides)
    assert found.not_compared["au_score"].startswith("no action unit has the same name")
    assert "au_score" not in {column.name for column in found.columns}


def test_diff_of_crops_of_another_size(tmp_path):
    sides = []
    for name, size_px in (("a", 32), ("b", 40)):
        told = Header(provenance=header().provenance, size_px=size_px, images=True)
        sides.append(shards(tmp_path / name, told, [("v", faces(told, 3), {})]))
    found = diff(*sides)
    assert found.not_compared == {"image": "its shape is (32, 32, 3) in A and (40, 40, 3) in B"}
    assert found.header == {"size_px": (32, 40)}


def test_diff_of_videos(tmp_path):
    told = header()
    common = faces(told, 4)
    a = [("a", common, {}), ("both", common, {"label": 1, "fps": float("nan")})]
    b = [
        ("both", common, {"label": 0, "fps": float("nan"), "status": "short_read"}),
        ("c", None, {}),
    ]
    found = diff(shards(tmp_path / "a", told, a), shards(tmp_path / "b", told, b))
    assert (found.only_in_a, found.only_in_b) == (["a"], ["c"])
    assert found.videos == {"both": {"label": (1, 0), "status": ("ok", "short_read")}}
    assert "  both: label 1 | 0, status ok | short_read" in found.lines()
    assert (found.videos_common, found.faces_common) == (1, 4)
    assert (found.faces_only_in_a, found.faces_only_in_b) == (0, 0)


@pytest.mark.parametrize(("count", "every"), [(60, 7), (3, 100), (130, 1)])
def test_diff_of_another_sampling(tmp_path, count, every):
    """B has more frames between those of A; only the common ones are compared."""
    told = header(images=False)
    dense = faces(told, count * every)
    kept = np.arange(len(dense["frame_index"])) % every == 0
    sparse = {name: array[kept] for name, array in dense.items()}
    other = faces(told, 2, seed=9)
    a = shards(tmp_path / "a", told, [("v", sparse, {}), ("w", other, {})])
    b = shards(tmp_path / "b", told, [("v", dense, {}), ("w", other, {})])
    found = diff(a, b)
    common = int(kept.sum())
    assert (found.faces_common, found.faces_only_in_a) == (common + 2, 0)
    assert found.faces_only_in_b == len(kept) - common
    assert all(column.equal == column.values for column in found.columns)
    assert column_of(found, "pts_s").values == common + 2
    assert found.equal is bool(kept.all())
    assert diff(b, a).faces_only_in_a == found.faces_only_in_b


def test_diff_tells_people_on_one_frame_apart(tmp_path):
    told = header()
    both = faces(told, 4, frame_index=[0, 0, 1, 1], track_id=[0, 1, 0, 1])
    only = {name: array[1::2] for name, array in both.items()}
    sides = [
        shards(tmp_path / name, told, [("v", columns, {})])
        for name, columns in (("a", both), ("b", only))
    ]
    found = diff(*sides)
    assert (found.faces_common, found.faces_only_in_a) == (2, 2)
    assert all(column.equal == column.values for column in found.columns)
    assert found.videos["v"] == {"faces": (4, 2)}


def test_diff_names_the_worst_face_across_shards(tmp_path):
    told = header(images=False)
    videos = [(f"v{i}", faces(told, 1, seed=i), {}) for i in range(6)]
    changed = [
        (key, {**columns, "det_score": columns["det_score"] + np.float32(i)}, row)
        for i, (key, columns, row) in enumerate(videos)
    ]
    a = shards(tmp_path / "a", told, videos, per_shard=4)
    found = diff(a, shards(tmp_path / "b", told, changed, per_shard=5))
    column = column_of(found, "det_score")
    assert (column.worst, column.max_abs, column.mean_abs) == ("v5 frame 0 track 0", 5, 2.5)
    assert "v5 frame 0 track 0" in "\n".join(found.lines())


@pytest.mark.parametrize(
    ("name", "error"), [("gone", BadInput), ("bare", BadShard), ("text.h5", BadShard)]
)
def test_what_is_no_shard(tmp_path, name, error):
    (tmp_path / "bare").mkdir()
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(error, match=name):
        diff(tmp_path / name, tmp_path / name)
