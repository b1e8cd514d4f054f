"""Versions, format and structure of documents, the Arazzo Specification Object and the Info Object."""

from __future__ import annotations

import json

from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.options import Options
from tests.conformance.harness import HOST, Arazzo, drive, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
ROOT = "Arazzo Specification Object"

WHOLE = """
arazzo: VERSION
info:
  title: Pets
  version: 2.5.0
sourceDescriptions:
- {name: shop, url: shop.yaml}
workflows:
- workflowId: w
  steps:
  - {stepId: s, operationId: listPets}
"""


def without(*fields: str) -> str:
    """The whole document less some of its top-level fields."""
    kept, skipping = [], False
    for line in WHOLE.strip("\n").splitlines():
        if line[0] not in " -":
            skipping = line.split(":")[0] in fields
        if not skipping:
            kept.append(line)
    return "\n".join(kept)


@cases(
    "version",
    case("1.0.0", "1.0", "Versions", "`1.0.0` is read", "1.0.0"),
    case("1.0.1", "1.0", "Versions", "`1.0.1` is read", "1.0.1"),
    case("1.1.0", "1.1", "Versions", "`1.1.0` is read", "1.1.0"),
    case("patch", "1.0 1.1", "Versions", "the patch number makes no difference", ""),
)
def test_version(arazzo: Arazzo, version: str) -> None:
    written = version or arazzo.version.rpartition(".")[0] + ".9"
    text = WHOLE.replace("VERSION", written)
    assert arazzo.findings(text, notes=True) == []
    assert arazzo.run(text).calls == ["GET /pets"]


@cases(
    "version",
    case("2.0.0", "1.0 1.1", "Versions", "another major version is refused", "2.0.0"),
    case("1.2.0", "1.0 1.1", "Versions", "another minor version is refused", "1.2.0"),
    case("text", "1.0 1.1", "Versions", "a text that is no version is refused", "newest"),
)
def test_other_version(arazzo: Arazzo, version: str) -> None:
    arazzo.refused(WHOLE.replace("VERSION", f"{version} # HERE"), "arazzo-version")


@rule(BOTH, "Format", "a document may be written in JSON")
def test_json(arazzo: Arazzo) -> None:
    content = {
        "arazzo": arazzo.version,
        "info": {"title": "Pets", "version": "1"},
        "sourceDescriptions": [{"name": "shop", "url": "shop.yaml", "type": "openapi"}],
        "workflows": [{"workflowId": "w", "steps": [{"stepId": "s", "operationId": "listPets"}]}],
    }
    path = arazzo.write("main.arazzo.json", json.dumps(content, indent=1))
    plan, _ = compile_workflow(path)
    assert drive(plan, (), {}, {}).calls == ["GET /pets"]


@rule(BOTH, "Format", "a document may be written in YAML, in block or in flow style")
def test_yaml(arazzo: Arazzo) -> None:
    flow = (
        "{arazzo: VERSION, info: {title: T, version: '1'},"
        " sourceDescriptions: [{name: shop, url: shop.yaml}],"
        " workflows: [{workflowId: w , steps: [{stepId: s, operationId: listPets}]}]}"
    )
    path = arazzo.document(flow)
    assert drive(compile_workflow(path)[0], (), {}, {}).calls == ["GET /pets"]
    assert arazzo.run(WHOLE).calls == ["GET /pets"]


@rule(BOTH, "Format", "field names are case-sensitive")
def test_field_names(arazzo: Arazzo) -> None:
    assert arazzo.codes(WHOLE.replace("workflowId", "workflowid"), notes=True) == [
        "missing-field",
        "unknown-field",
    ]


@rule(BOTH, "Format", "YAML is read by the rules of 1.2: `on`, `yes` and dates are text")
def test_yaml_1_2(arazzo: Arazzo) -> None:
    run = arazzo.step("operationId: createPet\nrequestBody: {payload: {on: yes, at: 2024-01-01, n: 0o17}}")
    assert run.body() == '{"on":"yes","at":"2024-01-01","n":15}'


@rule(BOTH, "Format", "tags outside YAML's JSON schema are refused")
def test_tags(arazzo: Arazzo) -> None:
    arazzo.refused(WHOLE.replace("title: Pets", "title: !!binary UGV0cw== # HERE"), "yaml-tag")


@rule(BOTH, "Format", "tags of YAML's JSON schema are allowed")
def test_allowed_tags(arazzo: Arazzo) -> None:
    run = arazzo.step("operationId: createPet\nrequestBody: {payload: {a: !!str 1, b: !!int '2'}}")
    assert run.body() == '{"a":"1","b":2}'


@rule(BOTH, "Format", "keys of maps are scalars")
def test_keys(arazzo: Arazzo) -> None:
    arazzo.refused(WHOLE.replace("info:", "? [a, b] # HERE\n: 1\ninfo:"), "yaml-key")


@rule(BOTH, "Format", "a key may not appear twice in one object")
def test_duplicate_key(arazzo: Arazzo) -> None:
    arazzo.refused(
        WHOLE.replace("  version: 2.5.0", "  version: 2.5.0\n  title: Again # HERE"), "duplicate-key"
    )


@rule(BOTH, "Arazzo Description Structure", "a description may be divided into several documents")
def test_several_documents(arazzo: Arazzo) -> None:
    arazzo.document(
        one_step("operationId: getPet\nparameters: [{name: petId, in: path, value: 7}]"), "b.yaml"
    )
    run = arazzo.step(
        "workflowId: $sourceDescriptions.other.w",
        sources="- {name: other, url: b.yaml, type: arazzo}",
    )
    assert run.calls == ["GET /pets/7"]


@rule(BOTH, "Arazzo Description Structure", "workflows of a document that is no source cannot be called")
def test_document_that_is_no_source(arazzo: Arazzo) -> None:
    arazzo.document(one_step("operationId: listPets"), "b.yaml")
    arazzo.refused(one_step("workflowId: $sourceDescriptions.b.w # HERE"), "unknown-source")


@rule(BOTH, "Parsing Documents", "what is referred to may stand anywhere in the document")
def test_forward_references(arazzo: Arazzo) -> None:
    run = arazzo.run(
        """
        - workflowId: first
          steps:
          - stepId: call
            workflowId: last
            parameters: [{reference: $components.parameters.id}]
        - workflowId: last
          inputs: {$ref: '#/components/inputs/one'}
          steps:
          - {stepId: s, operationId: getPet, parameters: [{name: petId, in: path, value: $inputs.id}]}
        components:
          parameters: {id: {name: id, value: 9}}
          inputs: {one: {type: object, properties: {id: {type: integer}}}}
        """
    )
    assert run.calls == ["GET /pets/9"]


@rule(BOTH, "Parsing Documents", "what is wrong anywhere in a document is reported, also in other workflows")
def test_whole_document_is_read(arazzo: Arazzo) -> None:
    two = (
        "- workflowId: w\n  steps: [{stepId: s, operationId: listPets}]\n- workflowId: x\n  steps: 5 # HERE\n"
    )
    arazzo.refused(two, "wrong-type")


@cases(
    "field",
    case("arazzo", BOTH, ROOT, "`arazzo` is required", "arazzo"),
    case("info", BOTH, ROOT, "`info` is required", "info"),
    case("sources", BOTH, ROOT, "`sourceDescriptions` is required", "sourceDescriptions"),
    case("workflows", BOTH, ROOT, "`workflows` is required", "workflows"),
)
def test_required_fields(arazzo: Arazzo, field: str) -> None:
    code = "not-arazzo" if field == "arazzo" else "missing-field"
    assert field in arazzo.refused(without(field), code)


@cases(
    "field",
    case("sources", BOTH, ROOT, "`sourceDescriptions` has at least one entry", "sourceDescriptions"),
    case("workflows", BOTH, ROOT, "`workflows` has at least one entry", "workflows"),
)
def test_empty_lists(arazzo: Arazzo, field: str) -> None:
    message = arazzo.refused(f"{without(field)}\n{field}: [] # HERE", "missing-field")
    assert message == f"'{field}' of the Arazzo document must not be empty"


@rule(BOTH, ROOT, "`components` is optional")
def test_components_field(arazzo: Arazzo) -> None:
    assert arazzo.findings(WHOLE + "components: {}\n", notes=True) == []
    text = WHOLE.replace("listPets}", "listPets, parameters: [{reference: $components.parameters.p}]}")
    assert arazzo.run(text + "components: {parameters: {p: {name: status, in: query, value: a}}}").calls == [
        "GET /pets?status=a"
    ]


@cases(
    "field",
    case("timeout", "1.0", ROOT, "fields of 1.1 are unknown in 1.0: `timeout`", "timeout: 5"),
    case(
        "dependsOn",
        "1.0",
        ROOT,
        "fields of 1.1 are unknown in 1.0: `dependsOn` of a step",
        "dependsOn: []",
    ),
    case(
        "selector",
        "1.0",
        ROOT,
        "outputs of 1.0 are no Selector Objects",
        "outputs: {x: {context: $response.body, selector: /a, type: jsonpointer}}",
    ),
)
def test_newer_fields(arazzo: Arazzo, field: str) -> None:
    text = one_step(f"operationId: listPets\n{field}")
    assert arazzo.codes(text, notes=True) == ["newer-version"]
    assert {each.severity for each in arazzo.findings(text, options=Options(strict=True))} == {"error"}


@rule(BOTH, ROOT, "the `arazzo` field decides how the document is read: Selector Objects are for 1.1")
def test_version_decides(arazzo: Arazzo) -> None:
    payload = "{a: {context: $inputs.x, selector: /b, type: jsonpointer}}"
    run = arazzo.step(
        f"operationId: createPet\nrequestBody: {{payload: {payload}}}",
        properties="x: {}",
        inputs={"x": {"b": 1}},
    )
    kept = '{"a":{"context":{"b":1},"selector":"/b","type":"jsonpointer"}}'
    assert run.body() == ('{"a":1}' if arazzo.version.startswith("1.1") else kept)


@cases(
    "field",
    case("title", BOTH, "Info Object", "`title` is required", "title"),
    case("version", BOTH, "Info Object", "`version` is required", "version"),
)
def test_info_required(arazzo: Arazzo, field: str) -> None:
    lines = [line for line in WHOLE.splitlines() if not line.strip().startswith(field)]
    assert field in arazzo.refused("\n".join(lines), "missing-field")


@rule(BOTH, "Info Object", "`title` and `version` name the document, apart from the version of Arazzo")
def test_info_values(arazzo: Arazzo) -> None:
    plan = arazzo.plan(WHOLE)
    assert (plan.title, plan.version) == ("Pets", "2.5.0")


@cases(
    "field",
    case("summary", BOTH, "Info Object", "`summary` is an optional text", "summary"),
    case("description", BOTH, "Info Object", "`description` is an optional text", "description"),
)
def test_info_texts(arazzo: Arazzo, field: str) -> None:
    assert arazzo.findings(WHOLE.replace("  title", f"  {field}: '*Pets*'\n  title"), notes=True) == []
    arazzo.refused(WHOLE.replace("  title", f"  {field}: [a] # HERE\n  title"), "wrong-type")


@rule("1.1", ROOT, "`$self` is the document's own URI, which `$self` expressions name")
def test_self(arazzo: Arazzo) -> None:
    text = WHOLE.replace("info:", "$self: https://workflows.example/pets.yaml\ninfo:")
    run = arazzo.run(text + "  outputs: {me: $self}\n")
    assert run.outputs == {"me": "https://workflows.example/pets.yaml"}


@rule("1.1", ROOT, "`$self` has no fragment")
def test_self_with_fragment(arazzo: Arazzo) -> None:
    text = WHOLE.replace("info:", "$self: https://workflows.example/pets.yaml#part # HERE\ninfo:")
    arazzo.refused(text, "wrong-value")


@rule("1.1", ROOT, "`$self` is a text")
def test_self_is_text(arazzo: Arazzo) -> None:
    arazzo.refused(WHOLE.replace("info:", "$self: [a] # HERE\ninfo:"), "wrong-type")


@rule(BOTH, "Relative References", "without `$self`, a source's relative URL starts at the document's place")
def test_relative_to_document(arazzo: Arazzo) -> None:
    folder = arazzo.folder / "specs"
    folder.mkdir()
    (arazzo.folder / "shop.yaml").rename(folder / "pets api.yaml")
    text = WHOLE.replace("shop.yaml", "specs/pets%20api.yaml")
    assert arazzo.findings(text, notes=True) == []
    path = arazzo.write("flows/main.arazzo.yaml", text.replace("specs/", "../specs/"))
    assert drive(compile_workflow(path)[0], (), {}, {}).calls == ["GET /pets"]


@rule("1.1", "Relative References", "with an absolute `$self`, relative URLs are found among local files")
def test_relative_to_self(arazzo: Arazzo) -> None:
    text = WHOLE.replace("info:", "$self: https://workflows.example/flows/pets.yaml\ninfo:")
    path = arazzo.write("flows/main.arazzo.yaml", text.replace("shop.yaml", "../shop.yaml"))
    assert drive(compile_workflow(path)[0], (), {}, {}).calls == ["GET /pets"]


@rule(
    "1.1",
    "Relative References",
    "a relative `$self` is resolved before other references are resolved against it",
)
def test_relative_self(arazzo: Arazzo) -> None:
    (arazzo.folder / "v2" / "specs").mkdir(parents=True)
    (arazzo.folder / "shop.yaml").rename(arazzo.folder / "v2" / "specs" / "shop.yaml")
    text = WHOLE.replace("info:", "$self: v2/flows/pets.yaml\ninfo:").replace(
        "shop.yaml", "../specs/shop.yaml"
    )
    assert arazzo.findings(text, notes=True) == []


@rule(
    "1.1",
    "Parsing Documents",
    "another Arazzo document is found by its `$self`, wherever it lies",
)
def test_identity(arazzo: Arazzo) -> None:
    other = WHOLE.replace("info:", "$self: https://workflows.example/pets.yaml\ninfo:")
    arazzo.write("cached-0815.yaml", other)
    source = "- {name: other, url: 'https://workflows.example/pets.yaml', type: arazzo}"
    assert arazzo.codes(one_step("workflowId: $sourceDescriptions.other.w"), sources=source) == []


@rule(
    BOTH, "Relative References", "the URL of a call comes from the OpenAPI servers, not from the document's"
)
def test_api_urls(arazzo: Arazzo) -> None:
    run = arazzo.run(WHOLE, reply(204))
    assert [server.url for server in run.sent[0].servers] == [HOST]
