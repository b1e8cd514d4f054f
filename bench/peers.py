"""Other projects, installed for measurements only: each in a folder of its own that Git ignores.

None of them is a dependency of this project. Where one cannot be installed, it is not measured, and the
reason is said.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.harness import CACHE

ARAZZO_RUNNER = "0.9.6"
REDOCLY = "2.77.0"


class CannotInstall(Exception):
    """A project that cannot be had here."""


def arazzo_runner() -> Path:
    """The Python of an environment that has ``arazzo-runner``.

    :raises CannotInstall: without an index that has it.
    """
    folder = CACHE / f"arazzo-runner-{ARAZZO_RUNNER}"
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not _done(folder):
        _run("arazzo-runner", [sys.executable, "-m", "venv", "--without-pip", str(folder)])
        _run("arazzo-runner", [*_uv(), "pip", "install", "--quiet", "--python", str(python), *_runner()])
        _mark(folder)
    return python


def redocly() -> Path:
    """The entry script of ``@redocly/cli``, for node.

    :raises CannotInstall: without npm and node, or a registry that has it.
    """
    if not shutil.which("npm") or not shutil.which("node"):
        raise CannotInstall("@redocly/cli needs npm and node, which are not here")
    folder = CACHE / f"redocly-{REDOCLY}"
    if not _done(folder):
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--prefix", str(folder), "--no-package-lock", "--no-audit", "--no-fund"]
        _run("@redocly/cli", [*install, "--ignore-scripts", f"@redocly/cli@{REDOCLY}"])
        _mark(folder)
    return folder / "node_modules" / "@redocly" / "cli" / "bin" / "cli.js"


def _runner() -> list[str]:
    return [f"arazzo-runner=={ARAZZO_RUNNER}"]


def _uv() -> list[str]:
    found = Path(sys.executable).with_name("uv")
    path = str(found) if found.exists() else shutil.which("uv")
    if not path:
        raise CannotInstall("arazzo-runner needs uv to be installed, which is not here")
    return [path]


def _done(folder: Path) -> bool:
    return (folder / ".installed").exists()


def _mark(folder: Path) -> None:
    (folder / ".installed").touch()


def _run(name: str, command: list[str]) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotInstall(f"{name} cannot be installed: {error}") from None
    if ran.returncode:
        lines = (ran.stderr or ran.stdout).strip().splitlines() or ["no message"]
        raise CannotInstall(f"{name} cannot be installed: {lines[0]}")
