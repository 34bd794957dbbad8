"""The session policy that narrows an assumed role to what this run needs.

AWS takes at most 2,048 characters (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html). A short
list of actions is written out. A longer one is shortened service by service into `Describe*`, `Get*`, `List*`, with
an explicit denial of every action that such a pattern would open and the guard refuses. Where even that is too long,
AWS's own policy `ReadOnlyAccess` takes the place of the patterns, under the same denials.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

LIMIT = 2048
"""Characters of the inline policy and the names of managed ones together."""

_ACTION = re.compile(r"^[a-z][a-z0-9-]*:[A-Z][A-Za-z0-9]*$")
_VERB = re.compile(r"^(Describe|Get|List|BatchGet|Lookup|Simulate)[A-Z]")

_SECRETS = (
    "cognito-identity:Get*",
    "ec2:GetConsole*",
    "ec2:GetPasswordData",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "lightsail:GetInstanceAccessDetails",
    "redshift:GetClusterCredentials*",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "secretsmanager:BatchGetSecretValue",
    "secretsmanager:GetSecretValue",
    "ssm:GetParameter",
    "ssm:GetParameterHistory",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
    "sqs:ReceiveMessage",
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "kinesis:GetRecords",
    "appconfig:Get*Configuration",
    "sso:GetRoleCredentials",
    "states:GetActivityTask",
    "sts:Get*Token",
    "logs:Unmask",
)
"""What a pattern would open and the guard refuses."""

VALUE_ACTIONS = ("kms:Decrypt", "secretsmanager:GetSecretValue", "ssm:GetParameter")
"""What reading the values of declared secrets needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """What AssumeRole is given beside the role."""

    document: str
    """Inline policy, JSON."""
    managed: tuple[str, ...] = ()
    """ARNs of managed policies."""


def session_policy(permissions: Iterable[str], *, reads_values: bool, partition: str = "aws") -> SessionPolicy:
    """The narrowest policy that holds `permissions` and fits.

    Names that are no IAM actions are left out, and so is `secretsmanager:GetSecretValue` unless the account
    `reads_values`.
    """
    actions = {name for name in permissions if _ACTION.match(name) and not name.endswith("GetSecretValue")}
    values = VALUE_ACTIONS if reads_values else ()
    allowed = sorted({"sts:GetCallerIdentity", *actions, *values})
    document = _document(allowed, ())
    if len(document) <= LIMIT:
        return SessionPolicy(document=document)
    by_service = defaultdict(list)
    for action in allowed:
        by_service[action.partition(":")[0]].append(action)
    shortened: set[str] = set()
    # Those that save most come first, so that as few services as possible are widened.
    for service in sorted(by_service, key=lambda each: -_saved(by_service[each])):
        shortened.add(service)
        wide = {name for each in shortened for name in _patterns(by_service[each])}
        kept = [name for name in allowed if name.partition(":")[0] not in shortened]
        document = _document(sorted({*kept, *wide}), _denied(wide, allowed))
        if len(document) <= LIMIT:
            return SessionPolicy(document=document)
    others = [name for name in allowed if not _VERB.match(name.partition(":")[2])]
    return SessionPolicy(
        document=_document(sorted({"sts:GetCallerIdentity", *others, *values}), _denied(None, allowed)),
        managed=(f"arn:{partition}:iam::aws:policy/ReadOnlyAccess",),
    )


def _patterns(actions: list[str]) -> set[str]:
    """The actions of one service, those of one verb as one pattern."""
    patterns = set()
    for action in actions:
        service, _, name = action.partition(":")
        verb = _VERB.match(name)
        patterns.add(f"{service}:{verb[1]}*" if verb and action not in VALUE_ACTIONS else action)
    return patterns


def _saved(actions: list[str]) -> int:
    return sum(len(action) + 3 for action in actions) - sum(len(each) + 3 for each in _patterns(actions))


def _denied(wide: set[str] | None, planned: Iterable[str]) -> tuple[str, ...]:
    """Denials that matter beside the patterns `wide`; all of them where everything is wide (None).

    What is `planned` by its name is not denied: an explicit denial would win over it.
    """
    opened = [name.partition("*")[0] for name in wide or ()]
    return tuple(
        secret for secret in _SECRETS if secret not in planned and (wide is None or _is_opened(secret, opened))
    )


def _is_opened(secret: str, prefixes: list[str]) -> bool:
    """Whether a pattern with one of `prefixes` and that of `secret` have names in common."""
    own = secret.partition("*")[0]
    return any(own.startswith(prefix) or prefix.startswith(own) for prefix in prefixes)


def _document(allowed: Iterable[str], denied: tuple[str, ...]) -> str:
    statements = [{"Effect": "Allow", "Action": list(allowed), "Resource": "*"}]
    if denied:
        statements.append({"Effect": "Deny", "Action": list(denied), "Resource": "*"})
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
