"""Clients of Quub take no certificate but one with a pinned key, and the pins fit the live chain with one in reserve.

Pass          a client of Quub in a declared repository compares the chain with pins and can refuse; at least one pin stands in the chain that Quub shows now, at least `backup_pins` do not; the pins do not end within `expiry_days`
Fail          verification is switched off anywhere in production code or configuration; an identity check never refuses, or is wired into an agent that nothing uses; a client of Quub has no pins; no pin is in the live chain; no pin is in reserve; a pin is a SHA-1; the pins have ended
Inconclusive  no client of Quub is found in the repositories; the pins stand in no code and are not declared; `quub.api_url` or the repository is not declared; what the code says is not compared with a live chain
Error         Quub gives no TLS handshake; a file of the code could not be read
Needs         a checkout of the code; a way to `quub.api_url` and `quub.ws_url`; `pins` where code reads them from elsewhere, `root_pins` where the key of a root is pinned that servers do not send
Source        the guide, Network Security; RFC 7469, section 4.3 (backup pins); OWASP Certificate and Public Key Pinning: where not both ends are yours, declare the item not applicable
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from quub_audit.sdk import (
    Certificate,
    Clock,
    Deployment,
    Environment,
    Finding,
    Grade,
    Location,
    Match,
    Parameters,
    Pattern,
    Quub,
    Repositories,
    Repository,
    Search,
    Text,
    Tls,
    check,
    cut,
    unread,
)

VERIFIES = "certificates are verified, and compared with pins"
MATCHES = "one pin or more in the live chain"

_JS: Final = ("javascript", "typescript", "tsx")


class Allowed(Parameters):
    """One place that was looked at by a person and found to be right."""

    place: str = Field(min_length=1)
    """`file:line`, as the report names it."""
    reason: str = Field(min_length=1)
    """Why it is right; shown in the report."""


class PinningParameters(Parameters):
    """What the checklist may set under `with:`."""

    backup_pins: int = Field(default=1, ge=0)
    """Pins that are in no live chain, held for the day on which the key changes. RFC 7469, section 4.3: one or more."""

    expiry_days: int = Field(default=30, ge=0)
    """Days before the end of the pins from which on it is warned of. House rule."""

    pins: tuple[str, ...] = ()
    """Pins that code reads from elsewhere: SHA-256 of a public key (SPKI) or certificate, base64 or hexadecimal."""

    root_pins: tuple[str, ...] = ()
    """Those of the pins that belong to a root above the live chain: servers do not send it, clients add it."""

    clients: str = r"(?i)(^|/)[\w.-]*quub[\w.-]*/[^/]+$|(^|/)[^/]*quub[^/]*$"
    """Regular expression for files that hold clients of Quub: by default, by the name of the file or its folder."""

    allow: tuple[Allowed, ...] = ()
    """Places that are right as they are, each with its reason."""

    @field_validator("pins", "root_pins")
    @classmethod
    def _require_pins(cls, pins: tuple[str, ...]) -> tuple[str, ...]:
        """A slip of the pen must be no backup pin."""
        for text in pins:
            if len(read_pin(text) or b"") != 32:
                raise ValueError(f"{text[:80]!r} is no SHA-256, expected 44 characters of base64 or 64 of hexadecimal")
        return pins

    def reason_for(self, place: Location) -> str:
        """Why the place is allowed, or an empty text."""
        named = f"{place.file}:{place.line}"
        return next((entry.reason for entry in self.allow if entry.place == named), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One pin in code, or a declared one."""

    digest: bytes
    """32 bytes for SHA-256, 20 for SHA-1."""
    location: Location | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A place where a client is told to compare the chain with something."""

    location: Location
    value: str
    """What compares: a function, or the name of one. Empty where the library does it."""
    owner: str = ""
    """The name that the agent is given, when it is given one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one repository holds of the matter."""

    repository: str
    off: tuple[Match, ...] = ()
    """Places that switch verification off."""
    configured_off: tuple[tuple[Location, str], ...] = ()
    """The same in files that are no code."""
    comparing: tuple[Comparison, ...] = ()
    """Comparisons that can refuse, in agents that are used."""
    harmless: tuple[Comparison, ...] = ()
    """Comparisons that never refuse."""
    unused: tuple[Comparison, ...] = ()
    """Comparisons in agents that nothing uses."""
    bare: tuple[Match, ...] = ()
    """Clients of Quub that compare nothing."""
    pins: tuple[Pin, ...] = ()
    ends: tuple[tuple[date, Location], ...] = ()
    """Days after which the code says that the pins are old."""
    unreadable: tuple[tuple[str, str], ...] = ()


@check("Clients of Quub compare certificates with pins, and nothing switches verification off", each=Repository)
def code(subject: Repository, repositories: Repositories, clock: Clock, wanted: PinningParameters) -> Iterator[Finding]:
    """A fail for each fault with its place; a pass for the repository that has a comparison and no fault."""
    yield from judge_code(look(subject, repositories, wanted), clock.now().date(), wanted)


@check("The pins fit the chain that Quub shows", each=Quub, grade=Grade.LIVE)
def chain(
    subject: Quub, repositories: Repositories, tls: Tls, environment: Environment, wanted: PinningParameters
) -> Iterator[Finding]:
    """One finding for the API and one for its WebSocket; nothing where no code compares anything."""
    seen = [look(repository, repositories, wanted) for repository in environment.repositories]
    if not any(each.comparing for each in seen):
        return
    declared = (Pin(digest=digest) for digest in map(read_pin, wanted.pins) if digest)
    pins = (*declared, *(pin for each in seen for pin in each.pins))
    for url in filter(None, (subject.api_url, subject.ws_url)):
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        is_api = host == urlsplit(subject.api_url).hostname
        if not any(len(pin.digest) == 32 for pin in pins):
            yield Finding.undecided(
                subject=url,
                observed="the pins stand in no code of the repositories",
                expected=MATCHES,
                message=f"{url}: the pins could not be read, so they were not compared; declare them as `pins`",
            )
            continue
        connect_to = subject.api_connect_to if is_api else ""
        scan = tls.scan_host(host, port, connect_to=connect_to, ca_file=subject.ca_file)
        if scan.deployments:
            yield from judge_pins(url, pins, scan.deployments, wanted)
        else:
            yield Finding.error(subject=url, message=f"{url}: no certificate was shown at {scan.address}")


# What the code is searched for

_NAME = r"(^|[_.])pin(s|ned)?|Pin(s|ned|ner)?([A-Z_.(]|$)|PIN(S|NED)?(_|$)|[Ff]ingerprint|FINGERPRINT|[Ss]pki|SPKI"
"""Names of what holds a pin."""

_PIN = (
    r"(?:sha(?:1|256)[/:-]{1,2})?"
    r"(?P<text>[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{27}=|[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}"
    r"|([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}|([0-9A-Fa-f]{2}:){19}[0-9A-Fa-f]{2})"
)

_FAMILIES = (
    Pattern(
        name="string",
        languages=_JS,
        rule="""
    - {kind: variable_declarator, has: {field: name, regex: NAMED}}
    - {kind: pair, has: {field: key, regex: NAMED}}
    - {kind: assignment_expression, has: {field: left, regex: NAMED}}
    - {kind: call_expression, has: {field: function, regex: NAMED}}
    - {kind: new_expression, has: {field: constructor, regex: NAMED}}
    - {kind: binary_expression, has: {field: left, regex: NAMED}}
""",
    ),
    Pattern(
        name="string",
        languages=("python",),
        rule="""
    - {kind: assignment, has: {field: left, regex: NAMED}}
    - {kind: pair, has: {field: key, regex: NAMED}}
    - {kind: keyword_argument, has: {field: name, regex: NAMED}}
    - {kind: call, has: {field: function, regex: NAMED}}
    - {kind: comparison_operator, regex: NAMED}
""",
    ),
    Pattern(
        name="interpreted_string_literal",
        languages=("go",),
        rule="""
    - {kind: var_spec, has: {field: name, regex: NAMED}}
    - {kind: const_spec, has: {field: name, regex: NAMED}}
    - {kind: short_var_declaration, has: {field: left, regex: NAMED}}
    - {kind: assignment_statement, has: {field: left, regex: NAMED}}
    - {kind: keyed_element, regex: NAMED}
    - {kind: call_expression, has: {field: function, regex: NAMED}}
""",
    ),
    Pattern(
        name="string_literal",
        languages=("java",),
        rule="""
    - {kind: variable_declarator, has: {field: name, regex: NAMED}}
    - {kind: method_invocation, has: {field: object, regex: NAMED}}
    - {kind: method_invocation, has: {field: name, regex: NAMED}}
    - {kind: assignment_expression, has: {field: left, regex: NAMED}}
""",
    ),
)
"""By the kind of a literal: the nodes around it that give it a name."""


def _literals(name: str, value: str, named: str) -> Iterator[Pattern]:
    for family in _FAMILIES:
        holders = family.rule.replace("NAMED", _single_quoted(named))
        rule = f"kind: {family.name}\nregex: {_single_quoted(value)}\ninside:\n  stopBy: end\n  any:{holders}"
        yield replace(family, name=name, rule=rule)


def _single_quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_PIN_LITERAL = (
    r"""^[bBrRuU]?["'](sha(1|256)[/:-]{1,2})?([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{27}=|[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}"""
    r"""|([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}|([0-9A-Fa-f]{2}:){19}[0-9A-Fa-f]{2})["']$"""
)
_ENDS = r"(?i)pins?[a-z_]*(expir|end|until)|(expir|end|until)[a-z_]*pins?"

LITERALS = (*_literals("pin", _PIN_LITERAL, _NAME), *_literals("end", r"""^["']\d{4}-\d{2}-\d{2}""", _ENDS))
"""Pins, and the days on which they end."""

SWITCHED_OFF = (
    Pattern(
        name="off",
        languages=_JS,
        rule=r"""
any:
  - {kind: pair, regex: '^["'']?(rejectUnauthorized|strictSSL|strictSsl)["'']?\s*:\s*(false|0|!1)$'}
  - {kind: assignment_expression, regex: '\b(rejectUnauthorized|strictSSL)["'']?\]?\s*=\s*(false|0|!1)$'}
  - {kind: assignment_expression, regex: 'NODE_TLS_REJECT_UNAUTHORIZED["'']?\]?\s*=\s*["''`]?0'}
""",
    ),
    Pattern(
        name="off",
        languages=("python",),
        rule=r"""
any:
  - kind: keyword_argument
    regex: '^(verify|verify_ssl|verify_certs|ssl_verify)\s*=\s*False$'
    not:
      inside: {kind: argument_list, inside: {kind: call, has: {field: function, regex: '(?i)jwt|jws|decode'}}}
  - {kind: keyword_argument, regex: '^(ssl|check_hostname|assert_hostname)\s*=\s*False$'}
  - {kind: keyword_argument, regex: '^cert_reqs\s*=\s*(["'']CERT_NONE["'']|(ssl\.)?CERT_NONE|0)$'}
  - {kind: assignment, regex: '\.(check_hostname|verify)\s*=\s*False$'}
  - {kind: assignment, regex: '\.verify_mode\s*=\s*(ssl\.)?CERT_NONE$'}
  - {kind: assignment, regex: '^ssl\._create_default_https_context\s*=.*unverified'}
  - {kind: call, has: {field: function, regex: '_create_unverified_context$'}}
""",
    ),
    Pattern(
        name="off",
        languages=("go",),
        rule=r"""
any:
  - {kind: keyed_element, regex: '^InsecureSkipVerify:\s*true$'}
  - {kind: assignment_statement, regex: '\.InsecureSkipVerify\s*=\s*true$'}
""",
    ),
    Pattern(
        name="off",
        languages=("java",),
        rule=r"""
any:
  - {kind: method_declaration, regex: '\bcheckServerTrusted\s*\([^{]*\{\s*(//[^\n]*\s*|return;\s*)*\}$'}
  - {kind: method_declaration, regex: '\bboolean\s+verify\s*\([^{]*SSLSession[^{]*\{\s*return\s+true;\s*\}$'}
  - kind: lambda_expression
    regex: '->\s*(true|\{\s*return\s+true;\s*\})$'
    inside: {stopBy: end, kind: method_invocation, has: {field: name, regex: 'HostnameVerifier$|^hostnameVerifier$'}}
  - kind: identifier
    regex: '^(NoopHostnameVerifier|TrustAllStrategy|ALLOW_ALL_HOSTNAME_VERIFIER|InsecureTrustManagerFactory)$'
    not: {inside: {kind: scoped_identifier}}
""",
    ),
)
"""Ways to take any certificate."""

COMPARISONS = (
    Pattern(
        name="comparison",
        languages=_JS,
        rule=r"""
any:
  - all:
    - {kind: pair, has: {field: key, regex: '^["'']?checkServerIdentity["'']?$'}}
    - {has: {field: value, pattern: $VALUE}}
  - all:
    - {kind: assignment_expression, has: {field: left, regex: '\.checkServerIdentity$'}}
    - {has: {field: right, pattern: $VALUE}}
  - {kind: shorthand_property_identifier, regex: '^checkServerIdentity$'}
  - {kind: method_definition, has: {field: name, regex: '^checkServerIdentity$'}, inside: {kind: object}}
  - {kind: binary_expression, regex: 'fingerprint256|\.pubkey\b', has: {field: operator, regex: '^[!=]==?$'}}
""",
    ),
    Pattern(
        name="comparison",
        languages=("python",),
        rule=r"""
any:
  - {kind: call, has: {field: function, regex: '(^|\.)(Fingerprint|FingerprintAdapter)$'}}
  - {kind: keyword_argument, has: {field: name, regex: '^assert_fingerprint$'}}
  - {kind: assignment, has: {field: left, regex: '\.assert_fingerprint$'}}
""",
    ),
    Pattern(
        name="comparison",
        languages=("go",),
        rule=r"""
any:
  - {kind: keyed_element, regex: '^(VerifyPeerCertificate|VerifyConnection):'}
  - {kind: assignment_statement, regex: '\.(VerifyPeerCertificate|VerifyConnection)\s*='}
""",
    ),
    Pattern(
        name="comparison",
        languages=("java",),
        rule="{kind: method_invocation, has: {field: name, regex: '^certificatePinner$'}}",
    ),
)
"""Places where a client is told to compare the chain."""

OWNERS = (
    Pattern(
        name="owner",
        languages=_JS,
        rule=r"""
any:
  - kind: pair
    regex: '^["'']?checkServerIdentity\b'
  - kind: method_definition
    regex: '^(async\s+)?checkServerIdentity\b'
  - kind: shorthand_property_identifier
    regex: '^checkServerIdentity$'
inside:
  stopBy: end
  all:
    - {kind: variable_declarator, has: {field: value, kind: new_expression}}
    - {has: {field: name, pattern: $NAME}}
""",
    ),
)
"""Comparisons of an agent that is given a name."""

CLIENTS = (
    Pattern(
        name="client",
        languages=_JS,
        rule=r"""
any:
  - {kind: new_expression, has: {field: constructor, regex: '^((https|undici)\.)?(Https)?Agent$|^(undici\.)?(Pool|Client)$|^WebSocket$'}}
  - {kind: call_expression, has: {field: function, regex: '^(axios\.create|https\.(get|request)|tls\.connect|got\.extend|fetch)$'}}
""",  # noqa: E501  one construct a line
    ),
    Pattern(
        name="client",
        languages=("python",),
        rule=r"""
kind: call
has:
  field: function
  regex: '^((requests|httpx|urllib3)\.)?(Session|Client|AsyncClient|PoolManager)$|^(aiohttp\.)?ClientSession$|^(requests|httpx)\.(get|post|put|delete|request)$|^websockets\.connect$'
""",  # noqa: E501  one expression
    ),
    Pattern(
        name="client",
        languages=("go",),
        rule=r"{kind: composite_literal, has: {field: type, regex: '^(http\.(Client|Transport)|tls\.Config|websocket\.Dialer)$'}}",  # noqa: E501
    ),
    Pattern(
        name="client",
        languages=("java",),
        rule=r"{kind: object_creation_expression, regex: '^new\s+(OkHttpClient(\.Builder)?|RestTemplate)\s*\('}",
    ),
)
"""Places where connections are made."""

PATTERNS = (*LITERALS, *SWITCHED_OFF, *COMPARISONS, *OWNERS, *CLIENTS)

CONFIGURATION = ("Dockerfile*", "*.dockerfile", "package.json", ".env*", "*.yml", "*.yaml", "*.tf", "Procfile", "*.sh")
"""Files, by gitignore's syntax, in which an environment variable may switch verification off."""

MAX_CONFIGURATION_BYTES = 512 * 1024
"""A configuration file that is larger was written by no person."""

_OFF_BY_VARIABLE = re.compile(
    r"""(?P<name>NODE_TLS_REJECT_UNAUTHORIZED|PYTHONHTTPSVERIFY)["']?"""
    r"""(?:\s*[:=]\s*|\s+|,?\s*value["']?\s*[:=]\s*)["']?0["']?\s*(?:$|[\s,;}&|])""",
    re.MULTILINE,
)

_HANDED_ON = re.compile(
    r"(?i)[({,.\s](agent|httpsAgent|dispatcher|checkServerIdentity|connector|transport|certificatePinner)\s*[:=,(})]"
)
"""Words in a construct by which another one, that compares, is handed on to it."""

_ABOUT_KEYS = re.compile(r"(?i)pin|fingerprint|pubkey|publicKey|spki|\braw\b|rawcerts|peercertificates|sha256")


def look(repository: Repository, repositories: Repositories, wanted: PinningParameters) -> Seen:
    """Search one repository; what is found is told apart by what it means."""
    found = repositories.search(repository, patterns=PATTERNS)
    comparisons = tuple(_comparisons(found.matches))
    names = sorted({name for each in comparisons for name in (called(each.value), each.owner) if name})
    more = repositories.search(repository, patterns=by_name(names)).matches if names else ()
    seen = sort_out(repository.name, found, comparisons, more, wanted)
    files = repositories.files(repository, globs=CONFIGURATION)
    texts = (repositories.read(repository, file.path) for file in files if file.size_bytes < MAX_CONFIGURATION_BYTES)
    return replace(seen, configured_off=tuple(place for text in texts for place in switched_off(text)))


def sort_out(
    repository: str, found: Search, comparisons: Sequence[Comparison], more: Sequence[Match], wanted: PinningParameters
) -> Seen:
    """What the matches mean; `more` are those of `by_name` for the names in the comparisons."""
    bodies = {each: _bodies(each, more) for each in comparisons}
    harmless = tuple(each for each in comparisons if any(never_refuses(body) for body in bodies[each]))
    unused = tuple(each for each in comparisons if each.owner and not _is_used(each.owner, more))
    comparing = tuple(
        each
        for each in comparisons
        if each not in (*harmless, *unused) and (not bodies[each] or any(map(_ABOUT_KEYS.search, bodies[each])))
    )
    files = {each.location.file for each in comparisons}
    clients = (
        match for match in found.matches if match.pattern == "client" and re.search(wanted.clients, match.location.file)
    )
    return Seen(
        repository=repository,
        off=tuple(match for match in found.matches if match.pattern == "off"),
        comparing=comparing,
        harmless=harmless,
        unused=unused,
        bare=tuple(match for match in clients if is_bare(match, files)),
        pins=tuple(pin for match in found.matches if match.pattern == "pin" for pin in _read_literal(match)),
        ends=tuple(end for match in found.matches if match.pattern == "end" for end in _read_end(match)),
        unreadable=found.unreadable,
    )


def _comparisons(matches: Sequence[Match]) -> Iterator[Comparison]:
    owners = {match.location: match.capture("NAME") for match in matches if match.pattern == "owner"}
    for match in matches:
        if match.pattern == "comparison":
            yield Comparison(location=match.location, value=_value(match), owner=owners.get(match.location, ""))


def _value(match: Match) -> str:
    if match.capture("VALUE"):
        return match.capture("VALUE")
    if match.language == "go":
        return re.split(r":|=", match.text, maxsplit=1)[1].strip()
    is_function = match.text.startswith(("checkServerIdentity", "async checkServerIdentity"))
    return match.text if is_function else ""


def called(value: str) -> str:
    """The name of the function that a value is, or calls; empty for a function that stands there itself."""
    if re.match(r"(async\s+)?(function|func)\b|(async\s*)?\(|[\w$]+\s*=>|(async\s+)?checkServerIdentity\s*\(", value):
        return ""
    name = re.match(r"(?:[\w$]+\.)*([A-Za-z_$][\w$]*)\s*(?:\(|$)", value)
    return name[1] if name else ""


def by_name(names: Sequence[str]) -> tuple[Pattern, ...]:
    """Patterns for the functions of these names, and for the places where the names are used."""
    exactly = _single_quoted("^(" + "|".join(re.escape(name) for name in names) + ")$")
    return (
        Pattern(
            name="definition",
            languages=_JS,
            rule=f"""
any:
  - {{kind: function_declaration, has: {{field: name, regex: {exactly}}}}}
  - all:
    - {{kind: variable_declarator, has: {{field: name, regex: {exactly}}}}}
    - {{has: {{field: value, any: [{{kind: arrow_function}}, {{kind: function_expression}}]}}}}
""",
        ),
        Pattern(
            name="definition",
            languages=("go",),
            rule=f"{{kind: function_declaration, has: {{field: name, regex: {exactly}}}}}",
        ),
        Pattern(
            name="use",
            languages=_JS,
            rule=f"""
any: [{{kind: identifier}}, {{kind: shorthand_property_identifier}}]
regex: {exactly}
not:
  any:
    - {{inside: {{kind: import_specifier}}}}
    - {{inside: {{kind: import_clause}}}}
    - {{inside: {{kind: export_specifier}}}}
    - {{inside: {{kind: variable_declarator, field: name}}}}
""",
        ),
    )


def _bodies(each: Comparison, more: Sequence[Match]) -> tuple[str, ...]:
    """The code of what compares; nothing where it is not ours to read."""
    name = called(each.value)
    if each.value and not name:
        return (each.value,)
    texts = [match.text for match in more if match.pattern == "definition"]
    return tuple(text for text in texts if name and re.search(rf"\b{re.escape(name)}\b", text.partition("{")[0]))


def _is_used(name: str, more: Sequence[Match]) -> bool:
    return any(match.pattern == "use" and match.text == name for match in more)


def never_refuses(body: str) -> bool:
    """Whether a function that compares takes everything: it neither throws nor gives back an error.

    For JavaScript an error is anything but undefined, null or a boolean; for Go anything but nil.
    """
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", body, flags=re.DOTALL).strip()
    if re.search(r"\bthrow\b|\bError\b|\berrors?\.|\bErrorf\b|\bpanic\(", code):
        return False
    nothing = r"(?:undefined|null|nil|true|false|void\s+0|\{\s*\}|\(\s*\))"
    if re.search(rf"=>\s*{nothing}\s*;?$", code):
        return True
    if not re.search(r"=>\s*\{|\)[^{]*\{|\bfunc\b|\bfunction\b", code):
        return False
    answers = re.findall(r"\breturn\b\s*([^;\n}]*)", code)
    return all(re.fullmatch(rf"{nothing}?", answer.strip()) for answer in answers)


def is_bare(match: Match, files_that_compare: Iterable[str]) -> bool:
    """Whether a client compares nothing: neither it nor its file does, and no agent is handed to it."""
    made_of = re.sub(r"^[^({]*", "", match.text)
    return match.location.file not in files_that_compare and not _HANDED_ON.search(made_of)


def switched_off(text: Text) -> Iterator[tuple[Location, str]]:
    """Places of a configuration file in which a variable switches verification off for a whole process."""
    for found in _OFF_BY_VARIABLE.finditer(text.text):
        line = text.text.count("\n", 0, found.start()) + 1
        start = text.text.rfind("\n", 0, found.start()) + 1
        if not text.text[start : found.start()].lstrip().startswith("#"):
            yield Location(file=text.path, line=line), f"{found['name']} is 0"


def read_pin(text: str) -> bytes | None:
    """The digest that a pin stands for: base64 or hexadecimal, with colons or a `sha256/` before it, or without."""
    matched = re.fullmatch(_PIN, text.strip())
    if matched is None:
        return None
    digits = matched["text"].replace(":", "")
    if re.fullmatch(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}", digits):
        return bytes.fromhex(digits)
    try:
        return base64.b64decode(digits, validate=True)
    except binascii.Error:
        return None


def _read_literal(match: Match) -> Iterator[Pin]:
    digest = read_pin(match.text.lstrip("bBrRuU").strip("\"'`"))
    if digest is not None:
        yield Pin(digest=digest, location=match.location)


def _read_end(match: Match) -> Iterator[tuple[date, Location]]:
    found = re.search(r"\d{4}-\d{2}-\d{2}", match.text)
    try:
        if found:
            yield date.fromisoformat(found[0]), match.location
    except ValueError:
        return


# What it means


def judge_code(seen: Seen, today: date, wanted: PinningParameters) -> Iterator[Finding]:
    """Every fault of one repository is a fail of its own; a pass where something compares and nothing is wrong."""
    faults = [
        *((match.location, cut_line(match.text), VERIFIES) for match in seen.off),
        *((place, observed, VERIFIES) for place, observed in seen.configured_off),
        *((each.location, "the identity check never refuses", VERIFIES) for each in seen.harmless),
        *((each.location, f"{each.owner} compares, but nothing uses it", VERIFIES) for each in seen.unused),
        *((match.location, f"{cut_line(match.text)} compares with no pin", VERIFIES) for match in seen.bare),
        *((pin.location, "a pin is a SHA-1", "pins of SHA-256") for pin in seen.pins if len(pin.digest) != 32),
        *((place, f"the pins ended on {end}", "pins that are reviewed") for end, place in seen.ends if end < today),
    ]
    is_faultless = True
    for place, observed, expected in dict.fromkeys(faults):
        if place is None:
            continue
        reason = wanted.reason_for(place)
        if reason:
            yield Finding.warning(subject=place.file, observed=f"{observed}, allowed: {reason}", location=place)
            continue
        is_faultless = False
        yield Finding.of(
            False,
            subject=place.file,
            observed=observed,
            expected=expected,
            message=f"{place.file}:{place.line}: {observed}; compare the chain with pins there, or allow the place",
            location=place,
        )
    for end, place in seen.ends:
        if 0 <= (end - today).days < wanted.expiry_days:
            yield Finding.warning(
                subject=place.file,
                observed=f"the pins end in {(end - today).days} days",
                expected=f"{wanted.expiry_days} days or more",
                location=place,
            )
    yield from unread(seen.repository, seen.unreadable)
    if is_faultless and seen.comparing:
        places = cut(f"{each.location.file}:{each.location.line}" for each in seen.comparing)
        yield Finding.of(True, subject=seen.repository, observed=f"pins are compared at {places}", expected=VERIFIES)


def judge_pins(
    subject: str, pins: Sequence[Pin], deployments: Sequence[Deployment], wanted: PinningParameters
) -> Iterator[Finding]:
    """Compare the pins with every chain that the server shows: each must have one; enough must be in none.

    Raises ValueError for no pin, and for no chain: not knowing is never a pass.
    """
    known = {pin.digest for pin in pins if len(pin.digest) == 32}
    if not known or not deployments:
        raise ValueError(f"{subject}: no pin, or no certificate, to compare")
    roots = known & {digest for digest in map(read_pin, wanted.root_pins) if digest}
    shown = {digest for deployment in deployments for each in deployment.chain for digest in digests(each)}
    for deployment in deployments:
        if not roots and not any(known & digests(each) for each in deployment.chain):
            leaf = deployment.chain[0]
            yield Finding.of(
                False,
                subject=subject,
                observed=f"none of {len(known)} pins is in the chain of {leaf.subject}, issued by {leaf.issuer}",
                expected=MATCHES,
                message=f"{subject}: clients that compare refuse this chain; pin a key of it, "
                "or name the root's pin in `root_pins`",
            )
            return
    reserve = known - shown - roots
    if len(reserve) < wanted.backup_pins:
        yield Finding.of(
            False,
            subject=subject,
            observed=f"{len(reserve)} of {len(known)} pins are in reserve",
            expected=f"{wanted.backup_pins} or more pins that are in no live chain (RFC 7469, section 4.3)",
        )
        return
    if not roots and all(_only_leaf(known, deployment) for deployment in deployments):
        yield Finding.warning(
            subject=subject,
            observed="the pins are of the server's own certificate or key alone",
            expected="a pin of an issuer, which outlives the renewal of the certificate",
        )
    yield Finding.of(
        True,
        subject=subject,
        observed=f"{len(known - reserve)} of {len(known)} pins in the live chain, {len(reserve)} in reserve",
        expected=f"{MATCHES}, {wanted.backup_pins} or more in reserve",
    )


def digests(certificate: Certificate) -> set[bytes]:
    """What a pin of this certificate may be: the SHA-256 of its public key, or its own."""
    return {base64.b64decode(certificate.spki_sha256), bytes.fromhex(certificate.sha256)}


def _only_leaf(known: set[bytes], deployment: Deployment) -> bool:
    leaf, *issuers = deployment.chain
    is_issuer_pinned = any(base64.b64decode(each.spki_sha256) in known for each in issuers)
    return bool(known & digests(leaf)) and not is_issuer_pinned


def cut_line(code: str) -> str:
    """The beginning of a piece of code on one line, at most 80 characters."""
    line = " ".join(code.split())
    return line if len(line) <= 80 else f"{line[:77]}..."
