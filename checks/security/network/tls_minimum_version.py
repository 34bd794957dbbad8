"""Nothing that faces a client speaks TLS older than 1.2, or TLS that can be broken.

Pass          every address of every endpoint, every TLS listener, distribution and custom API domain refuses what is older than `floor`; suites, keys, names, trust and validity of certificates are sound
Fail          an older protocol or a weak suite (NULL, anonymous, EXPORT, RC4, DES, 3DES) is accepted; a key is under 2048 bits (RSA) or 256 bits (EC); a SHA-1 signature, another name, no trust; the certificate ends in less than `fail_days`
Inconclusive  the environment has neither an endpoint nor, in its accounts, a TLS listener, a distribution or a custom API domain; or, whatever else passes, an internet-facing listener hands port 443 through to targets that no declared endpoint leads to
Error         no connection, no TLS, or a handshake that could not be tried: not tried is not refused
Needs         a way to each endpoint; `elasticloadbalancing:DescribeLoadBalancers`, `DescribeListeners`, `DescribeSSLPolicies`, `DescribeLoadBalancerPolicies`, `cloudfront:ListDistributions`, `apigateway:GET`, `acm:ListCertificates`, `acm:DescribeCertificate`
Source        the guide, Network Security; NIST SP 800-52 Rev. 2, section 3.1; NIST SP 800-57 Part 1 Rev. 5 (112 bits); RFC 8996; RFC 9325; PCI DSS 4.0.1, 4.2.1; OWASP ASVS v5.0.0-12.1.1, -12.1.2, -12.2.2
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quub_audit.sdk import (
    OLDEST_FIRST,
    Aws,
    Certificate,
    Clock,
    Deployment,
    Distribution,
    EndpointAddress,
    Environment,
    Finding,
    Listener,
    Parameters,
    Protocol,
    Region,
    Tls,
    TlsScan,
    check,
    cut,
    distributions,
    endpoint_addresses,
    listeners,
    subjects,
)

WEAK = frozenset({"NULL", "ANON", "ADH", "AECDH", "EXPORT", "EXP", "EXPORT1024", "RC2", "RC4", "DES", "3DES", "DES40"})
"""Parts of suite names, IANA's and OpenSSL's, that stand for no secrecy, no authenticity or a broken cipher."""

FORWARD_SECRET = frozenset({"ECDHE", "DHE"})
HTTPS_PORT = 443

_GATEWAY_POLICY = re.compile(r"(?:SecurityPolicy_)?TLS_?(?P<a>1)_?(?P<b>[0-3])(?:_(?P<c>1)_(?P<d>[0-3]))?(?:_|$)")


class TlsParameters(Parameters):
    """What the checklist may set under `with:`."""

    floor: Protocol = "TLSv1.2"
    """Oldest protocol that may be accepted. NIST SP 800-52 Rev. 2, section 3.1."""

    fail_days: int = 14
    """Days of validity below which a certificate fails."""

    warn_days: int = 30
    """Days of validity below which a certificate is warned of."""

    min_rsa_bits: int = 2048
    """Shortest RSA or DSA key. NIST SP 800-57 Part 1 Rev. 5, table 2: 112 bits of security."""

    min_ec_bits: int = 256
    """Shortest elliptic-curve key. RFC 9325, section 4.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainName:
    """One custom domain of API Gateway."""

    name: str
    policies: tuple[str, ...]
    """Security policies of its configurations; an empty text where the API names none."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedCertificate:
    """One certificate of ACM that something uses."""

    region: Region
    arn: str

    def __str__(self) -> str:
        return self.arn


@check("Every address refuses old protocols and shows a sound certificate", each=endpoint_addresses)
def endpoint(subject: EndpointAddress, tls: Tls, clock: Clock, wanted: TlsParameters) -> Iterator[Finding]:
    """One scan for each address, under the endpoint's own name."""
    scan = tls.scan(subject.endpoint, address=subject.address)
    yield from judge_scan(subject.endpoint.name, scan, clock.now(), wanted)


@check(
    "TLS listeners refuse old protocols and weak suites",
    each=listeners,
    permissions=["elasticloadbalancing:DescribeLoadBalancerPolicies", "elasticloadbalancing:DescribeSSLPolicies"],
)
def listener(subject: Listener, aws: Aws, environment: Environment, wanted: TlsParameters) -> Finding | None:
    """The policy's own list of protocols and suites, not what its name promises.

    Undecided where a public port 443 is handed through to targets that no declared endpoint leads to.
    """
    if subject.protocol not in ("HTTPS", "TLS", "SSL"):
        is_unseen = subject.balancer.is_public and not subject.balancer.is_behind(environment.endpoints)
        if subject.port == HTTPS_PORT and subject.is_handed_through and is_unseen:
            return Finding.undecided(
                subject=str(subject),
                observed=f"{subject.protocol}:{subject.port} is passed through to its targets",
                expected=f"TLS of {wanted.floor} or newer",
                next_step=f"declare its endpoint with `load_balancer: {subject.balancer.name}`, so that it is scanned",
            )
        return None
    region = subject.balancer.region
    if subject.balancer.type == "classic":
        described = aws.ask("elb.DescribeLoadBalancerPolicies", region=region, LoadBalancerName=subject.balancer.name)
        policies = {each["PolicyName"]: each for each in described.get("PolicyDescriptions", ())}
        if subject.ssl_policy not in policies:
            return _unread(str(subject), "names no policy for TLS")
        protocols, suites = classic_policy(policies[subject.ssl_policy])
    else:
        if not subject.ssl_policy:
            return _unread(str(subject), "names no security policy")
        resolved = aws.ask("elbv2.DescribeSSLPolicies", region=region, Names=[subject.ssl_policy]).get(
            "SslPolicies", ()
        )
        if not resolved:
            return _unread(str(subject), f"has the policy {subject.ssl_policy}, which AWS does not describe")
        protocols = tuple(resolved[0].get("SslProtocols", ()))
        suites = tuple(cipher["Name"] for cipher in resolved[0].get("Ciphers", ()))
    return judge_policy(str(subject), subject.ssl_policy, protocols, suites, wanted.floor)


@check("CloudFront distributions refuse old protocols", each=distributions)
def distribution(subject: Distribution, wanted: TlsParameters) -> Finding:
    """The default certificate forces TLSv1 whatever is configured."""
    shown = subject.summary.get("ViewerCertificate") or {}
    policy = "TLSv1" if shown.get("CloudFrontDefaultCertificate") else str(shown.get("MinimumProtocolVersion", ""))
    protocol = policy.partition("_")[0]
    if protocol not in OLDEST_FIRST:
        return _unread(str(subject), f"has the minimum protocol {policy or 'nothing'}, which is not known here")
    why = " (the default certificate forces it)" if shown.get("CloudFrontDefaultCertificate") else ""
    return _judge_floor(str(subject), protocol, f"policy {policy}{why}", wanted.floor)


@subjects(each=Region, permissions=["apigateway:GET"])
def domain_names(region: Region, aws: Aws) -> Iterator[DomainName]:
    """Custom domains of both generations of API Gateway; one that both list is one."""
    found: dict[str, dict[str, None]] = {}
    for item in aws.ask("apigateway.GetDomainNames", region=region).get("items", ()):
        found.setdefault(item["domainName"], {})[item.get("securityPolicy", "")] = None
    for item in aws.ask("apigatewayv2.GetDomainNames", region=region).get("Items", ()):
        policies = [each.get("SecurityPolicy", "") for each in item.get("DomainNameConfigurations", ())]
        found.setdefault(item["DomainName"], {}).update(dict.fromkeys(policies or [""]))
    for name, named in found.items():
        yield DomainName(name=name, policies=tuple(named))


@check("Custom API domains refuse old protocols", each=domain_names)
def domain_name(subject: DomainName, wanted: TlsParameters) -> Iterator[Finding]:
    """One finding for each security policy of the domain."""
    for policy in subject.policies:
        protocol = gateway_floor(policy)
        if protocol is None:
            yield _unread(subject.name, f"has the security policy {policy or 'nothing'}, which is not known here")
        else:
            yield _judge_floor(subject.name, protocol, f"policy {policy}", wanted.floor)


@subjects(each=Region, permissions=["acm:ListCertificates"])
def managed_certificates(region: Region, aws: Aws) -> Iterator[ManagedCertificate]:
    """Certificates of a region that were issued, of every key type: ACM lists RSA 2048 alone unless told otherwise."""
    kinds = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]
    answer = aws.ask("acm.ListCertificates", region=region, Includes={"keyTypes": kinds})
    for found in answer.get("CertificateSummaryList", ()):
        yield ManagedCertificate(region=region, arn=found["CertificateArn"])


@check(
    "Certificates of ACM in use are valid for a while and have long enough keys",
    each=managed_certificates,
    permissions=["acm:DescribeCertificate"],
)
def managed_certificate(
    subject: ManagedCertificate, aws: Aws, clock: Clock, wanted: TlsParameters
) -> Iterator[Finding]:
    """It can fail the item and never pass it: that a certificate is sound says nothing of protocols."""
    answer = aws.ask("acm.DescribeCertificate", region=subject.region, CertificateArn=subject.arn)
    yield from judge_managed(subject.arn, answer.get("Certificate", {}), clock.now(), wanted)


def judge_scan(subject: str, scan: TlsScan, now: datetime, wanted: TlsParameters) -> Iterator[Finding]:
    """Every fault of one scan is a fail of its own, what could not be tried an error; a pass only without either."""
    place = f"at {scan.address}"
    errors = list(_undecided(subject, scan))
    faults = [
        *_protocol_faults(scan, wanted.floor),
        *(fault for shown in scan.deployments for fault in chain_faults(shown, now, wanted)),
    ]
    for observed, expected in dict.fromkeys(faults):
        yield Finding.of(False, subject=subject, observed=f"{observed} {place}", expected=expected)
    yield from errors
    for observed, expected in dict.fromkeys(_weaknesses(scan, now, wanted)):
        yield Finding.warning(subject=subject, observed=f"{observed} {place}", expected=expected)
    if not faults and not errors:
        accepted = " and ".join(scan.accepted_protocols)
        days = min(_days_left(shown.chain[0].not_after, now) for shown in scan.deployments)
        yield Finding.of(
            True,
            subject=subject,
            observed=f"accepts {accepted} {place}, certificate valid for {days} more days",
            expected=f"{wanted.floor} or newer, a sound certificate",
        )


def _undecided(subject: str, scan: TlsScan) -> Iterator[Finding]:
    for protocol, why in scan.undecided:
        if protocol != "TLSv1.3":
            yield Finding.error(
                subject=subject, message=f"{subject}: {protocol} could not be tried at {scan.address}: {why}"
            )
    if not scan.accepted:
        yield Finding.error(
            subject=subject, message=f"{subject}: no handshake was completed at {scan.address}, so nothing was tested"
        )
    if not scan.deployments:
        yield Finding.error(subject=subject, message=f"{subject}: no certificate was shown at {scan.address}")


def _protocol_faults(scan: TlsScan, floor: Protocol) -> Iterator[tuple[str, str]]:
    old = [protocol for protocol in scan.accepted_protocols if _is_older(protocol, floor)]
    if old:
        yield f"accepts {', '.join(old)}", f"{floor} or newer"
    weak = [name for name in dict.fromkeys(name for _, names in scan.accepted for name in names) if is_weak(name)]
    if weak:
        yield f"accepts the suites {cut(weak)}", "no NULL, anonymous, EXPORT, RC4, DES or 3DES suite"


def chain_faults(shown: Deployment, now: datetime, wanted: TlsParameters) -> Iterator[tuple[str, str]]:
    """What is wrong with a chain: observed and expected of each fault.

    The leaf's end counts; that of the others counts through trust, since a chain may carry an old cross-signature.
    """
    leaf = shown.chain[0]
    for certificate in shown.chain:
        if _is_short(certificate, wanted):
            yield (
                f"{certificate.subject} has {certificate.key} of {certificate.key_bits} bits",
                f"RSA of {wanted.min_rsa_bits} bits or EC of {wanted.min_ec_bits} bits, or more",
            )
    if shown.has_sha1:
        yield "a certificate of the chain is signed with SHA-1", "SHA-256 or better"
    if not shown.matches_name:
        yield f"the certificate is for {cut(leaf.names) or leaf.subject}", "a certificate for the endpoint's name"
    if not shown.is_trusted:
        yield f"the chain is not trusted: {shown.distrust or 'no reason given'}", "a chain that clients trust"
    days = _days_left(leaf.not_after, now)
    if days < wanted.fail_days:
        yield _ends(days), f"{wanted.fail_days} days of validity or more"


def _weaknesses(scan: TlsScan, now: datetime, wanted: TlsParameters) -> Iterator[tuple[str, str]]:
    undecided = dict(scan.undecided)
    if "TLSv1.3" in undecided:
        yield f"TLSv1.3 could not be tried ({undecided['TLSv1.3']})", "TLSv1.3 is offered"
    elif scan.accepted and "TLSv1.3" not in scan.accepted_protocols:
        yield "TLSv1.3 is not offered", "TLSv1.3 is offered (NIST SP 800-52 Rev. 2)"
    for protocol, suites in scan.accepted:
        if protocol == "TLSv1.2" and suites and not any(_parts(name) & FORWARD_SECRET for name in suites):
            yield "TLSv1.2 has no suite with forward secrecy", "ECDHE or DHE suites"
    for shown in scan.deployments:
        days = _days_left(shown.chain[0].not_after, now)
        if wanted.fail_days <= days < wanted.warn_days:
            yield _ends(days), f"{wanted.warn_days} days of validity or more"
        if not shown.has_valid_order:
            yield "the chain is sent out of order", "each certificate followed by its issuer's"


def judge_managed(
    subject: str, certificate: Mapping[str, Any], now: datetime, wanted: TlsParameters
) -> Iterator[Finding]:
    """Faults and warnings of one certificate of ACM that is in use; nothing for one that is sound or unused."""
    if not certificate.get("InUseBy") or not isinstance(certificate.get("NotAfter"), datetime):
        return
    renewal = certificate.get("RenewalSummary", {}).get("RenewalStatus", "")
    days = _days_left(certificate["NotAfter"], now)
    observed = _ends(days) + (f", its renewal is {renewal}" if renewal else "")
    if days < wanted.fail_days:
        yield Finding.of(False, subject=subject, observed=observed, expected=f"{wanted.fail_days} days or more")
    elif days < wanted.warn_days:
        yield Finding.warning(subject=subject, observed=observed, expected=f"{wanted.warn_days} days or more")
    kind, _, bits = str(certificate.get("KeyAlgorithm", "")).replace("-", "_").partition("_")
    if kind == "RSA" and bits.isdigit() and int(bits) < wanted.min_rsa_bits:
        yield Finding.of(
            False,
            subject=subject,
            observed=f"RSA of {bits} bits",
            expected=f"RSA of {wanted.min_rsa_bits} bits or more",
        )


def judge_policy(
    subject: str, policy: str, protocols: Sequence[str], suites: Sequence[str], floor: Protocol
) -> Finding:
    """Judge a load balancer's policy. Raises ValueError for no protocol, or one of an unknown name."""
    oldest = min(protocols, key=_age)
    weak = [name for name in suites if is_weak(name)]
    faults = [f"accepts {oldest}"] if _is_older(oldest, floor) else []
    faults += [f"accepts the suites {cut(weak)}"] if weak else []
    return Finding.of(
        not faults,
        subject=subject,
        observed=f"policy {policy} " + ("; ".join(faults) or f"accepts {oldest} and newer"),
        expected=f"{floor} or newer, no weak suite",
    )


def classic_policy(policy: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Protocols and suites that a classic load balancer's policy turns on."""
    on = [
        str(attribute["AttributeName"])
        for attribute in policy.get("PolicyAttributeDescriptions", ())
        if str(attribute.get("AttributeValue", "")).lower() == "true"
    ]
    protocols = tuple(name.removeprefix("Protocol-") for name in on if name.startswith("Protocol-"))
    other = ("Protocol-", "Server-Defined", "Reference-")
    return protocols, tuple(name for name in on if not name.startswith(other))


def gateway_floor(policy: str) -> Protocol | None:
    """The oldest protocol of an API Gateway security policy; None for a name of another form.

    `TLS_1_2` is what it says; `SecurityPolicy_TLS13_1_2_2021_06` offers 1.3 and goes down to 1.2.
    """
    matched = _GATEWAY_POLICY.match(policy)
    if matched is None:
        return None
    minor = int(matched["d"] or matched["b"])
    by_minor: Mapping[int, Protocol] = {0: "TLSv1", 1: "TLSv1.1", 2: "TLSv1.2", 3: "TLSv1.3"}
    return by_minor[minor]


def is_weak(suite: str) -> bool:
    """Whether a suite's name, IANA's or OpenSSL's, tells of a broken or missing cipher."""
    return bool(_parts(suite) & WEAK)


def _parts(suite: str) -> frozenset[str]:
    return frozenset(re.split(r"[_-]", suite.upper()))


def _is_short(certificate: Certificate, wanted: TlsParameters) -> bool:
    if certificate.key in ("RSA", "DSA"):
        return certificate.key_bits < wanted.min_rsa_bits
    return certificate.key == "EC" and certificate.key_bits < wanted.min_ec_bits


def _judge_floor(subject: str, protocol: str, what: str, floor: Protocol) -> Finding:
    return Finding.of(
        not _is_older(protocol, floor),
        subject=subject,
        observed=f"{what} accepts {protocol}",
        expected=f"{floor} or newer",
    )


def _is_older(protocol: str, floor: Protocol) -> bool:
    return _age(protocol) < _age(floor)


def _age(protocol: str) -> int:
    names: tuple[str, ...] = OLDEST_FIRST
    if protocol not in names:
        raise ValueError(f"{protocol!r} is no protocol that is known here")
    return names.index(protocol)


def _days_left(not_after: datetime, now: datetime) -> int:
    return (not_after - now).days


def _ends(days: int) -> str:
    return f"the certificate ended {-days} days ago" if days < 0 else f"the certificate ends in {days} days"


def _unread(subject: str, why: str) -> Finding:
    return Finding.error(subject=subject, message=f"{subject} {why}, so the oldest protocol could not be told")
