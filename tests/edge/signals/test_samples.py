from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.signals.samples import SampleRing

LENGTH = 20


@given(st.integers(0, 50), st.lists(st.integers(0, LENGTH), max_size=12), st.integers(-5, 200), st.integers(-5, 200))
def test_it_is_the_end_of_a_list(first: int, pieces: list[int], start: int, end: int) -> None:
    ring, samples = SampleRing(LENGTH), np.arange(sum(pieces), dtype=np.float32)
    ring.begin(first)
    at = 0
    for count in pieces:
        ring.add(samples[at : at + count])
        at += count
    kept = {first + i: samples[i] for i in range(len(samples))}
    held = sorted(kept)[-LENGTH:]
    assert (ring.start, ring.end) == (held[0] if held else first, first + len(samples))
    assert ring.newest(7).tolist() == [kept[i] for i in held[-7:]]
    assert ring.between(start, end).tolist() == [kept[i] for i in held if start <= i < end]
