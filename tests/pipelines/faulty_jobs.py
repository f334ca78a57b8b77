"""Jobs that do to their worker process whatever can be done to one, for the tests of workers."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from facekit.errors import BadVideo, Interrupted, MissingWeights

MIB = 1 << 20
_held = []


def _echo(task, progress):
    return {"echo": task.get("value"), "pid": os.getpid()}


def _environment(task, progress):
    return {name: os.environ[name] for name in task["names"]}


def _signal(task, progress):
    os.kill(os.getpid(), task["number"])
    return {}


def _stop_itself(task, progress):
    os.kill(os.getpid(), signal.SIGSTOP)


def _spin_in_python(task, progress):
    while True:
        pass


def _spin_in_c(task, progress):
    sum(itertools.repeat(0))  # never lets go of the interpreter lock


def _wait(task, progress):
    threading.Event().wait()


def _hold_fifo(task, progress):
    """Say who it is through a FIFO, keep that open, and hang; its end shows when all are dead."""
    with Path(task["fifo"]).open("w") as fifo:
        print(os.getpid(), file=fifo, flush=True)
        {"spin": _spin_in_c, "stop": _stop_itself, "wait": _wait}[task["then"]](task, progress)


def _hold_fifo_in_child(task, progress):
    """Start a process that opens the FIFO, takes memory, and hangs."""
    program = (
        "import sys, time; fifo = open(sys.argv[1], 'w')\n"
        f"held = bytearray(b'x') * (int(sys.argv[2]) * {MIB}); time.sleep(3600)"
    )
    subprocess.run([sys.executable, "-c", program, task["fifo"], str(task["mib"])], check=True)


def _read_fifo(task, progress):
    with Path(task["fifo"]).open() as fifo:
        return {"read": fifo.read()}


def _signal_parent(task, progress):
    os.kill(os.getppid(), task["number"])
    _wait(task, progress)


def _raise(task, progress):
    raise {
        "value": ValueError("no such\n  thing"),
        "facekit": BadVideo("a.mp4 holds no picture"),
        "memory": MemoryError("Unable to allocate 1. PiB"),
        "exit": SystemExit("enough of this"),
        "deep": RecursionError("too deep"),
    }[task["what"]]


def _exit(task, progress):
    os._exit(task["status"])


def _leak(task, progress):
    for _ in range(task["mib"]):
        _held.append(bytearray(b"x") * MIB)
        progress()
    return {"pid": os.getpid()}


def _leak_and_wait(task, progress):
    _leak(task, progress)
    _wait(task, progress)


def _print(task, progress):
    for fd in (1, 2):
        os.write(fd, b'\xff\x00{"say": "done", "result": {"echo": "forged"}}\n' * 1000)
    sys.stderr.write("last words\n")
    return _echo(task, progress)


def _print_and_crash(task, progress):
    sys.stderr.write("Assertion bad_stream failed\n")
    os.abort()


def _work_on(task, progress):
    """Be busy for a while, and say so."""
    end_s = time.monotonic() + task["duration_s"]
    while time.monotonic() < end_s:
        progress()
    return {}


def _progress_from_threads(task, progress):
    """Heartbeats that compete with a large result for the link."""

    def beat():
        while not over.is_set():
            progress._next_s = 0.0
            progress()

    over = threading.Event()
    thread = threading.Thread(target=beat)
    thread.start()
    over.wait(0.01)
    over.set()
    thread.join()
    return {"large": "x" * (4 * MIB)}


def _return_object(task, progress):
    return {"object": object()}


_WAYS = {
    "echo": _echo,
    "environment": _environment,
    "signal": _signal,
    "stop_itself": _stop_itself,
    "spin_in_python": _spin_in_python,
    "spin_in_c": _spin_in_c,
    "wait": _wait,
    "hold_fifo": _hold_fifo,
    "hold_fifo_in_child": _hold_fifo_in_child,
    "read_fifo": _read_fifo,
    "signal_parent": _signal_parent,
    "raise": _raise,
    "exit": _exit,
    "leak": _leak,
    "leak_and_wait": _leak_and_wait,
    "print": _print,
    "print_and_crash": _print_and_crash,
    "work_on": _work_on,
    "progress_from_threads": _progress_from_threads,
    "return_object": _return_object,
}


class _Job:
    def __init__(self, config):
        self.info = {"device": config.get("device", "cpu")}

    def __call__(self, task, progress):
        return _WAYS[task["do"]](task, progress)


def make(config):
    """A job that does what each task asks for."""
    return _Job(config)


def make_badly(config):
    """A job that cannot be built, in the way that `config` asks for."""
    how = config["how"]
    if how in ("exit", "signal", "wait", "leak"):
        _WAYS[how](config, lambda: None)
    if how == "once":  # the second process succeeds
        mark = Path(config["mark"])
        if not mark.exists():
            mark.touch()
            os._exit(1)
    if how == "info":
        job = make(config)
        job.info = {"object": object()}
        return job
    errors = {
        "weights": MissingWeights("scrfd.onnx is not at hand: run facekit weights fetch"),
        "value": ValueError("no such model"),
        "interrupted": Interrupted("a signal came", signal.SIGINT),
    }
    if how in errors:
        raise errors[how]
    return make(config)
