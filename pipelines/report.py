"""The findings of `au_stats` as one HTML file: no network, no script, to read or to print."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from facekit.drawings import Drawing
from facekit.markup import (
    Markup,
    bullets,
    interval,
    paragraph,
    shown,
    signed,
    table,
    tag,
    text,
)
from facekit.report_page import figure, page
from facekit.text_lines import flat
from pipelines.au_inference import FEWEST_GROUPS, SURE, Comparison
from pipelines.au_names import name_of
from pipelines.au_tables import overall_row
from pipelines.reading import cautions, sentences

if TYPE_CHECKING:
    from pipelines.au_stats import AUStats

_TITLE: Final = "Action units of real and forged faces"
_MOST_PAIRS: Final = 400
"""Longer selections are cut here; selection.csv has all of it."""

_CSS: Final = "#figure-average_intensity img, #figure-occurrence img { max-width: 67rem; }"

_SECTIONS: Final = (
    ("reading", "What it shows"),
    ("figures", "Figures"),
    ("averages", "Average correlation intensity"),
    ("pairs", "Strongest changes between two action units"),
    ("selection", "Selection"),
    ("labels", "Where the labels are from"),
    ("method", "How it was computed"),
)


def render(found: "AUStats", drawn: Sequence[Drawing]) -> str:
    """The whole page.

    Args:
        found: what to report.
        drawn: its figures, from `pipelines.figures.draw`.
    """
    bodies = (
        _reading(found),
        Markup("".join(figure(each) for each in drawn)),
        Markup("".join(_averages(found))),
        _pairs(found),
        Markup("".join(_selection(found))),
        _labels(found),
        _method(found),
    )
    parts = [(*named, body) for named, body in zip(_SECTIONS, bodies, strict=True)]
    return page(_TITLE, _lead(found), parts, css=_CSS)


def _lead(found: "AUStats") -> str:
    faces = int(found.counts.faces_V.sum())
    return (
        f"{len(found.counts.videos):,} videos, {faces:,} labelled faces, "
        f"{sum(found.counts.labelled())} action units; "
        f"{len(found.comparisons)} comparisons of originals with their fakes."
    )


def _reading(found: "AUStats") -> Markup:
    rows = [_overall(each) for each in found.comparisons]
    return Markup(
        "".join(
            [
                *(paragraph(sentence) for sentence in sentences(found)),
                table("Mean of A_i over action units, real minus fake", rows),
                tag("h3", text("Cautions")),
                tag("div", bullets(cautions(found)), class_="note"),
            ]
        )
    )


def _overall(each: Comparison) -> Mapping[str, object]:
    row: Mapping[str, Any] = overall_row(each)
    return {
        "method": row["method"],
        "volume": row["volume"],
        "pairs": row["pairs"],
        "identity groups": row["groups"],
        "faces real": each.real.faces,
        "faces fake": each.fake.faces,
        "difference": signed(row["change"]),
        "95 % interval": interval(row["change_low"], row["change_high"]),
        "AUs weaker in fakes": f"{row['aus_weaker_in_fake']} of {row['aus']}",
        f"sure (Holm < {SURE})": int((each.p_holm_A < SURE).sum()),
        "least p possible": f"{each.p_least:.2g}",
    }


def _averages(found: "AUStats") -> Iterator[Markup]:
    yield paragraph(
        "A_i with the diagonal, as in the paper, and without it; both give the same tests, since",
        "the diagonal is always 1. Differences are real minus fake, d is Cohen's d of the identity",
        "groups' own differences, p is from the paired permutation test, then corrected by Holm",
        f"over all {found.tests} tests. Groups and faces are those on which the AU occurs.",
    )
    everything = found.to_pandas()
    for each in found.comparisons:
        chosen = each.selection
        here = (everything["method"] == chosen.method) & (everything["volume"] == chosen.volume)
        rows: list[Any] = everything[here].to_dict("records")
        few = [min(row["groups_real"], row["groups_fake"]) < FEWEST_GROUPS for row in rows]
        title = f"{each.title}: {len(chosen.pairs):,} pairs, {each.groups:,} identity groups"
        yield tag("h3", text(title))
        yield table(title, [_average_row(row) for row in rows], few=few)


def _average_row(row: Mapping[str, Any]) -> Mapping[str, object]:
    return {
        "action unit": f"{row['au']} {row['name']}".rstrip(),
        "real": row["average_real"],
        "fake": row["average_fake"],
        "difference": signed(row["change"]),
        "95 % interval": interval(row["change_low"], row["change_high"]),
        "d": signed(row["effect"]),
        "p": _probability(row["p"]),
        "p Holm": _probability(row["p_holm"]),
        "real, others": row["average_others_real"],
        "fake, others": row["average_others_fake"],
        "rate real": row["rate_real"],
        "rate fake": row["rate_fake"],
        "groups": f"{row['groups_real']}/{row['groups_fake']}",
        "faces": f"{row['occurs_real']:,}/{row['occurs_fake']:,}",
    }


def _probability(p: float) -> str:
    return "NaN" if math.isnan(p) else f"{p:.4f}"


def _pairs(found: "AUStats") -> Markup:
    rows: list[Any] = found.top_pairs(25).to_dict("records")
    told = paragraph(
        "The largest differences of C_ij whose 95 % interval excludes 0. These intervals are not",
        "corrected for the number of pairs, so some of these changes are chance.",
    )
    if not rows:
        return Markup(told + paragraph("There is none."))
    listed = [
        {
            "given": f"{row['given']} {name_of(row['given'])}",
            "occurs": f"{row['occurs']} {name_of(row['occurs'])}",
            "method": row["method"],
            "volume": row["volume"],
            "real": row["real"],
            "fake": row["fake"],
            "difference": signed(row["change"]),
            "95 % interval": interval(row["change_low"], row["change_high"]),
            "groups": row["groups_given"],
            "faces": f"{row['faces_given_real']:,}/{row['faces_given_fake']:,}",
        }
        for row in rows
    ]
    return Markup(told + table("Strongest changes of C_ij", listed))


def _selection(found: "AUStats") -> Iterator[Markup]:
    options = found.options
    kind = "disjoint" if options.disjoint else "nested: larger ones contain the smaller"
    yield paragraph(
        f"Drawn by a hash of the seed {options.seed} and each key, so it is the same on any",
        f"machine and for any order of inputs. Volumes are {kind}. An original is the video whose",
        "frames the fake kept, its target. All of it is in selection.csv.",
    )
    if found.matching.left_out:
        rows = [
            {"why": reason, "videos": count, "such as": found.matching.example[reason]}
            for reason, count in found.matching.left_out.items()
        ]
        yield table("Not compared", rows)
    for each in found.comparisons:
        pairs = each.selection.pairs
        cut = f", the first {_MOST_PAIRS} of them here" if len(pairs) > _MOST_PAIRS else ""
        title = f"{each.title}: {len(pairs):,} of {each.selection.available:,} pairs{cut}"
        rows = [
            {"real": pair.real, "fake": pair.fake, "identity group": pair.identity}
            for pair in pairs[:_MOST_PAIRS]
        ]
        yield tag("details", tag("summary", text(title)), table(title, rows))


def _labels(found: "AUStats") -> Markup:
    parts = []
    for number, told in enumerate(found.provenance, start=1):
        rows = [{"what": name, "value": _told(value)} for name, value in flat(told).items()]
        parts.append(table(f"Source {number} of {len(found.provenance)}", rows, wrap=True))
    digests = "The sha256 of each file of labels, where there is one, is in stats.json."
    return Markup("".join([*parts, paragraph(digests)]))


def _told(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _method(found: "AUStats") -> Markup:
    options = found.options
    return bullets(
        [
            "C_ij = N(i and j) / N(i): of the faces on which AU i occurs, the share on which AU j "
            "does. Faces without labels do not count. Where AU i never occurs it is NaN.",
            "A_i = sum over j of C_ij / n, with n the number of labelled action units.",
            "Counts of the videos on each side are added up before dividing, as in the paper.",
            f"Intervals: the middle 95 % of {options.bootstrap:,} bootstrap resamples of identity "
            "groups, which are drawn with all of their pairs, real and fake together.",
            f"Tests: real and fake are exchanged group by group, at random "
            f"{options.permutations:,} times, or in every way where these are fewer; p is the "
            "share of exchanges that give at least the difference found.",
            f"Options: {', '.join(f'{k} {shown(v)}' for k, v in asdict(options).items())}.",
        ]
    )
