"""The secrets that the environment declares for Quub, by the store that keeps them, and where an AWS secret stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from quub_audit.sdk import Account, Environment, Region, SecretReference, VaultServer, subjects


@subjects(each=SecretReference)
def in_secrets_manager(declared: SecretReference) -> Iterator[SecretReference]:
    """Those in AWS Secrets Manager."""
    if declared.store == "secrets-manager":
        yield declared


@subjects(each=SecretReference)
def in_parameter_store(declared: SecretReference) -> Iterator[SecretReference]:
    """Those in the AWS Systems Manager Parameter Store."""
    if declared.store == "ssm":
        yield declared


@subjects(each=SecretReference)
def in_vault(declared: SecretReference) -> Iterator[SecretReference]:
    """Those in HashiCorp Vault or OpenBao."""
    if declared.store == "vault":
        yield declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an AWS secret or parameter stands. What is not known is empty."""

    service: str
    """`secretsmanager` or `ssm`."""
    account_id: str
    region: str
    name: str
    """With the six random characters that Secrets Manager appends, where it was read from an ARN."""
    is_from_arn: bool = False

    def __str__(self) -> str:
        return f"{self.name} of {self.account_id or 'an unknown account'} in {self.region or 'an unknown region'}"

    def is_same_as(self, other: Place) -> bool:
        """Whether both lead to one secret; the random characters of an ARN make no difference."""
        here = (self.service, self.account_id, self.region)
        there = (other.service, other.account_id, other.region)
        return here == there and (_names(self) & _names(other) != set())


def place_of(text: str, *, region: str = "", account_id: str = "", service: str = "ssm") -> Place | None:
    """What `text` leads to: an ARN (a JSON key, stage and version after it are left out), or a name.

    A name is one of `service`, in `region` of `account_id`. None for the ARN of anything but a secret or a parameter.
    """
    if not text.startswith("arn:"):
        return Place(service=service, account_id=account_id, region=region, name=text)
    parts = text.split(":")
    if len(parts) >= 7 and parts[2] == "secretsmanager" and parts[5] == "secret":
        return Place(service="secretsmanager", account_id=parts[4], region=parts[3], name=parts[6], is_from_arn=True)
    if len(parts) >= 6 and parts[2] == "ssm" and parts[5].startswith("parameter/"):
        name = parts[5].removeprefix("parameter")
        # A name of one level stands in an ARN as if it began with a slash, and may do either.
        return Place(
            service="ssm",
            account_id=parts[4],
            region=parts[3],
            name=name if name.count("/") > 1 else name.removeprefix("/"),
            is_from_arn=True,
        )
    return None


def declared_place(declared: SecretReference, environment: Environment) -> Place | None:
    """Where a declared AWS secret stands; None for one in Vault."""
    if declared.store == "vault":
        return None
    account = account_of(declared.region, environment)
    return place_of(
        declared.name,
        region=declared.region.name if declared.region else "",
        account_id=account.account_id if account else "",
        service="secretsmanager" if declared.store == "secrets-manager" else "ssm",
    )


def account_of(region: Region | None, environment: Environment) -> Account | None:
    """The account that a region belongs to, among those of the environment and then of its siblings."""
    if region is None:
        return None
    accounts = (account for each in (environment, *environment.siblings) for account in each.aws)
    return next((account for account in accounts if account.name == region.account), None)


def server_of(declared: SecretReference, environment: Environment) -> VaultServer | None:
    """The Vault server that keeps a declared secret: the one it names, or the only one of its environment."""
    here = environment if declared.environment in ("", environment.name) else None
    homes = (here,) if here else tuple(each for each in environment.siblings if each.name == declared.environment)
    servers = [server for home in homes for server in home.vault]
    if not declared.vault and len(servers) == 1:
        return servers[0]
    return next((server for server in servers if server.name == declared.vault), None)


def parameter_names(name: str) -> list[str]:
    """The names under which the Parameter Store may know a parameter that is given by name or ARN."""
    place = place_of(name)
    plain = place.name if place else name
    return [plain] if "/" in plain else [plain, f"/{plain}"]


def _names(place: Place) -> set[str]:
    """What the secret may be called; a parameter of one level stands with a slash before it or without."""
    name = place.name.removeprefix("/") if place.service == "ssm" else place.name
    is_suffixed = place.is_from_arn and place.service == "secretsmanager"
    return {name, re.sub(r"-[A-Za-z0-9]{6}$", "", name)} if is_suffixed else {name}
