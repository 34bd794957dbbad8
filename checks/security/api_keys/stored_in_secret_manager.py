"""Workloads take their keys by reference from a secret store, and no copy lies in the code or its history.

Pass          every secret-like variable of an ECS container or Lambda function in use comes by reference, and at least
              one such reference was seen; and no secret stands in the working tree, the history or a configuration
              file of any declared repository
Fail          a secret-like variable has a literal value, is shipped to browsers, or comes from a parameter that is no
              SecureString; a secret stands in the tree, the history, a configuration file or as a fallback in code;
              a Terraform state is tracked by git
Inconclusive  no workload has a secret-like variable or a reference; or no repository is declared, so that only half
              could be looked at; a clean repository alone proves nothing of the running system
Error         a source refused to tell; the clone is shallow or has no history; a container reads an environment file
              from S3, which is not looked at; a parameter behind a reference does not exist
Needs         a full clone (``fetch-depth: 0``)
Source        The guide, API Keys; OWASP ASVS 5.0, v5.0.0-13.3.1; PCI DSS 4.0.1, 8.6.2; OWASP Top 10:2025, A02 and A04
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quub_audit.checks.security.api_keys._leaks import Allowances, judge_scan, judge_states
from quub_audit.checks.security.api_keys._secrets import parameter_names, place_of
from quub_audit.checks.security.api_keys._workloads import Container, containers
from quub_audit.sdk import (
    Assignment,
    Assignments,
    Aws,
    Environment,
    Finding,
    FindingStatus,
    Fingerprint,
    Match,
    Pattern,
    Region,
    Repositories,
    Repository,
    Search,
    check,
    subjects,
    unread,
)

BY_REFERENCE = "comes by reference from a secret store"


class SecretManagerParameters(Allowances):
    """What the checklist may set under ``with:``."""

    secret_names: str = r"(?i)(api[_-]?key|secret|token|passw|private[_-]?key|dsn|database_url)"
    """Regular expression for names of variables that hold a secret."""
    plain_names: str = (
        r"(?i)([_-](name|arn|path|file|ttl|ttl_s|ms|seconds|minutes|hours|days|expiry|expires(_in)?|lifetime"
        r"|timeout|max_age|length|count|limit|header|issuer|audience|algorithm|public_key|enabled))$"
    )
    """Regular expression for names that are said of a secret and hold none, though `secret_names` matches them."""
    browser_prefixes: tuple[str, ...] = (
        "NEXT_PUBLIC_",
        "VITE_",
        "REACT_APP_",
        "NUXT_PUBLIC_",
        "GATSBY_",
        "EXPO_PUBLIC_",
    )
    """Prefixes of variables that build tools copy into what browsers load."""
    min_value_length: int = 8
    """Characters of the shortest literal that is judged; a shorter one is told as a warning."""
    placeholders: tuple[str, ...] = (
        "changeme",
        "change_me",
        "change-me",
        "todo",
        "xxx",
        "placeholder",
        "example",
        "dummy",
        "fake",
    )
    """Words that make a value in a configuration file a sample: told, not judged."""
    sample_files: str = (
        r"(?i)(\.(example|sample|template|dist|tmpl)$|(^|/)\.env\.(example|sample|template)[^/]*$"
        r"|(^|/)(tests?|__tests__|specs?|fixtures?|testdata|mocks?|__mocks__|examples?|docs?)/)"
    )
    """Regular expression for files whose values are samples: told, not judged."""

    def is_secret(self, name: str) -> bool:
        """Whether a variable of that name holds a secret."""
        return bool(re.search(self.secret_names, name)) and not re.search(self.plain_names, name)

    def is_shipped(self, name: str) -> bool:
        """Whether a build tool copies a variable of that name into what browsers load."""
        return name.startswith(self.browser_prefixes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One Lambda function."""

    region: Region
    name: str
    variables: Mapping[str, Fingerprint]
    problem: str = ""
    """Why its variables could not be read."""

    def __str__(self) -> str:
        return self.name


@subjects(each=Region, permissions=["lambda:ListFunctions"])
def functions(region: Region, aws: Aws) -> Iterator[Function]:
    """Every Lambda function that has variables."""
    for function in aws.ask("lambda.ListFunctions", region=region)["Functions"]:
        environment = function.get("Environment") or {}
        problem = (environment.get("Error") or {}).get("Message", "")
        if environment.get("Variables") or problem:
            yield Function(
                region=region,
                name=function["FunctionName"],
                variables=environment.get("Variables") or {},
                problem=problem,
            )


@check(
    "ECS containers take secrets by reference",
    each=containers,
    permissions=["ssm:DescribeParameters"],
)
def ecs(subject: Container, aws: Aws, wanted: SecretManagerParameters) -> Iterator[Finding]:
    """One finding for each secret-like variable, reference and environment file."""
    variables = {entry["name"]: entry["value"] for entry in subject.environment}
    yield from judge_variables(str(subject), variables, wanted)
    for entry in subject.secrets:
        yield _judge_reference(subject, entry, aws, wanted)
    for file in subject.environment_files:
        yield judge_environment_file(f"{subject}/{file}", wanted)


@check("Lambda functions take secrets by reference", each=functions)
def lambda_(subject: Function, wanted: SecretManagerParameters) -> Iterator[Finding]:
    """One finding for each secret-like variable."""
    if subject.problem:
        yield Finding.error(
            subject=str(subject),
            message=f"{subject}: lambda.ListFunctions could not decrypt its variables: {subject.problem}",
            next_step="grant kms:Decrypt on the function's key to the audit role",
        )
    yield from judge_variables(str(subject), subject.variables, wanted)


@check("The code is declared, so that it can be looked through", each=Environment)
def declared(subject: Environment) -> Finding | None:
    """The workloads' half alone passes nothing: without a repository nobody has looked for a copy in the code."""
    if subject.repositories or not subject.aws:
        return None
    return Finding.undecided(
        subject=f"{subject.service} code",
        observed="no repository is declared in which to look for a copy of the keys",
        expected="no secret in the code or its history",
        next_step="declare the service's code under `repositories:`",
    )


@check("No secret stands in the code or its history", each=Repository)
def code(subject: Repository, repositories: Repositories, wanted: SecretManagerParameters) -> Iterator[Finding]:
    """One finding for each secret; one for the tree and one for the history where they are clean."""
    yield from judge_scan(subject.name, repositories.secrets(subject), wanted)


@check("Configuration files hold no literal secret", each=Repository)
def configuration(
    subject: Repository, repositories: Repositories, wanted: SecretManagerParameters
) -> Iterator[Finding]:
    """One finding for each literal; one for all files where there is none."""
    found = repositories.assignments(subject, names=wanted.secret_names)
    yield from judge_assignments(subject.name, found, wanted)


@check("Code falls back on no literal secret", each=Repository)
def fallback(subject: Repository, repositories: Repositories, wanted: SecretManagerParameters) -> Iterator[Finding]:
    """A fail for each literal that stands in for a missing variable; nothing where there is none."""
    found = repositories.search(subject, patterns=FALLBACKS, is_production_only=True)
    yield from judge_fallbacks(subject.name, found, wanted)


@check("No Terraform state is tracked", each=Repository)
def terraform_state(subject: Repository, repositories: Repositories) -> Iterator[Finding]:
    """A fail for each state file that git tracks; nothing where there is none."""
    states = repositories.files(subject, globs=("**/*.tfstate", "**/*.tfstate.backup"))
    yield from judge_states(subject.name, states)


FALLBACKS = (
    Pattern(
        name="javascript",
        languages=("javascript", "typescript", "tsx"),
        rule="""
any:
  - pattern: process.env.$NAME || $VALUE
  - pattern: process.env.$NAME ?? $VALUE
  - pattern: $_ || process.env.$NAME || $VALUE
  - pattern: $_ ?? process.env.$NAME ?? $VALUE
  - pattern: process.env[$NAME] || $VALUE
  - pattern: process.env[$NAME] ?? $VALUE
  - pattern: import.meta.env.$NAME || $VALUE
  - pattern: import.meta.env.$NAME ?? $VALUE
""",
    ),
    Pattern(
        name="python",
        languages=("python",),
        rule="""
any:
  - pattern: os.environ.get($NAME, $VALUE)
  - pattern: os.getenv($NAME, $VALUE)
  - pattern: environ.get($NAME, $VALUE)
  - pattern: getenv($NAME, $VALUE)
""",
    ),
)
"""How code asks for a variable and says what to take where it is missing."""


def judge_variables(
    subject: str, variables: Mapping[str, Fingerprint], wanted: SecretManagerParameters
) -> Iterator[Finding]:
    """Judge a workload's plain variables: a fail for a literal secret, a pass for a reference by value."""
    for name, value in sorted(variables.items()):
        if not wanted.is_secret(name) or value.kind == "empty":
            continue
        place = f"{subject}/{name}"
        reason = wanted.reason_for(place)
        if reason:
            yield Finding.warning(subject=place, observed=f"is allowed: {reason}")
        elif wanted.is_shipped(name):
            yield _shipped(place)
        elif value.kind == "reference":
            yield Finding.of(True, subject=place, observed="is a reference", expected=BY_REFERENCE)
        elif is_literal(value, wanted.min_value_length):
            yield Finding.of(
                False,
                subject=place,
                observed=f"is a literal of {value}",
                expected=BY_REFERENCE,
                message=f"{place} stands in clear in the definition; move it to the store and rotate it",
            )
        elif value.kind == "text":
            yield Finding.warning(subject=place, observed=f"is a literal of {value}", expected=BY_REFERENCE)


def is_literal(value: Fingerprint, min_length: int) -> bool:
    """Whether the value of a secret-like name is a secret in clear: long enough, and no reference, URL or flag."""
    return value.kind in ("text", "number") and value.length >= min_length


def judge_environment_file(subject: str, wanted: SecretManagerParameters) -> Finding:
    """An environment file in S3 holds variables that nobody here has seen."""
    reason = wanted.reason_for(subject)
    if reason:
        return Finding.warning(subject=subject, observed=f"is allowed: {reason}")
    return Finding.error(
        subject=subject,
        message=f"{subject}: the variables in this environment file were not looked at",
        next_step="take secrets from `secrets`, and allow the file with a reason",
    )


def _judge_reference(
    container: Container, entry: Mapping[str, Any], aws: Aws, wanted: SecretManagerParameters
) -> Finding:
    place = f"{container}/{entry['name']}"
    reason = wanted.reason_for(place)
    if reason:
        return Finding.warning(subject=place, observed=f"is allowed: {reason}")
    if wanted.is_shipped(entry["name"]) and wanted.is_secret(entry["name"]):
        return _shipped(place)
    to = place_of(entry["valueFrom"], region=container.region.name, account_id=container.account_id)
    if to is None:
        return Finding.of(False, subject=place, observed="refers to no secret store", expected=BY_REFERENCE)
    if to.service == "secretsmanager":
        return Finding.of(True, subject=place, observed=f"comes from {to.name}", expected=BY_REFERENCE)
    if to.account_id != container.account_id:
        return Finding.error(
            subject=place,
            message=f"{place}: the parameter {to} belongs to another account, where its type was not looked at",
            next_step="take the value from a secret or a parameter of this account",
        )
    answer = aws.ask(
        "ssm.DescribeParameters",
        region=Region(account=container.region.account, name=to.region),
        ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": parameter_names(entry["valueFrom"])}],
    )
    return judge_parameter_type(place, to.name, [found["Type"] for found in answer["Parameters"]])


def judge_parameter_type(subject: str, parameter: str, types: list[str]) -> Finding:
    """Judge the type of the parameter that a reference leads to; an error when there is none."""
    if not types:
        return Finding.error(
            subject=subject,
            message=f"{subject}: the parameter {parameter} does not exist",
            next_step="create it as a SecureString, or correct the reference",
        )
    return Finding.of(
        types[0] == "SecureString",
        subject=subject,
        observed=f"comes from {parameter}, of type {types[0]}",
        expected="comes from a parameter of type SecureString",
    )


def _shipped(subject: str) -> Finding:
    return Finding.of(
        False,
        subject=subject,
        observed="is copied into what browsers load",
        expected=BY_REFERENCE,
        message=f"{subject}: its prefix makes the build tool publish it; rename it, or allow it if it is public",
    )


def judge_assignments(repository: str, found: Assignments, wanted: SecretManagerParameters) -> Iterator[Finding]:
    """Judge the values that configuration files give to secret-like names."""
    judged = [finding for entry in found.assignments for finding in _judge_assignment(entry, wanted)]
    yield from judged
    yield from unread(repository, found.unreadable)
    if found.files_read and not any(finding.status is FindingStatus.FAIL for finding in judged):
        yield Finding.of(
            True,
            subject=f"{repository} configuration",
            observed=f"no literal secret in {found.files_read} configuration files",
            expected="no literal secret in configuration files",
        )


def _judge_assignment(entry: Assignment, wanted: SecretManagerParameters) -> Iterable[Finding]:
    place, value = entry.location, entry.fingerprint
    subject = f"{place.file} {entry.name}"
    if not wanted.is_secret(entry.name):
        return
    is_long = is_literal(value, wanted.min_value_length)
    is_shipped = wanted.is_shipped(entry.name) and value.kind != "empty"
    if not (is_long or is_shipped):
        return
    reason = wanted.reason_for(f"{place.file}:{entry.name}")
    if not reason and re.search(wanted.sample_files, place.file):
        reason = "the file holds samples"
    if not reason and any(word in wanted.placeholders for word in value.markers):
        reason = "the value is a placeholder"
    if reason:
        yield Finding.warning(subject=subject, observed=f"is a literal, allowed: {reason}", location=place)
        return
    yield Finding.of(
        False,
        subject=subject,
        observed="is copied into what browsers load" if is_shipped else f"is a literal of {value}",
        expected="no literal secret in configuration files",
        message=f"{place}: {entry.name} is given a value in clear; rotate it, and refer to the store instead",
        location=place,
    )


_LITERAL = re.compile(r"""^(?:default\s*=\s*)?[rRbBuUfF]{0,2}(["'`])(?P<text>.*)\1$""", re.DOTALL)


def judge_fallbacks(repository: str, found: Search, wanted: SecretManagerParameters) -> Iterator[Finding]:
    """A fail for each secret-like variable with a literal to fall back on; an error for each file left out."""
    for match in found.matches:
        name = match.capture("NAME").strip("\"'`")
        if wanted.is_secret(name) and _falls_back(match, wanted.min_value_length):
            place = match.location
            reason = wanted.reason_for(f"{place.file}:{name}")
            if reason:
                yield Finding.warning(subject=f"{place.file} {name}", observed=f"is allowed: {reason}", location=place)
                continue
            yield Finding.of(
                False,
                subject=f"{place.file} {name}",
                observed="has a literal to fall back on",
                expected="no value where the variable is missing",
                message=f"{place}: {name} falls back on a literal; fail at start instead, and rotate the value",
                location=place,
            )
    yield from unread(repository, found.unreadable)


def _falls_back(match: Match, min_length: int) -> bool:
    """A text of at least `min_length` characters, or one that was struck because it is a secret."""
    literal = _LITERAL.match(match.capture("VALUE").strip())
    if literal is None:
        return False
    text = literal["text"]
    return "[redacted]" in text or (len(text) >= min_length and not text.startswith(("${", "arn:", "vault:")))
