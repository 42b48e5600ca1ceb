"""Where the MQTT broker is and how to be let in: the ``mqtt://`` and ``mqtts://`` URIs, secrets from files, TLS."""

from __future__ import annotations

import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from edge.errors import UsageError
from edge.sinks.peer import address_from_uri, check_encrypted, check_tls_files, tls_from_files
from edge.uri import Uri, query_as

__all__ = ["Broker", "broker_from_uri", "topic_level"]

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FORM = "mqtts://host:port/site or mqtt://127.0.0.1:1883/site"


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker's address. It names the files that hold secrets, never a secret.

    ``outbox`` is the folder of what waits for it, ``memory`` or None for the usual one; ``home_assistant`` the topic
    under which Home Assistant looks for devices, None when it is not told.
    """

    scheme: str
    host: str
    port: int
    site: str
    user: str | None = None
    password_file: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    outbox: str | None = None
    home_assistant: str | None = None

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/{self.site}"

    def password(self) -> str | None:
        """The first line of the password file; UsageError when it cannot be read or others can read it too."""
        if self.password_file is None:
            return None
        path = Path(self.password_file)
        try:
            if path.stat().st_mode & stat.S_IROTH:
                raise UsageError(f"password file {path} can be read by every user; run: chmod 600 {path}")
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"password file {path} cannot be read ({error}); it holds the password in line 1"
            ) from error
        if not lines or not lines[0]:
            raise UsageError(f"password file {path} is empty; it holds the password in line 1")
        return lines[0]

    def tls(self) -> ssl.SSLContext | None:
        """TLS 1.2 or newer that checks the broker's certificate, None for plain MQTT; UsageError: unusable file."""
        if self.scheme == "mqtt":
            return None
        return tls_from_files(self.name, self.ca, self.cert, self.key)


def broker_from_uri(uri: Uri, *, allow_plaintext: bool) -> Broker:
    """Read ``mqtt[s]://host[:port]/site?user=&password_file=&ca=&cert=&key=&plaintext=1&outbox=&ha=1``.

    Raises
    ------
    UsageError
        A malformed address, a password in the URI, parameters that do not go together, or plain MQTT to another
        machine without leave.
    """
    address = address_from_uri(uri, "broker", _FORM, "; use ?user=&password_file=")
    query = query_as(uri, _Query)
    _check_together(uri, query)
    host = address.hostname or ""
    if uri.scheme == "mqtt":
        check_encrypted(uri, host, allowed=allow_plaintext or query.plaintext)
    return Broker(
        uri.scheme,
        host,
        address.port or _PORTS[uri.scheme],
        topic_level(address.path.removeprefix("/"), "site"),
        query.user,
        query.password_file,
        query.ca,
        query.cert,
        query.key,
        query.outbox,
        _discovery_topic(query.ha),
    )


def topic_level(word: str, what: str) -> str:
    """``word`` when it can be one level of an MQTT topic; ``what`` is for the message of the UsageError."""
    if not word or any(sign in word for sign in "/+#\0") or word.startswith("$"):
        raise UsageError(f"{what} {word!r} cannot be a part of an MQTT topic; want a name without / + #, as in {_FORM}")
    return word


class _Query(msgspec.Struct):
    plaintext: bool = False
    user: str | None = None
    password_file: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    outbox: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    ha: str | None = None


def _discovery_topic(given: str | None) -> str | None:
    """``ha=1`` is Home Assistant's own default; another word is the prefix it was configured with."""
    if given in {None, "0", ""}:
        return None
    return "homeassistant" if given in {"1", "true"} else topic_level(str(given), "ha prefix")


def _check_together(uri: Uri, query: _Query) -> None:
    if query.password_file is not None and query.user is None:
        raise UsageError(f"{uri.scheme}: password_file needs user; add &user=NAME")
    check_tls_files(uri, "mqtt", query.ca, query.cert, query.key)
