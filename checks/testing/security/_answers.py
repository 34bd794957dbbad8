"""What answers of a web server give away, each fault with its CWE: headers, cookies, CORS, error pages, listings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quub_audit.sdk import HttpAnswer, WebSurface

FOREIGN = "https://quub-audit.invalid"
"""An origin that no service can have on its list: RFC 6761 keeps its domain from ever existing."""

NOWHERE = "/quub-audit-has-no-such-page"
FOLDERS = ("/assets/", "/static/", "/uploads/", "/files/")
"""Folders in which listings are usually found, beside the root."""

WEAKNESS_OF_EXPOSURE = {"git": 538, "environment": 538, "configuration": 538, "backup": 538, "metrics": 497}
"""CWE of a path that should not answer, by its kind; 489, active debug code, for the others."""

_SESSION = re.compile(r"(?i)sess|sid$|auth|token|jwt|login|remember")
_TRACES: tuple[tuple[str, str], ...] = (
    (r"Traceback \(most recent call last\)", "a traceback of Python"),
    (r"(?m)^[ \t]*at [\w$.<>]{1,300}\([\w$]{1,100}\.(?:java|kt|scala):\d+\)", "a stack of the JVM"),
    (
        r"\bat (?:async )?[\w$.<>\[\] ]{0,120}\(?(?:file://)?/[^\s():]{1,300}\.[cm]?[jt]sx?:\d+:\d+",
        "a stack of Node.js",
    ),
    (r"(?m)^[ \t]*at [\w.`<>]{1,300}\([^\n)]{0,300}\) in [^\n]{1,300}:line \d+", "a stack of .NET"),
    (r"goroutine \d+ \[running\]", "a stack of Go"),
    (r"(?:Fatal error|Warning|Uncaught \w+):[^\n]{1,300} in [^\n]{1,300}\.php(?: on line |:)", "an error of PHP"),
    (r"(?m)^[\w/.-]{1,300}\.rb:\d+:in [`']", "a backtrace of Ruby"),
    (r"you have <code>DEBUG = True</code>|Werkzeug Debugger|Whoops, looks like something went wrong", "a debugger"),
    (r"ORA-\d{5}:|SQLSTATE\[\w+\]|syntax error at or near \"|error in your SQL syntax", "an error of the database"),
)
"""Bounded in every part: what is searched comes from outside."""

MAX_SEARCHED = 64 * 1024
"""Characters of a page in which an error is looked for."""

_META_POLICY = re.compile(r"(?i)<meta[^>]{1,40}http-equiv=[\"']?content-security-policy")
_LISTING = re.compile(r"(?i)<title>\s*(?:index of /|directory listing (?:for|of) |listing directory )")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing amiss."""

    cwe: int
    words: str
    is_grave: bool = True
    """Else it is told, and fails nothing."""


def header_faults(path: str, answer: HttpAnswer, *, is_page: bool) -> Iterator[Fault]:
    """Headers that tell browsers what to refuse (OWASP ASVS v5.0.0-3.4.3, -3.4.4, -3.4.6).

    An API is shown to no browser: there they are told alone.
    """
    policies = answer.header_values("content-security-policy")
    has_policy = bool(policies) or bool(_META_POLICY.search(answer.body[:MAX_SEARCHED]))
    framing = answer.header("x-frame-options").strip().lower()
    is_framed = not any("frame-ancestors" in policy.lower() for policy in policies) and framing not in (
        "deny",
        "sameorigin",
    )
    missing = [
        "Content-Security-Policy" if is_page and not has_policy else "",
        "X-Content-Type-Options: nosniff"
        if answer.header("x-content-type-options").strip().lower() != "nosniff"
        else "",
        "frame-ancestors" if is_framed and is_page else "",
    ]
    for name in filter(None, missing):
        yield Fault(cwe=16, words=f"{path} has no {name}", is_grave=is_page)


def cookie_faults(path: str, answer: HttpAnswer) -> Iterator[Fault]:
    """Attributes that a cookie of a session needs (OWASP ASVS v5.0.0-3.3.1, -3.3.2, -3.3.4)."""
    for cookie in answer.cookies:
        is_session = bool(_SESSION.search(cookie.name))
        if not cookie.has("secure"):
            yield Fault(cwe=614, words=f"{path} sets the cookie {cookie.name} without Secure", is_grave=is_session)
        if is_session and not cookie.has("httponly"):
            yield Fault(cwe=1004, words=f"{path} sets the cookie {cookie.name} without HttpOnly")
        if is_session and not cookie.has("samesite"):
            yield Fault(cwe=1275, words=f"{path} sets the cookie {cookie.name} without SameSite", is_grave=False)


def cors_faults(path: str, answer: HttpAnswer) -> Iterator[Fault]:
    """What an answer to a page of `FOREIGN` lets that page read."""
    allowed = answer.header("access-control-allow-origin").strip().lower()
    has_credentials = answer.header("access-control-allow-credentials").strip().lower() == "true"
    if allowed == FOREIGN:
        with_what = "with credentials" if has_credentials else "without credentials"
        yield Fault(cwe=942, words=f"{path} lets any origin read it, {with_what}", is_grave=has_credentials)
    elif allowed == "*" and has_credentials:
        yield Fault(cwe=942, words=f"{path} asks browsers to let any origin read it with credentials", is_grave=False)


def error_faults(path: str, answer: HttpAnswer) -> Iterator[Fault]:
    """Stacks, debuggers and words of databases in a page."""
    for pattern, what in _TRACES:
        if re.search(pattern, answer.body[:MAX_SEARCHED]):
            yield Fault(cwe=209, words=f"{path} shows {what}")


def listing_faults(path: str, answer: HttpAnswer) -> Iterator[Fault]:
    """A folder that lists what is in it."""
    if answer.status == 200 and _LISTING.search(answer.body[:4096]):
        yield Fault(cwe=548, words=f"{path} lists what is in it")


def method_faults(path: str, answer: HttpAnswer) -> Iterator[Fault]:
    """TRACE, as the answer to OPTIONS says it; nothing is traced."""
    if "TRACE" in {method.strip().upper() for method in answer.header("allow").split(",")}:
        yield Fault(cwe=16, words=f"{path} allows TRACE", is_grave=False)


def surface_faults(surface: WebSurface) -> Iterator[Fault]:
    """Known paths that answer, and scripts of others that nothing guards."""
    for exposure in surface.exposures:
        if exposure.kind != "api":
            cwe = WEAKNESS_OF_EXPOSURE.get(exposure.kind, 489)
            yield Fault(cwe=cwe, words=f"{exposure.path} serves {exposure.observed}")
    for script in surface.foreign_scripts:
        yield Fault(cwe=829, words=f"the page loads {script} without integrity", is_grave=False)


def described(faults: Sequence[Fault]) -> list[str]:
    """Words of each, once, in order."""
    return list(dict.fromkeys(fault.words for fault in faults))
