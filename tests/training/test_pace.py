import pytest
import torch

from training import pace
from training.pace import FIRST_STEPS, Pace


@pytest.mark.parametrize(
    ("name", "precision", "want"),
    [
        ("NVIDIA H200", "bf16", 989e12),
        ("NVIDIA H100 PCIe", "bf16", 756e12),
        ("NVIDIA H100 80GB HBM3", "fp32", 494.5e12),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312e12),
        ("A device of tomorrow", "bf16", None),
    ],
)
def test_the_peak_goes_by_name(name, precision, want):
    assert pace.peak_of(name, precision) == want


def test_a_processor_has_no_peak():
    assert pace.peak_flops(torch.device("cpu"), "bf16") is None


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])

    def forward(seconds):
        now[0] += seconds

    return forward


def test_the_first_steps_and_pauses_do_not_count(clock):
    measured = Pace(macs=10**9, peak=1e12)
    assert measured.take() == {"images_per_s": None, "mfu": None}
    for _ in range(FIRST_STEPS):
        clock(100.0)
        measured.step(8)
    assert measured.take()["images_per_s"] is None
    for _ in range(2):
        with measured.paused():
            clock(50.0)
        clock(0.5)
        measured.step(8)
    assert measured.take() == {"images_per_s": 16.0, "mfu": pytest.approx(16 * 6e9 / 1e12)}
    assert measured.take()["images_per_s"] is None
    clock(1.0)
    measured.step(8)
    assert measured.overall()["images_per_s"] == 12.0


def test_without_a_peak_there_is_no_share_of_it(clock):
    measured = Pace(macs=1, peak=None)
    for _ in range(FIRST_STEPS + 1):
        clock(1.0)
        measured.step(1)
    assert measured.take() == {"images_per_s": 1.0, "mfu": None}
