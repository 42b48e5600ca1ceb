"""``kit.toml`` as set-up writes it: every key with a line that says what it is."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from edge.config import Kit, toml_value
from edge.errors import UsageError
from edge.sinks.records import NOTICE
from edge.uri import secrets_in

__all__ = ["COMMENTS", "text_from_kit", "write_kit"]

COMMENTS: dict[str, str] = {
    "rgb": "the RGB camera; mmrphys cameras lists what there is",
    "thermal": 'the thermal camera, or "none"; without one RR is rarely ok',
    "rig": "camera geometry, from mmrphys calibrate rig",
    "bundle": "folder of a model bundle, current or previous (installed); left out, the one of the package",
    "keys": "folder of the keys that may sign bundles",
    "store": "folder of the bundles that were installed",
    "sinks": "where records go: console:, jsonl:FILE, mqtts://HOST/SITE?user=&password_file= (&commands=1 takes some), "
    "hl7s://HOST, serial:PORT",
    "mode": "exact: whole windows; stream: waves at once, a third of the work",
    "hop_s": "seconds between two inferences; longer saves power",
    "speed": "of files and scenes: realtime or max; cameras have their own",
    "runtime": "auto, onnxrt or tensorrt (after mmrphys engine build)",
    "precision": "auto, fp32, fp16 or int8",
    "seconds": "stop after so much stream time; left out, run until stopped",
    "device_id": "this device in records and topics",
    "zone": "the bed that is watched, in records and topics",
    "zones": "beds in one picture: { name = ..., box = [left, top, right, bottom] }, in shares of it",
    "people": "how many are followed at most; left out, one, or one for each zone",
    "detector": "haar, or yunet:MODEL.onnx",
    "thermal_roi": "rgb: where the RGB face is; own: the warm face in the thermal picture",
    "allow_plaintext": "whether MQTT without TLS may leave this machine",
    "pair_gate_ms": "largest distance of the stamps of an RGB and a thermal frame that belong together",
}
"""One line for each key of a kit."""
_EXAMPLES = {
    "rig": "rig.json",
    "bundle": "my-bundle",
    "keys": "/etc/mmrphys/keys",
    "store": "/var/lib/mmrphys/bundles",
    "thermal": "none",
    "rgb": "v4l2:/dev/video0",
    "seconds": 60.0,
    "people": 2,
}


def text_from_kit(kit: Kit) -> str:
    """The file; keys that are None stand as examples. Passwords of URIs stand as they are: see :func:`write_kit`."""
    lines = ["# Written by mmrphys setup; run it with: mmrphys run --config kit.toml", f"# {NOTICE}"]
    for key, value in msgspec.structs.asdict(kit).items():
        written = f"{key} = {toml_value(value)}" if value is not None else f"# {key} = {toml_value(_EXAMPLES[key])}"
        lines += ["", f"# {COMMENTS[key]}", written]
    return "\n".join(lines) + "\n"


def write_kit(path: Path, kit: Kit) -> None:
    """Put the file at ``path``, whole or not at all; one that holds a password can be read by its owner alone.

    UsageError where it cannot be written.
    """
    private = any(secrets_in(uri) for uri in (kit.rgb, kit.thermal, *kit.sinks) if uri)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text_from_kit(kit))
            file.flush()
            os.fsync(handle)
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"--out {path}: {error.strerror}; name a file in a folder you may write to") from error
    finally:
        temporary.unlink(missing_ok=True)
