import json
import logging
import shutil

import numpy as np
import pandas as pd
import pytest
import synthetic_faces
import synthetic_shards
import trained_runs

from facekit.errors import BadInput, BadWeights
from training import evaluation_files, held_back, metrics
from training.evaluate import CLEAN, evaluate
from training.table import open_table

FRAMES = 2


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate") / "made"
    return synthetic_faces.make_shards(folder, videos=32, frames=FRAMES)


@pytest.fixture(scope="module")
def run(tmp_path_factory, shards):
    folder = trained_runs.write_run(tmp_path_factory.mktemp("evaluate") / "run")
    held_back.write(folder, open_table([shards], trained_runs.config().data, 0).videos)
    return folder


@pytest.fixture(scope="module")
def found(run, shards, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluate") / "out"
    made = evaluate(run, shards, out=out, bootstrap=30, perturb="contrast", device="cpu")
    return made, out


def test_only_held_back_videos_are_scored(found):
    evaluation, _ = found
    assert evaluation.part.told == {"made": "8 videos held back from training"}
    # Pairs 3, 7, 11 and 15 are of the split test.
    pairs = {key.split("/")[2][:3] for key in evaluation.videos["key"]}
    assert pairs == {"003", "007", "011", "015"}


def test_figures_follow_from_the_scores(found):
    evaluation, _ = found
    clean = evaluation.faces[evaluation.faces["perturbation"] == CLEAN]
    videos = metrics.video_scores(clean).merge(evaluation.videos[["key", "label"]], on="key")
    want = metrics.summary(videos["label"], videos["score"], bootstrap=0)
    (each,) = evaluation.datasets
    for name in metrics.METRICS:
        assert each.summary[name].value == want[name].value
        assert evaluation.average(name) == want[name].value
    assert each.summary.auc.groups.clusters == 4 and each.summary.auc.videos.clusters == 8
    assert each.coverage.asked == each.coverage.scored == 8


def test_every_level_is_scored_and_compared(found):
    evaluation, _ = found
    counts = evaluation.faces.groupby(["perturbation", "level"]).size()
    assert counts.to_dict() == {(CLEAN, 0): 16} | {("contrast", n): 16 for n in range(1, 6)}
    assert [each.how.level for each in evaluation.perturbed] == [1, 2, 3, 4, 5]
    assert all(len(each.comparisons) == 1 for each in evaluation.perturbed)


def test_the_files(found):
    evaluation, out = found
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("results.json", "scores.parquet", "videos.csv", "metrics.csv", "report.html"),
        *("roc.png", "roc.svg", "robustness.png", "robustness.svg"),
    }
    scores = pd.read_parquet(out / "scores.parquet")
    pd.testing.assert_frame_equal(scores, evaluation.faces)
    told = json.loads((out / "results.json").read_text())
    assert told == json.loads(json.dumps(evaluation.as_json()))
    assert told["facekit_evaluation"] == evaluation_files.FORMAT
    assert told["run"]["step"] == 7 and len(told["run"]["sha256"]) == 64
    assert told["run"]["config"]["model"]["backbone"] == "resnet18"
    assert told["protocol"]["videos_used"] == {"made": "8 videos held back from training"}
    assert told["protocol"]["videos_of_people_seen"] == {"train": 0, "val": 0}
    assert list(told["shards"]) == ["made"]
    rows = pd.read_csv(out / "metrics.csv")
    assert len(rows) == len(evaluation.comparisons) + 5
    assert len(pd.read_csv(out / "videos.csv")) == 8


def test_the_same_scores_are_the_same_bytes(found, run, shards):
    _, out = found
    again = evaluate(run, shards, bootstrap=30, perturb="contrast", device="cpu")
    assert evaluation_files.rendered(again) == (out / "results.json").read_text()
    assert str(out.parent) not in (out / "results.json").read_text()


def test_lines_tell_it_to_a_person(found):
    evaluation, _ = found
    told = "\n".join(evaluation.lines())
    for part in (
        "best snapshot, step 7",
        "made: 8 videos held back from training",
        "AUC (%) by method",
        "8 of 8",
        "contrast",
        "4 sets of people; with fewer than 20, intervals over people are too narrow",
    ):
        assert part in told


def test_another_dataset_of_another_size_is_evaluated_beside(run, shards, tmp_path):
    other = synthetic_faces.make_shards(
        tmp_path / "other", videos=4, frames=1, size=48, seed=5, splits=False, dataset="other"
    )
    both = evaluate(run, [shards, other], bootstrap=0, device="cpu")
    assert [each.dataset for each in both.datasets] == ["made", "other"]
    assert both.part.told["other"] == "4 videos of people unknown to the run"
    values = [each.summary.auc.value for each in both.datasets]
    assert both.average() == pytest.approx(np.mean(values))
    assert "AUC (%) by dataset" in "\n".join(both.lines())


def test_all_takes_everything_and_says_so(run, shards, caplog):
    with caplog.at_level(logging.WARNING):
        every = evaluate(run, shards, split="all", frames=1, bootstrap=0, device="cpu")
    assert len(every.videos) == 32 and every.part.seen == {"train": 16, "val": 8}
    assert "16 of these videos are of people whom the run learnt from" in caplog.text
    assert any("whom the run learnt from" in told for told in every.lines())


def test_the_frame_protocol_counts_frames(run, shards):
    frames = evaluate(run, shards, protocol="frame", bootstrap=10, device="cpu")
    (each,) = frames.datasets
    assert (each.summary.real, each.summary.fake) == (8, 8)
    assert each.summary.auc.videos.clusters == 8


def test_missing_and_unlabelled_videos_are_told(run, tmp_path):
    """Random faces; a real one without a face, a fake that failed, one without a label."""
    told = synthetic_shards.header(margin=1.6)
    rng = np.random.default_rng(0)
    points = rng.uniform(4, 28, (2, 68, 2))
    faces = synthetic_shards.faces(told, 2, landmarks_xy=points, au_ellipses=np.ones((2, 24, 5)))
    videos = [
        ("x/a", faces, {"label": 0}),
        ("x/b", faces, {"label": 1, "method": "Swap"}),
        ("x/c", None, {"label": 0}),
        ("x/d", None, {"label": 1, "method": "Swap", "status": "timeout"}),
        ("x/e", faces, {"label": -1}),
    ]
    folder = synthetic_shards.shards(tmp_path / "x", told, videos)
    out = tmp_path / "out"
    found = evaluate(run, folder, out=out, bootstrap=0, device="cpu")
    (each,) = found.datasets
    assert str(each.coverage) == "2 of 4 (1 no_face, 1 timeout)"
    assert found.unlabelled == ["x/e"]
    told = json.loads((out / "results.json").read_text())
    assert told["missing"] == {"x/c": "no_face", "x/d": "timeout"}
    assert told["comparisons"][-1]["auc_missing_at_half"] is not None
    assert "x/d" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "face"}, "--protocol must be one of video, frame, not 'face'"),
        ({"frames": 0}, "--frames must be at least 1, not 0"),
        ({"bootstrap": -1}, "--bootstrap must be at least 0"),
        ({"split": "best"}, "--split must be one of"),
        ({"perturb": "fog"}, "--perturb takes none, all or of"),
        ({"masks": "nowhere"}, "--masks nowhere: no such folder"),
        ({"which": "first"}, "--which must be best or last"),
    ],
)
def test_wrong_options_are_one_line(run, shards, options, message):
    with pytest.raises(BadInput, match=message):
        evaluate(run, shards, device="cpu", **options)


def test_videos_learnt_from_are_refused(run, shards, tmp_path):
    other = synthetic_faces.make_shards(tmp_path / "first", videos=4, frames=1)  # pairs 0 and 1
    with pytest.raises(BadInput, match="all 4 videos are of people whom the run learnt from"):
        evaluate(run, other, device="cpu")


def test_no_shards_and_no_run(run, shards, tmp_path):
    with pytest.raises(BadInput, match="no shards"):
        evaluate(run, [], device="cpu")
    with pytest.raises(BadInput, match="32 videos are in two of the folders"):
        evaluate(run, [shards, shards], device="cpu")
    for split in ("auto", "all"):
        with pytest.raises(BadInput, match="holds no snapshot"):
            evaluate(tmp_path, shards, split=split, device="cpu")
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / held_back.NAME).unlink()
    with pytest.raises(BadInput, match="does not tell which videos"):
        evaluate(copy, shards, device="cpu")


def test_a_damaged_snapshot_is_refused(run, shards, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    (file,) = copy.rglob("model.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(BadWeights, match="is damaged"):
        evaluate(copy, shards, device="cpu")


def test_out_is_tried_before_anything_is_scored(run, shards, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write to"):
        evaluate(run, shards, out=tmp_path / "file", device="cpu")
