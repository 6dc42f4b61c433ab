"""Who may talk to the review page: its address, one-time tokens, passwords and sessions."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from dross.core.errors import DrossError

TOKEN_BYTES = 32
"""Random bytes of a token and of a session: 256 bits."""
IDLE = 12 * 3600.0
"""Seconds without a request after which a session ends."""
SESSIONS = 1000
SHORTEST = 8
"""Characters of a password, at the least."""
LONGEST = 1024
LONGEST_NAME = 60
FREE_TRIES = 3
"""Wrong passwords before the wait between two tries begins to double."""
LONGEST_WAIT = 60.0
ADDRESSES = 4096
"""Addresses whose wrong passwords are remembered."""
ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name: it may lead anywhere
        return False


@dataclass(frozen=True)
class Place:
    """Where the server listens.

    Examples
    --------
    >>> place = Place("127.0.0.1", 8000)
    >>> place.address, place.admits("localhost:8000"), place.admits("evil.example:8000"), place.admits("localhost")
    ('http://127.0.0.1:8000', True, False, False)
    """

    host: str
    port: int
    tls: bool = False

    @property
    def scheme(self) -> str:
        """``https`` or ``http``."""
        return "https" if self.tls else "http"

    @property
    def address(self) -> str:
        """The address a browser opens, without a path."""
        host = socket.gethostname() if self.host in ANY else self.host
        host = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{host}" + ("" if self.port == self._usual else f":{self.port}")

    @property
    def _usual(self) -> int:
        return 443 if self.tls else 80

    def admits(self, header: str) -> bool:
        """Whether a Host header names this server, so that no other name leads a browser here (DNS rebinding).

        A server on all addresses admits this machine's name and every numeric address: those cannot be rebound.
        """
        found = _HOST.fullmatch(header.lower())
        if found is None or int(found[2] or self._usual) != self.port:
            return False
        name = found[1].strip("[]")
        if is_loopback(self.host):
            return name in {"localhost", "127.0.0.1", "::1", self.host.lower()}
        if self.host not in ANY:
            return name == self.host.lower()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in _own_names()
        return True

    def sent(self, host: str, origin: str | None, site: str | None) -> bool:
        """Whether a request that changes something was sent by a page of this server.

        ``Origin`` tells, or ``Sec-Fetch-Site`` where a form gave none: neither can be set by another site's script.
        """
        if origin is not None and origin != "null":
            return origin.lower() == f"{self.scheme}://{host.lower()}"
        return site == "same-origin"


@cache
def _own_names() -> frozenset[str]:
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})


def named(text: str) -> str:
    """A person's name as it is kept with the decisions: 1 to 60 characters, on one line, nothing invisible.

    >>> named("  Ada Lovelace ")
    'Ada Lovelace'
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise DrossError("the name is empty", fix="give the name to keep with the decisions")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise DrossError(
            "this name cannot be used", fix=f"give at most {LONGEST_NAME} characters, without invisible ones"
        )
    return name


class Password:
    """A password that is not kept: its scrypt hash is, and comparing takes the same time whatever is wrong.

    Examples
    --------
    >>> password = Password("correct horse")
    >>> password.matches("correct horse"), password.matches("wrong horse")
    (True, False)
    """

    def __init__(self, text: str) -> None:
        if not SHORTEST <= len(text) <= LONGEST:
            raise DrossError(
                f"the password has {len(text)} characters", fix=f"choose one of {SHORTEST} to {LONGEST} characters"
            )
        self._salt = secrets.token_bytes(16)
        self._one_at_a_time = threading.Lock()
        self._hash = self._hashed(text)

    def matches(self, text: str) -> bool:
        """Whether it is the password; some 50 ms, one call after another so that guessing cannot fill the machine."""
        with self._one_at_a_time:
            return hmac.compare_digest(self._hashed(text[: LONGEST + 1]), self._hash)

    def _hashed(self, text: str) -> bytes:
        raw = unicodedata.normalize("NFKC", text).encode("utf-8", "surrogatepass")
        return hashlib.scrypt(raw, salt=self._salt, n=2**14, r=8, p=1, maxmem=2**26)


class Tries:
    """How long each address waits between two tries: no time for the first wrong ones, then 1, 2, 4, … 60 seconds.

    Examples
    --------
    >>> tries = Tries(clock=lambda: 0.0)
    >>> [tries.wait("10.0.0.7") for _ in range(5)], tries.wait("10.0.0.8")
    ([0.0, 0.0, 0.0, 1.0, 1.0], 0.0)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, who: str) -> float:
        """Seconds to wait; 0 when this is a try, which counts as a wrong one until :meth:`right`."""
        who, now = _network(who), self._clock()
        with self._lock:
            count, until = self._known.get(who, (0, 0.0))
            if now < until:
                return until - now
            count += 1
            pause = 0.0 if count < FREE_TRIES else min(2.0 ** min(count - FREE_TRIES, 10), LONGEST_WAIT)
            self._known[who] = (count, now + pause)
            self._known.move_to_end(who)
            while len(self._known) > ADDRESSES:
                self._known.popitem(last=False)
        return 0.0

    def right(self, who: str) -> None:
        """The last try was right."""
        with self._lock:
            self._known.pop(_network(who), None)


def _network(address: str) -> str:
    """The address, or the network of an IPv6 address: whoever has one of these has 2**64."""
    try:
        one = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((one, 64), strict=False)) if one.version == 6 else str(one)


@dataclass
class _Session:
    person: str
    used: float


class Gate:
    """Lets people in: by a token that works once, or by a password; each session carries a person's name.

    Without a password there is one token at a time. Once exchanged it is used up; whoever shows it again is refused,
    and a fresh address is handed to ``say``, which prints it where only the person at the terminal sees it.

    Parameters
    ----------
    place
        Where the server listens.
    person
        The name of whoever comes with the token.
    password
        Asked for, with a name, instead of a token.
    say
        Called with a fresh address.
    clock
        Seconds, for the end of idle sessions.

    Examples
    --------
    >>> gate = Gate(Place("127.0.0.1", 8000), "ada")
    >>> token = gate.address.partition("=")[2]
    >>> session = gate.exchange(token)
    >>> gate.person([session]), gate.exchange(token)
    ('ada', None)
    """

    def __init__(
        self,
        place: Place,
        person: str = "",
        password: str | None = None,
        *,
        say: Callable[[str], None] = lambda address: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if password is None:
            person = named(person)
        elif not (is_loopback(place.host) or place.tls):
            raise DrossError("a password must not cross a network in clear", fix="give --tls-cert and --tls-key")
        if password is None and not is_loopback(place.host):
            raise DrossError("whoever reaches this address could decide", fix="give a --password")
        self.place, self._person, self._say, self._clock = place, person, say, clock
        self.password = None if password is None else Password(password)
        self.tries = Tries(clock)
        self.cookie = f"{'__Host-' if place.tls else ''}dross-{place.port}"
        """Cookies are shared by all ports of a host: the name keeps two servers apart."""
        self._lock = threading.Lock()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._token = b""
        self._spent: OrderedDict[bytes, None] = OrderedDict()
        self.address = ""
        """What the person opens first."""
        self.renew()

    def renew(self) -> None:
        """Make a fresh token; the one before ceases to work."""
        if self.password is not None:
            self.address = self.place.address + "/"
            return
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._token = _digest(token)
        self.address = f"{self.place.address}/?token={token}"

    def exchange(self, token: str) -> str | None:
        """A session for a token that has not been used; None for any other."""
        shown = _digest(token)
        with self._lock:
            if self._token and hmac.compare_digest(shown, self._token):
                self._spent[shown] = None
                while len(self._spent) > 16:
                    self._spent.popitem(last=False)
                self._token = b""
                return self._opened(self._person)
            spent = any(hmac.compare_digest(shown, one) for one in self._spent)
            fresh = spent and not self._token
            if fresh:
                self.renew()
        if fresh:
            self._say(self.address)
        return None

    def sign_in(self, person: str) -> str:
        """A session for a person who knew the password."""
        with self._lock:
            return self._opened(named(person))

    def _opened(self, person: str) -> str:
        session = secrets.token_urlsafe(TOKEN_BYTES)
        self._sessions[_digest(session)] = _Session(person, self._clock())
        while len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def person(self, sessions: Iterable[str]) -> str | None:
        """Whose session one of these is; None when it is nobody's or has ended.

        Sessions are found by their SHA-256, so the time that it takes tells nothing about them.
        """
        now = self._clock()
        with self._lock:
            for session in sessions:
                key = _digest(session)
                found = self._sessions.get(key)
                if found is not None and now - found.used <= IDLE:
                    found.used = now
                    self._sessions.move_to_end(key)
                    return found.person
                self._sessions.pop(key, None)
        return None

    def sign_out(self, sessions: Iterable[str]) -> None:
        """End sessions."""
        with self._lock:
            for session in sessions:
                self._sessions.pop(_digest(session), None)

    def cookies(self, headers: Iterable[str]) -> list[str]:
        """The sessions that Cookie headers name, a few at most."""
        found = []
        for header in headers:
            for part in header.split(";"):
                name, _, value = part.strip().partition("=")
                if name == self.cookie:
                    found.append(value.strip('"'))
        return found[:4]

    def set_cookie(self, session: str) -> str:
        """The Set-Cookie header that hands a session over, or ends it when empty."""
        ends = "" if session else "; Max-Age=0"
        secure = "; Secure" if self.place.tls else ""
        return f"{self.cookie}={session}; Path=/; HttpOnly; SameSite=Strict{secure}{ends}"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
