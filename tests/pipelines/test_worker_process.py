"""The child's side: its channel, its heartbeat, and its end when the parent is gone."""

import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipelines import worker_process
from pipelines.worker_process import HEARTBEAT_S, Channel, Heartbeat

REPOSITORY = Path(__file__).parents[2]
SOURCES = [str(REPOSITORY), str(Path(__file__).parent)]


@pytest.mark.parametrize(
    ("arrived", "want"),
    [
        (b"", [None]),
        (b'{"task": {}}', [None]),  # the parent was killed half-way through a line
        (b'{"task": {}}\n', [{"task": {}}, None]),
        (b'{"a": 1}\n{"b": "\\udc80"}\n', [{"a": 1}, {"b": "\udc80"}, None]),
    ],
)
def test_channel_receives(arrived, want):
    parent, child = socket.socketpair()
    with child:
        with parent:
            parent.sendall(arrived)
        channel = Channel(child)
        assert [channel.receive() for _ in want] == want


@pytest.mark.parametrize("message", [{"a": object()}, {"a": {1, 2}}, {(1, 2): 0}])
def test_channel_sends_nothing_of_what_json_cannot_hold(message):
    parent, child = socket.socketpair()
    with parent, child:
        channel = Channel(child)
        with pytest.raises(TypeError):
            channel.send(message)
        channel.send({"say": "error"})
        assert parent.recv(1024) == b'{"say": "error"}\n'


@pytest.mark.parametrize(
    ("calls_s", "sent"),
    [
        ([], 0),
        ([1.0], 1),
        ([1.0, 1.0, 1.0 + HEARTBEAT_S / 2], 1),
        ([1.0, 1.0 + HEARTBEAT_S / 2, 1.0 + HEARTBEAT_S, 1.0 + 3 * HEARTBEAT_S], 3),
    ],
)
def test_heartbeat_is_rate_limited(monkeypatch, calls_s, sent):
    messages = []
    clock = type("Clock", (), {"monotonic": iter(calls_s).__next__})
    monkeypatch.setattr(worker_process, "time", clock)
    heartbeat = Heartbeat(type("Fake", (), {"send": messages.append}))
    for _ in calls_s:
        heartbeat()
    assert messages == [{"say": "progress"}] * sent


@pytest.mark.parametrize("close_first", [True, False])
@pytest.mark.parametrize(
    "program",
    [
        "worker_process.die_with_parent(fd); print('armed', flush=True); sum(itertools.repeat(0))",
        "print('armed', flush=True); worker_process.exit_at_end(fd)",
    ],
)
def test_ends_with_the_lifeline(program, close_first):
    ours = "import itertools, sys; from pipelines import worker_process; fd = int(sys.argv[1]); "
    read_fd, write_fd = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", ours + program, str(read_fd)],
        pass_fds=[read_fd],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    ) as process:
        os.close(read_fd)
        if not close_first:
            assert process.stdout.readline() == b"armed\n"
        os.close(write_fd)
        assert process.wait(60) in (1, -9)


def test_imports_only_the_standard_library():
    program = (
        "import sys; before = set(sys.modules); from pipelines import worker_process\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before} - {'pipelines'}\n"
        "print(sorted(new - sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout == "[]\n"


SCRIPT = """
import sys
sys.path[:0] = {sources}
from pipelines.workers import Workers

tasks = [(how, {{"do": "hold_fifo", "fifo": {fifo}, "then": how}}) for how in {ways}]
with Workers("faulty_jobs:make", {{}}, jobs=3, timeout_s=3600, max_rss_mib=512) as pool:
    for outcome in pool.run(tasks or [("a", {{"do": "echo", "value": 5}})]):
        print(outcome.kind, outcome.result["echo"])
"""


def test_a_script_without_main_guard_works(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(sources=SOURCES, fifo=None, ways=[]))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done 5\n", "")


def test_no_worker_outlives_a_parent_killed_by_force(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = tmp_path / "script.py"
    ways = ["wait", "spin", "stop"]
    script.write_text(SCRIPT.format(sources=SOURCES, fifo=repr(str(fifo)), ways=ways))
    with subprocess.Popen([sys.executable, script]) as parent, fifo.open() as stream:
        pids = [int(stream.readline()) for _ in ways]
        while not any(psutil.Process(pid).status() == psutil.STATUS_STOPPED for pid in pids):
            assert parent.poll() is None
        parent.kill()
        assert select.select([stream], [], [], 60)[0] == [stream]
        assert stream.read() == ""  # its end, as nobody holds it open any more
