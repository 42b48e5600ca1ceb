"""One zone: the faces that are followed in it, who is there longest in front."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from edge.faces.track import FaceTrack
from edge.follower import Follower

__all__ = ["Bed"]


class Bed:
    """``make`` gives a seat. There is always one, so that an empty zone has somebody to speak for it."""

    def __init__(self, zone: str, make: Callable[[], Follower]) -> None:
        self.zone = zone
        self._make = make
        self._seats = [make()]

    @property
    def seats(self) -> tuple[Follower, ...]:
        """The zone's person first, then the others as they came; one empty seat where nobody is."""
        return tuple(self._seats)

    def leave(self, here: Sequence[FaceTrack]) -> list[Follower]:
        """Clear the seats of those who are not here any more; gives these."""
        persons = {track.person for track in here}
        gone = [seat for seat in self._seats if seat.track is not None and seat.number not in persons]
        for seat in gone:
            seat.lose()
        return gone

    def tidy(self) -> None:
        """Take empty seats away, but for the last one."""
        self._seats = [seat for seat in self._seats if seat.track is not None] or self._seats[:1]

    def sit(self, here: Sequence[FaceTrack]) -> Iterator[tuple[Follower, FaceTrack]]:
        """A seat for each face that is here: its own, the empty one, or a new one."""
        for track in here:
            yield self._seat(track.person), track

    def _seat(self, person: int) -> Follower:
        own = (seat for seat in self._seats if seat.track is not None and seat.number == person)
        empty = (seat for seat in self._seats if seat.track is None)
        seat = next(own, None) or next(empty, None)
        if seat is None:
            seat = self._make()
            self._seats.append(seat)
        return seat
