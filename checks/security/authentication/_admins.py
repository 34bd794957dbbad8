"""Who can administer an AWS account, and in which sessions: from iam.GetAccountAuthorizationDetails alone.

An administrator may do everything, or all of IAM, or can come to that by himself: by granting himself a policy, by
making a user or a role and granting that, by the keys or the password of another administrator, by assuming an
administrative role, or by handing one to a machine that he controls. The ways are those of
https://rhinosecuritylabs.com/aws/aws-privilege-escalation-methods-mitigation/ as far as IAM alone shows them; code
that already runs under an administrative role, and that somebody may change, does not show here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from quub_audit.checks.security.authentication._policies import Context, Policy, Statement, matches, read_policy


class Session(Enum):
    """How somebody comes: what the request says of the second factor."""

    WITH_FACTOR = "with a second factor"
    CONSOLE = "by password alone"
    KEY = "by access key alone"


_FACTOR: Mapping[Session, Context] = {
    Session.WITH_FACTOR: {"aws:multifactorauthpresent": "true", "aws:multifactorauthage": "0"},
    Session.CONSOLE: {"aws:multifactorauthpresent": "false", "aws:multifactorauthage": None},
    Session.KEY: {"aws:multifactorauthpresent": None, "aws:multifactorauthage": None},
}
"""Long-term keys carry neither condition key, so that `Bool` with false does not hold for them and `BoolIfExists` does.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-multifactorauthpresent
"""

MACHINES = (
    "token.actions.githubusercontent.com*",
    "gitlab.*",
    "oidc.eks.*",
    "oidc.circleci.com/*",
    "agent.buildkite.com*",
    "api.bitbucket.org/*",
    "app.terraform.io*",
    "oidc.vercel.com*",
    "spacelift.io*",
    "*.spacelift.io*",
)
"""OpenID providers whose tokens are those of jobs and of pods, not of people; patterns of IAM."""

_LAUNCHES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "lambda.amazonaws.com": (
        ("lambda:CreateFunction", "lambda:InvokeFunction"),
        ("lambda:CreateFunction", "lambda:CreateEventSourceMapping"),
        ("lambda:CreateFunction", "lambda:AddPermission"),
        ("lambda:CreateFunction", "lambda:CreateFunctionUrlConfig"),
    ),
    "ec2.amazonaws.com": (("ec2:RunInstances",), ("ec2:AssociateIamInstanceProfile",)),
    "ecs-tasks.amazonaws.com": (
        ("ecs:RegisterTaskDefinition", "ecs:RunTask"),
        ("ecs:RegisterTaskDefinition", "ecs:CreateService"),
        ("ecs:RegisterTaskDefinition", "ecs:UpdateService"),
    ),
    "cloudformation.amazonaws.com": (("cloudformation:CreateStack",), ("cloudformation:UpdateStack",)),
    "codebuild.amazonaws.com": (("codebuild:CreateProject", "codebuild:StartBuild"),),
    "glue.amazonaws.com": (("glue:CreateJob", "glue:StartJobRun"), ("glue:CreateDevEndpoint",)),
    "sagemaker.amazonaws.com": (("sagemaker:CreateNotebookInstance", "sagemaker:CreatePresignedNotebookInstanceUrl"),),
    "states.amazonaws.com": (("states:CreateStateMachine", "states:StartExecution"),),
    "datapipeline.amazonaws.com": (("datapipeline:CreatePipeline", "datapipeline:PutPipelineDefinition"),),
    "ssm.amazonaws.com": (("ssm:StartAutomationExecution",),),
    "apprunner.amazonaws.com": (("apprunner:CreateService",),),
    "batch.amazonaws.com": (("batch:RegisterJobDefinition", "batch:SubmitJob"),),
}
"""By the service that a role trusts: actions with which one runs one's own code under it, once it may be passed."""

_REACHES = (
    "iam:AddUserToGroup",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:PassRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateLoginProfile",
    "sts:AssumeRole",
)
"""Without any of these nobody comes to another's rights, but by a trust that names him."""

_ASSUMES = ("sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """One user, role or group, with all policies that speak for it."""

    kind: Literal["user", "role", "group"]
    name: str
    arn: str
    policies: tuple[Policy, ...] = ()
    """Inline and attached ones, and those of a user's groups."""
    boundary: Policy | None = None
    groups: tuple[str, ...] = ()
    """Names of a user's groups."""
    group_arns: tuple[str, ...] = ()
    trust: Policy | None = None
    """Who may assume a role."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Why its rights are not wholly known."""
        return tuple(dict.fromkeys(policy.problem for policy in _documents(self) if policy.problem))


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Everybody in one account."""

    account_id: str
    partition: str
    users: tuple[Principal, ...] = ()
    roles: tuple[Principal, ...] = ()
    groups: tuple[Principal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What counts as administrative by its name alone."""

    policies: tuple[str, ...] = ()
    """Names or ARNs of policies."""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One way into a role from outside the account."""

    kind: Literal["account", "anyone", "federation", "end users"]
    name: str
    """The foreign principal, or the identity provider, by its ARN or name."""
    needs_factor: bool
    """The trust policy wants `aws:MultiFactorAuthPresent`, which only an AWS account can vouch for."""
    is_machine: bool = False
    """A role of another account, or a trust that wants an `sts:ExternalId`: a service, as far as one can tell."""


Powers = Mapping[str, tuple[str, ...]]
"""Why each administrator is one, by ARN."""


def read_directory(account_id: str, told: Mapping[str, Any]) -> Directory:
    """Everybody in an answer of iam.GetAccountAuthorizationDetails."""
    managed = {each["Arn"]: _default_version(each) for each in told.get("Policies", ())}
    groups = tuple(
        Principal(kind="group", name=each["GroupName"], arn=each["Arn"], policies=_policies(each, "Group", managed))
        for each in told.get("GroupDetailList", ())
    )
    by_name = {group.name: group for group in groups}
    users = []
    for each in told.get("UserDetailList", ()):
        own = tuple(by_name[name] for name in each.get("GroupList", ()) if name in by_name)
        inherited = tuple(policy for group in own for policy in group.policies)
        users.append(
            Principal(
                kind="user",
                name=each["UserName"],
                arn=each["Arn"],
                policies=_policies(each, "User", managed) + inherited,
                boundary=_boundary(each, managed),
                groups=tuple(group.name for group in own),
                group_arns=tuple(group.arn for group in own),
            )
        )
    roles = tuple(
        Principal(
            kind="role",
            name=each["RoleName"],
            arn=each["Arn"],
            policies=_policies(each, "Role", managed),
            boundary=_boundary(each, managed),
            trust=read_policy(f"the trust of {each['RoleName']}", each.get("AssumeRolePolicyDocument")),
        )
        for each in told.get("RoleDetailList", ())
    )
    arns = [each.arn for each in (*users, *roles, *groups)]
    partition = arns[0].split(":")[1] if arns else "aws"
    return Directory(account_id=account_id, partition=partition, users=tuple(users), roles=roles, groups=groups)


def _policies(told: Mapping[str, Any], kind: str, managed: Mapping[str, Policy]) -> tuple[Policy, ...]:
    inline = [read_policy(each["PolicyName"], each["PolicyDocument"]) for each in told.get(f"{kind}PolicyList", ())]
    attached = [_managed(each["PolicyArn"], managed) for each in told.get("AttachedManagedPolicies", ())]
    return (*inline, *attached)


def _boundary(told: Mapping[str, Any], managed: Mapping[str, Policy]) -> Policy | None:
    arn = (told.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    return _managed(arn, managed) if arn else None


def _managed(arn: str, managed: Mapping[str, Policy]) -> Policy:
    name = arn.rpartition("/")[2]
    return managed.get(arn) or Policy(name, arn, problem=f"the answer does not hold the policy {name}")


def _default_version(told: Mapping[str, Any]) -> Policy:
    name = told.get("PolicyName") or told["Arn"].rpartition("/")[2]
    for version in told.get("PolicyVersionList", ()):
        if version.get("IsDefaultVersion") or version.get("VersionId") == told.get("DefaultVersionId"):
            return read_policy(name, version.get("Document"), arn=told["Arn"])
    return Policy(name, told["Arn"], problem=f"the answer does not hold the default version of {name}")


def administrators(directory: Directory, session: Session, named: Named = Named()) -> Powers:
    """Who administers the account in such a session, with reasons; users and roles, by ARN."""
    callers = [_Caller(each, directory, session, named) for each in (*directory.users, *directory.roles)]
    groups = [_Caller(each, directory, session, named) for each in directory.groups]
    found = {each.principal.arn: reasons for each in callers if (reasons := tuple(each.own_powers()))}
    gained: list[_Caller] = [each for each in callers if each.principal.arn in found]
    gained += [each for each in groups if tuple(each.own_powers())]
    while gained:
        targets = [each.principal for each in gained]
        gained = []
        for caller in callers:
            if caller.principal.arn in found:
                continue
            reason = next(iter(caller.ways_to(targets)), "")
            if reason:
                found[caller.principal.arn] = (reason,)
                gained.append(caller)
    return found


def by_session(directory: Directory, named: Named) -> Mapping[Session, Powers]:
    """The administrators of each kind of session; worked out once where no policy speaks of the second factor."""
    everybody = (*directory.users, *directory.roles, *directory.groups)
    policies = {id(policy): policy for each in everybody for policy in _documents(each)}.values()
    keys = (each.key for policy in policies for statement in policy.statements for each in statement.conditions)
    if any(key.lower().startswith("aws:multifactorauth") for key in keys):
        return {session: administrators(directory, session, named) for session in Session}
    return dict.fromkeys(Session, administrators(directory, Session.KEY, named))


def _documents(principal: Principal) -> tuple[Policy, ...]:
    others = (principal.boundary, principal.trust)
    return (*principal.policies, *(policy for policy in others if policy is not None))


def doors(role: Principal, directory: Directory, machines: Sequence[str] = MACHINES) -> tuple[Door, ...]:
    """The ways into a role for whoever is not a principal of this account and no service of AWS, in order.

    `machines` are patterns of OpenID providers whose tokens are not those of people.
    """
    statements = role.trust.statements if role.trust is not None else ()
    found: dict[str, Door] = {}
    for statement in statements:
        if not statement.is_allow or not any(statement.speaks_of(action) for action in _ASSUMES):
            continue
        for kind, name in [("AWS", "*")] if statement.not_principals else statement.principals:
            if not _is_outside(kind, name, directory) or not _may_enter(statements, statement, name, _FACTOR.values()):
                continue
            without = [_FACTOR[Session.CONSOLE], _FACTOR[Session.KEY]]
            needs_factor = not _may_enter(statements, statement, name, without)
            door = _door(kind, name, statement, machines, needs_factor=needs_factor)
            if door is not None and (name not in found or found[name].needs_factor):
                found[name] = door
    return tuple(found.values())


def _is_outside(kind: str, name: str, directory: Directory) -> bool:
    if kind == "Federated":
        return True
    if kind != "AWS":
        return False
    if name == "*":
        return True
    # What is neither an ARN nor an account is the id of somebody who was deleted.
    account = name.split(":")[4] if name.count(":") >= 5 else name
    return account.isdigit() and account != directory.account_id


def _may_enter(statements: Sequence[Statement], allowing: Statement, name: str, sessions: Iterable[Context]) -> bool:
    """Whether the principal gets in by `allowing` in one of the sessions, and no denial stands in its way."""
    return any(
        allowing.applies(context)
        and not any(
            denying.applies(context) and any(denying.speaks_of(action) for action in _ASSUMES)
            for denying in statements
            if not denying.is_allow and _names(denying, (name,))
        )
        for context in sessions
    )


def _names(statement: Statement, names: Iterable[str]) -> bool:
    """Whether a statement of a trust policy speaks of one of the names, or of everybody."""
    listed = {name for _, name in statement.principals}
    return ("*" in listed or not listed.isdisjoint(names)) is not statement.not_principals


def _door(kind: str, name: str, statement: Statement, machines: Sequence[str], *, needs_factor: bool) -> Door | None:
    if kind == "AWS":
        keys = {condition.key.lower() for condition in statement.conditions}
        is_bound = keys & {"aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:principalarn"}
        return Door(
            kind="anyone" if name == "*" and not is_bound else "account",
            name="every AWS account"
            if name == "*" and not is_bound
            else "accounts named by a condition"
            if name == "*"
            else name,
            needs_factor=needs_factor,
            is_machine="sts:externalid" in keys or ":role/" in name or ":assumed-role/" in name,
        )
    provider = name.partition(":oidc-provider/")[2] or name
    if any(matches(machine, provider) for machine in machines):
        return None
    is_end_users = provider == "cognito-identity.amazonaws.com"
    return Door(kind="end users" if is_end_users else "federation", name=name, needs_factor=False)


@functools.lru_cache(maxsize=4096)
def _trusted(role: Principal) -> frozenset[tuple[str, str]]:
    """Everybody whom the trust of a role names, by kind and name."""
    statements = role.trust.statements if role.trust is not None else ()
    return frozenset(each for statement in statements for each in statement.principals)


@dataclass(slots=True)
class _Caller:
    """One principal in one kind of session."""

    principal: Principal
    directory: Directory
    session: Session
    named: Named
    _context: Context = field(init=False)
    _variables: Mapping[str, str] = field(init=False)
    _known: dict[str, bool] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        who = self.principal
        told: dict[str, str | None] = {
            "aws:principalarn": who.arn,
            "aws:principalaccount": self.directory.account_id,
            "aws:username": who.name if who.kind == "user" else None,
            # What somebody who grants himself everything would put in:
            "iam:policyarn": f"arn:{self.directory.partition}:iam::aws:policy/AdministratorAccess",
            "iam:permissionsboundary": None,
            **_FACTOR[self.session],
        }
        self._context = told
        self._variables = {name: value for name, value in told.items() if value is not None and name.startswith("aws:")}

    def allows(self, action: str, resource: str, **more: str) -> bool:
        """Whether its policies allow the action on the resource, and its boundary does not stop it."""
        if not self._may(action):
            return False
        context = {**self._context, **{name.replace("_", ":", 1): value for name, value in more.items()}}
        own = [statement for policy in self.principal.policies for statement in policy.statements]
        return self._decides(own, action, resource, context) and self._is_within(action, resource, context)

    def own_powers(self) -> Iterator[str]:
        """Why it is an administrator by itself."""
        yield from self._by_name()
        if self.allows("iam:Anything", self._thing("any")):
            everything = self.allows("any:Anything", "arn:aws:any:::any")
            what = "every action" if everything else "every action of IAM"
            yield f"{what} by {self._sources()}"
            return
        if not self._is_capped() or self._may_lift():
            yield from self._self_grants()
        yield from self._new_principals()

    def ways_to(self, targets: Sequence[Principal]) -> Iterator[str]:
        """How it comes to the rights of one of the targets, which are administrators."""
        who = self.principal
        is_idle = not any(self._may(action) for action in _REACHES)
        for target in targets:
            if target.arn == who.arn or (is_idle and ("AWS", who.arn) not in _trusted(target)):
                continue
            if target.kind == "user":
                for action in ("iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"):
                    if self.allows(action, target.arn):
                        yield f"{action} for {target.name}"
            elif target.kind == "group":
                if who.kind == "user" and not self._is_capped() and self.allows("iam:AddUserToGroup", target.arn):
                    yield f"iam:AddUserToGroup of {target.name}"
            else:
                yield from self._ways_to_role(target)

    def _ways_to_role(self, role: Principal) -> Iterator[str]:
        if self._may_assume(role):
            yield f"sts:AssumeRole of {role.name}"
        elif self.allows("iam:UpdateAssumeRolePolicy", role.arn) and not self._is_capped():
            yield f"iam:UpdateAssumeRolePolicy of {role.name}"
        if not self._may("iam:PassRole"):
            return
        for service, ways in _LAUNCHES.items():
            if not self._trusts_service(role, service):
                continue
            if not self.allows("iam:PassRole", role.arn, iam_passedtoservice=service):
                continue
            for actions in ways:
                if all(self._may_somewhere(action) for action in actions):
                    yield f"iam:PassRole of {role.name} with {actions[0]}"

    # Ways to everything

    def _by_name(self) -> Iterator[str]:
        for policy in self.principal.policies:
            if policy.name in self.named.policies or policy.arn in self.named.policies:
                yield f"the policy {policy.name}"
        names = (self.principal.name,) if self.principal.kind == "group" else self.principal.groups
        for name in names:
            if name in self.named.groups:
                yield f"the group {name}"

    def _self_grants(self) -> Iterator[str]:
        who = self.principal
        kind = who.kind.capitalize()
        for action in (f"iam:Put{kind}Policy", f"iam:Attach{kind}Policy"):
            if self.allows(action, who.arn):
                yield f"{action} on itself"
        for action in ("iam:PutGroupPolicy", "iam:AttachGroupPolicy"):
            for arn in who.group_arns:
                if self.allows(action, arn):
                    yield f"{action} on its group {arn.rpartition('/')[2]}"
        for policy in who.policies:
            is_ours = policy.arn.split(":")[4:5] == [self.directory.account_id]
            if is_ours and self.allows("iam:CreatePolicyVersion", policy.arn):
                yield f"iam:CreatePolicyVersion of {policy.name}"

    def _new_principals(self) -> Iterator[str]:
        ways = (
            ("user", "iam:CreateUser", ("iam:AttachUserPolicy", "iam:PutUserPolicy")),
            ("role", "iam:CreateRole", ("iam:AttachRolePolicy", "iam:PutRolePolicy")),
        )
        for kind, create, grants in ways:
            for arn in self._examples(create, kind):
                grant = next((action for action in grants if self.allows(action, arn)), "")
                if grant and self.allows(create, arn) and self._may_use(kind, arn):
                    yield f"{create} with {grant}"
                    break

    def _may_use(self, kind: str, arn: str) -> bool:
        """Whether it comes into a new user or role; a new role trusts whom its maker names, but for a boundary."""
        if kind == "user":
            return any(self.allows(action, arn) for action in ("iam:CreateAccessKey", "iam:CreateLoginProfile"))
        return not self._is_capped() or self.allows("sts:AssumeRole", arn)

    # What IAM would say

    def _decides(self, statements: Iterable[Statement], action: str, resource: str, context: Context) -> bool:
        is_allowed = False
        for statement in statements:
            if not statement.speaks_of(action) or not statement.covers(resource, self._variables):
                continue
            if statement.applies(context):
                if not statement.is_allow:
                    return False
                is_allowed = True
        return is_allowed

    def _is_within(self, action: str, resource: str, context: Context) -> bool:
        boundary = self.principal.boundary
        if boundary is None or boundary.problem:
            return True
        return self._decides(boundary.statements, action, resource, context)

    def _may(self, action: str) -> bool:
        """Whether any Allow speaks of the action; cheap, and asked first."""
        if action not in self._known:
            self._known[action] = any(
                statement.is_allow and statement.speaks_of(action)
                for policy in self.principal.policies
                for statement in policy.statements
            )
        return self._known[action]

    def _may_somewhere(self, action: str) -> bool:
        return any(self.allows(action, arn) for arn in self._examples(action, "any"))

    def _examples(self, action: str, kind: str) -> Iterator[str]:
        """One resource for each pattern of an Allow that speaks of the action."""
        for policy in self.principal.policies:
            for statement in policy.statements:
                if not statement.is_allow or not statement.speaks_of(action):
                    continue
                if statement.not_resources or "*" in statement.resources:
                    yield self._thing(kind)
                for pattern in () if statement.not_resources else statement.resources:
                    if pattern.strip("*"):
                        yield pattern.replace("*", "x").replace("?", "x")

    def _thing(self, kind: str) -> str:
        return f"arn:{self.directory.partition}:iam::{self.directory.account_id}:{kind}/x"

    def _is_capped(self) -> bool:
        """Whether a boundary keeps it from everything, whatever its policies say."""
        return not self._is_within("iam:Anything", self._thing("any"), self._context)

    def _may_lift(self) -> bool:
        who = self.principal
        kind = who.kind.capitalize()
        actions = (f"iam:Delete{kind}PermissionsBoundary", f"iam:Put{kind}PermissionsBoundary")
        if any(self.allows(action, who.arn) for action in actions):
            return True
        boundary = who.boundary
        return boundary is not None and self.allows("iam:CreatePolicyVersion", boundary.arn)

    def _sources(self) -> str:
        """The policies that give all of IAM each by itself; all of them where only together."""
        names = [
            policy.name
            for policy in self.principal.policies
            if any(each.is_allow and each.speaks_of("iam:Anything") for each in policy.statements)
        ]
        return ", ".join(dict.fromkeys(names))

    def _may_assume(self, role: Principal) -> bool:
        """By a trust that names it, or one that names its account and its own right to sts:AssumeRole."""
        who = self.principal
        if role.trust is None:
            return False
        root = f"arn:{self.directory.partition}:iam::{self.directory.account_id}:root"
        # A session of a role says nothing of the factor with which it was begun.
        context = {**self._context, **_FACTOR[Session.KEY]} if who.kind == "role" else self._context
        by_name, by_account, is_denied = False, False, False
        for statement in role.trust.statements:
            if not statement.speaks_of("sts:AssumeRole") or not statement.applies(context):
                continue
            if statement.is_allow:
                listed = {name for _, name in statement.principals}
                by_name |= who.arn in listed and not statement.not_principals
                by_account |= _names(statement, (root, self.directory.account_id))
            else:
                is_denied |= _names(statement, (who.arn, root, self.directory.account_id))
        if is_denied or not (by_name or by_account):
            return False
        if self.allows("sts:AssumeRole", role.arn):
            return True
        return by_name and not self._is_denied("sts:AssumeRole", role.arn)

    def _is_denied(self, action: str, resource: str) -> bool:
        boundary = self.principal.boundary
        policies = (*self.principal.policies, *((boundary,) if boundary is not None else ()))
        return any(
            not statement.is_allow
            and statement.speaks_of(action)
            and statement.covers(resource, self._variables)
            and statement.applies(self._context)
            for policy in policies
            for statement in policy.statements
        )

    def _trusts_service(self, role: Principal, service: str) -> bool:
        statements = role.trust.statements if role.trust is not None else ()
        return any(
            each.is_allow and each.speaks_of("sts:AssumeRole") and ("Service", service) in each.principals
            for each in statements
        )
