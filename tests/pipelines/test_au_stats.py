import csv
import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from random import Random

import forgeries
import numpy as np
import pytest
from click.testing import CliRunner

from facekit import cli
from facekit.errors import BadInput
from pipelines.au_stats import au_stats
from pipelines.au_stats_files import render, tables

FEW = {"bootstrap": 100, "permutations": 100}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """12 reals and 24 fakes of two methods, in shards."""
    videos = forgeries.videos(12, methods=("Deepfakes", "Face2Face"))
    return forgeries.shards(tmp_path_factory.mktemp("shards") / "in", videos, per_shard=9)


@pytest.fixture(scope="module")
def found(shards):
    return au_stats(shards, volumes="0.5,1", **FEW)


def test_every_method_and_volume_is_compared(found):
    chosen = [(e.selection.method, e.selection.volume) for e in found.comparisons]
    assert chosen == [
        ("Deepfakes", "50%"), ("Deepfakes", "100%"), ("Face2Face", "50%"), ("Face2Face", "100%"),
    ]  # fmt: skip
    assert [len(e.selection.pairs) for e in found.comparisons] == [6, 12, 6, 12]
    assert found.tests == 4 * len(forgeries.AUS)
    for each in found.comparisons:
        assert (each.p_holm_A >= each.p_A).all()


def test_a_table_has_one_row_a_method_volume_and_au(found):
    table = found.to_pandas()
    assert len(table) == 4 * len(forgeries.AUS)
    assert (table["change"] == table["average_real"] - table["average_fake"]).all()
    assert (table["faces_real"] == 12 * table["pairs"]).all()
    row = table.iloc[0]
    assert (row["au"], row["name"], row["groups"]) == ("AU01", "inner brow raiser", 5)
    assert row["change_low"] <= row["change"] <= row["change_high"]


def test_the_strongest_changes_come_first(found):
    top = found.top(3)["change"].abs().tolist()
    assert top == sorted(top, reverse=True)
    assert len(top) == 3
    judged = found.top(99)
    assert (judged[["groups_real", "groups_fake"]].min(axis=1) >= 5).all()
    pairs = found.top_pairs(99)
    assert ((pairs["change_low"] > 0) | (pairs["change_high"] < 0)).all()


def test_text_says_it_in_short(found):
    lines = found.lines(show_top=2)
    assert lines[0] == "36 videos, 432 labelled faces, 4 action units"
    assert sum("strongest changes" in line for line in lines) >= 1
    assert not any("strongest changes" in line for line in found.lines())


def test_stats_json_is_whole_and_versioned(found):
    stats = json.loads(render(found))
    assert stats["facekit_au_stats"] == 1
    assert stats["options"] == {
        "volumes": "0.5,1", "disjoint": False, "seed": 0, **FEW,
    }  # fmt: skip
    (labels,) = stats["labels"]
    assert labels["backends"]["detector"]["name"] == "yunet"
    assert len(stats["videos"]) == 36
    assert stats["videos"][0]["faces"] == 12
    assert len(stats["videos"][0]["labels_sha256"]) == 64
    first = stats["comparisons"][1]
    assert (first["method"], first["volume"], first["identity_groups"]) == ("Deepfakes", "100%", 6)
    both = np.array(first["real"]["both"])
    ratio = np.array(first["real"]["correlation"]) * np.diag(both)[:, None]
    assert np.abs(ratio - both).max() < 1e-9
    assert first["selection"][0]["identity"] == "ffpp/youtube/c23/000"
    text = render(found)
    assert "/tmp" not in text and "NaN" not in text


def _bytes_of(inputs, **options):
    return render(au_stats(inputs, volumes="0.5,1", **FEW, **options)).encode()


def test_the_same_labels_give_the_same_bytes(tmp_path, shards, found):
    """However they are cut into shards, and in whatever order these are given."""
    videos = forgeries.videos(12, methods=("Deepfakes", "Face2Face"))
    shuffled = Random(0).sample(videos, len(videos))
    halves = [forgeries.shards(tmp_path / str(i), shuffled[i::2], per_shard=5 + i) for i in (0, 1)]
    want = json.loads(render(found))
    for order in (halves, halves[::-1]):
        made = json.loads(_bytes_of(order))
        assert len(made.pop("labels")) == 2
        assert made == {name: value for name, value in want.items() if name != "labels"}
    assert _bytes_of(halves) == _bytes_of(halves[::-1])
    again = forgeries.shards(tmp_path / "again", shuffled, per_shard=50)
    assert _bytes_of(again) == _bytes_of(shards) == render(found).encode()


def test_hash_seeds_threads_and_vector_instructions_change_nothing(shards, found):
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "OMP_NUM_THREADS": "2",
        "NPY_DISABLE_CPU_FEATURES": " ".join(_dispatched()),
        "OPENBLAS_CORETYPE": "Nehalem",
        "TZ": "Asia/Tokyo",
    }
    script = (
        "import sys; from pipelines.au_stats import au_stats; "
        "from pipelines.au_stats_files import render; "
        f"sys.stdout.write(render(au_stats(sys.argv[1], volumes='0.5,1', **{FEW})))"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(shards)],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == render(found).encode()


def _dispatched():
    """The vector instructions that numpy uses here and could do without."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]


def test_another_seed_is_another_selection(shards):
    chosen = [
        au_stats(shards, volumes="0.5", seed=seed, **FEW).comparisons[0].selection.pairs
        for seed in (0, 1)
    ]
    assert chosen[0] != chosen[1]


def test_tables_hold_every_number_and_its_n(found):
    made = {name: list(csv.DictReader(text.splitlines())) for name, text in tables(found).items()}
    assert sorted(made) == [
        "average_intensity.csv", "correlation_Deepfakes.csv", "correlation_Face2Face.csv",
        "correlation_real.csv", "selection.csv",
    ]  # fmt: skip
    assert len(made["selection.csv"]) == 6 + 12 + 6 + 12
    assert len(made["average_intensity.csv"]) == 4 * 4
    assert len(made["correlation_real.csv"]) == 4 * 4**2
    row = made["correlation_Deepfakes.csv"][1]
    assert (row["given"], row["occurs"]) == ("AU01", "AU02")
    ratio = int(row["faces_both"]) / int(row["faces_given"])
    assert float(row["correlation"]) == ratio


def test_fakes_called_real_get_a_table_of_their_own(found):
    each = found.comparisons[1]
    changed = replace(each, selection=replace(each.selection, method="real"))
    made = tables(replace(found, comparisons=[changed]))
    names = ["correlation_fakes-called-real.csv", "correlation_real.csv"]
    assert [name for name in sorted(made) if name.startswith("correlation")] == names
    assert made[names[0]] != made[names[1]]


def _rare(key):
    """AU12 never occurs in fakes; AU45 is labelled nowhere."""
    values = forgeries.occurrence(key)
    values[:, 2] = 0 if "Deepfakes" in key else values[:, 2]
    values[:, 3] = -1
    return values


def test_what_is_undefined_is_nan_and_named(tmp_path):
    folder = forgeries.shards(tmp_path / "in", forgeries.videos(12), labels=_rare)
    found = au_stats(folder, **FEW)
    assert found.unlabelled == ["AU45"]
    table = found.to_pandas().set_index("au")
    for au in ("AU12", "AU45"):
        assert table.loc[au, ["average_fake", "change", "p", "effect"]].isna().all()
    assert table.loc["AU45", ["average_real", "rate_real", "rate_fake"]].isna().all()
    assert table.loc["AU45", ["faces_real", "occurs_real"]].tolist() == [0, 0]
    assert table.loc["AU12", "rate_fake"] == 0
    (row,) = (r for r in csv.DictReader(tables(found)["average_intensity.csv"].splitlines())
              if r["au"] == "AU12")  # fmt: skip
    assert (row["average_fake"], row["change"]) == ("NaN", "NaN")
    stats = json.loads(render(found))
    assert stats["unlabelled"] == ["AU45"]
    assert stats["comparisons"][0]["fake"]["average"]["value"][2] is None
    assert "labelled on no face: AU45" in "\n".join(found.lines())


def test_few_groups_are_warned_of(shards, caplog):
    with caplog.at_level(logging.WARNING):
        au_stats(shards, **FEW)
    assert "6 identity groups" in caplog.text
    assert "no p-value can be below 0.031" in caplog.text


@pytest.mark.parametrize(
    ("inputs", "options", "said"),
    [
        ((), {}, "no inputs"),
        (("shards",), {"csv": "out"}, "not both"),
        (("shards",), {"manifest": "m.csv"}, "goes with --csv"),
        (("shards",), {"volume": "1"}, "'volume' is no option of au_stats; there are volumes"),
        (("shards",), {"volumes": "0"}, "--volumes"),
        (("shards",), {"volumes": "0.2,0.20"}, "twice"),
        (("shards",), {"volumes": "0.6,0.6001", "disjoint": True}, "at most 1"),
        (("shards",), {"volumes": "1/2"}, "--volumes"),
        (("shards",), {"bootstrap": 99}, "--bootstrap must lie in 100"),
        (("shards",), {"permutations": 10**7}, "--permutations"),
        (("shards",), {"seed": 0.5}, "--seed must be a whole number"),
        (("nowhere",), {}, "nowhere"),
    ],
)
def test_bad_input_is_one_line(inputs, options, said):
    with pytest.raises(BadInput, match=said) as refused:
        au_stats(inputs, **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"original": ""}, "does not name its original"),
        ({"label": 0}, "no video is labelled fake"),
        ({"label": 1}, "no video is labelled real"),
        ({"label": -1}, "of unknown label"),
    ],
)
def test_shards_without_a_pair_are_refused(tmp_path, change, said):
    videos = [replace(video, **change) for video in forgeries.videos(2)]
    folder = forgeries.shards(tmp_path / "in", videos)
    with pytest.raises(BadInput, match=said):
        au_stats(folder)


def test_unlabelled_shards_and_other_aus_are_refused(tmp_path, shards):
    blank = forgeries.shards(
        tmp_path / "blank",
        forgeries.videos(2),
        labels=lambda key: np.full((3, len(forgeries.AUS)), -1, np.int8),
    )
    with pytest.raises(BadInput, match="no face has an AU label"):
        au_stats(blank)
    other = forgeries.shards(
        tmp_path / "other",
        forgeries.videos(2),
        aus=("AU01", "AU02", "AU12", "AU04"),
    )
    with pytest.raises(BadInput, match="differ in their action units: AU04, AU45"):
        au_stats([shards, other])


def test_the_command_writes_everything_and_says_what_it_found(tmp_path, shards):
    out = tmp_path / "stats"
    arguments = ["au-stats", str(shards), "-o", str(out), "--show-top", "2", "--bootstrap", "100"]
    ran = CliRunner().invoke(cli.cli, [*arguments, "--permutations", "100"])
    assert ran.exit_code == 0, ran.output
    assert "mean of A_i, real minus fake" in ran.output
    assert "strongest changes of A_i" in ran.output
    assert sorted(path.name for path in out.iterdir()) == [
        "average_intensity.csv", "average_intensity.png", "average_intensity.svg",
        "correlation_Deepfakes.csv", "correlation_Deepfakes.png", "correlation_Deepfakes.svg",
        "correlation_Face2Face.csv", "correlation_Face2Face.png", "correlation_Face2Face.svg",
        "correlation_real.csv", "occurrence.png", "occurrence.svg", "report.html",
        "selection.csv", "stats.json",
    ]  # fmt: skip
    want = render(au_stats(shards, **FEW))
    assert (out / "stats.json").read_text() == want


def test_the_command_speaks_json(tmp_path, shards):
    arguments = ["au-stats", str(shards), "-o", str(tmp_path), "--json", "--volumes", "0.5"]
    ran = CliRunner().invoke(cli.cli, [*arguments, "--bootstrap", "100", "--permutations", "100"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["facekit_au_stats"] == 1


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, shards):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot write to"):
        au_stats(shards, tmp_path / "file" / "stats", **FEW)
