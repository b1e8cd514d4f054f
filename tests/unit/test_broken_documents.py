"""Broken documents, and the exact diagnostics that each of them gets.

The cases are in ``broken/*.txt``. A case begins with ``#####`` and what is wrong; then come the expected
diagnostics, all of them: a mark (or a position), severity, code, a part of the message and a part of the
hint. The files follow, each behind ``===`` and its name. ``«1»`` in a file marks a place and is taken out
before the file is written. Files that are called overlay are applied as overlays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_arazzo.description.diagnostics import Diagnostic, DocumentError
from airflow_arazzo.plan.compiler import Compilation, compile_document, compile_workflow
from airflow_arazzo.plan.options import Options

FOLDER = Path(__file__).parent / "broken"
SHARED = ("pets.yaml", "shop.yaml")
_MARK = re.compile("«([0-9]*)»")

_SOURCE = "- {{name: {0}, url: {0}.yaml, type: openapi}}"
_HEAD = "arazzo: {}\ninfo: {{title: T, version: 1.0.0}}\nsourceDescriptions:\n{}"
HEADS = {
    "{HEAD}": _HEAD.format("1.0.1", _SOURCE.format("pets")),
    "{HEAD11}": _HEAD.format("1.1.0", _SOURCE.format("pets")),
    "{BOTH}": _HEAD.format("1.0.1", _SOURCE.format("pets") + "\n" + _SOURCE.format("shop")),
    "{DOGS}": _HEAD.format("1.0.1", _SOURCE.format("dogs"))
    + "\nworkflows: [{workflowId: w, steps: [{stepId: s, operationId: listDogs}]}]",
}


@dataclass(frozen=True)
class Case:
    name: str
    files: dict[str, str]
    expected: tuple[tuple[str, ...], ...]

    @property
    def document(self) -> str:
        return next(iter(self.files))

    def overlays(self, folder: Path) -> tuple[Path, ...]:
        return tuple(folder / name for name in self.files if name.startswith("overlay"))


def cases() -> Iterator[Case]:
    for path in sorted(FOLDER.glob("*.txt")):
        for block in path.read_text(encoding="utf-8").split("##### ")[1:]:
            head, *parts = re.split(r"^=== ", block, flags=re.MULTILINE)
            name, *expected = head.splitlines()
            files = {}
            for part in parts:
                file, _, text = part.partition("\n")
                files[file] = text.removesuffix("\n").replace("␇", "\x07")
                for macro, text_of_macro in HEADS.items():
                    files[file] = (
                        files[file].replace(macro + "\n", text_of_macro + "\n").replace(macro, text_of_macro)
                    )
            yield Case(name, files, tuple(_expectation(line) for line in expected))


def _expectation(line: str) -> tuple[str, ...]:
    what, message, hint = (*(part.strip() for part in line.split(" | ")), "")[:3]
    return (*what.split(" "), message, hint)


def places(files: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The files without marks, and the position of each mark."""
    clean, marks = {}, {}
    for file, text in files.items():
        lines = []
        for number, line in enumerate(text.split("\n"), 1):
            while match := _MARK.search(line):
                marks[match.group(1)] = f"{file}:{number}:{match.start() + 1}"
                line = line[: match.start()] + line[match.end() :]
            lines.append(line)
        clean[file] = "\n".join(lines)
    return clean, marks


CASES = list(cases())


def compiled(case: Case, folder: Path, *, strict: bool = False) -> Compilation:
    for name in SHARED:
        (folder / name).write_bytes((FOLDER / name).read_bytes())
    for name, text in places(case.files)[0].items():
        (folder / name).write_bytes(text.encode())
    return compile_document(folder / case.document, Options(strict=strict, overlays=case.overlays(folder)))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_diagnostics_are_exact(case: Case, tmp_path: Path) -> None:
    found = compiled(case, tmp_path).diagnostics
    marks = places(case.files)[1]
    wanted = sorted((marks.get(at, at), severity, code) for at, severity, code, _, _ in case.expected)
    assert sorted((str(d.position), str(d.severity), d.code) for d in found) == wanted, "\n".join(
        map(str, found)
    )
    for at, _, code, message, hint in case.expected:
        same = [d for d in found if (str(d.position), d.code) == (marks.get(at, at), code)]
        assert any(message in d.message and hint in d.hint for d in same), same


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nothing_runs_after_an_error(case: Case, tmp_path: Path) -> None:
    result = compiled(case, tmp_path)
    options = Options(overlays=case.overlays(tmp_path))
    if result.failed:
        for workflow_id in result.plans:
            assert compile_workflow(tmp_path / case.document, workflow_id, options)
        with pytest.raises(DocumentError) as raised:
            _compile_each(tmp_path / case.document, result, options)
        assert set(raised.value.diagnostics) <= set(result.diagnostics) | set(_of_choice(raised.value))
    else:
        assert result.plans


def _compile_each(path: Path, result: Compilation, options: Options) -> None:
    """Compile a workflow that failed; any name will do where the document cannot be read at all."""
    ids = set(re.findall(r"workflowId: (\w+)", path.read_text(errors="replace"))) - set(result.plans)
    for workflow_id in sorted(ids) or ["any"]:
        compile_workflow(path, workflow_id, options)


def _of_choice(error: DocumentError) -> list[Diagnostic]:
    return [d for d in error.diagnostics if d.code == "unknown-workflow"]


def test_there_are_enough_cases_and_each_has_its_name() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


WARNED = [case for case in CASES if {severity for _, severity, *_ in case.expected} == {"warning"}]


@pytest.mark.parametrize("case", WARNED, ids=[case.name for case in WARNED])
def test_strict_makes_warnings_errors(case: Case, tmp_path: Path) -> None:
    result = compiled(case, tmp_path, strict=True)
    assert result.failed
    assert not result.plans
    assert {str(d.severity) for d in result.diagnostics} == {"error"}


BYTES = {
    "not UTF-8": (b"arazzo: 1.0.1\ninfo: {title: \xc3\xa9caf\xe9}\n", "not-utf8", 2, 19),
    "UTF-16": ("arazzo: 1.0.1".encode("utf-16"), "not-utf8", 1, 1),
    "an alias bomb": (
        b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 9)),
        "too-many-aliases",
        6,
        5,
    ),
    "deep flow": (b"a: " + b"[" * 100_000, "too-deep", 1, 131),
    "deep blocks": (b"\n".join(b" " * n + b"a:" for n in range(2000)), "too-deep", 129, 129),
    "deep dashes": (b"- " * 5000 + b"x", "too-deep", 1, 257),
}


@pytest.mark.parametrize(("data", "code", "line", "column"), BYTES.values(), ids=list(BYTES))
def test_bytes_that_are_no_document(data: bytes, code: str, line: int, column: int, tmp_path: Path) -> None:
    (tmp_path / "arazzo.yaml").write_bytes(data)
    (only,) = compile_document(tmp_path / "arazzo.yaml").diagnostics
    assert (only.code, str(only.position)) == (code, f"arazzo.yaml:{line}:{column}")


def test_deep_json_is_refused(tmp_path: Path) -> None:
    for depth in (200, 100_000):
        (tmp_path / "a.json").write_text('{"a":' * depth + "1" + "}" * depth)
        (only,) = compile_document(tmp_path / "a.json").diagnostics
        assert only.code == "too-deep"


def test_a_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    (missing,) = compile_document(tmp_path / "none.yaml").diagnostics
    assert (missing.code, missing.message) == ("unreadable", "cannot be read: No such file or directory")
    (folder,) = compile_document(tmp_path).diagnostics
    assert (folder.code, folder.message) == ("unreadable", "cannot be read: Is a directory")


def test_a_workflow_must_be_chosen_and_exist(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "workflows that depend on each other")
    compiled(case, tmp_path)
    with pytest.raises(DocumentError, match="the document has several workflows") as raised:
        compile_workflow(tmp_path / "arazzo.yaml")
    assert raised.value.diagnostics[0].hint == "known: a, b"
    with pytest.raises(DocumentError, match="there is no workflow 'c'"):
        compile_workflow(tmp_path / "arazzo.yaml", "c")
