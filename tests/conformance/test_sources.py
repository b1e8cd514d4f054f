"""The Source Description Object."""

from __future__ import annotations

from pathlib import Path

from airflow_arazzo.plan.options import Options
from tests.conformance.harness import Arazzo, one_step
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
SOURCE = "Source Description Object"
LIST = one_step("operationId: listPets")


def document(source: str) -> str:
    return f"""
arazzo: VERSION
info: {{title: T, version: '1'}}
sourceDescriptions:
{source}
workflows:
{LIST}"""


@cases(
    "source",
    case("name", BOTH, SOURCE, "`name` is required", "{url: shop.yaml}"),
    case("url", BOTH, SOURCE, "`url` is required", "{name: shop}"),
)
def test_required(arazzo: Arazzo, source: str) -> None:
    arazzo.refused(document(f"- {source} # HERE"), "missing-field")


@rule(BOTH, SOURCE, "`name` is unique")
def test_unique_names(arazzo: Arazzo) -> None:
    twice = "- {name: shop, url: shop.yaml}\n- {name: shop, url: orders.yaml} # HERE"
    arazzo.refused(document(twice), "duplicate-source")


@rule(BOTH, SOURCE, "`name` is case-sensitive")
def test_case_of_names(arazzo: Arazzo) -> None:
    arazzo.refused(one_step("operationId: $sourceDescriptions.Shop.listPets # HERE"), "unknown-source")


@rule(BOTH, SOURCE, "`name` should, but need not, be of letters, digits, `_` and `-`")
def test_odd_names(arazzo: Arazzo) -> None:
    text = document("- {name: 'the shop (v1.2)', url: shop.yaml}")
    text = text.replace("listPets", "$sourceDescriptions.the shop (v1.2).listPets")
    assert arazzo.findings(text) == []
    assert arazzo.run(text).calls == ["GET /pets"]


@cases(
    "type",
    case("openapi", BOTH, SOURCE, "`type`: `openapi`", "type: openapi"),
    case("none", BOTH, SOURCE, "`type` may be left out; the file then says what it is", ""),
)
def test_openapi(arazzo: Arazzo, type: str) -> None:
    text = document(f"- {{name: shop, url: shop.yaml, {type}}}")
    assert arazzo.findings(text, notes=True) == []
    assert arazzo.run(text).calls == ["GET /pets"]


@cases(
    "type",
    case("arazzo", BOTH, SOURCE, "`type`: `arazzo`", ", type: arazzo"),
    case("none", BOTH, SOURCE, "an Arazzo document is recognised without `type`", ""),
)
def test_arazzo(arazzo: Arazzo, type: str) -> None:
    arazzo.document(LIST, "other.yaml")
    run = arazzo.step(
        "workflowId: $sourceDescriptions.other.w", sources=f"- {{name: other, url: other.yaml{type}}}"
    )
    assert run.calls == ["GET /pets"]


@rule("1.1", SOURCE, "`type`: `asyncapi` is accepted as long as no step uses the source")
def test_unused_asyncapi(arazzo: Arazzo) -> None:
    run = arazzo.run(LIST, sources="- {name: orders, url: orders.yaml, type: asyncapi}")
    assert run.calls == ["GET /pets"]


@cases(
    "type",
    case(
        "named",
        "1.1",
        SOURCE,
        "`type`: `asyncapi`, used by a step",
        "asyncapi",
        refused="asyncapi-unsupported",
    ),
    case("not", "1.1", SOURCE, "an AsyncAPI file without `type`", "", refused="asyncapi-unsupported"),
)
def test_asyncapi(arazzo: Arazzo, type: str) -> None:
    kind = f", type: {type}" if type else ""
    step = "operationId: $sourceDescriptions.orders.placeOrder # HERE"
    arazzo.refused(
        one_step(step), "asyncapi-unsupported", sources=f"- {{name: orders, url: orders.yaml{kind}}}"
    )


@rule(BOTH, SOURCE, "`type` has no other value")
def test_other_type(arazzo: Arazzo) -> None:
    arazzo.refused(document("- {name: shop, url: shop.yaml, type: graphql} # HERE"), "wrong-value")


@rule(BOTH, SOURCE, "`url` may be relative to the document")
def test_relative_url(arazzo: Arazzo) -> None:
    arazzo.write("apis/v1/pets.yaml", (arazzo.folder / "shop.yaml").read_text())
    text = document("- {name: shop, url: ./apis/v1/pets.yaml, type: openapi}")
    assert arazzo.findings(text, notes=True) == []
    assert arazzo.run(text).calls == ["GET /pets"]


@rule(
    BOTH,
    SOURCE,
    "`url` may be absolute",
    differs="it is never fetched: a local file of that name stands for it",
)
def test_absolute_url(arazzo: Arazzo) -> None:
    arazzo.noted(document("- {name: shop, url: 'https://api.example/shop.yaml'} # HERE"), "source-nearby")
    assert arazzo.run(document("- {name: shop, url: 'https://api.example/shop.yaml'}")).calls == ["GET /pets"]


@rule(BOTH, SOURCE, "a source whose file is not there is refused")
def test_missing_source(arazzo: Arazzo) -> None:
    arazzo.refused(
        document("- {name: shop, url: 'https://api.example/else.yaml'} # HERE"), "source-not-found"
    )


@rule(BOTH, SOURCE, "a file can be given for a source by its name")
def test_mapped_source(arazzo: Arazzo) -> None:
    text = document("- {name: shop, url: 'https://api.example/else.yaml'}")
    options = Options(sources={"shop": Path(arazzo.folder / "shop.yaml")})
    assert arazzo.findings(text, options=options) == []


@rule(BOTH, SOURCE, "an OpenAPI description is of version 3.0, 3.1 or 3.2")
def test_openapi_version(arazzo: Arazzo) -> None:
    written = (arazzo.folder / "shop.yaml").read_text()
    for version in ("3.0.4", "3.1.1", "3.2.0"):
        arazzo.write("shop.yaml", written.replace("3.2.0", version))
        assert arazzo.codes(document("- {name: shop, url: shop.yaml}")) == []
    arazzo.write("shop.yaml", written.replace("openapi: 3.2.0", "swagger: '2.0'"))
    arazzo.refused(document("- {name: shop, url: shop.yaml} # HERE"), "openapi-version")
