from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]


@contextmanager
def started(*options: str, **environment: str) -> Iterator[tuple[dict, subprocess.Popen]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *options],
        cwd=ROOT,
        env={**clean, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def status(url: str, **headers: str) -> int:
    request = urllib.request.Request(url, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_random_keys_are_told():
    with started("--port", "0") as (line, _):
        assert line["event"] == "listening"
        assert line["url"] == f"http://127.0.0.1:{line['port']}"
        assert min(len(line["amberflo_key"]), len(line["stripe_key"])) > 30
        assert line["amberflo_key"] != line["stripe_key"]
        assert status(f"{line['url']}/customers", X_API_KEY=line["amberflo_key"]) == 200
        bearer = f"Bearer {line['stripe_key']}"
        assert status(f"{line['url']}/v1/customers", Authorization=bearer) == 200


def test_given_keys_are_not_told():
    options = ("--amberflo-key", "given-ak", "--pending-items", "exclude", "--stripe-key-lifetime", "7")
    with started(*options, SANDBOX_STRIPE_KEY="given-sk") as (line, _):
        assert "given" not in json.dumps(line)
        assert not {"amberflo_key", "stripe_key"} & set(line)
        assert status(f"{line['url']}/customers", X_API_KEY="given-ak") == 200
        assert status(f"{line['url']}/v1/customers", Authorization="Bearer given-sk") == 200
        with urllib.request.urlopen(f"{line['url']}/_sandbox/settings", timeout=10) as answer:
            settings = json.load(answer)
        assert (settings["pending_items"], settings["stripe_key_lifetime"]) == ("exclude", 7)


def test_it_ends_on_a_signal():
    with started() as (_, process):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_a_port_in_use_is_an_error():
    with started() as (line, _):
        again = subprocess.run(
            [sys.executable, "-m", "sandbox", "--port", str(line["port"])],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert again.returncode == 2
        assert again.stderr.startswith("sandbox: ")
        assert again.stdout == ""


def test_a_wrong_setting_is_an_error():
    result = subprocess.run(
        [sys.executable, "-m", "sandbox", "--stripe-key-lifetime", "-1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (result.returncode, "stripe_key_lifetime" in result.stderr) == (2, True)
