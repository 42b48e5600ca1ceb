"""Records made small for the outbox: deflate with a dictionary of what all of them share (zlib, RFC 1950).

The dictionary belongs to the file format: changing a byte of it makes stored records unreadable, so a change comes with
a new ``_VERSION`` in ``edge/sinks/outbox_store.py``. zlib keeps checksums of the dictionary and of the text.
"""

from __future__ import annotations

import zlib

__all__ = ["packed", "unpacked"]

_COMMON = (
    b'{"kind":"event","v":1,"device":"","boot":"","seq":,"time":"2027-","clock":"free","mono_ns":,'
    b'"code":"input_broken","runtime_fault","severity":"warning","info","notice",'
    b'"text":"ok -> lost; no_face -> starting; low_quality -> hold","camera_lost","thermal_lost","stale",'
    b'"dark","overexposed","motion","face_small","low_fps","jitter","exposure_auto","compressed","ffc",'
    b'"cues_disagree","rate_out_of_band","warming_up","code":"rr_state","hr_state","zone":"main",'
    b'"person":null,"pts_ns":null}{"kind":"numerics","v":1,"device":"kit-","boot":"","seq":1,'
    b'"time":"2026-11-22T10:15:07.120Z","clock":"synced","mono_ns":1,"zone":"main","person":0,"mode":"stream",'
    b'"exact","bundle":"sha256:","pts_ns":1,"hr":{"value":null,"unit":"/min","sqi":0.0,"state":"no_face",'
    b'"why":["no_face"],"window_s":10.0,"age_ms":,"uncertainty":null},"rr":{"value":null,"unit":"/min",'
    b'"sqi":0.21,"state":"lost","why":["motion"],"window_s":30.0,"age_ms":240,"uncertainty":null},'
    b'"hr":{"value":71.8,"unit":"/min","sqi":0.82,"state":"ok","why":[],"window_s":10.0,"age_ms":240,'
    b'"uncertainty":0.9},"rr":{"value":14.2,"unit":"/min","sqi":0.9,"state":"low_quality","ok","why":[],'
    b'"window_s":30.0,"age_ms":240,"uncertainty":0.3},"fps":{"rgb":29.97,"thermal":8.7},"dropped":{"rgb":0,'
    b'"thermal":0},"skew_ms":20.1}'
)


def packed(text: bytes) -> bytes:
    """``text`` compressed; a numerics record of 600 bytes becomes about 200."""
    deflate = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zdict=_COMMON)
    return deflate.compress(text) + deflate.flush()


def unpacked(body: bytes) -> bytes:
    """What :func:`packed` was given; ValueError when ``body`` is damaged."""
    inflate = zlib.decompressobj(zdict=_COMMON)
    try:
        text = inflate.decompress(body)
    except zlib.error as error:
        raise ValueError(f"a stored record is damaged: {error}") from error
    if not inflate.eof:
        raise ValueError("a stored record is cut short")
    return text
