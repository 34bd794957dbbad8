"""Tokens as attackers and mistakes make them; nothing in one may raise, and none of it is believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from quub_audit.connectors.identity_tokens import LONGEST_TOKEN, Issuer, read_token
from quub_audit.facts.identity import Token

ISSUER = "https://login.shop.example"
NOW = 1_795_500_000

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}, private=True)
EC = ECKey.generate_key("P-256", {"kid": "ec"}, private=True)
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"}, private=True)
KEYS = tuple(key.as_dict(private=False) for key in (RSA, EC, ED))
LOGIN = Issuer(name=ISSUER, keys=KEYS)


def claims(**changes: Any) -> dict[str, Any]:
    made = {"iss": ISSUER, "sub": "4711", "iat": NOW, "exp": NOW + 600, **changes}
    return {name: value for name, value in made.items() if value is not ...}


def signed(key: Any = RSA, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    return jwt.encode(
        {"alg": algorithm, "kid": key.kid, **(header or {})}, claims(**changes), key, algorithms=[algorithm]
    )


def with_payload(payload: object, tail: str = "x", **header: str) -> str:
    return f"{part({'alg': 'RS256', **header})}.{part(payload)}.{tail}"


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unsigned(header: object, payload: object, signature: bytes = b"x" * 32) -> str:
    return f"{part(header)}.{part(payload)}.{part(signature)}"


def access(text: str, issuer: Issuer = LOGIN, **more: Any) -> Token:
    return read_token(text, use="access", issuer=issuer, **more)


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS512"), (EC, "ES256"), (ED, "Ed25519")])
def test_a_token_that_a_published_key_signed_is_verified(key: Any, algorithm: str) -> None:
    token = access(signed(key, algorithm))

    assert (token.is_verified, token.problem, token.algorithm) == (True, "", algorithm)
    assert (token.lifetime_s, token.issuer, token.subject_kind) == (600, ISSUER, "user")
    assert token.issued_at is not None
    assert token.issued_at.timestamp() == NOW


def test_a_token_signed_under_the_older_name_of_ed25519_is_verified() -> None:
    start = f"{part({'alg': 'EdDSA', 'kid': 'ed'})}.{part(claims())}"

    private: Any = ED.private_key
    token = access(f"{start}.{part(private.sign(start.encode()))}")

    assert (token.is_verified, token.algorithm) == (True, "EdDSA")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (unsigned({"alg": "none"}, claims(), b""), "carries no signature (alg none)"),
        (unsigned({"alg": "nOnE"}, claims(), b""), "carries no signature (alg none)"),
        (unsigned({"typ": "JWT"}, claims()), "carries no signature (alg none)"),
        (unsigned({"alg": 5}, claims()), "carries no signature (alg none)"),
        (unsigned({"alg": "HS256"}, claims()), "is signed by HS256, with a secret that the JWKS does not publish"),
        (unsigned({"alg": "XS256"}, claims()), "names no asymmetric algorithm that is known"),
        (unsigned({"alg": "RS256", "kid": "rsa"}, claims()), "is signed by no key of the issuer's JWKS"),
        (unsigned({"alg": "RS256", "kid": ["rsa"]}, claims()), "is signed by no key of the issuer's JWKS"),
        (signed(header={"kid": "ec"}), "is signed by no key of the issuer's JWKS"),
        (signed(iss="https://evil.example"), "names another issuer than the declared one"),
        (signed(iss=...), "names another issuer than the declared one"),
    ],
)
def test_a_token_that_is_not_verified_says_why(text: str, problem: str) -> None:
    token = access(text)

    assert (token.is_jwt, token.is_verified, token.problem) == (True, False, problem)
    assert token.is_forgeable is ("no signature" in problem)


def test_a_token_with_a_critical_header_that_nobody_knows_is_not_verified() -> None:
    text = unsigned({"alg": "RS256", "kid": "rsa", "crit": ["x-shop"], "x-shop": 1}, claims())

    assert access(text).problem == "is signed by no key of the issuer's JWKS"


def test_a_token_without_a_declared_issuer_cannot_be_verified() -> None:
    assert access(signed(), Issuer(name="")).problem == "cannot be verified, because no issuer is declared"


PEM = RSA.as_pem(private=False)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(PEM, id="pem"),
        pytest.param(PEM.strip(), id="pem-without-newline"),
        pytest.param(RSA.as_der(private=False), id="der"),
        pytest.param(json.dumps(KEYS[0], separators=(",", ":")).encode(), id="jwk"),
        pytest.param(str(KEYS[0]["n"]).encode(), id="modulus"),
        pytest.param(EC.as_pem(private=False), id="pem-of-another-key"),
    ],
)
@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_hmac_with_a_public_key_as_the_secret_is_confusion(secret: bytes, algorithm: str) -> None:
    start = f"{part({'alg': algorithm})}.{part(claims())}"
    digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}[algorithm]
    token = access(f"{start}.{part(hmac.new(secret, start.encode(), digest).digest())}")

    assert (token.is_confused, token.is_forgeable, token.is_verified) == (True, True, False)
    assert "anybody can sign" in token.problem


@pytest.mark.parametrize(
    ("keys", "flaw"),
    [
        ((OctKey.generate_key(256).as_dict(private=True),), "publishes a symmetric key"),
        ((RSA.as_dict(private=True),), "publishes a private key"),
        (({"kty": "RSA", "kid": "rsa", "n": part(b"\xff" * 128), "e": "AQAB"},), "an RSA key of fewer than 2048 bits"),
    ],
)
def test_a_jwks_that_gives_away_how_to_sign_verifies_nothing(keys: Any, flaw: str) -> None:
    token = access(signed(), Issuer(name=ISSUER, keys=keys))

    assert not token.is_verified
    assert flaw in token.problem
    assert token.is_forgeable is ("fewer" not in flaw)


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"kty": "RSA"},
        {"kty": "RSA", "n": 5, "e": []},
        {"kty": "EC", "crv": "P-256", "x": "!", "y": "?"},
        {"kty": ["RSA"]},
        {"kty": "RSA", "n": part(b"\xff" * 256), "e": "!"},
    ],
)
def test_a_key_that_cannot_be_read_signs_nothing(key: dict[str, Any]) -> None:
    token = access(signed(), Issuer(name=ISSUER, keys=({**key, "kid": "rsa"},)))
    confused = access(unsigned({"alg": "HS256"}, claims()), Issuer(name=ISSUER, keys=(key,)))

    assert token.problem == "is signed by no key of the issuer's JWKS"
    assert not confused.is_confused


@pytest.mark.parametrize(
    ("changes", "lifetime", "problem"),
    [
        ({"exp": NOW + 3600.5}, 3601, ""),
        ({"iat": NOW + 0.25, "exp": NOW + 3600.25}, 3600, ""),
        ({"exp": NOW - 60}, -60, ""),
        ({"exp": ...}, None, ""),
        ({"exp": str(NOW + 600)}, None, "its exp is no moment in seconds"),
        ({"exp": True}, None, "its exp is no moment in seconds"),
        ({"exp": -1}, None, "its exp is no moment in seconds"),
        ({"exp": 10**40}, None, "its exp is no moment in seconds"),
        ({"exp": (NOW + 600) * 1000}, None, "its exp is no moment in seconds"),
        ({"exp": None}, None, "its exp is no moment in seconds"),
        ({"iat": [NOW]}, None, "its iat is no moment in seconds"),
        ({"iat": ...}, None, ""),
        ({"nbf": "soon"}, 600, "its nbf is no moment in seconds"),
    ],
)
def test_the_lifetime_is_from_iat_to_exp_rounded_up_and_nothing_else(
    changes: dict[str, Any], lifetime: int | None, problem: str
) -> None:
    token = access(signed(**changes))

    assert (token.lifetime_s, token.problem) == (lifetime, problem)
    assert token.is_verified is not bool(problem)


def test_what_the_answer_says_counts_only_where_the_token_has_an_end_and_no_beginning() -> None:
    assert access(signed(iat=...), expires_in=300).lifetime_s == 300
    assert access(signed(), expires_in=300).lifetime_s == 600
    assert access(signed(exp=...), expires_in=300).lifetime_s is None


@pytest.mark.parametrize(
    ("told", "lifetime"),
    [
        (300, 300),
        ("300", 300),
        (299.5, 300),
        (-5, -5),
        (True, None),
        ("5 min", None),
        (float("nan"), None),
        (None, None),
        ([], None),
        (10**400, None),
    ],
)
def test_an_opaque_token_lives_as_long_as_its_answer_says(told: object, lifetime: int | None) -> None:
    token = access("2YotnFZFEjr1zCsicMWpAA", expires_in=told)

    assert (token.is_jwt, token.lifetime_s, token.problem) == (False, lifetime, "")


@pytest.mark.parametrize(
    ("text", "is_jwt", "problem"),
    [
        ("a.b.c", False, ""),
        ("...", False, ""),
        ("..", False, ""),
        ("", False, ""),
        (f"{part([1])}.{part({})}.x", False, ""),
        (with_payload(b"not json"), False, "has a payload that is no JSON object"),
        (with_payload([1]), False, "has a payload that is no JSON object"),
        (with_payload(b"[" * 40_000), False, "has a payload that is no JSON object"),
        (with_payload(b'{"exp":NaN}'), False, "has a payload that is no JSON object"),
        (with_payload(b'{"exp":1,"exp":2}'), False, "has a payload that is no JSON object"),
        (with_payload({}, "!"), False, "has a signature that is no base64url"),
        (with_payload({}, cty="JWT"), False, "holds another token (nested), whose claims were not read"),
        (with_payload({}, "b.c.d", enc="A256GCM"), False, "is encrypted (JWE), so its claims cannot be read"),
        ("x" * (LONGEST_TOKEN + 1), False, f"is longer than {LONGEST_TOKEN} characters"),
    ],
)
def test_what_is_no_signed_token_says_what_it_is(text: str, is_jwt: bool, problem: str) -> None:
    token = access(text)

    assert (token.is_jwt, token.problem, token.is_verified, token.lifetime_s) == (is_jwt, problem, False, None)


def test_words_of_a_token_come_short_and_without_control_characters() -> None:
    token = access(unsigned({"alg": "RS\x1b[31m" + "9" * 500}, claims(iss="https://\x00evil\n" * 100)))

    assert token.algorithm.isprintable()
    assert len(token.algorithm) == 20
    assert token.issuer.isprintable()
    assert len(token.issuer) == 200


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"client_id": "4711"}, "client"),
        ({"azp": "spa"}, "user"),
        ({"preferred_username": "service-account-batch", "azp": "batch"}, "client"),
        ({"gty": "client-credentials"}, "client"),
        ({"sub": ...}, "unknown"),
    ],
)
def test_whom_a_token_speaks_for_is_told_by_its_claims(changes: dict[str, Any], kind: str) -> None:
    assert access(signed(**changes)).subject_kind == kind


def test_a_refresh_token_is_read_and_not_verified() -> None:
    token = read_token(unsigned({"alg": "HS512"}, claims(exp=NOW + 1800)), use="refresh", issuer=LOGIN)

    assert (token.lifetime_s, token.is_verified, token.problem) == (1800, False, "")


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["exp", "iat", "alg", "a"]), inner),
    max_leaves=8,
)


@given(header=json_values, payload=json_values, signature=st.binary(max_size=64))
def test_whatever_a_token_holds_it_is_read_without_an_error_and_never_verified(
    header: Any, payload: Any, signature: bytes
) -> None:
    token = access(unsigned(header, payload, signature))

    assert not token.is_verified
    assert not token.is_confused


@given(text=st.text(alphabet=".eyJA-_=\x00ü", max_size=60))
def test_whatever_text_a_token_is_it_is_read_without_an_error(text: str) -> None:
    assert not access(text).is_verified


def test_the_keys_of_a_set_are_tried_each_where_the_token_names_none() -> None:
    import_: Callable[[Any], Any] = KeySet.import_key_set
    assert import_({"keys": [dict(key) for key in KEYS]})
    text = jwt.encode({"alg": "ES256"}, claims(), EC, algorithms=["ES256"])

    assert access(text).is_verified
