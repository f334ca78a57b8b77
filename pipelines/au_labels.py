"""Where labels of action units are read from: shards, or OpenFace's CSVs (`pipelines.au_csv`)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput
from facekit.shards import open_shards, read_manifest
from facekit.video import Video

_BLOCK_ROWS: Final = 1 << 15
_BLOCKS_OPEN: Final = 8
"""HDF5 keeps some megabytes of every open file; after so many blocks, a shard, all are closed."""

Block = tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]
"""(R,) the row of `videos` that a face belongs to, rising; (R, A) 0, 1, or -1 where unknown."""


class Labels(Protocol):
    """Labelled faces of many videos, read once, block by block."""

    @property
    def au_names(self) -> tuple[str, ...]:
        """One a column of a block."""
        ...

    @property
    def videos(self) -> Sequence[Video]:
        """Every video, also those without a face."""
        ...

    @property
    def labels_sha256(self) -> Sequence[str]:
        """Of the file that the labels of each video came from; empty where that is not known."""
        ...

    @property
    def provenance(self) -> Mapping[str, object]:
        """How they were labelled, as plain JSON values; nothing of this machine."""
        ...

    def blocks(self) -> Iterator[Block]:
        """All faces, video by video; at most `2**16` in a block."""
        ...


class ShardLabels:
    """The labels in shards, whoever made them.

    Args:
        path: a folder with a manifest, or one shard or part.

    Raises:
        BadInput: no such path, or the shards have no column of labels.
        BadShard: a file is damaged, missing, hostile, or of another format.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        with open_shards(path) as shards:
            told = shards.provenance
        if not told.au_names:
            raise BadInput(f"{path} holds no AU labels; extract with --au lite or another engine")
        self.au_names = told.au_names
        self.videos: list[Video] = []
        self.labels_sha256: list[str] = []
        for file in _files(self._path):
            with open_shards(file) as shard:
                for record in shard.records():
                    self.videos.append(record.video)
                    self.labels_sha256.append(record.labels_sha256)
        self.provenance: Mapping[str, object] = {"kind": "shards", **_plain(asdict(told))}

    def blocks(self) -> Iterator[Block]:
        """All faces, in blocks that read no chunk twice."""
        with open_shards(self._path, columns=("video_id", "au_occurrence")) as shards:
            for number, block in enumerate(shards.iter_blocks(_BLOCK_ROWS)):
                if number % _BLOCKS_OPEN == 0:
                    shards.close()
                columns: Mapping[str, npt.NDArray[np.generic]] = block.columns
                yield columns["video_id"].astype(np.int64), columns["au_occurrence"].astype(np.int8)


def _files(path: Path) -> list[Path]:
    """The shards one by one: HDF5 does not give back what it takes for many open files."""
    is_folder = path.is_dir()
    return [path / each.name for each in read_manifest(path).shards] if is_folder else [path]


def _plain(told: Mapping[str, object]) -> dict[str, object]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in told.items()}
