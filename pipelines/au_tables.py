"""The findings of `au_stats` as rows of tables: differences are always real minus fake."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.au_inference import Comparison, Estimate, Side
from pipelines.au_names import name_of

Row = dict[str, object]


def without_diagonal(average: float, aus: int) -> float:
    """A_i over the other AUs only: the sum of C_ij over j != i by n - 1, as C_ii is always 1.

    >>> without_diagonal(0.75, 5)
    0.6875
    """
    return (average * aus - 1.0) / (aus - 1.0) if aus > 1 else float("nan")


def au_rows(comparison: Comparison, au_names: Sequence[str]) -> Iterator[Row]:
    """One row an action unit; NaN throughout for one that is labelled on no face.

    Args:
        comparison: of a method at a volume.
        au_names: all that the inputs name.
    """
    chosen = comparison.selection
    for au in au_names:
        i = comparison.au_names.index(au) if au in comparison.au_names else None
        yield {
            "method": chosen.method,
            "volume": chosen.volume,
            "au": au,
            "name": name_of(au),
            "pairs": len(chosen.pairs),
            "groups": comparison.groups,
            **_side_counts("real", comparison.real, i),
            **_side_counts("fake", comparison.fake, i),
            **_averages(comparison, i),
            **_spread("rate_real", comparison.real.rate, i),
            **_spread("rate_fake", comparison.fake.rate, i),
            **_spread("rate_change", comparison.rate_change, i),
            "effect": _number(comparison.effect_A, i),
            "effect_groups": 0 if i is None else int(comparison.effect_groups_A[i]),
            "p": _number(comparison.p_A, i),
            "p_holm": _number(comparison.p_holm_A, i),
        }


def pair_rows(comparison: Comparison) -> Iterator[Row]:
    """One row an ordered pair of different action units whose C_ij both sides define."""
    chosen, names = comparison.selection, comparison.au_names
    real_AA, fake_AA = comparison.real.correlation_AA, comparison.fake.correlation_AA
    change = comparison.correlation_change
    for i, j in zip(*np.nonzero(~np.isnan(change.value)), strict=True):
        if i != j:
            yield {
                "method": chosen.method,
                "volume": chosen.volume,
                "given": names[i],
                "occurs": names[j],
                "real": float(real_AA[i, j]),
                "fake": float(fake_AA[i, j]),
                **_spread("change", change, (i, j)),
                "faces_given_real": int(comparison.real.given_AA[i, j]),
                "faces_given_fake": int(comparison.fake.given_AA[i, j]),
                "groups_given": int(min(comparison.real.groups_A[i], comparison.fake.groups_A[i])),
            }


def correlation_rows(comparison: Comparison, side: Side) -> Iterator[Row]:
    """One row an ordered pair of action units, as `correlation_<group>.csv` has them."""
    chosen, names = comparison.selection, comparison.au_names
    correlation_AA = side.correlation_AA
    for i, j in np.ndindex(correlation_AA.shape):
        yield {
            "method": chosen.method,
            "volume": chosen.volume,
            "videos": len(chosen.pairs),
            "given": names[i],
            "occurs": names[j],
            "faces_given": int(side.given_AA[i, j]),
            "faces_both": int(side.both_AA[i, j]),
            "correlation": float(correlation_AA[i, j]),
        }


def overall_row(comparison: Comparison) -> Row:
    """The mean of A_i over the action units that both sides have."""
    change_A = comparison.average_change.value
    return {
        "method": comparison.selection.method,
        "volume": comparison.selection.volume,
        "pairs": len(comparison.selection.pairs),
        "groups": comparison.groups,
        **_spread("change", comparison.overall_change, ()),
        "aus": int((~np.isnan(change_A)).sum()),
        "aus_weaker_in_fake": int((change_A > 0).sum()),
        "aus_stronger_in_fake": int((change_A < 0).sum()),
    }


def _averages(comparison: Comparison, i: int | None) -> Row:
    aus = len(comparison.au_names)
    real = _number(comparison.real.average.value, i)
    fake = _number(comparison.fake.average.value, i)
    others = without_diagonal(real, aus), without_diagonal(fake, aus)
    return {
        **_spread("average_real", comparison.real.average, i),
        **_spread("average_fake", comparison.fake.average, i),
        **_spread("change", comparison.average_change, i),
        "resamples": 0 if i is None else int(comparison.average_change.resamples[i]),
        "change_relative": (real - fake) / real,
        "average_others_real": others[0],
        "average_others_fake": others[1],
        "change_others": others[0] - others[1],
    }


def _side_counts(name: str, side: Side, i: int | None) -> Row:
    return {
        f"faces_{name}": 0 if i is None else int(side.known_A[i]),
        f"occurs_{name}": 0 if i is None else int(side.both_AA[i, i]),
        f"groups_{name}": 0 if i is None else int(side.groups_A[i]),
    }


def _spread(name: str, estimate: Estimate, at: int | tuple[int, ...] | None) -> Row:
    return {
        name: _number(estimate.value, at),
        f"{name}_low": _number(estimate.low, at),
        f"{name}_high": _number(estimate.high, at),
    }


def _number(values: npt.NDArray[np.float64], at: int | tuple[int, ...] | None) -> float:
    return float("nan") if at is None else float(values[at])
