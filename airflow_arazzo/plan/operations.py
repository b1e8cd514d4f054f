"""Which operation or workflow a step means, in every way that documents write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.openapi import METHODS, OpenApi, OperationKey

_QUALIFIED = re.compile(r"\{?\$sourceDescriptions\.(?P<rest>.+?)\}?\Z", re.DOTALL)
_METHOD_AND_PATH = re.compile(rf"(?P<method>{'|'.join(METHODS)})\s+(?P<path>/\S*)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """An operation of a source."""

    source: str
    api: OpenApi
    key: OperationKey


@dataclass(frozen=True)
class OperationFinder:
    """Finds operations in the OpenAPI sources of one document.

    :param sources: descriptions by source name, in document order. Sources that are no OpenAPI
        descriptions, or that could not be loaded, are not among them.
    :param names: names of all source descriptions of the document.
    :param incomplete: whether a source could not be loaded (reported): what is not found may be there.
    """

    sources: dict[str, OpenApi]
    names: tuple[str, ...]
    report: Report
    incomplete: bool = False

    def by_id(self, at: Location) -> Target | None:
        """The operation that an ``operationId`` names; None when there is none (reported)."""
        text = str(at.value).strip()
        if "#/paths/" in text:
            self.report.warning("operation-spelling", "an operationPath given as operationId", at)
            return self.by_path(at)
        qualified = _QUALIFIED.match(text)
        if qualified:
            return self._qualified(qualified["rest"], at)
        exact = self._matches(text)
        if len(exact) == 1:
            if len(self.sources) > 1:
                hint = f"write $sourceDescriptions.{exact[0].source}.{text}"
                message = f"several sources, and operationId {text!r} does not say which; only one has it"
                self.report.warning("operation-unqualified", message, at, hint)
            return exact[0]
        if len(exact) > 1:
            places = ", ".join(sorted({target.source for target in exact}))
            message = f"operationId {text!r} is in several places: {places}"
            hint = f"write $sourceDescriptions.{exact[0].source}.{text}"
            self.report.error(
                "ambiguous-operation", message, at, hint if "," in places else "use operationPath"
            )
            return None
        source, dot, rest = text.partition(".")
        if dot and source in self.sources:
            hint = f"write $sourceDescriptions.{text}"
            self.report.warning("operation-spelling", f"read as operation {rest!r} of {source!r}", at, hint)
            return self._in_source(source, rest, at)
        by_path = self._by_method_and_path(text, at)
        return by_path or self._folded(text, self.sources, at)

    def _qualified(self, rest: str, at: Location) -> Target | None:
        for name in sorted(self.names, key=len, reverse=True):
            if rest.startswith(name + ".") and name in self.sources:
                return self._in_source(name, rest[len(name) + 1 :], at)
        self._unknown_source(rest.split(".")[0], at)
        return None

    def _unknown_source(self, name: str, at: Location) -> None:
        folded = [known for known in self.names if known.casefold() == name.casefold()]
        if name in self.names:
            message = f"the source description {name!r} is no OpenAPI description, so it has no operations"
            self.report.error("wrong-source", message, at)
            return
        message = f"there is no source description {name!r}"
        self.report.error("unknown-source", message, at, did_you_mean(name, folded or self.names))

    def _in_source(self, source: str, operation_id: str, at: Location) -> Target | None:
        api = self.sources[source]
        keys = api.by_id.get(operation_id, [])
        if len(keys) == 1:
            return Target(source, api, keys[0])
        if len(keys) > 1:
            message = f"operationId {operation_id!r} stands {len(keys)} times in {source!r}"
            self.report.error("ambiguous-operation", message, at, "use operationPath")
            return None
        return self._folded(operation_id, {source: api}, at)

    def _matches(self, operation_id: str) -> list[Target]:
        return [
            Target(name, api, key)
            for name, api in self.sources.items()
            for key in api.by_id.get(operation_id, [])
        ]

    def _folded(self, operation_id: str, sources: dict[str, OpenApi], at: Location) -> Target | None:
        """The only operation whose id differs in nothing but case."""
        wanted = operation_id.casefold()
        close = [
            Target(name, api, key)
            for name, api in sources.items()
            for known, keys in api.by_id.items()
            if known.casefold() == wanted
            for key in keys
        ]
        if len(close) == 1:
            written = close[0].key.at.value["operationId"]
            message = f"operationId {operation_id!r} is written {written!r} in {close[0].source!r}"
            self.report.warning("operation-case", message, at, f"write {written}")
            return close[0]
        if not (self.incomplete and sources is self.sources):
            self._unknown_operation(operation_id, sources, at)
        return None

    def _unknown_operation(self, operation_id: str, sources: dict[str, OpenApi], at: Location) -> None:
        if any(operation_id in api.webhooks for api in sources.values()):
            names = (
                f"{n!r} ({api.document.name})" for n, api in sources.items() if operation_id in api.webhooks
            )
            message = f"{operation_id!r} of {', '.join(names)} is a webhook: the API calls it, no step can"
            self.report.error("unknown-operation", message, at)
            return
        where = ", ".join(f"{name!r} ({api.document.name})" for name, api in sources.items()) or "no source"
        known = [known for api in sources.values() for known in api.by_id]
        message = f"there is no operation {operation_id!r} in {where}"
        self.report.error("unknown-operation", message, at, did_you_mean(operation_id, known))

    def _by_method_and_path(self, text: str, at: Location) -> Target | None:
        """``METHOD /path`` or, where the path has one method only, ``/path``."""
        match = _METHOD_AND_PATH.match(text)
        path = match["path"] if match else text
        if not path.startswith("/"):
            return None
        found = [
            Target(name, api, key)
            for name, api in self.sources.items()
            for key in api.keys
            if key.path == path and (match is None or key.method == match["method"].upper())
        ]
        if len(found) != 1:
            return None
        target = found[0]
        message = f"read as {target.key.method} {path} of {target.source!r}"
        hint = f"write '{{$sourceDescriptions.{target.source}.url}}#{_pointer(target.key)}' as operationPath"
        self.report.warning("operation-by-path", message, at, hint)
        return target

    def by_path(self, at: Location) -> Target | None:
        """The operation that an ``operationPath`` names; None when there is none (reported)."""
        text = str(at.value).strip()
        reference, hash_sign, pointer = text.partition("#")
        if not hash_sign:
            found = self._by_method_and_path(text, at)
            if found is None and (_QUALIFIED.match(text) or text.partition(".")[0] in self.sources):
                self.report.warning("operation-spelling", "an operationId given as operationPath", at)
                return self.by_id(at)
            if found is None:
                hint = "expected '{$sourceDescriptions.NAME.url}#/paths/~1path/method'"
                self.report.error("operation-path", f"{text!r} is no operationPath", at, hint)
            return found
        source = self._source_of(reference, pointer, at)
        if source is None:
            return None
        api = self.sources[source]
        key = self._at_pointer(api, pointer) or self._only_method(api, pointer, at)
        return Target(source, api, key) if key else None

    def _only_method(self, api: OpenApi, pointer: str, at: Location) -> OperationKey | None:
        """The operation of a pointer that ends at a path, if that path has one only."""
        path = _path_of(pointer.rstrip("/"))
        found = [key for key in api.keys if key.path == path]
        methods = ", ".join(key.method.lower() for key in found)
        if len(found) == 1:
            message = f"the operationPath ends at a path; its only method is {methods}"
            self.report.warning("operation-path-method", message, at, f"write #{_pointer(found[0])}")
            return found[0]
        if found:
            message = f"the operationPath ends at a path with several methods: {methods}"
            self.report.error("ambiguous-operation", message, at, f"write for example #{_pointer(found[0])}")
            return None
        known = [_pointer(known) for known in api.keys]
        message = f"there is no operation at #{pointer} in {api.document.name}"
        self.report.error("unknown-operation", message, at, did_you_mean(pointer, known))
        return None

    def _source_of(self, reference: str, pointer: str, at: Location) -> str | None:
        """The source that the part of an operationPath before ``#`` names."""
        proper = re.match(r"\{\$sourceDescriptions\.(.+)\.url\}\Z", reference)
        if proper and proper[1] in self.sources:
            return proper[1]
        name = reference.strip("{}").removeprefix("$sourceDescriptions.").removesuffix(".url")
        if not reference and len(self.sources) == 1:
            name = next(iter(self.sources))
        if name not in self.sources:
            by_url = [
                n
                for n, api in self.sources.items()
                if reference and reference.rsplit("/", 1)[-1] == api.document.path.name
            ]
            if len(by_url) != 1:
                self._unknown_source(name, at)
                return None
            name = by_url[0]
        if not proper:
            hint = f"write '{{$sourceDescriptions.{name}.url}}#{pointer}'"
            self.report.warning("operation-path-source", f"read as a path in source {name!r}", at, hint)
        return name

    def _at_pointer(self, api: OpenApi, pointer: str) -> OperationKey | None:
        tokens = [unquote(token).replace("~1", "/").replace("~0", "~") for token in pointer.split("/")]
        if len(tokens) == 4 and tokens[:2] == ["", "paths"]:
            return api.at_path(tokens[2], tokens[3])
        start, _, method = pointer.rpartition("/")
        path = _path_of(start)
        return api.at_path(path, unquote(method)) if path else None


def _path_of(pointer: str) -> str:
    """The path template that a pointer to a path item names, its slashes escaped or not; else nothing."""
    match = re.match(r"/?paths/(?P<path>.+)\Z", unquote(pointer), re.DOTALL)
    path = match["path"].replace("~1", "/").replace("~0", "~") if match else ""
    return path if not path or path.startswith("/") else f"/{path}"


def _pointer(key: OperationKey) -> str:
    escaped = key.path.replace("~", "~0").replace("/", "~1")
    return f"/paths/{escaped}/{key.method.lower()}"
