"""From counts to what is said of real and fake: correlations, differences, intervals, tests.

C_ij = P(L_j = 1 | L_i = 1) is the number of faces on which AU i and AU j occur over those on which
AU i occurs (and AU j is labelled); the average correlation intensity A_i = sum_j C_ij / n is that
of AUNet (Bai et al., CVPR 2023, supplement, equations 1 and 2), whose sum includes j = i.

Every number is the same on every machine, see `pipelines.au_packing`; sums of ratios over groups
are exact (`math.fsum`).

Letters in shapes: A action units, G identity groups, B replicates, K counts in packed form.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facekit.options import Statistics
from pipelines.au_matching import Selection
from pipelines.au_packing import Float, Packing, Quantities, added, ratio
from pipelines.au_resampling import bootstrap, exchanges, is_exact

Int = npt.NDArray[np.int64]

OUTSIDE_PERMILLE: Final = 25
"""Of the resamples, left out at either end of a 95 % interval."""

SURE: Final = 0.05
"""A corrected p-value below this is called a sure difference."""

FEW_GROUPS: Final = 20
"""With fewer identity groups than this, bootstrap intervals are too narrow, and are said to be."""

FEWEST_GROUPS: Final = 5
"""An AU that occurs in fewer identity groups, on either side, allows no judgement of it."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A quantity for each AU, or each pair of AUs, with its 95 % interval; NaN where undefined.

    Args:
        value: from all groups.
        low: lower end, a percentile of the bootstrap over identity groups.
        high: upper end.
        resamples: how many of the resamples define the quantity.
    """

    value: Float
    low: Float
    high: Float
    resamples: Int


@dataclass(frozen=True, kw_only=True)
class Side:
    """The reals, or the fakes, of one comparison.

    Args:
        faces: labelled faces.
        known_A: (A,) faces on which AU i is labelled.
        both_AA: (A, A) faces on which AU i and AU j occur; AU i alone on the diagonal.
        given_AA: (A, A) faces on which AU i occurs and AU j is labelled.
        groups_A: (A,) identity groups in which AU i occurs.
        correlation_AA: C_ij, row i given, column j; NaN where AU i never occurs.
        average: A_i, with the diagonal.
        rate: share of faces on which AU i occurs.
    """

    faces: int
    known_A: Int
    both_AA: Int
    given_AA: Int
    groups_A: Int
    correlation_AA: Float
    average: Estimate
    rate: Estimate


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Reals against their fakes: one method at one volume. Differences are real minus fake.

    Args:
        au_names: the action units that are labelled.
        selection: the pairs.
        groups: number of identity groups among them.
        real: the originals.
        fake: the fakes.
        average_change: of A_i.
        rate_change: of the occurrence rate.
        correlation_change: (A, A) of C_ij.
        overall_change: of the mean of A_i over the AUs that both sides have; a single number.
        effect_A: (A,) mean over standard deviation of the groups' own differences of A_i, Cohen's
            d_z; NaN with fewer than `FEWEST_GROUPS`.
        effect_groups_A: (A,) groups with AU i on both sides, which `effect_A` is of.
        p_A: (A,) two-sided paired permutation test of the difference of A_i.
        p_holm_A: (A,) the same, corrected over AUs, methods and volumes.
        p_least: the smallest p that this number of groups can give.
        is_exact: whether every exchange of real and fake was gone through.
    """

    au_names: tuple[str, ...]
    selection: Selection
    groups: int
    real: Side
    fake: Side
    average_change: Estimate
    rate_change: Estimate
    correlation_change: Estimate
    overall_change: Estimate
    effect_A: Float
    effect_groups_A: Int
    p_A: Float
    p_holm_A: Float
    p_least: float
    is_exact: bool

    @property
    def is_judged(self) -> list[bool]:
        """For each AU, whether enough groups show it on both sides."""
        fewest = np.minimum(self.real.groups_A, self.fake.groups_A)
        return [int(count) >= FEWEST_GROUPS for count in fewest]

    @property
    def title(self) -> str:
        """Method and volume, for a person."""
        volume = self.selection.volume
        pairs = "all pairs" if volume == "100%" else f"{volume} of the pairs"
        return f"{self.selection.method}, {pairs}"


def compare(packing: Packing, selection: Selection, options: Statistics) -> Comparison:
    """Compare the reals and the fakes of a selection.

    Args:
        packing: the counts of all videos.
        selection: the pairs to compare.
        options: seed and numbers of resamples.
    """
    names = sorted({pair.identity for pair in selection.pairs})
    number_of = {name: number for number, name in enumerate(names)}
    group_of = [number_of[pair.identity] for pair in selection.pairs]
    keys = [pair.real for pair in selection.pairs], [pair.fake for pair in selection.pairs]
    real_GK, fake_GK = (packing.packed(side, group_of, len(names)) for side in keys)
    name = f"{options.seed} {selection.method} {selection.volume}"
    drawn = _bootstrapped(packing, real_GK, fake_GK, options.bootstrap, name)
    found = [packing.quantities(side.sum(axis=0)[None]) for side in (real_GK, fake_GK)]
    real, fake = (
        _side(packing, packing.faces(keys[i]), side_GK, found[i], drawn[i])
        for i, side_GK in enumerate((real_GK, fake_GK))
    )
    per_group = [packing.quantities(side).average_BA for side in (real_GK, fake_GK)]
    effect_A, effect_groups_A = _effect(per_group[0] - per_group[1])
    change_BA = drawn[0].average_BA - drawn[1].average_BA
    change_A = real.average.value - fake.average.value
    p_A = _p_values(packing, real_GK, fake_GK, change_A, options.permutations, name)
    exact = is_exact(len(names), options.permutations)
    return Comparison(
        au_names=packing.au_names,
        selection=selection,
        groups=len(names),
        real=real,
        fake=fake,
        average_change=_estimate(change_A, change_BA),
        rate_change=_estimate(
            real.rate.value - fake.rate.value, drawn[0].rate_BA - drawn[1].rate_BA
        ),
        correlation_change=_estimate(
            real.correlation_AA - fake.correlation_AA,
            drawn[0].correlation_BAA - drawn[1].correlation_BAA,
        ),
        overall_change=_estimate(_mean(change_A[None])[0], _mean(change_BA)),
        effect_A=effect_A,
        effect_groups_A=effect_groups_A,
        p_A=p_A,
        p_holm_A=p_A,
        p_least=2.0 / 2 ** len(names) if exact else 1.0 / (1 + options.permutations),
        is_exact=exact,
    )


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with their p-values corrected over all AUs of all of them."""
    p = holm([value for each in comparisons for value in each.p_A.tolist()])
    made = []
    for each in comparisons:
        mine, p = p[: len(each.p_A)], p[len(each.p_A) :]
        made.append(replace(each, p_holm_A=np.array(mine)))
    return made


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for their number as Holm does (1979); NaN is no test and stays.

    >>> holm([0.01, math.nan, 0.04, 0.03])
    [0.03, nan, 0.06, 0.06]
    """
    order = sorted((value, i) for i, value in enumerate(p) if not math.isnan(value))
    corrected, worst = list(p), 0.0
    for rank, (value, i) in enumerate(order):
        worst = max(worst, min(1.0, value * (len(order) - rank)))
        corrected[i] = worst
    return corrected


def _bootstrapped(
    packing: Packing, real_GK: Float, fake_GK: Float, replicates: int, name: str
) -> tuple[Quantities, Quantities]:
    """Real and fake of each resample; a group is drawn with all of its pairs, on both sides.

    A single group tells nothing of the spread: nothing is drawn then, and all is undefined.
    """
    made: list[list[Quantities]] = [[], []]
    for counted_BG in bootstrap(len(real_GK), replicates, name):
        drawn_BG = counted_BG if len(real_GK) > 1 else np.zeros_like(counted_BG)
        for side, counts_GK in zip(made, (real_GK, fake_GK), strict=True):
            side.append(packing.quantities(drawn_BG @ counts_GK))
    real, fake = (
        Quantities(
            correlation_BAA=np.concatenate([part.correlation_BAA for part in side]),
            average_BA=np.concatenate([part.average_BA for part in side]),
            rate_BA=np.concatenate([part.rate_BA for part in side]),
        )
        for side in made
    )
    return real, fake


def _p_values(
    packing: Packing, real_GK: Float, fake_GK: Float, change_A: Float, replicates: int, name: str
) -> Float:
    """Share of exchanges of real and fake, group by group, that give as large a difference.

    An exchange that leaves an AU undefined counts as giving one, which can only raise its p.
    """
    real_K, fake_K, change_GK = real_GK.sum(axis=0), fake_GK.sum(axis=0), real_GK - fake_GK
    as_large_A, total = np.zeros(packing.aus, np.int64), 0
    for exchanged_BG in exchanges(len(real_GK), replicates, name):
        moved_BK = exchanged_BG @ change_GK
        real_BA = packing.quantities(real_K - moved_BK).average_BA
        fake_BA = packing.quantities(fake_K + moved_BK).average_BA
        as_large_A += (~(np.abs(real_BA - fake_BA) < np.abs(change_A))).sum(axis=0)
        total += len(exchanged_BG)
    sampled = 0 if is_exact(len(real_GK), replicates) else 1
    p_A = (as_large_A + sampled) / (total + sampled)
    return np.where(np.isnan(change_A), np.nan, p_A)


def _side(
    packing: Packing, faces: int, counts_GK: Float, found: Quantities, drawn: Quantities
) -> Side:
    both_1AA, given_1AA, known_1A = packing.unpacked(counts_GK.sum(axis=0)[None])
    both_GAA, _, _ = packing.unpacked(counts_GK)
    occurs_GA = both_GAA[:, range(packing.aus), range(packing.aus)]
    return Side(
        faces=faces,
        known_A=known_1A[0].astype(np.int64),
        both_AA=both_1AA[0].astype(np.int64),
        given_AA=given_1AA[0].astype(np.int64),
        groups_A=(occurs_GA > 0).sum(axis=0),
        correlation_AA=found.correlation_BAA[0],
        average=_estimate(found.average_BA[0], drawn.average_BA),
        rate=_estimate(found.rate_BA[0], drawn.rate_BA),
    )


def _estimate(value: Any, drawn_B: Float) -> Estimate:
    """An estimate with its percentile interval over the resamples that define it."""
    ordered = np.sort(drawn_B, axis=0)  # NaN comes last
    defined = (~np.isnan(drawn_B)).sum(axis=0)
    outside = defined * OUTSIDE_PERMILLE // 1000
    low = _picked(ordered, outside)
    high = _picked(ordered, np.maximum(defined - 1 - outside, 0))
    return Estimate(
        value=np.asarray(value, np.float64), low=low, high=high, resamples=np.asarray(defined)
    )


def _picked(ordered_B: Float, index: Any) -> Float:
    picked = np.take_along_axis(ordered_B, np.asarray(index, np.intp)[None], axis=0)[0]
    return np.asarray(picked, np.float64)


def _effect(change_GA: Float) -> tuple[Float, Int]:
    """Cohen's d_z of the groups' differences, and the number of groups that have one."""
    defined_A = (~np.isnan(change_GA)).sum(axis=0)
    columns = [column[~np.isnan(column)].tolist() for column in change_GA.T]
    return np.array([_standardised(column) for column in columns]), defined_A


def _standardised(values: Sequence[float]) -> float:
    count = len(values)
    if count < FEWEST_GROUPS:
        return math.nan
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) * (value - mean) for value in values) / (count - 1)
    return mean / math.sqrt(variance) if variance > 0 else math.nan


def _mean(values_BA: Float) -> Float:
    """Mean over the AUs that have a value, added up in their order."""
    defined_B = (~np.isnan(values_BA)).sum(axis=1)
    return ratio(added(np.nan_to_num(values_BA)), defined_B)
