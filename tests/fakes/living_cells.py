"""A face of 9x9 cells with a known pulse and breath, told to a person as model frames; and a stream one can predict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from fakes.painted_face import GreenRuntime

from edge.bundle import load_bundle
from edge.clips.grid import Mark, ModelFrame
from edge.errors import FaultError
from edge.person import Look, Person, Waves
from edge.signals.references import SKIN_CELLS
from edge.signals.state import Situation
from edge.stream_graph import StreamFacts

FPS = 30.0
S = 1_000_000_000
HR_PER_MIN, RR_PER_MIN = 72.0, 15.0
Light = Callable[[float], float]
Place = Callable[[float], float]
Floats = npt.NDArray[np.float32]


class GreenStream:
    """As :class:`GreenRuntime` for windows: the mean of green and of the last channel, 10 and 21 frames late.

    Its state is the means of the last 21 frames. Fails on demand.
    """

    name, tasks = "green stream", ("bvp", "rsp")
    facts = StreamFacts(4, 12, 600.0, {"bvp": 10, "rsp": 21})
    spread = MappingProxyType({"bvp": 1.0, "rsp": 1.0})
    broken = False
    chunks = 0

    def begin(self) -> Floats:
        return np.zeros((1, 2 * 21), np.float32)

    def step(self, frames: Floats, state: Floats) -> tuple[dict[str, Floats], Floats]:
        if self.broken:
            raise FaultError("stream gone")
        self.chunks += 1
        means = frames[0].mean(axis=(2, 3))
        seen = np.concatenate((state.reshape(2, 21), np.stack((-means[1], means[-1]))), axis=1)
        waves = {"bvp": seen[0, 12 : 12 + means.shape[1]], "rsp": seen[1, 1 : 1 + means.shape[1]]}
        return waves, seen[:, -21:].reshape(1, -1).astype(np.float32)


def cells_at(t_s: float, rng: np.random.Generator, light: float = 1.0, pulse: float = 0.01) -> Floats:
    """RGB and thermal ``[4, 9, 9]``: skin that pulses, most above, before a wall that does not; nostrils breathe."""
    colour = np.array([150.0, 110.0, 95.0])
    cells = np.empty((4, 9, 9))
    cells[:3] = np.array([90.0, 110.0, 120.0])[:, None, None]
    beat = np.sin(2 * np.pi * HR_PER_MIN / 60 * t_s) * np.array([0.3, 1.0, 0.6]) * pulse
    rows, columns = SKIN_CELLS
    place = np.linspace(1.5, 0.5, 6)[:, None]
    cells[:3, rows, columns] = colour[:, None, None] * (1.0 - beat[:, None, None] * place)
    cells[:3] *= light
    cells[:3] += rng.normal(0.0, 0.05, (3, 9, 9))
    cells[3] = 24.0
    cells[3, rows, columns] = 34.0
    cells[3, 5:7, 4] += 0.5 * np.sin(2 * np.pi * RR_PER_MIN / 60 * t_s)
    return cells.astype(np.float32)


class Bedside:
    """A person who is told 30 frames a second, and asked for a window and then for a look every second."""

    def __init__(self, stream: GreenStream | None, *, pulse: float = 0.01) -> None:
        self.stream, self.runtime = stream, GreenRuntime()
        make = partial(Person, load_bundle(None), thermal=True, camera=True, hop_s=1.0)
        self.person = make(stream=stream)
        self.looks: dict[int, Look] = {}
        self.shown: list[tuple[int, Waves]] = []
        self.windows: list[int] = []
        self._pulse, self._rng, self._k = pulse, np.random.default_rng(1), 0

    def lie(
        self,
        seconds: float,
        light: Light = lambda _: 1.0,
        place: Place = lambda _: 0.0,
        marks: Mark = Mark.NONE,
    ) -> Bedside:
        """Time goes on under this light and with the face at this place (in face sides)."""
        for _ in range(round(seconds * FPS)):
            t_s = self._k / FPS
            self._take(t_s, cells_at(t_s, self._rng, light(t_s), self._pulse), place(t_s), marks)
            self._k += 1
            if self._k % round(FPS) == 0:
                self._second(round(self._k / FPS))
        return self

    def _take(self, t_s: float, cells: Floats, place: float, marks: Mark) -> None:
        frame = ModelFrame(self._k, round(t_s * S), cells, marks, restart=self._k == 0)
        for waves in self.person.take(frame, np.array([0.0, place], np.float32)):
            self.shown.append((frame.t_ns, waves))

    def _second(self, second: int) -> None:
        clip = self.person.clip()
        if clip is not None:
            self.windows.append(second)
            waves = self.runtime.infer(clip.data[None])
            self.person.accept({"bvp": waves["bvp"][0], "rsp": waves["rsp"][0]})
        look = self.person.look(second * S, Situation(), Situation())
        self.looks[second] = look
        if look.waves is not None:
            self.shown.append((second * S, look.waves))

    def pieces(self, task: str) -> Iterator[tuple[int, Waves, Floats]]:
        """Every piece of one waveform: when it was shown, what came with it, and the samples."""
        for at_ns, waves in self.shown:
            samples = getattr(waves.signals, task)
            if samples is not None:
                yield at_ns, waves, samples
