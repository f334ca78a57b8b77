import os
import signal
import threading

import pytest
import torch
from safetensors import safe_open

from facekit.errors import Diverged
from training.faces import blank
from training.learner import NAMES
from training.ranks import Ranks
from training.watch import Watch, signals

ALONE = Ranks(0, 1, torch.device("cpu"))


def test_a_step_is_told_when_the_next_is_launched(tmp_path):
    watch = Watch(tmp_path, ALONE, [])
    assert watch.flush() is None
    assert watch.launched(0, 0, [blank(1, 32)], torch.arange(5.0)) is None
    assert watch.launched(1, 0, [blank(1, 32)], torch.ones(5)) == dict(
        zip(NAMES, range(5), strict=True)
    )
    assert watch.flush() == dict.fromkeys(NAMES, 1.0)
    assert watch.flush() is None
    assert not watch.told_to_stop


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", range(5))
def test_what_is_no_number_is_written_out(place, bad, tmp_path):
    watch = Watch(tmp_path, ALONE, [])
    values = torch.ones(5)
    values[place] = bad
    faces = blank(3, 32)
    watch.launched(7, 2, [faces[:2], faces[2:]], values)
    with pytest.raises(Diverged, match=f"step 7 of epoch 2 came to {NAMES[place]}") as stopped:
        watch.flush()
    path = tmp_path / "not-finite-00000007-0.safetensors"
    assert str(path) in str(stopped.value)
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"step": "7", "epoch": "2", "parts": "2"}
        assert file.get_tensor("sample_N.0").tolist() == [0, 1]
        assert file.get_tensor("sample_N.1").tolist() == [2]
        assert torch.equal(file.get_tensor("image_NHWC.1"), faces.image_NHWC[2:])


def test_signals_are_collected_and_seen_one_step_later(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with signals() as received:
        watch = Watch(tmp_path, ALONE, received)
        watch.launched(0, 0, [], torch.ones(5))
        os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) == before  # a second one acts at once
        watch.launched(1, 0, [], torch.ones(5))
        assert not watch.told_to_stop
        watch.flush()
        assert watch.told_to_stop
    assert signal.getsignal(signal.SIGTERM) == before


def test_under_torchrun_a_second_signal_is_collected_too():
    before = signal.getsignal(signal.SIGINT)
    with signals(patient=True) as received:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
    assert received == [signal.SIGINT] * 2
    assert signal.getsignal(signal.SIGINT) == before


def test_beside_the_main_thread_signals_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with signals() as received:
            seen.append((received, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [([], before)]
