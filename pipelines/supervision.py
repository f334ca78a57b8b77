"""One worker process: get it ready, watch it through a task, say how the task ended.

Nothing here knows what a task is; `pipelines.worker_process` is the other side.
"""

import dataclasses
import logging
import math
import time
from dataclasses import dataclass
from typing import Any, Final, Literal

from facekit import errors
from facekit.errors import BadInput, FacekitError
from pipelines.worker_link import WorkerGoneError, WorkerLink
from pipelines.worker_process import Message

_log = logging.getLogger(__name__)

Task = dict[str, Any]
Kind = Literal["done", "error", "crashed", "timeout", "out_of_memory", "stopped"]

TICK_S: Final = 0.25
STARTS: Final = 2
"""How many processes may die in a row before they have begun, until somebody is to blame."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one task ended.

    >>> Outcome(key="a", kind="timeout", reason="no progress for 120 s").result is None
    True
    """

    key: str
    """The key that came with the task."""

    kind: Kind
    """done, error (it raised), crashed, timeout, out_of_memory, or stopped."""

    result: dict[str, Any] | None = None
    """What the job returned, if it is done."""

    reason: str = ""
    """One line: the exception, or the signal with the place and the last output; empty if done."""

    error_kind: str = ""
    """Name of the class in `facekit.errors`, if the task raised one of these."""

    duration_s: float = 0.0
    """Seconds from handing the task over; neither queue nor start of a process count."""

    peak_rss_mib: float = 0.0
    """Largest resident memory seen, sampled a few times a second, in MiB."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one worker may take."""

    timeout_s: float
    """Seconds without progress."""

    max_rss_mib: float
    """Resident memory, children of the worker included, in MiB."""

    ready_timeout_s: float
    """Seconds until the job is built."""

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not value > 0:
                raise BadInput(f"{name} of the workers must be above 0, not {value}")


class Stop:
    """The moment after which tasks in flight are killed; free of locks, for signal handlers."""

    def __init__(self) -> None:
        self._deadlines_s: list[float] = []

    def ask(self, grace_s: float) -> None:
        """Start nothing more from now on; kill what is in flight after `grace_s` seconds."""
        self._deadlines_s.append(time.monotonic() + grace_s)

    @property
    def asked(self) -> bool:
        """Whether nothing more may start."""
        return bool(self._deadlines_s)

    @property
    def over(self) -> bool:
        """Whether the shortest grace has run out."""
        return time.monotonic() >= min(self._deadlines_s, default=math.inf)


class _Silence:
    """Seconds without a word, in ticks: a parent that was itself stopped blames nobody."""

    def __init__(self) -> None:
        self.length_s = 0.0
        self._seen_s = time.monotonic()

    def count(self, *, heard: bool) -> None:
        now_s = time.monotonic()
        self.length_s = 0.0 if heard else self.length_s + min(now_s - self._seen_s, 2 * TICK_S)
        self._seen_s = now_s


@dataclass
class Worker:
    """A process whose job is built."""

    link: WorkerLink
    info: dict[str, Any]
    """What the job says of itself."""

    ready_rss_mib: float
    """Resident memory before the first task."""

    def is_bloated(self, limits: Limits) -> bool:
        """Whether it has used up half its headroom at rest: a slow leak shall cost no task."""
        return self.link.rss_mib() > (self.ready_rss_mib + limits.max_rss_mib) / 2


class Watch:
    """One task on one worker, from handing it over to its end."""

    def __init__(self, link: WorkerLink, limits: Limits, stop: Stop) -> None:
        self._link, self._limits, self._stop = link, limits, stop
        self._silence = _Silence()
        self._peak_rss_mib = 0.0
        self.began = False

    def outcome(self, key: str, task: Task) -> Outcome:
        """Hand the task over and see it through; killing the worker is left to the caller."""
        start_s = time.monotonic()
        self._link.forget_output()
        self._link.send({"task": task})
        try:
            end = self._see_through()
        except WorkerGoneError:
            end = {"kind": "crashed", "reason": self._link.obituary()}
        duration_s = time.monotonic() - start_s
        return Outcome(key=key, duration_s=duration_s, peak_rss_mib=self._peak_rss_mib, **end)

    def _see_through(self) -> dict[str, Any]:
        while True:
            messages = self._link.receive(TICK_S)
            self.began = self.began or bool(messages)
            self._silence.count(heard=messages is not None)
            rss_mib = self._link.rss_mib()
            self._peak_rss_mib = max(self._peak_rss_mib, rss_mib)
            end = _answer(messages or []) or self._sentence(rss_mib)
            if end is not None:
                return end

    def _sentence(self, rss_mib: float) -> dict[str, Any] | None:
        """Why the worker must be killed now, if it must."""
        limits = self._limits
        if rss_mib > limits.max_rss_mib:
            reason = f"took {rss_mib:.0f} MiB of memory; {limits.max_rss_mib:g} MiB are allowed"
            return {"kind": "out_of_memory", "reason": reason}
        if self._silence.length_s > limits.timeout_s:
            reason = f"no progress for {limits.timeout_s:g} s"
            return {"kind": "timeout", "reason": reason + self._link.place()}
        if self._stop.over:
            return {"kind": "stopped", "reason": "killed because the run was stopped"}
        return None


def _answer(messages: list[Message]) -> dict[str, Any] | None:
    """How the task ended, if one of the messages says so."""
    for message in messages:
        if message["say"] == "done":
            return {"kind": "done", "result": message["result"]}
        if message["say"] == "error":
            _log.info("a task failed in its worker:\n%s", message["traceback"])
            kind = "out_of_memory" if message["out_of_memory"] else "error"
            return {"kind": kind} | {name: message[name] for name in ("reason", "error_kind")}
    return None


def launch(hello: Message, limits: Limits, stop: Stop) -> Worker | None:
    """Start a worker and wait until its job is built.

    Args:
        hello: the first message: `sys_path`, `job` and `config`.
        limits: what it may take.
        stop: ends the wait.

    Returns:
        The worker, or None if a stop came first.

    Raises:
        FacekitError: the job cannot be built (the kind that it raised), or the processes die first.
        OSError: the system gives no process.
    """
    reason = ""
    for _ in range(STARTS):
        if stop.asked:
            return None
        link = WorkerLink(hello)
        try:
            return _welcome(link, _first_message(link, limits, stop), limits)
        except WorkerGoneError as problem:
            link.kill()
            reason = str(problem)
        except BaseException:
            link.kill()
            raise
    if stop.asked:
        return None
    raise FacekitError(f"no worker process gets ready, {STARTS} in a row: {reason}")


def _first_message(link: WorkerLink, limits: Limits, stop: Stop) -> Message:
    silence = _Silence()
    while silence.length_s <= limits.ready_timeout_s:
        if stop.asked:
            raise WorkerGoneError("the run was stopped")
        try:
            messages = link.receive(TICK_S)
        except WorkerGoneError:
            raise WorkerGoneError(link.obituary()) from None
        if messages:
            return messages[0]
        silence.count(heard=False)
    raise WorkerGoneError(f"not ready after {limits.ready_timeout_s:g} s")


def _welcome(link: WorkerLink, message: Message, limits: Limits) -> Worker:
    if message["say"] == "failed":
        _log.info("the job of a worker cannot be built:\n%s", message["traceback"])
        raise _error_of(message)
    rss_mib = link.rss_mib()
    if rss_mib > limits.max_rss_mib:
        raise BadInput(
            f"a worker takes {rss_mib:.0f} MiB before its first task; "
            f"{limits.max_rss_mib:g} MiB are allowed: raise --max-rss"
        )
    return Worker(link, message["info"], rss_mib)


def _error_of(message: Message) -> FacekitError:
    """The error that a job raised when it was built, of its own kind where it is one of ours."""
    kind: type[FacekitError] = getattr(errors, message["error_kind"] or "FacekitError")
    if kind is errors.Interrupted:  # no job has a signal number to give
        kind = FacekitError
    return kind(message["message"] if message["error_kind"] else message["reason"])
