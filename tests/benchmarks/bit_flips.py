"""One flipped bit anywhere in a shard: found by `verify --deep`, and never blessed.

    python tests/benchmarks/bit_flips.py --flips 1000 --seed 0

Each flip is tried twice: with the manifest there, and with it deleted, when `rebuild_manifest`
must refuse too. Besides, each flipped file is read as training reads it, with no digest looked at:
a read either raises or gives the bytes that were written.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import shard_making as making

from facekit.errors import BadShard
from facekit.shards import (
    MANIFEST_NAME,
    open_shards,
    pack,
    rebuild_manifest,
    verify,
    write_manifest,
)
from facekit.shards.seal import SEAL_BYTES

HOLDS_NAN = frozenset({"au_intensity", "au_score", "keypoints_xy"})


def make_dataset(folder: Path, rows: int) -> Path:
    """A folder with one shard of several videos, some of them failed."""
    sources = []
    for number in range(4):
        made = making.columns(rows // 4, people=1 + number % 2, seed=number)
        key = f"ffpp/Deepfakes/c23/{number:03}"
        part = making.write_part(folder / f"part-{number}.h5", key, made)
        sources += [(part, key), making.failed(f"{key}_failed")]
    shard = folder / "faces-00000.h5"
    pack(sources, shard)
    write_manifest(folder)
    return shard


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def named(folder: Path, shard: Path) -> bool:
    """Whether `verify --deep` has something to say of this very shard."""
    problems = verify(folder, deep=True).problems
    return any(problem.where == shard.name for problem in problems)


def refused(folder: Path) -> bool:
    try:
        rebuild_manifest(folder)
    except BadShard:
        return not (folder / MANIFEST_NAME).exists()
    return False


def read_by_training(shard: Path, wanted) -> str:
    try:
        with open_shards(shard) as opened:
            columns = opened[:].columns
            same = all(
                np.array_equal(columns[name], wanted[name], equal_nan=name in HOLDS_NAN)
                for name in wanted
            )
    except BadShard:
        return "refused"
    return "as written" if same else "SILENTLY WRONG"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=64, help="faces in the shard")
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    tally, reads = Counter(), Counter()
    with tempfile.TemporaryDirectory() as scratch:
        shard = make_dataset(Path(scratch), asked.rows)
        manifest = shard.parent / MANIFEST_NAME
        listing, size = manifest.read_bytes(), shard.stat().st_size
        with open_shards(shard) as opened:
            wanted = opened[:].columns
        for number in range(asked.flips):
            bit = rng.randrange(8 * size)
            flip(shard, bit)
            tally["with the manifest"] += named(shard.parent, shard)
            manifest.unlink()
            tally["without the manifest"] += named(shard.parent, shard)
            tally["rebuild refused"] += refused(shard.parent)
            if bit >= 8 * SEAL_BYTES:
                reads[read_by_training(shard, wanted)] += 1
            flip(shard, bit)
            manifest.write_bytes(listing)
            if (number + 1) % 100 == 0:
                print(f"{number + 1} flips: {dict(tally)}", file=sys.stderr)
        whole = verify(shard.parent, deep=True).ok
    for name in ("with the manifest", "without the manifest", "rebuild refused"):
        print(f"{name}: {tally[name]} of {asked.flips}")
    print(f"shard of {size:,} bytes, whole again at the end: {whole}; reads: {dict(reads)}")
    found = all(tally[name] == asked.flips for name in tally) and len(tally) == 3
    return 0 if found and whole and not reads["SILENTLY WRONG"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
