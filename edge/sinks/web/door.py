"""Who may come in: names under which the page may be reached, pages that may ask, and who brought the token.

A page of another site can send requests from a visitor's browser to this one. The name check keeps out those that had
their own name point here (DNS rebinding), the origin check those that come openly.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from edge.sinks.peer import is_loopback
from edge.sinks.web.address import Address

__all__ = ["Door"]

_PROXIES_ADD = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Door:
    """The rules of one address. ``session`` is what a visitor's browser keeps instead of the token, for this run."""

    def __init__(self, address: Address, token: str) -> None:
        self._address = address
        self._token = token.encode()
        self.session = secrets.token_urlsafe(24)
        own = socket.gethostname().lower()
        self._names = {"localhost", *address.names, *(() if address.local else (own, f"{own}.local"))}

    def known_name(self, host: str) -> bool:
        """Whether a Host header names this page, at whatever port: a number, or a name that is ours.

        A name that somebody else made point here is never a number. On loopback only numbers of this machine count.
        """
        name = _without_port(host)
        try:
            number = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name in self._names
        return number.is_loopback or not self._address.local

    def same_site(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from this page itself, or from a program, which sends no Origin."""
        origin, host = headers.get("origin"), headers.get("host", "").lower()
        try:
            return origin is None or (bool(host) and urlsplit(origin).netloc.lower() == host)
        except ValueError:  # no URL at all
            return False

    def unknown_proxy(self, headers: Mapping[str, str]) -> bool:
        """Whether a proxy passed this on that nobody told us of, on an address that trusts whoever reaches it.

        Behind one everybody seems to be on this machine. Proxies that add no header cannot be seen.
        """
        return self._address.local and not self._address.needs_token and _was_passed_on(headers)

    def is_token(self, given: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(given.encode(), self._token)

    def admits(self, headers: Mapping[str, str], cookies: Mapping[str, str], cookie: str) -> bool:
        """Whether a visitor may see vitals: none is asked here, or they have the session or the token."""
        if not self._address.needs_token:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given):
            return True
        return hmac.compare_digest(cookies.get(cookie, "").encode(), self.session.encode())

    def admits_program(self, headers: Mapping[str, str], peer: str) -> bool:
        """Whether a program on this machine may read without a token, although the page needs one.

        Not where a token file or other names were given: then a proxy may stand here, behind which anybody is. Nor
        where one passed the request on.
        """
        plain = self._address.token_file is None and not self._address.names and not _was_passed_on(headers)
        return plain and is_loopback(peer) and is_loopback(_without_port(headers.get("host", "")))


def _was_passed_on(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in _PROXIES_ADD)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
