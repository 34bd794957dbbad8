"""The TLS connector: real servers, scanned by real sslyze."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quub_audit.connectors.base import DEADLINE, QUESTION_TIMEOUT_S, Deadline, Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.tls import TlsConnector
from quub_audit.connectors.tls_process import Scanner
from quub_audit.demo.authority import Authority, Identity
from quub_audit.errors import Absent, Malformed, NotTls, TimedOut, Unreachable, Unsupported
from quub_audit.facts.asking import Tls
from quub_audit.facts.tls import OLDEST_FIRST, Deployment, TlsScan
from tests.worlds import tls as worlds
from tests.worlds.tls import Peer

NAME = "api.orders.test"


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
def good(authority: Authority, folder: Path) -> Iterator[Peer]:
    """TLS 1.2 and 1.3, a sound chain."""
    with worlds.tls_server(folder, authority.issue(NAME)) as peer:
        yield peer


@pytest.fixture
def connector() -> Iterator[TlsConnector]:
    made = TlsConnector(Ledger())
    yield made
    made.close()


def scan(connector: TlsConnector, peer: Peer, *, ca_file: str = "", host: str = NAME) -> TlsScan:
    found = connector.scan(peer.endpoint(host, ca_file=ca_file), address=peer.address)
    groups = [*found.accepted_protocols, *found.refused, *(protocol for protocol, _ in found.undecided)]
    assert sorted(groups) == sorted(OLDEST_FIRST)
    assert decode(encode(found)) == found
    return found


def chain_of(connector: TlsConnector, peer: Peer, ca_file: str, *, host: str = NAME) -> Deployment:
    (shown,) = scan(connector, peer, ca_file=ca_file, host=host).deployments
    return shown


def test_it_implements_the_protocol_that_checks_see(connector: TlsConnector) -> None:
    assert isinstance(connector, Tls)


def test_a_good_server_accepts_the_new_protocols_and_refuses_the_old_ones(
    connector: TlsConnector, good: Peer, ca_file: str
) -> None:
    found = scan(connector, good, ca_file=ca_file)

    assert found.accepted_protocols == ("TLSv1.2", "TLSv1.3")
    assert found.refused == ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1")
    assert found.undecided == ()
    assert (found.address, found.server_name) == (good.place, NAME)
    assert re.fullmatch(r"sslyze \d+\.\d+\.\d+", found.tool)
    suites = dict(found.accepted)
    assert "TLS_AES_256_GCM_SHA384" in suites["TLSv1.3"]
    assert "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" in suites["TLSv1.2"]


def test_the_chain_is_told_as_it_was_sent(connector: TlsConnector, authority: Authority, folder: Path) -> None:
    identity = authority.issue(NAME, "127.0.0.1", key="rsa-2048", ends_in=timedelta(days=40))
    with worlds.tls_server(folder, identity) as peer:
        shown = chain_of(connector, peer, str(authority.write_ca(folder)))

    leaf, middle = shown.chain
    assert (leaf.subject, leaf.issuer, leaf.names) == (f"CN={NAME}", middle.subject, (NAME, "127.0.0.1"))
    assert (leaf.key, leaf.key_bits, leaf.signature_hash, leaf.is_authority) == ("RSA", 2048, "sha256", False)
    assert (middle.key, middle.key_bits, middle.is_authority) == ("EC", 256, True)
    assert leaf.spki_sha256 == identity.spki_sha256
    assert re.fullmatch("[0-9a-f]{64}", leaf.sha256)
    assert leaf.not_after.tzinfo is UTC
    assert 39 <= (leaf.not_after - datetime.now(UTC)).days <= 40
    assert (shown.is_trusted, shown.distrust, shown.matches_name) == (True, "", True)
    assert (shown.has_valid_order, shown.has_sha1) == (True, False)


def test_a_server_of_the_old_protocols_alone_is_seen_to_accept_them(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str
) -> None:
    with worlds.tls_server(folder, authority.issue(NAME), oldest="TLSv1", newest="TLSv1.1") as peer:
        found = scan(connector, peer, ca_file=ca_file)

    assert found.accepted_protocols == ("TLSv1", "TLSv1.1")
    assert found.refused == ("SSLv2", "SSLv3", "TLSv1.2", "TLSv1.3")
    assert "TLS_ECDH_anon_WITH_AES_128_CBC_SHA" in dict(found.accepted)["TLSv1"]


def test_nginx_with_every_protocol_is_seen_to_accept_them(
    connector: TlsConnector, authority: Authority, tmp_path: Path, ca_file: str
) -> None:
    directives = 'ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers "ALL:@SECLEVEL=0";'
    with worlds.nginx(tmp_path, authority.issue(NAME), directives) as peer:
        found = scan(connector, peer, ca_file=ca_file)

    assert found.accepted_protocols == ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    assert found.refused == ("SSLv2", "SSLv3")


def test_a_server_of_tls_1_3_alone_refuses_all_others(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str
) -> None:
    with worlds.tls_server(folder, authority.issue(NAME), oldest="TLSv1.3") as peer:
        found = scan(connector, peer, ca_file=ca_file)

    assert found.accepted_protocols == ("TLSv1.3",)
    assert found.refused == ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2")


def test_a_protocol_whose_connections_are_reset_is_undecided(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str
) -> None:
    with worlds.tls_server(folder, authority.issue(NAME), resets=worlds.is_hello_of("TLSv1")) as peer:
        found = scan(connector, peer, ca_file=ca_file)

    undecided = dict(found.undecided)
    assert "TLSv1" not in found.refused
    assert "of 80 handshakes" in undecided["TLSv1"]
    assert "TLSv1.1" in found.refused
    assert "SSLv2" in undecided, "where some connections are reset, so may those of SSLv2 have been"


def test_a_server_that_resets_connections_after_some_is_not_said_to_refuse(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str
) -> None:
    with worlds.tls_server(folder, authority.issue(NAME), resets=lambda _, number: number > 60) as peer:
        found = scan(connector, peer, ca_file=ca_file)

    assert len(found.undecided) >= 3
    assert "SSLv2" not in found.refused
    assert all("handshakes)" in why for _, why in found.undecided)


def test_without_a_ca_file_a_private_authority_is_not_trusted(connector: TlsConnector, good: Peer) -> None:
    shown = chain_of(connector, good, "")

    assert not shown.is_trusted
    assert "no issuer is among the trusted roots" in shown.distrust
    assert shown.matches_name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"begins_in": timedelta(days=-60), "ends_in": timedelta(days=-1)}, "not valid"),
        ({"is_self_signed": True}, "no issuer"),
        ({"is_chain_complete": False}, "no issuer"),
    ],
)
def test_an_unsound_chain_is_not_trusted_and_says_why(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str, changes: dict[str, object], words: str
) -> None:
    identity = authority.issue(NAME, **changes)  # type: ignore[arg-type]
    with worlds.tls_server(folder, identity) as peer:
        shown = chain_of(connector, peer, ca_file)

    assert not shown.is_trusted
    assert words.lower() in shown.distrust.lower()
    assert shown.matches_name


def test_the_length_of_a_short_key_is_told(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str
) -> None:
    with worlds.tls_server(folder, authority.issue(NAME, key="rsa-1024")) as peer:
        leaf = chain_of(connector, peer, ca_file).chain[0]

    assert (leaf.key, leaf.key_bits) == ("RSA", 1024)


def test_a_certificate_for_another_name_does_not_match(connector: TlsConnector, good: Peer, ca_file: str) -> None:
    shown = chain_of(connector, good, ca_file, host="other.orders.test")

    assert not shown.matches_name
    assert not shown.is_trusted


def test_a_wildcard_stands_for_one_label(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str
) -> None:
    with worlds.tls_server(folder, authority.issue("*.orders.test")) as peer:
        assert chain_of(connector, peer, ca_file).matches_name
        assert not chain_of(connector, peer, ca_file, host="v1.api.orders.test").matches_name


def test_a_chain_that_is_sent_out_of_order_is_told(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str
) -> None:
    identity = authority.issue(NAME)
    leaf, middle = re.findall(rb"-----BEGIN.+?END CERTIFICATE-----\n", identity.chain_pem, re.S)
    with worlds.tls_server(folder, replace(identity, chain_pem=leaf + authority.ca_pem + middle)) as peer:
        shown = chain_of(connector, peer, ca_file)

    assert len(shown.chain) == 3
    assert not shown.has_valid_order
    assert shown.is_trusted


def test_a_signature_by_sha_1_is_told(connector: TlsConnector, tmp_path: Path) -> None:
    worlds.openssl(
        tmp_path,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-sha1",
        "-days",
        "30",
        "-subj",
        "/CN=root",
        "-keyout",
        "root.key",
        "-out",
        "root.pem",
    )
    worlds.openssl(
        tmp_path,
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        f"/CN={NAME}",
        "-keyout",
        "leaf.key",
        "-out",
        "leaf.csr",
    )
    (tmp_path / "names").write_text(f"subjectAltName=DNS:{NAME}\nextendedKeyUsage=serverAuth\n")
    worlds.openssl(
        tmp_path,
        "x509",
        "-req",
        "-sha1",
        "-in",
        "leaf.csr",
        "-CA",
        "root.pem",
        "-CAkey",
        "root.key",
        "-CAcreateserial",
        "-days",
        "30",
        "-extfile",
        "names",
        "-out",
        "leaf.pem",
    )
    with worlds.openssl_server(
        tmp_path, tmp_path / "leaf.pem", tmp_path / "leaf.key", "-cipher", "DEFAULT:@SECLEVEL=0"
    ) as peer:
        shown = chain_of(connector, peer, str(tmp_path / "root.pem"))

    assert shown.has_sha1
    assert not shown.is_trusted
    assert shown.chain[0].signature_hash == "sha1"


def test_a_root_that_signed_itself_with_sha_1_is_no_fault(connector: TlsConnector, tmp_path: Path) -> None:
    worlds.openssl(
        tmp_path,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-sha1",
        "-days",
        "30",
        "-subj",
        "/CN=root",
        "-keyout",
        "root.key",
        "-out",
        "root.pem",
    )
    worlds.openssl(
        tmp_path,
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        f"/CN={NAME}",
        "-keyout",
        "leaf.key",
        "-out",
        "leaf.csr",
    )
    worlds.openssl(
        tmp_path,
        "x509",
        "-req",
        "-sha256",
        "-in",
        "leaf.csr",
        "-CA",
        "root.pem",
        "-CAkey",
        "root.key",
        "-CAcreateserial",
        "-days",
        "30",
        "-out",
        "leaf.pem",
    )
    (tmp_path / "chain.pem").write_text((tmp_path / "leaf.pem").read_text() + (tmp_path / "root.pem").read_text())
    with worlds.openssl_server(
        tmp_path, tmp_path / "leaf.pem", tmp_path / "leaf.key", "-cert_chain", "root.pem"
    ) as peer:
        shown = chain_of(connector, peer, str(tmp_path / "root.pem"))

    assert [certificate.signature_hash for certificate in shown.chain] == ["sha256", "sha1"]
    assert not shown.has_sha1


def test_each_server_name_is_shown_its_own_certificate(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str
) -> None:
    first, second = authority.issue("one.orders.test"), authority.issue("two.orders.test")
    behave = worlds.speaking(worlds.context(folder, first), by_name={"two.orders.test": worlds.context(folder, second)})
    with worlds.server(behave) as peer:
        shown = chain_of(connector, peer, ca_file, host="two.orders.test")
        other = chain_of(connector, peer, ca_file, host="one.orders.test")

    assert (shown.chain[0].spki_sha256, shown.matches_name) == (second.spki_sha256, True)
    assert (other.chain[0].spki_sha256, other.matches_name) == (first.spki_sha256, True)


def test_a_server_with_two_keys_shows_both_chains(
    connector: TlsConnector, authority: Authority, tmp_path: Path, ca_file: str
) -> None:
    chain, key = authority.issue(NAME, key="rsa-2048").write(tmp_path, "rsa")
    directives = f"ssl_protocols TLSv1.2; ssl_certificate {chain}; ssl_certificate_key {key};"
    with worlds.nginx(tmp_path, authority.issue(NAME), directives) as peer:
        found = scan(connector, peer, ca_file=ca_file)

    assert {shown.chain[0].key for shown in found.deployments} == {"EC", "RSA"}
    assert all(shown.is_trusted for shown in found.deployments)


@pytest.mark.parametrize("newest", ["TLSv1.2", "TLSv1.3"])
def test_a_server_that_wants_client_certificates_is_scanned_as_any_other(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str, newest: str
) -> None:
    settings = worlds.context(folder, authority.issue(NAME), newest=newest, asks_clients=Path(ca_file))
    with worlds.server(worlds.speaking(settings)) as peer:
        found = scan(connector, peer, ca_file=ca_file)

    assert found.accepted_protocols[-1] == newest
    assert found.undecided == ()
    assert found.deployments[0].is_trusted


def test_a_server_on_ipv6_is_scanned(connector: TlsConnector, authority: Authority, folder: Path, ca_file: str) -> None:
    with worlds.tls_server(folder, authority.issue(NAME), address="::1") as peer:
        found = scan(connector, peer, ca_file=ca_file)

    assert found.address == peer.place
    assert found.deployments[0].is_trusted


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_host_that_is_an_address_is_matched_by_the_address(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str, address: str
) -> None:
    with worlds.tls_server(folder, authority.issue("orders", address), address=address) as peer:
        found = connector.scan_host(address, peer.port, ca_file=ca_file)

    (shown,) = found.deployments
    assert (shown.matches_name, shown.is_trusted) == (True, True)


def test_an_address_at_another_address_is_unsupported(connector: TlsConnector, good: Peer) -> None:
    with pytest.raises(Unsupported, match="cannot be audited at another one"):
        connector.scan_host("192.0.2.1", 443, connect_to=good.place)


def test_a_host_is_resolved_when_nothing_says_where_to_connect(connector: TlsConnector, good: Peer) -> None:
    assert connector.scan_host("localhost", good.port).address == good.place


def test_twenty_kilobytes_of_certificates_are_read(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str
) -> None:
    identity = authority.issue(NAME, *(f"shop-{number:04}.customers-of-orders.test" for number in range(500)))
    assert len(identity.chain_pem) > 20_000
    with worlds.tls_server(folder, identity) as peer:
        shown = chain_of(connector, peer, ca_file)

    assert len(shown.chain[0].names) == 501
    assert shown.is_trusted


# No TLS, no answer, no connection


def test_nobody_listening_is_unreachable(connector: TlsConnector) -> None:
    port = worlds.free_port()

    with pytest.raises(Unreachable, match=f"{NAME} at 127.0.0.1:{port}: no connection: Connection refused"):
        connector.scan_host(NAME, 443, connect_to=f"127.0.0.1:{port}")


def test_a_name_without_an_address_is_unreachable(connector: TlsConnector) -> None:
    with pytest.raises(Unreachable, match=r"nobody\.invalid"):
        connector.scan_host("nobody.invalid", 443)


def test_plain_http_on_the_port_is_no_tls(connector: TlsConnector) -> None:
    with worlds.server(worlds.plain_http) as peer, pytest.raises(NotTls, match="speaks plain HTTP there"):
        scan(connector, peer)


def test_a_server_that_resets_every_connection_is_no_tls(connector: TlsConnector) -> None:
    with worlds.server(worlds.reset) as peer, pytest.raises(NotTls, match="no handshake of any protocol"):
        scan(connector, peer)


@pytest.mark.parametrize("behave", [worlds.silent, worlds.trickling])
def test_a_server_that_never_finishes_times_out_at_the_deadline(
    connector: TlsConnector, behave: worlds.Behaviour
) -> None:
    token = DEADLINE.set(Deadline(3))
    began = time.monotonic()
    try:
        with worlds.server(behave) as peer, pytest.raises(TimedOut):
            scan(connector, peer)
        assert time.monotonic() - began < QUESTION_TIMEOUT_S
    finally:
        DEADLINE.reset(token)


@pytest.mark.parametrize("name", ["", "a b.test", "-x.test{127.0.0.1}", "#.test", "a\n.test", "x" * 300])
def test_what_is_no_host_name_is_never_handed_on(connector: TlsConnector, good: Peer, name: str) -> None:
    with pytest.raises(Malformed, match="is no host name"):
        connector.scan_host(name, 443, connect_to=good.place)
    assert good.connections is not None


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (None, Absent, "cannot be read: No such file"),
        (b"", Malformed, "holds no certificates"),
        (b"<html>\x00</html>", Malformed, "holds no certificates"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", Malformed, "holds no certificates"),
        (b"#" * (5 * 1024 * 1024), Malformed, "larger than"),
    ],
)
def test_a_ca_file_that_cannot_be_used_is_the_error(
    connector: TlsConnector, good: Peer, tmp_path: Path, content: bytes | None, error: type[Exception], words: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(error, match=words):
        scan(connector, good, ca_file=str(path))


# Many at once


def test_a_server_is_scanned_once_however_many_ask(
    connector: TlsConnector, authority: Authority, folder: Path, ca_file: str
) -> None:
    with worlds.tls_server(folder, authority.issue(NAME)) as peer:
        first = scan(connector, peer, ca_file=ca_file)
        count = len(peer.connections)
        second = connector.scan_host(NAME, 443, connect_to=peer.place, ca_file=ca_file)

        assert len(peer.connections) == count
    assert second is first


def test_servers_share_processes_and_one_that_hangs_spoils_no_other(
    authority: Authority, folder: Path, ca_file: str
) -> None:
    connector = TlsConnector(Ledger(), scanner=Scanner(processes=2))
    found: dict[int, object] = {}

    def ask(number: int, peer: Peer) -> None:
        try:
            found[number] = connector.scan_host(NAME, 443, connect_to=peer.place, ca_file=ca_file)
        except TimedOut as error:
            found[number] = error

    with ExitStack() as stack:
        identity: Identity = authority.issue(NAME)
        peers = [stack.enter_context(worlds.tls_server(folder, identity)) for _ in range(4)]
        peers.append(stack.enter_context(worlds.server(worlds.trickling)))

        def run(number: int, peer: Peer) -> None:
            DEADLINE.set(Deadline(16))
            ask(number, peer)

        threads = [threading.Thread(target=run, args=(number, peer)) for number, peer in enumerate(peers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    connector.close()

    assert all(isinstance(found[number], TlsScan) for number in range(4)), found
    assert isinstance(found[4], TimedOut)
