"""Commands that come through a broker, with ``commands=1``: two words, each told as an event, done or refused.

A command is a message on ``<device>/command`` whose whole payload is one word of :data:`COMMANDS`. None takes anything
else: no path, no code, no setting. The answer goes to ``<device>/command/result``; with MQTT 5 to the response topic
below it that the sender names, with its correlation data. Pure: what is heard comes in, what is to be done goes out.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from edge.sinks import Tell

__all__ = ["COMMANDS", "MOST_BYTES", "CommandDesk", "Heard", "Verdict", "command_topic"]

COMMANDS: dict[str, str] = {
    "identify": "one event, so that whoever is there sees which kit it is",
    "republish": "status, meta and discovery are sent again, for a broker that forgot them",
}
"""What each does."""

MOST_BYTES = 64
"""Of a payload, and of correlation data."""
_MOST_TOPIC = 200
_MOST_A_MINUTE = 6
_MINUTE_NS = 60 * 10**9


class Heard(NamedTuple):
    """One message from the broker. ``answer_to`` and ``correlation`` are empty where the sender gave none."""

    topic: str
    payload: bytes
    retained: bool = False
    answer_to: str = ""
    correlation: bytes = b""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done (empty: nothing), and the answer with where it goes."""

    command: str
    answer_to: str
    answer: bytes
    correlation: bytes


def command_topic(root: str) -> str:
    """Where a device hears commands, below its topic ``root``."""
    return f"{root}/command"


class CommandDesk:
    """Looks at what comes, at most six times a minute; ``tell`` takes the event of each."""

    def __init__(self, root: str, tell: Tell) -> None:
        self._root = root
        self._tell = tell
        self._times_ns: deque[int] = deque(maxlen=_MOST_A_MINUTE)
        self._turned_away = 0

    def judge(self, heard: Heard, now_ns: int) -> Verdict | None:
        """Decide about one message; None for one that came too soon after others, which gets no answer."""
        if len(self._times_ns) == _MOST_A_MINUTE and now_ns - self._times_ns[0] < _MINUTE_NS:
            if not self._turned_away:
                self._tell("command", "warning", "MQTT commands come faster than six a minute; the rest is not read")
            self._turned_away += 1
            return None
        self._times_ns.append(now_ns)
        objection = self._objection(heard)
        command = "" if objection else heard.payload.decode()
        self._audit(command, objection)
        own = command_topic(self._root) + "/result"
        return Verdict(
            command,
            heard.answer_to if self._may_answer_to(heard.answer_to) else own,
            msgspec.json.encode({"v": 1, "command": command, "done": not objection, "why": objection}),
            heard.correlation if len(heard.correlation) <= MOST_BYTES else b"",
        )

    def _objection(self, heard: Heard) -> str:
        """Why it is not done, empty when it is."""
        if heard.retained:
            return "it is retained, and would come again at every connection; publish it without retain"
        if len(heard.payload) > MOST_BYTES or len(heard.correlation) > MOST_BYTES:
            return f"payload and correlation data have at most {MOST_BYTES} bytes"
        if heard.answer_to and not self._may_answer_to(heard.answer_to):
            return f"answers go to {command_topic(self._root)}/result or below it"
        word = heard.payload.decode(errors="replace")
        if word not in COMMANDS:
            shown = f" {word!r}" if re.fullmatch(r"[\w-]{1,20}", word, re.ASCII) else ""
            return f"unknown command{shown}; known: {', '.join(COMMANDS)}"
        return ""

    def _may_answer_to(self, topic: str) -> bool:
        """Whoever may write a command must not write anywhere else through us."""
        place = command_topic(self._root) + "/result"
        below = topic == place or topic.startswith(f"{place}/")
        return below and len(topic) <= _MOST_TOPIC and not any(sign in topic for sign in "+#\0")

    def _audit(self, command: str, objection: str) -> None:
        before = f" ({self._turned_away} before it came too fast and were not read)" if self._turned_away else ""
        self._turned_away = 0
        if objection:
            self._tell("command", "warning", f"an MQTT command was refused: {objection}{before}")
        elif command == "identify":
            self._tell("identify", "notice", f"this is the kit that was asked for by MQTT (identify){before}")
        else:
            self._tell("command", "notice", f"MQTT command {command}: done{before}")
