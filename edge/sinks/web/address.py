"""Where the page is served, and what that asks for: ``web:HOST:PORT?cert=&key=&token_file=&names=&plaintext=1``.

On loopback nobody is asked for anything: who reaches it is logged in on the device, or came by ``ssh -L``. Everywhere
else the page needs a token, and TLS unless plain text was accepted. A token is also needed where ``token_file`` names
one, or where ``names`` says that the page is reached under other names, as behind a proxy.
"""

from __future__ import annotations

import getpass
import ipaddress
import re
import secrets
import socket
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.errors import UsageError
from edge.sinks.peer import is_loopback
from edge.uri import Uri, query_as

__all__ = ["Address", "address_from_uri"]

_DEFAULT = "127.0.0.1:8080"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}")
"""What stands in a link as it is, and is long enough not to be guessed."""
_PATIENCE_MS = 20_000
"""A visitor who takes in nothing for so long is cut off; connections inherit that from the listening socket."""
_WAITING_BYTES = 32_768
"""So much may wait in the kernel for a slow visitor, in place of megabytes of what is old by then."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; files that hold secrets are named here, never a secret."""

    host: str
    port: int
    cert: str | None = None
    key: str | None = None
    token_file: str | None = None
    names: tuple[str, ...] = ()

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def needs_token(self) -> bool:
        """Whether a visitor has to bring the token."""
        return not self.local or self.token_file is not None or bool(self.names)

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        return f"web:{_bracketed(self.host)}:{self.port}"

    def token(self) -> str:
        """The first line of the token file, or a new one; UsageError when it cannot be used or others can read it."""
        if self.token_file is None:
            return secrets.token_urlsafe(24)
        path = Path(self.token_file)
        try:
            if path.stat().st_mode & stat.S_IROTH:
                raise UsageError(f"token file {path} can be read by every user; run: chmod 600 {path}")
            token = (path.read_text(encoding="ascii").splitlines() or [""])[0]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"token file {path} cannot be read ({error}); it holds the token in line 1, in ASCII"
            ) from error
        if not _TOKEN.fullmatch(token):
            raise UsageError(
                f"token file {path}: want 16 to 256 letters, digits or . _ ~ + / = - in line 1; make one: "
                f"head -c 24 /dev/urandom | base64 | tr +/ -_ > {path}"
            )
        return token

    def tls(self) -> ssl.SSLContext | None:
        """TLS 1.2 or newer with the certificate, None for plain HTTP; UsageError: unusable files."""
        if self.cert is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_passphrase)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{self.name}: {self.cert} and {self.key} cannot be used ({error}); want unencrypted PEM"
            ) from error
        return context

    def listen(self) -> socket.socket:
        """A listening socket; UsageError when there can be none."""
        try:
            family, _, _, _, place = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            listener = socket.create_server(place[:2], family=family)
        except OSError as error:
            raise UsageError(
                f"{self.name}: cannot listen there ({error.strerror or error}); choose another port, or a free address"
            ) from error
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _PATIENCE_MS)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WAITING_BYTES)
        return listener

    def links(self, port: int, token: str) -> list[str]:
        """What to open, one line each; a token stands behind ``#``, which no browser sends.

        A token from a file is not told again: this may go into a log.
        """
        scheme = "http" if self.cert is None else "https"
        key = ""
        if self.needs_token:
            behind = f"  with line 1 of {self.token_file} behind it"
            key = "#token=" + (token if self.token_file is None else behind)
        host = (self.names or (socket.gethostname(),))[0] if _is_any(self.host) else self.host
        lines = [f"bedside page: {scheme}://{_bracketed(host)}:{port}/{key}"]
        if self.local:
            here = f"{getpass.getuser()}@{socket.gethostname()}"
            lines.append(f"from elsewhere: ssh -L {port}:{_bracketed(self.host)}:{port} {here}, then that link there")
        return lines


def address_from_uri(uri: Uri, *, allow_plaintext: bool) -> Address:
    """Read the URI.

    Raises
    ------
    UsageError
        No address, parameters that do not go together, or plain HTTP to other machines without leave.
    """
    query = query_as(uri, _Query)
    host, port = _host_port(uri.target or _DEFAULT)
    if (query.cert is None) != (query.key is None):
        raise UsageError("web: cert and key go together; give both as PEM files")
    names = tuple(name.strip().lower() for name in query.names.split(",") if name.strip())
    address = Address(host, port, query.cert, query.key, query.token_file, names)
    if not (address.local or address.cert or allow_plaintext or query.plaintext):
        raise UsageError(
            f"{address.name} would show vitals to the network, unencrypted; add ?cert=FILE&key=FILE, or accept it with "
            "the line `allow_plaintext = true` in kit.toml or with `?plaintext=1`, or stay at web:127.0.0.1:8080 and "
            "come by ssh -L"
        )
    return address


class _Query(msgspec.Struct):
    cert: str | None = None
    key: str | None = None
    token_file: str | None = None
    names: str = ""
    plaintext: bool = False


def _host_port(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"web:{target} is no address to listen at; write web:127.0.0.1:8080 or web:[::1]:8080")
    return host, int(port)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _no_passphrase() -> str:
    return ""  # else OpenSSL would ask on the terminal and wait
