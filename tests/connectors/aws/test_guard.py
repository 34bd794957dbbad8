"""Nothing but reads, and no read that hands out a secret: over every operation that botocore knows, and on a peer."""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.loaders
import botocore.session
import pytest
from botocore.model import OperationModel, ServiceModel

from quub_audit.connectors.aws import AwsConnector
from quub_audit.connectors.aws_guard import (
    CONTENTS,
    CREDENTIAL_CALLS,
    HANDS_OUT,
    OTHER_READS,
    VALUE_READS,
    judge_credential_call,
    judge_log_read,
    judge_read,
    judge_value_read,
    stand_guard,
)
from quub_audit.errors import Refused
from tests.worlds.cloud import Cloud

MUTATES = re.compile(
    r"^(Abort|Accept|Activate|Add|Allocate|Apply|Archive|Assign|Associate|Assume|Attach|Authorize|Batch(Put|Write|Delete"
    r"|Create|Update|Associate|Disassociate|Import|Stop|Start|Execute)|Cancel|Change|Clone|Close|Complete|Confirm|Connect"
    r"|Copy|Create|Deactivate|Decrypt|Delete|Deploy|Deregister|Detach|Disable|Disassociate|Download|Enable|Encrypt"
    r"|Execute|Export|Grant|Import|Initiate|Invoke|Merge|Modify|Move|Notify|Provision|Publish|Purchase|Purge|Put|Reboot"
    r"|Receive|Record|Register|Reject|Release|Remove|Replace|Replicate|Reset|Restart|Restore|Resume|Retry|Revoke|Rotate"
    r"|Run|Scan|Schedule|Send|Set|Sign|Submit|Subscribe|Suspend|Switch|Tag|Terminate|Transfer|Unassign|Unsubscribe"
    r"|Untag|Update|Upload|Write)"
)

SERVICES_IN_USE = (
    "acm",
    "apigateway",
    "apigatewayv2",
    "autoscaling",
    "backup",
    "cloudfront",
    "cloudtrail",
    "cloudwatch",
    "codebuild",
    "cognito-idp",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "eks",
    "elasticache",
    "elb",
    "elbv2",
    "guardduty",
    "iam",
    "inspector2",
    "kms",
    "lambda",
    "logs",
    "organizations",
    "rds",
    "route53",
    "s3",
    "s3control",
    "secretsmanager",
    "securityhub",
    "shield",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
    "wafv2",
)

SECRET_MEMBER = re.compile(
    r"^(secretaccesskey|sessiontoken|accesstoken|workloadaccesstoken|authorizationtoken|authtoken|bearertoken|importtoken"
    r"|secretstring|secretbinary|dbpassword|masteruserpassword|passworddata|presignedurl|embedurl|signedurl"
    r"|clientsecretvalue|refreshtoken|idtoken)$",
    re.IGNORECASE,
)
"""Members of an answer that are a secret; in lists of settings some are sealed or starred instead."""

SEALED_OR_STARRED = {
    # Starred by AWS, and sealed by name when they come
    "docdb.DescribeDBInstances",
    "lightsail.GetRelationalDatabase",
    "lightsail.GetRelationalDatabases",
    "neptune.DescribeDBInstances",
    "rds.DescribeDBClusters",
    "rds.DescribeDBInstances",
    "rds.DescribeTenantDatabases",
    "redshift.DescribeClusters",
    "securityhub.GetFindings",
    # A unit of time, an object of settings, a link that is sealed by name
    "cognito-idp.DescribeUserPoolClient",
    "cognito-idp.DescribeUserImportJob",
    "cognito-idp.ListUserImportJobs",
    "dataexchange.GetJob",
    "dataexchange.ListJobs",
    "gamelift.GetGameSessionLogUrl",
    "glue.BatchGetJobs",
    "glue.GetJob",
    "glue.GetJobs",
    "mailmanager.GetAddressListImportJob",
    "mailmanager.ListAddressListImportJobs",
}


@functools.cache
def loader() -> Any:
    return botocore.loaders.create_loader()


@functools.cache
def service(name: str) -> ServiceModel:
    return ServiceModel(loader().load_service_model(name, "service-2"), name)


def operations() -> Iterator[tuple[str, OperationModel]]:
    for name in loader().list_available_services("service-2"):
        for operation in service(name).operation_names:
            yield f"{name}.{operation}", service(name).operation_model(operation)


def test_no_operation_of_any_service_that_changes_something_by_its_name_may_be_asked() -> None:
    asked = [question for question, model in operations() if MUTATES.match(model.name) and not judge_read(question, {})]

    assert asked == []


def test_every_operation_that_may_be_asked_is_named_a_read_or_stands_on_the_list() -> None:
    read = re.compile(r"^(BatchGet|BatchDescribe|Get|List|Describe|Head)")
    allowed = [question for question, _ in operations() if not judge_read(question, {})]

    assert len(allowed) > 5000
    assert [q for q in allowed if not read.match(q.partition(".")[2]) and q not in OTHER_READS] == []


def test_no_operation_that_may_be_asked_sends_put_patch_or_delete() -> None:
    wrong = [
        question
        for question, model in operations()
        if not judge_read(question, {}) and model.http.get("method") not in ("GET", "HEAD", "POST")
    ]

    assert wrong == []


def test_no_operation_that_may_be_asked_answers_with_a_credential() -> None:
    found = {
        question
        for question, model in operations()
        if not judge_read(question, {}) and any(SECRET_MEMBER.match(name) for name in texts_of(model))
    }

    assert found - SEALED_OR_STARRED == set()


def texts_of(model: OperationModel) -> set[str]:
    """Names of all members of the answer that are texts or bytes."""
    found: set[str] = set()
    waiting = [model.output_shape] if model.output_shape else []
    seen: set[str] = set()
    while waiting:
        shape: Any = waiting.pop()
        if shape.name in seen:
            continue
        seen.add(shape.name)
        if shape.type_name == "structure":
            found |= {name for name, member in shape.members.items() if member.type_name in ("string", "blob")}
            waiting += shape.members.values()
        elif shape.type_name == "list":
            waiting.append(shape.member)
        elif shape.type_name == "map":
            waiting.append(shape.value)
    return found


@pytest.mark.parametrize("question", sorted(HANDS_OUT | CONTENTS | OTHER_READS | VALUE_READS | CREDENTIAL_CALLS))
def test_every_name_on_a_list_of_the_guard_is_an_operation(question: str) -> None:
    name, _, operation = question.partition(".")

    assert operation in service(name).operation_names


@pytest.mark.parametrize(
    "question",
    [
        "sts.GetSessionToken",
        "sts.GetFederationToken",
        "sts.AssumeRole",
        "ecr.GetAuthorizationToken",
        "secretsmanager.GetSecretValue",
        "secretsmanager.BatchGetSecretValue",
        "secretsmanager.GetRandomPassword",
        "sqs.ReceiveMessage",
        "s3.GetObject",
        "cognito-identity.GetCredentialsForIdentity",
        "redshift.GetClusterCredentials",
        "redshift.GetClusterCredentialsWithIAM",
        "rds.DownloadDBLogFilePortion",
        "ec2.GetPasswordData",
        "ec2.GetConsoleOutput",
        "cloudformation.DetectStackDrift",
        "stepfunctions.GetActivityTask",
        "kms.Decrypt",
        "dynamodb.Scan",
        "appsync.ListApiKeys",
        "cognito-idp.ListUserPoolClientSecrets",
    ],
)
def test_what_hands_out_secrets_or_changes_something_is_refused(question: str) -> None:
    assert judge_read(question, {})


@pytest.mark.parametrize(
    "question",
    [
        *sorted(OTHER_READS),
        "iam.GetAccountPasswordPolicy",
        "iam.ListServiceSpecificCredentials",
        "s3.HeadBucket",
        "s3.GetObjectLockConfiguration",
        "codebuild.BatchGetProjects",
        "inspector2.BatchGetAccountStatus",
        "apigateway.GetApiKeys",
        "ssm.GetParameter",
        "lambda.GetFunctionConfiguration",
        "sts.GetCallerIdentity",
        "secretsmanager.DescribeSecret",
        "secretsmanager.GetResourcePolicy",
        "ec2.GetManagedPrefixListEntries",
        "cloudtrail.ListPublicKeys",
        "kms.GetPublicKey",
    ],
)
def test_reads_that_checks_need_pass(question: str) -> None:
    assert judge_read(question, {}) == ""


@pytest.mark.parametrize(
    ("question", "parameter"),
    [
        ("ssm.GetParameter", "WithDecryption"),
        ("ssm.GetParameters", "WithDecryption"),
        ("ssm.GetParametersByPath", "WithDecryption"),
        ("ssm.GetParameterHistory", "WithDecryption"),
        ("apigateway.GetApiKeys", "includeValues"),
        ("apigateway.GetApiKey", "includeValue"),
    ],
)
def test_a_parameter_that_reveals_secrets_is_refused_and_its_absence_is_not(question: str, parameter: str) -> None:
    assert judge_read(question, {}) == ""
    assert judge_read(question, {parameter: False}) == ""
    assert judge_read(question, {parameter: True}) == f"with {parameter} it gives secrets in clear"


def test_events_of_logs_are_for_the_sampling_connector_alone_and_stay_masked() -> None:
    contents = ("logs.FilterLogEvents", "logs.GetLogEvents", "logs.GetLogRecord", "logs.GetQueryResults")

    assert {judge_read(question, {}) for question in contents} == {"it gives the contents of a store"}
    assert [question for question, _ in operations() if not judge_log_read(question, {})] == ["logs.FilterLogEvents"]
    assert judge_log_read("logs.FilterLogEvents", {"unmask": False}) == ""
    assert judge_log_read("logs.FilterLogEvents", {"unmask": True}) == "with unmask it gives secrets in clear"


def test_the_sessions_for_values_and_for_credentials_may_ask_nothing_else() -> None:
    allowed_values = {question for question, _ in operations() if not judge_value_read(question, {})}
    allowed_calls = {question for question, _ in operations() if not judge_credential_call(question, {})}

    assert allowed_values == {"secretsmanager.GetSecretValue", "ssm.GetParameter"}
    assert allowed_calls == CREDENTIAL_CALLS


class Counting:
    """A loopback server that answers everything and counts it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                seen.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def counting() -> Iterator[Counting]:
    server = Counting()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join(timeout=10)


@pytest.fixture
def guarded(counting: Counting) -> Any:
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    stand_guard(session.get_component("event_emitter"), judge_read)
    return lambda name: session.create_client(name, region_name="eu-central-1", endpoint_url=counting.address)


@pytest.mark.parametrize("name", SERVICES_IN_USE)
def test_no_operation_of_a_service_in_use_reaches_the_server_unless_it_is_a_read(
    name: str, guarded: Any, counting: Counting
) -> None:
    client = guarded(name)
    mapping = client.meta.method_to_api_mapping
    refused = {method: operation for method, operation in mapping.items() if judge_read(f"{name}.{operation}", {})}

    for method in refused:
        with pytest.raises(Refused, match="not asked, because"):
            getattr(client, method)()

    assert counting.seen == []


def test_a_handler_that_slips_a_parameter_in_is_caught(guarded: Any, counting: Counting) -> None:
    client = guarded("ssm")
    client.meta.events.register(
        "before-parameter-build.ssm.GetParameter", lambda params, **_: params.update(WithDecryption=True)
    )

    with pytest.raises(Refused, match="with WithDecryption it gives secrets in clear"):
        client.get_parameter(Name="/a")

    assert counting.seen == []


def test_a_request_that_was_built_beside_the_guard_is_not_sent(guarded: Any, counting: Counting) -> None:
    client = guarded("sqs")
    model = client.meta.service_model.operation_model("DeleteQueue")
    request = client._convert_to_request_dict({"QueueUrl": "x"}, model, counting.address, context={})

    with pytest.raises(Refused, match="did not pass the guard"):
        client._endpoint.make_request(model, request)

    assert counting.seen == []


def test_an_emulated_account_hears_nothing_of_what_is_refused(cloud: Cloud, aws: AwsConnector) -> None:
    region = cloud.account().regions[0]
    cloud.client("s3").create_bucket(
        Bucket="kept-bucket", CreateBucketConfiguration={"LocationConstraint": region.name}
    )
    cloud.client("s3").put_object(Bucket="kept-bucket", Key="a.txt", Body=b"content")
    queue = cloud.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
    cloud.client("sqs").send_message(QueueUrl=queue, MessageBody="text")
    secret = cloud.secret("kept", {"apiKey": "the-planted-value"})

    for question, parameters in (
        ("s3.DeleteBucket", {"Bucket": "kept-bucket"}),
        ("s3.GetObject", {"Bucket": "kept-bucket", "Key": "a.txt"}),
        ("sqs.ReceiveMessage", {"QueueUrl": queue}),
        ("sqs.PurgeQueue", {"QueueUrl": queue}),
        ("secretsmanager.GetSecretValue", {"SecretId": secret}),
        ("secretsmanager.DeleteSecret", {"SecretId": secret}),
        ("iam.CreateUser", {"UserName": "intruder"}),
    ):
        with pytest.raises(Refused):
            aws.ask(question, region=region, **parameters)

    assert cloud.client("s3").list_objects_v2(Bucket="kept-bucket")["KeyCount"] == 1
    waiting = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (waiting["ApproximateNumberOfMessages"], waiting["ApproximateNumberOfMessagesNotVisible"]) == ("1", "0")
    described = cloud.client("secretsmanager").describe_secret(SecretId=secret)
    assert "LastAccessedDate" not in described
    assert "DeletedDate" not in described
    assert cloud.client("iam").list_users()["Users"] == []


def test_a_refusal_says_what_was_not_asked_and_why(cloud: Cloud, aws: AwsConnector) -> None:
    with pytest.raises(Refused) as raised:
        aws.ask("ec2.TerminateInstances", region=cloud.account().regions[0], InstanceIds=["i-1"])

    assert raised.value.message == "ec2.TerminateInstances: not asked, because it is not a read"
    assert json.dumps(raised.value.next_step) == '"let the check ask a read that gives no secret"'
