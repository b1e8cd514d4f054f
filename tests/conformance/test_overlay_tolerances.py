"""Tolerances about overlays."""

from __future__ import annotations

import msgspec

from airflow_arazzo.plan.compiler import compile_document
from airflow_arazzo.plan.options import Options
from tests.conformance.harness import Arazzo, one_step
from tests.conformance.tolerances import tolerance

ABOUT_THE_PAGES = True
HEAD = "overlay: 1.0.0\ninfo: {title: T, version: 1.0.0}\n"


def patched(arazzo: Arazzo, overlay: str, code: str) -> str:
    """The first step's description after an overlay that compiles with one warning."""
    text = one_step("operationId: listPets\ndescription: old\nx-list: [a]")
    path = arazzo.document(text)
    options = Options(overlays=(arazzo.write("o.yaml", HEAD + overlay),))
    result = compile_document(path, options)
    assert [d.code for d in result.diagnostics] == [code], result.diagnostics
    assert str(result.diagnostics[0].position).startswith("o.yaml:")
    assert compile_document(path, msgspec.structs.replace(options, strict=True)).plans == {}
    (plan,) = result.plans.values()
    return plan.root.steps[0].description


STEP = "$.workflows[0].steps[0]"


@tolerance(
    "overlay-no-match",
    "an overlay's `target` that selects nothing",
    "the action has no effect",
    "a `target` that selects something, or no such action",
)
def test_no_match(arazzo: Arazzo) -> None:
    actions = f"actions: [{{target: '{STEP}.outputs', update: {{a: b}}}}]"
    assert patched(arazzo, actions, "overlay-no-match") == "old"


@tolerance(
    "overlay-no-effect",
    "an overlay's action with neither `update` nor `remove`",
    "the action has no effect",
    "`update: {…}` or `remove: true`",
)
def test_no_effect(arazzo: Arazzo) -> None:
    assert patched(arazzo, f"actions: [{{target: '{STEP}'}}]", "overlay-no-effect") == "old"


@tolerance(
    "overlay-primitive",
    "an overlay's `target` that selects a text, number, boolean or null",
    "as in Overlay 1.1: it is replaced or removed",
    "`target` the object that it is in",
)
def test_primitive(arazzo: Arazzo) -> None:
    target = f"'{STEP}.description'"
    assert patched(arazzo, f"actions: [{{target: {target}, update: new}}]", "overlay-primitive") == "new"
    assert patched(arazzo, f"actions: [{{target: {target}, remove: true}}]", "overlay-primitive") == ""


@tolerance(
    "overlay-array-item",
    "an overlay's `update` that is an array, for an array without arrays in it",
    "one more item, as Overlay 1.0 says; many tools add its items instead",
    "one action for each item, or an `update` of the object that the array is in",
)
def test_array_item(arazzo: Arazzo) -> None:
    actions = f"actions: [{{target: \"{STEP}['x-list']\", update: [b]}}]"
    assert patched(arazzo, actions, "overlay-array-item") == "old"


@tolerance(
    "overlay-nearby",
    "an overlay's `extends: folder/flow.yaml` where that is not the path of the document",
    "the document or source of that file name, if there is only one",
    "the path from the overlay's folder, or the URL that the source description has",
)
def test_nearby(arazzo: Arazzo) -> None:
    overlay = (
        f"extends: elsewhere/main.arazzo.yaml\nactions: [{{target: '{STEP}', update: {{description: new}}}}]"
    )
    assert patched(arazzo, overlay, "overlay-nearby") == "new"
