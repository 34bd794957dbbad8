"""Every page is read: on services where the emulator really pages, and on pages that no service should send."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import DataNotFoundError

from quub_audit.connectors.aws import AwsConnector
from quub_audit.connectors.aws_pages import MAX_PAGES, Pagination, merge_pages, pagination_of
from quub_audit.connectors.codec import decode, encode
from quub_audit.errors import Malformed, Refused
from tests.connectors.aws.conftest import Connect
from tests.connectors.aws.recording import recording
from tests.connectors.aws.test_guard import loader, operations, service
from tests.worlds.cloud import Cloud


def secrets(cloud: Cloud, count: int) -> None:
    client = cloud.client("secretsmanager")
    for number in range(count):
        client.create_secret(Name=f"secret-{number:03}")


def databases(cloud: Cloud, count: int) -> None:
    client = cloud.client("rds")
    for number in range(count):
        client.create_db_instance(
            DBInstanceIdentifier=f"db-{number:03}", DBInstanceClass="db.t4g.micro", Engine="postgres"
        )


def log_groups(cloud: Cloud, count: int) -> None:
    client = cloud.client("logs")
    for number in range(count):
        client.create_log_group(logGroupName=f"group-{number:03}")


def ip_sets(cloud: Cloud, count: int) -> None:
    client = cloud.client("wafv2")
    for number in range(count):
        client.create_ip_set(Name=f"set-{number:03}", Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=[])


def tables(cloud: Cloud, count: int) -> None:
    client = cloud.client("dynamodb")
    for number in range(count):
        client.create_table(
            TableName=f"table-{number:03}",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )


def pools(cloud: Cloud, count: int) -> None:
    client = cloud.client("cognito-idp")
    for number in range(count):
        client.create_user_pool(PoolName=f"pool-{number:03}")


@pytest.mark.parametrize(
    ("question", "parameters", "fill", "count", "rows"),
    [
        ("secretsmanager.ListSecrets", {"MaxResults": 7}, secrets, 20, "SecretList"),
        ("rds.DescribeDBInstances", {"MaxRecords": 20}, databases, 45, "DBInstances"),
        ("logs.DescribeLogGroups", {"limit": 10}, log_groups, 25, "logGroups"),
        ("wafv2.ListIPSets", {"Scope": "REGIONAL", "Limit": 6}, ip_sets, 15, "IPSets"),
        ("dynamodb.ListTables", {"Limit": 4}, tables, 10, "TableNames"),
        ("cognito-idp.ListUserPools", {"MaxResults": 5}, pools, 12, "UserPools"),
    ],
)
def test_all_pages_of_a_service_that_pages_are_read(
    cloud: Cloud,
    connect: Connect,
    question: str,
    parameters: dict[str, Any],
    fill: Callable[[Cloud, int], None],
    count: int,
    rows: str,
) -> None:
    fill(cloud, count)

    with recording(cloud.address) as peer:
        account = cloud.account(endpoint_url=peer.address)
        answer = connect(account, environ=cloud.environ).ask(question, region=account.regions[0], **parameters)

    assert len(answer[rows]) == count
    assert len({json.dumps(row, sort_keys=True, default=str) for row in answer[rows]}) == count
    assert len(peer.operations) >= 5
    assert not [name for name in answer if name.lower().endswith(("token", "marker")) or name == "ResponseMetadata"]
    assert decode(encode(answer)) == answer


def test_all_objects_of_a_bucket_are_listed(cloud: Cloud, aws: AwsConnector) -> None:
    client = cloud.client("s3")
    region = cloud.account().regions[0]
    name = f"bucket-{cloud.account_id}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region.name})
    for number in range(25):
        client.put_object(Bucket=name, Key=f"{number:03}", Body=b"")

    answer = aws.ask("s3.ListObjectsV2", region=region, Bucket=name, MaxKeys=10)

    assert [row["Key"] for row in answer["Contents"]] == [f"{number:03}" for number in range(25)]
    assert answer["IsTruncated"] is False


def test_all_records_of_a_zone_are_listed(cloud: Cloud, aws: AwsConnector) -> None:
    client = cloud.client("route53")
    zone = client.create_hosted_zone(Name="example.test", CallerReference="one")["HostedZone"]["Id"]
    changes = [
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": f"host-{number:03}.example.test",
                "Type": "A",
                "TTL": 60,
                "ResourceRecords": [{"Value": "192.0.2.1"}],
            },
        }
        for number in range(30)
    ]
    client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    answer = aws.ask("route53.ListResourceRecordSets", region=cloud.account().home, HostedZoneId=zone, MaxItems="9")

    names = [row["Name"] for row in answer["ResourceRecordSets"] if row["Type"] == "A"]
    assert len(names) == len(set(names)) == 30


def test_log_events_are_paged_for_the_sampler_and_refused_to_anybody_else(cloud: Cloud, aws: AwsConnector) -> None:
    client = cloud.client("logs")
    client.create_log_group(logGroupName="app")
    client.create_log_stream(logGroupName="app", logStreamName="one")
    now = int(time.time() * 1000) - 60_000
    events = [{"timestamp": now + number, "message": f"line {number}"} for number in range(30)]
    client.put_log_events(logGroupName="app", logStreamName="one", logEvents=events)

    region = cloud.account().regions[0]
    pages = [page["events"] for page in aws.log_pages(region, logGroupName="app", limit=8)]

    assert [len(page) for page in pages] == [8, 8, 8, 6]
    assert [row["message"] for page in pages for row in page] == [f"line {number}" for number in range(30)]
    with pytest.raises(Refused, match="it gives the contents of a store"):
        aws.ask("logs.FilterLogEvents", region=region, logGroupName="app")
    with pytest.raises(Refused, match="with unmask it gives secrets in clear"):
        next(aws.log_pages(region, logGroupName="app", unmask=True))


def test_what_belongs_to_no_page_is_kept(cloud: Cloud, aws: AwsConnector) -> None:
    cloud.function("one", {"PORT": "3000"})
    client = cloud.client("ecs")
    client.create_cluster(clusterName="main")

    answer = aws.ask("ecs.DescribeClusters", region=cloud.account().regions[0], clusters=["main", "other"])

    assert [row["clusterName"] for row in answer["clusters"]] == ["main"]
    assert [row["reason"] for row in answer["failures"]] == ["MISSING"]


# Pages that no service should send


def described(question: str) -> Pagination:
    name, _, operation = question.partition(".")
    try:
        paginators = loader().load_service_model(name, "paginators-1")["pagination"]
    except DataNotFoundError:
        paginators = {}
    return pagination_of(service(name).operation_model(operation), paginators.get(operation))


def from_pages(
    pages: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def ask(parameters: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(dict(parameters))
        return pages[min(len(asked), len(pages)) - 1]

    return ask


def merged(question: str, pages: list[dict[str, Any]], **first: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    asked: list[dict[str, Any]] = []
    return merge_pages("prod: it", described(question), from_pages(pages, asked), first), asked


@pytest.mark.parametrize(
    ("question", "pages", "expected", "asked"),
    [
        (
            "cloudfront.ListDistributions",
            [
                {"DistributionList": {"Items": [1], "NextMarker": "a", "IsTruncated": True, "Quantity": 1}},
                {"DistributionList": {"Items": [2], "IsTruncated": False, "Quantity": 1}},
            ],
            {"DistributionList": {"Items": [1, 2], "IsTruncated": False, "Quantity": 1}},
            [{}, {"Marker": "a"}],
        ),
        (
            "iam.ListUsers",
            [{"Users": [1], "Marker": "a", "IsTruncated": True}, {"Users": [2], "IsTruncated": False}],
            {"Users": [1, 2], "IsTruncated": False},
            [{}, {"Marker": "a"}],
        ),
        (
            "iam.ListUsers",
            [{"Users": [1], "Marker": "a", "IsTruncated": False}],
            {"Users": [1], "IsTruncated": False},
            [{}],
        ),
        (
            "logs.FilterLogEvents",
            [{"events": [], "nextToken": "a"}, {"events": [], "nextToken": "b"}, {"events": [1]}],
            {"events": [1]},
            [{}, {"nextToken": "a"}, {"nextToken": "b"}],
        ),
        (
            "cloudwatch.DescribeAlarms",
            [
                {"MetricAlarms": [1], "CompositeAlarms": [3], "NextToken": "a"},
                {"MetricAlarms": [2], "NextToken": ""},
            ],
            {"MetricAlarms": [1, 2], "CompositeAlarms": [3]},
            [{}, {"NextToken": "a"}],
        ),
        (
            "apigateway.GetRestApis",
            [{"items": [1], "position": "a"}, {"items": [2]}],
            {"items": [1, 2]},
            [{}, {"position": "a"}],
        ),
        (
            "wafv2.ListWebACLs",
            [{"WebACLs": [1], "NextMarker": "a"}, {"WebACLs": [2]}],
            {"WebACLs": [1, 2]},
            [{}, {"NextMarker": "a"}],
        ),
        (
            "s3.ListObjectVersions",
            [
                {"Versions": [1], "IsTruncated": True, "NextKeyMarker": "k", "NextVersionIdMarker": "v"},
                {"Versions": [2], "DeleteMarkers": [3], "IsTruncated": False},
            ],
            {"Versions": [1, 2], "DeleteMarkers": [3], "IsTruncated": False},
            [{}, {"KeyMarker": "k", "VersionIdMarker": "v"}],
        ),
        ("sts.GetCallerIdentity", [{"Account": "1"}], {"Account": "1"}, [{}]),
        ("shield.ListProtections", [{"Protections": [1], "NextToken": None}], {"Protections": [1]}, [{}]),
    ],
)
def test_pages_are_joined_in_order_and_tokens_left_out(
    question: str, pages: list[dict[str, Any]], expected: dict[str, Any], asked: list[dict[str, Any]]
) -> None:
    assert merged(question, pages) == (expected, asked)


def test_the_parameters_of_the_question_go_with_every_page() -> None:
    pages: list[dict[str, Any]] = [{"DBInstances": [1], "Marker": "a"}, {"DBInstances": [2]}]

    _, asked = merged("rds.DescribeDBInstances", pages, DBInstanceIdentifier="orders")

    assert asked == [{"DBInstanceIdentifier": "orders"}, {"DBInstanceIdentifier": "orders", "Marker": "a"}]


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"], ["a", "b", "c", "b"]])
def test_pages_that_go_round_in_a_circle_are_malformed(tokens: list[str]) -> None:
    pages = [{"DBInstances": [1], "Marker": token} for token in tokens]

    with pytest.raises(Malformed, match="prod: it: the answer goes round in a circle"):
        merged("rds.DescribeDBInstances", pages)


def test_pages_without_an_end_are_malformed() -> None:
    count = iter(range(10**6))

    def ask(_: Mapping[str, Any]) -> dict[str, Any]:
        return {"DBInstances": [], "Marker": str(next(count))}

    with pytest.raises(Malformed, match=f"more than {MAX_PAGES} pages"):
        merge_pages("prod: it", described("rds.DescribeDBInstances"), ask, {})


def test_a_token_that_cannot_be_sent_back_is_malformed_and_never_dropped() -> None:
    pagination = Pagination(unfollowed=("NextToken",))

    with pytest.raises(Malformed, match=r"goes on \(NextToken\)"):
        merge_pages("prod: it", pagination, lambda _: {"Rows": [1], "NextToken": "a"}, {})
    assert merge_pages("prod: it", pagination, lambda _: {"Rows": [1]}, {}) == {"Rows": [1]}


def test_every_read_whose_answer_has_a_next_token_is_followed_or_fails_loudly() -> None:
    """Over all of botocore: no operation may drop `NextToken` in silence."""
    silent = []
    for question, model in operations():
        outputs = model.output_shape.members if model.output_shape else {}
        tokens = {name for name in outputs if name.lower() in ("nexttoken", "nextmarker", "nextpagetoken")}
        if not tokens or not model.name.startswith(("Get", "List", "Describe")):
            continue
        pagination = described(question)
        if not pagination.outputs and not set(pagination.unfollowed) & tokens:
            silent.append(question)

    assert silent == []
