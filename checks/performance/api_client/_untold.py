"""What becomes of the places of a repository of which the code does not tell enough."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from quub_audit.sdk import Finding, FindingStatus


def tolerated(findings: Iterable[Finding], max_untold: float) -> tuple[Finding, ...]:
    """The findings of one repository, in their order; where those undecided are `max_untold` of all places (0 to 1) or
    fewer, they are warnings.

    A search of code never tells all: a wrapper takes its options from its callers, a library leaves them to whoever
    uses it, and nobody can settle the last of many places. So a few are said, and hold back nothing. Many of them, or
    the only one, do: that repository was not judged, and must not pass behind another, or behind its own few.
    """
    told = tuple(findings)
    undecided = sum(finding.is_undecided for finding in told)
    places = undecided + sum(finding.status in (FindingStatus.PASS, FindingStatus.FAIL) for finding in told)
    if undecided > max_untold * places:
        return told
    return tuple(replace(finding, is_undecided=False) if finding.is_undecided else finding for finding in told)
