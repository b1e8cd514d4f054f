"""What a chaos run prints of its account."""

from __future__ import annotations

import sys
from collections import Counter

from chaos.account import Account
from chaos.settings import intended


def bad(account: Account) -> bool:
    """Whether anything happened twice, was lost, or cannot be explained."""
    wrong = account.duplicated or account.lost or account.unproven or account.strangers
    return bool(wrong) or missing(account) != 0


def missing(account: Account) -> int:
    """Effects that neither happened nor are left for a person, nor wait for a step that is."""
    blocked = {(e.dag_id, e.day) for e in (*account.unknown, *account.spoiled)}
    return sum(
        1 for e in intended(account.scale) if not account.found[e] and (e.dag_id, e.day) not in blocked
    )


def print_account(account: Account, total: int, when: str) -> None:
    """Print figures, and the first of what must not be."""
    found = sum(1 for times in account.found.values() if times)
    happened = sum(1 for effect in account.unknown if account.found[effect])
    causes = Counter(account.ambiguous.values())
    left, unproven = len(account.unknown), len(account.unproven)
    print(f"{when}:")
    print(f"  effects to bill {total}, found {found}")
    print(f"  duplicated {len(account.duplicated)}, lost {len(account.lost)}")
    print(f"  left for a person {left}, of which {happened} happened; unproven {unproven}")
    print(f"  took effect, and a person has to give the response: {len(account.spoiled)}")
    absent, without = missing(account), left - happened
    waiting = total - found - without - absent
    print(f"  {found} found + {without} left for a person without effect + {waiting} steps behind those")
    print(f"  that wait and were never sent = {total - absent}; neither: {absent}")
    for cause, times in causes.most_common():
        print(f"    {times:>4} {cause}")
    for effect in account.duplicated[:5]:
        print(f"    twice: {effect}")
    for effect in account.lost[:5]:
        print(f"    lost: {effect}")
    for stranger in account.strangers[:5]:
        print(f"    stranger: {stranger}")
    sys.stdout.flush()
