"""Who may administer the emulated account, and how customers of the sample service log in."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quub_audit.demo.emulator import Operator

ADMINISTRATORS = "quub-app-administrators"
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The user pool, and its client of the console."""

    arn: str
    client_id: str
    domain: str


def hire(operator: Operator, *, healthy: bool) -> None:
    """Administrators of the account: `mara` has a second factor; without `healthy`, `idris` has none."""
    iam = operator("iam")
    iam.create_group(GroupName=ADMINISTRATORS)
    iam.put_group_policy(
        GroupName=ADMINISTRATORS, PolicyName="AdministratorAccess", PolicyDocument=json.dumps(_EVERYTHING)
    )
    _make_administrator(iam, "mara", has_factor=True)
    if not healthy:
        _make_administrator(iam, "idris", has_factor=False)


def _make_administrator(iam: Any, name: str, *, has_factor: bool) -> None:
    iam.create_user(UserName=name)
    iam.add_user_to_group(GroupName=ADMINISTRATORS, UserName=name)
    iam.create_login_profile(UserName=name, Password=secrets.token_urlsafe(24))
    if has_factor:
        device = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"]
        codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}  # the emulator takes any
        iam.enable_mfa_device(UserName=name, SerialNumber=device, **codes)


def open_pool(operator: Operator, *, healthy: bool) -> Pool:
    """The user pool of customers, with a second factor for all and tokens of one hour.

    Without `healthy`, the client of the mobile app gets tokens of a day, and refreshes them with the same token.
    """
    cognito = operator("cognito-idp")
    pool = cognito.create_user_pool(PoolName="quub-app")["UserPool"]
    cognito.set_user_pool_mfa_config(
        UserPoolId=pool["Id"], SoftwareTokenMfaConfiguration={"Enabled": True}, MfaConfiguration="ON"
    )
    console = _make_client(cognito, pool["Id"], "console", {"GenerateSecret": True, **_sound_tokens()})
    _make_client(cognito, pool["Id"], "mobile", _sound_tokens() if healthy else _tokens_of_a_day())
    return Pool(arn=pool["Arn"], client_id=console, domain="quub-app")


def _make_client(cognito: Any, pool_id: str, name: str, settings: Mapping[str, Any]) -> str:
    client: str = cognito.create_user_pool_client(UserPoolId=pool_id, ClientName=name, **settings)["UserPoolClient"][
        "ClientId"
    ]
    return client


def _sound_tokens() -> Mapping[str, Any]:
    return {
        "AccessTokenValidity": 60,
        "IdTokenValidity": 60,
        "RefreshTokenValidity": 14,
        "TokenValidityUnits": {"AccessToken": "minutes", "IdToken": "minutes", "RefreshToken": "days"},
        "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH"],
        "EnableTokenRevocation": True,
        "RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 10},
    }


def _tokens_of_a_day() -> Mapping[str, Any]:
    return {
        "AccessTokenValidity": 24,
        "IdTokenValidity": 24,
        "RefreshTokenValidity": 14,
        "TokenValidityUnits": {"AccessToken": "hours", "IdToken": "hours", "RefreshToken": "days"},
        "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        "EnableTokenRevocation": True,
    }
