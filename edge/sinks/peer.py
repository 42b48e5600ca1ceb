"""A peer on the network: its address in a URI, TLS from files, and who may be sent vitals without encryption."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import msgspec

from edge.errors import UsageError
from edge.uri import Uri, without_secrets

__all__ = [
    "NO_FILES",
    "PeerQuery",
    "TlsFiles",
    "address_from_uri",
    "check_encrypted",
    "is_loopback",
    "peer_name",
    "tls_files_from_query",
]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: who signed the peer's certificate (None: the system's authorities), our certificate and its key."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def context(self, name: str) -> ssl.SSLContext:
        """TLS 1.2 or newer that checks the certificate of the peer ``name``; UsageError: a file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key, password=_no_passphrase)
        except (OSError, ValueError) as error:
            files = ", ".join(file for file in (self.ca, self.cert, self.key) if file)
            raise UsageError(f"{name}: TLS files {files} cannot be used ({error}); want unencrypted PEM") from error
        return context


NO_FILES = TlsFiles()
"""The authorities of the system, and no certificate of our own."""


class PeerQuery(msgspec.Struct):
    """What the URI of every peer may say: TLS files, leave to send in plain text, where records wait."""

    plaintext: bool = False
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    outbox: Annotated[str, msgspec.Meta(min_length=1)] | None = None


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


def tls_files_from_query(uri: Uri, plain: str, query: PeerQuery) -> TlsFiles:
    """UsageError when files do not go together, or not with the scheme that is ``plain``."""
    if query.key is not None and query.cert is None:
        raise UsageError(f"{uri.scheme}: key needs cert; add &cert=FILE")
    if uri.scheme == plain and (query.ca or query.cert):
        raise UsageError(f"{plain}: ca, cert and key are for TLS; write {plain}s://")
    return TlsFiles(query.ca, query.cert, query.key)


def peer_name(scheme: str, host: str, port: int) -> str:
    """A peer's address, as its URI begins."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host, as written in a URI or header without its port, is this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _no_passphrase() -> str:
    return ""  # else OpenSSL would ask on the terminal and wait
