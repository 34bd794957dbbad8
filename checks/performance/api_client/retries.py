"""Failed requests are sent again a few times, with growing and jittered pauses, and writes only with an idempotency key.

Pass          a policy of retries, of a library or written by hand beside the calls, ends after `max_attempts`, waits longer each time, with jitter, and repeats no more than `statuses` and no bare POST or PATCH
Fail          requests are sent and nothing repeats them; a policy has no end or too many attempts, waits the same time or not at all, has no jitter, repeats other statuses, or repeats POST or PATCH without an idempotency key
Inconclusive  no request is found in the code; what a policy does comes from elsewhere, for more than `max_untold` of the policies of a repository; it sends again in a way that was not understood. Whether each call goes through the policy is not followed
Error         the checkout is not there, or a file of it could not be read
Needs         a checkout of the code
Source        the guide, API Client; OWASP ASVS 5.0, 13.1.3; AWS Well-Architected REL05; RFC 9110, sections 9.2.2 (idempotent methods) and 10.2.3 (Retry-After)

Warned of: policies that are sound otherwise in a repository whose code never reads the header Retry-After, unless the library honours it by itself (got, urllib3, the delays of axios-retry). A server that says when to come back is asked too early by them.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import Field

from quub_audit.checks.performance.api_client._calls import (
    JS,
    SHOWN_CHARACTERS,
    Code,
    Site,
    import_patterns,
    look,
    occurrences,
    quoted,
    read_imports,
    sites,
)
from quub_audit.checks.performance.api_client._limits import options_of
from quub_audit.checks.performance.api_client._source import Names, chained, enclosed, keywords, number, pairs, split
from quub_audit.checks.performance.api_client._untold import tolerated
from quub_audit.sdk import Finding, Location, Match, Parameters, Pattern, Repositories, Repository, check, unread


class RetryParameters(Parameters):
    """What the checklist may set under `with:`."""

    max_attempts: int = Field(default=5, ge=1)
    """Times that one request is sent at most, the first included. House rule."""

    jitter: bool = True
    """Whether pauses must have a random part, lest all clients come back at once."""

    statuses: tuple[int, ...] = (408, 425, 429, 500, 502, 503, 504)
    """Statuses after which a request may be sent again."""

    max_untold: float = Field(default=0.2, ge=0, le=1)
    """Ratio of the policies of a repository that the code may not tell enough of, 0 to 1. House rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one place of the code says about sending again. None stands for what it does not tell."""

    location: Location
    shown: str
    attempts: float | None
    """Times a request is sent, the first included; infinite for no end."""
    grows: bool | None
    """Whether pauses grow."""
    is_jittered: bool | None
    statuses: tuple[int, ...] = ()
    repeats_writes: bool = False
    """Whether POST or PATCH is sent again without an idempotency key."""
    honours_retry_after: bool | None = None
    """Whether the library waits as long as the header Retry-After says; None where that is for the code to do."""


@check("Requests are sent again with an end, growing pauses and jitter", each=Repository)
def code(subject: Repository, repositories: Repositories, wanted: RetryParameters) -> Iterator[Finding]:
    """One finding for each policy; one for the repository when it sends requests and has none."""
    found = look(subject, repositories)
    repeating = list(policies(subject, repositories, found))
    hints = () if repeating else repositories.search(subject, patterns=(*_HINTS, *_loops())).matches
    named = [hint for hint in hints if hint.pattern == "hint" or _is_retry(hint.text)]
    judged = judge(found, repeating, wanted, hint=named[0].location if named else None)
    yield from tolerated(judged, wanted.max_untold)
    sound = [policy for policy in repeating if judge_policy(subject.name, policy, wanted).status.value == "pass"]
    reads_header = bool(sound and repositories.search(subject, patterns=_RETRY_AFTER).matches)
    yield from judge_retry_after(subject.name, sound, reads_header=reads_header)
    yield from unread(subject.name, found.unreadable)


def judge(
    code: Code, found: Sequence[Policy], wanted: RetryParameters, *, hint: Location | None = None
) -> Iterator[Finding]:
    """A finding for each policy; a fail where requests are sent without any; nothing where none are sent.

    `hint` is a place that is about sending again and was not understood: with it, the fail is undecided.
    """
    for policy in found:
        yield judge_policy(code.repository, policy, wanted)
    sending = [call.site for call in code.calls] or [site for site in code.clients if site.language == "java"]
    if sending and not found and hint is not None:
        yield Finding.undecided(
            subject=f"{code.repository}:{hint}",
            observed="sends again in a way that the code does not tell",
            expected=_expected(wanted),
            location=hint,
            next_step="send requests through a policy of a library that is known, or accept this one by a waiver",
        )
    elif sending and not found:
        first = sending[0]
        yield Finding.of(
            False,
            subject=f"{code.repository}:{first.location}",
            observed=f"{_places(len(sending))} requests, none is sent again",
            expected=_expected(wanted),
            message=f"{code.repository} sends requests ({first.shown}) and repeats none that fails for a moment; "
            "send them through one policy of retries",
            location=first.location,
        )


def _places(count: int) -> str:
    return "1 place sends" if count == 1 else f"{count} places send"


def judge_policy(repository: str, policy: Policy, wanted: RetryParameters) -> Finding:
    """A fail for the first fault, undecided for what is not told, else a pass."""
    subject = f"{repository}:{policy.location}"
    fault = _fault(policy, wanted)
    if fault:
        return Finding.of(
            False,
            subject=subject,
            observed=f"{policy.shown}: {fault}",
            expected=_expected(wanted),
            message=f"{subject} {fault}; bound the attempts, let pauses grow with jitter, repeat only what is safe",
            location=policy.location,
        )
    if policy.attempts is None or policy.grows is None or (wanted.jitter and policy.is_jittered is None):
        return Finding.undecided(
            subject=subject,
            observed=f"{policy.shown}: how often or after which pauses it repeats is not told by the code",
            expected=_expected(wanted),
            location=policy.location,
            next_step="state attempts and pauses where the policy is made, or raise `max_untold` if callers set them",
        )
    return Finding.of(
        True,
        subject=subject,
        observed=f"{policy.shown}: {policy.attempts:g} attempts, pauses grow"
        + (", with jitter" if policy.is_jittered else ""),
        expected=_expected(wanted),
        location=policy.location,
    )


def judge_retry_after(repository: str, found: Sequence[Policy], *, reads_header: bool) -> Iterator[Finding]:
    """One warning where a policy leaves the header to code that never reads it, or is told to ignore it."""
    deaf = [
        policy
        for policy in found
        if policy.honours_retry_after is False or (policy.honours_retry_after is None and not reads_header)
    ]
    if deaf:
        yield Finding.warning(
            subject=f"{repository}:{deaf[0].location}",
            observed=f"{deaf[0].shown}: ignores Retry-After",
            expected="waits as long as the header Retry-After says",
            location=deaf[0].location,
        )


def _expected(wanted: RetryParameters) -> str:
    return f"{wanted.max_attempts} attempts at most, pauses grow{', with jitter' if wanted.jitter else ''}"


def _fault(policy: Policy, wanted: RetryParameters) -> str:
    if policy.attempts is not None and policy.attempts > wanted.max_attempts:
        return "has no end" if math.isinf(policy.attempts) else f"sends a request {policy.attempts:g} times"
    if policy.grows is False:
        return "waits the same time, or not at all, before each attempt"
    if wanted.jitter and policy.is_jittered is False:
        return "has no jitter"
    odd = sorted(set(policy.statuses) - set(wanted.statuses))
    if odd:
        return f"repeats after {', '.join(map(str, odd))}"
    return "repeats POST or PATCH without an idempotency key" if policy.repeats_writes else ""


# What is searched for

_MODULES = "axios-retry|p-retry|async-retry|exponential-backoff|cockatiel|got|tenacity|urllib3|requests|backoff|stamina"
_PYTHON_MODULES = "tenacity|urllib3|requests|backoff|stamina"
_IMPORTED = rf"""(["']({_MODULES})["'/]|^(from|import)\s+(.*,\s*)?({_PYTHON_MODULES})\b)"""


_ELSEWHERE = (
    Pattern(
        name="bare",
        languages=("python",),
        rule=r"{kind: decorator, regex: '^@(tenacity[.])?retry$'}",
    ),
    Pattern(
        name="resilience4j",
        languages=("java",),
        rule=r"{kind: method_invocation, regex: '(?s)^RetryConfig[.](<[^>]*>)?custom\(\).*[.]build\(\)$'}",
    ),
    Pattern(name="retryable", languages=("java",), rule="{kind: annotation, regex: '^@Retryable'}"),
    Pattern(name="retryable", languages=("java",), rule="{kind: marker_annotation, regex: '^@Retryable$'}"),
    Pattern(
        name="go",
        languages=("go",),
        rule="{kind: call_expression, has: {field: function, regex: '^(backoff[.](Retry|RetryNotify)|retry[.]Do)$'}}",
    ),
)

_HINTS = tuple(
    Pattern(
        name="hint",
        languages=languages,  # type: ignore[arg-type]
        rule=f"all: [{{kind: {kind}}}, {{has: {{field: name, regex: '(?i-u)retr(y|ies)|back_?off'}}}}]",
    )
    for languages, kinds in (
        (JS, ("function_declaration", "method_definition", "class_declaration")),
        (("python",), ("function_definition", "class_definition")),
        (("go",), ("function_declaration", "method_declaration")),
        (("java",), ("method_declaration", "class_declaration")),
    )
    for kind in kinds
)
"""Functions and classes that are about sending again, by their names."""

_HEADER = r"""(?i-u)^["'`]?[A-Za-z_]*retry[-_]?after[A-Za-z_]*["'`]?$"""
_RETRY_AFTER = tuple(
    Pattern(
        name="header",
        languages=languages,  # type: ignore[arg-type]
        rule=f"{{kind: {kind}, regex: {quoted(_HEADER)}}}",
    )
    for languages, kinds in (
        (JS, ("string", "identifier", "property_identifier")),
        (("python",), ("string", "identifier")),
        (("go",), ("interpreted_string_literal", "identifier", "field_identifier")),
        (("java",), ("string_literal", "identifier")),
    )
    for kind in kinds
)
"""The name of the header, as a text or in a name."""

_SLEEPS = r"(?i-u)(sleep|setTimeout|delay|pause|wait|backoff)[A-Za-z_]*[ ]*\(|time[.]After\(|<-[ ]*[a-z.]*(time|after)"
_REPEATS = r"(?i-u)attempt|retr|tries|try|catch|except|err != nil"
_LOOPS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    JS: ("for_statement", "while_statement", "do_statement", "for_in_statement"),
    ("python",): ("for_statement", "while_statement"),
    ("go",): ("for_statement",),
    ("java",): ("for_statement", "while_statement", "do_statement"),
}


def _loops() -> Iterator[Pattern]:
    for languages, kinds in _LOOPS.items():
        for kind in kinds:
            yield Pattern(
                name="loop",
                languages=languages,  # type: ignore[arg-type]
                rule=f"all: [{{kind: {kind}}}, {{regex: {quoted(_SLEEPS)}}}, {{regex: {quoted(_REPEATS)}}}]",
            )


def policies(repository: Repository, repositories: Repositories, code: Code) -> Iterator[Policy]:
    """Every policy in the code, by library and then by hand."""
    first = repositories.search(repository, patterns=(*import_patterns(_IMPORTED), *_ELSEWHERE, *_loops()))
    modules = {(each.file, each.local): each for each in read_imports(first.matches)}
    names = sorted({re.escape(each.local) for each in modules.values()})
    if names:
        wanted = dict.fromkeys(("javascript", "typescript", "python"), f"^({'|'.join(names)})([.][A-Za-z_]+)*$")
        for site in sites(repositories.search(repository, patterns=tuple(occurrences(wanted))).matches):
            root = site.written.split(".")[0]
            source = modules.get((site.location.file, root))
            if source is not None and (policy := _by_library(source.module, source.exported, site, code.names)):
                yield policy
    for match in first.matches:
        policy = _ELSEWHERE_READERS[match.pattern](match, code.names) if match.pattern in _ELSEWHERE_READERS else None
        if policy is not None:
            yield policy
    yield from _by_hand(repository, repositories, [m for m in first.matches if m.pattern == "loop"], code)


def _policy(site: Site | Match, attempts: float | None, grows: bool | None, is_jittered: bool | None) -> Policy:
    line = " ".join(site.text.split())
    shown = line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1].rstrip() + "…"
    return Policy(location=site.location, shown=shown, attempts=attempts, grows=grows, is_jittered=is_jittered)


def _by_library(module: str, exported: str, site: Site, names: Names) -> Policy | None:
    called = site.written.split(".")[-1] if "." in site.written else exported
    for known, functions, reader in _READERS:
        if re.match(known, module) and re.fullmatch(functions, called):
            return reader(site, names)
    return None


# Libraries


def _attempts(
    options: Mapping[str, str], key: str, default: float, more: int, site: Site, names: Names
) -> float | None:
    value = number(options[key], names, site.location.file) if key in options else default
    return None if value is None else value + more


def _axios_retry(site: Site, names: Names) -> Policy:
    options = options_of(site, names) or {}
    delay, condition = options.get("retryDelay", ""), options.get("retryCondition", "")
    grows = True if re.search(r"exponential|linear|\*\*|pow|<<", delay) else _unknown(delay) if delay else False
    policy = _policy(site, _attempts(options, "retries", 3, 1, site, names), grows, None)
    jitter = "exponentialDelay" in delay or "random" in delay if grows is not None else None
    repeats = bool(re.search(r"=>\s*true\b", condition))
    is_own = re.fullmatch(r"(\w+\.)?(exponentialDelay|linearDelay\(.*\))", delay) is not None
    return replace(
        policy,
        is_jittered=jitter,
        repeats_writes=repeats,
        statuses=_compared(condition),
        honours_retry_after=is_own or None,
    )


def _unknown(delay: str) -> bool | None:
    """A pause that is computed elsewhere is not told; one of a number does not grow."""
    return None if re.fullmatch(r"[A-Za-z_$][\w$.]*(\(.*\))?", delay, re.DOTALL) else False


def _compared(text: str) -> tuple[int, ...]:
    return tuple(int(found) for found in re.findall(r"===?\s*([45]\d\d)\b", text))


def _p_retry(site: Site, names: Names) -> Policy:
    options = options_of(site, names) or {}
    factor = number(options.get("factor", "2"), names, site.location.file)
    is_random = options.get("randomize", "false") == "true"
    grows = None if factor is None else factor > 1
    return _policy(site, _attempts(options, "retries", 10, 1, site, names), grows, is_random)


def _async_retry(site: Site, names: Names) -> Policy:
    options = options_of(site, names) or {}
    factor = number(options.get("factor", "2"), names, site.location.file)
    is_random = options.get("randomize", "true") == "true"
    grows = None if factor is None else factor > 1
    return _policy(site, _attempts(options, "retries", 10, 1, site, names), grows, is_random)


def _exponential_backoff(site: Site, names: Names) -> Policy:
    options = options_of(site, names) or {}
    return _policy(
        site, _attempts(options, "numOfAttempts", 10, 0, site, names), True, "full" in options.get("jitter", "none")
    )


def _cockatiel(site: Site, names: Names) -> Policy:
    options = options_of(site, names) or {}
    pauses = options.get("backoff", "ConstantBackoff")
    grows = True if "ExponentialBackoff" in pauses else False if "ConstantBackoff" in pauses else None
    return _policy(site, _attempts(options, "maxAttempts", math.inf, 1, site, names), grows, grows)


def _got(site: Site, names: Names) -> Policy | None:
    options = options_of(site, names) or {}
    if "retry" not in options:
        return None
    text = options["retry"]
    told = pairs(text) if text.startswith("{") else {"limit": text}
    attempts = _attempts(told, "limit", 2, 1, site, names)
    if attempts == 1:
        return None
    statuses = tuple(int(found) for found in re.findall(r"\b[45]\d\d\b", told.get("statusCodes", "")))
    repeats = bool(re.search(r"POST|PATCH", told.get("methods", ""))) and "dempoten" not in site.text
    policy = _policy(site, attempts, True, True)
    return replace(policy, statuses=statuses, repeats_writes=repeats, honours_retry_after=True)


def _tenacity(site: Site, names: Names) -> Policy:
    options = keywords(site.parts or ())
    stop, wait = options.get("stop", ""), options.get("wait", "")
    counted = re.search(r"stop_after_attempt\(\s*([\w.]+)\s*\)", stop)
    attempts = number(counted[1], names, site.location.file) if counted else None if "stop" in stop else math.inf
    grows = (
        True if re.search(r"exponential|incrementing|chain", wait) else False if "fixed" in wait or not wait else None
    )
    jitter = bool(re.search(r"random|jitter", wait)) if grows is not None else None
    if attempts is None and "stop_after_delay" in stop:
        attempts = 1.0
    return _policy(site, attempts, grows, jitter)


def _urllib3(site: Site, names: Names) -> Policy:
    options = keywords(site.parts or ())
    first = next(iter(site.parts or ()), "")
    if first and "=" not in first:
        options.setdefault("total", first)
    factor = number(options.get("backoff_factor", "0"), names, site.location.file)
    jitter = number(options.get("backoff_jitter", "0"), names, site.location.file)
    methods = options.get("allowed_methods", options.get("method_whitelist", ""))
    statuses = tuple(int(found) for found in re.findall(r"\b[45]\d\d\b", options.get("status_forcelist", "")))
    repeats = methods in ("None", "False") or bool(re.search(r"POST|PATCH", methods))
    policy = _policy(
        site,
        _attempts(options, "total", 10, 1, site, names),
        None if factor is None else factor > 0,
        None if jitter is None else jitter > 0,
    )
    return replace(
        policy,
        statuses=statuses,
        repeats_writes=repeats and bool(statuses),
        honours_retry_after=options.get("respect_retry_after_header", "True") != "False",
    )


def _backoff(site: Site, names: Names) -> Policy:
    options = keywords(site.parts or ())
    wait = next(iter(site.parts or ()), "")
    attempts = _attempts(options, "max_tries", math.inf, 0, site, names)
    if "max_tries" not in options and "max_time" in options:
        attempts = 1.0
    grows = True if re.search(r"expo|fibo", wait) else False if "constant" in wait else None
    return _policy(site, attempts, grows, options.get("jitter", "full_jitter") != "None")


def _stamina(site: Site, names: Names) -> Policy:
    return _policy(site, _attempts(keywords(site.parts or ()), "attempts", 10, 0, site, names), True, True)


_Reader = Callable[[Site, Names], Policy | None]
_READERS: Final[tuple[tuple[str, str, _Reader], ...]] = (
    (r"axios-retry", r"default|axiosRetry|\*", _axios_retry),
    (r"p-retry", r"default|pRetry|\*", _p_retry),
    (r"async-retry", r"default|\*", _async_retry),
    (r"exponential-backoff", r"backOff", _exponential_backoff),
    (r"cockatiel", r"retry", _cockatiel),
    (r"got$", r"default|got|extend|get|post|put|patch|delete", _got),
    (r"tenacity", r"retry|Retrying|AsyncRetrying", _tenacity),
    (r"(requests\.)?(packages\.)?urllib3|requests", r"Retry", _urllib3),
    (r"backoff", r"on_exception|on_predicate", _backoff),
    (r"stamina", r"retry|retry_context", _stamina),
)
"""Module, functions and reader: the defaults of each library are in its reader."""


def _bare(match: Match, _: Names) -> Policy:
    return _policy(match, math.inf, False, False)


def _resilience4j(match: Match, names: Names) -> Policy:
    calls = chained(match.text)
    told = calls.get("intervalFunction", "")
    grows = True if "xponential" in told else None if told else False
    attempts = number(calls.get("maxAttempts", "3"), names, match.location.file)
    return _policy(match, attempts, grows, bool(re.search("Random", told)) if grows is not None else None)


def _retryable(match: Match, names: Names) -> Policy:
    options = keywords(split(enclosed(match.text) or ""))
    inner = keywords(split(enclosed(options.get("backoff", "")) or ""))
    factor = number(inner.get("multiplier", "0"), names, match.location.file)
    return _policy(
        match,
        number(options.get("maxAttempts", "3"), names, match.location.file),
        None if factor is None else factor > 1,
        inner.get("random", "false") == "true",
    )


def _go(match: Match, names: Names) -> Policy:
    if match.text.startswith("retry.Do"):
        counted = re.search(r"\bretry\.Attempts\(([^()]*)\)", match.text)
        attempts = number(counted[1], names, match.location.file) if counted else 10.0
        is_growing = "FixedDelay" not in match.text
        is_jittered = is_growing and "BackOffDelay" not in match.text
        return _policy(match, math.inf if attempts == 0 else attempts, is_growing, is_jittered)
    counted = re.search(r"With(?:MaxRetries|MaxTries)\((?:.*,)?\s*([\w.]+)\)", match.text)
    attempts = number(counted[1], names, match.location.file) if counted else None
    grows = True if "Exponential" in match.text else False if "Constant" in match.text else None
    return _policy(match, attempts, grows, grows)


_ELSEWHERE_READERS: Mapping[str, Callable[[Match, Names], Policy]] = {
    "bare": _bare,
    "resilience4j": _resilience4j,
    "retryable": _retryable,
    "go": _go,
}


# Loops written by hand

_GROWS = re.compile(
    r"\*\*|\bpow\(|<<|\*=\s*\d|\*\s*2\b|\b2\s*\*|\*\s*\(?\s*(attempt|retry|tries|i|n)\b|(?i:exponential)"
)
_RANDOM = re.compile(r"(?i)random|jitter|\brand\.")
_SENDS_AGAIN = re.compile(r"(?i)attempt|retr(y|ies)|\btries\b|backoff")
_RETURNS_THEN_CATCHES = re.compile(r"\btry\b.*\b(return|break)\b.*\b(catch|except)\b", re.DOTALL)
_PAUSE = re.compile(r"(?i)(?:sleep|settimeout|delay|pause|wait|backoff|after)\w*\s*\(")
_ENDS = re.compile(r"(?i)\b\w*(?:attempt|retr|tries|count|^i$)\w*\s*(?:>=|>|===?)\s*([\w.]+)")
_BOUND_LOOP = re.compile(r"^(?:for|while)\b[^{\n]*?(?:<=?)\s*([\w.]+)")
_RANGE = re.compile(r"^for\s+\w+\s+in\s+range\((?:[^(),]+,\s*)?([^(),]+)\)")
_WRITES = re.compile(r"""(?i)\.(post|patch)\s*\(|["'](POST|PATCH)["']|method\.Post|http\.MethodPost""")


def _by_hand(
    repository: Repository, repositories: Repositories, loops: Sequence[Match], code: Code
) -> Iterator[Policy]:
    files = {call.site.location.file for call in code.calls} | {site.location.file for site in code.clients}
    kept = [loop for loop in loops if loop.location.file in files and _is_retry(loop.text) and not _serves(loop.text)]
    if not kept:
        return
    names = sorted({name for loop in kept for name in _called_in_pause(loop.text)})
    bodies = _definitions(repository, repositories, names) if names else {}
    for loop in kept:
        yield _loop_policy(loop, [bodies[name] for name in _called_in_pause(loop.text) if name in bodies], code.names)


def _is_retry(text: str) -> bool:
    return bool(_PAUSE.search(text) and (_SENDS_AGAIN.search(text) or _RETURNS_THEN_CATCHES.search(text)))


def _serves(text: str) -> bool:
    """Whether a loop runs for as long as something is not stopped: it keeps a connection, it repeats no request."""
    return bool(re.match(r"^(while|for)\b[^{:\n]*(?i:stop|clos|running|connected|cancel|shutdown|done)", text))


def _pauses(text: str) -> Iterator[str]:
    """The arguments of each pause in a loop, and what the loop gives to the names that stand there."""
    for found in _PAUSE.finditer(text):
        inner = enclosed(text[found.end() - 1 :]) or ""
        yield inner
        for name in re.findall(r"[A-Za-z_]\w*", inner):
            for given in re.finditer(rf"\b{name}\b[^=\n]*:?=(?!=)\s*(.+)", text):
                yield given[1]


def _is_told(text: str) -> bool:
    """Whether every pause of a loop is a plain number, or is worked out from numbers within the loop."""
    plain = r"^(done|resolve|r|_)?[\s,]*[\d_.]+$|^\(?\s*(done|resolve|r|_|\(\))\b.*,\s*[\d_.]+\s*$"
    return all(re.search(plain, inner.strip(), re.DOTALL) for inner in _pauses(text))


def _called_in_pause(text: str) -> tuple[str, ...]:
    """Functions that are called in the arguments of a pause."""
    names: list[str] = []
    for inner in _pauses(text):
        names.extend(re.findall(r"([A-Za-z_]\w*)\s*\(", inner))
    return tuple(dict.fromkeys(name for name in names if name not in ("min", "max", "Math", "float", "int")))


def _definitions(repository: Repository, repositories: Repositories, names: Iterable[str]) -> dict[str, str]:
    exactly = quoted("^(" + "|".join(map(re.escape, names)) + ")$")
    kinds = {JS: ("function_declaration", "method_definition"), ("python",): ("function_definition",)}
    kinds[("go",)] = ("function_declaration", "method_declaration")
    kinds[("java",)] = ("method_declaration",)
    patterns = [
        Pattern(
            name="definition",
            languages=languages,  # type: ignore[arg-type]
            rule=f"all: [{{kind: {kind}}}, {{has: {{field: name, regex: {exactly}}}}}, {{has: {{field: name, pattern: $NAME}}}}]",  # noqa: E501
        )
        for languages, each in kinds.items()
        for kind in each
    ]
    patterns.append(
        Pattern(
            name="definition",
            languages=JS,
            rule=f"all: [{{kind: variable_declarator}}, {{has: {{field: name, regex: {exactly}}}}}, {{has: {{field: name, pattern: $NAME}}}}]",  # noqa: E501
        )
    )
    found = repositories.search(repository, patterns=tuple(patterns)).matches
    return {match.capture("NAME"): match.text for match in found}


def _loop_policy(loop: Match, bodies: Sequence[str], names: Names) -> Policy:
    text = loop.text
    whole = "\n".join((text, *bodies))
    head = text.splitlines()[0]
    counted = _RANGE.match(head) or _BOUND_LOOP.match(head) or _ENDS.search(text)
    attempts = number(counted[1], names, loop.location.file) if counted else math.inf
    if attempts is not None and attempts < 1:
        attempts = None  # a name that switches it off somewhere and gets its number elsewhere
    is_told = bool(bodies) or _is_told(text)
    grows: bool | None = bool(_GROWS.search(whole)) or (False if is_told else None)
    jitter: bool | None = bool(_RANDOM.search(whole)) or (False if is_told else None)
    line = head.strip()[:SHOWN_CHARACTERS]
    return Policy(
        location=loop.location,
        shown=line,
        attempts=attempts,
        grows=grows,
        is_jittered=jitter,
        repeats_writes=bool(_WRITES.search(text)) and "dempoten" not in whole,
    )
