import io
import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import forgeries
import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from facekit import drawings
from pipelines import figures
from pipelines.au_inference import FEWEST_GROUPS
from pipelines.au_stats import au_stats


def _labels(key):
    """AU12 never occurs in fakes; AU45 in two videos alone."""
    values = forgeries.occurrence(key)
    values[:, 2] = 0 if "Deepfakes" in key else values[:, 2]
    values[:, 3] = values[:, 3] if key.endswith(("000", "000_001")) else 0
    return values


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    videos = forgeries.videos(12)
    folder = forgeries.shards(tmp_path_factory.mktemp("figures") / "in", videos, labels=_labels)
    return au_stats(folder, volumes="0.5,1", bootstrap=100, permutations=100)


@pytest.fixture(scope="module")
def drawn(found):
    return figures.draw(found)


@pytest.fixture
def axes():
    return Figure().subplots()


def _marks(axes, marker):
    """(x, y) of every point drawn with a marker."""
    lines = [line for line in axes.get_lines() if line.get_marker() == marker]
    return np.concatenate([np.column_stack(line.get_data()) for line in lines])


@pytest.mark.parametrize(
    ("plot", "quantity"),
    [(figures.plot_average_intensity, "average"), (figures.plot_occurrence, "rate")],
)
def test_stars_are_real_and_triangles_fake(axes, found, plot, quantity):
    comparison = found.comparisons[1]
    plot(axes, comparison)
    for marker, side in (("*", comparison.real), ("^", comparison.fake)):
        points = _marks(axes, marker)
        points = points[np.argsort(points[:, 0])]
        assert np.rint(points[:, 0]).tolist() == [0, 1, 2, 3]
        np.testing.assert_array_equal(points[:, 1], getattr(side, quantity).value)
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    assert names[0] == "AU01 inner brow raiser"
    assert "12 real and 12 fake videos, 6 identity groups" in axes.get_title(loc="left")


def test_intervals_are_drawn(axes, found):
    comparison = found.comparisons[1]
    figures.plot_average_intensity(axes, comparison)
    ends = [
        (segment[0, 1], segment[1, 1])
        for lines in axes.collections
        for segment in lines.get_segments()
        if len(segment)
    ]
    for side in (comparison.real, comparison.fake):
        assert (side.average.low[0], side.average.high[0]) in ends


def test_what_cannot_be_judged_is_faint(axes, found):
    comparison = found.comparisons[1]
    assert comparison.is_judged == [True, True, False, False]
    figures.plot_average_intensity(axes, comparison)
    for line in axes.get_lines():
        if line.get_marker() in "*^":
            is_faint = {int(np.rint(x)) for x in line.get_xdata()} == {2, 3}
            assert (line.get_alpha() < 0.5) == is_faint
    assert FEWEST_GROUPS == 5


def test_sure_differences_bear_a_diamond(axes, found):
    p = np.array([0.01, 0.2, math.nan, 0.049])
    figures.plot_average_intensity(axes, replace(found.comparisons[1], p_holm_A=p))
    assert _marks(axes, "D")[:, 0].tolist() == [0, 3]


def test_maps_share_their_scale_and_cross_out_what_is_undefined(axes, found):
    comparison = found.comparisons[1]
    picture = figures.plot_correlation(axes, comparison.fake.correlation_AA, comparison.au_names)
    assert picture.get_clim() == (0.0, 1.0)
    assert picture.get_array().mask[2].all()
    assert len(axes.get_lines()) == 2 * 4, "two strokes for each j of AU12"
    assert [tick.get_text() for tick in axes.get_yticklabels()][2] == "AU12 lip corner puller"


def test_numbers_stand_where_the_interval_excludes_0(axes, found):
    change = found.comparisons[1].correlation_change
    low, high = np.full((4, 4), -1.0), np.full((4, 4), 1.0)
    low[0, 1], high[1, 0], low[2, 3], low[3, 3] = 0.01, -0.01, 0.01, 0.01
    value = np.array(change.value)
    value[0, 1], value[1, 0] = 0.25, -0.125
    figures.plot_change(
        axes,
        replace(change, value=value, low=low, high=high),
        found.comparisons[1].au_names,
        judged_A=np.array([True, True, False, True]),
    )
    numbers = {text.get_position(): text.get_text() for text in axes.texts}
    assert numbers == {(1, 0): "+25", (0, 1): "\N{MINUS SIGN}12"}


def test_every_figure_is_drawn_once(drawn):
    assert [each.name for each in drawn] == [
        "average_intensity", "occurrence", "correlation_Deepfakes-50", "correlation_Deepfakes-100",
    ]  # fmt: skip
    names = {f"{each.name}.{kind}" for each in drawn for kind in ("png", "svg")}
    assert set(drawings.files(drawn)) == names


def test_pictures_are_sharp_and_not_empty(drawn):
    for each in drawn:
        image = np.asarray(Image.open(io.BytesIO(each.png)).convert("L"))
        assert image.shape[1] >= 1800
        assert (image < 128).mean() > 0.002
        assert (image[:4] > 250).all() and (image[:, -4:] > 250).all(), "nothing is cut at the rim"


def test_vectors_hold_nothing_that_changes_or_loads(drawn, found):
    for each, again in zip(drawn, figures.draw(found), strict=True):
        assert each.svg == again.svg
        assert each.png == again.png
        root = ET.fromstring(each.svg)
        assert root.tag.endswith("svg")
        text = each.svg.decode()
        assert "<script" not in text
        assert "date" not in text.lower().split("<defs>")[0]
        links = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")]
        assert all(link.startswith(("#", "data:image/png")) for link in links)


def test_settings_of_the_user_change_nothing(drawn, found):
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        again = figures.draw(found)
        assert matplotlib.rcParams["font.size"] == 30
    assert [each.svg for each in again] == [each.svg for each in drawn]


def _lightness(colour):
    """Relative luminance of sRGB."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_the_colours_differ_in_grey_too():
    light, dark = _lightness(drawings.FAKE), _lightness(drawings.REAL)
    assert (light + 0.05) / (dark + 0.05) > 2.5
    assert 1.05 / (light + 0.05) > 3, "against white"
