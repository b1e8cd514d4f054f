"""The tutorial, from its first command to its last, with a sandbox and an Airflow of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.testing import running_sandbox
from tests.docs.blocks import ROOT, blocks

TUTORIAL = ROOT / "docs" / "tutorial.md"
MARK = "=== block"

pytestmark = pytest.mark.xdist_group("docs")


def test_the_tutorial(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    script, expected = ["set -euo pipefail"], {}
    last = 0
    for number, block in enumerate(blocks(TUTORIAL)):
        if block.mark == "file":
            script += [f"cat > {block.about} <<'END OF FILE'", block.text.rstrip("\n"), "END OF FILE"]
        elif block.language == "console" and block.mark != "not run":
            script += [f"printf '\\n{MARK} {number}\\n'", block.text]
            last = number
        elif block.language == "text":
            expected[last] = block.text.splitlines()
    environment = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ARAZZO_CACHE_DIR": str(tmp_path / "plans"),
    }
    with running_sandbox(amberflo_key="tutorial-key") as sandbox:
        port = str(sandbox.port)
        ran = subprocess.run(
            ["bash", "-c", "\n".join(script).replace("8099", port)],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        orders = [effect["data"]["customerId"] for effect in sandbox.ledger("amberflo.prepaid.created")]
    assert ran.returncode == 0, ran.stdout[-5000:]
    seen = dict(re.findall(rf"^{MARK} (\d+)\n(.*?)(?=^{MARK}|\Z)", ran.stdout, re.MULTILINE | re.DOTALL))
    for number, lines in expected.items():
        for line in lines:
            parts = map(re.escape, line.replace("8099", port).split("…"))
            assert re.search("[^\n]*".join(parts), seen[str(number)]), line + "\n" + seen[str(number)][-5000:]
    # acme: when it was made, by hand, for two days, in the batch; globex: when it was made, in the batch.
    assert sorted(orders) == ["acme"] * 5 + ["globex"] * 2
