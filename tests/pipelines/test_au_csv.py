import csv
import logging

import forgeries
import openface_tables
import pytest

from facekit.errors import BadInput
from pipelines.au_counts import count
from pipelines.au_csv import CsvLabels
from pipelines.au_matching import match


def _manifest(path, rows):
    names = list(rows[0])
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def _pairs(labels):
    return match(labels.videos, [1] * len(labels.videos)).pairs


@pytest.fixture
def openface_out(tmp_path):
    return forgeries.csvs(tmp_path / "out", forgeries.videos(pairs=2, methods=("FaceSwap",)))


@pytest.mark.parametrize("pattern", ["", "/*.csv", "/**/*.csv"])
def test_names_of_faceforensics_tell_which_video_it_is(openface_out, pattern):
    labels = CsvLabels(f"{openface_out}{pattern}")
    assert [video.key for video in labels.videos] == [
        "ffpp/FaceSwap/000_001", "ffpp/FaceSwap/001_000", "ffpp/youtube/000", "ffpp/youtube/001",
    ]  # fmt: skip
    assert [video.label for video in labels.videos] == [1, 1, 0, 0]
    (pairs,) = _pairs(labels).values()
    assert [(pair.real, pair.fake) for pair in pairs] == [
        ("ffpp/youtube/000", "ffpp/FaceSwap/000_001"),
        ("ffpp/youtube/001", "ffpp/FaceSwap/001_000"),
    ]
    assert {pair.identity for pair in pairs} == {"ffpp/youtube/000"}


def test_folders_of_faceforensics_tell_it_too(tmp_path):
    for name in (
        "original_sequences/youtube/c23/videos/035.csv",
        "manipulated_sequences/Face2Face/c23/videos/035_036.csv.gz",
    ):
        openface_tables.write(tmp_path / "ffpp" / name, [openface_tables.row()])
    labels = CsvLabels(tmp_path / "ffpp")
    assert [video.key for video in labels.videos] == [
        "ffpp/Face2Face/c23/035_036",
        "ffpp/youtube/c23/035",
    ]
    assert list(_pairs(labels)) == ["Face2Face"]


@pytest.mark.parametrize("named", [True, False])
def test_a_manifest_gives_the_path_of_each_csv(tmp_path, named):
    """Originals it names count; others are known by names as FaceForensics++ has them."""
    for name in ("a", "b") if named else ("035", "035_036"):
        openface_tables.write(tmp_path / "out" / f"{name}.csv", [openface_tables.row()])
    real, fake = ("a", "b") if named else ("035", "035_036")
    manifest = _manifest(
        tmp_path / "m.csv",
        [
            {"path": f"out/{real}.csv", "label": "real", "method": "", "original": ""},
            {
                "path": f"out/{fake}.csv",
                "label": "fake",
                "method": "mine",
                "original": f"out/{real}.csv" if named else "",
            },
        ],
    )
    (pair,) = _pairs(CsvLabels(f"{tmp_path}/out/*.csv", manifest))["mine"]
    assert (pair.real, pair.fake) == (f"m/out/{real}.csv", f"m/out/{fake}.csv")


@pytest.mark.parametrize("at_hand", [True, False])
@pytest.mark.parametrize("place", ["out/{method}__{name}.csv", "out/{method}/{name}.csv"])
def test_a_manifest_may_list_the_videos_behind_the_csvs(tmp_path, place, at_hand):
    rows = []
    for name, method, label in (("1", "real", 0), ("1", "swap", 1)):
        if at_hand:
            video = tmp_path / method / f"{name}.mp4"
            video.parent.mkdir()
            video.touch()
        openface_tables.write(
            tmp_path / place.format(method=method, name=name), [openface_tables.row()]
        )
        original = "real/1.mp4" if label else ""
        rows.append(
            {"path": f"{method}/{name}.mp4", "label": label, "method": method, "original": original}
        )
    labels = CsvLabels(f"{tmp_path}/out/**/*.csv", _manifest(tmp_path / "m.csv", rows))
    (pair,) = _pairs(labels)["swap"]
    assert (pair.real, pair.fake) == ("m/real/1.mp4", "m/swap/1.mp4")
    assert len(labels.labels_sha256) == 2


def test_what_has_no_partner_is_told(tmp_path, openface_out, caplog):
    manifest = _manifest(
        tmp_path / "m.csv",
        [
            {"path": "out/original__000.csv", "label": 0},
            {"path": "gone/video.mp4", "label": 0},
        ],
    )
    with caplog.at_level(logging.WARNING):
        labels = CsvLabels(openface_out, manifest)
    assert len(labels.videos) == 1
    assert "1 videos of" in caplog.text
    assert "3 CSVs are of no video" in caplog.text


@pytest.mark.parametrize(
    ("rows", "faces", "known"),
    [
        ([openface_tables.row()], 1, 1),
        ([openface_tables.row(success=0)], 0, 0),
        ([openface_tables.row(confidence=0.79)], 0, 0),
        ([openface_tables.row(confidence=0.8)], 1, 1),
        ([openface_tables.row(), {**openface_tables.row(frame=2), "AU01_c": ""}], 2, 1),
        ([{**openface_tables.row(), "AU01_c": "-nan(ind)"}], 1, 0),
    ],
)
def test_rows_openface_is_not_sure_of_do_not_count(tmp_path, rows, faces, known):
    openface_tables.write(tmp_path / "original__000.csv", rows)
    sure = openface_tables.row(on=(2,))
    openface_tables.write(tmp_path / "Deepfakes__000_001.csv", [sure])
    counts = count([CsvLabels(tmp_path)])
    assert counts.faces_V.tolist() == [1, faces]
    assert counts.known_VA[1, counts.au_names.index("AU01")] == known


def test_points_are_not_needed(tmp_path):
    openface_tables.write(
        tmp_path / "original__000.csv", [openface_tables.row()], without=["x_", "y_"]
    )
    assert count([CsvLabels(tmp_path)]).faces_V.tolist() == [1]


def _text(content):
    return lambda path: path.write_bytes(content)


def _table(**options):
    return lambda path: openface_tables.write(path, [openface_tables.row()], **options)


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("original__000.csv", _text(b""), "cannot read"),
        ("original__000.csv", _text(b"a,b\n1,2\n"), "has no column success"),
        ("original__000.csv", _text(b"\xff\xfe\x00"), "cannot read"),
        ("original__000.csv.gz", _text(b"not gzipped"), "cannot read"),
        ("original__000.csv", _table(without=["AU"]), "run OpenFace with -aus"),
        ("original__000.csv", _text(b"success,confidence,AU01_c\n1,1,yes\n"), "cannot read"),
        ("original__000.csv", _text(b"success,confidence,AU01_c\n1,1,0.5\n"), "other than 0 and 1"),
        ("someone.csv", _table(), "give a --manifest"),
    ],
)
def test_what_is_not_openfaces_is_refused_in_one_line(tmp_path, name, write, said):
    write(tmp_path / name)
    with pytest.raises(BadInput, match=said) as refused:
        count([CsvLabels(tmp_path)])
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_csvs_with_other_action_units_are_refused(tmp_path):
    openface_tables.write(tmp_path / "original__000.csv", [openface_tables.row()])
    openface_tables.write(tmp_path / "original__001.csv", [openface_tables.row()], without=["AU28"])
    with pytest.raises(BadInput, match="differ in their action units: AU28"):
        CsvLabels(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("nowhere", "no such file or folder"), ("*.csv", "no CSV matches"), (".", "no CSV matches")],
)
def test_a_pattern_that_names_nothing_is_refused(tmp_path, monkeypatch, pattern, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=said):
        CsvLabels(pattern)


def test_two_csvs_of_one_video_are_refused(tmp_path):
    for folder in ("a", "b"):
        openface_tables.write(tmp_path / folder / "original__000.csv", [openface_tables.row()])
    with pytest.raises(BadInput, match="both of ffpp/youtube/000"):
        CsvLabels(tmp_path)


def test_one_csv_that_fits_two_videos_is_refused(tmp_path):
    openface_tables.write(tmp_path / "out" / "1.csv", [openface_tables.row()])
    rows = []
    for method in ("real", "swap"):
        (tmp_path / method).mkdir()
        (tmp_path / method / "1.mp4").touch()
        rows.append({"path": f"{method}/1.mp4", "label": (method == "swap" and 1) or 0})
    with pytest.raises(BadInput, match="fits both"):
        CsvLabels(tmp_path / "out", _manifest(tmp_path / "m.csv", rows))


def test_a_manifest_without_any_of_the_csvs_is_refused(tmp_path, openface_out):
    (tmp_path / "other.mp4").touch()
    manifest = _manifest(tmp_path / "m.csv", [{"path": "other.mp4", "label": 0}])
    with pytest.raises(BadInput, match="none of the 4 CSVs"):
        CsvLabels(openface_out, manifest)
