"""Sessions of boto3 that see the environment they are given, and where their credentials come from.

botocore reads the process environment in many places. Here its configuration, its credentials, its certificates and
its proxies come from a mapping instead, and the process environment is neither read nor changed. Three things still
see the process: a `credential_process` inherits its environment, `SSLKEYLOGFILE` is honoured, and so are botocore's
experimental plugins. Without `HOME` in the mapping no shared file is read unless `AWS_CONFIG_FILE` or
`AWS_SHARED_CREDENTIALS_FILE` names one. Endpoints come from environments.yaml alone: `AWS_ENDPOINT_URL` and its kin
are left aside, since an audit that was sent to an emulator would say that production is well.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quub_audit.connectors.aws_errors import Asked as AskedCall
from quub_audit.connectors.aws_errors import Retryable, Wordless, check_answer, error_of, one_line
from quub_audit.connectors.aws_guard import Judge, judge_credential_call, stand_guard
from quub_audit.connectors.aws_transport import CONNECTIONS, Transport
from quub_audit.errors import Denied, Reportable, TimedOut
from quub_audit.model.environment import Account

if TYPE_CHECKING:
    import boto3
    from botocore.client import BaseClient
    from botocore.config import Config
    from botocore.credentials import Credentials, RefreshableCredentials
    from botocore.session import Session

SESSION_NAME = "quub-audit"
"""As the role's sessions are called in CloudTrail."""


class Sessions:
    """The sessions of one account, over one transport. Nothing is sent before credentials are wanted."""

    def __init__(self, account: Account, environ: Mapping[str, str], *, loader: Any, version: str) -> None:
        self._account = account
        self._environ = environ
        self._loader = loader
        self._version = version
        self.transport = Transport(str(account.name), environ=environ, ca_file=self._ca_file())

    def open(self, judge: Judge, credentials: Credentials) -> boto3.Session:
        """A session whose clients ask with `credentials`, under the guard of `judge`."""
        import boto3

        session = self._new_session(judge)
        session.register_component("credential_provider", _Given(credentials))
        return boto3.Session(botocore_session=session)

    def client(self, session: boto3.Session, service: str, region: str) -> BaseClient:
        """A client of one region. Raises Unsupported errors of botocore as they are; slow (10 ms): keep it."""
        build: Any = session.client  # typed by literal service names, of which ours is none
        client: BaseClient = build(
            service,
            region_name=region,
            endpoint_url=self._account.endpoint_url or None,
            config=self._config(),
            verify=True,
        )
        return client

    def find_credentials(self) -> tuple[Credentials, str]:
        """Those of the declared profile, or of the environment; with where they come from, in words.

        Raises Denied when there are none.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        account = self._account
        session = self._new_session(judge_credential_call)
        try:
            found = _resolver(session, self._environ, account).load_credentials()
            if found is not None:
                found.get_frozen_credentials()
        except Retryable as error:
            raise error.error from error
        except Wordless as error:
            raise error_of(AskedCall(subject=account.name, question="sts.AssumeRole"), error.answer) from error
        except (BotoCoreError, ClientError, OSError, ValueError, KeyError) as error:
            raise no_credentials(account, error) from error
        if found is None and account.profile:
            raise Denied(
                f"{account.name}: the profile {account.profile} holds no credentials",
                next_step=f"add credentials to the profile, or correct aws.{account.name}.profile",
            )
        if found is None:
            raise Denied(
                f"{account.name}: no AWS credentials were found in the environment",
                next_step="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or "
                f"aws.{account.name}.profile in environments.yaml",
            )
        return found, _source(found.method, account, session.get_config_variable("profile"))

    def assume_role(self, source: Credentials, policy: Mapping[str, Any]) -> RefreshableCredentials:
        """Credentials of the declared role, narrowed by a session policy, renewed before they end.

        `policy` are the parameters of AssumeRole that carry it. Raises what `send` of the transport does, and Denied.
        """
        from botocore.credentials import RefreshableCredentials

        account = self._account
        client = self.client(self.open(judge_credential_call, source), "sts", account.region_names[0])
        parameters: dict[str, Any] = {"RoleArn": account.role_arn, "RoleSessionName": SESSION_NAME, **policy}
        if account.external_id:
            parameters["ExternalId"] = account.external_id

        def renew() -> dict[str, str]:
            given = self._ask_for_role(client, parameters)["Credentials"]
            return {
                "access_key": given["AccessKeyId"],
                "secret_key": given["SecretAccessKey"],
                "token": given["SessionToken"],
                "expiry_time": given["Expiration"].isoformat(),
            }

        credentials: RefreshableCredentials = RefreshableCredentials.create_from_metadata(
            metadata=renew(), refresh_using=renew, method="sts-assume-role"
        )
        return credentials

    def close(self) -> None:
        """End all connections."""
        self.transport.close()

    def _ask_for_role(self, client: Any, parameters: Mapping[str, Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        account = self._account
        try:
            return client.assume_role(**parameters)
        except ClientError as error:
            asked = AskedCall(subject=account.name, question="sts.AssumeRole", about=account.role_arn)
            told = error_of(asked, error.response)
            if isinstance(told, Denied) and told.permission:
                told = Denied(
                    f"{account.name}: assuming {account.role_arn} was denied; grant {told.permission}",
                    permission=told.permission,
                    next_step="let the role trust these credentials (its trust policy, external_id) and grant them "
                    "sts:AssumeRole on it",
                )
            raise told from error
        except BotoCoreError as error:
            raise no_credentials(account, error) from error
        except Wordless as error:
            raise error_of(AskedCall(subject=account.name, question="sts.AssumeRole"), error.answer) from error
        except Retryable as error:
            raise error.error from error

    def _new_session(self, judge: Judge) -> Session:
        from botocore.configprovider import ConfigValueStore
        from botocore.session import Session

        session = Session(profile=self._account.profile or None)
        session.register_component("config_store", ConfigValueStore(mapping=_configuration(session, self._environ)))
        session.register_component("data_loader", self._loader)
        session.register_component("token_provider", _NoTokens())
        session.user_agent_extra = f"quub-audit/{self._version}"
        session.set_default_client_config(self._config())
        events = session.get_component("event_emitter")
        stand_guard(events, judge)
        events.register_first("before-send", self.transport.send, unique_id="quub-audit-send")
        events.register_first("before-parse", self._check_answer, unique_id="quub-audit-answer")
        return session

    def _check_answer(self, operation_model: Any, response_dict: Mapping[str, Any], **_: Any) -> None:
        body = response_dict["body"]
        if isinstance(body, bytes):
            check_answer(self._account.name, operation_model, response_dict["status_code"], body)

    def _config(self) -> Config:
        from botocore.config import Config

        endpoint = self._account.endpoint_url
        return Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=CONNECTIONS,
            ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # the stubs lack it
            proxies={},
            inject_host_prefix=not endpoint,
            s3={"addressing_style": "path"} if endpoint else None,
        )

    def _ca_file(self) -> str:
        return self._environ.get("AWS_CA_BUNDLE") or self._environ.get("REQUESTS_CA_BUNDLE") or ""


class _Given:
    """A credential provider that has its credentials already."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Credentials:
        return self._credentials


class _NoTokens:
    """Bearer tokens are not used: nothing that is audited takes one."""

    def load_token(self, **_: Any) -> None:
        return None


def no_credentials(account: Account, error: Exception) -> Reportable:
    """Why botocore could not find, read or renew credentials; never with their content."""
    from botocore import exceptions as foreign

    if isinstance(error, foreign.ClientError):
        asked = AskedCall(subject=account.name, question=f"sts.{error.operation_name}")
        return error_of(asked, error.response)
    if isinstance(error, foreign.ProfileNotFound):
        return Denied(
            f"{account.name}: {one_line(error)}",
            next_step=f"correct aws.{account.name}.profile or AWS_PROFILE, or add the profile to the AWS config file",
        )
    if isinstance(error, foreign.SSOError | foreign.TokenRetrievalError):
        name = account.profile or "default"
        return Denied(
            f"{account.name}: the single sign-on session of the profile {name} has ended: {one_line(error)}",
            next_step=f"run aws sso login --profile {name}",
        )
    if isinstance(error, foreign.PartialCredentialsError | foreign.NoCredentialsError):
        return Denied(
            f"{account.name}: the AWS credentials are incomplete: {one_line(error)}",
            next_step="set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if isinstance(error, OSError):
        return Denied(
            f"{account.name}: {one_line(error.filename)}, which holds credentials, cannot be read: "
            f"{one_line(error.strerror or type(error).__name__)}",
            next_step="mend the path or its permissions",
        )
    if isinstance(error, foreign.ConnectTimeoutError | foreign.ReadTimeoutError):
        return TimedOut(f"{account.name}: what gives the credentials did not answer: {one_line(error)}")
    return Denied(
        f"{account.name}: the AWS credentials could not be had: {one_line(error)}",
        next_step="mend the profile or the provider of the credentials; aws sts get-caller-identity shows the same",
    )


def _configuration(session: Session, environ: Mapping[str, str]) -> dict[str, Any]:
    """Botocore's configuration, read from `environ` and the files that it names."""
    from botocore import configprovider as source

    variables = dict(source.BOTOCORE_DEFAUT_SESSION_VARIABLES)
    for name, (key, variable, _, convert) in list(variables.items()):
        if name in ("config_file", "credentials_file"):
            file = "config" if name == "config_file" else "credentials"
            variables[name] = (key, variable, _home_file(environ, file), convert)
    factory = source.ConfigChainFactory(session=session, environ=dict(environ))

    def chains(of: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: factory.create_config_chain(
                instance_name=name,
                env_var_names=variable,
                config_property_names=key,
                default=default,
                conversion_func=convert,
            )
            for name, (key, variable, default, convert) in of.items()
        }

    sections = {"s3": source.DEFAULT_S3_CONFIG_VARS, "proxies_config": source.DEFAULT_PROXIES_CONFIG_VARS}
    return chains(variables) | {
        name: source.SectionConfigProvider(name, session, chains(section)) for name, section in sections.items()
    }


def _home_file(environ: Mapping[str, str], name: str) -> str:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return str(Path(home) / ".aws" / name) if home else str(Path(__file__) / "none" / name)


def _resolver(session: Session, environ: Mapping[str, str], account: Account) -> Any:
    """Botocore's chain for a declared profile, or for the environment; each provider told of `environ`."""
    from botocore import credentials as source
    from botocore.utils import InstanceMetadataFetcher, JSONFileCache

    variable = session.get_config_variable
    name = account.profile or variable("profile") or "default"
    region = account.region_names[0]
    cache: dict[str, Any] = {}
    home = environ.get("HOME") or environ.get("USERPROFILE")
    tokens: Any = JSONFileCache(str(Path(home) / ".aws" / "sso" / "cache")) if home else {}

    def create_client(service: str, **settings: Any) -> Any:
        # Roles are assumed where the account is asked; single sign-on is no service of the account.
        at = account.endpoint_url if service == "sts" else ""
        return session.create_client(
            service, **{"region_name": region, "verify": True, "endpoint_url": at or None, **settings}
        )

    def ask_for_code(prompt: str) -> str:
        raise source.RefreshWithMFAUnsupportedError

    builder = source.ProfileProviderBuilder(session, cache=cache, region_name=region, sso_token_cache=tokens)
    variables = source.EnvProvider(environ=environ)
    container = source.ContainerProvider(environ=environ)
    machine = source.InstanceMetadataProvider(
        iam_role_fetcher=InstanceMetadataFetcher(
            timeout=variable("metadata_service_timeout"),
            num_attempts=variable("metadata_service_num_attempts"),
            env=dict(environ),
            user_agent=session.user_agent(),
            config={
                "ec2_metadata_service_endpoint": variable("ec2_metadata_service_endpoint"),
                "ec2_metadata_service_endpoint_mode": variable("ec2_metadata_service_endpoint_mode"),
                "ec2_metadata_v1_disabled": variable("ec2_metadata_v1_disabled"),
            },
        )
    )
    of_profile = [
        source.AssumeRoleProvider(
            load_config=lambda: session.full_config,
            client_creator=create_client,
            cache=cache,
            profile_name=name,
            prompter=ask_for_code,
            credential_sourcer=source.CanonicalNameCredentialSourcer([variables, container, machine]),
            profile_provider_builder=builder,
        ),
        *builder.providers(profile_name=name, disable_env_vars=True),
    ]
    if account.profile:
        if account.profile not in session.available_profiles:
            raise _profile_not_found(account.profile)
        return source.CredentialResolver(providers=of_profile)
    by_token = source.AssumeRoleWithWebIdentityProvider(
        load_config=lambda: {"profiles": {name: _web_identity(environ)}},
        client_creator=create_client,
        profile_name=name,
        cache=cache,
        disable_env_vars=True,
    )
    return source.CredentialResolver(providers=[variables, by_token, *of_profile, container, machine])


def _profile_not_found(name: str) -> Exception:
    from botocore.exceptions import ProfileNotFound

    return ProfileNotFound(profile=name)


def _web_identity(environ: Mapping[str, str]) -> dict[str, str]:
    names = {
        "web_identity_token_file": "AWS_WEB_IDENTITY_TOKEN_FILE",
        "role_arn": "AWS_ROLE_ARN",
        "role_session_name": "AWS_ROLE_SESSION_NAME",
    }
    return {key: environ[variable] for key, variable in names.items() if environ.get(variable)}


def _source(method: str, account: Account, profile: str | None) -> str:
    """Where credentials come from, as a sentence names it."""
    if account.profile:
        return f"the profile {account.profile}"
    known = {
        "env": "the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "assume-role-with-web-identity": "the web identity of the environment",
        "container-role": "the role of this container",
        "iam-role": "the role of this machine",
    }
    return known.get(method, f"the profile {profile or 'default'}")
