"""A report as one HTML file: no network, no script, to read with eyes, ears or on paper."""

import base64
from collections.abc import Sequence
from typing import Final

from facekit.drawings import Drawing
from facekit.markup import Markup, tag, text

Section = tuple[str, str, Markup]
"""Id, title and content of a part of the page."""


def page(title: str, lead: str, sections: Sequence[Section], *, css: str = "") -> str:
    """The whole page: a heading, a list of its parts, the parts.

    Args:
        title: of the page.
        lead: one line below it.
        sections: its parts.
        css: rules of its own, after the common ones.

    >>> page("Title", "Lead", [("a", "A", text("content"))]).partition("<body>")[2][:46]
    '<a href="#main" class="skip">To the findings</'
    """
    head = Markup(
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        'initial-scale=1"><link rel="icon" href="data:,">'
    )
    links = (tag("li", tag("a", text(named), href=f"#{name}")) for name, named, _ in sections)
    parts = (
        tag("section", tag("h2", text(named)), body, id=name) for name, named, body in sections
    )
    made = tag(
        "html",
        tag("head", head, tag("title", text(title)), tag("style", Markup(_CSS + css))),
        tag(
            "body",
            tag("a", text("To the findings"), href="#main", class_="skip"),
            tag("header", tag("h1", text(title)), tag("p", text(lead), class_="lead")),
            tag("nav", tag("ul", *links), aria_label="Contents"),
            tag("main", *parts, id="main"),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{made}\n"


def figure(drawn: Drawing) -> Markup:
    """A drawing within the page, with its title and text as caption and for a reader of screens."""
    source = f"data:image/svg+xml;base64,{base64.b64encode(drawn.svg).decode('ascii')}"
    image = Markup(f'<img src="{source}" alt="{text(f"{drawn.title}. {drawn.text}")}">')
    caption = tag("figcaption", tag("strong", text(f"{drawn.title}. ")), text(drawn.text))
    return tag("figure", image, caption, id=f"figure-{drawn.name}")


_CSS: Final = """
:root { --ink: #1a1a1a; --faint: #595959; --line: #d4d4d4; --link: #0b3c6f; --ground: #f5f6f8; }
* { box-sizing: border-box; }
html { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
body { margin: 0; color: var(--ink); background: #fff; }
main, header, nav { max-width: 70rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; padding-top: .6rem;
     border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.4rem 0 .3rem; }
p, li { max-width: 46rem; }
.lead { color: var(--faint); }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible {
  outline: 3px solid #d55e00; outline-offset: 2px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; background: #fff; padding: .5rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; }
figure { margin: 1rem 0 2rem; }
figure img { display: block; width: 100%; max-width: var(--wide, 54rem); height: auto; }
figcaption { color: var(--faint); font-size: .9rem; max-width: 46rem; margin-top: .4rem; }
.scroll { overflow-x: auto; max-height: 34rem; overflow-y: auto; border: 1px solid var(--line); }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding: .4rem .6rem; }
th, td { padding: .28rem .6rem; text-align: right; white-space: nowrap; }
th.text, td.text { text-align: left; }
thead th { position: sticky; top: 0; background: var(--ground);
  border-bottom: 1px solid var(--line); }
tbody tr:nth-child(even) { background: #fafafa; }
tr.few td, tr.few th { color: #6b6b6b; font-style: italic; }
td strong { font-weight: 700; }
table.wrap td { white-space: normal; overflow-wrap: anywhere; text-align: left; }
summary { cursor: pointer; font-weight: 600; margin: .6rem 0; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88em; }
.note { border-left: 4px solid #d55e00; padding: .1rem 0 .1rem 1rem; margin: 1rem 0; }
footer { max-width: 70rem; margin: 3rem auto 2rem; padding: 0 1.25rem; color: var(--faint); }
@page { size: A4; margin: 14mm; }
@media print {
  html { font-size: 10pt; }
  nav, .skip { display: none; }
  main, header { max-width: none; padding: 0; }
  h2, h3, caption, summary { break-after: avoid; }
  figure, tr, .note, .scroll { break-inside: avoid; }
  figure img { max-height: 235mm; width: auto; max-width: 100%; }
  .scroll { overflow: visible; max-height: none; border: 0; }
  table { font-size: 6.6pt; }
  th, td { padding: .12rem .22rem; }
  thead { display: table-header-group; }
  thead th { position: static; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
