"""A step's parameters and body, matched against what the operation declares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast, get_args

from airflow_arazzo.description.arazzo import ParameterObject, RequestBodyObject
from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.description.documents import Location, Report, is_within
from airflow_arazzo.description.fields import lexeme
from airflow_arazzo.description.openapi import ApiOperation, ApiParameter, MediaType
from airflow_arazzo.description.schemas import SchemaFacts
from airflow_arazzo.expression.model import Constant, Expression, ObjectTemplate, Template, Text
from airflow_arazzo.plan.media_type import is_json
from airflow_arazzo.plan.model import Body, Encoding, Parameter, Place, Replacement, Style
from airflow_arazzo.plan.templates import TemplateReader
from airflow_arazzo.plan.timestamps import note_timestamps

_DEFAULT_STYLE: dict[str, Style] = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PATH_NAME = re.compile(r"\{\+?([^{}]+)\}")


@dataclass(frozen=True)
class StepParameter:
    """A parameter of a step, ready for the plan, and where it was written."""

    parameter: Parameter
    at: Location


@dataclass(frozen=True)
class RequestReader:
    """Reads the parameters and body of steps that call one operation."""

    operation: ApiOperation
    templates: TemplateReader
    report: Report

    @property
    def called(self) -> str:
        """Method and path of the operation, for messages."""
        return f"{self.operation.method} {self.operation.path}"

    @property
    def path_names(self) -> tuple[str, ...]:
        """Names of the path parameters in the path template."""
        return tuple(dict.fromkeys(_PATH_NAME.findall(self.operation.path)))

    def _declared(self, name: str, place: str) -> ApiParameter | None:
        folded = name.casefold()
        for parameter in self.operation.parameters:
            same = parameter.name == name or (place == "header" and parameter.name.casefold() == folded)
            if parameter.place == place and same:
                return parameter
        return None

    def _placed(self, written: ParameterObject) -> str | None:
        """The place of a parameter, healed where the operation leaves no doubt; None when unknown."""
        declared = self._declared(written.name, written.place) if written.place else None
        if written.place == "path":
            declared = None  # the template decides: what it does not name has no place to go
        if declared is not None or (written.place == "path" and written.name in self.path_names):
            return written.place
        places = {p.place for p in self.operation.parameters if p.name == written.name} - {"path"}
        places |= {"path"} if written.name in self.path_names else set()
        if len(places) == 1:
            place = places.pop()
            message = f"{written.name!r} is a {place} parameter of {self.called}"
            said = f", not in {written.place}" if written.place else ""
            self.report.warning("parameter-place", message + said, written.at, f"write 'in: {place}'")
            return place
        if not written.place:
            hint = "give 'in' as path, query, header or cookie"
            self.report.error(
                "parameter-place",
                f"the parameter {written.name!r} does not say where it goes",
                written.at,
                hint,
            )
            return None
        if written.place == "path":
            message = f"{self.called} has no path parameter {written.name!r}"
            self.report.error(
                "unknown-parameter", message, written.at, did_you_mean(written.name, self.path_names)
            )
            return None
        return written.place

    def parameters(self, written: list[ParameterObject], step_at: Location) -> list[StepParameter]:
        """The step's parameters in order; missing and unknown path parameters are errors."""
        taken = self._respelled([each for each in written if not self._passed_over(each, step_at)])
        read = [parameter for each in taken if (parameter := self._parameter(each))]
        given = {each.parameter.name for each in read if each.parameter.place == "path"}
        given |= {each.name for each in taken if each.place == "path"}
        for name in self.path_names:
            if name not in given:
                message = f"{self.called} needs the path parameter {name!r}"
                near = did_you_mean(name, [each.name for each in written])
                hint = near if "mean" in near else f"add a parameter with name: {name}, in: path"
                self.report.error("missing-path-parameter", message, step_at, hint)
        self._note_missing(read, step_at)
        self._warn_of_two_queries(read)
        return read

    def _warn_of_two_queries(self, read: list[StepParameter]) -> None:
        """A whole query string and single query parameters exclude each other (OpenAPI 3.2)."""
        single = [each.parameter.name for each in read if each.parameter.place == "query"]
        for each in read if single else ():
            if each.parameter.place == "querystring":
                message = (
                    f"{each.parameter.name!r} is the whole query string, and {single[0]!r} is added to it"
                )
                hint = "give either a querystring parameter or query parameters"
                self.report.warning("querystring-and-query", message, each.at, hint)

    def _respelled(self, written: list[ParameterObject]) -> list[ParameterObject]:
        """Path parameters under the names of the path template, where another spelling leaves no doubt."""
        given = {each.name for each in written if each.place in ("", "path")}
        missing = [name for name in self.path_names if name not in given]
        unknown = [each for each in written if each.place == "path" and each.name not in self.path_names]
        renamed: dict[int, str] = {}
        for each in unknown:
            same = [name for name in missing if _spelling(name) == _spelling(each.name)]
            if not same and len(missing) == len(unknown) == 1 and _ends_alike(missing[0], each.name):
                same = missing
            if len(same) == 1 and same[0] not in renamed.values():
                renamed[id(each)] = same[0]
                message = f"the path parameter {same[0]!r} of {self.called} is given as {each.name!r}"
                self.report.warning("path-parameter-name", message, each.at, f"write 'name: {same[0]}'")
        return [replace(each, name=renamed.get(id(each), each.name)) for each in written]

    def _passed_over(self, written: ParameterObject, step_at: Location) -> bool:
        """Whether a parameter of the workflow has no place in this operation: it is meant for other steps."""
        if is_within(written.at, step_at) or written.place not in ("", "path"):
            return False
        known = {p.name for p in self.operation.parameters if p.place != "path"} | set(self.path_names)
        if written.name in known:
            return False
        message = f"{self.called} has no parameter {written.name!r}; this step goes without it"
        self.report.note("parameter-not-used", message, written.at)
        return True

    def _note_missing(self, read: list[StepParameter], step_at: Location) -> None:
        """Required query parameters that nobody sends; headers are often the runner's own credentials."""
        sent = {(each.parameter.place, each.parameter.name) for each in read}
        for declared in self.operation.parameters:
            missing = declared.required and declared.place == "query" and ("query", declared.name) not in sent
            if missing and not any(place == "querystring" for place, _ in sent):
                message = f"{self.called} requires the query parameter {declared.name!r}"
                self.report.note("missing-parameter", message, step_at)

    def _parameter(self, written: ParameterObject) -> StepParameter | None:
        place = self._placed(written)
        if place is None or self._belongs_to_body(written, place):
            return None
        declared = self._declared(written.name, place)
        if declared is None and isinstance(written.value.value, int | Decimal):
            value: Template = Constant(_as_text(written.value.value))
        else:
            value = self.templates.value(written.value, declared.schema if declared else None)
        if place == "path" and isinstance(value, Constant) and value.value in (None, ""):
            self.report.error(
                "empty-path-parameter", f"the path parameter {written.name!r} is empty", written.value
            )
            return None
        style = declared.style if declared and declared.style in get_args(Style) else None
        style = style or _DEFAULT_STYLE.get(place, "form")
        explode = (
            declared.explode if declared and declared.explode is not None else style in ("form", "cookie")
        )
        parameter = Parameter(
            name=written.name,
            place=cast(Place, place),
            value=value,
            style=cast(Style, style),
            explode=explode,
            allow_reserved=declared.allow_reserved if declared else False,
            content_type=declared.content_type if declared and place != "querystring" else "",
            required=declared.required if declared else place == "path",
        )
        return StepParameter(parameter, written.at)

    def _belongs_to_body(self, written: ParameterObject, place: str) -> bool:
        """A ``Content-Type`` header is never a parameter: the body says what it is."""
        if place != "header" or written.name.casefold() != "content-type":
            return False
        message = "a Content-Type parameter is not sent: the request body's content type is"
        self.report.warning("content-type-parameter", message, written.at, "use requestBody.contentType")
        return True

    def body(self, written: RequestBodyObject | None, step_at: Location) -> Body | None:
        """The step's request body, or None for none."""
        if written is None or (written.payload is None and not written.replacements):
            if self.operation.body_required and written is None:
                message = f"{self.called} requires a request body"
                self.report.note("missing-body", message, step_at)
            return None
        content_type = self._content_type(written)
        media = self._media_type(content_type, written)
        facts = media.schema if media else None
        payload = self._payload(written.payload, content_type, facts)
        for at in (written.payload, *(replacement.value for replacement in written.replacements)):
            note_timestamps(at, self.report)
        return Body(
            content_type=content_type,
            payload=payload,
            encoding=self._encoding(media),
            replacements=tuple(self._replacements(written, content_type)),
            required_properties=self._required(payload, facts, written),
            binary_properties=_binary(facts),
        )

    def passwords(self, written: RequestBodyObject | None) -> Iterator[Location]:
        """Where the payload fills members of ``format: password``."""
        if written is None or written.payload is None:
            return
        described = self.operation.bodies
        media = described.get(self._content_type(written)) or next(iter(described.values()), None)
        if media is not None:
            yield from _passwords(written.payload, media.schema)

    def _content_type(self, written: RequestBodyObject) -> str:
        if written.content_type is not None and written.content_type.value:
            return str(written.content_type.value)
        offered = list(self.operation.bodies)
        if not offered:
            return "application/json"
        json_types = [name for name in offered if is_json(name)]
        return (json_types or offered)[0]

    def _media_type(self, content_type: str, written: RequestBodyObject) -> MediaType | None:
        """The described media type that a content type falls under, exactly or by range."""
        essence = content_type.split(";")[0].strip().casefold()
        ranges = (essence, essence.split("/")[0] + "/*", "*/*")
        described = {
            name.split(";")[0].strip().casefold(): media for name, media in self.operation.bodies.items()
        }
        for wanted in ranges:
            if wanted in described:
                return described[wanted]
        if described:
            message = f"{self.called} does not describe the content type {essence}"
            hint = "described: " + ", ".join(self.operation.bodies)
            self.report.warning("content-type", message, written.content_type or written.at, hint)
        return None

    def _payload(self, at: Location | None, content_type: str, facts: SchemaFacts | None) -> Template:
        if at is None:
            return Constant({})
        if isinstance(at.value, str):
            return self.templates.json_text(at) if is_json(content_type) else self.templates.text(at)
        return self.templates.value(at, facts)

    def _required(
        self, payload: Template, facts: SchemaFacts | None, written: RequestBodyObject
    ) -> tuple[str, ...]:
        """Required properties that the payload names; those that it does not name are warned of."""
        required = facts.required if facts else ()
        if isinstance(payload, Expression | Text) or not required:
            return required if isinstance(payload, Expression) else ()
        if isinstance(payload, ObjectTemplate):
            given = {name for name, _ in payload.members}
        elif isinstance(payload, Constant) and isinstance(payload.value, dict):
            given = set(payload.value)
        else:
            return ()
        given |= {
            r.target.value.split("/")[1] for r in written.replacements if r.target.value.count("/") >= 1
        }
        for name in required:
            if name not in given:
                message = f"the body of {self.called} requires {name!r}"
                self.report.warning("missing-body-property", message, written.payload or written.at)
        return tuple(name for name in required if name in given)

    def _encoding(self, media: MediaType | None) -> dict[str, Encoding]:
        found: dict[str, Encoding] = {}
        for name, at in media.encoding.members() if media and media.encoding else ():
            if not isinstance(at.value, dict):
                continue
            style, explode = at.value.get("style"), at.value.get("explode")
            found[name] = Encoding(
                style=cast(Style, style) if style in get_args(Style) else "",
                explode=explode if isinstance(explode, bool) else None,
                allow_reserved=bool(at.value.get("allowReserved")),
                content_type=str(at.value.get("contentType") or ""),
            )
        return found

    def _replacements(self, written: RequestBodyObject, content_type: str) -> list[Replacement]:
        read = []
        for replacement in written.replacements:
            default = "xpath" if "xml" in content_type else "jsonpointer"
            kind = replacement.type or default
            target = str(replacement.target.value)
            if kind == "jsonpointer" and target and not target.startswith("/"):
                hint = "a JSON Pointer starts with '/'; for JSONPath give targetSelectorType: jsonpath"
                self.report.error(
                    "replacement-target", f"{target!r} is no JSON Pointer", replacement.target, hint
                )
                continue
            if not self.templates.query(kind, target, replacement.version, replacement.target):
                continue
            value = self.templates.value(replacement.value)
            read.append(Replacement(target, kind, value, replacement.version))  # type: ignore[arg-type]
        return read


def _spelling(name: str) -> list[str]:
    """The words of a name: ``petId``, ``pet_id`` and ``pet-ID`` have the same."""
    return [word.casefold() for word in _WORD.findall(name)]


def _ends_alike(one: str, other: str) -> bool:
    """Whether one name is the end of the other, as ``id`` is of ``petId``."""
    short, long = sorted((_spelling(one), _spelling(other)), key=len)
    return bool(short) and long[-len(short) :] == short


def _passwords(at: Location, facts: SchemaFacts) -> Iterator[Location]:
    if facts.keyword("format") == "password":
        yield at
    for name, member in at.members():
        yield from _passwords(member, facts.member(name))
    for item in at.items():
        yield from _passwords(item, facts.items)


def _as_text(value: bool | int | Decimal) -> str:
    """A literal of which no type is known, as its author wrote it."""
    return str(value).lower() if isinstance(value, bool) else lexeme(value)


def _binary(facts: SchemaFacts | None) -> tuple[str, ...]:
    names = facts.property_names if facts else ()
    return tuple(name for name in names if facts and facts.member(name).keyword("format") == "binary")
