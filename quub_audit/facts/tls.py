"""What a TLS server accepts and shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Protocol = Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
"""As OpenSSL spells them, oldest first."""

OLDEST_FIRST: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate as the server sent it."""

    subject: str
    """RFC 4514 text."""
    issuer: str
    not_before: datetime
    not_after: datetime
    """Aware, UTC."""
    key: Literal["RSA", "EC", "Ed25519", "Ed448", "DSA", "other"]
    key_bits: int
    signature_hash: str
    """`sha256`, `sha1`; empty for algorithms that have none of their own (Ed25519)."""
    sha256: str
    """Of the certificate in DER, lower-case hexadecimal."""
    spki_sha256: str
    """Of its SubjectPublicKeyInfo, base64: the pin of RFC 7469."""
    is_authority: bool = False
    names: tuple[str, ...] = ()
    """DNS names and addresses of the subjectAltName."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A chain that the server offers: most offer one, some another by key type."""

    chain: tuple[Certificate, ...]
    """As received, the leaf first; never empty."""
    is_trusted: bool
    """By the given `ca_file`, or, without one, by the public roots."""
    distrust: str = ""
    """Why it is not trusted, in the verifier's words."""
    matches_name: bool = True
    has_valid_order: bool = True
    has_sha1: bool = False
    """A SHA-1 signature in the verified chain, the root's own left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsScan:
    """One scan of one address under one name. Every protocol is in exactly one of the three groups."""

    address: str
    server_name: str
    accepted: tuple[tuple[Protocol, tuple[str, ...]], ...]
    """Protocols with which a handshake was completed, oldest first, each with the suites accepted (IANA names)."""
    refused: tuple[Protocol, ...]
    """Protocols that the server itself refused, decisively."""
    undecided: tuple[tuple[Protocol, str], ...] = ()
    """Protocols that could not be tried, and why."""
    deployments: tuple[Deployment, ...] = ()
    tool: str = ""
    """`sslyze 6.3.1`."""

    @property
    def accepted_protocols(self) -> tuple[Protocol, ...]:
        """Oldest first."""
        return tuple(protocol for protocol, _ in self.accepted)
