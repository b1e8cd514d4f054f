"""The flowchart of a plan: every step once, every arrow between known nodes, and no text that is more."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.plan.compiler import compile_document
from airflow_arazzo.plan.diagram import LONGEST, label, mermaid
from airflow_arazzo.plan.model import Idempotency, OperationCall, Plan, Workflow, WorkflowCall
from tests.unit.operators.workflows import plan_of, step
from tests.unit.plan.conftest import Project

SPECS = Path(__file__).resolve().parents[3] / "specs" / "arazzo"

REFERENCE = re.compile(r"#(\d+);")
NODE = re.compile(r' *(\w+)(?:\["([^"]*)"\]|\[\["([^"]*)"\]\]|\(\["([^"]*)"\]\))')
ARROW = re.compile(r' *(\w+) (?:-->|-\.->|==>)(?:\|"([^"]*)"\|)? (\w+)')
SUBGRAPH = re.compile(r' *subgraph (\w+) \["([^"]*)"\]')

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=120) | st.text(
    'ab1.-_#$%`"<>[]{}|&;:\\*\n @w', max_size=40
)


def shown(text: str) -> str:
    """What a reader sees of a label."""
    return REFERENCE.sub(lambda match: chr(int(match[1])), text)


def read(chart: str) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Labels of nodes by their id, and arrows; every line must be one that a chart is made of."""
    head, *lines = chart.splitlines()
    assert head == "flowchart TD"
    nodes: dict[str, str] = {}
    arrows: list[tuple[str, str, str]] = []
    for line in lines:
        if match := NODE.fullmatch(line):
            assert match[1] not in nodes
            nodes[match[1]] = match[2] or match[3] or match[4] or ""
        elif match := ARROW.fullmatch(line):
            arrows.append((match[1], shown(match[2] or ""), match[3]))
        else:
            assert SUBGRAPH.fullmatch(line) or line.strip() == "end", line
    assert all(start in nodes and end in nodes for start, _, end in arrows)
    return nodes, arrows


def drawn(plan: Plan) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """A chart with the first lines of labels, as they are shown, for ids of nodes."""
    nodes, arrows = read(mermaid(plan))
    titles = {name: shown(text.partition("<br/>")[0]) for name, text in nodes.items()}
    return nodes, [(titles[start], text, titles[end]) for start, text, end in arrows]


def test_a_chart_as_it_is_printed() -> None:
    plan = next(iter(compile_document(SPECS / "fin-amberflo-usage-to-stripe-invoice.yml").plans.values()))
    assert mermaid(plan) == (
        "flowchart TD\n"
        '  w0start(["meter-usage-and-invoice"])\n'
        '  w0s1["ingest-usage<br/>POST /ingest<br/>once only"]\n'
        '  w0s2["add-invoice-item<br/>POST /v1/invoices<br/>once only"]\n'
        '  w0s3["finalize-invoice<br/>POST /v1/invoices/{invoice}/finalize<br/>once only"]\n'
        '  w0success(["end"])\n'
        "  w0start --> w0s1\n"
        "  w0s1 --> w0s2\n"
        "  w0s2 --> w0s3\n"
        "  w0s3 --> w0success\n"
    )


@pytest.mark.parametrize("document", sorted(SPECS.glob("*.yml")), ids=lambda path: path.stem)
def test_every_step_of_the_shipped_documents_is_there_once(document: Path) -> None:
    for plan in compile_document(document).plans.values():
        nodes, arrows = read(mermaid(plan))
        titles = [text.partition("<br/>")[0] for text in nodes.values()]
        assert [titles.count(step.id) for step in plan.root.steps] == [1] * len(plan.root.steps)
        assert len(arrows) > len(plan.root.steps)


def test_jumps_retries_and_ends(project: Project) -> None:
    plan = project.plan("""
        - workflowId: w
          steps:
          - stepId: poll
            operationId: listThings
            onSuccess:
            - {name: on, type: goto, stepId: make, criteria: [{condition: $response.body#/state == 'on'}]}
            - {name: again, type: goto, stepId: poll}
            onFailure:
            - {name: r, type: retry, retryAfter: 2.5, retryLimit: 4, criteria: [{condition: $statusCode > 5}]}
            - {name: stop, type: end}
          - stepId: make
            operationId: createThing
            requestBody: {payload: {name: a}}
            x-idempotency: {header: Idempotency-Key}
            onFailure:
            - {name: first, type: retry, stepId: poll}
            - {name: elsewhere, type: goto, workflowId: other}
          - stepId: call
            workflowId: called
            onSuccess: [{name: enough, type: end, criteria: [{condition: $statusCode == 200}]}]
          - {stepId: put, operationId: putThing, parameters: [{name: id, in: path, value: x}]}
        - workflowId: other
          steps: [{stepId: o, operationId: listThings}]
        - workflowId: called
          dependsOn: [other]
          steps: [{stepId: c, operationId: listThings}]
    """)
    nodes, arrows = drawn(plan)
    assert arrows == [
        ("w", "", "poll"),
        ("poll", "$response.body#/state == 'on'", "make"),
        ("poll", "", "poll"),
        ("poll", "retry ≤ 4, after 2.5 s if $statusCode > 5", "poll"),
        ("poll", "", "failed"),
        ("make", "", "call"),
        ("make", "retry ≤ 1, this first", "poll"),
        ("call", "$statusCode == 200", "end"),
        ("call", "", "put"),
        ("put", "", "end"),
        *[("other", "", "o"), ("o", "", "end"), ("called", "", "c"), ("c", "", "end")],
        ("make", "", "other"),
        ("call", "calls", "called"),
        ("called", "runs first", "other"),
    ]
    texts = list(nodes.values())
    assert "make<br/>POST /things<br/>idempotent by header Idempotency-Key" in texts
    assert "put<br/>PUT /things/{id}<br/>may be sent twice" in texts
    assert "poll<br/>GET /things" in texts
    assert "call<br/>workflow called" in texts
    lines = mermaid(plan).splitlines()
    dotted = [line for line in lines if "-.->" in line]
    assert len(dotted) == 4, "failures, and nothing else, are dotted"
    assert '  w0s3[["call<br/>workflow called"]]' in lines


def test_a_step_to_which_nothing_leads_is_drawn_without_arrows() -> None:
    nodes, arrows = drawn(plan_of(step("a", always="c"), step("b"), step("c")))
    assert "b" in [text.partition("<br/>")[0] for text in nodes.values()]
    assert [(start, end) for start, _, end in arrows] == [("root", "a"), ("a", "c"), ("c", "end")]


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (Idempotency("body", "uniqueId"), "idempotent by body field uniqueId"),
        (Idempotency("header", ""), "may be sent twice"),
        (None, "once only"),
    ],
)
def test_a_step_says_whether_it_may_be_sent_twice(declared: Idempotency | None, text: str) -> None:
    call = OperationCall("api", "x", "POST", "/x", idempotency=declared)
    assert f"s<br/>POST /x<br/>{text}" in read(mermaid(plan_of(step("s", call=call))))[0].values()


@given(ANY_TEXT)
def test_a_label_shows_its_text_and_nothing_else(text: str) -> None:
    made = label(text)
    line = "".join(each if each.isprintable() else "\ufffd" for each in " ".join(text.split()))
    assert shown(made) == (line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")
    bare = REFERENCE.sub("", made)
    assert not set(bare) & set('"#&<>[]|`*~%;:@\\^+\n\r\x00'), (
        "characters with which Mermaid can do something"
    )
    assert "$$" not in made


@given(st.text("01.)-x _", max_size=8))
def test_no_label_begins_a_list(text: str) -> None:
    assert not re.match(r"(\d+[.)]|[-+*])( |$)", label(text))


HOSTILE = [
    'x"]; click w0s1 href "https://evil.example"',
    "%%{init: {'securityLevel': 'loose'}}%%",
    "<img src=x onerror=alert(1)>",
    "end",
    "style a fill:#fff;",
    "`**bold**`",
    "$$\\frac{1}{2}$$",
    "1. first",
    "- item",
    "[a](javascript:alert(1))",
    "www.evil.example",
    "__proto__",
    "subgraph x\nend",
    "fa:fa-car",
    "@{ shape: circle }",
    "---",
    "#quot;",
    "zwölf\u202e\u0000",
]


def hostile(text: str) -> Plan:
    """A plan with a text wherever a document can put one into a chart."""
    call = OperationCall("api", text, "POST", text, idempotency=Idempotency("body", text))
    plan = plan_of(
        step(text, success=["end"], failure=["end"], call=call), step("b", call=WorkflowCall(text))
    )
    steps = plan.root.steps
    criterion = msgspec.structs.replace(steps[0].on_success[0].criteria[0], condition=text)
    actions = tuple(msgspec.structs.replace(a, criteria=(criterion,)) for a in steps[0].on_success)
    changed = msgspec.structs.replace(
        plan.root, id=text, steps=(msgspec.structs.replace(steps[0], on_success=actions), steps[1])
    )
    other = Workflow(text, (step(text, call=call),))
    return msgspec.structs.replace(plan, workflows={"root": changed, text: other})


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_a_document_are_only_shown(text: str) -> None:
    nodes, _ = read(mermaid(hostile(text)))
    assert len(nodes) == 8, "two workflows with three steps, their starts, and three ends"


@given(ANY_TEXT)
def test_no_text_breaks_the_drawing(text: str) -> None:
    if text not in ("root", "b"):
        assert len(read(mermaid(hostile(text)))[0]) == 8
