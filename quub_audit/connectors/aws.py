"""Amazon Web Services: reads, all pages, each once, by credentials whose account was compared with the declared one.

All that is promised here hangs on the events of the botocore session below each of boto3's.
"""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quub_audit import __version__
from quub_audit.connectors.aws_errors import (
    Asked,
    Retryable,
    Wordless,
    error_of,
    may_be_retried,
    one_line,
    short_arn,
    status_of,
)
from quub_audit.connectors.aws_guard import Judge, judge_log_read, judge_read, judge_value_read
from quub_audit.connectors.aws_models import Models
from quub_audit.connectors.aws_pages import each_page, merge_pages
from quub_audit.connectors.aws_policy import session_policy
from quub_audit.connectors.aws_report import wait_for_report
from quub_audit.connectors.aws_seal import as_fact
from quub_audit.connectors.aws_session import Sessions, no_credentials
from quub_audit.connectors.base import Ledger, Question, Unrecorded, count_attempts, seconds_left
from quub_audit.errors import Absent, Malformed, Refused, Reportable, TimedOut, Unsupported, WrongTarget
from quub_audit.facts.seal import Fingerprint, Sealer
from quub_audit.model.environment import Account, Region, SecretReference

if TYPE_CHECKING:
    import boto3
    from botocore.credentials import Credentials

ATTEMPTS = 5
"""How often a question is sent when AWS asks to slow down or fails for a moment."""

LONGEST_PAUSE_S = 8.0
"""Between two attempts. Seconds."""

_IDENTITY = "sts.GetCallerIdentity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom AWS takes us for."""

    account_id: str
    arn: str
    source: str
    """Where the credentials come from, in words."""


class AwsConnector:
    """Implements `quub_audit.facts.asking.Aws`. Built without I/O; connections are kept until `close`."""

    def __init__(
        self,
        accounts: tuple[Account, ...],
        ledger: Ledger,
        sealer: Sealer,
        *,
        permissions: frozenset[str],
        environ: Mapping[str, str],
    ) -> None:
        self._ledger = ledger
        self._unrecorded = Unrecorded()
        self._sealer = sealer
        self._models = Models()
        self._accesses = {
            account.name: _Access(account, sealer, permissions, environ, self._models) for account in accounts
        }

    def caller(self, account: Account) -> str:
        """The ARN of the caller, once its account has been compared with `account.account_id`.

        Raises WrongTarget when it is another account; a Reportable when the identity cannot be known.
        """
        access = self._access(account.name)

        def find() -> dict[str, str]:
            found = access.identity()
            return {"Account": found.account_id, "Arn": found.arn, "Source": found.source}

        told = self._ledger.ask(Question.about("aws", account.name, _IDENTITY), find)
        found = Identity(account_id=told["Account"], arn=told["Arn"], source=told["Source"])
        problem = _mismatch(access.account, found)
        if problem:
            raise WrongTarget(f"{problem}; {_mend_mismatch(access.account)}")
        return found.arn

    def ask(self, operation: str, *, region: Region, **parameters: Any) -> Mapping[str, Any]:
        """The answer of `service.Operation` (boto3's service name), all pages merged, without ResponseMetadata.

        Times are aware, UTC; bodies are bytes; secret values are `Fingerprint`s. Each page waits at most
        `QUESTION_TIMEOUT_S`, or less where the deadline is nearer.

        Raises Denied (naming the IAM action), Absent, Unreachable, TimedOut, Throttled, Unsupported, Malformed,
        Refused (no read, or the credentials are not those of the declared account).
        """
        answer = self._look(operation, region, parameters)
        if isinstance(answer, str):
            raise Absent(answer)
        return answer

    def find(self, operation: str, *, region: Region, **parameters: Any) -> Mapping[str, Any] | None:
        """As `ask`, but None where the API says by an error code that the thing does not exist."""
        answer = self._look(operation, region, parameters)
        return None if isinstance(answer, str) else answer

    def credential_report(self, *, region: Region) -> tuple[Mapping[str, str], ...]:
        """IAM's credential report, waited for: one row per user, `<root_account>` among them, by column name.

        At most four hours old, as IAM makes them. Raises as `ask`; Denied names both actions that it takes, and
        TimedOut says that the report was not ready within the deadline.
        """
        access = self._access(region.account)

        def wait() -> tuple[Mapping[str, str], ...]:
            return wait_for_report(str(region), lambda operation: access.ask(operation, region, {}))

        return self._ledger.ask(Question.about("aws", str(region), "iam.GetCredentialReport, read"), wait)

    def secret_fingerprints(self, secret: SecretReference) -> Mapping[str, Fingerprint] | None:
        """A fingerprint per field of the secret's JSON; under an empty key when it is not a JSON object.

        A field that is no text is fingerprinted as its JSON. None unless the account's `read_secret_values` is set.
        Raises Absent when there is no such secret or it has no value.
        """
        region = self._region_of(secret)
        if not self._access(region.account).account.read_secret_values:
            return None

        def seal() -> Mapping[str, Fingerprint]:
            return {name: self._sealer.seal(value) for name, value in self._values(secret, region).items()}

        name = f"fingerprints of {secret.store}:{secret.name}"
        return self._ledger.ask(Question.about("aws", str(region), name), seal)

    def secret_values(self, secret: SecretReference) -> Mapping[str, str]:
        """The fields of the current value, for a connector that must present them; kept in no record.

        Every value is struck from outputs first. Raises Refused unless the account's `read_secret_values` is set.
        """
        region = self._region_of(secret)
        account = self._access(region.account).account
        if not account.read_secret_values:
            raise Refused(
                f"{account.name}: the value of {secret} was not read, because read_secret_values is not set",
                next_step=f"set aws.{account.name}.read_secret_values to true and grant the right to read the secret",
            )
        values = self._values(secret, region)
        for value in values.values():
            self._sealer.seal(value)
        return values

    def log_pages(self, region: Region, **parameters: Any) -> Iterator[Mapping[str, Any]]:
        """Pages of `logs.FilterLogEvents` as AWS gives them, each asked for when it is wanted; kept in no record.

        For the connector that samples logs; it bounds how many it takes. Raises as `ask`, but Absent where the group
        does not exist, and Refused for `unmask`.
        """
        return self._access(region.account).log_pages(region, parameters)

    def close(self) -> None:
        """End all connections."""
        for access in self._accesses.values():
            access.close()

    def _look(self, operation: str, region: Region, parameters: Mapping[str, Any]) -> dict[str, Any] | str:
        """The answer, or the sentence with which the API says that the thing does not exist."""
        access = self._access(region.account)

        def find() -> dict[str, Any] | str:
            try:
                return access.ask(operation, region, parameters)
            except Absent as error:
                return error.message

        return self._ledger.ask(Question.about("aws", str(region), operation, parameters), find)

    def _access(self, name: str) -> _Access:
        access = self._accesses.get(name)
        if access is None:
            known = ", ".join(sorted(self._accesses)) or "none"
            raise Absent(f"there is no AWS account named {name!r} in environments.yaml; declared: {known}")
        return access

    def _region_of(self, secret: SecretReference) -> Region:
        if secret.store == "vault":
            raise Unsupported(f"{secret}: a secret in Vault is not AWS's to read")
        if secret.region is not None:
            return secret.region
        if len(self._accesses) != 1:
            raise Absent(f"{secret}: which account keeps it is not declared", next_step="declare its account")
        return next(iter(self._accesses.values())).account.regions[0]

    def _values(self, secret: SecretReference, region: Region) -> dict[str, str]:
        """The fields of a secret, fetched once however many want them."""
        question = Question.about("aws", str(region), f"value of {secret.store}:{secret.name}")
        return self._unrecorded.ask(question, lambda: self._fetch(secret, region))

    def _fetch(self, secret: SecretReference, region: Region) -> dict[str, str]:
        access = self._access(region.account)
        if secret.store == "ssm":
            told = access.ask_for_value("ssm.GetParameter", region, {"Name": secret.name, "WithDecryption": True})
            text = (told.get("Parameter") or {}).get("Value")
        else:
            told = access.ask_for_value("secretsmanager.GetSecretValue", region, {"SecretId": secret.name})
            text = told.get("SecretString")
            if text is None and told.get("SecretBinary") is not None:
                text = _as_text(told["SecretBinary"])
        if not isinstance(text, str):
            raise Absent(f"{region}: {secret} has no value")
        self._sealer.redactor.add(text)
        return _fields(text, self._sealer)


class _Access:
    """One account: its credentials, its verified identity, its clients. No client is to be had without the latter."""

    def __init__(
        self,
        account: Account,
        sealer: Sealer,
        permissions: frozenset[str],
        environ: Mapping[str, str],
        models: Models,
    ) -> None:
        self.account = account
        self._sealer = sealer
        self._permissions = permissions
        self._environ = environ
        self._models = models
        self._identity: Identity | None = None
        self._problem: Reportable | None = None
        self._verifying = threading.Lock()
        self._building = threading.RLock()
        self._sessions: Sessions | None = None
        self._credentials: Credentials | None = None
        self._by_judge: dict[Judge, boto3.Session] = {}
        self._clients: dict[tuple[str, str, Judge], Any] = {}

    def identity(self) -> Identity:
        """Whom AWS takes us for, whether or not that is the declared account; asked once.

        Raises a Reportable when it cannot be known; the same one ever after.
        """
        if not self._verifying.acquire(timeout=seconds_left()):
            raise TimedOut(f"{self.account.name}: the identity of the credentials was not known in time")
        try:
            if self._problem is not None:
                raise self._problem
            if self._identity is None:
                try:
                    self._identity = self._find_identity()
                except Reportable as error:
                    self._problem = error
                    raise
            return self._identity
        finally:
            self._verifying.release()

    def ask(self, question: str, region: Region, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """One question as a check may ask it. Raises Absent where the API says that the thing does not exist."""
        caller = self._verified()
        client = self._client(question, region.name, judge_read)
        asked = self._asked(question, region, parameters, caller)
        model = client.meta.service_model.operation_model(question.partition(".")[2])
        answer = merge_pages(
            f"{asked.subject}: {asked.what}",
            self._models.pagination(question, model),
            lambda page: self._send(client, asked, page),
            parameters,
        )
        try:
            return as_fact(question, answer, self._sealer)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Malformed(
                f"{asked.subject}: the answer to {question} cannot be read: {type(error).__name__}"
            ) from error

    def log_pages(self, region: Region, parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Events of logs, in clear; never to be kept."""
        question = "logs.FilterLogEvents"
        caller = self._verified()
        client = self._client(question, region.name, judge_log_read)
        asked = self._asked(question, region, parameters, caller)
        model = client.meta.service_model.operation_model("FilterLogEvents")
        return each_page(
            f"{asked.subject}: {asked.what}",
            self._models.pagination(question, model),
            lambda page: self._send(client, asked, page),
            parameters,
        )

    def ask_for_value(self, question: str, region: Region, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The value of a secret, in clear; never to be kept."""
        caller = self._verified()
        client = self._client(question, region.name, judge_value_read)
        return self._send(client, self._asked(question, region, parameters, caller), parameters)

    def close(self) -> None:
        """End all connections."""
        with self._building:
            self._clients.clear()
            if self._sessions is not None:
                self._sessions.close()

    # Who we are

    def _verified(self) -> Identity:
        found = self.identity()
        problem = _mismatch(self.account, found)
        if problem:
            raise Refused(f"{problem}, so nothing was asked", next_step=_mend_mismatch(self.account))
        return found

    def _find_identity(self) -> Identity:
        credentials, source = self._open_sessions().find_credentials()
        self._strike(credentials)
        if self.account.role_arn:
            policy = session_policy(
                self._permissions,
                reads_values=self.account.read_secret_values,
                partition=self.account.role_arn.split(":")[1],
            )
            carried: dict[str, Any] = {"Policy": policy.document}
            if policy.managed:
                carried["PolicyArns"] = [{"arn": arn} for arn in policy.managed]
            credentials = self._open_sessions().assume_role(credentials, carried)
            self._strike(credentials)
            source = f"the role {self.account.role_arn}, assumed with {source}"
        self._credentials = credentials
        region = self.account.regions[0]
        client = self._client(_IDENTITY, region.name, judge_read)
        told = self._send(client, Asked(subject=self.account.name, question=_IDENTITY), {})
        account_id, arn = told.get("Account"), told.get("Arn")
        if not isinstance(account_id, str) or not isinstance(arn, str):
            raise Malformed(f"{self.account.name}: {_IDENTITY} named no account")
        return Identity(account_id=account_id, arn=arn, source=source)

    def _strike(self, credentials: Credentials) -> None:
        frozen = credentials.get_frozen_credentials()
        for secret in (frozen.secret_key, frozen.token):
            if secret:
                self._sealer.redactor.add(secret)

    # How AWS is asked

    def _asked(self, question: str, region: Region, parameters: Mapping[str, Any], caller: Identity) -> Asked:
        return Asked(
            subject=str(region),
            question=question,
            about=_about(parameters),
            caller=short_arn(caller.arn),
            is_elsewhere=region.name != self.account.region_names[0],
        )

    def _open_sessions(self) -> Sessions:
        with self._building:
            if self._sessions is None:
                self._sessions = Sessions(self.account, self._environ, loader=self._models.loader, version=__version__)
            return self._sessions

    def _client(self, question: str, region: str, judge: Judge) -> Any:
        from botocore import exceptions as foreign
        from botocore.model import OperationNotFoundError

        service, _, operation = question.partition(".")
        key = service, region, judge
        subject = f"{self.account.name}/{region}"
        if self._credentials is None:
            raise AssertionError("a client was wanted before there were credentials")
        try:
            # Building is not thread-safe in botocore; a built client is.
            with self._building:
                if key not in self._clients:
                    sessions = self._open_sessions()
                    if judge not in self._by_judge:
                        self._by_judge[judge] = sessions.open(judge, self._credentials)
                    self._clients[key] = sessions.client(self._by_judge[judge], service, region)
                client = self._clients[key]
            client.meta.service_model.operation_model(operation)
        except (foreign.UnknownServiceError, OperationNotFoundError) as error:
            raise Unsupported(
                f"{subject}: {question} is unknown to the installed botocore",
                next_step="correct the name (boto3's service name and the API's operation), or update boto3",
            ) from error
        except (foreign.BotoCoreError, ValueError) as error:
            raise Unsupported(f"{subject}: {question} cannot be asked here: {one_line(error)}") from error
        return client

    def _send(self, client: Any, asked: Asked, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """One page, retried within the deadline where that may help."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._send_once(client, asked, parameters)
            except Retryable as failure:
                error = failure.error
                pause = random.uniform(0.5, 1.0) * min(LONGEST_PAUSE_S, 0.2 * 2**attempt)  # noqa: S311  jitter
                if attempt == ATTEMPTS or not _is_time_left(pause):
                    raise error from failure
                time.sleep(pause)
                count_attempts(attempt + 1)
        raise AssertionError("unreachable: the last attempt answers or raises")

    def _send_once(self, client: Any, asked: Asked, parameters: Mapping[str, Any]) -> dict[str, Any]:
        from botocore import exceptions as foreign
        from botocore import xform_name
        from botocore.parsers import ResponseParserError

        operation = asked.question.partition(".")[2]
        names = client.meta.method_to_api_mapping
        method = next((name for name, target in names.items() if target == operation), xform_name(operation))
        try:
            answer: dict[str, Any] = getattr(client, method)(**parameters)
        except foreign.ClientError as error:
            if error.operation_name != operation:  # the credentials were being renewed on the way
                raise no_credentials(self.account, error) from error
            raise _told(asked, error.response) from error
        except Wordless as error:
            raise _told(asked, error.answer) from error
        except foreign.ParamValidationError as error:
            raise Unsupported(
                f"{asked.subject}: {asked.question} does not take these parameters: {one_line(error)}",
                next_step="correct the check",
            ) from error
        except ResponseParserError as error:
            raise Malformed(f"{asked.subject}: the answer to {asked.question} cannot be read") from error
        except (
            foreign.NoCredentialsError,
            foreign.PartialCredentialsError,
            foreign.CredentialRetrievalError,
            foreign.MetadataRetrievalError,
            foreign.RefreshWithMFAUnsupportedError,
            foreign.TokenRetrievalError,
            foreign.SSOError,
            OSError,
        ) as error:
            raise no_credentials(self.account, error) from error
        except foreign.BotoCoreError as error:
            raise Unsupported(f"{asked.subject}: {asked.question} could not be asked: {one_line(error)}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Malformed(
                f"{asked.subject}: the answer to {asked.question} cannot be read: {type(error).__name__}"
            ) from error
        return answer


def _told(asked: Asked, answer: Mapping[str, Any]) -> Reportable | Retryable:
    """What an error answer means, wrapped where another try may help."""
    error = error_of(asked, answer)
    return Retryable(error) if may_be_retried(error, status_of(answer)) else error


def _is_time_left(pause_s: float) -> bool:
    """Whether a pause ends before the deadline."""
    try:
        return seconds_left() > pause_s
    except TimedOut:
        return False


def _mismatch(account: Account, found: Identity) -> str:
    """What is wrong with the caller's account; empty when it is the declared one."""
    if found.account_id == account.account_id:
        return ""
    return (
        f"{account.name}: the account of {found.source} is {found.account_id} ({short_arn(found.arn)}), "
        f"and environments.yaml declares {account.account_id}"
    )


def _mend_mismatch(account: Account) -> str:
    return f"use credentials of {account.account_id}, or correct aws.{account.name}.account_id"


_NAMES = ("arn", "name", "id", "identifier", "bucket")


def _about(parameters: Mapping[str, Any]) -> str:
    """The resource that a question names, for the words of its errors; empty when it names none or several."""
    told = [value for name, value in parameters.items() if isinstance(value, str) and name.lower().endswith(_NAMES)]
    told += [
        value[0]
        for value in parameters.values()
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str)
    ]
    return one_line(told[0])[:120] if told else ""


def _as_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _fields(text: str, sealer: Sealer) -> dict[str, str]:
    """The fields of a secret that is a JSON object, or the whole of it under an empty key."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {"": text}
    if not isinstance(document, dict):
        return {"": text}
    for part in _texts(document):
        sealer.redactor.add(part)
    return {
        name: value
        if isinstance(value, str)
        else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for name, value in document.items()
    }


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, at any depth."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
