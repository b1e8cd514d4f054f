"""``ledger list``, ``show``, ``resolve``, ``reissue`` and ``prune``, for the person on call."""

from __future__ import annotations

import json
import os
import pwd
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.cli.ledger import COMMANDS
from airflow_arazzo.cli.ledger_arguments import COMMANDS as DECLARED
from airflow_arazzo.cli.ledger_arguments import OUTCOMES
from airflow_arazzo.cli.main import main
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.ledger.book import Book
from airflow_arazzo.ledger.model import AmbiguousEffect, Description, Outcome, Permission, Replay
from airflow_arazzo.ledger.retention import DAYS, RETENTION_DAYS
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.ledger.tables import MAX_RESPONSE

USER = pwd.getpwuid(os.getuid()).pw_name
OK = Response(200, (), b'{"orderId":"o-1"}')


class Desk:
    """The command line at a ledger."""

    def __init__(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = f"sqlite:///{file}"
        self.past = time.time() - 3600
        self.now = Book(Store(self.url), sleep=lambda seconds: None)
        self.before = Book(Store(self.url, clock=lambda: self.past))
        self._capsys = capsys

    def effect(
        self, key: str, outcome: Outcome | None, response: Response | None = None, run: str = "r"
    ) -> None:
        """An effect of an hour ago; without an outcome its process was killed."""
        description = Description(
            "f", "POST https://x/orders\n\n{\x1b[2J}", "api", f"dag {run}", "bill", "try 1"
        )
        permission = self.before.open(key, description, timeout=30, lifetime=None)
        assert isinstance(permission, Permission)
        if outcome is not None:
            self.before.close(permission, outcome, response)

    def again(self, key: str) -> Permission | Replay:
        description = Description("f", "POST https://x/orders", "api", "dag r", "bill", "try 2")
        return self.now.open(key, description, timeout=30, lifetime=None)

    def __call__(self, *given: str, url: bool = True) -> tuple[int, str, str]:
        where = ["--ledger", self.url] if url else []
        status = main(["ledger", *given, *where])
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return status, said.out, said.err

    def json(self, *given: str) -> Any:
        status, out, _ = self(*given, "--format", "json")
        assert status == 0
        return json.loads(out)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    desk = Desk(tmp_path / "ledger.db", capsys)
    yield desk
    desk.now.store.close()
    desk.before.store.close()


def test_list(desk: Desk) -> None:
    desk.effect("aa", Outcome.EFFECT, OK)
    desk.effect("bb", None, run="other")
    desk.effect("cc", Outcome.UNKNOWN)
    desk.again("dd")
    status, out, err = desk("list")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["unknown", "unknown", "intent", "effect"]
    assert re.search(
        r"^unknown +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +bb +POST https://x/orders +bill of dag other$", out, re.M
    )
    assert [row["key"] for row in desk.json("list", "--outcome", "unknown", "--run", "other")] == ["bb"]
    assert [row["key"] for row in desk.json("list", "--outcome", "intent")] == ["dd"]
    row = desk.json("list", "--run", "other")[0]
    assert (row["outcome"], row["recorded"], row["description"]["run"]) == ("unknown", "intent", "dag other")
    status, out, err = desk("list", "--limit", "1")
    assert len(out.splitlines()) == 1
    assert "--limit" in err
    assert desk("list", "--run", "none")[1] == "no effects\n"
    assert desk("list", "--limit", "0")[0] == 2


def test_show(desk: Desk) -> None:
    desk.effect("aabb", Outcome.EFFECT, OK)
    desk.effect("aacc", None)
    status, out, _ = desk("show", "aab")
    assert status == 0
    for text in (
        "outcome     effect",
        "POST https://x/orders",
        '{"orderId":"o-1"}',
        "once only",
        "try 1",
        "status      200",
    ):
        assert text in out, text
    assert "\x1b" not in out
    assert "\\x1b[2J" in out
    assert "no outcome was ever written" in desk("show", "aac")[1]
    assert desk.json("show", "aabb")["response"] == {"status": 200, "body": '{"orderId":"o-1"}'}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("aa", "not one effect but several: aabb, aacc"),
        ("zz", "no effect"),
        ("", "no effect"),
        ("%", "no effect"),
    ],
)
def test_a_key_that_is_not_one(desk: Desk, key: str, said: str) -> None:
    desk.effect("aabb", None)
    desk.effect("aacc", None)
    status, out, err = desk("show", key)
    assert (status, out) == (2, "")
    assert said in err


def test_a_whole_key_is_one_although_others_begin_with_it(desk: Desk) -> None:
    desk.effect("aa", None)
    desk.effect("aab", None)
    assert desk.json("show", "aa")["key"] == "aa"


@pytest.mark.parametrize("outcome", [None, Outcome.UNKNOWN])
def test_resolve_as_happened(desk: Desk, outcome: Outcome | None) -> None:
    desk.effect("k", outcome)
    told = desk.json("resolve", "k", "--happened", "--outputs", '{"orderId": 1.50}', "--reason", "saw it")
    assert [(r["who"], r["action"], r["reason"]) for r in told["audit"]] == [(USER, "happened", "saw it")]
    replay = desk.again("k")
    assert isinstance(replay, Replay)
    assert (replay.response.status, replay.response.body) == (200, b'{"orderId": 1.50}')
    assert replay.response.header("content-type") == "application/json"


def test_resolve_as_happened_with_a_whole_response(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text("[1]")
    desk.effect("k", None)
    given = ("--response", f"@{tmp_path}/body.json", "--status", "201")
    assert desk("resolve", "k", "--happened", *given, "--reason", "x")[0] == 0
    replay = desk.again("k")
    assert isinstance(replay, Replay)
    assert (replay.response.status, replay.response.body) == (201, b"[1]")
    desk.effect("l", None)
    assert desk("resolve", "l", "--happened", "--reason", "x")[0] == 0
    assert desk.json("show", "l")["response"] == {"status": 200, "body": ""}


def test_resolve_an_effect_whose_response_is_not_kept(desk: Desk) -> None:
    desk.effect("k", Outcome.EFFECT)
    with pytest.raises(AmbiguousEffect):
        desk.again("k")
    assert desk("resolve", "k", "--not-happened", "--reason", "x")[0] == 2
    assert desk("resolve", "k", "--happened", "--response", "{}", "--reason", "x")[0] == 0
    assert isinstance(desk.again("k"), Replay)


def test_resolve_an_effect_whose_response_is_of_no_use(desk: Desk) -> None:
    """The service did as it was asked, and answered with an error page of some proxy."""
    desk.effect("k", Outcome.EFFECT, Response(200, (("Content-Type", "text/html"),), b"<p>sorry"))
    assert desk("resolve", "k", "--not-happened", *REASON)[0] == 2
    told = desk.json("resolve", "k", "--happened", "--outputs", '{"id": "in_1"}', *REASON)
    assert [(r["action"], r["before"]) for r in told["audit"]] == [("happened", "effect, generation 0")]
    replay = desk.again("k")
    assert isinstance(replay, Replay)
    assert replay.response.body == b'{"id": "in_1"}'


@pytest.mark.parametrize("outcome", [None, Outcome.UNKNOWN])
def test_resolve_as_not_happened(desk: Desk, outcome: Outcome | None) -> None:
    desk.effect("k", outcome)
    assert desk("resolve", "k", "--not-happened", "--reason", "not there")[0] == 0
    allowed = desk.again("k")
    assert isinstance(allowed, Permission)
    assert (allowed.generation, allowed.doubt) == (0, False)


def test_reissue(desk: Desk) -> None:
    desk.effect("k", Outcome.EFFECT, OK)
    assert isinstance(desk.again("k"), Replay)
    told = desk.json("reissue", "k", "--reason", "voided")
    assert (told["generation"], told["outcome"], told["response"]) == (1, "not-sent", None)
    assert [(r["action"], r["before"], r["reason"]) for r in told["audit"]] == [
        ("reissue", "effect, generation 0", "voided")
    ]
    allowed = desk.again("k")
    assert isinstance(allowed, Permission)
    assert allowed.generation == 1
    entry = desk.now.store.get("k")
    assert entry is not None
    assert entry.first_sent > desk.past + 60  # the new key's life begins when it is sent


REASON = ("--reason", "x")


@pytest.mark.parametrize(
    ("outcome", "given", "said"),
    [
        (None, ("resolve", "k", *REASON), "either --happened or --not-happened"),
        (None, ("resolve", "k", "--happened", "--not-happened", *REASON), "either"),
        (None, ("resolve", "k", "--happened", "--reason", " "), "say why"),
        (None, ("resolve", "k", "--happened", "--outputs", "{", *REASON), "not valid JSON"),
        (None, ("resolve", "k", "--happened", "--outputs", "[]", *REASON), "a JSON object"),
        (None, ("resolve", "k", "--happened", "--outputs", "{}", "--response", "{}", *REASON), "either"),
        (None, ("resolve", "k", "--not-happened", "--outputs", "{}", *REASON), "neither"),
        (None, ("resolve", "k", "--happened", "--status", "404", *REASON), "200 to 299"),
        (None, ("resolve", "k", "--happened", "--response", "@/none", *REASON), "cannot be read"),
        (Outcome.EFFECT, ("resolve", "k", "--happened", *REASON), "known already (effect)"),
        (Outcome.REFUSED, ("resolve", "k", "--happened", *REASON), "known already (refused)"),
        (Outcome.NOT_SENT, ("resolve", "k", "--not-happened", *REASON), "known already (not-sent)"),
        (None, ("reissue", "k", *REASON), "resolve it first"),
        (Outcome.UNKNOWN, ("reissue", "k", *REASON), "resolve it first"),
        (Outcome.REFUSED, ("reissue", "k", *REASON), "has not happened"),
        (Outcome.NOT_SENT, ("reissue", "k", *REASON), "has not happened"),
        (Outcome.EFFECT, ("reissue", "k", "--reason", ""), "say why"),
    ],
)  # fmt: skip
def test_what_is_refused(desk: Desk, outcome: Outcome | None, given: tuple[str, ...], said: str) -> None:
    desk.effect("k", outcome, OK if outcome is Outcome.EFFECT else None)
    before = desk.now.store.get("k")
    status, out, err = desk(*given)
    assert (status, out) == (2, "")
    assert said in err
    assert desk.now.store.get("k") == before
    assert desk.now.store.audit("k") == []


def test_a_response_that_is_too_large(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "large").write_text(json.dumps("x" * MAX_RESPONSE))
    desk.effect("k", None)
    status, _, err = desk("resolve", "k", "--happened", "--response", f"@{tmp_path}/large", *REASON)
    assert status == 2
    assert "too large" in err


@pytest.mark.parametrize("how", ["--happened", "--not-happened"])
def test_what_is_under_way_cannot_be_resolved(desk: Desk, how: str) -> None:
    # Its request may still be on its way: whoever says now that it did not happen would have it sent twice.
    desk.again("k")
    status, _, err = desk("resolve", "k", how, *REASON)
    assert status == 2
    assert re.search(r"under way and may still hear; look again in \d+ s", err)


def test_somebody_else_is_quicker(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.effect("k", None)
    monkeypatch.setattr(Store, "decide", lambda *given, **values: False)
    status, _, err = desk("resolve", "k", "--not-happened", *REASON)
    assert status == 1
    assert "changed meanwhile" in err


def test_a_reason_is_required(desk: Desk) -> None:
    with pytest.raises(SystemExit) as raised:
        desk("reissue", "k")
    assert raised.value.code == 2


# --- where it is ---------------------------------------------------------------------------------------


def test_the_environment_says_where(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.effect("k", None)
    for name in ("ARAZZO_LEDGER", "AIRFLOW_CONN_ARAZZO_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    status, _, err = desk("list", url=False)
    assert status == 2
    assert f"there is no ledger in {tmp_path}/home/arazzo_ledger.db" in err
    assert not (tmp_path / "home").exists()
    monkeypatch.setenv(
        "AIRFLOW_CONN_ARAZZO_LEDGER", f"sqlite://{str(tmp_path).replace('/', '%2F')}%2Fledger.db"
    )
    assert "unknown" in desk("list", url=False)[1]
    monkeypatch.setenv("ARAZZO_LEDGER", "sqlite:////none/such.db")
    status, _, err = desk("list", url=False)
    assert status == 1
    assert "name two ledgers" in err
    monkeypatch.delenv("AIRFLOW_CONN_ARAZZO_LEDGER")
    assert desk("list", url=False)[0] == 2


@pytest.mark.parametrize(
    "url", ["postgresql://me:pa55word@127.0.0.1:1/db", "pa55word", "mysql://me:pa55word@h/d"]
)
def test_a_ledger_that_cannot_be_used(desk: Desk, url: str) -> None:
    desk.url = url
    status, out, err = desk("list")
    assert (status, out) == (1, "")
    assert "ledger" in err
    assert "pa55word" not in err


def test_prune(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.effect("settled", Outcome.EFFECT, OK)
    desk.effect("open", Outcome.UNKNOWN)
    assert desk("prune")[:2] == (
        0,
        "dropped 0 responses of effects that were settled more than 400 days ago\n",
    )
    monkeypatch.setenv("ARAZZO_LEDGER_RETENTION_DAYS", "0.02")
    assert desk("prune")[:2] == (
        0,
        "dropped 1 responses of effects that were settled more than 0.02 days ago\n",
    )
    assert desk("prune", "--days", "0.01")[1].startswith("dropped 0 ")
    with pytest.raises(AmbiguousEffect, match=r"happened and is not repeated.*past its retention"):
        desk.again("settled")
    with pytest.raises(AmbiguousEffect, match="whether POST https://x/orders took effect is unknown"):
        desk.again("open")


@pytest.mark.parametrize(
    ("given", "days", "said"),
    [
        (("--days", "0"), "", "--days: expected a number above 0"),
        (("--days", "nan"), "", "--days: expected a number above 0"),
        ((), "soon", "ARAZZO_LEDGER_RETENTION_DAYS must be a number of days above 0"),
        ((), "-1", "ARAZZO_LEDGER_RETENTION_DAYS must be a number of days above 0"),
    ],
)
def test_a_retention_that_is_none(
    desk: Desk, given: tuple[str, ...], days: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.effect("settled", Outcome.EFFECT, OK)
    monkeypatch.setenv("ARAZZO_LEDGER_RETENTION_DAYS", days)
    status, _, err = desk("prune", *given)
    assert (status, err) == (2, f"airflow-arazzo: {said}\n")
    assert isinstance(desk.again("settled"), Replay)


def test_what_is_declared_is_there() -> None:
    assert DECLARED.keys() == COMMANDS.keys()
    declared = {argument.options["help"] for argument in DECLARED["prune"][1]}
    assert any(f"{DAYS}, or {RETENTION_DAYS:.0f})" in text for text in declared)
    assert set(OUTCOMES) == set(map(str, Outcome))
