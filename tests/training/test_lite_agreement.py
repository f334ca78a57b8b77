import numpy as np
import pytest

from training.lite_agreement import Agreement, agreement, best_threshold
from training.lite_clips import Measured


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_kappa_and_f1_are_scikit_learns(rate):
    from sklearn.metrics import cohen_kappa_score, f1_score

    rng = np.random.default_rng(0)
    truth = (rng.random(2000) < rate).astype(np.int8)
    found = np.where(rng.random(2000) < 0.8, truth, 1 - truth).astype(np.int8)
    mine = Agreement.of(truth, found)
    assert mine.kappa == pytest.approx(cohen_kappa_score(truth, found))
    assert mine.f1 == pytest.approx(f1_score(truth, found))
    assert (mine.base_rate, mine.faces) == (pytest.approx(truth.mean()), 2000)


@pytest.mark.parametrize(
    ("truth", "found", "want"),
    [
        ([], [], Agreement(kappa=0.0, f1=0.0, base_rate=0.0, faces=0)),
        ([-1, 1], [1, -1], Agreement(kappa=0.0, f1=0.0, base_rate=0.0, faces=0)),
        ([0, 0], [0, 0], Agreement(kappa=0.0, f1=0.0, base_rate=0.0, faces=2)),
        ([1, 1], [1, 1], Agreement(kappa=0.0, f1=1.0, base_rate=1.0, faces=2)),
        ([0, 1, -1, 0], [0, 1, 1, -1], Agreement(kappa=1.0, f1=1.0, base_rate=0.5, faces=2)),
        ([0, 1], [1, 0], Agreement(kappa=-1.0, f1=0.0, base_rate=0.5, faces=2)),
    ],
)
def test_edges(truth, found, want):
    assert Agreement.of(np.array(truth, np.int8), np.array(found, np.int8)) == want


def test_all_faces_of_all_clips_stand_in_one_table():
    """Two clips of constant labels, each without agreement beyond chance, agree fully together."""
    truth = [np.full((5, 18), value, np.int8) for value in (0, 1)]
    clips = [Measured(people="a", measures=np.zeros((5, 68), "f4"), occurrence=t) for t in truth]
    assert {found.kappa for found in agreement(clips, truth).values()} == {1.0}


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_agrees_better(seed):
    rng = np.random.default_rng(seed)
    truth = (rng.random(60) < 0.3).astype(np.int8)
    score = (truth + rng.normal(size=60)).round(1)  # with ties
    mine = Agreement.of(truth, (score > best_threshold(truth, score)).astype(np.int8)).kappa
    others = [Agreement.of(truth, (score > t).astype(np.int8)).kappa for t in np.unique(score)]
    assert mine == pytest.approx(max(others))
