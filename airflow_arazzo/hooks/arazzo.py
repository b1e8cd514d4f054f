"""The connection of a source, as Airflow keeps it."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_arazzo.engine.connection import BadConnection, Connection


class ArazzoHook(BaseHook):
    """Reads connections of type ``arazzo`` and ``http``: where an API is, and who we are there.

    It means by a connection what the HTTP provider's hook means (TLS, client certificates, proxies), and
    is none itself: requests go through the engine's transport, an unknown extra field is an error instead
    of a header, and no task has to load the libraries that send for that hook.

    :param arazzo_conn_id: the connection.
    """

    conn_name_attr = "arazzo_conn_id"
    default_conn_name = "arazzo_default"
    conn_type = "arazzo"
    hook_name = "Arazzo"

    def __init__(self, arazzo_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arazzo_conn_id = arazzo_conn_id

    def settings(self) -> Connection:
        """The connection, checked; its secrets are masked in logs from here on.

        :raises BadConnection: with everything that is wrong with it.
        :raises AirflowNotFoundException: when there is no such connection.
        """
        found = self.get_connection(self.arazzo_conn_id)
        if found.password:
            mask_secret(found.password)
        checked = Connection.from_airflow(
            self.arazzo_conn_id,
            conn_type=found.conn_type,
            host=found.host,
            schema=found.schema,
            port=found.port,
            login=found.login,
            password=found.password,
            extra=found.extra_dejson,
        )
        for secret in checked.secret_values():
            if secret != found.password:  # which is masked already, and each time is a message
                mask_secret(secret)
        return checked

    def test_connection(self) -> tuple[bool, str]:
        """Check the fields, and that something listens at the host. Nothing is sent."""
        try:
            checked = self.settings()
        except (BadConnection, AirflowNotFoundException) as error:
            return False, str(error)
        if not checked.base_url:
            return True, "the connection is well formed; it names no host"
        parts = urlsplit(checked.base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), timeout=10).close()
        except OSError as error:
            return False, f"{checked.base_url} cannot be reached: {error}"
        return True, f"{checked.base_url} can be reached; whether it accepts the credentials was not tried"
