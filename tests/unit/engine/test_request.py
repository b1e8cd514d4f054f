from __future__ import annotations

from typing import Any

import pytest

from airflow_arazzo.engine.messages import Request, RequestError
from airflow_arazzo.engine.request import build_request
from airflow_arazzo.expression.model import (
    ABSENT,
    ArrayTemplate,
    Constant,
    Expression,
    ObjectTemplate,
    Template,
    Text,
)
from airflow_arazzo.plan.model import (
    Body,
    Encoding,
    OperationCall,
    Parameter,
    Replacement,
    SchemeUse,
    Server,
)

INPUTS: dict[str, Any] = {
    "id": "cus/1",
    "n": 5,
    "null": None,
    "list": ["a", "b"],
    "json": '{"a":1.0}',
    "empty": "",
}


class Inputs:
    def lookup(self, expression: Expression) -> Any:
        return INPUTS.get(expression.name, ABSENT)


def use(name: str) -> Expression:
    return Expression("inputs", name=name, text=f"$inputs.{name}")


def text(*parts: str | Expression) -> Text:
    return Text(parts)


def build(
    *parameters: Parameter, method: str = "POST", path: str = "/v1", body: Body | None = None, **more: Any
) -> Request:
    call = OperationCall(
        "api", "op", method, path, parameters=parameters, body=body, accept="application/json", **more
    )
    return build_request(call, Inputs())


def header(name: str, value: Template, **more: Any) -> Parameter:
    return Parameter(name, "header", value, "simple", explode=False, **more)


def query(name: str, value: Template, **more: Any) -> Parameter:
    return Parameter(name, "query", value, **more)


def path(name: str, value: Template) -> Parameter:
    return Parameter(name, "path", value, "simple", explode=False)


def cookie(name: str, value: Template) -> Parameter:
    return Parameter(name, "cookie", value)


def json_body(payload: Template, **more: Any) -> Body:
    return Body("application/json", payload, **more)


def test_everything_in_its_place() -> None:
    servers = (Server("https://api.example.com"),)
    request = build(
        query("q", use("list")),
        header("X-N", use("n")),
        path("id", use("id")),
        cookie("c", use("n")),
        cookie("d", Constant("e")),
        header("Idempotency-Key", text("k-", use("n"))),
        path="/customers/{id}",
        body=json_body(ObjectTemplate((("n", use("n")), ("gone", use("gone")), ("null", use("null"))))),
        servers=servers,
        security=((SchemeUse("key"),),),
        credentials=("mine",),
    )
    assert request == Request(
        source="api",
        method="POST",
        target="/customers/cus%2F1?q=a&q=b",
        servers=servers,
        headers=(
            ("Accept", "application/json"),
            ("X-N", "5"),
            ("Idempotency-Key", "k-5"),
            ("Cookie", "c=5; d=e"),
            ("Content-Type", "application/json"),
        ),
        body=b'{"n":5,"null":null}',
        security=((SchemeUse("key"),),),
        credentials=("mine",),
        parameters={
            ("query", "q"): ["a", "b"],
            ("header", "x-n"): 5,
            ("path", "id"): "cus/1",
            ("cookie", "c"): 5,
            ("cookie", "d"): "e",
            ("header", "idempotency-key"): "k-5",
            ("header", "accept"): "application/json",
            ("header", "cookie"): "c=5; d=e",
            ("header", "content-type"): "application/json",
        },
        payload={"n": 5, "null": None},
    )


def test_without_a_body_there_is_no_content_type() -> None:
    request = build(header("content-type", Constant("application/json")))
    assert request.body is None
    assert request.payload is ABSENT
    assert request.headers == (("Accept", "application/json"),)


def test_the_bodys_media_type_wins_over_a_parameter() -> None:
    request = build(header("Content-Type", Constant("text/plain")), body=json_body(Constant({})))
    assert [value for name, value in request.headers if name.lower() == "content-type"] == [
        "application/json"
    ]


def test_an_accept_parameter_wins_and_keeps_its_place() -> None:
    request = build(header("X", Constant(1)), header("accept", Constant("text/csv")))
    assert request.headers == (("X", "1"), ("accept", "text/csv"))


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "Connection", "Accept-Encoding"]
)
def test_headers_of_the_transport_are_dropped(name: str) -> None:
    request = build(header(name, Constant("evil")))
    assert request.headers == (("Accept", "application/json"),)
    assert request.parameters == {("header", "accept"): "application/json"}


@pytest.mark.parametrize("value", [use("gone"), text("k-", use("gone"))])
def test_absent_parameters_are_left_out(value: Template) -> None:
    request = build(query("q", value), header("X", value), cookie("c", value), query("r", Constant(1)))
    assert request.target == "/v1?r=1"
    assert request.headers == (("Accept", "application/json"),)
    assert set(request.parameters) == {("query", "r"), ("header", "accept")}


@pytest.mark.parametrize("value", [use("gone"), text("k-", use("gone"))])
def test_an_absent_path_parameter_is_an_error_that_names_both(value: Template) -> None:
    with pytest.raises(RequestError, match=r"path parameter 'id'.*\$inputs\.gone"):
        build(path("id", value), path="/customers/{id}")


@pytest.mark.parametrize("value", [use("empty"), use("null"), text(use("empty"))])
def test_an_empty_path_parameter_is_an_error(value: Template) -> None:
    with pytest.raises(RequestError, match="path parameter 'id'") as caught:
        build(path("id", value), path="/customers/{id}")
    assert caught.value.code == "empty-path-parameter"


def test_text_without_a_value_deeper_in_a_parameter_is_an_error() -> None:
    with pytest.raises(RequestError, match=r"query parameter 'q'.*\$inputs\.gone") as caught:
        build(query("q", ArrayTemplate((text("k-", use("gone")),))))
    assert caught.value.code == "absent-in-text"


def test_braces_never_leave() -> None:
    with pytest.raises(RequestError, match="'id'"):
        build(path="/customers/{id}")


@pytest.mark.parametrize("make", [query, header])
@pytest.mark.parametrize("value", [use("gone"), text("k-", use("gone"))])
def test_a_required_parameter_without_a_value_is_an_error(make: Any, value: Template) -> None:
    with pytest.raises(RequestError, match=r"'p'.*\$inputs\.gone") as caught:
        build(make("p", value, required=True))
    assert caught.value.code == "missing-required-parameter"


def test_nulls_are_sent() -> None:
    request = build(query("q", use("null")), header("X", use("null")), cookie("c", use("null")))
    assert request.target == "/v1?q="
    assert ("X", "") in request.headers
    assert ("Cookie", "c=") in request.headers


def test_a_credential_parameter_is_left_to_the_connection_unless_it_has_a_value() -> None:
    left = build(header("X-Key", use("gone"), required=True, credential="key"), credentials=("mine",))
    assert left.credentials == ("mine", "key")
    assert left.headers == (("Accept", "application/json"),)
    left = build(header("Authorization", text("Bearer ", use("gone")), credential="bearer"))
    assert left.credentials == ("bearer",)
    carried = build(header("X-Key", use("id"), credential="key"))
    assert carried.credentials == ()
    assert carried.headers == (("Accept", "application/json"), ("X-Key", "cus/1"))


def test_a_query_in_the_path_template_is_joined() -> None:
    assert build(query("b", Constant(2)), path="/v1?a=1#frag").target == "/v1?a=1&b=2"


def test_all_keys_absent_is_an_empty_object() -> None:
    assert build(body=json_body(ObjectTemplate((("a", use("gone")),)))).body == b"{}"
    assert build(body=json_body(ArrayTemplate((use("gone"),)))).body == b"[]"


def test_an_absent_body_is_an_error() -> None:
    with pytest.raises(RequestError) as caught:
        build(body=json_body(use("gone")))
    assert caught.value.code == "absent-body"


def test_text_with_an_absent_value_in_a_body_is_an_error_unless_opted_out() -> None:
    body = json_body(ObjectTemplate((("uniqueId", text("evt-", use("gone"))),)))
    with pytest.raises(RequestError, match=r"\$inputs\.gone") as caught:
        build(body=body)
    assert caught.value.code == "absent-in-text"
    call = OperationCall("api", "op", "POST", "/v1", body=body)
    assert build_request(call, Inputs(), absent_text="empty").body == b'{"uniqueId":"evt-"}'


def test_the_timeout_is_handed_on() -> None:
    assert build_request(OperationCall("api", "op", "GET", "/"), Inputs(), timeout=1.5).timeout == 1.5
    assert build().timeout is None


def test_required_properties_are_checked_after_replacements() -> None:
    payload = ObjectTemplate((("a", use("gone")), ("b", use("null"))))
    required = ("a", "b", "c")
    with pytest.raises(RequestError, match="'a', 'c'") as caught:
        build(body=json_body(payload, required_properties=required))
    assert caught.value.code == "missing-body-properties"
    replacements = tuple(Replacement(f"/{name}", "jsonpointer", Constant(1)) for name in "ac")
    request = build(body=json_body(payload, required_properties=required, replacements=replacements))
    assert request.body == b'{"b":null,"a":1,"c":1}'
    assert build(body=json_body(Constant([{}]), required_properties=required)).body == b"[{}]"


def test_replacements_leave_the_plan_alone() -> None:
    payload = Constant({"a": {"b": 1}})
    body = json_body(payload, replacements=(Replacement("/a/b", "jsonpointer", use("n")),))
    assert build(body=body).body == b'{"a":{"b":5}}'
    assert payload.value == {"a": {"b": 1}}


def test_json_text_as_a_whole_body_is_json() -> None:
    request = build(body=json_body(use("json")))
    assert request.body == b'{"a":1.0}'
    assert isinstance(request.payload, dict)
    assert build(body=json_body(use("id"))).body == b'"cus/1"'
    for plain in ("5", "true", "null", "{broken", ""):
        assert build(body=json_body(Constant(plain))).body == f'"{plain}"'.encode()


def test_headers_of_parts_are_evaluated() -> None:
    encoding = {"a": Encoding(headers={"X-N": use("n"), "X-Gone": use("gone")})}
    request = build(body=Body("multipart/form-data", Constant({"a": "1"}), encoding))
    assert request.body is not None
    assert b'name="a"\r\nX-N: 5\r\n\r\n1' in request.body
    assert request.headers[-1][0] == "Content-Type"
    assert request.headers[-1][1].startswith("multipart/form-data; boundary=")


def test_the_method_is_upper_case() -> None:
    assert build(method="post").method == "POST"
