"""Breath stays at nostrils and lips; what the room's air does reaches all of the face."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edge.signals.draught import draught_share
from edge.signals.evidence import breath_evidence

FS, RATE_PER_MIN = 29.97, 15.0
T = np.arange(round(30 * FS)) / FS
SWING = np.sin(2 * np.pi * RATE_PER_MIN / 60 * T)
STILL = np.zeros((len(T), 2))
GREY = np.full((len(T), 3, 9, 9), 120.0, np.float32)


def face(nostril: float, rest: float, noise: float = 0.01) -> npt.NDArray[np.float32]:
    """A face at 34 degC whose nostrils and whose other places swing by so many degC, beside a wall; both drift."""
    cells = np.full((len(T), 9, 9), 22.0) + 0.2 * np.sin(2 * np.pi * 0.01 * T)[:, None, None]
    cells[:, 1:8, 1:8] += 12.0 + rest * SWING[:, None, None]
    cells[:, 5:7, 4] += (nostril - rest) * SWING[:, None]
    cells += np.random.default_rng(1).normal(0.0, noise, cells.shape)
    return cells.astype(np.float32)


@pytest.mark.parametrize(("rest", "share"), [(0.0, 0.0), (0.12, 0.4), (0.3, 1.0), (-0.15, -0.5)])
def test_the_share_is_that_of_cheeks_and_forehead(rest: float, share: float) -> None:
    assert draught_share(face(0.3, rest), RATE_PER_MIN, FS) == pytest.approx(share, abs=0.03)


def test_the_lesser_of_cheeks_and_forehead_counts() -> None:
    cells = face(0.3, 0.0)
    cells[:, 4:6, [3, 5]] += 0.3 * SWING[:, None, None].astype(np.float32)  # an edge that moves through the cheeks
    assert draught_share(cells, RATE_PER_MIN, FS) < 0.2


def test_what_moves_wall_and_face_alike_is_the_camera() -> None:
    cells = face(0.3, 0.0) + 0.5 * SWING[:, None, None].astype(np.float32)
    assert draught_share(cells, RATE_PER_MIN, FS) == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize(("rest", "why"), [(0.0, ()), (0.15, ("draught",))])
def test_a_breath_that_all_of_the_face_takes_part_in_is_none(rest: float, why: tuple[str, ...]) -> None:
    rsp = SWING.astype(np.float32)
    found = breath_evidence(rsp, face(0.4, rest), GREY, STILL, FS, None)
    assert found.rate_per_min == pytest.approx(RATE_PER_MIN, abs=0.5)
    assert (found.alive, found.why) == (not why, why)
