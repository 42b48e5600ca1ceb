"""Where the MQTT broker is and how to be let in: the ``mqtt://`` and ``mqtts://`` URIs, secrets from files, TLS."""

from __future__ import annotations

import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from edge.errors import UsageError
from edge.sinks.peer import (
    NO_FILES,
    PeerQuery,
    TlsFiles,
    address_from_uri,
    check_encrypted,
    is_loopback,
    peer_name,
    tls_files_from_query,
)
from edge.uri import Uri, query_as

__all__ = ["Broker", "broker_from_uri", "topic_level"]

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FORM = "mqtts://host:port/site or mqtt://127.0.0.1:1883/site"


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker's address. It names the files that hold secrets, never a secret.

    ``outbox`` is the folder of what waits for it, ``memory`` or None for the usual one; ``home_assistant`` the topic
    under which Home Assistant looks for devices, None when it is not told; ``commands``: some may come from there.
    """

    scheme: str
    host: str
    port: int
    site: str
    user: str | None = None
    password_file: str | None = None
    files: TlsFiles = NO_FILES
    outbox: str | None = None
    home_assistant: str | None = None
    commands: bool = False

    @property
    def name(self) -> str:
        """The URI without its parameters."""
        return f"{peer_name(self.scheme, self.host, self.port)}/{self.site}"

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
        return None if self.scheme == "mqtt" else self.files.context(self.name)


def broker_from_uri(uri: Uri, *, allow_plaintext: bool) -> Broker:
    """Read ``mqtt[s]://host[:port]/site?user=&password_file=&ca=&cert=&key=&plaintext=1&outbox=&ha=1&commands=1``.

    Raises
    ------
    UsageError
        A malformed address, a password in the URI, parameters that do not go together, plain MQTT to another
        machine without leave, or commands over it.
    """
    address = address_from_uri(uri, "broker", _FORM, "; use ?user=&password_file=")
    query = query_as(uri, _Query)
    if query.password_file is not None and query.user is None:
        raise UsageError(f"{uri.scheme}: password_file needs user; add &user=NAME")
    files = tls_files_from_query(uri, "mqtt", query)
    host = address.hostname or ""
    if query.commands and uri.scheme == "mqtt" and not is_loopback(host):
        raise UsageError("mqtt: commands=1 would obey whoever can write to the network; use mqtts://")
    if uri.scheme == "mqtt":
        check_encrypted(uri, host, allowed=allow_plaintext or query.plaintext)
    return Broker(
        uri.scheme,
        host,
        address.port or _PORTS[uri.scheme],
        topic_level(address.path.removeprefix("/"), "site"),
        query.user,
        query.password_file,
        files,
        query.outbox,
        _discovery_topic(query.ha),
        query.commands,
    )


def topic_level(word: str, what: str) -> str:
    """``word`` when it can be one level of an MQTT topic; ``what`` is for the message of the UsageError."""
    if not word or any(sign in word for sign in "/+#\0") or word.startswith("$"):
        raise UsageError(f"{what} {word!r} cannot be a part of an MQTT topic; want a name without / + #, as in {_FORM}")
    return word


class _Query(PeerQuery):
    user: str | None = None
    password_file: str | None = None
    ha: str | None = None
    commands: bool = False


def _discovery_topic(given: str | None) -> str | None:
    """``ha=1`` is Home Assistant's own default; another word is the prefix it was configured with."""
    if given in {None, "0", ""}:
        return None
    return "homeassistant" if given in {"1", "true"} else topic_level(str(given), "ha prefix")
