import pytest
import torch

from training.memory import free_bytes, free_host_bytes


@pytest.fixture
def meminfo(tmp_path):
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       2000 kB\nMemAvailable:    1000 kB\nHugePages_Total:  0\n")
    return path


@pytest.mark.parametrize(
    ("limit", "current", "inactive", "free"),
    [
        (None, 0, 0, 1_024_000),
        ("max", 500, 0, 1_024_000),
        ("700000", 100_000, 0, 600_000),
        ("700000", 500_000, 300_000, 500_000),
        ("9000000", 0, 0, 1_024_000),
    ],
)
def test_the_container_has_its_say(tmp_path, meminfo, limit, current, inactive, free):
    group = tmp_path / "group"
    group.mkdir()
    if limit is not None:
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text(f"{current}\n")
        (group / "memory.stat").write_text(f"anon 1\ninactive_file {inactive}\n")
    assert free_host_bytes(meminfo, group) == free


def test_without_a_kernel_that_tells_half_of_the_memory_counts(tmp_path):
    assert free_host_bytes(tmp_path / "none", tmp_path) > 1 << 28


def test_the_cpu_has_the_hosts_memory():
    assert free_bytes(torch.device("cpu")) > 1 << 20
