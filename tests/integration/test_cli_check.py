"""What ``airflow-arazzo check`` prints: for people, for editors, for code scanning, for a build's log."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.cli.findings import SourceLines, visible, workflow_command
from airflow_arazzo.cli.main import main, parser
from airflow_arazzo.cli.output import EXIT_STATUSES
from airflow_arazzo.cli.sarif import sarif, tolerances
from airflow_arazzo.description.diagnostics import Diagnostic, Position, Severity

ROOT = Path(__file__).resolve().parents[2]
Captured = pytest.CaptureFixture[str]

API = """
openapi: 3.1.0
info: {title: Things}
servers: [{url: 'https://things.example'}]
paths: {/things: {post: {operationId: createThing}}}
"""
DOCUMENT = """\
arazzo: 1.0.1
info: {title: T, version: '1'}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: w
  steps:
  - stepId: s
    operationId: createThin
    x: 1
  - {stepId: größe, operationId: createThing, successCriteria: [{condition: $statuscode == 200}]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "api.yaml").write_text(API)
    (tmp_path / "doc.yaml").write_text(DOCUMENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(capsys: Captured, *arguments: str, status: int = 2) -> str:
    capsys.readouterr()
    assert main(["check", *arguments]) == status
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


ERROR = (
    "doc.yaml:8:18: error: there is no operation 'createThin' in 'api' (api.yaml) [unknown-operation] "
    "(did you mean 'createThing'?)"
)


def test_findings_with_their_lines(folder: Path, capsys: Captured) -> None:
    lines = checked(capsys, "doc.yaml").splitlines()
    assert lines[:3] == [ERROR, "     8 |     operationId: createThin", "       |                  ^"]
    (warning,) = (index for index, line in enumerate(lines) if "[name-case]" in line)
    text, caret = lines[warning + 1 : warning + 3]
    assert text[caret.index("^") :].startswith("$statuscode"), (
        "columns count characters, also behind an umlaut"
    )
    assert lines[-1] == "0 of 1 document compile; 1 error, 1 warning, 1 note"


def test_one_line_for_each_finding(folder: Path, capsys: Captured) -> None:
    lines = checked(capsys, "doc.yaml", "--format", "line").splitlines()
    assert lines[0] == ERROR
    assert len(lines) == 4
    text = checked(capsys, "doc.yaml").splitlines()
    assert [line for line in text if not re.match(r" +(\d+ )?\| ", line)] == lines


def test_a_finding_in_a_source_shows_the_line_of_the_source(folder: Path, capsys: Captured) -> None:
    (folder / "api.yaml").write_text(API + "x:\n\t- tab\n")
    lines = checked(capsys, str(folder / "doc.yaml")).splitlines()
    assert lines[0].startswith(f"{folder / 'api.yaml'}:7:1: error: ")
    assert lines[1:3] == ["     7 | \t- tab", "       | ^"]


@pytest.mark.parametrize(
    "broken",
    ["", "    x: {$inputs.n\n", "  - {stepId: t, operationId: non}\n", "operation"],
    ids=["compiles", "syntax", "other-step", "step"],
)
def test_a_key_in_a_document_is_not_printed(folder: Path, broken: str, capsys: Captured) -> None:
    """Also where the document cannot be read so far that it would be recognised as one."""
    (folder / "doc.yaml").write_text(
        "arazzo: 1.0.1\ninfo: {title: T, version: '1'}\n"
        "sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]\n"
        "workflows:\n- workflowId: w\n  steps:\n  - stepId: s\n    operationId: createThing\n"
        "    parameters:\n"
        "    - {name: Authorization, in: header, value: 'Bearer sk_live_1'}\n"
        "    - {name: X-API-Key, in: header, value: sk_live_2, y: 1}\n"
        "    - {name: X, in: headers, value: 'token  sk_live_3'}\n"
        "    - name: access_token\n      in: query\n      x: 1\n      value: sk_live_4\n" + broken
    )
    if broken == "operation":
        text = (folder / "doc.yaml").read_text()
        text = text.removesuffix("operation").replace("createThing", "none")
        (folder / "doc.yaml").write_text(text)
    for form in ("text", "line", "json", "sarif", "github"):
        out = checked(capsys, "doc.yaml", "--format", form)
        assert "sk_live" not in out
        if broken == "operation":
            assert "[literal-credential]" not in out
            assert "unknown-field" in out
        if form == "text" and not broken:
            assert out.count("[literal-credential]") == 3


def excerpt(tmp_path: Path, text: str, line: int, column: int) -> list[str]:
    (tmp_path / "x").write_text(text, encoding="utf-8", newline="")
    return SourceLines([]).excerpt(Position(str(tmp_path / "x"), line, column))


def test_excerpts(tmp_path: Path) -> None:
    assert excerpt(tmp_path, "a\r\nb c\r\n", 2, 3) == ["     2 | b c", "       |   ^"]
    assert excerpt(tmp_path, "\ufeffab", 1, 2) == ["     1 | ab", "       |  ^"]
    assert excerpt(tmp_path, "\ta", 1, 2) == ["     1 | \ta", "       | \t^"]
    assert excerpt(tmp_path, "日本x", 1, 3) == ["     1 | 日本x", "       |     ^"]
    assert excerpt(tmp_path, "a", 1, 9) == ["     1 | a", "       |  ^"]
    assert excerpt(tmp_path, "x: 'Bearer abc'", 1, 4) == ["     1 | x: 'Bearer ***'"]
    assert excerpt(tmp_path, "x: 'Bearer {$inputs.x}'", 1, 1)[0] == "     1 | x: 'Bearer {$inputs.x}'"
    assert excerpt(tmp_path, "- name: api_key\n  value: $inputs.k", 2, 3)[0] == "     2 |   value: $inputs.k"
    assert excerpt(tmp_path, "- name: api_key\n  value: k", 2, 3) == []
    for line in (0, 2, 99):
        assert excerpt(tmp_path, "a", line, 1) == []
    assert SourceLines([]).excerpt(Position(str(tmp_path / "none"), 1, 1)) == []
    assert SourceLines([]).excerpt(Position(str(tmp_path), 1, 1)) == []
    assert SourceLines([]).excerpt(Position("\0", 1, 1)) == []
    assert excerpt(tmp_path, "a\x1b[31mb", 1, 3) == ["     1 | a\ufffd[31mb", "       |   ^"]


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_long_lines_are_cut_around_the_caret(length: int, column: int) -> None:
    text = "".join(chr(33 + index % 90) for index in range(length))
    column = min(column, length)
    with tempfile.TemporaryDirectory() as made:
        line, caret = excerpt(Path(made), text, 1, column)
    assert len(line) < 140
    assert line[caret.index("^")] == text[column - 1]


# --- pre-commit ----------------------------------------------------------------------------------------


def test_files_that_are_no_documents_are_passed_over(folder: Path, capsys: Captured) -> None:
    for name, text in (("x.json", '{"arazzo-lint": 1}'), ("x.yaml", "- arazzo"), ("x.txt", "\xff")):
        (folder / name).write_text(text, encoding="latin-1")
    others = ["api.yaml", "x.json", "x.yaml", "x.txt", "gone.yaml"]
    out = checked(capsys, "--skip-others", *others, status=0)
    assert out == "0 of 0 documents compile; 0 errors, 0 warnings, 0 notes\n"
    out = checked(capsys, "--skip-others", "doc.yaml", *others)
    assert out == checked(capsys, "doc.yaml")
    (folder / "doc.yaml").write_text("arazzo: [\n")
    assert "doc.yaml:" in checked(capsys, "--skip-others", "doc.yaml", *others)


def test_the_hook_for_pre_commit() -> None:
    """The fields that pre-commit's manifest needs, and a command line that the command takes."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook.pop("description")
    assert hook == {
        "id": "arazzo-check",
        "name": "check Arazzo documents",
        "entry": "airflow-arazzo check --skip-others",
        "language": "python",
        "types_or": ["yaml", "json"],
        "require_serial": True,
        "minimum_pre_commit_version": "2.9.2",
    }
    command, *arguments = shlex.split(hook["entry"])
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert command in scripts
    assert parser().parse_args([*arguments, "a.yaml", "b.json"]).paths == ["a.yaml", "b.json"]


# --- github --------------------------------------------------------------------------------------------


def test_workflow_commands(folder: Path, capsys: Captured) -> None:
    lines = checked(capsys, str(folder / "doc.yaml"), "--format", "github").splitlines()
    assert lines[0] == (
        "::error title=unknown-operation,file=doc.yaml,line=8,col=18::"
        "there is no operation 'createThin' in 'api' (api.yaml) (did you mean 'createThing'?)"
    )
    assert [line.partition(" ")[0] for line in lines[1:3]] == ["::warning", "::notice"]
    assert len(lines) == 4


@given(st.text(max_size=50), st.text(min_size=1, max_size=50).filter(lambda t: "\0" not in t))
def test_no_text_ends_a_command_or_begins_another(text: str, file: str) -> None:
    command = workflow_command(Diagnostic("x", Severity.ERROR, text, Position(file, 1, 2)))
    assert not re.search(r"[\r\n]", command)
    head, _, said = command.partition("::error ")[2].partition("::")
    assert unquote(said.replace("%25", "%2525")).replace("%25", "%") == text or "%" in text
    assert re.fullmatch(r"title=x,file=[^,:]*,line=1,col=2", head, re.DOTALL)


# --- SARIF ---------------------------------------------------------------------------------------------


def log(capsys: Captured, *arguments: str, status: int = 2) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(checked(capsys, *arguments, "--format", "sarif", status=status))
    assert found["version"] == "2.1.0"
    (run,) = found["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({result["ruleId"] for result in run["results"]})
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        ((place),) = result["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"]
    for rule in rules:
        assert rule["help"]["text"]
        assert rule["shortDescription"]["text"]
    return found


def test_a_sarif_log(folder: Path, capsys: Captured) -> None:
    (run,) = log(capsys, "doc.yaml")["runs"]
    assert run["tool"]["driver"]["name"] == "airflow-arazzo"
    assert run["results"][0] == {
        "ruleId": "unknown-operation",
        "ruleIndex": 2,
        "level": "error",
        "message": {
            "text": "there is no operation 'createThin' in 'api' (api.yaml) (did you mean 'createThing'?)"
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "doc.yaml", "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": 8, "startColumn": 18},
                }
            }
        ],
    }
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert rules["unknown-operation"]["defaultConfiguration"] == {"level": "error"}
    assert "`$inputs.userid` for the input `userId`" in rules["name-case"]["help"]["markdown"]


def test_a_finding_of_a_shared_source_is_there_once(folder: Path, capsys: Captured) -> None:
    (folder / "two.yaml").write_text(DOCUMENT)
    (folder / "api.yaml").write_text(API + "x: [\n")
    results = log(capsys, "doc.yaml", "two.yaml")["runs"][0]["results"]
    places = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in results]
    assert places.count("api.yaml") == 1


def test_names_of_files_are_uris(folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = folder / "a b%#ü"
    odd.mkdir()
    (odd / "doc.yaml").write_text(DOCUMENT)
    (odd / "api.yaml").write_text(API)
    for given_path in ("a b%#ü", str(odd)):
        found = log(capsys, given_path)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        assert found["artifactLocation"]["uri"] == "a%20b%25%23%C3%BC/doc.yaml"
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    found = log(capsys, "../doc.yaml")["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert found["artifactLocation"] == {"uri": (folder / "doc.yaml").as_uri()}


def test_a_document_without_findings_and_one_that_is_not_there(folder: Path, capsys: Captured) -> None:
    (folder / "doc.yaml").write_text(
        "\n".join(DOCUMENT.splitlines()[:-1]).replace("createThin\n    x: 1", "createThing")
    )
    assert log(capsys, "doc.yaml", status=0)["runs"][0]["results"] == []
    ((result),) = log(capsys, "none.yaml")["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "none.yaml"
    nowhere = sarif([("d.yaml", Diagnostic("x-y", Severity.ERROR, "m"))])["runs"][0]["results"][0]
    assert nowhere["locations"] == [
        {"physicalLocation": {"artifactLocation": {"uri": "d.yaml", "uriBaseId": "%SRCROOT%"}}}
    ]


def test_rules_say_what_the_page_on_tolerances_says() -> None:
    page = (ROOT / "docs" / "tolerances.md").read_text()
    codes = set(re.findall(r"^\| `([a-z-]+)`", page, re.MULTILINE))
    assert codes == set(tolerances())
    assert sum(map(len, tolerances().values())) == len(re.findall(r"^\| `", page, re.MULTILINE))
    assert all(all(cells) for entries in tolerances().values() for cells in entries)
    entry = next(e for e in tolerances()["jsonpath-comparison"] if "length" in e[0])
    assert entry[0] == '`$.state == "done" && $.items.length > 1` of type `jsonpath`'
    assert (
        'force-include]\n"docs/tolerances.md" = "airflow_arazzo/tolerances.md"'
        in (ROOT / "pyproject.toml").read_text()
    )


# --- help ----------------------------------------------------------------------------------------------


def test_every_help_says_what_exit_statuses_mean(capsys: Captured) -> None:
    root = parser()
    commands = next(action for action in root._actions if hasattr(action, "choices") and action.choices)
    assert EXIT_STATUSES in root.format_help()
    for name, command in dict(commands.choices or {}).items():
        if name != "ledger":
            assert EXIT_STATUSES in command.format_help(), name


def test_nothing_commands_the_terminal() -> None:
    assert visible("a\x1b\u202e\x85\xa0\tb\x00") == "a\ufffd\ufffd\ufffd \tb\ufffd"
