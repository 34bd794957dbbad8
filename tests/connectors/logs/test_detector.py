"""What counts as what, in which disguise, and that no line makes the detector stumble."""

from __future__ import annotations

import base64
import json
import re
import string
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quub_audit.connectors import log_personal, log_secrets, log_text
from quub_audit.connectors.log_detector import find_hits
from quub_audit.connectors.log_personal import issuer_of, luhn
from quub_audit.connectors.log_text import MAX_CANDIDATES, MAX_CHARACTERS, unfold

VALUES = {
    "e-mail address": "user=maija.meikalainen@orders.fi",
    "phone number": "phone: +358 40 123 4567",
    "payment card": "card: 4532 0151 1283 0366",
    "IBAN": "to: DE89 3704 0044 0532 0130 00",
    "national id": "hetu: 131052-308T",
    "bearer token": "authorization: Bearer 7f9c2ba4e88f827d616045507605853ed73b8093",
    "API key": "key: quub_live_8fK2mQ9xLp4Rt7Vw3Zs6",
    "password": 'password="Tr0ub4dor&3"',
}


def kinds(line: str) -> set[str]:
    return {hit.kind for hit in find_hits(line)}


def json_in_json(text: str) -> str:
    return json.dumps({"log": json.dumps({"message": text})})


def in_base64(text: str) -> str:
    return f"body={base64.b64encode(text.encode()).decode()}"


def in_full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isdigit() or c == "@" else c for c in text)


@pytest.mark.parametrize("disguise", [str, json.dumps, json_in_json, quote, in_base64, in_full_width])
@pytest.mark.parametrize("kind", VALUES)
def test_each_kind_is_found_plain_escaped_encoded_and_wrapped_once(kind: str, disguise: object) -> None:
    assert callable(disguise)

    assert kind in kinds(disguise(VALUES[kind]))


@pytest.mark.parametrize("kind", VALUES)
def test_base64_within_base64_is_not_looked_into(kind: str) -> None:
    assert kind not in kinds(in_base64(in_base64(VALUES[kind])))


def test_zero_width_characters_and_no_break_spaces_hide_nothing() -> None:
    assert kinds("card 4532\u00a00151\u00a01283\u00a00366") == {"payment card"}
    assert kinds("maija\u200b.meikalainen@orders.fi") == {"e-mail address"}


MASKS = ("****", "[REDACTED]", "<masked>", "xxxxxxxx", "•••••••", "...", "${SECRET}", "***1234")
NAMES = ("password", "api_key", "access_token", "card", "email", "phone", "iban", "ssn", "cvv")


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", NAMES)
def test_what_was_masked_is_no_hit(name: str, mask: str) -> None:
    assert find_hits(f"{name}={mask} status=ok") == ()
    assert find_hits(json.dumps({name: mask, "status": "ok"})) == ()


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_of_the_ten_last_digits_exactly_one_passes_luhn(number: int) -> None:
    first = f"{number:015d}"

    assert sum(luhn(first + digit) for digit in string.digits) == 1


SIXTEEN_DIGITS = st.integers(min_value=10**15, max_value=10**16 - 1)


@given(SIXTEEN_DIGITS, st.sampled_from(["order_id", "trace_id", "ref", "sequence"]))
def test_a_number_of_another_name_is_no_card_unless_it_is_published_for_tests(number: int, name: str) -> None:
    is_published = str(number) in log_personal.TEST_CARDS

    assert kinds(f"{name}={number} card=visa") == ({"payment card"} if is_published else set())


@given(SIXTEEN_DIGITS)
def test_a_card_is_what_passes_luhn_and_lies_in_an_issuers_range(number: int) -> None:
    text = str(number)

    assert ("payment card" in kinds(f"card={text}")) is (luhn(text) and issuer_of(text))


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_any_text_is_read_without_a_fault_and_twice_alike(line: str) -> None:
    assert find_hits(line) == find_hits(line)


@settings(max_examples=200)
@given(st.text(alphabet="+-0123456789@.:/=\"' abeyJRSPIN%\\u{}", max_size=300))
def test_any_text_of_dangerous_characters_is_read_without_a_fault(line: str) -> None:
    assert len(find_hits(line)) <= 400


@given(st.text(max_size=200))
def test_unfolding_what_is_unfolded_thrice_changes_little_and_never_grows(line: str) -> None:
    assert len(unfold(line)) <= len(line)


def test_a_value_deep_in_a_long_line_is_found_and_one_behind_the_bound_is_not() -> None:
    filler = "x " * (MAX_CHARACTERS // 2 - 50)

    assert kinds(f"{filler} {VALUES['e-mail address']}") == {"e-mail address"}
    assert kinds(f"{filler}{'x ' * 60} {VALUES['e-mail address']}") == set()


def test_a_line_of_nothing_but_candidates_is_looked_at_up_to_a_bound() -> None:
    found = find_hits("ssn 536-22-8145 " * (MAX_CANDIDATES + 10) + " ".join(f"a{n}@b.de" for n in range(3000)))

    assert 0 < len(found) <= 200


def test_no_expression_repeats_without_a_bound_inside_a_repetition() -> None:
    """What makes an expression take more than linear time: an unbounded repetition within a repetition."""
    from re import _constants as constants  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]

    def unbounded(parsed: object, *, inside: bool) -> bool:
        found = False
        for operation, argument in parsed:  # type: ignore[attr-defined]
            if operation in (constants.MAX_REPEAT, constants.MIN_REPEAT):
                _, most, inner = argument
                found = found or (inside and most is constants.MAXREPEAT)
                found = found or unbounded(inner, inside=True)
            elif operation is constants.SUBPATTERN:
                found = found or unbounded(argument[-1], inside=inside)
            elif operation is constants.BRANCH:
                found = found or any(unbounded(each, inside=inside) for each in argument[1])
            elif operation in (constants.ASSERT, constants.ASSERT_NOT):
                found = found or unbounded(argument[1], inside=inside)
        return found

    patterns = [
        value
        for module in (log_personal, log_secrets, log_text)
        for value in vars(module).values()
        if isinstance(value, re.Pattern)
    ]
    patterns += [form for _, form in log_secrets.KEYS.values()]
    patterns += [country.form for country in log_personal.countries()]

    assert len(patterns) > 20
    assert [each.pattern for each in patterns if unbounded(parser.parse(each.pattern, each.flags), inside=False)] == []
