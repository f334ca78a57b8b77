"""The faces of a table, a batch at a time on one device; here with all crops kept there.

What goes with a crop (points, ellipses, labels) is a hundredth of it and lies on the device
wherever the crops lie.

Letters: N faces, S side of a crop.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
import torch

from facekit.errors import BadInput
from training.ahead import Staging
from training.faces import Faces
from training.pixels import Reader
from training.table import Table

Tier = Literal["device", "pinned", "disk"]

_STAGED_BYTES: Final = 64 << 20

Index = npt.NDArray[np.int64]


class Source(AbstractContextManager["Source"]):
    """Faces of a table on one device, whichever the tier. Made by `training.tiers.open_source`.

    Args:
        table: whose faces; `sample_N` is a row of its samples.
        device: where batches come out.

    Attributes:
        tier: device, pinned or disk: where the crops are kept.
        bytes: what all crops take.
        device: where batches come out.
    """

    tier: ClassVar[Tier]

    def __init__(self, table: Table, device: torch.device) -> None:
        self.device = device
        self.bytes = crop_bytes(table)
        self.size_px = table.size_px
        self._count = len(table)
        self._reader = Reader(table)
        self._beside = _beside(table, self._reader, device)

    def __len__(self) -> int:
        return self._count

    def take(self, sample_N: torch.Tensor | Index) -> Faces:
        """Some faces, in the order asked for.

        Args:
            sample_N: (N,) int64, rows of the table's samples; any may come more than once.

        Raises:
            BadInput: there is no such sample.
            BadShard: the crops are on disk, and a checksum fails.
        """
        asked_N = torch.as_tensor(sample_N)
        self._require_there(asked_N)
        index_N = sent(asked_N, self.device)
        return self._faces(self._images(asked_N, index_N), index_N)

    def stream(self, batches: Sequence[Index], *, window: int) -> Iterator[Faces]:
        """`take` for many batches that are known beforehand, so that they can be made ready.

        Args:
            batches: (N,) int64 of each.
            window: crops to read from disk at a time, where they lie there.

        Raises:
            BadInput: there is no such sample.
            BadShard: the crops are on disk, and a checksum fails.
        """
        for sample_N in batches:
            yield self.take(sample_N)

    def _images(self, asked_N: torch.Tensor, index_N: torch.Tensor) -> torch.Tensor:
        """(N, S, S, 3) uint8 on the device; `index_N` is `asked_N` on the device."""
        raise NotImplementedError

    def _faces(self, image_NHWC: torch.Tensor, index_N: torch.Tensor) -> Faces:
        beside = {name: each[index_N] for name, each in self._beside.items()}
        return Faces(image_NHWC=image_NHWC, sample_N=index_N, **beside)

    def _require_there(self, index_N: torch.Tensor) -> None:
        """Indices that are on the device are left to it: looking at them would wait for it."""
        if index_N.device.type == "cpu" and len(index_N):
            least, most = int(index_N.min()), int(index_N.max())
            if not 0 <= least <= most < self._count:
                raise BadInput(f"samples {least} to {most} of {self._count} do not exist")

    def _shape(self, count: int) -> tuple[int, int, int, int]:
        return count, self.size_px, self.size_px, 3

    def __exit__(self, *_: object) -> None:
        self._reader.__exit__()


class DeviceSource(Source):
    """All crops in one tensor on the device: a batch is one gather there."""

    tier: ClassVar[Tier] = "device"

    def __init__(self, table: Table, device: torch.device) -> None:
        super().__init__(table, device)
        shape = self._shape(len(table))
        self._image_NHWC = torch.empty(shape, dtype=torch.uint8, device=device)
        load(self._reader, self._image_NHWC)

    def _images(self, asked_N: torch.Tensor, index_N: torch.Tensor) -> torch.Tensor:
        return self._image_NHWC[index_N]


def crop_bytes(table: Table) -> int:
    """What the crops of a table take, uncompressed."""
    return len(table) * table.size_px * table.size_px * 3


def _beside(table: Table, reader: Reader, device: torch.device) -> dict[str, torch.Tensor]:
    """All of `Faces` but the crops and the sample numbers."""
    count, samples = len(table), table.samples
    read = {
        "landmarks_xy": np.empty((count, 68, 2), np.float32),
        "au_ellipses": np.empty((count, 24, 5), np.float32),
    }
    reader.fill(np.arange(count), read)
    made: dict[str, npt.NDArray[Any]] = {
        "landmarks_NP2": read["landmarks_xy"],
        "ellipses_NE5": read["au_ellipses"],
        "margin_N": samples.margin_N,
        "label_N": samples.label_N,
        "video_N": samples.video_N,
    }
    return {name: torch.from_numpy(each).to(device) for name, each in made.items()}


def load(reader: Reader, image_NHWC: torch.Tensor) -> None:
    """Fill a tensor with all crops of a table, in order.

    Args:
        reader: of the table.
        image_NHWC: (N, S, S, 3) uint8, contiguous, on the host or on a device.

    Raises:
        BadShard: a checksum fails.
    """
    count, device = len(image_NHWC), image_NHWC.device
    if device.type == "cpu":
        reader.fill(np.arange(count), {"image": image_NHWC.numpy()})
        return
    rows = max(1, _STAGED_BYTES // max(1, image_NHWC[0].numel()))
    staging = Staging(device, buffers=2)
    for start in range(0, count, rows):
        sample_N = np.arange(start, min(start + rows, count))
        number, staged = staging.empty((len(sample_N), *image_NHWC.shape[1:]))
        reader.fill(sample_N, {"image": staged.numpy()})
        image_NHWC[start : start + rows] = staging.send(number, staged)


def sent(index_N: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Indices on the device, without waiting for it."""
    if device.type == "cuda" and not index_N.is_cuda:
        index_N = index_N.pin_memory()
    return index_N.to(device, non_blocking=True)
