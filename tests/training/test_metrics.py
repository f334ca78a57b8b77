import itertools
import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from training import metrics

NAN = float("nan")


@pytest.mark.parametrize(
    ("label", "score", "want"),
    [
        ([0, 1], [0.1, 0.9], {"auc": 1, "ap": 1, "eer": 0, "acc": 1, "pauc": 1}),
        ([0, 1], [0.9, 0.1], {"auc": 0, "ap": 0.5, "eer": 1, "acc": 0, "pauc": 9 / 19}),
        ([0, 0, 1, 1], [0.7] * 4, {"auc": 0.5, "ap": 0.5, "eer": 0.5, "acc": 0.5, "pauc": 0.5}),
        # One real tied with one fake counts as half a pair.
        ([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.9], {"auc": 0.875, "acc": 0.75, "eer": 0.25}),
        # A threshold that lets a third of the reals through finds all but a third of the fakes.
        ([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.6, 0.3, 0.7, 0.8], {"auc": 8 / 9, "eer": 1 / 3}),
        ([0, 1], [0.4999999, 0.5], {"acc": 1}),
    ],
)
def test_values_by_hand(label, score, want):
    found = metrics.summary(label, score, bootstrap=0)
    assert found.reason == ""
    for name, value in want.items():
        assert found[name].value == pytest.approx(value), name


@pytest.mark.parametrize(
    ("label", "score", "reason"),
    [
        ([], [], "nothing was scored"),
        ([0, 0], [0.1, 0.2], "nothing fake to find"),
        ([1], [0.1], "nothing real to compare with"),
        ([0, 1, 1], [0.1, NAN, np.inf], "2 scores are not finite"),
        ([0, 1, -1], [0.1, 0.2, 0.3], "some labels are neither real nor fake"),
    ],
)
def test_what_cannot_be_computed_is_nan_with_a_reason(label, score, reason):
    found = metrics.summary(label, score, ["a"] * len(label), bootstrap=20)
    assert found.reason == reason
    for name in metrics.METRICS:
        estimate = found[name]
        ends = (*_ends(estimate.videos), *_ends(estimate.groups))
        assert np.isnan([estimate.value, *ends]).all()
    assert [len(axis) for axis in metrics.roc(label, score)] == [0, 0]
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert told["auc"]["value"] is None and told["reason"] == reason


def _ends(interval):
    return interval.low, interval.high


def _scores(seed, count=60, levels=None):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, count)
    score = np.clip(rng.normal(0.45 + 0.1 * label, 0.15), 0, 1)
    return label, score if levels is None else np.round(score * levels) / levels


@pytest.mark.parametrize("levels", [None, 8, 2])
@pytest.mark.parametrize("seed", range(4))
def test_weighted_metrics_are_scikit_learns(seed, levels):
    """What resampling runs on, against the library with each weighting given to it alone."""
    label, score = _scores(seed, levels=levels)
    weights_BN = np.random.default_rng(seed).integers(0, 4, (5, len(label))).astype(float)
    weights_BN[0] = 1.0
    found = metrics._Curve(label, score)(weights_BN)
    for i, weight in enumerate(weights_BN):
        given = {"sample_weight": weight}
        area = sklearn_metrics.roc_auc_score
        assert found["auc"][i] == pytest.approx(area(label, score, **given))
        assert found["pauc"][i] == pytest.approx(area(label, score, max_fpr=0.1, **given))
        precision = sklearn_metrics.average_precision_score(label, score, **given)
        assert found["ap"][i] == pytest.approx(precision)
        accuracy = sklearn_metrics.accuracy_score(label, score >= 0.5, **given)
        assert found["acc"][i] == pytest.approx(accuracy)
        x, y, _ = sklearn_metrics.roc_curve(label, score, drop_intermediate=False, **given)
        assert np.interp(found["eer"][i], x, y) >= 1 - found["eer"][i] - 1e-9
        assert (y[x < found["eer"][i] - 1e-9] <= 1 - found["eer"][i] + 1e-9).all()
    alone = metrics.summary(label, score, bootstrap=0)
    for name in metrics.METRICS:
        assert found[name][0] == pytest.approx(alone[name].value), name


def test_a_weighting_without_reals_counts_for_nothing():
    label, score = np.array([0, 1, 1]), np.array([0.2, 0.1, 0.6])
    found = metrics._Curve(label, score)(np.array([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]))
    for values in found.values():
        assert np.isnan(values).tolist() == [True, False]


def test_intervals_over_videos_hold_the_truth_about_as_often_as_they_say():
    """100 samples of scores of a known AUC: 95 % intervals miss it in about 5 % of them."""
    truth, missed = 0.6381632, 0  # of two normal curves half a standard deviation apart
    rng = np.random.default_rng(0)
    for _ in range(100):
        label = np.repeat([0, 1], 60)
        auc = metrics.summary(label, rng.normal(label * 0.5), bootstrap=200).auc
        missed += not auc.videos.low <= truth <= auc.videos.high
    assert 1 <= missed <= 13


def test_groups_that_agree_within_themselves_widen_the_interval():
    rng = np.random.default_rng(1)
    group_N = np.repeat(np.arange(20), 8)
    label = np.tile([0, 1], 80)
    score = 0.5 + 0.1 * label + 0.2 * rng.normal(size=20)[group_N] * (2 * label - 1)
    auc = metrics.summary(label, score, [f"g{group}" for group in group_N]).auc
    assert (auc.videos.clusters, auc.groups.clusters) == (160, 20)
    width = {kind: np.ptp(_ends(getattr(auc, kind))) for kind in ("videos", "groups")}
    assert width["groups"] > 1.5 * width["videos"]


def test_frames_of_a_video_are_drawn_together():
    label, score = _scores(3, 40)
    once = metrics.summary(label, score, bootstrap=100)
    again = np.repeat(np.arange(40), 5)
    names = [f"v{i:02d}" for i in again]
    repeated = metrics.summary(label[again], score[again], videos=names, bootstrap=100)
    assert _ends(repeated.auc.videos) == pytest.approx(_ends(once.auc.videos))


def test_intervals_depend_on_the_seed_and_on_nothing_else(monkeypatch):
    label, score = _scores(5)
    first = metrics.summary(label, score, seed=1, bootstrap=64)
    assert metrics.summary(label, score, seed=2, bootstrap=64) != first
    monkeypatch.setattr(metrics, "_HELD", 7 * len(label))
    assert metrics.summary(label, score, seed=1, bootstrap=64) == first


def test_one_cluster_gives_no_interval():
    label, score = _scores(5)
    estimate = metrics.summary(label, score, ["one"] * len(label), bootstrap=10).auc
    assert np.isnan(estimate.groups.low) and estimate.groups.clusters == 1
    assert np.isfinite(estimate.videos.low)
    only = metrics.summary([0, 1, 1], [0.2, 0.1, 0.6], bootstrap=10).auc
    assert np.isnan(only.videos.low) and only.value == 0.5


def test_lengths_must_agree():
    for arguments in (([0, 1], [0.5]), ([0, 1], [0.1, 0.5], ["a"])):
        with pytest.raises(ValueError, match="differ in length"):
            metrics.summary(*arguments)


def test_roc_rises_from_corner_to_corner():
    label, score = _scores(8)
    for axis in metrics.roc(label, score):
        assert (axis[0], axis[-1]) == (0.0, 1.0)
        assert all(a <= b for a, b in itertools.pairwise(axis))


FACES = pd.DataFrame(
    [("b", 3, 0, 0.2), ("a", 7, 0, 0.5), ("b", 3, 1, 0.8), ("b", 9, 0, 0.4)],
    columns=["key", "frame_index", "track_id", "score"],
)


def test_a_frame_has_the_score_of_its_most_suspect_face():
    assert metrics.frame_scores(FACES.iloc[:0]).empty
    got = metrics.frame_scores(FACES).values.tolist()
    assert got == [["a", 7, 0.5, 1], ["b", 3, 0.8, 2], ["b", 9, 0.4, 1]]


def test_a_video_has_the_mean_of_its_frames():
    assert metrics.video_scores(FACES.iloc[:0]).columns.tolist() == [
        "key", "score", "frames", "faces",
    ]  # fmt: skip
    got = metrics.video_scores(FACES).values.tolist()
    assert got == [["a", 0.5, 1, 1], ["b", pytest.approx(0.6), 2, 3]]
