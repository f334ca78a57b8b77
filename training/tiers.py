"""Where the crops are kept while they are learnt from: on the device, in host memory, or on disk.

All tiers give the same faces for the same samples, and the order of an epoch does not depend on
the tier: it decides speed and memory alone, and a run may be resumed in another.

| tier | chosen when | what a batch costs |
|---|---|---|
| device | the crops take up to 60 % of what is free there | one gather on the device |
| pinned | they take up to 60 % of the host's free memory | a gather and a copy, made ahead |
| disk | else | each crop is read once an epoch, made ahead |
"""

import logging
from typing import Final

import torch

from facekit.errors import BadInput
from training.host_sources import DiskSource, PinnedSource
from training.memory import free_bytes, free_host_bytes
from training.source import DeviceSource, Source, crop_bytes
from training.table import Table

log = logging.getLogger(__name__)

SHARE: Final = 0.6
"""Of the memory that is free, what the crops may take: the network needs the rest."""

_WHERE: Final = {"device": "on {}", "pinned": "in host memory", "disk": "on disk"}


def open_source(
    table: Table, device: torch.device | str, tier: str = "auto", *, sharing: int = 1
) -> Source:
    """The faces of a table, ready to be taken; says aloud where the crops are kept.

    Args:
        table: whose faces; narrow it first, as all its crops are loaded.
        device: where batches come out.
        tier: device, pinned, disk, or auto: the first of these that has the room. The CPU is a
            device too, for which pinned is the same as device but for a thread.
        sharing: processes that share the host's memory, such as the ranks of a machine.

    Raises:
        BadInput: no such tier, no faces, or the tier asked for has no room for them.
        BadShard: a shard is damaged.
    """
    if tier not in ("auto", *_WHERE):
        raise BadInput(f"--tier must be auto, {', '.join(_WHERE)}, not {tier!r}")
    if not len(table):
        raise BadInput("no faces to load: none was found in the videos chosen")
    at = torch.device(device)
    needed, free = crop_bytes(table), _free_bytes(at, sharing)
    if tier == "auto":
        tier = next((name for name, room in free.items() if needed <= SHARE * room), "disk")
    elif needed > free.get(tier, needed):
        raise BadInput(
            f"{needed / 1e9:.1f} GB of crops do not fit {_WHERE[tier].format(at)}, where "
            f"{free[tier] / 1e9:.1f} GB are free; take --tier auto or lower data.frames"
        )
    log.info(
        "%d crops of %d px, %.2f GB, are kept %s; free are %.1f GB on %s and %.1f GB on the host",
        *(len(table), table.size_px, needed / 1e9, _WHERE[tier].format(at)),
        *(free["device"] / 1e9, at, free["pinned"] / 1e9),
    )
    if tier == "device":
        return DeviceSource(table, at)
    if tier == "pinned":
        return PinnedSource(table, at)
    return DiskSource(table, at, sharing=sharing)


def _free_bytes(device: torch.device, sharing: int) -> dict[str, int]:
    host = free_host_bytes() // sharing
    return {"device": free_bytes(device) if device.type == "cuda" else host, "pinned": host}
