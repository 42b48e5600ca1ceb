from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sinks.mllp import LONGEST, BlockReader, block_from_text

WORDS = st.text(st.characters(exclude_characters="\x0b\x1c", exclude_categories=("Cs",)), max_size=40)


@given(st.lists(WORDS, max_size=5), st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_blocks_come_back_however_they_are_cut(texts, sizes):
    stream = b"\r\n".join(block_from_text(text) for text in texts)
    reader, found, at, turn = BlockReader(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += reader.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert found == texts


def test_what_stands_between_blocks_is_skipped():
    assert BlockReader().feed(b"noise\x1c\r\x0bone\x1c\r\x00\x0btwo\x1c\r") == ["one", "two"]


def test_a_block_without_end_is_given_up():
    reader = BlockReader()
    assert reader.feed(b"\x0b" + b"x" * (LONGEST - 1)) == []
    with pytest.raises(ValueError, match="more than"):
        reader.feed(b"x")
    assert BlockReader().feed(b"x" * 10 * LONGEST) == []


def test_a_message_that_would_break_its_frame_is_refused():
    with pytest.raises(ValueError, match="framing"):
        block_from_text("a\x1cb")
