"""References: pointers with escapes, anchors, other files, and those that lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_arazzo.description.references import BrokenReference, resolve
from airflow_arazzo.description.sources import Library

TEXT = """
a/b: {c~d: {é x: [zero, {found: here}]}}
anchored: {deep: [{$anchor: Here, found: anchor}]}
whole: {$ref: '#'}
"""


def follow(reference: str, folder: Path) -> object:
    (folder / "target.yaml").write_text(TEXT)
    path = folder / "main.yaml"
    path.write_text(TEXT + f"start: {{$ref: '{reference}'}}\n")
    library = Library(path)
    return resolve(library.load(path).root / "start", library).value


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("#/a~1b/c~0d/%C3%A9%20x/1", "here"),
        ("target.yaml#/a~1b/c~0d/é x/1", "here"),
        ("./target.yaml#Here", "anchor"),
        ("#Here", "anchor"),
    ],
)
def test_references_are_followed(reference: str, found: str, tmp_path: Path) -> None:
    value = follow(reference, tmp_path)
    assert isinstance(value, dict)
    assert value["found"] == found


def test_a_file_alone_is_the_whole_document(tmp_path: Path) -> None:
    value = follow("target.yaml", tmp_path)
    assert isinstance(value, dict)
    assert set(value) == {"a/b", "anchored", "whole"}


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("#/a~1b/none/x", "there is no 'none' at #/a~1b/none/x"),
        ("#/a~1b/c~0d/é x/9", "there is no '9'"),
        ("#/a~1b/c~0d/é x/-1", "there is no '-1'"),
        ("#/a~1b/c~0d/é x/one", "there is no 'one'"),
        ("#/a~1b/c~0d/é x/0/y", "there is no 'y'"),
        ("#Nowhere", "there is no anchor 'Nowhere'"),
        ("none.yaml#/x", "there is no file none.yaml"),
        ("https://x.example/a.yaml", "is remote"),
        ("#/start", "the references go in a circle"),
    ],
)
def test_broken_references_say_why(reference: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BrokenReference) as raised:
        follow(reference, tmp_path)
    assert message in raised.value.message
    assert raised.value.at.pointer[0] == "start"
