"""The connection: what Airflow shows of it, reads from it, and hides of it."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scripted import KEY, ScriptedApi

from airflow_arazzo.engine.connection import BadConnection, Connection

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hook for a connection with these fields."""
    from airflow_arazzo.hooks.arazzo import ArazzoHook

    def make(**fields: Any) -> ArazzoHook:
        monkeypatch.setenv("AIRFLOW_CONN_THE_API", json.dumps(fields))
        return ArazzoHook("the_api")

    return make


@pytest.mark.parametrize("kind", ["arazzo", "http"])
def test_settings(hook: Any, kind: str) -> None:
    settings = hook(
        conn_type=kind,
        host="https://api.example/v1",
        login="me",
        password="long-password",
        extra={"timeout": 7, "verify": False, "client_id": "c", "client_secret": "long-secret"},
    ).settings()
    assert settings.base_url == "https://api.example/v1"
    assert settings.timeout == 7
    assert settings.verify is False
    assert set(settings.secret_values()) == {"long-password", "long-secret"}
    assert "long-password" not in repr(settings)


def test_default_schemes(hook: Any) -> None:
    """A connection of Airflow's own type means what it means there; ours is not sent in the clear."""
    assert hook(conn_type="http", host="api.example").settings().base_url == "http://api.example"
    assert hook(conn_type="arazzo", host="api.example").settings().base_url == "https://api.example"
    both = {"host": "api.example", "schema": "https", "port": 8443}
    assert hook(conn_type="http", **both).settings().base_url == "https://api.example:8443"


def test_unknown_extras_are_errors_and_no_headers(hook: Any) -> None:
    with pytest.raises(
        BadConnection, match=r"unknown extra 'X-API-KEY'.*unknown extra 'timeuot', did you mean"
    ):
        hook(conn_type="http", host="h", extra={"X-API-KEY": KEY, "timeuot": 3}).settings()


def test_other_types_are_refused(hook: Any) -> None:
    with pytest.raises(BadConnection, match="its type is 'postgres'"):
        hook(conn_type="postgres", host="h").settings()


def test_secrets_are_masked(hook: Any) -> None:
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    hook(
        conn_type="arazzo",
        password="masked-password",
        extra={"schemes": {"key": {"value": "masked-scheme"}}, "secrets": {"pin": "masked-input"}},
    ).settings()
    masker = _secrets_masker()
    for secret in ("masked-password", "masked-scheme", "masked-input"):
        assert masker.redact(f"it is {secret}") == "it is ***"


def test_a_password_is_masked_before_anything_can_go_wrong(hook: Any) -> None:
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    with pytest.raises(BadConnection) as error:
        hook(conn_type="arazzo", password="masked-anyway", extra={"bad": "masked-anyway"}).settings()
    assert "masked-anyway" not in str(error.value)
    assert _secrets_masker().redact("masked-anyway") == "***"


def test_no_connection(monkeypatch: pytest.MonkeyPatch, database: None) -> None:
    from airflow.sdk.exceptions import AirflowNotFoundException

    from airflow_arazzo.hooks.arazzo import ArazzoHook

    with pytest.raises(AirflowNotFoundException, match="no_such_api"):
        ArazzoHook("no_such_api").settings()


def test_test_connection(hook: Any, api: ScriptedApi) -> None:
    """Something listens or not; nothing is sent, and nothing is told of the key."""
    works, said = hook(conn_type="arazzo", host=api.url, password=KEY).test_connection()
    assert works
    assert api.url in said
    assert api.requests == []
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        works, said = hook(
            conn_type="arazzo", host=f"http://127.0.0.1:{port}", password=KEY
        ).test_connection()
        assert not works
        assert "cannot be reached" in said
    works, said = hook(conn_type="arazzo", host=api.url, password=KEY, extra={"x": KEY}).test_connection()
    assert not works
    assert "unknown extra 'x'" in said
    assert KEY not in said
    works, said = hook(conn_type="arazzo", password=KEY).test_connection()
    assert works
    assert "names no host" in said


def test_test_connection_without_a_connection(database: None) -> None:
    from airflow_arazzo.hooks.arazzo import ArazzoHook

    works, said = ArazzoHook("no_such_api").test_connection()
    assert not works
    assert "no_such_api" in said


# --- what Airflow knows of the provider ---------------------------------------------------------------


def test_provider_info_is_valid() -> None:
    import airflow
    from jsonschema import Draft7Validator

    from airflow_arazzo.provider_info import get_provider_info

    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    info = get_provider_info()
    assert list(Draft7Validator(schema).iter_errors(info)) == []
    json.dumps(info)
    connection = {**info["connection-types"][0], "hook-class-name": None}
    assert list(Draft7Validator(schema).iter_errors({**info, "connection-types": [connection]}))


def test_everything_named_in_provider_info_exists() -> None:
    from importlib import import_module

    from airflow_arazzo.provider_info import get_provider_info

    info = get_provider_info()
    for kind in ("operators", "hooks"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                import_module(module)
    (connection,) = info["connection-types"]
    module, _, name = connection["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == (connection["connection-type"], connection["hook-name"])
    for path in info["cli"]:
        module, _, name = path.rpartition(".")
        assert [group.name for group in getattr(import_module(module), name)()] == ["arazzo"]


def test_every_field_of_the_form_is_an_extra_that_is_known() -> None:
    from airflow_arazzo.provider_info import CONNECTION_FIELDS

    samples: dict[str, Any] = {
        "timeout": 5,
        "rate": 2.5,
        "verify": "false",
        "proxies": '{"https": "http://proxy:3128"}',
        "schemes": '{"key": {"value": "v"}}',
        "secrets": '{"pin": "1"}',
        "cert": '["cert.pem", "key.pem"]',
        "trust_env": True,
        "follow_redirects": 3,
        "forbid_private": True,
        "log_bodies": True,
        "propagate_trace": True,
        "server_variables": '{"region": "eu"}',
        "token_url": "https://id.example/token",
        "token_origin": "https://id.example",
        "token_auth": "client_secret_post",
    }
    for name in CONNECTION_FIELDS:
        given = Connection.from_airflow("c", conn_type="arazzo", extra={name: samples.get(name, "text")})
        assert given != Connection.from_airflow("c", conn_type="arazzo"), name
        Connection.from_airflow("c", conn_type="arazzo", extra={name: None})
        Connection.from_airflow("c", conn_type="arazzo", extra={name: ""})
    with pytest.raises(BadConnection):
        Connection.from_airflow("c", conn_type="arazzo", extra={"nonsense": "text"})


def test_every_extra_that_is_a_setting_has_a_field() -> None:
    """Spellings of the same setting need no field of their own."""
    from airflow_arazzo.engine.connection_extra import _OPTIONS
    from airflow_arazzo.provider_info import CONNECTION_FIELDS

    offered = {_OPTIONS[name][0] for name in CONNECTION_FIELDS}
    assert {attribute for attribute, _ in _OPTIONS.values()} == offered


def airflow(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "airflow", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_airflow_lists_the_provider(database: None) -> None:
    done = airflow("providers", "list", "--output", "json")
    assert done.returncode == 0
    listed = json.loads(done.stdout[done.stdout.index("[") :])
    (ours,) = [each for each in listed if each["package_name"] == "airflow-arazzo"]
    assert "Arazzo workflows" in ours["description"]


def test_airflow_arazzo_check(database: None) -> None:
    done = airflow("arazzo", "check", "specs/arazzo")
    assert done.returncode == 0, done.stderr
    assert "6 of 6 documents compile" in done.stdout
    assert airflow("arazzo", "check", "no-such-folder").returncode == 2


def test_logger_of_the_hook_is_quiet(hook: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        hook(conn_type="arazzo", host="h", password="quiet-password").settings()
    assert "quiet-password" not in caplog.text
