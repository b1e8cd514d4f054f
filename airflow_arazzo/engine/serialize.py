"""Parameters as text: OpenAPI's styles (3.0.4 and 3.1.1, "Style Values" and "Style Examples"; RFC 6570).

Rules of this module where OpenAPI leaves room:

- Percent-encoded is everything but RFC 3986's unreserved characters, in values and in names. Brackets of
  ``deepObject`` and of literal names such as ``filter[status]`` become ``%5B`` and ``%5D``, as OpenAPI
  3.1.1 recommends; servers decode names before they read them.
- Delimiters that a style writes between values stay as the style's table shows them.
- An explicit null, also inside an array or object, is empty text (``key=``); in a path it is an error.
- Empty arrays and objects have no expansion: the parameter is left out; in a path they are an error.
- ``deepObject`` nests to any depth and writes arrays with indices, ``a[b][0]=x``. The delimited styles with
  ``explode`` have no defined form and are written like exploded ``form``.
- Anything nested deeper than a style can say is an error, never a guess.
- Headers are not percent-encoded and are ASCII: of other characters a server cannot know the charset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from airflow_arazzo.engine.media_type import ascii_json, json_text, json_value
from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.expression.jsonvalue import to_text
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.plan.media_type import is_json
from airflow_arazzo.plan.model import Parameter

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_TRIPLET = re.compile(r"(%[0-9A-Fa-f]{2})")
_PRINTABLE = re.compile(r"[\t -~]*")
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH_LITERAL = "/?:@!$&'()*+,;="
_PATH_RESERVED = ":@!$&'()*+,;="
_QUERY_RESERVED = "/?:@!$'()*,;="
"""What ``allowReserved`` lets through in a query: reserved characters that are legal there and that do not
end the value; ``&`` and ``+`` would, and ``#``, ``[`` and ``]`` are not legal."""

Values = Sequence[tuple[Parameter, Any]]
Encode = Callable[[str], str]


def write_path(template: str, values: Values) -> str:
    """Fill a path template.

    :param template: such as ``/customers/{id}``. A query that stands in it is kept, a fragment is not.
    :param values: the path parameters, each with its value.
    :return: the encoded path, starting with a slash.
    :raises RequestError: for a placeholder without a value, a value that is absent, null or empty, and a
        value that makes ``.`` or ``..`` a whole segment, which servers would resolve.
    """
    given = {parameter.name: (parameter, value) for parameter, value in values}
    pieces = _path_pieces(template)
    written = []
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            written.append(piece)
        elif piece in given:
            written.append(_path_value(*given[piece]))
        else:
            raise RequestError(
                "missing-path-parameter",
                f"path parameter '{piece}' of '{template}' has no value",
                "the step gives no parameter of that name with 'in: path'",
            )
    path = "".join(written)
    if len(pieces) > 1 and _has_dots(path):
        raise RequestError("path-dots", f"a path parameter makes '.' or '..' a segment of '{template}'")
    return path if path.startswith("/") else f"/{path}"


@lru_cache(maxsize=1024)
def _path_pieces(template: str) -> tuple[str, ...]:
    """What stands around placeholders, encoded, and their names, in turns."""
    pieces = _PLACEHOLDER.split(template.partition("#")[0])
    return tuple(piece if at % 2 else _keep(piece, _PATH_LITERAL) for at, piece in enumerate(pieces))


def _has_dots(path: str) -> bool:
    """Whether ``.`` or ``..`` is a whole segment, however it is written."""
    segments = path.partition("?")[0].lower().replace("%2e", ".").split("/")
    return "." in segments or ".." in segments


def write_query(values: Values) -> str:
    """The query string of some parameters, in their order, without a question mark.

    :param values: parameters in ``query`` or ``querystring``; those with an absent value are left out.
    :raises RequestError: for a value that its style cannot express.
    """
    parts: list[str] = []
    for parameter, value in values:
        if value is ABSENT:
            continue
        if parameter.place == "querystring":
            parts.append(_whole_query(parameter, value))
        else:
            parts.extend(_query_parts(parameter, value))
    return "&".join(part for part in parts if part)


def write_header(value: Any, parameter: Parameter) -> str:
    """The field value of a header parameter (style ``simple``, not percent-encoded).

    :raises RequestError: for a name that is no token, for characters other than printable ASCII, for a
        nested value. The message never shows the value.
    """
    if not _TOKEN.fullmatch(parameter.name):
        raise RequestError("bad-header-name", f"'{parameter.name}' is not a name that a header can have")
    if parameter.content_type:
        text = ascii_json(_content_text(parameter, value))
    else:
        text = _simple(parameter, value, lambda item: item)
    check_header_value(parameter.name, text)
    return text.strip()


def write_cookies(values: Values) -> str:
    """The ``Cookie`` header of some cookie parameters; empty when none has a value.

    Style ``form`` percent-encodes, style ``cookie`` (OpenAPI 3.2) does not. With ``explode`` both write an
    array or object as cookies of their own, separated by ``; ``: the ampersands that RFC 6570 would put
    between them are not a delimiter in this header.

    :raises RequestError: for a value that its style cannot express.
    """
    cookies: list[str] = []
    for parameter, value in values:
        if value is not ABSENT:
            cookies.extend(_cookie_parts(parameter, value))
    text = "; ".join(cookies)
    check_header_value("Cookie", text)
    return text


def check_header_value(name: str, text: str) -> None:
    """Refuse what a header cannot carry safely (RFC 9110, section 5.5).

    :raises RequestError: naming the header, never showing the value.
    """
    if _PRINTABLE.fullmatch(text):
        return
    if any(character in text for character in "\r\n\0"):
        raise RequestError("bad-header-value", f"the value of header '{name}' contains a line break")
    raise RequestError(
        "bad-header-value",
        f"the value of header '{name}' contains characters other than printable ASCII",
        "headers have no agreed charset; encode the value as the API documents it",
    )


def scalar_text(what: str, value: Any) -> str:
    """A null, boolean, number or text as text; null is empty.

    :param what: names the place in the error, such as ``query parameter 'limit'``.
    :raises RequestError: for anything else.
    """
    if value is None:
        return ""
    if isinstance(value, list | dict | bytes):
        kind = (
            "an array"
            if isinstance(value, list)
            else "an object"
            if isinstance(value, dict)
            else "binary data"
        )
        raise RequestError(
            "nested-value",
            f"{what} has {kind} where only a plain value can be written",
            "describe the parameter with 'content', or pass the value as text",
        )
    try:
        return to_text(value)
    except (ValueError, TypeError) as error:
        raise RequestError("unwritable-value", f"{what} cannot be written: {error}") from None


def percent_encode(text: str, keep: str = "") -> str:
    """UTF-8 percent-encoding of all but unreserved characters (RFC 3986, section 2.3).

    :raises RequestError: for text with unpaired surrogates, which no server could read.
    """
    if _UNRESERVED.fullmatch(text):  # as most ids are
        return text
    try:
        return quote(text, safe=keep)
    except UnicodeEncodeError:
        raise RequestError("unwritable-value", "text with an unpaired surrogate cannot be encoded") from None


def _path_value(parameter: Parameter, value: Any) -> str:
    what = f"path parameter '{parameter.name}'"
    if value is ABSENT:
        raise RequestError("missing-path-parameter", f"{what} has no value")
    if value is None or value == "" or value == [] or value == {}:
        raise RequestError("empty-path-parameter", f"{what} is {'null' if value is None else 'empty'}")
    if not parameter.content_type and _has_null(value):
        raise RequestError("empty-path-parameter", f"{what} contains a null")
    keep = _PATH_RESERVED if parameter.allow_reserved else ""
    encode: Encode = (lambda text: _keep(text, keep)) if keep else percent_encode
    if parameter.content_type:
        text = encode(_content_text(parameter, value))
    elif parameter.style == "label":
        text = _label(parameter, value, encode)
    elif parameter.style == "matrix":
        text = _matrix(parameter, value, encode)
    else:
        text = _simple(parameter, value, encode)
    if not text:
        raise RequestError("empty-path-parameter", f"{what} is empty")
    return text


def _simple(parameter: Parameter, value: Any, encode: Encode) -> str:
    if isinstance(value, dict):
        return ",".join(_members(parameter, value, encode, "=" if parameter.explode else ","))
    return ",".join(_items(parameter, value, encode))


def _label(parameter: Parameter, value: Any, encode: Encode) -> str:
    delimiter = "." if parameter.explode else ","
    if isinstance(value, dict):
        return "." + delimiter.join(_members(parameter, value, encode, "=" if parameter.explode else ","))
    return "." + delimiter.join(_items(parameter, value, encode))


def _matrix(parameter: Parameter, value: Any, encode: Encode) -> str:
    name = percent_encode(parameter.name)
    if isinstance(value, dict):
        if parameter.explode:
            return "".join(f";{member}" for member in _members(parameter, value, encode, "="))
        return f";{name}=" + ",".join(_members(parameter, value, encode, ","))
    items = _items(parameter, value, encode)
    if parameter.explode:
        return "".join(f";{name}={item}" for item in items)
    return f";{name}=" + ",".join(items)


def _query_parts(parameter: Parameter, value: Any) -> list[str]:
    encode: Encode = (
        (lambda text: _keep(text, _QUERY_RESERVED)) if parameter.allow_reserved else percent_encode
    )
    name = percent_encode(parameter.name)
    if parameter.content_type:
        return [f"{name}={encode(_content_text(parameter, value))}"]
    if not isinstance(value, list | dict):
        return [f"{name}={item}" for item in _items(parameter, value, encode)]
    if not value:
        return []
    if parameter.style == "deepObject":
        leaves = deep_leaves(parameter.name, value)
        return [
            f"{percent_encode(key)}={encode(scalar_text(_what(parameter), leaf))}" for key, leaf in leaves
        ]
    if parameter.explode:
        if isinstance(value, dict):
            return _members(parameter, value, encode, "=")
        return [f"{name}={item}" for item in _items(parameter, value, encode)]
    return [f"{name}=" + delimited(_what(parameter), value, parameter.style, encode)]


def delimited(what: str, value: list[Any] | dict[str, Any], style: str, encode: Encode) -> str:
    """An array or object as one value: items, or keys and values in turn, with the style's delimiter.

    :param encode: encodes one item.
    :raises RequestError: for an item that contains the delimiter once encoded: a space in
        ``spaceDelimited`` cannot be told from the delimiter, and would be read as two items.
    """
    delimiter = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}.get(style, ",")
    members = value.items() if isinstance(value, dict) else ((item,) for item in value)
    parts = [encode(scalar_text(what, part)) for member in members if ABSENT not in member for part in member]
    if any(delimiter in part or (delimiter == "%20" and "+" in part) for part in parts):
        raise RequestError(
            "delimiter-in-value", f"{what} has an item that contains the delimiter of its style '{style}'"
        )
    return delimiter.join(parts)


def deep_leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each plain value inside an object or array, with its name in bracket notation, unencoded.

    >>> list(deep_leaves("a", {"b": {"c": 1}, "d": [2, 3]}))
    [('a[b][c]', 1), ('a[d][0]', 2), ('a[d][1]', 3)]
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from deep_leaves(f"{name}[{key}]", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from deep_leaves(f"{name}[{index}]", item)
    elif value is not ABSENT:
        yield name, value


def _whole_query(parameter: Parameter, value: Any) -> str:
    """The query string that a parameter ``in: querystring`` (OpenAPI 3.2) is by itself."""
    if isinstance(value, str):
        return _keep(value.removeprefix("?"), _QUERY_RESERVED + "&+")
    if is_json(parameter.content_type):
        return percent_encode(_content_text(parameter, value))
    if not isinstance(value, dict):
        raise RequestError("nested-value", f"{_what(parameter)} must be an object or text")
    return "&".join(
        f"{percent_encode(name)}={percent_encode(text)}"
        for key, item in value.items()
        for name, text in ((key, scalar_text(_what(parameter), part)) for part in _listed(item))
    )


def _cookie_parts(parameter: Parameter, value: Any) -> list[str]:
    encode: Encode = percent_encode
    if parameter.style == "cookie":
        encode = _plain_cookie(parameter)
    elif parameter.allow_reserved:
        encode = lambda text: _keep(text, "/?:@!$&'()*+=[]")  # noqa: E731
    name = encode(parameter.name)
    if parameter.content_type:
        return [f"{name}={percent_encode(_content_text(parameter, value))}"]
    if isinstance(value, dict):
        if parameter.explode:
            return _members(parameter, value, encode, "=")
        return [f"{name}=" + ",".join(_members(parameter, value, encode, ","))] if value else []
    if isinstance(value, list) and not value:
        return []
    items = _items(parameter, value, encode)
    return [f"{name}={item}" for item in items] if parameter.explode else [f"{name}=" + ",".join(items)]


def _plain_cookie(parameter: Parameter) -> Encode:
    """The encoder of style ``cookie``: the text itself, unless it would end the cookie (RFC 6265)."""

    def encode(text: str) -> str:
        if any(character in text for character in ' ;"\\'):
            raise RequestError("bad-cookie", f"{_what(parameter)} contains a space, quote, ';' or backslash")
        return text

    return encode


def _items(parameter: Parameter, value: Any, encode: Encode) -> list[str]:
    """The encoded items of an array, or the encoded plain value as the only one."""
    return [encode(scalar_text(_what(parameter), item)) for item in _listed(value)]


def _members(parameter: Parameter, value: dict[str, Any], encode: Encode, joint: str) -> list[str]:
    """The members of an object, key and value joined."""
    return [
        f"{encode(key)}{joint}{encode(scalar_text(_what(parameter), item))}"
        for key, item in value.items()
        if item is not ABSENT
    ]


def _listed(value: Any) -> list[Any]:
    return [item for item in value if item is not ABSENT] if isinstance(value, list) else [value]


def _has_null(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(item is None for item in items)


def _content_text(parameter: Parameter, value: Any) -> str:
    """The value of a parameter described by ``content``, in its media type."""
    if is_json(parameter.content_type):
        return json_text(_what(parameter), json_value(parameter.content_type, value))
    return scalar_text(_what(parameter), value)


def _keep(text: str, reserved: str) -> str:
    """Percent-encode all but unreserved and the given characters and existing triplets."""
    pieces = _TRIPLET.split(text)
    return "".join(
        piece if index % 2 else percent_encode(piece, reserved) for index, piece in enumerate(pieces)
    )


def _what(parameter: Parameter) -> str:
    return f"{parameter.place} parameter '{parameter.name}'"
