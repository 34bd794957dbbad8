"""Every request that the service sends has a limit of time, for the connection and for the whole.

Pass          a call, or the client that sends it, sets limits within `connect_s` and `total_s`
Fail          a call has no limit (axios, got, requests, Node's http, Go's default client and Spring have none by default), a limit of 0, None or Infinity, or one that is longer than `connect_s` or `total_s` (fetch and undici wait 300 s by default, aiohttp 300 s)
Inconclusive  no call is found; of more than `max_untold` of the calls of a repository it cannot be told what bounds them, since that comes from elsewhere. Fewer are warned of
Error         the checkout is not there, or a file of it could not be read
Needs         a checkout of the code
Source        the guide, API Client; OWASP ASVS 5.0, 13.1.3 and 13.2.6; the documentation of each library for its defaults
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from quub_audit.checks.performance.api_client._calls import Code, Site, look
from quub_audit.checks.performance.api_client._limits import Limit, java_limit, limit_of
from quub_audit.checks.performance.api_client._untold import tolerated
from quub_audit.sdk import Finding, Parameters, Repositories, Repository, check, unread


class TimeoutParameters(Parameters):
    """What the checklist may set under `with:`."""

    connect_s: float = Field(default=5.0, gt=0)
    """Seconds for a connection, where it has a limit of its own. House rule."""

    total_s: float = Field(default=30.0, gt=0)
    """Seconds for a request, or between two reads where the library limits no more than that. House rule."""

    max_untold: float = Field(default=0.2, ge=0, le=1)
    """Ratio of the calls of a repository whose limit the code may not tell, 0 to 1. House rule."""


@check("Every request has a limit of time", each=Repository)
def code(subject: Repository, repositories: Repositories, wanted: TimeoutParameters) -> Iterator[Finding]:
    """One finding for each place that sends requests."""
    found = look(subject, repositories)
    yield from tolerated(judge(found, wanted), wanted.max_untold)
    yield from unread(subject.name, found.unreadable)


def judge(code: Code, wanted: TimeoutParameters) -> Iterator[Finding]:
    """A finding for each call, and for each Java client and request, in the order of the code."""
    for call in code.calls:
        yield judge_limit(code.repository, call.site, limit_of(call, code), wanted)
    for site in code.clients:
        limit = java_limit(site, code) if site.language == "java" else None
        if limit is not None:
            yield judge_limit(code.repository, site, limit, wanted)


def judge_limit(repository: str, site: Site, limit: Limit, wanted: TimeoutParameters) -> Finding:
    """A pass for limits within those that are wanted, a fail for others; undecided where they cannot be told."""
    subject = f"{repository}:{site.location}"
    expected = f"connects within {wanted.connect_s:g} s, ends within {wanted.total_s:g} s"
    bad = (limit.total_s is not None and limit.total_s > wanted.total_s) or (
        limit.connect_s is not None and limit.connect_s > wanted.connect_s
    )
    if not bad and (limit.total_s is None or limit.connect_s is None):
        return Finding.undecided(
            subject=subject,
            observed=f"{site.shown}: its limit is not told by the code ({limit.by})",
            expected=expected,
            location=site.location,
            next_step="set a limit where the client is made or at the call, or raise `max_untold` if callers set it",
        )
    return Finding.of(
        not bad,
        subject=subject,
        observed=f"{site.shown}: {_in_words(limit)}",
        expected=expected,
        message=f"{subject} {_fault(limit, wanted)}; set a limit in the client that all calls share" if bad else "",
        location=site.location,
    )


def _in_words(limit: Limit) -> str:
    connect = f"connects within {_number(limit.connect_s)}, " if limit.connect_s else ""
    return (
        f"{connect}ends within {_number(limit.total_s)} by {limit.by}" if _is_set(limit) else f"no limit by {limit.by}"
    )


def _is_set(limit: Limit) -> bool:
    return limit.total_s is None or math.isfinite(limit.total_s)


def _number(seconds: float | None) -> str:
    if seconds is None:
        return "an untold time"
    return "no time" if math.isinf(seconds) else f"{seconds:g} s"


def _fault(limit: Limit, wanted: TimeoutParameters) -> str:
    if not _is_set(limit):
        return "may wait for an answer for ever"
    if limit.total_s is not None and limit.total_s > wanted.total_s:
        return f"may wait {_number(limit.total_s)} for an answer"
    return f"may wait {_number(limit.connect_s)} for a connection"
