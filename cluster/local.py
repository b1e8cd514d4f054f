"""The services of docker-compose.yml as processes: what it names is read from there, and only moved.

A container's address becomes a port of this machine, its folders become folders below one home, and nothing
else of the file is changed: commands, settings, dependencies and health checks are those of the containers.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from sqlalchemy.exc import SQLAlchemyError

from cluster.compose import ComposeError, Service, interpolate, read
from cluster.environment import ROOT
from cluster.servers import PostgreSQL, SharedRedis, check_redis_server
from demo.api import USER, Client
from demo.processes import Processes, free_port, run

FILE = ROOT / "docker-compose.yml"
PORTS = {"postgres": 5432, "redis": 6379, "api-server": 8080, "scheduler": 8974, "sandbox": 8090}
"""Where services listen in their containers."""

PROJECT = "/opt/airflow-arazzo"
"""The project's folder in the image."""

SETTINGS_FILE = ROOT / "cluster" / "airflow_local_settings.py"
PATIENCE = 180.0
"""Seconds until a service must be healthy."""

PROBLEMS = (ComposeError, KeyError, RuntimeError, OSError, SQLAlchemyError, subprocess.SubprocessError)
"""What can go wrong in an environment rather than in the program."""


class Cluster:
    """The services as processes.

    :param home: folder for volumes and for what is a container's own.
    :param variables: those of the environment file.
    :param profiles: which of the file's profiles to start.
    :param shared_redis: use a numbered database of the Redis that runs on this machine, if one does,
        instead of starting one as the file says.
    :param project: folder with ``dags``, in place of the image's.
    """

    def __init__(
        self,
        home: Path,
        variables: Mapping[str, str],
        *,
        profiles: Collection[str] = (),
        shared_redis: bool = False,
        project: Path = ROOT,
    ) -> None:
        self.home = home
        self.variables = dict(variables)
        self.processes = Processes(home / "processes")
        self.postgresql = PostgreSQL()
        self.redis = SharedRedis() if shared_redis else None
        self.project = project
        known = read(FILE).values()
        self.services = {each.name: each for each in known if not each.profiles - set(profiles)}
        self._ports = {name: free_port() for name in PORTS if name in self.services}
        self._ports["postgres"] = self.postgresql.address[1]
        url = f"http://127.0.0.1:{self._ports['api-server']}"
        self.client = Client(url, self.variables["ADMIN_PASSWORD"], self.processes.check)
        self._reached: set[tuple[str, str]] = set()

    @property
    def databases(self) -> tuple[str, str]:
        """Names of Airflow's database and of the ledger's."""
        environment = self.environment("ledger")
        return environment["PGDATABASE"], environment["LEDGER_DATABASE"]

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger, as the workers have it."""
        url = self.environment("migrate")["AIRFLOW_CONN_ARAZZO_LEDGER"]
        return url.replace("postgres://", "postgresql://", 1)

    def instances(self, *names: str) -> list[str]:
        """Names of the processes of services, by default of all that keep running as processes of ours."""
        chosen = names or [name for name, each in self.services.items() if not each.once]
        found = [instance for name in chosen for instance in self.services[name].instances]
        return [name for name in found if name != "postgres" and not (name == "redis" and self.redis)]

    def folder(self, volume: str) -> Path:
        """Where a volume is."""
        return self.home / "volumes" / volume

    def start(self, say: Callable[[str], object] = lambda _: None) -> None:
        """Start everything in the order of its dependencies, and wait until all of it is healthy.

        :raises Missing: when there is no PostgreSQL or Redis.
        """
        self.postgresql.reach()
        if self.redis is not None and not self.redis.find():
            self.redis = None
        if self.redis is None:
            check_redis_server()
        for name in self.services:
            self._launch(name)
        checked = [each for each in self.services.values() if each.health]
        instances = [instance for each in checked for instance in each.instances]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for instance, _ in zip(instances, pool.map(self.wait_until_healthy, instances), strict=True):
                say(f"  {instance}: healthy")
        self.client.wait_until_ready()

    def _launch(self, name: str) -> None:
        if (name, "service_started") in self._reached:
            return
        service = self.services[name]
        for need, condition in service.needs.items():
            self._reach(need, condition)
        self._reached.add((name, "service_started"))
        if name == "postgres":
            self.postgresql.make(self.databases[0], self.variables["POSTGRES_PASSWORD"])
        elif not (name == "redis" and self.redis):
            for instance in service.instances:
                self._start(service, instance)

    def _start(self, service: Service, instance: str) -> None:
        own = self.home / "containers" / instance
        (own / "config").mkdir(parents=True, exist_ok=True)
        shutil.copy(SETTINGS_FILE, own / "config")
        for volume in service.mounts.values():
            self.folder(volume).mkdir(parents=True, exist_ok=True)
        command = self._command(service.command, service, instance)
        environment = self.environment(service.name, instance)
        if service.once:
            run(command, environment, folder=self._working_folder(service))
        else:
            self.processes.start(instance, command, environment, self._working_folder(service))

    def _reach(self, name: str, condition: str) -> None:
        """Launch a service, and wait for what another one needs of it."""
        self._launch(name)
        if condition == "service_healthy" and (name, condition) not in self._reached:
            for instance in self.services[name].instances:
                self.wait_until_healthy(instance)
        self._reached.add((name, condition))

    def wait_until_healthy(self, instance: str, seconds: float = PATIENCE) -> None:
        """Wait until a process passes its health check.

        :raises RuntimeError: when it does not, or when one of the processes has ended.
        """
        deadline = time.monotonic() + seconds
        while not self.healthy(instance):
            self.processes.check()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{instance} was not healthy after {seconds:g} s")
            time.sleep(0.5)

    def healthy(self, instance: str) -> bool:
        """Whether the file's health check of a process succeeds now."""
        service = self._service(instance)
        if service.name == "redis" and self.redis is not None:
            return True
        command = self._command(service.health, service, instance)
        environment = self.environment(service.name, instance)
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, check=False, timeout=service.patience
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def run(self, service: str, command: Sequence[str]) -> str:
        """Run a command as a container of a service would; what it printed."""
        return run(command, self.environment(service))

    def environment(self, service: str, instance: str = "") -> dict[str, str]:
        """What a process of a service finds in its environment; nothing of ours but where programs are."""
        instance = instance or self.services[service].instances[0]
        given = self.services[service].environment
        found = {name: self._moved(text, self.services[service], instance) for name, text in given.items()}
        if "PGHOST" in found:
            found["PGHOST"] = self.postgresql.address[0]
        if self.redis is not None and "AIRFLOW__CELERY__BROKER_URL" in found:
            found["AIRFLOW__CELERY__BROKER_URL"] = self.redis.url
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "HOME": str(self.home / "containers" / instance),
            "HOSTNAME": instance,
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            **found,
        }

    def kill(self, instance: str) -> int:
        """End a process and all below it at once, as when its machine loses power; how many that were."""
        root = psutil.Process(self.processes.pid(instance))
        victims = [root]
        with contextlib.suppress(psutil.Error):
            root.suspend()  # so that it starts no more of them
            victims += root.children(recursive=True)
        for victim in victims:
            with contextlib.suppress(psutil.Error):
                victim.kill()
        self.processes.wait(instance)
        return len(victims)

    def revive(self, *instances: str) -> list[str]:
        """Start those of some that have ended again, as the restart policy would; by default of all."""
        return self.processes.revive(instances or self.instances())

    def descendants(self, service: str) -> list[psutil.Process]:
        """Processes below those of a service."""
        found: list[psutil.Process] = []
        for instance in self.instances(service):
            with contextlib.suppress(psutil.Error, StopIteration):
                found += psutil.Process(self.processes.pid(instance)).children(recursive=True)
        return found

    def stop(self, *, keep: bool = False) -> None:
        """End everything; drop databases and volumes unless they are to be kept."""
        left = [process for name in self.services for process in self._tree(name)]
        self.processes.stop()
        for process in left:  # tasks are leaders of groups of their own
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        if self.redis is not None:
            self.redis.stop()
        if not keep and ("postgres", "service_started") in self._reached:
            self.postgresql.drop(*self.databases)
        if not keep:
            shutil.rmtree(self.home / "volumes", ignore_errors=True)
            shutil.rmtree(self.home / "containers", ignore_errors=True)
        self.postgresql.stop()

    def _tree(self, name: str) -> list[psutil.Process]:
        return [] if name == "postgres" or self.services[name].once else self.descendants(name)

    def _service(self, instance: str) -> Service:
        return next(each for each in self.services.values() if instance in each.instances)

    def _command(self, command: Sequence[str], service: Service, instance: str) -> list[str]:
        return [self._moved(part, service, instance) for part in command]

    def _working_folder(self, service: Service) -> Path | None:
        return ROOT if service.definition.get("working_dir") == PROJECT else None

    def _moved(self, text: str, service: Service, instance: str) -> str:
        """A value with this machine's addresses and folders, and then the variables filled in.

        In this order, since a secret may happen to look like a port.
        """
        for name, port in PORTS.items():
            if name not in self._ports:
                continue
            host = self.postgresql.address[0] if name == "postgres" else "127.0.0.1"
            text = re.sub(rf"(?<=[/@]){name}(?=:{port}\b)", host, text)
            text = re.sub(rf"(?<![\w.-]){port}(?![\w.-])", str(self._ports[name]), text)
        text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        folders = {PROJECT: self.project, "/opt/airflow": self.home / "containers" / instance}
        folders |= {target: self.folder(volume) for target, volume in service.mounts.items()}
        for folder in sorted(folders, key=len, reverse=True):
            text = re.sub(rf"(?<![\w/.-]){folder}(?![\w.-])", str(folders[folder]), text)
        return interpolate(text, self.variables)

    @property
    def login(self) -> str:
        """How to log in, without the password."""
        return f"{self.client.url}, user {USER}, password: ADMIN_PASSWORD in .env"
