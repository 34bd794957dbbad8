"""Unit tests answer in place of Quub, and no request of theirs can leave the machine.

Pass          tests that touch Quub use a library that answers in its place, or a fake, and a request that nothing answers is an error
Fail          a test names a host of Quub's production while nothing blocks the network of its package, or holds a real credential; requests that nothing answers go out (nock, msw and undici let them by default, others are told to)
Inconclusive  no test touches Quub, though the code does; nothing is seen that answers in its place; requests without a cassette may be recorded from the real thing; a cassette of Quub is older than `max_cassette_age_days`, by the dates of its answers, or holds a header with a credential
Error         the checkout is not there, or a file of it could not be read
Needs         a checkout of the code
Source        the guide, Testing; the documentation of each library for its defaults
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from quub_audit.checks.testing.unit._code import MANIFESTS, package_of
from quub_audit.sdk import (
    Clock,
    Environment,
    Finding,
    Language,
    LeakedSecret,
    Location,
    Match,
    Parameters,
    Pattern,
    Repositories,
    Repository,
    check,
    cut,
    unread,
)

Manner = Literal["closed", "open", "recording"]
"""What becomes of a request that nothing answers: an error, the real thing, or a new cassette."""

LAYERS: Mapping[str, Manner] = {
    "nock": "open",
    "msw": "open",
    "undici MockAgent": "open",
    "axios-mock-adapter": "closed",
    "a module mock": "closed",
    "fetch-mock": "closed",
    "Pact": "closed",
    "responses": "closed",
    "respx": "closed",
    "requests-mock": "closed",
    "pytest-httpx": "closed",
    "pytest-httpserver": "closed",
    "aioresponses": "closed",
    "VCR": "recording",
    "a patch": "closed",
    "httptest": "closed",
    "gock": "closed",
    "httpmock": "closed",
    "WireMock": "closed",
    "MockWebServer": "closed",
    "MockRestServiceServer": "closed",
    "a mock object": "closed",
    "a fake": "closed",
}
"""What answers in place of a server, by the name that patterns give it."""

SCRIPT: tuple[Language, ...] = ("javascript", "typescript", "tsx")
TYPESCRIPT: tuple[Language, ...] = ("typescript", "tsx")
PYTHON: tuple[Language, ...] = ("python",)
GO: tuple[Language, ...] = ("go",)
JAVA: tuple[Language, ...] = ("java",)


def of_kinds(name: str, languages: tuple[Language, ...], kinds: str, regex: str) -> Pattern:
    """Nodes of one of `kinds` (words) whose text matches."""
    rule = {"regex": regex, "any": [{"kind": kind} for kind in kinds.split()]}
    return Pattern(name=name, languages=languages, rule=json.dumps(rule))


_FAKE = r"(?i)^\w*((fake|stub|mock|dummy|in_?memory)_?\w*quub|quub\w*(fake|stub|mock|dummy|in_?memory))\w*$"
_ANNOTATED = r"^@(WireMockTest|EnableWireMock|AutoConfigureWireMock)\b"
_HANDLER = r"^(http|rest|graphql|ws)\.(get|post|put|patch|delete|head|options|all|link)\("

PATTERNS = (
    of_kinds("nock", SCRIPT, "call_expression", r"^nock\("),
    of_kinds("msw", SCRIPT, "call_expression", r"^(setupServer|setupWorker)\("),
    of_kinds("undici MockAgent", SCRIPT, "new_expression", r"^new MockAgent\b"),
    of_kinds("axios-mock-adapter", SCRIPT, "new_expression", r"^new (Axios)?MockAdapter\b"),
    of_kinds(
        "a module mock",
        SCRIPT,
        "call_expression",
        r"(?i)^(jest|vi)\.(mock|doMock|unstable_mockModule)\([^,)]*(quub|axios|got|fetch|undici|superagent|\bky\b|https?)",
    ),
    of_kinds("fetch-mock", SCRIPT, "call_expression", r"^fetchMock\."),
    of_kinds("Pact", SCRIPT, "new_expression", r"^new (Pact|PactV3|PactV4)\b"),
    of_kinds("responses", PYTHON, "call decorator", r"^@?responses\."),
    of_kinds("respx", PYTHON, "call decorator identifier", r"^(@?respx\.|respx_mock$)"),
    of_kinds("requests-mock", PYTHON, "call decorator identifier", r"^(@?requests_mock\.Mocker|requests_mock$)"),
    of_kinds("pytest-httpx", PYTHON, "identifier", r"^httpx_mock$"),
    of_kinds("pytest-httpserver", PYTHON, "identifier", r"^(make_)?httpserver$"),
    of_kinds("aioresponses", PYTHON, "call decorator", r"^@?aioresponses\("),
    of_kinds("VCR", PYTHON, "call decorator", r"^@?(\w*vcr\.use_cassette|pytest\.mark\.vcr)"),
    of_kinds(
        "a patch",
        PYTHON,
        "call decorator",
        r"(?i)^@?(mock\.|mocker\.|unittest\.mock\.)?(patch|patch\.object|monkeypatch\.setattr)"
        r"\([^)]*(quub|httpx|requests|aiohttp)",
    ),
    of_kinds("httptest", GO, "call_expression", r"^httptest\.New(TLS|Unstarted)?Server\("),
    of_kinds("gock", GO, "call_expression", r"^gock\.New\("),
    of_kinds("httpmock", GO, "call_expression", r"^httpmock\.Activate"),
    of_kinds("WireMock", JAVA, "object_creation_expression", r"^new WireMockServer\b"),
    of_kinds("WireMock", JAVA, "annotation marker_annotation", _ANNOTATED),
    of_kinds("MockWebServer", JAVA, "object_creation_expression", r"^new MockWebServer\b"),
    of_kinds("MockRestServiceServer", JAVA, "method_invocation", r"^MockRestServiceServer\."),
    of_kinds("a mock object", JAVA, "field_declaration", r"(?is)@(Mock|MockBean|MockitoBean)\b.*quub"),
    of_kinds("a mock object", JAVA, "method_invocation", r"(?i)^(Mockito\.)?mock\(quub"),
    of_kinds("a fake", SCRIPT, "identifier", _FAKE),
    of_kinds("a fake", TYPESCRIPT, "type_identifier", _FAKE),
    of_kinds("a fake", PYTHON, "identifier", _FAKE),
    of_kinds("a fake", (*GO, *JAVA), "identifier type_identifier", _FAKE),
    of_kinds("handler", SCRIPT, "call_expression", _HANDLER),
    of_kinds("block", SCRIPT, "call_expression", r"^\w+\.disableNetConnect\("),
    of_kinds("block", SCRIPT, "call_expression", r"(?s)^\w+\.listen\(.*onUnhandledRequest:\s*['\"`]error"),
    of_kinds("block", PYTHON, "call", r"^(pytest_socket\.)?(disable_socket|socket_allow_hosts)\("),
    of_kinds("block", PYTHON, "decorator", r"^@pytest\.mark\.(disable_socket|block_network)\b"),
    of_kinds("way out", SCRIPT, "call_expression", r"^fetchMock\.spy\("),
    of_kinds("way out", SCRIPT, "pair", r"^(onNoMatch:\s*['\"`]passthrough|fallbackToNetwork:\s*(true|['\"`]always))"),
    of_kinds("way out", PYTHON, "keyword_argument", r"^real_http\s*=\s*True$"),
    of_kinds("no recording", PYTHON, "keyword_argument", r"^record_mode\s*=.*(none|NONE)"),
)

SETTINGS = ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini")
"""Where pytest is told to block the network."""

_LITERAL = re.compile("[a-zA-Z]{0,2}[\"'`]")
_BLOCKED = re.compile(r"--(disable-socket|block-network)\b")
_NO_RECORDING = re.compile(r"--record-mode[= ]none\b")
_TEST = re.compile(
    r"(^|/)(test_[^/]*\.py|[^/]*(_test\.(py|go)|[.-](test|spec|e2e)\.[cm]?[jt]sx?|Tests?\.(java|kt)))$", re.IGNORECASE
)
"""Files that are run by themselves; all others in tests serve them."""

CASSETTES = ("**/*cassettes*/**", "**/__recordings__/**")
"""Where VCR, its kin and Polly keep what they recorded."""

MAX_CASSETTES = 200
MAX_CASSETTE_BYTES = 1 << 20

_ANSWERED_AT = re.compile(r"\b\d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT\b")
_CREDENTIAL = re.compile(
    r"""(?ix) ["']?(?:name["']?:\s*["'])?(authorization|x-(?:quub-)?api-?key|x-quub-\w+|cookie)["']?
    (?:,\s*["']?value["']?)?\s*:[\s\["'-]*  # of HAR, of JSON, of YAML
    (?:bearer\s+|basic\s+|token\s+)?(?=[\w.~+/=%-]*\d)([\w.~+/=%-]{20,})"""
)
_MADE_UP = re.compile(r"(?i)fake|test|dummy|example|redact|filter|placeholder|mask|sample|x{4}|0{6}|1234")
_SUPPORT = re.compile(
    r"(?i)(^|/)(conftest\.py$|__mocks__/|(mocks?|fixtures?|fakes?|helpers?|support)/|[^/]*(setup|server|handlers)[^/]*$)"
)
"""Files that serve the tests of other files."""


PRODUCTION_HOSTS = ("api.quub.fi", "ws.quub.fi")
"""Of Quub. The guide."""


class MockParameters(Parameters):
    """What the checklist may set under `with:`."""

    production_hosts: tuple[str, ...] = PRODUCTION_HOSTS
    """Hosts of Quub's production that no test may reach, beside those that production declares. The guide."""

    max_cassette_age_days: float = Field(default=180, gt=0)
    """Days since the newest answer in a cassette of Quub. House rule: interfaces change twice a year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cassette:
    """What was recorded of Quub in one file."""

    path: str
    answered_at: datetime | None
    """The newest date of an answer; None where none is there."""
    credentials: Sequence[str] = ()
    """Names of headers whose value looks like a credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the tests of one repository do."""

    repository: str
    mentions: Sequence[Match]
    """Names and literals in tests that speak of Quub or name one of its hosts."""
    is_used: bool
    """Code that runs in production names something after Quub, or one of its hosts."""
    matches: Sequence[Match]
    """What `PATTERNS` found in tests."""
    credentials: Sequence[LeakedSecret]
    """In tests, samples left out."""
    settings: Mapping[str, str]
    """The text of what configures pytest, by path."""
    packages: Sequence[str] = ("",)
    """Folders with a manifest, the longest path first; `` is the root."""
    cassettes: Sequence[Cassette] = ()

    def is_blocked(self, file: str) -> bool:
        """Whether requests that nothing answers are errors in a file: by itself, by its package or by one around it."""
        return self._is_told(file, "block", _BLOCKED)

    def is_package_blocked(self, file: str) -> bool:
        """The same, where any test of the package does it: a test that only names a host need not send anything."""
        return self.is_blocked(f"{file.rpartition('/')[0]}/")

    def records_nothing(self, file: str) -> bool:
        """Whether cassettes are only played in a file."""
        return self._is_told(file, "no recording", _NO_RECORDING)

    def _is_told(self, file: str, pattern: str, setting: re.Pattern[str]) -> bool:
        scopes = [path.rpartition("/")[0] for path, text in self.settings.items() if setting.search(text)]
        for match in self.matches:
            other = match.location.file
            if match.pattern == pattern and (other == file or not (_TEST.search(file) and _TEST.search(other))):
                scopes.append(package_of(other, self.packages))
        return any(not scope or f"{file}/".startswith(f"{scope}/") for scope in scopes)


@check("Unit tests answer in place of Quub", each=Repository)
def tests(
    subject: Repository, repositories: Repositories, environment: Environment, clock: Clock, wanted: MockParameters
) -> Iterator[Finding]:
    """One finding for the repository, and one for each place that reaches further."""
    hosts = production_hosts(environment, wanted.production_hosts)
    in_tests = {file.path for file in repositories.files(subject) if not file.is_production}
    found = repositories.search(subject, patterns=(*PATTERNS, *_mentions(hosts)), is_production_only=False)
    mentions = [match for match in found.matches if match.pattern == "mention"]
    manifests = repositories.files(subject, globs=MANIFESTS)
    touched = [match for match in mentions if match.location.file in in_tests]
    seen = Seen(
        repository=subject.name,
        mentions=touched,
        is_used=any(m.location.file not in in_tests and _is_use(m, hosts) for m in mentions),
        matches=[m for m in found.matches if m.location.file in in_tests and m.pattern != "mention"],
        credentials=[
            secret
            for secret in (repositories.secrets(subject).secrets if touched else ())
            if secret.is_in_tree and not secret.is_sample and secret.location.file in in_tests
        ],
        settings={
            file.path: repositories.read(subject, file.path).text
            for file in repositories.files(subject, globs=SETTINGS)
        },
        packages=sorted({file.path.rpartition("/")[0] for file in manifests}, key=len, reverse=True),
        cassettes=list(_cassettes(subject, repositories, hosts)),
    )
    yield from judge(seen, hosts)
    yield from judge_cassettes(seen, clock.now(), wanted.max_cassette_age_days)
    yield from unread(subject.name, [(file, why) for file, why in found.unreadable if file in in_tests])


def _cassettes(repository: Repository, repositories: Repositories, hosts: Sequence[str]) -> Iterator[Cassette]:
    """Those that speak of Quub, the first `MAX_CASSETTES` files looked at."""
    files = repositories.files(repository, globs=CASSETTES)
    readable = [file.path for file in files if not file.is_binary and file.size_bytes <= MAX_CASSETTE_BYTES]
    for path in readable[:MAX_CASSETTES]:
        text = repositories.read(repository, path).text
        if re.search("|".join(("quub", *map(re.escape, hosts))), text, re.IGNORECASE):
            yield read_cassette(path, text)


def read_cassette(path: str, text: str) -> Cassette:
    """Dates of answers and headers of requests, whatever the format: YAML, JSON, HAR."""
    dates = (parsedate_to_datetime(found) for found in _ANSWERED_AT.findall(text) if _is_date(found))
    named = (name.lower() for name, value in _CREDENTIAL.findall(text) if not _MADE_UP.search(value))
    return Cassette(path=path, answered_at=max(dates, default=None), credentials=tuple(dict.fromkeys(named)))


def _is_date(text: str) -> bool:
    try:
        return parsedate_to_datetime(text).tzinfo is not None
    except ValueError:
        return False


def production_hosts(environment: Environment, known: Iterable[str]) -> tuple[str, ...]:
    """Those that are `known`, and those that environments of the stage production declare."""
    declared = (
        urlsplit(url).hostname or ""
        for each in (environment, *environment.siblings)
        if each.stage == "production" and each.quub
        for url in (each.quub.api_url, each.quub.ws_url)
    )
    return tuple(dict.fromkeys(host.lower() for host in (*known, *declared) if host))


def _is_use(mention: Match, hosts: Sequence[str]) -> bool:
    """Texts that name Quub alone are for people to read."""
    return not _LITERAL.match(mention.text) or any(host in mention.text.lower() for host in hosts)


def _mentions(hosts: Sequence[str]) -> tuple[Pattern, ...]:
    regex = f"(?i){'|'.join(('quub', *(re.escape(host) for host in hosts)))}"
    return (
        of_kinds("mention", SCRIPT, "string template_string identifier property_identifier", regex),
        of_kinds("mention", TYPESCRIPT, "type_identifier", regex),
        of_kinds("mention", PYTHON, "string identifier", regex),
        of_kinds("mention", GO, "interpreted_string_literal raw_string_literal identifier field_identifier", regex),
        of_kinds("mention", JAVA, "string_literal identifier type_identifier", regex),
    )


def judge(seen: Seen, hosts: Sequence[str]) -> Iterator[Finding]:
    """What reaches further first, then what answers in place of Quub."""
    yield from _judge_reach(seen, hosts)
    touching = {match.location.file for match in seen.mentions}
    if not touching:
        if seen.is_used:
            yield _shows_nothing(seen)
        return
    layers = [
        match
        for match in seen.matches
        if match.pattern in LAYERS and (match.location.file in touching or _SUPPORT.search(match.location.file))
    ]
    ways_out = [
        match
        for match in seen.matches
        if match.pattern == "way out"
        and (match.location.file in touching or not _TEST.search(match.location.file))
        and not seen.is_blocked(match.location.file)
    ]
    yield from (_goes_out(seen, "a way out", match) for match in ways_out)
    leaks: dict[str, Match] = {}
    for match in layers:
        if not _is_closed(seen, match):
            leaks.setdefault(match.pattern, match)
    for name, match in leaks.items():
        yield _goes_out(seen, name, match) if LAYERS[name] == "open" else _records(seen, name, match)
    observed = f"Quub is touched in {cut(sorted(touching))}"
    expected = "something that answers in its place"
    if not layers:
        yield Finding.undecided(
            subject=seen.repository,
            observed=f"{observed}, and nothing is seen",
            expected=expected,
            next_step="answer in place of Quub by a library or by a class that is named like one (`FakeQuub`)",
        )
    elif not leaks:
        told = f"{observed}; {cut(sorted({match.pattern for match in layers}))} in its place"
        yield Finding.of(True, subject=seen.repository, observed=told, expected=expected)


def _judge_reach(seen: Seen, hosts: Sequence[str]) -> Iterator[Finding]:
    for secret in seen.credentials:
        yield Finding.of(
            False,
            subject=f"{seen.repository}:{secret.location}",
            observed=f"{secret.description or secret.rule} {secret.fingerprint}",
            expected="no credential in tests",
            location=secret.location,
        )
    names = re.compile(rf"(?i)(?<![\w.-])({'|'.join(map(re.escape, hosts))})(?![\w-]|\.\w)") if hosts else None
    for mention in seen.mentions:
        host = names.search(mention.text) if names and _LITERAL.match(mention.text) else None
        if host is None:
            continue
        if not seen.is_package_blocked(mention.location.file) and not _is_answered(mention, seen.matches):
            yield Finding.of(
                False,
                subject=f"{seen.repository}:{mention.location}",
                observed=f"names {host[1]}, and nothing blocks the network",
                expected="no host of production in tests",
                location=mention.location,
            )


def _is_answered(mention: Match, matches: Sequence[Match]) -> bool:
    """Whether the literal stands in what is answered: `nock('https://...')`, `responses.get('https://...')`."""
    line = mention.location.line or 0
    return any(
        match.location.file == mention.location.file
        and (match.location.line or 0) <= line <= (match.location.line or 0) + match.text.count("\n")
        and mention.text in match.text
        for match in matches
        if match.pattern == "handler" or match.pattern in LAYERS
    )


def _goes_out(seen: Seen, name: str, match: Match) -> Finding:
    return Finding.of(
        False,
        subject=f"{seen.repository}: {name}",
        observed="requests that nothing answers go out",
        expected="they are errors: `disableNetConnect()`, `onUnhandledRequest: 'error'`",
        location=match.location,
    )


def _records(seen: Seen, name: str, match: Match) -> Finding:
    return Finding.undecided(
        subject=f"{seen.repository}: {name}",
        observed="requests without a cassette may be recorded from the real thing",
        expected="`record_mode` none, or the network blocked",
        location=match.location,
        next_step="set `record_mode` to none, or block the network: `--record-mode=none`, `--block-network`",
    )


def _is_closed(seen: Seen, match: Match) -> bool:
    """Whether a request that nothing answers is an error where the layer is used."""
    manner, file = LAYERS[match.pattern], match.location.file
    return seen.is_blocked(file) or manner == "closed" or (manner == "recording" and seen.records_nothing(file))


def judge_cassettes(seen: Seen, now: datetime, max_age_days: float) -> Iterator[Finding]:
    """What was recorded long ago, and what was recorded too much."""
    for each in seen.cassettes:
        days = (now - each.answered_at) / timedelta(days=1) if each.answered_at else 0.0
        if days > max_age_days:
            yield Finding.undecided(
                subject=f"{seen.repository}:{each.path}",
                observed=f"its newest answer of Quub is {days:.0f} days old",
                expected=f"{max_age_days:g} days or less",
                location=Location(file=each.path),
                next_step="record it anew against the sandbox",
            )
        if each.credentials:
            yield Finding.undecided(
                subject=f"{seen.repository}:{each.path}",
                observed=f"{cut(each.credentials)} holds what looks like a credential",
                expected="headers with credentials are left out",
                location=Location(file=each.path),
                next_step="record it anew with `filter_headers`, or write a value that is seen to be made up",
            )


def _shows_nothing(seen: Seen) -> Finding:
    return Finding.undecided(
        subject=seen.repository,
        observed="no test touches Quub, the code does",
        expected="tests of its client",
        next_step="test its client against answers of your own",
    )
