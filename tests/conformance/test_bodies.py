"""The Request Body Object: content types and payloads, down to the bytes."""

from __future__ import annotations

from typing import Any

from airflow_arazzo.engine.messages import Response
from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
BODY = "Request Body Object"
PROPERTIES = "id: {}, name: {}, n: {}, o: {}, none: {}"
INPUTS = {"id": "p&1", "name": 'Rex "the" <dog>', "n": 3, "o": {"a": [1, 2], "b": None}}


def sent(arazzo: Arazzo, body: str, operation: str = "createPet") -> tuple[str | None, str]:
    """Content type and body of the request that a step sends."""
    step = f"operationId: {operation}\nrequestBody:\n" + "".join(f"  {line}\n" for line in body.splitlines())
    run = arazzo.step(step, reply(201), properties=PROPERTIES, inputs=INPUTS)
    assert run.status == "succeeded", run.failure
    return run.header("Content-Type"), run.body()


@cases(
    "operation, content_type, body",
    case(
        "one", BOTH, BODY, "`contentType` left out: the operation's", "sendInvoice", "application/xml", "<a/>"
    ),
    case(
        "json",
        BOTH,
        BODY,
        "`contentType` left out where the operation has several: JSON",
        "createPet",
        "application/json",
        '"<a/>"',
    ),
)
def test_default_content_type(arazzo: Arazzo, operation: str, content_type: str, body: str) -> None:
    assert sent(arazzo, "payload: <a/>", operation) == (content_type, body)


@cases(
    "content_type, payload, expected",
    case("json", BOTH, BODY, "`contentType`: JSON", "application/json", "{a: [1, b]}", '{"a":[1,"b"]}'),
    case(
        "json-suffix",
        BOTH,
        BODY,
        "`contentType`: types ending in `+json`",
        "application/vnd.api+json",
        "{a: 1}",
        '{"a":1}',
    ),
    case(
        "form",
        BOTH,
        BODY,
        "`contentType`: `application/x-www-form-urlencoded`",
        "application/x-www-form-urlencoded",
        "{a: 1 2, b: true, c: é}",
        "a=1+2&b=true&c=%C3%A9",
    ),
    case(
        "form-nested",
        BOTH,
        BODY,
        "forms: nested objects and arrays",
        "application/x-www-form-urlencoded",
        "{m: {k: v}, l: [1, 2], d: [{x: 1}]}",
        "m[k]=v&l=1&l=2&d[0][x]=1",
    ),
    case("xml", BOTH, BODY, "`contentType`: XML, as text", "application/xml", "<a>é</a>", "<a>é</a>"),
    case("text", BOTH, BODY, "`contentType`: `text/plain`", "text/plain", "hello", "hello"),
    case("csv", BOTH, BODY, "`contentType`: other text types", "text/csv", '"a,b\\n1,2\\n"', "a,b\n1,2\n"),
    case(
        "binary",
        BOTH,
        BODY,
        "`contentType`: `application/octet-stream`",
        "application/octet-stream",
        "raw",
        "raw",
    ),
)
def test_content_types(arazzo: Arazzo, content_type: str, payload: str, expected: str) -> None:
    assert sent(arazzo, f"contentType: {content_type}\npayload: {payload}") == (content_type, expected)


@rule(BOTH, BODY, "`contentType`: `multipart/form-data`")
def test_multipart(arazzo: Arazzo) -> None:
    kind, body = sent(arazzo, "contentType: multipart/form-data\npayload: {a: $inputs.n, b: {c: 1}}")
    assert kind is not None
    boundary = kind.partition("boundary=")[2]
    assert kind.startswith("multipart/form-data; boundary=")
    parts = body.split(f"--{boundary}")
    assert [part.partition("\r\n\r\n")[2].removesuffix("\r\n") for part in parts[1:-1]] == ["3", '{"c":1}']
    assert 'name="a"' in parts[1]
    assert 'name="b"' in parts[2]
    assert parts[-1].strip() == "--"


@rule(BOTH, BODY, "`contentType`: parameters such as `charset` are kept")
def test_charset(arazzo: Arazzo) -> None:
    kind = "text/plain; charset=iso-8859-1"
    step = f"operationId: createPet\nrequestBody: {{contentType: {kind}, payload: é}}"
    run = arazzo.step(step, reply(201))
    assert (run.header("Content-Type"), run.sent[0].body) == (kind, b"\xe9")


@cases(
    "payload, expected",
    case(
        "literal",
        BOTH,
        BODY,
        "`payload`: literals",
        "{a: 1.50, b: null, c: [], d: {}, e: ' '}",
        '{"a":1.50,"b":null,"c":[],"d":{},"e":" "}',
    ),
    case(
        "expressions",
        BOTH,
        BODY,
        "`payload`: expressions in objects, with their types",
        "{a: $inputs.n, b: [$inputs.id, {c: $inputs.o}]}",
        '{"a":3,"b":["p&1",{"c":{"a":[1,2],"b":null}}]}',
    ),
    case("whole", BOTH, BODY, "`payload`: one expression", "$inputs.o", '{"a":[1,2],"b":null}'),
    case(
        "embedded",
        BOTH,
        BODY,
        "`payload`: expressions inside text",
        "{a: 'x-{$inputs.n}-{$inputs.id}'}",
        '{"a":"x-3-p&1"}',
    ),
    case(
        "absent",
        BOTH,
        BODY,
        "`payload`: what has no value is left out",
        "{a: $inputs.none, b: [$inputs.none, 1]}",
        '{"b":[1]}',
    ),
    case("array", BOTH, BODY, "`payload`: an array", "[1, $inputs.n]", "[1,3]"),
    case("order", BOTH, BODY, "`payload`: members keep their order", "{z: 1, a: 2}", '{"z":1,"a":2}'),
    case(
        "selector",
        "1.1",
        BODY,
        "`payload`: Selector Objects",
        "{a: {context: $inputs.o, selector: '$.a[1]', type: jsonpath}}",
        '{"a":2}',
    ),
)
def test_payloads(arazzo: Arazzo, payload: str, expected: str) -> None:
    assert sent(arazzo, f"payload: {payload}") == ("application/json", expected)


TEMPLATE = """\
contentType: application/json
payload: |
  {
    "order": {
      "name": "{$inputs.name}",
      "quantity": "{$inputs.n}",
      "count": {$inputs.n},
      "rest": {$inputs.o},
      "done": false
    }
  }"""


@rule(BOTH, BODY, "JSON template: what stands in quotes becomes text and cannot break out of it")
def test_json_template(arazzo: Arazzo) -> None:
    assert sent(arazzo, TEMPLATE) == (
        "application/json",
        '{"order":{"name":"Rex \\"the\\" <dog>","quantity":"3","count":3,'
        '"rest":{"a":[1,2],"b":null},"done":false}}',
    )


@rule(BOTH, BODY, "JSON template: what stands without quotes keeps its type")
def test_json_template_types(arazzo: Arazzo) -> None:
    body = "payload: '[{$inputs.n}, {$inputs.o}, \"{$inputs.n}\"]'"
    assert sent(arazzo, body)[1] == '[3,{"a":[1,2],"b":null},"3"]'


@rule(BOTH, BODY, "XML template: expressions in braces are replaced by their text")
def test_xml_template(arazzo: Arazzo) -> None:
    body = "contentType: application/xml\npayload: |\n  <order>\n    <n>{$inputs.n}</n>\n  </order>"
    assert sent(arazzo, body) == ("application/xml", "<order>\n  <n>3</n>\n</order>\n")


@rule(BOTH, BODY, "XML template: text is put in as it is, so that it may be XML; nothing is escaped")
def test_xml_template_text(arazzo: Arazzo) -> None:
    step = "operationId: sendInvoice\nrequestBody: {payload: '<n>{$inputs.x}</n>'}"
    run = arazzo.step(step, properties="x: {}", inputs={"x": "<b>&amp;</b>"})
    assert run.body() == "<n><b>&amp;</b></n>"


@rule(BOTH, BODY, "form object: expressions as values")
def test_form_object(arazzo: Arazzo) -> None:
    body = "payload: {client_id: $inputs.id, count: $inputs.n, code: $inputs.none}"
    assert sent(arazzo, body, "login") == ("application/x-www-form-urlencoded", "client_id=p%261&count=3")


@rule(BOTH, BODY, "form string: expressions in braces are replaced")
def test_form_string(arazzo: Arazzo) -> None:
    body = 'payload: "count={$inputs.n}&scope=all"'
    assert sent(arazzo, body, "login") == ("application/x-www-form-urlencoded", "count=3&scope=all")


@rule(BOTH, BODY, "form string: it is taken as encoded already; values are put in as they are")
def test_form_string_as_it_is(arazzo: Arazzo) -> None:
    assert sent(arazzo, 'payload: "client_id={$inputs.id}&n=1"', "login")[1] == "client_id=p&1&n=1"


@rule(
    BOTH,
    BODY,
    "expressions are evaluated before the call: one without a value in a whole payload fails the step",
)
def test_absent_payload(arazzo: Arazzo) -> None:
    run = arazzo.step("operationId: createPet\nrequestBody: {payload: $inputs.none}", properties="none: {}")
    assert (run.sent, run.failure.partition(":")[0]) == ([], "absent-body")


@rule(BOTH, BODY, "without `requestBody` there is neither a body nor a `Content-Type`")
def test_no_body(arazzo: Arazzo) -> None:
    run = arazzo.step("operationId: createPet", reply(201))
    assert (run.sent[0].body, run.header("Content-Type")) == (None, None)


@rule(BOTH, BODY, "`contentType` is a text")
def test_content_type_is_text(arazzo: Arazzo) -> None:
    step = "operationId: createPet\nrequestBody:\n  payload: {}\n  contentType: [a] # HERE"
    arazzo.refused(one_step(step), "wrong-type")


@cases(
    "status, content_type, data, expected",
    case(
        "json",
        BOTH,
        BODY,
        "responses: JSON is read as values",
        200,
        "application/json",
        '{"a": 10.10}',
        '{"a":10.10}',
    ),
    case(
        "suffix",
        BOTH,
        BODY,
        "responses: `+json` is read as values",
        200,
        "application/problem+json",
        '{"a":1}',
        '{"a":1}',
    ),
    case("xml", BOTH, BODY, "responses: XML stays text", 200, "application/xml", "<a>1</a>", '"<a>1</a>"'),
    case("text", BOTH, BODY, "responses: plain text stays text", 200, "text/plain", "12", '"12"'),
)
def test_responses(arazzo: Arazzo, status: int, content_type: str, data: str, expected: Any) -> None:
    text = """
    - workflowId: w
      steps:
      - {stepId: a, operationId: search, outputs: {all: $response.body}}
      - {stepId: b, operationId: createPet, requestBody: {payload: $steps.a.outputs.all}}
    """
    answer = Response(status, (("Content-Type", content_type),), data.encode())
    assert arazzo.run(text, answer, reply(201)).body() == expected
