from __future__ import annotations

import numpy as np
import pytest
from fakes.living_cells import FPS, Bedside, GreenStream, S, cells_at

from edge.clips.grid import Mark
from edge.vitals import Truth
from training.yardstick.stream_guard import Figures, disagreements
from training.yardstick.tape import Tape


def test_figures_are_shares_and_errors_of_looks() -> None:
    bed = Bedside(GreenStream()).lie(29)
    found = Figures()
    for look in bed.looks.values():
        found.add(look, Truth(hr_per_min=82.0, rr_per_min=15.0))
    assert (found.looks, found.streamed) == (29, 3)
    stream, alone, valued, ok, ok_mae, ok_wrong, rr_ok, _, rr_wrong = found.cells()
    assert stream == "10.3 %"
    assert [float(text) for text in (alone, valued, ok_mae)] == pytest.approx([10.0] * 3, abs=0.5)  # 72 against 82
    assert (ok, ok_wrong, rr_wrong) == (f"{100 * 21 / 29:.1f} %", "100.0 %", "0.0 %")
    assert rr_ok != "0.0 %"


def test_disagreement_is_measured_without_ever_beginning_anew() -> None:
    n, rng = round(30 * FPS), np.random.default_rng(1)
    data = np.stack([cells_at(k / FPS, rng, 1.3 if k > 20 * FPS else 1.0) for k in range(n)])
    k = np.arange(n)
    tape = Tape(
        thermal=True, camera=True, hop_s=1.0, fps=FPS, k=k, t_ns=(k * S / FPS).astype(np.int64),
        marks=np.full(n, int(Mark.NONE)), restart=k == 0, data=data, moves=np.zeros((n, 2), np.float32), came_ns=k,
        events=(),
    )  # fmt: skip
    found = disagreements(tape)
    assert len(found) == n - round(10 * FPS)
    apart = np.array([one.brightness for one in found])
    assert apart[: round(10 * FPS)].max() < 0.01
    assert apart[round(13 * FPS) :].min() > 0.05  # seconds later still, since the slow mean remembers
