"""Supervised worker processes: whatever a task does to its process, it costs that task alone.

joblib threads attend to one task each, and each owns a worker process while it does. A process that
crashes, hangs or outgrows its memory is killed and replaced, and its task gets an outcome that says
so: with joblib's own process pools one crash costs the rest of the run.
"""

import contextlib
import json
import re
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Self

from facekit.errors import BadInput, FacekitError
from pipelines.supervision import STARTS, Kind, Limits, Outcome, Stop, Task, Watch, Worker, launch

__all__ = ["ENGINES", "Kind", "Outcome", "Task", "Workers", "echo"]

ENGINES: Final = {"local": "threading"}
"""Name of an engine -> the joblib backend that runs `_attend`; the one place that knows."""


class Workers:
    """Worker processes that do tasks, each started when first needed and kept for the next task.

    Args:
        job: `module:function`; each process calls `function(config)` once, and what that returns,
            as `job(task, progress) -> result`, for every task. Tasks and results are dicts that
            JSON can hold; `progress()` reports that the task is alive. An attribute `info` of the
            job, a dict, is handed up.
        config: what the function takes; JSON-able.
        jobs: processes at a time.
        timeout_s: seconds without progress after which the process of a task is killed.
        max_rss_mib: resident memory in MiB above which it is killed.
        engine: where the workers run: local.
        ready_timeout_s: seconds that a process may take until its job is built.

    Raises:
        BadInput: an argument is out of range, or JSON cannot hold `config`.

    Source: facekit's own.

    >>> with Workers("pipelines.workers:echo", {}, jobs=1, timeout_s=60, max_rss_mib=512) as pool:
    ...     for outcome in pool.run([("a", {"x": 1})]):
    ...         print(outcome.key, outcome.kind, outcome.result)
    a done {'x': 1}
    """

    def __init__(
        self,
        job: str,
        config: dict[str, Any],
        *,
        jobs: int,
        timeout_s: float,
        max_rss_mib: float,
        engine: str = "local",
        ready_timeout_s: float = 300.0,
    ) -> None:
        _check(job, config, jobs, engine)
        self._hello = {"sys_path": list(map(str, sys.path)), "job": job, "config": config}
        self._jobs = jobs
        self._backend = ENGINES[engine]
        self._limits = Limits(
            timeout_s=timeout_s, max_rss_mib=max_rss_mib, ready_timeout_s=ready_timeout_s
        )
        self._stop = Stop()
        self._idle: list[Worker] = []
        self._in_flight = 0
        self._landed = threading.Condition()
        self._failure: Exception | None = None
        self._closed = False
        self._info: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def info(self) -> dict[str, Any]:
        """What the job of the first worker says of itself; empty before it is ready."""
        return self._info

    def start(self) -> dict[str, Any]:
        """Start a worker ahead of the first task, to see at once whether the job can be built.

        Returns:
            `info`.

        Raises:
            FacekitError: as in `run`.
            OSError: the system gives no process.
        """
        self._refuse_if_closed()
        with self._flight():
            worker = self._take()
            if worker is not None:
                self._idle.append(worker)
        return self.info

    def run(self, tasks: Iterable[tuple[str, Task]]) -> Generator[Outcome, None, None]:
        """Do the tasks; one outcome for every task that was pulled, in the order they end.

        Closing the generator early, or an exception in it, closes the workers.

        Args:
            tasks: pairs of a key and a task, pulled as workers come free, from other threads.

        Yields:
            One `Outcome` a task.

        Raises:
            FacekitError: the job cannot be built (the kind that it raised), processes die in a row
                before they are ready, or the workers are closed.
            OSError: the system gives no process.
        """
        self._refuse_if_closed()
        outcomes = self._dispatch(tasks)
        try:
            for outcome in outcomes:  # noqa: UP028 - `yield from` would close joblib's side first
                yield outcome
        except BaseException:
            self.close()
            for _ in outcomes:  # joblib warns of what is left behind
                pass
            raise
        if self._failure is not None:
            raise self._failure

    def stop(self, grace_s: float = 10.0) -> None:
        """Start no more tasks, and kill those in flight after a grace; safe in a signal handler.

        Args:
            grace_s: seconds; of several calls the earliest end counts, so 0 kills at once.
        """
        self._stop.ask(grace_s)

    def close(self) -> None:
        """Kill what is in flight, dismiss the rest, and wait until no process is left."""
        self._closed = True
        self.stop(0)
        with self._landed:
            self._landed.wait_for(lambda: self._in_flight == 0)
        for worker in self._idle:  # all at once: each takes a while to unload its libraries
            worker.link.ask_to_end()
        while self._idle:
            self._idle.pop().link.dismiss()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise FacekitError("these workers are closed: make new ones")

    def _dispatch(self, tasks: Iterable[tuple[str, Task]]) -> Iterator[Outcome]:
        from joblib import Parallel, delayed

        parallel = Parallel(
            n_jobs=self._jobs,
            backend=self._backend,
            batch_size=1,
            pre_dispatch=self._jobs,
            return_as="generator_unordered",
        )
        calls = (delayed(_attend)(self, key, task) for key, task in self._pull(tasks))
        outcomes: Iterator[Outcome] = parallel(calls)
        return outcomes

    def _pull(self, tasks: Iterable[tuple[str, Task]]) -> Iterator[tuple[str, Task]]:
        """The tasks, up to a stop; joblib would hang if what it pulls from raised."""
        try:
            pending = iter(tasks)
            while not self._stop.asked:
                key, task = next(pending)
                yield key, task
        except StopIteration:
            return
        except Exception as problem:  # noqa: BLE001 - raised again at the end of `run`
            self._fail(problem)

    def _fail(self, problem: Exception) -> None:
        """End the run with this exception, once what is in flight has been killed."""
        self._failure = self._failure or problem
        self.stop(0)

    @contextlib.contextmanager
    def _flight(self) -> Iterator[None]:
        """Let `close` know that a thread may own a worker."""
        with self._landed:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._landed:
                self._in_flight -= 1
                self._landed.notify_all()

    def _attempt(self, key: str, task: Task) -> Outcome:
        """One task on a worker; on a second one if the first died before it began."""
        for attempt in range(1, STARTS + 1):
            worker = self._take()
            if worker is None:
                break
            watch = Watch(worker.link, self._limits, self._stop)
            try:
                outcome = watch.outcome(key, task)
            except BaseException:
                worker.link.kill()
                raise
            self._put_back(worker, outcome)
            if watch.began or attempt == STARTS:
                return outcome
        return Outcome(key=key, kind="stopped", reason="not begun when the run was stopped")

    def _take(self) -> Worker | None:
        """A worker that is ready, the last used one first; None if the run is being stopped."""
        while not self._stop.asked:
            try:
                worker = self._idle.pop()
            except IndexError:
                break
            if worker.link.alive():
                return worker
            worker.link.kill()
        fresh = launch(self._hello, self._limits, self._stop)
        if fresh is not None:
            self._info = self._info or fresh.info
        return fresh

    def _put_back(self, worker: Worker, outcome: Outcome) -> None:
        if outcome.kind not in ("done", "error"):
            worker.link.kill()
        elif worker.is_bloated(self._limits):
            worker.link.dismiss()
        else:
            self._idle.append(worker)


def _attend(workers: Workers, key: str, task: Task) -> Outcome:
    """One task from start to end, on whichever thread the engine gives it."""
    with workers._flight():
        try:
            return workers._attempt(key, task)
        except (FacekitError, OSError) as problem:
            workers._fail(problem)
            return Outcome(key=key, kind="stopped", reason="not begun when the run failed")


def _check(job: str, config: dict[str, Any], jobs: int, engine: str) -> None:
    if re.fullmatch(r"[\w.]+:\w+", job) is None:
        raise BadInput(f"the job of the workers must be module:function, not {job!r}")
    if jobs < 1:
        raise BadInput(f"there must be at least one worker, not {jobs}")
    if engine not in ENGINES:
        raise BadInput(f"--engine must be one of {tuple(ENGINES)}, not {engine!r}")
    try:
        json.dumps(config)
    except (TypeError, ValueError) as problem:
        raise BadInput(f"JSON cannot hold the config of the workers: {problem}") from problem


def echo(config: dict[str, Any]) -> Callable[[Task, Callable[[], None]], Task]:
    """The smallest job: gives each task back; for examples, and to try an engine.

    Args:
        config: goes unused.

    Returns:
        The job.

    >>> echo({})({"x": 1}, lambda: None)
    {'x': 1}
    """
    del config
    return lambda task, progress: task
