"""What every HTML report must be: one file that loads nothing, and that all can reach."""

import itertools
import json
import os
import re
import subprocess
from html.parser import HTMLParser

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


def require_self_contained(page, html):
    """It is one file without scripts that asks for nothing else."""
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not page.all("script", "iframe", "object", "embed")
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "action"):
                assert value.startswith(("#", "data:")), (tag, name, value[:60])
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.S)
    assert "url(" not in style and "@import" not in style
    assert "http" not in re.sub(r'src="[^"]*"', "", html)


def require_reachable(page):
    """It can be read without a mouse or a screen."""
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
    assert not any(int(a.get("tabindex", 0)) > 0 for _, a in page.elements)


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


def require_shown(chromium, folder, html, *, images, stops):
    """Figures are drawn, every stop takes the focus, nothing is loaded, the page is no wider."""
    probed = folder / "probed.html"
    probed.write_text(html.replace("</body>", PROBE))
    ran = _chromium(chromium, folder, "--dump-dom", "--virtual-time-budget=5000", probed.as_uri())
    (title,) = re.findall(r"<title>(.*?)</title>", ran.stdout, re.S)
    seen = json.loads(title.replace("&quot;", '"'))
    assert "CONSOLE" not in ran.stderr
    assert len(seen["images"]) == images
    for complete, natural_width, height in seen["images"]:
        assert complete and natural_width > 0 and height > 100
    assert seen["reached"] == seen["stops"] > stops
    assert seen["loaded"] == []
    assert seen["wide"] <= 0


def printed_pages(chromium, folder, html):
    """How many pages it prints on."""
    (folder / "report.html").write_text(html)
    out = folder / "report.pdf"
    source = (folder / "report.html").as_uri()
    _chromium(chromium, folder, "--no-pdf-header-footer", f"--print-to-pdf={out}", source)
    return len(re.findall(rb"/Type\s*/Page\b", out.read_bytes()))
