"""A certificate authority of one's own, for servers on loopback: sound certificates, and every way to be unsound."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

KeyKind = Literal["ec-256", "rsa-1024", "rsa-2048", "rsa-3072"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a server needs to prove its name."""

    chain_pem: bytes
    """The leaf first, then the intermediate unless it was left out; never the root."""
    key_pem: bytes
    """PKCS #8, not encrypted."""
    spki_sha256: str
    """Of the leaf's public key, base64: the pin of RFC 7469."""

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """`name.pem` and `name.key` (mode 600) in `folder`, which must exist."""
        chain, key = folder / f"{name}.pem", folder / f"{name}.key"
        chain.write_bytes(self.chain_pem)
        key.touch(mode=0o600)
        key.write_bytes(self.key_pem)
        return chain, key


class Authority:
    """A root and one intermediate, valid for a day before and ten years after `at` (now by default)."""

    def __init__(self, name: str = "quub-audit demo authority", *, at: datetime | None = None) -> None:
        self._at = at or datetime.now(UTC)
        begin, end = self._at - timedelta(days=1), self._at + timedelta(days=3650)
        self._root_key = _make_key("ec-256")
        self._root = _sign(
            f"{name} root", self._root_key, None, self._root_key, begin=begin, end=end, is_authority=True
        )
        self._middle_key = _make_key("ec-256")
        self._middle = _sign(
            f"{name} intermediate",
            self._middle_key,
            self._root,
            self._root_key,
            begin=begin,
            end=end,
            is_authority=True,
        )
        self.ca_pem: bytes = _pem(self._root)
        self.issuer_pin: str = _pin(self._middle_key)
        """SHA-256 of the public key (SPKI) that signs the leaves, base64: what outlives their renewal."""

    def write_ca(self, folder: Path) -> Path:
        """`ca.pem` in `folder`: the root that clients should trust."""
        path = folder / "ca.pem"
        path.write_bytes(self.ca_pem)
        return path

    def issue(
        self,
        *names: str,
        begins_in: timedelta = timedelta(hours=-1),
        ends_in: timedelta = timedelta(days=90),
        key: KeyKind = "ec-256",
        is_chain_complete: bool = True,
        is_self_signed: bool = False,
    ) -> Identity:
        """A certificate for DNS names and IP addresses; times count from the authority's own `at`.

        Without `is_chain_complete` the intermediate is left out, as on a server whose set-up forgot it.
        """
        leaf_key = _make_key(key)
        issuer, issuer_key = (None, leaf_key) if is_self_signed else (self._middle, self._middle_key)
        leaf = _sign(
            names[0],
            leaf_key,
            issuer,
            issuer_key,
            begin=self._at + begins_in,
            end=self._at + ends_in,
            names=names,
        )
        sends_middle = is_chain_complete and not is_self_signed
        return Identity(
            chain_pem=_pem(leaf) + (_pem(self._middle) if sends_middle else b""),
            key_pem=_key_pem(leaf_key),
            spki_sha256=_pin(leaf_key),
        )


def make_pin(seed: str) -> str:
    """A pin that belongs to no key, for a backup that is still in a safe."""
    return base64.b64encode(hashlib.sha256(seed.encode()).digest()).decode()


def _make_key(kind: KeyKind) -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind == "ec-256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa-")))


def _sign(
    common_name: str,
    key: PrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: PrivateKey,
    *,
    begin: datetime,
    end: datetime,
    is_authority: bool = False,
    names: Sequence[str] = (),
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(_usage(is_authority=is_authority), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: PrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pin(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()
