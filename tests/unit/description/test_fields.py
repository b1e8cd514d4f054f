"""Access to fields: values, and one diagnostic for each that is wrong."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.description.documents import Report, parse_document
from airflow_arazzo.description.fields import Fields, type_name


def fields(text: str, *names: str) -> tuple[Fields, Report]:
    report = Report()
    found = Fields.of(parse_document(text.encode(), Path("a.yaml"), "a.yaml").root, "a thing", names, report)
    assert found is not None
    return found, report


def codes(report: Report) -> list[tuple[str, str]]:
    return [(d.code, str(d.position)) for d in report.diagnostics]


def test_texts_may_be_written_as_numbers() -> None:
    found, report = fields("{a: 007, b: 1.10, c: x, d: true}", "a", "b", "c", "d")
    assert [found.text(name) for name in "abcd"] == ["007", "1.10", "x", ""]
    assert codes(report) == [("wrong-type", "a.yaml:1:28")]


def test_integers_and_numbers() -> None:
    found, report = fields(
        "{a: 3.0, b: 3.5, c: 2, d: -1, e: true, f: three, g: '-3', h: '0.50', i: '07'}", *"abcdefghi"
    )
    assert (found.integer("a"), found.integer("b"), found.integer("c")) == (3, None, 2)
    assert found.integer("d", minimum=0) is None
    assert (found.integer("e"), found.number("f"), found.number("b")) == (None, None, Decimal("3.5"))
    assert [code for code, _ in codes(report)] == ["wrong-type", "wrong-value", "wrong-type", "wrong-type"]
    report.diagnostics.clear()
    assert (found.integer("g"), found.number("h"), found.integer("i")) == (-3, Decimal("0.50"), None)
    assert [code for code, _ in codes(report)] == ["number-as-text", "number-as-text", "wrong-type"]


def test_choices() -> None:
    found, report = fields("{a: get, b: gte, c: GET}", "a", "b", "c")
    assert [found.choice(name, ("get", "put")) for name in "abc"] == ["get", "", "get"]
    assert report.diagnostics[0].hint == "did you mean 'get'?"
    assert [code for code, _ in codes(report)] == ["wrong-value", "value-case"]


def test_null_counts_as_missing_with_a_note() -> None:
    found, report = fields("{a: null, b: null}", "a", "b")
    assert "a" not in found
    assert found.text("a") == ""
    assert found.object("b", required=True) is None
    assert [code for code, _ in codes(report)] == ["empty-field", "empty-field", "missing-field"]


def test_arrays_of_texts() -> None:
    found, report = fields("{a: [x, 1, {}], b: x, c: []}", "a", "b", "c")
    assert [at.value for at in found.texts("a")] == ["x"]
    assert found.array("b") == []
    assert found.array("c", required=True) == []
    assert [code for code, _ in codes(report)] == ["wrong-type", "wrong-type", "wrong-type", "missing-field"]


def test_extensions_and_schema_are_no_unknown_fields() -> None:
    _, report = fields("{x-a: 1, $schema: s, nmae: 2}", "name")
    (only,) = report.diagnostics
    assert (only.code, only.hint, str(only.position)) == (
        "unknown-field",
        "did you mean 'name'?",
        "a.yaml:1:22",
    )


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "a number"),
        ("", "a text"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_types_have_json_names(value: object, name: str) -> None:
    assert type_name(value) == name


def test_hints() -> None:
    assert did_you_mean("creatPet", ["createPet", "x"]) == "did you mean 'createPet'?"
    assert did_you_mean("q", ["b", "a"]) == "known: a, b"
    assert did_you_mean("q", map(str, range(50))) == ""
