"""The parent's end of one worker process: start it, talk to it, weigh it, end it."""

import contextlib
import fcntl
import json
import logging
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

from pipelines import worker_process
from pipelines.worker_process import Message

_log = logging.getLogger(__name__)

ONE_THREAD: Final = {
    f"{library}_NUM_THREADS": "1"
    for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")
}
REUSED_MEMORY: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
}
"""Frames and crops come and go by the ten megabytes. By default glibc hands each back to the
system, which clears every page of the next anew: a twentieth of a worker's time. Older
ones take no threshold above 32 MiB, and then keep to one of 128 KiB."""
EXIT_S: Final = 10.0
"""How long a process may take to end; one that waits for a dead network disk takes for ever."""
STACK_S: Final = 0.2
"""How long a hung process gets to write down where it hangs."""
FAMILY_S: Final = 2.0
"""How often to look for children of the worker: it costs a walk through all processes."""
TAIL_BYTES: Final = 1 << 16

_DUMP = re.compile(r"^(Fatal Python error: |Stack \(most recent|Current thread 0x)", re.MULTILINE)
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in (\S+)$', re.MULTILINE)


class WorkerGoneError(Exception):
    """The process has ended, or nobody can talk to it any more."""


class WorkerLink:
    """One worker process and all that belongs to it; `kill` and `dismiss` leave nothing of it.

    Its stdout and stderr go to an unnamed temporary file, so not even a killed parent leaves one.

    Args:
        hello: the first message: `sys_path`, `job` and `config`.

    Raises:
        OSError: the system gives no process, file or socket.
    """

    def __init__(self, hello: Message) -> None:
        with contextlib.ExitStack() as stack:
            self._output = stack.enter_context(tempfile.TemporaryFile())
            fcntl.fcntl(self._output, fcntl.F_SETFL, os.O_APPEND)  # it is emptied between tasks
            self._socket, theirs = socket.socketpair()
            stack.enter_context(self._socket)
            lifeline_read, lifeline_write = os.pipe()
            stack.callback(os.close, lifeline_write)
            with theirs:
                try:
                    self._process = self._spawn(theirs.fileno(), lifeline_read)
                finally:
                    os.close(lifeline_read)
            self._resources = stack.pop_all()
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._inbox, self._outbox = bytearray(), bytearray()
        self._worker = psutil.Process(self._process.pid)  # knows it from a later one of that number
        self._family = [self._worker]
        self._family_until_s = 0.0
        self.send(hello)

    def _spawn(self, *fds: int) -> subprocess.Popen[bytes]:
        # -P keeps this folder out of the child's sys.path: its modules are no top-level ones
        program = [sys.executable, "-u", "-P", str(Path(worker_process.__file__))]
        return subprocess.Popen(
            [*program, *map(str, fds)],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**REUSED_MEMORY, **os.environ, **ONE_THREAD},
        )

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def send(self, message: Message) -> None:
        """Queue a message; `receive` hands it over, so a process that never reads blocks nobody.

        Raises:
            TypeError: JSON cannot hold the message.
        """
        self._outbox += json.dumps(message).encode() + b"\n"

    def receive(self, wait_s: float) -> list[Message] | None:
        """What the worker has to say.

        Args:
            wait_s: how long to wait for it at most, in seconds.

        Returns:
            Messages in order, none where only a piece of one came; None for silence.

        Raises:
            WorkerGoneError: there is nobody to say anything.
        """
        self._poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._outbox else 0))
        events = dict(self._poll.poll(wait_s * 1000)).get(self._socket.fileno(), 0)
        if events & select.POLLOUT:
            with contextlib.suppress(ConnectionError, BlockingIOError):
                del self._outbox[: self._socket.send(self._outbox)]
        if events & ~select.POLLOUT:
            return self._read()
        if not events and not self.alive():  # a grandchild may still hold the other end open
            raise WorkerGoneError
        return None

    def _read(self) -> list[Message]:
        try:
            chunk = self._socket.recv(1 << 20)
        except ConnectionError as problem:
            raise WorkerGoneError from problem
        if not chunk:
            raise WorkerGoneError
        self._inbox += chunk
        if b"\n" not in chunk:
            return []
        *lines, self._inbox = self._inbox.split(b"\n")
        try:
            return [json.loads(line) for line in lines]
        except ValueError as problem:
            raise WorkerGoneError from problem

    def forget_output(self) -> None:
        """Empty the log, so that what it holds later belongs to the task at hand."""
        self._output.truncate(0)

    def rss_mib(self) -> float:
        """Resident memory of the worker and its children now, in MiB; 0 once it has ended."""
        total = 0
        for process in self._relatives():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total / 2**20

    def _relatives(self, max_age_s: float = FAMILY_S) -> list[psutil.Process]:
        now_s = time.monotonic()
        if now_s >= self._family_until_s or max_age_s == 0:
            self._family_until_s = now_s + max_age_s
            with contextlib.suppress(psutil.NoSuchProcess):
                self._family = [self._worker, *self._worker.children(recursive=True)]
        return self._family

    def place(self) -> str:
        """Where the worker is now, as ` in file.py:12 function`, or nothing if it cannot say."""
        self.forget_output()
        self._process.send_signal(signal.SIGUSR1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STACK_S)
        return _frame(self._tail())

    def obituary(self) -> str:
        """How and where the process ended, and its last words, in one line."""
        try:
            status = self._process.wait(EXIT_S)
        except subprocess.TimeoutExpired:
            return "closed its link to the supervisor and went on"
        tail = self._tail()
        words = _last_words(tail)
        return _manner(status) + _frame(tail) + (f"; its last output: {words}" if words else "")

    def _tail(self) -> str:
        size = os.fstat(self._output.fileno()).st_size
        start = max(0, size - TAIL_BYTES)
        return os.pread(self._output.fileno(), TAIL_BYTES, start).decode(errors="replace")

    def kill(self) -> None:
        """End the process and its children at once, whatever they are doing."""
        for process in self._relatives(max_age_s=0):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._reap()

    def ask_to_end(self) -> None:
        """Let an idle process know that there is nothing more to do."""
        with contextlib.suppress(OSError):  # its end may be gone already
            self._socket.shutdown(socket.SHUT_RDWR)

    def dismiss(self) -> None:
        """Let an idle process end in its own way, and kill it if it does not."""
        self.ask_to_end()
        try:
            self._process.wait(EXIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        else:
            self._reap()

    def _reap(self) -> None:
        try:
            self._process.wait(EXIT_S)
        except subprocess.TimeoutExpired:
            _log.warning("worker process %d outlives SIGKILL: it waits for a device", self.pid)
        self._resources.close()


def _manner(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    names: dict[int, str] = {number.value: number.name for number in signal.Signals}
    name = names.get(-status, f"signal {-status}")
    hint = ", often the kernel's out-of-memory killer" if name == "SIGKILL" else ""
    return f"killed by {name}{hint}"


def _frame(output: str) -> str:
    """The innermost Python frame of a faulthandler dump."""
    dump = _DUMP.search(output)
    frame = _FRAME.search(output, dump.start()) if dump else None
    return f" in {Path(frame[1]).name}:{frame[2]} {frame[3]}" if frame else ""


def _last_words(output: str) -> str:
    """The last line that a library or the job itself wrote, faulthandler's dump aside."""
    dump = _DUMP.search(output)
    lines = output[: dump.start() if dump else None].split("\n")
    words = [" ".join(line.split()) for line in lines if line.strip()]
    return words[-1][:200] if words else ""
