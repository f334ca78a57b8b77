"""How fast crops come to the device, from shards and in each tier.

    python tests/benchmarks/loading.py [--crops 5760] [--size 224] [--device cuda] [--folder DIR]

Makes shards of random crops, 64 videos of 8 frames each, and a plain file of the same bytes. Times
what a run does at its start: read the table, then load all crops; beside it a plain read of the
same bytes to the same place, without checksums. Then an epoch in batches of 32 faces from each
tier. Files are in the page cache, as they have just been written; best of `--runs`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from shard_making import columns, provenance, record

from facekit.shards import Header, write_manifest
from facekit.shards.writer import ShardWriter
from training.data import Batches, open_source, read_table
from training.options import Data

FRAMES, VIDEOS_PER_SHARD = 8, 64
BATCH = 32


def write_shards(folder: Path, crops: int, size_px: int) -> None:
    """Shards of that many crops, and `crops.raw` with the same bytes."""
    header = Header(provenance=provenance(margin=1.6), size_px=size_px, images=True)
    videos, rng = -(-crops // FRAMES), np.random.default_rng(0)
    made = columns(FRAMES, header=header)
    with (folder / "crops.raw").open("wb") as plain:
        for shard, first in enumerate(range(0, videos, VIDEOS_PER_SHARD)):
            with ShardWriter(folder / f"faces-{shard:05d}.h5", header) as writer:
                for number in range(first, min(first + VIDEOS_PER_SHARD, videos)):
                    made["video_id"][:] = number - first
                    made["image"] = rng.integers(0, 256, made["image"].shape, np.uint8)
                    writer.append(made, FRAMES)
                    writer.append_video(record(f"made/{number:05d}", FRAMES))
                    plain.write(made["image"].tobytes())
                writer.finish()
    write_manifest(folder)


class Spent(NamedTuple):
    """Best of several runs: time that passed, and time that all threads of the process worked."""

    wall_s: float
    cpu_s: float


def spent(work: Callable[[], object], device: torch.device, runs: int) -> Spent:
    walls, works = [], []
    for _ in range(runs):
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        walls.append(time.perf_counter() - wall_s)
        works.append(time.process_time() - cpu_s)
    return Spent(min(walls), min(works))


def read_plainly(path: Path, device: torch.device) -> torch.Tensor:
    """All bytes of a file to the device."""
    mapped = np.memmap(path, np.uint8, "r")
    made = torch.empty(len(mapped), dtype=torch.uint8, pin_memory=device.type == "cuda")
    made.numpy()[:] = mapped
    return made.to(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=int, default=5760)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--folder", type=Path, help="where to write the shards; default: temporary")
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    device = torch.device(asked.device)
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        write_shards(folder, asked.crops, asked.size)
        table = read_table([folder])
        crops, taken = len(table), {}
        taken["table read"] = spent(lambda: read_table([folder]), device, asked.runs)
        taken["crops loaded"] = spent(
            lambda: open_source(table, device, "device").__exit__(), device, asked.runs
        )
        taken["plain read"] = spent(
            lambda: read_plainly(folder / "crops.raw", device), device, asked.runs
        )
        data = Data(task="labelled", balance="none")
        for tier in ("device", "pinned", "disk"):
            with open_source(table, device, tier) as source:
                batches = Batches(table, source, batch=BATCH, data=data, seed=0)
                taken[f"epoch, {tier}"] = spent(
                    lambda batches=batches: sum(len(faces) for faces in batches.epoch(0)),
                    device,
                    asked.runs,
                )
    print(f"{crops} crops of {asked.size} px, {device}, best of {asked.runs}")
    for what, (wall_s, cpu_s) in taken.items():
        rates = f"{crops / wall_s:10,.0f} crops/s  {crops / cpu_s:10,.0f} crops per CPU second"
        print(f"{what:16} {wall_s:7.3f} s  {rates}")
    ratio = taken["crops loaded"].wall_s / taken["plain read"].wall_s
    print(f"loading over a plain read: {ratio:.2f}")


if __name__ == "__main__":
    main()
