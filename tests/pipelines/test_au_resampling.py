import numpy as np
import pytest

from pipelines.au_resampling import bootstrap, exchanges


@pytest.mark.parametrize(("groups", "replicates"), [(1, 3), (7, 100), (400, 6000)])
def test_as_many_groups_are_drawn_as_there_are(groups, replicates):
    drawn = np.concatenate(list(bootstrap(groups, replicates, "any")))
    assert drawn.shape == (replicates, groups)
    assert (drawn.sum(axis=1) == groups).all()
    assert (drawn >= 0).all() and (drawn == np.rint(drawn)).all()


def test_every_group_is_drawn_equally_often():
    drawn = np.concatenate(list(bootstrap(10, 20_000, "any")))
    assert np.abs(drawn.mean(axis=0) - 1).max() < 0.03
    assert np.abs(drawn.var(axis=0) - 0.9).max() < 0.05


def test_draws_depend_on_the_name_alone():
    draw = [np.concatenate(list(bootstrap(50, 20, name))) for name in ("a", "a", "b")]
    assert (draw[0] == draw[1]).all()
    assert (draw[0] != draw[2]).any()


def test_more_replicates_begin_with_the_fewer():
    few, many = (np.concatenate(list(bootstrap(3000, n, "a"))) for n in (10, 2000))
    assert (many[:10] == few).all()


@pytest.mark.parametrize("groups", [1, 2, 5, 13])
def test_few_groups_are_exchanged_in_every_way(groups):
    patterns = np.concatenate(list(exchanges(groups, 10_000, "any")))
    assert len(np.unique(patterns, axis=0)) == len(patterns) == 2**groups
    assert set(np.unique(patterns)) == {0.0, 1.0}


def test_many_groups_are_exchanged_at_random():
    patterns = np.concatenate(list(exchanges(20, 5000, "any")))
    assert patterns.shape == (5000, 20)
    assert np.abs(patterns.mean(axis=0) - 0.5).max() < 0.03
