"""What a run tells while it goes: JSON lines in its folder, a line of text, TensorBoard."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from facekit.errors import BadInput, MissingDevice
from facekit.shards.disk import disk_full, publishing

log = logging.getLogger(__name__)

Tell = Callable[["Line"], None]

_SHOWN: Final = {
    "loss": "loss {:.4f}",
    "cls": "class {:.4f}",
    "token": "token {:.4f}",
    "attention": "attention {:.4f}",
    "gradient": "gradient {:.3g}",
    "rate": "rate {:.2g}",
    "images_per_s": "{:,.1f} images/s",
    "mfu": "{:.1%} of peak",
    "auc": "validation video AUC {:.4f}",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line: of the steps since the last, or of a validation.

    Args:
        step: steps done.
        steps: of the whole run.
        epoch: passes done, with the share of the one under way.
        values: metric -> value; None where it is not known.
    """

    step: int
    steps: int
    epoch: float
    values: Mapping[str, float | None] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values.

        >>> Line(step=1, steps=2, epoch=0.5, values={"loss": 0.25}).as_json()
        {'step': 1, 'epoch': 0.5, 'loss': 0.25}
        """
        return {"step": self.step, "epoch": self.epoch, **self.values}

    def __str__(self) -> str:
        """For a person; what is not known is left out.

        >>> print(Line(step=1, steps=2, epoch=0.5, values={"loss": 0.25, "mfu": None}))
        step 1/2 epoch 0.50: loss 0.2500
        """
        known = [(name, value) for name, value in self.values.items() if value is not None]
        shown = ", ".join(_SHOWN[name].format(value) for name, value in known if name in _SHOWN)
        return f"step {self.step}/{self.steps} epoch {self.epoch:.2f}: {shown}"


class Log:
    """Writes lines to where they are wanted.

    Args:
        path: of the JSON lines; opened for appending.
        tell: called with each line.
        board: a `SummaryWriter` of TensorBoard, or None.
    """

    def __init__(self, path: Path, tell: Tell | None, board: Any) -> None:
        self._path = path
        self._tell = tell
        self._board = board

    def write(self, line: Line) -> None:
        """Tell it.

        Raises:
            DiskFull: the disk ran out.
        """
        text = json.dumps(line.as_json(), allow_nan=False)
        with disk_full(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        log.info("%s", line)
        if self._board is not None:
            for name, value in line.values.items():
                if value is not None:
                    self._board.add_scalar(name, value, line.step)
            self._board.flush()
        if self._tell is not None:
            self._tell(line)


@contextmanager
def opened(path: Path, *, after_step: int, tell: Tell | None, tensorboard: bool) -> Iterator[Log]:
    """Open the log of a run; lines of steps that will be taken again are dropped.

    Args:
        path: of the JSON lines.
        after_step: where the run goes on.
        tell: called with each line.
        tensorboard: also write for TensorBoard, into the folder `tensorboard` beside `path`.

    Raises:
        BadInput: what stands there is no log.
        DiskFull: the disk ran out.
        MissingDevice: TensorBoard is not installed.
    """
    lines = [line for line in read(path) if line["step"] <= after_step] if path.exists() else []
    with publishing(path) as draft:
        draft.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    board = _board(path.parent / "tensorboard", after_step) if tensorboard else None
    try:
        yield Log(path, tell, board)
    finally:
        if board is not None:
            board.close()


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a log. A last one that a killed process left unfinished does not count.

    Args:
        path: of the JSON lines.

    Raises:
        BadInput: it is no log.
    """
    texts = path.read_text(encoding="utf-8", errors="replace").split("\n")
    try:
        lines = [json.loads(text) for text in texts[:-1]]
        steps = [line["step"] for line in lines]
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path} is no log of a run: {error}; move it away") from error
    if not all(isinstance(step, int) for step in steps):
        raise BadInput(f"{path} is no log of a run: a step is no number; move it away")
    return lines


def _board(folder: Path, after_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingDevice(
            "--tensorboard needs TensorBoard: pip install 'facekit[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder), purge_step=after_step + 1)
