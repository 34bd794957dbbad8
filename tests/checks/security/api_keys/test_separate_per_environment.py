"""Each environment has keys of its own, and nobody in one environment can read another's."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from quub_audit.checks.security.api_keys.separate_per_environment import (
    Pair,
    SeparateKeysParameters,
    judge_maps,
    judge_policy,
    judge_shared,
    judge_simulation,
    judge_values,
    secret_sources,
)
from quub_audit.facts.code import Match
from quub_audit.model.environment import Environment, SecretReference
from quub_audit.model.finding import Location
from quub_audit.model.status import FindingStatus, Status
from quub_audit.testing import audit_item
from tests.checks.security.api_keys.scene import Seal, beside, credentials, in_vault, made_up_key, unique
from tests.worlds.cloud import Cloud
from tests.worlds.vault import VaultWorld

ITEM = "security.api-keys.separate-per-environment"
WANTED = SeparateKeysParameters()
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)


def pair(
    ours: Literal["production", "staging"] = "production", theirs: Literal["staging", "development"] = "staging"
) -> Pair:
    return Pair(
        ours=SecretReference(store="secrets-manager", name=f"{ours}/quub"),
        theirs=SecretReference(store="secrets-manager", name=f"{theirs}/quub"),
        environment=Environment(service="orders", name=ours, stage=ours),
        other=Environment(service="orders", name=theirs, stage=theirs),
    )


# Values


def test_a_copy_under_another_name_fails_and_the_field_is_named(seal: Seal) -> None:
    key = made_up_key()
    ours = {"apiKey": seal(key), "apiSecret": seal(made_up_key())}
    theirs = {"apiKey": seal(key), "apiSecret": seal(made_up_key())}

    finding = judge_values(pair(), ours, theirs, WANTED.public_fields)

    assert (finding.status, finding.observed) == (FAIL, "the same value of apiKey")


def test_a_copy_under_another_field_fails_too(seal: Seal) -> None:
    key = made_up_key()

    finding = judge_values(pair(), {"apiKey": seal(key)}, {"key": seal(key)}, WANTED.public_fields)

    assert finding.status is FAIL


def test_a_shared_org_id_flag_number_or_url_is_no_shared_key(seal: Seal) -> None:
    shared = {"orgId": "org_12345678", "debug": "false", "timeout": "30", "url": "https://api.quub.invalid"}
    ours = {name: seal(value) for name, value in {**credentials(), **shared}.items()}
    theirs = {name: seal(value) for name, value in {**credentials(), **shared}.items()}

    assert judge_values(pair(), ours, theirs, WANTED.public_fields).status is PASS


def test_a_secret_without_a_secret_field_cannot_be_compared(seal: Seal) -> None:
    full, empty = {"apiKey": seal(made_up_key())}, {"orgId": seal("org_1"), "apiKey": seal("")}

    assert judge_values(pair(), full, empty, WANTED.public_fields).status is ERROR
    assert judge_values(pair(), empty, full, WANTED.public_fields).status is ERROR
    assert judge_values(pair(), {}, {}, WANTED.public_fields).status is ERROR


def test_what_development_and_staging_share_is_told_and_not_judged(seal: Seal) -> None:
    key = {"apiKey": seal(made_up_key("sandbox"))}

    assert judge_values(pair("staging", "development"), key, key, ()).status is WARNING
    assert judge_shared(pair("staging", "development"), "arn").status is WARNING
    assert judge_shared(pair(), "arn").status is FAIL


# Isolation


@pytest.mark.parametrize(
    ("decisions", "status"),
    [
        (["implicitDeny"], PASS),
        (["explicitDeny"], PASS),
        (["allowed"], FAIL),
        (["implicitDeny", "allowed"], FAIL),
        ([], ERROR),
    ],
)
def test_a_role_of_the_other_environment_must_be_denied(decisions: list[str], status: FindingStatus) -> None:
    results = [{"EvalDecision": decision} for decision in decisions]

    assert judge_simulation(pair(), "arn:aws:iam::1:role/staging", results).status is status


ROLE = "arn:aws:iam::444455556666:role/staging-task"


def policy(principal: Any, **changes: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": {**statement, **changes}})


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", PASS),
        (policy({"AWS": "arn:aws:iam::111122223333:role/production-task"}), PASS),
        (policy({"AWS": ROLE}), FAIL),
        (policy({"AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"]}), FAIL),
        (policy({"AWS": "444455556666"}), FAIL),
        (policy("*"), FAIL),
        (policy({"AWS": "*"}), FAIL),
        (policy("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}), ERROR),
        (policy("*", Effect="Deny"), PASS),
        (policy("*", Action="secretsmanager:DescribeSecret"), PASS),
        (policy("*", Action=["secretsmanager:Get*"]), FAIL),
        (policy("*", Action="*"), FAIL),
        ('{"Statement": [{"Effect": "Allow", "NotPrincipal": {"AWS": "x"}, "Action": "*"}]}', FAIL),
        ('{"Statement": [{"Effect": "Allow", "Principal": "*", "NotAction": "secretsmanager:GetSecretValue"}]}', PASS),
        ('{"Statement": [{"Effect": "Allow", "Principal": "*", "NotAction": "s3:*"}]}', FAIL),
        ("{not json", ERROR),
    ],
)
def test_the_policy_of_a_secret_must_keep_the_other_account_out(text: str, status: FindingStatus) -> None:
    assert judge_policy(pair(), text, (), "444455556666", is_other_account=True).status is status


def test_within_one_account_only_a_named_role_or_everybody_is_let_in_by_the_policy() -> None:
    def judged(principal: Any) -> FindingStatus:
        return judge_policy(pair(), policy(principal), (ROLE,), "444455556666", is_other_account=False).status

    assert judged({"AWS": ROLE}) is FAIL
    assert judged("*") is FAIL
    assert judged({"AWS": "arn:aws:iam::444455556666:role/other"}) is PASS


# Code


def mapped(key: str, body: str, file: str = "src/config.ts") -> Match:
    return Match(
        pattern="environment",
        location=Location(file=file, line=1),
        language="typescript",
        text=f"{key}: {{ quub: {{ {body} }} }}",
    )


def test_code_that_maps_environments_to_variables_of_their_own_passes_at_repository_grade() -> None:
    matches = [
        mapped("staging", "apiKey: process.env.QUUB_STAGING_API_KEY"),
        mapped("production", "apiKey: process.env.QUUB_PROD_API_KEY"),
    ]

    (finding,) = judge_maps(matches, WANTED)

    assert finding.status is PASS
    assert finding.grade is not None
    assert finding.grade.value == "repository"


def test_code_that_takes_one_variable_for_both_fails_and_names_it() -> None:
    matches = [
        mapped("staging", "apiKey: process.env['QUUB_API_KEY']"),
        mapped('"production"', "apiKey: process.env.QUUB_API_KEY, host: process.env.DB_HOST"),
    ]

    (finding,) = judge_maps(matches, WANTED)

    assert (finding.status, finding.subject) == (FAIL, "src/config.ts")
    assert finding.observed == "production shares QUUB_API_KEY"


def test_a_file_that_maps_one_environment_or_no_secret_says_nothing() -> None:
    alone = [mapped("production", "apiKey: process.env.QUUB_API_KEY")]
    apart = [*alone, mapped("staging", "apiKey: process.env.QUUB_API_KEY", file="src/staging.ts")]
    plain = [mapped(name, "host: process.env.DB_HOST") for name in ("staging", "production")]

    assert not [finding for matches in (alone, apart, plain) for finding in judge_maps(matches, WANTED)]


def test_names_of_secrets_count_as_what_code_takes() -> None:
    assert secret_sources('secretName: "staging/quub", url: "https://x"') == {"staging/quub"}
    assert secret_sources("secretArn: `${env}/quub`") == set()


# On OpenBao


def two_environments(bao: VaultWorld, ours: str, theirs: str, **server: Any) -> Environment:
    target = bao.server(**server)
    return beside(in_vault(target, ours), in_vault(target, theirs, name="staging", stage="staging"))


@pytest.mark.proof("pass")
def test_different_values_in_vault_pass(bao: VaultWorld) -> None:
    ours, theirs = unique("quub"), unique("quub")
    bao.put(ours, credentials())
    bao.put(theirs, credentials())

    result = audit_item(ITEM, two_environments(bao, ours, theirs, read_secret_values=True))

    assert result.status is Status.PASS, result.reason


@pytest.mark.proof("fail")
def test_one_value_under_two_names_in_vault_fails_and_both_are_named(bao: VaultWorld) -> None:
    ours, theirs, key = unique("quub"), unique("quub"), made_up_key()
    bao.put(ours, credentials(apiKey=key))
    bao.put(theirs, credentials(apiKey=key))

    result = audit_item(ITEM, two_environments(bao, ours, theirs, read_secret_values=True))

    assert result.status is Status.FAIL
    (finding,) = result.of_status(FAIL)
    assert finding.subject == f"production secret/{ours} and staging secret/{theirs}"
    assert finding.observed == "the same value of apiKey"
    assert key not in repr(result)


@pytest.mark.proof("fail")
def test_one_path_for_both_environments_fails_without_reading_it(bao: VaultWorld) -> None:
    path = unique("quub")
    bao.put(path, credentials())

    result = audit_item(ITEM, two_environments(bao, path, path))

    assert result.status is Status.FAIL


@pytest.mark.proof("inconclusive")
def test_a_single_environment_is_inconclusive(bao: VaultWorld) -> None:
    path = unique("quub")
    bao.put(path, credentials())

    assert audit_item(ITEM, in_vault(bao.server(read_secret_values=True), path)).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_token_that_may_not_read_the_values_is_an_error(bao: VaultWorld) -> None:
    ours, theirs = unique("quub"), unique("quub")
    bao.put(ours, credentials())
    bao.put(theirs, credentials())
    token = bao.token(f'path "secret/data/{ours}" {{ capabilities = ["read"] }}', name=unique("p").replace("/", ""))

    result = audit_item(ITEM, two_environments(bao, ours, theirs, token=token, read_secret_values=True))

    assert result.status is Status.ERROR
    assert "denied" in result.reason


def test_paths_alone_prove_nothing_where_no_value_may_be_read(bao: VaultWorld) -> None:
    ours, theirs = unique("quub"), unique("quub")
    bao.put(ours, credentials())
    bao.put(theirs, credentials())

    assert audit_item(ITEM, two_environments(bao, ours, theirs)).status is Status.ERROR


# On AWS


def two_accounts(cloud: Cloud, **account: Any) -> tuple[Environment, Cloud]:
    other = cloud.neighbour()
    ours = cloud.environment("quub", account=cloud.account("production", **account))
    theirs = other.environment("quub", stage="staging", account=other.account("staging", **account))
    return beside(ours, theirs), other


@pytest.mark.proof("pass")
def test_different_values_in_two_accounts_pass(cloud: Cloud) -> None:
    environment, other = two_accounts(cloud, read_secret_values=True)
    cloud.secret("quub", credentials())
    other.secret("quub", credentials())

    result = audit_item(ITEM, environment, environ=cloud.environ)

    assert result.status is Status.PASS, result.reason


@pytest.mark.proof("fail")
def test_a_copy_in_json_of_another_shape_fails_and_the_field_is_named(cloud: Cloud) -> None:
    environment, other = two_accounts(cloud, read_secret_values=True)
    value = credentials()
    cloud.secret("quub", json.dumps(value))
    other.secret("quub", json.dumps(dict(reversed(value.items())), indent=4))

    result = audit_item(ITEM, environment, environ=cloud.environ)

    (finding,) = result.of_status(FAIL)
    assert finding.observed == "the same value of apiKey, apiSecret"


def test_without_values_two_accounts_are_apart_unless_the_policy_of_the_secret_joins_them(cloud: Cloud) -> None:
    environment, other = two_accounts(cloud)
    cloud.secret("quub", credentials())
    other.secret("quub", credentials())

    apart = audit_item(ITEM, environment, environ=cloud.environ)
    open_to_them = policy({"AWS": f"arn:aws:iam::{other.account_id}:root"})
    cloud.client("secretsmanager").put_resource_policy(SecretId="quub", ResourcePolicy=open_to_them)
    joined = audit_item(ITEM, environment, environ=cloud.environ)

    assert apart.status is Status.PASS, apart.reason
    assert "were not compared" in apart.of_status(WARNING)[0].observed
    assert joined.status is Status.FAIL


def test_one_secret_for_two_environments_fails(cloud: Cloud) -> None:
    cloud.secret("quub", credentials())
    account = cloud.account("shared")
    ours = cloud.environment("quub", account=account)
    theirs = cloud.environment("quub", account=account, stage="staging")

    result = audit_item(ITEM, beside(ours, theirs), environ=cloud.environ)

    assert result.status is Status.FAIL
    assert result.of_status(FAIL)[0].observed.startswith("are one secret, arn:aws:secretsmanager:")


def test_one_account_without_values_and_without_a_known_role_is_an_error(cloud: Cloud) -> None:
    cloud.secret("ours", credentials())
    cloud.secret("theirs", credentials())
    account = cloud.account("shared")

    result = audit_item(
        ITEM,
        beside(
            cloud.environment("ours", account=account), cloud.environment("theirs", account=account, stage="staging")
        ),
        environ=cloud.environ,
    )

    assert result.status is Status.ERROR
    assert "no role of staging is known" in result.reason


@pytest.mark.proof("inconclusive")
def test_one_environment_with_a_secret_in_aws_is_inconclusive(cloud: Cloud) -> None:
    cloud.secret("quub", credentials())

    assert audit_item(ITEM, cloud.environment("quub"), environ=cloud.environ).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_secret_of_the_other_environment_that_is_not_there_is_an_error(cloud: Cloud) -> None:
    environment, _ = two_accounts(cloud, read_secret_values=True)
    cloud.secret("quub", credentials())

    result = audit_item(ITEM, environment, environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "quub does not exist" in result.reason


def test_a_secret_in_aws_and_one_in_vault_compare_too(cloud: Cloud, bao: VaultWorld) -> None:
    path, key = unique("quub"), made_up_key()
    cloud.secret("quub", credentials(apiKey=key))
    bao.put(path, credentials(apiKey=key))
    server = bao.server(read_secret_values=True)
    ours = cloud.environment("quub", account=cloud.account("production", read_secret_values=True), vault=(server,))

    result = audit_item(
        ITEM, beside(ours, in_vault(server, path, name="staging", stage="staging")), environ=cloud.environ
    )

    assert [finding.observed for finding in result.of_status(FAIL)] == ["the same value of apiKey"]
