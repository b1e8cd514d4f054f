"""Plans as JSON, their digest, and the cache."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from airflow_arazzo.description import sources
from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.description.documents import Document, read_document
from airflow_arazzo.plan import cache, compiler
from airflow_arazzo.plan.codec import decode_plan, encode_plan
from airflow_arazzo.plan.compiler import compile_document, compile_workflow, workflow_ids
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.plan.options import Options

from .conftest import API, Project, one_step

SPECS = Path(__file__).parents[3] / "specs"
STEP = """
operationId: listThings
parameters: [{name: limit, in: query, value: 5}]
outputs: {a: $response.body#/0}
"""


@pytest.mark.parametrize("path", sorted((SPECS / "arazzo").glob("*.y*ml")), ids=lambda path: path.stem)
def test_the_shipped_workflows_survive_json(path: Path) -> None:
    result = compile_document(path)
    assert not result.failed, "\n".join(map(str, result.diagnostics))
    for plan in result.plans.values():
        assert decode_plan(encode_plan(plan)) == plan
        assert encode_plan(decode_plan(encode_plan(plan))) == encode_plan(plan)
        assert str(path.parent) not in encode_plan(plan).decode()


def test_what_is_no_plan_is_refused(project: Project) -> None:
    plan = json.loads(encode_plan(project.plan(one_step(STEP))))
    for broken in (b"", b"[]", b"{}", json.dumps(plan | {"workflows": 7}).encode()):
        with pytest.raises(ValueError):  # noqa: PT011  which one is the codec's business
            decode_plan(broken)


def test_the_digest_does_not_depend_on_the_folder(project: Project, tmp_path: Path) -> None:
    plan = project.plan(one_step(STEP))
    copy = tmp_path / "deeper" / "copy"
    shutil.copytree(project.folder, copy, ignore=shutil.ignore_patterns("deeper"))
    again, _ = compile_workflow(copy / "main.yaml")
    assert again == plan
    assert len(plan.digest) == 64


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("main.yaml", "value: 5", "value: 6", True),
        ("main.yaml", "value: 5", "value: 5.0", False),  # an integer place
        ("main.yaml", "body#/0", "body#/1", True),
        ("main.yaml", "stepId: s", "stepId: t", True),
        ("main.yaml", "title: T", "title: U", True),
        ("api.yaml", "things.example", "other.example", True),
        ("api.yaml", "/things:", "/stuff:", True),
        ("api.yaml", "name: limit, in: query", "name: limit, in: query, style: pipeDelimited", True),
        ("api.yaml", "operationId: putThing", "operationId: putThing2", False),  # no step calls it
        ("api.yaml", "summary: Gets one", "summary: Fetches one", False),
    ],
)
def test_the_digest_changes_with_what_matters(
    project: Project, file: str, old: str, new: str, changes: bool
) -> None:
    before = project.plan(one_step(STEP))
    path = project.folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    after, _ = compile_workflow(project.folder / "main.yaml")
    assert (after.digest != before.digest) is changes


def test_diagnostics_are_in_the_plan_and_not_in_its_digest(project: Project) -> None:
    plan = project.plan(one_step(STEP.replace("in: query", "in: header")))
    assert [d.code for d in plan.diagnostics] == ["parameter-place"]
    assert plan.digest == project.plan(one_step(STEP)).digest


def test_strict_refuses_what_is_tolerated(project: Project) -> None:
    path = project.document(one_step(STEP.replace("in: query", "in: header")))
    assert compile_workflow(path)[0]
    with pytest.raises(DocumentError, match="parameter-place"):
        compile_workflow(path, options=Options(strict=True))


def test_workflow_ids(project: Project) -> None:
    path = project.document("- {workflowId: b, steps: []}\n- {workflowId: a, steps: []}")
    assert workflow_ids(path)[0] == ("b", "a")


# The cache.


class Counting:
    """Counts how often plans are compiled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr(compiler, "compile_workflow", self)

    def __call__(self, *args: object) -> object:
        self.count += 1
        return compile_workflow(*args)  # type: ignore[arg-type]


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


@pytest.fixture
def load(project: Project, tmp_path: Path) -> Callable[[], Plan]:
    """Loads the plan of a document whose source is found in the folder above."""
    path = project.document(
        one_step(STEP),
        "docs/main.yaml",
        sources="- {name: api, url: 'https://a.example/v/api.yaml', type: openapi}",
    )
    return lambda: cache.load_plan(path, folder=tmp_path / "cache")


def test_a_plan_is_compiled_once(load: Callable[[], Plan], counting: Counting) -> None:
    first = load()
    assert load() == first
    assert counting.count == 1


@pytest.mark.parametrize("file", ["docs/main.yaml", "api.yaml"])
def test_an_edit_of_any_file_is_noticed(
    load: Callable[[], Plan], counting: Counting, project: Project, file: str
) -> None:
    load()
    path = project.folder / file
    path.write_text(path.read_text() + "\n# a remark\n")
    load()
    load()
    assert counting.count == 2


@pytest.mark.parametrize("nearer", ["docs/api.yaml", "docs/v/api.yaml", "v/api.yaml"])
def test_a_source_that_appears_nearer_is_noticed(
    load: Callable[[], Plan], counting: Counting, project: Project, nearer: str
) -> None:
    load()
    project.write(nearer, API.replace("things.example", "nearer.example"))
    call = load().root.steps[0].call
    assert "nearer" in call.servers[0].url  # type: ignore[union-attr]
    (project.folder / nearer).unlink()
    call = load().root.steps[0].call
    assert "things" in call.servers[0].url  # type: ignore[union-attr]
    assert counting.count == 3


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"dependencies": {}, "content": {}}', b'{"dependencies": 7}', b"\xff"]
)
def test_a_damaged_entry_is_replaced(
    load: Callable[[], Plan], counting: Counting, tmp_path: Path, damage: bytes
) -> None:
    first = load()
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_bytes(damage)
    assert load() == first
    assert load() == first
    assert counting.count == 2
    assert list((tmp_path / "cache").iterdir()) == [entry]


def test_an_entry_of_another_format_is_replaced(
    load: Callable[[], Plan], counting: Counting, tmp_path: Path
) -> None:
    load()
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_bytes(
        entry.read_bytes()
        .replace(b'"format":1', b'"format":0')
        .replace(b'"content":{', b'"content":{"format":0,')
    )
    load()
    assert counting.count == 2


def test_a_folder_that_cannot_be_written(project: Project, tmp_path: Path, counting: Counting) -> None:
    path = project.document(one_step(STEP))
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    for _ in range(2):
        assert cache.load_plan(path, folder=blocked / "cache").root.id == "w"
    assert counting.count == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    assert cache.load_plan(project.document(one_step(STEP)), folder=folder).root.id == "w"
    assert list(folder.iterdir()) == []


def test_a_write_that_fails_half_way_leaves_nothing(
    load: Callable[[], Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    assert load().root.id == "w"
    assert list((tmp_path / "cache").iterdir()) == []


def test_errors_are_not_cached(project: Project, tmp_path: Path) -> None:
    path = project.document(one_step("operationId: nothing"))
    for _ in range(2):
        with pytest.raises(DocumentError, match="unknown-operation"):
            cache.load_plan(path, folder=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_options_have_entries_of_their_own(project: Project, tmp_path: Path) -> None:
    path = project.document(one_step(STEP.replace("in: query", "in: header")))
    other = project.write("other.yaml", API.replace("things.example", "other.example"))
    folder = tmp_path / "cache"
    assert cache.load_plan(path, folder=folder)
    mapped = cache.load_plan(path, "w", Options(sources={"api": other}), folder)
    assert "other" in mapped.root.steps[0].call.servers[0].url  # type: ignore[union-attr]
    with pytest.raises(DocumentError):
        cache.load_plan(path, options=Options(strict=True), folder=folder)


class Ids:
    """Makes the ids of the steps of a plan, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, plan: Plan) -> list[str]:
        self.count += 1
        return [step.id for step in plan.root.steps]

    def named(self, name: str) -> cache.Derivation[list[str]]:
        return cache.Derivation(name, self, msgspec.json.Decoder(list[str]))


def test_what_is_made_of_a_plan_is_kept_beside_it(
    project: Project, tmp_path: Path, counting: Counting
) -> None:
    path, folder = project.document(one_step(STEP)), tmp_path / "cache"
    ids, others = Ids(), Ids()

    def load(made: Ids, name: str) -> list[str]:
        plan, found = cache.load_with(path, "w", Options(), made.named(name), folder)
        assert [step.id for step in plan.root.steps] == found
        return found

    first = load(ids, "ids")
    load(others, "others")
    assert [load(ids, "ids"), load(others, "others")] == [first, first]
    assert (counting.count, ids.count, others.count) == (1, 1, 1)
    # A plan that is asked for by itself leaves it there.
    assert cache.load_plan(path, "w", folder=folder).root.id == "w"
    assert load(ids, "ids") == first
    path.write_text(path.read_text().replace(f"stepId: {first[0]}", "stepId: another"))
    assert load(ids, "ids") == ["another"]
    assert (counting.count, ids.count) == (2, 2)


def test_what_was_made_and_cannot_be_read_is_made_again(project: Project, tmp_path: Path) -> None:
    path, folder, ids = project.document(one_step(STEP)), tmp_path / "cache", Ids()
    first = cache.load_with(path, "w", Options(), ids.named("ids"), folder)
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole.replace(msgspec.json.encode(first[1]), b'{"of another": "kind"}'))
    assert entry.read_bytes() != whole
    for _ in range(2):
        assert cache.load_with(path, "w", Options(), ids.named("ids"), folder) == first
    assert ids.count == 2


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARAZZO_CACHE_DIR", "/somewhere")
    assert cache.default_folder() == Path("/somewhere")
    monkeypatch.delenv("ARAZZO_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.default_folder() == Path("/xdg/airflow-arazzo")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.default_folder() == Path.home() / ".cache" / "airflow-arazzo"


def test_ids_are_kept_until_the_document_changes(project: Project, tmp_path: Path) -> None:
    path = project.document(one_step(STEP))
    folder = tmp_path / "cache"
    assert cache.load_ids(path, folder=folder) == ("w",)
    (entry,) = folder.iterdir()
    entry.write_bytes(entry.read_bytes().replace(b'["w"]', b'["kept"]'))
    assert cache.load_ids(path, folder=folder) == ("kept",)
    path.write_text(path.read_text().replace("workflowId: w", "workflowId: other"))
    assert cache.load_ids(path, folder=folder) == ("other",)


def test_a_document_is_read_once_for_all_its_workflows(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.document(one_step(STEP))
    read: list[Path] = []

    def reading(file: Path, name: str) -> Document:
        read.append(file)
        return read_document(file, name)

    monkeypatch.setattr(sources, "read_document", reading)
    first, _ = compile_workflow(path)
    assert len(read) == len(set(read)) == 2
    again, _ = compile_workflow(path, "w")
    assert again == first
    assert len(read) == 2
    source = next(file for file in read if file != path)
    source.write_text(source.read_text() + "\n# changed\n")
    compile_workflow(path)
    assert sorted(read[2:]) == sorted(read[:2])
