"""Writes the page on safety from the tests: ``python -m tests.integration.generate``."""

# ruff: noqa: E501  sentences and the names of their tests are rows

from __future__ import annotations

import sys
from pathlib import Path

from airflow_arazzo.ledger.book import GRACE
from airflow_arazzo.ledger.probe import SOONEST
from airflow_arazzo.ledger.retention import DAYS, RETENTION_DAYS
from airflow_arazzo.ledger.tables import MAX_RESPONSE
from airflow_arazzo.plan.model import DEFAULT_WAIT
from tests.integration.safety import KINDS, LATER, OTHER, PERSON, RESPONSE, TABLE, Cell, Kind
from tests.pages import DOCS, table, write

TESTS = Path(__file__).parents[1]

HEAD = """\
# Safety

<!-- Written by `python -m tests.integration.generate` from the tests in tests. Do not edit. -->

Every request that may change something is written into the ledger before it leaves and again when its outcome
is known. What the ledger has decides what a later attempt does, whether that is a retry, a cleared task, a
backfill or a worker that comes back after a crash.

| Outcome | Means | A later attempt |
|---|---|---|
| `effect` | it took effect | sends nothing, and reads the stored response |
| `refused` | the service said no | sends it, as a new generation |
| `not-sent` | it certainly had no effect | sends it with the same key |
| `unknown` | it may have had one | sends it where that is safe, else asks a person |
| `intent` | somebody is about to send it, or was | looks again later; {grace:.0f} s after the request's time limit it is `unknown` |

## Faults

One fault meets one request; the columns say what the next attempt does, without the fault, and what the service
has done after it. **Bold** means that a person is asked, and that nothing is sent. GET and what is declared
repeatable do not go through the ledger. "The same" are repetitions of a PUT, which change nothing. An attempt
that waits for another one, or for one whose worker died, does not hold its slot.

A test is named by its fault; it is run for every column: `tests/integration/test_ledger_faults.py`.

"""

PERSONS = """
## When a person is asked

The task fails and says so, and no later action of the document runs. `airflow-arazzo ledger list` shows what is
open, `show KEY` what was asked, when and by which run. Look it up at the service, then say
`resolve KEY --happened` (with `--outputs` or `--response`, which later steps read) or `--not-happened`, always
with `--reason`. `reissue KEY` lets an effect happen once more, such as after a void. All of it is audited.

## Lookups

A deployment can name a lookup for a step, and the ledger asks it before it gives an unknown outcome up:

```python
ArazzoDag(
    "invoice.arazzo.yaml",
    probes={{
        "create-invoice": {{
            "operationId": "listInvoices",
            "parameters": [{{"name": "customer", "in": "query", "value": "$request.body#/customer"}}],
            "happened": ["$response.body#/data/0/description == $inputs.reference"],
            "not_happened": ["$response.body#/data/0 == null", "$response.body#/has_more == false"],
        }}
    }},
)
```

- The keys are step ids, `WORKFLOW.STEP` for steps of called workflows. The operation is one of the document's
  sources, by GET or HEAD. Expressions see what the step's do; `$request` is the request whose outcome is unknown,
  its idempotency key included, and `$response` what the lookup answers. Criteria are Criterion Objects, or
  texts for simple conditions. What is wrong with a probe is an error when the DAG file is parsed.
- All criteria of `happened` hold: the effect is recorded. Its response is the lookup's with `"response": True`;
  otherwise a person is asked for it.
- All of `not_happened` hold: that counts once `wait` seconds ({wait:.0f} by default) have passed since the
  outcome became unknown, since a service may be slow to do a thing, and slower to show it. Until then the task
  waits without a slot and looks again, first after {soonest:.0f} s and then less and less often. Then the
  request counts as not sent: the document's retry, or Airflow's, may send it anew.
- Neither holds, or both do, or the lookup fails: nobody knows, and after the wait a person is asked. A status
  other than 2xx counts only for criteria that ask for `$statusCode`; a body that cannot be looked into never
  shows that nothing happened.
- The criteria must know this effect from others like it, and a list must be complete: say what the response
  has, not only what it lacks.

## When the power fails

What a process has written stands whatever becomes of the process. What is on the disk when the whole machine
stops, with the ledger in a SQLite file: every intent, before its request leaves; and every outcome, before its task
goes on, with one exception. That a request with an idempotency key, honoured for an hour or longer, took effect
reaches the disk with the next intent, or when the operating system writes it, after half a minute as a rule. If that
is lost, the request is in doubt: whoever asks for the effect again sends it again with the same key, within the
key's lifetime; after that a person is asked. On PostgreSQL every commit waits for the disk.

## What is kept, and for how long

Of a request: method, URL and body, bounded and without secrets. Of an effect: its response, without secrets, up
to {kilobytes} KiB and for {days:.0f} days (`{variable}` names another number). Once a day a task that opens
the ledger drops some of those that are older; `airflow-arazzo ledger prune` drops them all. That the effect
happened is never forgotten: a later attempt then asks a person for the response instead of reading it.
"""

FILES = {
    "faults": "integration/test_ledger_faults.py",
    "races": "integration/test_ledger_races.py",
    "probe": "integration/test_ledger_probe.py",
    "retention": "integration/test_ledger_retention.py",
    "power": "unit/ledger/test_power.py",
    "egress": "integration/test_egress.py",
    "transport": "integration/test_transport.py",
    "oauth": "integration/test_oauth.py",
    "secrets": "airflow/test_secrets.py",
    "audit": "airflow/test_secret_audit.py",
    "probes": "airflow/test_probes.py",
    "wire": "unit/engine/test_wire.py",
    "public": "unit/engine/test_egress.py",
    "redact": "unit/engine/test_redact.py",
    "keys": "unit/ledger/test_keys.py",
    "exchange": "unit/ledger/test_exchange.py",
    "command": "unit/ledger/test_command.py",
    "cache": "unit/plan/test_credentials.py",
}

PROMISES: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "Never twice": [
        (
            "Two attempts at once have one effect, on SQLite and on PostgreSQL",
            ("races::test_two_attempts_at_once_have_one_effect",),
        ),
        (
            "Without compare-and-set they have two",
            ("races::test_without_compare_and_set_there_are_duplicates",),
        ),
        (
            "Workers killed at any moment leave no duplicate and lose nothing",
            ("races::test_killed_at_any_moment_nothing_is_billed_twice_or_lost",),
        ),
        (
            "A key whose lifetime has run out is not relied upon, on SQLite and on PostgreSQL",
            ("faults::test_a_key_that_has_run_out_is_no_second_effect",),
        ),
        (
            "With a lifetime that is declared too long there would be a second effect",
            ("faults::test_a_lifetime_that_is_declared_too_long_shows_what_would_happen",),
        ),
        (
            "Attempts that were not sent do not prolong it",
            ("faults::test_attempts_that_are_not_sent_do_not_prolong_a_key",),
        ),
        (
            "The same key for schedule, retry, clear and backfill of a period; others for other effects",
            (
                "keys::test_schedule_retry_clear_and_backfill_of_one_period_are_one_effect",
                "keys::test_different_effects_have_different_keys",
            ),
        ),
        (
            "A late effect is not mistaken by a lookup; without the wait it would be billed twice",
            ("probe::test_an_effect_that_comes_late", "probe::test_without_waiting_it_would_be_billed_twice"),
        ),
        ("A lookup that fails says nothing", ("probe::test_a_lookup_that_fails_tells_nothing",)),
        (
            "What a lookup shows not to have happened is sent anew, and not for ever",
            (
                "probe::test_what_had_no_effect_is_sent_anew",
                "probe::test_a_service_that_never_works_is_not_asked_for_ever",
                "probes::test_what_did_not_happen_is_sent_anew",
            ),
        ),
        (
            "Dropping old responses forgets nothing that keeps an effect from being repeated",
            ("retention::test_what_is_dropped_and_what_stays",),
        ),
        (
            "When the power fails, nothing is lost but that an effect happened which can be asked for again with its key",
            (
                "power::test_all_waits_for_the_disk_but_an_effect_whose_key_is_honoured_for_long",
                "power::test_who_asks_after_the_power_has_failed_sends_the_same_key_again",
            ),
        ),
    ],
    "Where requests and credentials go": [
        (
            "Credentials go to the connection's origin only",
            (
                "wire::test_credentials_are_not_sent_in_the_clear_on_the_descriptions_word_alone",
                "egress::test_a_document_cannot_lead_credentials_elsewhere",
            ),
        ),
        (
            "Redirects of unsafe methods are not followed",
            ("egress::test_unsafe_requests_are_never_redirected", "faults::test_redirects_that_are_followed"),
        ),
        (
            "Those of safe ones are on request, and never with credentials to another origin",
            (
                "egress::test_following_is_opt_in",
                "egress::test_credentials_never_go_to_another_origin",
                "egress::test_credentials_stay_away_when_a_redirect_leads_back",
            ),
        ),
        (
            "A document cannot lead credentials elsewhere: its servers, hosts and paths change nothing when the connection has a host",
            ("egress::test_a_document_cannot_lead_credentials_elsewhere",),
        ),
        (
            "Nor can a description's token endpoint",
            (
                "oauth::test_a_described_endpoint_elsewhere_never_gets_the_secret",
                "oauth::test_a_discovered_endpoint_elsewhere_never_gets_the_secret",
            ),
        ),
        (
            "Private and link-local targets can be forbidden, whatever names and proxies say",
            (
                "egress::test_private_targets_are_refused_at_the_socket",
                "egress::test_a_name_that_leads_inside_is_refused",
                "egress::test_a_proxy_cannot_be_combined_with_it",
                "public::test_other_addresses",
            ),
        ),
        (
            "The size of a response is bounded",
            (
                "transport::test_an_oversized_response_is_unknown",
                "transport::test_a_decompression_bomb_is_not_unpacked",
                "transport::test_headers_are_counted",
            ),
        ),
        (
            "So is its time",
            (
                "transport::test_the_timeout_is_the_requests_then_the_connections",
                "transport::test_a_response_that_trickles_is_bound_by_the_same_timeout",
            ),
        ),
        (
            "A document cannot switch off TLS verification",
            ("egress::test_a_document_cannot_switch_off_tls_verification",),
        ),
    ],
    "Secrets": [
        (
            "An API that echoes every secret in body, headers, errors and locations, plainly, in base64 and URL-encoded, leaves none in logs, exceptions, rendered fields, XCom, stored states, plan cache and ledger",
            ("audit::test_an_api_that_echoes_everything", "audit::test_keys_of_every_scheme"),
        ),
        (
            "Nor after waits and clears",
            (
                "audit::test_a_task_that_waits_and_is_cleared",
                "secrets::test_the_stored_state_holds_nothing_readable",
            ),
        ),
        (
            "The search for them can find something",
            (
                "secrets::test_the_search_finds_what_airflow_writes",
                "audit::test_the_search_finds_what_the_ledger_has",
            ),
        ),
        (
            "Inputs marked `format: password` or `writeOnly` are secrets",
            ("audit::test_an_api_that_echoes_everything", "secrets::test_secret_inputs"),
        ),
        (
            "So are tokens that steps produce, also inside an object; what lies beside one is not",
            ("secrets::test_tokens_that_steps_produce", "secrets::test_a_token_inside_an_object"),
        ),
        ("Base64 of a longer text that holds a secret is masked", ("redact::test_base64_of_a_longer_text",)),
        (
            "A step logs method, URL without query values, status, size, duration and decision",
            ("secrets::test_the_log_tells_no_query_values",),
        ),
        (
            "Bodies only when the connection's extra `log_bodies` asks for it, less secrets",
            ("secrets::test_bodies_only_on_request",),
        ),
        (
            "Secrets of fewer than five characters are not masked, as in Airflow",
            ("redact::test_short_secrets_and_none_are_left_alone",),
        ),
    ],
}
"""Sentences by section, each with the tests that show it: a name out of :data:`FILES`, and a function."""


def _described(cell: Cell, kind: Kind) -> str:
    """A cell as the page has it."""
    then, _, after = cell
    if not kind.effect or then == LATER:
        return then
    count = "no effect" if not after else "1 effect" if after == 1 else f"{after} effects, the same"
    return f"{f'**{then}**' if then in (PERSON, RESPONSE, OTHER) else then}: {count}"


def _faults() -> str:
    header = ("Fault", "Ledger", *(kind.title for kind in KINDS.values()), "Test")
    rows = []
    for fault, row in TABLE.items():
        outcome = f"`{row.outcome}`" if row.outcome else "nothing"
        outcome += ", later `unknown`" if row.waits else ""
        cells = [_described(row.cells[name], kind) for name, kind in KINDS.items()]
        name = "test_overlap" if row.overlaps else "test_fault"
        rows.append((fault, outcome, *cells, f"`{name}[{fault}-…]`"))
    return table(header, rows)


def _promises(section: str) -> str:
    rows = [
        (sentence, ", ".join(f"`{_file(shown)}::{shown.partition('::')[2]}`" for shown in tests))
        for sentence, tests in PROMISES[section]
    ]
    return f"\n## {section}\n\n{table(('Promise', 'Test'), rows)}"


def _file(shown: str) -> str:
    return FILES[shown.partition("::")[0]]


def missing() -> list[str]:
    """Tests that the page names and that there are not."""
    named = [shown for rows in PROMISES.values() for _, tests in rows for shown in tests]
    return [
        shown
        for shown in named
        if f"\ndef {shown.partition('::')[2]}(" not in (TESTS / _file(shown)).read_text(encoding="utf-8")
    ]


def pages() -> dict[Path, str]:
    """The text of the page, by its file."""
    persons = PERSONS.format(
        wait=DEFAULT_WAIT, soonest=SOONEST, kilobytes=MAX_RESPONSE // 1024, days=RETENTION_DAYS, variable=DAYS
    )
    parts = [HEAD.format(grace=GRACE), _faults(), persons, *map(_promises, PROMISES)]
    return {DOCS / "safety.md": "".join(parts)}


if __name__ == "__main__":
    sys.exit(write(pages()))
