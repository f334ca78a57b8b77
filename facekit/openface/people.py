"""The people of one video, as frames come in."""

from collections.abc import Callable
from dataclasses import dataclass

from facekit import tracks
from facekit.openface.person import Person


@dataclass
class _Live:
    person: Person
    frame_index: int
    pts_s: float


class People:
    """Keeps each person apart, and lets go of what only a person still to be seen needs.

    Who is lost is never found again by `facekit.tracks`; medians, the largest thing kept, are so
    held for those alone who may still be there.

    Args:
        newcomer: makes the person whom a new track shows.
    """

    def __init__(self, newcomer: Callable[[], Person]) -> None:
        self._newcomer = newcomer
        self._live: dict[int, _Live] = {}
        self._lost: list[Person] = []

    def at(self, track_id: int, frame_index: int, pts_s: float) -> Person:
        """Who is seen here.

        Args:
            track_id: as the tracker gave it.
            frame_index: never below one that came before.
            pts_s: presentation time of the frame; NaN where unknown.
        """
        for other, live in list(self._live.items()):
            is_recent = pts_s - live.pts_s <= tracks.LOST_S  # False where a time is NaN
            if frame_index - live.frame_index > tracks.LOST_FRAMES + 1 and not is_recent:
                self._lose(other, frame_index - 1)
        person = self._live[track_id].person if track_id in self._live else self._newcomer()
        self._live[track_id] = _Live(person, frame_index, pts_s)
        return person

    def end(self, last_frame: int) -> list[Person]:
        """Everyone, in no particular order, with all scores settled.

        Args:
            last_frame: index of the video's last frame.
        """
        for track_id in list(self._live):
            self._lose(track_id, last_frame)
        return self._lost

    def _lose(self, track_id: int, last_frame: int) -> None:
        person = self._live.pop(track_id).person
        person.end(last_frame)
        self._lost.append(person)
