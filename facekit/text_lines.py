"""Findings as lines of text for a person."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice


def flat(value: object, prefix: str = "") -> dict[str, object]:
    """Nested mappings as one, keys joined by dots.

    >>> flat({"detector": {"name": "yunet", "models": {}}, "frames": "32"})
    {'detector.name': 'yunet', 'detector.models': {}, 'frames': '32'}
    """
    if not isinstance(value, Mapping) or not value:
        return {prefix: value} if prefix else {}
    return {
        name: inner
        for key, part in value.items()
        for name, inner in flat(part, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def section(title: str, values: Mapping[str, object]) -> Iterator[str]:
    """A title and one line a value; nothing where there are none.

    >>> list(section("frames", {"decoded": 12345, "fps": 25.0}))
    ['', 'frames', '  decoded  12,345', '  fps      25']
    """
    if not values:
        return
    yield from ("", title)
    width = max(map(len, values))
    for name, value in values.items():
        yield f"  {name:<{width}}  {said(value)}"


def listed(title: str, lines: Sequence[str], *, most: int = 20) -> Iterator[str]:
    """A title with the number of lines and the first of them; nothing where there are none.

    >>> list(listed("videos only in A", ["a", "b", "c"], most=2))
    ['', '3 videos only in A', '  a', '  b', '  and 1 more']
    """
    if not lines:
        return
    yield from ("", f"{len(lines):,} {title}")
    yield from (f"  {line}" for line in islice(lines, most))
    if len(lines) > most:
        yield f"  and {len(lines) - most:,} more"


def table(title: str, rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """A title and rows with the same keys, in columns; nothing where there are none.

    >>> list(table("units", [{"name": "AU01", "rate": 0.25}]))
    ['', 'units', '  name rate', '  AU01 0.25']
    """
    import pandas as pd

    texts = [{name: said(value) for name, value in row.items()} for row in rows]
    if not texts:
        return
    yield from ("", title)
    yield from (f"  {line}" for line in pd.DataFrame(texts).to_string(index=False).splitlines())


def said(value: object) -> str:
    """A value as text: six digits, thousands apart, a dash for nothing.

    >>> said(12345), said(2 / 3), said(None), said("c23")
    ('12,345', '0.666667', '-', 'c23')
    """
    if value is None or value == "" or value == {}:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
