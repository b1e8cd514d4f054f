"""Large JSON descriptions: what is asked for is made, and means what it means in a small file."""

from __future__ import annotations

import json
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.description import contents
from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.description.documents import Document, parse_document
from airflow_arazzo.description.lazy import Irregular, LazyObject, members
from airflow_arazzo.description.openapi import OpenApi
from airflow_arazzo.description.sources import Library

_PATH = Path("api.json")
_PADDING = "x" * contents.LARGE


def _parse(text: str | bytes) -> Document:
    return parse_document(text if isinstance(text, bytes) else text.encode(), _PATH, "api.json")


def _large(text: str) -> str:
    """A description with something after it that nobody asks for."""
    return text[:-1] + ', "x-padding": ' + json.dumps(_PADDING) + "}"


def _refused(text: str | bytes, *pointer: str) -> list[str]:
    with pytest.raises(DocumentError) as raised:
        reduce(getitem, pointer, _parse(text).value)
    return [str(found) for found in raised.value.diagnostics]


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
_MAP = st.dictionaries(st.text(), _ANY, max_size=4)
_DESCRIPTIONS = st.fixed_dictionaries(
    {"openapi": st.just("3.1.0")},
    optional={
        "paths": st.dictionaries(st.text(), st.dictionaries(st.text(), _MAP | _ANY, max_size=3), max_size=3),
        "components": st.dictionaries(st.text(), _MAP | _ANY, max_size=3),
        "webhooks": _MAP,
        "x-other": _ANY,
    },
)


@given(_DESCRIPTIONS, st.sampled_from([None, 0, 2]), st.booleans(), st.booleans())
def test_it_has_the_values_of_the_same_file_read_at_once(
    description: dict[str, Any], indent: int | None, escaped: bool, mark: bool
) -> None:
    data = json.dumps(description, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    data = b"\xef\xbb\xbf" + data if mark else data
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "LARGE", 0)
        lazy = parse_document(data, _PATH, "api.json").value
    at_once = parse_document(data, _PATH, "api.json").value
    assert isinstance(lazy, LazyObject)
    assert not isinstance(at_once, LazyObject)
    assert lazy == at_once
    assert json.dumps(lazy, default=str) == json.dumps(at_once, default=str)
    assert {**lazy} == at_once
    assert list(lazy.items()) == list(at_once.items())


_OPERATION = st.fixed_dictionaries({}, optional={"operationId": st.sampled_from("abc") | _ANY, "x": _ANY})
_ITEM = st.fixed_dictionaries(
    {},
    optional={
        "get": _OPERATION | st.none() | st.just(5),
        "post": _OPERATION,
        "summary": _ANY,
        "$ref": st.sampled_from(["#/components/pathItems/other", "#/nowhere"]),
        "additionalOperations": st.dictionaries(st.sampled_from(["COPY", "MOVE"]), _OPERATION),
    },
)


@given(st.dictionaries(st.sampled_from(["/a", "/b", "/c"]), _ITEM | _ANY))
def test_operations_are_found_as_in_the_same_file_read_at_once(paths: dict[str, Any]) -> None:
    other = {"get": {"operationId": "other"}, "post": {"operationId": "a"}}
    description = {"openapi": "3.1.0", "paths": paths, "components": {"pathItems": {"other": other}}}
    data = json.dumps(description).encode()

    def found() -> dict[str, list[tuple[str, str]]]:
        api = OpenApi(parse_document(data, _PATH, "api.json"), Library(_PATH))
        assert len(api.by_id) == len(list(api.by_id))
        return {name: [(key.path, key.method) for key in keys] for name, keys in api.by_id.items()}

    at_once = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "LARGE", 0)
        assert found() == at_once


def test_only_what_is_asked_for_is_made() -> None:
    document = _parse(
        _large('{"openapi": "3.1.0", "paths": {"/a": {"get": {"operationId": "a", "x": 1e999999}}}}')
    )
    operation = document.value["paths"]["/a"]["get"]
    assert operation.get("operationId") == "a"
    assert operation.get("summary") is None
    assert _refused(document.data, "paths", "/a", "get", "x") == [
        "api.json:1:72: error: 1e999999 is too far from one to be written without an exponent [not-a-number]"
    ]


@pytest.mark.parametrize(
    ("text", "pointer", "place"),
    [
        ('{"openapi": "3.1.0", "openapi": "3.0.0"}', (), "1:22"),
        ('{"openapi": "3.1.0", "paths": {"/a": {}, "/b": {}, "/a": {}}}', ("paths",), "1:52"),
        ('{"openapi": "3.1.0", "paths": {"/a": {"get": {}, "get": {}}}}', ("paths", "/a"), "1:50"),
        (
            '{"openapi": "3.1.0", "paths": {"/a": {"get": {"tags": [], "tags": []}}}}',
            ("paths", "/a", "get"),
            "1:59",
        ),
        (
            '{"openapi": "3.1.0", "components": {"schemas": {"A": {"x": 1, "\\u0078": 2}}}}',
            ("components", "schemas", "A"),
            "1:63",
        ),
        (
            '{"openapi": "3.1.0", "components": {"schemas": {"A": {}, "\\u0041": {}}}}',
            ("components", "schemas"),
            "1:58",
        ),
    ],
)
def test_a_key_that_is_there_twice_is_found_where_it_matters(
    text: str, pointer: tuple[str, ...], place: str
) -> None:
    (found,) = _refused(_large(text), *pointer)
    assert found.startswith(f"api.json:{place}: error: the key ")
    assert "twice" in found


def test_what_is_no_json_is_refused_wherever_it_stands() -> None:
    (found,) = _refused(_large('{"openapi": "3.1.0", "paths": {"/a": {"get": {"x": nul}}}}'))
    assert found.startswith("api.json:1:52: error: not valid JSON")


def test_bytes_that_are_no_text_are_refused_where_they_are_read() -> None:
    text = _large('{"openapi": "3.1.0", "paths": {"/a": {"summary": "\u00e9"}}}')
    data = text.encode().replace("\u00e9".encode(), b"\xe9")
    (found,) = _refused(data, "paths", "/a", "summary")
    assert found.startswith("api.json:1:51: error: not UTF-8 text")


def test_other_large_documents_are_read_at_once() -> None:
    value = _parse(_large('{"arazzo": "1.0.1", "workflows": []}')).value
    assert type(value) is dict


def test_it_cannot_be_changed() -> None:
    value = _parse(_large('{"openapi": "3.1.0", "paths": {}}')).value
    with pytest.raises(TypeError, match="cannot be changed"):
        value["paths"] = {}
    with pytest.raises(TypeError, match="cannot be changed"):
        value.pop("paths")


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1} 2', '{"a": 1,}', '{"a" 1}', '{"a": 1, "a": 2}'])
def test_what_is_no_object_is_irregular(text: str) -> None:
    with pytest.raises(Irregular):
        members(text.encode(), (0, len(text)))


def test_members_are_found_where_they_are_written() -> None:
    data = b' [{ "a\\"b" : [1, {"a": 2}] ,\n"c":{} }]'
    spans = members(data, (2, len(data) - 1))
    assert {key: data[slice(*span)] for key, span in spans.items()} == {'a"b': b'[1, {"a": 2}]', "c": b"{}"}
