import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import forgeries
import numpy as np
import pytest

from pipelines import figures, report
from pipelines.au_stats import au_stats

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """The elements of a page, and whether each is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open and self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if not self._open or self._open[-1] != "style":
            self.texts.append(data)

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]

    @property
    def text(self):
        return " ".join(self.texts)


def _labels(key):
    values = forgeries.occurrence(key)
    values[:, 3] = -1
    return values


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    videos = forgeries.videos(12, methods=("Face2Face",))
    folder = forgeries.shards(tmp_path_factory.mktemp("report") / "in", videos, labels=_labels)
    return au_stats(folder, bootstrap=100, permutations=100)


@pytest.fixture(scope="module")
def drawn(found):
    return figures.draw(found)


@pytest.fixture(scope="module")
def html(found, drawn):
    return report.render(found, drawn)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_it_is_one_file_that_loads_nothing(page, html):
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not page.all("script", "iframe", "object", "embed")
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "action"):
                assert value.startswith(("#", "data:")), (tag, name, value[:60])
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.S)
    assert "url(" not in style and "@import" not in style
    assert "http" not in re.sub(r'src="[^"]*"', "", html)


def test_every_figure_is_in_it_and_described(page, drawn):
    images = page.all("img")
    assert len(images) == len(drawn) == 3
    for image, each in zip(images, drawn, strict=True):
        kind, data = image["src"].split(",", 1)
        assert kind == "data:image/svg+xml;base64"
        assert base64.b64decode(data) == each.svg
        assert ET.fromstring(each.svg).tag.endswith("svg")
        assert len(image["alt"]) > 50


def test_it_can_be_read_without_a_mouse_or_a_screen(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = page.all("a")
    assert {link["href"].removeprefix("#") for link in links} <= set(ids)
    assert links[0]["class"] == "skip"
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(headings))
    for box in (a for a in page.all("div") if a.get("class") == "scroll"):
        assert (box["tabindex"], box["role"]) == ("0", "region")
        assert box["aria-label"]
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(head["scope"] in ("col", "row") for head in page.all("th"))
    assert len(page.all("summary")) == len(page.all("details")) == 1
    assert not any(int(a.get("tabindex", 0)) > 0 for _, a in page.elements)


def test_it_says_what_was_found_and_how_far_to_believe_it(page, found):
    text = re.sub(r"\s+", " ", page.text)
    (each,) = found.comparisons
    assert "Face2Face, all pairs: 12 originals and their fakes, of 6 identity groups." in text
    assert "borrow the expression of another" in text
    assert "fewer than 20 identity groups" in text
    assert "Labelled on no face, and so without any value (NaN): AU45." in text
    assert "NaN" in text
    for pair in each.selection.pairs:
        assert pair.real in text and pair.fake in text
    for told in (
        "yunet",
        "au_mode",
        "AU01 inner brow raiser",
        "disjoint no, seed 0",
        "over all 3 tests",
    ):
        assert told in text


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.02, "weaker in the fakes, as in the paper, though too few groups"),
        (-0.02, -0.01, "stronger in the fakes, against the paper, though too few groups"),
        (-0.01, 0.02, "do not settle whether it is weaker or stronger"),
        (float("nan"), float("nan"), "One identity group alone gives no interval"),
    ],
)
def test_the_reading_follows_the_interval(found, drawn, low, high, said):
    (each,) = found.comparisons
    overall = replace(each.overall_change, low=np.array(low), high=np.array(high))
    changed = replace(found, comparisons=[replace(each, overall_change=overall)])
    assert said in Page(report.render(changed, drawn)).text


def test_names_from_outside_cannot_become_markup(found, drawn):
    (each,) = found.comparisons
    evil = '<script>alert("1")</script>&'
    pairs = tuple(replace(pair, real=evil) for pair in each.selection.pairs)
    selection = replace(each.selection, method=evil, pairs=pairs)
    drawing = [replace(d, title=evil, text=f'" onload="{evil}') for d in drawn]
    changed = replace(found, comparisons=[replace(each, selection=selection)])
    page = Page(report.render(changed, drawing))
    assert not page.all("script")
    assert not any("onload" in attributes for _, attributes in page.elements)
    assert evil in page.text


def test_the_same_findings_are_the_same_page(found, html):
    assert report.render(found, figures.draw(found)) == html


def test_a_long_selection_is_cut_and_says_so(found, drawn, monkeypatch):
    monkeypatch.setattr(report, "_MOST_PAIRS", 5)
    page = Page(report.render(found, drawn))
    assert "12 of 12 pairs, the first 5 of them here" in page.text
    assert found.comparisons[0].selection.pairs[5].fake not in page.text


PROBE = """<script>
window.addEventListener("load", () => {
  const images = [...document.images].map(i => [i.complete, i.naturalWidth, i.clientHeight]);
  document.querySelectorAll("details").forEach(e => { e.open = true; });
  const stops = [...document.querySelectorAll("a[href], summary, [tabindex]")];
  const reached = stops.filter(e => { e.focus(); return document.activeElement === e; });
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const loaded = performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:"));
  document.title = JSON.stringify({images, stops: stops.length, reached: reached.length, wide,
                                   loaded: loaded.map(e => e.name)});
});
</script></body>"""


@pytest.fixture(scope="module")
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is not installed")
    return found


def _chromium(binary, folder, *arguments):
    command = [
        binary, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", *arguments,
    ]  # fmt: skip
    environment = {**os.environ, "HOME": str(folder)}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran


def test_chromium_shows_it_without_an_error(tmp_path, html, chromium):
    """Figures are drawn, every stop takes the focus, nothing is loaded, the page is no wider."""
    probed = tmp_path / "probed.html"
    probed.write_text(html.replace("</body>", PROBE))
    ran = _chromium(chromium, tmp_path, "--dump-dom", "--virtual-time-budget=5000", probed.as_uri())
    (title,) = re.findall(r"<title>(.*?)</title>", ran.stdout, re.S)
    seen = json.loads(title.replace("&quot;", '"'))
    assert "CONSOLE" not in ran.stderr
    assert len(seen["images"]) == 3
    for complete, natural_width, height in seen["images"]:
        assert complete and natural_width > 0 and height > 100
    assert seen["reached"] == seen["stops"] > 8
    assert seen["loaded"] == []
    assert seen["wide"] <= 0


def test_chromium_prints_it(tmp_path, html, chromium):
    (tmp_path / "report.html").write_text(html)
    out = tmp_path / "report.pdf"
    source = (tmp_path / "report.html").as_uri()
    _chromium(chromium, tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={out}", source)
    pages = len(re.findall(rb"/Type\s*/Page\b", out.read_bytes()))
    assert 3 <= pages <= 12
