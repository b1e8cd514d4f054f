"""``airflow-arazzo vendor`` against a server on the loopback interface."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.cli import fetch as fetching
from airflow_arazzo.cli.fetch import CannotFetch, fetch
from airflow_arazzo.cli.main import main
from airflow_arazzo.description.vendored import LOCK, place_of
from airflow_arazzo.plan.cache import load_plan
from airflow_arazzo.plan.compiler import compile_document
from airflow_arazzo.plan.options import Options

Captured = pytest.CaptureFixture[str]

API = """
openapi: 3.1.0
info: {title: Things}
servers: [{url: 'https://things.example'}]
paths:
  /things: {get: {operationId: listThings}, post: {operationId: createThing}}
  /old: {get: {operationId: old}}
  /bills: {post: {operationId: bill}}
"""
OTHER = API.replace("Things", "Others").replace("listThings", "listOthers")
DOCUMENT = """
arazzo: 1.0.1
info: {title: T, version: '1'}
sourceDescriptions:
- {name: things, url: '%(url)s/a/openapi.yaml', type: openapi}
- {name: others, url: '%(url)s/b/openapi.yaml', type: openapi}
workflows:
- workflowId: w
  steps:
  - {stepId: one, operationId: $sourceDescriptions.things.listThings}
  - {stepId: two, operationId: $sourceDescriptions.things.bill}
  - {stepId: three, operationId: $sourceDescriptions.others.listOthers}
"""


@dataclass
class Server:
    """Answers by path: bytes, or a status with headers and bytes. Remembers what it was asked."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            made.headers.append(dict(self.headers))
            answer = made.answers.get(self.path, (404, {}, b""))
            if callable(answer):
                answer(self)
                return
            status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
            body = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        made.url = f"http://127.0.0.1:{listening.server_address[1]}"
        made.answers = {"/a/openapi.yaml": API, "/b/openapi.yaml": OTHER}
        yield made
        listening.shutdown()
        thread.join()


@pytest.fixture
def document(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "flows").mkdir()
    path = tmp_path / "flows" / "doc.yaml"
    path.write_text(DOCUMENT % {"url": server.url})
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARAZZO_SOURCE_PATH", raising=False)
    return path


def vendor(capsys: Captured, *arguments: str, status: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["vendor", *arguments]) == status
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return said.out, said.err


def host(server: Server) -> str:
    return server.url.removeprefix("http://").replace(":", "_")


def test_copies_are_fetched_once_and_found_without_an_option(
    document: Path, server: Server, capsys: Captured
) -> None:
    out, err = vendor(capsys, "flows/doc.yaml")
    base = Path("flows/vendor") / host(server)
    assert err == ""
    assert out == (
        f"fetched    {base}/a/openapi.yaml ({len(API)} bytes) from {server.url}/a/openapi.yaml\n"
        f"fetched    {base}/b/openapi.yaml ({len(OTHER)} bytes) from {server.url}/b/openapi.yaml\n"
        "wrote flows/vendor/arazzo.lock.json\n"
    )
    compilation = compile_document(document)
    assert compilation.diagnostics == (), "two files of one name are told apart, and that is worth no note"
    titles = {name: source.title for name, source in compilation.plans["w"].sources.items()}
    assert titles == {"things": "Things", "others": "Others"}
    lock = json.loads((document.parent / "vendor" / LOCK).read_text())
    first = lock["files"][0]
    assert first.pop("fetched").endswith("Z")
    assert first == {
        "name": "things",
        "url": f"{server.url}/a/openapi.yaml",
        "file": f"{host(server)}/a/openapi.yaml",
        "sha256": hashlib.sha256(API.encode()).hexdigest(),
        "size": len(API),
    }
    server.asked.clear()
    before = (document.parent / "vendor" / LOCK).read_bytes()
    out, _ = vendor(capsys, "flows/doc.yaml")
    assert out.splitlines() == [f"kept       {base}/{each}/openapi.yaml" for each in "ab"]
    assert server.asked == []
    assert (document.parent / "vendor" / LOCK).read_bytes() == before
    assert not list(document.parent.rglob(".*.partial"))


def test_the_check_needs_no_network(document: Path, server: Server, capsys: Captured) -> None:
    out, err = vendor(capsys, "flows/doc.yaml", "--check", status=1)
    assert err.splitlines()[0] == f"missing    {server.url}/a/openapi.yaml is not in flows/vendor/{LOCK}"
    assert not (document.parent / "vendor").exists()
    vendor(capsys, "flows/doc.yaml")
    server.asked.clear()
    out, err = vendor(capsys, "flows/doc.yaml", "--check")
    assert [line.split()[0] for line in out.splitlines()] == ["same", "same"]
    copy = document.parent / "vendor" / host(server) / "a" / "openapi.yaml"
    copy.write_text(API + "# changed\n")
    out, err = vendor(capsys, "flows/doc.yaml", "--check", status=1)
    assert err.startswith(f"differs    {copy.relative_to(Path.cwd())}: its SHA-256 is ")
    out, err = vendor(capsys, "flows/doc.yaml", status=1)
    assert "; --update replaces it" in err
    assert copy.read_text().endswith("# changed\n")
    copy.unlink()
    out, err = vendor(capsys, "flows/doc.yaml", "--check", status=1)
    assert err.strip() == f"missing    {copy.relative_to(Path.cwd())}"
    assert server.asked == []


def test_a_lost_copy_is_only_replaced_by_the_same(document: Path, server: Server, capsys: Captured) -> None:
    vendor(capsys, "flows/doc.yaml")
    copy = document.parent / "vendor" / host(server) / "a" / "openapi.yaml"
    copy.unlink()
    server.answers["/a/openapi.yaml"] = API + "# changed\n"
    _, err = vendor(capsys, "flows/doc.yaml", status=1)
    assert "gives something else now; --update takes it" in err
    assert not copy.exists()
    server.answers["/a/openapi.yaml"] = API
    vendor(capsys, "flows/doc.yaml")
    assert copy.read_text() == API


def test_an_update_says_what_it_means_for_the_steps(document: Path, server: Server, capsys: Captured) -> None:
    vendor(capsys, "flows/doc.yaml")
    changed = API.replace("listThings", "getThings").replace("/old:", "/new:")
    changed = changed.replace("  /bills: {post: {operationId: bill}}\n", "  /c: {put: {operationId: c}}\n")
    server.answers["/a/openapi.yaml"] = changed
    out, err = vendor(capsys, "flows/doc.yaml", "--update")
    base = Path("flows/vendor") / host(server)
    assert err == ""
    assert out.splitlines() == [
        f"updated    {base}/a/openapi.yaml ({len(changed)} bytes) from {server.url}/a/openapi.yaml",
        "  gone     POST /bills (bill), used by w.two",
        "  moved    old: GET /old → GET /new",
        "  renamed  GET /things: listThings → getThings, used by w.one",
        "  added    PUT /c (c)",
        f"unchanged  {base}/b/openapi.yaml ({len(OTHER)} bytes) from {server.url}/b/openapi.yaml",
        "wrote flows/vendor/arazzo.lock.json",
    ]
    assert {d.code for d in compile_document(document).diagnostics} == {"unknown-operation"}
    vendor(capsys, "flows/doc.yaml", "--check")
    out, _ = vendor(capsys, "flows/doc.yaml", "--update")
    assert [line.split()[0] for line in out.splitlines()] == ["unchanged", "unchanged"]


def test_plans_of_the_cache_notice_the_lock_file(
    document: Path, server: Server, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARAZZO_CACHE_DIR", str(tmp_path / "cache"))
    (document.parent / "openapi.yaml").write_text(API)
    text = document.read_text().replace("others.listOthers", "others.old")
    document.write_text(text.replace("things.listThings", "things.old"))

    def titles() -> list[str]:
        return [source.title for source in load_plan(document, "w", Options()).sources.values()]

    assert titles() == ["Things", "Things"]
    vendor(capsys, "flows/doc.yaml")
    assert titles() == ["Things", "Others"]
    lock = document.parent / "vendor" / LOCK
    copies = [f"{host(server)}/{each}/openapi.yaml" for each in "ab"]
    lock.write_text(lock.read_text().replace(f'"{copies[1]}"', f'"{copies[0]}"'))
    assert titles() == ["Things", "Things"]


def test_redirects_are_followed_and_shown(document: Path, server: Server, capsys: Captured) -> None:
    server.answers["/a/openapi.yaml"] = (302, {"Location": "/moved"}, "")
    server.answers["/moved"] = (307, {"Location": f"{server.url}/v3/things.yaml"}, "")
    server.answers["/v3/things.yaml"] = API + "x: {$ref: 'part.yaml#/a'}\n"
    server.answers["/v3/part.yaml"] = "a: 1\n"
    out, _ = vendor(capsys, "flows/doc.yaml")
    assert out.splitlines()[1:3] == [
        f"           redirected to {server.url}/moved",
        f"           redirected to {server.url}/v3/things.yaml",
    ]
    lock = json.loads((document.parent / "vendor" / LOCK).read_text())
    by_file = {entry["file"].partition("/")[2]: entry for entry in lock["files"]}
    assert by_file["a/openapi.yaml"]["answered_by"] == f"{server.url}/v3/things.yaml"
    assert by_file["a/part.yaml"]["answered_by"] == f"{server.url}/v3/part.yaml", (
        "where the reference is from"
    )
    vendor(capsys, "flows/doc.yaml", "--check")


def test_what_copies_refer_to_is_fetched_too(document: Path, server: Server, capsys: Captured) -> None:
    server.answers["/a/openapi.yaml"] = (
        API.replace("post: {operationId: createThing}", "post: {$ref: '../parts/post%20it.yaml#/post'}")
        + "x: [{$ref: '#/info'}, {$ref: 'https://elsewhere.example/x'}, {$ref: '//elsewhere.example/x'}]\n"
        + "y: {$ref: lost ü.yaml}\n"
    )
    server.answers["/parts/post%20it.yaml"] = "post: {operationId: createThing, x: {$ref: more/b.json}}\n"
    server.answers["/parts/more/b.json"] = '{"b": {"$ref": "../post%20it.yaml"}}'
    server.answers["/flows/inner.yaml"] = (
        "arazzo: 1.0.1\ninfo: {title: I, version: '1'}\n"
        "sourceDescriptions: [{name: n, url: ../a/openapi.yaml, type: openapi}]\n"
        "workflows: [{workflowId: i, steps: [{stepId: s, operationId: bill}]}]\n"
    )
    document.write_text(
        f"arazzo: 1.0.1\ninfo: {{title: T, version: '1'}}\n"
        f"sourceDescriptions: [{{name: inner, url: '{server.url}/flows/inner.yaml', type: arazzo}}]\n"
        "workflows: [{workflowId: w, steps: [{stepId: s, workflowId: $sourceDescriptions.inner.i}]}]\n"
    )
    out, _ = vendor(capsys, "flows/doc.yaml")
    assert server.asked == [
        "/flows/inner.yaml",
        "/a/openapi.yaml",
        "/parts/post%20it.yaml",
        "/a/lost%20%C3%BC.yaml",
        "/parts/more/b.json",
    ]
    assert f"not fetched  {server.url}/a/lost ü.yaml: the answer is 404 Not Found" in out
    assert not [d for d in compile_document(document).diagnostics if d.severity == "error"]
    vendor(capsys, "flows/doc.yaml", "--check")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, {}, "no"), "the answer is 404 Not Found"),
        (
            (200, {}, "<html><body>Sign in</body></html>"),
            "neither an OpenAPI description nor an Arazzo document",
        ),
        ((200, {}, "openapi: [\n"), "not valid YAML"),
        ((200, {}, b"\xff\xfe"), "not UTF-8 text"),
        ((206, {}, API), "the answer is 206 Partial Content"),
        ((302, {"Location": "http://[::1/y"}, ""), "Invalid IPv6 URL"),
        (
            (302, {"Location": "ftp://x.example/y"}, ""),
            "redirects to ftp://x.example/y, and only https is fetched",
        ),
        ((302, {"Location": "http://example.com/y"}, ""), "only https is fetched"),
        ((302, {"Location": "file:///etc/passwd"}, ""), "only https is fetched"),
        (
            (302, {"Location": "http://a:b@127.0.0.1/y"}, ""),
            "a URL with a login or password in it is not fetched",
        ),
        ((302, {"Location": "/a/openapi.yaml"}, ""), "more than 5 redirects"),
        ((302, {}, ""), "more than 5 redirects"),
    ],
)
def test_what_is_not_taken(document: Path, server: Server, answer: Any, said: str, capsys: Captured) -> None:
    server.answers["/a/openapi.yaml"] = answer
    _, err = vendor(capsys, "flows/doc.yaml", status=1)
    assert said in err
    assert err.endswith("nothing was written\n")
    assert not (document.parent / "vendor").exists(), "not even the other source"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/x.yaml", "only https is fetched"),
        ("http://127.0.0.1.example.com/x.yaml", "only https is fetched"),
        ("http://localhost@example.com/x.yaml", "a URL with a login or password in it is not fetched"),
        ("https://user:secret@example.com/x.yaml", "a URL with a login or password in it is not fetched"),
        ("http://[::1/x.yaml", ""),
    ],
)
def test_urls_that_are_not_asked(
    document: Path, server: Server, url: str, said: str, capsys: Captured
) -> None:
    document.write_text(document.read_text().replace(f"{server.url}/a/openapi.yaml", url))
    _, err = vendor(capsys, "flows/doc.yaml", status=1 if said else 0)
    assert said in err


def test_nothing_of_whoever_asks_is_sent(
    document: Path, server: Server, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server.answers["/a/openapi.yaml"] = (302, {"Location": "/moved", "Set-Cookie": "a=b"}, "")
    server.answers["/moved"] = API
    vendor(capsys, "flows/doc.yaml")
    for headers in server.headers:
        assert {name.casefold() for name in headers} <= {
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "connection",
        }


def test_time_and_size_are_bounded(server: Server) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b"#")
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return

    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"openapi: 3.1.0")

    server.answers["/slow"] = drip
    started = time.monotonic()
    with pytest.raises(CannotFetch, match=r"no complete answer within 0.4 s"):
        fetch(f"{server.url}/slow", seconds=0.4)
    assert time.monotonic() - started < 3

    def drip_headers(handler: BaseHTTPRequestHandler) -> None:
        try:
            for _ in range(100):
                handler.wfile.write(b"H")
                time.sleep(0.05)
        except OSError:
            return

    server.answers["/headers"] = drip_headers
    with pytest.raises(CannotFetch, match=r"no complete answer within 0.3 s"):
        fetch(f"{server.url}/headers", seconds=0.3)
    server.answers["/cut"] = cut
    with pytest.raises(CannotFetch, match="it ended after 14 of 100 bytes"):
        fetch(f"{server.url}/cut")
    server.answers["/large"] = b"#" * 2000
    with pytest.raises(CannotFetch, match="larger than 1999 bytes"):
        fetch(f"{server.url}/large", max_bytes=1999)
    assert len(fetch(f"{server.url}/large", max_bytes=2000).data) == 2000
    with pytest.raises(CannotFetch, match="refused"):
        fetch("http://127.0.0.1:9/x")
    with pytest.raises(CannotFetch, match="only https"):
        fetching._check("http://127.0.0.1/x", before="https://example.com/x")


def test_certificates_are_verified_and_nothing_leads_back_to_plain_http(
    server: Server, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/back" else 200)
            self.send_header("Location", f"{server.url}/a/openapi.yaml")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{listening.server_address[1]}"
        with pytest.raises(CannotFetch, match="certificate verify failed"):
            fetch(f"{url}/x")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert fetch(f"{url}/x").data == b"{}"
        with pytest.raises(
            CannotFetch, match=r"redirects to http://127\.0\.0\.1:.*, and only https is fetched"
        ):
            fetch(f"{url}/back")
        listening.shutdown()
        thread.join()
    assert server.asked == []


def test_another_folder_and_one_that_is_shared(
    document: Path, server: Server, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = vendor(capsys, "flows/doc.yaml", "--into", "copies")
    assert out.endswith("name copies where the document is used: --source-path, source_path= in a DAG file\n")
    assert compile_document(document).failed
    assert compile_document(document, Options(source_path=[tmp_path / "copies"])).diagnostics == ()
    monkeypatch.setenv("ARAZZO_SOURCE_PATH", str(tmp_path / "copies"))
    assert vendor(capsys, "flows/doc.yaml", "--check")[0].count("same") == 2
    monkeypatch.delenv("ARAZZO_SOURCE_PATH")
    vendor(capsys, "flows/doc.yaml", "--into", "vendor")
    assert compile_document(document).diagnostics == ()
    (tmp_path / "flows" / "two.yaml").write_text(
        document.read_text().replace("/b/", "/a/").replace("listOthers", "listThings")
    )
    server.asked.clear()
    vendor(capsys, "flows/two.yaml")
    assert server.asked == [], "a folder with copies above the document is shared"
    assert vendor(capsys, "flows/two.yaml", "--check")[0].count("same") == 2, "copies of other documents, too"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"version": 2, "files": []}',
        '{"files": [{"name": "", "url": "u", "file": "../x", "sha256": "", "size": 1, "fetched": ""}]}',
        '{"files": [{"name": "", "url": "u", "file": "/etc/x", "sha256": "", "size": 1, "fetched": ""}]}',
    ],
)
def test_a_lock_file_that_is_none(document: Path, server: Server, text: str, capsys: Captured) -> None:
    (document.parent / "vendor").mkdir()
    (document.parent / "vendor" / LOCK).write_text(text)
    for more in ([], ["--check"], ["--update"]):
        _, err = vendor(capsys, "flows/doc.yaml", *more, status=2)
        assert err.startswith(f"airflow-arazzo: flows/vendor/{LOCK} is no lock file: ")
        assert len(err.splitlines()) == 1
    assert server.asked == []
    assert {d.code for d in compile_document(document).diagnostics} == {"source-not-found"}


def test_a_lock_file_cannot_lead_out_of_its_folder(document: Path, server: Server) -> None:
    (document.parent / "vendor").mkdir()
    (document.parent / "secret.yaml").write_text(API)
    entry = {"url": f"{server.url}/a/openapi.yaml", "file": "../secret.yaml"}
    (document.parent / "vendor" / LOCK).write_text(json.dumps({"files": [entry]}))
    assert "source-not-found" in {d.code for d in compile_document(document).diagnostics}
    entry["file"] = "inside.yaml"
    (document.parent / "vendor" / "inside.yaml").write_text(API)
    (document.parent / "vendor" / LOCK).write_text(json.dumps({"files": [entry]}))
    assert [d.message for d in compile_document(document).diagnostics if "'things'" in d.message] == []


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://h.example/a/b.yaml", "h.example/a/b.yaml"),
        ("https://h.example:8443/", "h.example_8443/index"),
        ("https://h.example", "h.example/index"),
        ("https://h.example/a/../../../etc/x", "h.example/a/etc/x"),
        ("https://h.example/%2e%2e/%2e%2e/x", "h.example/x"),
        ("https://h.example/..%2f..%2fx", "h.example/.._.._x"),
        ("https://h.example/a\\..\\b", "h.example/a_.._b"),
        ("https://h.example/a?version=1/2", "h.example/a/version_1_2"),
        ("https://[::1]/x", "__1/x"),
        ("https://h.example/%00%0ax", "h.example/__x"),
    ],
)
def test_places(url: str, place: str) -> None:
    assert place_of(url) == place


def test_arguments_that_exclude_each_other(document: Path, capsys: Captured) -> None:
    _, err = vendor(capsys, "flows/doc.yaml", "--check", "--update", status=2)
    assert err == "airflow-arazzo: --check fetches nothing and --update fetches all: one of them\n"


def test_a_document_without_remote_sources(document: Path, capsys: Captured) -> None:
    document.write_text(
        "arazzo: 1.0.1\ninfo: {title: T, version: '1'}\n"
        "sourceDescriptions: [{name: a, url: a.yaml}]\n"
        "workflows: [{workflowId: w, steps: [{stepId: s, operationId: x}]}]\n"
    )
    assert vendor(capsys, "flows/doc.yaml")[0] == "flows/doc.yaml names no remote source\n"
    assert not (document.parent / "vendor").exists()
