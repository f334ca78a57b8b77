"""How fast a run goes: images a second, and how much of the device's arithmetic that uses."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import torch

FIRST_STEPS: Final = 3
"""Steps that do not count: kernels are chosen, compiled and warmed up in them."""

OPERATIONS_PER_MAC: Final = 6
"""Of training: a multiplication and an addition forward, and twice that backward."""

PEAK_TFLOPS: Final[Mapping[str, tuple[float, float]]] = {
    "H200": (989.0, 494.5),
    "H100 PCIe": (756.0, 378.0),
    "H100 NVL": (835.0, 417.5),
    "H100": (989.0, 494.5),
    "GH200": (989.0, 494.5),
    "B200": (2250.0, 1125.0),
    "A100": (312.0, 156.0),
    "A10": (125.0, 62.5),
    "A40": (149.7, 74.8),
    "L40S": (362.0, 183.0),
    "L4": (121.0, 60.0),
    "RTX 4090": (165.2, 82.6),
    "RTX 3090": (71.0, 35.6),
}
"""What a GPU can do at most, dense: products in bf16, and in fp32 as TF32; from the makers' data
sheets. The longest name that occurs in the device's counts."""


def peak_flops(device: torch.device, precision: str) -> float | None:
    """Most operations a second of a device; None where that is not known, as for any CPU.

    Args:
        device: where the run computes.
        precision: `bf16` or `fp32`.

    >>> peak_flops(torch.device("cpu"), "bf16")
    """
    if device.type != "cuda":
        return None
    return peak_of(torch.cuda.get_device_name(device), precision)


def peak_of(name: str, precision: str) -> float | None:
    """The same by the device's name.

    >>> peak_of("NVIDIA H200", "bf16"), peak_of("NVIDIA A100-SXM4-80GB", "fp32")
    (989000000000000.0, 156000000000000.0)
    """
    known = [part for part in PEAK_TFLOPS if part in name]
    if not known:
        return None
    return PEAK_TFLOPS[max(known, key=len)][precision == "fp32"] * 1e12


class Pace:
    """Counts images over the time that steps take; what is done between them is left out.

    Args:
        macs: multiplications with an addition in a forward pass of one image.
        peak: operations a second that all devices of the run can do at most; None if unknown.

    >>> pace = Pace(macs=10**9, peak=None)
    >>> for _ in range(FIRST_STEPS + 1):
    ...     pace.step(32)
    >>> pace.take()["images_per_s"] > 0
    True
    """

    def __init__(self, *, macs: int, peak: float | None) -> None:
        self._macs = macs
        self._peak = peak
        self._first = FIRST_STEPS
        self._images = 0
        self._seconds = 0.0
        self._total_images = 0
        self._total_seconds = 0.0
        self._since = time.perf_counter()

    def step(self, images: int) -> None:
        """A step of that many images, over all ranks, has just been taken."""
        now = time.perf_counter()
        elapsed, self._since = now - self._since, now
        if self._first:
            self._first -= 1
            return
        self._images += images
        self._seconds += elapsed

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time of the block: validation, snapshots."""
        before = time.perf_counter()
        yield
        self._since += time.perf_counter() - before

    def take(self) -> dict[str, float | None]:
        """`images_per_s` and `mfu` since it was last called, None where they are not known."""
        told = self._told(self._images, self._seconds)
        self._total_images += self._images
        self._total_seconds += self._seconds
        self._images, self._seconds = 0, 0.0
        return told

    def overall(self) -> dict[str, float | None]:
        """The same of all steps that count."""
        return self._told(self._total_images + self._images, self._total_seconds + self._seconds)

    def _told(self, images: int, seconds: float) -> dict[str, float | None]:
        rate = images / seconds if seconds > 0 else None
        used = None
        if rate is not None and self._peak is not None:
            used = rate * self._macs * OPERATIONS_PER_MAC / self._peak
        return {"images_per_s": rate, "mfu": used}
