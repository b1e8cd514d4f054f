"""PostgreSQL and Redis of this machine, for a cluster that must not touch what else is in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import redis
import sqlalchemy as sa

POSTGRESQL = os.environ.get("ARAZZO_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/test")
REDIS = ("127.0.0.1", 6379)

_INSTALL = "Debian has both: apt-get install postgresql redis-server"


class Missing(RuntimeError):
    """Something has to be installed or started first."""


class PostgreSQL:
    """The server that stands for the service ``postgres``.

    :param url: of any database, with a user that may make databases and users.
    """

    def __init__(self, url: str = POSTGRESQL) -> None:
        self._url = sa.make_url(url).set(drivername="postgresql+psycopg2")
        self._started: list[str] = []

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self._url.host or "127.0.0.1", self._url.port or 5432

    def reach(self) -> None:
        """Make sure that it runs; start Debian's where it is installed and does not.

        :raises Missing: when there is none, with what to install.
        """
        host, port = self.address
        problem = self._problem()
        if problem and host in ("127.0.0.1", "localhost"):
            self._start(port)
            problem = self._problem()
        if problem:
            raise Missing(
                f"no PostgreSQL could be used at {host}:{port} ({problem}). {_INSTALL}. "
                "ARAZZO_TEST_POSTGRESQL names another one, with a user that is a superuser: "
                "postgresql://user:password@host:port/database"
            )

    def _problem(self) -> str:
        try:
            found = self._execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        except sa.exc.OperationalError as error:
            return str(error.orig).strip().splitlines()[0]
        if found != [(True,)]:
            return "its user is no superuser"
        return "" if shutil.which("psql") else "psql is not installed"

    def _start(self, port: int) -> None:
        """Start the one of Debian's clusters that has the port."""
        if not shutil.which("pg_lsclusters") or not shutil.which("pg_ctlcluster"):
            return
        listed = subprocess.run(["pg_lsclusters", "--no-header"], capture_output=True, text=True, check=False)
        for line in listed.stdout.splitlines():
            version, name, its_port, status, *_ = line.split()
            if its_port == str(port) and status.startswith("down"):
                started = subprocess.run(["pg_ctlcluster", version, name, "start"], check=False)
                if not started.returncode:
                    self._started = [version, name]

    def make(self, name: str, password: str) -> None:
        """A database and its user, unless they are there.

        The user is a superuser, as that of PostgreSQL's image is.
        """
        role, secret = _quoted(name), password.replace("'", "''")
        if not self._execute(f"SELECT FROM pg_roles WHERE rolname = '{name}'"):
            self._execute(f"CREATE ROLE {role} LOGIN SUPERUSER")
        self._execute(f"ALTER ROLE {role} PASSWORD '{secret}'")
        if not self._execute(f"SELECT FROM pg_database WHERE datname = '{name}'"):
            self._execute(f"CREATE DATABASE {role} OWNER {role}")

    def drop(self, *names: str) -> None:
        """Drop databases and their users, whoever is still connected."""
        for name in names:
            self._execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")
        for name in names:
            self._execute(f"DROP ROLE IF EXISTS {_quoted(name)}")

    def url(self, name: str) -> str:
        """SQLAlchemy URL of a database, with the user that makes databases."""
        return self._url.set(database=name).render_as_string(hide_password=False)

    def stop(self) -> None:
        """Stop the server, if it was started for the cluster."""
        if self._started:
            subprocess.run(["pg_ctlcluster", *self._started, "stop"], check=False)

    def _execute(self, statement: str) -> list[tuple[object, ...]]:
        engine = sa.create_engine(
            self._url,
            isolation_level="AUTOCOMMIT",
            connect_args={"connect_timeout": 5},
            poolclass=sa.NullPool,
        )
        with engine.connect() as connection:
            result = connection.execute(sa.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []


def _quoted(name: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        raise ValueError(f"{name!r}: expected the name of a database in small letters, digits and _")
    return f'"{name}"'


class SharedRedis:
    """A numbered database of the Redis that runs on this machine: one that is empty, and is emptied again."""

    def __init__(self) -> None:
        self._client: redis.Redis | None = None
        self.number = 0

    def find(self) -> bool:
        """Take an empty database; whether there is one that can be used without a password."""
        for number in range(15, 0, -1):
            client = redis.Redis(*REDIS, db=number, socket_timeout=5)
            try:
                if not client.dbsize():
                    self._client, self.number = client, number
                    return True
            except redis.RedisError:
                return False
        return False

    @property
    def url(self) -> str:
        """What Celery connects to."""
        host, port = REDIS
        return f"redis://{host}:{port}/{self.number}"

    def stop(self) -> None:
        """Empty the database."""
        if self._client is not None:
            self._client.flushdb()
            self._client.close()


def check_redis_server() -> None:
    """Make sure that a Redis can be started.

    :raises Missing: when it is not installed.
    """
    if not shutil.which("redis-server"):
        raise Missing(f"redis-server is not installed, and there is no other Redis to use. {_INSTALL}")
