import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from facekit.landmarkers import heatmaps

FAN_SIGMA = 3.25
"""Width of the targets that face-alignment's own `create_target_heatmap` draws."""


def drawn(centre_M2, sigma, peak=1.0, side=64):
    """One map a centre, as (1, M, side, side)."""
    cells = np.arange(side)
    x = np.exp(-((cells - centre_M2[:, :1]) ** 2) / (2 * sigma**2))
    y = np.exp(-((cells - centre_M2[:, 1:]) ** 2) / (2 * sigma**2))
    return (peak * y[:, :, None] * x[:, None, :])[None].astype(np.float32)


def centres(count=500, low=8.0, high=55.0):
    return np.random.default_rng(0).uniform(low, high, (count, 2))


@pytest.fixture
def by_face_alignment(monkeypatch):
    """The library's own reading of maps: cells, to a quarter, their centres at halves.

    Without its compiler, which takes longer than all these tests.
    """
    from face_alignment import utils

    monkeypatch.setattr(utils, "_get_preds_fromhm", utils._get_preds_fromhm.py_func)
    return lambda map_NKHW: utils.get_preds_fromhm(map_NKHW)[0] - 0.5


@pytest.mark.parametrize("shape", [(0, 68, 64, 64), (2, 0, 64, 64), (3, 5, 16, 24)])
def test_shape(shape):
    points = heatmaps.peaks(np.ones(shape, np.float32))
    assert points.shape == (*shape[:2], 2)
    assert points.dtype == np.float32


@pytest.mark.parametrize("peak", [1.0, 0.2])
@pytest.mark.parametrize(
    ("sigma", "noise", "smooth", "most"),
    [
        (1.5, 0.0, 0, 0.022),
        (2.0, 0.0, 0, 0.003),
        (FAN_SIGMA, 0.0, 0, 0.003),
        (1.5, 0.01, 0, 0.026),
        (2.0, 0.01, 0, 0.020),
        (FAN_SIGMA, 0.01, 0, 0.020),
        (FAN_SIGMA, 0.02, 2, 0.065),
    ],
)
def test_mean_error_on_known_centres(by_face_alignment, sigma, noise, smooth, most, peak):
    centre_M2 = centres()
    grain = np.random.default_rng(1).normal(size=(1, len(centre_M2), 64, 64))
    if smooth:
        grain = gaussian_filter(grain, (0, 0, smooth, smooth))
        grain /= grain.std()
    map_NKHW = (drawn(centre_M2, sigma, peak) + noise * peak * grain).astype(np.float32)
    ours = np.abs(heatmaps.peaks(map_NKHW)[0] - centre_M2).mean()
    theirs = np.abs(by_face_alignment(map_NKHW)[0] - centre_M2).mean()
    assert ours < most
    assert ours < theirs / 2


def test_a_quarter_is_all_that_face_alignment_reads_otherwise(by_face_alignment):
    map_NKHW = drawn(centres(), FAN_SIGMA)
    difference = np.abs(heatmaps.peaks(map_NKHW) - by_face_alignment(map_NKHW))
    assert 0.1 < difference.mean() < 0.2
    assert difference.max() < 0.26


def test_a_peak_on_a_cell_is_read_as_that_cell():
    whole = np.array([[8, 8], [20, 50], [55, 31]], float)
    np.testing.assert_allclose(heatmaps.peaks(drawn(whole, FAN_SIGMA))[0], whole, atol=1e-5)


@pytest.mark.parametrize("cell_xy", [(0, 0), (63, 0), (0, 63), (63, 63), (0, 30), (62, 63)])
def test_a_peak_at_the_border_stays_in_its_cell(cell_xy):
    (found,) = heatmaps.peaks(drawn(np.array([cell_xy], float), 1.5))[0]
    assert np.abs(found - cell_xy).max() < 0.5
    assert (found >= 0).all()
    assert (found <= 63).all()


def test_a_lower_peak_elsewhere_does_not_pull():
    both = np.array([[20.3, 20.6], [45.0, 45.0]])
    first, second = drawn(both, 2.0)[0]
    lone = heatmaps.peaks(first[None, None])
    np.testing.assert_allclose(heatmaps.peaks((first + 0.9 * second)[None, None]), lone, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_a_map_that_is_nowhere_positive_gives_its_highest_cell(value):
    map_NKHW = np.full((1, 1, 64, 64), value - 1.0, np.float32)
    map_NKHW[0, 0, 12, 40] = value
    assert heatmaps.peaks(map_NKHW).tolist() == [[[40.0, 12.0]]]


def test_maps_do_not_see_each_other():
    map_NKHW = drawn(centres(12), 2.0).reshape(3, 4, 64, 64)
    together = heatmaps.peaks(map_NKHW)
    for n in range(3):
        assert heatmaps.peaks(map_NKHW[n : n + 1]).tobytes() == together[n].tobytes()


def test_mirrored_maps_give_mirrored_peaks():
    map_NKHW = drawn(centres(), 2.0)
    x, y = np.moveaxis(heatmaps.peaks(map_NKHW), -1, 0)
    mirrored_x, mirrored_y = np.moveaxis(heatmaps.peaks(map_NKHW[..., ::-1]), -1, 0)
    np.testing.assert_allclose(mirrored_x, 63 - x, atol=1e-4)
    np.testing.assert_allclose(mirrored_y, y, atol=1e-4)
