"""Unit tests answer in place of Quub, and no request of theirs can leave the machine.

Pass          tests that touch Quub use a library that answers in its place, or a fake, and a request that nothing answers is an error
Fail          a test names a host of Quub's production while nothing blocks the network, or holds a real credential; requests that nothing answers go out (nock, msw and undici let them by default)
Inconclusive  no test touches Quub, or nothing is seen that answers in its place; cassettes of VCR may be recorded anew by default and are told
Error         the checkout is not there, or a file of it could not be read; one of several repositories uses Quub and no test of it does
Needs         a checkout of the code
Source        the guide, Testing; the documentation of each library for its defaults
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from quub_audit.sdk import (
    Environment,
    Finding,
    Language,
    LeakedSecret,
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
    of_kinds("no recording", PYTHON, "keyword_argument", r"^record_mode\s*=.*(none|NONE)"),
)

SETTINGS = ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini")
"""Where pytest is told to block the network."""

_BLOCKED = re.compile(r"--(disable-socket|block-network)\b")
_NO_RECORDING = re.compile(r"--record-mode[= ]none\b")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the tests of one repository do."""

    repository: str
    mentions: Sequence[Match]
    """Names and literals in tests that speak of Quub or name one of its hosts."""
    is_used: bool
    """Code that runs in production speaks of Quub."""
    matches: Sequence[Match]
    """What `PATTERNS` found in tests."""
    credentials: Sequence[LeakedSecret]
    """In tests, samples left out."""
    settings: str
    """Of pytest, all together."""
    is_alone: bool = True
    """No other repository is declared."""

    @property
    def is_blocked(self) -> bool:
        """Whether requests that nothing answers are made errors, wherever they go."""
        return _BLOCKED.search(self.settings) is not None or any(match.pattern == "block" for match in self.matches)

    @property
    def records_nothing(self) -> bool:
        """Whether cassettes are only played."""
        is_told = any(match.pattern == "no recording" for match in self.matches)
        return is_told or _NO_RECORDING.search(self.settings) is not None


@check("Unit tests answer in place of Quub", each=Repository)
def tests(
    subject: Repository, repositories: Repositories, environment: Environment, wanted: MockParameters
) -> Iterator[Finding]:
    """One finding for the repository, and one for each place that reaches further."""
    hosts = production_hosts(environment, wanted.production_hosts)
    in_tests = {file.path for file in repositories.files(subject) if not file.is_production}
    found = repositories.search(subject, patterns=(*PATTERNS, *_mentions(hosts)), is_production_only=False)
    mentions = [match for match in found.matches if match.pattern == "mention"]
    settings = [repositories.read(subject, file.path).text for file in repositories.files(subject, globs=SETTINGS)]
    touched = [match for match in mentions if match.location.file in in_tests]
    seen = Seen(
        repository=subject.name,
        mentions=touched,
        is_used=len(touched) < len(mentions),
        matches=[m for m in found.matches if m.location.file in in_tests and m.pattern != "mention"],
        credentials=[
            secret
            for secret in (repositories.secrets(subject).secrets if touched else ())
            if secret.is_in_tree and not secret.is_sample and secret.location.file in in_tests
        ],
        settings="\n".join(settings),
        is_alone=len(environment.repositories) == 1,
    )
    yield from judge(seen, hosts)
    yield from unread(subject.name, [(file, why) for file, why in found.unreadable if file in in_tests])


def production_hosts(environment: Environment, known: Iterable[str]) -> tuple[str, ...]:
    """Those that are `known`, and those that environments of the stage production declare."""
    declared = (
        urlsplit(url).hostname or ""
        for each in (environment, *environment.siblings)
        if each.stage == "production" and each.quub
        for url in (each.quub.api_url, each.quub.ws_url)
    )
    return tuple(dict.fromkeys(host.lower() for host in (*known, *declared) if host))


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
    by_name: dict[str, Match] = {}
    for match in layers:
        by_name.setdefault(match.pattern, match)
    for name, match in by_name.items():
        yield from _judge_layer(seen, name, match)
    observed = f"Quub is touched in {cut(sorted(touching))}"
    expected = "something that answers in its place"
    if not layers:
        yield Finding.warning(subject=seen.repository, observed=f"{observed}, and nothing is seen", expected=expected)
    elif all(_is_closed(seen, name) for name in by_name):
        told = f"{observed}; {cut(sorted(by_name))} in its place"
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
        host = names.search(mention.text) if names and mention.text[:1] in "\"'`bfru" else None
        if host is None:
            continue
        if not seen.is_blocked and not _is_answered(mention, seen.matches):
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


def _judge_layer(seen: Seen, name: str, match: Match) -> Iterator[Finding]:
    subject = f"{seen.repository}: {name}"
    if _is_closed(seen, name):
        return
    if LAYERS[name] == "open":
        yield Finding.of(
            False,
            subject=subject,
            observed="requests that nothing answers go out",
            expected="they are errors: `disableNetConnect()`, `onUnhandledRequest: 'error'`",
            location=match.location,
        )
    else:
        yield Finding.warning(
            subject=subject,
            observed="requests without a cassette may be recorded from the real thing",
            expected="`record_mode` none, or the network blocked",
            location=match.location,
        )


def _is_closed(seen: Seen, name: str) -> bool:
    """Whether a request that nothing answers is an error."""
    manner = LAYERS[name]
    return seen.is_blocked or manner == "closed" or (manner == "recording" and seen.records_nothing)


def _shows_nothing(seen: Seen) -> Finding:
    if seen.is_alone:
        return Finding.warning(
            subject=seen.repository, observed="no test touches Quub, the code does", expected="tests of its client"
        )
    return Finding.error(
        subject=seen.repository,
        message=f"{seen.repository}: the code speaks of Quub, and no test of it does",
        next_step="test its client against answers of your own",
    )
