"""The run over a corpus: figures by group, refusals, crashes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import corpus

API = "openapi: 3.1.0\ninfo: {title: T}\npaths: {/a: {get: {operationId: a}}}\n"
DOCUMENT = """arazzo: 1.0.1
info: {title: T, version: '1'}
sourceDescriptions: [{name: api, url: https://far.example/x.yaml%s}]
workflows: [{workflowId: w, steps: [{stepId: s, operationId: %s}]}]
"""


def folder(tmp_path: Path) -> Path:
    """Two documents that count, one of them refused; one with AsyncAPI, one wrong on purpose."""
    entries = []
    for name, group, content, wrong in (
        ("good", "one", DOCUMENT % ("", "a"), False),
        ("bad", "two", DOCUMENT % ("", "b"), False),
        ("messages", "two", DOCUMENT % (", type: asyncapi", "a"), False),
        ("wrong", "two", "arazzo: [", True),
    ):
        path = tmp_path / "docs" / name / "w.arazzo.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(content)
        (path.parent / "api.yaml").write_text(API)
        sources = {"api": f"{name}/api.yaml", "gone": None}
        entries.append(
            {
                "document": f"{name}/w.arazzo.yaml",
                "group": group,
                "sources": sources,
                "all_sources_local": True,
                "negative_fixture": wrong,
            }
        )
    (tmp_path / "manifest.json").write_text(json.dumps(entries))
    return tmp_path


def test_figures_and_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert corpus.main([str(folder(tmp_path)), "--warnings"]) == 0
    said = capsys.readouterr().out
    assert "one                 1 /    1  100.0 %\ntwo                 0 /    1    0.0 %\n" in said
    refused = "Refused:\nbad/w.arazzo.yaml\n  w.arazzo.yaml:4:"
    assert refused in said
    assert "error: there is no operation 'b' in 'api' (api.yaml) [unknown-operation]" in said
    assert "AsyncAPI): 2, 2 refused, 0 crashed" in said
    assert "1 unknown-operation" in said


def test_a_crash_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(corpus, "load_plan", crash)
    assert corpus.main([str(folder(tmp_path))]) == 1
    said = capsys.readouterr().out
    assert "one                 0 /    1    0.0 %" in said
    assert "CRASH good/w.arazzo.yaml" in said
    assert "RuntimeError: broken" in said
