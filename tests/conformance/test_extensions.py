"""Specification extensions: fields that begin with ``x-``, in every object that may have them."""

from __future__ import annotations

from tests.conformance.harness import Arazzo
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
EXTENSIONS = "Specification Extensions"
DOCUMENT = """
arazzo: VERSION
ROOT
info: {title: T, version: '1' INFO}
sourceDescriptions: [{name: shop, url: shop.yaml SOURCE}]
workflows:
- workflowId: w
  WORKFLOW
  steps:
  - stepId: s
    STEP
    operationId: createPet
    parameters: [{name: limit, in: query, value: 1 PARAMETER}]
    requestBody:
      payload: {a: 1}
      replacements: [{target: /a, value: 2 REPLACEMENT}]
      BODY
    successCriteria:
    - {condition: $statusCode == 200 CRITERION}
    - context: $response.body
      condition: $.a
      type: {type: jsonpath, version: draft-goessner-dispatch-jsonpath-00 TYPE}
    onSuccess: [{name: on, type: end SUCCESS}]
    onFailure: [{name: no, type: end FAILURE}]
components:
  inputs: {}
  COMPONENTS
"""
FLOW = ("INFO", "SOURCE", "PARAMETER", "REPLACEMENT", "CRITERION", "TYPE", "SUCCESS", "FAILURE")
PLACES = ("ROOT", "WORKFLOW", "STEP", "BODY", "COMPONENTS", *FLOW)


def document(place: str, field: str) -> str:
    text = DOCUMENT
    for each in PLACES:
        written = "" if each != place else f", {field}" if each in FLOW else field
        text = text.replace(each, written)
    return "\n".join(line for line in text.splitlines() if line.strip())


@cases(
    "place",
    case("document", BOTH, EXTENSIONS, "in the Arazzo Specification Object", "ROOT"),
    case("info", BOTH, EXTENSIONS, "in the Info Object", "INFO"),
    case("source", BOTH, EXTENSIONS, "in the Source Description Object", "SOURCE"),
    case("workflow", BOTH, EXTENSIONS, "in the Workflow Object", "WORKFLOW"),
    case("step", BOTH, EXTENSIONS, "in the Step Object", "STEP"),
    case("parameter", BOTH, EXTENSIONS, "in the Parameter Object", "PARAMETER"),
    case("success", BOTH, EXTENSIONS, "in the Success Action Object", "SUCCESS"),
    case("failure", BOTH, EXTENSIONS, "in the Failure Action Object", "FAILURE"),
    case("components", BOTH, EXTENSIONS, "in the Components Object", "COMPONENTS"),
    case("criterion", BOTH, EXTENSIONS, "in the Criterion Object", "CRITERION"),
    case("type", BOTH, EXTENSIONS, "in the Expression Type Object", "TYPE"),
    case("body", BOTH, EXTENSIONS, "in the Request Body Object", "BODY"),
    case("replacement", BOTH, EXTENSIONS, "in the Payload Replacement Object", "REPLACEMENT"),
)
def test_places(arazzo: Arazzo, place: str) -> None:
    text = document(place, "x-internal-id: {a: [1]}")
    assert "x-internal-id" in text
    assert arazzo.findings(text, notes=True) == []
    assert arazzo.run(text).body() == '{"a":2}'


@cases(
    "value",
    case("null", BOTH, EXTENSIONS, "a value may be null", "null"),
    case("text", BOTH, EXTENSIONS, "a value may be a primitive", "5"),
    case("array", BOTH, EXTENSIONS, "a value may be an array", "[a, {b: c}]"),
    case(
        "object",
        BOTH,
        EXTENSIONS,
        "a value may be an object, whose content is not looked at",
        "{$ref: '#/none', e: $inputs.none}",
    ),
)
def test_values(arazzo: Arazzo, value: str) -> None:
    assert arazzo.findings(document("STEP", f"x-a: {value}"), notes=True) == []


@rule(
    BOTH,
    EXTENSIONS,
    "a field that is neither in the specification nor begins with `x-` is ignored, with a note",
)
def test_unknown_field(arazzo: Arazzo) -> None:
    arazzo.noted(document("STEP", "internal: 1 # HERE"), "unknown-field")
    arazzo.noted(document("STEP", "xinternal: 1 # HERE"), "unknown-field")


@rule(
    BOTH,
    EXTENSIONS,
    "reserved prefixes (`x-oai-`, `x-oas-`, `x-arazzo`) are read like others: without effect",
)
def test_reserved(arazzo: Arazzo) -> None:
    for prefix in ("x-oai-a", "x-oas-a", "x-arazzo-a"):
        assert arazzo.findings(document("STEP", f"{prefix}: 1"), notes=True) == []
