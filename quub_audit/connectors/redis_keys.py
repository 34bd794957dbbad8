"""Names of keys become shapes: `session:*`, `user:*:cart`. No part of a name that could tell who or what stays.

A word stays only when it is one of the words that programs use (`session`, `cart`), or when so many keys share it, and
so few other words stand in its place, that it names a class. Everything with a digit, an `@`, mixed case, a foreign
letter or too many letters is taken out at once.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

MAX_SHAPE = 80
"""Characters of a shape."""

MAX_PARTS = 8
"""Words and stars of a shape."""

MAX_CLASSES = 50
"""Shapes told of; the keys of all others are one class."""

OTHERS = "*"
"""The shape that tells nothing."""

SHARED_KEYS = 20
"""Keys that must share a word that is in no vocabulary."""

RIVALS = 12
"""Different words in one place; where more stand, they name things and not classes."""

_SEPARATOR = re.compile(r"([:/|;,.#\-_{}\[\]()\s])")
_WORD = re.compile(r"[a-z]{1,24}|[A-Z]{2,16}")
_CAMEL = re.compile(r"[a-z]{2,12}(?:[A-Z][a-z]{1,12}){1,3}")

_WORDS = """
account accounts api app apps asset assets auth avatar balance balances basket batch blacklist block blocked bull
cache cached cart carts catalog category celery channel channels chat checkout code codes collection config connect
count counter counters country csrf currency customer customers daily dashboard data db detail details dev device
devices digest email entity event events fail failed failures feature features feed fields file flag flags fragment
graphql group groups hash health history html http id idempotency ids image images index info inventory invite item
items job jobs json jti jwt key keys kombu last latest leader limit limiter limits list lists live location lock
locked locks log login logins mail map market markets media member members menu message messages meta metadata
metric metrics mfa minute model monthly name nonce notification notifications oauth object objects offer offers
order orders org organisation organization otp page pages partial password payment payments pending permission
permissions price prices pricing private processed product production products profile profiles project projects
public query queue queues quote quotes quub rate ratelimit rates read recent refresh region report reports request
requests reset resource response result results retry role roles room rooms route routes schema score scores search
secret secrets seen seq sequence service sess session sessions set settings shard shop sidekiq slot slots socket
source staging stat state stats status stock store stores stream streams subscription summary tag tags task tasks
team temp template tenant tenants test thread throttle ticket tickets tmp token tokens top total totals track trade
trades transaction transactions ts type types upload url user users v value values version view views visit wallet
wallets web weekly widget worker workers write ws zone zset
"""
_VOCABULARY = frozenset(_WORDS.split())


def shapes_of(names: Iterable[str]) -> tuple[str, ...]:
    """The shape of each name, in the order of `names`: words, `*` for whatever was taken out, and the separators."""
    split = [_split(name) for name in names]
    kept = _kept(split)
    shapes = [_join(parts, kept) for parts in split]
    common = {shape for shape, _ in Counter(shapes).most_common(MAX_CLASSES)}
    return tuple(shape if shape in common else OTHERS for shape in shapes)


def _split(name: str) -> tuple[str, ...]:
    """Parts and separators by turns, the first being a part; an e-mail address and its like are one star."""
    pieces = name.split(":")
    cleaned = ":".join("*" if "@" in piece or "%40" in piece else piece for piece in pieces)
    return tuple(_SEPARATOR.split(cleaned[:512]))


def _is_word(part: str) -> bool:
    return bool(_WORD.fullmatch(part) or _CAMEL.fullmatch(part))


def _is_known(part: str) -> bool:
    return all(word.lower() in _VOCABULARY for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", part)) and _is_word(part)


def _kept(split: list[tuple[str, ...]]) -> Mapping[tuple[int, str], frozenset[str]]:
    """By place, and the first part where it is a later place: the words that stay there."""
    seen: defaultdict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for parts in split:
        for place in range(0, min(len(parts), 2 * MAX_PARTS), 2):
            seen[place, parts[0] if place else ""][parts[place]] += 1
    kept = {}
    for where, counted in seen.items():
        known = {word for word in counted if _is_known(word)}
        shared = {word for word, keys in counted.items() if keys >= SHARED_KEYS and _is_word(word)} - known
        rivals = sum(1 for word in counted if word not in known)
        kept[where] = frozenset(known | (shared if rivals <= RIVALS else set()))
    return kept


def _join(parts: tuple[str, ...], kept: Mapping[tuple[int, str], frozenset[str]]) -> str:
    first = parts[0]
    made: list[str] = []
    for place, part in enumerate(parts[: 2 * MAX_PARTS]):
        if place % 2:
            made.append(part if part.isprintable() else " ")
        elif part:
            made.append(part if part in kept[place, first if place else ""] else "*")
    if len(parts) > 2 * MAX_PARTS:
        made.append("*")
    shape = re.sub(r"\*(?:[\-_.,;#\s{}()\[\]]*\*)+", "*", "".join(made))
    return shape[:MAX_SHAPE].strip() or OTHERS
