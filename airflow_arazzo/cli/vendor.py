"""``vendor``: keep copies of remote sources beside the documents, and prove later that they are the same."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from airflow_arazzo.cli.arguments import SOURCE_PATH
from airflow_arazzo.cli.fetch import CannotFetch, fetch
from airflow_arazzo.cli.findings import visible
from airflow_arazzo.cli.output import EXIT_FAILED, EXIT_OK, BadArgument, complain, say
from airflow_arazzo.description.arazzo_reader import read_arazzo
from airflow_arazzo.description.changes import Change, changes, operations
from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.description.documents import Document, Report, parse_document, read_document
from airflow_arazzo.description.vendored import (
    FOLDER,
    LOCK,
    Entry,
    Lock,
    folders_of,
    place_of,
    without_fragment,
)
from airflow_arazzo.plan.compiler import compile_document
from airflow_arazzo.plan.model import OperationCall
from airflow_arazzo.plan.options import Options

MAX_FILES = 500
"""Files that one document may lead to."""

_KINDS = ("openapi", "arazzo", "asyncapi", "swagger")


def vendor(arguments: argparse.Namespace) -> int:
    """Run the command. Exit status 1 when a file is missing, differs or could not be fetched.

    :raises DocumentError: when the document cannot be read.
    :raises BadArgument: for a lock file that is none, and for a folder that cannot be written.
    """
    if arguments.check and arguments.update:
        raise BadArgument("--check fetches nothing and --update fetches all: one of them")
    document = Path(arguments.path)
    given = [Path(each) for each in filter(None, os.environ.get(SOURCE_PATH, "").split(os.pathsep))]
    folder = Path(arguments.into) if arguments.into else _default_folder(document, given)
    report = Report()
    arazzo = read_arazzo(read_document(document, document.name), report)
    if arazzo is None:
        raise DocumentError(report.diagnostics)
    remote = [(source.name, source.url) for source in arazzo.sources if _is_remote(source.url)]
    work = _Vendoring(folder, _read_lock(folder), offline=arguments.check, update=arguments.update)
    if arguments.update:
        work.used = _used_operations(document, [*given, folder])
    work.all([(name, url, url) for name, url in remote])
    if arguments.check:
        work.rest()
    for line in work.lines:
        say(visible(line))
    for line in work.problems:
        complain(visible(line))
    if work.problems:
        if not arguments.check:
            complain("nothing was written")
        return EXIT_FAILED
    if not remote:
        say(f"{document} names no remote source")
    if not arguments.check and work.write():
        say(f"wrote {folder / LOCK}")
        if folder.absolute() not in [each.absolute() for each in folders_of(document, given)]:
            say(f"name {folder} where the document is used: --source-path, source_path= in a DAG file")
    return EXIT_OK


def _default_folder(document: Path, source_path: Sequence[Path]) -> Path:
    """The folder that the document's copies are in already, else a new one beside it."""
    places = folders_of(document, source_path)
    return next((each for each in places if (each / LOCK).is_file()), document.parent / FOLDER)


def _read_lock(folder: Path) -> Lock:
    path = folder / LOCK
    try:
        return Lock.decode(path.read_bytes())
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        raise BadArgument(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadArgument(f"{path} is no lock file: {error}") from None


def _is_remote(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https")
    except ValueError:
        return False


@dataclass
class _Vendoring:
    """Goes through all that a document leads to.

    :param folder: where copies are.
    :param offline: whether nothing is fetched, and everything has to be there.
    :param update: whether copies that are there are fetched again.
    :param used: steps by method and path, by URL of the source.
    :param lines: what was done.
    :param problems: what is wrong.
    :param new: contents to write, by file.
    """

    folder: Path
    lock: Lock
    offline: bool
    update: bool
    used: Mapping[str, Mapping[tuple[str, str], list[str]]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    new: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.entries = {entry.url: entry for entry in self.lock.files}

    def all(self, waiting: list[tuple[str, str, str]]) -> None:
        """Go through sources and what they refer to.

        :param waiting: names, URLs by which they are known, and URLs to fetch them from.
        """
        done: set[str] = set()
        while waiting:
            name, url, origin = waiting.pop(0)
            url = without_fragment(url)
            if url in done:
                continue
            done.add(url)
            if len(done) > MAX_FILES:
                self.problems.append(f"the document leads to more than {MAX_FILES} files")
                return
            found = self._one(name, url, without_fragment(origin))
            if found is not None:
                answered = self.entries[url].answered_by or url
                waiting += [(n, urljoin(url, to), urljoin(answered, to)) for n, to in _references(found)]

    def rest(self) -> None:
        """Check the copies to which the document does not lead, too: another document's, in this folder."""
        for entry in self.lock.files:
            if entry.file not in self.looked:
                self._copy(entry)

    def _one(self, name: str, url: str, origin: str) -> Document | None:
        entry = self.entries.get(url)
        data: bytes | None = None
        if entry is not None and not self.update:
            data = self._copy(entry)
            if data is None and (self.offline or (self.folder / entry.file).exists()):
                return None
        elif self.offline:
            if name:
                self.problems.append(f"missing    {url} is not in {self.folder / LOCK}")
            return None
        if data is None:
            data = self._fetched(name, url, origin, entry)
        if data is None:
            return None
        file = self.entries[url].file
        return self._parsed(data, file, url)

    def _copy(self, entry: Entry) -> bytes | None:
        """The copy that a lock file has, if it is there and is the one."""
        path = self.folder / entry.file
        self.looked.add(entry.file)
        try:
            data = path.read_bytes()
        except OSError:
            if self.offline:
                self.problems.append(f"missing    {path}")
            return None
        digest = hashlib.sha256(data).hexdigest()
        if digest != entry.sha256:
            message = f"its SHA-256 is {digest}, {LOCK} has {entry.sha256}"
            self.problems.append(
                f"differs    {path}: {message}" + ("" if self.offline else "; --update replaces it")
            )
            return None
        self.lines.append(f"{'same' if self.offline else 'kept':9}  {path}")
        return data

    def _fetched(self, name: str, url: str, origin: str, entry: Entry | None) -> bytes | None:
        try:
            fetched = fetch(origin)
        except CannotFetch as error:
            # A reference that leads nowhere may be in an example; where it matters, check says so.
            lost = not name and entry is None and error.status in (404, 410)
            (self.lines if lost else self.problems).append(f"not fetched  {url}: {error}")
            return None
        data, digest = fetched.data, hashlib.sha256(fetched.data).hexdigest()
        file = entry.file if entry else self._place(url)
        path = self.folder / file
        if self._parsed(data, file, url, source=bool(name)) is None:
            return None
        if entry is not None and digest != entry.sha256 and not self.update:
            message = f"{path} is not there, and {url} gives something else now; --update takes it"
            self.problems.append(f"differs    {message}")
            return None
        if entry is None and path.exists() and not self.update and path.read_bytes() != data:
            self.problems.append(f"not written  {path} exists and is not in {LOCK}; --update overwrites it")
            return None
        answered = fetched.urls[-1] if fetched.urls[-1] != url else ""
        same = entry is not None and entry.sha256 == digest and path.exists()
        kind = "unchanged" if same else "updated" if entry else "fetched"
        self.lines.append(f"{kind:9}  {path} ({len(data)} bytes) from {url}")
        self.lines += [f"           redirected to {each}" for each in fetched.urls[1:]]
        if not same:
            self._tell_changes(file, url, data)
            self.new[file] = data
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            known = entry.name if entry else ""
            self.entries[url] = Entry(known or name, url, file, digest, len(data), now, answered)
        return data

    def _place(self, url: str) -> str:
        """A file for a URL that no other URL has."""
        place = place_of(url)
        if any(entry.file.casefold() == place.casefold() for entry in self.entries.values()):
            path = Path(place)
            digest = hashlib.sha256(url.encode()).hexdigest()[:8]
            place = path.with_name(f"{path.stem}-{digest}{path.suffix}").as_posix()
        return place

    def _parsed(self, data: bytes, file: str, url: str, *, source: bool = False) -> Document | None:
        """The document of a file's bytes; None (reported) for what cannot be one.

        :param source: whether it has to be a description.
        """
        try:
            document = parse_document(data, self.folder / file, file)
        except DocumentError as error:
            self.problems.append(f"not usable  {url}: {error.diagnostics[0]}")
            return None
        value = document.value
        if source and not (isinstance(value, dict) and any(kind in value for kind in _KINDS)):
            self.problems.append(f"not usable  {url}: neither an OpenAPI description nor an Arazzo document")
            return None
        return document

    def _tell_changes(self, file: str, url: str, data: bytes) -> None:
        """What an update means for workflows."""
        path = self.folder / file
        try:
            before = operations(read_document(path, file))
            after = operations(parse_document(data, path, file))
        except DocumentError:
            return
        used = self.used.get(url, {})
        self.lines += [f"  {_told(change, used)}" for change in changes(before, after)]

    def write(self) -> bool:
        """Write what is new, the lock file last; whether there was anything.

        :raises BadArgument: when a file cannot be written.
        """
        if not self.new:
            return False
        lock = Lock(tuple(self.entries.values()))
        for file, data in [*self.new.items(), (LOCK, lock.encode())]:
            path = self.folder / file
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_name(f".{path.name}.partial")
                partial.write_bytes(data)
                partial.replace(path)
            except OSError as error:
                raise BadArgument(f"{path} cannot be written: {error.strerror}") from None
        return True


def _references(document: Document) -> Iterator[tuple[str, str]]:
    """Names and URLs of what a copy needs: sources of an Arazzo document, files of relative ``$ref``."""
    value: Any = document.value
    described = value.get("sourceDescriptions") if isinstance(value, dict) and "arazzo" in value else None
    for source in described if isinstance(described, list) else ():
        if isinstance(source, dict) and isinstance(source.get("url"), str):
            yield str(source.get("name", "")), source["url"]
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += reversed(node)
        elif isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str) and _is_relative(reference):
                yield "", reference
            stack += reversed(list(node.values()))


def _is_relative(reference: str) -> bool:
    try:
        parts = urlsplit(reference)
    except ValueError:
        return False
    return bool(parts.path) and not parts.scheme and not parts.netloc


def _used_operations(
    document: Path, source_path: Sequence[Path]
) -> dict[str, dict[tuple[str, str], list[str]]]:
    """Steps by the operations that they call, by URL of the source."""
    used: dict[str, dict[tuple[str, str], list[str]]] = {}
    for plan in compile_document(document, Options(source_path=tuple(source_path))).plans.values():
        for workflow in plan.workflows.values():
            for step in workflow.steps:
                call = step.call
                if isinstance(call, OperationCall):
                    url = without_fragment(plan.sources[call.source].url)
                    steps = used.setdefault(url, {}).setdefault((call.method, call.path), [])
                    name = f"{workflow.id}.{step.id}"
                    steps += [name] if name not in steps else []
    return used


def _told(change: Change, used: Mapping[tuple[str, str], Sequence[str]]) -> str:
    def written(operation: tuple[str, str, str]) -> str:
        method, path, name = operation
        return f"{method} {path}" + (f" ({name})" if name else "")

    if change.before is None:
        return f"added    {written(change.after)}" if change.after else ""
    steps = used.get(change.before[:2], ())
    by = f", used by {', '.join(steps)}" if steps else ""
    if change.after is None:
        return f"gone     {written(change.before)}{by}"
    if change.kind == "renamed":
        names = [operation[2] or "(none)" for operation in (change.before, change.after)]
        return f"renamed  {' '.join(change.before[:2])}: {' → '.join(names)}{by}"
    places = [" ".join(operation[:2]) for operation in (change.before, change.after)]
    return f"moved    {change.before[2]}: {' → '.join(places)}{by}"
