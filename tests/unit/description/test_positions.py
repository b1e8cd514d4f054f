"""Where values stand, in YAML and in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.description.documents import Document, parse_document, relative_name

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def document(text: str, name: str = "a.yaml") -> Document:
    return parse_document(text.encode(), Path(name), name)


def at(doc: Document, *pointer: str | int, **options: Any) -> str:
    place = doc.position(pointer, **options)
    return f"{place.line}:{place.column}"


def pointers(value: Any, pointer: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [pointer, *(inner for key in keys for inner in pointers(value[key], (*pointer, key)))]


@given(JSON, st.sampled_from([None, 1, 3]), st.booleans())
def test_a_json_value_is_where_its_text_is(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps([value], indent=indent, ensure_ascii=ascii_only)
    doc = document(text, "a.json")
    lines = text.split("\n")
    for pointer in pointers(doc.value):
        place = doc.position(pointer)
        rest = "\n".join([lines[place.line - 1][place.column - 1 :], *lines[place.line :]])
        expected = doc.value
        for key in pointer:
            expected = expected[key]
        assert json.JSONDecoder().raw_decode(rest)[0] == expected
        if pointer and isinstance(pointer[-1], str):
            key_at = doc.position(pointer, key=True)
            rest = lines[key_at.line - 1][key_at.column - 1 :]
            assert json.JSONDecoder().raw_decode(rest)[0] == pointer[-1]


def test_a_place_that_does_not_exist_is_the_deepest_on_the_way() -> None:
    for doc in (document('{"a": {"b": [1]}}', "a.json"), document("{a: {b: [1]}}")):
        assert at(doc, "a", "x", "y") == at(doc, "a")
        assert at(doc, "a", "b", 5) == at(doc, "a", "b")
        assert at(doc, "x", key=True) == "1:1"


YAML = """\
plain: say $a here
single: 'say $a here'
double: "say $a here"
escaped: "say \\"$a\\" here"
quoted: 'it''s $a here'
literal: |
  first $b
    then $a
folded: >-
  first $b
  then $a
  $b and
  $a
several: a plain
  text $a
list: [x, '$a']
"""


@pytest.mark.parametrize(
    ("key", "nth", "place"),
    [
        ("plain", 0, "1:12"),
        ("single", 0, "2:14"),
        ("double", 0, "3:14"),
        ("escaped", 0, "4:17"),
        ("quoted", 0, "5:16"),
        ("literal", 0, "8:10"),
        ("folded", 0, "11:8"),
        ("folded", 1, "13:3"),
        ("several", 0, "15:8"),
    ],
)
def test_an_offset_points_into_a_text(key: str, nth: int, place: str) -> None:
    doc = document(YAML)
    offset = -1
    for _ in range(nth + 1):
        offset = doc.value[key].index("$a", offset + 1)
    assert at(doc, key, offset=offset) == place


def test_an_offset_into_an_item_and_behind_the_end() -> None:
    doc = document(YAML)
    assert at(doc, "list", 1, offset=0) == "16:12"
    assert at(doc, "plain", offset=len(doc.value["plain"])) == "1:19"
    assert at(doc, "literal", offset=len(doc.value["literal"])) == "6:10"


def test_an_offset_into_a_json_text_with_escapes() -> None:
    doc = document('{"a": "{\\"x\\": \\"$b\\",\\n \\"y\\": \\"$a\\"}"}', "a.json")
    assert doc.value["a"] == '{"x": "$b",\n "y": "$a"}'
    assert at(doc, "a", offset=doc.value["a"].index("$a")) == "1:35"


def test_json_in_a_yaml_file_and_a_byte_order_mark() -> None:
    text = '{"a": [1, {"b": 2}]}'
    for name in ("a.json", "a.yaml"):
        doc = parse_document(b"\xef\xbb\xbf" + text.encode(), Path(name), name)
        assert at(doc, "a", 1, "b") == "1:17"
        assert at(doc, "a", 1, "b", key=True) == "1:12"


def test_columns_count_characters_and_not_bytes() -> None:
    doc = document("ä: {ö: $x}")
    assert at(doc, "ä", "ö") == "1:8"


def test_numbers_of_a_json_file_keep_their_digits() -> None:
    from airflow_arazzo.description.fields import lexeme

    doc = document('{"a": [1e3, 10.10, -0, 12345678901234567890]}', "a.json")
    assert [lexeme(value) for value in doc.value["a"]] == ["1e3", "10.10", "-0", "12345678901234567890"]


def test_names_do_not_depend_on_the_machine() -> None:
    assert relative_name(Path("/x/specs/openapi/a.yaml"), Path("/x/specs/arazzo")) == "../openapi/a.yaml"
