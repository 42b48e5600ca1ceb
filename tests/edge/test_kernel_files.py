from __future__ import annotations

from pathlib import Path

from edge.kernel_files import number_of, text_of


def test_what_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "temp").write_text(" 48906\n")
    (tmp_path / "type").write_bytes(b"cpu\xff\n")
    assert (text_of(tmp_path / "temp"), number_of(tmp_path / "temp")) == ("48906", 48906.0)
    assert text_of(tmp_path / "type").startswith("cpu")
    assert number_of(tmp_path / "type") is None
    assert (text_of(tmp_path), text_of(tmp_path / "none"), number_of(tmp_path / "none")) == ("", "", None)
