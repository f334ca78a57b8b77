"""What the findings of `au_stats` come to, in plain sentences that claim no more than they show."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from facekit.markup import interval, signed
from pipelines.au_inference import FEW_GROUPS, FEWEST_GROUPS, SURE, Comparison
from pipelines.au_matching import REENACTMENTS
from pipelines.au_names import labelled
from pipelines.au_tables import overall_row

if TYPE_CHECKING:
    from pipelines.au_stats import AUStats


def sentences(found: "AUStats") -> list[str]:
    """One paragraph a comparison, the one with most pairs of each method first."""
    ordered = sorted(
        found.comparisons, key=lambda each: (each.selection.method, -len(each.selection.pairs))
    )
    return [" ".join(_of_comparison(each)) for each in ordered]


def _of_comparison(each: Comparison) -> Iterator[str]:
    row, change = overall_row(each), each.overall_change
    low, high = float(change.low), float(change.high)
    yield (
        f"{each.title}: {len(each.selection.pairs):,} originals and their fakes, of "
        f"{each.groups:,} identity groups."
    )
    if math.isnan(float(change.value)):
        yield "No action unit occurs on both sides, so there is nothing to compare."
        return
    yield (
        f"A_i is lower in the fakes for {row['aus_weaker_in_fake']} of {row['aus']} action units; "
        f"over all of them it differs by {signed(float(change.value))} on average (real minus "
        f"fake, 95 % interval {interval(low, high)})."
    )
    yield _verdict(low, high, each.groups)
    yield _of_tests(each)
    real, fake = (float(side.rate.value.sum()) for side in (each.real, each.fake))
    yield f"On average {real:.2f} action units occur on a real face and {fake:.2f} on a fake one."


def _verdict(low: float, high: float, groups: int) -> str:
    weak = "" if groups >= FEW_GROUPS else ", though too few groups for that to be relied on"
    if math.isnan(low):
        return "One identity group alone gives no interval."
    if low > 0:
        return f"The interval lies above 0: weaker in the fakes, as in the paper{weak}."
    if high < 0:
        return f"The interval lies below 0: stronger in the fakes, against the paper{weak}."
    return "The interval holds 0, so these videos do not settle whether it is weaker or stronger."


def _of_tests(each: Comparison) -> str:
    sure = [
        f"{labelled(au)} ({signed(float(each.average_change.value[i]))})"
        for i, au in enumerate(each.au_names)
        if each.p_holm_A[i] < SURE
    ]
    if sure:
        return f"Sure after correction for all tests: {', '.join(sure)}."
    return "No single action unit differs surely once all tests are corrected for."


def cautions(found: "AUStats") -> list[str]:
    """What a reader must know before believing any of it."""
    return [
        "A_i depends on how often the other action units occur at all, since C_ij is a conditional "
        "rate: where a method makes the others rarer, or the labelling engine blind to them, A_i "
        "falls without any change in how the muscles go together. Read it beside the occurrence "
        "rates.",
        "Labels are what an AU engine sees, not what the face does; an engine may err differently "
        "on fakes.",
        "Frames of one video resemble each other, and so do videos that share people. Intervals "
        "and tests therefore treat an identity group, not a frame, as the unit.",
        *_of_few(found.comparisons),
        *_of_reenactments(found.comparisons),
        f"Action units that occur in fewer than {FEWEST_GROUPS} identity groups on either side are "
        "listed, in italics, but nothing can be said of them.",
        *_of_unlabelled(found.unlabelled),
    ]


def _of_few(comparisons: Sequence[Comparison]) -> Iterator[str]:
    least = [each for each in comparisons if each.groups < FEW_GROUPS]
    if least:
        told = "; ".join(
            f"{each.title}: {each.groups} groups, no p-value below {each.p_least:.2g}"
            for each in least
        )
        yield (
            f"With fewer than {FEW_GROUPS} identity groups, bootstrap intervals are narrower than "
            f"they should be, and a permutation test has little power ({told})."
        )


def _of_reenactments(comparisons: Sequence[Comparison]) -> Iterator[str]:
    there = {
        name
        for each in comparisons
        for name in REENACTMENTS
        if name in each.selection.method.split("/")
    }
    if there:
        names = " and ".join(sorted(there))
        yield (
            f"{names}: reenactments keep the original's face and borrow the expression of another "
            "video, the source. Their pairs compare with the original, so a difference is partly "
            "that of two expressions."
        )


def _of_unlabelled(unlabelled: Sequence[str]) -> Iterator[str]:
    if unlabelled:
        yield (
            f"Labelled on no face, and so without any value (NaN): {', '.join(unlabelled)}. They "
            "count neither in A_i nor in n."
        )
