"""``python -m bench.documents``: what large API descriptions cost, beside a bare parse of the same bytes.

A workflow of two steps over a JSON description of 13 MB and a YAML one of 8 MB, both generated (or ``--json``
and ``--yaml`` with files of your own and ``--operations`` of theirs). In turns, in one process:

- *bare*: ``msgspec.json.decode`` of the bytes, or PyYAML's loader over libyaml, with Python's garbage
  collector as it is by default; *bare, no collector*: the same without it, since we do without it ourselves;
- *cold*: the plan compiled with nothing kept: what a changed file costs, once;
- *warm*: the plan taken from the cache, as every task and every parse of a DAG file does;
- *DAG*: the same with the DAG made of it.

And, as whole commands: ``airflow-arazzo check``, which always reads everything, beside ``--version``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from bench.harness import Part, Target, compared, in_turns, number, ratio, show

TARGETS = {"json": 1.15, "yaml": 1.0}
"""Cold, over the bare parse, at most."""

WARM_MS = 20.0
SIZES = {"json": 13_000_000, "yaml": 8_000_000}
OPERATIONS = ("readThing0001", "writeThing0002")

_WORDS = (
    *("account", "balance", "charge", "customer", "event", "invoice", "meter"),
    *("order", "period", "plan", "price", "product", "rate", "refund"),
)


def description(size: int, write: Callable[[Any], str]) -> str:
    """An OpenAPI description of at least so many characters, the same each time."""
    one = len(write(_description(50))) / 50
    text = write(_description(int(size / one) + 1))
    while len(text) < size:
        one *= 0.98
        text = write(_description(int(size / one) + 1))
    return text


def _description(count: int) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for index in range(1, count + 1):
        name = f"{index:04d}"
        schemas[f"Thing{name}"] = _schema(index)
        paths[f"/{_WORDS[index % len(_WORDS)]}s/{name}/{{id}}"] = {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": _operation(f"readThing{name}", name, body=False),
            "post": _operation(f"writeThing{name}", name, body=True),
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "A large API", "version": "1", "description": _prose(1, 6)},
        "servers": [{"url": "https://api.example.com"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}},
        },
        "security": [{"key": []}],
    }


def _operation(operation_id: str, name: str, *, body: bool) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/Thing{name}"}}}
    described: dict[str, Any] = {
        "operationId": operation_id,
        "summary": f"About thing {name}",
        "description": _prose(int(name), 3),
        "tags": [_WORDS[int(name) % len(_WORDS)]],
    }
    if body:
        described["requestBody"] = {"required": True, "content": content}
    described["responses"] = {
        "200": {"description": "What there is.", "content": content},
        "404": {"description": "There is none."},
    }
    return described


def _schema(number: int) -> dict[str, Any]:
    properties = {
        f"{word}_{index}": {
            "type": ("string", "integer", "number", "boolean")[index % 4],
            "description": _prose(number + index, 1),
            "example": f"{word} number {index}",
        }
        for index, word in enumerate(_WORDS)
    }
    return {"type": "object", "required": [f"{_WORDS[0]}_0"], "properties": properties}


def _prose(seed: int, lines: int) -> str:
    words = [_WORDS[(seed * 7 + index * 3) % len(_WORDS)] for index in range(lines * 12)]
    return "\n".join(
        " ".join(words[start : start + 12]).capitalize() + "." for start in range(0, len(words), 12)
    )


class _Blocks(yaml.CSafeDumper):
    """Writes as people do: no anchors, and texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        """Asked for every value that is there twice."""
        return True


def _text(dumper: _Blocks, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Blocks.add_representer(str, _text)


def _as_yaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_Blocks, sort_keys=False, width=100))


def write_workflow(folder: Path, source: str, operations: tuple[str, ...]) -> Path:
    """A workflow that calls some operations of a description, one after the other."""
    identifier = [{"name": "id", "in": "path", "value": "$inputs.id"}]
    steps = [
        {
            "stepId": f"step{number}",
            "operationId": operation,
            "parameters": identifier,
            "successCriteria": [{"condition": "$statusCode == 200"}],
            "outputs": {"all": "$response.body"},
        }
        for number, operation in enumerate(operations, 1)
    ]
    inputs = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "bench", "version": "1"},
        "sourceDescriptions": [{"name": "api", "url": source, "type": "openapi"}],
        "workflows": [{"workflowId": "large", "inputs": inputs, "steps": steps}],
    }
    path = folder / f"{source}.arazzo.json"
    path.write_text(json.dumps(document))
    return path


def _bare(data: bytes, kind: str) -> None:
    if kind == "json":
        msgspec.json.decode(data)
    else:
        yaml.load(data, yaml.CSafeLoader)


def _bare_without_collector(data: bytes, kind: str) -> None:
    gc.disable()
    try:
        _bare(data, kind)
    finally:
        gc.enable()


def figures(workflow: Path, data: bytes, kind: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each, round by round."""
    from airflow_arazzo import ArazzoDag
    from airflow_arazzo.plan.cache import load_plan
    from airflow_arazzo.plan.compiler import compile_workflow
    from airflow_arazzo.plan.opened import forget_opened

    def cold() -> None:
        forget_opened()
        compile_workflow(workflow)

    def dag() -> None:
        ArazzoDag(workflow, dag_id=f"large-{kind}", schedule=None)

    def timed(function: Callable[[], Any]) -> Callable[[], float]:
        def taken() -> float:
            gc.collect()
            began = time.perf_counter()
            function()
            return (time.perf_counter() - began) * 1000

        return taken

    load_plan(workflow)
    kinds: dict[str, Callable[[], Any]] = {
        "bare": lambda: _bare(data, kind),
        "bare, no collector": lambda: _bare_without_collector(data, kind),
        "cold": cold,
        "warm": lambda: load_plan(workflow),
        "DAG": dag,
    }
    found = in_turns({name: timed(function) for name, function in kinds.items()}, rounds)
    return found | _commands(workflow, max(1, rounds // 2))


def _commands(workflow: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of whole commands."""

    def timed(*arguments: str) -> Callable[[], float]:
        def taken() -> float:
            began = time.perf_counter()
            command = [sys.executable, "-m", "airflow_arazzo.cli.main", *arguments]
            subprocess.run(command, check=True, capture_output=True)
            return (time.perf_counter() - began) * 1000

        return taken

    asked = {"command --version": timed("--version"), "command check": timed("check", str(workflow))}
    return in_turns(asked, rounds, warm=0)


def measure(
    short: bool = False, files: Mapping[str, Path] | None = None, calls: tuple[str, ...] = OPERATIONS
) -> Part:
    """Both kinds.

    :param files: descriptions by kind, instead of those that are generated.
    :param calls: operationIds in them.
    """
    part, given = Part("documents"), files or {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["ARAZZO_CACHE_DIR"] = str(folder / "plans")
        for kind in TARGETS:
            source = folder / f"large.{kind}"
            if kind in given:
                source.write_bytes(given[kind].read_bytes())
            else:
                source.write_text(description(SIZES[kind], json.dumps if kind == "json" else _as_yaml))
            workflow = write_workflow(folder, source.name, calls)
            taken = figures(workflow, source.read_bytes(), kind, 3 if short else 7)
            part.tables.append(compared(f"{kind}, {source.stat().st_size / 1e6:.1f} MB, ms", taken, "bare"))
            cold, warm = ratio(taken, "cold", "bare"), statistics.median(taken["warm"])
            part.targets += [
                Target(f"{kind}: cold over the bare parse", cold, TARGETS[kind]),
                Target(f"{kind}: warm, ms", warm, WARM_MS),
            ]
            slower = ratio(taken, "cold", "bare, no collector")
            part.notes.append(f"{kind}: cold over a bare parse without the collector: {number(slower)}")
    return part


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.documents", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, help="a JSON description instead of the generated one")
    parser.add_argument("--yaml", type=Path, help="a YAML description instead of the generated one")
    parser.add_argument(
        "--operations", nargs="+", default=OPERATIONS, help="operationIds that the workflow calls"
    )
    given = parser.parse_args(argv)
    files = {kind: path for kind, path in (("json", given.json), ("yaml", given.yaml)) if path}
    return show(measure(given.quick, files, tuple(given.operations)))


if __name__ == "__main__":
    sys.exit(main())
