import numpy as np
import pytest

from facekit.errors import BadInput
from training.options import Data
from training.order import BLOCK, WINDOW, epoch_order, kinds, positions, steps_per_epoch

TAMPERED = Data(task="tampered")
LABELLED = Data(task="labelled")
UNBALANCED = Data(task="labelled", balance="none")


def labels(real, fake):
    """Fakes among the reals, as shards have them."""
    return np.random.default_rng(0).permutation([0] * real + [1] * fake)


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK + 1, WINDOW, 3 * WINDOW + 17])
def test_positions_are_a_permutation(count):
    order = positions(count, 0, 0)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(count))


def test_positions_are_a_function_of_seed_epoch_and_stream():
    first = positions(500, 0, 0)
    assert (first == positions(500, 0, 0)).all()
    for other in (positions(500, 1, 0), positions(500, 0, 1), positions(500, 0, 0, stream="b")):
        # Independent orders agree in one place on average.
        assert (first == other).sum() < 8


def test_positions_are_the_same_on_any_machine():
    assert positions(8, seed=3, epoch=2).tolist() == [6, 0, 1, 4, 2, 3, 5, 7]


def test_up_to_a_window_every_place_is_as_likely():
    count, runs = 200, 400
    where = np.array([np.argsort(positions(count, 0, epoch)) for epoch in range(runs)])
    # The mean place of a face over the runs: 99.5 with a standard error of 57.7 / 20.
    assert np.abs(where.mean(axis=0) - (count - 1) / 2).max() < 4 * 57.7 / np.sqrt(runs)
    neighbours = np.abs(np.diff(where, axis=1))
    assert abs(neighbours.mean() - count / 3) < 1.0


def test_a_window_reads_whole_blocks():
    """What the disk tier relies on: nearly all of a block's faces are in one window."""
    order = positions(4 * WINDOW + 5, 0, 0)
    blocks = [
        set((order[start : start + WINDOW] // BLOCK).tolist())
        for start in range(0, len(order), WINDOW)
    ]
    reads = sum(len(one) for one in blocks)
    assert reads <= len(order) / BLOCK + 2 * len(blocks)
    # And a window is drawn from all over the set.
    assert min(np.ptp(list(one)) for one in blocks[:4]) > 0.9 * len(order) / BLOCK


@pytest.mark.parametrize(
    ("real", "fake", "batch", "data", "steps", "a_step"),
    [
        (10, 0, 4, TAMPERED, 5, 2),
        (11, 50, 4, TAMPERED, 5, 2),
        (10, 30, 4, LABELLED, 15, 2),
        (30, 10, 4, LABELLED, 15, 2),
        (31, 1, 4, LABELLED, 15, 2),
        (10, 30, 4, UNBALANCED, 10, 4),
    ],
)
def test_steps_of_an_epoch(real, fake, batch, data, steps, a_step):
    label_N = labels(real, fake)
    order_SB = epoch_order(label_N, batch, data, seed=0, epoch=0)
    assert steps_per_epoch(label_N, batch, data) == steps
    assert order_SB.shape == (steps, batch if data is LABELLED else a_step)
    assert order_SB.dtype == np.int64


def test_tampered_takes_each_real_face_once():
    label_N = labels(32, 40)
    order_SB = epoch_order(label_N, 8, TAMPERED, seed=0, epoch=0)
    assert sorted(order_SB.ravel().tolist()) == np.flatnonzero(label_N == 0).tolist()


def test_balanced_batches_go_round_the_rarer_kind_in_fresh_orders():
    label_N = labels(12, 48)
    order_SB = epoch_order(label_N, 8, LABELLED, seed=0, epoch=0)
    assert (label_N[order_SB[:, :4]] == 0).all()
    assert (label_N[order_SB[:, 4:]] == 1).all()
    assert len(set(order_SB[:, 4:].ravel().tolist())) == 48
    laps = order_SB[:, :4].reshape(4, 12)
    for lap in laps:
        assert sorted(lap.tolist()) == np.flatnonzero(label_N == 0).tolist()
    assert len({tuple(lap) for lap in laps.tolist()}) == 4


def test_batches_balanced_by_method_take_as_many_of_each():
    by_method = Data(task="labelled", balance="method")
    label_N = labels(12, 48)
    method_N = np.array(["", *["Deepfakes"] * 30, *["FaceSwap"] * 3, *["Face2Face"] * 15])
    method_N = method_N[np.cumsum(label_N) * label_N]
    kind_N = kinds(label_N, method_N, by_method)
    assert {*zip(method_N.tolist(), kind_N.tolist(), strict=True)} == {
        ("", 0),
        ("Deepfakes", 1),
        ("Face2Face", 2),
        ("FaceSwap", 3),
    }
    order_SB = epoch_order(kind_N, 12, by_method, seed=0, epoch=0)
    assert order_SB.shape == (8, 12)
    assert (np.sort(kind_N[order_SB]) == [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3]).all()
    # Of the most frequent method no face comes twice.
    assert len(set(order_SB[kind_N[order_SB] == 1].tolist())) == 16
    assert (kinds(label_N, method_N, LABELLED) == label_N).all()


def test_unbalanced_batches_take_what_comes():
    label_N = labels(8, 24)
    order_SB = epoch_order(label_N, 8, UNBALANCED, seed=0, epoch=0)
    assert sorted(order_SB.ravel().tolist()) == list(range(32))


@pytest.mark.parametrize("data", [TAMPERED, LABELLED, UNBALANCED])
def test_epochs_differ_and_repeat(data):
    label_N = labels(40, 40)
    first, again, other = (
        epoch_order(label_N, 8, data, seed=0, epoch=epoch) for epoch in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("real", "fake", "data"),
    [(0, 0, TAMPERED), (3, 99, TAMPERED), (3, 3, LABELLED), (7, 0, UNBALANCED)],
)
def test_too_few_faces_for_a_step(real, fake, data):
    with pytest.raises(BadInput, match=r"faces do not fill one step, which takes (4|8)"):
        epoch_order(labels(real, fake), 8, data, seed=0, epoch=0)
