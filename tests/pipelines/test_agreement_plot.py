"""The picture of an agreement: what stands where, and that it is the same anywhere."""

from dataclasses import replace

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from facekit.errors import BadInput
from pipelines import agreement_plot
from pipelines.au_agreement import AuAgreement, AuComparison
from pipelines.label_joining import Unjoined


def unit(au, both, only_a, only_b, neither, kappa, *, intensities=0, mae=np.nan, icc=np.nan):
    return AuAgreement(
        au=au,
        both=both,
        only_a=only_a,
        only_b=only_b,
        neither=neither,
        unknown_in_a=0,
        unknown_in_b=0,
        agreement=0.9,
        kappa=kappa,
        f1=0.6,
        clip_kappa=kappa - 0.1,
        clips=3,
        intensities=intensities,
        intensity_mae=mae,
        intensity_pearson=icc,
        intensity_icc=icc,
    )


FOUND = AuComparison(
    a="mine_$x$_shards",
    b="/a/very/long/path/" + 9 * "that/goes/on/" + "refs",
    au_mode_a="static",
    au_mode_b="imported",
    videos=4,
    faces=200,
    videos_only_in_a=[],
    videos_only_in_b=[],
    unjoined=Unjoined(),
    aus=[
        unit("AU01", 100, 20, 20, 60, 0.5, intensities=200, mae=0.4, icc=0.25),
        unit("AU28", 5, 15, 0, 180, -0.3),
        unit("AU45", 0, 0, 0, 0, np.nan, intensities=200, mae=0.2),
    ],
    aus_only_in_a=[],
    aus_only_in_b=[],
    min_positives=100,
)


@pytest.fixture
def axes():
    return Figure().subplots()


def marks(axes):
    return {str(line.get_label()): line.get_xydata() for line in axes.get_lines()}


def test_scores_stand_in_the_row_of_their_action_unit(axes):
    agreement_plot.draw_scores(axes, FOUND)
    drawn = marks(axes)
    np.testing.assert_allclose(
        drawn["Cohen's kappa, all faces"], [(0.5, 0), (-0.3, 1), (np.nan, 2)]
    )
    np.testing.assert_allclose(drawn["Cohen's kappa, mean of clips"][:2], [(0.4, 0), (-0.4, 1)])
    assert "mean kappa, 100+ in B: 0.500" in drawn
    assert axes.get_xlim()[0] < -0.4  # nothing is cut off
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels] == [
        "AU01 inner brow raiser", "AU28 lip suck", "AU45 blink",
    ]  # fmt: skip
    assert labels[0].get_color() != labels[1].get_color() == labels[2].get_color()


def test_no_mean_is_drawn_where_there_is_none(axes):
    agreement_plot.draw_scores(axes, replace(FOUND, min_positives=1000))
    assert not any("mean kappa" in label for label in marks(axes))


def test_rates_are_shares_of_the_labelled_faces(axes):
    agreement_plot.draw_rates(axes, FOUND)
    drawn = marks(axes)
    np.testing.assert_allclose(drawn["A"], [(60, 0), (10, 1), (np.nan, 2)])
    np.testing.assert_allclose(drawn["B"], [(60, 0), (2.5, 1), (np.nan, 2)])


def test_intensities_are_bars_with_their_icc(axes):
    agreement_plot.draw_intensity(axes, FOUND)
    bars = [(bar.get_width(), bar.get_y() + bar.get_height() / 2) for bar in axes.patches]
    np.testing.assert_allclose(bars, [(0.4, 0), (0.2, 2)])
    assert [text.get_text() for text in axes.texts] == ["0.25", ""]


def test_intensities_may_be_missing(axes):
    silent = replace(FOUND, aus=[FOUND.aus[1]])
    agreement_plot.draw_intensity(axes, silent)
    assert not axes.patches
    assert len(agreement_plot.draw(silent).axes) == 2
    assert len(agreement_plot.draw(FOUND).axes) == 3


def test_marks_differ_in_shape_and_not_in_colour_alone(axes):
    agreement_plot.draw_scores(axes, FOUND)
    points = [line for line in axes.get_lines() if line.get_marker() not in ("None", "")]
    assert len(points) == 4
    looks = {(line.get_marker(), to_hex(line.get_markerfacecolor())) for line in points}
    assert len(looks) == 4
    assert sorted(line.get_marker() for line in points) == ["^", "o", "o", "|"]


@pytest.mark.parametrize("ending", ["png", "svg", "PNG"])
def test_the_same_findings_give_the_same_bytes_whatever_the_settings(tmp_path, ending):
    one, other = tmp_path / f"one.{ending}", tmp_path / f"other.{ending}"
    agreement_plot.write(FOUND, one)
    settings = {"font.size": 30, "axes.facecolor": "black", "savefig.dpi": 20, "text.usetex": True}
    with mpl.rc_context(settings):
        agreement_plot.write(FOUND, other)
    assert one.read_bytes() == other.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {one.name, other.name}
    if ending != "svg":
        height, width, _ = cv2.imread(str(one)).shape
        assert (height > 300, width > 1000) == (True, True)


@pytest.mark.parametrize(
    ("name", "said"), [("plot.jpg", "PNG or SVG"), ("missing/plot.png", "cannot be written")]
)
def test_what_cannot_be_written_is_said(tmp_path, name, said):
    with pytest.raises(BadInput, match=said):
        agreement_plot.write(FOUND, tmp_path / name)
    assert not list(tmp_path.iterdir())
