"""Amazon Cognito: the user pools of a region, and the app clients that may ask a pool for tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quub_audit.facts.asking import Aws
from quub_audit.model.environment import Region
from quub_audit.sdk.declare import subjects

PAGE_SIZE = 60
"""The most that both lists give at once; ListUserPools wants to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPool:
    """One user pool."""

    region: Region
    id: str
    """`eu-central-1_AbCdEfGhI`."""
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPoolClient:
    """One app client of a user pool; `cognito-idp.DescribeUserPoolClient` has its settings."""

    pool: UserPool
    id: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.pool.id}/{self.id})"


@subjects(each=Region, permissions=["cognito-idp:ListUserPools"])
def user_pools(region: Region, aws: Aws) -> Iterator[UserPool]:
    """Every user pool of a region."""
    answer = aws.ask("cognito-idp.ListUserPools", region=region, MaxResults=PAGE_SIZE)
    for found in answer.get("UserPools", ()):
        yield UserPool(region=region, id=found["Id"], name=found.get("Name", ""))


@subjects(each=user_pools, permissions=["cognito-idp:ListUserPoolClients"])
def user_pool_clients(pool: UserPool, aws: Aws) -> Iterator[UserPoolClient]:
    """Every app client of a user pool."""
    answer = aws.ask("cognito-idp.ListUserPoolClients", region=pool.region, UserPoolId=pool.id, MaxResults=PAGE_SIZE)
    for found in answer.get("UserPoolClients", ()):
        yield UserPoolClient(pool=pool, id=found["ClientId"], name=found.get("ClientName", ""))
