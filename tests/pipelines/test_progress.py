import io

import pytest

from pipelines.progress import Progress, ProgressBar, duration


def _at(done, elapsed_s, **changed):
    values = {"total": 4, "resumed": 0, "faces": 32 * done, "failed": 0}
    return Progress(done=done, elapsed_s=elapsed_s, **{**values, **changed})


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("progress", "faces_per_s", "remaining_s"),
    [
        (_at(0, 0.0), 0.0, None),
        (_at(1, 8.0), 4.0, 24.0),
        (_at(4, 8.0), 16.0, 0.0),
        (_at(3, 8.0, resumed=3), 12.0, None),
        (_at(3, 8.0, resumed=2), 12.0, 8.0),
    ],
)
def test_pace_and_time_left(progress, faces_per_s, remaining_s):
    assert progress.faces_per_s == faces_per_s
    assert progress.remaining_s == remaining_s


def test_plain_lines_come_now_and_then_and_at_the_end():
    stream = io.StringIO()
    bar = ProgressBar(stream)
    for done, elapsed_s in [(1, 1.0), (2, 2.0), (3, 40.0), (4, 41.0)]:
        bar(_at(done, elapsed_s))
    bar.close()
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["1/4", "3/4", "4/4"]


def test_a_terminal_gets_a_bar_with_pace_and_failures():
    stream = Terminal()
    bar = ProgressBar(stream)
    bar(_at(2, 8.0, failed=1))
    bar(_at(4, 16.0, failed=1))
    bar.close()
    assert "4/4" in stream.getvalue()
    assert "8.0 faces/s, 1 failed" in stream.getvalue()


class Broken(io.StringIO):
    """A stream whose reader has left after the first line."""

    def write(self, text):
        if self.tell():
            raise BrokenPipeError
        return super().write(text)


class BrokenTerminal(Broken, Terminal):
    pass


@pytest.mark.parametrize("kind", [Broken, BrokenTerminal])
def test_a_stream_that_takes_no_more_stops_nobody(kind):
    stream = kind()
    bar = ProgressBar(stream)
    for done in range(1, 5):
        bar(_at(done, 40.0 * done))
    bar.close()
    assert stream.tell() > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (7260, "2 h 01 min"),
    ],
)
def test_durations_as_people_read_them(seconds, text):
    assert duration(seconds) == text
