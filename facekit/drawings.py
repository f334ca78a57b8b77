"""Figures of reports: one style, and finished pictures as PNG and SVG.

Real and fake differ in shape as well as in colour, and the colours in lightness, so that plots can
be printed in grey and read without telling colours apart. Fonts and styles are matplotlib's own,
not the user's, and an SVG holds no date and no random name: the same findings are the same
picture.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REAL: Final = "#0B3C6F"
FAKE: Final = "#D55E00"
INK: Final = "#1A1A1A"
FAINT: Final = "#767676"
_PNG_DPI: Final = 200


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A finished figure.

    Args:
        name: of its files, without ending.
        title: one line.
        text: what it shows, for a caption and for those who cannot see it.
        png: the picture.
        svg: the same as vectors.
    """

    name: str
    title: str
    text: str
    png: bytes
    svg: bytes


def files(drawn: Sequence[Drawing]) -> dict[str, bytes]:
    """File name -> content, PNG and SVG of each."""
    return {
        f"{each.name}.{kind}": content
        for each in drawn
        for kind, content in (("png", each.png), ("svg", each.svg))
    }


def blank(width_in: float, height_in: float) -> "Figure":
    """An empty figure of that size, of no window system."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Matplotlib's own settings and ours over them, whatever the user's are."""
    import matplotlib

    with matplotlib.rc_context(dict(matplotlib.rcParamsDefault)):
        matplotlib.rcParams.update(_SETTINGS)
        yield


_SETTINGS: Final[dict[str, Any]] = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "facekit",
    "svg.fonttype": "path",
}


def drawing(name: str, title: str, text: str, figure: "Figure") -> Drawing:
    """Save a figure; the same figure gives the same bytes."""
    return Drawing(
        name=name,
        title=title,
        text=text,
        png=_saved(figure, format="png", dpi=_PNG_DPI, metadata={"Software": None}),
        svg=_saved(figure, format="svg", metadata={"Date": None, "Creator": None}),
    )


def _saved(figure: "Figure", **how: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, **how)
    return file.getvalue()
