"""User pools and their app clients, all of them, from an emulated account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quub_audit.connectors.aws import AwsConnector
from quub_audit.connectors.base import Ledger
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.sdk import user_pool_clients, user_pools
from tests.worlds.cloud import KEYS, Cloud, emulated_cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with emulated_cloud() as address:
        yield Cloud(address)


def connector(cloud: Cloud) -> AwsConnector:
    return AwsConnector(
        (cloud.account(),), Ledger(), Sealer(b"salt", Redactor()), permissions=frozenset(), environ=dict(KEYS)
    )


def test_every_user_pool_of_a_region_is_listed(cloud: Cloud) -> None:
    made = {cloud.client("cognito-idp").create_user_pool(PoolName=f"pool-{n}")["UserPool"]["Id"] for n in range(3)}

    found = list(user_pools(cloud.account().regions[0], connector(cloud)))

    assert {pool.id for pool in found} == made
    assert str(found[0]) == f"{found[0].name} ({found[0].id})"


def test_every_app_client_of_a_pool_is_listed_page_after_page_and_none_of_another(cloud: Cloud) -> None:
    account = Cloud(cloud.address)
    cognito = account.client("cognito-idp")
    ours = cognito.create_user_pool(PoolName="customers")["UserPool"]["Id"]
    other = cognito.create_user_pool(PoolName="staff")["UserPool"]["Id"]
    cognito.create_user_pool_client(UserPoolId=other, ClientName="console")
    for number in range(61):
        cognito.create_user_pool_client(UserPoolId=ours, ClientName=f"app-{number}")
    aws = connector(account)
    pools = {pool.id: pool for pool in user_pools(account.account().regions[0], aws)}

    found = list(user_pool_clients(pools[ours], aws))

    assert sorted(client.name for client in found) == sorted(f"app-{number}" for number in range(61))
    assert {client.pool.id for client in found} == {ours}
