"""No credential may stand in a file, and none comes out of a message about it."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quub_audit.config.mistakes import cleaned, secret_shape
from quub_audit.errors import ConfigurationError, Mendable
from tests.config.folder import SMALLEST, Folder
from tests.config.trees import EXAMPLE, at, places, put

LETTERS = "Ab1" * 12
STANDS_IN_FILE = "stands in the file, expected ${NAME}, with the value in the process environment; replace the key"
SECRETS = {
    "an AWS access key": "AKIA" + "IOSFODNN7EXAMPLE",
    "a Quub API key": "quub_live_" + LETTERS[:20],
    "a Vault token": "hvs." + LETTERS,
    "a GitHub token": "ghp_" + LETTERS,
    "a GitLab token": "glpat-" + LETTERS[:20],
    "a Slack token": "xoxb-" + LETTERS,
    "a payment key": "sk_live_" + LETTERS,
    "a Google API key": "AIza" + LETTERS,
    "a signed token (JWT)": ".".join(["eyJ" + LETTERS, "eyJ" + LETTERS, LETTERS]),
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a password in a URL": "postgres://app:" + LETTERS + "@db.test/orders",
}


@pytest.mark.parametrize(("kind", "secret"), SECRETS.items())
@pytest.mark.parametrize("name", ["environments", "team", "waivers", "attestations"])
def test_a_credential_in_any_file_is_refused_by_its_kind(folder: Folder, kind: str, secret: str, name: str) -> None:
    told = folder.mistakes({name: f"service: '{secret}'\n"})

    assert f"{name}.yaml:1:10: service: {kind} stands in the file" in "\n".join(told)
    assert LETTERS[:16] not in "\n".join(told)
    assert secret not in "\n".join(told)


def test_a_credential_in_a_comment_is_refused(folder: Folder) -> None:
    told = folder.mistakes({"environments": SMALLEST + f"    # old token: {SECRETS['a Vault token']}\n"})

    assert told == [f"environments.yaml:5:5: a Vault token {STANDS_IN_FILE}"]


def test_a_credential_as_a_key_is_refused_and_masked(folder: Folder) -> None:
    told = "\n".join(folder.mistakes({"environments": SMALLEST + f"    {SECRETS['a GitHub token']}: a\n"}))

    assert "a GitHub token stands in the file" in told
    assert 'production["***"]' in told or "production.***" in told
    assert LETTERS not in told


def test_a_credential_as_the_default_of_a_variable_is_refused(folder: Folder) -> None:
    text = SMALLEST + f"    aws: {{account_id: '${{A:-{SECRETS['an AWS access key']}}}', regions: [eu-west-1]}}\n"

    assert folder.mistakes({"environments": text}) == [
        f"environments.yaml:5:23: production.aws.account_id: an AWS access key {STANDS_IN_FILE}"
    ]


def test_a_password_in_a_url_may_be_a_variable(folder: Folder) -> None:
    assert secret_shape("postgres://app:${PASSWORD}@db.test/orders") == ""
    assert secret_shape("postgres://app:" + "${PASSWORD}x@db.test/orders") == "a password in a URL"


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:secretsmanager:eu-central-1:111122223333:secret:quub-AbCdEf",
        "https://orders.example.com:8443/path?time=10:30@noon",
        "quub_live_",
        "production/quub/credentials",
        "hvs",
        "sha256:" + "0f" * 32,
        "security.api-keys.production-keys-generated",
    ],
)
def test_what_is_no_credential_is_taken_for_none(text: str) -> None:
    assert secret_shape(text) == ""
    assert cleaned(text) == text


def test_the_value_of_a_variable_never_stands_in_a_message(folder: Folder) -> None:
    text = SMALLEST + (
        '    aws: {account_id: "${A}", regions: ["x${A}"], role_arn: "${A}", endpoint_url: "http://${A}"}\n'
        '    endpoints: [{name: "${A}", url: "${A}", paths: ["${A}"], connect_to: "${A}", audience: "${A}"}]\n'
        '    quub: {secrets: [{store: "${A}", name: "${A}"}], egress: ["${A}"]}\n'
        '    vault: {address: "${A}", token: "${A}"}\n'
    )

    told = folder.mistakes({"environments": text}, environ={"A": "not for anybody's eyes"})

    assert len(told) >= 10
    assert "not for" not in "\n".join(told)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(list(places(EXAMPLE))),
    kind=st.sampled_from(sorted(SECRETS)),
    around=st.tuples(st.text(string.printable, max_size=5), st.text(string.printable, max_size=5)),
)
def test_a_credential_anywhere_is_refused_and_comes_out_of_no_message(
    folder: Folder, place: tuple[Any, ...], kind: str, around: tuple[str, str]
) -> None:
    secret = SECRETS[kind]
    before, after = f"{around[0]} ", f" {around[1]}"

    folder.write(environments=json.dumps(put(EXAMPLE, place, f"{before}{secret}{after}")))
    with pytest.raises(Mendable) as refused:
        folder.load()

    assert secret not in str(refused.value)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=st.text(string.ascii_letters + string.digits + "-_:/$.{}", min_size=6))
def test_any_text_as_a_token_is_refused_and_comes_out_of_no_message(folder: Folder, token: str) -> None:
    place = ("environments", "production", "vault", 0, "token")
    assert at(EXAMPLE, place) == "${VAULT_TOKEN}"

    folder.write(environments=json.dumps(put(EXAMPLE, place, f"Zq{token}")))
    with pytest.raises(ConfigurationError) as refused:
        folder.load(environ={"VAULT_TOKEN": "x"})

    assert f"Zq{token}" not in str(refused.value)
