"""What is taken for which source of labels, and what it hands out."""

import numpy as np
import openface_tables as tables
import pytest
from synthetic_shards import faces, header, shards, three_videos

from facekit.errors import BadInput, BadShard
from pipelines.label_sources import CSVS, SHARDS, VideoName, open_labels


@pytest.fixture
def folder(tmp_path):
    three_videos(tmp_path / "three")
    for name in ("flat/a.csv", "flat/b.csv.gz", "deep/x/c23/a.csv", "deep/a.csv.gz", "deep/a.csv"):
        tables.write(tmp_path / name, [tables.row()])
    for name in ("flat/._a.csv", "flat/notes.txt", "texts/notes.txt", "three/extra.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no CSV")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "kind", "keys", "is_one_file"),
    [
        ("three", SHARDS, ["set/a", "set/b", "set/c"], False),
        ("three/faces-00001.h5", SHARDS, ["set/c"], False),
        ("flat", CSVS, ["a", "b"], False),
        ("flat/a.csv", CSVS, ["a"], True),
        ("flat/b.csv.gz", CSVS, ["b"], True),
        ("flat/*.csv", CSVS, ["a"], False),
        ("flat/*", CSVS, ["a", "b"], False),
        ("*/b.csv*", CSVS, ["flat/b"], False),
        ("deep", CSVS, ["a", "x/c23/a"], False),
        ("deep/**/*.csv", CSVS, ["a", "x/c23/a"], False),
        ("deep/*/c23/*.csv", CSVS, ["x/c23/a"], False),
    ],
)
def test_what_a_path_is_taken_for(folder, path, kind, keys, is_one_file):
    with open_labels(folder / path) as source:
        assert (source.kind, source.is_one_file) == (kind, is_one_file)
        assert [video.key for video in source.videos] == keys
        assert source.text == str(folder / path)


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("missing", BadInput, "no such file or folder"),
        ("empty", BadInput, "holds neither shards with a manifest.json nor OpenFace's CSVs"),
        ("texts", BadInput, "holds neither"),
        ("flat/*.csv.bz2", BadInput, "no CSV matches"),
        ("missing/*.csv", BadInput, "no CSV matches"),
        ("flat/a**.csv", BadInput, "flat/a"),
        ("flat/notes.txt", BadShard, r"notes\.txt"),
        ("half", BadShard, "half"),
        ("failed", BadShard, "failed"),
    ],
)
def test_what_is_neither_is_refused_in_one_line(folder, path, error, said):
    three_videos(folder / "half")
    (folder / "half" / "manifest.json").unlink()
    (folder / "failed").mkdir()
    (folder / "failed" / "ledger.csv").write_text("key,status\n")  # a run that is not complete
    with pytest.raises(error, match=said) as refused, open_labels(folder / path):
        pass
    assert "\n" not in str(refused.value)


def test_the_plain_csv_wins_over_the_gzipped_one(folder):
    tables.write(folder / "deep/a.csv.gz", [tables.row(on=(12,))])
    tables.write(folder / "deep/a.csv", [tables.row(on=(1,))])
    with open_labels(folder / "deep") as source:
        assert source.labels("a").occurrence[0].tolist() == [1] + [0] * 17


def test_labels_of_shards(tmp_path):
    told = header(aus=("AU1", "12", "smile"), images=False)
    made = [faces(told, count, seed=count) for count in (70, 3)]
    for columns in made:
        count = len(columns["frame_index"])
        columns["au_occurrence"][:] = np.random.default_rng(count).integers(-1, 2, (count, 3))
        columns["au_intensity"][0] = np.nan
    videos = [("a/x.mp4", made[0], {}), ("b", None, {}), ("c/y", made[1], {"method": "swap"})]
    with open_labels(shards(tmp_path / "s", told, videos)) as source:
        assert (source.au_names, source.au_mode) == (("AU01", "AU12", "smile"), "static")
        for key, columns in (("a/x.mp4", made[0]), ("c/y", made[1])):
            got = source.labels(key)
            assert len(got) == len(columns["frame_index"])
            np.testing.assert_array_equal(got.frame_index, columns["frame_index"])
            np.testing.assert_array_equal(got.box_xyxy, columns["box_xyxy"])
            np.testing.assert_array_equal(got.occurrence, columns["au_occurrence"])
            np.testing.assert_array_equal(got.intensity, columns["au_intensity"])
        assert len(source.labels("b")) == 0
        assert source.labels("b").intensity.shape == (0, 3)
        assert source.videos[0] == VideoName(
            key="a/x.mp4", stem="x", folders=(["a"], ["a"], ("", "", ""))
        )
        assert source.videos[2].folders == (["c"], ["c"], ("", "swap", ""))


def test_two_action_units_of_one_name_are_refused(tmp_path):
    told = header(aus=("AU1", "AU01"))
    path = shards(tmp_path / "s", told, [("v", faces(told, 1), {})])
    with pytest.raises(BadInput, match="AU01 twice"), open_labels(path):
        pass


def test_labels_of_a_csv(tmp_path):
    rows = [
        tables.row(1, on=(12,), r=1.5),
        tables.row(2, success=0),
        tables.row(3, confidence=0.5),
        tables.row(4, (80, 10, 120, 60), on=()),
    ]
    tables.write(tmp_path / "v.csv.gz", rows)
    with open_labels(tmp_path) as source:
        got = source.labels("v")
    assert got.frame_index.tolist() == [0, 3]
    np.testing.assert_allclose(got.box_xyxy, [[10, 10, 50, 60], [80, 10, 120, 60]], atol=0.1)
    assert got.occurrence.sum(axis=1).tolist() == [1, 0]
    assert got.intensity[0, source.au_names.index("AU12")] == 1.5
    assert np.isnan(got.intensity[:, source.au_names.index("AU28")]).all()


@pytest.mark.parametrize(
    ("without", "said"), [(("AU",), "lacks AU columns"), (("x_", "y_"), "-2Dfp")]
)
def test_a_csv_that_says_too_little(tmp_path, without, said):
    tables.write(tmp_path / "v.csv", [tables.row()], without=without)
    with open_labels(tmp_path) as source, pytest.raises(BadInput, match=said):
        source.labels("v")
