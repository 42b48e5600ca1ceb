"""``manifest.sig``: a detached ed25519 signature over the bytes of ``manifest.json``, which holds the hash of all else.

One line: ``ed25519``, the id of the key, 64 bytes in base64. What is signed are the plain bytes of the manifest, so any
tool that knows ed25519 can check it. There is one way to write a signature: any changed byte of the line is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle_keys import Trust, key_id
from edge.errors import BundleError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["SIGNATURE", "check_signature", "signature_line"]

SIGNATURE = "manifest.sig"
_LINE = re.compile(rb"ed25519 (?P<key>[0-9a-f]{16}) (?P<signature>[A-Za-z0-9+/]{86}==)\n")


def signature_line(manifest: bytes, key: Ed25519PrivateKey) -> bytes:
    """The content of ``manifest.sig`` for ``manifest``."""
    return _line(key_id(key.public_key().public_bytes_raw()).encode(), key.sign(manifest))


def check_signature(manifest: bytes, line: bytes, trust: Trust, place: Path) -> str:
    """Who vouches for ``manifest``, as ``ed25519:<key id>``.

    Raises
    ------
    BundleError
        ``line`` is no signature, its key is unknown or revoked, or the manifest is not what was signed.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    key, signature = _parts(line, place)
    if key in trust.revoked:
        raise BundleError(f"{place}: signed with the revoked key {key}; get it signed with another")
    if key not in trust.keys:
        fix = "put the public key there if you trust its owner"
        raise BundleError(f"{place}: signed with key {key}, which is not among those in {trust.place}; {fix}")
    try:
        Ed25519PublicKey.from_public_bytes(trust.keys[key]).verify(signature, manifest)
    except InvalidSignature as error:
        raise BundleError(f"{place}: its manifest is not what key {key} signed; get the bundle again") from error
    return f"ed25519:{key}"


def _line(key: bytes, signature: bytes) -> bytes:
    return b"ed25519 %s %s\n" % (key, base64.b64encode(signature))


def _parts(line: bytes, place: Path) -> tuple[str, bytes]:
    found = _LINE.fullmatch(line)
    try:
        signature = base64.b64decode(found["signature"], validate=True) if found else b""
    except binascii.Error:
        signature = b""
    if not found or _line(found["key"], signature) != line:  # base64 has several ways to end
        raise BundleError(f"{place / SIGNATURE}: no signature of a bundle; get the bundle again")
    return found["key"].decode(), signature
