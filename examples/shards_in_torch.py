"""Shards in plain PyTorch: whole blocks into memory, batches by index.

    python examples/shards_in_torch.py shards/

Reading a shard face by face in random order is slow, and asking HDF5 for a list of indices is
hundreds of times slower still. Read blocks in order, once, and shuffle what is in memory.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import facekit


def load(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """All crops, (N, 3, S, S) uint8, and the label of each, (N,): 0 real, 1 fake, -1 unknown."""
    with facekit.open_shards(folder, columns=["image"]) as shards:
        labels = shards.to_pandas()["label"].to_numpy(np.int64)
        images_NHWC = np.concatenate([block.columns["image"] for block in shards.iter_blocks(512)])
    return torch.from_numpy(images_NHWC).permute(0, 3, 1, 2), torch.from_numpy(labels)


def main(folder: Path) -> None:
    """Go through one shuffled epoch."""
    images_NCHW, labels_N = load(folder)
    order = torch.randperm(len(labels_N), generator=torch.Generator().manual_seed(0))
    for indices in order.split(32):
        batch = images_NCHW[indices].float() / 255
        print("batch", tuple(batch.shape), "labels", labels_N[indices].unique().tolist())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
