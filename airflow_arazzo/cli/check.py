"""``check``: compile documents and print what is wrong with them."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from airflow_arazzo.cli.arguments import options_of
from airflow_arazzo.cli.findings import SourceLines, visible, with_sources, workflow_command
from airflow_arazzo.cli.output import EXIT_BAD_DOCUMENT, EXIT_OK, BadArgument, located, say, say_json
from airflow_arazzo.cli.sarif import sarif
from airflow_arazzo.description.diagnostics import Diagnostic, DocumentError, Severity
from airflow_arazzo.description.documents import read_document
from airflow_arazzo.plan.compiler import compile_document, overlays_for
from airflow_arazzo.plan.options import Options

SUFFIXES = (".yaml", ".yml", ".json")


class Checked(msgspec.Struct, frozen=True):
    """A document that was checked. ``ok`` means that every workflow compiles."""

    document: str
    ok: bool
    workflows: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]


def check(arguments: argparse.Namespace) -> int:
    """Run the command. Exit status 0 when every document compiles, else 2.

    :raises BadArgument: when there is no document to check.
    """
    options = options_of(arguments)
    paths = list(documents([Path(p) for p in arguments.paths]))
    if arguments.skip_others:
        paths = [path for path in paths if _is_arazzo(path)]
    elif not paths:
        raise BadArgument(f"there is no Arazzo document in {', '.join(arguments.paths)}")
    checked = [
        check_document(path, own)
        for path, own in zip(paths, _options_by_document(paths, options), strict=True)
    ]
    _print(checked, arguments.format)
    return EXIT_OK if all(each.ok for each in checked) else EXIT_BAD_DOCUMENT


def _options_by_document(paths: Sequence[Path], options: Options) -> list[Options]:
    """Options for each document. Of several documents each gets the overlays that are for it."""
    if len(paths) == 1 or not options.overlays:
        return [options] * len(paths)
    meant = [overlays_for(path, options) for path in paths]
    somewhere = {overlay for found in meant for overlay in found}
    # One that is for no document at all is an error of each.
    return [
        msgspec.structs.replace(
            options, overlays=[o for o in options.overlays if o in found or o not in somewhere]
        )
        for found in meant
    ]


def check_document(path: Path, options: Options) -> Checked:
    """Check one document."""
    compilation = compile_document(path, options)
    diagnostics = tuple(located(diagnostic, path) for diagnostic in compilation.diagnostics)
    return Checked(str(path), not compilation.failed, tuple(compilation.plans), diagnostics)


def documents(paths: Sequence[Path]) -> Iterator[Path]:
    """The documents among paths: files as they are given, of folders the Arazzo documents in them."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            if file.suffix in SUFFIXES and file.is_file() and _is_arazzo(file):
                yield file


def _is_arazzo(path: Path) -> bool:
    """Whether a file is an Arazzo document. One that says so and cannot be read counts."""
    try:
        text = path.read_bytes()
    except OSError:
        return False
    if b"arazzo" not in text:
        return False
    try:
        value = read_document(path, path.name).value
    except DocumentError:
        return text.lstrip(b"\xef\xbb\xbf \r\n-").startswith((b"arazzo", b'{"arazzo"'))
    return isinstance(value, dict) and "arazzo" in value


def _print(checked: Sequence[Checked], form: str) -> None:
    """Print what was found.

    :param form: ``text`` with source lines, ``line`` without, ``json``, ``sarif``, or ``github``.
    """
    if form == "json":
        say_json(msgspec.json.encode(checked).decode())
    elif form == "sarif":
        found = [(each.document, d) for each in checked for d in each.diagnostics]
        say_json(msgspec.json.format(msgspec.json.encode(sarif(found)), indent=2).decode())
    elif form == "github":
        for command in dict.fromkeys(workflow_command(d) for each in checked for d in each.diagnostics):
            say(command)
        say(_summary(checked))
    else:
        lines = SourceLines(d for each in checked for d in each.diagnostics)
        for document in checked:
            found_here = document.diagnostics
            for line in with_sources(found_here, lines) if form == "text" else map(str, found_here):
                say(visible(line))
            if document.ok:
                say(f"{document.document}: {_count(len(document.workflows), 'workflow')} ready")
        say(_summary(checked))


def _summary(checked: Sequence[Checked]) -> str:
    counts = Counter(d.severity for document in checked for d in document.diagnostics)
    good = sum(document.ok for document in checked)
    found = ", ".join(_count(counts[severity], severity.value) for severity in Severity)
    return f"{good} of {_count(len(checked), 'document')} compile; {found}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
