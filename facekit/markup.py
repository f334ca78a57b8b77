"""Pieces of HTML, with everything that is not markup escaped."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NewType

Markup = NewType("Markup", str)
"""Text that is HTML already."""


def text(value: object) -> Markup:
    """Anything as escaped text; Markup as it is only through the functions here.

    >>> text("a < b")
    'a &lt; b'
    """
    return Markup(html.escape(str(value)))


def tag(name: str, *content: Markup, **attributes: object) -> Markup:
    """An element; `_` in the name of an attribute stands for `-`, a trailing one is dropped.

    >>> tag("p", text("1 < 2"), class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{named}>{''.join(content)}</{name}>")


def paragraph(*parts: str) -> Markup:
    """A paragraph of plain text.

    >>> paragraph("one", "two")
    '<p>one two</p>'
    """
    return tag("p", text(" ".join(parts)))


def bullets(items: Iterable[str]) -> Markup:
    """A list of plain texts.

    >>> bullets(["one", "two"])
    '<ul><li>one</li><li>two</li></ul>'
    """
    return tag("ul", *(tag("li", text(item)) for item in items))


def table(
    caption: str,
    rows: Sequence[Mapping[str, object]],
    *,
    few: Sequence[bool] = (),
    wrap: bool = False,
) -> Markup:
    """A table in a box that scrolls, reachable by keyboard; the first column heads each row.

    Args:
        caption: what it shows.
        rows: with the same keys, which head the columns; at least one.
        few: for each row, whether to set it apart as resting on too little.
        wrap: let long cells take several lines.
    """
    head = [tag("th", text(name), scope="col", **_kind(rows[0][name])) for name in rows[0]]
    body = []
    for i, row in enumerate(rows):
        (first, value), *rest = row.items()
        del first
        cells = [tag("th", text(shown(value)), scope="row", **_kind(value))]
        cells += [tag("td", text(shown(value)), **_kind(value)) for _, value in rest]
        body.append(tag("tr", *cells, **({"class_": "few"} if few and few[i] else {})))
    made = tag(
        "table",
        tag("caption", text(caption)),
        tag("thead", tag("tr", *head)),
        tag("tbody", *body),
        **({"class_": "wrap"} if wrap else {}),
    )
    return tag("div", made, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _kind(value: object) -> dict[str, str]:
    return {"class_": "text"} if isinstance(value, str) and not _is_number(value) else {}


def _is_number(value: str) -> bool:
    return value.lstrip("+-\N{MINUS SIGN}").replace(".", "").replace(",", "").isdigit()


def shown(value: object) -> str:
    """A number as people read it; `NaN` where it is undefined.

    >>> shown(0.12345), shown(12345), shown(float("nan")), shown("c23"), shown(True)
    ('0.123', '12,345', 'NaN', 'c23', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def signed(value: float) -> str:
    """A difference with its sign.

    >>> signed(0.0123), signed(-0.5), signed(float("nan"))
    ('+0.012', '−0.500', 'NaN')
    """
    return "NaN" if math.isnan(value) else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def interval(low: float, high: float) -> str:
    """Both ends of an interval of differences.

    >>> interval(-0.01, 0.02)
    '−0.010 to +0.020'
    """
    return "NaN" if math.isnan(low) else f"{signed(low)} to {signed(high)}"
