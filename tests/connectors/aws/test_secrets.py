"""No secret comes out of the connector but as a fingerprint, and values are read only where the account says so."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from quub_audit.connectors.aws import AwsConnector
from quub_audit.connectors.aws_seal import as_fact
from quub_audit.connectors.base import Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.errors import Absent, Denied, Refused, Unsupported
from quub_audit.facts.seal import Fingerprint, Redactor, Sealer
from quub_audit.model.environment import SecretReference
from tests.connectors.aws.conftest import Connect
from tests.connectors.aws.recording import recording
from tests.worlds.cloud import Cloud

PLANTED = "planted-9f8e7d6c5b4a"
SEALER = Sealer(b"salt", Redactor())


def seal(question: str, answer: dict[str, Any]) -> dict[str, Any]:
    return as_fact(question, answer, SEALER)


def declared(cloud: Cloud, name: str, store: Any = "secrets-manager") -> SecretReference:
    return SecretReference(store=store, name=name, region=cloud.account().regions[0])


def test_variables_of_a_function_are_fingerprints_and_their_names_stay(cloud: Cloud, connect: Connect) -> None:
    cloud.function("orders", {"QUUB_API_KEY": PLANTED, "PORT": "3000"})
    ledger, redactor = Ledger(), Redactor()
    connector = connect(cloud.account(), environ=cloud.environ, ledger=ledger, sealer=Sealer(b"s", redactor))
    region = cloud.account().regions[0]

    (listed,) = connector.ask("lambda.ListFunctions", region=region)["Functions"]
    told = connector.ask("lambda.GetFunctionConfiguration", region=region, FunctionName="orders")
    whole = connector.ask("lambda.GetFunction", region=region, FunctionName="orders")

    for environment in (listed["Environment"], told["Environment"], whole["Configuration"]["Environment"]):
        assert isinstance(environment["Variables"]["QUUB_API_KEY"], Fingerprint)
        assert environment["Variables"]["PORT"].kind == "number"
    assert isinstance(whole["Code"]["Location"], Fingerprint)
    assert listed["FunctionName"] == "orders"
    assert listed["Handler"] == "index.handler"
    assert PLANTED not in kept_in(ledger)
    assert redactor.clean(f"key={PLANTED}") == "key=[redacted]"


def test_variables_and_command_of_a_container_are_fingerprints_and_the_rest_stays(
    cloud: Cloud, connect: Connect
) -> None:
    definition = cloud.service(
        environment={"QUUB_API_KEY": PLANTED},
        secret={"DB": "arn:aws:ssm:eu-central-1:1:parameter/db"},
        command=["serve", f"--key={PLANTED}"],
        logConfiguration={
            "logDriver": "awsfirelens",
            "options": {"Name": "datadog", "apikey": PLANTED, "Host": "logs.example.com"},
        },
    )
    ledger = Ledger()
    connector = connect(cloud.account(), environ=cloud.environ, ledger=ledger)

    answer = connector.ask("ecs.DescribeTaskDefinition", region=cloud.account().regions[0], taskDefinition=definition)
    (container,) = answer["taskDefinition"]["containerDefinitions"]

    assert container["environment"] == [{"name": "QUUB_API_KEY", "value": container["environment"][0]["value"]}]
    assert isinstance(container["environment"][0]["value"], Fingerprint)
    assert all(isinstance(part, Fingerprint) for part in container["command"])
    assert isinstance(container["logConfiguration"]["options"]["apikey"], Fingerprint)
    assert container["logConfiguration"]["options"]["Host"] == "logs.example.com"
    assert container["secrets"] == [{"name": "DB", "valueFrom": "arn:aws:ssm:eu-central-1:1:parameter/db"}]
    assert container["image"] == "orders:1"
    assert PLANTED not in kept_in(ledger)


def kept_in(ledger: Ledger) -> str:
    """Everything that a bundle or a traceback could show of a ledger."""
    answers = [entry.answer for _, entry in ledger.answered()]
    return json.dumps([encode(answer) for answer in answers]) + repr(list(ledger.answered()))


@pytest.mark.parametrize(
    ("question", "answer", "sealed", "kept"),
    [
        (
            "codebuild.BatchGetProjects",
            {
                "projects": [
                    {
                        "environment": {
                            "environmentVariables": [
                                {"name": "A", "value": PLANTED, "type": "PLAINTEXT"},
                                {"name": "B", "value": PLANTED},
                                {"name": "C", "value": "/orders/key", "type": "PARAMETER_STORE"},
                            ]
                        }
                    }
                ]
            },
            2,
            "/orders/key",
        ),
        ("ec2.DescribeInstanceAttribute", {"InstanceId": "i-1", "UserData": {"Value": PLANTED}}, 1, "i-1"),
        (
            "ec2.DescribeLaunchTemplateVersions",
            {"LaunchTemplateVersions": [{"LaunchTemplateData": {"UserData": PLANTED, "ImageId": "ami-1"}}]},
            1,
            "ami-1",
        ),
        ("ssm.GetParameters", {"Parameters": [{"Name": "/a", "Value": PLANTED}]}, 1, "/a"),
        (
            "cognito-idp.DescribeUserPoolClient",
            {"UserPoolClient": {"ClientId": "c-1", "ClientSecret": PLANTED}},
            1,
            "c-1",
        ),
        (
            "cognito-idp.DescribeIdentityProvider",
            {"IdentityProvider": {"ProviderDetails": {"client_secret": PLANTED, "client_id": "c-1"}}},
            1,
            "c-1",
        ),
        ("rds.DescribeDBInstances", {"X": [{"MasterUserPassword": PLANTED, "MasterUsername": "root"}]}, 1, "root"),
        (
            "apprunner.DescribeService",
            {
                "Service": {
                    "SourceConfiguration": {
                        "ImageRepository": {
                            "ImageIdentifier": "orders:1",
                            "ImageConfiguration": {"RuntimeEnvironmentVariables": {"A": PLANTED}},
                        }
                    }
                }
            },
            1,
            "orders:1",
        ),
        (
            "ec2.DescribeVpnConnections",
            {"VpnConnections": [{"Options": {"TunnelOptions": [{"PreSharedKey": PLANTED, "IpAddress": "192.0.2.1"}]}}]},
            1,
            "192.0.2.1",
        ),
        ("apigateway.GetApiKeys", {"items": [{"id": "k-1", "value": PLANTED}]}, 1, "k-1"),
        ("lambda.ListFunctions", {"Functions": [{"FunctionName": "a", "Environment": None}]}, 0, "a"),
        (
            "lambda.ListFunctions",
            {"Functions": ["odd", {"FunctionName": "a", "Environment": {"Variables": 5}}]},
            0,
            "a",
        ),
        ("ecs.DescribeTaskDefinition", {"taskDefinition": None, "tags": ["kept"]}, 0, "kept"),
    ],
)
def test_secrets_in_answers_become_fingerprints_wherever_they_are_known_to_stand(
    question: str, answer: dict[str, Any], sealed: int, kept: str
) -> None:
    fact = seal(question, answer)

    assert str(fact).count("Fingerprint(") == sealed
    assert PLANTED not in json.dumps(encode(fact))
    assert kept in json.dumps(encode(fact))
    assert decode(encode(fact)) == fact


def test_times_are_utc_and_what_is_no_fact_is_left_out() -> None:
    there = datetime(2026, 6, 1, 14, tzinfo=timezone(timedelta(hours=2)))

    fact = seal("rds.DescribeDBInstances", {"At": there, "Raw": b"\x00", "ResponseMetadata": {"RequestId": "x"}})

    assert fact == {"At": datetime(2026, 6, 1, 12, tzinfo=UTC), "Raw": b"\x00"}
    assert fact["At"].tzinfo is UTC
    assert decode(encode(fact)) == fact


# Values of declared secrets


def test_without_the_right_to_read_values_there_are_no_fingerprints_and_nothing_is_asked(
    cloud: Cloud, connect: Connect
) -> None:
    cloud.secret("orders", {"apiKey": PLANTED})
    with recording(cloud.address) as peer:
        connector = connect(cloud.account(endpoint_url=peer.address), environ=cloud.environ)
        assert connector.secret_fingerprints(declared(cloud, "orders")) is None
        with pytest.raises(Refused, match="read_secret_values is not set"):
            connector.secret_values(declared(cloud, "orders"))

    assert peer.operations == []


@pytest.fixture
def reader(cloud: Cloud, connect: Connect) -> AwsConnector:
    return connect(cloud.account(read_secret_values=True), environ=cloud.environ)


def test_there_is_a_fingerprint_per_field_of_a_json_object(cloud: Cloud, reader: AwsConnector) -> None:
    cloud.secret("orders", json.dumps({"apiKey": PLANTED, "port": 5432, "more": {"b": 1, "a": "x"}}))

    fields = reader.secret_fingerprints(declared(cloud, "orders"))

    assert fields is not None
    assert sorted(fields) == ["apiKey", "more", "port"]
    assert fields["apiKey"].length == len(PLANTED)
    assert fields["port"].kind == "number"
    assert reader.secret_values(declared(cloud, "orders"))["more"] == '{"a":"x","b":1}'


@pytest.mark.parametrize("text", [PLANTED, f'["{PLANTED}"]', '"text"', "17", "{broken", "[" * 5000])
def test_what_is_no_json_object_stands_under_an_empty_key(cloud: Cloud, reader: AwsConnector, text: str) -> None:
    cloud.secret("orders", text)

    fields = reader.secret_fingerprints(declared(cloud, "orders"))

    assert fields is not None
    assert [(name, each.length) for name, each in fields.items()] == [("", len(text))]


@pytest.mark.parametrize(("raw", "length"), [(b"plain text", 10), (b"\xff\xfe\x00", 4)])
def test_a_binary_secret_is_its_text_or_its_base64(cloud: Cloud, reader: AwsConnector, raw: bytes, length: int) -> None:
    cloud.client("secretsmanager").create_secret(Name="orders", SecretBinary=raw)

    fields = reader.secret_fingerprints(declared(cloud, "orders"))

    assert fields is not None
    assert fields[""].length == length


def test_a_secure_string_is_read_decrypted(cloud: Cloud, reader: AwsConnector) -> None:
    cloud.parameter("/orders/quub", json.dumps({"apiKey": PLANTED}))
    cloud.parameter("/orders/plain", PLANTED)

    assert reader.secret_values(declared(cloud, "/orders/quub", "ssm")) == {"apiKey": PLANTED}
    fields = reader.secret_fingerprints(declared(cloud, "/orders/plain", "ssm"))
    assert fields is not None
    assert fields[""].length == len(PLANTED)


def test_the_same_value_has_the_same_fingerprint_in_both_stores(cloud: Cloud, reader: AwsConnector) -> None:
    cloud.secret("orders", PLANTED)
    cloud.parameter("/orders", PLANTED)

    first = reader.secret_fingerprints(declared(cloud, "orders"))
    second = reader.secret_fingerprints(declared(cloud, "/orders", "ssm"))

    assert first is not None
    assert first == second


@pytest.mark.parametrize("store", ["secrets-manager", "ssm"])
def test_a_secret_that_does_not_exist_is_absent(cloud: Cloud, reader: AwsConnector, store: str) -> None:
    with pytest.raises(Absent, match=r"prod/eu-central-1: .* of nothing found nothing"):
        reader.secret_fingerprints(declared(cloud, "nothing", store))


def test_a_secret_without_a_value_is_absent(cloud: Cloud, reader: AwsConnector) -> None:
    cloud.secret("orders")

    with pytest.raises(Absent):
        reader.secret_fingerprints(declared(cloud, "orders"))


def test_a_denied_value_is_denied_and_names_what_to_grant(cloud: Cloud, connect: Connect) -> None:
    cloud.secret("orders", PLANTED)
    cloud.allow_only("secretsmanager:DescribeSecret")
    connector = connect(cloud.account(read_secret_values=True), environ=cloud.environ)

    with pytest.raises(Denied, match="GetSecretValue of orders was denied to user/audit") as raised:
        connector.secret_fingerprints(declared(cloud, "orders"))

    assert raised.value.permission == "secretsmanager:GetSecretValue"


def test_values_are_struck_and_stand_in_no_record(cloud: Cloud, connect: Connect) -> None:
    ledger, redactor = Ledger(), Redactor()
    account = cloud.account(read_secret_values=True)
    connector = connect(account, environ=cloud.environ, ledger=ledger, sealer=Sealer(b"s", redactor))
    cloud.secret("orders", json.dumps({"apiKey": PLANTED, "deep": {"list": ["another-planted-value"]}}))

    connector.secret_fingerprints(declared(cloud, "orders"))
    connector.secret_values(declared(cloud, "orders"))

    assert PLANTED not in kept_in(ledger)
    assert redactor.clean(f"{PLANTED} another-planted-value") == "[redacted] [redacted]"


def test_a_value_is_read_once_for_all_who_want_its_fingerprint(cloud: Cloud, connect: Connect) -> None:
    cloud.secret("orders", PLANTED)
    with recording(cloud.address) as peer:
        account = cloud.account(endpoint_url=peer.address, read_secret_values=True)
        connector = connect(account, environ=cloud.environ)
        for _ in range(3):
            connector.secret_fingerprints(declared(cloud, "orders"))

    assert peer.operations.count("GetSecretValue") == 1


def test_a_secret_without_a_region_lies_in_the_first_of_the_only_account(cloud: Cloud, reader: AwsConnector) -> None:
    cloud.secret("orders", PLANTED)

    assert reader.secret_values(SecretReference(store="secrets-manager", name="orders")) == {"": PLANTED}
    with pytest.raises(Unsupported, match="in Vault"):
        reader.secret_values(SecretReference(store="vault", name="secret/orders"))


def test_the_value_of_a_secret_cannot_be_asked_as_a_question(cloud: Cloud, reader: AwsConnector) -> None:
    cloud.secret("orders", PLANTED)
    region = cloud.account().regions[0]

    with pytest.raises(Refused, match="hands out secrets"):
        reader.ask("secretsmanager.GetSecretValue", region=region, SecretId="orders")
    with pytest.raises(Refused, match="with WithDecryption"):
        reader.ask("ssm.GetParameter", region=region, Name="/a", WithDecryption=True)
