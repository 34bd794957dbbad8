"""What AWS answers instead of an answer, as errors of ours.

Shapes differ between services and their emulators, so the HTTP status decides where a code says nothing:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_actions-resources-contextkeys.html for the actions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quub_audit.errors import Absent, Denied, Malformed, Reportable, Throttled, Unreachable, Unsupported

_PREFIXES = {
    "accessanalyzer": "access-analyzer",
    "amp": "aps",
    "apigatewayv2": "apigateway",
    "cloudcontrol": "cloudformation",
    "docdb": "rds",
    "efs": "elasticfilesystem",
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "emr": "elasticmapreduce",
    "lexv2-models": "lex",
    "neptune": "rds",
    "opensearch": "es",
    "resourcegroupstaggingapi": "tag",
    "s3control": "s3",
    "sesv2": "ses",
    "sso-admin": "sso",
    "stepfunctions": "states",
}
"""How IAM calls a service, where boto3 calls it otherwise."""

_ACTIONS = {
    "accessanalyzer.ListFindingsV2": "access-analyzer:ListFindings",
    "s3.GetBucketAccelerateConfiguration": "s3:GetAccelerateConfiguration",
    "s3.GetBucketCors": "s3:GetBucketCORS",
    "s3.GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3.GetBucketInventoryConfiguration": "s3:GetInventoryConfiguration",
    "s3.GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3.GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3.GetBucketReplication": "s3:GetReplicationConfiguration",
    "s3.GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3.GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3.HeadBucket": "s3:ListBucket",
    "s3.HeadObject": "s3:GetObject",
    "s3.ListBuckets": "s3:ListAllMyBuckets",
    "s3.ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3.ListObjectVersions": "s3:ListBucketVersions",
    "s3.ListObjects": "s3:ListBucket",
    "s3.ListObjectsV2": "s3:ListBucket",
    "s3control.GetPublicAccessBlock": "s3:GetAccountPublicAccessBlock",
}
"""What IAM calls an operation, where it calls it otherwise."""

_THROTTLED = re.compile(
    r"throttl|slowdown|toomanyrequests|requestlimitexceeded|bandwidthlimitexceeded|limitexceededexception$"
    r"|priorrequestnotcomplete|ec2throttled|transactioninprogress|provisionedthroughputexceeded"
)
_NOT_OURS = re.compile(
    r"^(invalidclienttokenid|unrecognizedclientexception|authfailure|invalidaccesskeyid|signaturedoesnotmatch"
    r"|invalidsignatureexception|incompletesignature|incompletesignatureexception|missingauthenticationtoken"
    r"|missingauthenticationtokenexception|invalidtoken)$"
)
_EXPIRED = re.compile(r"^(expiredtoken|expiredtokenexception|requestexpired|tokenrefreshrequired)$")
_DENIED = re.compile(
    r"accessdenied|unauthorizedoperation|authorizationerror|notauthorized|unauthorizedaccess|^unauthorized|forbidden"
)
_UNSUPPORTED = re.compile(
    r"unknownoperation|invalidaction|unsupportedoperation|notimplemented"
    r"|operationnotsupported|methodnotallowed|unknownaction|operationnotpermitted|unrecognizedoperation"
)
_NOT_SUBSCRIBED = re.compile(r"^(optinrequired|subscriptionrequired(exception)?)$")
"""The account does not use the service, so nothing of it is there."""

_ABSENT = re.compile(
    r"^nosuch(?!version)|notfound|doesnotexist|nonexist|^404$|nosuchentity|notregisteredexception$|^unknownresource"
)
_ABSENT_SAYING = re.compile(r"does not exist|unable to describe task definition|not found|marked for deletion", re.I)
_ABSENT_IF_SAID = re.compile(r"^(validationerror|clientexception|invalidrequestexception|badrequestexception)$")
_WHAT_WAS_MISSING = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z0-9]+)(?: on resource:? (\S+))?")


class Retryable(Exception):
    """Another try may help; `error` is what to raise when none does."""

    def __init__(self, error: Reportable) -> None:
        super().__init__(error.message)
        self.error = error


class Wordless(Exception):
    """An error answer in which a parser would find nothing to read."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.answer = {"ResponseMetadata": {"HTTPStatusCode": status}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call, for the words of its errors."""

    subject: str
    """`prod/eu-central-1`."""
    question: str
    """`rds.DescribeDBInstances`."""
    about: str = ""
    """The resource it names, when it names one."""
    caller: str = ""
    """`role/audit`; empty while the identity is not known."""
    is_elsewhere: bool = False
    """Whether these credentials were accepted before, in another region."""

    @property
    def what(self) -> str:
        """`rds.DescribeDBInstances of orders-primary`."""
        return f"{self.question} of {self.about}" if self.about else self.question


def action_of(question: str) -> str:
    """The IAM action that `service.Operation` needs."""
    service, _, operation = question.partition(".")
    if service in ("apigateway", "apigatewayv2"):
        return "apigateway:GET"
    return _ACTIONS.get(question) or f"{_PREFIXES.get(service, service)}:{operation}"


def error_of(asked: Asked, answer: Mapping[str, Any]) -> Reportable:
    """What an error answer (botocore's parsed one) means; Absent where the API says that a thing does not exist."""
    told = answer.get("Error") or {}
    code = one_line(told.get("Code") or "")
    said = one_line(told.get("Message") or "")
    status = status_of(answer)
    key = code.lower().rpartition(".")[2] if code.lower().endswith(".notfound") else code.lower()
    if status == 429 or _THROTTLED.search(key):
        return Throttled(f"{asked.subject}: {asked.what} was put off by AWS ({code or status})")
    if _EXPIRED.match(key):
        return Denied(
            f"{asked.subject}: the credentials have expired, so {asked.what} was not answered",
            next_step="renew the credentials (aws sso login, a new session token) and run again",
        )
    if "skewed" in key or "Signature expired" in said or "Signature not yet current" in said:
        return Denied(
            f"{asked.subject}: {asked.what} was refused because the clock of this machine is wrong: {said}",
            next_step="set the clock of the machine that runs the audit",
        )
    if _NOT_OURS.match(key):
        return _not_accepted(asked, code)
    if _NOT_SUBSCRIBED.match(key):
        return Absent(
            f"{asked.subject}: {asked.what} found nothing: the account has no subscription to the service"
            f"{_quoted(code, said)}",
            next_step="enable the service or the region, or take the region out of environments.yaml",
        )
    if _UNSUPPORTED.search(key):
        return Unsupported(f"{asked.subject}: {asked.what} is not supported here{_quoted(code, said)}")
    if _DENIED.search(key) or status in (401, 403):
        return _denied(asked, said)
    if _ABSENT.search(key) or (_ABSENT_IF_SAID.match(key) and _ABSENT_SAYING.search(said)):
        return Absent(f"{asked.subject}: {asked.what} found nothing{_quoted(code, said)}")
    if status >= 500:
        return Unreachable(f"{asked.subject}: {asked.what} was answered with {status}{_quoted(code, said)}")
    return Unsupported(f"{asked.subject}: {asked.what} was answered with {status or 'an error'}{_quoted(code, said)}")


def status_of(answer: Mapping[str, Any]) -> int:
    """The HTTP status of an error answer; 0 where it is not told."""
    status = (answer.get("ResponseMetadata") or {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else 0


PASSING = frozenset({500, 502, 503, 504})
"""Statuses of a server that may answer a moment later."""


def may_be_retried(error: Reportable, status: int) -> bool:
    """Whether the same question may be answered a moment later."""
    return isinstance(error, Throttled) or (isinstance(error, Unreachable) and status in PASSING)


def check_answer(asked_subject: str, model: Any, status: int, body: bytes) -> None:
    """Whether a body is what the service speaks, before botocore parses it.

    Its parsers make an empty answer of HTML and of JSON that broke off; nobody must take that for "there is none".

    Raises Unsupported for an HTML page and a redirect, Malformed for what cannot be read, Wordless; Retryable for the
    page of a server that is busy: the fronts of AWS, and proxies, have no other words for it.
    """
    question = f"{model.service_model.service_name}.{model.name}"
    start = body[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        said = f"{asked_subject}: {question} was answered with {status} and an HTML page, which is no answer of AWS"
        next_step = "look what stands at the endpoint; an emulator may not know this operation"
        if status in PASSING:
            raise Retryable(Unreachable(said, next_step=next_step))
        raise Unsupported(said, next_step=next_step)
    if 300 <= status < 400 and model.service_model.service_name != "s3":  # botocore follows S3 to a bucket's region
        raise Unsupported(
            f"{asked_subject}: {question} was answered with {status}, a redirect, which is not followed",
            next_step="look what stands at the endpoint",
        )
    protocol = model.service_model.resolved_protocol
    if status >= 300:
        if protocol in ("query", "ec2") and not body.lstrip().startswith(b"<"):
            raise Wordless(status)
        return
    is_sound = True
    if protocol in ("json", "rest-json"):
        is_sound = _is_json_object(body) if body.strip() else not _wants_body(model, protocol)
    elif protocol in ("query", "ec2"):
        is_sound = re.search(rb"<(\w+:)?" + model.name.encode() + rb"Response[\s/>]", body[:2048]) is not None
    if not is_sound:
        raise Malformed(f"{asked_subject}: the answer to {question} is not what the service speaks, or broke off")


def one_line(text: object) -> str:
    """Something that a server sent, fit for one line."""
    joined = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "?" for c in joined)[:300]


def short_arn(arn: str) -> str:
    """`role/audit` of `arn:aws:sts::123456789012:assumed-role/audit/session`, `user/ci` of a user's."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind == "assumed-role":
        return f"role/{name.partition('/')[0]}"
    return f"{kind}/{name}" if name else kind


def _not_accepted(asked: Asked, code: str) -> Reportable:
    if asked.is_elsewhere:
        return Unsupported(
            f"{asked.subject}: the region does not accept credentials that are valid elsewhere ({code}); "
            "it may not be enabled for the account",
            next_step="enable the region, or take it out of environments.yaml",
        )
    return Denied(
        f"{asked.subject}: the credentials were not accepted ({code})",
        next_step="give the audit valid credentials: the access key is unknown, or its secret is wrong",
    )


def _denied(asked: Asked, said: str) -> Denied:
    found = _WHAT_WAS_MISSING.search(said)
    action = found[1] if found else action_of(asked.question)
    on = f" on {found[2].rstrip('.,')}" if found and found[2] and found[2] != "*" else ""
    to = f" to {asked.caller}" if asked.caller else ""
    why = next((f" by {kind}" for kind in _BARRIERS if kind in said), "")
    return Denied(
        f"{asked.subject}: {asked.what} was denied{to}{why}; grant {action}{on}",
        permission=action,
        next_step=f"grant {action}{on}{to}",
    )


_BARRIERS = (
    "a service control policy",
    "a resource control policy",
    "a permissions boundary",
    "a session policy",
    "a VPC endpoint policy",
)


def _quoted(code: str, said: str) -> str:
    parts = [part for part in (code, said) if part]
    return f" ({': '.join(parts)})" if parts else ""


def _is_json_object(body: bytes) -> bool:
    import json

    try:
        return isinstance(json.loads(body), dict | list)
    except (ValueError, RecursionError):
        return False


def _wants_body(model: Any, protocol: str) -> bool:
    """Whether an answer without a body lacks something: what is sent in headers alone needs none."""
    shape = model.output_shape
    if shape is None:
        return False
    if protocol == "json":
        return bool(shape.members)
    return any(not member.serialization.get("location") for member in shape.members.values())
