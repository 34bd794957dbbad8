"""What sslyze reported, as facts. Its JSON is taken as coming from the server: every part of it is checked.

https://nabla-c0d3.github.io/sslyze/documentation/json-output.html describes it; tried with versions 6.2 and 6.3.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

from quub_audit.connectors.names import as_literal, join_host_port
from quub_audit.errors import Malformed, NotTls, Reportable, Unreachable
from quub_audit.facts.tls import OLDEST_FIRST, Certificate, Deployment, Protocol, TlsScan

if TYPE_CHECKING:
    from cryptography import x509

CA_STORE = "Supplied CA file"
"""What sslyze calls the roots that it was given."""

PUBLIC_STORE = "Mozilla"
"""The public roots that are judged by: one list, the same on every machine."""

VERSION_REFUSED = (
    "TLS alert: protocol version",
    "TLS error: wrong version number",
    "TLS error: wrong SSL version",
    "unsupported protocol",
)
"""The server named another version, or none: one such answer stands for the protocol with every suite."""

SUITE_REFUSED = (
    *VERSION_REFUSED,
    "TLS alert: handshake failure",
    "TLS error: insufficient security",
    "TLS error: peer error no cipher",
)
"""The server itself refused one suite; a protocol is refused when each of its suites is."""

ENDED = (
    "Server closed the connection during the TLS handshake",
    "Server interrupted the TLS handshake",
    "Server rejected the connection",
)
"""The connection ended without an alert: a refusal, an overload and a device in between all look like this."""

_NO_ISSUER = "all candidates exhausted with no interior errors"

Words = Annotated[str, Field(max_length=100_000)]


class _Suite(BaseModel):
    name: Annotated[str, Field(max_length=200)]


class _Accepted(BaseModel):
    cipher_suite: _Suite


class _Rejected(BaseModel):
    error_message: Words


class _Suites(BaseModel):
    accepted_cipher_suites: Annotated[list[_Accepted], Field(max_length=1000)]
    rejected_cipher_suites: Annotated[list[_Rejected], Field(max_length=1000)]


class _Attempt(BaseModel):
    status: Literal["COMPLETED", "ERROR", "NOT_SCHEDULED"]
    error_reason: Words | None
    error_trace: Words | None


class _SuitesAttempt(_Attempt):
    result: _Suites | None


class _Pem(BaseModel):
    as_pem: Words


class _Store(BaseModel):
    name: Words


class _Path(BaseModel):
    trust_store: _Store
    validation_error: Words | None
    was_validation_successful: bool


class _Shown(BaseModel):
    received_certificate_chain: Annotated[list[_Pem], Field(min_length=1, max_length=100)]
    received_chain_has_valid_order: bool | None
    verified_chain_has_sha1_signature: bool | None
    path_validation_results: Annotated[list[_Path], Field(max_length=100)]


class _CertificateInfo(BaseModel):
    certificate_deployments: Annotated[list[_Shown], Field(max_length=100)]


class _CertificateAttempt(_Attempt):
    result: _CertificateInfo | None


class _Commands(BaseModel):
    certificate_info: _CertificateAttempt
    ssl_2_0_cipher_suites: _SuitesAttempt
    ssl_3_0_cipher_suites: _SuitesAttempt
    tls_1_0_cipher_suites: _SuitesAttempt
    tls_1_1_cipher_suites: _SuitesAttempt
    tls_1_2_cipher_suites: _SuitesAttempt
    tls_1_3_cipher_suites: _SuitesAttempt

    def by_protocol(self) -> Mapping[Protocol, _SuitesAttempt]:
        attempts = (
            self.ssl_2_0_cipher_suites,
            self.ssl_3_0_cipher_suites,
            self.tls_1_0_cipher_suites,
            self.tls_1_1_cipher_suites,
            self.tls_1_2_cipher_suites,
            self.tls_1_3_cipher_suites,
        )
        return dict(zip(OLDEST_FIRST, attempts, strict=True))


class _Location(BaseModel):
    hostname: Words
    port: int
    ip_address: Words


class _Server(BaseModel):
    server_location: _Location
    connectivity_status: Literal["COMPLETED", "ERROR"]
    connectivity_error_trace: Words | None
    scan_result: _Commands | None


class _Output(BaseModel):
    sslyze_version: Annotated[str, Field(max_length=50)]
    server_scan_results: Annotated[list[_Server], Field(max_length=100)]


@dataclass(frozen=True, slots=True)
class Target:
    """One server: what it is called in the handshake, and where it is connected to."""

    name: str
    """ASCII: a host name, or an address that equals `address`."""
    address: str
    """An IP address without brackets."""
    port: int

    @property
    def spelled(self) -> str:
        """As sslyze's targets are written: `host:port{address}`."""
        if ":" in self.name:  # its parser takes brackets off only one of the two
            return f"{join_host_port(self.name, self.port)}{{{self.address}}}"
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.name}:{self.port}{{{address}}}"

    @property
    def place(self) -> str:
        """As findings name it: `address:port`."""
        return join_host_port(self.address, self.port)

    def __str__(self) -> str:
        return f"{self.name} at {self.place}"


def read_output(text: bytes, targets: Sequence[Target], *, has_ca_file: bool) -> Mapping[Target, TlsScan | Reportable]:
    """What sslyze found about each of `targets`; one it does not mention is left out.

    A server that could not be scanned has the error that says why. Raises Malformed when the text is not
    sslyze's JSON; a certificate that cannot be read is the Malformed of its server alone.
    """
    try:
        output = _Output.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Malformed(f"sslyze's report cannot be read: {place or 'the text'}: {first['msg']}"[:500]) from error
    found: dict[Target, TlsScan | Reportable] = {}
    for server in output.server_scan_results:
        location = server.server_location
        for target in targets:
            if (location.hostname, location.port, location.ip_address) == (target.name, target.port, target.address):
                found[target] = _read_server(server, target, f"sslyze {output.sslyze_version}", has_ca_file)
    return found


def _read_server(server: _Server, target: Target, tool: str, has_ca_file: bool) -> TlsScan | Reportable:
    if server.scan_result is None:
        return _connectivity_error(target, server.connectivity_error_trace or "")
    try:
        return _read_scan(server.scan_result, target, tool, CA_STORE if has_ca_file else PUBLIC_STORE)
    except Malformed as error:
        return error


def _connectivity_error(target: Target, trace: str) -> Reportable:
    """By the class that sslyze raised; the last line of the trace is `module.Class: host:port -> "words".`."""
    line = _last_line(trace)
    kind, _, told = line.partition(": ")
    words = told.partition('"')[2].rpartition('"')[0] or told or "no reason given"
    match kind.rpartition(".")[2]:
        case "ServerTlsConfigurationNotSupported" | "ServerRejectedConnection":
            return NotTls(f"{target}: connected, but no handshake of any protocol was completed: {words}"[:500])
        case "ConnectionToServerTimedOut" | "ConnectionToServerFailed":
            return Unreachable(
                f"{target}: no connection: {words}"[:500], next_step="look whether the address and port are right"
            )
        case _:
            return Malformed(f"{target}: sslyze ended early: {line}"[:500])


def _read_scan(commands: _Commands, target: Target, tool: str, store: str) -> TlsScan:
    accepted: list[tuple[Protocol, tuple[str, ...]]] = []
    refused: list[Protocol] = []
    undecided: list[tuple[Protocol, str]] = []
    for protocol, attempt in commands.by_protocol().items():
        suites = sorted(
            {each.cipher_suite.name for each in attempt.result.accepted_cipher_suites} if attempt.result else ()
        )
        if suites:
            accepted.append((protocol, tuple(suites)))
            continue
        doubt = why_undecided(attempt)
        if doubt:
            undecided.append((protocol, doubt))
        else:
            refused.append(protocol)
    if (
        accepted
        and [protocol for protocol, _ in undecided] == ["SSLv2"]
        and _only_ended(commands.ssl_2_0_cipher_suites)
    ):
        # SSLv2 knows none of TLS's alerts: where all else is clear, hanging up is the answer of a server without it.
        undecided.clear()
        refused.insert(0, "SSLv2")
    shown = commands.certificate_info
    if shown.result is None and accepted and shown.error_reason != "CONNECTIVITY_ISSUE":
        reason = _last_line(shown.error_trace or "") or shown.status
        raise Malformed(f"{target}: sslyze could not read the certificates: {reason}"[:500])
    deployments = shown.result.certificate_deployments if shown.result else ()
    read = [_read_deployment(each, target, store) for each in deployments]
    return TlsScan(
        address=target.place,
        server_name=target.name,
        accepted=tuple(accepted),
        refused=tuple(refused),
        undecided=tuple(undecided),
        deployments=tuple(sorted(read, key=lambda deployment: deployment.chain[0].sha256)),
        tool=tool,
    )


def why_undecided(attempt: _SuitesAttempt) -> str:
    """Why an attempt without an accepted suite does not tell that the protocol is refused; empty when it does."""
    if attempt.status == "NOT_SCHEDULED":
        return "sslyze did not try it"
    if attempt.result is None:
        line = _last_line(attempt.error_trace or "")
        if any(words.lower() in line.lower() for words in VERSION_REFUSED):
            return ""
        return (line or attempt.error_reason or "sslyze gave no reason")[:200]
    messages = Counter(each.error_message.strip() for each in attempt.result.rejected_cipher_suites)
    if not messages:
        return "no suite of it could be offered"
    if any(message.startswith(VERSION_REFUSED) for message in messages):
        return ""
    unclear = Counter({message: count for message, count in messages.items() if not message.startswith(SUITE_REFUSED)})
    if not unclear:
        return ""
    message, count = unclear.most_common(1)[0]
    return f"{message[:150]} ({count} of {messages.total()} handshakes)"


def _only_ended(attempt: _SuitesAttempt) -> bool:
    if attempt.result is None:
        return False
    return all(each.error_message.strip() in ENDED for each in attempt.result.rejected_cipher_suites)


def _read_deployment(shown: _Shown, target: Target, store: str) -> Deployment:
    from cryptography import x509

    parsed = []
    for number, pem in enumerate(shown.received_certificate_chain, start=1):
        try:
            parsed.append(_read_certificate(x509.load_pem_x509_certificate(pem.as_pem.encode())))
        except ValueError as error:
            raise Malformed(f"{target}: certificate {number} of the chain cannot be read: {error}"[:500]) from error
    verified = next((path for path in shown.path_validation_results if path.trust_store.name == store), None)
    if verified is None:
        raise Malformed(f"{target}: sslyze did not judge the chain by {store}")
    is_trusted = verified.was_validation_successful
    return Deployment(
        chain=tuple(parsed),
        is_trusted=is_trusted,
        distrust="" if is_trusted else _distrust(verified.validation_error or "no reason given"),
        matches_name=matches(target.name, parsed[0].names),
        has_valid_order=bool(shown.received_chain_has_valid_order),
        has_sha1=bool(shown.verified_chain_has_sha1_signature) if is_trusted else _has_sha1(parsed),
    )


def _distrust(words: str) -> str:
    """The verifier's words, but for the one fault that it words for its developers alone."""
    if _NO_ISSUER in words:
        return "no issuer is among the trusted roots and the certificates that were sent"
    return words.removeprefix("validation failed: ")[:500]


def matches(name: str, names: Sequence[str]) -> bool:
    """Whether one of a certificate's names stands for `name` (RFC 9525): `*` is one whole left-most label."""
    literal = as_literal(name)
    if literal:
        return any(as_literal(each) and ipaddress.ip_address(each) == ipaddress.ip_address(literal) for each in names)
    wanted = name.rstrip(".").lower()
    first, _, rest = wanted.partition(".")
    known = {each.rstrip(".").lower() for each in names}
    return wanted in known or bool(first and rest and f"*.{rest}" in known)


def _has_sha1(chain: Sequence[Certificate]) -> bool:
    """Whether SHA-1 (or MD5) signed the leaf or an issuer above it that was sent; a root's own does not count."""
    by_subject = {certificate.subject: certificate for certificate in reversed(chain)}
    current: Certificate | None = chain[0]
    seen: set[str] = set()
    while current is not None and current.sha256 not in seen:
        seen.add(current.sha256)
        is_root = current.subject == current.issuer and current is not chain[0]
        if current.signature_hash in ("sha1", "md5") and not is_root:
            return True
        current = by_subject.get(current.issuer)
    return False


def _read_certificate(certificate: x509.Certificate) -> Certificate:
    """Raises ValueError for one that this version of `cryptography` cannot read."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = certificate.public_key()
        kind, bits = _kind(key)
        hashed = certificate.signature_hash_algorithm
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Certificate(
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            key=kind,
            key_bits=bits,
            signature_hash=hashed.name if hashed else "",
            sha256=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
            spki_sha256=base64.b64encode(hashlib.sha256(spki).digest()).decode(),
            is_authority=_is_authority(certificate),
            names=_names(certificate),
        )
    except (UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(str(error)) from error


def _kind(key: object) -> tuple[Literal["RSA", "EC", "Ed25519", "Ed448", "DSA", "other"], int]:
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

    match key:
        case rsa.RSAPublicKey():
            return "RSA", key.key_size
        case ec.EllipticCurvePublicKey():
            return "EC", key.key_size
        case ed25519.Ed25519PublicKey():
            return "Ed25519", 256
        case ed448.Ed448PublicKey():
            return "Ed448", 456
        case dsa.DSAPublicKey():
            return "DSA", key.key_size
        case _:
            return "other", 0


def _is_authority(certificate: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _last_line(trace: str) -> str:
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    return "".join(c if c.isprintable() else " " for c in lines[-1]) if lines else ""
