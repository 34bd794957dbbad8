"""Old protocols and weak suites are refused, and certificates are sound: judged by tables, then on real servers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.network.tls_minimum_version import (
    TlsParameters,
    chain_faults,
    classic_policy,
    distribution,
    endpoint,
    gateway_floor,
    is_weak,
    judge_managed,
    judge_policy,
    judge_scan,
)
from quub_audit.connectors.base import Ledger
from quub_audit.connectors.tls import TlsConnector
from quub_audit.connectors.world import FixedClock
from quub_audit.demo.authority import Authority
from quub_audit.facts.tls import OLDEST_FIRST, Certificate, Deployment, Protocol, TlsScan
from quub_audit.model.environment import Endpoint, Environment, Region
from quub_audit.model.finding import Finding
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import Distribution, EndpointAddress
from quub_audit.testing import audit_item
from tests.worlds import tls as worlds
from tests.worlds.cloud import Cloud

ITEM = "security.network.tls-minimum-version"
WANTED = TlsParameters()
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAME = "api.orders.test"
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)


def certificate(**changes: Any) -> Certificate:
    parts: dict[str, Any] = {
        "subject": f"CN={NAME}",
        "issuer": "CN=authority",
        "not_before": NOW - timedelta(days=1),
        "not_after": NOW + timedelta(days=90),
        "key": "EC",
        "key_bits": 256,
        "signature_hash": "sha256",
        "sha256": "00" * 32,
        "spki_sha256": "A" * 43 + "=",
        "names": (NAME,),
    }
    return Certificate(**{**parts, **changes})


def shown(*chain: Certificate, **changes: Any) -> Deployment:
    return Deployment(chain=chain or (certificate(),), **{"is_trusted": True, **changes})


def scanned(
    accepted: Mapping[Protocol, Sequence[str]],
    *,
    undecided: Mapping[Protocol, str] | None = None,
    deployments: Sequence[Deployment] | None = None,
) -> TlsScan:
    return TlsScan(
        address="192.0.2.1:443",
        server_name=NAME,
        accepted=tuple((protocol, tuple(accepted[protocol])) for protocol in OLDEST_FIRST if protocol in accepted),
        refused=tuple(each for each in OLDEST_FIRST if each not in accepted and each not in (undecided or {})),
        undecided=tuple((undecided or {}).items()),
        deployments=tuple((shown(),) if deployments is None else deployments),
    )


STRONG: Mapping[Protocol, Sequence[str]] = {
    "TLSv1.2": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
    "TLSv1.3": ["TLS_AES_128_GCM_SHA256"],
}


def judged(scan: TlsScan, wanted: TlsParameters = WANTED) -> list[tuple[FindingStatus, str]]:
    found = list(judge_scan("api", scan, NOW, wanted))
    assert {finding.subject for finding in found} == {"api"}
    return [(finding.status, finding.observed or finding.message) for finding in found]


def as_list(found: Finding | Iterable[Finding] | None) -> list[Finding]:
    """What a check function gave, as the engine reads it."""
    return [found] if isinstance(found, Finding) else list(found or ())


def good(**changes: Any) -> TlsScan:
    return scanned(STRONG, **changes)


# One scan


def test_a_sound_scan_passes_and_says_what_was_seen() -> None:
    assert judged(good()) == [
        (PASS, "accepts TLSv1.2 and TLSv1.3 at 192.0.2.1:443, certificate valid for 90 more days")
    ]


@pytest.mark.parametrize(
    ("accepted", "observed"),
    [
        ({"TLSv1": ["TLS_RSA_WITH_AES_128_CBC_SHA"], **STRONG}, "accepts TLSv1 at"),
        ({"TLSv1.1": ["TLS_RSA_WITH_AES_128_CBC_SHA"], **STRONG}, "accepts TLSv1.1 at"),
        ({"SSLv2": ["X"], "SSLv3": ["Y"], **STRONG}, "accepts SSLv2, SSLv3 at"),
        ({"TLSv1.2": ["TLS_ECDH_anon_WITH_AES_128_CBC_SHA"]}, "accepts the suites TLS_ECDH_anon_WITH_AES_128_CBC_SHA"),
        ({"TLSv1.2": [*STRONG["TLSv1.2"], "TLS_RSA_WITH_3DES_EDE_CBC_SHA"]}, "TLS_RSA_WITH_3DES_EDE_CBC_SHA at"),
    ],
)
def test_an_old_protocol_and_a_weak_suite_fail_by_name(
    accepted: Mapping[Protocol, Sequence[str]], observed: str
) -> None:
    found = judged(scanned(accepted))

    assert [status for status, _ in found if status is not WARNING] == [FAIL]
    assert observed in found[0][1]


def test_the_floor_is_the_checklist_s() -> None:
    assert [status for status, _ in judged(good(), TlsParameters(floor="TLSv1.3"))] == [FAIL]
    assert PASS in [
        status for status, _ in judged(scanned({"TLSv1.1": ["X"], **STRONG}), TlsParameters(floor="TLSv1.1"))
    ]


@pytest.mark.parametrize("protocol", ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1"])
def test_a_handshake_that_could_not_be_tried_is_an_error_and_no_refusal(protocol: Protocol) -> None:
    found = judged(good(undecided={protocol: "Server rejected the connection (80 of 80 handshakes)"}))

    assert [status for status, _ in found] == [ERROR]
    assert f"{protocol} could not be tried at 192.0.2.1:443: Server rejected the connection" in found[0][1]


def test_an_old_protocol_that_is_accepted_fails_whatever_else_could_not_be_tried() -> None:
    found = judged(scanned({"TLSv1": ["X"], **STRONG}, undecided={"SSLv2": "reset"}))

    assert [status for status, _ in found] == [FAIL, ERROR]


def test_tls_1_3_that_could_not_be_tried_is_only_told() -> None:
    found = judged(scanned({"TLSv1.2": STRONG["TLSv1.2"]}, undecided={"TLSv1.3": "time-out"}))

    assert [status for status, _ in found] == [WARNING, PASS]
    assert "TLSv1.3 could not be tried (time-out)" in found[0][1]


@pytest.mark.parametrize(
    ("scan", "words"),
    [
        (scanned({}), "no handshake was completed"),
        (scanned({}, deployments=()), "no certificate was shown"),
        (scanned(STRONG, deployments=()), "no certificate was shown"),
    ],
)
def test_nothing_seen_is_never_a_pass(scan: TlsScan, words: str) -> None:
    found = judged(scan)

    assert {status for status, _ in found} == {ERROR}
    assert any(words in text for _, text in found)


@pytest.mark.parametrize(
    ("accepted", "words"),
    [
        ({"TLSv1.2": STRONG["TLSv1.2"]}, "TLSv1.3 is not offered"),
        ({"TLSv1.2": ["TLS_RSA_WITH_AES_128_GCM_SHA256"], "TLSv1.3": ["X"]}, "has no suite with forward secrecy"),
    ],
)
def test_what_could_be_better_is_told_beside_the_pass(accepted: Mapping[Protocol, Sequence[str]], words: str) -> None:
    found = judged(scanned(accepted))

    assert [status for status, _ in found] == [WARNING, PASS]
    assert words in found[0][1]


@pytest.mark.parametrize(
    ("suite", "is_bad"),
    [
        ("TLS_RSA_WITH_NULL_SHA256", True),
        ("TLS_DH_anon_WITH_AES_256_GCM_SHA384", True),
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", True),
        ("TLS_RSA_WITH_RC4_128_SHA", True),
        ("TLS_RSA_WITH_DES_CBC_SHA", True),
        ("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", True),
        ("ECDHE-RSA-DES-CBC3-SHA", True),
        ("AECDH-AES128-SHA", True),
        ("EXP-RC2-CBC-MD5", True),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", False),
        ("TLS_CHACHA20_POLY1305_SHA256", False),
        ("DHE-RSA-AES256-GCM-SHA384", False),
    ],
)
def test_weak_suites_are_known_by_either_of_their_names(suite: str, is_bad: bool) -> None:
    assert is_weak(suite) is is_bad


# Chains


@pytest.mark.parametrize(
    ("deployment", "observed"),
    [
        (shown(certificate(key="RSA", key_bits=1024)), f"CN={NAME} has RSA of 1024 bits"),
        (shown(certificate(key="EC", key_bits=224)), "has EC of 224 bits"),
        (shown(certificate(key="DSA", key_bits=1024)), "has DSA of 1024 bits"),
        (shown(certificate(), certificate(subject="CN=middle", key="RSA", key_bits=1024)), "CN=middle has RSA of 1024"),
        (shown(has_sha1=True), "signed with SHA-1"),
        (shown(matches_name=False), f"the certificate is for {NAME}"),
        (shown(certificate(names=()), matches_name=False), f"the certificate is for CN={NAME}"),
        (shown(is_trusted=False, distrust="no issuer"), "the chain is not trusted: no issuer"),
        (shown(is_trusted=False), "no reason given"),
        (shown(certificate(not_after=NOW + timedelta(days=13, hours=23))), "the certificate ends in 13 days"),
        (shown(certificate(not_after=NOW - timedelta(days=2))), "the certificate ended 2 days ago"),
    ],
)
def test_each_fault_of_a_chain_is_named(deployment: Deployment, observed: str) -> None:
    (fault,) = chain_faults(deployment, NOW, WANTED)

    assert observed in fault[0]
    assert [status for status, _ in judged(good(deployments=(deployment,)))] == [FAIL]


@pytest.mark.parametrize(
    "deployment",
    [
        shown(certificate(key="RSA", key_bits=2048)),
        shown(certificate(key="Ed25519", key_bits=256, signature_hash="")),
        shown(certificate(not_after=NOW + timedelta(days=14))),
        shown(certificate(), certificate(subject="CN=old cross-signature", not_after=NOW - timedelta(days=1))),
        shown(has_valid_order=False),
    ],
)
def test_a_sound_chain_has_no_fault(deployment: Deployment) -> None:
    assert list(chain_faults(deployment, NOW, WANTED)) == []


@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        (shown(certificate(not_after=NOW + timedelta(days=14))), "ends in 14 days"),
        (shown(certificate(not_after=NOW + timedelta(days=29))), "ends in 29 days"),
        (shown(has_valid_order=False), "the chain is sent out of order"),
    ],
)
def test_a_chain_that_will_soon_be_a_fault_is_told_beside_the_pass(deployment: Deployment, words: str) -> None:
    found = judged(good(deployments=(deployment,)))

    assert [status for status, _ in found] == [WARNING, PASS]
    assert words in found[0][1]


def test_the_second_chain_counts_as_much_as_the_first() -> None:
    weak = shown(certificate(key="RSA", key_bits=1024))

    assert [status for status, _ in judged(good(deployments=(shown(), weak)))] == [FAIL]


FAULTS: Sequence[Deployment] = (
    shown(is_trusted=False),
    shown(matches_name=False),
    shown(has_sha1=True),
    shown(certificate(key="RSA", key_bits=512)),
)


@given(
    old=st.sets(st.sampled_from(["SSLv2", "SSLv3", "TLSv1", "TLSv1.1"])),
    deployments=st.lists(st.sampled_from([shown(), *FAULTS]), min_size=1, max_size=3),
)
def test_a_pass_never_stands_beside_a_fail(old: set[Protocol], deployments: list[Deployment]) -> None:
    accepted: dict[Protocol, Sequence[str]] = {**{protocol: ["X"] for protocol in old}, **STRONG}
    statuses = {status for status, _ in judged(scanned(accepted, deployments=deployments))}

    is_bad = bool(old) or any(deployment in FAULTS for deployment in deployments)
    assert (FAIL in statuses) is is_bad
    assert (PASS in statuses) is not is_bad


# What AWS says of itself


@pytest.mark.parametrize(
    ("protocols", "suites", "status"),
    [
        (["TLSv1.2", "TLSv1.3"], ["ECDHE-RSA-AES128-GCM-SHA256"], PASS),
        (["TLSv1.3"], ["TLS_AES_128_GCM_SHA256"], PASS),
        (["TLSv1", "TLSv1.1", "TLSv1.2"], ["ECDHE-RSA-AES128-GCM-SHA256"], FAIL),
        (["TLSv1.2"], ["DES-CBC3-SHA"], FAIL),
    ],
)
def test_a_policy_is_judged_by_its_own_list(protocols: list[str], suites: list[str], status: FindingStatus) -> None:
    assert judge_policy("arn", "policy", protocols, suites, "TLSv1.2").status is status


@pytest.mark.parametrize("protocols", [[], ["TLSv9"]])
def test_a_policy_of_no_known_protocol_is_never_a_pass(protocols: list[str]) -> None:
    with pytest.raises(ValueError, match=r"empty|TLSv9"):
        judge_policy("arn", "policy", protocols, [], "TLSv1.2")


def test_a_classic_policy_is_read_from_its_attributes() -> None:
    attributes = {
        "Protocol-TLSv1": "true",
        "Protocol-SSLv3": "false",
        "Protocol-TLSv1.2": "true",
        "Server-Defined-Cipher-Order": "true",
        "Reference-Security-Policy": "ELBSecurityPolicy-2016-08",
        "DES-CBC3-SHA": "true",
        "RC4-MD5": "false",
    }
    described = {
        "PolicyAttributeDescriptions": [
            {"AttributeName": name, "AttributeValue": value} for name, value in attributes.items()
        ]
    }

    assert classic_policy(described) == (("TLSv1", "TLSv1.2"), ("DES-CBC3-SHA",))


@pytest.mark.parametrize(
    ("policy", "floor"),
    [
        ("TLS_1_0", "TLSv1"),
        ("TLS_1_2", "TLSv1.2"),
        ("SecurityPolicy_TLS13_1_2_2021_06", "TLSv1.2"),
        ("SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "TLSv1.2"),
        ("SecurityPolicy_TLS13_1_3_2025_09", "TLSv1.3"),
        ("SecurityPolicy_TLS13_2025_EDGE", "TLSv1.3"),
        ("SecurityPolicy_TLS12_2018_EDGE", "TLSv1.2"),
        ("", None),
        ("SecurityPolicy_NEXT", None),
    ],
)
def test_security_policies_of_api_gateway_are_read_from_their_names(policy: str, floor: str | None) -> None:
    assert gateway_floor(policy) == floor


@pytest.mark.parametrize(
    ("viewer", "status"),
    [
        ({"MinimumProtocolVersion": "TLSv1.2_2021"}, PASS),
        ({"MinimumProtocolVersion": "TLSv1.3_2025"}, PASS),
        ({"MinimumProtocolVersion": "TLSv1_2016"}, FAIL),
        ({"MinimumProtocolVersion": "SSLv3"}, FAIL),
        ({"MinimumProtocolVersion": "TLSv1.2_2021", "CloudFrontDefaultCertificate": True}, FAIL),
        ({}, ERROR),
        (None, ERROR),
        ({"MinimumProtocolVersion": "<b>"}, ERROR),
    ],
)
def test_a_distribution_is_judged_by_what_it_accepts(viewer: Mapping[str, Any] | None, status: FindingStatus) -> None:
    summary = {} if viewer is None else {"ViewerCertificate": viewer}
    subject = Distribution(home=Region(account="prod", name="us-east-1"), arn="arn:d", summary=summary)

    assert [finding.status for finding in as_list(distribution(subject, WANTED))] == [status]


@pytest.mark.parametrize(
    ("changes", "statuses"),
    [
        ({}, []),
        ({"NotAfter": NOW + timedelta(days=10)}, [FAIL]),
        ({"NotAfter": NOW + timedelta(days=20)}, [WARNING]),
        ({"NotAfter": NOW - timedelta(days=1), "InUseBy": []}, []),
        ({"KeyAlgorithm": "RSA_1024"}, [FAIL]),
        ({"KeyAlgorithm": "RSA-1024"}, [FAIL]),
        ({"NotAfter": None}, []),
    ],
)
def test_a_certificate_of_acm_that_is_in_use_is_judged_and_never_passes(
    changes: Mapping[str, Any], statuses: list[FindingStatus]
) -> None:
    described = {
        "InUseBy": ["arn:lb"],
        "NotAfter": NOW + timedelta(days=60),
        "KeyAlgorithm": "EC_prime256v1",
        **changes,
    }

    assert [finding.status for finding in judge_managed("arn:c", described, NOW, WANTED)] == statuses


# Real servers


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def ca_file(authority: Authority, folder: Path) -> str:
    return str(authority.write_ca(folder))


@pytest.fixture(scope="module")
def sound(authority: Authority, folder: Path) -> Iterator[worlds.Peer]:
    with worlds.tls_server(folder, authority.issue(NAME)) as peer:
        yield peer


def audit(*endpoints: Endpoint, **more: Any) -> ItemResult:
    environment = Environment(service="orders", name="production", stage="production", endpoints=endpoints)
    return audit_item(ITEM, environment, min_evidence=Grade.LIVE, **more)


def told(result: ItemResult, status: FindingStatus) -> list[tuple[str, str]]:
    return [(finding.subject, finding.observed or finding.message) for finding in result.of_status(status)]


@pytest.mark.proof("pass")
def test_a_server_of_tls_1_2_and_1_3_with_a_sound_chain_passes(sound: worlds.Peer, ca_file: str) -> None:
    result = audit(sound.endpoint(NAME, ca_file=ca_file))

    assert result.status is Status.PASS
    (finding,) = result.findings
    assert (finding.subject, finding.grade) == ("api", Grade.LIVE)
    assert finding.observed.startswith(f"accepts TLSv1.2 and TLSv1.3 at {sound.place}, certificate valid for 8")


@pytest.mark.proof("fail")
def test_a_server_that_accepts_tls_1_0_fails_by_its_name_beside_a_sound_one(
    sound: worlds.Peer, authority: Authority, tmp_path: Path, ca_file: str
) -> None:
    directives = "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers 'DEFAULT:@SECLEVEL=0';"
    with worlds.nginx(tmp_path, authority.issue(NAME), directives) as old:
        result = audit(
            old.endpoint(NAME, name="legacy", ca_file=ca_file), sound.endpoint(NAME, name="api", ca_file=ca_file)
        )

    assert result.status is Status.FAIL
    assert told(result, FAIL) == [("legacy", f"accepts TLSv1, TLSv1.1 at {old.place}")]
    assert [subject for subject, _ in told(result, PASS)] == ["api"]


@pytest.mark.proof("inconclusive")
def test_an_environment_without_endpoints_and_an_empty_account_are_inconclusive(cloud: Cloud) -> None:
    assert (audit().status, audit().findings) == (Status.INCONCLUSIVE, ())
    result = audit_item(ITEM, replace(cloud.environment(), quub=None), environ=cloud.environ)
    assert (result.status, result.findings) == (Status.INCONCLUSIVE, ())


@pytest.mark.proof("error")
def test_a_server_that_is_down_silent_or_without_tls_is_an_error_beside_a_sound_one(
    sound: worlds.Peer, ca_file: str
) -> None:
    down = worlds.Peer("127.0.0.1", worlds.free_port())
    with worlds.server(worlds.silent) as silent, worlds.server(worlds.plain_http) as plain:
        result = audit(
            down.endpoint(NAME, name="down"),
            silent.endpoint(NAME, name="silent"),
            plain.endpoint(NAME, name="plain"),
            sound.endpoint(NAME, name="up", ca_file=ca_file),
            check_timeout_s=12,
        )

    assert result.status is Status.ERROR
    messages = dict(told(result, ERROR))
    assert "no connection: Connection refused" in messages["down"]
    # On a busy machine the time of the check may end first.
    assert re.search("no answer to a TLS handshake|the handshakes were not done in", messages["silent"])
    assert "the server speaks plain HTTP there" in messages["plain"]
    assert [subject for subject, _ in told(result, PASS)] == ["up"]


def test_a_server_of_old_protocols_alone_fails_though_our_own_openssl_could_not_speak_to_it(
    authority: Authority, folder: Path, ca_file: str
) -> None:
    with worlds.tls_server(folder, authority.issue(NAME), oldest="TLSv1", newest="TLSv1.1") as peer:
        result = audit(peer.endpoint(NAME, ca_file=ca_file))

    assert result.status is Status.FAIL
    assert f"accepts TLSv1, TLSv1.1 at {peer.place}" in [observed for _, observed in told(result, FAIL)]
    assert any("TLS_ECDH_anon_WITH_AES_128_CBC_SHA" in observed for _, observed in told(result, FAIL))


def test_resets_of_old_handshakes_do_not_count_as_refusals(authority: Authority, folder: Path, ca_file: str) -> None:
    with worlds.tls_server(folder, authority.issue(NAME), resets=worlds.is_hello_of("TLSv1")) as peer:
        result = audit(peer.endpoint(NAME, ca_file=ca_file))

    assert result.status is Status.ERROR
    assert any("TLSv1 could not be tried" in message for _, message in told(result, ERROR))
    assert told(result, PASS) == []


def test_one_bad_address_of_a_name_fails_though_the_other_is_sound(
    authority: Authority, folder: Path, ca_file: str
) -> None:
    identity = authority.issue(NAME)
    connector = TlsConnector(Ledger())
    with (
        contextlib.closing(connector),
        worlds.tls_server(folder, identity) as origin,
        worlds.tls_server(folder, identity, address="127.0.0.2", oldest="TLSv1") as edge,
    ):
        target = replace(origin.endpoint(NAME, ca_file=ca_file), connect_to="")
        findings: list[Finding] = []
        for peer in (origin, edge):
            subject = EndpointAddress(endpoint=target, address=peer.place)
            findings += as_list(endpoint(subject, connector, FixedClock(datetime.now(UTC)), WANTED))

    assert [finding.status for finding in findings if finding.status is not WARNING] == [PASS, FAIL, FAIL]
    assert {finding.subject for finding in findings} == {"api"}
    assert all("127.0.0.2" in finding.observed for finding in findings if finding.status is FAIL)


def test_the_certificate_of_the_endpoint_s_own_name_is_judged_and_no_default_one(
    authority: Authority, folder: Path, ca_file: str
) -> None:
    default = worlds.context(folder, authority.issue("default.invalid", is_self_signed=True))
    own = worlds.context(folder, authority.issue(NAME))
    with worlds.server(worlds.speaking(default, by_name={NAME: own})) as peer:
        assert audit(peer.endpoint(NAME, ca_file=ca_file)).status is Status.PASS
        assert audit(peer.endpoint("other.test", ca_file=ca_file)).status is Status.FAIL


def test_a_private_authority_is_trusted_only_where_it_is_declared(sound: worlds.Peer, ca_file: str) -> None:
    result = audit(sound.endpoint(NAME))

    assert result.status is Status.FAIL
    why = "no issuer is among the trusted roots and the certificates that were sent"
    assert told(result, FAIL) == [("api", f"the chain is not trusted: {why} at {sound.place}")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ends_in": timedelta(days=10)}, "the certificate ends in 9 days"),
        ({"begins_in": timedelta(days=-20), "ends_in": timedelta(days=-2)}, "the certificate ended"),
        ({"key": "rsa-1024"}, "has RSA of 1024 bits"),
        ({"is_chain_complete": False}, "no issuer is among the trusted roots"),
        ({"is_self_signed": True}, "the chain is not trusted"),
    ],
)
def test_each_unsound_certificate_fails(
    authority: Authority, folder: Path, ca_file: str, changes: Mapping[str, Any], words: str
) -> None:
    with worlds.tls_server(folder, authority.issue(NAME, **changes)) as peer:
        result = audit(peer.endpoint(NAME, ca_file=ca_file))

    assert result.status is Status.FAIL
    assert any(words in observed for _, observed in told(result, FAIL))


def test_what_ends_soon_passes_with_a_warning(authority: Authority, folder: Path, ca_file: str) -> None:
    identity = authority.issue(NAME, ends_in=timedelta(days=20))
    with worlds.tls_server(folder, identity, newest="TLSv1.2") as peer:
        result = audit(peer.endpoint(NAME, ca_file=ca_file))

    assert result.status is Status.PASS
    warned = [observed for _, observed in told(result, WARNING)]
    assert any("the certificate ends in 19 days" in observed for observed in warned)
    assert any("TLSv1.3 is not offered" in observed for observed in warned)


# On an emulated AWS


def listen(cloud: Cloud, policy: str, port: int) -> str:
    """A TLS listener of a load balancer under a policy; its ARN."""
    elb = cloud.client("elbv2")
    network = cloud.network(nats=2)
    balancer = elb.create_load_balancer(Name=f"front-{port}", Subnets=list(network.private))["LoadBalancers"][0]
    target = elb.create_target_group(Name=f"web-{port}", Protocol="HTTP", Port=8080, VpcId=network.vpc)["TargetGroups"]
    shown = cloud.client("acm").request_certificate(DomainName="orders.test")["CertificateArn"]
    arn: str = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTPS",
        Port=port,
        SslPolicy=policy,
        Certificates=[{"CertificateArn": shown}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": target[0]["TargetGroupArn"]}],
    )["Listeners"][0]["ListenerArn"]
    return arn


def test_a_listener_with_a_2016_policy_fails_and_names_tls_1_0(cloud: Cloud) -> None:
    old = listen(cloud, "ELBSecurityPolicy-2016-08", 443)
    new = listen(cloud, "ELBSecurityPolicy-TLS13-1-2-2021-06", 8443)

    result = audit_item(ITEM, replace(cloud.environment(), quub=None), environ=cloud.environ)

    assert result.status is Status.FAIL
    assert [(subject, observed) for subject, observed in told(result, FAIL)] == [
        (old, "policy ELBSecurityPolicy-2016-08 accepts TLSv1")
    ]
    assert [subject for subject, _ in told(result, PASS)] == [new]


def test_a_port_443_that_is_handed_through_waits_for_the_endpoint_behind_it(cloud: Cloud) -> None:
    listen(cloud, "ELBSecurityPolicy-TLS13-1-2-2021-06", 8443)
    cloud.hand_through("through", 443)
    endpoint = Endpoint(name="api", url="https://api.test", host="api.test", port=443, load_balancer="through")
    environment = replace(cloud.environment(), quub=None)

    alone = audit_item(ITEM, environment, environ=cloud.environ)
    declared = replace(environment, endpoints=(endpoint,))
    scanned = audit_item(ITEM, declared, check="listener", environ=cloud.environ)

    assert (alone.status, len(alone.of_status(PASS))) == (Status.INCONCLUSIVE, 1)
    assert "`load_balancer: through`" in alone.next_step
    assert scanned.status is Status.PASS, scanned.reason


def test_a_listener_that_may_not_be_described_is_an_error_that_names_the_permission(cloud: Cloud) -> None:
    listen(cloud, "ELBSecurityPolicy-TLS13-1-2-2021-06", 443)
    cloud.allow_only("elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeListeners")

    result = audit_item(ITEM, replace(cloud.environment(), quub=None), environ=cloud.environ, check="listener")

    assert result.status is Status.ERROR
    assert any("elasticloadbalancing:DescribeSSLPolicies" in f"{f.message} {f.next_step}" for f in result.findings)


def test_an_account_s_own_word_passes_nothing_where_live_evidence_is_wanted(cloud: Cloud) -> None:
    listen(cloud, "ELBSecurityPolicy-TLS13-1-2-2021-06", 443)

    result = audit_item(
        ITEM, replace(cloud.environment(), quub=None), environ=cloud.environ, check="listener", min_evidence=Grade.LIVE
    )

    assert result.status is Status.INCONCLUSIVE
