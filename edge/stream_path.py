"""One person's stream beside the windows: frames in chunks to samples, its guard, and which of the two is believed.

A stream is believed once it ran for :data:`SETTLE_S` and then for :data:`TRUST_S`, undisturbed. Until then, and again
from the frame on which the guard trips, whole windows give the values; the stream begins anew at once and runs beside
them. So there is one way into mode ``stream``, for a new person as after a disturbance, and no evidence is ever read
from samples of both, from statistics that were settling, or from before a disturbance. Pure: frames in, samples out.
"""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from edge.bundle import Task
from edge.clips.grid import Mark
from edge.errors import FaultError
from edge.signals.guard import Guard, GuardRules
from edge.signals.samples import SampleRing
from edge.stream_graph import StreamEngine, StreamRunner
from edge.vitals import Mode

__all__ = ["SETTLE_S", "TRUST_S", "StreamPath"]

_log = logging.getLogger(__name__)
SETTLE_S = 6.0
"""After so long the running statistics are as good as those of a window."""
TRUST_S = 20.0
"""So many settled seconds are waited for: the shortest RR window that may be ``ok``, so no rate loses by the return."""


class StreamPath:
    """``mode`` is the path that is believed. ``waves`` are the samples since the stream began, in about unit deviation.

    Sample ``i`` of the person's segment is the difference between its frames ``i`` and ``i + 1``, as for windows.
    """

    def __init__(
        self, engine: StreamEngine, tasks: tuple[Task, ...], fps: float, kept: int, rules: GuardRules | None = None
    ) -> None:
        self._runner, self._guard = StreamRunner(engine), Guard(rules)
        self._spread = engine.spread
        self._lags = engine.facts.lags
        self._length = engine.facts.longest_chunk
        self._settle, self._trust = round(SETTLE_S * fps), round(TRUST_S * fps)
        self._failing = False
        self.waves = {task: SampleRing(kept) for task in tasks}
        self.restart()

    def restart(self) -> None:
        """Another segment, person or place: its first frame has index 0."""
        self._guard.begin()
        self.mode: Mode = "exact"
        self.tripped_by: str | None = None
        self._index = 0
        self._begin()

    def _begin(self) -> None:
        self._runner.reset()
        self._chunk: list[npt.NDArray[np.float32]] = []
        self._ran = 0
        self.first = self._index
        for wave in self.waves.values():
            wave.begin(self._index)

    def take(
        self,
        frame: npt.NDArray[np.float32],
        cells: npt.NDArray[np.float32],
        place: npt.NDArray[np.float32],
        marks: Mark,
    ) -> bool:
        """The next frame ``[C, S, S]`` as the model takes it, with what the guard looks at; True with new samples."""
        code = self._guard.step(cells, place, marks)
        if code is not None:
            self._trip(code)
        self._chunk.append(frame)
        self._index += 1
        return len(self._chunk) == self._length and self._run()

    def begin_anew(self) -> None:
        """From here on a camera shows another place, which speaks against nothing: windows serve until it is over."""
        self._guard.begin()
        self.mode = "exact"
        self._begin()

    def _trip(self, code: str) -> None:
        """Begin anew; where the stream was believed, windows take over and ``tripped_by`` says why."""
        if self.mode == "stream":
            self.mode, self.tripped_by = "exact", code
        self._begin()

    def _run(self) -> bool:
        frames = np.stack(self._chunk, axis=1)[None]
        try:
            waves = self._runner.step(frames)
        except FaultError as error:
            if not self._failing:
                _log.warning("%s; the stream begins anew, and windows serve meanwhile", error)
            self._failing = True
            self._guard.begin()
            self._trip("runtime")
            return False
        self._failing = False
        for task, held in self.waves.items():
            early = max(0, self._lags[task] - self._ran)
            held.add(waves[task][early:] / np.float32(self._spread[task]))
        self._ran += self._length
        self._chunk.clear()
        return True

    @property
    def settled(self) -> int:
        """How many of the newest samples every task holds from after the statistics settled."""
        newest = min(wave.end for wave in self.waves.values())
        oldest = max(self.first + self._settle, *(wave.start for wave in self.waves.values()))
        return max(0, newest - oldest)

    def is_believed(self) -> bool:
        """Ask when a run of the model is due: True while the stream serves, which may begin here."""
        if self.mode == "exact" and self.settled >= self._trust:
            self.mode, self.tripped_by = "stream", None
        return self.mode == "stream"

    def vouch(self) -> None:
        """Windows have shown as much as the life gate asks for: what tripped the guard is no objection any more."""
        self.tripped_by = None
