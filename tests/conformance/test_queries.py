"""The Criterion Object: regex, JSONPath and XPath conditions, and those that cannot be applied."""

from __future__ import annotations

from typing import Any

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
REGEX = "Criterion Object: regex conditions"
JSONPATH = "Criterion Object: JSONPath conditions"
XPATH = "Criterion Object: XPath conditions"
ERRORS = "Criterion Object: evaluation errors"
PETS = {
    "pets": [{"name": "Rex", "age": 3}, {"name": "Ida", "age": 5}],
    "none": [],
    "state": "done",
    "total": 2,
}
EARLY = "so it never comes to a condition that fails at run time"
XML = "<root><pets><pet age='3'>Rex</pet><pet age='5'>Ida</pet></pets><total>2</total><empty/></root>"


def step(condition: str, type: str, context: str = "$response.body") -> str:
    kind = type if type.startswith("{") else f"'{type}'"
    quoted = condition.replace("'", "''")
    return (
        f"operationId: search\nsuccessCriteria:\n- context: {context}\n"
        f"  condition: '{quoted}' # HERE\n  type: {kind}\n"
    )


def holds(
    arazzo: Arazzo, condition: str, type: str, body: Any, context: str = "$response.body", **inputs: Any
) -> bool:
    """Whether a criterion makes a step succeed."""
    run = arazzo.step(step(condition, type, context), reply(200, body), properties="x: {}", inputs=inputs)
    return run.status == "succeeded"


@cases(
    "context, true, false",
    case(
        "match",
        BOTH,
        REGEX,
        "passes where the pattern matches the context",
        "$response.body.state",
        "^do.e$",
        "^do$",
    ),
    case("anywhere", BOTH, REGEX, "a pattern may match anywhere", "$response.body.state", "on", "no"),
    case("number", BOTH, REGEX, "a number is matched as text", "$statusCode", "^2\\d{2}$", "^3"),
    case(
        "sensitive",
        BOTH,
        REGEX,
        "patterns are case-sensitive unless they say otherwise",
        "$response.body.state",
        "(?i)DONE",
        "DONE",
    ),
)
def test_regex(arazzo: Arazzo, context: str, true: str, false: str) -> None:
    assert holds(arazzo, true, "regex", PETS, context)
    assert not holds(arazzo, false, "regex", PETS, context)


@rule(BOTH, REGEX, "fails where the context is null or not there")
def test_regex_without_context(arazzo: Arazzo) -> None:
    assert holds(arazzo, ".*", "regex", {"a": ""}, "$response.body#/a")
    assert not holds(arazzo, ".*", "regex", {"a": None}, "$response.body#/a")
    assert not holds(arazzo, ".*", "regex", {}, "$response.body#/a")


@rule(BOTH, REGEX, "a malformed pattern is refused when the document is read", differs=EARLY)
def test_bad_regex(arazzo: Arazzo) -> None:
    arazzo.refused(one_step(step("(a", "regex")), "bad-regex")


@cases(
    "true, false",
    case("nodes", BOTH, JSONPATH, "passes where the query finds nodes", "$.pets[*]", "$.none[*]"),
    case("member", BOTH, JSONPATH, "a member that is null or false is a node too", "$.state", "$.unknown"),
    case("filter", BOTH, JSONPATH, "filters of RFC 9535", "$.pets[?@.age > 4]", "$.pets[?@.age > 5]"),
    case(
        "logic",
        BOTH,
        JSONPATH,
        "`&&`, `||`, `!` in filters",
        "$.pets[?@.age == 3 && !(@.name == 'Ida')]",
        "$.pets[?@.age == 9 || @.name == 'x']",
    ),
    case(
        "length",
        BOTH,
        JSONPATH,
        "function `length`",
        "$.pets[?length(@.name) == 3]",
        "$.pets[?length(@.name) > 3]",
    ),
    case("count", BOTH, JSONPATH, "function `count`", "$[?count(@.*) == 2]", "$[?count(@.*) == 3]"),
    case(
        "match",
        BOTH,
        JSONPATH,
        "function `match`",
        "$.pets[?match(@.name, 'R.x')]",
        "$.pets[?match(@.name, 'R')]",
    ),
    case(
        "search",
        BOTH,
        JSONPATH,
        "function `search`",
        "$.pets[?search(@.name, 'e')]",
        "$.pets[?search(@.name, 'z')]",
    ),
    case(
        "value",
        BOTH,
        JSONPATH,
        "function `value`",
        "$.pets[?value(@.age) == 5]",
        "$.pets[?value(@.age) == 6]",
    ),
    case("slice", BOTH, JSONPATH, "slices and negative indices", "$.pets[-1:][?@ == 5]", "$.pets[2:]"),
    case("descendants", BOTH, JSONPATH, "descendants", "$..age", "$..colour"),
    case(
        "exact",
        BOTH,
        JSONPATH,
        "filters compare exactly: case counts, text is no number",
        "$.pets[?@.name == 'Rex']",
        "$.pets[?@.name == 'REX' || @.age == '3']",
    ),
    case(
        "object",
        BOTH,
        JSONPATH,
        "`$[?count(@.pets) > 0]` on an object with that member",
        "$[?count(@.pets) > 0]",
        "$[?count(@.none) > 0]",
        differs="as the specification's example means it: about the object, and the length of its array",
    ),
)
def test_jsonpath(arazzo: Arazzo, true: str, false: str) -> None:
    assert holds(arazzo, true, "jsonpath", PETS)
    assert not holds(arazzo, false, "jsonpath", PETS)


@rule(BOTH, JSONPATH, "fails where the context is null or not there")
def test_jsonpath_without_context(arazzo: Arazzo) -> None:
    assert holds(arazzo, "$", "jsonpath", {"a": 1}, "$response.body#/a")
    assert not holds(arazzo, "$", "jsonpath", {"a": None}, "$response.body#/a")
    assert not holds(arazzo, "$", "jsonpath", {}, "$response.body#/a")


@rule(BOTH, JSONPATH, "a malformed query is refused when the document is read", differs=EARLY)
def test_bad_jsonpath(arazzo: Arazzo) -> None:
    arazzo.refused(one_step(step("$.pets[?", "jsonpath")), "bad-jsonpath")


@cases(
    "true, false",
    case(
        "boolean",
        BOTH,
        XPATH,
        "a boolean passes when true",
        "count(/root/pets/*) > 1",
        "count(/root/pets/*) > 2",
    ),
    case("number", BOTH, XPATH, "a number passes when not zero", "count(//pet)", "count(//dog)"),
    case(
        "string", BOTH, XPATH, "a string passes when not empty", "string(/root/total)", "string(/root/empty)"
    ),
    case("nodes", BOTH, XPATH, "nodes pass when there are some", "/root/pets", "/root/dogs"),
    case("attribute", BOTH, XPATH, "attributes are nodes", "//pet/@age", "//pet/@name"),
    case(
        "function",
        BOTH,
        XPATH,
        "XPath 3.1 is the default",
        "array:size(['a', 'b']) = 2",
        "array:size([]) = 2",
    ),
)
def test_xpath(arazzo: Arazzo, true: str, false: str) -> None:
    assert holds(arazzo, true, "xpath", XML)
    assert not holds(arazzo, false, "xpath", XML)


@rule(BOTH, XPATH, "fails where the context is null or not there")
def test_xpath_without_context(arazzo: Arazzo) -> None:
    assert holds(arazzo, "true()", "xpath", {"x": "<a/>"}, "$response.body#/x")
    assert not holds(arazzo, "true()", "xpath", {"x": None}, "$response.body#/x")
    assert not holds(arazzo, "true()", "xpath", {}, "$response.body#/x")


@rule(BOTH, XPATH, "a malformed query is refused when the document is read", differs=EARLY)
def test_bad_xpath(arazzo: Arazzo) -> None:
    arazzo.refused(one_step(step("/root[", "xpath")), "bad-xpath")


@cases(
    "type, body, condition, context",
    case(
        "jsonpath-xml",
        BOTH,
        ERRORS,
        "JSONPath of a body that is not JSON fails",
        "jsonpath",
        XML,
        "$.root",
        "$response.body",
    ),
    case(
        "xpath-json",
        BOTH,
        ERRORS,
        "XPath of a body that is not XML fails",
        "xpath",
        PETS,
        "/root",
        "$response.body",
    ),
    case(
        "xpath-broken",
        BOTH,
        ERRORS,
        "XPath of broken XML fails",
        "xpath",
        "<root>",
        "/root",
        "$response.body",
    ),
    case(
        "division",
        BOTH,
        ERRORS,
        "a division by zero fails",
        "xpath",
        XML,
        "1 idiv count(//dog) = 1 or true()",
        "$response.body",
    ),
    case(
        "regex",
        BOTH,
        ERRORS,
        "a pattern that is malformed once its expressions are known fails",
        "regex",
        PETS,
        "{$inputs.x}",
        "$response.body.state",
    ),
    case(
        "entity",
        BOTH,
        ERRORS,
        "XML with a document type fails",
        "xpath",
        "<!DOCTYPE r [<!ENTITY e 'x'>]><r>&e;</r>",
        "/r",
        "$response.body",
    ),
)
def test_errors(arazzo: Arazzo, type: str, body: Any, condition: str, context: str) -> None:
    text = step(condition, type, context)
    run = arazzo.step(text, reply(200, body), properties="x: {}", inputs={"x": "(a"})
    assert run.status == "failed"
    assert "criteria" in run.failure
    assert any(condition in event for event in run.events), "the reason is not told"


@rule(BOTH, ERRORS, "a condition that cannot be evaluated leaves its action out; the next is looked at")
def test_error_in_action(arazzo: Arazzo) -> None:
    criterion = "{context: $response.body, condition: /a, type: xpath}"
    actions = f"[{{name: no, type: end, criteria: [{criterion}]}}, {{name: on, type: end}}]"
    assert arazzo.step(f"operationId: search\nonSuccess: {actions}", reply(200, PETS)).done.ended_by == "on"
