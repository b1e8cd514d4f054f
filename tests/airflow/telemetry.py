"""Where metrics and spans arrive in tests: a StatsD server, a span exporter, an OTLP collector."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Statsd:
    """Packets that came; reading waits until none comes any more."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port: int = self._socket.getsockname()[1]
        self._packets: list[str] = []

    def close(self) -> None:
        self._socket.close()

    @property
    def all(self) -> list[str]:
        """All packets, also Airflow's own."""
        try:
            while True:
                self._packets += self._socket.recv(65536).decode().splitlines()
        except TimeoutError:
            return self._packets

    @property
    def ours(self) -> list[str]:
        return [packet for packet in self.all if packet.startswith("airflow.arazzo.")]

    def counted(self, name: str, **tags: str) -> int:
        """Sum of a counter over all packets that have these tags, and maybe others."""
        return sum(value for found, kind, value in self._read(name) if kind == "c" and tags.items() <= found)

    def timed(self, name: str, **tags: str) -> list[float]:
        """Milliseconds of a timer."""
        return [value for found, kind, value in self._read(name) if kind == "ms" and tags.items() <= found]

    def tags(self) -> set[tuple[str, str]]:
        """All tags of all our metrics."""
        return {pair for packet in self.ours for pair in _tags(packet.partition(":")[0])}

    def _read(self, name: str) -> Iterator[tuple[set[tuple[str, str]], str, Any]]:
        for packet in self.ours:
            full, _, rest = packet.partition(":")
            if full.partition(",")[0] == f"airflow.arazzo.{name}":
                value, kind = rest.split("|")[:2]
                yield set(_tags(full)), kind, int(value) if kind == "c" else float(value)


def _tags(name: str) -> list[tuple[str, str]]:
    return [tuple(pair.split("=")) for pair in name.split(",")[1:]]  # type: ignore[misc]


@contextmanager
def statsd_backend() -> Iterator[None]:
    """Airflow's metrics set up as its task runner does it, from the configuration."""
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
    from airflow.sdk.configuration import conf
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils

    legacy = conf.getboolean("metrics", "legacy_names_on")
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=legacy)
    try:
        yield
    finally:
        stats.initialize(factory=NoStatsLogger, export_legacy_names=legacy)


class Spans:
    """Spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def ours(self) -> list[ReadableSpan]:
        return [
            span
            for span in self._exporter.get_finished_spans()
            if span.instrumentation_scope is not None and span.instrumentation_scope.name == "airflow_arazzo"
        ]

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.ours]

    def everything(self) -> str:
        """All that would leave the process."""
        return "\n".join(span.to_json() for span in self._exporter.get_finished_spans())


class Collector:
    """What came at an OTLP collector, by path."""

    def __init__(self, port: int, bodies: list[tuple[str, bytes]]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._bodies = bodies

    def wait(self, path: str, seconds: float = 20) -> list[bytes]:
        """Bodies that came at a path, once there is one."""
        until = time.monotonic() + seconds
        while not (found := [body for at, body in self._bodies if at == path]) and time.monotonic() < until:
            time.sleep(0.05)
        return found


@contextmanager
def running_collector() -> Iterator[Collector]:
    """An OTLP/HTTP collector on a free port of the loopback interface."""
    bodies: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                data = gzip.decompress(data)
            bodies.append((self.path, data))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield Collector(server.server_port, bodies)
    finally:
        server.shutdown()
        server.server_close()
