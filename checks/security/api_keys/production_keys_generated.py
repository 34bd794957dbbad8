"""A credential made for this environment is in its secret store: complete, current, and accepted by Quub.

Pass          every declared secret exists, has one current version and is not scheduled for deletion; it holds every
              field of ``required_fields`` and nothing that looks like a placeholder; a container that takes a Quub
              credential takes a declared one of this environment
Fail          a declared secret is missing, empty or scheduled for deletion; a parameter is no SecureString; a field is
              missing, short, too regular or a placeholder, or, in production, a key of the sandbox; a container takes
              the secret of another environment or account; Quub refuses the key (active)
Inconclusive  the environment declares no secret under ``quub:``; or the values of one may not be read, so that it may
              hold a placeholder: attest that it holds a key of this environment
Error         the store refused to tell, could not be reached, or is not declared; Quub answered neither yes nor no
Needs         ``read_secret_values: true`` of the account or Vault to look at the content; ``quub.probe_path`` and
              ``--allow-active`` to try the key
Source        The guide, API Keys; OWASP ASVS 5.0, v5.0.0-13.3.1 and v5.0.0-13.2.3
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from quub_audit.checks.security.api_keys._secrets import (
    Place,
    declared_place,
    in_parameter_store,
    in_secrets_manager,
    in_vault,
    parameter_names,
    place_of,
    server_of,
)
from quub_audit.checks.security.api_keys._workloads import Container, containers
from quub_audit.sdk import (
    Aws,
    Clock,
    Environment,
    Finding,
    FindingStatus,
    Fingerprint,
    Grade,
    Http,
    Parameters,
    Quub,
    SecretReference,
    Vault,
    VaultSecret,
    check,
)

CURRENT = "AWSCURRENT"
ONE_CURRENT = "has one version staged AWSCURRENT"
CONTENT = "every required field is there and none is a placeholder"


class ProductionKeysParameters(Parameters):
    """What the checklist may set under ``with:``."""

    required_fields: tuple[str, ...] = ("apiKey", "apiSecret", "orgId")
    """Fields that a secret must hold as JSON, or names of parameters that hold one field each. The guide."""
    public_fields: tuple[str, ...] = ("orgId",)
    """Fields that are identifiers and no secrets: they must be there, and may be short."""
    min_length: int = 16
    """Characters of the shortest value that may be a key. House rule."""
    min_entropy_bits: float = 3.0
    """Shannon entropy, bits per character, of the most regular value that may be a key. House rule."""
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
    """Words that give a value away as filled in later."""
    forbidden_prefixes: tuple[str, ...] = ("sandbox", "test", "dev", "staging")
    """Words that give a key away as one of another environment; judged in production. The guide."""
    variable_names: str = r"(?i)quub.*(key|secret|credential|token)"
    """Regular expression for the variables by which a container takes a Quub credential."""


@check(
    "Each secret in Secrets Manager has one current version and real content",
    each=in_secrets_manager,
    permissions=["secretsmanager:DescribeSecret"],
)
def secrets_manager(
    subject: SecretReference, aws: Aws, environment: Environment, wanted: ProductionKeysParameters
) -> Iterator[Finding]:
    """The container by secretsmanager.DescribeSecret, then the content by fingerprints."""
    if subject.region is None:
        yield _without_store(subject, "aws")
        return
    described = aws.find("secretsmanager.DescribeSecret", region=subject.region, SecretId=subject.name)
    container = judge_secret(subject.name, described)
    yield container
    if container.status is FindingStatus.PASS:
        fields = aws.secret_fingerprints(subject)
        yield judge_content(subject.name, fields, wanted, is_production=environment.stage == "production")


@check(
    "Each parameter is a SecureString with real content",
    each=in_parameter_store,
    permissions=["ssm:DescribeParameters"],
)
def parameter_store(
    subject: SecretReference, aws: Aws, environment: Environment, wanted: ProductionKeysParameters
) -> Iterator[Finding]:
    """The container by ssm.DescribeParameters, then the content by fingerprints."""
    if subject.region is None:
        yield _without_store(subject, "aws")
        return
    named = [{"Key": "Name", "Option": "Equals", "Values": parameter_names(subject.name)}]
    answer = aws.ask("ssm.DescribeParameters", region=subject.region, ParameterFilters=named)
    container = judge_parameter(subject.name, answer["Parameters"])
    yield container
    if container.status is FindingStatus.PASS:
        fields = aws.secret_fingerprints(subject)
        yield judge_content(subject.name, fields, wanted, is_production=environment.stage == "production")


@check("Each secret in Vault has a current version and real content", each=in_vault)
def vault(
    subject: SecretReference, vault: Vault, environment: Environment, clock: Clock, wanted: ProductionKeysParameters
) -> Iterator[Finding]:
    """The container by the metadata of the secret, then the content by fingerprints."""
    server = server_of(subject, environment)
    if server is None:
        yield _without_store(subject, "vault")
        return
    container = judge_vault_secret(subject.name, vault.secret(server, subject.name), clock.now())
    yield container
    if container.status is FindingStatus.PASS:
        fields = vault.fingerprints(server, subject.name)
        yield judge_content(subject.name, fields, wanted, is_production=environment.stage == "production")


@check("Each declared secret names a store that the environment declares", each=SecretReference)
def store_declared(subject: SecretReference, environment: Environment) -> Iterator[Finding]:
    """An error where nobody could ask; nothing where another check asks."""
    kind = "vault" if subject.store == "vault" else "aws"
    if kind not in environment.kinds:
        yield _without_store(subject, kind)


@check("Secrets that hold one field each are complete together", each=Quub)
def complete(subject: Quub, wanted: ProductionKeysParameters) -> Iterator[Finding]:
    """A fail where a field has no secret of its own while another has; nothing else."""
    missing = missing_fields([secret.name for secret in subject.secrets], wanted.required_fields)
    if missing:
        yield Finding.of(
            False,
            subject=str(subject),
            observed=f"no declared secret is named after {', '.join(missing)}",
            expected=f"one secret each for {', '.join(wanted.required_fields)}",
        )


@check("Containers take the Quub credential of this environment", each=containers)
def workload(subject: Container, environment: Environment, wanted: ProductionKeysParameters) -> Iterator[Finding]:
    """One finding for each variable that takes a Quub credential by reference."""
    yield from judge_references(subject, environment, re.compile(wanted.variable_names))


@check("Quub accepts the key and refuses a made-up one", each=Quub, grade=Grade.LIVE, active=True)
def accepted(subject: Quub, http: Http) -> Iterator[Finding]:
    """One finding for each declared secret; a warning where there is no path to try it on."""
    if not subject.secrets:
        return
    if not (subject.api_url and subject.probe_path):
        yield Finding.warning(
            subject=str(subject),
            observed="no key was tried, because quub.api_url and quub.probe_path are not both declared",
        )
        return
    made_up = http.get_keyed(subject, key=None)
    for secret in subject.secrets:
        yield judge_answers(f"{subject} with {secret}", http.get_keyed(subject, key=secret), made_up)


def judge_secret(subject: str, described: Mapping[str, Any] | None) -> Finding:
    """Judge what secretsmanager.DescribeSecret says; None when there is no such secret."""
    if described is None:
        return Finding.of(False, subject=subject, observed="does not exist", expected=ONE_CURRENT)
    if described.get("DeletedDate"):
        day = described["DeletedDate"].date().isoformat()
        return Finding.of(
            False, subject=subject, observed=f"is scheduled for deletion ({day})", expected="is there to stay"
        )
    stages = described.get("VersionIdsToStages") or {}
    current = sum(CURRENT in of_version for of_version in stages.values())
    count = {0: "no version", 1: "one version"}.get(current, f"{current} versions")
    return Finding.of(current == 1, subject=subject, observed=f"has {count} staged AWSCURRENT", expected=ONE_CURRENT)


def judge_parameter(subject: str, described: Sequence[Mapping[str, Any]]) -> Finding:
    """Judge what ssm.DescribeParameters says of one name."""
    if not described:
        return Finding.of(False, subject=subject, observed="does not exist", expected="is a SecureString")
    type_ = described[0]["Type"]
    article = "an" if type_[:1] in "AEIOU" else "a"
    return Finding.of(
        type_ == "SecureString",
        subject=subject,
        observed=f"is {article} {type_}",
        expected="is a SecureString",
        message="" if type_ == "SecureString" else f"{subject} keeps its value unencrypted; store it as a SecureString",
    )


def judge_vault_secret(subject: str, secret: VaultSecret | None, now: datetime) -> Finding:
    """Judge the metadata of a KV secret; version 1 of the engine tells only that there is one."""
    expected = "has a current version"
    if secret is None:
        return Finding.of(False, subject=subject, observed="does not exist", expected=expected)
    if secret.kv_version == 1:
        return Finding.of(True, subject=subject, observed="exists in a KV version 1 engine", expected=expected)
    current = secret.current
    if current is None:
        return Finding.of(False, subject=subject, observed="has no version", expected=expected)
    if current.is_destroyed or (current.deleted_at is not None and current.deleted_at <= now):
        state = "destroyed" if current.is_destroyed else "deleted"
        observed = f"has version {current.number}, which is {state}"
        return Finding.of(False, subject=subject, observed=observed, expected=expected)
    return Finding.of(
        True,
        subject=subject,
        observed=f"has version {current.number} of {current.created_at.date().isoformat()}",
        expected=expected,
    )


def judge_content(
    subject: str,
    fields: Mapping[str, Fingerprint] | None,
    wanted: ProductionKeysParameters,
    *,
    is_production: bool,
) -> Finding:
    """Judge the fields of a secret by their fingerprints; undecided where no value may be read (None)."""
    if fields is None:
        return Finding.undecided(
            subject=subject,
            observed="only the container was looked at, its content was not",
            expected=CONTENT,
            message=f"{subject}: whether it holds real keys was not looked at; "
            "set read_secret_values to true and grant the right to read it, or attest what it holds",
        )
    problems = list(_content_problems(subject, fields, wanted, is_production=is_production))
    named = ", ".join(sorted(name for name in fields if name)) or "a single value"
    cut = f" and {len(problems) - 10} more" if len(problems) > 10 else ""
    return Finding.of(
        not problems,
        subject=subject,
        observed="; ".join(problems[:10]) + cut if problems else f"holds {named}, none of them a placeholder",
        expected=CONTENT,
    )


def _content_problems(
    subject: str, fields: Mapping[str, Fingerprint], wanted: ProductionKeysParameters, *, is_production: bool
) -> Iterator[str]:
    is_single = set(fields) == {""}
    own_field = field_named_by(subject, wanted.required_fields) if is_single else ""
    if is_single and wanted.required_fields and not own_field:
        yield f"it is no JSON object with {', '.join(wanted.required_fields)}"
    if not is_single:
        yield from (f"{name} is missing" for name in wanted.required_fields if name not in fields)
    words = (*wanted.placeholders, *(wanted.forbidden_prefixes if is_production else ()))
    for name, value in sorted(fields.items()):
        label, field = name or own_field or "its value", name or own_field
        if value.kind == "empty":
            if field in wanted.required_fields or is_single:
                yield f"{label} is empty"
            continue
        if field not in wanted.required_fields and not is_single:
            continue
        for word in value.markers:
            if word in words:
                yield f"{label} holds the word “{word}”"
        if field in wanted.public_fields:
            continue
        if value.length < wanted.min_length:
            yield f"{label} has {value.length} characters, expected {wanted.min_length} or more"
        elif value.entropy_bits < wanted.min_entropy_bits:
            yield f"{label} has {value.entropy_bits} bits per character, expected {wanted.min_entropy_bits} or more"
        elif value.kind in ("reference", "url"):
            yield f"{label} is a {value.kind}, no key"


def field_named_by(secret_name: str, required: Sequence[str]) -> str:
    """The required field that the last part of a secret's name spells (`.../api-key` for apiKey), or an empty text."""
    last = re.split(r"[/:]", secret_name)[-1]
    return next((field for field in required if _plain(field) == _plain(last)), "")


def missing_fields(names: Sequence[str], required: Sequence[str]) -> tuple[str, ...]:
    """Required fields that no secret is named after, when at least one secret is named after one."""
    held = {field_named_by(name, required) for name in names} - {""}
    return tuple(field for field in required if field not in held) if held else ()


def judge_references(container: Container, environment: Environment, names: re.Pattern[str]) -> Iterator[Finding]:
    """Compare what a container's credential variables refer to with the declared secrets, ours and the siblings'."""
    declared = environment.quub.secrets if environment.quub else ()
    ours = [place for secret in declared if (place := declared_place(secret, environment))]
    if not ours:
        return
    for entry in container.secrets:
        if not names.search(entry["name"]):
            continue
        place = place_of(
            entry["valueFrom"],
            region=container.region.name,
            account_id=container.account_id,
        )
        yield Finding.of(
            place is not None and any(place.is_same_as(our) for our in ours),
            subject=f"{container} {entry['name']}",
            observed=f"comes from {_describe(place, entry['valueFrom'], environment)}",
            expected="comes from " + " or ".join(sorted(map(str, ours))),
        )


def _describe(place: Place | None, text: str, environment: Environment) -> str:
    if place is None:
        return text
    for sibling in environment.siblings:
        for secret in sibling.quub.secrets if sibling.quub else ():
            theirs = declared_place(secret, environment)
            if theirs and place.is_same_as(theirs):
                return f"{place}, the secret of {sibling.name}"
    return str(place)


def judge_answers(subject: str, status: int, made_up_status: int) -> Finding:
    """Judge the HTTP status for the real key by that for a made-up one, which must be 401 or 403."""
    if made_up_status not in (401, 403):
        return Finding.error(
            subject=subject,
            message=f"{subject}: a made-up key was answered with {made_up_status}, so the probe proves nothing",
            next_step="declare a probe_path that answers 401 without a valid key",
        )
    if status in (401, 403) or 200 <= status < 300:
        return Finding.of(
            200 <= status < 300,
            subject=subject,
            observed=f"the key is answered with {status}, a made-up one with {made_up_status}",
            expected="the key is answered with 2xx, a made-up one with 401",
        )
    return Finding.error(
        subject=subject,
        message=f"{subject}: the key was answered with {status}, which neither accepts nor refuses it",
        next_step="try again, or declare a probe_path that answers 2xx to a valid key",
    )


def _without_store(subject: SecretReference, kind: str) -> Finding:
    return Finding.error(
        subject=subject.name,
        message=f"{subject.name} is declared in {subject.store}, and the environment declares no such `{kind}:` target",
        next_step=f"declare `{kind}:`, or correct quub.secrets",
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
