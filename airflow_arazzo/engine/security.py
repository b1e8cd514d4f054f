"""Authenticating a request: which of the security alternatives of an operation, and with which values.

OpenAPI's Security Requirement Objects are alternatives of combinations. Which alternative is taken depends
on what the connection holds; what it holds is placed where the schemes say. Nothing here does I/O: for a
token that must first be fetched it says how, and for HTTP digest, which answers a challenge, it says who.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote_plus

from airflow_arazzo.engine.connection import BadConnection, Connection
from airflow_arazzo.engine.credentials import Credentials, TokenUse
from airflow_arazzo.engine.digest import DigestUser
from airflow_arazzo.engine.messages import NotSent, Request
from airflow_arazzo.engine.tokens import NoGrant, grant_for, wants_grant
from airflow_arazzo.plan.model import SchemeUse, SecurityScheme, Source

_UNSUPPORTED_HTTP = frozenset(
    {
        "dpop",
        "gnap",
        "hoba",
        "mutual",
        "negotiate",
        "oauth",
        "scram-sha-1",
        "scram-sha-256",
        "vapid",
    }
)
"""HTTP authentication schemes that need more than a fixed header (IANA registry)."""


_AUTHORIZATION = ("header", "authorization")


class MissingCredential(NotSent):
    """A credential that is needed and has no value; nothing was sent.

    :param source: name of the source description.
    :param scheme: name of the security scheme, or of several separated by ``" or "``.
    """

    def __init__(self, message: str, *, source: str = "", scheme: str = "") -> None:
        self.source = source
        self.scheme = scheme
        super().__init__(message)


def authenticate(
    request: Request, source: Source, connection: Connection, tokens: Mapping[str, str] | None = None
) -> Credentials:
    """Choose an alternative and produce its headers, query parameters and cookies.

    The schemes in ``request.credentials`` always apply. Of ``request.security`` the alternative that the
    connection serves best: one whose values stand in its extra ``schemes`` first, then a token that it can
    fetch, then basic or digest for login and password, then a bearer token or API key for a password, then
    a client certificate, then anonymous.
    A document that authenticates itself is taken at its word: its own scheme then need not be accompanied
    by one of ``security`` that the connection has no further value for, and a scheme whose header, query
    parameter or cookie the request carries already, such as a token that a step made, is served by that.

    :param tokens: access tokens by scheme name; for another scheme whose token has to be fetched,
        :attr:`Credentials.token` says how.
    :raises MissingCredential: when a needed scheme has no value, or is of a kind not supported yet.
    :raises BadConnection: when a value cannot be sent, for example with a line break in it.
    """
    keyring = _Keyring(source, connection, tokens or {}, _carried(request, source))
    own = tuple(SchemeUse(name) for name in dict.fromkeys(request.credentials))
    failures = [failure for failure in (keyring.why_not(use, own) for use in own) if failure]
    if failures:
        raise MissingCredential(failures[0], source=source.name, scheme=" or ".join(use.name for use in own))
    chosen = _alternative(request.security, own, keyring)
    if chosen is None and not own:
        raise keyring.missing(request.security)
    uses = {use.name: use for use in (*own, *(chosen or ()))}
    return keyring.credentials(tuple(uses.values()))


def _alternative(
    security: Sequence[tuple[SchemeUse, ...]], own: tuple[SchemeUse, ...], keyring: _Keyring
) -> tuple[SchemeUse, ...] | None:
    """The best alternative that can be served, or ``None``; of equally good ones the first."""
    if not security:
        return ()
    servable = [
        (keyring.rank(combination, own), combination)
        for combination in security
        if not any(keyring.why_not(use, _united(own, combination)) for use in combination)
    ]
    return min(servable, key=lambda entry: entry[0])[1] if servable else None


def _united(own: tuple[SchemeUse, ...], combination: tuple[SchemeUse, ...]) -> tuple[SchemeUse, ...]:
    return tuple({use.name: use for use in (*own, *combination)}.values())


def _carried(request: Request, source: Source) -> frozenset[str]:
    """Schemes whose place is taken by what the request sends anyway."""
    query = request.target.partition("?")[2]
    taken = {("header", name.casefold()) for name, _ in request.headers}
    taken |= {("query", unquote_plus(part.partition("=")[0])) for part in query.split("&")}
    cookies = [value for name, value in request.headers if name.casefold() == "cookie"]
    taken |= {("cookie", part.partition("=")[0]) for value in cookies for part in value.split("; ")}
    names = {name for name, scheme in source.schemes.items() if _place(scheme) in taken}
    return frozenset(names.difference(request.credentials))


def _place(scheme: SecurityScheme) -> tuple[str, str]:
    """Where a scheme's credential goes; nowhere for a client certificate."""
    if scheme.type == "mutualTLS":
        return "", ""
    if scheme.type != "apiKey":
        return _AUTHORIZATION
    return scheme.place, scheme.parameter.casefold() if scheme.place == "header" else scheme.parameter


class _Keyring:
    """The values that a connection holds for the schemes of one source.

    :param carried: schemes that the request serves itself.
    """

    def __init__(
        self, source: Source, connection: Connection, tokens: Mapping[str, str], carried: frozenset[str]
    ) -> None:
        self.source = source
        self.connection = connection
        self.tokens = tokens
        self.carried = carried

    def why_not(self, use: SchemeUse, together: tuple[SchemeUse, ...]) -> str:
        """Why a scheme cannot be served, or empty.

        :param together: all schemes of the request; login and password serve only one of them.
        """
        scheme = self.source.schemes.get(use.name)
        if scheme is None:
            return f"source '{self.source.name}' has no security scheme '{use.name}'"
        if use.name in self.carried:
            return ""
        if scheme.type == "mutualTLS":
            return "" if self.connection.certificate else self._absent(use, "extra 'cert'")
        if unsupported := _unsupported(scheme):
            return self._what(use) + f" is not supported yet: {unsupported}"
        if self._fetches(use.name, scheme) and (lack := self._no_grant(use, scheme)):
            return lack
        if use.name in self.connection.schemes or use.name in self.tokens:
            return self._own_values_lack(use, scheme)
        rivals = [other.name for other in together if self._wants_password(other)]
        if len(rivals) > 1:
            names = " and ".join(f"'{name}'" for name in sorted(rivals))
            return self._absent(use, "extra 'schemes'") + f": schemes {names} need a value each"
        if self._fetches(use.name, scheme):
            return ""
        if _has_login(scheme):
            if self.connection.login and (_is_basic(scheme) or self.connection.password):
                return ""
            return self._absent(use, "login and password") + (
                "; where the key is the user name, put it into login"
                if self.connection.password and _is_basic(scheme)
                else ""
            )
        return "" if self.connection.password else self._absent(use, "password")

    def rank(self, combination: tuple[SchemeUse, ...], own: tuple[SchemeUse, ...]) -> int:
        """How well a servable combination fits the connection; lower is better."""
        if not combination:
            return 6
        others = [use for use in combination if use not in own and use.name not in self.carried]
        schemes = [self.source.schemes[use.name] for use in others]
        if (
            any(use.name in self.connection.schemes or use.name in self.tokens for use in others)
            or not others
        ):
            return 0
        if any(self._fetches(use.name, self.source.schemes[use.name]) for use in others):
            return 1
        if all(scheme.type == "mutualTLS" for scheme in schemes):
            return 4
        with_login = bool(self.connection.login)
        return 2 if with_login == any(_has_login(scheme) for scheme in schemes) else 3

    def missing(self, security: Sequence[tuple[SchemeUse, ...]]) -> MissingCredential:
        """The error for an operation of which no alternative can be served."""
        reasons = [
            reason
            for combination in security
            for reason in (self.why_not(use, combination) for use in combination)
            if reason
        ]
        names = " or ".join(
            "+".join(use.name for use in combination) for combination in security if combination
        )
        reasons = list(dict.fromkeys(reasons))
        return MissingCredential("; or: ".join(reasons), source=self.source.name, scheme=names)

    def credentials(self, uses: tuple[SchemeUse, ...]) -> Credentials:
        """Place the values of all schemes; of two in one place the first stands."""
        headers: dict[str, tuple[str, str]] = {}
        query: dict[str, str] = {}
        cookies: dict[str, str] = {}
        secrets: list[str] = []
        certificate = False
        token: TokenUse | None = None
        digest: DigestUser | None = None
        for use in uses:
            scheme = self.source.schemes[use.name]
            if scheme.type == "mutualTLS":
                certificate = True
            if scheme.type == "mutualTLS" or use.name in self.carried:
                continue
            if _place(scheme) == _AUTHORIZATION and ("authorization" in headers or token or digest):
                continue
            if self._fetches(use.name, scheme):
                token = TokenUse(use.name, grant_for(use, scheme, self.connection), _prefix(scheme))
                secrets += token.grant.secret_values()
                continue
            if _is_digest(scheme):
                digest = DigestUser(*self._login(use.name))
                secrets.append(digest.password)
                continue
            value, hidden = self._value(use.name, scheme)
            secrets += hidden
            place, name = _place(scheme)
            if place == "query":
                query.setdefault(name, value)
            elif place == "cookie":
                self._check(use.name, value, forbidden='; ,"\\')
                cookies.setdefault(name, value)
            else:
                self._check(use.name, value)
                written = scheme.parameter if scheme.type == "apiKey" else "Authorization"
                headers.setdefault(name, (written, value))
        return Credentials(
            headers=tuple(headers.values()),
            query=tuple(query.items()),
            cookies=tuple(cookies.items()),
            secrets=tuple(dict.fromkeys(secret for secret in secrets if secret)),
            client_certificate=certificate,
            token=token,
            digest=digest,
        )

    def _value(self, name: str, scheme: SecurityScheme) -> tuple[str, list[str]]:
        """The text to send for a scheme, and what of it is secret."""
        fields = self.connection.schemes.get(name)
        if _is_basic(scheme):
            login, password = self._login(name)
            if ":" in login:
                self._refuse(name, "its login contains a colon, which basic authentication cannot carry")
            token = base64.b64encode(f"{login}:{password}".encode()).decode()
            return f"Basic {token}", [token, password or login]
        if name in self.tokens:
            value = self.tokens[name]
        elif fields is not None:
            value = fields.get("value") or fields.get("password", "")
        else:
            value = self.connection.password
        prefix = _prefix(scheme)
        if prefix and value.casefold().startswith(prefix.casefold()):
            value = value[len(prefix) :].lstrip()
        return prefix + value, [value, quote(value, safe="")]

    def _login(self, name: str) -> tuple[str, str]:
        """Login and password for a scheme: its own, else the connection's."""
        fields = self.connection.schemes.get(name)
        if fields is not None:
            return fields.get("login", ""), fields.get("password", "")
        return self.connection.login, self.connection.password

    def _fetches(self, name: str, scheme: SecurityScheme) -> bool:
        """Whether the token of a scheme has to be fetched."""
        is_oauth = scheme.type in ("oauth2", "openIdConnect")
        return is_oauth and name not in self.tokens and wants_grant(name, self.connection)

    def _no_grant(self, use: SchemeUse, scheme: SecurityScheme) -> str:
        """Why a token cannot be fetched, or empty."""
        try:
            grant_for(use, scheme, self.connection)
        except NoGrant as error:
            return self._absent(use, error.fill) + (f": {error.why}" if error.why else "")
        return ""

    def _own_values_lack(self, use: SchemeUse, scheme: SecurityScheme) -> str:
        """What is missing in the values given for this very scheme, or empty."""
        if use.name in self.tokens or self._fetches(use.name, scheme):
            return ""
        fields = self.connection.schemes.get(use.name, {})
        if _has_login(scheme):
            held = [bool(fields.get("login")), bool(fields.get("password"))]
            given = all(held) if _is_digest(scheme) else any(held)
            return "" if given else self._absent(use, f"extra 'schemes.{use.name}.login' and '.password'")
        given = bool(fields.get("value") or fields.get("password"))
        return "" if given else self._absent(use, f"extra 'schemes.{use.name}.value'")

    def _wants_password(self, use: SchemeUse) -> bool:
        scheme = self.source.schemes.get(use.name)
        served = use.name in self.connection.schemes or use.name in self.tokens or use.name in self.carried
        if scheme is None or served or scheme.type == "mutualTLS":
            return False
        if self._fetches(use.name, scheme):
            return not self._no_grant(use, scheme) and (
                grant_for(use, scheme, self.connection).kind == "password"
            )
        return True

    def _what(self, use: SchemeUse) -> str:
        return f"security scheme '{use.name}' of source '{self.source.name}'"

    def _absent(self, use: SchemeUse, field: str) -> str:
        connection = f"connection '{self.connection.id}'" if self.connection.id else "the source's connection"
        return f"no credential for {self._what(use)}: fill {field} of {connection}"

    def _check(self, scheme: str, value: str, forbidden: str = "") -> None:
        """Refuse a value that cannot stand in a header, without repeating it."""
        bad = not value.isascii() or not value.isprintable() or value != value.strip()
        if bad or any(character in value for character in forbidden):
            self._refuse(
                scheme,
                "its value contains spaces around it, line breaks or characters that headers cannot carry",
            )

    def _refuse(self, scheme: str, problem: str) -> None:
        raise BadConnection(self.connection.id, [f"for security scheme '{scheme}': {problem}"])


def _is_basic(scheme: SecurityScheme) -> bool:
    return scheme.type == "http" and scheme.scheme.lower() == "basic"


def _is_digest(scheme: SecurityScheme) -> bool:
    return scheme.type == "http" and scheme.scheme.lower() == "digest"


def _has_login(scheme: SecurityScheme) -> bool:
    return _is_basic(scheme) or _is_digest(scheme)


def _prefix(scheme: SecurityScheme) -> str:
    """What stands before the credential in its header."""
    if scheme.prefix or scheme.type == "apiKey":
        return scheme.prefix
    if scheme.type == "http" and scheme.scheme.lower() not in ("", "bearer"):
        return f"{scheme.scheme} "
    return "Bearer "


def _unsupported(scheme: SecurityScheme) -> str:
    """Why a scheme cannot be served at all, or empty."""
    if scheme.type == "http" and scheme.scheme.lower() in _UNSUPPORTED_HTTP:
        return f"HTTP authentication '{scheme.scheme}'; known are basic, digest, bearer and API keys"
    return ""
