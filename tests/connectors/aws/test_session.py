"""Credentials come from where the environment and the file say, and from nowhere else."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from quub_audit.errors import Denied, Unreachable
from quub_audit.model.environment import Account
from tests.connectors.aws.conftest import Connect
from tests.worlds.cloud import Cloud

NO_MACHINE = {"AWS_EC2_METADATA_DISABLED": "true"}


def operator(cloud: Cloud) -> dict[str, str]:
    """Keys of a user of the account, as a credentials file spells them."""
    iam = cloud.client("iam")
    iam.create_user(UserName="auditor")
    key = iam.create_access_key(UserName="auditor")["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


def section(title: str, **entries: str) -> str:
    return f"[{title}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    return tmp_path


def plain(cloud: Cloud, **changes: str) -> Account:
    """The account without a role, so that the keys decide who one is."""
    return cloud.account(role_arn="", **changes)


def test_without_credentials_it_is_denied_and_says_where_to_put_them(cloud: Cloud, connect: Connect) -> None:
    with pytest.raises(Denied, match="prod: no AWS credentials were found in the environment") as raised:
        connect(plain(cloud), environ=NO_MACHINE).caller(plain(cloud))

    assert "AWS_PROFILE, or aws.prod.profile" in raised.value.next_step


def test_the_environment_of_the_process_is_neither_read_nor_changed(
    cloud: Cloud, connect: Connect, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    (home / ".aws" / "credentials").write_text(section("default", **operator(cloud)))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-process")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-process")
    monkeypatch.setenv("AWS_PROFILE", "of-the-process")
    before = dict(os.environ)

    with pytest.raises(Denied, match="no AWS credentials were found"):
        connect(plain(cloud), environ=NO_MACHINE).caller(plain(cloud))

    assert dict(os.environ) == before


def test_a_declared_profile_is_used_and_the_keys_of_the_environment_are_not(
    cloud: Cloud, connect: Connect, home: Path
) -> None:
    (home / ".aws" / "credentials").write_text(section("audit", **operator(cloud)))
    account = plain(cloud, profile="audit")
    environ = {"HOME": str(home), "AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "other"}

    assert connect(account, environ=environ).caller(account) == f"arn:aws:iam::{cloud.account_id}:user/auditor"


@pytest.mark.parametrize("variable", ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"])
def test_a_file_that_the_environment_names_is_read(
    cloud: Cloud, connect: Connect, tmp_path: Path, variable: str
) -> None:
    title = "audit" if variable == "AWS_SHARED_CREDENTIALS_FILE" else "profile audit"
    (tmp_path / "file").write_text(section(title, **operator(cloud)))
    environ = {variable: str(tmp_path / "file"), "AWS_PROFILE": "audit", **NO_MACHINE}

    assert connect(plain(cloud), environ=environ).caller(plain(cloud)).endswith(":user/auditor")


def test_a_declared_profile_that_does_not_exist_is_denied_although_there_are_keys(
    cloud: Cloud, connect: Connect, home: Path
) -> None:
    account = plain(cloud, profile="audti")

    with pytest.raises(Denied, match=r"prod: The config profile \(audti\) could not be found") as raised:
        connect(account, environ={"HOME": str(home), **cloud.environ}).caller(account)

    assert "correct aws.prod.profile" in raised.value.next_step


def test_a_declared_profile_without_credentials_is_denied_although_there_are_keys(
    cloud: Cloud, connect: Connect, home: Path
) -> None:
    (home / ".aws" / "config").write_text(section("profile audit", region="eu-central-1"))
    account = plain(cloud, profile="audit")

    with pytest.raises(Denied, match="prod: the profile audit holds no credentials"):
        connect(account, environ={"HOME": str(home), **cloud.environ}).caller(account)


def test_a_profile_of_the_environment_that_does_not_exist_is_denied(cloud: Cloud, connect: Connect, home: Path) -> None:
    environ = {"HOME": str(home), "AWS_PROFILE": "audti", **NO_MACHINE}

    with pytest.raises(Denied, match=r"The config profile \(audti\) could not be found"):
        connect(plain(cloud), environ=environ).caller(plain(cloud))


def test_half_of_a_key_is_denied(cloud: Cloud, connect: Connect) -> None:
    environ = {"AWS_ACCESS_KEY_ID": "quub", **NO_MACHINE}

    with pytest.raises(Denied, match="prod: the AWS credentials are incomplete") as raised:
        connect(plain(cloud), environ=environ).caller(plain(cloud))

    assert raised.value.next_step == "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def test_a_single_sign_on_that_has_ended_says_how_to_log_in(cloud: Cloud, connect: Connect, home: Path) -> None:
    profile = section(
        "profile audit",
        sso_session="company",
        sso_account_id=cloud.account_id,
        sso_role_name="Audit",
        region="eu-west-1",
    )
    company = section("sso-session company", sso_region="eu-west-1", sso_start_url="https://company.invalid/start")
    (home / ".aws" / "config").write_text(profile + company)
    account = plain(cloud, profile="audit")

    with pytest.raises(Denied, match="the single sign-on session of the profile audit has ended") as raised:
        connect(account, environ={"HOME": str(home)}).caller(account)

    assert raised.value.next_step == "run aws sso login --profile audit"


def test_a_profile_that_assumes_a_role_is_used(cloud: Cloud, connect: Connect, home: Path) -> None:
    role = section(
        "profile audit",
        role_arn=f"arn:aws:iam::{cloud.account_id}:role/auditors",
        source_profile="base",
        region="eu-central-1",
    )
    (home / ".aws" / "config").write_text(role)
    (home / ".aws" / "credentials").write_text(section("base", **operator(cloud)))
    account = plain(cloud, profile="audit")

    arn = connect(account, environ={"HOME": str(home)}).caller(account)

    assert arn.startswith(f"arn:aws:sts::{cloud.account_id}:assumed-role/auditors/")


def test_a_profile_that_wants_a_code_is_denied_and_nobody_is_asked_for_it(
    cloud: Cloud, connect: Connect, home: Path
) -> None:
    role = section(
        "profile audit",
        role_arn=f"arn:aws:iam::{cloud.account_id}:role/auditors",
        source_profile="base",
        mfa_serial=f"arn:aws:iam::{cloud.account_id}:mfa/me",
    )
    (home / ".aws" / "config").write_text(role)
    (home / ".aws" / "credentials").write_text(section("base", **operator(cloud)))
    account = plain(cloud, profile="audit")

    with pytest.raises(Denied, match=r"prod: the AWS credentials could not be had: .*MFA"):
        connect(account, environ={"HOME": str(home)}).caller(account)


def test_a_program_that_gives_credentials_is_run(cloud: Cloud, connect: Connect, home: Path) -> None:
    keys = operator(cloud)
    script = home / "give.py"
    script.write_text(
        "import json; print(json.dumps({'Version': 1, "
        f"'AccessKeyId': {keys['aws_access_key_id']!r}, 'SecretAccessKey': {keys['aws_secret_access_key']!r}}}))"
    )
    (home / ".aws" / "config").write_text(section("profile audit", credential_process=f"{sys.executable} {script}"))
    account = plain(cloud, profile="audit")

    assert connect(account, environ={"HOME": str(home)}).caller(account).endswith(":user/auditor")


def test_a_program_that_fails_is_denied(cloud: Cloud, connect: Connect, home: Path) -> None:
    failing = f"{sys.executable} -c 'raise SystemExit(3)'"
    (home / ".aws" / "config").write_text(section("profile audit", credential_process=failing))
    account = plain(cloud, profile="audit")

    with pytest.raises(Denied, match="prod: the AWS credentials could not be had"):
        connect(account, environ={"HOME": str(home)}).caller(account)


def test_the_web_identity_of_a_job_is_used(cloud: Cloud, connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a.web.token")
    environ = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": f"arn:aws:iam::{cloud.account_id}:role/deploy",
        "AWS_ROLE_SESSION_NAME": "job-1",
        **NO_MACHINE,
    }

    arn = connect(plain(cloud), environ=environ).caller(plain(cloud))

    assert arn == f"arn:aws:sts::{cloud.account_id}:assumed-role/deploy/job-1"


def test_a_web_identity_without_its_token_is_denied(cloud: Cloud, connect: Connect, tmp_path: Path) -> None:
    environ = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": f"arn:aws:iam::{cloud.account_id}:role/deploy",
        **NO_MACHINE,
    }

    with pytest.raises(Denied, match=r"token, which holds credentials, cannot be read: No such file or directory"):
        connect(plain(cloud), environ=environ).caller(plain(cloud))


def test_a_config_file_that_cannot_be_read_is_denied(cloud: Cloud, connect: Connect, home: Path) -> None:
    (home / ".aws" / "config").write_text("this is no [config\n")

    with pytest.raises(Denied, match="prod: the AWS credentials could not be had: Unable to parse config file"):
        connect(plain(cloud), environ={"HOME": str(home), **NO_MACHINE}).caller(plain(cloud))


def test_an_unknown_key_is_denied_and_says_that_it_was_not_accepted(cloud: Cloud, connect: Connect) -> None:
    cloud.allow_only("iam:ListUsers")
    environ = {"AWS_ACCESS_KEY_ID": "AKIAQUUBQUUBQUUBQUUB", "AWS_SECRET_ACCESS_KEY": "wrong"}

    with pytest.raises(Denied, match=r"prod: the credentials were not accepted \(InvalidClientTokenId\)"):
        connect(cloud.account(), environ=environ).caller(cloud.account())


def test_a_wrong_secret_is_denied_and_never_shown(cloud: Cloud, connect: Connect) -> None:
    cloud.allow_only("iam:ListUsers")
    environ = {**cloud.environ, "AWS_SECRET_ACCESS_KEY": "the-wrong-secret"}

    with pytest.raises(Denied, match=r"were not accepted \(SignatureDoesNotMatch\)") as raised:
        connect(cloud.account(), environ=environ).caller(cloud.account())

    assert "the-wrong-secret" not in f"{raised.value!r}{raised.value.message}{raised.value.next_step}"


# The way to AWS


@contextlib.contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that lets nobody through, and the first lines that came to it."""
    lines: list[bytes] = []
    done = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)

    def serve() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    lines.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", lines
    finally:
        done.set()
        thread.join(timeout=10)
        listener.close()


def test_aws_itself_is_asked_through_the_proxy_of_the_environment(cloud: Cloud, connect: Connect) -> None:
    account = plain(cloud, endpoint_url="")

    with proxy() as (address, lines):
        environ = {**cloud.environ, "HTTPS_PROXY": f"http://me:the-password@{address}"}
        with pytest.raises(
            Unreachable, match=r"no way to sts\.eu-central-1\.amazonaws\.com through the proxy"
        ) as raised:
            connect(account, environ=environ).caller(account)

    assert lines[0].startswith(b"CONNECT sts.eu-central-1.amazonaws.com:443")
    assert b"Proxy-Authorization: Basic" in lines[0].replace(b"proxy-authorization: ", b"Proxy-Authorization: ")
    assert "the-password" not in f"{raised.value.message}{raised.value.next_step}"


def test_an_endpoint_that_the_environment_names_is_left_aside(cloud: Cloud, connect: Connect) -> None:
    account = plain(cloud, endpoint_url="")

    with proxy() as (address, lines):
        environ = {
            **cloud.environ,
            "AWS_ENDPOINT_URL": cloud.address,
            "AWS_ENDPOINT_URL_STS": cloud.address,
            "HTTPS_PROXY": f"http://{address}",
        }
        with pytest.raises(Unreachable, match="amazonaws"):
            connect(account, environ=environ).caller(account)

    assert lines[0].startswith(b"CONNECT sts.eu-central-1.amazonaws.com:443")


def test_no_proxy_stands_before_a_loopback_endpoint(cloud: Cloud, connect: Connect) -> None:
    with proxy() as (address, lines):
        environ = {**cloud.environ, "HTTP_PROXY": f"http://{address}", "https_proxy": f"http://{address}"}
        assert connect(cloud.account(), environ=environ).caller(cloud.account())

    assert lines == []


def test_a_host_that_no_proxy_names_is_asked_directly(cloud: Cloud, connect: Connect) -> None:
    account = plain(cloud, endpoint_url="https://aws.quub.invalid")

    with proxy() as (address, lines):
        environ = {**cloud.environ, "HTTPS_PROXY": f"http://{address}", "NO_PROXY": ".quub.invalid"}
        with pytest.raises(Unreachable, match=r"no connection to aws\.quub\.invalid"):
            connect(account, environ=environ).caller(account)

    assert lines == []


def test_a_program_that_says_no_json_is_denied_and_its_words_are_not_shown(
    cloud: Cloud, connect: Connect, home: Path
) -> None:
    (home / ".aws" / "config").write_text(section("profile audit", credential_process="echo the-spoken-secret"))
    account = plain(cloud, profile="audit")

    with pytest.raises(Denied, match="prod: the AWS credentials could not be had") as raised:
        connect(account, environ={"HOME": str(home)}).caller(account)

    assert "the-spoken-secret" not in raised.value.message
