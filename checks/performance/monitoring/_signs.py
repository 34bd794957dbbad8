"""Vital signs, and which of them a metric or an expression tells of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

Sign = Literal["error_rate", "latency", "availability", "saturation", "backup", "certificate"]

_BY_METRIC: tuple[tuple[Sign, re.Pattern[str]], ...] = (
    ("certificate", re.compile(r"DaysToExpiry|cert(ificate)?s?_?(not_?after|expir)|ssl_earliest_cert_expiry", re.I)),
    ("backup", re.compile(r"backup|snapshot|restore", re.I)),
    (
        "availability",
        re.compile(
            r"healthy_?host|status_?check|health_?check|availab|uptime|heartbeat|running_?task|success_?percent|"
            r"probe_success|(^|\W)up($|\W)|(^|\W)absent(_over_time)?\(",
            re.I,
        ),
    ),
    ("error_rate", re.compile(r"5xx|error|fault|fail|exception|panic|(status|code)\w*\s*=~?\s*[\"'`]\^?\(?5", re.I)),
    (
        "latency",
        re.compile(r"latency|response_?time|duration|histogram_quantile|apdex|(request|call)\w*_seconds", re.I),
    ),
    (
        "saturation",
        re.compile(
            r"cpu|memory|disk|storage|space|inode|filesystem|file_?descriptors?|fds|connections|queue|utili[sz]ation|"
            r"throttl|burst|credit|swap|evict|saturat|capacity|lag|pool|heap|goroutines|_bytes",
            re.I,
        ),
    ),
)
"""In this order: failed status checks tell of availability, and the duration of failed calls of errors."""

_LABELS = ("category", "vital", "sign")
_STRINGS = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`")
_BRACES = re.compile(r"\{[^{}]*\}")
_CLAUSES = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", re.I)
_RANGES = re.compile(r"\[[^\[\]]*\]")
_NAMES = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])")
_KEYWORDS = frozenset(
    {
        *("and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring"),
        *("group_left", "group_right", "inf", "nan", "start", "end", "atan2"),
    }
)


def sign_of(metrics: Iterable[str]) -> Sign | None:
    """The first sign that one of the names tells of; None where none does."""
    text = " ".join(metrics)
    return next((sign for sign, pattern in _BY_METRIC if pattern.search(text)), None)


def sign_of_rule(expression: str, labels: Mapping[str, str]) -> Sign | None:
    """That which a label `category`, `vital` or `sign` names, else that of the expression."""
    named = {labels[name].lower().replace("-", "_") for name in _LABELS if name in labels}
    return next((sign for sign, _ in _BY_METRIC if sign in named), None) or sign_of([expression])


def metrics_of(expression: str) -> tuple[str, ...]:
    """Names of the metrics that a PromQL expression reads, sorted; those of `{__name__=...}` are left out."""
    bare = expression
    for pattern in (_STRINGS, _BRACES, _RANGES, _CLAUSES):
        bare = pattern.sub(" ", bare)
    found = {match[0] for match in _NAMES.finditer(bare)}
    return tuple(sorted(name for name in found if name.lower() not in _KEYWORDS))
