"""IAM's credential report: asked for, waited for, and read.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping
from typing import Any

from quub_audit.connectors.base import count_attempts, seconds_left
from quub_audit.errors import Denied, Malformed, TimedOut, Unsupported

WAIT_S = 60.0
"""Longest wait for a report that is being made; AWS needs seconds, or minutes for thousands of users."""

FIRST_PAUSE_S = 0.25
"""Before the second look; each pause is twice the one before, up to `LONGEST_PAUSE_S`."""

LONGEST_PAUSE_S = 4.0

COLUMNS = ("user", "arn", "password_enabled", "mfa_active", "access_key_1_active", "access_key_2_active")
"""What a report must have; others come and go with the years."""

WORDS = frozenset({"true", "false", "not_supported", "no_information", "N/A"})
"""What IAM says in the columns that say yes or no."""

NOT_READY = frozenset({"ReportExpired", "ReportInProgress", "ReportNotPresent"})
"""Error codes of GetCredentialReport that ask for another look."""

ACTIONS = ("iam:GenerateCredentialReport", "iam:GetCredentialReport")

MAX_BYTES = 32 * 1024 * 1024
"""An account has at most 5,000 users by default, of some 500 bytes each."""


def wait_for_report(subject: str, ask: Callable[[str], Mapping[str, Any]]) -> tuple[Mapping[str, str], ...]:
    """The rows of the report by column name, in IAM's order; `ask` sends one operation of IAM without parameters.

    Raises Denied (naming both actions), TimedOut when it is not ready in time, Malformed when it cannot be read, and
    what `ask` raises.
    """
    ends_at = time.monotonic() + seconds_left(at_most=WAIT_S)
    pause, looks = FIRST_PAUSE_S, 0
    while True:
        try:
            content = _look(ask)
        except TimedOut as error:
            if looks:
                raise _not_ready(subject, looks) from error
            raise
        looks += 1
        if content is not None:
            count_attempts(looks)
            return read_report(subject, content)
        if time.monotonic() + pause > ends_at:
            raise _not_ready(subject, looks)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def read_report(subject: str, content: bytes) -> tuple[Mapping[str, str], ...]:
    """The rows of a report by column name. Columns that nobody knows are kept.

    Raises Malformed for what is no text or has no such header, for a row of another length, for another word than
    IAM's where it says yes or no, and for a user who comes twice.
    """
    if len(content) > MAX_BYTES:
        raise Malformed(f"{subject}: the credential report has {len(content)} bytes, more than any account's")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"{subject}: the credential report is not UTF-8") from error
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise Malformed(f"{subject}: the credential report is no CSV, or broke off: {error}") from error
    header, *rows = [line for line in lines if line] or [[]]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise Malformed(f"{subject}: the credential report has no column {', '.join(missing)}")
    if len(set(header)) != len(header):
        raise Malformed(f"{subject}: the credential report has a column twice")
    uneven = [number for number, row in enumerate(rows, start=1) if len(row) != len(header)]
    if uneven:
        raise Malformed(f"{subject}: row {uneven[0]} of the credential report broke off, or has too many fields")
    read = tuple(dict(zip(header, row, strict=True)) for row in rows)
    for number, row in enumerate(read, start=1):
        odd = [name for name in COLUMNS[2:] if row[name] not in WORDS]
        if odd:
            raise Malformed(
                f"{subject}: row {number} of the credential report cannot be read: {odd[0]} is no yes or no"
            )
    if len({row["arn"] for row in read}) != len(read):
        raise Malformed(f"{subject}: the credential report has a user twice")
    return read


def _not_ready(subject: str, looks: int) -> TimedOut:
    return TimedOut(
        f"{subject}: the credential report was not ready after {looks} looks",
        next_step="run again in a minute, or with a longer --check-timeout",
    )


def _look(ask: Callable[[str], Mapping[str, Any]]) -> bytes | None:
    """The report, or None while it is being made. Asking for one that is there already changes nothing."""
    try:
        if ask("iam.GenerateCredentialReport").get("State") != "COMPLETE":
            return None
        content = ask("iam.GetCredentialReport").get("Content")
    except Unsupported as error:
        if _code(error) not in NOT_READY:
            raise
        return None  # it expired, or another began, between the two questions
    except Denied as error:
        both = " and ".join(ACTIONS)
        raise Denied(
            f"{error.message}; the credential report needs {both}", permission=both, next_step=f"grant {both}"
        ) from error
    return content if isinstance(content, bytes) else str(content or "").encode()


def _code(error: Unsupported) -> str:
    """AWS's own code for it, where AWS said one."""
    told = getattr(error.__cause__, "response", None) or {}
    return str((told.get("Error") or {}).get("Code") or "")
