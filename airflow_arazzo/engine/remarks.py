"""What a response that fails a step says of itself, so that nobody has to look for it elsewhere.

Two things: that it is no JSON where a criterion looks inside it, and what the service gives as its reason for
a 4xx. Both go into messages that are read by more people than the data, so of the service's words only those
are taken that repeat nothing of what the request carried and look like nobody's data; everything or nothing,
never a cut text, because whoever masks secrets in the message has to find them whole.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from airflow_arazzo.engine.messages import Request, Response
from airflow_arazzo.engine.redact import MASK
from airflow_arazzo.engine.scope import Exchange
from airflow_arazzo.expression.criteria import Verdict
from airflow_arazzo.expression.jsonvalue import to_text
from airflow_arazzo.expression.model import Criterion, Expression
from airflow_arazzo.plan.media_type import essence, is_json
from airflow_arazzo.plan.model import Step
from airflow_arazzo.plan.reads import expressions

LONGEST = 300
"""Characters of a service's reason; longer ones are not shown."""

LONGEST_TITLE = 100
"""Characters of a web page's title."""

_TITLE = re.compile(rb"<title\b[^>]*>([^<]*)</title", re.IGNORECASE)
_HEAD = 16 * 1024
_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)
_NAME = re.compile(r"[A-Za-z][\w.\[\]/-]{0,59}", re.ASCII)
_WORD = re.compile(r"\w+")
_SOMEBODYS = re.compile(r"\S@\S|(?:\d[ ().+-]{0,2}){7}|(?=\w*[A-Za-z])(?=\w*\d)\w{16}|\w{33}")
_INSIDE = 4
_ALIKE = frozenset({"true", "false", "null", "none"})


def remarks(step: Step, exchange: Exchange, verdicts: list[Verdict]) -> list[str]:
    """What to add to the failure of a step; empty when there is nothing to say.

    :param verdicts: on the step's success criteria, in their order.
    """
    response = exchange.response
    if response is None or not response.body:
        return []
    said = reason(exchange) if 400 <= response.status < 500 and not step.secret_outputs else ""
    return [text for text in (_other_kind(step, response, verdicts), said) if text]


def _other_kind(step: Step, response: Response, verdicts: list[Verdict]) -> str:
    """That a response is no JSON, where a criterion that does not hold needs it to be."""
    media_type = essence(response.header("Content-Type") or "")
    if is_json(media_type) or not _TYPE.fullmatch(media_type):
        return ""
    judged = zip(step.criteria, verdicts, strict=False)
    if not any(_looks_inside(criterion) for criterion, verdict in judged if not verdict.passed):
        return ""
    title = _title(response) if media_type == "text/html" else ""
    return f"the response is {media_type}{f' with the title {title!r}' if title else ''}, not JSON"


def _looks_inside(criterion: Criterion) -> bool:
    """Whether a criterion asks for a member of the response's body, as only JSON and its kin have."""
    if criterion.type in ("regex", "xpath"):
        return False
    whole = criterion.type == "jsonpath"
    return any(_is_body(each) and (whole or bool(each.path)) for each in expressions(criterion))


def _is_body(expression: Expression) -> bool:
    return expression.root == "response" and expression.part in ("body", "payload")


def _title(response: Response) -> str:
    """The title of a web page, where it is short and has no place for anything else."""
    found = _TITLE.search(response.body[:_HEAD])
    text = " ".join(html.unescape(found[1].decode(errors="replace")).split()) if found else ""
    return text if len(text) <= LONGEST_TITLE and text.isprintable() and not _SOMEBODYS.search(text) else ""


def reason(exchange: Exchange) -> str:
    """Why a service refuses, in its own words as far as they are fit to be shown; else its code for it.

    Read are ``error.message`` and ``message``, ``detail`` and ``title`` (RFC 9457), ``error_description``
    (RFC 6749) and the first of ``errors``; beside them ``code`` or ``type``, and the parameter in question.
    """
    request, response = exchange.request, exchange.response
    if request is None or response is None or not is_json(response.header("Content-Type") or ""):
        return ""
    body = exchange.body
    if not isinstance(body, dict):
        return ""
    carried = frozenset(_carried(request))
    parts = [part for part in _parts(body) if isinstance(part, dict)]
    texts = [part.get(name) for part in parts for name in ("message", "detail", "error_description", "title")]
    texts += [each for each in (body.get("error"), _first(body.get("errors"))) if isinstance(each, str)]
    text = next((each for each in texts if isinstance(each, str) and _is_fit(each, carried)), "")
    codes = [part.get(name) for part in parts for name in ("code", "type", "error")]
    code = next((each for each in codes if _is_name(each, carried) and each != text), "")
    asked = [part.get(name) for part in parts for name in ("param", "parameter", "field")]
    param = next((each for each in asked if _is_name(each, carried)), "")
    named = [f"code {code}" if code else "", f"parameter {param}" if param else ""]
    about = ", ".join(each for each in named if each)
    if not text:
        return f"the service says: {about}" if about else ""
    return f'the service says: "{text}"{f" ({about})" if about else ""}'


def _parts(body: dict[str, Any]) -> list[Any]:
    """Objects of an error that may hold its text, the innermost first."""
    return [body.get("error"), _first(body.get("errors")), body]


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _is_name(value: Any, carried: frozenset[str]) -> bool:
    return isinstance(value, str) and bool(_NAME.fullmatch(value)) and _is_fit(value, carried)


def _is_fit(text: str, carried: frozenset[str]) -> bool:
    """Whether a text is short, one line, and nobody's data as far as can be told."""
    if not 0 < len(text) <= LONGEST or not text.isprintable() or _SOMEBODYS.search(text):
        return False
    if MASK in text:  # recorded; in its place was what looks like a key, as a rule
        return False
    low = text.casefold()
    words = set(_WORD.findall(low))
    return not any(each in words or (len(each) >= _INSIDE and each in low) for each in carried)


def _carried(request: Request) -> Iterator[str]:
    """Values that a request carried in query, headers, cookies and body, as texts in lower case.

    Those of the path are in the log as it is.
    """
    query = request.target.partition("?")[2]
    values = [value for _, value in parse_qsl(query)]
    values += [value for (place, _), value in request.parameters.items() if place != "path"]
    for text in _leaves([*values, request.payload]):
        low = text.strip().casefold()
        if low and low not in _ALIKE:
            yield low


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for member in value.values():
            yield from _leaves(member)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, bytes):
        yield value.decode(errors="replace")
    elif isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        yield to_text(value)
