"""docker-compose.yml: what a container engine would refuse, and what nobody should start."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.compose import ComposeError, Service, interpolate, read, variables_in
from cluster.environment import EXAMPLE, ROOT, filled, generated, parse, write
from cluster.local import FILE, PORTS

SERVICES = read(FILE)
CONTENT: dict[str, Any] = yaml.safe_load(FILE.read_text())
RUNNING = [each for each in SERVICES.values() if not each.once]

KEYS = {
    "build": str,
    "command": (str, list),
    "depends_on": dict,
    "deploy": dict,
    "environment": dict,
    "healthcheck": dict,
    "image": str,
    "network_mode": str,
    "ports": list,
    "profiles": list,
    "restart": str,
    "stop_grace_period": str,
    "user": str,
    "volumes": list,
    "working_dir": str,
}
"""What the Compose specification has for a service, as far as it is used here, and the types of it."""

SECRET = re.compile(r"PASSWORD|SECRET|_KEY$|FERNET|:[^/]*@|requirepass", re.IGNORECASE)


def compose_plugin() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not compose_plugin(), reason="'docker compose' is not installed: our own checks only")
def test_docker_compose_accepts_the_file(tmp_path: Path) -> None:
    secrets = tmp_path / "env"
    secrets.write_text(filled(generated()))
    command = ["docker", "compose", "--env-file", secrets, "--profile", "sandbox", "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_only_what_the_specification_has_stands_in_the_file() -> None:
    assert set(CONTENT) == {"name", "services", "volumes", "x-airflow"}
    for name, service in SERVICES.items():
        for key, value in service.definition.items():
            assert key in KEYS, f"{name}: {key}"
            assert isinstance(value, KEYS[key]), f"{name}: {key}"
        assert set(service.definition.get("healthcheck", {})) <= {
            "test",
            "interval",
            "timeout",
            "retries",
            "start_period",
        }
        assert set(service.definition.get("deploy", {})) <= {"replicas"}
        # An environment value must be a text or a number: YAML's booleans are refused.
        given = service.definition.get("environment", {}).values()
        assert all(isinstance(value, str | int) and not isinstance(value, bool) for value in given), name


def test_the_services_are_those_that_a_deployment_needs() -> None:
    needed = {"postgres", "redis", "api-server", "scheduler", "dag-processor", "triggerer", "worker"}
    assert needed <= {name for name, each in SERVICES.items() if not each.profiles}
    assert SERVICES["worker"].instances == ["worker-1", "worker-2"]
    assert {name for name, each in SERVICES.items() if each.profiles} == {"sandbox", "sandbox-setup"}


@pytest.mark.parametrize("service", RUNNING, ids=lambda each: each.name)
def test_whatever_keeps_running_has_a_health_check_and_is_started_again(service: Service) -> None:
    check = service.definition["healthcheck"]
    assert service.health
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "retries"} <= set(check)
    assert service.definition["restart"] == "unless-stopped"


def test_services_wait_for_services_that_are_there() -> None:
    for name, service in SERVICES.items():
        for need, condition in service.needs.items():
            other = SERVICES[need]
            assert other.profiles <= service.profiles, f"{name} waits for {need}, which may not be started"
            if condition == "service_healthy":
                assert other.health, f"{name} waits for the health of {need}"
            else:
                assert condition == "service_completed_successfully"
                assert other.once, f"{name} waits for the end of {need}"
        mode = service.definition.get("network_mode", "")
        assert not mode or mode.removeprefix("service:") in SERVICES


def test_no_service_waits_for_itself() -> None:
    def behind(name: str, seen: tuple[str, ...]) -> None:
        assert name not in seen, " -> ".join((*seen, name))
        for need in SERVICES[name].needs:
            behind(need, (*seen, name))

    for name in SERVICES:
        behind(name, ())


def test_every_volume_is_declared_and_used() -> None:
    used = {volume for service in SERVICES.values() for volume in service.mounts.values()}
    assert used == set(CONTENT["volumes"])


def test_workers_share_logs_and_rows_and_not_the_plan_cache() -> None:
    worker = SERVICES["worker"]
    assert worker.mounts == {"/opt/airflow/logs": "logs", "/opt/airflow/rows": "rows"}
    assert worker.environment["AIRFLOW__ARAZZO__ROWS_FOLDER"] in worker.mounts
    assert worker.environment["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] in worker.mounts
    cache = worker.environment["ARAZZO_CACHE_DIR"]
    assert not any(cache.startswith(folder) for folder in worker.mounts)


def test_every_variable_is_in_the_example_and_every_one_there_is_used() -> None:
    used = {name: kind for name, kind, _ in variables_in(CONTENT)}
    example = EXAMPLE.read_text()
    required = {name for name, value in parse(example).items() if not value}
    optional = parse(re.sub(r"(?m)^#(?=[A-Z_]+=)", "", example)).keys() - required
    # Of the shell's own variables, written $$NAME, the file has to say nothing.
    assert {name for name, kind in used.items() if kind == ":?"} <= required
    assert set(used) == required | optional
    assert all(kind in (":?", ":-") for kind in used.values())


def test_the_example_tells_the_defaults_of_the_file() -> None:
    example = parse(re.sub(r"(?m)^#(?=[A-Z_]+=)", "", EXAMPLE.read_text()))
    for name, kind, default in variables_in(CONTENT):
        if kind == ":-" and not name.startswith("SANDBOX_"):
            assert example[name] == default


def test_no_password_stands_in_the_file_outside_the_sandbox() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.definition.get("environment", {}).items():
            if not SECRET.search(f"{variable}") and not SECRET.search(str(value)):
                continue
            found = list(variables_in(value))
            if service.profiles and variable.startswith("SANDBOX_"):
                continue
            if variable.endswith("PASSWORDS_FILE"):
                continue
            assert any(kind == ":?" for _, kind, _ in found), f"{name}: {variable} is no required variable"
    for variable, kind, default in variables_in(CONTENT):
        if SECRET.search(variable) and not variable.startswith("SANDBOX_"):
            assert kind == ":?", f"{variable} has the default {default!r}"


def test_ports_are_published_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.definition.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_addresses_are_those_that_services_listen_on() -> None:
    text = str(CONTENT["services"])
    for host, port in re.findall(r"(?:@|//)([a-z-]+):(\d+)", text):
        if host != "localhost":
            assert PORTS[host] == int(port)


def test_the_image_has_what_the_services_need() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.search(r"'\.\[([a-z,]+)\]'", next(line for line in lines if line.startswith("RUN pip")))
    assert extras is not None
    chosen = [need for name in extras[1].split(",") for need in project["optional-dependencies"][name]]
    names = {re.split(r"[<>=\[]", need)[0] for need in chosen}
    assert {"apache-airflow-providers-celery", "psycopg2-binary", "asyncpg"} <= names
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert names | {"celery", "redis", "kombu"} <= pinned
    copied = {
        part.removeprefix("./").rstrip("/")
        for line in lines
        if line.startswith("COPY")
        for part in line.split()[1:-1]
    }
    assert all((ROOT / name).exists() for name in copied)
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for name in copied if not name.startswith("cluster/")} == let_in


def test_the_environment_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert write(path)
    first = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert all(value for value in parse(first).values())
    assert all(re.fullmatch(r"[\w=-]+", value) for value in parse(first).values())
    assert not write(path)
    assert path.read_text() == first


def test_git_and_the_image_leave_the_environment_file_out() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert (ROOT / ".dockerignore").read_text().splitlines()[0] == "*"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "a"),
        ("$A-$A", "a-a"),
        ("${A:-b}", "a"),
        ("${EMPTY:-b}", "b"),
        ("${EMPTY-b}", ""),
        ("${NONE:-b}", "b"),
        ("${NONE}", ""),
        ("$$A ${A:?missing}", "$A a"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, expected: str) -> None:
    assert interpolate(text, {"A": "a", "EMPTY": ""}) == expected


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(ComposeError, match=r"^NAME is not set: make one$"):
        interpolate("${NAME:?make one}", {"NAME": ""})
