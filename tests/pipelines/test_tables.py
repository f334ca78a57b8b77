import logging

import numpy as np
import pandas as pd
import pytest

from facekit.errors import BadInput
from pipelines.tables import videos_of_table


@pytest.fixture
def root(tmp_path):
    for name in ("a.mp4", "b.mp4", "sub/c.mp4", "with, comma.mp4", "sub/frames/0.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def written(root, text, name="list.csv", encoding="utf-8"):
    (root / name).write_bytes(text.encode(encoding))
    return root / name


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", r"has no column called path; its columns are none"),
        ("path\n", r"no videos in .*list.csv: the table has no rows"),
        ("path,label\n,,\n\n", r"row 2 of .* has 3 fields, the header 2"),
        ("path,label\n,\n\n", r"no rows"),
        ("video;label\na.mp4;1\n", r"its columns are video;label, known are path, label"),
        ("path,label,label\na.mp4,0,1\n", r"has the column label twice; keep one"),
        ("path,label\na.mp4,1\n,0\n", r"row 3 of .* has no path"),
        ("path,label\na.mp4,1\nb.mp4,2\n", r"row 3 of .*: label '2' is none of 0, real, 1, fake"),
        ("path,label\na.mp4,yes\n", r"row 2 of .*: label 'yes' is none of"),
        ("path,label\na.mp4,0.5\n", r"row 2 of .*: label '0.5' is none of"),
        ("path,split\na.mp4,dev\n", r"row 2 .*: split 'dev' is none of train, val, test, empty"),
        ("path,label\nwith, comma.mp4,1\n", r"row 2 .* 3 fields, the header 2; put a path"),
        ('path,label\n"a.mp4,1\n', r"cannot read .* as UTF-8 CSV: unexpected end of data"),
        ("path\nx.mp4\ny.mp4\n", r"none of the 2 files of .* is there, not even x.mp4; paths are"),
        ("path,mask_path\na.mp4,/else/m.mp4\n", r"row 2 .* mask_path /else/m.mp4 must be relative"),
    ],
)
def test_csv_that_makes_no_sense(root, text, error):
    with pytest.raises(BadInput, match=error):
        videos_of_table(written(root, text))


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_csv_that_is_not_utf8(root, encoding):
    with pytest.raises(BadInput, match="as UTF-8 CSV"):
        videos_of_table(written(root, "path\nä.mp4\n", encoding=encoding))


def test_every_column(root):
    text = (
        "Path, LABEL ,method,split,original,group,dataset,compression,key,mask_path,notes\n"
        "a.mp4,Real,camera,TRAIN,,anna,mine,c23,mine/a,,x\n"
        "sub/c.mp4, fake,swap,test,mine/a,anna,mine,c23,mine/c,masks/c.mp4,y\n"
    )
    real, fake = videos_of_table(written(root, text))
    assert (real.key, real.label, real.split, real.group) == ("mine/a", 0, "train", "anna")
    assert (real.dataset, real.method, real.compression) == ("mine", "camera", "c23")
    assert (fake.key, fake.label, fake.split, fake.original) == ("mine/c", 1, "test", "mine/a")
    assert (fake.relative_path, fake.mask_path) == ("sub/c.mp4", "masks/c.mp4")
    assert fake.path == root / "sub/c.mp4"


@pytest.mark.parametrize(
    ("label", "want"),
    [("", -1), ("0", 0), ("1", 1), ("REAL", 0), ("Fake", 1), (" fake ", 1), ("-1", -1)],
)
def test_label(root, label, want):
    (video,) = videos_of_table(written(root, f"path,label\na.mp4,{label}\n"))
    assert video.label == want


@pytest.mark.parametrize(
    ("given", "key", "relative_path"),
    [
        ("a.mp4", "list/a.mp4", "a.mp4"),
        ("./sub//c.mp4", "list/sub/c.mp4", "sub/c.mp4"),
        ("sub\\c.mp4", "list/sub/c.mp4", "sub/c.mp4"),
        ("sub/frames", "list/sub/frames", "sub/frames"),
        ('"with, comma.mp4"', "list/with, comma.mp4", "with, comma.mp4"),
        ("../{here}/a.mp4", "list/{here}/a.mp4", "../{here}/a.mp4"),
        ("sub/../../{here}/a.mp4", "list/{here}/a.mp4", "../{here}/a.mp4"),
        ("{root}/sub/c.mp4", "list/sub/c.mp4", "sub/c.mp4"),
        ("{other}/z.mp4", "list/z.mp4", "z.mp4"),
        ("NA", "list/NA", "NA"),
    ],
)
def test_path_to_key(root, tmp_path_factory, given, key, relative_path):
    other = tmp_path_factory.mktemp("other")
    (other / "z.mp4").touch()
    (root / "NA").touch()
    names = {"here": root.name, "root": root, "other": other}
    (video,) = videos_of_table(written(root, f"path\n{given.format(**names)}\n"))
    assert video.key == key.format(**names)
    assert video.relative_path == relative_path.format(**names)
    assert video.path.exists()
    assert str(root) not in video.key + video.relative_path


def test_a_file_whose_name_has_a_backslash_is_found_as_it_is(root):
    (root / "odd\\name.mp4").touch()
    (video,) = videos_of_table(written(root, "path\nodd\\name.mp4\n"))
    assert video.path.exists()


@pytest.mark.parametrize(
    ("original", "want"),
    [
        ("", ""),
        ("a.mp4", "list/a.mp4"),
        ("./a.mp4", "list/a.mp4"),
        ("list/a.mp4", "list/a.mp4"),
        ("sub\\c.mp4", "own"),
        ("own", "own"),
        ("ffpp/youtube/c23/035", "ffpp/youtube/c23/035"),
    ],
)
def test_original_by_key_or_path(root, original, want):
    rows = f"b.mp4,,{original}\na.mp4,,\nsub/c.mp4,own,\n"
    videos = videos_of_table(written(root, f"path,key,original\n{rows}"))
    assert videos[0].original == want


def test_byte_order_mark_and_windows_line_ends(root):
    (video,) = videos_of_table(written(root, "\ufeffpath,label\r\na.mp4,1\r\n"))
    assert (video.relative_path, video.label) == ("a.mp4", 1)


def test_short_rows_and_blank_rows(root):
    videos = videos_of_table(written(root, "path,label\na.mp4\n\n,\nb.mp4,1\n"))
    assert [(video.relative_path, video.label) for video in videos] == [("a.mp4", -1), ("b.mp4", 1)]


def test_some_missing_files_are_kept_and_said(root, caplog):
    table = written(root, f"path\na.mp4\ngone.mp4\n{'x' * 300}\n")
    assert len(videos_of_table(table)) == 3
    assert "2 of 3 files are not there, such as gone.mp4" in caplog.text


def test_unused_columns_are_said(root, caplog):
    caplog.set_level(logging.INFO)
    videos_of_table(written(root, "path,fps,Notes\na.mp4,25,x\n"))
    assert "columns not used: fps, notes" in caplog.text


def test_parquet_says_the_same_as_csv(root):
    columns = {
        "path": ["a.mp4", "sub\\c.mp4", "b.mp4"],
        "label": [0.0, 1.0, np.nan],
        "method": pd.Categorical(["camera", "swap", None]),
        "split": ["train", None, "test"],
        "original": [None, "a.mp4", None],
        "fps": [25.0, 30.0, 1.5],
    }
    pd.DataFrame(columns).to_parquet(root / "list.parquet")
    text = "path,label,method,split,original\na.mp4,0,camera,train,\n"
    text += "sub/c.mp4,1,swap,,a.mp4\nb.mp4,,,test,\n"
    assert videos_of_table(root / "list.parquet") == videos_of_table(written(root, text))


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"path": []}, "has no rows"),
        ({"video": ["a.mp4"]}, "no column called path; its columns are video"),
        ({"path": ["a.mp4", None], "label": [1, 1]}, "row 2 of .* has no path"),
        ({"path": ["a.mp4"], "label": [7]}, "row 1 of .*: label '7'"),
        ({"path": ["a.mp4"], "label": [True]}, "row 1 of .*: label 'True'"),
    ],
)
def test_parquet_that_makes_no_sense(root, columns, error):
    pd.DataFrame(columns).to_parquet(root / "list.parquet")
    with pytest.raises(BadInput, match=error):
        videos_of_table(root / "list.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"path\na.mp4\n", b"PAR1" + bytes(40) + b"PAR1"])
def test_parquet_that_is_none(root, content):
    (root / "list.parquet").write_bytes(content)
    with pytest.raises(BadInput, match="as Parquet"):
        videos_of_table(root / "list.parquet")
