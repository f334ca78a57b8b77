"""The plots of `evaluate`: ROC curves, and AUC under each perturbation."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from facekit.drawings import FAINT, Drawing, blank, drawing, style
from training.evaluation_tables import percent, perturbation_curves
from training.metrics import MOST_FALSE_ALARMS
from training.perturbations import LEVELS
from training.protocols import ALL, Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from training.evaluate import Evaluation

_COLOURS: Final = ("#0B3C6F", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D00", "#6B6B6B")
_DASHES: Final[tuple[Any, ...]] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)))
_MARKS: Final = "osD^vP*X"
_ACROSS: Final = 4
_PANEL_IN: Final = 3.6
_SMALL_IN: Final = (2.35, 1.9)


def draw(found: "Evaluation") -> list[Drawing]:
    """ROC curves, and AUC by level where perturbations were asked for."""
    with style():
        drawn = [drawing("roc", "ROC curves", _roc_text(found), _roc(found))]
        if found.perturbed:
            drawn.append(
                drawing("robustness", "AUC under perturbations", _ROBUST_TEXT, _robustness(found))
            )
    return drawn


_ROBUST_TEXT: Final = (
    "AUC of all methods of each dataset against all of its reals, as the faces are spoilt more and "
    "more: level 0 is as extracted, 5 the strongest. The dotted line is chance."
)


def _roc_text(found: "Evaluation") -> str:
    listed = ", ".join(
        f"{each.dataset} {each.method} {percent(each.summary.auc.value)}" for each in _shown(found)
    )
    return (
        "Share of fakes found against share of reals taken for fakes, as the threshold falls; the "
        "dotted line is chance, the shaded strip what the partial AUC looks at. "
        f"AUC in %: {listed}."
    )


def _shown(found: "Evaluation") -> list[Comparison]:
    return [each for each in found.comparisons if each.against == "all reals"]


def _roc(found: "Evaluation") -> "Figure":
    """One panel a dataset, one curve a method."""
    datasets = [each.dataset for each in found.datasets]
    figure, panels = _panels(len(datasets), (_PANEL_IN, _PANEL_IN + 0.9))
    for axes, dataset in zip(panels, datasets, strict=True):
        here = [each for each in _shown(found) if each.dataset == dataset]
        axes.axvspan(0, MOST_FALSE_ALARMS, color="#EFEFEF", lw=0)
        axes.plot([0, 1], [0, 1], color=FAINT, lw=0.8, ls=":")
        for number, each in enumerate(here):
            label = f"{each.method}  {percent(each.summary.auc.value)}"
            is_all = each.method == ALL
            axes.plot(
                *each.roc,
                label=label,
                color="black" if is_all else _COLOURS[number % len(_COLOURS)],
                ls="-" if is_all else _DASHES[number % len(_DASHES)],
                lw=2.0 if is_all else 1.3,
            )
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="reals taken for fakes", ylabel="fakes found")
        axes.set_title(dataset, loc="left")
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.16), title="AUC, %", ncols=2)
    figure.tight_layout()
    return figure


def _robustness(found: "Evaluation") -> "Figure":
    """One panel a perturbation, one line a dataset."""
    curves = {each.dataset: perturbation_curves(found, each.dataset) for each in found.datasets}
    names = list(next(iter(curves.values())))
    figure, panels = _panels(len(names), _SMALL_IN, share=True)
    for axes, name in zip(panels, names, strict=True):
        axes.axhline(0.5, color=FAINT, lw=0.8, ls=":")
        for number, each in enumerate(found.datasets):
            axes.plot(
                range(LEVELS + 1),
                [each.summary.auc.value, *curves[each.dataset][name]],
                label=each.dataset,
                color=_COLOURS[number % len(_COLOURS)],
                marker=_MARKS[number % len(_MARKS)],
                ms=4,
                lw=1.2,
            )
        axes.set_title(name.replace("_", " "), loc="left")
        axes.set(xticks=range(LEVELS + 1), xlabel="level", ylabel="AUC")
    figure.tight_layout()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower right", ncols=len(labels), bbox_to_anchor=(1, 1))
    return figure


def _panels(
    count: int, size_in: tuple[float, float], *, share: bool = False
) -> "tuple[Figure, Sequence[Axes]]":
    """That many panels, at most four a row, and the rest of the last row empty."""
    across = min(count, _ACROSS)
    down = math.ceil(count / across)
    figure = blank(across * size_in[0], down * size_in[1])
    grid = figure.subplots(down, across, squeeze=False, sharey=share)
    panels = list(grid.flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels[:count]
