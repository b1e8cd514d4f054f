"""Processes that the demonstration starts, and that it ends again whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Processes:
    """Background processes, each the leader of a group so that its children end with it.

    :param logs: folder for what they print.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._started: dict[str, tuple[Sequence[str], Mapping[str, str], Path | None]] = {}

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
    ) -> Path:
        """Start a process, in a folder; returns the file that holds its output."""
        self._logs.mkdir(parents=True, exist_ok=True)
        output = self._logs / f"{name}.log"
        self._started[name] = command, environment, folder
        with output.open("ab") as file:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append((name, process))
        return output

    def check(self) -> None:
        """Make sure that all of them still run.

        :raises RuntimeError: naming one that does not, with the end of its output.
        """
        self.check_all_but(())

    def check_all_but(self, names: Collection[str]) -> None:
        """As :meth:`check`, for all that are not named."""
        for name, process in self._running:
            if name not in names and process.poll() is not None:
                tail = (self._logs / f"{name}.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{name} ended with status {process.returncode}:\n{tail}")

    def revive(self, names: Collection[str]) -> list[str]:
        """Start those of some that have ended by themselves again; returns their names and statuses."""
        running = [(name, process) for name, process in self._running if name in names]
        ended = [(name, process) for name, process in running if process.poll() is not None]
        for name, process in ended:
            self._running.remove((name, process))
            self.start(name, *self._started[name])
        return [f"{name} (status {process.returncode})" for name, process in ended]

    def end(self, name: str) -> None:
        """End one of them, politely; :meth:`revive` starts it again."""
        process = next(process for known, process in self._running if known == name)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)

    def wait(self, name: str, seconds: float = 60) -> None:
        """Wait until one of them has ended."""
        next(process for known, process in self._running if known == name).wait(seconds)

    def pid(self, name: str) -> int:
        """Process id of a running process, by the name that it was started with."""
        return next(process.pid for known, process in self._running if known == name)

    def stop(self) -> None:
        """End all of them, politely at first."""
        for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
            for _, process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            deadline = time.monotonic() + patience
            for _, process in self._running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
            if all(process.poll() is not None for _, process in self._running):
                break
        for _, process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self._running.clear()


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    timeout: float = 300,
    folder: Path | None = None,
) -> str:
    """Run a command to its end, in a folder, and return what it printed.

    :param timeout: seconds.
    :raises RuntimeError: when it fails, with its output.
    """
    done = subprocess.run(
        command,
        env=dict(environment),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout
