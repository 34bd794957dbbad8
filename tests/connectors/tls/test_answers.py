"""sslyze's JSON: what is decisive in it, and what of it is not believed."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from quub_audit.connectors.tls_answer import Target, matches, read_output
from quub_audit.demo.authority import Authority
from quub_audit.errors import Malformed, NotTls, Reportable, Unreachable
from quub_audit.facts.tls import TlsScan

TARGET = Target("api.orders.test", "192.0.2.1", 443)
COMMANDS = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")
PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")

HANDSHAKE_FAILURE = "TLS alert: handshake failure"
PROTOCOL_VERSION = "TLS alert: protocol version "
TIME_OUT = "Connection to server timed out during the TLS handshake"
RESET = "Server rejected the connection"
CLOSED = "Server closed the connection during the TLS handshake"


@pytest.fixture(scope="module")
def pem() -> str:
    return Authority().issue("api.orders.test").chain_pem.decode().split("-----END CERTIFICATE-----")[0] + (
        "-----END CERTIFICATE-----\n"
    )


def suites(*rejections: str, accepted: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "status": "COMPLETED",
        "error_reason": None,
        "error_trace": None,
        "result": {
            "accepted_cipher_suites": [{"cipher_suite": {"name": name}} for name in accepted],
            "rejected_cipher_suites": [{"cipher_suite": {"name": "X"}, "error_message": text} for text in rejections],
        },
    }


def failed(trace: str, reason: str = "BUG_IN_SSLYZE") -> dict[str, Any]:
    return {"status": "ERROR", "error_reason": reason, "error_trace": trace, "result": None}


def output(pem: str, **changes: Any) -> dict[str, Any]:
    """A report of a good server; `changes` replace a protocol's attempt, or `certificate_info`."""
    refused = {f"{command}_cipher_suites": suites(PROTOCOL_VERSION) for command in COMMANDS[:4]}
    accepted = {f"{command}_cipher_suites": suites(accepted=("TLS_A",)) for command in COMMANDS[4:]}
    shown = {
        "received_certificate_chain": [{"as_pem": pem}],
        "received_chain_has_valid_order": True,
        "verified_chain_has_sha1_signature": False,
        "path_validation_results": [
            {"trust_store": {"name": "Mozilla"}, "validation_error": None, "was_validation_successful": True}
        ],
    }
    info = {"status": "COMPLETED", "error_reason": None, "error_trace": None}
    commands = {
        **refused,
        **accepted,
        "certificate_info": {**info, "result": {"certificate_deployments": [shown]}},
        **changes,
    }
    return {
        "sslyze_version": "6.3.1",
        "server_scan_results": [
            {
                "server_location": {"hostname": TARGET.name, "port": TARGET.port, "ip_address": TARGET.address},
                "connectivity_status": "COMPLETED",
                "connectivity_error_trace": None,
                "scan_result": commands,
            }
        ],
    }


def read(value: Any, *, has_ca_file: bool = False) -> TlsScan | Reportable:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_output(text, [TARGET], has_ca_file=has_ca_file)[TARGET]


def scan(value: Any) -> TlsScan:
    found = read(value)
    assert isinstance(found, TlsScan), found
    return found


def test_a_good_report_is_read(pem: str) -> None:
    found = scan(output(pem))

    assert found.accepted == (("TLSv1.2", ("TLS_A",)), ("TLSv1.3", ("TLS_A",)))
    assert found.refused == ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1")
    assert found.tool == "sslyze 6.3.1"


@pytest.mark.parametrize(
    ("attempt", "is_refused"),
    [
        (suites(PROTOCOL_VERSION, PROTOCOL_VERSION), True),
        (suites(HANDSHAKE_FAILURE, HANDSHAKE_FAILURE), True),
        (suites("TLS error: wrong version number", HANDSHAKE_FAILURE), True),
        (suites(TIME_OUT, PROTOCOL_VERSION), True),
        (suites(HANDSHAKE_FAILURE, RESET), False),
        (suites(HANDSHAKE_FAILURE, TIME_OUT), False),
        (suites(RESET, RESET), False),
        (suites(CLOSED), False),
        (suites(TIME_OUT), False),
        (suites("TLS alert: Internal error"), False),
        (suites("Server returned wrong certificate type"), False),
        (suites("TLS error: no cipher match"), False),
        (suites("<script>alert(1)</script>"), False),
        (suites(), False),
        (failed("Traceback\nnassl._nassl.OpenSSLError: error:1425F102:SSL routines::unsupported protocol\n"), True),
        (failed("Traceback\nsslyze.errors.ConnectionToServerTimedOut: timed out\n", "CONNECTIVITY_ISSUE"), False),
        (failed(""), False),
        ({"status": "NOT_SCHEDULED", "error_reason": None, "error_trace": None, "result": None}, False),
    ],
)
def test_only_a_decisive_answer_is_a_refusal(pem: str, attempt: dict[str, Any], is_refused: bool) -> None:
    found = scan(output(pem, tls_1_0_cipher_suites=attempt))

    assert ("TLSv1" in found.refused) is is_refused
    assert ("TLSv1" in dict(found.undecided)) is not is_refused
    assert all(found.undecided and why for _, why in found.undecided)


def test_one_accepted_suite_outweighs_every_refusal(pem: str) -> None:
    found = scan(output(pem, tls_1_0_cipher_suites=suites(PROTOCOL_VERSION, RESET, accepted=("TLS_OLD",))))

    assert found.accepted[0] == ("TLSv1", ("TLS_OLD",))


@pytest.mark.parametrize("ending", [RESET, CLOSED, "Server interrupted the TLS handshake"])
def test_hanging_up_on_sslv2_is_a_refusal_where_all_else_is_clear(pem: str, ending: str) -> None:
    clear = scan(output(pem, ssl_2_0_cipher_suites=suites(ending, ending)))
    unclear = scan(output(pem, ssl_2_0_cipher_suites=suites(ending), tls_1_0_cipher_suites=suites(RESET)))
    slow = scan(output(pem, ssl_2_0_cipher_suites=suites(ending, TIME_OUT)))

    assert clear.refused[0] == "SSLv2"
    assert [protocol for protocol, _ in unclear.undecided] == ["SSLv2", "TLSv1"]
    assert [protocol for protocol, _ in slow.undecided] == ["SSLv2"]


def test_hanging_up_on_everything_refuses_nothing(pem: str) -> None:
    endings = {f"{command}_cipher_suites": suites(RESET) for command in COMMANDS}
    found = scan(output(pem, **endings, certificate_info=failed("x: y", "CONNECTIVITY_ISSUE")))

    assert (found.accepted, found.refused, found.deployments) == ((), (), ())
    assert [protocol for protocol, _ in found.undecided] == list(PROTOCOLS)


@pytest.mark.parametrize(
    ("trace", "error", "words"),
    [
        (
            'Traceback:\nsslyze.errors.ServerTlsConfigurationNotSupported: a:1 -> "TLS probing failed".\n',
            NotTls,
            "no handshake of any protocol was completed: TLS probing failed",
        ),
        ('sslyze.errors.ServerRejectedConnection: a:1 -> "Server rejected the connection".', NotTls, "rejected"),
        ('sslyze.errors.ConnectionToServerTimedOut: a:1 -> "timed out".', Unreachable, "no connection: timed out"),
        ("builtins.ValueError: <b>\x1b[31m", Malformed, "sslyze ended early"),
        ("", Malformed, "sslyze ended early"),
    ],
)
def test_a_server_that_was_not_scanned_has_the_error_that_says_why(
    pem: str, trace: str, error: type[Reportable], words: str
) -> None:
    report = output(pem)
    report["server_scan_results"][0] |= {
        "connectivity_status": "ERROR",
        "connectivity_error_trace": trace,
        "scan_result": None,
    }

    found = read(report)

    assert type(found) is error
    assert words in found.message
    assert "\x1b" not in found.message


def test_certificates_that_sslyze_could_not_read_are_the_error(pem: str) -> None:
    found = read(output(pem, certificate_info=failed("Traceback:\nValueError: invalid certificate")))

    assert isinstance(found, Malformed)
    assert "could not read the certificates: ValueError: invalid certificate" in found.message


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>502</html>",
        b"\xff\xfe",
        b'{"sslyze_version": "6.3.1", "server_scan_results": [',
        b"[" * 100_000,
        b'{"sslyze_version": "' + b"9" * 1000 + b'", "server_scan_results": []}',
    ],
)
def test_what_is_no_report_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed, match="sslyze's report cannot be read"):
        read_output(text, [TARGET], has_ca_file=False)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("connectivity_status",), "MAYBE"),
        (("server_location", "port"), "https"),
        (("server_location", "ip_address"), None),
        (("scan_result",), "none"),
        (("scan_result", "tls_1_0_cipher_suites"), None),
        (("scan_result", "tls_1_0_cipher_suites", "status"), "DONE"),
        (("scan_result", "tls_1_2_cipher_suites", "result", "accepted_cipher_suites"), {"0": "x"}),
        (("scan_result", "tls_1_2_cipher_suites", "result", "accepted_cipher_suites"), [{"cipher_suite": "x"}]),
        (("scan_result", "certificate_info", "result", "certificate_deployments"), [{}]),
    ],
)
def test_a_part_of_another_type_is_malformed_and_named(pem: str, path: tuple[str, ...], value: Any) -> None:
    report = copy.deepcopy(output(pem))
    part = report["server_scan_results"][0]
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value

    with pytest.raises(Malformed, match=path[-1]):
        read_output(json.dumps(report).encode(), [TARGET], has_ca_file=False)


@pytest.mark.parametrize(
    "broken", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\u00fc\x00"]
)
def test_a_certificate_that_cannot_be_read_is_the_error_of_its_server(pem: str, broken: str) -> None:
    report = output(pem)
    info = report["server_scan_results"][0]["scan_result"]["certificate_info"]
    info["result"]["certificate_deployments"][0]["received_certificate_chain"].append({"as_pem": broken})

    found = read(report)

    assert isinstance(found, Malformed)
    assert "certificate 2 of the chain cannot be read" in found.message


def test_an_empty_chain_is_malformed(pem: str) -> None:
    report = output(pem)
    info = report["server_scan_results"][0]["scan_result"]["certificate_info"]
    info["result"]["certificate_deployments"][0]["received_certificate_chain"] = []

    with pytest.raises(Malformed, match="received_certificate_chain"):
        read(report)


def test_other_roots_than_those_asked_for_do_not_count(pem: str) -> None:
    found = read(output(pem), has_ca_file=True)

    assert isinstance(found, Malformed)
    assert "did not judge the chain by Supplied CA file" in found.message


def test_servers_that_were_not_asked_for_are_left_out(pem: str) -> None:
    other = Target("other.orders.test", "192.0.2.1", 443)

    assert read_output(json.dumps(output(pem)).encode(), [other], has_ca_file=False) == {}


@pytest.mark.parametrize(
    ("name", "names", "holds"),
    [
        ("api.test", ("api.test",), True),
        ("API.test", ("api.TEST.",), True),
        ("api.test", (), False),
        ("api.test", ("*.test",), True),
        ("a.api.test", ("*.test",), False),
        ("test", ("*.test",), False),
        (".test", ("*.test",), False),
        ("api.test", ("a*.test",), False),
        ("api.test", ("*",), False),
        ("192.0.2.1", ("192.0.2.1",), True),
        ("192.0.2.1", ("*.0.2.1",), False),
        ("::1", ("0:0:0:0:0:0:0:1",), True),
        ("::1", ("api.test", "::2"), False),
    ],
)
def test_names_match_by_rfc_9525(name: str, names: tuple[str, ...], holds: bool) -> None:
    assert matches(name, names) is holds


@pytest.mark.parametrize(
    ("target", "spelled"),
    [
        (Target("api.test", "192.0.2.1", 443), "api.test:443{192.0.2.1}"),
        (Target("api.test", "::1", 8443), "api.test:8443{[::1]}"),
        (Target("::1", "::1", 443), "[::1]:443{::1}"),
        (Target("192.0.2.1", "192.0.2.1", 443), "192.0.2.1:443{192.0.2.1}"),
    ],
)
def test_targets_are_spelled_as_sslyze_reads_them(target: Target, spelled: str) -> None:
    assert target.spelled == spelled
