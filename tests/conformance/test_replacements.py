"""The Payload Replacement Object."""

from __future__ import annotations

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
REPLACEMENT = "Payload Replacement Object"
JSON = "{pet: {id: 0, tags: [a, b]}, 'x/y': 1, items: [{sku: A, n: 1}, {sku: B, n: 2}]}"
XML = "<Order kind='new'><Id>0</Id><Line>a</Line><Line>b</Line></Order>"
ENVELOPE = "<s:E xmlns:s='urn:s'><s:B><Id>0</Id></s:B></s:E>"


def sent(
    arazzo: Arazzo, replacement: str, payload: str = JSON, content_type: str = "application/json"
) -> str:
    """The body that is sent with one replacement made in a payload."""
    quoted = f'"{payload}"' if payload.startswith("<") else payload
    step = (
        f"operationId: createPet\nrequestBody:\n  contentType: {content_type}\n  payload: {quoted}\n"
        f"  replacements: [{{{replacement}}}]"
    )
    run = arazzo.step(step, reply(201), properties="x: {}, o: {}, none: {}", inputs={"x": 7, "o": {"a": [1]}})
    assert run.status == "succeeded", run.failure
    return run.body()


WHOLE = '{"pet":{"id":%s,"tags":["a","b"]},"x/y":1,"items":[{"sku":"A","n":1},{"sku":"B","n":2}]}'


@cases(
    "replacement, expected",
    case("constant", BOTH, REPLACEMENT, "`value`: a constant", "target: /pet/id, value: 10", WHOLE % "10"),
    case(
        "expression",
        BOTH,
        REPLACEMENT,
        "`value`: an expression",
        "target: /pet/id, value: $inputs.x",
        WHOLE % "7",
    ),
    case(
        "object",
        BOTH,
        REPLACEMENT,
        "`value`: an object",
        "target: /pet/id, value: {a: $inputs.x}",
        WHOLE % '{"a":7}',
    ),
    case(
        "embedded",
        BOTH,
        REPLACEMENT,
        "`value`: text with expressions",
        "target: /pet/id, value: 'n-{$inputs.x}'",
        WHOLE % '"n-7"',
    ),
    case(
        "selector",
        "1.1",
        REPLACEMENT,
        "`value`: a Selector Object",
        "target: /pet/id, value: {context: $inputs.o, selector: '$.a[0]', type: jsonpath}",
        WHOLE % "1",
    ),
    case(
        "absent",
        BOTH,
        REPLACEMENT,
        "`value` without a value: what the payload says stands",
        "target: /pet/id, value: $inputs.none",
        WHOLE % "0",
    ),
    case(
        "pointer",
        "1.1",
        REPLACEMENT,
        "`targetSelectorType`: `jsonpointer`",
        "target: /pet/id, targetSelectorType: jsonpointer, value: 5",
        WHOLE % "5",
    ),
    case(
        "pointer-object",
        "1.1",
        REPLACEMENT,
        "`targetSelectorType`: an Expression Type Object",
        "target: /pet/id, targetSelectorType: {type: jsonpointer, version: rfc6901}, value: 5",
        WHOLE % "5",
    ),
    case(
        "jsonpath",
        "1.1",
        REPLACEMENT,
        "`targetSelectorType`: `jsonpath`",
        "target: $.pet.id, targetSelectorType: jsonpath, value: 5",
        WHOLE % "5",
    ),
    case(
        "draft",
        "1.1",
        REPLACEMENT,
        "`targetSelectorType`: JSONPath of the draft",
        "target: '$.pet.id', value: 5, "
        "targetSelectorType: {type: jsonpath, version: draft-goessner-dispatch-jsonpath-00}",
        WHOLE % "5",
    ),
)
def test_json(arazzo: Arazzo, replacement: str, expected: str) -> None:
    assert sent(arazzo, replacement) == expected


@cases(
    "target, expected",
    case("item", BOTH, REPLACEMENT, "JSON Pointer: an item of an array", "/pet/tags/1", '"tags":["a",9]'),
    case(
        "append",
        BOTH,
        REPLACEMENT,
        "JSON Pointer: `-` appends to an array",
        "/pet/tags/-",
        '"tags":["a","b",9]',
    ),
    case("add", BOTH, REPLACEMENT, "JSON Pointer: a new member", "/pet/name", '"name":9'),
    case("escaped", BOTH, REPLACEMENT, "JSON Pointer: `~1` and `~0`", "/x~1y", '"x/y":9'),
)
def test_pointers(arazzo: Arazzo, target: str, expected: str) -> None:
    assert expected in sent(arazzo, f"target: {target}, value: 9")


@rule(BOTH, REPLACEMENT, "JSON Pointer: the empty one replaces the whole payload")
def test_whole(arazzo: Arazzo) -> None:
    assert sent(arazzo, "target: '', value: $inputs.o") == '{"a":[1]}'


@rule("1.1", REPLACEMENT, "JSONPath: every node that is found is replaced")
def test_every_node(arazzo: Arazzo) -> None:
    body = sent(arazzo, "target: '$.items[*].n', targetSelectorType: jsonpath, value: 0")
    assert '"items":[{"sku":"A","n":0},{"sku":"B","n":0}]' in body
    body = sent(arazzo, """target: "$.items[?(@.sku=='B')].n", targetSelectorType: jsonpath, value: 0""")
    assert '"items":[{"sku":"A","n":1},{"sku":"B","n":0}]' in body


@cases(
    "replacement, expected",
    case(
        "default",
        BOTH,
        REPLACEMENT,
        "without a type, `target` is XPath where the payload is XML",
        "target: /Order/Id, value: 5",
        "<Id>5</Id>",
    ),
    case(
        "xpath",
        "1.1",
        REPLACEMENT,
        "`targetSelectorType`: `xpath`",
        "target: /Order/Id, targetSelectorType: xpath, value: 5",
        "<Id>5</Id>",
    ),
    case(
        "xpath-30",
        "1.1",
        REPLACEMENT,
        "`targetSelectorType`: XPath of an older version",
        "target: /Order/Id, targetSelectorType: {type: xpath, version: xpath-30}, value: 5",
        "<Id>5</Id>",
    ),
    case(
        "attribute",
        BOTH,
        REPLACEMENT,
        "XPath: an attribute",
        "target: /Order/@kind, value: old",
        'kind="old"',
    ),
    case(
        "every",
        BOTH,
        REPLACEMENT,
        "XPath: every node that is found is replaced",
        "target: //Line, value: z",
        "<Line>z</Line><Line>z</Line>",
    ),
    case(
        "escaped",
        BOTH,
        REPLACEMENT,
        "XPath: values are escaped",
        "target: /Order/Id, value: '<&>'",
        "<Id>&lt;&amp;&gt;</Id>",
    ),
)
def test_xml(arazzo: Arazzo, replacement: str, expected: str) -> None:
    assert expected in sent(arazzo, replacement, XML, "application/xml")


@rule(BOTH, REPLACEMENT, "XPath is the default for other types built on XML too, namespaces included")
def test_other_xml(arazzo: Arazzo) -> None:
    expected = '<s:E xmlns:s="urn:s"><s:B><Id>4</Id></s:B></s:E>'
    assert sent(arazzo, "target: '/s:E/s:B/Id', value: 4", ENVELOPE, "application/soap+xml") == expected


@rule(BOTH, REPLACEMENT, "without a type, `target` is a JSON Pointer where the payload is JSON")
def test_json_default(arazzo: Arazzo) -> None:
    step = (
        "operationId: createPet\nrequestBody:\n  payload: {}\n"
        "  replacements:\n  - target: $.a # HERE\n    value: 1"
    )
    arazzo.refused(one_step(step), "replacement-target")


@rule(BOTH, REPLACEMENT, "replacements are made in their order")
def test_order(arazzo: Arazzo) -> None:
    replacements = "[{target: /a, value: {b: 1}}, {target: /a/b, value: 2}]"
    step = f"operationId: createPet\nrequestBody: {{payload: {{a: 0}}, replacements: {replacements}}}"
    assert arazzo.step(step, reply(201)).body() == '{"a":{"b":2}}'


@cases(
    "missing",
    case("target", BOTH, REPLACEMENT, "`target` is required", "{value: 1}"),
    case("value", BOTH, REPLACEMENT, "`value` is required", "{target: /a}"),
)
def test_required(arazzo: Arazzo, missing: str) -> None:
    step = f"operationId: createPet\nrequestBody:\n  payload: {{}}\n  replacements:\n  - {missing} # HERE"
    arazzo.refused(one_step(step), "missing-field")


@cases(
    "replacement, code",
    case(
        "type",
        "1.1",
        REPLACEMENT,
        "`targetSelectorType` has no other value",
        "{target: /a, value: 1, targetSelectorType: regex}",
        "wrong-value",
    ),
    case(
        "version",
        "1.1",
        REPLACEMENT,
        "`targetSelectorType`: versions of the Expression Type Object",
        "{target: $.a, value: 1, targetSelectorType: {type: jsonpath, version: v2}}",
        "unknown-version",
    ),
    case(
        "jsonpath",
        "1.1",
        REPLACEMENT,
        "`target` is of its type: JSONPath",
        "{target: '$.a[', value: 1, targetSelectorType: jsonpath}",
        "bad-jsonpath",
    ),
    case(
        "xpath",
        "1.1",
        REPLACEMENT,
        "`target` is of its type: XPath",
        "{target: '/a[', value: 1, targetSelectorType: xpath}",
        "bad-xpath",
    ),
)
def test_refused(arazzo: Arazzo, replacement: str, code: str) -> None:
    step = f"operationId: createPet\nrequestBody:\n  payload: {{}}\n  replacements:\n  - {replacement} # HERE"
    arazzo.refused(one_step(step), code)


@cases(
    "target",
    case(
        "pointer",
        BOTH,
        REPLACEMENT,
        "`target` must be found in the payload: JSON Pointer",
        "target: /no/where, value: 1",
    ),
    case(
        "jsonpath",
        "1.1",
        REPLACEMENT,
        "`target` must be found in the payload: JSONPath",
        "target: $.none, targetSelectorType: jsonpath, value: 1",
    ),
)
def test_nowhere(arazzo: Arazzo, target: str) -> None:
    step = f"operationId: createPet\nrequestBody: {{payload: {JSON}, replacements: [{{{target}}}]}}"
    run = arazzo.step(step)
    assert (run.sent, run.failure.partition(":")[0]) == ([], "bad-replacement")


@rule(BOTH, REPLACEMENT, "`target` must be found in the payload: XPath")
def test_nowhere_in_xml(arazzo: Arazzo) -> None:
    body = f'{{contentType: application/xml, payload: "{XML}", replacements: [{{target: /None, value: 1}}]}}'
    run = arazzo.step(f"operationId: createPet\nrequestBody: {body}")
    assert (run.sent, run.failure.partition(":")[0]) == ([], "bad-replacement")


@rule(BOTH, REPLACEMENT, "the payload may be one expression, whose value is not changed elsewhere")
def test_whole_expression(arazzo: Arazzo) -> None:
    text = """
    - workflowId: w
      inputs: {type: object, properties: {o: {}}}
      steps:
      - stepId: a
        operationId: createPet
        requestBody: {payload: $inputs.o, replacements: [{target: /a, value: 2}]}
      - {stepId: b, operationId: createPet, requestBody: {payload: $inputs.o}}
    """
    run = arazzo.run(text, inputs={"o": {"a": 1}})
    assert [run.body(0), run.body(1)] == ['{"a":2}', '{"a":1}']
