"""How the report of `au_stats` looks, on a screen and on paper."""

from typing import Final

CSS: Final = """
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
#figure-average_intensity img, #figure-occurrence img { max-width: 67rem; }
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
"""Nothing is loaded from anywhere; there is no script."""
