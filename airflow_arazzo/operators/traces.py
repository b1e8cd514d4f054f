"""Spans of OpenTelemetry: one for each HTTP request, by the conventions for HTTP clients.

The tracer is the one that Airflow, or whoever started the process, has set up. The span of the task is the
current one while an operator runs, so that those of its requests are its children.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk.observability import trace

from airflow_arazzo.engine.observe import Fate, UnderWay
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.version import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from airflow_arazzo.engine.wire import Wire

_KNOWN = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
"""Methods that the conventions know; any other is ``_OTHER``."""


def tracer_in_use(*, propagates: bool) -> Tracer | None:
    """The tracer; None when spans would go nowhere.

    That is so where nobody has set up a provider, and in a trace that is not sampled: whether it is, was
    decided for the whole DAG run.

    :param propagates: whether services are to hear of the trace, also of one that is not sampled.
    """
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    around = trace.get_current_span().get_span_context()
    if around.is_valid and not around.trace_flags.sampled and not propagates:
        return None
    return trace.get_tracer("airflow_arazzo", __version__)


class RequestSpan:
    """The span of one HTTP request.

    :param secrets: that must not be in any attribute.
    """

    def __init__(self, tracer: Tracer, under_way: UnderWay, wire: Wire, secrets: Iterable[str]) -> None:
        self._hidden = (*secrets, *under_way.hidden())
        # The URL without credentials; the document's query values are nobody's business either.
        parts = urlsplit(wire.shown_url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        known = wire.method in _KNOWN
        attributes: dict[str, Any] = {
            "http.request.method": wire.method if known else "_OTHER",
            "server.address": host,
            "server.port": port,
            "url.full": self._safe(f"{parts.scheme}://{parts.netloc}{parts.path}"),
            "url.scheme": parts.scheme,
            "network.protocol.name": "http",
            "network.protocol.version": "1.1",
            "arazzo.source": under_way.source,
            "arazzo.workflow.id": under_way.workflow,
            "arazzo.step.id": under_way.step,
            "arazzo.purpose": under_way.purpose,
        }
        name = wire.method if known else "HTTP"
        if not known:
            attributes["http.request.method_original"] = wire.method
        if under_way.template and under_way.is_own_path(wire.url):
            attributes["url.template"] = under_way.template
            name = f"{name} {under_way.template}"
        if under_way.resends:
            attributes["http.request.resend_count"] = under_way.resends
        self._span: Span = tracer.start_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes)

    @property
    def traceparent(self) -> str:
        """The span as a parent (W3C Trace Context, section 3.2)."""
        around = self._span.get_span_context()
        if not around.is_valid:
            return ""
        return f"00-{around.trace_id:032x}-{around.span_id:016x}-{around.trace_flags & 1:02x}"

    def answered(self, status: int) -> None:
        """End the span with a status; from 400 it is an error."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(trace.Status(trace.StatusCode.ERROR))
        self._span.end()

    def failed(self, fate: Fate, kind: str, message: str) -> None:
        """End the span without a response."""
        self._span.set_attribute("error.type", kind)
        self._span.set_attribute("arazzo.fate", fate)
        self._span.set_status(trace.Status(trace.StatusCode.ERROR, self._safe(message) or None))
        self._span.end()

    def _safe(self, text: str) -> str:
        return redact(text, self._hidden)
