"""Running medians: those of the histograms as OpenFace defines them, one by one and counted."""

import numpy as np
import openface_models as of
import pytest
import torch

from facekit.openface import medians
from facekit.openface.description import Describer
from facekit.openface.medians import RunningMedian
from facekit.openface.model_files import FEATURES, HOG_SIZE


def _bins_slowly(values):
    places = []
    for number, value in enumerate(values):
        low, high, count = (-0.005, 1.0, 1000) if number < HOG_SIZE else (-60.0, 60.0, 10_000)
        places.append(min(max(int((value - low) * count / (high - low)), 0), count - 1))
    return np.array(places)


def _median_slowly(votes):
    """The first bin up to which (n + 1) // 2 of the votes lie, and its middle."""
    place = np.sort(votes, axis=0)[(len(votes) + 1) // 2 - 1]
    hog = np.maximum(-0.005 + (place[:HOG_SIZE] + 0.5) * 0.001005, 0.0)
    return np.concatenate([hog, -60.0 + (place[HOG_SIZE:] + 0.5) * 0.012])


def test_bins_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(-0.02, 1.1, HOG_SIZE), rng.normal(0, 30, 238)])
    values[:4] = (-5.0, -0.005, 1.0, 99.0)
    values[-3:] = (-60.0, 60.0, -61.0)
    found = medians.bins(torch.tensor(values)[None])
    np.testing.assert_array_equal(found[0], _bins_slowly(values))
    assert found.min() == 0 and found.max() == 9999


@pytest.mark.parametrize("few", [0, 1, 5, 1000])
def test_a_median_is_the_same_kept_or_counted(monkeypatch, few):
    monkeypatch.setattr(medians, "FEW_VOTES", few)
    rng = np.random.default_rng(few)
    running, votes = RunningMedian(), []
    for number in range(24):
        wide = 3 if number % 5 else 400  # far jumps, and many on the same bin
        votes.append(rng.integers(0, wide, FEATURES).astype(np.int16))
        running.add(votes[-1])
        assert running.votes == len(votes)
        np.testing.assert_allclose(running.value(), _median_slowly(np.stack(votes)), atol=1e-12)


def test_counting_on_demand_changes_nothing():
    rng = np.random.default_rng(9)
    votes = rng.integers(0, 50, (7, FEATURES)).astype(np.int16)
    kept, counted = RunningMedian(), RunningMedian()
    counted.count()
    for number, vote in enumerate(votes):
        kept.add(vote)
        counted.add(vote)
        if number == 3:
            kept.value()
            kept.count()
    np.testing.assert_array_equal(kept.value(), counted.value())


def test_without_votes_it_is_the_first_bin():
    value = RunningMedian().value()
    assert set(value[:HOG_SIZE]) == {0.0}
    np.testing.assert_allclose(value[HOG_SIZE:], -59.994)


def test_final_medians_are_those_of_openface(data_dir, pyfeat_clips, real_set, cpu):
    """Every other frame of the clip votes, the first one among them."""
    clip = of.reference("WolfgangLanger_Pexels", data_dir, pyfeat_clips)
    describer, running = Describer(real_set, cpu), RunningMedian()
    voting = [i for i in range(0, len(clip.images), 2) if clip.arrays["all_ok"][i]]
    for start in range(0, len(voting), 32):
        some = voting[start : start + 32]
        images = [clip.images[i] for i in some]
        description_NF, sound = describer(images, clip.arrays["all_landmarks"][some])
        assert sound.all()
        for vote in medians.bins(description_NF):
            running.add(vote)
    hog, geometry = np.split(running.value(), [HOG_SIZE])
    np.testing.assert_allclose(geometry, clip.arrays["final_geometry_median"], atol=1e-6)
    off = np.abs(hog - clip.arrays["final_fhog_median"])
    assert (off > 1e-6).mean() < 0.01 and off.max() < 0.005  # a few, by a few bins
