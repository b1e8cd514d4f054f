"""Credentials by flow: which parameters carry them, which inputs feed only those, which outputs become some.

A credential never comes from a run's configuration. A parameter that carries one is taken out of the
step and replaced by the security scheme that the engine fills from the connection; an input that feeds
nothing else disappears from the form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.openapi import OpenApi
from airflow_arazzo.description.references import BrokenReference
from airflow_arazzo.expression.model import Constant, Expression, Template, Text
from airflow_arazzo.plan.model import Parameter, SchemeUse, SecurityScheme
from airflow_arazzo.plan.requests import StepParameter

HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "apikey",
        "x-apikey",
        "x-auth-token",
        "x-access-token",
        "private-token",
        "access_token",
        "access-token",
    }
)
"""Names (lower case) of headers that carry credentials where no security scheme says so."""

QUERY = frozenset(
    {"api_key", "apikey", "api-key", "access_token", "access-token", "auth_token", "private_token"}
)
"""Names (lower case) of query parameters that carry credentials where no security scheme says so."""

KEY_INPUTS = frozenset({"apikey", "api_key", "api-key", "developerkey", "accesskey"})
"""Input names (lower case) that make a query parameter called ``key`` a credential."""


@dataclass
class SourceSchemes:
    """Security schemes of one source that a plan uses, described and inferred ones."""

    api: OpenApi
    report: Report
    used: dict[str, SecurityScheme] = field(default_factory=dict)

    def described(self, name: str) -> SecurityScheme | None:
        """The scheme of that name in the description; None when there is none or it cannot be read."""
        if name in self.used:
            return self.used[name]
        try:
            at = self.api.security_scheme(name)
        except BrokenReference:
            return None
        scheme = read_scheme(at) if at else None
        if scheme is not None:
            self.used[name] = scheme
        return scheme

    def requirements(self, at: Location | None) -> tuple[tuple[SchemeUse, ...], ...]:
        """Security requirements of an operation: alternatives, each a combination of schemes."""
        alternatives: list[tuple[SchemeUse, ...]] = []
        for item in at.items() if at else ():
            if not isinstance(item.value, dict):
                self.report.warning("security-requirement", "a security requirement is an object", item)
                continue
            uses: list[SchemeUse] = []
            for name, scopes in item.members():
                if self.described(name) is None:
                    known = name in self.api.scheme_names
                    what = "cannot read the" if known else "there is no"
                    message = f"{what} security scheme {name!r} in {self.api.document.name}"
                    self.report.warning("unknown-security-scheme", message, scopes, key=True)
                    break
                listed = [str(scope) for scope in scopes.value] if isinstance(scopes.value, list) else []
                uses.append(SchemeUse(name, tuple(listed)))
            else:
                alternatives.append(tuple(uses))
        return tuple(alternatives)

    def for_parameter(self, parameter: Parameter) -> str | None:
        """The name of the scheme whose credential a parameter carries, or None for an ordinary one."""
        folded = parameter.name.casefold()
        for name in self.api.scheme_names:
            scheme = self._peek(name)
            same_name = scheme and (
                scheme.parameter == parameter.name
                or (parameter.place == "header" and scheme.parameter.casefold() == folded)
            )
            if scheme and scheme.type == "apiKey" and scheme.place == parameter.place and same_name:
                return name if self.described(name) else None
        if parameter.place == "header" and folded == "authorization":
            return self._authorization(parameter)
        if parameter.place == "header" and folded in HEADERS:
            return self._inferred(parameter)
        if parameter.place == "query" and (folded in QUERY or (folded == "key" and _fed_by_key(parameter))):
            return self._inferred(parameter)
        return None

    def _peek(self, name: str) -> SecurityScheme | None:
        """A described scheme without marking it as used."""
        if name in self.used:
            return self.used[name]
        try:
            at = self.api.security_scheme(name)
        except BrokenReference:
            return None
        return read_scheme(at) if at else None

    def _authorization(self, parameter: Parameter) -> str:
        """The scheme of an Authorization header: the one that its text names, else what is described."""
        word = _first_word(parameter.value)
        wanted = {"basic": ("basic",), "bearer": ("bearer", "oauth2", "openIdConnect")}.get(
            word.casefold(), ("bearer", "oauth2", "openIdConnect", "basic") if not word else ()
        )
        for kind in wanted:
            for name in self.api.scheme_names:
                scheme = self._peek(name)
                if scheme and kind in (scheme.scheme, scheme.type) and self.described(name):
                    return name
        if word.casefold() in ("basic", "bearer") or not word:
            return self._named(parameter, SecurityScheme("http", scheme=word.casefold() or "bearer"))
        prefixed = SecurityScheme("apiKey", place="header", parameter=parameter.name, prefix=word + " ")
        return self._named(parameter, prefixed)

    def _inferred(self, parameter: Parameter) -> str:
        inferred = SecurityScheme(
            "apiKey",
            place="header" if parameter.place == "header" else "query",
            parameter=parameter.name,
            prefix=_prefix(parameter.value),
        )
        return self._named(parameter, inferred)

    def _named(self, parameter: Parameter, inferred: SecurityScheme) -> str:
        """Keep an inferred scheme under the parameter's name, or one like it that is not taken."""
        taken = set(self.api.scheme_names)
        names = [parameter.name, *(f"{parameter.name} ({number})" for number in range(2, 100))]
        for name in names:
            if name not in taken and self.used.get(name, inferred) == inferred:
                self.used[name] = inferred
                return name
        return names[-1]


def read_scheme(at: Location) -> SecurityScheme | None:
    """A Security Scheme Object; None for types that OpenAPI does not know."""
    value = at.value if isinstance(at.value, dict) else {}
    kind = value.get("type")
    if kind == "apiKey" and value.get("in") in ("header", "query", "cookie"):
        return SecurityScheme("apiKey", place=value["in"], parameter=str(value.get("name", "")))
    if kind == "http":
        return SecurityScheme("http", scheme=str(value.get("scheme", "")).casefold())
    if kind == "openIdConnect":
        return SecurityScheme("openIdConnect", open_id_connect_url=str(value.get("openIdConnectUrl", "")))
    if kind == "mutualTLS":
        return SecurityScheme("mutualTLS")
    if kind == "oauth2":
        flows: Any = value.get("flows")
        for flow in ("clientCredentials", "password", "authorizationCode", "implicit"):
            found = flows.get(flow) if isinstance(flows, dict) else None
            if isinstance(found, dict):
                return SecurityScheme(
                    "oauth2",
                    flow=flow,
                    token_url=str(found.get("tokenUrl") or ""),
                    refresh_url=str(found.get("refreshUrl") or ""),
                )
        return SecurityScheme("oauth2")
    return None


@dataclass(frozen=True)
class Sites:
    """A step's parameters parted into ordinary ones and credentials.

    :param parameters: what the step sends, credentials marked.
    :param schemes: schemes for which the document has a literal, replaced by the connection's credential.
    :param inputs: inputs that feed credentials, with the scheme that each feeds.
    :param produced: schemes whose credential an earlier step produced; nothing is asked of the connection.
    :param tokens: expressions of outputs, of steps or workflows, that are sent as credentials.
    """

    parameters: tuple[Parameter, ...]
    schemes: tuple[str, ...]
    inputs: dict[str, str]
    produced: frozenset[str]
    tokens: tuple[Expression, ...]


def split(parameters: list[StepParameter], schemes: SourceSchemes, report: Report) -> Sites:
    """Find the credentials among a step's parameters; hard-coded ones are warned of."""
    ordinary: list[Parameter] = []
    used: list[str] = []
    inputs: dict[str, str] = {}
    produced: set[str] = set()
    tokens: list[Expression] = []
    for each in parameters:
        scheme = schemes.for_parameter(each.parameter)
        origins = _expressions(each.parameter.value)
        if scheme is None:
            ordinary.append(each.parameter)
        elif any(expression.root not in ("inputs",) for expression in origins):
            ordinary.append(each.parameter)
            produced.add(scheme)
            tokens.extend(expression for expression in origins if expression.root in ("steps", "workflows"))
        elif origins:
            ordinary.append(msgspec.structs.replace(each.parameter, credential=scheme))
            inputs.update({expression.name: scheme for expression in origins})
        else:
            used.append(scheme)
            message = f"{each.parameter.name} is a credential written into the document; it is not sent"
            report.warning("literal-credential", message, each.at, "the connection's is sent instead")
    return Sites(tuple(ordinary), tuple(dict.fromkeys(used)), inputs, frozenset(produced), tuple(tokens))


def without(
    requirements: tuple[tuple[SchemeUse, ...], ...], produced: frozenset[str], schemes: SourceSchemes
) -> tuple[tuple[SchemeUse, ...], ...]:
    """Security requirements less what the workflow itself provides.

    A token in the Authorization header serves every scheme that uses that header.
    """
    if not produced:
        return requirements
    in_header = any(_uses_authorization(schemes.used.get(name)) for name in produced)
    kept: list[tuple[SchemeUse, ...]] = []
    for alternative in requirements:
        kept.append(
            tuple(
                use
                for use in alternative
                if use.name not in produced
                and not (in_header and _uses_authorization(schemes.used.get(use.name)))
            )
        )
    return tuple(kept)


def _uses_authorization(scheme: SecurityScheme | None) -> bool:
    return scheme is not None and (
        scheme.type in ("http", "oauth2", "openIdConnect") or scheme.parameter.casefold() == "authorization"
    )


def _expressions(value: Template) -> list[Expression]:
    if isinstance(value, Expression):
        return [value]
    return [part for part in value.parts if isinstance(part, Expression)] if isinstance(value, Text) else []


def _first_word(value: Template) -> str:
    """The authentication scheme that a header's text begins with, if any."""
    text = value.parts[0] if isinstance(value, Text) else value.value if isinstance(value, Constant) else ""
    word, blank, _ = text.partition(" ") if isinstance(text, str) else ("", "", "")
    return word if blank else ""


def _prefix(value: Template) -> str:
    first = value.parts[0] if isinstance(value, Text) else ""
    return first if isinstance(first, str) else ""


def _fed_by_key(parameter: Parameter) -> bool:
    return any(e.root == "inputs" and e.name.casefold() in KEY_INPUTS for e in _expressions(parameter.value))
