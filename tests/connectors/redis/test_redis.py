"""What real Redis servers tell, and what never reaches them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quub_audit.connectors.base import DEADLINE, QUESTION_TIMEOUT_S, Deadline, Ledger
from quub_audit.connectors.redis_server import RedisConnector
from quub_audit.connectors.redis_wire import require_allowed
from quub_audit.demo.authority import Authority
from quub_audit.errors import Absent, Denied, Malformed, NotTls, Refused, TimedOut, Unreachable
from quub_audit.facts.redis import KeySample
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import Cache
from tests.worlds.redis import AUDITOR, RedisServer, free_port, redis_cluster, redis_pair, redis_server


def connector(*caches: Cache) -> RedisConnector:
    return RedisConnector(caches, Ledger(), Redactor())


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), authority=authority) as running:
        yield running


@pytest.fixture
def secured(shared: RedisServer) -> RedisServer:
    """TLS, a password, a user for the audit; empty."""
    shared.send(("FLUSHALL",), ("CONFIG", "RESETSTAT"))
    return shared


# One server


def test_a_server_with_tls_and_a_password_tells_what_it_is_and_refuses_everybody_else(secured: RedisServer) -> None:
    found = connector().topology(secured.cache())

    assert [node.address for node in found.nodes] == [secured.address]
    assert found.nodes[0].role == "master"
    assert found.nodes[0].info["redis_version"].startswith("7.")
    assert "maxmemory_policy" in found.nodes[0].info
    assert (found.is_tls, found.is_anonymous_refused, found.is_plaintext_refused) == (True, True, True)
    assert (found.silent, found.cluster_state, found.sentinels) == ((), "", 0)


def test_an_open_server_without_tls_lets_anybody_in(tmp_path: Path) -> None:
    with redis_server(tmp_path, is_open=True) as server:
        found = connector().topology(server.cache())

    assert (found.is_tls, found.is_anonymous_refused, found.is_plaintext_refused) == (False, False, None)


def test_nothing_but_commands_that_only_tell_reaches_the_server(secured: RedisServer) -> None:
    secured.send(*(("SET", f"session:{number}", "v", "EX", 300) for number in range(50)), ("CONFIG", "RESETSTAT"))
    asked = connector()
    cache = secured.cache()

    asked.topology(cache)
    asked.config(cache, "maxmemory-policy")
    asked.sample(cache, keys=100)
    asked.traffic(cache, wait_s=0.01)

    told = {"auth", "config|get", "config|resetstat", "dbsize", "info", "ping", "pttl", "scan", "type"}
    assert secured.commands() - told == frozenset()


@pytest.mark.parametrize(
    "command",
    [
        ("GET", "k"),
        ("KEYS", "*"),
        ("MONITOR",),
        ("CONFIG", "GET", "*"),
        ("CONFIG", "GET", "requirepass"),
        ("CONFIG", "GET", "maxmemory", "requirepass"),
        ("CONFIG", "SET", "maxmemory", "1"),
        ("config", "rewrite"),
        ("CLUSTER", "RESET"),
        ("SENTINEL", "FAILOVER", "m"),
        ("ACL", "LIST"),
        ("FLUSHALL",),
        ("EVAL", "return 1", "0"),
        ("SET", "k", "v"),
        (),
    ],
)
def test_what_is_on_no_list_is_refused_before_it_is_sent(command: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="was not sent"):
        require_allowed(command)


def test_a_parameter_comes_by_the_address_of_the_primary(secured: RedisServer) -> None:
    assert connector().config(secured.cache(), "maxmemory-policy") == {secured.address: "noeviction"}


def test_a_server_that_knows_no_config_as_managed_ones_do_not_gives_none(tmp_path: Path) -> None:
    with redis_server(tmp_path, is_open=True, settings=('rename-command CONFIG ""',)) as server:
        assert connector().config(server.cache(), "maxmemory") is None


# Keys


def fill(server: RedisServer) -> None:
    sessions = [("SET", f"session:{number}", "v", "PX", 300_000 + number) for number in range(600)]
    people = [("SET", f"user:{name}@quub.example:cart", "v") for name in ("alice", "bob", "carol")]
    server.send(*sessions, *people, ("RPUSH", "queue:mail", "job"))


def test_keys_are_classed_by_shape_with_their_expiry_and_kind(secured: RedisServer) -> None:
    fill(secured)

    found = connector().sample(secured.cache(), keys=1000)

    assert (found.keys, found.total_keys) == (604, 604)
    classes = {each.shape: each for each in found.classes}
    assert set(classes) == {"session:*", "user:*:cart", "queue:mail"}
    assert found.classes[0].shape == "session:*"
    assert (classes["session:*"].keys, classes["session:*"].without_expiry) == (600, 0)
    assert 295 <= classes["session:*"].ttl_s[0] <= classes["session:*"].ttl_s[-1] <= 301
    assert (classes["user:*:cart"].without_expiry, classes["user:*:cart"].ttl_s) == (3, ())
    assert classes["queue:mail"].kinds == ("list",)


def test_no_name_of_a_person_is_in_a_sample(secured: RedisServer) -> None:
    fill(secured)

    text = repr(connector().sample(secured.cache(), keys=1000))

    assert [name for name in ("alice", "bob", "carol", "quub.example") if name in text] == []


def test_a_sample_is_as_small_as_it_is_asked_to_be(secured: RedisServer) -> None:
    fill(secured)

    found = connector().sample(secured.cache(), keys=100)

    assert (found.keys, found.total_keys) == (100, 604)


def test_an_empty_server_gives_an_empty_sample(secured: RedisServer) -> None:
    assert connector().sample(secured.cache(), keys=100) == KeySample(keys=0, total_keys=0)


def test_names_that_are_no_text_are_sampled_too(secured: RedisServer) -> None:
    secured.send(("SET", "cache:\udcff\udcfe\r\n", "v"))

    assert [each.shape for each in connector().sample(secured.cache(), keys=10).classes] == ["cache:*"]


def test_look_ups_are_counted_between_two_looks_and_not_since_the_start(secured: RedisServer) -> None:
    secured.send(("GET", "missing"), ("GET", "missing"))

    found = connector().traffic(secured.cache(), wait_s=0.05)

    assert (found.hits, found.misses, found.is_reset) == (0, 0, False)
    assert found.seconds >= 0


def test_counters_that_are_set_back_meanwhile_tell_nothing(secured: RedisServer) -> None:
    secured.send(*[("GET", "missing")] * 50)
    setting_back = threading.Timer(0.3, secured.send, args=(("CONFIG", "RESETSTAT"),))
    asked = connector()
    asked.topology(secured.cache())
    setting_back.start()
    try:
        found = asked.traffic(secured.cache(), wait_s=1.0)
    finally:
        setting_back.join(10)

    assert (found.hits, found.misses, found.is_reset) == (0, 0, True)


def test_the_wait_between_two_looks_ends_with_the_check(secured: RedisServer) -> None:
    deadline = Deadline(60)
    token = DEADLINE.set(deadline)
    ending = threading.Timer(0.5, deadline.cancel)
    ending.start()
    began = time.monotonic()
    try:
        with pytest.raises(TimedOut):
            connector().traffic(secured.cache(), wait_s=30)
    finally:
        DEADLINE.reset(token)
        ending.join(10)

    assert time.monotonic() - began < QUESTION_TIMEOUT_S


# Many servers


def test_the_replica_of_a_primary_is_found_and_comes_after_it(tmp_path: Path, authority: Authority) -> None:
    with redis_pair(tmp_path, authority=authority) as (primary, replica):
        by_primary = connector().topology(primary.cache())
        by_replica = connector().topology(replica.cache())

    assert [(node.address, node.role) for node in by_primary.nodes] == [
        (primary.address, "master"),
        (replica.address, "slave"),
    ]
    assert [node.address for node in by_replica.nodes] == [primary.address, replica.address]
    assert by_primary.nodes[1].info["master_link_status"] == "up"


def test_a_cluster_is_found_from_one_of_its_nodes_and_sampled_whole(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as nodes:
        for number in range(300):
            for node in nodes:
                try:
                    node.send(("SET", f"session:{number}", "v", "EX", 100))
                except ValueError:  # another node has the slot
                    continue
        cache = nodes[1].cache(mode="cluster")
        asked = connector()
        found = asked.topology(cache)
        sample = asked.sample(cache, keys=1000)

    assert {node.address for node in found.nodes} == {node.address for node in nodes}
    assert (found.cluster_state, found.cluster_slots_ok, found.silent) == ("ok", 16384, ())
    assert (sample.keys, sample.total_keys) == (300, 300)
    assert [each.shape for each in sample.classes] == ["session:*"]


def test_what_a_small_server_of_a_cluster_does_not_hold_is_sampled_on_the_others(tmp_path: Path) -> None:
    with redis_cluster(tmp_path, is_tls=False) as nodes:
        # All keys with this tag are in one slot, and so on one server.
        for node in nodes:
            with contextlib.suppress(ValueError):
                node.send(*(("SET", f"{{user}}:{number}", "v") for number in range(300)))
        sample = connector().sample(nodes[0].cache(mode="cluster"), keys=250)

    assert (sample.keys, sample.total_keys) == (250, 300)


def test_a_server_of_a_cluster_that_is_declared_alone_is_no_answer_for_all_of_it(tmp_path: Path) -> None:
    with redis_cluster(tmp_path, is_tls=False) as nodes, pytest.raises(Malformed, match="one server of a cluster"):
        connector().topology(nodes[0].cache())


def test_a_server_alone_that_is_declared_a_cluster_says_that_it_is_none(secured: RedisServer) -> None:
    with pytest.raises(Malformed, match="is no server of a cluster"):
        connector().topology(secured.cache(mode="cluster"))


def test_a_node_that_has_gone_is_silent_and_its_keys_are_not_left_out_unsaid(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as nodes:
        with contextlib.suppress(OSError, ValueError):
            nodes[2].send(("SHUTDOWN", "NOSAVE"))
        cache = nodes[0].cache(mode="cluster")
        asked = connector()
        found = asked.topology(cache)
        with pytest.raises(Unreachable, match="so its keys are not known"):
            asked.sample(cache, keys=10)

    assert [address for address, _ in found.silent] == [nodes[2].address]


def test_a_primary_is_found_by_its_sentinel(tmp_path: Path) -> None:
    with redis_pair(tmp_path) as (primary, replica):
        watch = (f"sentinel monitor orders 127.0.0.1 {primary.port} 1",)
        secret = (f"sentinel auth-pass orders {primary.password}",)
        with redis_server(tmp_path, is_open=True, is_sentinel=True, settings=watch + secret) as sentinel:
            cache = primary.cache(addresses=(sentinel.address,), mode="sentinel", master="orders")
            found = connector().topology(cache)
            with pytest.raises(Absent, match="knows no master named carts"):
                connector().topology(primary.cache(addresses=cache.addresses, mode="sentinel", master="carts"))

    assert found.nodes[0].address == primary.address
    assert found.sentinels == 1
    assert replica.port


# What goes wrong


def test_a_missing_password_is_denied(secured: RedisServer) -> None:
    with pytest.raises(Denied, match="wants a password") as caught:
        connector().topology(secured.cache(user="", password=""))

    assert caught.value.next_step == "set the password of caches.prod-cache, and `user` where the ACL names one"


def test_a_wrong_password_is_denied_and_stands_in_no_message(secured: RedisServer) -> None:
    with pytest.raises(Denied, match="knows no user quub_audit") as caught:
        connector().topology(secured.cache(password="wrong-password-of-the-audit"))

    assert "wrong-password" not in f"{caught.value.message} {caught.value.next_step}"


@pytest.mark.parametrize(("rules", "rule"), [("-info", "+info"), ("-pttl", "+pttl"), ("resetkeys", "%R~*")])
def test_a_missing_rule_of_the_acl_is_named(tmp_path: Path, rules: str, rule: str) -> None:
    with redis_server(tmp_path) as server:
        server.send(("SET", "session:1", "v"), ("ACL", "SETUSER", "quub_audit", rules))
        with pytest.raises(Denied) as caught:
            connector().sample(server.cache(), keys=10)

    assert caught.value.permission == rule
    assert caught.value.next_step == f"ACL SETUSER quub_audit {rule}"


def test_the_missing_right_to_one_parameter_is_named(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        server.send(("ACL", "SETUSER", "quub_audit", "-config|get"))
        with pytest.raises(Denied) as caught:
            connector().config(server.cache(), "maxmemory")

    assert caught.value.permission == "+config|get"


def test_a_server_without_tls_that_should_have_it_is_told_and_gets_no_password(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        server.send(("CONFIG", "RESETSTAT"))
        with pytest.raises(NotTls, match="answers without TLS"):
            connector().topology(server.cache(is_tls=True))
        said = server.send(("INFO", "commandstats"))[0]

    assert str(said).count("cmdstat_auth:calls=1,") == 1  # the operator's own


def test_a_server_that_speaks_tls_alone_is_told_apart(secured: RedisServer) -> None:
    with pytest.raises((NotTls, Unreachable)) as caught:
        connector().topology(secured.cache(is_tls=False))

    assert "tls" in caught.value.next_step


def test_a_certificate_of_another_authority_is_not_trusted(secured: RedisServer, tmp_path: Path) -> None:
    other = Authority().write_ca(tmp_path)

    with pytest.raises(Unreachable, match="not trusted") as caught:
        connector().topology(secured.cache(ca_file=str(other)))

    assert "ca_file" in caught.value.next_step


def test_a_certificate_with_another_name_is_not_trusted(secured: RedisServer) -> None:
    with pytest.raises(Unreachable, match="not trusted"):
        connector().topology(secured.cache(addresses=(f"localhost:{secured.port}",)))


def test_a_file_without_certificates_is_told_with_its_path(secured: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")

    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(Unreachable, match=f"{name} cannot be read"):
            connector().topology(secured.cache(ca_file=str(tmp_path / name)))


def test_a_port_on_which_nobody_listens_is_unreachable() -> None:
    cache = Cache(name="c", addresses=(f"127.0.0.1:{free_port()}",), is_tls=False)

    with pytest.raises(Unreachable, match="refuses connections"):
        connector().topology(cache)


def test_the_password_is_struck_from_outputs_as_soon_as_the_connector_is_there(secured: RedisServer) -> None:
    redactor = Redactor()
    RedisConnector((secured.cache(),), Ledger(), redactor)

    assert AUDITOR not in redactor.clean(f"said {AUDITOR}")
