"""No log of the service holds personal data or a secret in clear.

Pass          in `min_events` events or more of at least `coverage_percent` of the log groups (or of the files), spread over the last `window_h` hours, nothing of `kinds` stands in clear
Fail          an event holds a payment card, an IBAN, a national id, a token, a key or a password; e-mail addresses or phone numbers stand in more than `max_email_rate` of the events; code hands personal data to Sentry, or prints whole request bodies
Inconclusive  no logs are declared; nothing but masking policies or code was seen; or, whatever other logs are, too few events of a declared source were written to tell
Error         a group or file could not be read; a declared prefix or glob matches nothing
Needs         `logs:DescribeLogGroups`, `logs:FilterLogEvents`, `logs:GetDataProtectionPolicy`, `logs:DescribeAccountPolicies`, `logs:DescribeSubscriptionFilters`, never `logs:Unmask`; or the files
Source        OWASP ASVS v5.0.0-16.2.5 and 14.2.1; PCI DSS 4.0, 3.3 and 3.4.1; GDPR, articles 5 and 32; ISO/IEC 7812 (Luhn), ISO 7064 (mod 97)

A sample can show that something stands in the logs, and never that nothing does. Events are classified where they are read: findings name the kind, the place and the count, and no value leaves. What counts as what is told in `docs/precision.md`.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydantic import Field

from quub_audit.sdk import (
    Aws,
    Finding,
    Grade,
    Logs,
    LogSample,
    LogSource,
    Match,
    Parameters,
    Pattern,
    PiiKind,
    Region,
    Repositories,
    Repository,
    Search,
    Sighting,
    check,
    cut,
    subjects,
)

CLEAN = "no personal data and no secret in clear"
MORE_EVENTS = "audit again when more was logged, widen `window_h`, or lower `min_events` to what is usual there"
FEW_FORMS = 2
"""A group whose events have no more forms shows little of what the service writes."""

Language = Literal["javascript", "typescript", "tsx", "python", "go", "java"]

TOLERABLE: Final = frozenset({"e-mail address", "phone number"})
"""Kinds that may be a service's way to name its users; `max_email_rate` speaks of them."""


class LogParameters(Parameters):
    """What the checklist may set under `with:`."""

    min_events: int = Field(default=1000, ge=1)
    """Events per group, or lines per source of files, below which nothing can be told."""

    coverage_percent: int = Field(default=80, ge=1, le=100)
    """Percent of the declared groups that must have so many events."""

    window_h: float = Field(default=24.0, gt=0, le=24 * 30)
    """Hours before the audit that are looked at."""

    slices: int = Field(default=12, ge=1, le=96)
    """Windows that those hours are cut into, so that the sample holds more than one hour of the day."""

    max_events: int = Field(default=3000, ge=1, le=1_000_000)
    """Most events per group, or lines per source of files."""

    max_bytes: int = Field(default=8 * 1024 * 1024, ge=4096, le=1 << 30)
    """Most bytes of them."""

    kinds: tuple[PiiKind, ...] = Field(default=get_args(PiiKind), min_length=1)
    """What is looked for."""

    max_email_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share (ratio, 0 to 1) of events that may hold e-mail addresses or phone numbers: 0.0001 where an address is the
    declared name of a user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGroup:
    """One group of CloudWatch Logs."""

    source: str
    region: Region
    name: str
    protection: str = ""
    """`ACTIVATED` where it has a data protection policy of its own."""
    is_protected_by_account: bool = False

    def __str__(self) -> str:
        return f"{self.region}:{self.name}"


@subjects(each=LogSource, permissions=["logs:DescribeLogGroups"])
def log_groups(source: LogSource, aws: Aws) -> Iterator[LogGroup]:
    """Groups that one of the source's prefixes names, each once, by name."""
    yield from groups_of(source, aws)


@check("Log groups hold no personal data and no secret", each=log_groups, permissions=["logs:FilterLogEvents"])
def group(subject: LogGroup, logs: Logs, wanted: LogParameters) -> Iterator[Finding]:
    """A fail for what stands in clear. That nothing does is for the whole source to say."""
    yield from judge_sample(str(subject), sample_of(subject, logs, wanted), wanted)


@check(
    "Enough events of the log groups were looked at, and none of them holds personal data or a secret",
    each=LogSource,
    permissions=["logs:DescribeLogGroups", "logs:FilterLogEvents"],
)
def groups(subject: LogSource, aws: Aws, logs: Logs, wanted: LogParameters) -> Iterator[Finding]:
    """The samples are those that the groups were judged by; each is taken once."""
    found = groups_of(subject, aws)
    yield from judge_prefixes(subject, found)
    samples = [sample_of(each, logs, wanted) for each in found]
    if samples:
        yield from judge_coverage(f"{subject.name}: {len(samples)} log groups", samples, wanted)


@check("Log files hold no personal data and no secret", each=LogSource)
def files(subject: LogSource, logs: Logs, wanted: LogParameters) -> Iterator[Finding]:
    """A fail for each file with something in clear, an error for each that cannot be read, a pass for all together."""
    if not subject.files:
        return
    samples = logs.sample_files(subject, max_events=wanted.max_events, max_bytes=wanted.max_bytes)
    for sample in samples:
        if sample.unread:
            yield Finding.error(subject=sample.source, message=f"{sample.source} was not looked at: {sample.unread}")
        else:
            yield from judge_sample(sample.source, sample, wanted)
    yield from judge_files(f"{subject.name}: {len(samples)} files", samples, wanted)


@check(
    "Masking policies mask, and no subscription ships what they hide",
    each=log_groups,
    permissions=["logs:DescribeAccountPolicies", "logs:DescribeSubscriptionFilters", "logs:GetDataProtectionPolicy"],
    grade=Grade.CONTROL_PLANE,
)
def protection(subject: LogGroup, aws: Aws, wanted: LogParameters) -> Iterator[Finding]:
    """Only groups with a policy, of their own or of the account; without one, code masks or nobody does."""
    documents: list[Any] = []
    if subject.protection == "ACTIVATED":
        own = aws.find("logs.GetDataProtectionPolicy", region=subject.region, logGroupIdentifier=subject.name) or {}
        documents.append(own.get("policyDocument"))
    if subject.is_protected_by_account:
        told = aws.ask("logs.DescribeAccountPolicies", region=subject.region, policyType="DATA_PROTECTION_POLICY")
        documents += [policy.get("policyDocument") for policy in told.get("accountPolicies", ())]
    if not documents:
        return
    filters = aws.ask("logs.DescribeSubscriptionFilters", region=subject.region, logGroupName=subject.name)
    shipped = [str(each.get("destinationArn", "")) for each in filters.get("subscriptionFilters", ())]
    told = aws.ask("logs.DescribeAccountPolicies", region=subject.region, policyType="SUBSCRIPTION_FILTER_POLICY")
    shipped += [
        f"the account's {policy.get('policyName', 'subscription')}" for policy in told.get("accountPolicies", ())
    ]
    yield from judge_protection(str(subject), documents, shipped)


@check("Code hands no personal data to logs and error trackers", each=Repository)
def code(subject: Repository, repositories: Repositories, wanted: LogParameters) -> Iterator[Finding]:
    """Fails and warnings alone: code that shows no fault proves nothing about what is logged."""
    yield from judge_code(subject.name, repositories.search(subject, patterns=PATTERNS))


# What the logs are asked


def groups_of(source: LogSource, aws: Aws) -> tuple[LogGroup, ...]:
    """The groups that the source's prefixes name, by name; none where it has no region."""
    if source.region is None:
        return ()
    found: dict[str, LogGroup] = {}
    for prefix in source.groups:
        answer = aws.ask("logs.DescribeLogGroups", region=source.region, logGroupNamePrefix=prefix)
        for each in answer.get("logGroups", ()):
            name = str(each["logGroupName"])
            found[name] = LogGroup(
                source=source.name,
                region=source.region,
                name=name,
                protection=str(each.get("dataProtectionStatus") or ""),
                is_protected_by_account="ACCOUNT_DATA_PROTECTION" in (each.get("inheritedProperties") or ()),
            )
    return tuple(found[name] for name in sorted(found))


def sample_of(subject: LogGroup, logs: Logs, wanted: LogParameters) -> LogSample:
    """The sample by which a group is judged; asked once, however many want it."""
    return logs.sample_group(
        subject.region,
        subject.name,
        window_h=wanted.window_h,
        slices=wanted.slices,
        max_events=wanted.max_events,
        max_bytes=wanted.max_bytes,
    )


# What it comes to


def judge_sample(subject: str, sample: LogSample, wanted: LogParameters) -> Iterator[Finding]:
    """A fail for what stands in clear, a warning for addresses within `max_email_rate`; nothing for a clean sample."""
    seen = [each for each in sample.sightings if each.kind in wanted.kinds]
    bad = [each for each in seen if each.kind not in TOLERABLE]
    tolerable = [each for each in seen if each.kind in TOLERABLE]
    if any(each.count > wanted.max_email_rate * sample.events for each in tolerable):
        bad += tolerable
        tolerable = []
    if bad:
        yield Finding.of(
            False,
            subject=subject,
            observed=f"{cut(wording(bad))} in {sample.events} events",
            expected=CLEAN,
            message=f"{subject}: {cut(wording(bad))} in {sample.events} events; {newest_place(bad)}; "
            "log named fields only, mask at the logger, and purge what was written",
        )
    if tolerable:
        yield Finding.warning(
            subject=subject,
            observed=f"{cut(wording(tolerable))} in {sample.events} events",
            expected=f"in at most {wanted.max_email_rate:g} of the events, as the checklist allows",
        )


def judge_coverage(subject: str, samples: Sequence[LogSample], wanted: LogParameters) -> Iterator[Finding]:
    """A pass when enough groups have enough events and none holds anything; undecided when there are too few to tell.

    Nothing where one holds something: that group has failed. Raises ValueError for no sample.
    """
    if not samples:
        raise ValueError(f"{subject}: no sample to judge")
    if not all(is_clean(sample, wanted) for sample in samples):
        return
    told = sum(sample.events >= wanted.min_events for sample in samples)
    events = sum(sample.events for sample in samples)
    observed = f"{told} of {len(samples)} groups with {wanted.min_events} events or more, {events} events in all"
    if told * 100 < wanted.coverage_percent * len(samples):
        quiet = cut(f"{each.source} ({each.events})" for each in samples if each.events < wanted.min_events)
        yield Finding.undecided(
            subject=subject,
            observed=f"{observed}; too few events in {quiet}",
            expected=f"{wanted.coverage_percent} % of the groups",
            next_step=MORE_EVENTS,
        )
        return
    alike = [each.source for each in samples if each.events >= wanted.min_events and each.forms <= FEW_FORMS]
    if alike:
        yield Finding.warning(
            subject=subject,
            observed=f"nearly all events look alike in {cut(alike)}, as those of health checks do",
            expected=f"more than {FEW_FORMS} forms of events, so that the sample shows what requests log",
        )
    yield Finding.of(True, subject=subject, observed=f"{CLEAN} in {events} events", expected=CLEAN)


def judge_files(subject: str, samples: Sequence[LogSample], wanted: LogParameters) -> Iterator[Finding]:
    """The same for all files of a source together; nothing where one was not read or holds something."""
    if not samples:
        raise ValueError(f"{subject}: no sample to judge")
    if any(sample.unread or not is_clean(sample, wanted) for sample in samples):
        return
    events = sum(sample.events for sample in samples)
    if events < wanted.min_events:
        yield Finding.undecided(
            subject=subject,
            observed=f"{events} lines, too few to tell",
            expected=f"{wanted.min_events} lines or more",
            next_step=MORE_EVENTS,
        )
        return
    yield Finding.of(True, subject=subject, observed=f"{CLEAN} in {events} lines", expected=CLEAN)


def judge_prefixes(source: LogSource, found: Sequence[LogGroup]) -> Iterator[Finding]:
    """An error for each declared prefix that names no group: a typing mistake must not look like silence."""
    for prefix in source.groups:
        if source.region is not None and not any(each.name.startswith(prefix) for each in found):
            yield Finding.error(
                subject=f"{source.region}:{prefix}",
                message=f"{source.name}: no log group of {source.region} begins with {prefix}",
                next_step=f"correct logs.{source.name}.groups in environments.yaml",
            )


def judge_protection(subject: str, documents: Sequence[Any], shipped: Sequence[str]) -> Iterator[Finding]:
    """A control plane's pass for a policy that masks; a warning for one that only counts, and for raw copies."""
    if not any(masks(document) for document in documents):
        yield Finding.warning(
            subject=subject,
            observed="the data protection policy audits and masks nothing",
            expected="a statement with Deidentify",
        )
        return
    if shipped:
        yield Finding.warning(
            subject=subject,
            observed=f"subscriptions ship events to {cut(shipped)}",
            expected="masked there as well: what the policy hides here is sent as it was written",
        )
    yield Finding.of(True, subject=subject, observed="a policy masks", expected="a policy masks", claim="masked")


def judge_code(repository: str, search: Search) -> Iterator[Finding]:
    """A fail for what cannot be mended further down, a warning for what a logger may still mask."""
    for match in search.matches:
        where = f"{repository}:{match.location.file}:{match.location.line}"
        if match.pattern in FAULTS:
            yield Finding.of(
                False,
                subject=where,
                observed=FAULTS[match.pattern],
                expected=CLEAN,
                message=f"{where}: {FAULTS[match.pattern]}; {_remedy(match)}",
                location=match.location,
            )
        else:
            yield Finding.warning(
                subject=where,
                observed="the logger is given a whole request",
                expected="named fields, or a logger that redacts",
                location=match.location,
            )
    for file, why in search.unreadable:
        yield Finding.warning(subject=f"{repository}:{file}", observed=f"it was not searched: {why}")


def is_clean(sample: LogSample, wanted: LogParameters) -> bool:
    """Whether the sample gives nothing to fail for."""
    bad = (each for each in sample.sightings if each.kind in wanted.kinds)
    return all(each.kind in TOLERABLE and each.count <= wanted.max_email_rate * sample.events for each in bad)


def wording(sightings: Iterable[Sighting]) -> Iterator[str]:
    """`3 of payment card (Luhn and issuer's range)`, most frequent first."""
    return (f"{each.count} × {each.kind} ({each.detail})" for each in sightings)  # noqa: RUF001


def newest_place(sightings: Sequence[Sighting]) -> str:
    """Where the newest of them stands, and when, as far as that is known."""
    dated = [each for each in sightings if each.first_at is not None]
    newest = max(dated, key=lambda each: each.first_at.timestamp() if each.first_at else 0.0) if dated else sightings[0]
    at = f" at {newest.first_at:%Y-%m-%d %H:%M} UTC" if newest.first_at else ""
    place = newest.place or "an unnamed stream"
    return f"the newest in {place}{at}"


def masks(document: Any) -> bool:
    """Whether a data protection policy has a statement that masks: `Deidentify`, and not `Audit` alone."""
    try:
        policy = json.loads(document) if isinstance(document, str) else document
    except ValueError:
        return False
    statements = policy.get("Statement") if isinstance(policy, Mapping) else None
    return isinstance(statements, list) and any(
        "Deidentify" in (each.get("Operation") or {}) for each in statements if isinstance(each, Mapping)
    )


def _remedy(match: Match) -> str:
    return "switch it off" if match.pattern == "tracker" else "log named fields"


# What the code is searched for

_JS: Final[tuple[Language, ...]] = ("javascript", "typescript", "tsx")
_CHANGED = "(?i)redact|mask|sanit|scrub|keys$|omit|pick|length|hash|anonym"
"""Functions that make something harmless of what they are given."""

FAULTS: Final = {
    "tracker": "the error tracker is told to send personal data (sendDefaultPii)",
    "printed": "a whole request is printed",
}

_JS_REQUEST: Final = r"^(req|request|ctx\.req|ctx\.request|c\.req|event)\.(body|headers|cookies|rawBody)$"
_PY_REQUEST: Final = r"^(self\.|flask\.)?request\.(data|json|form|POST|body|headers|cookies|get_json\(.{0,40}\))$"


def _given_request(name: str, languages: tuple[Language, ...], function: str) -> Pattern:
    """Calls of `function` with a whole request among the arguments, not one field of it, and not changed before."""
    is_python = languages == ("python",)
    call, member, element = (
        ("call", "attribute", "subscript")
        if is_python
        else ("call_expression", "member_expression", "subscript_expression")
    )
    rule = f"""
all:
  - kind: {call}
  - has: {{field: function, regex: '{function}'}}
  - has:
      field: arguments
      has:
        stopBy: end
        any: [{{kind: {member}}}, {{kind: {call}}}]
        regex: '{_PY_REQUEST if is_python else _JS_REQUEST}'
        not:
          any:
            - inside: {{kind: {member}}}
            - inside: {{kind: {element}}}
            - inside: {{stopBy: end, kind: {call}, has: {{field: function, regex: '{_CHANGED}'}}}}
"""
    return Pattern(name=name, languages=languages, rule=rule)


PATTERNS: Final = (
    Pattern(
        name="tracker", languages=_JS, rule=r"""{kind: pair, regex: '^["'']?sendDefaultPii["'']?\s*:\s*(true|!0)$'}"""
    ),
    Pattern(
        name="tracker", languages=("python",), rule=r"{kind: keyword_argument, regex: '^send_default_pii\s*=\s*True$'}"
    ),
    Pattern(name="tracker", languages=("go",), rule=r"{kind: keyed_element, regex: '^SendDefaultPII:\s*true$'}"),
    Pattern(
        name="tracker",
        languages=("java",),
        rule=r"{kind: method_invocation, regex: 'setSendDefaultPii\(\s*true\s*\)$'}",
    ),
    _given_request("printed", _JS, r"^console\.\w+$"),
    _given_request("printed", ("python",), "^print$"),
    _given_request(
        "logged", _JS, r"(?i)(^|\.)(log|logger|winston|pino)\.(trace|debug|verbose|info|log|http|warn|error|fatal)$"
    ),
    _given_request(
        "logged", ("python",), r"(?i)(^|\.)_?(log|logger|logging)\.(debug|info|warning|error|exception|critical|log)$"
    ),
)
"""Ways by which personal data come into logs."""
