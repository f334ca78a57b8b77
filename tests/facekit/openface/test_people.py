"""Who is kept apart, and who is let go of when."""

import pytest

from facekit.openface.people import People


class _Someone:
    def __init__(self):
        self.ended = None

    def end(self, last_frame):
        assert self.ended is None
        self.ended = last_frame


@pytest.fixture
def people():
    return People(_Someone)


def test_a_track_is_a_person(people):
    one, other = people.at(3, 0, 0.0), people.at(5, 0, 0.0)
    assert people.at(3, 1, 0.04) is one and people.at(5, 9, 0.36) is other and one is not other
    assert set(people.end(12)) == {one, other}
    assert one.ended == other.ended == 12


@pytest.mark.parametrize("frame_index, pts_s, is_gone", [
    (6, 9.0, False),  # few frames, however long
    (7, 9.0, True),
    (50, 2.0, False),  # many frames, but a short time
    (51, 2.04, True),
    (7, float("nan"), True),
])  # fmt: skip
def test_who_cannot_be_found_again_is_settled_at_once(people, frame_index, pts_s, is_gone):
    lost = people.at(0, 0, 0.0)
    people.at(1, frame_index, pts_s)
    assert (lost.ended is not None) == is_gone
    assert (people.at(0, frame_index, pts_s) is lost) != is_gone
    everyone = people.end(frame_index + 3)
    assert len(everyone) == 2 + is_gone and all(one.ended is not None for one in everyone)


def test_who_is_lost_was_not_on_the_frames_since(people):
    """An odd frame without the only face that voted matters to its median."""
    lost = people.at(0, 4, 0.1)
    people.at(1, 300, 12.0)
    assert lost.ended == 299
