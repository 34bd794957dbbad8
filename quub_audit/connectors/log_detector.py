"""Which personal data and secrets a line of a log holds. Pure, and linear in the length of the line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from quub_audit.connectors.log_personal import (
    bank_accounts,
    email_addresses,
    national_ids,
    payment_cards,
    phone_numbers,
)
from quub_audit.connectors.log_secrets import (
    JWT,
    api_keys,
    bearer_tokens,
    passwords,
    private_keys,
    signed_urls,
    web_tokens,
)
from quub_audit.connectors.log_text import Hit, unfold, wrapped_texts

_DIGITS = re.compile(r"\d(?:[ \-./()+A-Z]{0,2}\d){5}")
_LONG = re.compile(r"[A-Za-z0-9+/_-]{16}")
_MANY = 200
"""Hits of one line; a line of addresses is as bad as it can be long before."""


def find_hits(line: str) -> tuple[Hit, ...]:
    """What `line` holds, each value once, in the order of kinds; escapes undone, and base64 looked into once.

    A value that was masked, hashed or replaced by a reference is none. The values in the hits are in clear: they are
    for the redactor alone.
    """
    text = unfold(line)
    found: dict[tuple[str, str], Hit] = {}
    for hit in _hits(text):
        found.setdefault((hit.kind, hit.value), hit)
        if len(found) >= _MANY:
            break
    if _LONG.search(text):
        for inner in wrapped_texts(JWT.sub(" ", text)):
            for hit in _hits(inner):
                found.setdefault((hit.kind, hit.value), hit)
            if len(found) >= _MANY:
                break
    return tuple(found.values())


def _hits(text: str) -> Iterator[Hit]:
    lowered = text.lower()
    if "@" in text:
        yield from email_addresses(text)
    if _DIGITS.search(text):
        yield from payment_cards(text)
        yield from bank_accounts(text)
        yield from national_ids(text)
        yield from phone_numbers(text)
    elif "cv" in lowered or "card" in lowered:
        yield from payment_cards(text)
    if "eyJ" in text:
        yield from web_tokens(text)
    yield from bearer_tokens(text, lowered)
    if "sig" in lowered and "=" in text:
        yield from signed_urls(text)
    yield from api_keys(text, lowered)
    if "PRIVATE KEY" in text:
        yield from private_keys(text)
    yield from passwords(text, lowered)
