"""Somebody who did not build it has tried to break in, within a year, and nothing grave that was found is open.

Pass          for every declared endpoint, the newest attestation that has its host in `scope` is at most `max_age_days` old and valid, names the organisation, the method and the digest of the report, says that no critical and no high finding is open, and when that was looked at anew
Fail          a test counts, but no test has the host of an endpoint in its scope; critical or high findings are open
Inconclusive  nothing is attested, or only what is expired or too old; nobody says that what was found was tested anew; the environment declares no endpoint
Error         an attestation counts and does not say what has to be known: organisation, method, scope, digest of the report, open findings
Needs         an entry of attestations.yaml for this item, with `organisation`, `method`, `scope`, `report_sha256`, `open_findings` and `retested_on`, which is the day of the test itself where it found nothing critical or high
Source        PCI DSS 4.0.1, 11.4.2 and 11.4.3 (once in 12 months, by somebody independent), NIST SP 800-115. A scan by a tool is no penetration test
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from pydantic import Field

from quub_audit.sdk import Attestation, Attestations, Clock, Endpoint, Finding, Grade, Parameters, check, cut


class PenetrationTestParameters(Parameters):
    """What the checklist may set under `with:`."""

    max_age_days: int = Field(default=365, ge=1, le=365)
    """Days since the test. PCI DSS 4.0.1, 11.4.3: once in 12 months."""


@check("A penetration test covers the endpoint, and nothing grave is open", each=Endpoint, grade=Grade.HUMAN)
def endpoint(
    subject: Endpoint, attestations: Attestations, clock: Clock, wanted: PenetrationTestParameters
) -> Iterator[Finding]:
    """One judgement for each endpoint, by the newest test that has its host in scope."""
    yield from judge(subject, attestations, clock.now().date(), wanted)


def judge(
    subject: Endpoint, attestations: Attestations, today: date, wanted: PenetrationTestParameters
) -> Iterator[Finding]:
    """Weigh the tests that count on `today`; undecided where none does."""
    newest_first = sorted(attestations.entries, key=lambda entry: entry.performed_on, reverse=True)
    counting = [entry for entry in newest_first if why_not(entry, today, wanted.max_age_days) == ""]
    if not counting:
        why = why_not(newest_first[0], today, wanted.max_age_days) if newest_first else "there is no attestation of one"
        yield Finding.undecided(
            subject=subject.name,
            observed=f"no penetration test counts: {why}",
            next_step="book one, and attest it in attestations.yaml",
        )
        return
    covering = [entry for entry in counting if entry.covers(subject.host)]
    chosen = covering[0] if covering else next((entry for entry in counting if not entry.scope), None)
    if chosen is None:
        named = cut(dict.fromkeys(host for entry in counting for host in entry.scope))
        yield Finding.of(
            False,
            subject=subject.name,
            observed=f"{subject.host} is not in the scope of any test, which is {named}",
            expected="a test whose scope has the host",
        )
        return
    missing = [*lacking(chosen)]
    if missing:
        yield Finding.error(
            subject=subject.name,
            message=f"{chosen.place or 'attestations.yaml'}: the test of {chosen.performed_on} does not say "
            f"{' and '.join(missing)}",
            next_step="add what is missing to the entry in attestations.yaml",
        )
        return
    yield from weigh(subject, chosen)


def why_not(entry: Attestation, today: date, max_age_days: int) -> str:
    """Why a test does not count on `today`; empty where it does."""
    age = (today - entry.performed_on).days
    if age < 0:
        return f"the newest, of {entry.performed_on}, lies in the future"
    if age > max_age_days:
        return f"the newest is {age} days old, expected {max_age_days} or less"
    if not entry.is_valid_on(today):
        return f"the newest, of {entry.performed_on}, holds until {entry.expires} only"
    return ""


def lacking(entry: Attestation) -> Iterator[str]:
    """What has to be known and is not said."""
    if not entry.organisation:
        yield "who did it (`organisation`)"
    if not entry.method:
        yield "how (`method`)"
    if not entry.scope:
        yield "of which hosts (`scope`)"
    if not entry.report_sha256:
        yield "in which report (`report_sha256`)"
    if entry.open_findings is None:
        yield "what is open (`open_findings`)"


def weigh(subject: Endpoint, entry: Attestation) -> Iterator[Finding]:
    """The judgement by one complete test; undecided where nobody looked again."""
    still_open = entry.open_findings
    if still_open is None:
        raise ValueError("an attestation that does not say what is open cannot be weighed")
    counted = f"{still_open.critical} critical and {still_open.high} high findings are open"
    yield Finding.of(
        still_open.critical == still_open.high == 0,
        subject=subject.name,
        observed=f"tested on {entry.performed_on} by {entry.organisation}, {entry.method}: {counted}",
        expected="0 critical and 0 high findings open",
    )
    if entry.retested_on is None:
        yield Finding.undecided(
            subject=subject.name,
            observed=f"the test of {entry.performed_on} names no retest (`retested_on`): "
            "that findings are mended is the word of those who mended them",
            next_step="have it retested; if it found nothing grave, set `retested_on` to the day of the test",
        )
