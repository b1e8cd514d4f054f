"""What schemas say about values."""

from __future__ import annotations

from pathlib import Path

from airflow_arazzo.description.schemas import SchemaFacts
from airflow_arazzo.description.sources import Library

TEXT = """
combined:
  allOf:
  - {type: object, required: [a, b], properties: {a: {type: integer}, b: {readOnly: true}}}
  - $ref: '#/other'
  oneOf: [{properties: {d: {type: [string, 'null']}}, required: [d]}]
  additionalProperties: {type: number}
other: {required: [c], properties: {c: {type: array, items: {type: string}}}, anyOf: [{$ref: '#/combined'}]}
lost: {$ref: '#/nowhere'}
odd: {type: [{}], properties: [], required: x, items: [], allOf: x}
bomb:
  oneOf: [{$ref: '#/bomb'}, {$ref: '#/bomb2'}, {type: string}]
bomb2:
  oneOf: [{$ref: '#/bomb'}, {$ref: '#/bomb2'}, {$ref: '#/bomb'}, {type: integer}]
"""


def facts(name: str, folder: Path) -> SchemaFacts:
    path = folder / "schemas.yaml"
    path.write_text(TEXT)
    library = Library(path)
    return SchemaFacts(library.load(path).root / name, library)


def test_combined_schemas_count_together(tmp_path: Path) -> None:
    schema = facts("combined", tmp_path)
    assert schema.types == {"object"}
    assert schema.required == ("a", "c")
    assert schema.property_names == ("a", "b", "c", "d")
    assert schema.member("a").types == {"integer"}
    assert schema.member("d").types == {"string"}
    assert schema.member("else").types == {"number"}
    assert schema.member("c").items.types == {"string"}
    assert schema.keyword("additionalProperties") == {"type": "number"}


def test_schemas_that_contain_themselves_end(tmp_path: Path) -> None:
    assert facts("bomb", tmp_path).types == {"string", "integer"}


def test_broken_schemas_know_nothing(tmp_path: Path) -> None:
    for name in ("lost", "odd"):
        schema = facts(name, tmp_path)
        assert (schema.types, schema.required, schema.property_names) == (frozenset(), (), ())
        assert schema.member("a").items.keyword("type") is None
