"""Answers as facts: times in UTC, streams read, and what is secret in them a fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from quub_audit.facts.seal import Fingerprint, Sealer, is_ordinary

_CONTAINERS = (
    "environment[].value",
    "command[]",
    "entryPoint[]",
    "logConfiguration.options{secret}",
)
"""A secret passed to a program stands in its variables, its command line, or the options of a log router."""

_LAMBDA = ("Environment.Variables{}",)
_CODEBUILD = ("environment.environmentVariables[PLAINTEXT].value",)
_APP_RUNNER = (
    "ImageRepository.ImageConfiguration.RuntimeEnvironmentVariables{}",
    "CodeRepository.CodeConfiguration.CodeConfigurationValues.RuntimeEnvironmentVariables{}",
)

_PLACES: Mapping[str, tuple[str, ...]] = {
    "amplify.GetApp": ("app.environmentVariables{}",),
    "amplify.GetBranch": ("branch.environmentVariables{}",),
    "amplify.ListApps": ("apps[].environmentVariables{}",),
    "amplify.ListBranches": ("branches[].environmentVariables{}",),
    "apigateway.GetApiKey": ("value",),
    "apigateway.GetApiKeys": ("items[].value",),
    "apigateway.GetStage": ("variables{}",),
    "apigateway.GetStages": ("item[].variables{}",),
    "apigatewayv2.GetStage": ("StageVariables{}",),
    "apigatewayv2.GetStages": ("Items[].StageVariables{}",),
    "apprunner.DescribeService": tuple(f"Service.SourceConfiguration.{part}" for part in _APP_RUNNER),
    "batch.DescribeJobDefinitions": tuple(f"jobDefinitions[].containerProperties.{part}" for part in _CONTAINERS),
    "batch.DescribeJobs": tuple(f"jobs[].container.{part}" for part in _CONTAINERS),
    "codebuild.BatchGetBuilds": tuple(f"builds[].{part}" for part in _CODEBUILD),
    "codebuild.BatchGetProjects": tuple(f"projects[].{part}" for part in _CODEBUILD),
    "cognito-idp.DescribeIdentityProvider": ("IdentityProvider.ProviderDetails{secret}",),
    "ec2.DescribeInstanceAttribute": ("UserData.Value",),
    "ecs.DescribeDaemonTaskDefinition": tuple(
        f"daemonTaskDefinition.containerDefinitions[].{part}" for part in _CONTAINERS
    ),
    "ecs.DescribeTaskDefinition": tuple(f"taskDefinition.containerDefinitions[].{part}" for part in _CONTAINERS),
    "ecs.DescribeTasks": tuple(f"tasks[].overrides.containerOverrides[].{part}" for part in _CONTAINERS),
    "elasticbeanstalk.DescribeConfigurationSettings": ("ConfigurationSettings[].OptionSettings[].Value",),
    "events.ListTargetsByRule": ("Targets[].Input",),
    "glue.GetConnection": ("Connection.ConnectionProperties{secret}",),
    "glue.GetConnections": ("ConnectionList[].ConnectionProperties{secret}",),
    "glue.GetJob": ("Job.DefaultArguments{secret}",),
    "glue.GetJobs": ("Jobs[].DefaultArguments{secret}",),
    "lambda.GetFunction": (*(f"Configuration.{part}" for part in _LAMBDA), "Code.Location"),
    "lambda.GetFunctionConfiguration": _LAMBDA,
    "lambda.ListFunctions": tuple(f"Functions[].{part}" for part in _LAMBDA),
    "lambda.ListVersionsByFunction": tuple(f"Versions[].{part}" for part in _LAMBDA),
    "sagemaker.DescribeModel": ("PrimaryContainer.Environment{}", "Containers[].Environment{}"),
    "ssm.GetParameter": ("Parameter.Value",),
    "ssm.GetParameterHistory": ("Parameters[].Value",),
    "ssm.GetParameters": ("Parameters[].Value",),
    "ssm.GetParametersByPath": ("Parameters[].Value",),
}
"""Where secrets stand. `[]` each of a list, `{}` each value of a map, `{secret}` those whose name says secret,
`[PLAINTEXT]` those of a list that are not names of secrets."""

_PERSONAL: Mapping[str, tuple[str, ...]] = {
    "cognito-idp.AdminGetUser": ("UserAttributes.Value",),
    "cognito-idp.ListUsers": ("Users.Attributes.Value",),
    "cognito-idp.ListUsersInGroup": ("Users.Attributes.Value",),
}
"""Where addresses, names and numbers of people stand: of no use to a check, and not to be kept.

They become fingerprints, and are not struck from outputs: an administrator is named by his user name there, which may
be his address.
"""

_ALWAYS = frozenset(
    {
        "accountpassword",
        "adminpassword",
        "apikey",
        "authtoken",
        "basicauthcredentials",
        "clientsecret",
        "clientsecretvalue",
        "customergatewayconfiguration",
        "dbpassword",
        "fsxadminpassword",
        "masteruserpassword",
        "password",
        "precopassword",
        "presharedkey",
        "presignedurl",
        "saslpassword",
        "secretaccesskey",
        "secretstring",
        "sessiontoken",
        "userdata",
    }
)
"""Members that are secret in whatever answer they stand, lower case."""

_SAYS_SECRET = ("apikey", "api_key", "api-key", "password", "passwd", "secret", "token", "credential")

_MAY_SAY_SECRET = (*_SAYS_SECRET, "auth", "dsn", "key", "pass", "pwd", "salt")
"""Under such a name even an ordinary word may be somebody's password."""


def as_fact(question: str, answer: Mapping[str, Any], sealer: Sealer) -> dict[str, Any]:
    """`answer` without ResponseMetadata, made of JSON values, aware UTC times, bytes and fingerprints."""
    fact = {name: _plain(name, value, sealer) for name, value in answer.items() if name != "ResponseMetadata"}
    for place in _PLACES.get(question, ()):
        _change(fact, place.split("."), sealer)
    for place in _PERSONAL.get(question, ()):
        _hide(fact, place.split("."), sealer)
    return fact


def _plain(name: str, value: Any, sealer: Sealer) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(str(key), part, sealer) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain("", part, sealer) for part in value]
    if isinstance(value, str):
        return sealer.seal(value) if name.lower() in _ALWAYS else str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if hasattr(value, "read"):
        return value.read()
    return value


def _change(value: Any, steps: list[str], sealer: Sealer) -> None:
    """Seal what `steps` lead to, in place."""
    if not isinstance(value, dict):
        return
    step, rest = steps[0], steps[1:]
    name, bracket, _ = step.partition("[")
    name = name.partition("{")[0]
    inner = value.get(name)
    if "{" in step:
        only = _says_secret if step.endswith("{secret}") else _any
        if isinstance(inner, dict):
            for key, part in inner.items():
                if only(key):
                    inner[key] = _sealed(part, sealer, name=key)
    elif not bracket:
        if rest:
            _change(inner, rest, sealer)
        elif inner is not None:
            value[name] = _sealed(inner, sealer, name=_variable_of(value) if name == "value" else None)
    elif isinstance(inner, list) and not rest:
        value[name] = [_sealed(part, sealer) for part in inner]
    elif isinstance(inner, list):
        for part in inner:
            if "[PLAINTEXT]" not in step or part.get("type", "PLAINTEXT") == "PLAINTEXT":
                _change(part, rest, sealer)


def _hide(value: Any, steps: list[str], sealer: Sealer) -> None:
    """Seal what `steps` lead to, through lists, in place."""
    if isinstance(value, list):
        for part in value:
            _hide(part, steps, sealer)
    elif isinstance(value, dict) and len(steps) > 1:
        _hide(value.get(steps[0]), steps[1:], sealer)
    elif isinstance(value, dict) and isinstance(value.get(steps[0]), str):
        value[steps[0]] = sealer.seal(value[steps[0]], is_struck=False)


def _sealed(value: Any, sealer: Sealer, *, name: Any = None) -> Any:
    """Ordinary words in a variable whose `name` does not say secret stay in outputs.

    Else `NODE_ENV=production` would strike the word from every report.
    """
    if isinstance(value, Fingerprint) or not isinstance(value, str):
        return value
    is_harmless = (
        isinstance(name, str) and not any(word in name.lower() for word in _MAY_SAY_SECRET) and is_ordinary(value)
    )
    return sealer.seal(value, is_struck=not is_harmless)


def _variable_of(holder: Mapping[str, Any]) -> Any:
    """The name of a variable of a container or build; None for anything else that has a value, such as an API key."""
    return holder.get("name") if set(holder) <= {"name", "value", "type"} else None


def _any(name: str) -> bool:
    return True


def _says_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SAYS_SECRET)
