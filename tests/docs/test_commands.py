"""Every command in README and documentation exists, with the arguments that it is given."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

from airflow_arazzo.cli.main import main, parser
from cluster.compose import read as services
from cluster.local import FILE
from tests.docs.blocks import PAGES, ROOT, Block, blocks

BLOCKS = [block for page in PAGES for block in blocks(page)]
CONSOLE = [block for block in BLOCKS if block.language == "console"]
RUN = [
    (block, words)
    for block in CONSOLE
    if block.mark != "not run" and block.page.name != "tutorial.md"
    for words in block.commands()
    if words[0] == "airflow-arazzo" and not {"DOCUMENT", "KEY"} & set(words)
]
OF_THE_SHELL = {".", "export", "mkdir", "sed", "grep", "curl", "cd", "git"}


def parsed(root: argparse.ArgumentParser, words: list[str]) -> None:
    """Parse a command; what the parser complains about fails the test."""
    said, status = io.StringIO(), None
    try:
        with contextlib.redirect_stderr(said):
            root.parse_args(words)
    except SystemExit as error:
        status = error.code
    assert not status, said.getvalue()


def airflow_parser() -> argparse.ArgumentParser:
    from airflow.cli.cli_parser import get_parser

    found: argparse.ArgumentParser = get_parser()
    return found


def check(words: list[str]) -> None:
    """Check that a command exists and takes these arguments."""
    program, *rest = words
    name = Path(program).name
    if name == "airflow-arazzo":
        parsed(parser(), rest)
    elif name == "airflow" and rest[:1] == ["arazzo"]:
        parsed(parser(), rest[1:])
        parsed(airflow_parser(), rest)
    elif name == "airflow":
        parsed(airflow_parser(), rest)
    elif name == "make":
        for target in rest:
            assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    elif name == "python" and rest[0] == "-m":
        assert importlib.util.find_spec(rest[1]) is not None
        if rest[1] == "sandbox":
            from sandbox.__main__ import _arguments

            _arguments(rest[2:])
        if rest[1] == "pytest":
            assert all((ROOT / each).exists() for each in rest[2:])
    elif name == "docker":
        assert rest[0] == "compose"
        if rest[1] == "exec":
            assert rest[2] in services(FILE)
            check(rest[3:])
        else:
            scaled = [word.partition("=")[0] for word in rest if "=" in word]
            assert rest[1] == "up"
            assert set(scaled) <= set(services(FILE))
    elif name == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        for each in re.findall(r"airflow-arazzo\[([\w,]+)\]", " ".join(rest)):
            assert set(each.split(",")) <= set(extras)
    elif program.startswith(".venv/bin/"):
        pinned = f"\n{name}==" in (ROOT / "constraints.txt").read_text()
        assert pinned or Path(sys.executable).with_name(name).exists(), name
    elif program == "find":
        check_find(rest)
    else:
        assert program in OF_THE_SHELL, f"{program}: nothing checks such a command"


def check_find(rest: list[str]) -> None:
    """Old files of runs go, and nothing else does."""
    with tempfile.TemporaryDirectory() as name:
        old, new = (Path(name) / "dag" / run / "rows.jsonl" for run in ("old", "new"))
        for file in (old, new):
            file.parent.mkdir(parents=True)
            file.touch()
        os.utime(old, (0, 0))
        subprocess.run(["find", name, *rest[1:]], check=True)
        assert not old.exists()
        assert new.exists()


@pytest.mark.parametrize("block", CONSOLE, ids=str)
def test_commands_can_be_parsed(block: Block) -> None:
    found = list(block.commands())
    assert found
    for words in found:
        check(words)


@pytest.mark.parametrize(("block", "words"), RUN, ids=[f"{b} {' '.join(w[1:3])}" for b, w in RUN])
def test_commands_run(
    block: Block, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARAZZO_LEDGER", f"sqlite:///{tmp_path}/ledger.db")
    # A warning about these documents is no news; with --strict it is what the page shows.
    assert main(words[1:]) in ({0, 2} if "--strict" in words else {0})


def test_a_wrong_command_is_found() -> None:
    for words in (
        ["airflow-arazzo", "chekc", "x"],
        ["airflow-arazzo", "check", "--no-such"],
        ["airflow", "dags", "tset", "x"],
        ["airflow", "arazzo", "ledger", "lst"],
        ["make", "no-such-target"],
        ["python", "-m", "no_such_module"],
        ["pip", "install", "airflow-arazzo[no_such]"],
        ["rm", "-r", "x"],
    ):
        with pytest.raises(AssertionError):
            check(words)


def test_python_in_documentation_is_python() -> None:
    found = [block for block in BLOCKS if block.language == "python"]
    assert len(found) > 5
    for block in found:
        tree = ast.parse(block.text, str(block))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "airflow_arazzo":
                import airflow_arazzo

                assert {each.name for each in node.names} <= set(airflow_arazzo.__all__), str(block)


def test_what_is_not_run_says_why() -> None:
    for block in BLOCKS:
        assert block.mark == "" or len(block.about) > 5, str(block)
    text = "\n".join(page.read_text() for page in PAGES)
    assert text.count("<!-- not run") == sum(block.mark == "not run" for block in BLOCKS) + text.count(
        "`<!-- not run"
    )


def test_links_of_readme_and_contributing() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for link in re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / name).read_text()):
            assert (ROOT / link).exists(), f"{name}: {link}"


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    pytest.importorskip("material", reason="the extra docs is not installed")
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--site-dir",
            str(tmp_path / "site"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text()
        assert not re.search(r'<(?:script|img|iframe)[^>]+src="?https?:', text), page.name
        assert not re.search(r'<link[^>]+rel="?stylesheet"?[^>]+href="?https?:', text), page.name
        assert ":class:`" not in text, page.name
    assert "for_each" in (tmp_path / "site" / "reference" / "python" / "index.html").read_text()
