"""The findings of `evaluate` as one HTML file: no network, no script, to read or to print."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from facekit.drawings import Drawing
from facekit.markup import Markup, bullets, paragraph, table, tag, text
from facekit.report_page import Section, figure, page
from facekit.text_lines import flat
from training import evaluation_tables as tables
from training.metrics import METRICS
from training.perturbations import MEANINGS, STRENGTHS

if TYPE_CHECKING:
    from training.evaluate import Evaluation

_MOST_VIDEOS: Final = 400
"""Longer lists are cut here; videos.csv has all of it."""

_CSS: Final = "#figure-roc img { max-width: 64rem; } #figure-robustness img { max-width: 67rem; }"


def render(found: "Evaluation", drawn: Sequence[Drawing]) -> str:
    """The whole page.

    Args:
        found: what to report.
        drawn: its figures, from `training.evaluation_figures.draw`.
    """
    figures = {each.name: figure(each) for each in drawn}
    asked = found.asked
    lead = (
        f"{asked.run}, {asked.which} snapshot, step {found.loaded.step:,}: "
        f"{len(found.videos):,} videos, {(found.videos['missing'] == '').sum():,} scored, "
        f"{asked.protocol} protocol, {asked.frames} frames."
    )
    sections = list(_sections(found, figures))
    return page("How well real and fake are told apart", lead, sections, css=_CSS)


def _sections(found: "Evaluation", figures: dict[str, Markup]) -> Iterator[Section]:
    yield "results", "What was found", _join(_results(found))
    yield "roc", "ROC curves", figures["roc"]
    yield "metrics", "All metrics", _join(_metrics(found))
    if found.perturbed:
        yield "robustness", "Robustness", _join(_robustness(found, figures["robustness"]))
    if found.localisation:
        yield "localisation", "Where faces are tampered with", _join(_localisation(found))
    yield "coverage", "Coverage", _join(_coverage(found))
    yield "run", "Which network", _join(_run(found))
    yield "method", "How it was computed", _method(found)


def _join(parts: Iterator[Markup]) -> Markup:
    return Markup("".join(parts))


def _results(found: "Evaluation") -> Iterator[Markup]:
    yield table("Testing set AUC (%) by method", tables.method_rows(found))
    if len(found.datasets) > 1:
        yield table("Testing set AUC (%) by dataset", tables.dataset_rows(found))
    for each in found.datasets:
        interval = tables.widest(each.summary.auc)
        yield paragraph(
            f"{each.dataset}: AUC {tables.percent(each.summary.auc.value)} %, 95 % interval",
            f"{tables.span(interval)}; {each.coverage} videos scored.",
        )
    if told := tables.cautions(found) + tables.reasons(found):
        yield tag("h3", text("Cautions"))
        yield tag("div", bullets(told), class_="note")


def _metrics(found: "Evaluation") -> Iterator[Markup]:
    yield paragraph(
        "In %. Each method's fakes against all reals of the dataset, and against those alone that",
        "they were made from. An interval that cannot be told is NaN.",
    )
    yield table("Every metric", tables.metric_rows(found.comparisons))


def _robustness(found: "Evaluation", drawn: Markup) -> Iterator[Markup]:
    yield drawn
    for each in found.datasets:
        yield table(
            f"AUC (%) by level of perturbation, {each.dataset}",
            tables.perturbation_rows(found, each.dataset),
        )
    used = list(dict.fromkeys(each.how.name for each in found.perturbed))
    rows = [
        {
            "perturbation": name.replace("_", " "),
            **{str(level): f"{s:g}" for level, s in enumerate(STRENGTHS[name], start=1)},
            "what the number is": MEANINGS[name],
        }
        for name in used
    ]
    yield table("Strength at each level, in pixels of the network's input", rows)


def _localisation(found: "Evaluation") -> Iterator[Markup]:
    yield paragraph(
        "The map of token probabilities, brought to the size of the input, against the mask of",
        "the data, both cut at one half. mIoU is the mean over the tampered and the untouched",
        "part; a part that is empty in both counts as 1, so reals alone can look good.",
    )
    yield table("Localisation (%)", tables.localisation_rows(found))


def _coverage(found: "Evaluation") -> Iterator[Markup]:
    yield bullets(f"{dataset or 'unnamed'}: {told}." for dataset, told in found.part.told.items())
    listed: list[Any] = found.videos.to_dict("records")
    gone = [row for row in listed if row["missing"]]
    if gone:
        rows = [
            {"video": row["key"], "dataset": row["dataset"], "why": row["missing"]}
            for row in gone[:_MOST_VIDEOS]
        ]
        yield table(f"Not scored: {len(gone):,} of {len(listed):,} videos", rows)
    cut = f", the first {_MOST_VIDEOS} here" if len(listed) > _MOST_VIDEOS else ""
    title = f"Score of each of {len(listed):,} videos{cut}"
    rows = [
        {
            "video": row["key"],
            "method": row["method"],
            "label": "fake" if row["label"] == 1 else "real",
            "score": row["score"],
            "frames": row["frames"],
            "faces": row["faces"],
        }
        for row in listed[:_MOST_VIDEOS]
    ]
    yield tag("details", tag("summary", text(title)), table(title, rows))


def _run(found: "Evaluation") -> Iterator[Markup]:
    loaded = found.loaded
    told = {
        "run": found.asked.run,
        "snapshot": found.asked.which,
        "step": f"{loaded.step:,}",
        "sha256 of its weights": loaded.sha256,
        **{f"sha256 of {name}": sha256 for name, sha256 in found.asked.shards.items()},
    }
    yield table("Network and shards", _listed(told), wrap=True)
    config = _listed(flat(loaded.config.as_json()))
    title = "Its configuration"
    yield tag("details", tag("summary", text(title)), table(title, config, wrap=True))


def _listed(told: "dict[str, Any] | dict[str, object]") -> list[dict[str, object]]:
    return [{"what": name, "value": str(value)} for name, value in told.items()]


def _method(found: "Evaluation") -> Markup:
    asked = found.asked
    unit = (
        "A frame scores as the largest of its faces, a video as the mean of its frames."
        if asked.protocol == "video"
        else "Each frame is a unit of its own and scores as the largest of its faces."
    )
    return bullets(
        [
            f"At most {asked.frames} frames of each video, evenly spaced. {unit}",
            "A face scores p(class token) + 0.5 max p(patch token), over 1.5 (equation 3 of the "
            "paper's supplement); where the network has learnt no tokens, as its class alone.",
            "The snapshot was chosen by the run's own validation videos and the threshold of ACC "
            "is 0.5: nothing was chosen by these videos.",
            *(f"{name.upper()}: {meaning}." for name, meaning in METRICS.items()),
            f"Intervals: the middle 95 % of {asked.bootstrap:,} bootstrap resamples, of videos, "
            "or of sets of people, each drawn with all of its videos.",
            "Missing at 0.5: the AUC if each video that could not be scored had the score 0.5.",
            "Every score is in scores.parquet, every figure in results.json.",
        ]
    )
