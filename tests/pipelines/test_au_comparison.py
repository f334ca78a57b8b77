"""`compare-au` from files to findings."""

import json

import numpy as np
import openface_tables as tables
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.metrics import cohen_kappa_score, f1_score
from synthetic_shards import faces, header, shards

import facekit
from facekit import cli
from facekit.errors import BadInput, BadShard
from pipelines.au_comparison import compare_au
from pipelines.extract import extract
from pipelines.label_joining import Unjoined

BOX = (10, 10, 50, 60)
NAMES = tuple(f"AU{number:02d}" for number in tables.AUS)
METHODS = ("Deepfakes", "FaceSwap")


def labelled(told, occurrence, intensity=None, *, every=1, **columns):
    """Faces in one place, one a frame, with these labels."""
    occurrence = np.asarray(occurrence, np.int8)
    strength = np.full(occurrence.shape, np.nan) if intensity is None else intensity
    boxes = columns.pop("box_xyxy", [BOX] * len(occurrence))
    return faces(
        *(told, len(occurrence)),
        every=every,
        box_xyxy=boxes,
        au_occurrence=occurrence,
        au_intensity=strength,
        **columns,
    )


def drawn(seed, count, aus):
    rng = np.random.default_rng(seed)
    return rng.integers(-1, 2, (count, aus)), rng.uniform(0, 5, (count, aus)).astype(np.float32)


def two_folders(tmp_path, *, names_a=("AU01", "AU12", "AU45"), names_b=("AU12", "AU01", "AU28")):
    """Four videos, two of them on both sides; B has every other frame of A's."""
    sides = []
    for side, (names, keys, every) in enumerate(
        [(names_a, ["u", "v", "w"], 1), (names_b, ["v", "w", "x"], 2)]
    ):
        told = header(aus=names, images=False)
        videos = [
            (key, labelled(told, *drawn((side, at), 300, len(names)), every=every), {})
            for at, key in enumerate(keys)
        ]
        sides.append(shards(tmp_path / "ab"[side], told, videos))
    return sides


def test_two_shard_folders_are_compared_as_pandas_and_scikit_learn_would(tmp_path):
    a, b = two_folders(tmp_path)
    found = compare_au(a, b)
    with facekit.open_shards(a) as in_a, facekit.open_shards(b) as in_b:
        both = in_a.to_pandas().merge(in_b.to_pandas(), on=["key", "frame_index"])
    assert (found.videos, found.faces) == (2, len(both)) == (2, 300)
    assert (found.videos_only_in_a, found.videos_only_in_b) == (["u"], ["x"])
    assert found.unjoined == Unjoined(frames_only_in_a=300, frames_only_in_b=300)
    assert [au.au for au in found.aus] == ["AU01", "AU12"]  # by name, in the order of A
    assert (found.aus_only_in_a, found.aus_only_in_b) == (["AU45"], ["AU28"])
    for au in found.aus:
        labels = both[[f"au_occurrence_{au.au}_x", f"au_occurrence_{au.au}_y"]]
        known = labels[(labels >= 0).all(axis=1)]
        mine, truth = (known[name] for name in known.columns)
        assert au.faces == len(known) < found.faces
        assert (au.positives_a, au.positives_b) == (mine.sum(), truth.sum())
        assert au.kappa == pytest.approx(cohen_kappa_score(truth, mine), abs=1e-12)
        assert au.f1 == pytest.approx(f1_score(truth, mine), abs=1e-12)
        assert au.agreement == pytest.approx((mine == truth).mean())
        kappas = [
            cohen_kappa_score(truth[of_clip], mine[of_clip])
            for of_clip in (both["key"][known.index] == key for key in ("v", "w"))
        ]
        assert (au.clip_kappa, au.clips) == (pytest.approx(np.mean(kappas), abs=1e-12), 2)
        assert au.unknown_in_a == (labels.iloc[:, 0] < 0).sum()
        assert au.unknown_in_b == (labels.iloc[:, 1] < 0).sum()
        gaps = both[f"au_intensity_{au.au}_x"] - both[f"au_intensity_{au.au}_y"]
        assert au.intensities == 300
        assert au.intensity_mae == pytest.approx(gaps.abs().mean(), rel=1e-6)


def test_the_other_way_round_only_f1_and_sides_change(tmp_path):
    a, b = two_folders(tmp_path)
    one, other = compare_au(a, b), compare_au(b, a)
    assert (one.faces, one.videos_only_in_a) == (other.faces, other.videos_only_in_b)
    assert one.unjoined.frames_only_in_a == other.unjoined.frames_only_in_b
    mirrored = {au.au: au for au in other.aus}
    for au in one.aus:
        assert (au.only_a, au.kappa) == (mirrored[au.au].only_b, mirrored[au.au].kappa)
        assert au.unknown_in_a == mirrored[au.au].unknown_in_b
        assert au.intensity_icc == mirrored[au.au].intensity_icc


def test_people_on_one_frame_are_told_apart_by_place(tmp_path):
    """The same two people, numbered the other way round."""
    told = header(aus=("AU01",), images=False)
    here, there = BOX, (100, 10, 150, 70)
    sides = []
    for name, boxes, occurs in (
        ("a", [here, there], [[1], [0]]),
        ("b", [there, here], [[0], [1]]),
    ):
        columns = labelled(
            *(told, occurs * 40),
            box_xyxy=boxes * 40,
            frame_index=np.repeat(range(40), 2),
            track_id=[0, 1] * 40,
        )
        sides.append(shards(tmp_path / name, told, [("v", columns, {})]))
    found = compare_au(*sides)
    assert (found.faces, found.aus[0].kappa) == (80, 1.0)


def ffpp(tmp_path, occurs):
    """A shard folder and OpenFace's CSVs of the same videos; methods share names."""
    told = header(aus=NAMES, images=False)
    videos = []
    for at, method in enumerate(METHODS):
        path = f"manipulated_sequences/{method}/c23/videos/035_036.mp4"
        rows = [tables.row(i + 1, BOX, on=on) for i, on in enumerate(occurs[at])]
        rows += [tables.row(len(rows) + 1, BOX, success=0), tables.row(len(rows) + 2, BOX)]
        tables.write(tmp_path / "refs" / f"{method}__035_036.csv.gz", rows)
        labels = [[int(number in on) for number in tables.AUS] for on in occurs[at]]
        strength = [
            [np.nan if n == 28 else 2.5 * (n in on) for n in tables.AUS] for on in occurs[at]
        ]
        unsure = [[-1] * len(NAMES)]
        videos.append((path, labelled(told, labels + unsure, strength + unsure), {}))
    return shards(tmp_path / "s", told, videos), tmp_path / "refs"


OCCURS = ([(1, 12, 28), (12,)] * 40, [(2,), ()] * 30)


@pytest.mark.parametrize("turned", [False, True], ids=["CSVs are B", "CSVs are A"])
def test_shards_against_the_csvs_they_came_from_agree_on_everything(tmp_path, turned):
    sides = ffpp(tmp_path, OCCURS)
    tables.write(tmp_path / "refs" / "Face2Face__035_036.csv", [tables.row(on=())])
    found = compare_au(*reversed(sides) if turned else sides)
    only = found.videos_only_in_a if turned else found.videos_only_in_b
    assert (found.videos, found.faces, only) == (2, 140, ["Face2Face__035_036"])
    alone = {"frames_only_in_a": 2, "frames_only_in_b": 2}  # where OpenFace failed; the last row
    assert found.unjoined == Unjoined(**alone)
    by_name = {au.au: au for au in found.aus}
    assert list(by_name) == list(NAMES)
    assert all(au.agreement == 1 for au in found.aus)
    assert all(au.intensity_mae == 0 for au in found.aus if au.au != "AU28")
    assert [by_name[name].kappa for name in ("AU01", "AU02", "AU12", "AU28")] == [1, 1, 1, 1]
    assert np.isnan(by_name["AU04"].kappa)
    assert by_name["AU12"].clips == 0  # each clip alone is all or nothing
    assert (by_name["AU28"].intensities, by_name["AU01"].intensities) == (0, 140)
    assert {au.positives_b for au in found.frequent} == set()


def test_methods_that_share_names_are_not_mixed_up(tmp_path):
    path, refs = ffpp(tmp_path, OCCURS)
    (refs / "Deepfakes__035_036.csv.gz").rename(refs / "swap")
    (refs / "FaceSwap__035_036.csv.gz").rename(refs / "Deepfakes__035_036.csv.gz")
    (refs / "swap").rename(refs / "FaceSwap__035_036.csv.gz")
    crossed = {au.au: au for au in compare_au(path, refs).aus}
    assert {name: crossed[name].agreement for name in ("AU12", "AU04")} == {"AU12": 0, "AU04": 1}


def test_one_csv_of_the_only_video(tmp_path):
    told = header(aus=("AU01",), images=False)
    path = shards(tmp_path / "s", told, [("v.mp4", labelled(told, [[1], [0]]), {})])
    csv = tables.write(tmp_path / "out/labels.csv", [tables.row(1, BOX), tables.row(2, BOX, on=())])
    assert compare_au(path, csv).aus[0].kappa == 1
    with pytest.raises(BadInput, match="share no video"):
        compare_au(path, csv.parent)


def refused(tmp_path):
    """Name -> two paths and what is said of them."""
    told = header(aus=("AU01",), images=False)
    one = shards(tmp_path / "one", told, [("v", labelled(told, [[1], [0]]), {})])
    other_told = header(aus=("AU99",), images=False)
    columns = labelled(other_told, [[1], [0]])
    other_au = shards(tmp_path / "other_au", other_told, [("v", columns, {})])
    bare_told = header(aus=(), images=False)
    bare = shards(tmp_path / "bare", bare_told, [("v", faces(bare_told, 2), {})])
    other_video = shards(tmp_path / "other_video", told, [("w", labelled(told, [[1]]), {})])
    columns = labelled(told, [[1], [0]], frame_index=[8, 9])
    other_frames = shards(tmp_path / "other_frames", told, [("v", columns, {})])
    columns = labelled(told, [[1], [0]], box_xyxy=[(200, 200, 250, 260)] * 2)
    other_place = shards(tmp_path / "other_place", told, [("v", columns, {})])
    nothing = shards(tmp_path / "nothing", told, [("v", labelled(told, [[-1], [-1]]), {})])
    empty = shards(tmp_path / "empty", told, [("v", None, {})])
    return {
        "units": (one, other_au, "share no action unit; A has 1, such as AU01; B has 1, such as"),
        "no units": (one, bare, "share no action unit; A has 1, such as AU01$"),
        "videos": (one, other_video, "share no video; A has 1, such as v; B has 1, such as w"),
        "frames": (one, other_frames, "share no face; .* in A alone: 2, in B alone: 2"),
        "place": (one, other_place, "none of B's: 2, of B that are none of A's: 2"),
        "no face": (empty, one, "share no face; .* in A alone: 0, in B alone: 2"),
        "unknown in A": (nothing, one, "nothing knows no label of the 2 common faces"),
        "unknown in B": (one, nothing, "nothing knows no label"),
    }


@pytest.mark.parametrize(
    "case",
    ["units", "no units", "videos", "frames", "place", "no face", "unknown in A", "unknown in B"],
)
def test_nothing_in_common_is_said_in_one_line(tmp_path, case):
    a, b, said = refused(tmp_path)[case]
    with pytest.raises(BadInput, match=said) as error:
        compare_au(a, b)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min_positives": -1}, "--min-positives must be 0 or more, not -1"),
        ({"out": "plot.pdf"}, r"--out plot.pdf: end its name in .png or .svg"),
        ({"table": "table.txt"}, r"--table table.txt: end its name in .csv"),
    ],
)
def test_bad_options_are_refused_before_anything_is_read(options, said):
    with pytest.raises(BadInput, match=said):
        compare_au("nowhere", "nowhere", **options)


@pytest.mark.parametrize(("a", "b"), [("gone", "ok"), ("ok", "gone"), ("ok", "text.h5")])
def test_what_is_no_source_is_refused(tmp_path, a, b):
    told = header(images=False)
    shards(tmp_path / "ok", told, [("v", faces(told, 2), {})])
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises((BadInput, BadShard), match=r"gone|text\.h5"):
        compare_au(tmp_path / a, tmp_path / b)


def test_plot_and_table_are_written_whole(tmp_path):
    a, b = two_folders(tmp_path)
    found = compare_au(a, b, out=tmp_path / "p.svg", table=tmp_path / "t.csv", min_positives=1)
    written = pd.read_csv(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(written, found.to_pandas(), check_dtype=False)
    assert "<svg" in (tmp_path / "p.svg").read_text()
    assert {p.name for p in tmp_path.iterdir()} == {"a", "b", "p.svg", "t.csv"}
    with pytest.raises(BadInput, match="cannot be written"):
        compare_au(a, b, table=tmp_path / "missing" / "t.csv")


def test_the_command_is_the_function(tmp_path):
    a, b = map(str, two_folders(tmp_path))
    found = compare_au(a, b, min_positives=60)
    told = ["compare-au", a, b, "--min-positives", "60"]
    ran = CliRunner().invoke(cli.cli, [*told, "--json"])
    assert json.loads(ran.output) == json.loads(json.dumps(found.as_json()))
    ran = CliRunner().invoke(cli.cli, [*told, "-o", str(tmp_path / "p.png")])
    assert ran.output == "\n".join([*found.lines(), ""])
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_openfaces_labels_come_back_from_the_shards(tmp_path, data_dir, weights_dir, monkeypatch):
    """Real clips, methods that share stems, and CSVs of many more videos than were extracted."""
    monkeypatch.setenv("FACEKIT_WEIGHTS", str(weights_dir))
    refs = data_dir / "openface_reference" / "ffpp"
    root = tmp_path / "ffpp"
    for folder in ("original_sequences/youtube", *(f"manipulated_sequences/{m}" for m in METHODS)):
        source = data_dir / "ffpp" / folder / "c23/videos"
        target = root / folder / "c23/videos"
        target.mkdir(parents=True)
        first = min(source.glob("*.mp4"))
        (target / first.name).symlink_to(first)
    backends = dict.fromkeys(("au", "landmarker"), f"openface-csv:{refs}")
    options = {"dataset": "ffpp", "detector": "yunet", "frames": "8", "images": False, "jobs": 1}
    extract(root, tmp_path / "out", **backends, **options)
    for a, b in ((tmp_path / "out", refs), (refs, tmp_path / "out")):
        found = compare_au(a, b)
        assert (found.videos, found.faces) == (3, 24)
        assert all((au.faces, au.agreement) == (24, 1) for au in found.aus)
        assert {au.kappa for au in found.aus if au.positives_b} == {1}
        assert {au.intensity_mae for au in found.aus if au.au != "AU28"} == {0}
        assert len(found.videos_only_in_a) + len(found.videos_only_in_b) == 91
