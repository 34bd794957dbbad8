"""What stands in the emulated AWS accounts of the demo: the service's infrastructure, sound or with a few faults."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quub_audit.demo.authority import Identity
from quub_audit.demo.credentials import Credentials
from quub_audit.demo.data import LOG_PREFIX, keep_dumps, keep_snapshots, write_logs
from quub_audit.demo.emulator import Emulator, Operator
from quub_audit.demo.people import Pool, hire, open_pool
from quub_audit.demo.watching import watch

REGION = "eu-central-1"
PRODUCTION = "111122223333"
STAGING = "444455556666"
DATABASE = CACHE = "quub-app-production"

EGRESS = ("203.0.113.10", "203.0.113.11")
"""The addresses by which the service leaves (RFC 5737: nobody's)."""
PARTNERS = ("192.0.2.16/28", "198.51.100.64/29")
"""Networks from which partners come."""

_EVERYWHERE = "0.0.0.0/0"
_SERVICE_PORT = 3000
_DATABASE_PORT = 5432


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    """A VPC in two zones."""

    vpc: str
    public: tuple[str, ...]
    private: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Groups:
    """Security groups by what they guard."""

    balancer: str
    service: str
    database: str


SERVICES = ("quub-app", "quub-app-settlement")
"""What runs in production."""


def image_of(account_id: str, service: str) -> str:
    """The image that a service runs, with its tag."""
    return f"{account_id}.dkr.ecr.{REGION}.amazonaws.com/{service}:1.8.0"


def furnish_production(
    emulator: Emulator, credentials: Credentials, certificate: Identity, at: datetime, *, healthy: bool
) -> None:
    """Fill the production account; logs end `at` that time.

    Without `healthy`: the settlement service holds a secret in clear, and writes customers' data into a log that never
    expires; the partners' load balancer takes TLS 1.0, forwards plain HTTP, and only counts floods; the database is
    public, its group open, and a plain snapshot of an older one lies around; the key of Quub is renewed by hand; the
    network keeps no flow logs; an administrator has no second factor; the mobile app's tokens live for a day; the last
    dump holds nothing; the alarm for errors looks at a metric that does not exist.
    """
    operator = emulator.operator(PRODUCTION, REGION)
    network = _make_network(operator, keeps_logs=healthy)
    groups = _make_groups(operator, network, is_database_open=not healthy)
    _attach_tasks(operator, network, groups)
    _make_balancer(operator, network, groups, "production", certificate, is_sound=True)
    _make_balancer(operator, network, groups, "partners", certificate, is_sound=healthy)
    hire(operator, healthy=healthy)
    pool = open_pool(operator, healthy=healthy)
    _make_balancer(operator, network, groups, "console", certificate, is_sound=True, pool=pool)
    _make_database(operator, network, groups, is_public=not healthy)
    keep_snapshots(operator, DATABASE, healthy=healthy)
    keep_dumps(operator, at, healthy=healthy)
    members = _make_cache(operator)
    watch(operator, "quub-app-production", DATABASE, members, healthy=healthy)
    quub = _keep_credentials(operator, "production", credentials, rotates=healthy)
    cache_url = f"rediss://quub-app:{secrets.token_hex(24)}@cache.quub-app.example:6379/0"
    cache = _keep(operator, "production/quub-app/cache-url", cache_url)
    tasks = _run_services(operator, network, groups, quub=quub, cache=cache, has_literal=not healthy)
    write_logs(operator, tasks, at, healthy=healthy)


def furnish_staging(emulator: Emulator, credentials: Credentials) -> None:
    """Fill the staging account: its own key of Quub, and nothing else that production is compared with."""
    _keep_credentials(emulator.operator(STAGING, REGION), "staging", credentials, rotates=True)


def _make_network(operator: Operator, *, keeps_logs: bool) -> _Network:
    ec2 = operator("ec2")
    vpc: str = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    public = _make_subnets(ec2, vpc, first=0)
    private = _make_subnets(ec2, vpc, first=10)
    _route_out(ec2, vpc, public, GatewayId=gateway)
    for inside, outside, address in zip(private, public, EGRESS, strict=True):
        allocation = ec2.allocate_address(Domain="vpc", Address=address)["AllocationId"]
        nat = ec2.create_nat_gateway(SubnetId=outside, AllocationId=allocation)["NatGateway"]["NatGatewayId"]
        _route_out(ec2, vpc, (inside,), NatGatewayId=nat)
    if keeps_logs:
        _empty_default_group(ec2, vpc)
        operator("logs").create_log_group(logGroupName="/vpc/quub-app")
        operator("logs").put_retention_policy(logGroupName="/vpc/quub-app", retentionInDays=90)
        ec2.create_flow_logs(
            ResourceIds=[vpc],
            ResourceType="VPC",
            TrafficType="ALL",
            LogGroupName="/vpc/quub-app",
            DeliverLogsPermissionArn=f"arn:aws:iam::{operator.account_id}:role/flow-logs",
        )
    return _Network(vpc=vpc, public=public, private=private)


def _make_subnets(ec2: Any, vpc: str, *, first: int) -> tuple[str, ...]:
    return tuple(
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.20.{first + number}.0/24", AvailabilityZone=f"{REGION}{zone}")[
            "Subnet"
        ]["SubnetId"]
        for number, zone in enumerate("ab")
    )


def _route_out(ec2: Any, vpc: str, subnets: Sequence[str], **target: str) -> None:
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock=_EVERYWHERE, **target)
    for subnet in subnets:
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)


def _empty_default_group(ec2: Any, vpc: str) -> None:
    group = ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"][0]
    if group["IpPermissions"]:
        ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])


def _make_groups(operator: Operator, network: _Network, *, is_database_open: bool) -> _Groups:
    ec2 = operator("ec2")
    groups = _Groups(
        balancer=_make_group(ec2, network, "quub-app-lb", "Clients to the load balancers"),
        service=_make_group(ec2, network, "quub-app-service", "The load balancers to the service"),
        database=_make_group(ec2, network, "quub-app-database", "The service to its database"),
    )
    ec2.authorize_security_group_ingress(
        GroupId=groups.balancer, IpPermissions=[_from_everywhere(443), _from_everywhere(80)]
    )
    ec2.authorize_security_group_ingress(
        GroupId=groups.service, IpPermissions=[_of_group(_SERVICE_PORT, groups.balancer)]
    )
    ec2.authorize_security_group_ingress(
        GroupId=groups.database, IpPermissions=[_of_group(_DATABASE_PORT, groups.service)]
    )
    ec2.authorize_security_group_egress(
        GroupId=groups.balancer, IpPermissions=[_of_group(_SERVICE_PORT, groups.service)]
    )
    ec2.authorize_security_group_egress(
        GroupId=groups.service, IpPermissions=[_from_everywhere(443), _of_group(_DATABASE_PORT, groups.database)]
    )
    if is_database_open:
        ec2.authorize_security_group_ingress(GroupId=groups.database, IpPermissions=[_from_everywhere(_DATABASE_PORT)])
    return groups


def _make_group(ec2: Any, network: _Network, name: str, description: str) -> str:
    """A group that lets nothing in and nothing out."""
    id_: str = ec2.create_security_group(GroupName=name, Description=description, VpcId=network.vpc)["GroupId"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": _EVERYWHERE}]}]
    ec2.revoke_security_group_egress(GroupId=id_, IpPermissions=everything)
    return id_


def _from_everywhere(port: int) -> Mapping[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": _EVERYWHERE}]}


def _of_group(port: int, group: str) -> Mapping[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": group}]}


def _attach_tasks(operator: Operator, network: _Network, groups: _Groups) -> None:
    """The network interfaces that Fargate and RDS would make."""
    for subnet, group, what in (
        (network.private[0], groups.service, "ECS task of quub-app"),
        (network.private[1], groups.service, "ECS task of quub-app"),
        (network.private[0], groups.database, "RDSNetworkInterface"),
    ):
        operator("ec2").create_network_interface(SubnetId=subnet, Groups=[group], Description=what)


def _make_balancer(
    operator: Operator,
    network: _Network,
    groups: _Groups,
    kind: str,
    certificate: Identity,
    *,
    is_sound: bool,
    pool: Pool | None = None,
) -> None:
    """An application load balancer with a web ACL; the partners' lets listed networks in and nobody else.

    With a `pool` it logs people in, and forgets them after half an hour.
    """
    elb = operator("elbv2")
    name = f"quub-app-{kind}"
    balancer = elb.create_load_balancer(
        Name=name, Subnets=list(network.public), SecurityGroups=[groups.balancer], Scheme="internet-facing"
    )["LoadBalancers"][0]["LoadBalancerArn"]
    target = elb.create_target_group(
        Name=name, Port=_SERVICE_PORT, Protocol="HTTP", VpcId=network.vpc, TargetType="ip", HealthCheckPath="/ready"
    )["TargetGroups"][0]["TargetGroupArn"]
    leaf, _, chain = certificate.chain_pem.partition(b"-----END CERTIFICATE-----\n")
    imported = operator("acm").import_certificate(
        Certificate=leaf + b"-----END CERTIFICATE-----\n", PrivateKey=certificate.key_pem, CertificateChain=chain
    )["CertificateArn"]
    forward = {"Type": "forward", "TargetGroupArn": target}
    redirect = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
    elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTPS",
        Port=443,
        SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06" if is_sound else "ELBSecurityPolicy-2016-08",
        Certificates=[{"CertificateArn": imported}],
        DefaultActions=[*_log_in(pool), forward] if pool else [forward],
    )
    elb.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[redirect if is_sound else forward]
    )
    _put_acl(operator, balancer, name, listed=PARTNERS if kind == "partners" else (), blocks=is_sound)


def _log_in(pool: Pool) -> Sequence[Mapping[str, Any]]:
    settings = {
        "UserPoolArn": pool.arn,
        "UserPoolClientId": pool.client_id,
        "UserPoolDomain": pool.domain,
        "SessionTimeout": 1800,
    }
    return [{"Type": "authenticate-cognito", "AuthenticateCognitoConfig": settings}]


def _put_acl(operator: Operator, balancer: str, name: str, *, listed: Sequence[str], blocks: bool) -> None:
    waf = operator("wafv2")
    rules = [
        _rule(
            "rate",
            0,
            {"RateBasedStatement": {"Limit": 2000, "AggregateKeyType": "IP", "EvaluationWindowSec": 300}},
            "Block" if blocks else "Count",
        )
    ]
    if listed:
        networks = waf.create_ip_set(Name=name, Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=list(listed))
        rules.append(_rule("partners", 1, {"IPSetReferenceStatement": {"ARN": networks["Summary"]["ARN"]}}, "Allow"))
    acl = waf.create_web_acl(
        Name=name,
        Scope="REGIONAL",
        DefaultAction={"Block": {}} if listed else {"Allow": {}},
        VisibilityConfig=_seen_as(name),
        Rules=rules,
    )["Summary"]["ARN"]
    waf.associate_web_acl(WebACLArn=acl, ResourceArn=balancer)


def _rule(name: str, priority: int, statement: Mapping[str, Any], action: str) -> Mapping[str, Any]:
    return {
        "Name": name,
        "Priority": priority,
        "Statement": statement,
        "Action": {action: {}},
        "VisibilityConfig": _seen_as(name),
    }


def _seen_as(name: str) -> Mapping[str, Any]:
    return {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": name}


def _make_database(operator: Operator, network: _Network, groups: _Groups, *, is_public: bool) -> None:
    rds = operator("rds")
    operator("ec2").enable_ebs_encryption_by_default()
    key = operator("kms").create_key(Description="Data of production")["KeyMetadata"]
    operator("kms").enable_key_rotation(KeyId=key["KeyId"])
    subnets = {"DBSubnetGroupName": "quub-app", "DBSubnetGroupDescription": "Private subnets"}
    rds.create_db_subnet_group(SubnetIds=list(network.private), **subnets)
    rds.create_db_instance(
        DBInstanceIdentifier=DATABASE,
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        AllocatedStorage=50,
        MasterUsername="quub_app",
        MasterUserPassword=secrets.token_hex(20),
        DBSubnetGroupName="quub-app",
        VpcSecurityGroupIds=[groups.database],
        Port=_DATABASE_PORT,
        MultiAZ=True,
        StorageEncrypted=True,
        KmsKeyId=key["Arn"],
        BackupRetentionPeriod=35,
        DeletionProtection=True,
        PubliclyAccessible=is_public,
    )


def _make_cache(operator: Operator) -> Sequence[str]:
    """A replication group over two zones; the names of its nodes."""
    group = operator("elasticache").create_replication_group(
        ReplicationGroupId=CACHE,
        ReplicationGroupDescription="Orders of the last minutes",
        Engine="redis",
        CacheNodeType="cache.t4g.small",
        NumNodeGroups=1,
        ReplicasPerNodeGroup=1,
        PreferredCacheClusterAZs=[f"{REGION}{zone}" for zone in "ab"],
        AutomaticFailoverEnabled=True,
        MultiAZEnabled=True,
        TransitEncryptionEnabled=True,
        AtRestEncryptionEnabled=True,
        AuthToken=secrets.token_hex(20),
    )["ReplicationGroup"]
    members: Sequence[str] = group["MemberClusters"]
    return members


def _keep_credentials(operator: Operator, environment: str, credentials: Credentials, *, rotates: bool) -> str:
    """The secret's ARN; it is renewed by schedule, or else by hand."""
    kms = operator("kms")
    key = kms.create_key(Description=f"Quub credentials of {environment}")["KeyMetadata"]
    kms.enable_key_rotation(KeyId=key["KeyId"])
    name = f"{environment}/quub/credentials"
    arn = _keep(operator, name, credentials.as_json(), KmsKeyId=key["Arn"])
    if rotates:
        rules = {"AutomaticallyAfterDays": 60}
        operator("secretsmanager").rotate_secret(SecretId=name, RotationRules=rules, RotateImmediately=False)
    return arn


def _keep(operator: Operator, name: str, value: str, **more: str) -> str:
    arn: str = operator("secretsmanager").create_secret(Name=name, SecretString=value, **more)["ARN"]
    return arn


def _run_services(
    operator: Operator, network: _Network, groups: _Groups, *, quub: str, cache: str, has_literal: bool
) -> Mapping[str, Sequence[str]]:
    """`quub-app` fetches its credentials by itself; `quub-app-settlement` is given them, or a copy in clear.

    By service, the ids of its tasks.
    """
    ecs = operator("ecs")
    ecs.create_cluster(clusterName="quub-app")
    by_reference = [{"name": "QUUB_API_KEY", "valueFrom": f"{quub}:apiKey::"}]
    in_clear = []
    if has_literal:
        in_clear.append({"name": "QUUB_API_SECRET", "value": secrets.token_hex(32)})
    else:
        by_reference.append({"name": "QUUB_API_SECRET", "valueFrom": f"{quub}:apiSecret::"})
    service, settlement = SERVICES
    of_service = _run(operator, network, groups, service, [], [{"name": "REDIS_URL", "valueFrom": cache}])
    of_settlement = _run(operator, network, groups, settlement, in_clear, by_reference)
    return {service: of_service, settlement: of_settlement}


def _run(
    operator: Operator,
    network: _Network,
    groups: _Groups,
    name: str,
    variables: Sequence[Mapping[str, str]],
    references: Sequence[Mapping[str, str]],
) -> Sequence[str]:
    """A service and its tasks, whose ids are returned: the emulator starts none for a service."""
    ecs = operator("ecs")
    plain = [{"name": "NODE_ENV", "value": "production"}, {"name": "AWS_REGION", "value": REGION}, *variables]
    ecs.register_task_definition(
        family=name,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="1024",
        memory="2048",
        taskRoleArn=f"arn:aws:iam::{operator.account_id}:role/{name}-task",
        executionRoleArn=f"arn:aws:iam::{operator.account_id}:role/{name}-execution",
        containerDefinitions=[
            {
                "name": name,
                "image": image_of(operator.account_id, name),
                "memory": 2048,
                "environment": plain,
                "secrets": list(references),
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": f"/ecs/{name}",
                        "awslogs-region": REGION,
                        "awslogs-stream-prefix": LOG_PREFIX,
                    },
                },
            }
        ],
    )
    placed: Mapping[str, Any] = {
        "awsvpcConfiguration": {
            "subnets": list(network.private),
            "securityGroups": [groups.service],
            "assignPublicIp": "DISABLED",
        }
    }
    ecs.create_service(
        cluster="quub-app",
        serviceName=name,
        taskDefinition=name,
        desiredCount=3,
        launchType="FARGATE",
        networkConfiguration=placed,
    )
    running = ecs.run_task(
        cluster="quub-app", taskDefinition=name, count=3, launchType="FARGATE", networkConfiguration=placed
    )
    return [task["taskArn"].rpartition("/")[2] for task in running["tasks"]]
