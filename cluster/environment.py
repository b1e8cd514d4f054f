"""``python -m cluster.environment``: write ``.env`` with random secrets, for compose and ``make cluster``."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / ".env.example"
FILE = ROOT / ".env"


def parse(text: str) -> dict[str, str]:
    """Variables of an environment file: ``NAME=value`` lines, and comments."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def generated() -> dict[str, str]:
    """A random value for every variable that the example leaves empty."""
    return {
        name: Fernet.generate_key().decode() if name == "FERNET_KEY" else secrets.token_hex(24)
        for name, value in parse(EXAMPLE.read_text()).items()
        if not value
    }


def filled(values: Mapping[str, str]) -> str:
    """The example's text with values behind the names that it leaves empty."""
    lines = EXAMPLE.read_text().splitlines()
    return "".join(f"{line}{values.get(line[:-1], '') if line.endswith('=') else ''}\n" for line in lines)


def write(path: Path = FILE) -> bool:
    """Write the file for nobody else to read, unless it is there; whether it was written."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(filled(generated()))
    return True


def main() -> int:
    """Say what was done."""
    print(f"{FILE.name}: written, with random secrets" if write() else f"{FILE.name}: is there, and stays")
    return 0


if __name__ == "__main__":
    sys.exit(main())
