from __future__ import annotations

import os
import pty
from pathlib import Path

from edge.holders import holders_of


def test_who_holds_a_device_is_found_through_links(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    link = tmp_path / "by-id"
    link.symlink_to(os.ttyname(slave))
    try:
        held, _ = holders_of(str(link))
        assert os.getpid() in {one.pid for one in held}
        assert all(one.name for one in held)
    finally:
        os.close(slave)
        os.close(master)
    assert holders_of(str(tmp_path / "by-id"))[0] == []
