"""What `evaluate` found as tables: rows of plain text, in the layout of the paper."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from facekit.text_lines import table
from training.metrics import Estimate, Interval
from training.perturbations import LEVELS
from training.protocols import ALL, Comparison

if TYPE_CHECKING:
    from training.evaluate import Evaluation

Row = Mapping[str, object]

_SHOWN: Final = {"ap": "AP", "eer": "EER", "acc": "ACC", "pauc": "pAUC(0.1)"}


def percent(value: float) -> str:
    """A share as the paper prints it.

    >>> percent(0.92774), percent(float("nan"))
    ('92.77', 'NaN')
    """
    return "NaN" if math.isnan(value) else f"{100 * value:.2f}"


def span(interval: Interval) -> str:
    """Both ends of an interval.

    >>> span(Interval(low=0.5, high=0.75)), span(Interval())
    ('50.00 to 75.00', 'NaN')
    """
    if math.isnan(interval.low):
        return "NaN"
    return f"{percent(interval.low)} to {percent(interval.high)}"


def widest(estimate: Estimate) -> Interval:
    """The interval over people where it is known who is who, else over videos."""
    return estimate.groups if estimate.groups.clusters else estimate.videos


def method_rows(found: "Evaluation") -> list[Row]:
    """AUC in %, a dataset a row, a method a column: the layout of tables 1 and 2."""
    shown = [each for each in found.comparisons if each.against == "all reals"]
    methods = list(dict.fromkeys(each.method for each in shown))
    methods.sort(key=lambda method: method == ALL)
    rows = {each.dataset: dict.fromkeys(methods, "-") for each in shown}
    for each in shown:
        rows[each.dataset][each.method] = percent(each.summary.auc.value)
    return [{"testing set AUC (%)": dataset, **cells} for dataset, cells in rows.items()]


def dataset_rows(found: "Evaluation") -> list[Row]:
    """AUC in %, a dataset a column, and their mean: the layout of tables 3 to 5."""
    cells = {each.dataset: percent(each.summary.auc.value) for each in found.datasets}
    return [{"": "testing set AUC (%)", **cells, "Avg": percent(found.average())}]


def metric_rows(comparisons: Sequence[Comparison]) -> list[Row]:
    """Every metric in %, AUC with its interval, and the videos behind it."""
    return [
        {
            "dataset": each.dataset,
            "fakes": each.method,
            "against": each.against,
            "AUC": percent(each.summary.auc.value),
            "95 % over people": span(each.summary.auc.groups),
            "95 % over videos": span(each.summary.auc.videos),
            **{shown: percent(each.summary[name].value) for name, shown in _SHOWN.items()},
            "real": each.summary.real,
            "fake": each.summary.fake,
            "people": each.summary.auc.groups.clusters or "unknown",
            "videos scored": str(each.coverage),
            "missing at 0.5": percent(each.auc_missing) if each.coverage.missing else "-",
        }
        for each in comparisons
    ]


def perturbation_rows(found: "Evaluation", dataset: str) -> list[Row]:
    """AUC in % of a dataset, a perturbation a row, a level a column, and the mean of the levels."""
    (clean,) = (each for each in found.datasets if each.dataset == dataset)
    curves = perturbation_curves(found, dataset)
    return [
        {
            "perturbation": name.replace("_", " "),
            "0": percent(clean.summary.auc.value),
            **{str(level): percent(auc) for level, auc in enumerate(aucs, start=1)},
            "mean of 1 to 5": percent(sum(aucs) / LEVELS),
        }
        for name, aucs in curves.items()
    ]


def perturbation_curves(found: "Evaluation", dataset: str) -> dict[str, list[float]]:
    """Name -> AUC at levels 1 to 5."""
    curves: dict[str, list[float]] = {}
    for each in found.perturbed:
        (here,) = (one for one in each.comparisons if one.dataset == dataset)
        curves.setdefault(each.how.name, []).append(here.summary.auc.value)
    return curves


def localisation_rows(found: "Evaluation") -> list[Row]:
    """How well the tampered part is found, in %, a dataset a row."""
    return [
        {
            "dataset": dataset,
            "pixel accuracy": percent(each.pixel_accuracy),
            "mIoU": percent(each.miou),
            "pixel accuracy, fakes": percent(each.pixel_accuracy_fake),
            "mIoU, fakes": percent(each.miou_fake),
            "real faces": each.real,
            "fake faces": each.fake,
            "without a mask": ", ".join(f"{n:,} {why}" for why, n in each.missing.items()) or "-",
        }
        for dataset, each in found.localisation.items()
    ]


def reasons(found: "Evaluation") -> list[str]:
    """Why metrics are NaN, a sentence a comparison."""
    return [
        f"{each.dataset}, {each.method} against {each.against}: {each.summary.reason}."
        for each in found.comparisons
        if each.summary.reason
    ]


def cautions(found: "Evaluation") -> list[str]:
    """What to keep in mind when reading the figures."""
    told = []
    for role, count in found.part.seen.items():
        if count:
            verb = "learnt from" if role == "train" else "chose its snapshot by"
            told.append(
                f"{count:,} of these videos are of people whom the run {verb}: what is measured "
                "on them says little of others."
            )
    for each in found.datasets:
        if each.coverage.missing:
            told.append(
                f"{each.dataset}: {each.coverage} videos were scored; an AUC over those that "
                "could be scored may flatter."
            )
        people = each.summary.auc.groups.clusters
        if each.summary.reason or not found.asked.bootstrap:
            continue
        if not people:
            told.append(
                f"{each.dataset}: nothing tells which videos show the same people, so intervals "
                "are over videos, and too narrow if some do."
            )
        elif people < _FEW_PEOPLE:
            told.append(
                f"{each.dataset}: {people} sets of people; with fewer than {_FEW_PEOPLE}, "
                "intervals over people are too narrow."
            )
    if found.unlabelled:
        told.append(
            f"{len(found.unlabelled):,} videos without a label were left out, such as "
            f"{found.unlabelled[0]}."
        )
    return told


_FEW_PEOPLE: Final = 20


def lines(found: "Evaluation") -> list[str]:
    """What was found, for a person."""
    return list(_lines(found))


def _lines(found: "Evaluation") -> Iterator[str]:
    asked, loaded = found.asked, found.loaded
    yield (
        f"{asked.run}, {asked.which} snapshot, step {loaded.step:,}, sha256 {loaded.sha256[:12]}; "
        f"{asked.protocol} protocol, {asked.frames} frames"
    )
    yield from (f"{dataset or 'unnamed'}: {told}" for dataset, told in found.part.told.items())
    yield from table("AUC (%) by method", method_rows(found))
    if len(found.datasets) > 1:
        yield from table("AUC (%) by dataset", dataset_rows(found))
    yield from table("metrics (%)", metric_rows(found.comparisons))
    for each in found.datasets if found.perturbed else ():
        rows = perturbation_rows(found, each.dataset)
        yield from table(f"AUC (%) by level of perturbation, {each.dataset}", rows)
    yield from table("localisation (%)", localisation_rows(found))
    for title, told in (("undefined", reasons(found)), ("cautions", cautions(found))):
        if told:
            yield from ("", title, *(f"  {each}" for each in told))
