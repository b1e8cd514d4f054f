"""Airflow's metadata database for a run: on PostgreSQL, since SQLite refuses backfills while tasks run."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa


class Metadata:
    """A database of its own, made for the run and dropped afterwards.

    :param server: SQLAlchemy URL of any database of the server.
    """

    def __init__(self, server: str, name: str) -> None:
        self._server = sa.make_url(server).set(drivername="postgresql+psycopg2")
        self.name = name

    def make(self) -> dict[str, str]:
        """Make it afresh.

        :return: Airflow's settings for it.
        """
        self._execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)', f'CREATE DATABASE "{self.name}"')
        url = self._server.set(database=self.name)
        both = {"SQL_ALCHEMY_CONN": url, "SQL_ALCHEMY_CONN_ASYNC": url.set(drivername="postgresql+asyncpg")}
        return {
            f"AIRFLOW__DATABASE__{name}": each.render_as_string(hide_password=False)
            for name, each in both.items()
        }

    def drop(self) -> None:
        """Drop it, whoever is still connected."""
        self._execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Every table with all that is in it."""
        engine = sa.create_engine(self._server.set(database=self.name))
        try:
            with engine.connect() as connection:
                for table in sorted(sa.inspect(engine).get_table_names()):
                    rows = connection.execute(sa.text(f'SELECT * FROM "{table}"'))  # noqa: S608
                    for row in rows:
                        for value in row:
                            data = (
                                bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                            )
                            yield f"table {table}", data
        finally:
            engine.dispose()

    def _execute(self, *statements: str) -> None:
        engine = sa.create_engine(self._server, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                for statement in statements:
                    connection.execute(sa.text(statement))
        finally:
            engine.dispose()
