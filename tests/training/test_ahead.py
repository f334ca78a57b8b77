import threading

import pytest
import torch

from training.ahead import Staging, ahead


def numbers(stop, log=None):
    try:
        for i in range(stop):
            if log is not None:
                log.append((i, threading.get_ident()))
            yield i
    finally:
        if log is not None:
            log.append("closed")


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_the_same_items_in_order(count, depth):
    assert list(ahead(numbers(count), depth)) == list(range(count))


def test_items_are_made_by_another_thread_before_they_are_asked_for():
    made = threading.Event()

    def items():
        yield 0
        made.set()
        yield 1

    several = ahead(items(), 1)
    assert next(several) == 0
    assert made.wait(30)
    several.close()

    log = []
    list(ahead(numbers(3, log), 1))
    assert len({ident for _, ident in log[:-1]}) == 1
    assert log[0][1] != threading.get_ident()


def test_what_goes_wrong_is_raised_in_its_place():
    def items():
        yield 0
        raise ValueError("here")

    several = ahead(items(), 2)
    assert next(several) == 0
    with pytest.raises(ValueError, match="here"):
        next(several)


def test_closed_early_it_stops_and_closes_the_items():
    log = []
    several = ahead(numbers(1000, log), 2)
    assert next(several) == 0
    several.close()
    assert log[-1] == "closed"
    assert len(log) < 10
    assert "ahead" not in {thread.name.partition("_")[0] for thread in threading.enumerate()}


def test_one_within_another():
    def doubled():
        for number in ahead(numbers(5), 1):
            yield 2 * number

    assert list(ahead(doubled(), 2)) == [0, 2, 4, 6, 8]


def test_for_the_cpu_each_batch_keeps_its_memory():
    staging = Staging(torch.device("cpu"), buffers=2)
    sent = []
    for value in range(5):
        number, buffer = staging.empty((2, 3))
        buffer.fill_(value)
        sent.append(staging.send(number, buffer))
    assert [int(one[0, 0]) for one in sent] == [0, 1, 2, 3, 4]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_cuda_buffers_go_round_without_mixing_batches():
    device = torch.device("cuda")
    staging = Staging(device, buffers=2)
    sent = []
    for value in range(50):
        number, buffer = staging.empty((1 << 20,))
        assert buffer.is_pinned()
        buffer.fill_(value)
        sent.append(staging.send(number, buffer))
    assert all(bool((one == value).all()) for value, one in enumerate(sent))
