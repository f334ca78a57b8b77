"""What people see while a run goes on: a bar on a terminal, plain lines elsewhere."""

import contextlib
import logging
from dataclasses import dataclass
from typing import Any, Final, TextIO

log = logging.getLogger(__name__)

LINES_EVERY_S: Final = 30.0
"""How often a line is written where there is no terminal."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands.

    Args:
        done: videos that have ended, those of earlier runs included.
        total: videos in all.
        resumed: of `done`, those of earlier runs.
        faces: faces measured by this run.
        failed: videos that failed, those of earlier runs included.
        elapsed_s: seconds since this run began.
    """

    done: int
    total: int
    resumed: int
    faces: int
    failed: int
    elapsed_s: float

    @property
    def faces_per_s(self) -> float:
        """Faces measured a second by this run.

        >>> Progress(done=2, total=4, resumed=0, faces=64, failed=0, elapsed_s=8).faces_per_s
        8.0
        """
        return self.faces / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds left at this run's pace; None before its first video has ended.

        >>> Progress(done=3, total=5, resumed=1, faces=64, failed=0, elapsed_s=8).remaining_s
        8.0
        """
        ended = self.done - self.resumed
        return (self.total - self.done) * self.elapsed_s / ended if ended else None


class ProgressBar:
    """Shows `Progress` on a stream: tqdm's bar on a terminal, a line now and then elsewhere.

    Where the stream takes no more, such as a closed pipe, the run goes on unseen.

    Args:
        stream: where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: Any = None
        self._next_line_s = 0.0
        self._unseen = False

    def __call__(self, progress: Progress) -> None:
        """Show where the run stands now."""
        if self._unseen:
            return
        try:
            self._show(progress)
        except OSError as problem:
            self._unseen = True
            log.info("progress is not shown any more: %s", problem)

    def _show(self, progress: Progress) -> None:
        if self._stream.isatty():
            self._draw(progress)
        elif progress.elapsed_s >= self._next_line_s or progress.done == progress.total:
            self._next_line_s = progress.elapsed_s + LINES_EVERY_S
            self._stream.write(_line(progress) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            with contextlib.suppress(OSError):  # the terminal may be gone
                self._bar.close()

    def _draw(self, progress: Progress) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(
                total=progress.total,
                initial=progress.resumed,
                unit="video",
                file=self._stream,
                dynamic_ncols=True,
            )
        self._bar.set_postfix_str(
            f"{progress.faces_per_s:.1f} faces/s, {progress.failed} failed", refresh=False
        )
        self._bar.update(progress.done - self._bar.n)


def _line(progress: Progress) -> str:
    left = progress.remaining_s
    return (
        f"{progress.done}/{progress.total} videos, {progress.faces_per_s:.1f} faces/s, "
        f"{progress.failed} failed, {duration(left) if left is not None else 'unknown time'} left"
    )


def duration(seconds: float) -> str:
    """Seconds as people read them.

    >>> duration(3725), duration(65.4), duration(4.25)
    ('1 h 02 min', '1 min 05 s', '4.2 s')
    """
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{seconds:.1f} s"
