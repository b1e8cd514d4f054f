"""Tolerances about documents: sources, parameters, bodies, actions, credentials."""

from __future__ import annotations

from airflow_arazzo.plan.model import WorkflowCall
from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.tolerances import tolerance

SECOND = "- {name: other, url: other.yaml, type: openapi}"
OTHER = "openapi: 3.1.0\ninfo: {title: O}\npaths: {/o: {get: {operationId: others}}}\n"
ABOUT_THE_PAGES = True


# --- sources and what they describe ----------------------------------------------------------------------


@tolerance(
    "source-nearby",
    "a relative `url` that leads nowhere",
    "the file of that name beside the document, on the source path or in a parent folder",
    "the path from the document to the file",
)
def test_source_nearby(arazzo: Arazzo) -> None:
    text = (
        "arazzo: VERSION\ninfo: {title: T, version: '1'}\n"
        "sourceDescriptions: [{name: shop, url: ../elsewhere/shop.yaml}] # HERE\nworkflows:\n"
    ) + one_step("operationId: listPets")
    arazzo.tolerated(text, "source-nearby")
    assert arazzo.run(text).calls == ["GET /pets"]


@tolerance(
    "path-parameter-name",
    "`name: pet_id` or `name: id` with `in: path` for the only parameter `petId` of a path",
    "this parameter of the path",
    "`name: petId`",
)
def test_path_parameter_name(arazzo: Arazzo) -> None:
    step = "operationId: getPet\nparameters:\n- {name: %s, in: path, value: 7}"
    for name in ("pet_id", "PetID", "pet-id", "id", "the_pet_id"):
        arazzo.tolerated(one_step(step % name + " # HERE"), "path-parameter-name")
        assert arazzo.step(step % name).calls == ["GET /pets/7"]
    for name in ("shopId", "pet", "petIds", "d"):
        arazzo.refused(one_step(step % name + " # HERE"), "unknown-parameter")
    arazzo.refused(
        one_step(step % "id" + " # HERE\n- {name: petId, in: path, value: 8}"), "unknown-parameter"
    )
    arazzo.refused(one_step(step % "id" + " # HERE\n- {name: pet, in: path, value: 8}"), "unknown-parameter")


@tolerance(
    "querystring-and-query",
    "a `querystring` parameter and `query` parameters in one step",
    "both are sent, joined with `&`",
    "one of the two",
)
def test_querystring_and_query(arazzo: Arazzo) -> None:
    step = (
        "operationId: search\nparameters:\n- {name: b, in: query, value: 2}\n"
        "- {name: q, in: querystring, value: a=1}"
    )
    arazzo.tolerated(one_step(f"{step} # HERE"), "querystring-and-query")
    assert arazzo.step(step).calls == ["GET /search?b=2&a=1"]


@tolerance(
    "unresolved-reference",
    "a `$ref` of an operation that leads nowhere",
    "what it stands for is left out",
    "a `$ref` that leads somewhere",
)
def test_unresolved_reference(arazzo: Arazzo) -> None:
    operation = "{operationId: others, parameters: [{$ref: '#/components/parameters/none'}]}"
    arazzo.write("other.yaml", OTHER.replace("{operationId: others}", operation + " # HERE\n"))
    step = "operationId: $sourceDescriptions.other.others"
    arazzo.tolerated(one_step(step), "unresolved-reference", sources=SECOND)
    assert arazzo.run(one_step(step), sources=SECOND).calls == ["GET /o"]


@tolerance(
    "security-requirement",
    "a `security` requirement of OpenAPI that is no object",
    "it asks for nothing",
    "`security: [{key: []}]`",
)
def test_security_requirement(arazzo: Arazzo) -> None:
    arazzo.write(
        "other.yaml", OTHER.replace("{operationId: others}", "{operationId: others, security: [key]}")
    )
    step = "operationId: $sourceDescriptions.other.others"
    assert arazzo.tolerated(one_step(step), "security-requirement", sources=SECOND)
    assert arazzo.run(one_step(step), sources=SECOND).sent[0].security == ()


@tolerance(
    "unknown-security-scheme",
    "a `security` requirement of a scheme that is not described",
    "this alternative is left out",
    "the scheme under `components.securitySchemes`",
)
def test_unknown_security_scheme(arazzo: Arazzo) -> None:
    operation = "{operationId: others, security: [{none: []}]}"
    arazzo.write("other.yaml", OTHER.replace("{operationId: others}", operation))
    step = "operationId: $sourceDescriptions.other.others"
    assert arazzo.tolerated(one_step(step), "unknown-security-scheme", sources=SECOND)
    assert arazzo.run(one_step(step), sources=SECOND).sent[0].security == ()


@tolerance(
    "recursive-schema",
    "a schema of inputs that contains itself",
    "from the second round on anything is accepted",
    "a schema of finite depth",
)
def test_recursive_schema(arazzo: Arazzo) -> None:
    text = one_step("operationId: createPet\nrequestBody: {payload: $inputs.tree}").replace(
        "  steps:",
        "  inputs: {type: object, properties: {tree: {$ref: '#/components/inputs/tree'}}}\n  steps:",
    )
    text += (
        "components: {inputs: {tree: {type: object, "
        "properties: {left: {$ref: '#/components/inputs/tree'}}}}} # HERE"
    )
    arazzo.tolerated(text, "recursive-schema")
    assert arazzo.run(text, inputs={"tree": {"left": {"left": 5}}}).body() == '{"left":{"left":5}}'


@tolerance(
    "required-property",
    "`required: true` in a property of the inputs",
    "the property is required",
    "`required: [name]` beside `properties`",
)
def test_required_property(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nparameters: [{name: limit, in: query, value: $inputs.n}]"
    text = one_step(step, "n: {type: integer, required: true} # HERE\n ")
    arazzo.tolerated(text, "required-property")
    assert arazzo.plan(text).root.inputs["required"] == ["n"]


# --- parameters and bodies -------------------------------------------------------------------------------


@tolerance(
    "parameter-place",
    "a parameter in another place than the operation declares it, or without `in`",
    "the only place that the operation has for that name",
    "`in` as the operation says",
)
def test_parameter_place(arazzo: Arazzo) -> None:
    for place in ("", ", in: header"):
        step = f"operationId: listPets\nparameters:\n- {{name: limit{place}, value: 3}}"
        arazzo.tolerated(one_step(f"{step} # HERE"), "parameter-place")
        assert arazzo.step(step).calls == ["GET /pets?limit=3"]
    text = one_step("operationId: listPets\nparameters: [{name: limit, value: 3}]")
    shared = "  parameters: [{name: limit, in: query, value: 9}]\n  steps:"
    assert arazzo.run(text.replace("  steps:", shared)).calls == ["GET /pets?limit=3"]


@tolerance(
    "content-type-parameter",
    "a header parameter `Content-Type`",
    "it is not sent: the body says what it is",
    "`requestBody.contentType`",
)
def test_content_type_parameter(arazzo: Arazzo) -> None:
    step = (
        "operationId: createPet\nrequestBody: {payload: {a: 1}}\n"
        "parameters:\n- {name: content-type, in: header, value: text/xml}"
    )
    arazzo.tolerated(one_step(f"{step} # HERE"), "content-type-parameter")
    assert arazzo.step(step).header("Content-Type") == "application/json"


@tolerance(
    "content-type",
    "a `contentType` that the operation does not describe",
    "it is sent as written",
    "one that the operation describes",
)
def test_content_type(arazzo: Arazzo) -> None:
    step = "operationId: login\nrequestBody:\n  payload: {a: 1}\n  contentType: application/json"
    arazzo.tolerated(one_step(f"{step} # HERE"), "content-type")
    assert arazzo.step(step).body() == '{"a":1}'


@tolerance(
    "missing-body-property",
    "a payload without a property that the operation requires",
    "it is sent without it",
    "the property in the payload",
)
def test_missing_body_property(arazzo: Arazzo) -> None:
    schema = "{type: object, required: [name]}"
    body = f"{{operationId: others, requestBody: {{content: {{application/json: {{schema: {schema}}}}}}}}}"
    arazzo.write("other.yaml", OTHER.replace("get: {operationId: others}", f"post: {body}"))
    step = "operationId: $sourceDescriptions.other.others\nrequestBody:\n  payload: {a: 1}"
    arazzo.tolerated(one_step(f"{step} # HERE"), "missing-body-property", sources=SECOND)
    assert arazzo.run(one_step(step), sources=SECOND).body() == '{"a":1}'


# --- actions ---------------------------------------------------------------------------------------------


@tolerance("action-name", "an action without `name`", "it overrides no other", "`name: something`")
def test_action_name(arazzo: Arazzo) -> None:
    step = "operationId: search\nonSuccess:\n- {type: end}"
    arazzo.tolerated(one_step(f"{step} # HERE"), "action-name")
    assert arazzo.step(step).done.ended_by == "end"


@tolerance("negative-retry", "a negative `retryLimit` or `retryAfter`", "0", "a number that is not negative")
def test_negative_retry(arazzo: Arazzo) -> None:
    for field, sent in (("retryLimit: -1", 1), ("retryAfter: -5", 2)):
        step = f"operationId: search\nonFailure:\n- {{name: a, type: retry, {field}}}"
        arazzo.tolerated(one_step(f"{step} # HERE"), "negative-retry")
        run = arazzo.step(step, *[reply(503)] * sent)
        assert (len(run.sent), run.waits) == (sent, [])


@tolerance(
    "unsafe-retry",
    "`retry` of a POST or PATCH",
    "it is not repeated while nobody knows what became of it",
    "an operation that honours an idempotency key, and says so",
)
def test_unsafe_retry(arazzo: Arazzo) -> None:
    text = (
        "- workflowId: w\n  steps:\n  - stepId: s # HERE\n"
        "    operationId: createPet\n    onFailure: [{name: a, type: retry}]"
    )
    arazzo.tolerated(text, "unsafe-retry")
    assert len(arazzo.run(text, reply(500)).sent) == 1
    assert len(arazzo.run(text, reply(429), reply(201)).sent) == 2


# --- credentials -----------------------------------------------------------------------------------------


@tolerance(
    "literal-credential",
    "a credential written into the document",
    "it is not sent: the connection's is",
    "an input, or no parameter at all",
)
def test_literal_credential(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nparameters:\n- {name: Authorization, in: header, value: Bearer abc123}"
    arazzo.tolerated(one_step(f"{step} # HERE"), "literal-credential")
    run = arazzo.step(step)
    assert run.header("Authorization") is None
    assert run.sent[0].credentials == ("Authorization",)


@tolerance(
    "literal-credential",
    "a credential written into the parameters of a called workflow",
    "it is not handed on: the connection's is sent",
    "an input, or no parameter at all",
)
def test_literal_credential_for_workflow(arazzo: Arazzo) -> None:
    login = "operationId: listPets\nparameters: [{name: X-API-Key, in: header, value: $inputs.key}]"
    text = one_step("workflowId: v\nparameters:\n- {name: key, value: abc123} # HERE") + one_step(
        login, "key: {}", name="v"
    )
    arazzo.tolerated(text, "literal-credential")
    call = arazzo.plan(text).root.steps[0].call
    assert isinstance(call, WorkflowCall)
    assert call.inputs == ()
