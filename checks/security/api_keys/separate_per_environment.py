"""Each environment has keys of its own, and nobody in one environment can read another's.

Pass          for every pair of environments, no secret field of one equals a field of the other; or, where values may
              not be read, they are two secrets, and no role of the other environment may read ours
Fail          two environments share a secret or the value of a field; a role of another environment may read the secret
              of production; code takes one variable or secret name for both
Inconclusive  only one environment declares secrets; environments other than production share theirs, which is told as
              a warning; only code was looked at
Error         a store refused to tell, or a secret is not there; no value may be read and no role of the other
              environment is known; a policy hangs on a condition that cannot be judged from outside
Needs         ``read_secret_values: true`` of both accounts or Vaults to compare values: two names may hold one value,
              and only that shows it
Source        The guide, API Keys; OWASP ASVS 5.0, v5.0.0-13.3.2; AWS Well-Architected, SEC01-BP01
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quub_audit.checks.security.api_keys._secrets import (
    account_of,
    declared_place,
    parameter_names,
    place_of,
    server_of,
)
from quub_audit.checks.security.api_keys._workloads import list_services
from quub_audit.sdk import (
    Account,
    Aws,
    Environment,
    Finding,
    FindingStatus,
    Fingerprint,
    Grade,
    Match,
    Parameters,
    Pattern,
    Repositories,
    Repository,
    SecretReference,
    Vault,
    check,
    subjects,
)

READ = "secretsmanager:GetSecretValue"
DIFFERENT = "no secret field in common"


class SeparateKeysParameters(Parameters):
    """What the checklist may set under ``with:``."""

    public_fields: tuple[str, ...] = ("orgId",)
    """Fields that are identifiers and no secrets: environments may share them."""
    roles: Mapping[str, tuple[str, ...]] = {}
    """ARNs of the roles that work in each other environment, by its name, beside those of its ECS services."""
    environment_names: tuple[str, ...] = ("development", "dev", "sandbox", "staging", "test", "production", "prod")
    """How code names environments where it maps them to variables."""
    production_names: tuple[str, ...] = ("production", "prod")
    """Which of these are production."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two secrets that must have nothing in common: one of the audited environment, one of another."""

    ours: SecretReference
    theirs: SecretReference
    environment: Environment
    other: Environment

    @property
    def stores(self) -> frozenset[str]:
        """`aws`, `vault` or both."""
        return frozenset("vault" if each.store == "vault" else "aws" for each in (self.ours, self.theirs))

    @property
    def is_with_production(self) -> bool:
        """Whether one of the two is production; the others may share a sandbox key (the guide)."""
        return "production" in (self.environment.stage, self.other.stage)

    def __str__(self) -> str:
        return f"{self.environment.name} {self.ours} and {self.other.name} {self.theirs}"


@subjects(each=Environment)
def pairs(environment: Environment) -> Iterator[Pair]:
    """Every secret of ours with every secret of every other environment of the file."""
    for other in environment.siblings:
        for ours in environment.quub.secrets if environment.quub else ():
            for theirs in other.quub.secrets if other.quub else ():
                yield Pair(ours=ours, theirs=theirs, environment=environment, other=other)


@subjects(each=pairs)
def pairs_in_aws(pair: Pair) -> Iterator[Pair]:
    """Both in AWS."""
    if pair.stores == {"aws"}:
        yield pair


@subjects(each=pairs)
def pairs_in_vault(pair: Pair) -> Iterator[Pair]:
    """Both in Vault."""
    if pair.stores == {"vault"}:
        yield pair


@subjects(each=pairs)
def pairs_apart(pair: Pair) -> Iterator[Pair]:
    """One in AWS and one in Vault."""
    if len(pair.stores) == 2:
        yield pair


@check(
    "Secrets in AWS differ between environments, by value or by who may read them",
    each=pairs_in_aws,
    permissions=[
        "ecs:ListClusters",
        "ecs:ListServices",
        "ecs:DescribeServices",
        "ecs:DescribeTaskDefinition",
        "iam:SimulatePrincipalPolicy",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetResourcePolicy",
        "ssm:DescribeParameters",
    ],
)
def aws(subject: Pair, aws: Aws, wanted: SeparateKeysParameters) -> Iterator[Finding]:
    """By value where both accounts allow it; else by ARN and by what the other environment's roles may read."""
    ours, theirs = (_find_arn(each, subject.environment, aws) for each in (subject.ours, subject.theirs))
    for declared, arn in ((subject.ours, ours), (subject.theirs, theirs)):
        if not arn:
            yield _absent(subject, declared)
            return
    if ours == theirs:
        yield judge_shared(subject, ours)
        return
    values = [aws.secret_fingerprints(each) for each in (subject.ours, subject.theirs)]
    if values[0] is not None and values[1] is not None:
        yield judge_values(subject, values[0], values[1], wanted.public_fields)
    else:
        for finding in _judge_isolation(subject, ours, aws, wanted):
            yield _weigh(subject, finding)
        yield Finding.warning(
            subject=str(subject),
            observed="the values were not compared",
            message=f"{subject}: two names may hold one value; set read_secret_values of both accounts to compare them",
        )


@check("Secrets in Vault differ between environments", each=pairs_in_vault)
def vault(subject: Pair, vault: Vault, wanted: SeparateKeysParameters) -> Iterator[Finding]:
    """By value, since a path alone shows nothing of who may read it."""
    yield _judge_any(subject, [_vault_fields(subject, each, vault) for each in (subject.ours, subject.theirs)], wanted)


@check("Secrets in AWS and Vault differ between environments", each=pairs_apart)
def aws_and_vault(subject: Pair, aws: Aws, vault: Vault, wanted: SeparateKeysParameters) -> Iterator[Finding]:
    """By value: the fingerprints of one run compare, whatever store they come from."""
    values = [
        _vault_fields(subject, each, vault) if each.store == "vault" else aws.secret_fingerprints(each)
        for each in (subject.ours, subject.theirs)
    ]
    yield _judge_any(subject, values, wanted)


@check("A secret is compared only where both stores are declared", each=pairs_apart)
def both_declared(subject: Pair) -> Iterator[Finding]:
    """An error where the audited environment lacks a store of the other; nothing where another check asks."""
    missing = sorted(subject.stores - subject.environment.kinds)
    if missing:
        yield Finding.error(
            subject=str(subject),
            message=f"{subject}: {subject.environment.name} declares no `{missing[0]}:`, so the two were not compared",
            next_step=f"declare `{missing[0]}:` in {subject.environment.name} too",
        )


@check("Code maps each environment to variables of its own", each=Repository)
def code(subject: Repository, repositories: Repositories, wanted: SeparateKeysParameters) -> Iterator[Finding]:
    """One finding for each file that maps environments to secrets."""
    found = repositories.search(subject, patterns=(_environment_maps(wanted.environment_names),))
    yield from judge_maps(found.matches, wanted)


def judge_shared(pair: Pair, where: str) -> Finding:
    """Both environments name one and the same secret."""
    shared = Finding.of(False, subject=str(pair), observed=f"are one secret, {where}", expected="are two secrets")
    return _weigh(pair, shared)


def judge_values(
    pair: Pair, ours: Mapping[str, Fingerprint], theirs: Mapping[str, Fingerprint], public_fields: Sequence[str]
) -> Finding:
    """Compare the secret fields of two secrets, whatever their names and whatever the JSON around them looks like.

    Flags, numbers, references and plain URLs are no secrets and are not compared.
    """
    here, there = (_secret_fields(fields, public_fields) for fields in (ours, theirs))
    for fields, declared in ((here, pair.ours), (there, pair.theirs)):
        if not fields:
            return Finding.error(
                subject=str(pair),
                message=f"{pair}: {declared} holds no secret field to compare",
                next_step="store the key there, or take its field out of public_fields",
            )
    shared = sorted(name for digest, name in here.items() if digest in there)
    if not shared:
        count = f"{len(here)} and {len(there)} fields compared"
        return Finding.of(True, subject=str(pair), observed=f"{DIFFERENT} ({count})", expected=DIFFERENT)
    found = Finding.of(
        False,
        subject=str(pair),
        observed=f"the same value of {', '.join(shared[:10])}",
        expected=DIFFERENT,
        message=f"{pair} hold the same value of {', '.join(shared[:10])}; issue a key for each environment",
    )
    return _weigh(pair, found)


def _secret_fields(fields: Mapping[str, Fingerprint], public_fields: Sequence[str]) -> dict[str, str]:
    """Names by digest."""
    return {
        value.digest: name or "its single value"
        for name, value in fields.items()
        if name not in public_fields and value.kind == "text"
    }


def _judge_any(
    pair: Pair, values: Sequence[Mapping[str, Fingerprint] | None], wanted: SeparateKeysParameters
) -> Finding:
    ours, theirs = values
    if pair.ours.store == pair.theirs.store == "vault":
        servers = [server_of(each, pair.environment) for each in (pair.ours, pair.theirs)]
        places = [
            (server.address, server.namespace, _path(each))
            for server, each in zip(servers, (pair.ours, pair.theirs), strict=True)
            if server
        ]
        if len(places) == 2 and places[0] == places[1]:
            return judge_shared(pair, places[0][2])
    if ours is None or theirs is None:
        return Finding.error(
            subject=str(pair),
            message=f"{pair}: the values may not be read, and a path in Vault does not show who may read it",
            next_step="set read_secret_values of both to true",
        )
    return judge_values(pair, ours, theirs, wanted.public_fields)


def _path(declared: SecretReference) -> str:
    return "/".join(part for part in declared.name.split("/") if part not in ("", "data", "metadata"))


def _vault_fields(pair: Pair, declared: SecretReference, vault: Vault) -> Mapping[str, Fingerprint] | None:
    server = server_of(declared, pair.environment)
    return vault.fingerprints(server, declared.name) if server else None


def _find_arn(declared: SecretReference, environment: Environment, aws: Aws) -> str:
    """The full ARN of a secret or parameter, or an empty text when there is none."""
    if declared.region is None:
        return ""
    if declared.store == "secrets-manager":
        found = aws.find("secretsmanager.DescribeSecret", region=declared.region, SecretId=declared.name)
        return str(found["ARN"]) if found else ""
    named = [{"Key": "Name", "Option": "Equals", "Values": parameter_names(declared.name)}]
    answer = aws.ask("ssm.DescribeParameters", region=declared.region, ParameterFilters=named)
    if not answer["Parameters"]:
        return ""
    place = declared_place(declared, environment)
    account_id = place.account_id if place else ""
    name = str(answer["Parameters"][0]["Name"])
    return f"arn:aws:ssm:{declared.region.name}:{account_id}:parameter/{name.removeprefix('/')}"


def _absent(pair: Pair, declared: SecretReference) -> Finding:
    return Finding.error(
        subject=str(pair),
        message=f"{pair}: {declared} does not exist, so the two were not compared",
        next_step="create the secret, or correct quub.secrets of its environment",
    )


def _weigh(pair: Pair, finding: Finding) -> Finding:
    """What two environments beside production share is told, not judged."""
    if pair.is_with_production or finding.status is not FindingStatus.FAIL:
        return finding
    return Finding.warning(subject=finding.subject, observed=finding.observed, expected=finding.expected)


# Isolation, where values may not be read


def _judge_isolation(pair: Pair, arn: str, aws: Aws, wanted: SeparateKeysParameters) -> Iterator[Finding]:
    if pair.ours.store != "secrets-manager" or pair.ours.region is None:
        yield Finding.error(
            subject=str(pair),
            message=f"{pair}: the values may not be read, and who may read a parameter was not looked at",
            next_step="set read_secret_values of both accounts to true",
        )
        return
    answer = aws.find("secretsmanager.GetResourcePolicy", region=pair.ours.region, SecretId=pair.ours.name)
    policy = (answer or {}).get("ResourcePolicy") or ""
    ours, theirs = account_of(pair.ours.region, pair.environment), account_of(pair.theirs.region, pair.environment)
    if ours is None or theirs is None:
        yield _no_role(pair)
        return
    if ours.account_id != theirs.account_id:
        yield judge_policy(pair, policy, (), theirs.account_id, is_other_account=True)
        return
    roles = (*wanted.roles.get(pair.other.name, ()), *_roles_that_take(pair.theirs, theirs, pair.environment, aws))
    if not roles:
        yield _no_role(pair)
        return
    yield judge_policy(pair, policy, roles, theirs.account_id, is_other_account=False)
    for role in dict.fromkeys(roles):
        simulated = aws.ask(
            "iam.SimulatePrincipalPolicy",
            region=theirs.home,
            PolicySourceArn=role,
            ActionNames=[READ],
            ResourceArns=[arn],
        )
        yield judge_simulation(pair, role, simulated["EvaluationResults"])


def _roles_that_take(declared: SecretReference, account: Account, environment: Environment, aws: Aws) -> Iterator[str]:
    """The task and execution roles of the ECS tasks that take the secret by reference."""
    wanted = declared_place(declared, environment)
    if wanted is None:
        return
    for region in account.regions:
        for arn in dict.fromkeys(arn for service in list_services(region, aws) for arn in service.task_definitions):
            definition = aws.ask("ecs.DescribeTaskDefinition", region=region, taskDefinition=arn)["taskDefinition"]
            sources = [
                entry["valueFrom"]
                for container in definition.get("containerDefinitions", ())
                for entry in container.get("secrets", ())
            ]
            places = (place_of(source, region=region.name, account_id=account.account_id) for source in sources)
            if any(place is not None and place.is_same_as(wanted) for place in places):
                yield from (definition[key] for key in ("taskRoleArn", "executionRoleArn") if definition.get(key))


def _no_role(pair: Pair) -> Finding:
    return Finding.error(
        subject=str(pair),
        message=f"{pair}: the values may not be read, and no role of {pair.other.name} is known to ask about",
        next_step=f"set read_secret_values of both accounts, or name the roles of {pair.other.name} under `roles`",
    )


def judge_simulation(pair: Pair, role: str, results: Sequence[Mapping[str, Any]]) -> Finding:
    """Judge iam.SimulatePrincipalPolicy for one role of the other environment; no result at all is an error."""
    decisions = sorted({str(result["EvalDecision"]) for result in results})
    if not decisions:
        return Finding.error(subject=f"{pair} ({role})", message=f"{role}: the simulation came to no decision")
    return Finding.of(
        "allowed" not in decisions,
        subject=f"{pair} ({role})",
        observed=f"{READ} is {', '.join(decisions)}",
        expected=f"{READ} is implicitDeny or explicitDeny",
        message="" if "allowed" not in decisions else f"{role} of {pair.other.name} may read {pair.ours}; deny it",
    )


def judge_policy(pair: Pair, policy: str, roles: Sequence[str], account_id: str, *, is_other_account: bool) -> Finding:
    """Whether the policy of our secret lets in the other environment; `policy` is JSON, or empty where there is none.

    Another account needs its leave, so that silence keeps it out. Within one account the policy can only add to what
    the roles may do anyway, which a simulation shows. Conditions are not evaluated: they make an error.
    """
    expected = f"the policy of {pair.ours} keeps {pair.other.name} out"
    try:
        document = json.loads(policy) if policy else {}
    except ValueError:
        return Finding.error(subject=str(pair), message=f"{pair}: the policy of {pair.ours} is no JSON")
    for statement in _as_list(document.get("Statement")):
        if statement.get("Effect") != "Allow" or not _covers_read(statement):
            continue
        admitted = [
            principal
            for principal in _principals(statement)
            if _admits(principal, roles, account_id, is_other_account=is_other_account)
        ]
        if not admitted and "NotPrincipal" not in statement:
            continue
        who = admitted[0] if admitted else "all but some principals"
        if statement.get("Condition"):
            return Finding.error(
                subject=str(pair),
                message=f"{pair}: the policy of {pair.ours} admits {who} under a condition that was not evaluated",
                next_step="name the principals without a condition, or set read_secret_values of both accounts",
            )
        return Finding.of(
            False, subject=str(pair), observed=f"the policy of {pair.ours} lets {who} in", expected=expected
        )
    return Finding.of(True, subject=str(pair), observed=expected, expected=expected)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _covers_read(statement: Mapping[str, Any]) -> bool:
    actions = [str(action).lower() for action in _as_list(statement.get("Action"))]
    if "NotAction" in statement:
        return not any(fnmatch.fnmatchcase(READ.lower(), str(a).lower()) for a in _as_list(statement["NotAction"]))
    return any(fnmatch.fnmatchcase(READ.lower(), action) for action in actions)


def _principals(statement: Mapping[str, Any]) -> list[str]:
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        return [str(each) for each in _as_list(principal.get("AWS"))]
    return [str(each) for each in _as_list(principal)]


def _admits(principal: str, roles: Iterable[str], account_id: str, *, is_other_account: bool) -> bool:
    if principal == "*":
        return True
    if is_other_account:
        return principal == account_id or f":{account_id}:" in principal
    return principal in roles


# Code


def _environment_maps(names: Sequence[str]) -> Pattern:
    spelled = "|".join(re.escape(name) for name in names)
    return Pattern(
        name="environment",
        languages=("javascript", "typescript", "tsx"),
        rule=f"""
kind: pair
all:
  - has: {{field: key, regex: '^["'']?({spelled})["'']?$'}}
  - has: {{field: value, kind: object}}
""",
    )


_KEY = re.compile(r"""^["']?(?P<key>[\w-]+)""")
_VARIABLE = re.compile(r"""process\.env(?:\.(\w+)|\[["'](\w+)["']\])""")
_SECRET_NAME = re.compile(r"""(?i)secret[_-]?(?:name|id|arn|path)["']?\s*:\s*(["'`])(?P<name>[^"'`$]+)\1""")
_SECRET = re.compile(r"(?i)(api[_-]?key|secret|token|passw|private[_-]?key)")


def judge_maps(matches: Sequence[Match], wanted: SeparateKeysParameters) -> Iterator[Finding]:
    """Compare what code takes for production with what it takes elsewhere, file by file.

    A file that maps one environment alone, or none to a secret, says nothing.
    """
    by_file: dict[str, dict[str, set[str]]] = {}
    for match in matches:
        key = _KEY.match(match.text)
        names = secret_sources(match.text)
        if key and names:
            by_file.setdefault(match.location.file, {}).setdefault(key["key"], set()).update(names)
    for file, sources in sorted(by_file.items()):
        production = {name for key in sources if key in wanted.production_names for name in sources[key]}
        others = {name for key in sources if key not in wanted.production_names for name in sources[key]}
        if not (production and others):
            continue
        shared = sorted(production & others)
        yield Finding.of(
            not shared,
            subject=file,
            observed=f"production shares {', '.join(shared[:10])}" if shared else "production has names of its own",
            expected="production has names of its own",
            location=next(match.location for match in matches if match.location.file == file),
            grade=Grade.REPOSITORY,
        )


def secret_sources(text: str) -> set[str]:
    """Secret-like variables, and names of secrets, that a piece of JavaScript or TypeScript takes."""
    variables = {first or second for first, second in _VARIABLE.findall(text)}
    return {name for name in variables if _SECRET.search(name)} | {m["name"] for m in _SECRET_NAME.finditer(text)}
