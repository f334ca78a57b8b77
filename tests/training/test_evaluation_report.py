import base64
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import html_reports
import numpy as np
import pandas as pd
import pytest
import trained_runs

from training import evaluation_figures, evaluation_report, protocols
from training.checkpoint import Loaded
from training.evaluate import CLEAN, Asked, Evaluation, Perturbed
from training.held_back import Part
from training.localisation import Localisation
from training.perturbations import suite

METHODS = ("Deepfakes", "FaceSwap")


def _videos(dataset, pairs):
    videos = pd.DataFrame(
        [(method, pair) for pair in range(pairs) for method in ("real", *METHODS)],
        columns=["method", "pair"],
    )
    pair = videos["pair"].astype(str)
    real = f"{dataset}/real/" + pair
    is_fake = videos["method"] != "real"
    return videos.assign(
        key=f"{dataset}/" + videos["method"] + "/" + pair,
        dataset=dataset,
        compression="c23",
        label=is_fake.astype(int),
        original=real.where(is_fake, ""),
        group="",
        status=np.where(videos["pair"] == 0, "timeout", "ok"),
    )


@pytest.fixture(scope="module")
def found():
    """Made-up scores of two datasets; pair 0 of each could not be extracted."""
    videos = pd.concat([_videos("ffpp", 12), _videos("cdf", 6)], ignore_index=True)
    rng = np.random.default_rng(0)
    scored = videos[videos["status"] == "ok"]

    def faces(name, level):
        score = np.clip(rng.normal(0.4 + 0.2 * scored["label"] / (1 + level), 0.2), 0, 1)
        return pd.DataFrame(
            {
                "key": scored["key"],
                "frame_index": 0,
                "track_id": 0,
                "score": score,
                "class_score": score,
                "token_score": score,
                "perturbation": name,
                "level": level,
            }
        )

    hardships = suite("blur,noise,blocks")
    every = [faces(CLEAN, 0), *(faces(each.name, each.level) for each in hardships)]
    comparisons = protocols.compare(every[0], videos, "video", bootstrap=20)
    perturbed = [
        Perturbed(
            how=how,
            comparisons=[
                each
                for each in protocols.compare(spoilt, videos, "video", bootstrap=0, originals=False)
                if each.method == protocols.ALL
            ],
        )
        for how, spoilt in zip(hardships, every[1:], strict=True)
    ]
    why = protocols.missing(every[0], videos)
    named = protocols.named(videos).assign(
        score=0.5, frames=1, faces=1, missing=[why.get(key, "") for key in videos["key"]]
    )
    return Evaluation(
        asked=Asked(
            run="a",
            which="best",
            shards={"test": "ab" * 32},
            protocol="video",
            split="auto",
            frames=32,
            perturb="all",
            bootstrap=20,
        ),
        loaded=Loaded(None, trained_runs.config(), 1200, "cd" * 32),
        part=Part(
            kept_V=np.ones(len(videos), bool),
            role_V=np.full(len(videos), "", object),
            told={"ffpp": "36 videos held back from training", "cdf": "its own test split"},
        ),
        videos=named,
        faces=pd.concat(every),
        unlabelled=["odd"],
        comparisons=comparisons,
        perturbed=perturbed,
        localisation={
            "ffpp": Localisation(
                real=3,
                fake=4,
                pixel_accuracy=0.9,
                miou=0.8,
                pixel_accuracy_fake=0.7,
                miou_fake=0.6,
                missing={"the video has no mask": 2},
            )
        },
    )


@pytest.fixture(scope="module")
def drawn(found):
    return evaluation_figures.draw(found)


@pytest.fixture(scope="module")
def html(found, drawn):
    return evaluation_report.render(found, drawn)


@pytest.fixture(scope="module")
def page(html):
    return html_reports.Page(html)


def test_it_is_one_file_that_loads_nothing(page, html):
    html_reports.require_self_contained(page, html)


def test_it_can_be_read_without_a_mouse_or_a_screen(page):
    html_reports.require_reachable(page)
    assert len(page.all("summary")) == len(page.all("details")) == 2


def test_every_figure_is_in_it_and_described(page, drawn):
    assert [each.name for each in drawn] == ["roc", "robustness"]
    for image, each in zip(page.all("img"), drawn, strict=True):
        assert base64.b64decode(image["src"].partition(",")[2]) == each.svg
        assert ET.fromstring(each.svg).tag.endswith("svg")
        assert len(image["alt"]) > 50


def test_it_says_what_was_found_and_what_it_rests_on(page, found):
    text = re.sub(r"\s+", " ", page.text)
    for each in found.comparisons:
        assert f"{100 * each.summary.auc.value:.2f}" in text
    for told in (
        "33 of 36 (3 timeout) videos were scored",
        "36 videos held back from training",
        "Not scored: 6 of 54 videos",
        "odd",
        "11 sets of people",
        "cd" * 32,
        "ab" * 32,
        "equation 3",
        "nothing was chosen by these videos",
        "2 the video has no mask",
        "data.margin_low",
        "Deepfakes",
        "its originals",
    ):
        assert told in text, told


def test_without_perturbations_and_masks_there_is_nothing_of_them(found):
    plain = replace(found, perturbed=(), localisation={})
    drawn = evaluation_figures.draw(plain)
    page = html_reports.Page(evaluation_report.render(plain, drawn))
    ids = {attributes.get("id") for attributes in page.all("section")}
    assert not ids & {"robustness", "localisation"} and "roc" in ids
    assert len(page.all("img")) == 1


def test_figures_that_are_undefined_are_nan_with_a_reason(found):
    videos = found.videos.drop(columns=["score", "frames", "faces"])
    nothing = protocols.compare(found.faces[:0], videos, "video", bootstrap=0)
    empty = replace(found, comparisons=nothing, perturbed=(), localisation={})
    text = html_reports.Page(evaluation_report.render(empty, evaluation_figures.draw(empty))).text
    assert "NaN" in text and "nothing was scored" in text


def test_names_from_outside_cannot_become_markup(found, drawn):
    evil = '<script>alert("1")</script>&'
    each = replace(found.comparisons[-1], dataset=evil)
    changed = replace(
        found,
        comparisons=[each],
        perturbed=(),
        unlabelled=[evil],
        videos=found.videos.assign(key=evil),
        asked=replace(found.asked, run=evil),
    )
    drawing = [replace(one, title=evil, text=f'" onload="{evil}') for one in drawn]
    page = html_reports.Page(evaluation_report.render(changed, drawing))
    assert not page.all("script") and evil in page.text
    assert not any("onload" in attributes for _, attributes in page.elements)


def test_the_same_findings_are_the_same_page(found, html):
    assert evaluation_report.render(found, evaluation_figures.draw(found)) == html


def test_chromium_shows_it_without_an_error(tmp_path, html, chromium):
    html_reports.require_shown(chromium, tmp_path, html, images=2, stops=8)


def test_chromium_prints_it(tmp_path, html, chromium):
    assert 3 <= html_reports.printed_pages(chromium, tmp_path, html) <= 12
