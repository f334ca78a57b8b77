"""The measures, against scikit-learn, SciPy and the analysis of variance by its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from pipelines import au_tally
from pipelines.au_tally import AuTally

labels = st.lists(
    st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from([-1, 0, 1])), min_size=1, max_size=40
)


def icc_3_1(a, b):
    """Mean squares of a two-way layout without interaction (Shrout and Fleiss, 1979)."""
    values = np.stack([a, b], axis=1).astype(np.float64)
    faces, raters = values.shape
    of_face, of_rater = values.mean(axis=1), values.mean(axis=0)
    between = raters * ((of_face - values.mean()) ** 2).sum() / (faces - 1)
    rest = values - of_face[:, None] - of_rater[None] + values.mean()
    error = (rest**2).sum() / ((faces - 1) * (raters - 1))
    return (between - error) / (between + (raters - 1) * error)


def clip(seed, faces, aus=3, *, known=0.8):
    """Labels of one video on both sides, some unknown, and intensities that go with them."""
    rng = np.random.default_rng(seed)
    b = (rng.random((faces, aus)) < 0.4).astype(np.int8)
    a = np.where(rng.random((faces, aus)) < 0.75, b, 1 - b).astype(np.int8)
    for side in (a, b):
        side[rng.random(side.shape) > known] = -1
    strength_b = rng.uniform(0, 5, b.shape).astype(np.float32)
    strength_a = (0.5 + 0.6 * strength_b + rng.normal(0, 0.5, b.shape)).astype(np.float32)
    strength_a[rng.random(b.shape) > known] = np.nan
    return a, b, strength_a, strength_b


def tallied(clips):
    tally = AuTally(clips[0][0].shape[1])
    for each in clips:
        tally.add(*each)
    return tally


CLIPS = [clip(seed, faces) for seed, faces in enumerate((40, 1, 7, 120))]


def test_pooled_measures_are_scikit_learns():
    tally = tallied(CLIPS)
    a, b = (np.concatenate([each[side] for each in CLIPS]) for side in (0, 1))
    for au in range(a.shape[1]):
        known = (a[:, au] >= 0) & (b[:, au] >= 0)
        mine, truth = a[known, au], b[known, au]
        confusion = tally.confusion_4A[:, au]
        assert confusion.sum() == known.sum()
        assert au_tally.kappa(confusion) == pytest.approx(cohen_kappa_score(truth, mine), abs=1e-12)
        assert au_tally.f1(confusion) == pytest.approx(f1_score(truth, mine), abs=1e-12)
        assert au_tally.agreement(confusion) == pytest.approx(accuracy_score(truth, mine))
    assert tally.unknown_a_A.tolist() == (a < 0).sum(axis=0).tolist()
    assert tally.unknown_b_A.tolist() == (b < 0).sum(axis=0).tolist()


def test_the_mean_of_clips_is_that_of_their_own_kappas():
    one_sided = tuple(side.copy() for side in CLIPS[0])
    one_sided[0][:], one_sided[1][:] = 0, 0
    clips = [*CLIPS, one_sided]
    tally = tallied(clips)
    for au in range(3):
        kappas = []
        for a, b, *_ in clips:
            known = (a[:, au] >= 0) & (b[:, au] >= 0)
            if len({*a[known, au], *b[known, au]}) == 2:
                kappas.append(cohen_kappa_score(b[known, au], a[known, au]))
        assert tally.clips_A[au] == len(kappas) < len(clips)
        assert tally.clip_kappa()[au] == pytest.approx(np.mean(kappas), abs=1e-12)


def test_intensities_are_judged_as_by_definition():
    tally = tallied(CLIPS)
    a, b = (np.concatenate([each[side] for each in CLIPS]) for side in (2, 3))
    for au in range(a.shape[1]):
        known = np.isfinite(a[:, au]) & np.isfinite(b[:, au])
        mine, truth = a[known, au].astype(np.float64), b[known, au].astype(np.float64)
        assert tally.intensities_A[au] == known.sum()
        assert tally.mae()[au] == pytest.approx(np.abs(mine - truth).mean(), abs=1e-12)
        assert tally.pearson()[au] == pytest.approx(pearsonr(mine, truth).statistic, abs=1e-12)
        assert tally.icc()[au] == pytest.approx(icc_3_1(mine, truth), abs=1e-12)


@pytest.mark.parametrize(
    ("both", "only_a", "only_b", "neither", "kappa", "f1", "agreement"),
    [
        (0, 0, 0, 0, np.nan, np.nan, np.nan),
        (0, 0, 0, 9, np.nan, np.nan, 1.0),
        (9, 0, 0, 0, np.nan, 1.0, 1.0),
        (0, 0, 5, 5, 0.0, 0.0, 0.5),  # A never sees it: no better than chance, and that is known
        (0, 5, 0, 5, 0.0, 0.0, 0.5),
        (5, 0, 0, 5, 1.0, 1.0, 1.0),
        (0, 5, 5, 0, -1.0, 0.0, 0.0),
        (20, 5, 10, 15, 0.4, 40 / 55, 0.7),  # the example of the literature
        (10**9, 10**9, 10**9, 10**9, 0.0, 0.5, 0.5),
    ],
)
def test_what_is_undefined_is_nan_and_nothing_else_is(
    both, only_a, only_b, neither, kappa, f1, agreement
):
    confusion = np.array([both, only_a, only_b, neither])
    np.testing.assert_allclose(au_tally.kappa(confusion), kappa, atol=1e-15)
    np.testing.assert_allclose(au_tally.f1(confusion), f1, atol=1e-15)
    np.testing.assert_allclose(au_tally.agreement(confusion), agreement, atol=1e-15)


@settings(deadline=None, max_examples=200)
@given(labels)
def test_kappa_is_scikit_learns_wherever_both_say_more_than_one_thing(pairs):
    a, b = (np.array(side, np.int8)[:, None] for side in zip(*pairs, strict=True))
    known = [(x, y) for x, y in pairs if x >= 0 and y >= 0]
    got = au_tally.kappa(au_tally.confusion(a, b))[0]
    if len({label for pair in known for label in pair}) < 2:
        assert np.isnan(got)
    else:
        mine, truth = zip(*known, strict=True)
        assert got == pytest.approx(cohen_kappa_score(truth, mine), abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "mae", "pearson", "icc"),
    [
        ([], [], np.nan, np.nan, np.nan),
        ([np.nan, 1], [1, np.nan], np.nan, np.nan, np.nan),
        ([2.3] * 9, [2.3] * 9, 0.0, np.nan, np.nan),
        ([0.1] * 9, range(9), 35.3 / 9, np.nan, 0.0),  # one side never changes
        ([0.7, 1.7, 3.3], [0.7, 1.7, 3.3], 0.0, 1.0, 1.0),
        ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], 1.0, 1.0, 1.0),  # an offset costs nothing
        ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], 2.0, 1.0, 0.8),  # another scale does
        ([1.0, 2.0, np.inf], [2.0, 1.0, 0.0], 1.0, -1.0, -1.0),
    ],
)
def test_intensities_without_spread_have_no_correlation(a, b, mae, pearson, icc):
    a, b = (np.array(side, np.float32)[:, None] for side in (list(a), list(b)))
    nothing = np.full(a.shape, -1, np.int8)
    tally = tallied([(nothing, nothing, a, b)])
    got = [tally.mae()[0], tally.pearson()[0], tally.icc()[0]]
    np.testing.assert_allclose(got, [mae, pearson, icc], atol=1e-6)


def test_a_constant_has_no_correlation_however_many_there_are():
    """Where the mean is rounded, a naive variance is not quite 0 and the quotient is noise."""
    a = np.full((10_007, 1), 0.1, np.float32)
    b = np.random.default_rng(0).uniform(0, 5, a.shape).astype(np.float32)
    nothing = np.full(a.shape, -1, np.int8)
    tally = tallied([(nothing, nothing, a, b)] * 3)
    assert np.isnan(tally.pearson()[0])
    assert tally.icc()[0] == 0.0


def test_a_video_without_a_common_face_changes_nothing():
    empty = tuple(side[:0] for side in CLIPS[0])
    for clips in ([empty, *CLIPS], [*CLIPS, empty]):
        one, other = tallied(CLIPS), tallied(clips)
        for measure in ("clip_kappa", "mae", "pearson", "icc"):
            np.testing.assert_array_equal(getattr(one, measure)(), getattr(other, measure)())
        assert one.clips_A.tolist() == other.clips_A.tolist()
