"""Errors of AWS in all their shapes, as errors of ours that say what to do."""

from __future__ import annotations

from typing import Any

import pytest

from quub_audit.connectors.aws import AwsConnector
from quub_audit.connectors.aws_errors import Asked, action_of, error_of, may_be_retried, short_arn
from quub_audit.errors import (
    Absent,
    Denied,
    Reportable,
    Throttled,
    Unreachable,
    Unsupported,
)
from tests.connectors.aws.conftest import Connect
from tests.worlds.cloud import Cloud


def told(code: str, status: int = 400, message: str = "") -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}


ASKED = Asked(
    subject="prod/eu-central-1", question="rds.DescribeDBInstances", about="orders-primary", caller="role/audit"
)


@pytest.mark.parametrize(
    ("code", "status", "message", "kind"),
    [
        # Denied, as the services say it
        ("AccessDenied", 403, "", Denied),
        ("AccessDeniedException", 400, "", Denied),
        ("UnauthorizedOperation", 403, "", Denied),
        ("Client.UnauthorizedOperation", 403, "", Denied),
        ("AuthorizationError", 403, "", Denied),
        ("AuthorizationErrorException", 403, "", Denied),
        ("NotAuthorizedException", 400, "", Denied),
        ("KMSAccessDeniedException", 400, "", Denied),
        ("ForbiddenException", 403, "", Denied),
        ("403", 403, "", Denied),
        ("", 403, "", Denied),
        ("", 401, "", Denied),
        ("ExpiredToken", 403, "", Denied),
        ("ExpiredTokenException", 400, "", Denied),
        ("RequestExpired", 400, "", Denied),
        ("RequestTimeTooSkewed", 403, "", Denied),
        ("SignatureDoesNotMatch", 403, "", Denied),
        ("InvalidSignatureException", 400, "Signature expired: x", Denied),
        ("UnrecognizedClientException", 400, "", Denied),
        ("AuthFailure", 401, "", Denied),
        # Absent
        ("ServerSideEncryptionConfigurationNotFoundError", 404, "", Absent),
        ("NoSuchLifecycleConfiguration", 404, "", Absent),
        ("NoSuchBucketPolicy", 404, "", Absent),
        ("NoSuchPublicAccessBlockConfiguration", 404, "", Absent),
        ("ObjectLockConfigurationNotFoundError", 404, "", Absent),
        ("ReplicationConfigurationNotFoundError", 404, "", Absent),
        ("NoSuchTagSet", 404, "", Absent),
        ("NoSuchCORSConfiguration", 404, "", Absent),
        ("NoSuchEntity", 404, "", Absent),
        ("NoSuchHostedZone", 404, "", Absent),
        ("NoSuchDistribution", 404, "", Absent),
        ("ResourceNotFoundException", 400, "", Absent),
        ("DBInstanceNotFound", 404, "", Absent),
        ("DBClusterNotFoundFault", 404, "", Absent),
        ("LoadBalancerNotFound", 400, "", Absent),
        ("InvalidGroup.NotFound", 400, "", Absent),
        ("InvalidInstanceID.NotFound", 400, "", Absent),
        ("InvalidSnapshot.NotFound", 400, "", Absent),
        ("WAFNonexistentItemException", 400, "", Absent),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, "", Absent),
        ("ParameterNotFound", 400, "", Absent),
        ("RepositoryPolicyNotFoundException", 400, "", Absent),
        ("ApplicationDoesNotExistException", 400, "", Absent),
        ("OptInRequired", 403, "The AWS Access Key Id needs a subscription for the service", Absent),
        ("SubscriptionRequiredException", 400, "", Absent),
        ("404", 404, "", Absent),
        ("ClientException", 400, "Unable to describe task definition.", Absent),
        ("ValidationError", 400, "Stack with id orders does not exist", Absent),
        ("InvalidRequestException", 400, "You can't perform this operation, it was marked for deletion", Absent),
        # Throttled
        ("Throttling", 400, "Rate exceeded", Throttled),
        ("ThrottlingException", 400, "", Throttled),
        ("ThrottledException", 400, "", Throttled),
        ("TooManyRequestsException", 429, "", Throttled),
        ("RequestLimitExceeded", 503, "", Throttled),
        ("SlowDown", 503, "", Throttled),
        ("ProvisionedThroughputExceededException", 400, "", Throttled),
        ("PriorRequestNotComplete", 400, "", Throttled),
        ("EC2ThrottledException", 400, "", Throttled),
        ("LimitExceededException", 400, "", Throttled),
        ("", 429, "", Throttled),
        # Unsupported
        ("UnknownOperationException", 404, "", Unsupported),
        ("InvalidAction", 400, "", Unsupported),
        ("UnsupportedOperation", 400, "", Unsupported),
        ("UnsupportedOperationException", 400, "", Unsupported),
        ("MethodNotAllowed", 405, "", Unsupported),
        ("NotImplemented", 501, "", Unsupported),
        ("InvalidParameterValue", 400, "", Unsupported),
        ("ValidationError", 400, "You must specify either listener ARNs or a load balancer ARN", Unsupported),
        ("", 0, "", Unsupported),
        # Not there for a moment
        ("InternalFailure", 500, "", Unreachable),
        ("ServiceUnavailable", 503, "", Unreachable),
        ("", 502, "", Unreachable),
    ],
)
def test_an_error_of_aws_is_one_of_ours(code: str, status: int, message: str, kind: type[Reportable]) -> None:
    error = error_of(ASKED, told(code, status, message))

    assert type(error) is kind
    assert error.message.startswith("prod/eu-central-1: ")
    assert may_be_retried(error, status) == (kind in (Throttled, Unreachable))


@pytest.mark.parametrize(
    "answer", [{}, {"Error": None}, {"Error": {"Code": None}}, {"ResponseMetadata": None}, {"Error": {"Code": 5}}]
)
def test_an_error_without_words_is_unsupported(answer: dict[str, Any]) -> None:
    assert type(error_of(ASKED, answer)) is Unsupported


def test_a_denial_says_what_was_asked_by_whom_and_what_to_grant() -> None:
    error = error_of(ASKED, told("AccessDenied", 403))

    assert isinstance(error, Denied)
    assert error.message == (
        "prod/eu-central-1: rds.DescribeDBInstances of orders-primary was denied to role/audit; "
        "grant rds:DescribeDBInstances"
    )
    assert error.permission == "rds:DescribeDBInstances"
    assert error.next_step == "grant rds:DescribeDBInstances to role/audit"


def test_a_denial_names_the_action_and_the_barrier_that_aws_names() -> None:
    said = (
        "User: arn:aws:sts::1:assumed-role/audit/quub-audit is not authorized to perform: kms:Decrypt on resource: "
        "arn:aws:kms:eu-central-1:1:key/9 with an explicit deny in a service control policy"
    )

    error = error_of(ASKED, told("AccessDeniedException", 400, said))

    assert isinstance(error, Denied)
    assert error.permission == "kms:Decrypt"
    assert "by a service control policy; grant kms:Decrypt on arn:aws:kms:eu-central-1:1:key/9" in error.message


@pytest.mark.parametrize(
    ("question", "action"),
    [
        ("rds.DescribeDBInstances", "rds:DescribeDBInstances"),
        ("elbv2.DescribeListeners", "elasticloadbalancing:DescribeListeners"),
        ("elb.DescribeLoadBalancers", "elasticloadbalancing:DescribeLoadBalancers"),
        ("efs.DescribeFileSystems", "elasticfilesystem:DescribeFileSystems"),
        ("cloudwatch.DescribeAlarms", "cloudwatch:DescribeAlarms"),
        ("wafv2.GetWebACL", "wafv2:GetWebACL"),
        ("apigateway.GetStages", "apigateway:GET"),
        ("apigatewayv2.GetDomainNames", "apigateway:GET"),
        ("s3.HeadBucket", "s3:ListBucket"),
        ("s3.ListBuckets", "s3:ListAllMyBuckets"),
        ("s3.GetBucketEncryption", "s3:GetEncryptionConfiguration"),
        ("s3.GetBucketVersioning", "s3:GetBucketVersioning"),
        ("s3.GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("s3control.GetPublicAccessBlock", "s3:GetAccountPublicAccessBlock"),
        ("accessanalyzer.ListFindingsV2", "access-analyzer:ListFindings"),
        ("sso-admin.ListInstances", "sso:ListInstances"),
        ("docdb.DescribeDBClusters", "rds:DescribeDBClusters"),
        ("opensearch.DescribeDomains", "es:DescribeDomains"),
        ("stepfunctions.ListStateMachines", "states:ListStateMachines"),
    ],
)
def test_the_action_is_spelled_as_iam_spells_it(question: str, action: str) -> None:
    assert action_of(question) == action


@pytest.mark.parametrize(
    ("arn", "short"),
    [
        ("arn:aws:sts::123456789012:assumed-role/audit/quub-audit", "role/audit"),
        ("arn:aws:iam::123456789012:user/ci/deploy", "user/ci/deploy"),
        ("arn:aws:iam::123456789012:root", "root"),
        ("", ""),
    ],
)
def test_a_caller_is_named_shortly(arn: str, short: str) -> None:
    assert short_arn(arn) == short


# On the emulated account, where rights are enforced


@pytest.mark.parametrize(
    ("question", "parameters", "action"),
    [
        ("rds.DescribeDBInstances", {}, "rds:DescribeDBInstances"),
        ("secretsmanager.ListSecrets", {}, "secretsmanager:ListSecrets"),
        ("ec2.DescribeVpcs", {}, "ec2:DescribeVpcs"),
        ("elbv2.DescribeLoadBalancers", {}, "elasticloadbalancing:DescribeLoadBalancers"),
        ("logs.DescribeLogGroups", {}, "logs:DescribeLogGroups"),
        ("dynamodb.ListTables", {}, "dynamodb:ListTables"),
        ("s3.ListBuckets", {}, "s3:ListAllMyBuckets"),
    ],
)
def test_what_may_not_be_asked_is_denied_and_what_may_be_is_answered(
    cloud: Cloud, connect: Connect, question: str, parameters: dict[str, Any], action: str
) -> None:
    cloud.allow_only("iam:ListUsers")
    account = cloud.account()
    connector = connect(account, environ=cloud.environ)

    with pytest.raises(Denied, match=f"{question} was denied to user/audit") as raised:
        connector.ask(question, region=account.regions[0], **parameters)

    assert raised.value.permission == action
    assert [user["UserName"] for user in connector.ask("iam.ListUsers", region=account.home)["Users"]] == ["audit"]


def test_a_thing_that_is_not_there_is_found_as_none_and_asked_for_as_absent(cloud: Cloud, aws: AwsConnector) -> None:
    region = cloud.account().regions[0]
    here = {"LocationConstraint": region.name}
    name = f"bucket-{cloud.account_id}"
    cloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=here)

    for question, parameters in (
        ("s3.GetBucketPolicy", {"Bucket": name}),
        ("s3.GetBucketLifecycleConfiguration", {"Bucket": name}),
        ("s3.GetPublicAccessBlock", {"Bucket": name}),
        ("s3.GetObjectLockConfiguration", {"Bucket": name}),
        ("s3.GetBucketReplication", {"Bucket": name}),
        ("secretsmanager.DescribeSecret", {"SecretId": "nothing"}),
        ("rds.DescribeDBInstances", {"DBInstanceIdentifier": "nothing"}),
        ("ecs.DescribeTaskDefinition", {"taskDefinition": "nothing:1"}),
        ("iam.GetAccountPasswordPolicy", {}),
        ("kms.DescribeKey", {"KeyId": "00000000-0000-0000-0000-000000000000"}),
        ("sqs.GetQueueUrl", {"QueueName": "nothing"}),
    ):
        assert aws.find(question, region=region, **parameters) is None, question
        with pytest.raises(Absent, match="found nothing"):
            aws.ask(question, region=region, **parameters)


def test_a_thing_that_is_there_is_found(cloud: Cloud, aws: AwsConnector) -> None:
    cloud.secret("orders", "x")

    found = aws.find("secretsmanager.DescribeSecret", region=cloud.account().regions[0], SecretId="orders")

    assert found is not None
    assert found["Name"] == "orders"


@pytest.mark.parametrize(
    ("question", "parameters", "text"),
    [
        ("nothing.ListThings", {}, "nothing.ListThings is unknown to the installed botocore"),
        ("rds.ListThings", {}, "rds.ListThings is unknown"),
        ("rds", {}, "rds is unknown"),
        ("rds.DescribeDBInstances", {"Wrong": 1}, "does not take these parameters"),
        ("iam.GetRole", {}, 'does not take these parameters: .*"RoleName"'),
    ],
)
def test_a_question_that_does_not_exist_is_unsupported(
    cloud: Cloud, aws: AwsConnector, question: str, parameters: dict[str, Any], text: str
) -> None:
    with pytest.raises(Unsupported, match=text):
        aws.ask(question, region=cloud.account().regions[0], **parameters)


def test_an_emulator_that_breaks_on_a_question_is_said_to_be_one(cloud: Cloud, aws: AwsConnector) -> None:
    with pytest.raises(Unreachable, match="answered with 500 and an HTML page") as raised:
        aws.ask("accessanalyzer.ListAnalyzers", region=cloud.account().regions[0])

    assert "an emulator may not know this operation" in raised.value.next_step
