"""Pictures of how far two sources of AU labels agree; each `draw_` function takes an axes.

Colours stay apart for the colour-blind (Okabe and Ito, Color Universal Design, 2008), and every
kind of mark has a shape of its own, so that a grey print can be read.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from facekit.errors import BadInput
from facekit.page import FAINT, INK
from facekit.shards import publishing
from pipelines.au_names import labelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pipelines.au_agreement import AuAgreement, AuComparison

_BLUE, _ORANGE, _GREEN = "#0072B2", "#E69F00", "#009E73"
_GRID: Final = "#DDDDDD"
_SCORES: Final = (
    ("kappa", "Cohen's kappa, all faces", "o", _BLUE, _BLUE),
    ("clip_kappa", "Cohen's kappa, mean of clips", "o", "white", _BLUE),
    ("f1", "F1", "^", _ORANGE, INK),
    ("agreement", "agreement", "|", FAINT, FAINT),
)
"""Field, label, marker, face and edge colour; later ones lie above."""

_SOURCES: Final = (("positives_a", "A", "s", 7, _ORANGE), ("positives_b", "B", "D", 4, INK))
_TITLE_LETTERS: Final = 60


def draw_scores(axes: "Axes", found: "AuComparison") -> None:
    """Draw kappa, F1 and agreement of each action unit, and the mean kappa of the frequent ones.

    Args:
        axes: what to draw on; rows are named by action unit, those that B sees on fewer than
            `found.min_positives` faces in grey.
        found: the comparison.
    """
    for field, label, marker, face, edge in _SCORES:
        values = [getattr(au, field) for au in found.aus]
        axes.plot(
            *(values, range(len(values)), marker),
            label=label,
            markerfacecolor=face,
            markeredgecolor=edge,
            markersize=9 if marker == "|" else 6,
            markeredgewidth=1.2,
            clip_on=False,
        )
    mean = found.means()["frequent"]["kappa"]
    if np.isfinite(mean):
        label = f"mean kappa, {found.min_positives:,}+ in B: {mean:.3f}"
        axes.axvline(mean, color=_BLUE, linestyle="--", linewidth=1, label=label, zorder=1)
    kappas = [kappa for au in found.aus for kappa in (au.kappa, au.clip_kappa)]
    axes.set_xlim(float(np.nanmin([0.0, *kappas])) - 0.03, 1.03)
    axes.axvline(0.0, color=FAINT, linewidth=0.8, zorder=1)
    _finish(axes, found.aus, "occurrence: A against B", rows_of_legend=3)
    frequent = {au.au for au in found.frequent}
    for text, au in zip(axes.get_yticklabels(), found.aus, strict=True):
        text.set_color(INK if au.au in frequent else FAINT)


def draw_rates(axes: "Axes", found: "AuComparison") -> None:
    """Draw on which share of the faces labelled on both sides each side sees an action unit.

    Args:
        axes: what to draw on.
        found: the comparison.
    """
    rows = np.arange(len(found.aus))
    faces = np.array([au.faces or np.nan for au in found.aus], np.float64)
    shares = {
        field: 100.0 * np.array([getattr(au, field) for au in found.aus]) / faces
        for field, *_ in _SOURCES
    }
    axes.hlines(rows, shares["positives_a"], shares["positives_b"], color=FAINT, linewidth=1)
    for field, label, marker, size, colour in _SOURCES:
        axes.plot(
            *(shares[field], rows, marker),
            color=colour,
            label=label,
            markersize=size,
            clip_on=False,
        )
    axes.set_xlim(left=0.0)
    _finish(axes, found.aus, "occurs, % of faces", rows_of_legend=1)


def draw_intensity(axes: "Axes", found: "AuComparison") -> None:
    """Draw the mean absolute difference of the intensities, with their ICC(3,1) beside it.

    Args:
        axes: what to draw on; an action unit without intensities on both sides has an empty row.
        found: the comparison.
    """
    for row, au in enumerate(found.aus):
        if au.intensities:
            axes.barh(row, au.intensity_mae, height=0.6, color=_GREEN)
            axes.annotate(
                "" if np.isnan(au.intensity_icc) else f"{au.intensity_icc:.2f}",
                (au.intensity_mae, row),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=INK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )
    largest = max([0.1, *(au.intensity_mae for au in found.aus if au.intensities)])
    axes.set_xlim(0.0, 1.25 * largest)
    _finish(axes, found.aus, "intensity: mean |A - B|, and ICC(3,1)", rows_of_legend=0)


def draw(found: "AuComparison") -> "Figure":
    """All of it side by side, a row an action unit; intensities only where there are any.

    Args:
        found: the comparison.
    """
    from matplotlib.figure import Figure

    panels: list[tuple[Callable[[Axes, AuComparison], None], float]]
    panels = [(draw_scores, 2.2), (draw_rates, 1.0)]
    if any(au.intensities for au in found.aus):
        panels.append((draw_intensity, 1.0))
    widths = [width for _, width in panels]
    figure = Figure(
        figsize=(2.0 + 2.6 * sum(widths), 2.0 + 0.3 * len(found.aus)), layout="constrained"
    )
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False, width_ratios=widths)[0]
    for axes, (draw_panel, _) in zip(all_axes, panels, strict=True):
        draw_panel(axes, found)
    for axes in all_axes[1:]:
        axes.tick_params(labelleft=False)
    figure.suptitle(
        f"A = {_shortened(found.a)} ({found.au_mode_a})\n"
        f"B = {_shortened(found.b)} ({found.au_mode_b})\n"
        f"{found.faces:,} faces of {found.videos:,} videos",
        fontsize=10,
        parse_math=False,
    )
    return figure


def write(found: "AuComparison", path: Path) -> None:
    """Draw all of it into a file, whole or not at all; the same comparison gives the same bytes.

    Args:
        found: the comparison.
        path: ends in .png or .svg; its folder must exist.

    Raises:
        BadInput: the name has another ending, or the file cannot be written.
        DiskFull: the disk ran out.
    """
    from matplotlib import rc_context, style

    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise BadInput(f"{path}: a plot is written as PNG or SVG; end its name in .png or .svg")
    # What a user's settings or the clock would put into the file stays out of it.
    with style.context("default"), rc_context({"svg.hashsalt": "facekit"}):
        figure = draw(found)
        metadata = {"Date": None} if kind == "svg" else None
        try:
            with publishing(path) as draft:
                figure.savefig(draft, format=kind, dpi=150, metadata=metadata)
        except OSError as error:
            raise BadInput(f"{path}: cannot be written: {error.strerror}") from error


def _finish(axes: "Axes", aus: Sequence["AuAgreement"], title: str, *, rows_of_legend: int) -> None:
    axes.set_yticks(range(len(aus)), [labelled(au.au) for au in aus])
    axes.set_ylim(len(aus) - 0.5, -0.5)
    axes.set_xlabel(title)
    axes.grid(visible=True, axis="both", color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if rows_of_legend:
        count = len(axes.get_legend_handles_labels()[0])
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=-(-count // rows_of_legend),
            frameon=False,
            fontsize=8,
        )


def _shortened(path: str) -> str:
    """The end of a path, which says more than its beginning."""
    return path if len(path) <= _TITLE_LETTERS else f"…{path[1 - _TITLE_LETTERS :]}"
