"""A credential made for this environment is in its secret store: complete, current, and accepted by Quub."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.api_keys._secrets import Place, parameter_names, place_of
from quub_audit.checks.security.api_keys._workloads import Container
from quub_audit.checks.security.api_keys.production_keys_generated import (
    ProductionKeysParameters,
    judge_answers,
    judge_content,
    judge_parameter,
    judge_references,
    judge_secret,
    judge_vault_secret,
    missing_fields,
)
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.facts.vault import SecretVersion, VaultSecret
from quub_audit.model.environment import Account, Environment, Quub, Region, SecretReference
from quub_audit.model.status import FindingStatus, Status
from quub_audit.testing import audit_item
from tests.checks.security.api_keys.scene import Seal, credentials, in_vault, made_up_key, unique
from tests.checks.security.attested import settled_by_a_word
from tests.worlds.cloud import Cloud
from tests.worlds.vault import VaultWorld

ITEM = "security.api-keys.production-keys-generated"
WANTED = ProductionKeysParameters()
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)


# The container


@pytest.mark.parametrize(
    ("described", "status", "observed"),
    [
        (None, FAIL, "does not exist"),
        ({}, FAIL, "has no version staged AWSCURRENT"),
        ({"VersionIdsToStages": {}}, FAIL, "has no version staged AWSCURRENT"),
        ({"VersionIdsToStages": {"a": ["AWSPREVIOUS"]}}, FAIL, "has no version staged AWSCURRENT"),
        ({"VersionIdsToStages": {"a": ["AWSCURRENT"]}}, PASS, "has one version staged AWSCURRENT"),
        ({"VersionIdsToStages": {"a": ["AWSCURRENT", "AWSPENDING"], "b": []}}, PASS, "has one version staged"),
        ({"VersionIdsToStages": {"a": ["AWSCURRENT"], "b": ["AWSCURRENT"]}}, FAIL, "has 2 versions staged"),
        (
            {"VersionIdsToStages": {"a": ["AWSCURRENT"]}, "DeletedDate": datetime(2026, 5, 1, tzinfo=UTC)},
            FAIL,
            "is scheduled for deletion (2026-05-01)",
        ),
    ],
)
def test_a_secret_needs_one_current_version_and_no_date_of_deletion(
    described: dict[str, Any] | None, status: FindingStatus, observed: str
) -> None:
    finding = judge_secret("production/quub/credentials", described)

    assert finding.status is status
    assert finding.observed.startswith(observed)


@pytest.mark.parametrize(
    ("described", "status", "observed"),
    [
        ([], FAIL, "does not exist"),
        ([{"Type": "String"}], FAIL, "is a String"),
        ([{"Type": "StringList"}], FAIL, "is a StringList"),
        ([{"Type": "SecureString"}], PASS, "is a SecureString"),
    ],
)
def test_only_a_secure_string_is_a_secret_parameter(
    described: list[dict[str, Any]], status: FindingStatus, observed: str
) -> None:
    finding = judge_parameter("/production/quub/apiKey", described)

    assert (finding.status, finding.observed) == (status, observed)


def versioned(now: datetime, **changes: Any) -> VaultSecret:
    version = SecretVersion(number=2, created_at=now - timedelta(days=3))
    return VaultSecret(path="secret/q", kv_version=2, current_version=2, versions=(replace(version, **changes),))


def test_a_version_that_is_deleted_or_destroyed_is_no_current_version(now: datetime) -> None:
    assert judge_vault_secret("q", versioned(now), now).status is PASS
    assert judge_vault_secret("q", versioned(now, deleted_at=now - timedelta(hours=1)), now).status is FAIL
    assert judge_vault_secret("q", versioned(now, is_destroyed=True), now).status is FAIL
    assert judge_vault_secret("q", None, now).status is FAIL
    assert judge_vault_secret("q", VaultSecret(path="q", kv_version=2), now).observed == "has no version"


def test_a_version_that_will_be_deleted_later_is_current_until_then(now: datetime) -> None:
    assert judge_vault_secret("q", versioned(now, deleted_at=now + timedelta(days=30)), now).status is PASS


# The content


def test_without_the_right_to_read_values_the_report_says_that_the_content_was_not_looked_at() -> None:
    finding = judge_content("q", None, WANTED, is_production=True)

    assert finding.kind == "undecided"
    assert "read_secret_values" in finding.message


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"apiKey": "CHANGE_ME"}, "apiKey holds the word “change_me”"),
        ({"apiKey": "TODO"}, "apiKey holds the word “todo”"),
        ({"apiSecret": ""}, "apiSecret is empty"),
        ({"apiSecret": "   "}, "apiSecret is empty"),
        ({"apiKey": "abc123"}, "apiKey has 6 characters, expected 16 or more"),
        ({"apiKey": "a" * 40}, "apiKey has 0.0 bits per character, expected 3.0 or more"),
        ({"apiKey": "sandbox_" + "k3Jx9Qw2Lz7Rt5Vb"}, "apiKey holds the word “sandbox”"),
        ({"apiKey": "test-" + "k3Jx9Qw2Lz7Rt5Vb"}, "apiKey holds the word “test”"),
        ({"orgId": "placeholder"}, "orgId holds the word “placeholder”"),
        ({"apiKey": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:x"}, "apiKey is a reference, no key"),
        ({"apiKey": "https://quub.invalid/where/the/key/is"}, "apiKey is a url, no key"),
    ],
)
def test_a_field_that_cannot_be_a_production_key_fails_and_is_named(
    seal: Seal, changes: dict[str, str], problem: str
) -> None:
    fields = {name: seal(value) for name, value in credentials(**changes).items()}

    finding = judge_content("q", fields, WANTED, is_production=True)

    assert finding.status is FAIL
    assert problem in finding.observed


def test_a_missing_field_fails_and_is_named(seal: Seal) -> None:
    fields = {name: seal(value) for name, value in credentials().items() if name != "apiSecret"}

    assert judge_content("q", fields, WANTED, is_production=True).observed == "apiSecret is missing"


def test_a_complete_secret_passes_and_a_short_public_field_does_no_harm(seal: Seal) -> None:
    fields = {name: seal(value) for name, value in credentials(orgId="7", note="test account, see wiki").items()}

    assert judge_content("q", fields, WANTED, is_production=True).status is PASS


def test_a_key_of_the_sandbox_is_right_outside_production(seal: Seal) -> None:
    fields = {name: seal(value) for name, value in credentials(apiKey=made_up_key("sandbox")).items()}

    assert judge_content("q", fields, WANTED, is_production=False).status is PASS
    assert judge_content("q", fields, WANTED, is_production=True).status is FAIL


def test_a_value_that_is_no_json_object_fails_unless_its_name_is_a_field(seal: Seal) -> None:
    fields = {"": seal(made_up_key())}

    assert judge_content("production/quub/credentials", fields, WANTED, is_production=True).status is FAIL
    assert judge_content("/production/quub/api-key", fields, WANTED, is_production=True).status is PASS
    assert judge_content("/production/quub/api_key", {"": seal("")}, WANTED, is_production=True).status is FAIL


def test_an_empty_object_fails(seal: Seal) -> None:
    assert judge_content("q", {}, WANTED, is_production=True).status is FAIL


@given(st.dictionaries(st.sampled_from(["apiKey", "apiSecret", "orgId", "", "x"]), st.text(max_size=40)))
def test_no_value_stands_in_a_finding(values: dict[str, str]) -> None:
    fields = {name: Sealer(b"s", Redactor()).seal("§" + value) for name, value in values.items()}

    finding = judge_content("q", fields, WANTED, is_production=True)

    assert "§" not in finding.observed + finding.expected + finding.message


def test_one_secret_for_each_field_must_be_there_for_all_fields() -> None:
    required = WANTED.required_fields

    assert missing_fields(["/p/api-key", "/p/API_SECRET"], required) == ("orgId",)
    assert missing_fields(["/p/apiKey", "/p/apiSecret", "/p/orgId"], required) == ()
    assert missing_fields(["production/quub/credentials"], required) == ()


# The workload


REGION = Region(account="prod", name="eu-central-1")
ACCOUNT = Account(name="prod", account_id="111122223333", region_names=("eu-central-1",))


def container(name: str, source: str) -> Container:
    return Container(
        region=REGION,
        task_definition="orders:7",
        task_definition_arn="arn:aws:ecs:eu-central-1:111122223333:task-definition/orders:7",
        name="web",
        secrets=({"name": name, "valueFrom": source},),
    )


def environment() -> Environment:
    ours = SecretReference(store="secrets-manager", name="production/quub/credentials", region=REGION)
    theirs = SecretReference(store="secrets-manager", name="staging/quub/credentials", region=REGION)
    staging = Environment(service="orders", name="staging", stage="staging", quub=Quub(secrets=(theirs,)))
    return Environment(
        service="orders",
        name="production",
        stage="production",
        quub=Quub(secrets=(ours,)),
        aws=(ACCOUNT,),
        siblings=(staging,),
    )


ARN = "arn:aws:secretsmanager:eu-central-1:{account}:secret:{name}"


@pytest.mark.parametrize(
    ("source", "status", "observed"),
    [
        (ARN.format(account="111122223333", name="production/quub/credentials-AbC123"), PASS, "production/quub"),
        (ARN.format(account="111122223333", name="production/quub/credentials-AbC123:apiKey::"), PASS, ""),
        (ARN.format(account="111122223333", name="production/quub/credentials"), PASS, ""),
        (ARN.format(account="444455556666", name="production/quub/credentials-AbC123"), FAIL, "of 444455556666"),
        (
            ARN.format(account="111122223333", name="staging/quub/credentials-AbC123"),
            FAIL,
            "the secret of staging",
        ),
        (ARN.format(account="111122223333", name="production/quub/credentials-legacy-AbC123"), FAIL, "legacy"),
        ("/production/quub/apiKey", FAIL, "/production/quub/apiKey of 111122223333"),
        ("arn:aws:s3:::bucket/key", FAIL, "arn:aws:s3:::bucket/key"),
    ],
)
def test_a_container_takes_the_secret_of_its_own_environment_and_account(
    source: str, status: FindingStatus, observed: str
) -> None:
    names = re.compile(WANTED.variable_names)

    (finding,) = judge_references(container("QUUB_API_KEY", source), environment(), names)

    assert finding.status is status
    assert observed in finding.observed
    assert finding.subject == "orders:7/web QUUB_API_KEY"


def test_other_variables_and_environments_without_aws_secrets_are_left_alone() -> None:
    names = re.compile(WANTED.variable_names)
    nowhere = replace(environment(), quub=Quub())

    assert not list(judge_references(container("REDIS_URL", "arn:x"), environment(), names))
    assert not list(judge_references(container("QUUB_API_KEY", "arn:x"), nowhere, names))


def test_a_name_that_ends_in_six_characters_is_not_taken_for_the_random_ending_of_an_arn() -> None:
    short = place_of("production/quub", account_id="1", region="r", service="secretsmanager")
    long = place_of("production/quub-legacy", account_id="1", region="r", service="secretsmanager")

    assert short is not None
    assert long is not None
    assert not short.is_same_as(long)


def test_an_arn_of_a_parameter_of_one_level_may_stand_for_a_name_with_or_without_a_slash() -> None:
    arn = "arn:aws:ssm:eu-central-1:111122223333:parameter/key"

    assert parameter_names(arn) == ["key", "/key"]
    assert parameter_names("arn:aws:ssm:eu-central-1:111122223333:parameter/a/b") == ["/a/b"]
    assert place_of(arn) == Place(
        service="ssm", account_id="111122223333", region="eu-central-1", name="key", is_from_arn=True
    )


# Quub's own answer


@pytest.mark.parametrize(
    ("status", "made_up", "expected"),
    [
        (200, 401, PASS),
        (204, 403, PASS),
        (401, 401, FAIL),
        (403, 401, FAIL),
        (200, 200, ERROR),
        (200, 404, ERROR),
        (500, 401, ERROR),
        (429, 401, ERROR),
        (301, 401, ERROR),
        (404, 401, ERROR),
    ],
)
def test_only_an_answer_that_tells_a_key_from_a_made_up_one_proves_anything(
    status: int, made_up: int, expected: FindingStatus
) -> None:
    assert judge_answers("https://api.quub.invalid", status, made_up).status is expected


# On OpenBao


@pytest.mark.proof("pass")
def test_a_complete_secret_in_vault_passes(bao: VaultWorld) -> None:
    path = unique("quub")
    bao.put(path, credentials())

    result = audit_item(ITEM, in_vault(bao.server(read_secret_values=True), path))

    assert result.status is Status.PASS, result.reason
    assert {finding.subject for finding in result.findings} == {f"secret/{path}"}


@pytest.mark.proof("fail")
def test_a_placeholder_in_vault_fails_beside_a_good_secret_and_is_named(bao: VaultWorld) -> None:
    good, bad = unique("quub"), unique("quub")
    bao.put(good, credentials())
    bao.put(bad, credentials(apiKey="CHANGE_ME"))

    result = audit_item(ITEM, in_vault(bao.server(read_secret_values=True), good, bad))

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.of_status(FAIL)] == [f"secret/{bad}"]


@pytest.mark.proof("fail")
def test_a_secret_that_vault_does_not_have_fails_and_is_named(bao: VaultWorld) -> None:
    path = unique("quub")

    result = audit_item(ITEM, in_vault(bao.server(), path))

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.of_status(FAIL)] == [f"secret/{path}"]


@pytest.mark.proof("inconclusive")
def test_an_environment_that_declares_no_secret_is_inconclusive(bao: VaultWorld) -> None:
    assert audit_item(ITEM, in_vault(bao.server())).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_token_without_the_right_to_read_the_metadata_is_an_error(bao: VaultWorld) -> None:
    path = unique("quub")
    bao.put(path, credentials())
    token = bao.token('path "secret/metadata/elsewhere" { capabilities = ["read"] }', name=unique("p").replace("/", ""))

    result = audit_item(ITEM, in_vault(bao.server(token), path))

    assert result.status is Status.ERROR
    assert "denied" in result.reason


def test_where_values_may_not_be_read_the_container_alone_passes_nothing(bao: VaultWorld) -> None:
    path = unique("quub")
    bao.put(path, credentials(apiKey="CHANGE_ME"))

    result = audit_item(ITEM, in_vault(bao.server(), path))

    assert result.status is Status.INCONCLUSIVE
    assert len(result.of_status(PASS)) == 1
    assert [finding.observed for finding in result.of_status(WARNING)] == [
        "only the container was looked at, its content was not"
    ]
    assert settled_by_a_word(result)


def test_a_deleted_version_in_vault_fails(bao: VaultWorld) -> None:
    path = unique("quub")
    bao.put(path, credentials())
    bao.send("DELETE", f"secret/data/{path}")

    result = audit_item(ITEM, in_vault(bao.server(), path))

    assert result.status is Status.FAIL
    assert result.of_status(FAIL)[0].observed == "has version 1, which is deleted"


def test_a_secret_in_a_store_that_is_not_declared_is_an_error(bao: VaultWorld) -> None:
    declared = SecretReference(store="secrets-manager", name="production/quub/credentials")
    nowhere = replace(in_vault(bao.server()), quub=Quub(secrets=(declared,)))

    result = audit_item(ITEM, nowhere)

    assert result.status is Status.ERROR
    assert [finding.subject for finding in result.of_status(ERROR)] == ["production/quub/credentials"]


# On AWS


@pytest.mark.proof("pass")
def test_a_complete_secret_in_secrets_manager_passes(cloud: Cloud) -> None:
    arn = cloud.secret("production/quub/credentials", credentials())
    cloud.service(secret={"QUUB_CREDENTIALS": arn})
    environment = cloud.environment("production/quub/credentials", account=cloud.account(read_secret_values=True))

    result = audit_item(ITEM, environment, environ=cloud.environ)

    assert result.status is Status.PASS, result.reason
    assert {finding.subject for finding in result.of_status(PASS)} == {
        "production/quub/credentials",
        "orders:1/web QUUB_CREDENTIALS",
    }


@pytest.mark.proof("fail")
def test_a_secret_that_terraform_made_and_nobody_filled_fails(cloud: Cloud) -> None:
    cloud.secret("production/quub/credentials")

    result = audit_item(ITEM, cloud.environment("production/quub/credentials"), environ=cloud.environ)

    assert result.status is Status.FAIL
    (finding,) = result.of_status(FAIL)
    assert finding.subject == "production/quub/credentials"
    assert finding.observed == "has no version staged AWSCURRENT"


@pytest.mark.proof("fail")
def test_the_placeholder_of_terraform_fails_and_does_not_stand_in_the_result(cloud: Cloud) -> None:
    placeholder = "CHANGE_ME_" + "in_the_console"
    cloud.secret("production/quub/credentials", credentials(apiSecret=placeholder))
    environment = cloud.environment("production/quub/credentials", account=cloud.account(read_secret_values=True))

    result = audit_item(ITEM, environment, environ=cloud.environ)

    assert result.status is Status.FAIL
    assert "apiSecret holds the word “change_me”" in result.of_status(FAIL)[0].observed
    assert placeholder not in repr(result)


@pytest.mark.proof("fail")
def test_a_plain_parameter_fails_and_a_secure_string_for_each_field_passes(cloud: Cloud) -> None:
    names = ("/production/quub/apiKey", "/production/quub/apiSecret", "/production/quub/orgId")
    for name in names:
        cloud.parameter(name, made_up_key())
    cloud.parameter("/plain/apiKey", made_up_key(), "String")
    account = cloud.account(read_secret_values=True)

    good = audit_item(ITEM, cloud.environment(*names, store="ssm", account=account), environ=cloud.environ)
    bad = audit_item(ITEM, cloud.environment("/plain/apiKey", store="ssm", account=account), environ=cloud.environ)

    assert good.status is Status.PASS, good.reason
    assert bad.status is Status.FAIL
    assert {finding.observed for finding in bad.of_status(FAIL)} == {
        "is a String",
        "no declared secret is named after apiSecret, orgId",
    }


def test_a_secret_that_is_missing_or_scheduled_for_deletion_fails(cloud: Cloud) -> None:
    cloud.secret("production/quub/old", credentials())
    cloud.client("secretsmanager").delete_secret(SecretId="production/quub/old")

    result = audit_item(ITEM, cloud.environment("production/quub/old", "production/quub/none"), environ=cloud.environ)

    assert {finding.subject: finding.observed.split(" (")[0] for finding in result.of_status(FAIL)} == {
        "production/quub/old": "is scheduled for deletion",
        "production/quub/none": "does not exist",
    }


def test_a_task_that_takes_the_secret_of_the_staging_account_fails_though_ours_is_fine(cloud: Cloud) -> None:
    staging = cloud.neighbour()
    cloud.secret("production/quub/credentials", credentials())
    cloud.service(secret={"QUUB_API_KEY": staging.secret("staging/quub/credentials", credentials()) + ":apiKey::"})

    result = audit_item(
        ITEM,
        replace(
            cloud.environment("production/quub/credentials"),
            siblings=(staging.environment("staging/quub/credentials", stage="staging"),),
        ),
        environ=cloud.environ,
    )

    (finding,) = result.of_status(FAIL)
    assert finding.subject == "orders:1/web QUUB_API_KEY"
    assert finding.observed.endswith("the secret of staging")


@pytest.mark.proof("inconclusive")
def test_an_account_with_nothing_in_it_is_inconclusive(cloud: Cloud) -> None:
    assert audit_item(ITEM, cloud.environment(), environ=cloud.environ).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_denied_description_is_an_error_that_names_the_permission(cloud: Cloud) -> None:
    cloud.secret("production/quub/credentials", credentials())
    cloud.allow_only("ecs:ListClusters")

    result = audit_item(ITEM, cloud.environment("production/quub/credentials"), environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "secretsmanager:DescribeSecret" in result.reason + result.next_step
