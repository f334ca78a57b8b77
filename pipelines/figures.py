"""The plots of `au_stats`: what the paper draws, heat maps of correlation, rates of occurrence."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from facekit.drawings import FAINT, FAKE, INK, REAL, Drawing, blank, drawing, style
from pipelines.au_inference import SURE, Comparison, Estimate
from pipelines.au_names import file_names, labelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from pipelines.au_stats import AUStats

Float = npt.NDArray[np.float64]

_STAR: Final[dict[str, Any]] = {"marker": "*", "ms": 8.5, "mec": REAL, "mfc": REAL, "mew": 0.0}
_TRIANGLE: Final[dict[str, Any]] = {
    "marker": "^",
    "ms": 6.0,
    "mec": FAKE,
    "mfc": "white",
    "mew": 1.3,
}
_DIAMOND: Final[dict[str, Any]] = {"marker": "D", "ms": 5.0, "mec": INK, "mfc": INK, "mew": 0.0}
_SIDES: Final = (("real", _STAR), ("fake", _TRIANGLE))
_UNSURE_ALPHA: Final = 0.35
_NO_VALUE: Final = "#D9D9D9"


def plot_average_intensity(axes: "Axes", comparison: Comparison) -> None:
    """A_i of real (stars) and fake (triangles) with 95 % intervals: the paper's plot.

    AUs that occur in few identity groups are drawn faint; a diamond on the upper rim marks a
    difference that is sure after correction.

    Args:
        axes: where to draw.
        comparison: what to draw.
    """
    _paired(axes, comparison, comparison.real.average, comparison.fake.average)
    _mark_sure(axes, comparison)
    axes.set_ylabel("average correlation intensity $A_i$")


def plot_occurrence(axes: "Axes", comparison: Comparison) -> None:
    """On which share of faces each AU occurs, real (stars) and fake (triangles), with intervals.

    Args:
        axes: where to draw.
        comparison: what to draw.
    """
    _paired(axes, comparison, comparison.real.rate, comparison.fake.rate)
    axes.set_ylabel("share of faces with the AU")


def plot_correlation(axes: "Axes", correlation_AA: Float, au_names: Sequence[str]) -> "AxesImage":
    """C_ij as a heat map from 0 to 1, row i given, column j; crossed out where undefined.

    Args:
        axes: where to draw.
        correlation_AA: (A, A) 0..1 or NaN.
        au_names: the A action units.

    Returns:
        The picture, for a colour bar.
    """
    drawn = axes.imshow(np.ma.masked_invalid(correlation_AA), cmap="cividis", vmin=0.0, vmax=1.0)
    _finish_map(axes, correlation_AA, au_names)
    return drawn


def plot_change(
    axes: "Axes",
    change: Estimate,
    au_names: Sequence[str],
    *,
    limit: float = 1.0,
    judged_A: npt.NDArray[np.bool_] | None = None,
) -> "AxesImage":
    """C real minus C fake as a heat map; numbers, in hundredths, where the interval excludes 0.

    Args:
        axes: where to draw.
        change: (A, A) differences.
        au_names: the A action units.
        limit: where the colours end, either way.
        judged_A: (A,) the rows that may bear numbers; None for all.

    Returns:
        The picture, for a colour bar.
    """
    values = np.ma.masked_invalid(change.value)
    drawn = axes.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit)
    _finish_map(axes, change.value, au_names)
    is_sure = (change.low > 0) | (change.high < 0)
    if judged_A is not None:
        is_sure &= judged_A[:, None]
    for i, j in zip(*np.nonzero(is_sure), strict=True):
        if i != j:
            value = float(change.value[i, j])
            colour = "white" if abs(value) > 0.62 * limit else INK
            text = f"{100 * value:+.0f}".replace("-", "\N{MINUS SIGN}")
            axes.text(j, i, text, ha="center", va="center", fontsize=6.5, color=colour)
    return drawn


def draw(found: "AUStats") -> list[Drawing]:
    """Every figure: the paper's plot, rates, and heat maps a method and volume."""
    comparisons = found.comparisons
    with style():
        panels = [
            drawing(
                "average_intensity",
                "Average correlation intensity of each action unit, real and fake",
                _AVERAGE_TEXT,
                _grid(
                    comparisons,
                    plot_average_intensity,
                    (*_SIDES, (f"sure difference (Holm p < {SURE:g})", _DIAMOND)),
                ),
            ),
            drawing(
                "occurrence",
                "How often each action unit occurs, real and fake",
                _OCCURRENCE_TEXT,
                _grid(comparisons, plot_occurrence, _SIDES),
            ),
        ]
        limit = _limit(comparisons)
        return panels + [
            drawing(name, f"Correlation, {each.title}", _CORRELATION_TEXT, _maps(each, limit))
            for name, each in zip(_map_names(comparisons), comparisons, strict=True)
        ]


_AVERAGE_TEXT: Final = (
    "A_i is the mean over all action units j of C_ij, the share of the faces with AU i that also "
    "show AU j; as in the paper, j = i counts. Stars are the original videos, triangles the fakes "
    "made from them; bars are 95 % intervals of each by itself, so that overlapping bars do not "
    "rule out a paired difference. Faint: the AU occurs in too few identity groups to judge. A "
    "diamond on the upper rim: the difference is sure after correction for all tests."
)
_OCCURRENCE_TEXT: Final = (
    "The share of labelled faces on which each action unit occurs. Stars are the original videos, "
    "triangles the fakes made from them; bars are 95 % intervals."
)
_CORRELATION_TEXT: Final = (
    "C_ij, the share of the faces with the AU of the row on which the AU of the column occurs too, "
    "for real and fake videos on one scale, and their difference, real minus fake. Numbers, in "
    "hundredths, stand where the 95 % interval of the difference excludes 0, uncorrected: of many "
    "pairs some do so by chance. Crossed out: the AU of the row never occurs."
)


def _paired(axes: "Axes", comparison: Comparison, real: Estimate, fake: Estimate) -> None:
    sides = ((real, -0.17, _STAR), (fake, 0.17, _TRIANGLE))
    judged = np.array(comparison.is_judged)
    at = np.arange(len(comparison.au_names), dtype=np.float64)
    for estimate, shift, mark in sides:
        for chosen, alpha in ((judged, 1.0), (~judged, _UNSURE_ALPHA)):
            x, colour = at[chosen] + shift, str(mark["mec"])
            low, high = estimate.low[chosen], estimate.high[chosen]
            axes.vlines(x, low, high, color=colour, lw=1.3, alpha=alpha)
            axes.plot(x, estimate.value[chosen], ls="", alpha=alpha, **mark)
    for edge_x in at[:-1] + 0.5:
        axes.axvline(edge_x, color="#E4E4E4", lw=0.6, zorder=0)
    axes.set_xlim(-0.5, len(at) - 0.5)
    axes.set_xticks(at, [labelled(au) for au in comparison.au_names])
    axes.set_title(_said(comparison), loc="left")


def _mark_sure(axes: "Axes", comparison: Comparison) -> None:
    sure = np.flatnonzero(comparison.p_holm_A < SURE)
    rim = axes.get_xaxis_transform()
    axes.plot(sure, np.ones(len(sure)), ls="", clip_on=False, transform=rim, **_DIAMOND)


def _said(comparison: Comparison) -> str:
    pairs = len(comparison.selection.pairs)
    return (
        f"{comparison.title}: {pairs:,} real and {pairs:,} fake videos, "
        f"{comparison.groups:,} identity groups"
    )


def _finish_map(axes: "Axes", values_AA: Float, au_names: Sequence[str]) -> None:
    axes.set_facecolor(_NO_VALUE)
    for i, j in zip(*np.nonzero(np.isnan(values_AA)), strict=True):
        axes.plot([j - 0.3, j + 0.3], [i - 0.3, i + 0.3], color=FAINT, lw=0.6)
        axes.plot([j - 0.3, j + 0.3], [i + 0.3, i - 0.3], color=FAINT, lw=0.6)
    axes.set_xticks(range(len(au_names)), au_names, rotation=90)
    axes.set_yticks(range(len(au_names)), [labelled(au) for au in au_names])
    axes.set_xlabel("AU j occurs")
    axes.tick_params(length=0)


def _grid(
    comparisons: Sequence[Comparison],
    plot: Callable[["Axes", Comparison], None],
    marks: Sequence[tuple[str, Mapping[str, Any]]],
) -> "Figure":
    """One panel a method (rows) and volume (columns), with common axes."""
    from matplotlib.lines import Line2D

    methods = list(dict.fromkeys(each.selection.method for each in comparisons))
    volumes = list(dict.fromkeys(each.selection.volume for each in comparisons))
    width = 9.0 if len(volumes) == 1 else 6.0 * len(volumes)
    figure = blank(width, 2.35 * len(methods) + 2.1)
    panels = figure.subplots(len(methods), len(volumes), sharex=True, sharey=True, squeeze=False)
    _place(figure, panels.shape, left=0.95, right=0.1, bottom=1.5, top=0.7, between=(0.3, 0.45))
    for each in comparisons:
        row, column = methods.index(each.selection.method), volumes.index(each.selection.volume)
        plot(panels[row][column], each)
        if column:
            panels[row][column].set_ylabel("")
    for axes in panels[-1]:
        axes.tick_params(axis="x", rotation=55)
        for tick in axes.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    handles = [Line2D([], [], ls="", label=label, **mark) for label, mark in marks]
    figure.legend(handles=handles, loc="upper left", ncols=len(handles), borderaxespad=0.6)
    return figure


def _maps(comparison: Comparison, limit: float) -> "Figure":
    """Real and fake side by side, their difference below and larger, for it bears numbers."""
    figure = blank(*_MAPS_IN)
    real, fake, change = (_square(figure, *place) for place in _SQUARES_IN)
    names, judged_A = comparison.au_names, np.array(comparison.is_judged)
    plot_correlation(real, comparison.real.correlation_AA, names)
    scale = plot_correlation(fake, comparison.fake.correlation_AA, names)
    pairs = comparison.correlation_change
    changes = plot_change(change, pairs, names, limit=limit, judged_A=judged_A)
    fake.set_yticklabels([])
    for axes in (real, change):
        axes.set_ylabel("given that AU i occurs")
        for tick, is_judged in zip(axes.get_yticklabels(), judged_A, strict=True):
            tick.set_color(INK if is_judged else FAINT)
    real.set_title(f"real: {comparison.real.faces:,} faces", loc="left")
    fake.set_title(f"{comparison.selection.method}: {comparison.fake.faces:,} faces", loc="left")
    change.set_title("real minus fake", loc="left")
    for drawn, axes, label in (
        (scale, fake, "$C_{ij}$, real and fake"),
        (changes, change, "difference of $C_{ij}$"),
    ):
        figure.colorbar(drawn, cax=axes.inset_axes((1.03, 0.0, 0.035, 1.0)), label=label)
    figure.text(0.01, 0.99, _said(comparison), va="top", fontsize=11)
    return figure


_MAPS_IN: Final = (10.4, 11.2)
_SQUARES_IN: Final = ((1.85, 6.9, 3.6), (5.65, 6.9, 3.6), (1.85, 0.65, 5.3))
"""Left, bottom and side of the three maps."""


def _square(figure: "Figure", left: float, bottom: float, side: float) -> "Axes":
    width, height = _MAPS_IN
    return figure.add_axes((left / width, bottom / height, side / width, side / height))


def _place(
    figure: "Figure",
    panels: tuple[int, ...],
    *,
    left: float,
    right: float,
    bottom: float,
    top: float,
    between: tuple[float, float],
) -> None:
    """Set the margins of rows and columns of panels and the space between, all in inches."""
    width, height = figure.get_size_inches()
    rows, columns = panels
    across = (width - left - right - between[0] * (columns - 1)) / columns
    down = (height - bottom - top - between[1] * (rows - 1)) / rows
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=between[0] / across,
        hspace=between[1] / down,
    )


def _map_names(comparisons: Sequence[Comparison]) -> list[str]:
    many = len({each.selection.volume for each in comparisons}) > 1
    groups = [
        each.selection.method + (f" {each.selection.volume.rstrip('%')}" if many else "")
        for each in comparisons
    ]
    return [f"correlation_{name}" for name in file_names(groups).values()]


def _limit(comparisons: Sequence[Comparison]) -> float:
    """Where the colours of all differences end: the largest that can be judged, to a tenth."""
    rows = [each.correlation_change.value[np.array(each.is_judged)] for each in comparisons]
    largest = max((float(np.abs(r[~np.isnan(r)]).max(initial=0.0)) for r in rows), default=0.0)
    return max(0.1, math.ceil(10 * largest) / 10)
