"""A person through a video, against the definition by the letter: all frames, all descriptions."""

import tracemalloc

import numpy as np
import pytest
import torch

from facekit.openface import medians, person
from facekit.openface.model_files import FEATURES, HOG_SIZE
from facekit.openface.person import Person
from facekit.openface.predictors import FILLED_FEATURES, LinearModels

TWICE = 12


@pytest.fixture
def linear(invented_set, cpu):
    return LinearModels(invented_set, cpu)


def _descriptions(count, seed=0):
    rng = np.random.default_rng(seed)
    hog, geometry = rng.beta(0.5, 3, (count, HOG_SIZE)), rng.normal(0, 8, (count, 238))
    filled = np.zeros((count, FILLED_FEATURES - FEATURES))
    return torch.tensor(np.concatenate([hog, geometry, filled], axis=1))


def _walk(linear, frame_index, description_NF, last_frame, *, dynamic=True):
    someone = Person(linear, dynamic=dynamic)
    scores_NK, votes_NF = linear.scores(description_NF), medians.bins(description_NF)
    plain_NF = description_NF[:, :FEATURES].numpy()
    for n, frame in enumerate(frame_index):
        someone.add(n, frame, scores_NK[n], plain_NF[n], votes_NF[n])
    someone.end(last_frame)
    return someone


def _by_the_letter(linear, frame_index, description_NF, last_frame):
    """OpenFace's own loop: a counter of all frames, medians on odd counts, then once more."""
    at = {frame: n for n, frame in enumerate(frame_index)}
    plain_NF = description_NF[:, :FEATURES].numpy()
    counted_NF = medians.bins(description_NF)
    votes, median, scores = [], np.zeros(FEATURES), {}

    def score(n, median):
        return linear.scores(description_NF[n : n + 1])[0] - linear.median_share(median)

    for frame in range(last_frame + 1):
        n = at.get(frame)
        if (frame + 1) % 2 == 1:
            if n is not None:
                votes.append(counted_NF[n])
            if len(votes) == 1:
                median = np.zeros(FEATURES) if n is None else plain_NF[n].copy()
            else:
                ranked = np.sort(votes, axis=0) if votes else np.zeros((1, FEATURES))
                place = ranked[max((len(votes) + 1) // 2 - 1, 0)]
                median = np.where(
                    np.arange(FEATURES) < HOG_SIZE,
                    -0.005 + (place + 0.5) * 0.001005,
                    -60 + (place + 0.5) * 0.012,
                )
            median[:HOG_SIZE] = np.maximum(median[:HOG_SIZE], 0)
        if n is not None:
            scores[n] = score(n, median)
    for n in range(min(TWICE, len(frame_index))):
        scores[n] = score(n, median)
    return np.stack([scores[n] for n in range(len(frame_index))])


CASES = {
    "every frame": (list(range(40)), 39),
    "fewer than are looked at twice": (list(range(9)), 8),
    "gone before the end": (list(range(20)), 33),
    "gaps": ([0, 1, 2, 5, 6, 7, 8, 11, *range(20, 40)], 45),
    "from an even count on": (list(range(3, 30)), 29),
    "one frame, the last": ([4], 4),
    "one frame, then none": ([4], 9),
    "one frame, then one that does not count": ([4], 5),
    "one that votes among others": ([1, 3, 4, 5], 5),
    "one that votes, then none": ([1, 3, 4, 5], 6),
    "none that votes": ([1, 3], 6),
    "none votes for long": ([*range(1, 60, 2), 60, 61, 62, 63, 64, 65], 65),
}


@pytest.mark.parametrize("few", [3, 1024])
@pytest.mark.parametrize("frame_index, last_frame", CASES.values(), ids=CASES.keys())
def test_scores_are_those_of_the_definition(monkeypatch, linear, few, frame_index, last_frame):
    monkeypatch.setattr(person, "LOOKED_AT_TWICE", TWICE)
    monkeypatch.setattr(medians, "FEW_VOTES", few)
    description_NF = _descriptions(len(frame_index))
    someone = _walk(linear, frame_index, description_NF, last_frame)
    expected_NK = _by_the_letter(linear, frame_index, description_NF, last_frame)
    np.testing.assert_allclose(someone._scored(), expected_NK, atol=1e-9)
    assert list(someone.frames) == frame_index


def test_static_models_take_no_median_off(linear):
    description_NF = _descriptions(9)
    someone = _walk(linear, range(9), description_NF, 8, dynamic=False)
    np.testing.assert_array_equal(someone._scored(), linear.scores(description_NF))


def test_labels_are_read_off_the_scores(linear):
    description_NF = _descriptions(30)
    someone = _walk(linear, range(30), description_NF, 29)
    occurrence_NA, intensity_NA, decision_NA = someone.labels(30)
    assert occurrence_NA.shape == decision_NA.shape == (30, 18)
    np.testing.assert_array_equal(occurrence_NA[0], linear.occurs(someone._scored())[0])
    np.testing.assert_array_equal(decision_NA, linear.decisions(someone._scored()))
    assert intensity_NA.min() == 0.0 and 0.0 < intensity_NA.max() <= 5.0
    np.testing.assert_array_equal((intensity_NA == 0).all(axis=0), False)


def test_a_frame_leaves_little_behind(monkeypatch, linear):
    """A description has 37 kB; what is kept of a frame is 35 scores and its place."""
    monkeypatch.setattr(person, "LOOKED_AT_TWICE", 50)
    monkeypatch.setattr(medians, "FEW_VOTES", 20)
    description_NF = _descriptions(64)
    description_NF = description_NF[:1] + 0.01 * (description_NF - description_NF[:1])
    scores_NK, votes_NF = linear.scores(description_NF), medians.bins(description_NF)
    plain_NF = description_NF[:, :FEATURES].numpy()
    someone = Person(linear, dynamic=True)
    for n in range(100):
        someone.add(n, n, scores_NK[n % 64], plain_NF[n % 64], votes_NF[n % 64])
    tracemalloc.start()
    for n in range(100, 500):
        someone.add(n, n, scores_NK[n % 64], plain_NF[n % 64], votes_NF[n % 64])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 4 * 500 * 8 * 37  # arrays grow ahead of need, and are moved when they do
