import math
import runpy
from pathlib import Path

import pytest
import synthetic_faces
import torch
import trained_runs

from facekit.errors import BadInput
from training.config import Config, read_config
from training.models import build
from training.options import Data, Tampering, Training
from training.paper_tables import METHODS, TABLES, Measured, measure

AVERAGES = {  # as the paper prints them
    "4": (81.18, 84.07, 83.94, 84.63, 80.48, 81.08, 83.68, 86.79),
    "5": (83.68, 85.96, 86.79, 87.08, 87.02),
    "s2": (82.89, 83.66, 88.69),
    "s3": (83.75, 85.27, 85.95, 86.79, 86.01),
}


@pytest.mark.parametrize(("number", "averages"), AVERAGES.items())
def test_the_figures_add_up_to_the_papers_averages(number, averages):
    for variant, average in zip(TABLES[number].variants, averages, strict=True):
        assert list(variant.paper) == ["CDF", "DFDCP", "FFIW"]
        assert sum(variant.paper.values()) / 3 == pytest.approx(average, abs=0.011), variant.name


@pytest.mark.parametrize("number", TABLES)
def test_every_row_is_a_config_of_its_own(number):
    configs = [variant.over(Config()).as_json() for variant in TABLES[number].variants]
    assert all(configs.count(config) == 1 for config in configs)
    assert len({variant.name for variant in TABLES[number].variants}) == len(configs)
    if number not in ("1", "s2"):
        assert Config().as_json() in configs


def test_every_row_is_a_network_in_the_examples_demo():
    example = Path(__file__).parents[2] / "examples" / "paper_tables.py"
    base = read_config(None, runpy.run_path(str(example))["DEMO"])
    rows = [row.over(base) for table in TABLES.values() for row in table.variants]
    for model, tokens in dict.fromkeys((row.model, row.learns_tokens) for row in rows):
        with torch.device("meta"):
            build(model, tokens=tokens, fresh=False)


def test_rows_keep_what_they_do_not_change():
    base = Config(training=Training(epochs=3))
    (row,) = (one for one in TABLES["4"].variants if one.name == "TAP w/o M_p")
    assert row.over(base) == Config(training=Training(epochs=3), tampering=Tampering(partial=False))


def test_lines_put_paper_and_measured_side_by_side():
    table = TABLES["s3"]
    rows = {v.name: {"CDF": 50.0, "DFDCP": 60.0, "FFIW": 70.0} for v in table.variants}
    rows["block 13"] = dict.fromkeys(table.columns, math.nan)
    told = Measured(table=table, rows=rows).lines()
    assert "paper / measured" in told[1]
    want = "block 1 90.87 / 50.00 81.94 / 60.00 78.43 / 70.00 83.75 / 60.00"
    assert told[3].split() == want.split(" ")
    assert told[4].count("/ -") == 4
    assert "Avg" not in "\n".join(
        Measured(table=TABLES["2"], rows={"Ours": dict.fromkeys(METHODS, 50.0)}).lines()
    )


@pytest.mark.parametrize(
    ("chosen", "tests", "message"),
    [
        (["6"], {}, "no table '6'; there are 1, 2, 3, 4, 5, s2, s3"),
        (["2"], {"ABC": "x"}, "no test set 'ABC'; there are CDF, DFD, DFDC, DFDCP, FFIW"),
    ],
)
def test_an_unknown_name_is_refused(chosen, tests, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        next(measure(chosen, [], tests, tmp_path, config=Config()))


def test_rows_are_trained_evaluated_and_kept(tmp_path):
    shards = synthetic_faces.make_shards(tmp_path / "made", videos=16, frames=1, size=48)
    other = synthetic_faces.make_shards(
        tmp_path / "other", videos=4, frames=1, size=48, seed=3, splits=False, dataset="other"
    )
    config = trained_runs.config(encoders=1)
    config = Config(
        data=Data(frames=1),
        model=config.model,
        training=Training(epochs=1, batch=4, precision="fp32"),
    )
    out = tmp_path / "runs"

    def made():
        tests = {"CDF": other}
        return list(measure(["2", "3"], [shards], tests, out, config=config, device="cpu"))

    two, three = made()
    (ours,) = two.rows.values()
    assert 0 <= ours["FF++"] <= 100 and math.isnan(ours["NT"])
    (crossed,) = three.rows.values()
    assert 0 <= crossed["CDF"] <= 100 and math.isnan(crossed["FFIW"])
    assert [path.name for path in out.iterdir()] == ["ours"]
    snapshots = sorted(out.rglob("state.json"))
    before = [path.stat().st_mtime_ns for path in snapshots]
    assert [table.lines() for table in made()] == [two.lines(), three.lines()]
    assert [path.stat().st_mtime_ns for path in snapshots] == before
