"""The plan: everything that execution needs, as JSON, with nothing left to look up.

A plan holds one workflow and every workflow that it can reach. It is what the cache stores, what tasks
load and what ``airflow-arazzo plan`` prints. It never holds credentials, absolute paths or times.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from airflow_arazzo.description.diagnostics import Diagnostic
from airflow_arazzo.expression.model import Criterion, Template

FORMAT = 2
"""Version of this layout; a cached plan of another version is compiled anew."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that ask for nothing to be changed (RFC 9110, 9.2.1)."""

IDEMPOTENT_METHODS = SAFE_METHODS | {"PUT", "DELETE"}
"""Methods that do the same however often they are sent (RFC 9110, 9.2.2)."""

Place = Literal["path", "query", "querystring", "header", "cookie"]
Style = Literal[
    "simple", "label", "matrix", "form", "spaceDelimited", "pipeDelimited", "deepObject", "cookie"
]


class Server(msgspec.Struct, frozen=True, omit_defaults=True):
    """An OpenAPI Server Object in effect for an operation.

    :param url: the URL template as written; may be relative.
    :param variables: default value of each variable.
    """

    url: str
    variables: dict[str, str] = {}


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value to send outside the body, and how OpenAPI says that it is written.

    :param style: OpenAPI ``style``, already defaulted by place.
    :param content_type: media type of a parameter described by ``content``; the value is then encoded
        as that media type and ``style`` does not apply.
    :param required: whether the operation requires it; a missing path parameter is always an error.
    :param credential: name of the security scheme (key of :attr:`Source.schemes`) whose credential this
        is. The connection's credential is sent for it unless the value is there, which it is only when
        another workflow handed it over.
    """

    name: str
    place: Place
    value: Template
    style: Style = "form"
    explode: bool = True
    allow_reserved: bool = False
    content_type: str = ""
    required: bool = False
    credential: str = ""


class Encoding(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one property of a form or multipart body is written (OpenAPI Encoding Object)."""

    style: Style | Literal[""] = ""
    explode: bool | None = None
    allow_reserved: bool = False
    content_type: str = ""
    headers: dict[str, Template] = {}


class Replacement(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Payload Replacement Object: where in the payload, and what to put there."""

    target: str
    type: Literal["jsonpointer", "jsonpath", "xpath"]
    value: Template
    version: str = ""


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request body.

    :param content_type: as sent, parameters such as ``charset`` included.
    :param required_properties: top-level properties that the operation's schema requires.
    :param binary_properties: top-level properties that are files in a multipart body.
    """

    content_type: str
    payload: Template
    encoding: dict[str, Encoding] = {}
    replacements: tuple[Replacement, ...] = ()
    required_properties: tuple[str, ...] = ()
    binary_properties: tuple[str, ...] = ()


class SecurityScheme(msgspec.Struct, frozen=True, omit_defaults=True):
    """A security scheme of a source, or one inferred from a credential that a document sends itself.

    :param type: as in OpenAPI; ``mutualTLS`` and ``openIdConnect`` included.
    :param scheme: for ``http``: ``basic``, ``bearer``, ``digest`` (lower case) or another registered name.
    :param place: for ``apiKey``: header, query or cookie.
    :param parameter: for ``apiKey``: name of the header, query parameter or cookie.
    :param prefix: for an inferred scheme: text before the credential, such as ``Token ``.
    """

    type: Literal["apiKey", "http", "oauth2", "openIdConnect", "mutualTLS"]
    scheme: str = ""
    place: Literal["", "header", "query", "cookie"] = ""
    parameter: str = ""
    prefix: str = ""
    token_url: str = ""
    refresh_url: str = ""
    flow: str = ""
    open_id_connect_url: str = ""


class SchemeUse(msgspec.Struct, frozen=True, omit_defaults=True):
    """A scheme that an operation asks for, with the OAuth2 scopes."""

    name: str
    scopes: tuple[str, ...] = ()


LIFETIME = 23 * 3600.0
"""Seconds for which a service is taken to remember a key where nothing is said: just less than a day."""


class Idempotency(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an operation lets a client repeat a request without repeating its effect.

    :param place: whether the key goes into a header or into a property of the JSON body.
    :param name: of the header or property.
    :param lifetime: seconds for which the service remembers a key, from its first use.
    """

    place: Literal["header", "body"]
    name: str
    lifetime: float = LIFETIME


class OperationCall(msgspec.Struct, frozen=True, tag_field="kind", tag="operation", omit_defaults=True):
    """A call to an HTTP operation.

    :param source: name of the source description; also the key of its connection.
    :param operation: operationId, or ``METHOD path`` where it has none.
    :param path: path template of the operation, with ``{name}`` for path parameters.
    :param accept: value of the Accept header, from the media types of the described responses.
    :param security: alternatives, each a combination; empty means that nothing is asked for, and an
        empty combination that anonymous calls are allowed.
    :param credentials: names of schemes (keys of :attr:`Source.schemes`) for which the document has a
        literal credential; the connection's is sent instead.
    :param idempotency: how a repeated request is recognised; None when the service does not say so.
    """

    source: str
    operation: str
    method: str
    path: str
    servers: tuple[Server, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    accept: str = "*/*"
    security: tuple[tuple[SchemeUse, ...], ...] = ()
    credentials: tuple[str, ...] = ()
    summary: str = ""
    documentation: str = ""
    idempotency: Idempotency | None = None


DEFAULT_WAIT = 900.0
"""Seconds since a request was last sent before a lookup that does not find its effect is believed: a service
may be slow to do what it was asked, and slower to show it."""


class Probe(msgspec.Struct, frozen=True, omit_defaults=True):
    """A lookup that a deployment names to tell whether the effect of a step exists.

    In its expressions ``$request`` is the request whose outcome is unknown, and ``$response`` what the lookup
    answers.

    :param call: a safe operation.
    :param happened: criteria that all hold when the effect exists.
    :param not_happened: criteria that all hold when it does not; none when that cannot be told.
    :param wait: seconds, see :data:`DEFAULT_WAIT`.
    :param response: whether the lookup's response stands for the one that the step did not get.
    """

    call: OperationCall
    happened: tuple[Criterion, ...]
    not_happened: tuple[Criterion, ...] = ()
    wait: float = DEFAULT_WAIT
    response: bool = False


class WorkflowCall(msgspec.Struct, frozen=True, tag_field="kind", tag="workflow", omit_defaults=True):
    """A step that calls another workflow of the plan.

    :param workflow: key in :attr:`Plan.workflows`.
    :param inputs: the step's parameters, as inputs of the called workflow.
    """

    workflow: str
    inputs: tuple[tuple[str, Template], ...] = ()


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Success or Failure Action Object.

    :param workflow: key in :attr:`Plan.workflows`.
    :param retry_after: seconds, as a decimal text so that no precision is lost; empty when not named.
    :param retry_limit: ``None`` when not named, which means one retry.
    """

    name: str
    type: Literal["end", "goto", "retry"]
    step: str = ""
    workflow: str = ""
    inputs: tuple[tuple[str, Template], ...] = ()
    retry_after: str = ""
    retry_limit: int | None = None
    criteria: tuple[Criterion, ...] = ()


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step with its workflow's parameters and actions merged in.

    :param timeout_ms: milliseconds for the whole step (Arazzo 1.1 ``timeout``).
    :param secret_outputs: names of outputs that later steps send as credentials, or parts of them.
    :param secret_places: for those of which they send parts: the ways to these, as in
        :attr:`~airflow_arazzo.expression.model.Expression.path`.
    :param probe: tells whether the step's effect exists, where nobody else knows.
    :param line: line of the step in its document, counted from 1; 0 for one that an overlay has added.
    """

    id: str
    call: OperationCall | WorkflowCall
    description: str = ""
    criteria: tuple[Criterion, ...] = ()
    on_success: tuple[Action, ...] = ()
    on_failure: tuple[Action, ...] = ()
    outputs: dict[str, Template] = {}
    timeout_ms: int | None = None
    depends_on: tuple[str, ...] = ()
    secret_outputs: tuple[str, ...] = ()
    secret_places: dict[str, tuple[tuple[str, ...], ...]] = {}
    probe: Probe | None = None
    line: int = 0


class CredentialInput(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input that is never asked of a person: its value comes from a connection.

    :param source: the source whose connection holds it.
    :param scheme: the scheme that it authenticates and that fills it; empty for a secret that the engine
        looks up by the input's name in the connection's extra field ``secrets``.
    :param required: whether the document says that the input must be there.
    """

    source: str
    scheme: str = ""
    required: bool = False


class Workflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A workflow, ready to run.

    :param inputs: JSON Schema 2020-12 of the inputs, references resolved, credentials left out.
    :param credentials: inputs that are credentials, by name.
    :param file: name of the document, relative and without folders of the machine.
    """

    id: str
    steps: tuple[Step, ...]
    summary: str = ""
    description: str = ""
    inputs: dict[str, Any] = {}
    credentials: dict[str, CredentialInput] = {}
    depends_on: tuple[str, ...] = ()
    outputs: dict[str, Template] = {}
    file: str = ""
    line: int = 0


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """A source description that the plan calls.

    :param url: as the document gives it.
    :param schemes: security schemes that operations of the plan use, by name.
    """

    name: str
    url: str = ""
    title: str = ""
    schemes: dict[str, SecurityScheme] = {}


class Description(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields of a Source Description Object, for expressions that read them."""

    name: str
    url: str
    type: str = ""


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """One workflow with all that it reaches.

    :param workflow: key of the workflow that runs, in ``workflows``.
    :param workflows: by key: the workflow's id, qualified with ``source.`` for those of other documents.
    :param descriptions: source descriptions that expressions read, by name, qualified like workflows.
    :param self_uri: ``$self`` of the document, empty when it has none.
    :param diagnostics: warnings and notes of the compilation.
    :param digest: SHA-256 (hex) of the plan without digest and diagnostics.
    """

    workflow: str
    workflows: dict[str, Workflow]
    sources: dict[str, Source]
    descriptions: dict[str, Description] = {}
    format: int = FORMAT
    title: str = ""
    version: str = ""
    self_uri: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    digest: str = ""

    @property
    def root(self) -> Workflow:
        """The workflow that runs."""
        return self.workflows[self.workflow]
