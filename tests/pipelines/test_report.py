import base64
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import forgeries
import html_reports
import numpy as np
import pytest

from pipelines import figures, report
from pipelines.au_stats import au_stats


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
    return html_reports.Page(html)


def test_it_is_one_file_that_loads_nothing(page, html):
    html_reports.require_self_contained(page, html)


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
    html_reports.require_reachable(page)
    assert len(page.all("summary")) == len(page.all("details")) == 1


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
    assert said in html_reports.Page(report.render(changed, drawn)).text


def test_names_from_outside_cannot_become_markup(found, drawn):
    (each,) = found.comparisons
    evil = '<script>alert("1")</script>&'
    pairs = tuple(replace(pair, real=evil) for pair in each.selection.pairs)
    selection = replace(each.selection, method=evil, pairs=pairs)
    drawing = [replace(d, title=evil, text=f'" onload="{evil}') for d in drawn]
    changed = replace(found, comparisons=[replace(each, selection=selection)])
    page = html_reports.Page(report.render(changed, drawing))
    assert not page.all("script")
    assert not any("onload" in attributes for _, attributes in page.elements)
    assert evil in page.text


def test_the_same_findings_are_the_same_page(found, html):
    assert report.render(found, figures.draw(found)) == html


def test_a_long_selection_is_cut_and_says_so(found, drawn, monkeypatch):
    monkeypatch.setattr(report, "_MOST_PAIRS", 5)
    page = html_reports.Page(report.render(found, drawn))
    assert "12 of 12 pairs, the first 5 of them here" in page.text
    assert found.comparisons[0].selection.pairs[5].fake not in page.text


def test_chromium_shows_it_without_an_error(tmp_path, html, chromium):
    html_reports.require_shown(chromium, tmp_path, html, images=3, stops=8)


def test_chromium_prints_it(tmp_path, html, chromium):
    assert 3 <= html_reports.printed_pages(chromium, tmp_path, html) <= 12
