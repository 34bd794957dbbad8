"""Accounts of an emulated AWS (moto), one for each test, and what stands in them."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import threading
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from quub_audit.demo.emulator import one_at_first
from quub_audit.model.environment import Account, Environment, Quub, Region, SecretReference

REGION = "eu-central-1"
KEYS = {"AWS_ACCESS_KEY_ID": "quub", "AWS_SECRET_ACCESS_KEY": "audit"}


@contextlib.contextmanager
def emulated_cloud() -> Iterator[str]:
    """The address of a server on a free port of 127.0.0.1, stopped at exit."""
    app = one_at_first(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  the base class's own name
        pass


@dataclass(frozen=True)
class Network:
    """A VPC and the ways out of it."""

    vpc: str
    public: str
    """A subnet with a route to an internet gateway."""
    private: tuple[str, ...]
    """Subnets, each with a route to a NAT gateway of its own."""
    addresses: tuple[str, ...]
    """The public addresses of the NAT gateways."""


@dataclass
class Cloud:
    """One fresh account; its methods are the operator's."""

    address: str
    account_id: str = field(default_factory=lambda: str(secrets.randbelow(9 * 10**11) + 10**11))
    environ: dict[str, str] = field(default_factory=lambda: dict(KEYS))
    """What the audit finds in the process environment."""
    is_enforcing: bool = False
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)

    def account(self, name: str = "prod", **changes: Any) -> Account:
        """The target as an environment would declare it."""
        parts: dict[str, Any] = {
            "name": name,
            "account_id": self.account_id,
            "region_names": (REGION,),
            "endpoint_url": self.address,
            "role_arn": "" if self.is_enforcing else self._role_arn,
        }
        return Account(**{**parts, **changes})

    def neighbour(self) -> Cloud:
        """Another fresh account of the same cloud."""
        return Cloud(self.address)

    @property
    def _role_arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:role/operator"

    def client(self, service: str, region: str = REGION) -> Any:
        """A client of the operator; what it may do is never limited. Made once: each takes as long as many requests."""
        if (service, region) not in self._clients:
            build: Any = boto3.client
            self._clients[service, region] = build(
                service, endpoint_url=self.address, region_name=region, **self._operator_keys
            )
        return self._clients[service, region]

    @cached_property
    def _operator_keys(self) -> Mapping[str, str]:
        build: Any = boto3.client
        keys = {"aws_access_key_id": "operator", "aws_secret_access_key": "operator"}
        sts = build("sts", endpoint_url=self.address, region_name=REGION, **keys)
        credentials = sts.assume_role(RoleArn=self._role_arn, RoleSessionName="operator")["Credentials"]
        return {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }

    def allow_only(self, *actions: str) -> None:
        """From now on the audit comes as a user that may do `actions` and nothing else."""
        iam = self.client("iam")
        iam.create_user(UserName="audit")
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        iam.put_user_policy(UserName="audit", PolicyName="audit", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName="audit")["AccessKey"]
        self.environ = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        self.is_enforcing = True
        self._enforce_after("0")

    def stop_enforcing(self) -> None:
        """Anybody may do anything again."""
        if self.is_enforcing:
            self._enforce_after("inf")

    def _enforce_after(self, requests: str) -> None:
        request = urllib.request.Request(f"{self.address}/moto-api/reset-auth", data=requests.encode())
        request.add_header("Content-Type", "text/plain")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            answer.read()

    # What stands in the account

    def secret(self, name: str, value: Mapping[str, str] | str | None = None, **more: Any) -> str:
        """A secret in Secrets Manager, empty where there is no value; its ARN."""
        text = {} if value is None else {"SecretString": value if isinstance(value, str) else json.dumps(dict(value))}
        arn: str = self.client("secretsmanager").create_secret(Name=name, **text, **more)["ARN"]
        return arn

    def parameter(self, name: str, value: str, kind: str = "SecureString") -> None:
        """A parameter of the Parameter Store."""
        self.client("ssm").put_parameter(Name=name, Value=value, Type=kind)

    def service(
        self,
        name: str = "orders",
        *,
        environment: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        **more: Any,
    ) -> str:
        """An ECS service with one container `web`; the name of its task definition, `family:revision`."""
        ecs = self.client("ecs")
        ecs.create_cluster(clusterName="main")
        network = more.pop("networkConfiguration", None)
        definition = ecs.register_task_definition(
            family=name,
            networkMode="awsvpc",
            containerDefinitions=[
                {
                    "name": "web",
                    "image": "orders:1",
                    "memory": 256,
                    "environment": [{"name": key, "value": value} for key, value in (environment or {}).items()],
                    "secrets": [{"name": key, "valueFrom": value} for key, value in (secret or {}).items()],
                    **more,
                }
            ],
            taskRoleArn=f"arn:aws:iam::{self.account_id}:role/{name}-task",
        )["taskDefinition"]
        # The emulator wants security groups, which AWS does not.
        placed = {"networkConfiguration": {"awsvpcConfiguration": {"securityGroups": [], **network}}} if network else {}
        ecs.create_service(cluster="main", serviceName=name, taskDefinition=name, desiredCount=1, **placed)
        return f"{definition['family']}:{definition['revision']}"

    def function(self, name: str, variables: Mapping[str, str]) -> None:
        """A Lambda function."""
        role = self.client("iam").create_role(
            RoleName=f"{name}-role",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
        )["Role"]["Arn"]
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("index.js", "exports.handler = async () => 1;")
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="nodejs22.x",
            Role=role,
            Handler="index.handler",
            Code={"ZipFile": code.getvalue()},
            Environment={"Variables": dict(variables)},
        )

    def hand_through(self, name: str, port: int) -> None:
        """An internet-facing network load balancer that gives what comes to `port` to its targets, TLS and all."""
        elb, network = self.client("elbv2"), self.network()
        (balancer,) = elb.create_load_balancer(Name=name, Type="network", Subnets=list(network.private))[
            "LoadBalancers"
        ]
        (target,) = elb.create_target_group(Name=f"{name}-{port}", Protocol="TCP", Port=port, VpcId=network.vpc)[
            "TargetGroups"
        ]
        elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="TCP",
            Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": target["TargetGroupArn"]}],
        )

    def network(self, *, nats: int = 2, ipv6: bool = False) -> Network:
        """A VPC with one private subnet for each NAT gateway, and one public subnet."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=ipv6)["Vpc"]
        public = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.0.0.0/24", AvailabilityZone=f"{REGION}a")
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc["VpcId"])
        self._route(public["Subnet"]["SubnetId"], vpc["VpcId"], GatewayId=gateway)
        subnets, addresses = [], []
        for number in range(nats):
            address = ec2.allocate_address(Domain="vpc")
            nat = ec2.create_nat_gateway(SubnetId=public["Subnet"]["SubnetId"], AllocationId=address["AllocationId"])
            subnet = ec2.create_subnet(
                VpcId=vpc["VpcId"], CidrBlock=f"10.0.{number + 1}.0/24", AvailabilityZone=f"{REGION}{'ab'[number % 2]}"
            )["Subnet"]["SubnetId"]
            self._route(subnet, vpc["VpcId"], NatGatewayId=nat["NatGateway"]["NatGatewayId"])
            subnets.append(subnet)
            addresses.append(address["PublicIp"])
        return Network(
            vpc=vpc["VpcId"],
            public=public["Subnet"]["SubnetId"],
            private=tuple(subnets),
            addresses=tuple(addresses),
        )

    def _route(self, subnet: str, vpc: str, **target: str) -> None:
        ec2 = self.client("ec2")
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)

    def balancer(self, network: Network, *, sources: Sequence[str] = (), name: str = "orders") -> str:
        """A load balancer whose security group lets `sources` in on 443; its ARN."""
        ec2 = self.client("ec2")
        group = ec2.create_security_group(GroupName=name, Description=name, VpcId=network.vpc)["GroupId"]
        for source in sources:
            ec2.authorize_security_group_ingress(
                GroupId=group, IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp=source
            )
        subnets = [network.public, network.private[-1]]
        arn: str = self.client("elbv2").create_load_balancer(Name=name, Subnets=subnets, SecurityGroups=[group])[
            "LoadBalancers"
        ][0]["LoadBalancerArn"]
        return arn

    def web_acl(self, balancer: str, addresses: Sequence[str], *, action: str = "Allow") -> None:
        """A web ACL before the load balancer that blocks by default, with one rule for the listed networks."""
        name = balancer.split("/")[-2]
        waf = self.client("wafv2")
        listed = waf.create_ip_set(Name=name, Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=list(addresses))[
            "Summary"
        ]["ARN"]
        seen = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "partners"}
        acl = waf.create_web_acl(
            Name=name,
            Scope="REGIONAL",
            DefaultAction={"Block": {}},
            VisibilityConfig=seen,
            Rules=[
                {
                    "Name": "listed",
                    "Priority": 0,
                    "Statement": {"IPSetReferenceStatement": {"ARN": listed}},
                    "Action": {action: {}},
                    "VisibilityConfig": seen,
                }
            ],
        )["Summary"]["ARN"]
        waf.associate_web_acl(WebACLArn=acl, ResourceArn=balancer)

    def environment(
        self, *names: str, store: str = "secrets-manager", stage: str = "production", **more: Any
    ) -> Environment:
        """An environment of this account alone, whose Quub secrets are `names`."""
        account = more.pop("account", None) or self.account(name=stage)
        declared: dict[str, Any] = {"store": store, "region": account.regions[0], "environment": stage}
        quub = Quub(
            secrets=tuple(SecretReference(name=name, **declared) for name in names),
            environment=stage,
            egress=more.pop("egress", ()),
        )
        parts: dict[str, Any] = {"service": "orders", "name": stage, "stage": stage, "quub": quub, "aws": (account,)}
        return Environment(**{**parts, **more})

    @property
    def region(self) -> Region:
        """The only region, as the audit names it in production."""
        return Region(account="production", name=REGION)
