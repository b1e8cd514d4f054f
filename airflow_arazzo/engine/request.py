"""From an operation call and the values of a run to a request, before credentials and host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from airflow_arazzo.engine.body import encode_body
from airflow_arazzo.engine.media_type import json_value
from airflow_arazzo.engine.messages import Request, RequestError
from airflow_arazzo.engine.replacements import apply_replacements
from airflow_arazzo.engine.serialize import (
    check_header_value,
    scalar_text,
    write_cookies,
    write_header,
    write_path,
    write_query,
)
from airflow_arazzo.expression.evaluate import AbsentInText, evaluate
from airflow_arazzo.expression.model import ABSENT, Scope, Template, Text
from airflow_arazzo.plan.media_type import essence
from airflow_arazzo.plan.model import Body, OperationCall, Parameter

__all__ = ["RequestError", "build_request"]

TRANSPORT_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to the connection to the server; a document's parameters of these names are dropped."""

_GIVE_IT = "its expression has no value, or the document does not give it"

AbsentText = Literal["fail", "empty"]


def build_request(
    call: OperationCall,
    scope: Scope,
    *,
    timeout: float | None = None,
    absent_text: AbsentText = "fail",
) -> Request:
    """Evaluate the parameters and the body of a call, and write them.

    A parameter whose value is absent is left out, also when it is text around an absent value and not in
    the path. A path parameter without a value, and any other that the operation requires, is an error,
    except for one that is a credential: the connection's is sent in its place.

    :param timeout: seconds for the exchange, or ``None`` for the connection's.
    :param absent_text: what an absent value inside text does elsewhere: ``fail`` or ``empty``.
    :raises RequestError: when the request cannot be built; nothing is sent then.
    """
    values = [
        (parameter, value)
        for parameter in call.parameters
        if not _is_dropped(parameter)
        and (value := _parameter_value(parameter, scope, absent_text)) is not ABSENT
    ]
    target, headers = _written(call, values)
    payload, data = ABSENT, None
    if call.body is not None:
        payload, content_type, data = _body(call.body, scope, absent_text)
        check_header_value("Content-Type", content_type)
        headers.append(("Content-Type", content_type))
    return Request(
        source=call.source,
        method=call.method.upper(),
        target=target,
        servers=call.servers,
        headers=tuple(headers),
        body=data,
        security=call.security,
        credentials=_credentials(call, values),
        timeout=timeout,
        parameters=_sent(values, headers),
        payload=payload,
    )


def _written(call: OperationCall, values: list[tuple[Parameter, Any]]) -> tuple[str, list[tuple[str, str]]]:
    """The target and the headers that parameters make."""
    places: dict[str, list[tuple[Parameter, Any]]] = {}
    for pair in values:
        place = pair[0].place
        places.setdefault("query" if place == "querystring" else place, []).append(pair)
    target = write_path(call.path, places.get("path", ()))
    if "query" in places and (query := write_query(places["query"])):
        target += ("&" if "?" in target else "?") + query
    headers = [(named.name, write_header(value, named)) for named, value in places.get("header", ())]
    if "cookie" in places and (cookies := write_cookies(places["cookie"])):
        headers.append(("Cookie", cookies))
    if not any(name.lower() == "accept" for name, _ in headers):
        headers.insert(0, ("Accept", call.accept))
    return target, headers


def _credentials(call: OperationCall, values: list[tuple[Parameter, Any]]) -> tuple[str, ...]:
    """Schemes that the connection has to serve: those of the step, and of parameters left to it."""
    asked = [part for part in call.parameters if part.credential]
    if not asked:
        return call.credentials
    given = {id(parameter) for parameter, _ in values}
    left = [part.credential for part in asked if id(part) not in given]
    return tuple(dict.fromkeys((*call.credentials, *left)))


def _is_dropped(parameter: Parameter) -> bool:
    """Whether a parameter is ours to send: a media type is the body's, framing is the transport's."""
    if parameter.place != "header":
        return False
    name = parameter.name.lower()
    return name == "content-type" or name in TRANSPORT_HEADERS


def _parameter_value(parameter: Parameter, scope: Scope, absent_text: AbsentText) -> Any:
    """The value of a parameter, ``ABSENT`` when it is to be left out."""
    what = f"{parameter.place} parameter '{parameter.name}'"
    named = getattr(parameter.value, "text", "")
    reason = f"{named or 'its expression'} has no value"
    try:
        value = _evaluated(what, parameter.value, scope, absent_text)
    except _AbsentText as absent:
        if parameter.place == "path" or not isinstance(parameter.value, Text):
            raise
        value, reason = ABSENT, absent.message
    if value is not ABSENT:
        return value
    if parameter.place == "path":
        raise RequestError("missing-path-parameter", f"{what} cannot be left out: {reason}")
    if parameter.required and not parameter.credential:
        raise RequestError(
            "missing-required-parameter", f"{what} is required by the operation: {reason}", _GIVE_IT
        )
    return ABSENT


class _AbsentText(RequestError):
    """An absent value inside text."""


def _evaluated(what: str, template: Template, scope: Scope, absent_text: AbsentText) -> Any:
    try:
        return evaluate(template, scope, absent_text=absent_text)
    except AbsentInText as absent:
        message = f"{what}: {absent}"
        raise _AbsentText("absent-in-text", message, "or opt out with absent_text='empty'") from None
    except ValueError as error:
        raise RequestError("unwritable-value", f"{what}: {error}") from None


def _body(body: Body, scope: Scope, absent_text: AbsentText) -> tuple[Any, str, bytes]:
    """The payload, its content type and its bytes."""
    value = _evaluated("the body", body.payload, scope, absent_text)
    if value is ABSENT and body.replacements:
        raise RequestError("absent-body", "the body is absent, so nothing can be replaced in it")
    value = json_value(body.content_type, value)
    if body.replacements:
        replacements = [
            (
                replacement,
                _evaluated(f"replacement of '{replacement.target}'", replacement.value, scope, absent_text),
            )
            for replacement in body.replacements
        ]
        value = apply_replacements(value, replacements)
    if isinstance(value, dict):
        missing = [name for name in body.required_properties if name not in value]
        if missing:
            raise RequestError(
                "missing-body-properties",
                "the body lacks what the operation requires: " + ", ".join(f"'{name}'" for name in missing),
                _GIVE_IT,
            )
    content_type, data = encode_body(body, value, _part_headers(body, scope, absent_text))
    return value, content_type, data


def _part_headers(body: Body, scope: Scope, absent_text: AbsentText) -> dict[str, dict[str, str]]:
    """Headers of multipart parts; those without a value are left out."""
    if not essence(body.content_type).startswith("multipart/"):
        return {}
    return {
        name: {
            header: scalar_text(f"header '{header}' of part '{name}'", value)
            for header, template in encoding.headers.items()
            if (value := _evaluated(f"header '{header}'", template, scope, absent_text)) is not ABSENT
        }
        for name, encoding in body.encoding.items()
    }


def _sent(
    values: Iterable[tuple[Parameter, Any]], headers: list[tuple[str, str]]
) -> dict[tuple[str, str], Any]:
    """The values sent, by place and name; of equal names the first counts."""
    sent: dict[tuple[str, str], Any] = {}
    for parameter, value in values:
        name = parameter.name.lower() if parameter.place == "header" else parameter.name
        sent.setdefault((parameter.place, name), value)
    for header, text in headers:
        sent.setdefault(("header", header.lower()), text)
    return sent
