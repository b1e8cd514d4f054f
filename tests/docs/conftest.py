"""A home for Airflow, whose command line these tests ask, that is not anybody's own."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-arazzo-docs-"))
