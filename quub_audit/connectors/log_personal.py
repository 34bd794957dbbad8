"""Personal data in a line: e-mail addresses, phone numbers, payment cards, bank accounts, national ids.

Numbers are judged by their own checks (Luhn, mod 97, check letters) and, where those let one random number in ten
through, by the name that the line gives them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quub_audit.connectors.log_text import MAX_CANDIDATES, Hit, each, key_before, words_in, words_of
from quub_audit.connectors.log_toplevel import TOP_LEVEL_DOMAINS

ID_WORDS = words_in(
    """
    id ids uuid guid trace span order txn transaction request invoice tracking sku item product session ref
    reference seq sequence offset ts timestamp time epoch ms ns us nanos micros millis hash sha commit build version
    serial ean upc isbn barcode port pid bytes size count duration checksum shipment parcel token fingerprint digest
    nonce etag partition message event job task batch ticket case issue document doc part
    """
)
"""Names of numbers that are nobody's; they outweigh a check digit."""

MIN_DIGITS = 7

# E-mail addresses

_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9\u00a1-\uffdc](?:[A-Za-z0-9\u00a1-\uffdc-]{0,61}[A-Za-z0-9\u00a1-\uffdc])?\.){1,8}"
    r"(?:xn--[a-z0-9-]{2,59}|[A-Za-z\u00a1-\uffdc]{2,24})(?![A-Za-z0-9\u00a1-\uffdc])"
)
_LOCAL_SYMBOLS = frozenset("._%+-")
_REMOTE_PATH = re.compile(r":(?:[/~]|[A-Za-z_][\w.-]{0,60}/)")
_NO_ADDRESS = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/]{0,64}"
    r"|\b(?:ssh|sftp|scp|rsync|mosh)\s[^@|;]{0,60}"
    r"|(?i:message[_-]?id|msg[_-]?id|in-reply-to|references)[\"']?\s{0,2}[:=]\s{0,2}[\"']?<?[^\s@]{0,60})$"
)
_NOBODY = words_in(
    """
    noreply no-reply no_reply donotreply do-not-reply do_not_reply mailer-daemon postmaster bounce bounces git root
    nobody daemon www-data
    """
)
_MASK = frozenset("*\u2022\u2026#]>")


def email_addresses(text: str) -> Iterator[Hit]:
    """Addresses of people: a local part, a domain under a public top-level domain, and no machine's name before it."""
    at = text.find("@")
    while at >= 0:
        value = _address_at(text, at)
        if value:
            yield Hit(kind="e-mail address", value=value, detail="address under a public top-level domain")
        at = text.find("@", at + 1)


def _address_at(text: str, at: int) -> str:
    start = at
    while start > 0 and at - start < 64 and (text[start - 1].isalnum() or text[start - 1] in _LOCAL_SYMBOLS):
        start -= 1
    while start < at and text[start] in ".-+%":
        start += 1
    found = _DOMAIN.match(text, at + 1)
    if start == at or found is None:
        return ""
    local, domain = text[start:at], _public_part(found[0])
    is_machine = local.lower() in _NOBODY or _REMOTE_PATH.match(text, at + 1 + len(domain))
    if not domain or is_machine or (start > 0 and text[start - 1] in _MASK):
        return ""
    if set(local.lower()) <= set("x.") or set(domain.partition(".")[0].lower()) == {"x"}:
        return ""
    return "" if _NO_ADDRESS.search(text[max(0, start - 90) : start]) else f"{local}@{domain}"


def _public_part(domain: str) -> str:
    """The domain up to its top-level domain; a sentence that begins right after it is left out."""
    labels = domain.split(".")
    while len(labels) >= 2:
        last = labels[-1]
        if last.lower() in TOP_LEVEL_DOMAINS or last.startswith("xn--") or not last.isascii():
            return ".".join(labels)
        if not last[:1].isupper():
            return ""
        labels.pop()
    return ""


# Phone numbers

_INTERNATIONAL = re.compile(r"(?<![\w+.-])\+ ?[1-9](?:[ \-./()]{0,2}\d){6,14}(?!\d)")
_AMERICAN = re.compile(r"(?<![\w.+/-])(?:\([2-9]\d{2}\) ?|[2-9]\d{2}-)[2-9]\d{2}-\d{4}(?![\w-])")
_NATIONAL = re.compile(r"(?<![\w.+-])(?:\+|00)?\(?\d(?:[ \-./()]{0,2}\d){6,14}(?![\w-])")
_PHONE_WORD = re.compile(
    r"(?i)(?<![a-z])(?:tele)?(?:phone|fon|puhelin|handy)(?:numero|nummer|number|s)?(?![a-z])|(?<![a-z])(?:tel|mobile|cell|msisdn|sms|fax"
    r"|whatsapp|tel[e\u00e9]fono|t\u00e9l\u00e9phone|m\u00f3vil|movil|matkapuhelin|gsm)(?![a-z])"
)
_DATE = re.compile(r"(?:19|20)\d\d([-./])(?:0[1-9]|1[0-2])\1(?:[0-2]\d|3[01])(?: ?\d{1,2})?")
_FEW_WORDS = re.compile(r"[\s:#.,\"'(]{0,4}(?:[^\W\d_]{1,20}[\s:,]{1,3}){0,3}[\"'(]{0,2}")
_PHONE_WORDS = words_in(
    """
    phone telephone tel telefon telefono mobile cell msisdn sms fax whatsapp puhelin puhelinnumero cellphone
    phonenumber handy gsm
    """
)
_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "FI", "SE", "NO", "DK", "NL", "BE", "PL", "PT", "IE", "AT", "CH")
_NOT_A_PHONE = ID_WORDS - {"item", "message", "part", "case"}


def phone_numbers(text: str) -> Iterator[Hit]:
    """Numbers that a numbering plan knows: with a country code, in the American form, or named as a phone number."""
    seen: set[str] = set()
    for match in each(_INTERNATIONAL, text):
        value = _valid_prefix(match[0], "")
        if value and not _is_id(key_before(text, match.start())):
            seen.add(_digits(value))
            yield Hit(kind="phone number", value=value, detail="number with a valid country code")
    for match in each(_AMERICAN, text):
        key = key_before(text, match.start())
        if (not key or words_of(key) & _PHONE_WORDS) and _valid_prefix(match[0], "US"):
            seen.add(_digits(match[0]))
            yield Hit(kind="phone number", value=match[0], detail="number in the North American form")
    if not _PHONE_WORD.search(text):
        return
    for match in each(_NATIONAL, text):
        if not any(_digits(match[0]) in known or known in _digits(match[0]) for known in seen):
            value = _named_number(text, match)
            if value:
                seen.add(_digits(value))
                yield Hit(kind="phone number", value=value, detail="number named as a phone number")


def _named_number(text: str, match: re.Match[str]) -> str:
    key = key_before(text, match.start())
    words = words_of(key)
    is_prose = not key or text[: match.start()].endswith(": ")
    if words & _NOT_A_PHONE or not (words & _PHONE_WORDS or (is_prose and _is_called_a_phone(text, match.start()))):
        return ""
    number = match[0]
    if _DATE.fullmatch(number):
        return ""
    for region in ("", *_REGIONS):
        written = f"+{number[2:] if number.startswith('00') else number.lstrip('+')}" if not region else number
        if _is_valid_number(written, region):
            return number
    return ""


def _is_called_a_phone(text: str, start: int) -> bool:
    """Whether a word for a phone stands before `start`, with three words or fewer between, none of another thing."""
    before = text[max(0, start - 40) : start]
    named = list(_PHONE_WORD.finditer(before))
    if not named:
        return False
    between = before[named[-1].end() :]
    return _FEW_WORDS.fullmatch(between) is not None and not words_of(between) & ID_WORDS


def _valid_prefix(number: str, region: str) -> str:
    """The longest beginning of `number`, cut at spaces and dashes, that a numbering plan knows."""
    for _ in range(5):
        if _is_valid_number(number, region):
            return number
        cut_at = max(number.rfind(" "), number.rfind("-"))
        if cut_at < MIN_DIGITS:
            return ""
        number = number[:cut_at].rstrip(" -./(")
    return ""


@functools.lru_cache(maxsize=4096)
def _is_valid_number(number: str, region: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region or None))
    except phonenumbers.NumberParseException:
        return False


# Payment cards

_CARD = re.compile(r"(?<![\w.-])\d(?:[ \-+.]?\d){11,18}(?![\w-])(?!\.\d)")
_TRACK = re.compile(r"(?:%?B(?P<first>\d{13,19})\^[^^\n]{2,26}\^|;(?P<second>\d{13,19})=)\d{4}")
_CODE = re.compile(
    r"(?i)(?<![a-z])(?:cvv2?|cvc2?|cav2|cid|card[ _-]?(?:security|verification)[ _-]?(?:code|value))"
    r"(?:[ _-]?(?:code|value|number))?[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?P<code>\d{3,4})(?!\d|\.\d)"
)
_CARD_CONTEXT = re.compile(
    r"(?i)(?<![a-z])(?:(?:credit|debit|bank|payment)?[ _-]?cards?(?:[ _-]?(?:no|nr|number|num))?|pan|visa|master ?card"
    r"|amex|american express|discover|diners|maestro|cvv2?|cvc2?|exp(?:iry|ires|iration)?[ _-]?(?:date|month|year)"
    r"|kreditkarte|tarjeta|carte|kortti|maksukortti|luottokortti)(?![a-z])"
)
_CARD_WORDS = words_in(
    """
    card pan cc creditcard cardnumber ccnumber cardno debitcard kreditkarte tarjeta kortti primaryaccountnumber
    """
)
_NOT_A_CARD = ID_WORDS - {"token"} | {"token", "last4"}
_GROUPS = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 5), (6, 10))
TEST_CARDS = words_in(
    """
    4111111111111111 4242424242424242 4012888888881881 4000056655665556 4000000000000002 5555555555554444
    5105105105105100 5200828282828210 2223003122003222 378282246310005 371449635398431 6011111111111117
    6011000990139424 30569309025904 38520000023237 3530111333300000 3566002020360505 6200000000000005
    """
)
"""Numbers that card schemes and payment providers publish for tests: where they stand, a real one would."""


def payment_cards(text: str) -> Iterator[Hit]:
    """Card numbers (Luhn, issuer's range and length, and a name, a grouping or a track), and verification codes."""
    for match in each(_TRACK, text):
        number = match["first"] or match["second"]
        if issuer_of(number) and luhn(number):
            yield Hit(kind="payment card", value=number, detail="magnetic stripe data")
    for match in each(_CARD, text):
        number = _digits(match[0])
        if issuer_of(number) and luhn(number):
            reason = _why_a_card(text, match, number)
            if reason:
                yield Hit(kind="payment card", value=match[0], detail=f"Luhn and issuer's range, {reason}")
    for match in each(_CODE, text):
        is_card = match[0][:3].lower() != "cid" or _CARD_CONTEXT.search(
            text[max(0, match.start() - 80) : match.start()]
        )
        if is_card:
            yield Hit(kind="payment card", value=match["code"], detail="card verification code")


def _why_a_card(text: str, match: re.Match[str], number: str) -> str:
    if number in TEST_CARDS:
        return "published test number"
    name = key_before(text, match.start())
    key = words_of(name) | {"".join(c for c in name.lower() if c.isalpha())}
    if key & _CARD_WORDS and not key & {"id", "token", "hash", "fingerprint", "ref", "reference"}:
        return "named as a card"
    if key & _NOT_A_CARD or _is_id(text[max(0, match.start() - 24) : match.start()]):
        return ""
    separators = {c for c in match[0] if not c.isdigit()}
    groups = tuple(len(part) for part in re.split(r"[ \-+.]", match[0]))
    if len(separators) == 1 and groups in _GROUPS:
        return "grouped as on a card"
    if separators:
        return ""
    around = text[max(0, match.start() - 60) : match.start()] + " | " + text[match.end() : match.end() + 60]
    return "beside words of cards" if _CARD_CONTEXT.search(around) else ""


_ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = (
    (4, 4, frozenset({13, 16, 19})),
    (51, 55, frozenset({16})),
    (2221, 2720, frozenset({16})),
    (34, 34, frozenset({15})),
    (37, 37, frozenset({15})),
    (300, 305, frozenset({14, 16})),
    (3095, 3095, frozenset({14, 16})),
    (36, 36, frozenset({14})),
    (38, 39, frozenset({14, 16})),
    (6011, 6011, frozenset({16, 19})),
    (644, 649, frozenset({16, 19})),
    (65, 65, frozenset({16, 19})),
    (3528, 3589, frozenset({16, 19})),
    (62, 62, frozenset({16, 17, 18, 19})),
    (2200, 2204, frozenset({16, 19})),
    (50, 50, frozenset({12, 13, 14, 15, 16, 18, 19})),
    (5018, 5018, frozenset(range(12, 20))),
    (5020, 5020, frozenset(range(12, 20))),
    (5038, 5038, frozenset(range(12, 20))),
    (6304, 6304, frozenset(range(12, 20))),
    (6759, 6763, frozenset(range(12, 20))),
)
"""First digits, from and to, and lengths: Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay, Mir,
Maestro (ISO/IEC 7812 ranges as the schemes publish them)."""


def issuer_of(number: str) -> bool:
    """Whether a scheme issues cards with these first digits in this length."""
    for first, last, lengths in _ISSUERS:
        if len(number) in lengths and first <= int(number[: len(str(first))]) <= last:
            return len(set(number)) > 1
    return False


def luhn(number: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812."""
    total = 0
    for position, digit in enumerate(reversed(number)):
        doubled = int(digit) * (2 if position % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


# Bank accounts

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")
_IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FK", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK", "MN"), 20),
    **dict.fromkeys(("CH", "CR", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}
"""Characters by country: SWIFT's IBAN registry."""


def bank_accounts(text: str) -> Iterator[Hit]:
    """IBANs: a country that has them, its length, check digits by ISO 7064 mod 97."""
    match = _IBAN.search(text)
    for _ in range(MAX_CANDIDATES):
        if match is None:
            return
        country = match[0][:2].upper()
        length = _IBAN_LENGTHS.get(country, 0)
        value = _first_characters(match[0], length)
        rest = text[match.start() + len(value) : match.start() + len(value) + 1]
        compact = re.sub(r"[ -]", "", value).upper()
        if length and len(compact) == length and not rest.isalnum() and _is_mod_97(compact):
            yield Hit(kind="IBAN", value=value, detail="length of its country and check digits")
            match = _IBAN.search(text, match.start() + len(value))
        else:  # what follows may have been taken for its end
            match = _IBAN.search(text, match.start() + 2)


def _first_characters(text: str, count: int) -> str:
    """The beginning of `text` that has `count` letters and digits."""
    seen = 0
    for position, character in enumerate(text):
        seen += character.isalnum()
        if seen == count:
            return text[: position + 1]
    return text


def _is_mod_97(compact: str) -> bool:
    from stdnum.iso7064 import mod_97_10

    return bool(mod_97_10.is_valid(compact[4:] + compact[:4]))


# National ids


@dataclass(frozen=True, slots=True, kw_only=True)
class NationalId:
    """One country's number for people."""

    name: str
    form: re.Pattern[str]
    is_valid: Callable[[str], bool]
    words: re.Pattern[str]
    """Names of it, case ignored."""
    strong: re.Pattern[str] | None = None
    """A form that is enough without a name; None where the number must be named."""


def national_ids(text: str) -> Iterator[Hit]:
    """Numbers that states give to people, each by its own check, and by its name where the check is weak."""
    for country in countries():
        is_named = _ANY_NATIONAL.search(text) or country.words.search(text)
        if not is_named and country.strong is None:
            continue
        for match in each(country.form, text):
            if _is_national(country, text, match) and country.is_valid(match[0]):
                yield Hit(kind="national id", value=match[0], detail=country.name)


def _is_national(country: NationalId, text: str, match: re.Match[str]) -> bool:
    key = key_before(text, match.start())
    before = key or text[max(0, match.start() - 40) : match.start()]
    if country.words.search(before.replace("_", " ")) or _ANY_NATIONAL.search(key):
        return True
    is_others = bool(words_of(key) & ID_WORDS) or _is_id(text[max(0, match.start() - 24) : match.start()])
    return not is_others and country.strong is not None and country.strong.fullmatch(match[0]) is not None


_ANY_NATIONAL = re.compile(
    r"(?i)(?:national|citizen|personal|person|identity|civil)[ _-]?(?:id|identity|identification)?[ _-]?"
    r"(?:card|code|no|nr|number|num)|(?:national|citizen|personal|civil)[ _-]?id(?![a-z])|(?<![a-z])id[_-]?number"
)
"""Names for whatever number a state gives."""

_NINO = re.compile(
    r"(?<![A-Za-z0-9])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?"
    r"[A-D](?![A-Za-z0-9])"
)


@functools.cache
def countries() -> tuple[NationalId, ...]:
    """What counts as a national id; their checks are those of python-stdnum, imported when first wanted."""
    from stdnum.be import nn
    from stdnum.br import cpf
    from stdnum.ca import sin
    from stdnum.de import idnr
    from stdnum.dk import cpr
    from stdnum.es import dni, nie
    from stdnum.fi import hetu
    from stdnum.fr import nir
    from stdnum.in_ import aadhaar
    from stdnum.it import codicefiscale
    from stdnum.nl import bsn
    from stdnum.no import fodselsnummer
    from stdnum.pl import pesel
    from stdnum.se import personnummer
    from stdnum.us import ssn

    return (
        NationalId(
            name="US social security number",
            form=_number(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
            is_valid=ssn.is_valid,
            strong=re.compile(r"\d{3}-\d{2}-\d{4}"),
            words=_names(r"ssn|social[ _-]?security"),
        ),
        NationalId(
            name="Spanish DNI",
            form=_number(r"\d{8}-?[A-HJ-NP-TV-Z]"),
            is_valid=dni.is_valid,
            words=_names(r"dni|nif|documento|identidad"),
        ),
        NationalId(
            name="Spanish NIE",
            form=_number(r"[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]"),
            is_valid=nie.is_valid,
            words=_names(r"nie|nif|documento|identidad"),
        ),
        NationalId(
            name="UK national insurance number",
            form=_NINO,
            is_valid=lambda value: True,
            strong=re.compile(r"[A-Z]{2} \d{2} \d{2} \d{2} [A-D]"),
            words=_names(r"nino|national[ _-]?insurance|ni[ _-]?(?:number|no)"),
        ),
        NationalId(
            name="Finnish personal identity code",
            form=_number(r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]"),
            is_valid=hetu.is_valid,
            strong=re.compile(r".{11}"),
            words=_names(r"hetu|henkil\u00f6tunnus|henkilotunnus|personal[ _-]?identity"),
        ),
        NationalId(
            name="German tax id",
            form=_number(r"[1-9]\d{10}|[1-9]\d (?:\d{3} ){2}\d{3}"),
            is_valid=idnr.is_valid,
            words=_names(r"steuer[ _-]?(?:id\w{0,20}|nummer|nr)|idnr|tin|tax[ _-]?id"),
        ),
        NationalId(
            name="French social security number",
            form=_number(r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}"),
            is_valid=nir.is_valid,
            strong=re.compile(r"[12] \d{2} \d{2} (?:\d{2}|2[AB]) \d{3} \d{3} \d{2}"),
            words=_names(r"nir|s[\u00e9e]curit[\u00e9e][ _-]?sociale|secu|num[\u00e9e]ro[ _-]?ss"),
        ),
        NationalId(
            name="Italian codice fiscale",
            form=_number(r"[A-Z]{6}\d{2}[ABCDEHLMPRST]\d{2}[A-Z]\d{3}[A-Z]"),
            is_valid=codicefiscale.is_valid,
            strong=re.compile(r".{16}"),
            words=_names(r"codice[ _-]?fiscale|cf"),
        ),
        NationalId(
            name="Swedish personal identity number",
            form=_number(r"(?:19|20)?\d{6}[-+]?\d{4}"),
            is_valid=personnummer.is_valid,
            words=_names(r"personnummer|pnr|ssn|personal[ _-]?(?:identity|number)"),
        ),
        NationalId(
            name="Danish CPR number",
            form=_number(r"\d{6}-?\d{4}"),
            is_valid=cpr.is_valid,
            words=_names(r"cpr"),
        ),
        NationalId(
            name="Norwegian national identity number",
            form=_number(r"\d{6} ?\d{5}"),
            is_valid=fodselsnummer.is_valid,
            words=_names(r"f\u00f8dselsnummer|fodselsnummer|fnr|personnummer"),
        ),
        NationalId(
            name="Dutch citizen service number",
            form=_number(r"\d{9}|\d{4}\.\d{2}\.\d{3}"),
            is_valid=bsn.is_valid,
            words=_names(r"bsn|burgerservicenummer|sofi"),
        ),
        NationalId(
            name="Belgian national number",
            form=_number(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}|\d{11}"),
            is_valid=nn.is_valid,
            strong=re.compile(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}"),
            words=_names(r"rijksregisternummer|nrn|num[\u00e9e]ro national|national[ _-]?(?:number|register)|insz"),
        ),
        NationalId(
            name="Polish PESEL",
            form=_number(r"\d{11}"),
            is_valid=pesel.is_valid,
            words=_names(r"pesel"),
        ),
        NationalId(
            name="Brazilian CPF",
            form=_number(r"\d{3}\.\d{3}\.\d{3}-\d{2}|\d{11}"),
            is_valid=cpf.is_valid,
            strong=re.compile(r"\d{3}\.\d{3}\.\d{3}-\d{2}"),
            words=_names(r"cpf"),
        ),
        NationalId(
            name="Canadian social insurance number",
            form=_number(r"\d{3}[ -]?\d{3}[ -]?\d{3}"),
            is_valid=sin.is_valid,
            words=_names(r"sin|social[ _-]?insurance"),
        ),
        NationalId(
            name="Indian Aadhaar number",
            form=_number(r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}"),
            is_valid=aadhaar.is_valid,
            words=_names(r"aadhaar|aadhar|uidai"),
        ),
    )


def _number(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9.+-])(?:{form})(?![A-Za-z0-9-])(?!\.\d)")


def _names(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z])(?:{words})(?![a-z])", re.IGNORECASE)


_ID_NEAR = re.compile(
    r"(?i)(?<![a-z])(?:order|txn|transaction|trace|request|invoice|tracking|sku|ticket|case|shipment|parcel|serial|build"
    r"|part|isbn|ean|upc|ref(?:erence)?|id|uuid|epoch|timestamp|offset)s?(?:[ _-]?(?:id|no|nr|number|num))?"
    r"[\"']?[ :=#\"']{1,4}$"
)


def _is_id(before: str) -> bool:
    """Whether the words right before a number say that it counts or names a thing."""
    return bool(before) and _ID_NEAR.search(before + (" " if before[-1].isalnum() else "")) is not None


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())
