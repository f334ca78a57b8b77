"""All linear models at once: what each says by itself."""

import numpy as np
import pytest
import torch

from facekit.openface.model_files import FEATURES
from facekit.openface.predictors import (
    FILLED_FEATURES,
    INTENSITY_NAMES,
    OCCURRENCES,
    LinearModels,
    intensities,
)
from facekit.openface_files import AU_NAMES


@pytest.fixture
def linear(invented_set, cpu):
    return LinearModels(invented_set, cpu)


@pytest.fixture
def description_NF():
    values = torch.rand(9, FILLED_FEATURES, dtype=torch.float64)
    values[:, FEATURES:] = 0.0
    return values


def test_scores_are_those_of_each_model(invented_set, linear, description_NF):
    scores_NK = linear.scores(description_NF)
    x_NF = description_NF[:, :FEATURES].numpy()
    for column, name in enumerate(AU_NAMES):
        one = invented_set.occurrence[name]
        np.testing.assert_allclose(scores_NK[:, column], x_NF @ one.weights + one.bias)
    for column, name in enumerate(INTENSITY_NAMES):
        one = invented_set.intensity[name]
        np.testing.assert_allclose(intensities(scores_NK)[:, column], x_NF @ one.weights + one.bias)


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_scores_do_not_hang_on_the_faces_beside(linear, description_NF, at_once):
    apart = [linear.scores(description_NF[i : i + at_once]) for i in range(0, 9, at_once)]
    np.testing.assert_array_equal(np.concatenate(apart), linear.scores(description_NF))


def test_a_median_is_taken_off_what_is_dynamic_alone(invented_set, linear, description_NF):
    median = np.random.default_rng(0).uniform(size=FEATURES)
    share_K = linear.median_share(median)
    shifted_NF = description_NF.clone()
    shifted_NF[:, :FEATURES] -= torch.tensor(median)
    difference_NK = linear.scores(description_NF) - linear.scores(shifted_NF)
    dynamic_A = np.array([invented_set.occurrence[name].dynamic for name in AU_NAMES])
    np.testing.assert_allclose(
        difference_NK[:, :18][:, dynamic_A], share_K[None, :18][:, dynamic_A].repeat(9, 0)
    )
    assert not share_K[:18][~dynamic_A].any() and (share_K[:18][dynamic_A] != 0).all()


def test_labels_come_from_the_files(linear):
    """For most models a score above 0 says that the action unit is absent; 0 is not above 0."""
    scores_NK = np.repeat([[1.0], [0.0], [-1.0]], 35, axis=1)
    turned = np.array([name in ("AU10", "AU12", "AU25") for name in AU_NAMES])
    occurs_NA = linear.occurs(scores_NK)
    np.testing.assert_array_equal(occurs_NA, [turned, ~turned, ~turned])
    decisions_NA = linear.decisions(scores_NK)
    np.testing.assert_array_equal(decisions_NA[0] > 0, turned)
    np.testing.assert_array_equal(decisions_NA[0], -decisions_NA[2])
    assert decisions_NA.shape == (3, OCCURRENCES)


def test_cutoffs_belong_to_dynamic_intensities(invented_set, linear):
    expected = [0.5 if invented_set.intensity[name].dynamic else -1.0 for name in INTENSITY_NAMES]
    assert linear.cutoff_A.tolist() == expected
    assert set(expected) == {0.5, -1.0}
