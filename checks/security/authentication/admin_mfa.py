"""Everybody who can administer must pass a second factor, the root user included.

Pass          each administrator found has a second factor that is asked for, or can do nothing administrative without one; the root user has a second factor and no access keys, or no credentials at all
Fail          an administrator without one: a user of IAM with a console password and no device, or whose access keys need none; a role that opens to people of another account without `aws:MultiFactorAuthPresent`; a Cognito pool, a Keycloak realm or a GitHub organisation whose administrators have none; root access keys
Inconclusive  no administrator is found; or, whatever else passes, the second factor of one is seen by nobody, so attest it: people who reach an administrative role of AWS by federation (IAM Identity Center, SAML, OpenID) where `keycloak_roles` does not name the roles of a declared Keycloak by which they come, or from a role of another account; administrators of an OpenID provider; members of a Cognito group who come in by federation; an organisation that does not tell; an administrator of Keycloak who has yet to register one
Error         a source refused to tell; the rights of somebody are not wholly known
Needs         `iam:GetAccountAuthorizationDetails`, `GetAccountSummary`, `GenerateCredentialReport`, `GetCredentialReport`, `ListMFADevices`, `ListVirtualMFADevices`, `GetLoginProfile`, `ListAccessKeys`; `cognito-idp:ListUserPools`, `GetUserPoolMfaConfig`, `ListGroups`, `ListUsersInGroup`, `AdminGetUser`; Keycloak: `view-realm`, `view-clients`, `view-users`; GitHub: a token of an owner
Source        the guide, Authentication; CIS AWS Foundations, MFA for the root user and for all IAM users with a console password, no root access key; PCI DSS v4.0.1, 8.4.1 and 8.4.2; OWASP ASVS v5.0.0-6.3.3; NIST SP 800-63B, AAL2

An administrator may do everything, or all of IAM, or can come to that by himself: by granting himself a policy, by new principals, by another administrator's keys, by assuming or passing an administrative role. Permission boundaries, denials, `NotAction` and conditions on the second factor are taken into account; service control policies are not seen. Roles of services, of GitHub Actions and of pods are not people. A user without a password is a service as far as AWS can tell: its administrative keys are a warning, or a fail under `service_keys: fail`.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field, field_validator

from quub_audit.checks.security.authentication._admins import (
    MACHINES,
    Directory,
    Door,
    Named,
    Session,
    by_session,
    doors,
    read_directory,
)
from quub_audit.sdk import (
    Account,
    Aws,
    Environment,
    Finding,
    Identity,
    IdentityProvider,
    Organisation,
    Parameters,
    Person,
    Region,
    UserPool,
    check,
    cut,
    subjects,
    user_pools,
)

EXPECTED = "a second factor that must be passed"
MOST_SAID = 3
"""Reasons that are told of one administrator."""

KEYCLOAK_ROLES = (
    "realm-management/realm-admin",
    "realm-management/manage-realm",
    "realm-management/manage-users",
    "realm-management/impersonation",
)
MASTER_ROLES = ("admin",)
"""Of the master realm, which has no `realm-management`."""

SECOND_STEPS = (
    "auth-otp-form",
    "webauthn-authenticator",
    "webauthn-authenticator-passwordless",
    "auth-recovery-authn-code-form",
)
"""Executions of a flow of Keycloak that ask for a second factor."""

REGISTERS = ("CONFIGURE_TOTP", "webauthn-register", "webauthn-register-passwordless")
"""What Keycloak makes somebody do who has to register a second factor."""

PHISHING_RESISTANT = ("webauthn", "webauthn-passwordless", "WEB_AUTHN")
BY_TELEPHONE = ("sms", "SMS_MFA", "email", "EMAIL_OTP")
"""Factors that NIST SP 800-63B restricts, or takes for none."""


class MfaParameters(Parameters):
    """What the checklist may set under `with:`."""

    admin_policies: tuple[str, ...] = ()
    """Names or ARNs of IAM policies that make an administrator, beside what their text gives."""

    admin_groups: tuple[str, ...] = (
        "admin",
        "admins",
        "administrator",
        "administrators",
        "*-admin",
        "*-admins",
        "*_admin",
        "*_admins",
        "superuser",
        "superusers",
    )
    """Groups of Cognito whose members are administrators; patterns, any case."""

    iam_groups: tuple[str, ...] = ()
    """Names of IAM groups that make an administrator, beside what their policies give."""

    machine_providers: tuple[str, ...] = MACHINES
    """OpenID providers of IAM whose tokens are those of jobs and pods, and not of people; patterns, without https://."""

    keycloak_roles: tuple[str, ...] = ()
    """Roles of Keycloak that make an administrator: of the realm, or `client/role`. By default those of
    `realm-management` that lead to all others, and `admin` in the master realm. Name those, and beside them the roles
    by which people administer AWS where they come in from that Keycloak: then federation is judged there."""

    phishing_resistant: bool = False
    """Whether only security keys and passkeys count; else a code sent by telephone is a warning."""

    service_keys: Literal["warn", "fail"] = "warn"
    """What administrative access keys of a user without a password are."""

    allow: Mapping[str, str] = Field(default_factory=dict, max_length=2)
    """Break-glass accounts that need no second factor, each by its name with the reason; at most two names."""

    @field_validator("allow")
    @classmethod
    def _have_reasons(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if nameless := [name for name, reason in value.items() if not reason.strip()]:
            raise ValueError(f"no reason for {', '.join(nameless)}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Administrator:
    """The root user, or a user or a role of IAM that can administer its account."""

    home: Region
    kind: Literal["root", "user", "role"]
    name: str
    arn: str
    reasons: tuple[str, ...] = ()
    """Why it is one."""
    sessions: frozenset[Session] = frozenset()
    """In which it is one."""
    row: Mapping[str, str] | None = None
    """Of the credential report; None for a role, and for who is younger than the report."""
    doors: tuple[Door, ...] = ()
    """Ways into a role from outside the account."""
    problems: tuple[str, ...] = ()
    """Why its rights are not wholly known."""
    is_judged_elsewhere: bool = False
    """The roles of a declared Keycloak are named by which people come in by federation."""

    def __str__(self) -> str:
        return self.arn


@subjects(
    each=Account,
    permissions=["iam:GetAccountAuthorizationDetails", "iam:GenerateCredentialReport", "iam:GetCredentialReport"],
)
def iam_administrators(
    account: Account, aws: Aws, environment: Environment, wanted: MfaParameters
) -> Iterator[Administrator]:
    """The root user, and every user and role that administers the account or whose rights are not known."""
    home = account.home
    directory = read_directory(account.account_id, aws.ask("iam.GetAccountAuthorizationDetails", region=home))
    rows = {row["arn"]: row for row in aws.credential_report(region=home)}
    root = f"arn:{directory.partition}:iam::{account.account_id}:root"
    row = next((row for row in rows.values() if row["user"] == "<root_account>"), None)
    yield Administrator(home=home, kind="root", name="root", arn=root, row=row)
    is_judged = bool(wanted.keycloak_roles) and any(each.type == "keycloak" for each in environment.identity)
    for each in found_in(directory, home, rows, wanted):
        yield replace(each, is_judged_elsewhere=is_judged)


def found_in(
    directory: Directory, home: Region, rows: Mapping[str, Mapping[str, str]], wanted: MfaParameters
) -> Iterator[Administrator]:
    """Users and roles that administer the account, and those of whom that is not known; `rows` are by ARN.

    What is in a role of a service alone is nobody's second factor, known or not.
    """
    powers = by_session(directory, Named(policies=wanted.admin_policies, groups=wanted.iam_groups))
    for principal in (*directory.users, *directory.roles):
        sessions = [session for session in Session if principal.arn in powers[session]]
        is_role = principal.kind == "role"
        ways = doors(principal, directory, wanted.machine_providers) if is_role else ()
        is_shut = is_role and not ways and principal.trust is not None and not principal.trust.problem
        if sessions or (principal.problems and not is_shut):
            yield Administrator(
                home=home,
                kind="role" if is_role else "user",
                name=principal.name,
                arn=principal.arn,
                reasons=powers[sessions[0]][principal.arn] if sessions else (),
                sessions=frozenset(sessions),
                row=rows.get(principal.arn),
                doors=ways,
                problems=() if is_shut else principal.problems,
            )


def is_known(subject: Administrator) -> bool:
    """Whether enough is known of somebody's rights, and of the ways into a role, to judge."""
    return not subject.problems or bool(subject.reasons and (subject.kind != "role" or subject.doors))


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAdministrator:
    """One enabled member of an administrative group of a Cognito user pool."""

    pool: UserPool
    name: str
    groups: tuple[str, ...]
    config: Mapping[str, Any]
    """cognito-idp.GetUserPoolMfaConfig of the pool."""

    def __str__(self) -> str:
        return f"{self.pool}: {self.name}"


@subjects(
    each=user_pools,
    permissions=["cognito-idp:GetUserPoolMfaConfig", "cognito-idp:ListGroups", "cognito-idp:ListUsersInGroup"],
)
def pool_administrators(pool: UserPool, aws: Aws, wanted: MfaParameters) -> Iterator[PoolAdministrator]:
    """Enabled members of the groups of a pool whose names match `admin_groups`, by name."""
    told = aws.ask("cognito-idp.ListGroups", region=pool.region, UserPoolId=pool.id, Limit=60).get("Groups", ())
    groups = sorted(each["GroupName"] for each in told if is_admin_group(each["GroupName"], wanted))
    held: dict[str, list[str]] = {}
    for group in groups:
        answer = aws.ask(
            "cognito-idp.ListUsersInGroup", region=pool.region, UserPoolId=pool.id, GroupName=group, Limit=60
        )
        for user in answer.get("Users", ()):
            if user.get("Enabled", True):
                held.setdefault(user["Username"], []).append(group)
    if not held:
        return
    config = aws.ask("cognito-idp.GetUserPoolMfaConfig", region=pool.region, UserPoolId=pool.id)
    for name in sorted(held):
        yield PoolAdministrator(pool=pool, name=name, groups=tuple(held[name]), config=config)


def is_admin_group(name: str, wanted: MfaParameters) -> bool:
    """Whether the name of a group matches one of the patterns of `admin_groups`, in any case."""
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in wanted.admin_groups)


@check(
    "Administrators of the AWS account need a second factor",
    each=iam_administrators,
    permissions=[
        "iam:GetAccountSummary",
        "iam:GetLoginProfile",
        "iam:ListAccessKeys",
        "iam:ListMFADevices",
        "iam:ListVirtualMFADevices",
    ],
)
def iam(subject: Administrator, aws: Aws, wanted: MfaParameters) -> Iterator[Finding]:
    """The root user, and each user, and each way into a role from outside the account."""
    if not is_known(subject):
        yield Finding.error(
            subject=subject.arn,
            message=f"{subject.arn}: who administers by it is not known, because {cut(subject.problems)}",
            next_step="run again; if it stays, look at the policy in the console",
        )
    elif subject.kind == "root":
        summary = aws.ask("iam.GetAccountSummary", region=subject.home)["SummaryMap"]
        is_virtual = False
        if wanted.phishing_resistant:
            answer = aws.ask("iam.ListVirtualMFADevices", region=subject.home, AssignmentStatus="Assigned")
            users = [device.get("User") or {} for device in answer.get("VirtualMFADevices", ())]
            is_virtual = any(str(user.get("Arn", "")).endswith(":root") for user in users)
        yield judge_root(subject.arn, summary, subject.row, wanted, is_virtual=is_virtual)
    elif subject.kind == "role":
        yield from judge_role(subject, wanted)
    else:
        yield from judge_user(subject, _credentials(subject, aws), wanted)


@check(
    "Administrators of a Cognito user pool need a second factor",
    each=pool_administrators,
    permissions=["cognito-idp:AdminGetUser"],
)
def cognito(subject: PoolAdministrator, aws: Aws, wanted: MfaParameters) -> Finding:
    """By the pool's requirement, or by what the administrator has registered."""
    user = aws.ask(
        "cognito-idp.AdminGetUser", region=subject.pool.region, UserPoolId=subject.pool.id, Username=subject.name
    )
    return judge_pool_administrator(subject, user, wanted)


@check("Administrators of a Keycloak realm need a second factor", each=IdentityProvider)
def keycloak(subject: IdentityProvider, identity: Identity, wanted: MfaParameters) -> Iterator[Finding]:
    """One finding for each administrator of the realm."""
    if subject.type != "keycloak":
        return
    usual = MASTER_ROLES if subject.realm == "master" else KEYCLOAK_ROLES
    people = identity.administrators(subject, roles=wanted.keycloak_roles or usual)
    if not people:
        return
    steps = second_steps(identity.realm(subject).browser_flow)
    for person in people:
        yield judge_person(f"{subject.name}: {person.name}", person, steps, wanted)


@check("Owners of a GitHub organisation need a second factor", each=IdentityProvider)
def github(subject: IdentityProvider, identity: Identity, wanted: MfaParameters) -> Iterator[Finding]:
    """The organisation's requirement, and the owners who have none."""
    if subject.type == "github":
        yield from judge_organisation(identity.organisation(subject), wanted)


@check("Administrators of other identity providers are attested", each=IdentityProvider)
def openid(subject: IdentityProvider) -> Iterator[Finding]:
    """OpenID Connect tells nobody who administers a provider."""
    if subject.type == "oidc":
        yield Finding.undecided(
            subject=subject.name,
            observed="does not tell who administers it",
            expected=EXPECTED,
            message=f"{subject.name}: OpenID Connect tells nothing of administrators; attest their second factor",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a user of IAM signs in with."""

    has_password: bool
    has_keys: bool
    """Active ones."""
    devices: tuple[str, ...] = ()
    """Serial numbers of its devices; those of security keys hold `:u2f/`."""


def _credentials(subject: Administrator, aws: Aws) -> Credentials:
    row = subject.row
    if row is None:  # younger than the report
        profile = aws.find("iam.GetLoginProfile", region=subject.home, UserName=subject.name)
        keys = aws.ask("iam.ListAccessKeys", region=subject.home, UserName=subject.name)["AccessKeyMetadata"]
        has_password, has_keys = profile is not None, any(key["Status"] == "Active" for key in keys)
    else:
        has_password = row["password_enabled"] == "true"
        has_keys = "true" in (row["access_key_1_active"], row["access_key_2_active"])
    devices: tuple[str, ...] = ()
    if has_password:  # asked now: the report may be four hours old
        answer = aws.ask("iam.ListMFADevices", region=subject.home, UserName=subject.name)
        devices = tuple(device["SerialNumber"] for device in answer.get("MFADevices", ()))
    return Credentials(has_password=has_password, has_keys=has_keys, devices=devices)


def judge_root(
    subject: str,
    summary: Mapping[str, int],
    row: Mapping[str, str] | None,
    wanted: MfaParameters,
    *,
    is_virtual: bool = False,
) -> Finding:
    """Judge the root user by iam.GetAccountSummary and its row in the credential report, where there is one.

    `AccountPasswordPresent` 0 and no keys is how a member account looks whose root credentials were removed centrally.
    """
    told = row or {}
    has_keys = summary.get("AccountAccessKeysPresent", 0) != 0 or "true" in (
        told.get("access_key_1_active"),
        told.get("access_key_2_active"),
    )
    has_factor = summary.get("AccountMFAEnabled", 0) != 0 or told.get("mfa_active") == "true"
    has_password = summary.get("AccountPasswordPresent", 1) != 0
    expected = "a second factor and no access keys, or no credentials"
    if has_keys:
        return Finding.of(
            False,
            subject=subject,
            observed="has access keys, which need no second factor",
            expected=expected,
            message=f"{subject}: the root user has access keys; delete them",
        )
    if not has_password:
        return Finding.of(True, subject=subject, observed="has no credentials", expected=expected)
    if not has_factor:
        return Finding.of(
            False,
            subject=subject,
            observed="has no second factor",
            expected=expected,
            message=f"{subject}: the root user has no second factor; register one, or remove its credentials centrally",
        )
    if wanted.phishing_resistant and is_virtual:
        return Finding.of(
            False,
            subject=subject,
            observed="has a virtual device, whose codes can be phished",
            expected="a security key or a passkey",
        )
    return Finding.of(True, subject=subject, observed="has a second factor and no access keys", expected=expected)


def judge_user(subject: Administrator, has: Credentials, wanted: MfaParameters) -> Iterator[Finding]:
    """Nothing for a user who cannot sign in at all; else one finding."""
    name, why = subject.arn, _reasons(subject)
    if not has.has_password and not has.has_keys:
        return
    if (reason := allowed(subject.name, subject.arn, wanted)) is not None:
        yield Finding.warning(subject=name, observed=f"break-glass: {reason}", expected=EXPECTED)
        return
    is_open_by_key = has.has_keys and bool({Session.KEY, Session.CONSOLE} & subject.sessions)
    if has.has_password and not has.devices and Session.CONSOLE in subject.sessions:
        yield Finding.of(
            False,
            subject=name,
            observed=f"administers ({why}) with a console password and no second factor",
            expected=EXPECTED,
            message=f"{name}: register a second factor, and deny everything without aws:MultiFactorAuthPresent",
        )
    elif is_open_by_key and (has.has_password or wanted.service_keys == "fail"):
        yield Finding.of(
            False,
            subject=name,
            observed=f"administers ({why}) with access keys that need no second factor",
            expected=EXPECTED,
            message=f"{name}: delete its access keys, or deny without aws:MultiFactorAuthPresent (BoolIfExists)",
        )
    elif is_open_by_key:
        yield Finding.warning(
            subject=name,
            observed=f"administers ({why}) with access keys, and has no password",
            expected="no administrator by access key alone",
            message=f"{name} has administrative access keys and no password; give the service a role, "
            "and a person a password with a second factor",
        )
    elif wanted.phishing_resistant and any(":u2f/" not in serial for serial in has.devices):
        yield Finding.of(
            False,
            subject=name,
            observed=f"administers ({why}) with a device whose codes can be phished",
            expected="security keys or passkeys alone",
        )
    else:
        factor = "has a second factor" if has.devices else "can administer only with a second factor, by its policies"
        yield Finding.of(True, subject=name, observed=f"administers ({why}), {factor}", expected=EXPECTED)


def judge_role(subject: Administrator, wanted: MfaParameters) -> Iterator[Finding]:
    """One finding for each way in from outside the account; users of the account are judged themselves."""
    why = _reasons(subject)
    is_enforced = subject.sessions == {Session.WITH_FACTOR}
    for door in subject.doors:
        name = f"{subject.arn} from {door.name}"
        if (reason := allowed(subject.name, subject.arn, wanted)) is not None:
            yield Finding.warning(subject=name, observed=f"break-glass: {reason}", expected=EXPECTED)
        elif door.kind == "federation":
            tell = Finding.warning if subject.is_judged_elsewhere else Finding.undecided
            yield tell(
                subject=name,
                observed=f"administers ({why}), and people come in by federation",
                expected=EXPECTED,
                message=f"{name}: AWS does not see the second factor of people who come in by federation; "
                + (
                    "those who hold `keycloak_roles` are judged at the declared Keycloak"
                    if subject.is_judged_elsewhere
                    else "attest that their provider asks for one; where that is a declared Keycloak, name the roles "
                    "by which they come in under `keycloak_roles`"
                ),
            )
        elif door.needs_factor or is_enforced:
            yield Finding.of(
                True, subject=name, observed=f"administers ({why}), opens to a second factor alone", expected=EXPECTED
            )
        elif door.is_machine and door.kind == "account":
            yield Finding.undecided(
                subject=name,
                observed=f"administers ({why}), and a role or a service of another account may assume it",
                expected=EXPECTED,
                message=f"{name}: whether a person stands behind the other account's role does not show here; "
                "attest that none does, or that a second factor is asked for there",
            )
        else:
            yield Finding.of(
                False,
                subject=name,
                observed=f"administers ({why}), opens without a second factor",
                expected=EXPECTED,
                message=f"{name}: demand aws:MultiFactorAuthPresent in the trust policy of the role",
            )


def judge_pool_administrator(subject: PoolAdministrator, user: Mapping[str, Any], wanted: MfaParameters) -> Finding:
    """Judge cognito-idp.AdminGetUser under the pool's MfaConfiguration: ON, OPTIONAL or OFF."""
    name, mode = str(subject), str(subject.config.get("MfaConfiguration") or "OFF")
    has = tuple(sorted(user.get("UserMFASettingList") or ()))
    if (reason := allowed(subject.name, name, wanted)) is not None:
        return Finding.warning(subject=name, observed=f"break-glass: {reason}", expected=EXPECTED)
    if user.get("UserStatus") == "EXTERNAL_PROVIDER":
        return Finding.undecided(
            subject=name,
            observed="comes in by federation",
            expected=EXPECTED,
            message=f"{name}: Cognito asks no federated user for a second factor; attest what its provider asks",
        )
    registered = f"{cut(has) or 'nothing'} registered"
    if mode == "OFF" or (mode != "ON" and not has):
        return Finding.of(
            False,
            subject=name,
            observed=f"MfaConfiguration is {mode}, {registered}",
            expected=EXPECTED,
            message=f"{name}: an administrator ({cut(subject.groups)}) signs in without a second factor; "
            "require it of the pool (MfaConfiguration ON)",
        )
    offered = () if (subject.config.get("SoftwareTokenMfaConfiguration") or {}).get("Enabled") else BY_TELEPHONE
    return _judge_factors(name, has or offered, f"MfaConfiguration is {mode}, {registered}", wanted)


def judge_person(
    subject: str, person: Person, steps: Literal["none", "if registered", "always"], wanted: MfaParameters
) -> Finding:
    """Judge one administrator of a Keycloak realm, whose login flow asks for a second factor as `steps` says."""
    held = f"{cut(person.roles)}; {cut(person.factors) or 'nothing'} registered"
    if (reason := allowed(person.name, subject, wanted)) is not None:
        return Finding.warning(subject=subject, observed=f"break-glass: {reason}", expected=EXPECTED)
    if steps == "none":
        return Finding.of(
            False,
            subject=subject,
            observed=f"{held}, and the browser flow asks for no second factor",
            expected=EXPECTED,
            message=f"{subject}: the realm's browser flow asks nobody for a second factor; add the step",
        )
    if person.factors:
        return _judge_factors(subject, person.factors, held, wanted)
    if steps == "always":
        return Finding.of(
            True, subject=subject, observed=f"{held}, and the browser flow demands one", expected=EXPECTED
        )
    must = [action for action in person.pending if action in REGISTERS]
    if must:
        return Finding.undecided(
            subject=subject,
            observed=f"{held}, and must register one at the next login",
            expected=EXPECTED,
            message=f"{subject} has no second factor before the next login, which its password alone opens; "
            "audit again after it, or disable the account until then",
        )
    return Finding.of(
        False,
        subject=subject,
        observed=held,
        expected=EXPECTED,
        message=f"{subject}: an administrator of the realm has no second factor; make it a required action",
    )


def second_steps(flow: Sequence[Mapping[str, Any]]) -> Literal["none", "if registered", "always"]:
    """Whether a flow of Keycloak asks for a second factor: of nobody, of those who registered one, or of everybody.

    `flow` are its executions in order, each with `level`, `requirement` and `providerId`. A step is one of everybody
    where it is REQUIRED, and every flow that it stands in is REQUIRED, or ALTERNATIVE at the top.
    """
    above: list[str] = []
    found: Literal["none", "if registered", "always"] = "none"
    for execution in flow:
        level, requirement = int(execution.get("level", 0)), str(execution.get("requirement", "DISABLED"))
        del above[level:]
        path = [*above, requirement]
        above.append(requirement)
        if "DISABLED" in path or execution.get("providerId") not in SECOND_STEPS:
            continue
        if all(each == "REQUIRED" or (depth == 0 and each == "ALTERNATIVE") for depth, each in enumerate(path)):
            return "always"
        found = "if registered"
    return found


def judge_organisation(organisation: Organisation, wanted: MfaParameters) -> Iterator[Finding]:
    """One finding for the organisation, and a fail for each owner without a second factor."""
    name, expected = organisation.name, "second factors required, and every owner has one"
    lacking = [owner for owner in organisation.owners_without_factor if allowed(owner, "", wanted) is None]
    for owner in organisation.owners_without_factor:
        if owner in lacking:
            yield Finding.of(
                False,
                subject=f"{name}: {owner}",
                observed="an owner without a second factor",
                expected=EXPECTED,
                message=f"{name}: the owner {owner} has no second factor; require it of the organisation",
            )
        else:
            yield Finding.warning(
                subject=f"{name}: {owner}", observed=f"break-glass: {wanted.allow[owner]}", expected=EXPECTED
            )
    if organisation.is_two_factor_required is False:
        yield Finding.of(
            False,
            subject=name,
            observed="requires no second factor of its members",
            expected=expected,
            message=f"{name}: require two-factor authentication in the organisation's security settings",
        )
    elif organisation.is_two_factor_required is None or not organisation.owners or wanted.phishing_resistant:
        observed = (
            "whether phishing-resistant factors are required of its owners does not show"
            if organisation.is_two_factor_required and organisation.owners
            else "whether second factors are required of its owners does not show"
        )
        yield Finding.undecided(
            subject=name,
            observed=observed,
            expected=expected,
            message=f"{name}: {observed}; give a token of an owner, or attest what is asked of them",
        )
    elif not lacking:
        count = len(organisation.owners)
        yield Finding.of(
            True,
            subject=name,
            observed=f"second factors are required, and {count} owner{'s' if count != 1 else ''} have one",
            expected=expected,
        )


def _judge_factors(subject: str, factors: Sequence[str], observed: str, wanted: MfaParameters) -> Finding:
    """By the kinds of an administrator's factors: each of them may be chosen at the login."""
    phishable = [factor for factor in factors if factor not in PHISHING_RESISTANT]
    if wanted.phishing_resistant and phishable:
        return Finding.of(False, subject=subject, observed=observed, expected="security keys or passkeys alone")
    if factors and all(factor in BY_TELEPHONE for factor in factors):
        return Finding.warning(
            subject=subject,
            observed=observed,
            expected=EXPECTED,
            message=f"{subject}: a code sent by telephone or mail is a weak second factor (NIST SP 800-63B, 5.1.3.3)",
        )
    return Finding.of(True, subject=subject, observed=observed, expected=EXPECTED)


def allowed(name: str, arn: str, wanted: MfaParameters) -> str | None:
    """The reason for which an account needs no second factor; None where it needs one."""
    return wanted.allow.get(name, wanted.allow.get(arn))


def _reasons(subject: Administrator) -> str:
    shown = subject.reasons[:MOST_SAID]
    rest = len(subject.reasons) - len(shown)
    return "; ".join(shown) + (f" and {rest} more" if rest else "")
