"""Typical documents with the slips that real ones have: they give diagnostics or plans, never a traceback.

The slips are planted at random places, from a fixed seed, so that every run plants the same.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.description.diagnostics import Severity
from airflow_arazzo.description.documents import parse_document
from airflow_arazzo.plan.codec import decode_plan, encode_plan
from airflow_arazzo.plan.compiler import compile_document
from airflow_arazzo.plan.options import Options
from tests.unit.plan.test_fuzz import API, RICH

SPECS = Path(__file__).parents[3] / "specs"
ROUNDS = 60
"""Documents made of each typical document."""


@dataclass(frozen=True)
class Place:
    """A member of an object or an item of an array in a document, which can be changed."""

    owner: Any
    key: Any

    @property
    def value(self) -> Any:
        return self.owner[self.key]

    def put(self, value: Any) -> None:
        self.owner[self.key] = value


def places(value: Any) -> Iterator[Place]:
    """Every place below a value."""
    if not isinstance(value, dict | list):
        return
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield Place(value, key)
        yield from places(inner)


Slip = Callable[[random.Random, dict[str, Any]], None]


def among(found: list[Place], rng: random.Random) -> Place | None:
    return rng.choice(found) if found else None


def in_fields(*names: str) -> Callable[[Callable[[random.Random, Place], None]], Slip]:
    """A slip at a member of one of these names, or anywhere where none is given."""

    def make(change: Callable[[random.Random, Place], None]) -> Slip:
        def slip(rng: random.Random, document: dict[str, Any]) -> None:
            found = [p for p in places(document) if not names or p.key in names]
            place = among(found, rng)
            if place is not None:
                change(rng, place)

        slip.__name__ = change.__name__
        return slip

    return make


def in_texts(*parts: str) -> Callable[[Callable[[random.Random, str], Any]], Slip]:
    """A slip in a text that has one of these parts."""

    def make(change: Callable[[random.Random, str], Any]) -> Slip:
        def slip(rng: random.Random, document: dict[str, Any]) -> None:
            texts = [p for p in places(document) if isinstance(p.value, str)]
            place = among([p for p in texts if any(part in p.value for part in parts)], rng)
            if place is not None:
                place.put(change(rng, place.value))

        slip.__name__ = change.__name__
        return slip

    return make


@in_fields()
def leave_out(rng: random.Random, place: Place) -> None:
    if isinstance(place.owner, dict):
        del place.owner[place.key]


@in_fields()
def wrong_type(rng: random.Random, place: Place) -> None:
    place.put(rng.choice([None, 7, "x", True, [], {}, [1], {"a": 1}, "", -1.5]))


@in_fields()
def one_for_many(rng: random.Random, place: Place) -> None:
    place.put(place.value[0] if isinstance(place.value, list) and place.value else [place.value])


@in_fields()
def misspelt_field(rng: random.Random, place: Place) -> None:
    if isinstance(place.owner, dict):
        name = str(place.key)
        value = place.owner.pop(place.key)
        place.owner[rng.choice([name.lower(), name + "s", name.replace("Id", "ID"), f" {name}"])] = value


@in_fields("outputs")
def outputs_as_list(rng: random.Random, place: Place) -> None:
    if isinstance(place.value, dict):
        pairs = [{"name": name, "value": value} for name, value in place.value.items()]
        place.put(
            rng.choice([[place.value], pairs, list(place.value), [{n: v} for n, v in place.value.items()]])
        )


@in_fields("successCriteria", "criteria")
def criteria_as_text(rng: random.Random, place: Place) -> None:
    place.put(rng.choice([[], ["$statusCode == 200"], "$statusCode == 200", {"condition": "$statusCode"}]))


@in_fields("type")
def other_type(rng: random.Random, place: Place) -> None:
    kinds = [
        "regex",
        "jsonpath",
        "xpath",
        "retry",
        "goto",
        "Simple",
        "string",
        {"type": "jsonpath"},
        "asyncapi",
    ]
    place.put(rng.choice(kinds))


@in_fields("retryAfter", "retryLimit", "timeout")
def odd_number(rng: random.Random, place: Place) -> None:
    place.put(rng.choice([-1, 0, "5", 1.5, 10**30, "PT5S", None]))


@in_fields("in")
def other_place(rng: random.Random, place: Place) -> None:
    place.put(rng.choice(["query", "header", "path", "cookie", "querystring", "body", "Query", ""]))


@in_fields("name", "stepId", "workflowId")
def other_name(rng: random.Random, place: Place) -> None:
    name = str(place.value)
    place.put(
        rng.choice([name.upper(), f"{name}_0", f"{name} x", f"$steps.{name}", f"{{{name}}}", "a.b[0]", "$x"])
    )


@in_fields("operationId", "operationPath")
def other_target(rng: random.Random, place: Place) -> None:
    name = str(place.value)
    spelt = [
        name.upper(),
        f"api.{name}",
        f"api#/paths/~1{name}/get",
        f"GET /{name}",
        f"/{name}",
        "",
        "#",
        "}{",
    ]
    value = place.owner.pop(place.key)
    place.owner[rng.choice(["operationId", "operationPath"])] = rng.choice([value, *spelt])


@in_fields("url")
def other_url(rng: random.Random, place: Place) -> None:
    place.put(
        rng.choice(["", "https://x.example/api.json", "../api.json", "https://[x", "a\x00b", ".", "#x"])
    )


@in_fields("arazzo")
def other_version(rng: random.Random, place: Place) -> None:
    place.put(rng.choice(["1.0.0", "1.1.0", "1.0", 1.0, "2.0.0", ""]))


@in_texts("#/")
def other_pointer(rng: random.Random, text: str) -> str:
    head, _, tail = text.partition("#/")
    dotted = tail.replace("/", ".")
    spelt = [
        f"#{tail}",
        f".{dotted}",
        f".{dotted}[0]",
        f".{dotted}[*].id",
        f".$.{dotted}",
        f"#/~{tail}",
        "[?(@.a)]",
    ]
    return head + rng.choice(spelt)


@in_texts(".outputs.")
def other_output(rng: random.Random, text: str) -> str:
    spelt = [
        ".",
        ".output.",
        ".outputs.response.body.",
        ".outputs.nope.",
        ".outputs#/",
        ".outputs",
        ".inputs.",
    ]
    return text.replace(".outputs.", rng.choice(spelt))


@in_texts("$")
def other_dollar(rng: random.Random, text: str) -> str:
    spelt = ["", "{$", "{{$", "$$", "$.", "Bearer $", "${", "$inputs.$", "$Inputs.", "$steps.", "$message."]
    return text.replace("$", rng.choice(spelt), 1)


@in_texts("==", ">=", "<")
def other_condition(rng: random.Random, text: str) -> str:
    word = rng.choice(["=", "===", "and", "in", "=~", "contains", "&&", "||", "!", "(", ") ==", "== == "])
    return text.replace("==", word)


@in_texts("")
def other_text(rng: random.Random, text: str) -> Any:
    at = rng.randrange(len(text) + 1)
    return (
        text[:at]
        + rng.choice(["{", "}", "[", "$", "#", ".", "\n", "\u2028", "'", '"', " ", "\\"])
        + text[at:]
    )


def same_step_twice(rng: random.Random, document: dict[str, Any]) -> None:
    steps = among([p for p in places(document) if p.key == "steps" and isinstance(p.value, list)], rng)
    if steps is not None and steps.value:
        steps.value.insert(rng.randrange(len(steps.value) + 1), copy.deepcopy(rng.choice(steps.value)))


def steps_in_disorder(rng: random.Random, document: dict[str, Any]) -> None:
    steps = among([p for p in places(document) if p.key == "steps" and isinstance(p.value, list)], rng)
    if steps is not None:
        rng.shuffle(steps.value)


SLIPS: tuple[Slip, ...] = (
    *(leave_out, wrong_type, one_for_many, misspelt_field, outputs_as_list, criteria_as_text, other_type),
    *(odd_number, other_place, other_name, other_target, other_url, other_version, other_pointer),
    *(other_output, other_dollar, other_condition, other_text, same_step_twice, steps_in_disorder),
)


def typical() -> dict[str, dict[str, Any]]:
    """Documents of the kinds that are written: those that this project ships, and one with everything."""
    shipped = sorted((SPECS / "arazzo").glob("*.yml"))
    found = {path.stem: plain(path.read_text(encoding="utf-8")) for path in shipped}
    return {**found, "rich": plain(RICH)}


def plain(text: str) -> Any:
    """The content of a YAML text as JSON has it."""
    value = parse_document(text.encode(), Path("x.yaml"), "x.yaml").value
    return json.loads(json.dumps(value, default=float))


TYPICAL = typical()


@pytest.mark.parametrize("name", TYPICAL)
def test_slips_give_diagnostics_or_plans(name: str, tmp_path: Path) -> None:
    rng = random.Random(f"slips of {name}")
    (tmp_path / "api.json").write_text(json.dumps(plain(API)))
    options = Options(source_path=[SPECS / "openapi"])
    path = tmp_path / "main.json"
    compiled = refused = 0
    for number in range(ROUNDS):
        document = copy.deepcopy(TYPICAL[name])
        planted = rng.choices(SLIPS, k=1 + number % 3)
        for slip in planted:
            slip(rng, document)
        path.write_text(json.dumps(document, indent=1))
        try:
            result = compile_document(path, options)
            for plan in result.plans.values():
                assert decode_plan(encode_plan(plan)).digest == plan.digest
        except Exception as problem:
            names = ", ".join(slip.__name__ for slip in planted)
            raise AssertionError(f"round {number}: {names}\n{path.read_text()}") from problem
        errors = [d for d in result.diagnostics if d.severity is Severity.ERROR]
        assert all(d.message and d.code and d.position is not None for d in result.diagnostics)
        assert errors or result.plans
        compiled += bool(result.plans)
        refused += bool(errors)
    assert compiled > ROUNDS // 10
    assert refused > ROUNDS // 10


def test_every_slip_changes_some_document() -> None:
    for slip in SLIPS:
        changed = []
        for name, document in TYPICAL.items():
            for seed in range(5):
                copied = copy.deepcopy(document)
                slip(random.Random(f"{name} {seed}"), copied)
                changed.append(copied != document)
        assert any(changed), slip.__name__
