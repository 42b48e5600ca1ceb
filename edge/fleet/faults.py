"""What goes wrong on purpose in a simulation, read from ``restarts=60,cuts=20:3``."""

from __future__ import annotations

from dataclasses import dataclass

from edge.errors import UsageError
from edge.uri import nearest

__all__ = ["Faults", "faults_from_text"]

_FORM = "restarts=60,cuts=20:3 (each kit restarts every 60 s on average; every 20 s all links are cut for 3 s)"


@dataclass(frozen=True, slots=True)
class Faults:
    """``restart_every_s``: mean time between two restarts of one kit, without a word, as after ``kill -9``.

    Every ``cut_every_s`` all connections to the broker are cut, and none is let through for ``cut_s``. 0: never.
    """

    restart_every_s: float = 0.0
    cut_every_s: float = 0.0
    cut_s: float = 3.0

    def __post_init__(self) -> None:
        if self.restart_every_s and self.restart_every_s < 1.0:
            raise ValueError("kits restart once a second at most")
        if self.cut_every_s and not 0.0 < self.cut_s < self.cut_every_s:
            raise ValueError("a cut is shorter than the time between two")

    @property
    def restart_share(self) -> float:
        """The probability that one kit restarts within one second."""
        return 1.0 / self.restart_every_s if self.restart_every_s else 0.0


def faults_from_text(text: str) -> Faults:
    """The faults that ``text`` names; none when it is empty. UsageError when it cannot be read."""
    given: dict[str, float] = {}
    for word in filter(None, text.split(",")):
        name, _, value = word.partition("=")
        every, _, length = value.partition(":")
        try:
            if name == "restarts" and not length:
                given["restart_every_s"] = float(every)
            elif name == "cuts":
                given["cut_every_s"] = float(every)
                given |= {"cut_s": float(length)} if length else {}
            else:
                raise UsageError(f"--faults: {word!r} is not known{nearest(name, ('restarts', 'cuts'))}; want {_FORM}")
        except ValueError as error:
            raise UsageError(f"--faults: {word!r} holds no number; want {_FORM}") from error
    try:
        return Faults(**given)
    except ValueError as error:
        raise UsageError(f"--faults {text}: {error}; want {_FORM}") from error
