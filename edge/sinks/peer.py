"""A peer on the network: its address in a URI, TLS from files, and who may be sent vitals without encryption."""

from __future__ import annotations

import ipaddress
import ssl
from urllib.parse import SplitResult, urlsplit

from edge.errors import UsageError
from edge.uri import Uri, without_secrets

__all__ = ["address_from_uri", "check_encrypted", "check_tls_files", "is_loopback", "tls_from_files"]


def address_from_uri(uri: Uri, what: str, form: str, instead: str = "") -> SplitResult:
    """Host, port and path; ``what`` (``"broker"``) and ``form`` (an example) are for the message.

    Raises
    ------
    UsageError
        No host, no such port, or a user or password in the URI (``instead`` says what to write).
    """
    try:
        address = urlsplit(f"{uri.scheme}:{uri.target}")
        in_range = address.port != 0
    except ValueError:
        address, in_range = urlsplit(""), False
    if "@" in address.netloc:
        raise UsageError(f"{uri.scheme}: a user or password in the URI shows in process lists{instead}")
    if not address.hostname or not in_range:
        seen = without_secrets(f"{uri.scheme}:{uri.target}")
        raise UsageError(f"{seen} is no {what}'s address; write {form}")
    return address


def check_encrypted(uri: Uri, host: str, *, allowed: bool) -> None:
    """UsageError when vitals would leave this machine unencrypted (``uri`` is of a plain scheme) without leave."""
    if not (allowed or is_loopback(host)):
        raise UsageError(
            f"{uri.scheme}://{host} would send vitals unencrypted over the network; use {uri.scheme}s://, or accept it "
            "with the line `allow_plaintext = true` in kit.toml, or with `?plaintext=1` in the URI"
        )


def check_tls_files(uri: Uri, plain: str, ca: str | None, cert: str | None, key: str | None) -> None:
    """UsageError when files do not go together, or not with the scheme that is ``plain``."""
    if key is not None and cert is None:
        raise UsageError(f"{uri.scheme}: key needs cert; add &cert=FILE")
    if uri.scheme == plain and (ca or cert):
        raise UsageError(f"{plain}: ca, cert and key are for TLS; write {plain}s://")


def tls_from_files(name: str, ca: str | None, cert: str | None, key: str | None) -> ssl.SSLContext:
    """TLS 1.2 or newer that checks the certificate of the peer ``name``; UsageError: a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert is not None:
            context.load_cert_chain(cert, key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        files = ", ".join(file for file in (ca, cert, key) if file)
        raise UsageError(f"{name}: TLS files {files} cannot be used ({error}); want unencrypted PEM") from error
    return context


def is_loopback(host: str) -> bool:
    """Whether a host, as written in a URI or header without its port, is this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _no_passphrase() -> str:
    return ""  # else OpenSSL would ask on the terminal and wait
