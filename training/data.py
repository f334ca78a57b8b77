"""The faces of an epoch, batch after batch, for one rank."""

from collections.abc import Iterator

from facekit.errors import BadInput
from training.faces import Faces
from training.options import Data
from training.order import WINDOW, epoch_order, is_balanced, kinds, steps_per_epoch
from training.source import Source
from training.table import Table, open_table, read_table
from training.tiers import open_source

__all__ = ["Batches", "Source", "Table", "open_source", "open_table", "read_table"]


class Batches:
    """What each step of a run learns from.

    Args:
        table: the faces trained on: `table.subset("train").frames(data.frames)`.
        source: of the same table.
        batch: images a step over all ranks; with task = tampered half as many faces are taken.
        data: `task` and `balance`.
        seed: of the run.

    Attributes:
        steps: of an epoch.

    Raises:
        BadInput: the faces do not fill one step.
    """

    def __init__(self, table: Table, source: Source, *, batch: int, data: Data, seed: int) -> None:
        method_V = table.videos.method.to_numpy(str)
        self._kind_N = kinds(table.samples.label_N, method_V[table.samples.video_N], data)
        self._source, self._batch, self._data, self._seed = source, batch, data, seed
        self._streams = int(self._kind_N.max(initial=0)) + 1 if is_balanced(data) else 1
        self.steps = steps_per_epoch(self._kind_N, batch, data)

    def epoch(
        self, epoch: int, *, start: int = 0, rank: int = 0, ranks: int = 1
    ) -> Iterator[Faces]:
        """The batches of an epoch, as this rank sees them.

        Args:
            epoch: which.
            start: first step, where a run resumes.
            rank: which of the ranks; it takes rank, rank + ranks, ... of each step's faces.
            ranks: how many there are.

        Raises:
            BadInput: the ranks cannot share a step's faces evenly.
        """
        order_SB = epoch_order(self._kind_N, self._batch, self._data, seed=self._seed, epoch=epoch)
        if order_SB.shape[1] % ranks:
            raise BadInput(
                f"training.batch {self._batch} gives {order_SB.shape[1]} faces a step, which "
                f"{ranks} ranks cannot share evenly"
            )
        window = WINDOW * self._streams // ranks
        yield from self._source.stream(list(order_SB[start:, rank::ranks]), window=window)
