"""The main loop of one worker process; `pipelines.worker_link` starts it as a program.

Messages are JSON lines over a socket of their own, so whatever a library prints stays out of them:

    parent -> child   {"sys_path", "job", "config"}, once; then {"task"} for each task
    child -> parent   {"say": "ready", "info"} or {"say": "failed", ...}, once;
                      then for each task "begun", any number of "progress", and "done" or "error"

At the top stand only modules of the standard library: `sys.path` arrives with the first message.
"""

import contextlib
import faulthandler
import fcntl
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

Message = dict[str, Any]
Job = Callable[[Message, Callable[[], None]], Message]

HEARTBEAT_S: Final = 0.2
MESSAGE_CHARS: Final = 1000


class Channel:
    """The child's end of the socket: one JSON object a line."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._lines = link.makefile("rb")
        self._lock = threading.Lock()  # a job may report progress from threads of its own

    def receive(self) -> Message | None:
        """The next message, or None when the parent has closed its end."""
        try:
            line = self._lines.readline()
        except ConnectionError:
            return None
        message: Message | None = json.loads(line) if line.endswith(b"\n") else None
        return message

    def send(self, message: Message) -> None:
        """Send a message; nothing of it where JSON cannot hold it (TypeError, ValueError)."""
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            self._link.sendall(line)


class Heartbeat:
    """Tells the parent that a task makes progress, at most five times a second."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._next_s = 0.0

    def __call__(self) -> None:
        """Report progress; nearly free when called too often."""
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + HEARTBEAT_S
            self._channel.send({"say": "progress"})


def die_with_parent(lifeline_fd: int) -> None:
    """Make this process end as soon as the other end of the lifeline closes.

    Nobody writes to the lifeline: only the parent's end, however it comes, makes it readable. On
    Linux the kernel itself then sends SIGKILL, which also ends a process that is stopped or that
    hangs in C code holding the interpreter lock. Elsewhere a thread waits.
    """
    if sys.platform != "linux":
        threading.Thread(target=exit_at_end, args=(lifeline_fd,), daemon=True).start()
        return
    fcntl.fcntl(lifeline_fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline_fd, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(lifeline_fd, fcntl.F_GETFL)
    fcntl.fcntl(lifeline_fd, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([lifeline_fd], [], [], 0)[0]:  # the parent ended before all this was set
        os._exit(1)


def exit_at_end(lifeline_fd: int) -> None:
    """Wait for the end of the lifeline, then end the process without any clean-up."""
    os.read(lifeline_fd, 1)
    os._exit(1)


def _prepare(inherited_fds: list[int]) -> None:
    for fd in inherited_fds:
        os.set_inheritable(fd, False)
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides when a run ends
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable(all_threads=False)
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    with contextlib.suppress(OSError):  # where memory runs out, better one task than the whole run
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _failure(say: str, problem: Exception) -> Message:
    from facekit import errors

    kinds = [kind for kind in type(problem).__mro__ if kind.__module__ == errors.__name__]
    message = " ".join(str(problem).split())[:MESSAGE_CHARS]
    reason = f"{type(problem).__name__}: {message}"
    if not kinds:
        frame = traceback.extract_tb(problem.__traceback__)[-1]
        reason += f" (in {Path(frame.filename).name}:{frame.lineno} {frame.name})"
    return {
        "say": say,
        "error_kind": kinds[0].__name__ if kinds else "",
        "message": message,
        "reason": reason,
        "out_of_memory": isinstance(problem, MemoryError),
        "traceback": "".join(traceback.format_exception(problem)),
    }


def _build(channel: Channel, hello: Message) -> Job | None:
    """Import and build the job and tell the parent; None if that failed."""
    sys.path[:] = hello["sys_path"]
    try:
        module, _, function = hello["job"].partition(":")
        job: Job = getattr(importlib.import_module(module), function)(hello["config"])
        channel.send({"say": "ready", "info": getattr(job, "info", {})})
    except Exception as problem:  # noqa: BLE001 - the parent raises it
        channel.send(_failure("failed", problem))
        return None
    return job


def _attempt(channel: Channel, job: Job, task: Message) -> None:
    channel.send({"say": "begun"})
    try:
        channel.send({"say": "done", "result": job(task, Heartbeat(channel))})
    except Exception as problem:  # noqa: BLE001 - becomes the outcome of this task
        channel.send(_failure("error", problem))


def main(link_fd: int, lifeline_fd: int) -> None:
    """Build the job, then do one task after the other until the parent closes the link."""
    die_with_parent(lifeline_fd)
    _prepare([link_fd, lifeline_fd])
    channel = Channel(socket.socket(fileno=link_fd))
    hello = channel.receive()
    job = None if hello is None else _build(channel, hello)
    while job is not None and (message := channel.receive()) is not None:
        _attempt(channel, job, message["task"])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
