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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

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
    for number in range(1, count + 1):
        name = f"{number:04d}"
        schemas[f"Thing{name}"] = _schema(number)
        paths[f"/{_WORDS[number % len(_WORDS)]}s/{name}/{{id}}"] = {
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


def measure(workflow: Path, data: bytes, kind: str, rounds: int) -> dict[str, float]:
    """Medians in milliseconds."""
    from airflow_arazzo import ArazzoDag
    from airflow_arazzo.plan.cache import load_plan
    from airflow_arazzo.plan.compiler import compile_workflow

    def dag() -> None:
        ArazzoDag(workflow, dag_id=f"large-{kind}", schedule=None)

    load_plan(workflow)
    kinds: dict[str, Callable[[], Any]] = {
        "bare": lambda: _bare(data, kind),
        "bare, no collector": lambda: _bare_without_collector(data, kind),
        "cold": lambda: compile_workflow(workflow),
        "warm": lambda: load_plan(workflow),
        "DAG": dag,
    }
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, function in kinds.items():
            gc.collect()
            began = time.perf_counter()
            function()
            taken[name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(found) for name, found in taken.items()}


def commands(workflow: Path, rounds: int) -> dict[str, float]:
    """Medians in milliseconds of whole commands."""
    command = [sys.executable, "-m", "airflow_arazzo.cli.main"]
    asked = {"--version": ["--version"], "check": ["check", str(workflow)]}
    taken: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(rounds):
        for name, arguments in asked.items():
            began = time.perf_counter()
            subprocess.run([*command, *arguments], check=True, capture_output=True)
            taken[name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(found) for name, found in taken.items()}


def run(files: dict[str, Path | None], operations: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """Measure both kinds, and put the figures beside each other."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["ARAZZO_CACHE_DIR"] = str(folder / "plans")
        for kind, given in files.items():
            source = folder / f"large.{kind}"
            if given is not None:
                source.write_bytes(given.read_bytes())
            else:
                source.write_text(description(SIZES[kind], json.dumps if kind == "json" else _as_yaml))
            workflow = write_workflow(folder, source.name, operations)
            figures = measure(workflow, source.read_bytes(), kind, rounds)
            found[kind] = {
                "bytes": source.stat().st_size,
                "ms": {name: round(value, 1) for name, value in figures.items()},
                "commands_ms": {k: round(v) for k, v in commands(workflow, max(1, rounds // 2)).items()},
                "cold_to_bare": round(figures["cold"] / figures["bare"], 3),
                "cold_to_bare_no_collector": round(figures["cold"] / figures["bare, no collector"], 3),
                "target": TARGETS[kind],
                "warm_target_ms": WARM_MS,
            }
    return found


def table(result: dict[str, Any]) -> str:
    """The figures for people."""
    lines = []
    for kind, found in result.items():
        times = found["ms"] | {f"command {name}": ms for name, ms in found["commands_ms"].items()}
        lines.append(f"{kind}, {found['bytes'] / 1e6:.1f} MB")
        lines += [f"  {name:<22}{value:>9.1f} ms" for name, value in times.items()]
        cold, warm = found["cold_to_bare"], found["ms"]["warm"]
        lines.append(
            f"  cold / bare = {cold:.2f} (at most {found['target']}: {_mark(cold <= found['target'])}), "
            f"{found['cold_to_bare_no_collector']:.2f} of a bare parse without the collector; "
            f"warm under {WARM_MS:g} ms: {_mark(warm < WARM_MS)}"
        )
    return "\n".join(lines)


def _mark(met: bool) -> str:
    return "✓" if met else "✗"


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table, then the same as a line of JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.documents", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="a JSON description instead of the generated one")
    parser.add_argument("--yaml", type=Path, help="a YAML description instead of the generated one")
    parser.add_argument(
        "--operations", nargs="+", default=OPERATIONS, help="operationIds that the workflow calls"
    )
    given = parser.parse_args(argv)
    result = run({"json": given.json, "yaml": given.yaml}, tuple(given.operations), max(1, given.rounds))
    print(table(result))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
