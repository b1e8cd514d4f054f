"""What Airflow asks a provider about itself."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's entry for Airflow's registry (entry point ``apache_airflow_provider``)."""
    return {
        "package-name": "airflow-arazzo",
        "name": "Arazzo",
        "description": "Runs Arazzo workflows of API calls as DAGs.",
        "integrations": [
            {
                "integration-name": "Arazzo",
                "external-doc-url": "https://spec.openapis.org/arazzo/latest.html",
                "tags": ["protocol"],
            }
        ],
        "operators": [
            {
                "integration-name": "Arazzo",
                "python-modules": [
                    f"airflow_arazzo.operators.{name}" for name in ("step", "rows", "chunk", "report")
                ],
            },
        ],
        "hooks": [{"integration-name": "Arazzo", "python-modules": ["airflow_arazzo.hooks.arazzo"]}],
        "connection-types": [
            {
                "connection-type": "arazzo",
                "hook-class-name": "airflow_arazzo.hooks.arazzo.ArazzoHook",
                "hook-name": "Arazzo",
                "ui-field-behaviour": {
                    "hidden-fields": [],
                    "relabeling": {
                        "host": "Base URL",
                        "login": "User name (basic)",
                        "password": "API key, token or password",
                        "schema": "Scheme (http or https)",
                    },
                    "placeholders": {
                        "host": "https://api.example.com/v1",
                        "login": "only for basic authentication",
                    },
                },
                "conn-fields": CONNECTION_FIELDS,
            }
        ],
        "cli": ["airflow_arazzo.cli.airflow.get_commands"],
        "config": CONFIGURATION,
    }


def _text(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


def _flag(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["boolean", "null"]}}


CONFIGURATION: dict[str, Any] = {
    "arazzo": {
        "description": "Workflows over rows, and what the UI shows.",
        "options": {
            "workflow_tab": {
                "description": (
                    "Whether DAGs and runs have a tab that draws the workflow. Airflow shows such a tab on "
                    "every DAG, also those that are not made of Arazzo documents."
                ),
                "version_added": "0.1.0",
                "type": "boolean",
                "example": None,
                "default": "True",
            },
            "source_url": {
                "description": (
                    "Where the Arazzo documents can be seen: the URL of one, with {file} for its name and "
                    "{line} for the line of a step. Tasks then have a button to it."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "https://github.com/acme/billing/blob/main/arazzo/{file}#L{line}",
                "default": "",
            },
            "rows_folder": {
                "description": (
                    "Where runs keep their rows and where each of them stands: a URL that "
                    "airflow.sdk.ObjectStoragePath understands, which every worker can reach. Without it a "
                    "folder in Airflow's home."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "s3://billing/arazzo-rows",
                "default": "",
            },
        },
    }
}
"""Sections of Airflow's configuration that belong to the provider."""

CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "timeout": {
        "label": "Timeout",
        "description": "Seconds for a whole exchange (default 30).",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "rate": {
        "label": "Rate",
        "description": "Requests per second that each task of a batch sends (default: no bound).",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "verify": _text("Verify TLS", "Path of a CA bundle, or false to accept any certificate."),
    "cert": _text("Client certificate", "Path of a certificate, with its key or as JSON [certificate, key]."),
    "proxies": _text("Proxies", 'JSON object of proxy URLs, for example {"https": "http://proxy:3128"}.'),
    "trust_env": _flag("Proxies of the environment", "Whether HTTP_PROXY and its kin apply."),
    "follow_redirects": {
        "label": "Redirects",
        "description": "How many redirects of a GET or HEAD are followed (default none).",
        "schema": {"type": ["integer", "null"], "minimum": 0},
    },
    "forbid_private": _flag("Public addresses only", "Refuse to connect to private and local addresses."),
    "server_variables": _text("Server variables", "JSON object: values of variables in the servers' URLs."),
    "log_bodies": _flag("Bodies in logs", "Show bodies of requests and responses, less secrets, in logs."),
    "propagate_trace": _flag("Traces", "Hand Airflow's trace on to the service (header traceparent)."),
    "client_id": _text("OAuth2 client id", "For client credentials."),
    "client_secret": _text("OAuth2 client secret", "For client credentials.", format="password"),
    "refresh_token": _text("OAuth2 refresh token", "To get access tokens with.", format="password"),
    "token_url": _text("OAuth2 token URL", "When it is not the one of the API description."),
    "token_origin": _text("OAuth2 token origin", "Where the description's token URL may be, if elsewhere."),
    "token_auth": _text(
        "OAuth2 client authentication", "client_secret_basic (default) or client_secret_post."
    ),
    "scope": _text("OAuth2 scope", "Scopes to ask for, separated by blanks."),
    "audience": _text("OAuth2 audience", "What the token is for, where the server wants to know."),
    "resource": _text("OAuth2 resource", "What the token is for (RFC 8707)."),
    "schemes": _text(
        "Values by security scheme",
        'JSON object, for example {"ApiKeyAuth": {"value": "..."}}; wins over login and password.',
        format="password",
    ),
    "secrets": _text(
        "Secret inputs",
        "JSON object: values of workflow inputs that are secrets, by input name.",
        format="password",
    ),
}
"""Fields of the connection form that are kept in its extra; the names that the engine knows."""
