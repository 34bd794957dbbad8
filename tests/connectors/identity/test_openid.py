"""A certified OpenID provider that is not Keycloak: its tokens, and its refresh tokens used twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quub_audit.connectors.identity import IdentityConnector
from quub_audit.errors import Denied, Malformed
from quub_audit.facts.seal import Redactor
from tests.worlds.oidc import PASSWORD, SECRET, missing_tools, openid_provider

Connect = Callable[..., IdentityConnector]

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing_tools()), reason=f"no OpenID provider to test against: {missing_tools()}"),
]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_client_is_given_its_token_however_it_must_authenticate(
    connect: Connect, tmp_path: Path, method: str
) -> None:
    with openid_provider(tmp_path, access_token_s=900, auth_method=method) as world:
        found = connect().tokens(world.provider())

    assert found is not None
    assert not found.has_refresh
    assert [(token.use, token.is_jwt, token.lifetime_s, token.is_verified) for token in found.tokens] == [
        ("access", True, 900, True)
    ]
    assert found.tokens[0].subject_kind == "client"
    assert found.tokens[0].issuer == world.issuer


def test_the_lifetime_of_an_opaque_token_is_what_its_answer_says(connect: Connect, tmp_path: Path) -> None:
    with openid_provider(tmp_path, access_token_s=7200, is_jwt=False) as world:
        found = connect().tokens(world.provider(grant="password"))

    assert found is not None
    assert [(token.use, token.is_jwt, token.lifetime_s) for token in found.tokens] == [
        ("access", False, 7200),
        ("refresh", False, None),
    ]


def test_a_rotating_refresh_token_is_refused_at_its_second_use_and_takes_the_newer_one_with_it(
    connect: Connect, tmp_path: Path
) -> None:
    with openid_provider(tmp_path) as world:
        found = connect().refresh_twice(world.provider(grant="password"), wait_s=0.3)

    assert found is not None
    assert (found.is_rotated, found.is_reuse_refused, found.reuse_error) == (True, True, "invalid_grant")
    assert found.is_family_revoked is True


def test_a_static_refresh_token_is_used_again_without_a_wait(connect: Connect, tmp_path: Path) -> None:
    with openid_provider(tmp_path, is_rotating=False) as world:
        found = connect().refresh_twice(world.provider(grant="password"), wait_s=30)

    assert found is not None
    assert (found.is_rotated, found.is_reuse_refused, found.waited_s) == (False, False, 0.0)
    assert found.is_family_revoked is None


def test_a_token_given_by_the_environment_is_verified_without_asking_for_one(
    connect: Connect, redactor: Redactor, tmp_path: Path
) -> None:
    with openid_provider(tmp_path) as world:
        token = _token(world.issuer)
        found = connect(allow_active=False).tokens(world.provider(access_token=token))

    assert found is not None
    assert found.origin == "given"
    assert [(each.use, each.is_verified, each.problem) for each in found.tokens] == [("access", True, "")]
    assert redactor.clean(token.split(".")[1]) == "[redacted]"


def test_a_token_of_another_issuer_is_not_verified(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with openid_provider(tmp_path) as world, openid_provider(tmp_path / "other") as other:
        found = connect().tokens(world.provider(access_token=_token(other.issuer)))

    assert found is not None
    assert found.tokens[0].problem == "names another issuer than the declared one"


def test_metadata_that_names_another_issuer_is_not_used(connect: Connect, tmp_path: Path) -> None:
    with openid_provider(tmp_path) as world, pytest.raises(Malformed, match="is that of 'http://127") as raised:
        connect().tokens(world.provider(issuer=world.issuer.replace("127.0.0.1", "localhost")))

    assert SECRET not in str(vars(raised.value))


def test_a_refused_client_is_denied_with_the_code_of_the_provider(connect: Connect, tmp_path: Path) -> None:
    with openid_provider(tmp_path) as world:
        provider = world.provider(grant="password")
        client = provider.test_client
        assert client is not None
        wrong = world.provider(
            test_client=type(client)(client_id="orders", client_secret="nobody-knows-this-one", scope="orders")
        )
        with pytest.raises(Denied, match="gave orders no token for the grant client_credentials: invalid_client"):
            connect().tokens(wrong)

    assert client.password == PASSWORD


def _token(issuer: str) -> str:
    """As a pipeline would fetch one before the audit."""
    import base64
    import json
    import urllib.request

    pair = base64.b64encode(f"orders:{SECRET}".encode()).decode()
    request = urllib.request.Request(f"{issuer}/token", data=b"grant_type=client_credentials&scope=orders")
    request.add_header("Authorization", f"Basic {pair}")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        token: str = json.load(answer)["access_token"]
    return token
