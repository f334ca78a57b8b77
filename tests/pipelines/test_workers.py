"""Whatever a task does to its worker process costs that task alone, and leaves nothing behind."""

import gc
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import psutil
import pytest

from facekit.errors import BadInput, FacekitError, MissingWeights
from pipelines.workers import Workers

HANG_S = 0.6
LONG_S = 60.0
HERE = str(Path(__file__).parent)


def workers(job="faulty_jobs:make", config=None, **changes):
    given = {"jobs": 2, "timeout_s": LONG_S, "max_rss_mib": 512, **changes}
    return Workers(job, config or {}, **given)


def outcomes_of(tasks, **changes):
    with workers(**changes) as pool:
        return {outcome.key: outcome for outcome in pool.run(tasks.items())}


def echoes(count):
    return {f"echo {value}": {"do": "echo", "value": value} for value in range(count)}


@pytest.fixture
def children():
    """The child processes since the test began: some of Python's own live as long as this one."""
    before = set(psutil.Process().children())
    return lambda: [child for child in psutil.Process().children() if child not in before]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """No process, zombie, open file or temporary file is left by any test here."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(sys, "path", [HERE, *sys.path])
    import joblib  # noqa: F401 - what it opens for good is not ours

    this = psutil.Process()
    gc.collect()  # what tests before this one have left is not told of here
    files_before, processes_before = this.num_fds(), set(this.children(recursive=True))
    yield
    gc.collect()  # an exception may still hold joblib's threads, and they two files
    assert set(this.children(recursive=True)) <= processes_before
    assert this.num_fds() <= files_before
    assert list(folder.iterdir()) == []


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("jobs", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_every_task_has_its_outcome(count, jobs):
    found = outcomes_of(echoes(count), jobs=jobs)
    assert sorted(found) == sorted(echoes(count))
    for key, outcome in found.items():
        assert (outcome.kind, outcome.reason, outcome.error_kind) == ("done", "", "")
        assert f"echo {outcome.result['echo']}" == key
        assert outcome.duration_s > 0
        assert outcome.peak_rss_mib > 1
    assert len({outcome.result["pid"] for outcome in found.values()}) <= min(jobs, count)


@pytest.mark.parametrize(
    ("fault", "limits", "kind", "reason"),
    [
        (
            {"do": "signal", "number": signal.SIGSEGV},
            {},
            "crashed",
            "by SIGSEGV in faulty_jobs.py:",
        ),
        ({"do": "signal", "number": signal.SIGKILL}, {}, "crashed", "SIGKILL, often the kernel's"),
        ({"do": "signal", "number": 37}, {}, "crashed", "killed by signal 37"),
        ({"do": "print_and_crash"}, {}, "crashed", "last output: Assertion bad_stream failed"),
        ({"do": "exit", "status": 0}, {}, "crashed", "ended with exit status 0"),
        ({"do": "exit", "status": 7}, {}, "crashed", "ended with exit status 7"),
        ({"do": "raise", "what": "exit"}, {}, "crashed", "status 1; its last output: enough"),
        ({"do": "stop_itself"}, {"timeout_s": HANG_S}, "timeout", "no progress for 0.6 s"),
        ({"do": "spin_in_python"}, {"timeout_s": HANG_S}, "timeout", "_spin_in_python"),
        ({"do": "spin_in_c"}, {"timeout_s": HANG_S}, "timeout", "_spin_in_c"),
        ({"do": "wait"}, {"timeout_s": HANG_S}, "timeout", "0.6 s in threading.py:"),
        ({"do": "leak_and_wait", "mib": 200}, {"max_rss_mib": 128}, "out_of_memory", "128 MiB are"),
        ({"do": "raise", "what": "memory"}, {}, "out_of_memory", "MemoryError: Unable"),
        ({"do": "raise", "what": "value"}, {}, "error", "ValueError: no such thing (in faulty"),
        ({"do": "raise", "what": "deep"}, {}, "error", "RecursionError: too deep"),
        ({"do": "return_object"}, {}, "error", "TypeError: Object of type object"),
        ({"do": "unheard of"}, {}, "error", "KeyError: 'unheard of'"),
    ],
)
def test_a_fault_costs_its_own_task_alone(fault, limits, kind, reason):
    found = outcomes_of(
        {**echoes(2), "fault": fault, **{f"later {k}": v for k, v in echoes(2).items()}}, **limits
    )
    bad = found.pop("fault")
    assert bad.kind == kind
    assert reason in bad.reason
    assert "\n" not in bad.reason
    assert (bad.result, bad.error_kind) == (None, "")
    assert [outcome.kind for outcome in found.values()] == ["done"] * 4


@pytest.mark.parametrize(
    ("task", "result"),
    [
        ({"do": "signal", "number": signal.SIGINT}, {}),
        ({"do": "signal", "number": signal.SIGTERM}, {}),
        ({"do": "work_on", "duration_s": 2.5 * HANG_S}, {}),
        ({"do": "environment", "names": ["OMP_NUM_THREADS"]}, {"OMP_NUM_THREADS": "1"}),
        ({"do": "progress_from_threads"}, {"large": "x" * (4 << 20)}),
    ],
)
def test_what_a_task_survives(task, result):
    found = outcomes_of({"task": task}, timeout_s=HANG_S)["task"]
    assert (found.kind, found.reason) == ("done", "")
    assert found.result == result


@pytest.mark.parametrize(
    "value", ["", "1\n2", "caf\u00e9 \udc80", "x" * (1 << 21), None, [1, {"a": 0.1}], float("inf")]
)
def test_values_cross_unchanged(value):
    assert outcomes_of({"": {"do": "print", "value": value}})[""].result["echo"] == value


def test_our_errors_keep_their_kind():
    found = outcomes_of({"a": {"do": "raise", "what": "facekit"}})["a"]
    assert (found.kind, found.error_kind) == ("error", "BadVideo")
    assert found.reason == "BadVideo: a.mp4 holds no picture"


def test_tracebacks_are_logged(caplog):
    caplog.set_level(logging.INFO, logger="pipelines.supervision")
    outcomes_of({"a": {"do": "raise", "what": "value"}})
    assert "Traceback" in caplog.text
    assert "_raise" in caplog.text


def test_a_worker_is_kept_for_the_next_task_even_after_an_exception():
    with workers(jobs=1) as pool:
        tasks = [*echoes(2).items(), ("bad", {"do": "raise", "what": "value"}), *echoes(2).items()]
        first = {outcome.result["pid"] for outcome in pool.run(tasks) if outcome.result}
        second = {outcome.result["pid"] for outcome in pool.run(echoes(2).items())}
    assert len(first) == 1
    assert first == second


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_lost_between_two_tasks_costs_none(number):
    tasks = {"a": {"do": "echo"}, "b": {"do": "echo", "value": "x" * (1 << 21)}}
    pids = []
    with workers(jobs=1, timeout_s=HANG_S) as pool:
        for outcome in pool.run(tasks.items()):
            assert outcome.kind == "done"
            pids.append(outcome.result["pid"])
            if len(pids) == 1:
                os.kill(pids[0], number)
    assert len(set(pids)) == 2


@pytest.mark.parametrize(("mib", "workers_used"), [(1, 1), (150, 2)])
def test_a_worker_that_keeps_half_its_headroom_is_replaced(mib, workers_used):
    tasks = {"a": {"do": "leak", "mib": mib}, "b": {"do": "echo"}}
    found = outcomes_of(tasks, jobs=1, max_rss_mib=256)
    assert [outcome.kind for outcome in found.values()] == ["done", "done"]
    assert len({outcome.result["pid"] for outcome in found.values()}) == workers_used


def test_children_of_a_worker_count_and_die_with_it(fifo):
    task = {"do": "hold_fifo_in_child", "fifo": str(fifo), "mib": 300}
    with os.fdopen(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)) as stream:
        found = outcomes_of({"a": task}, max_rss_mib=200)["a"]
        assert (found.kind, found.peak_rss_mib > 200) == ("out_of_memory", True)
        assert select.select([stream], [], [], LONG_S)[0] == [stream]
        assert stream.read() == ""  # its end, as nobody holds it open any more


# Starting --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (
            {"how": "weights"},
            MissingWeights,
            "scrfd.onnx is not at hand: run facekit weights fetch",
        ),
        ({"how": "value"}, FacekitError, "ValueError: no such model (in faulty_jobs.py:"),
        ({"how": "interrupted"}, FacekitError, "a signal came"),
        ({"how": "info"}, FacekitError, "TypeError: Object of type object"),
        (
            {"how": "exit", "status": 3},
            FacekitError,
            "gets ready, 2 in a row: ended with exit status 3",
        ),
        (
            {"how": "signal", "number": signal.SIGSEGV},
            FacekitError,
            "2 in a row: killed by SIGSEGV in",
        ),
        ({"how": "wait"}, FacekitError, "2 in a row: not ready after 0.6 s"),
        ({"how": "leak", "mib": 150}, BadInput, "128 MiB are allowed: raise --max-rss"),
        (
            {"job": "faulty_jobs:nothing"},
            FacekitError,
            "AttributeError: module 'faulty_jobs' has no",
        ),
        (
            {"job": "no_such_module:make"},
            FacekitError,
            "ModuleNotFoundError: No module named 'no_s",
        ),
    ],
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_job_that_cannot_be_built_ends_the_run(config, error, message, jobs):
    job = config.get("job", "faulty_jobs:make_badly")
    ready_timeout_s = HANG_S if config.get("how") == "wait" else LONG_S
    with workers(job, config, jobs=jobs, max_rss_mib=128, ready_timeout_s=ready_timeout_s) as pool:
        kinds = []
        with pytest.raises(error) as caught:
            kinds.extend(outcome.kind for outcome in pool.run(echoes(20).items()))
    assert type(caught.value) is error
    assert message in str(caught.value)
    assert set(kinds) <= {"stopped"}


def test_one_death_at_the_start_is_forgiven(tmp_path):
    config = {"how": "once", "mark": str(tmp_path / "mark")}
    found = outcomes_of(echoes(2), job="faulty_jobs:make_badly", config=config, jobs=1)
    assert [outcome.kind for outcome in found.values()] == ["done", "done"]


def test_info_is_that_of_the_job(children):
    with workers(config={"device": "cuda"}) as pool:
        assert pool.info == {}
        assert pool.start() == {"device": "cuda"}
        started = children()
        found = list(pool.run(echoes(1).items()))
        assert [child.pid for child in started] == [found[0].result["pid"]]
        assert pool.info == {"device": "cuda"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jobs": 0}, "at least one worker, not 0"),
        ({"timeout_s": 0}, "timeout_s of the workers must be above 0, not 0"),
        ({"engine": "slurm"}, "--engine must be one of ('local',), not 'slurm'"),
        ({"job": "faulty_jobs"}, "must be module:function, not 'faulty_jobs'"),
        ({"config": {"object": object()}}, "JSON cannot hold the config of the workers"),
    ],
)
def test_refused_at_the_door(changes, message):
    with pytest.raises(BadInput) as caught:
        workers(**changes)
    assert message in str(caught.value)


# Ending ----------------------------------------------------------------------------------------


def test_stop_kills_what_is_in_flight_and_pulls_no_more():
    pulled = []

    def tasks():
        for number in range(100):
            pulled.append(number)
            yield str(number), {"do": "wait" if number else "echo"}

    found = []
    with workers() as pool:
        for outcome in pool.run(tasks()):
            pool.stop(0)
            found.append(outcome)
    assert [outcome.kind for outcome in found] == ["done"] + ["stopped"] * (len(found) - 1)
    assert sorted(int(outcome.key) for outcome in found) == pulled
    assert len(pulled) <= 4


def test_stop_lets_tasks_end_within_the_grace(fifo):
    tasks = {"first": {"do": "read_fifo", "fifo": str(fifo)}, "never": {"do": "echo"}}
    with workers(jobs=1) as pool:
        pool.start()
        _release_after_stop(pool, fifo)
        found = list(pool.run(tasks.items()))
        assert list(pool.run(tasks.items())) == []
    assert [(outcome.key, outcome.kind) for outcome in found] == [("first", "done")]
    assert found[0].result == {"read": "go on"}


def _release_after_stop(pool, fifo):
    """Once the task has opened the FIFO, stop the pool with much grace; then let the task end."""

    def release():
        with fifo.open("w") as stream:
            pool.stop(LONG_S)
            stream.write("go on")

    threading.Thread(target=release, daemon=True).start()


@pytest.mark.parametrize("jobs", [1, 2])
def test_stop_works_from_a_signal_handler_and_the_shorter_grace_counts(jobs):
    with workers(jobs=jobs) as pool:

        def handler(number, frame):
            pool.stop(0)
            pool.stop(LONG_S)

        before = signal.signal(signal.SIGUSR2, handler)
        try:
            task = {"do": "signal_parent", "number": signal.SIGUSR2}
            found = list(pool.run([("a", task), ("b", {"do": "echo"}), ("c", {"do": "echo"})]))
        finally:
            signal.signal(signal.SIGUSR2, before)
    kinds = {outcome.key: outcome.kind for outcome in found}
    assert kinds["a"] == "stopped"
    assert set(kinds.values()) <= {"stopped", "done"}


class _Consumer(BaseException):
    """Something like KeyboardInterrupt."""


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("way", ["break", "close", "exception", "leave"])
def test_leaving_early_ends_all_workers(way, jobs, children):
    tasks = ((str(number), {"do": "wait" if number else "echo"}) for number in range(100))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with workers(jobs=jobs) as pool:
            run = pool.run(tasks)
            assert next(run).kind == "done"
            if way == "break":
                del run
            elif way == "close":
                run.close()
            elif way == "exception":
                with pytest.raises(_Consumer):
                    run.throw(_Consumer)
            if way != "leave":
                assert children() == []
        assert children() == []
        with pytest.raises(FacekitError, match="closed: make new ones"):
            next(pool.run([]))
        with pytest.raises(FacekitError, match="closed: make new ones"):
            pool.start()
    assert [str(warning.message) for warning in warned] == []


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_an_exception_in_the_tasks_comes_out_at_the_end(count, jobs):
    def tasks():
        yield from echoes(count).items()
        raise KeyError("manifest")

    found = []
    with workers(jobs=jobs) as pool, pytest.raises(KeyError, match="manifest"):
        for outcome in pool.run(tasks()):
            found.append(outcome.key)
    assert sorted(found) == sorted(echoes(count))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_that_json_cannot_hold_is_the_callers_fault(jobs):
    with workers(jobs=jobs) as pool, pytest.raises(TypeError, match="not JSON serializable"):
        list(pool.run([("a", {"do": object()}), *echoes(3).items()]))


def test_a_system_without_processes_ends_the_run(monkeypatch):
    def refuse(*args, **kwargs):
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with workers() as pool, pytest.raises(BlockingIOError, match="temporarily"):
        list(pool.run(echoes(3).items()))
