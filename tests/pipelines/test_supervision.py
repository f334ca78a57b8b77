"""What the supervisor concludes from silence, messages and the end of a process."""

import signal

import pytest

from facekit.errors import BadInput, FacekitError, MissingWeights
from pipelines import supervision, worker_link
from pipelines.supervision import TICK_S, Limits, Outcome, Stop


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test sets `now_s`."""

    class Clock:
        now_s = 1000.0

        def monotonic(self):
            return self.now_s

    clock = Clock()
    monkeypatch.setattr(supervision, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("steps", "want_s"),
    [
        ([], 0.0),
        ([(0.25, False), (0.25, False)], 0.5),
        ([(0.25, False), (0.1, True)], 0.0),
        ([(0.25, False), (0.1, True), (0.25, False)], 0.25),
        ([(3600.0, False)], 2 * TICK_S),  # the parent itself was stopped
        ([(3600.0, True), (0.25, False)], 0.25),
    ],
)
def test_silence(clock, steps, want_s):
    silence = supervision._Silence()
    for step_s, heard in steps:
        clock.now_s += step_s
        silence.count(heard=heard)
    assert silence.length_s == want_s


@pytest.mark.parametrize(
    ("graces_s", "after_s", "want"),
    [
        ([], 1e9, (False, False)),
        ([10.0], 9.9, (True, False)),
        ([10.0], 10.0, (True, True)),
        ([10.0, 0.0], 0.0, (True, True)),
        ([0.0, 10.0], 0.0, (True, True)),
    ],
)
def test_stop(clock, graces_s, after_s, want):
    stop = Stop()
    for grace_s in graces_s:
        stop.ask(grace_s)
    clock.now_s += after_s
    assert (stop.asked, stop.over) == want


ERROR = {"say": "error", "reason": "r", "error_kind": "K", "traceback": ""}


@pytest.mark.parametrize(
    ("messages", "want"),
    [
        ([], None),
        ([{"say": "begun"}, {"say": "progress"}], None),
        ([{"say": "begun"}, {"say": "done", "result": {}}], {"kind": "done", "result": {}}),
        ([{**ERROR, "out_of_memory": False}], {"kind": "error", "reason": "r", "error_kind": "K"}),
        (
            [{**ERROR, "out_of_memory": True}],
            {"kind": "out_of_memory", "reason": "r", "error_kind": "K"},
        ),
    ],
)
def test_answer(messages, want):
    assert supervision._answer(messages) == want


@pytest.mark.parametrize(
    ("kind", "want"),
    [
        ("", FacekitError("R")),
        ("MissingWeights", MissingWeights("m")),
        ("Interrupted", FacekitError("m")),
    ],
)
def test_error_of(kind, want):
    error = supervision._error_of({"error_kind": kind, "message": "m", "reason": "R"})
    assert (type(error), str(error)) == (type(want), str(want))


@pytest.mark.parametrize("name", ["timeout_s", "max_rss_mib", "ready_timeout_s"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_limits_refuse(name, value):
    with pytest.raises(BadInput, match=f"{name} of the workers must be above 0, not {value}"):
        Limits(**{"timeout_s": 1, "max_rss_mib": 1, "ready_timeout_s": 1, name: value})


def test_outcome_is_frozen():
    with pytest.raises(AttributeError):
        Outcome(key="a", kind="done").kind = "error"


DUMP = """Fatal Python error: Segmentation fault

Stack (most recent call first):
  File "/x/decode.py", line 41 in read
  File "/x/extract.py", line 7 in run

Extension modules: numpy, cv2 (total: 2)
"""


@pytest.mark.parametrize(
    ("output", "frame", "words"),
    [
        ("", "", ""),
        ("\n \n", "", ""),
        ("one\n  two \t words\n\n", "", "two words"),
        (DUMP, " in decode.py:41 read", ""),
        ("codec: bad\n" + DUMP, " in decode.py:41 read", "codec: bad"),
        ('  File "a.py", line 1 in b\nValueError: x\n', "", "ValueError: x"),
        ("Fatal Python error: Aborted\n\n<no Python frame>\n", "", ""),
        ("Stack (most recent call first):\n" + '  File "a.py", line 1 in b\n', " in a.py:1 b", ""),
        ("y" * 500, "", "y" * 200),
    ],
)
def test_what_the_output_tells(output, frame, words):
    assert worker_link._frame(output) == frame
    assert worker_link._last_words(output) == words


@pytest.mark.parametrize(
    ("status", "want"),
    [
        (0, "ended with exit status 0"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (-signal.SIGKILL, "killed by SIGKILL, often the kernel's out-of-memory killer"),
        (-63, "killed by signal 63"),
    ],
)
def test_manner(status, want):
    assert worker_link._manner(status) == want
