"""``python -m sandbox``: serve until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from typing import Any

from sandbox.server import Server
from sandbox.settings import Settings


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A stand-in for Amberflo and Stripe."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 is any free one")
    parser.add_argument("--amberflo-key", help="key to accept; default: $SANDBOX_AMBERFLO_KEY, else random")
    parser.add_argument("--stripe-key", help="key to accept; default: $SANDBOX_STRIPE_KEY, else random")
    parser.add_argument(
        "--stripe-key-lifetime", type=float, default=86_400.0, metavar="SECONDS", help="of idempotency keys"
    )
    parser.add_argument(
        "--pending-items",
        choices=("include", "exclude"),
        default="include",
        help="whether new invoices take pending items unless a request says otherwise",
    )
    parser.add_argument(
        "--unknown-products",
        choices=("accept", "refuse"),
        default="accept",
        help="whether plans can be assigned whose product was not seeded",
    )
    parser.add_argument(
        "--record-credentials", action="store_true", help="show credentials in the request log"
    )
    parser.add_argument("--request-log-size", type=int, default=100_000, metavar="N")
    return parser.parse_args(argv)


def _settings(given: argparse.Namespace) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and the keys that were made up and so have to be told."""
    options: dict[str, Any] = {
        "pending_items": given.pending_items,
        "stripe_key_lifetime": given.stripe_key_lifetime,
        "unknown_products": given.unknown_products,
        "record_credentials": given.record_credentials,
        "request_log_size": given.request_log_size,
    }
    random = []
    for name in ("amberflo_key", "stripe_key"):
        key = getattr(given, name) or os.environ.get(f"SANDBOX_{name.upper()}")
        if key:
            options[name] = key
        else:
            random.append(name)
    settings = Settings(**options)
    return settings, {name: getattr(settings, name) for name in random}


async def _serve(given: argparse.Namespace) -> None:
    settings, made_up = _settings(given)
    server = Server(settings, given.host, given.port)
    done = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, done.set)
    await server.start()
    try:
        line = {"event": "listening", "host": server.host, "port": server.port, "url": server.url, **made_up}
        print(json.dumps(line), flush=True)
        await done.wait()
    finally:
        await server.stop()


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    :return: 0, or 2 when a setting or the address cannot be used.
    """
    try:
        asyncio.run(_serve(_arguments(argv)))
    except (ValueError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
