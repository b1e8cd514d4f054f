"""Finding the files of sources without any network."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from airflow_arazzo.description import digests
from airflow_arazzo.description.digests import file_digest
from airflow_arazzo.description.documents import Document
from airflow_arazzo.description.references import BrokenReference, resolve
from airflow_arazzo.description.sources import Library

URL = "https://raw.example/org/api/main/openapi/things.yaml"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    (folder / "main.yaml").write_text("{}")
    return folder


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"where: {path}")
    return path


def library(home: Path, **options: object) -> tuple[Library, Document]:
    made = Library(home / "main.yaml", **options)  # type: ignore[arg-type]
    return made, made.load(home / "main.yaml")


def test_the_order_of_the_search(home: Path, tmp_path: Path) -> None:
    """Each file that is added is nearer than all before it."""
    vendored = tmp_path / "vendored"
    expected = [
        put(tmp_path / "things.yaml"),
        put(tmp_path / "a" / "things.yaml"),
        put(tmp_path / "a" / "openapi" / "things.yaml"),
        put(tmp_path / "a" / "b" / "things.yaml"),
        put(vendored / "things.yaml"),
        put(vendored / "main" / "openapi" / "things.yaml"),
        put(home / "things.yaml"),
        put(home / "openapi" / "things.yaml"),
        put(home / "api" / "main" / "openapi" / "things.yaml"),
    ]
    for path in reversed(expected):
        made, document = library(home, source_path=[vendored])
        found = made.find("things", URL, document)
        assert found is not None
        assert (found.path, found.how) == (path, "nearby")
        path.unlink()
    made, document = library(home, source_path=[vendored])
    assert made.find("things", URL, document) is None


def test_a_mapping_wins(home: Path, tmp_path: Path) -> None:
    put(home / "things.yaml")
    elsewhere = put(tmp_path / "else.yaml")
    made, document = library(home, mapping={"things": elsewhere})
    found = made.find("things", "things.yaml", document)
    assert found is not None
    assert (found.path, found.how) == (elsewhere, "mapped")
    other = made.find("other", "things.yaml", document)
    assert other is not None
    assert other.how == "relative"


@pytest.mark.parametrize("url", ["../things.yaml", "./../things.yaml?raw=1#top", "../th%69ngs.yaml"])
def test_relative_urls_mean_files(url: str, home: Path) -> None:
    path = put(home.parent / "things.yaml")
    made, document = library(home)
    found = made.find("things", url, document)
    assert found is not None
    assert (found.path.resolve(), found.how) == (path.resolve(), "relative")


def test_file_urls(home: Path, tmp_path: Path) -> None:
    path = put(tmp_path / "far" / "things.yaml")
    made, document = library(home)
    found = made.find("things", path.as_uri(), document)
    assert found is not None
    assert found.path == path


@pytest.mark.parametrize(
    "url", ["https://[x", "", "x" * 5000, "a\x00b", "https://x.example/", "https://x.example/.."]
)
def test_urls_that_name_no_file(url: str, home: Path) -> None:
    made, document = library(home)
    assert made.find("things", url, document) is None
    assert all(file_digest(path) == digest for path, digest in made.dependencies().items())


def test_dependencies_are_what_was_read_and_what_was_missing(home: Path) -> None:
    path = put(home.parent / "things.yaml")
    made, document = library(home)
    found = made.find("things", URL, document)
    assert found is not None
    made.load(found.path)
    known = made.dependencies()
    assert known[str(path)] == file_digest(str(path)) != ""
    assert known[str(home / "main.yaml")] != ""
    assert known[str(home / "things.yaml")] == ""
    assert all(file_digest(name) == digest for name, digest in known.items())


def test_files_are_read_once(home: Path) -> None:
    path = put(home / "things.yaml")
    made, _ = library(home)
    assert made.load(path) is made.load(home / ".." / "c" / "things.yaml")
    assert made.name_of(home.parent / "x.yaml") == "../x.yaml"


KNOWN = "https://docs.example/flows/other"


def known(path: Path, uri: str = KNOWN, quote: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"openapi: 3.2.0\n$self: {quote}{uri}{quote}\nthings: {{a: 1}}\n")
    return path


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_document_is_found_by_its_own_uri(home: Path, tmp_path: Path, quote: str) -> None:
    put(home / "other")
    path = known(home / "cached-1.yaml", quote=quote)
    known(home / "cached-0.yaml", KNOWN + "2")
    made, document = library(home)
    found = made.find("other", f"{KNOWN}#/things", document)
    assert found is not None
    assert (found.path, found.how) == (path, "identified")
    path.unlink()
    vendored = known(tmp_path / "vendored" / "x.json")
    vendored.write_text(json.dumps({"a": 1, "$self": KNOWN}))
    made, document = library(home, source_path=[tmp_path / "vendored"])
    found = made.find("other", KNOWN, document)
    assert found is not None
    assert (found.path, found.how) == (vendored, "identified")


def test_what_only_looks_like_a_uri_of_its_own_is_none(home: Path) -> None:
    beside = put(home / "other")
    (home / "a.yaml").write_text(f"x: {{$self: '{KNOWN}'}}\n")
    (home / "b.yaml").write_text(f"$self: {KNOWN}\n  broken: [\n")
    made, document = library(home)
    found = made.find("other", KNOWN, document)
    assert found is not None
    assert (found.path, found.how) == (beside, "nearby")


@pytest.mark.parametrize("self_uri", ["https://docs.example/flows/main", "https://docs.example/flows/x?y"])
def test_relative_urls_start_at_an_absolute_uri(home: Path, self_uri: str) -> None:
    (home / "main.yaml").write_text(f"$self: {self_uri}\n")
    path = known(home / "cached.yaml")
    made, document = library(home)
    found = made.find("other", "other", document)
    assert found is not None
    assert (found.path, found.how) == (path, "identified")


def test_relative_urls_start_at_a_resolved_relative_uri(home: Path) -> None:
    (home / "main.yaml").write_text("$self: v2/flows/main.yaml\n")
    own = put(home / "things.yaml")
    made, document = library(home)
    assert [made.find("x", url, document) for url in ("../none.yaml",)] == [None]
    found = made.find("things", "things.yaml", document)
    assert found is not None
    assert (found.path, found.how) == (own, "relative")
    near = put(home / "v2" / "flows" / "things.yaml")
    found = library(home)[0].find("things", "things.yaml", document)
    assert found is not None
    assert (found.path, found.how) == (near, "relative")


def test_references_reach_documents_by_their_uri(home: Path) -> None:
    known(home / "cached.yaml")
    (home / "main.yaml").write_text(f"a: {{$ref: '{KNOWN}#/things'}}\nb: {{$ref: '{KNOWN}x#/things'}}\n")
    made, document = library(home)
    assert resolve(document.root / "a", made).value == {"a": 1}
    with pytest.raises(BrokenReference, match="remote"):
        resolve(document.root / "b", made)


def test_a_new_document_makes_a_search_by_uri_stale(home: Path) -> None:
    put(home / "other")
    made, document = library(home)
    assert made.find("other", KNOWN, document) is not None
    before = made.dependencies()
    assert all(file_digest(name) == digest for name, digest in before.items())
    known(home / "cached.yaml")
    assert [name for name, digest in before.items() if file_digest(name) != digest] == [f"{home}/"]


def test_a_file_is_read_once_while_it_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1")
    monkeypatch.setattr(digests, "_AT_REST", 0)
    first = file_digest(str(path))
    opened: list[object] = []
    digest = digests._sha256
    monkeypatch.setattr(digests, "_sha256", lambda file: opened.append(file) or digest(file))
    assert file_digest(str(path)) == first
    assert opened == []
    path.write_text("a: 2")
    assert file_digest(str(path)) == hashlib.sha256(b"a: 2").hexdigest() != first
    assert len(opened) == 1
    path.unlink()
    assert file_digest(str(path)) == ""


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for text in ("a: 1", "a: 2", "a: 3"):
        path.write_text(text)
        os.utime(path, ns=(1, 1))  # a file system whose clock stands still
        assert file_digest(str(path)) == hashlib.sha256(text.encode()).hexdigest()
