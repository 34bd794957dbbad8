"""Where code writes to Redis and where it takes away, by structural search: the shape of each key, and its expiry.

Found in JavaScript and TypeScript (ioredis, node-redis), Python (redis-py, Django's cache) and Go (go-redis): calls on
something named after Redis, and in files that import a client of Redis on something named as clients are.
A key is read where it stands as text, or in the nearest assignment above of the name that stands for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from quub_audit.sdk import Location, Match, Pattern, Repositories, Repository

_JS: Final = ("javascript", "typescript", "tsx")

WRITES = frozenset({"set", "setex", "psetex", "hset", "hmset"})
DELETIONS = frozenset({"del", "unlink", "delete", "delete_many"})
DROPS = DELETIONS | {"expire", "pexpire", "expireat", "pexpireat", "hdel", "getdel"}
FLUSHES = frozenset({"flushall", "flushdb"})
_METHODS = "|".join(sorted(WRITES | DROPS | FLUSHES))
_CALL = rf"(?i)\.\s*({_METHODS})$"

_ABOUT_REDIS = re.compile(r"(?i)redis|valkey|\brdb\b")
_AS_CLIENTS = re.compile(r"(?i)((^|\.)(r|tx|kv|conn)|cache|client|store|connection|pipe|pipeline|multi)(\(\))?$")
_EXPIRY = re.compile(r"(?i)\b(ex|px|exat|pxat|ttl|timeout|expire\w*|expiration)\b")
_NO_EXPIRY = re.compile(
    r"""(?i)(["'](nx|xx|get|keepttl)["']|\{.*\}|\w+\s*=.*|0|None|null|nil|undefined|redis\.KeepTTL)""", re.DOTALL
)
_ENDLESS = re.compile(r"(^|=\s*)None$")
_VERSION = re.compile(r"(?i)\{[^{}]*(version|revision|hash|digest|etag|checksum)[^{}]*\}")
_QUOTED = re.compile(r"""(?P<prefix>[fFbBrRuU]{0,2})(?P<quote>["'`])(?P<inner>.*)(?P=quote)""", re.DOTALL)
LONGEST = 2000
"""Characters of a capture, which may be cut there."""


def _calls(kind: str, languages: tuple[str, ...]) -> Pattern:
    return Pattern(
        name="call",
        languages=languages,  # type: ignore[arg-type]
        rule=f"""
all:
  - kind: {kind}
  - has: {{field: function, pattern: $FUNCTION, regex: '{_CALL}'}}
  - has: {{field: arguments, pattern: $ARGUMENTS}}
""",
    )


PATTERNS = (
    _calls("call_expression", _JS),
    _calls("call", ("python",)),
    _calls("call_expression", ("go",)),
    Pattern(
        name="import",
        languages=_JS,
        rule=r"""
any:
  - {kind: import_statement, regex: '(?i)redis|valkey'}
  - {kind: call_expression, regex: '(?i)^require\(.*(redis|valkey)'}
""",
    ),
    Pattern(
        name="import",
        languages=("python",),
        rule="""
any:
  - {kind: import_statement, regex: '(?i)redis|valkey'}
  - {kind: import_from_statement, regex: '(?i)redis|valkey|django.core.cache'}
""",
    ),
    Pattern(name="import", languages=("go",), rule="{kind: import_spec, regex: '(?i)redis|valkey'}"),
    Pattern(
        name="name",
        languages=_JS,
        rule="""
all:
  - kind: variable_declarator
  - has: {field: name, pattern: $NAME, regex: '(?i)key'}
  - has: {field: value, pattern: $VALUE}
""",
    ),
    Pattern(
        name="name",
        languages=("python",),
        rule="""
all:
  - kind: assignment
  - has: {field: left, pattern: $NAME, regex: '(?i)key'}
  - has: {field: right, pattern: $VALUE}
""",
    ),
    Pattern(
        name="name",
        languages=("go",),
        rule="""
all:
  - kind: short_var_declaration
  - has: {field: left, pattern: $NAME, regex: '(?i)key'}
  - has: {field: right, pattern: $VALUE}
""",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One call that writes a key or takes it away."""

    method: str
    """In lower case."""
    shape: str
    """`order:*`; `<key>` for a name that stands for a key that could not be read, within its file."""
    location: Location
    expires: bool = False
    """A write that sets an expiry."""
    is_versioned: bool = False
    """The key holds a version or a hash of what it names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """All of them in one repository."""

    repository: str
    uses: tuple[Use, ...] = ()
    files_searched: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()

    def of(self, methods: frozenset[str]) -> tuple[Use, ...]:
        """Those of the methods, by place."""
        return tuple(use for use in self.uses if use.method in methods)


def find_uses(repository: Repository, repositories: Repositories) -> Uses:
    """By one structural search of production code."""
    found = repositories.search(repository, patterns=PATTERNS)
    imports = {match.location.file: match.text for match in found.matches if match.pattern == "import"}
    names = [match for match in found.matches if match.pattern == "name"]
    calls = (match for match in found.matches if match.pattern == "call")
    uses = (use for call in calls if _is_redis(call, imports) for use in _read_call(call, names, imports))
    return Uses(
        repository=repository.name,
        uses=tuple(uses),
        files_searched=found.files_searched,
        unreadable=found.unreadable,
    )


def _called(call: Match) -> tuple[str, str]:
    """On what, and which method in lower case."""
    receiver, _, method = "".join(call.capture("FUNCTION").split()).rpartition(".")
    return receiver.rstrip("?!"), method.lower()


def _is_redis(call: Match, imports: Mapping[str, str]) -> bool:
    receiver, _ = _called(call)
    if _ABOUT_REDIS.search(receiver):
        return True
    return call.location.file in imports and bool(_AS_CLIENTS.search(receiver))


def _read_call(call: Match, names: Sequence[Match], imports: Mapping[str, str]) -> Iterator[Use]:
    receiver, method = _called(call)
    text = call.capture("ARGUMENTS")
    parts = split(text.strip()[1:-1] if len(text) < LONGEST else text.strip()[1:])
    if call.language == "go":  # the context comes first
        parts = parts[1:]
    if method in FLUSHES:
        yield Use(method=method, shape="*", location=call.location)
        return
    if not parts:
        return
    is_django = receiver.endswith("cache") and "django" in imports.get(call.location.file, "")
    expires = len(text) >= LONGEST or has_expiry(method, parts, call.language, is_django=is_django)
    for key in _keys_of(method, parts):
        known = _resolve(key, call.location, names)
        yield Use(
            method=method,
            shape=shape_of(known, call.location.file),
            location=call.location,
            expires=expires,
            is_versioned=bool(_VERSION.search(known)),
        )


def _keys_of(method: str, parts: Sequence[str]) -> tuple[str, ...]:
    if method not in DELETIONS:
        return (parts[0],)
    listed: list[str] = []
    for part in parts:
        bare = part.removeprefix("...").removeprefix("*")
        listed.extend(split(bare[1:-1]) if bare.startswith("[") else (bare.removesuffix("..."),))
    return tuple(listed)


def has_expiry(method: str, parts: Sequence[str], language: str, *, is_django: bool = False) -> bool:
    """Whether a write with these arguments ends some day. Django's cache has a time-out unless it is set to None."""
    if method in ("setex", "psetex"):
        return True
    if method != "set":
        return False
    rest = parts[2:]
    is_endless = [bool(_ENDLESS.search(part)) for part in rest]
    if is_django:
        return not any(is_endless)
    if language == "go":
        return bool(rest) and not _NO_EXPIRY.fullmatch(rest[0])
    given = [part for part, endless in zip(rest, is_endless, strict=True) if not endless]
    return any(_EXPIRY.search(part) or not _NO_EXPIRY.fullmatch(part) for part in given)


def _resolve(key: str, place: Location, names: Sequence[Match]) -> str:
    """What the name stands for by the nearest assignment above in the same file; else the text itself."""
    if not re.fullmatch(r"[A-Za-z_$][\w$]*", key):
        return key
    above = [
        match
        for match in names
        if match.location.file == place.file
        and match.capture("NAME") == key
        and (match.location.line or 0) <= (place.line or 0)
    ]
    return above[-1].capture("VALUE") if above else key


def shape_of(key: str, file: str) -> str:
    """What is fixed in a key, `*` for the rest; a name that cannot be read stands for itself."""
    key = key.strip()
    if found := re.match(r"^fmt\.Sprintf\((.*)\)$", key, re.DOTALL):
        key = split(found[1])[0]
    if found := re.match(r"""^(["'].*["'])(\.format\(.*\)|\s*%\s*.*)$""", key, re.DOTALL):
        key = found[1]
    parts = split(key, "+")
    literals = [_literal(part) for part in parts]
    if any(literal is not None for literal in literals):
        joined = "".join("*" if literal is None else literal for literal in literals)
        return re.sub(r"\*+", "*", joined)
    if found := re.match(r"^(?:await\s+)?(?:[\w$.]*\.)?([A-Za-z_$][\w$]*)\(.*\)$", key, re.DOTALL):
        return f"<{found[1]}()>"
    return f"<{key[:60]}>" if "." in key else f"<{key[:60]}> in {file}"


def _literal(text: str) -> str | None:
    found = _QUOTED.fullmatch(text.strip())
    if found is None:
        return None
    inner = found["inner"]
    if found["quote"] == "`":
        inner = re.sub(r"\$\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", "*", inner)
    elif "f" in found["prefix"].lower() or "{" in inner:
        inner = re.sub(r"\{[^{}]*\}", "*", inner)
    return re.sub(r"%[-+#0 ]*\d*[sdvqx]", "*", inner)


def split(text: str, separator: str = ",") -> tuple[str, ...]:
    """The parts of `text` between separators that stand in no bracket and no string; stripped, none empty."""
    parts, start, depth, quote = [], 0, 0, ""
    index = 0
    while index < len(text):
        character = text[index]
        if quote:
            if character == "\\":
                index += 1
            elif character == quote:
                quote = ""
        elif character in "\"'`":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    parts.append(text[start:])
    return tuple(part.strip() for part in parts if part.strip())
