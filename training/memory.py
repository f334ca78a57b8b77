"""How much memory is free: on a device, and on the host within the limit of its container."""

import os
from pathlib import Path

import torch

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def free_bytes(device: torch.device) -> int:
    """Memory of a device that nobody uses; the host's for a device without memory of its own."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_host_bytes()


def free_host_bytes(meminfo: Path = _MEMINFO, group: Path = _GROUP) -> int:
    """Memory of the host that can be had without swapping.

    Args:
        meminfo: where the kernel tells; where there is none, half of what is built in counts.
        group: of the process: a container's limit, where it has one.
    """
    if not meminfo.is_file():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    told = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    return min(int(told["MemAvailable"].split()[0]) * 1024, _left_in(group))


def _left_in(group: Path) -> int:
    """What the limit of a container leaves; cached files can be dropped and do not count."""
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except FileNotFoundError:
        return 1 << 62
    return 1 << 62 if limit == "max" else int(limit) - used + int(stat["inactive_file"])
