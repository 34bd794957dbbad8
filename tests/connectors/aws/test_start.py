"""What asking AWS costs before and beside the answers."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.connectors.aws.conftest import Connect
from tests.connectors.aws.recording import recording
from tests.worlds.cloud import Cloud


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after `code`."""
    program = f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(told.stdout.split())


def test_building_the_connector_loads_nothing_of_aws() -> None:
    loaded = loaded_after(
        "from quub_audit.connectors.aws import AwsConnector\n"
        "from quub_audit.connectors.base import Ledger\n"
        "from quub_audit.facts.seal import Redactor, Sealer\n"
        "from quub_audit.model.environment import Account\n"
        "account = Account(name='a', account_id='123456789012', region_names=('eu-west-1',))\n"
        "connector = AwsConnector((account,), Ledger(), Sealer(b's', Redactor()), "
        "permissions=frozenset(), environ={})\n"
        "connector.close()"
    )

    assert loaded & {"boto3", "botocore", "s3transfer", "urllib3", "jmespath"} == set()


def test_asking_loads_boto3_and_the_kit_of_no_other_connector(cloud: Cloud) -> None:
    loaded = loaded_after(
        "from quub_audit.connectors.aws import AwsConnector\n"
        "from quub_audit.connectors.base import Ledger\n"
        "from quub_audit.facts.seal import Redactor, Sealer\n"
        "from quub_audit.model.environment import Account\n"
        f"account = Account(name='a', account_id={cloud.account_id!r}, region_names=('eu-west-1',), "
        f"endpoint_url={cloud.address!r}, role_arn={cloud.account().role_arn!r})\n"
        "connector = AwsConnector((account,), Ledger(), Sealer(b's', Redactor()), permissions=frozenset(), "
        f"environ={cloud.environ!r})\n"
        "connector.ask('iam.ListUsers', region=account.home)\n"
        "connector.close()"
    )

    assert "boto3" in loaded
    assert loaded & {"ast_grep_py", "httpx", "jinja2", "joserfc", "sslyze", "yaml"} == set()


def test_each_question_is_sent_once_from_however_many_threads(cloud: Cloud, connect: Connect) -> None:
    with recording(cloud.address) as peer:
        account = cloud.account(endpoint_url=peer.address, region_names=("eu-central-1", "eu-west-1"))
        connector = connect(account, environ=cloud.environ)

        def ask(number: int) -> object:
            region = account.regions[number % 2]
            if number % 3 == 0:
                return connector.find("secretsmanager.DescribeSecret", region=region, SecretId="nothing")
            return connector.ask("rds.DescribeDBInstances", region=region)

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, range(48)))

    assert answers.count(None) == 16
    assert all("quub-audit/" in agent for agent in peer.user_agents)
    assert sorted(peer.operations) == sorted(
        ["AssumeRole", "GetCallerIdentity", *["DescribeSecret"] * 2, *["DescribeDBInstances"] * 2]
    )


def test_a_question_has_one_key_whatever_the_order_of_its_parameters(cloud: Cloud, connect: Connect) -> None:
    with recording(cloud.address) as peer:
        account = cloud.account(endpoint_url=peer.address)
        connector = connect(account, environ=cloud.environ)
        first = connector.ask("ec2.DescribeVpcs", region=account.regions[0], DryRun=False, MaxResults=50)
        second = connector.ask("ec2.DescribeVpcs", region=account.regions[0], MaxResults=50, DryRun=False)

    assert first is second
    assert peer.operations.count("DescribeVpcs") == 1
