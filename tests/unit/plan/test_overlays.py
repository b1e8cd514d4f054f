"""OpenAPI Overlay 1.0: what actions do to documents, which documents they are for, and where values stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from airflow_arazzo.description.diagnostics import DocumentError, sorted_diagnostics
from airflow_arazzo.description.documents import Report
from airflow_arazzo.description.fields import lexeme
from airflow_arazzo.description.sources import Library
from airflow_arazzo.plan.cache import load_plan
from airflow_arazzo.plan.compiler import compile_document, compile_workflow, workflow_ids
from airflow_arazzo.plan.options import Options
from airflow_arazzo.plan.overlays import apply_overlays

HEAD = "overlay: 1.0.0\ninfo: {title: T, version: 1.0.0}\n"
ARAZZO = """\
arazzo: 1.0.1
info: {title: T, version: 1.0.0}
sourceDescriptions:
- {name: shop, url: https://shop.example/v1/shop.yaml, type: openapi}
workflows:
- workflowId: w
  steps:
  - stepId: s
    operationId: order
    requestBody:
      contentType: application/json
      payload: {amount: 10.10, when: 1}
"""
SHOP = """\
openapi: 3.1.0
info: {title: Shop, version: 1.0.0}
servers: [{url: https://shop.example}]
paths:
  /orders:
    post:
      operationId: order
      requestBody: {content: {application/json: {schema: {type: object}}}}
"""


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_yaml", ".yaml").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")


@pytest.fixture
def patched(tmp_path: Path) -> Callable[..., Any]:
    """The value of a document after overlays, and what was found: ``patched(document, *overlays)``."""

    def apply(document: str, *overlays: str) -> tuple[Any, list[str]]:
        (tmp_path / "document.yaml").write_text(dedent(document))
        paths = []
        for number, text in enumerate(overlays):
            paths.append(tmp_path / f"overlay{number}.yaml")
            paths[-1].write_text(HEAD + "actions:\n" + dedent(text))
        report = Report()
        library = Library(tmp_path / "document.yaml")
        apply_overlays(library, paths, report)
        return library.load(library.entry).value, [str(each) for each in report.diagnostics]

    return apply


# --- what actions do (Overlay 1.0.0, "Action Object") ------------------------------------------------

RULES: dict[str, tuple[str, str, str]] = {
    "properties of an object are replaced and added": (
        "info: {title: Old, version: 1}",
        "- {target: $.info, update: {title: New, x-more: true}}",
        "info: {title: New, version: 1, x-more: true}",
    ),
    "objects are merged recursively": (
        "a: {b: {c: 1, d: {e: 2}}, f: 3}",
        "- {target: $, update: {a: {b: {d: {g: 4}}}}}",
        "a: {b: {c: 1, d: {e: 2, g: 4}}, f: 3}",
    ),
    "an entry is appended to an array": (
        "tags: [{name: a}]",
        "- {target: $.tags, update: {name: b}}",
        "tags: [{name: a}, {name: b}]",
    ),
    "a plain value is an entry, too": ("tags: [a]", "- {target: $.tags, update: b}", "tags: [a, b]"),
    "null is an entry, too": ("tags: [a]", "- {target: $.tags, update: null}", "tags: [a, null]"),
    "an array is one entry of an array of arrays": (
        "rows: [[1, 2]]",
        "- {target: $.rows, update: [3, 4]}",
        "rows: [[1, 2], [3, 4]]",
    ),
    "arrays inside merged objects are joined": (
        "get: {parameters: [{name: a}], tags: []}",
        "- {target: $.get, update: {parameters: [{name: b}, {name: c}], tags: [t]}}",
        "get: {parameters: [{name: a}, {name: b}, {name: c}], tags: [t]}",
    ),
    "plain values and null take each other's place": (
        "a: {b: 1, c: null, d: x}",
        "- {target: $.a, update: {b: text, c: true, d: null}}",
        "a: {b: text, c: true, d: null}",
    ),
    "every selected node is updated": (
        "paths: {/a: {get: {}, put: {}}, /b: {get: {x: 1}}}",
        "- {target: $.paths.*.get, update: {safe: true}}",
        "paths: {/a: {get: {safe: true}, put: {}}, /b: {get: {x: 1, safe: true}}}",
    ),
    "a filter selects": (
        "parameters: [{name: a}, {name: b, in: query}]",
        "- {target: \"$.parameters[?@.name=='b' && @.in=='query']\", update: {schema: {type: integer}}}",
        "parameters: [{name: a}, {name: b, in: query, schema: {type: integer}}]",
    ),
    "a filter compares exact numbers": (
        "a: [{n: 0.1}, {n: 0.1000000000000000055511151231257827}]",
        "- {target: '$.a[?@.n == 0.1]', update: {hit: true}}",
        "a: [{n: 0.1, hit: true}, {n: 0.1000000000000000055511151231257827}]",
    ),
    "an object is removed from its object": (
        "paths: {/a: {}, /b: {}}",
        "- {target: \"$.paths['/a']\", remove: true}",
        "paths: {/b: {}}",
    ),
    "items are removed from their array": (
        "servers: [{url: a}, {url: b}, {url: c}, {url: a}]",
        "- {target: \"$.servers[?@.url == 'a' || @.url == 'b']\", remove: true}",
        "servers: [{url: c}]",
    ),
    "what is in something that is removed may be selected, too": (
        "a: {b: {c: {}}, d: {}}",
        "- {target: \"$.a['b', 'b']..*\", remove: true}\n- {target: $..b, remove: true}",
        "a: {d: {}}",
    ),
    "update has no effect beside remove": (
        "a: {b: {}}",
        "- {target: $.a.b, update: {c: 1}, remove: true}",
        "a: {}",
    ),
    "remove: false is like no remove": (
        "a: {}",
        "- {target: $.a, remove: false, update: {b: 1}}",
        "a: {b: 1}",
    ),
    "actions see what those before them have done": (
        "a: {list: [1, 2]}",
        "- {target: $.a.list, remove: true}\n- {target: $.a, update: {list: [3]}}\n"
        "- {target: $.a.list, update: 4}",
        "a: {list: [3, 4]}",
    ),
    "a node that is selected twice is updated once": (
        "a: []",
        "- {target: \"$['a', 'a']\", update: x}",
        "a: [x]",
    ),
    "the root is updated": ("a: 1", "- {target: $, update: {b: 2}}", "{a: 1, b: 2}"),
    "keys that are numbers in YAML are texts": (
        "responses: {200: {d: a}}",
        "- {target: \"$.responses['200']\", update: {d: b}}",
        "responses: {'200': {d: b}}",
    ),
    "extensions of an overlay mean nothing": (
        "a: {}",
        "- {target: $.a, x-why: because, description: Some *text*, update: {b: 1}}",
        "a: {b: 1}",
    ),
}


@pytest.mark.parametrize(("before", "actions", "after"), RULES.values(), ids=list(RULES))
def test_actions(patched: Callable[..., Any], before: str, actions: str, after: str) -> None:
    value, found = patched(before, actions)
    assert found == []
    expected, _ = patched(after)
    assert value == expected
    assert json.dumps(value, default=str) == json.dumps(expected, default=str), "the order of keys"


def test_an_update_is_not_shared_between_the_places_it_goes_to(patched: Callable[..., Any]) -> None:
    value, _ = patched(
        "{a: {}, b: {}}",
        "- {target: $.*, update: {list: [1]}}\n- {target: $.a.list, update: 2}",
    )
    assert value == {"a": {"list": [1, 2]}, "b": {"list": [1]}}


def test_an_alias_is_patched_where_it_stands(patched: Callable[..., Any]) -> None:
    value, _ = patched("{a: &x {n: 1}, b: *x}", "- {target: $.a, update: {n: 2}}")
    assert value == {"a": {"n": 2}, "b": {"n": 1}}


def test_numbers_keep_their_digits(patched: Callable[..., Any]) -> None:
    value, _ = patched("a: {b: 1}", "- {target: $.a, update: {b: 10.10, c: 007, d: 12345678901234567890}}")
    assert value["a"] == {"b": Decimal("10.10"), "c": 7, "d": 12345678901234567890}
    assert [lexeme(each) for each in value["a"].values()] == ["10.10", "007", "12345678901234567890"]


def test_several_overlays_in_order_each_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("tags: []\n")
    for name in "one", "two":
        (tmp_path / f"{name}.yaml").write_text(HEAD + f"actions: [{{target: $.tags, update: {name}}}]\n")
    for order in (["one", "two"], ["two", "one", "two"]):
        library = Library(tmp_path / "a.yaml")
        apply_overlays(library, [tmp_path / f"{name}.yaml" for name in order], Report())
        assert library.load(library.entry).value == {"tags": order[:2]}


def test_growth_is_bounded(patched: Callable[..., Any]) -> None:
    many = "[" + "0," * 1000 + "]"
    _, found = patched("a: [" + "{}," * 300 + "]", f"- {{target: '$.a[*]', update: {{b: {many}}}}}")
    assert len(found) == 1
    assert "overlays add more than 200000 values to document.yaml [too-large]" in found[0]


def test_depth_is_bounded(patched: Callable[..., Any]) -> None:
    deep = "{a: " * 100 + "1" + "}" * 100
    _, found = patched("a: " + deep, "- {target: " + "$" + ".a" * 101 + ", update: 1}")
    assert "is nested" not in "".join(found)
    _, found = patched("b: " + deep, "- {target: $.b" + ".a" * 99 + f", update: {{z: {deep}}}}}")
    assert [each for each in found if "[too-deep]" in each]


# --- which document an overlay is for ----------------------------------------------------------------


def target_of(folder: Path, extends: str, *, overlay: str = "overlays/o.yaml", **options: Any) -> str:
    """What an overlay with an ``extends`` has patched: ``entry``, ``shop``, nothing, or the error."""
    path = folder / overlay
    path.parent.mkdir(parents=True, exist_ok=True)
    line = f"extends: {extends}\n" if extends else ""
    path.write_text(HEAD + line + "actions: [{target: $, update: {x-patched: true}}]\n")
    library = Library(folder / "arazzo.yaml", **options)
    report = Report()
    apply_overlays(library, [path], report)
    if report.failed:
        return str(report.diagnostics[0].code)
    values = {p.name: d.value for p, d in library.documents.items()}
    (name,) = (name for name, value in values.items() if value.get("x-patched"))
    return name + "".join(f" ({d.severity})" for d in sorted_diagnostics(report.diagnostics))


@pytest.mark.parametrize(
    ("extends", "patched"),
    [
        ("", "arazzo.yaml"),
        ("../arazzo.yaml", "arazzo.yaml"),
        ("./../arazzo.yaml", "arazzo.yaml"),
        ("arazzo.yaml", "arazzo.yaml (note)"),
        ("elsewhere/arazzo.yaml", "arazzo.yaml (warning)"),
        ("https://flows.example/self", "arazzo.yaml"),
        ("../sources/shop.yaml", "shop.yaml"),
        ("https://shop.example/v1/shop.yaml", "shop.yaml"),
        ("https://mirror.example/shop.yaml", "shop.yaml (note)"),
        ("shop.yaml", "shop.yaml (note)"),
        ("https://shop.example/self", "shop.yaml"),
        ("nothing.yaml", "overlay-document"),
        ("https://[", "overlay-document"),
    ],
)
def test_extends_names_the_document(tmp_path: Path, extends: str, patched: str) -> None:
    write(
        tmp_path,
        arazzo_yaml=ARAZZO + "$self: https://flows.example/self\n",
        sources__shop_yaml=SHOP + "$self: https://shop.example/self\n",
    )
    assert target_of(tmp_path, extends, source_path=(tmp_path / "sources",)) == patched


def test_a_source_that_is_mapped(tmp_path: Path) -> None:
    write(tmp_path, arazzo_yaml=ARAZZO, mine__other_yaml=SHOP)
    mapping = {"shop": tmp_path / "mine" / "other.yaml"}
    assert target_of(tmp_path, "https://shop.example/v1/shop.yaml", mapping=mapping) == "other.yaml"
    assert target_of(tmp_path, "shop.yaml", mapping=mapping) == "overlay-document"


def test_a_source_of_a_source(tmp_path: Path) -> None:
    outer = ARAZZO.replace("shop.yaml, type: openapi", "more.yaml, type: arazzo")
    write(tmp_path, arazzo_yaml=outer, more_yaml=ARAZZO, shop_yaml=SHOP)
    assert target_of(tmp_path, "../shop.yaml") == "shop.yaml"
    assert target_of(tmp_path, "../more.yaml") == "more.yaml"


def test_a_file_name_that_two_sources_have(tmp_path: Path) -> None:
    two = "- {name: shop, url: a/api.yaml}\n- {name: other, url: b/api.yaml}\n"
    write(tmp_path, arazzo_yaml=ARAZZO.split("- {name")[0] + two, a__api_yaml=SHOP, b__api_yaml=SHOP)
    assert target_of(tmp_path, "api.yaml") == "overlay-ambiguous"
    assert target_of(tmp_path, "a/api.yaml", overlay="o.yaml") == "api.yaml"


def test_a_source_that_an_overlay_has_put_there(tmp_path: Path) -> None:
    """The first overlay names another source, the second patches that one."""
    write(
        tmp_path,
        arazzo_yaml=ARAZZO,
        sandbox_yaml=SHOP,
        one_yaml=HEAD + "actions: [{target: '$.sourceDescriptions[0]', update: {url: sandbox.yaml}}]\n",
        two_yaml=HEAD
        + "extends: sandbox.yaml\n"
        + "actions: [{target: '$.paths.*.post', update: {operationId: 'put'}}]\n",
        three_yaml=HEAD + "actions: [{target: '$.workflows[0].steps[0]', update: {operationId: put}}]\n",
    )
    overlays = tuple(tmp_path / f"{name}.yaml" for name in ("two", "one", "three"))
    plan, _ = compile_workflow(tmp_path / "arazzo.yaml", "w", Options(overlays=overlays))
    assert plan.root.steps[0].call.operation == "put"  # type: ignore[union-attr]


# --- through the compiler ------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write(tmp_path, arazzo_yaml=ARAZZO.replace("https://shop.example/v1/", ""), shop_yaml=SHOP)
    return tmp_path


def overlay(folder: Path, text: str, extends: str = "", name: str = "o.yaml") -> Options:
    (folder / name).write_text(
        HEAD + (f"extends: {extends}\n" if extends else "") + "actions:\n" + dedent(text)
    )
    return Options(overlays=(folder / name,))


def test_positions_are_where_things_were_written(shop: Path) -> None:
    """In the document what is the document's, in the overlay what is the overlay's."""
    document = (
        ARAZZO
        + """\
- workflowId: v
  steps:
  - {stepId: first, operationId: order}
  - {stepId: second, operationId: oder}
"""
    )
    write(shop, arazzo_yaml=document)
    options = overlay(
        shop,
        """\
        - target: $.workflows[1].steps[0]
          remove: true
        - target: $.workflows[?@.workflowId == 'v'].steps
          update:
            stepId: third
            operationId: $inputs.x
            odd: 1
        - target: $.workflows[0].steps[0]
          update: {operationId: ordr, outputs: {x: $response.bdy}}
        """,
    )
    found = {(d.code, str(d.position)) for d in compile_document(shop / "arazzo.yaml", options).diagnostics}
    assert found >= {
        ("unknown-operation", "arazzo.yaml:16:35"),
        ("unknown-operation", "o.yaml:9:18"),
        ("unknown-field", "o.yaml:10:5"),
        ("unknown-operation", "o.yaml:12:25"),
    }, found


def test_positions_in_a_patched_source(shop: Path) -> None:
    options = overlay(shop, "- {target: $.paths.*.post.requestBody.content, remove: true}", "shop.yaml")
    more = overlay(
        shop,
        "- target: $.paths.*.post\n  update: {parameters: [{name: p, in: query, $ref: '#/nowhere'}]}\n",
        "shop.yaml",
        "p.yaml",
    )
    options = Options(overlays=(*options.overlays, *more.overlays))
    found = [str(d.position) for d in compile_document(shop / "arazzo.yaml", options).diagnostics]
    assert any(place.startswith("p.yaml:6:") for place in found), found


def test_a_patched_number_is_sent_as_the_overlay_writes_it(shop: Path) -> None:
    options = overlay(shop, "- {target: '$.workflows[0].steps[0].requestBody.payload', update: {when: 1.50}}")
    plan, _ = compile_workflow(shop / "arazzo.yaml", "w", options)
    assert '"value":1.50' in _text(plan) or "1.50" in _text(plan)
    assert "10.10" in _text(plan)


def _text(plan: Any) -> str:
    from airflow_arazzo.plan.codec import encode_plan

    return encode_plan(plan).decode()


def test_workflows_that_an_overlay_adds_and_removes(shop: Path) -> None:
    options = overlay(
        shop,
        "- {target: $.workflows, update: {workflowId: v, steps: [{stepId: s, operationId: order}]}}\n"
        "- {target: \"$.workflows[?@.workflowId == 'w']\", remove: true}\n",
    )
    assert workflow_ids(shop / "arazzo.yaml", options)[0] == ("v",)
    plan, dependencies = compile_workflow(shop / "arazzo.yaml", options=options)
    assert (plan.workflow, plan.root.line, plan.root.steps[0].line) == ("v", 0, 0)
    assert str(shop / "o.yaml") in dependencies


def test_names_that_an_overlay_repeats(shop: Path) -> None:
    options = overlay(shop, "- {target: '$.workflows[0].steps', update: {stepId: s, operationId: order}}")
    (only,) = compile_document(shop / "arazzo.yaml", options).diagnostics
    assert only.message == "the step 's' exists already, at arazzo.yaml:8:13"
    assert str(only.position).startswith("o.yaml:4:")


def test_a_warning_stands_in_the_plan_and_strict_refuses_it(shop: Path) -> None:
    options = overlay(shop, "- {target: $.nothing, remove: true}")
    plan, _ = compile_workflow(shop / "arazzo.yaml", "w", options)
    (only,) = plan.diagnostics
    assert (only.code, str(only.position)) == ("overlay-no-match", "o.yaml:4:12")
    with pytest.raises(DocumentError, match="overlay-no-match"):
        compile_workflow(shop / "arazzo.yaml", "w", Options(overlays=options.overlays, strict=True))


def test_the_cache_notices_changed_overlays(shop: Path) -> None:
    folder = shop / "cache"
    path = shop / "arazzo.yaml"

    def sent(options: Options | None = None) -> Any:
        return _text(load_plan(path, "w", options, folder))

    payload = "- {target: '$.workflows[0].steps[0].requestBody.payload', update: {when: %s}}"
    plain = sent()
    one = sent(overlay(shop, payload % "2026"))
    assert "2026" in one
    assert "2026" not in plain
    assert sent() == plain
    assert sent(overlay(shop, payload % "2026")) == one
    assert "2027" in sent(overlay(shop, payload % "2027"))
    (shop / "o.yaml").unlink()
    with pytest.raises(DocumentError, match="unreadable"):
        sent(Options(overlays=(shop / "o.yaml",)))


def test_a_json_overlay(shop: Path) -> None:
    content = {
        "overlay": "1.0.2",
        "info": {"title": "T", "version": "1"},
        "actions": [{"target": "$.workflows[0]", "update": {"summary": "patched", "odd": 1}}],
    }
    (shop / "o.json").write_text(json.dumps(content, indent=1))
    result = compile_document(shop / "arazzo.yaml", Options(overlays=(shop / "o.json",)))
    assert result.plans["w"].root.summary == "patched"
    assert [str(d.position) for d in result.diagnostics] == ["o.json:12:5"]
