"""The sandbox's own endpoints under ``/_sandbox/``; they need no key and answer only to this machine."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox import exact_json
from sandbox.faults import Rule
from sandbox.keys import STATE
from sandbox.reply import Reply
from sandbox.seeds import SeedError, plant


def add_routes(app: web.Application) -> None:
    """Add the control endpoints to an application."""
    routes = [
        ("GET", "health", _health),
        ("GET", "ledger", _ledger),
        ("GET", "requests", _requests),
        ("GET", "summary", _summary),
        ("POST", "reset", _reset),
        ("POST", "seed", _seed),
        ("GET", "seed", _seeded),
        ("GET", "settings", _settings),
        ("PATCH", "settings", _change_settings),
        ("GET", "faults", _faults),
        ("POST", "faults", _add_faults),
        ("DELETE", "faults", _clear_faults),
        ("POST", "refuse", _refuse),
    ]
    for method, name, handler in routes:
        app.router.add_route(method, f"/_sandbox/{name}", _guarded(handler))


def _guarded(handler: Handler) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        # With --host the services may be reachable from elsewhere; what steers the sandbox is not.
        if not ipaddress.ip_address((request.remote or "0.0.0.0").partition("%")[0]).is_loopback:  # noqa: S104
            return _answer({"error": "only for this machine"}, 403)
        try:
            return await handler(request)
        except ValueError as error:
            return _answer({"error": str(error)}, 400)

    return guarded


def _answer(value: object, status: int = 200) -> web.Response:
    return Reply.json(value, status).response()


async def _body(request: web.Request) -> Any:
    # Numbers here steer the sandbox and are no money, so plain ones do.
    return json.loads(await request.read() or b"{}")


async def _health(request: web.Request) -> web.Response:
    return _answer({"status": "ok"})


async def _ledger(request: web.Request) -> web.Response:
    query = request.query
    after = int(query.get("after", "0"))
    if after < 0:
        raise ValueError("after must not be negative")
    limit = int(query["limit"]) if "limit" in query else None
    if limit is not None and limit < 1:
        raise ValueError("limit must be above zero")
    return _answer(request.app[STATE].ledger.select(query.get("kind"), query.get("service"), after, limit))


async def _requests(request: web.Request) -> web.Response:
    state = request.app[STATE]
    after = int(request.query.get("after", "0"))
    service = request.query.get("service")
    show = state.settings.record_credentials
    return _answer(
        [r.as_json(show) for r in state.requests if r.seq > after and service in (None, r.service)]
    )


async def _summary(request: web.Request) -> web.Response:
    state = request.app[STATE]
    return _answer(
        {
            "effects": len(state.ledger.effects),
            "by_kind": dict(state.ledger.counts),
            "requests": state.requests.total,
        }
    )


async def _reset(request: web.Request) -> web.Response:
    request.app[STATE].reset()
    return _answer({"reset": True})


async def _seed(request: web.Request) -> web.Response:
    try:
        return _answer(plant(request.app[STATE], exact_json.loads(await request.read() or b"{}")))
    except SeedError as error:
        return _answer({"error": str(error), "made": error.made}, 400)


async def _seeded(request: web.Request) -> web.Response:
    return _answer(request.app[STATE].setup)


async def _settings(request: web.Request) -> web.Response:
    return _answer(request.app[STATE].settings.public())


async def _change_settings(request: web.Request) -> web.Response:
    state = request.app[STATE]
    changes = await _body(request)
    if not isinstance(changes, dict):
        raise ValueError("settings are an object")
    state.settings = state.settings.changed(changes)
    return _answer(state.settings.public())


async def _faults(request: web.Request) -> web.Response:
    return _answer([rule.as_json() for rule in request.app[STATE].faults.rules])


async def _add_faults(request: web.Request) -> web.Response:
    given = await _body(request)
    rules = [Rule.from_json(rule) for rule in (given if isinstance(given, list) else [given])]
    book = request.app[STATE].faults
    book.rules.extend(rules)
    return _answer([rule.as_json() for rule in book.rules])


async def _clear_faults(request: web.Request) -> web.Response:
    request.app[STATE].faults.rules.clear()
    return _answer([])


async def _refuse(request: web.Request) -> web.Response:
    refuse = request.app[STATE].refuse_connections
    given = await _body(request)
    seconds = given.get("seconds") if isinstance(given, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 3600:
        raise ValueError("seconds must be a number above 0, at most 3600")
    if refuse is None:
        raise ValueError("whoever serves this application cannot stop listening")
    refuse(float(seconds))
    return _answer({"refusing": float(seconds)})
