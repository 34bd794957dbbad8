"""JSON Web Tokens, read with distrust: what they say, and whether a published key signed it (RFC 7515, 7519, 8725).

Signatures are those of asymmetric algorithms, verified by joserfc with the keys of the issuer's JWKS. Nothing here asks
anybody, and nothing raises for what a token holds: a `Token` says in `problem` what is wrong with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from quub_audit.facts.identity import Token

Use = Literal["access", "id", "refresh"]
Kind = Literal["user", "client", "unknown"]

LONGEST_TOKEN = 64 * 1024
"""Characters. No server takes a header of that length."""

MAX_KEYS = 100
"""Keys of a JWKS that are tried."""

LEAST_RSA_BITS = 2048

ASYMMETRIC = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "ES256K",
    "EdDSA",
    "Ed25519",
    "Ed448",
)
_HMACS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_LATEST_S = 253_402_300_799
"""The end of the year 9999: later moments are no dates."""

_PRIVATE_PARTS = ("d", "p", "q", "dp", "dq", "qi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who should have issued the tokens, and with which keys."""

    name: str
    """As in `iss`; empty when none is declared."""
    keys: tuple[Mapping[str, Any], ...] = ()
    """JWKs, as served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


class _NoToken(Exception):
    """Why a text cannot be read as a signed token."""


def read_token(text: str, *, use: Use, issuer: Issuer, expires_in: object = None, kind: Kind = "unknown") -> Token:
    """What a token says of itself. `expires_in` is that of the token answer; `kind` what the grant makes certain.

    A refresh token is not verified: only the issuer reads it.
    """
    told_s = _seconds(expires_in)
    if len(text) > LONGEST_TOKEN:
        return Token(use=use, is_jwt=False, lifetime_s=told_s, problem=f"is longer than {LONGEST_TOKEN} characters")
    pieces = text.split(".")
    header = _object(pieces[0]) if len(pieces) in (3, 5) else None
    if header is None:
        return Token(use=use, is_jwt=False, lifetime_s=told_s, subject_kind=kind)
    algorithm = _word(header.get("alg"))
    try:
        parts = _read(pieces, header)
    except _NoToken as problem:
        return Token(
            use=use,
            is_jwt=False,
            algorithm=algorithm,
            lifetime_s=told_s if len(pieces) == 5 else None,
            subject_kind=kind,
            problem=str(problem),
        )
    return _judge_free(parts, text, use=use, algorithm=algorithm, issuer=issuer, told_s=told_s, kind=kind)


def parts_to_strike(text: str) -> Iterator[str]:
    """A token and those of its parts that are secret or personal by themselves."""
    yield text
    pieces = text.split(".")
    if len(pieces) >= 3:
        yield from (piece for piece in pieces[1:] if len(piece) >= 16)


def _gives_away(keys: Sequence[Mapping[str, Any]]) -> str:
    """What a JWKS must never publish and does; empty where it does not."""
    if any(key.get("kty") == "oct" for key in keys):
        return "the JWKS publishes a symmetric key, with which anybody can sign"
    if any(isinstance(key.get(part), str) for key in keys for part in _PRIVATE_PARTS):
        return "the JWKS publishes a private key, with which anybody can sign"
    return ""


def _judge_free(
    parts: _Parts, text: str, *, use: Use, algorithm: str, issuer: Issuer, told_s: int | None, kind: Kind
) -> Token:
    """The fields of a token that can be read."""
    issued, expires = (_moment(parts.claims.get(name)) for name in ("iat", "exp"))
    lifetime: int | None = None
    if expires is not None:
        lifetime = math.ceil(round(expires - issued, 3)) if issued is not None else told_s
    is_confused = _is_confused(parts, algorithm, issuer.keys)
    named = _word(parts.claims.get("iss"), 200)
    is_unsigned = algorithm.lower() in ("", "none")
    problem = "; ".join(
        filter(
            None,
            (
                *(_time_problem(parts.claims, name) for name in ("iat", "exp", "nbf")),
                _signature_problem(text, parts, algorithm, issuer, named, is_confused=is_confused)
                if use != "refresh"
                else "",
            ),
        )
    )
    return Token(
        use=use,
        is_jwt=True,
        algorithm=algorithm,
        issuer=named,
        subject_kind=kind if kind != "unknown" else _kind(parts.claims),
        issued_at=_as_time(issued),
        expires_at=_as_time(expires),
        lifetime_s=lifetime,
        is_verified=use != "refresh" and not problem,
        problem=problem,
        is_confused=is_confused,
        is_forgeable=use != "refresh" and (is_unsigned or is_confused or _gives_away(issuer.keys) != ""),
    )


# How a token is read


def _read(pieces: Sequence[str], header: Mapping[str, Any]) -> _Parts:
    if len(pieces) == 5:
        raise _NoToken("is encrypted (JWE), so its claims cannot be read")
    if str(header.get("cty", "")).upper() == "JWT":
        raise _NoToken("holds another token (nested), whose claims were not read")
    claims = _object(pieces[1])
    if claims is None:
        raise _NoToken("has a payload that is no JSON object")
    signature = _decoded(pieces[2])
    if signature is None:
        raise _NoToken("has a signature that is no base64url")
    return _Parts(header=header, claims=claims, signed=f"{pieces[0]}.{pieces[1]}".encode(), signature=signature)


def _decoded(piece: str) -> bytes | None:
    if not re.fullmatch(r"[A-Za-z0-9_-]*", piece):
        return None
    try:
        return base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))
    except (ValueError, binascii.Error):
        return None


def _object(piece: str) -> Mapping[str, Any] | None:
    raw = _decoded(piece)
    if raw is None:
        return None
    try:
        found = json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7519, section 4: two claims of a name must be refused, or else readers differ on which counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice")
    return made


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _moment(value: object) -> float | None:
    """A NumericDate (RFC 7519, section 2): seconds since 1970, fractions allowed."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not (isinstance(value, int) or math.isfinite(value)):  # type: ignore[arg-type]
        return None
    return float(value) if 0 <= value <= _LATEST_S else None  # type: ignore[operator, arg-type]


def _as_time(moment: float | None) -> datetime | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC)


def _time_problem(claims: Mapping[str, Any], name: str) -> str:
    if name in claims and _moment(claims[name]) is None:
        return f"its {name} is no moment in seconds"
    return ""


def _seconds(value: object) -> int | None:
    """`expires_in`; some servers write it as a text."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LATEST_S:
        return None
    return math.ceil(value)


def _kind(claims: Mapping[str, Any]) -> Kind:
    """Whom a token speaks for, by the marks that issuers set for clients (RFC 9068, Keycloak, Auth0, Cognito)."""
    subject = claims.get("sub")
    client = claims.get("client_id") or claims.get("azp")
    is_client = (
        (subject is not None and subject == client)
        or str(claims.get("preferred_username", "")).startswith("service-account-")
        or claims.get("gty") == "client-credentials"
    )
    if is_client:
        return "client"
    return "user" if subject is not None else "unknown"


def _word(value: object, longest: int = 20) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else "?" for c in text)[:longest]


# Who signed it


def _signature_problem(
    text: str, parts: _Parts, algorithm: str, issuer: Issuer, named: str, *, is_confused: bool
) -> str:
    if algorithm.lower() in ("", "none"):
        return "carries no signature (alg none)"
    if is_confused:
        return f"is signed by {algorithm} with a public key as the secret: anybody can sign so"
    if algorithm in _HMACS:
        return f"is signed by {algorithm}, with a secret that the JWKS does not publish"
    if algorithm not in ASYMMETRIC:
        return "names no asymmetric algorithm that is known"
    if not issuer.name:
        return "cannot be verified, because no issuer is declared"
    if named != issuer.name:
        return "names another issuer than the declared one"
    flaw = _gives_away(issuer.keys)
    if flaw:
        return flaw
    if any(_is_weak(key) for key in issuer.keys):
        return f"cannot be verified, because the JWKS publishes an RSA key of fewer than {LEAST_RSA_BITS} bits"
    if not any(_is_signed_by(key, text, algorithm) for key in _candidates(parts.header, issuer.keys)):
        return "is signed by no key of the issuer's JWKS"
    return ""


def _candidates(header: Mapping[str, Any], keys: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The keys that the token names, or all where it names none."""
    wanted = header.get("kid")
    signing = [key for key in keys[:MAX_KEYS] if key.get("use", "sig") == "sig"]
    return signing if wanted is None else [key for key in signing if key.get("kid") == wanted]


def _is_signed_by(key: Mapping[str, Any], text: str, algorithm: str) -> bool:
    from joserfc import jws
    from joserfc.errors import JoseError

    public = _public_key(key)
    if public is None or algorithm not in jws.JWSRegistry.algorithms:
        return False

    class Registry(jws.JWSRegistry):
        """The one algorithm of the token; its own would warn of EdDSA by that name (RFC 9864), which is in wide use."""

        max_header_length = max_payload_length = LONGEST_TOKEN  # a chain in x5c is longer than usual

        def get_alg(self, name: str) -> Any:
            return self.algorithms[algorithm]

    try:
        jws.deserialize_compact(text, public, registry=Registry(algorithms=[algorithm], strict_check_header=False))
    except (JoseError, ValueError, TypeError, KeyError):  # a header may hold anything
        return False
    return True


def _public_key(key: Mapping[str, Any]) -> Any:
    """The public half of a JWK, or None where it cannot be read, is no key to verify with, or is too weak to try."""
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    if key.get("kty") not in ("RSA", "EC", "OKP") or _is_weak(key):
        return None
    try:
        return import_key({name: value for name, value in key.items() if name not in _PRIVATE_PARTS})
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):  # a JWK may hold anything
        return None


def _is_weak(key: Mapping[str, Any]) -> bool:
    """An RSA key below what RFC 7518, section 3.3, demands."""
    modulus = key.get("n")
    raw = _decoded(modulus) if key.get("kty") == "RSA" and isinstance(modulus, str) else None
    return raw is not None and int.from_bytes(raw, "big").bit_length() < LEAST_RSA_BITS


def _is_confused(parts: _Parts, algorithm: str, keys: Sequence[Mapping[str, Any]]) -> bool:
    """Whether HMAC verifies with the bytes of a public key, in any form in which programs keep one."""
    digest = _HMACS.get(algorithm)
    if digest is None:
        return False
    return any(
        hmac.compare_digest(hmac.new(secret, parts.signed, digest).digest(), parts.signature)
        for key in keys[:MAX_KEYS]
        for secret in _public_bytes(key)
    )


def _public_bytes(key: Mapping[str, Any]) -> Iterator[bytes]:
    for spaces in ((",", ":"), (", ", ": ")):
        yield json.dumps(key, separators=spaces).encode()
        yield json.dumps(key, separators=spaces, sort_keys=True).encode()
    for certificate in _certificates(key):
        yield from _certificate_forms(certificate)
    for name in ("n", "x"):
        text = key.get(name)
        if isinstance(text, str):
            yield text.encode("utf-8", "replace")
            yield _decoded(text) or b""
    public = _public_key(key)
    if public is not None:
        yield from _serialised(public.public_key)


def _serialised(public: Any) -> Iterator[bytes]:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    formats = [PublicFormat.SubjectPublicKeyInfo]
    if isinstance(public, RSAPublicKey):
        formats.append(PublicFormat.PKCS1)
    for form in formats:
        yield public.public_bytes(Encoding.DER, form)
        pem: bytes = public.public_bytes(Encoding.PEM, form)
        yield from (pem, pem.rstrip(b"\n"), pem.replace(b"\n", b"\r\n"))


def _certificates(key: Mapping[str, Any]) -> list[str]:
    chain = key.get("x5c")
    return [each for each in chain[:3] if isinstance(each, str)] if isinstance(chain, list) else []


def _certificate_forms(text: str) -> Iterator[bytes]:
    """A certificate as the JWKS has it, in DER, and in PEM of 64 characters a line."""
    yield text.encode("utf-8", "replace")
    try:
        der = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return
    yield der
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    pem = f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----"
    yield from (pem.encode(), f"{pem}\n".encode())
