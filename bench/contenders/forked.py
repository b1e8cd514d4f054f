"""Work in a process that is forked for it, as Airflow's are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any


def forked(work: Callable[[], Any]) -> Any:
    """Do something in a child of this process.

    :param work: gives what can be written as JSON.
    :raises RuntimeError: with what went wrong there.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = {"value": work()}
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(writing, "w") as pipe:
            pipe.write(json.dumps(answer))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answered = json.loads(pipe.read() or '{"error": "the process ended"}')
    os.waitpid(child, 0)
    if "error" in answered:
        raise RuntimeError(answered["error"])
    return answered["value"]
