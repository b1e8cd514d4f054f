"""Running coroutines in a task whose time is limited.

Airflow ends a task that has run for its ``execution_timeout`` by an exception out of a signal handler, which
comes wherever the process is at that moment. Inside an event loop that can be anywhere: what the loop was
about to do is lost, and somebody waits for it for ever.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """As :func:`asyncio.run`; Airflow's time limit cancels the work, which hears of it where it waits.

    :raises AirflowTaskTimeout: when the time is over, and the work has been cancelled and has ended.
    """
    airflows = signal.getsignal(signal.SIGALRM)
    if not callable(airflows) or threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)  # nobody limits it, or nobody can
    expired = False

    async def main() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def expire(*_: Any) -> None:
            nonlocal expired
            expired = True
            if task is not None and not loop.is_closed():  # else it has just come to its end
                loop.call_soon_threadsafe(task.cancel)

        signal.signal(signal.SIGALRM, expire)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if not expired:
            raise
    finally:
        signal.signal(signal.SIGALRM, airflows)
    airflows(signal.SIGALRM, None)
    raise TimeoutError("the task has run for as long as it may")  # Airflow's handler has raised its own
