"""The OWASP Top 10 as data: categories of an edition with the weaknesses that OWASP maps to each.

Source: the lists of mapped CWEs on the pages of OWASP Top 10:2021 and OWASP Top 10:2025.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Edition = Literal["2021", "2025"]

Source = Literal["tests", "code", "attacks", "watching", "dependencies", "infrastructure", "live", "tls", "alerts"]
"""What may show that somebody looked: `attacks` and `watching` are scans of the running application."""

WORDS: Mapping[Source, str] = {
    "tests": "tests tagged @owasp:{id}",
    "code": "a code-scan, or an analysis at GitHub, whose rules name its CWEs",
    "attacks": "an active, authenticated dynamic-scan",
    "watching": "a dynamic-scan",
    "dependencies": "a dependency-scan",
    "infrastructure": "a scan of infrastructure as code",
    "live": "a declared endpoint",
    "tls": "a declared endpoint",
    "alerts": "a declared Prometheus with alerting rules",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One category of one edition."""

    id: str
    """`A01`."""
    edition: Edition
    title: str
    cwes: frozenset[int]
    shown_by: tuple[Source, ...]
    tags: frozenset[str] = field(default=frozenset())
    """Tags of tests that speak of it, beside `owasp:A01`; lower case."""

    def __str__(self) -> str:
        return f"{self.id}:{self.edition} {self.title}"

    @property
    def wanted(self) -> str:
        """What would show it, in words."""
        ways = list(dict.fromkeys(WORDS[source].format(id=self.id) for source in self.shown_by))
        return " or ".join(ways)


_ACCESS = frozenset({"authorization", "authorisation", "authz", "access-control", "idor", "csrf", "ssrf", "tenancy"})
_CONFIGURATION = frozenset({"security-headers", "default-credentials", "hardening", "misconfiguration"})
_CRYPTOGRAPHY = frozenset({"cryptography", "crypto", "encryption", "tls"})
_INJECTION = frozenset({"injection", "sqli", "sql-injection", "xss", "input-validation", "command-injection"})
_DESIGN = frozenset({"abuse-case", "misuse-case", "threat-model", "business-logic", "abuse"})
_AUTHENTICATION = frozenset(
    {"authentication", "authn", "lockout", "brute-force", "credential-stuffing", "mfa", "session"}
)
_INTEGRITY = frozenset({"webhook-signature", "signature", "integrity", "deserialization", "deserialisation"})
_LOGGING = frozenset({"audit-log", "audit-logging", "security-logging", "alerting"})
_EXCEPTIONS = frozenset({"fail-closed", "error-handling", "fault", "exceptional-conditions"})


def _category(
    edition: Edition,
    id_: str,
    title: str,
    cwes: str,
    shown_by: Sequence[Source],
    tags: frozenset[str] = frozenset(),
) -> Category:
    return Category(
        id=id_,
        edition=edition,
        title=title,
        cwes=frozenset(map(int, cwes.split())),
        shown_by=tuple(shown_by),
        tags=tags,
    )


CATEGORIES: Mapping[Edition, tuple[Category, ...]] = {
    "2025": (
        _category(
            "2025",
            "A01",
            "Broken Access Control",
            "22 23 36 59 61 65 200 201 219 276 281 282 283 284 285 352 359 377 379 402 424 425 441 497 538 "
            "540 548 552 566 601 615 639 668 732 749 862 863 918 922 1275",
            ("tests", "code"),
            _ACCESS,
        ),
        _category(
            "2025",
            "A02",
            "Security Misconfiguration",
            "5 11 13 15 16 260 315 489 526 547 611 614 776 942 1004 1174",
            ("live", "watching", "infrastructure", "tests", "code"),
            _CONFIGURATION,
        ),
        _category(
            "2025",
            "A03",
            "Software Supply Chain Failures",
            "447 1035 1104 1329 1357 1395",
            ("dependencies",),
        ),
        _category(
            "2025",
            "A04",
            "Cryptographic Failures",
            "261 296 319 320 321 322 323 324 325 326 327 328 329 330 331 332 334 335 336 337 338 340 342 347 "
            "523 757 759 760 780 916 1240 1241",
            ("tls", "code", "tests"),
            _CRYPTOGRAPHY,
        ),
        _category(
            "2025",
            "A05",
            "Injection",
            "20 74 76 77 78 79 80 83 86 88 89 90 91 93 94 95 96 97 98 99 103 104 112 113 114 115 116 129 159 "
            "470 493 500 564 610 643 644 917",
            ("code", "attacks", "tests"),
            _INJECTION,
        ),
        _category(
            "2025",
            "A06",
            "Insecure Design",
            "73 183 256 266 269 286 311 312 313 316 362 382 419 434 436 444 451 454 472 501 522 525 539 598 "
            "602 628 642 646 653 656 657 676 693 799 807 841 1021 1022 1125",
            ("tests",),
            _DESIGN,
        ),
        _category(
            "2025",
            "A07",
            "Authentication Failures",
            "258 259 287 288 289 290 291 293 294 295 297 298 299 300 302 303 304 305 306 307 308 309 346 350 "
            "384 521 613 620 640 798 940 941 1390 1391 1392 1393",
            ("tests", "code"),
            _AUTHENTICATION,
        ),
        _category(
            "2025",
            "A08",
            "Software or Data Integrity Failures",
            "345 353 426 427 494 502 506 509 565 784 829 830 915 926",
            ("tests", "code"),
            _INTEGRITY,
        ),
        _category(
            "2025",
            "A09",
            "Security Logging and Alerting Failures",
            "117 221 223 532 778",
            ("alerts", "tests", "code"),
            _LOGGING,
        ),
        _category(
            "2025",
            "A10",
            "Mishandling of Exceptional Conditions",
            "209 215 234 235 248 252 274 280 369 390 391 394 396 397 460 476 478 484 550 636 703 754 755 756",
            ("tests", "code"),
            _EXCEPTIONS,
        ),
    ),
    "2021": (
        _category(
            "2021",
            "A01",
            "Broken Access Control",
            "22 23 35 59 200 201 219 264 275 276 284 285 352 359 377 402 425 441 497 538 540 548 552 566 601 "
            "639 651 668 706 862 863 913 922 1275",
            ("tests", "code"),
            _ACCESS - {"ssrf"},
        ),
        _category(
            "2021",
            "A02",
            "Cryptographic Failures",
            "261 296 310 319 321 322 323 324 325 326 327 328 329 330 331 335 336 337 338 340 347 523 720 757 "
            "759 760 780 818 916",
            ("tls", "code", "tests"),
            _CRYPTOGRAPHY,
        ),
        _category(
            "2021",
            "A03",
            "Injection",
            "20 74 75 77 78 79 80 83 87 88 89 90 91 93 94 95 96 97 98 99 100 113 116 138 184 470 471 564 610 "
            "643 644 652 917",
            ("code", "attacks", "tests"),
            _INJECTION,
        ),
        _category(
            "2021",
            "A04",
            "Insecure Design",
            "73 183 209 213 235 256 257 266 269 280 311 312 313 316 419 430 434 444 451 472 501 522 525 539 "
            "579 598 602 642 646 650 653 656 657 799 807 840 841 927 1021 1173",
            ("tests",),
            _DESIGN,
        ),
        _category(
            "2021",
            "A05",
            "Security Misconfiguration",
            "2 11 13 15 16 260 315 520 526 537 541 547 611 614 756 776 942 1004 1032 1174",
            ("live", "watching", "infrastructure", "tests", "code"),
            _CONFIGURATION,
        ),
        _category("2021", "A06", "Vulnerable and Outdated Components", "937 1035 1104", ("dependencies",)),
        _category(
            "2021",
            "A07",
            "Identification and Authentication Failures",
            "255 259 287 288 290 294 295 297 300 302 304 306 307 346 384 521 613 620 640 798 940 1216",
            ("tests", "code"),
            _AUTHENTICATION,
        ),
        _category(
            "2021",
            "A08",
            "Software and Data Integrity Failures",
            "345 353 426 494 502 565 784 829 830 915",
            ("tests", "code"),
            _INTEGRITY,
        ),
        _category(
            "2021",
            "A09",
            "Security Logging and Monitoring Failures",
            "117 223 532 778",
            ("alerts", "tests", "code"),
            _LOGGING,
        ),
        _category("2021", "A10", "Server-Side Request Forgery", "918", ("tests", "code"), frozenset({"ssrf"})),
    ),
}

_TAG = re.compile(r"(?i)\bA(0[1-9]|10)[:_-](20\d\d)\b|\bOWASP_(20\d\d)_A(0[1-9]|10)\b")
"""`OWASP-A03:2021 - Injection` of Semgrep, `OWASP_2021_A03` of ZAP."""

_OWN_TAG = re.compile(r"(?i)owasp[:-]A(0[1-9]|10)(?:[:_-](20\d\d))?")
_CWE_TAG = re.compile(r"(?i)cwe[:-]0*([1-9]\d{0,4})")


def by_weakness(categories: Sequence[Category], cwes: Iterable[int], tags: Iterable[str] = ()) -> Category | None:
    """The category of a finding: as its tags say for the edition, else by its first CWE that one lists."""
    for tag in tags:
        for number, year, year_first, number_last in _TAG.findall(tag):
            for category in categories:
                if (category.id, category.edition) == (f"A{number or number_last}", year or year_first):
                    return category
    return next((category for cwe in cwes for category in categories if cwe in category.cwes), None)


def by_tag(categories: Sequence[Category], tags: Iterable[str]) -> tuple[Category, ...]:
    """The categories that a test says it is about: `owasp:A01`, `owasp:A01:2025`, `cwe:639`, `idor`."""
    found = []
    for tag in tags:
        own, weakness = _OWN_TAG.fullmatch(tag), _CWE_TAG.fullmatch(tag)
        for category in categories:
            is_named = own and f"A{own[1]}" == category.id and own[2] in (None, category.edition)
            is_listed = weakness and int(weakness[1]) in category.cwes
            if is_named or is_listed or tag.lower() in category.tags:
                found.append(category)
    return tuple(dict.fromkeys(found))
