"""What was found, as numbers, table, JSON and text."""

import json
import math
from dataclasses import replace

import pytest

from pipelines.au_agreement import MEASURES, AuAgreement, AuComparison
from pipelines.label_joining import Unjoined

NAN = math.nan


def unit(au, *, both=0, kappa=NAN, intensity_mae=NAN, **more):
    told = {
        "only_a": 10, "only_b": 20, "neither": 30, "unknown_in_a": 2, "unknown_in_b": 0,
        "agreement": 0.5, "f1": NAN, "clip_kappa": NAN, "clips": 0, "intensities": 0,
        "intensity_pearson": NAN, "intensity_icc": NAN,
    }  # fmt: skip
    told |= {"au": au, "both": both, "kappa": kappa, "intensity_mae": intensity_mae, **more}
    return AuAgreement(**told)


FOUND = AuComparison(
    a="mine/",
    b="refs/*.csv",
    au_mode_a="static",
    au_mode_b="imported",
    videos=1234,
    faces=200,
    videos_only_in_a=["u", "v"],
    videos_only_in_b=[],
    unjoined=Unjoined(frames_only_in_a=4321, faces_apart_in_b=7),
    aus=[
        unit("AU01", both=80, kappa=0.5, intensity_mae=0.25),
        unit("AU02", both=79, kappa=0.1, agreement=0.9),
        unit("AU04", both=130, agreement=1.0),
    ],
    aus_only_in_a=["AU45"],
    aus_only_in_b=["AU28"],
    min_positives=100,
)


def test_counts_add_up():
    au = FOUND.aus[0]
    assert (au.faces, au.positives_a, au.positives_b) == (140, 90, 100)


@pytest.mark.parametrize(
    ("min_positives", "frequent"),
    [
        (0, ["AU01", "AU02", "AU04"]),
        (99, ["AU01", "AU02", "AU04"]),
        (100, ["AU01", "AU04"]),  # as many as asked for is enough
        (101, ["AU04"]),
        (151, []),
    ],
)
def test_frequent_is_by_positives_in_the_reference(min_positives, frequent):
    found = replace(FOUND, min_positives=min_positives)
    assert [au.au for au in found.frequent] == frequent
    assert found.as_json()["frequent"] == frequent


def test_means_are_over_what_is_defined():
    means = FOUND.means()
    assert means["all"]["kappa"] == pytest.approx(0.3)
    assert means["frequent"]["kappa"] == 0.5
    assert means["all"]["agreement"] == pytest.approx(0.8)
    assert means["frequent"]["agreement"] == pytest.approx(0.75)
    assert means["all"]["intensity_mae"] == 0.25
    assert math.isnan(means["all"]["f1"])
    none = replace(FOUND, min_positives=1000).means()["frequent"]
    assert set(none) == set(MEASURES)
    assert all(map(math.isnan, none.values()))


def test_the_table_holds_every_number():
    table = FOUND.to_pandas()
    assert table["au"].tolist() == ["AU01", "AU02", "AU04"]
    assert table["faces"].tolist() == [140, 139, 190]
    assert set(table.columns) == {*FOUND.aus[0].as_row()}
    assert table["kappa"].isna().tolist() == [False, False, True]


def test_json_has_no_nan():
    told = json.loads(json.dumps(FOUND.as_json(), allow_nan=False))
    assert told["aus"][2]["kappa"] is None
    assert told["means"]["all"]["f1"] is None
    assert told["unjoined"]["frames_only_in_a"] == 4321
    assert (told["aus_only_in_a"], told["videos_only_in_a"]) == (["AU45"], ["u", "v"])


def test_text_says_all_of_it():
    lines = FOUND.lines()
    text = "\n".join(lines)
    assert lines[0] == "A = mine/ (static)"
    assert lines[1] == "B = refs/*.csv (imported), the reference"
    assert "1,234 videos and 200 faces are on both sides" in text
    assert "frames with a face in A alone: 4,321, in B alone: 0" in text
    assert "of B that are none of A's: 7" in text
    for title, name in (("2 videos", "u"), ("1 action units only in A", "AU45")):
        assert name in text.split(title)[1]
    assert "videos only in B" not in text
    row = {line.split()[0]: line.split() for line in lines if line.strip().startswith("AU")}
    assert row["AU01"][1:8] == ["140", "60", "90", "100", "0.5000", "0.5000", "-"]
    assert row["AU04"][6] == "-"
    means = [line.split() for line in lines if line.strip().startswith("mean")]
    assert means[0][:3] == ["mean", "of", "3"]
    assert means[0][7:9] == ["0.8000", "0.3000"]
    assert " ".join(means[1][:6]) == "mean of 2 with 100+ in"
