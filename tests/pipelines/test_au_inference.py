import math
from dataclasses import replace
from fractions import Fraction
from itertools import product

import forgeries
import numpy as np
import pandas as pd
import pytest

from facekit.options import Statistics
from pipelines.au_counts import AUCounts, count
from pipelines.au_csv import CsvLabels
from pipelines.au_inference import compare, corrected, holm
from pipelines.au_labels import ShardLabels
from pipelines.au_matching import Pair, Selection, match, select
from pipelines.au_packing import Packing
from pipelines.au_resampling import bootstrap
from pipelines.au_tables import without_diagonal


def _counts(videos, labels, au_names=forgeries.AUS):
    """Counts of labels given by key, by a loop over faces and AUs."""
    videos = sorted(videos, key=lambda video: video.key)
    made = {"both": [], "given": [], "known": [], "faces": []}
    for video in videos:
        values = labels(video.key).astype(int)
        on, known = (values == 1).astype(int), (values != -1).astype(int)
        made["both"].append(on.T @ on)
        made["given"].append(on.T @ known)
        made["known"].append(known.sum(axis=0))
        made["faces"].append(known.any(axis=1).sum())
    return AUCounts(
        au_names=au_names,
        videos=tuple(videos),
        labels_sha256=("",) * len(videos),
        faces_V=np.array(made["faces"]),
        known_VA=np.array(made["known"]),
        both_VAA=np.array(made["both"], np.int32),
        given_VAA=np.array(made["given"], np.int32),
    )


def _compared(counts, *, share="1", **options):
    matching = match(counts.videos, counts.faces_V.tolist())
    (selection,) = select(matching, [Fraction(share)], disjoint=False, seed=0)
    return compare(Packing(counts), selection, Statistics(**options))


def _plain(frames):
    """C, A and rates of a table of labels by pandas; -1 is unknown."""
    known, on = frames.ne(-1), frames.eq(1)
    names = frames.columns
    both = pd.DataFrame({j: {i: (on[i] & on[j]).sum() for i in names} for j in names})
    given = pd.DataFrame({j: {i: (on[i] & known[j]).sum() for i in names} for j in names})
    correlation = both / given.where(given > 0)
    return correlation, correlation.sum(axis=1, skipna=False) / len(names), on.sum() / known.sum()


@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_correlation_average_and_rate_are_those_of_pandas(unknown):
    labels = lambda key: forgeries.occurrence(key, 30, unknown=unknown)  # noqa: E731
    found = _compared(_counts(forgeries.videos(6), labels))
    for side, column in ((found.real, "real"), (found.fake, "fake")):
        keys = [getattr(pair, column) for pair in found.selection.pairs]
        frames = pd.DataFrame(np.concatenate([labels(k) for k in keys]), columns=forgeries.AUS)
        correlation, average, rate = _plain(frames)
        np.testing.assert_allclose(side.correlation_AA, correlation, rtol=1e-12)
        np.testing.assert_allclose(side.average.value, average, rtol=1e-12)
        np.testing.assert_allclose(side.rate.value, rate, rtol=1e-12)
        assert side.faces == (frames != -1).any(axis=1).sum()
        others = (correlation.sum(axis=1) - 1) / (len(forgeries.AUS) - 1)
        made = [without_diagonal(a, len(forgeries.AUS)) for a in side.average.value]
        np.testing.assert_allclose(made, others, rtol=1e-12)
    change = found.real.average.value - found.fake.average.value
    assert (found.average_change.value == change).all()


def test_ratios_of_real_csvs_are_those_of_pandas(data_dir):
    folder = data_dir / "openface_reference" / "ffpp"
    counts = count([CsvLabels(folder)])
    packing = Packing(counts)
    matching = match(counts.videos, counts.faces_V.tolist())
    assert {m: len(pairs) for m, pairs in matching.pairs.items()} == {
        "Deepfakes": 35, "Face2Face": 12, "FaceSwap": 12,
    }  # fmt: skip
    path_of = {video.key: video.path for video in counts.videos}
    for selection in select(matching, [Fraction(1, 2)], disjoint=False, seed=3):
        found = compare(packing, selection, Statistics(permutations=100, bootstrap=100))
        for side, column in ((found.real, "real"), (found.fake, "fake")):
            tables = [
                pd.read_csv(path_of[getattr(pair, column)], skipinitialspace=True)
                for pair in selection.pairs
            ]
            frames = pd.concat(t[(t["success"] == 1) & (t["confidence"] >= 0.8)] for t in tables)
            frames = frames[[f"{name}_c" for name in counts.au_names]].astype(int)
            correlation, average, rate = _plain(frames)
            np.testing.assert_allclose(side.correlation_AA, correlation, rtol=1e-12)
            np.testing.assert_allclose(side.average.value, average, rtol=1e-12)
            np.testing.assert_allclose(side.rate.value, rate, rtol=1e-12)


def test_an_au_that_never_occurs_is_nan_and_not_zero():
    def labels(key):
        values = forgeries.occurrence(key, 20)
        values[:, 1] = 0 if "Deepfakes" in key else values[:, 1]
        return values

    found = _compared(_counts(forgeries.videos(4), labels))
    assert np.isnan(found.fake.correlation_AA[1]).all()
    assert (found.fake.correlation_AA[[0, 2, 3], 1] == 0).all()
    assert math.isnan(found.fake.average.value[1])
    assert not math.isnan(found.real.average.value[1])
    assert found.fake.rate.value[1] == 0
    for values in (found.average_change.value, found.p_A, found.effect_A, found.average_change.low):
        assert math.isnan(values[1])
    assert found.average_change.resamples[1] == 0
    assert not math.isnan(found.overall_change.value)
    assert found.is_judged == [False] * 4, "two groups are too few for any"


def test_an_au_without_labels_counts_neither_in_the_sum_nor_in_n():
    def labels(key):
        values = forgeries.occurrence(key, 20)
        values[:, 1] = -1
        return values

    found = _compared(_counts(forgeries.videos(4), labels))
    assert found.au_names == ("AU01", "AU12", "AU45")
    without = _compared(
        _counts(
            forgeries.videos(4),
            lambda key: forgeries.occurrence(key, 20)[:, [0, 2, 3]],
            ("AU01", "AU12", "AU45"),
        )
    )
    assert (found.real.average.value == without.real.average.value).all()
    assert (found.average_change.low == without.average_change.low).all()
    assert (found.p_A == without.p_A).all()


def test_intervals_are_percentiles_over_identity_groups():
    """The same by drawing groups of whole frames again and again."""
    videos = forgeries.videos(8)
    labels = lambda key: forgeries.occurrence(key, 15)  # noqa: E731
    found = _compared(_counts(videos, labels), bootstrap=100)
    groups = sorted({pair.identity for pair in found.selection.pairs})
    assert len(groups) == found.groups == 4
    changes = []
    for drawn in np.concatenate(list(bootstrap(4, 100, "0 Deepfakes 100%"))):
        sides = []
        for column in ("real", "fake"):
            keys = [
                getattr(pair, column)
                for group, times in zip(groups, drawn, strict=True)
                for pair in found.selection.pairs
                if pair.identity == group
                for _ in range(int(times))
            ]
            frames = pd.DataFrame(np.concatenate([labels(k) for k in keys]), columns=forgeries.AUS)
            sides.append(_plain(frames)[1].to_numpy())
        changes.append(sides[0] - sides[1])
    ordered = np.sort(changes, axis=0)
    np.testing.assert_allclose(found.average_change.low, ordered[2], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.average_change.high, ordered[97], rtol=1e-12, atol=1e-15)
    assert (found.average_change.resamples == 100).all()


def test_p_values_are_those_of_every_exchange_of_groups():
    videos = forgeries.videos(6)
    labels = lambda key: forgeries.occurrence(key, 15)  # noqa: E731
    found = _compared(_counts(videos, labels))
    assert found.is_exact
    assert found.p_least == 2 / 8
    groups = sorted({pair.identity for pair in found.selection.pairs})
    changes = []
    for exchanged in product((False, True), repeat=3):
        sides = ([], [])
        for pair in found.selection.pairs:
            swap = exchanged[groups.index(pair.identity)]
            for side, key in zip(sides, (pair.real, pair.fake), strict=True):
                other = pair.fake if key == pair.real else pair.real
                side.append(labels(other if swap else key))
        averages = [
            _plain(pd.DataFrame(np.concatenate(s), columns=forgeries.AUS))[1] for s in sides
        ]
        changes.append(np.abs(averages[0] - averages[1]).to_numpy())
    as_large = np.array(changes) >= np.abs(found.average_change.value) - 1e-12
    assert (found.p_A == as_large.mean(axis=0)).all()


def _moved(key):
    """Fakes in which AU01 is torn from the others."""
    values = forgeries.occurrence(key, 60)
    if "Deepfakes" in key:
        values[values[:, 0] == 1, 1:] = 0
    return values


def test_a_true_difference_is_found_and_none_is_not():
    videos = forgeries.videos(40)
    moved, same = (
        _compared(_counts(videos, labels), permutations=2000)
        for labels in (_moved, lambda key: forgeries.occurrence(key, 60))
    )
    assert not moved.is_exact
    assert moved.p_A[0] == moved.p_least == 1 / 2001
    assert moved.average_change.low[0] > 0.1
    assert moved.effect_A[0] > 2
    assert moved.effect_groups_A.tolist() == [20] * 4
    assert all(moved.is_judged)
    assert same.p_A.min() > 0.01
    both = corrected([moved, same])
    assert both[0].p_holm_A[0] == 8 / 2001
    assert (both[1].p_holm_A >= same.p_A).all()


def test_the_test_keeps_its_level():
    """Without any difference, p lies below 0.1 in about a tenth of the cases."""
    found = []
    for seed in range(40):
        videos = forgeries.videos(14)
        labels = lambda key: forgeries.occurrence(f"{seed} {key}", 20)  # noqa: B023, E731
        found += _compared(_counts(videos, labels), bootstrap=100, permutations=128).p_A.tolist()
    assert 0.04 < np.mean(np.array(found) <= 0.1) < 0.16


def test_one_identity_group_gives_no_interval():
    found = _compared(_counts(forgeries.videos(2), lambda key: forgeries.occurrence(key, 20)))
    assert found.groups == 1
    assert not np.isnan(found.average_change.value).any()
    for estimate in (found.average_change, found.real.average, found.overall_change):
        assert np.isnan(estimate.low).all() and np.isnan(estimate.high).all()
        assert (estimate.resamples == 0).all()
    assert (found.p_A == 1.0).all()
    assert np.isnan(found.effect_A).all()


def test_effect_is_the_mean_over_the_deviation_of_the_groups():
    videos = forgeries.videos(12)
    labels = lambda key: forgeries.occurrence(key, 40)  # noqa: E731
    found = _compared(_counts(videos, labels))
    changes = []
    for group in sorted({pair.identity for pair in found.selection.pairs}):
        pairs = [pair for pair in found.selection.pairs if pair.identity == group]
        sides = [
            _plain(pd.DataFrame(np.concatenate([labels(k) for k in keys]), columns=forgeries.AUS))[
                1
            ]
            for keys in ([p.real for p in pairs], [p.fake for p in pairs])
        ]
        changes.append(sides[0] - sides[1])
    table = pd.DataFrame(changes)
    np.testing.assert_allclose(found.effect_A, table.mean() / table.std(ddof=1), rtol=1e-9)


def test_the_order_of_videos_changes_no_bit(tmp_path):
    videos = forgeries.videos(8)
    counts = _counts(videos, lambda key: forgeries.occurrence(key, 25))
    order = np.random.default_rng(0).permutation(len(counts.videos))
    shuffled = replace(
        counts,
        videos=tuple(counts.videos[i] for i in order),
        faces_V=counts.faces_V[order],
        known_VA=counts.known_VA[order],
        both_VAA=counts.both_VAA[order],
        given_VAA=counts.given_VAA[order],
    )
    one, other = _compared(counts), _compared(shuffled)
    for name in ("p_A", "effect_A"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    for name in ("average_change", "rate_change", "correlation_change", "overall_change"):
        for end in ("value", "low", "high"):
            mine, its = (getattr(getattr(each, name), end) for each in (one, other))
            assert mine.tobytes() == its.tobytes(), (name, end)


def test_counts_beyond_single_precision_stay_exact():
    """A video of 2**27 faces and more: what float32 could not hold."""
    large = 2**27 + 1
    counts = AUCounts(
        au_names=("AU01", "AU02"),
        videos=tuple(sorted(forgeries.videos(1), key=lambda video: video.key)),
        labels_sha256=("", ""),
        faces_V=np.array([large, large]),
        known_VA=np.full((2, 2), large),
        both_VAA=np.array([[[large, 1], [1, 3]]] * 2, np.int32),
        given_VAA=np.array([[[large, large], [3, 3]]] * 2, np.int32),
    )
    pair = Pair(real="ffpp/youtube/c23/000", fake="ffpp/Deepfakes/c23/000_001", identity="a")
    selection = Selection(method="m", volume="100%", available=1, pairs=(pair,))
    found = compare(Packing(counts), selection, Statistics())
    assert found.real.both_AA.tolist() == [[large, 1], [1, 3]]
    assert found.real.correlation_AA[0, 1] == 1 / large


@pytest.mark.parametrize(
    ("p", "want"),
    [
        ([], []),
        ([0.2], [0.2]),
        ([0.01, 0.02, 0.03], [0.03, 0.04, 0.04]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.04, 0.01, 0.04], [0.08, 0.03, 0.08]),
    ],
)
def test_holm(p, want):
    assert holm(p) == pytest.approx(want)


def test_labels_from_shards_and_from_csvs_agree(tmp_path):
    """The same labels by either way give the same numbers."""
    videos = forgeries.videos(4)
    aus = len(CsvLabels(forgeries.csvs(tmp_path / "csv", videos)).au_names)
    names = CsvLabels(tmp_path / "csv").au_names
    folder = forgeries.shards(
        tmp_path / "shards",
        videos,
        aus=names,
        labels=lambda key: forgeries.occurrence(key, 6, aus=aus),
    )
    of_csv, of_shards = (
        _compared(count([source])) for source in (CsvLabels(tmp_path / "csv"), ShardLabels(folder))
    )
    assert (of_csv.real.both_AA == of_shards.real.both_AA).all()
    assert (of_csv.fake.both_AA == of_shards.fake.both_AA).all()
