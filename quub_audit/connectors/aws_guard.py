"""What may be asked of AWS: reads, and of those none that hands out a secret, a credential or somebody's data.

A guard stands on botocore's events, on the session from which every client is made, and so before every request of
every client. It judges each call by operation and parameters, before anything else looks at them
(`provide-client-params`) and again as they are after every other handler (`before-parameter-build`), and marks what
passed; a request without the mark is refused before it is signed (`request-created`), whichever way it came about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from quub_audit.errors import Refused

READS = ("Get", "List", "Describe", "Head", "BatchGet", "BatchDescribe")
"""Names of reads begin so."""

OTHER_READS = frozenset(
    {
        "accessanalyzer.CheckAccessNotGranted",
        "accessanalyzer.CheckNoNewAccess",
        "accessanalyzer.CheckNoPublicAccess",
        "accessanalyzer.ValidatePolicy",
        "cloudtrail.LookupEvents",
        "cognito-idp.AdminGetUser",
        "iam.GenerateCredentialReport",
        "iam.SimulateCustomPolicy",
        "iam.SimulatePrincipalPolicy",
    }
)
"""Reads that are called otherwise; each changes nothing that the account's owner would see."""

_HANDS_OUT = re.compile(
    r"^Get\w*(Credentials?|Tokens?|Password|PasswordData|EmbedUrl|DownloadUrl|UploadUrl|Presigned\w*|PreSigned\w*|ForImport"
    r"|DownloadLink|LogUrl|ReportUrl|ResponseUrl|AccessKeys)(For\w+|From\w+|With\w+|Value)?$"
    r"|SecretValue|UserPassword|AccessToken|AuthToken|ClientSecrets?$",
    re.IGNORECASE,
)
"""Names of what mints or hands out a secret, in any service."""

HANDS_OUT = frozenset(
    {
        "appsync.ListApiKeys",
        "artifact.GetReport",
        "artifact.GetTermForReport",
        "athena.GetSessionEndpoint",
        "bedrock-agent-runtime.GetDocumentContent",
        "bedrock-agentcore.GetResourceApiKey",
        "cloudwatchomni.GetSpaceDataAccess",
        "codepipeline.GetJobDetails",
        "codepipeline.GetThirdPartyJobDetails",
        "cognito-identity.GetId",
        "cognito-idp.GetUserAttributeVerificationCode",
        "connect.GetAttachedFile",
        "connect.GetPromptFile",
        "datazone.GetConnection",
        "datazone.ListConnections",
        "ec2.GetConsoleOutput",
        "ec2.GetConsoleScreenshot",
        "ec2.GetVpnConnectionDeviceSampleConfiguration",
        "ecr.GetDownloadUrlForLayer",
        "emr.GetSessionEndpoint",
        "emr-serverless.GetSessionEndpoint",
        "evs.GetDepotUrl",
        "gamelift.GetComputeAccess",
        "gamelift.GetInstanceAccess",
        "glue.GetSessionEndpoint",
        "greengrassv2.GetComponentVersionArtifact",
        "kinesis-video-signaling.GetIceServerConfig",
        "lightsail.GetInstanceAccessDetails",
        "marketplace-reporting.GetBuyerDashboard",
        "qbusiness.GetDocumentContent",
        "s3control.GetDataAccess",
        "ssm.GetDeployablePatchSnapshotForInstance",
        "sso-admin.GetApplicationGrant",
        "sso-admin.ListApplicationGrants",
        "stepfunctions.GetActivityTask",
        "taxsettings.GetTaxRegistrationDocument",
        "wafv2.ListAPIKeys",
        "wickr.GetOidcInfo",
        "wickr.GetOpentdfConfig",
    }
)
"""More of those, whose names do not tell; some also change something (an identity, a code that is sent, a task)."""

CONTENTS = frozenset(
    {
        "appconfig.GetConfiguration",
        "appconfigdata.GetLatestConfiguration",
        "athena.GetQueryResults",
        "codecommit.GetBlob",
        "codecommit.GetFile",
        "dynamodb.BatchGetItem",
        "dynamodb.GetItem",
        "dynamodbstreams.GetRecords",
        "ebs.GetSnapshotBlock",
        "glacier.GetJobOutput",
        "kinesis.GetRecords",
        "logs.FilterLogEvents",
        "logs.GetLogEvents",
        "logs.GetLogObject",
        "logs.GetLogRecord",
        "logs.GetQueryResults",
        "mediastore-data.GetObject",
        "redshift-data.GetStatementResult",
        "redshift-data.GetStatementResultV2",
        "s3.GetObject",
        "s3.GetObjectTorrent",
        "timestream-query.Query",
    }
)
"""What gives the contents of a store: customers' data, not how it is kept."""

REVEALING = ("WithDecryption", "includeValue", "includeValues", "unmask")
"""Parameters that turn a harmless read into one that gives secrets in clear."""

VALUE_READS = frozenset({"secretsmanager.GetSecretValue", "ssm.GetParameter"})
"""What reads the value of a secret, where the account allows it, to seal it at once."""

LOG_READS = frozenset({"logs.FilterLogEvents"})
"""What reads events of logs, for the connector that looks for personal data in them and keeps counts alone."""

CREDENTIAL_CALLS = frozenset(
    {
        "signin.CreateOAuth2Token",
        "sso.GetRoleCredentials",
        "sso-oidc.CreateToken",
        "sts.AssumeRole",
        "sts.AssumeRoleWithSAML",
        "sts.AssumeRoleWithWebIdentity",
    }
)
"""What turns a profile, a single sign-on or a role into credentials; asked by the session that finds them, alone."""

Judge = Callable[[str, Mapping[str, Any]], str]
"""Why `service.Operation` with these parameters is refused; empty where it may be asked."""

_MARK = "quub_audit_passed"


def judge_read(question: str, parameters: Mapping[str, Any]) -> str:
    """The judge of what checks ask."""
    operation = question.partition(".")[2]
    if question in HANDS_OUT or _HANDS_OUT.search(operation):
        return "it hands out secrets"
    if question in CONTENTS:
        return "it gives the contents of a store"
    if question not in OTHER_READS and not operation.startswith(READS):
        return "it is not a read"
    revealing = [name for name in REVEALING if parameters.get(name)]
    if revealing:
        return f"with {revealing[0]} it gives secrets in clear"
    return ""


def judge_value_read(question: str, parameters: Mapping[str, Any]) -> str:
    """The judge of the session that reads the values of declared secrets."""
    return "" if question in VALUE_READS else "it is no read of a declared secret"


def judge_log_read(question: str, parameters: Mapping[str, Any]) -> str:
    """The judge of the session that samples logs; masked parts stay masked."""
    if question not in LOG_READS:
        return "it is no read of logs"
    return "with unmask it gives secrets in clear" if parameters.get("unmask") else ""


def judge_credential_call(question: str, parameters: Mapping[str, Any]) -> str:
    """The judge of the session that finds credentials."""
    return "" if question in CREDENTIAL_CALLS else "it is no way to credentials"


def stand_guard(events: Any, judge: Judge) -> None:
    """Let `judge` decide on every call of every client that is made with `events` (a botocore event emitter).

    What is refused raises Refused before anything is built or sent.
    """

    def judge_call(params: Mapping[str, Any], model: Any, **_: Any) -> None:
        question = f"{model.service_model.service_name}.{model.name}"
        reason = judge(question, params)
        if not reason and model.has_event_stream_output:
            reason = "its answer is a stream"
        if not reason and model.http.get("method", "POST") not in ("GET", "HEAD", "POST"):
            reason = "it is not a read"
        if reason:
            raise _refusal(question, reason)

    def judge_finished_call(params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        judge_call(params, model)
        context[_MARK] = model.name

    def judge_request(request: Any, operation_name: str, **_: Any) -> None:
        if request.context.get(_MARK) != operation_name:
            raise _refusal(operation_name, "it did not pass the guard")

    events.register_first("provide-client-params", judge_call, unique_id="quub-audit-call")
    # The least specific handlers run last, so that no other can change the parameters afterwards.
    events.register_last("before-parameter-build", judge_finished_call, unique_id="quub-audit-finished-call")
    events.register_first("request-created", judge_request, unique_id="quub-audit-request")


def _refusal(question: str, reason: str) -> Refused:
    return Refused(
        f"{question}: not asked, because {reason}",
        next_step="let the check ask a read that gives no secret",
    )
