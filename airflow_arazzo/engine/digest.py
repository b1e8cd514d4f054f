"""HTTP digest authentication (RFC 7616), without I/O: a challenge is read, requests are signed."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote

import msgspec

_ALGORITHMS = {"md5": "md5", "sha-256": "sha256"}
_PARAMETER = re.compile(
    r"""[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|(?=[\s,]|$))"""
)


class Challenge(msgspec.Struct, frozen=True):
    """What a server asks for (RFC 7616, section 3.3).

    :param algorithm: as the server writes it; empty when it does not.
    :param qop: ``auth``, or empty for a server of RFC 2069, which knows no quality of protection.
    :param opaque: ``None`` when the server gives none.
    :param userhash: whether the user name is to be sent as a hash.
    """

    realm: str
    nonce: str
    algorithm: str = ""
    qop: str = ""
    opaque: str | None = None
    userhash: bool = False


class DigestUser(msgspec.Struct, frozen=True):
    """Who authenticates. Its ``repr`` shows nothing."""

    login: str
    password: str

    def __repr__(self) -> str:
        return "DigestUser(***)"


def read_challenge(headers: Iterable[str]) -> Challenge | None:
    """The first digest challenge that can be answered (RFC 7616, section 3.7), or ``None``.

    Answered are the algorithms MD5 and SHA-256, each also with ``-sess``, and the protection ``auth``.

    :param headers: values of ``WWW-Authenticate``, each of which may hold several challenges.
    """
    for header in headers:
        for scheme, found in _challenges(header):
            challenge = _answerable(found) if scheme == "digest" else None
            if challenge is not None:
                return challenge
    return None


def _challenges(header: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The challenges of one header: lower-case scheme, and parameters by lower-case name."""
    scheme, found, position = "", dict[str, str](), 0
    while match := _PARAMETER.match(header, position):
        position = match.end()
        name, quoted, plain = match.groups()
        if quoted is None and plain is None:
            if scheme:
                yield scheme, found
            scheme, found = name.lower(), {}
        else:
            found.setdefault(name.lower(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
    if scheme:
        yield scheme, found


def _answerable(found: Mapping[str, str]) -> Challenge | None:
    protections = [each.strip().lower() for each in found.get("qop", "").split(",") if each.strip()]
    algorithm = found.get("algorithm", "")
    known = algorithm.lower().removesuffix("-sess") in ("", *_ALGORITHMS)
    sendable = all(value.isascii() and value.isprintable() for value in found.values())
    if not found.get("nonce") or "realm" not in found or not known or not sendable:
        return None
    if protections and "auth" not in protections:
        return None
    return Challenge(
        realm=found["realm"],
        nonce=found["nonce"],
        algorithm=algorithm,
        qop="auth" if protections else "",
        opaque=found.get("opaque"),
        userhash=found.get("userhash", "").lower() == "true",
    )


class DigestSession:
    """Signs requests under one challenge, counting them.

    The client nonce stays the same, since a ``-sess`` key is made from the first (RFC 7616, 3.4.2); the
    count makes every signature another one.

    :param nonce: makes the client nonce.
    """

    def __init__(
        self, challenge: Challenge, user: DigestUser, nonce: Callable[[], str] = lambda: secrets.token_hex(16)
    ) -> None:
        self.challenge = challenge
        self._user = user
        self._client_nonce = nonce()
        self._count = 0

    def sign(self, method: str, uri: str) -> tuple[str, str]:
        """The ``Authorization`` header of one request, and the digest in it, which must be masked.

        :param uri: path and query as they are sent.
        """
        self._count += 1
        asked, count = self.challenge, f"{self._count:08x}"
        middle = [asked.nonce, count, self._client_nonce, asked.qop] if asked.qop else [asked.nonce]
        digest = self._hash(":".join([self._first(), *middle, self._hash(f"{method}:{uri}")]))
        parts = [
            *self._who(),
            f"realm={_quoted(asked.realm)}",
            f"uri={_quoted(uri)}",
            f"nonce={_quoted(asked.nonce)}",
            f'response="{digest}"',
        ]
        if asked.algorithm:
            parts.append(f"algorithm={asked.algorithm}")
        if asked.qop or self._is_session():
            parts.append(f'cnonce="{self._client_nonce}"')
        if asked.qop:
            parts += [f"qop={asked.qop}", f"nc={count}"]
        if asked.opaque is not None:
            parts.append(f"opaque={_quoted(asked.opaque)}")
        return "Digest " + ", ".join(parts), digest

    def _first(self) -> str:
        """The hash of A1 (RFC 7616, section 3.4.2)."""
        first = self._hash(f"{self._user.login}:{self.challenge.realm}:{self._user.password}")
        if self._is_session():
            first = self._hash(f"{first}:{self.challenge.nonce}:{self._client_nonce}")
        return first

    def _is_session(self) -> bool:
        return self.challenge.algorithm.lower().endswith("-sess")

    def _who(self) -> list[str]:
        """The user name: hashed if asked for, and in the notation of RFC 8187 beyond ASCII."""
        login = self._user.login
        if self.challenge.userhash:
            return [f'username="{self._hash(f"{login}:{self.challenge.realm}")}"', "userhash=true"]
        if login.isascii() and login.isprintable():
            return [f"username={_quoted(login)}"]
        return [f"username*=UTF-8''{quote(login, safe='')}"]

    def _hash(self, text: str) -> str:
        name = _ALGORITHMS[self.challenge.algorithm.lower().removesuffix("-sess") or "md5"]
        return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _quoted(text: str) -> str:
    """A quoted string (RFC 9110, section 5.6.4)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
