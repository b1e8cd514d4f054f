"""Contenders in processes of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.contender import Contender, ContenderFailed

_REPOSITORY = Path(__file__).resolve().parents[3]
_PROGRAM = """
import os
from bench.contender import serve

def refuse():
    raise ValueError("not today")

def chat():
    print("a line that is no answer", flush=True)
    os.system("echo another")
    return 1

serve({"double": lambda value: 2 * value, "refuse": refuse, "chat": chat, "leave": lambda: os._exit(3)})
"""


@pytest.fixture
def contender() -> Iterator[Contender]:
    with Contender([sys.executable, "-c", _PROGRAM], _REPOSITORY) as process:
        yield process


def test_it_answers_again_and_again(contender: Contender) -> None:
    assert [contender.ask("double", value=value) for value in (1, 2.5)] == [2, 5.0]


def test_what_it_prints_is_no_answer(contender: Contender) -> None:
    assert contender.ask("chat") == 1
    assert contender.ask("double", value=4) == 8


def test_an_error_is_said_and_does_not_end_it(contender: Contender) -> None:
    with pytest.raises(ContenderFailed, match="ValueError: not today"):
        contender.ask("refuse")
    assert contender.ask("double", value=1) == 2


def test_a_process_that_ends_is_no_endless_wait(contender: Contender) -> None:
    with pytest.raises(ContenderFailed, match="ended while it was asked for 'leave'"):
        contender.ask("leave")
