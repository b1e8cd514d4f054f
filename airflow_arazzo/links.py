"""Buttons of a task in Airflow's UI: the documentation of its operation, and where its step is written.

They are registered by the plugin and worked out where they are shown, from what the stored DAG says of the
task. As links of the operator itself they would cost every task an XCom each, written when it ends.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

STEP_OPERATOR = type(
    "ArazzoStepOperator", (), {"__module__": "airflow_arazzo.operators.step", "__doc__": "Stands for it."}
)
"""Stands for the operator, which Airflow looks up by name and module; the operator itself would take every
process that loads plugins a second to import."""


class OperationDocumentation(BaseOperatorLink):
    """The documentation that the API description names for the operation (OpenAPI ``externalDocs``)."""

    name = "API documentation"
    operators = [STEP_OPERATOR]  # noqa: RUF012 - as the base class declares it

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The URL, or an empty text."""
        return web_address(getattr(operator, "documentation", None))


class DocumentSource(BaseOperatorLink):
    """The line of the document where the step is written.

    Where documents can be seen is said by ``[arazzo] source_url``, such as
    ``https://github.com/acme/billing/blob/main/arazzo/{file}#L{line}``.
    """

    name = "Arazzo document"
    operators = [STEP_OPERATOR]  # noqa: RUF012 - as the base class declares it

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The URL, or an empty text."""
        from airflow.configuration import conf

        template = str(conf.get("arazzo", "source_url", fallback="") or "")
        file, mark, line = str(getattr(operator, "document", None) or "").rpartition(":")
        if not template or not mark:
            return ""
        return web_address(template.replace("{file}", quote(file)).replace("{line}", quote(line)))


def web_address(text: Any) -> str:
    """The text if it is the URL of a web page; an empty text otherwise: documents come from others."""
    url = text.strip() if isinstance(text, str) else ""
    return url if url.startswith(("https://", "http://")) and not any(map(str.isspace, url)) else ""
