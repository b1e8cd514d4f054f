"""``--overlay`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_arazzo.cli.main import main

HEAD = "overlay: 1.0.0\ninfo: {title: T, version: 1.0.0}\n"
SHOP = """\
openapi: 3.1.0
info: {title: Shop, version: 1.0.0}
servers: [{url: 'https://shop.example'}]
paths: {/orders: {post: {operationId: order}}}
"""


def flow(name: str) -> str:
    return (
        f"arazzo: 1.0.1\ninfo: {{title: {name}, version: 1.0.0}}\n"
        "sourceDescriptions: [{name: shop, url: shop.yaml, type: openapi}]\n"
        f"workflows: [{{workflowId: {name}, steps: [{{stepId: s, operationId: order}}]}}]\n"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    for name in "one", "two":
        (tmp_path / "docs" / f"{name}.yaml").write_text(flow(name))
    (tmp_path / "docs" / "shop.yaml").write_text(SHOP)
    return tmp_path


def overlay(folder: Path, name: str, actions: str, extends: str = "") -> str:
    path = folder / "overlays" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEAD + (f"extends: {extends}\n" if extends else "") + f"actions: [{actions}]\n")
    return str(path)


def test_plan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = overlay(folder, "one.yaml", "{target: '$.workflows[0]', update: {summary: First}}")
    two = overlay(folder, "two.yaml", "{target: '$.workflows[0]', update: {summary: Last}}")
    assert main(["plan", str(folder / "docs" / "one.yaml"), "--overlay", one, "--overlay", two]) == 0
    assert json.loads(capsys.readouterr().out)["workflows"]["one"]["summary"] == "Last"


def test_check_says_where_in_the_overlay(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patch = overlay(folder, "o.yaml", "{target: '$.workflows[0].steps[0]', update: {operationId: ordr}}")
    assert main(["check", str(folder / "docs" / "one.yaml"), "--overlay", patch]) == 2
    said = capsys.readouterr().out
    assert f"{patch}:3:69: error: there is no operation 'ordr' in 'shop' (shop.yaml)" in said


def test_check_of_several_documents_gives_each_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = overlay(folder, "mine.yaml", "{target: $.info, update: {title: T, odd: 1}}", "../docs/one.yaml")
    for_all = overlay(folder, "all.yaml", "{target: $.info, update: {strange: 1}}")
    shop = overlay(folder, "shop.yaml", "{target: $.nothing, remove: true}", "../docs/shop.yaml")
    given = ["--overlay", mine, "--overlay", for_all, "--overlay", shop]
    assert main(["check", str(folder / "docs"), *given, "--format", "json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    messages = [[d["message"] for d in each["diagnostics"]] for each in (first, second)]
    assert messages == [
        [
            "$.nothing selects nothing in shop.yaml",
            "info has no field 'strange'; it is ignored",
            "info has no field 'odd'; it is ignored",
        ],
        ["$.nothing selects nothing in shop.yaml", "info has no field 'strange'; it is ignored"],
    ]


def test_check_of_several_documents_with_an_overlay_for_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = overlay(folder, "lost.yaml", "{target: $.info, remove: true}", "three.yaml")
    assert main(["check", str(folder / "docs"), "--overlay", lost]) == 2
    assert capsys.readouterr().out.count("three.yaml is neither the document nor one of its sources") == 2


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_an_overlay_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    more = ["one"] if command == "run" else []
    document = str(folder / "docs" / "one.yaml")
    assert main([command, document, *more, "--overlay", str(folder / "none.yaml")]) == 2
    said = capsys.readouterr()
    assert f"{folder / 'none.yaml'}:1:1: error: cannot be read: No such file" in said.out + said.err
    assert "Traceback" not in said.out + said.err
