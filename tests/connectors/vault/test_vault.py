"""The Vault connector against a real OpenBao server."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.vault import VaultConnector
from quub_audit.errors import Absent, Denied, Malformed, Refused, Unreachable, Unsupported
from quub_audit.facts.asking import Vault
from quub_audit.facts.seal import STRUCK, Redactor, Sealer
from quub_audit.model.environment import SecretReference, VaultServer
from tests.worlds.vault import VaultWorld, vault_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultWorld]:
    with vault_world(tmp_path_factory.mktemp("bao")) as running:
        yield running


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
def name() -> str:
    """A secret's path that no other test uses."""
    return f"{secrets.token_hex(4)}/quub"


OPENED: list[VaultConnector] = []


@pytest.fixture(autouse=True)
def _close_connections() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def connect(redactor: Redactor, *servers: VaultServer, ledger: Ledger | None = None) -> VaultConnector:
    OPENED.append(VaultConnector(servers, ledger or Ledger(), Sealer(b"salt", redactor)))
    return OPENED[-1]


def test_it_implements_the_protocol_that_checks_see(redactor: Redactor) -> None:
    assert isinstance(connect(redactor), Vault)


def test_metadata_tells_versions_times_and_custom_metadata(world: VaultWorld, redactor: Redactor, name: str) -> None:
    world.put(name, {"apiKey": "one"})
    world.put(name, {"apiKey": "two"})
    world.send("POST", f"secret/metadata/{name}", {"custom_metadata": {"owner": "zahlungen <b>ü</b>"}})

    secret = connect(redactor).secret(world.server(), f"secret/{name}")

    assert secret is not None
    assert secret.path == f"secret/{name}"
    assert secret.kv_version == 2
    assert secret.current_version == 2
    assert [version.number for version in secret.versions] == [1, 2]
    assert all(version.created_at.tzinfo is UTC for version in secret.versions)
    assert secret.current is not None
    assert secret.current.deleted_at is None
    assert secret.custom_metadata == {"owner": "zahlungen <b>ü</b>"}


@pytest.mark.parametrize("part", ["", "data/", "metadata/"])
def test_the_path_may_stand_with_or_without_the_part_of_the_api(
    world: VaultWorld, redactor: Redactor, name: str, part: str
) -> None:
    world.put(name, {"apiKey": "one"})

    secret = connect(redactor).secret(world.server(), f"/secret/{part}{name}/")

    assert secret is not None
    assert secret.path == f"secret/{name}"


def test_deleted_and_destroyed_versions_are_told_apart(world: VaultWorld, redactor: Redactor, name: str) -> None:
    for _ in range(3):
        world.put(name, {"apiKey": "one"})
    world.send("POST", f"secret/destroy/{name}", {"versions": [1]})
    world.send("DELETE", f"secret/data/{name}")

    secret = connect(redactor).secret(world.server(), f"secret/{name}")

    assert secret is not None
    first, second, third = secret.versions
    assert first.is_destroyed
    assert (second.is_destroyed, second.deleted_at) == (False, None)
    assert third.deleted_at is not None
    assert secret.current == third


def test_fingerprints_of_a_deleted_version_are_absent(world: VaultWorld, redactor: Redactor, name: str) -> None:
    world.put(name, {"apiKey": "one"})
    world.send("DELETE", f"secret/data/{name}")

    with pytest.raises(Absent, match="no current version"):
        connect(redactor).fingerprints(world.server(read_secret_values=True), f"secret/{name}")


def test_a_secret_that_does_not_exist_is_none(world: VaultWorld, redactor: Redactor) -> None:
    assert connect(redactor).secret(world.server(), "secret/nobody/here") is None
    assert connect(redactor).secret(world.server(), "no-such-mount/quub") is None


def test_a_mount_alone_names_no_secret(world: VaultWorld, redactor: Redactor) -> None:
    with pytest.raises(Malformed, match="expected mount/path"):
        connect(redactor).secret(world.server(), "secret/metadata")


def test_a_mount_of_another_type_is_unsupported(world: VaultWorld, redactor: Redactor) -> None:
    with pytest.raises(Unsupported, match="of type cubbyhole"):
        connect(redactor).secret(world.server(), "cubbyhole/quub")


def test_version_1_is_found_below_a_nested_mount_without_reading_it(
    world: VaultWorld, redactor: Redactor, name: str
) -> None:
    mount = f"kv/{secrets.token_hex(4)}"
    world.mount(mount, version=1)
    world.send("POST", f"{mount}/data/{name}", {"apiKey": "one"})
    folder = f"{mount}/data/{name}".rpartition("/")[0]
    lister = world.token(f'path "{folder}" {{ capabilities = ["list"] }}', name=secrets.token_hex(4))

    secret = connect(redactor).secret(world.server(lister), f"{mount}/data/{name}")

    assert secret is not None
    assert (secret.path, secret.kv_version, secret.versions) == (f"{mount}/data/{name}", 1, ())
    assert connect(redactor).secret(world.server(lister), f"{folder}/other") is None


def test_version_2_below_a_nested_mount(world: VaultWorld, redactor: Redactor, name: str) -> None:
    mount = f"team/{secrets.token_hex(4)}/kv"
    world.mount(mount, version=2)
    world.put(name, {"apiKey": "one"}, mount=mount)

    secret = connect(redactor).secret(world.server(), f"{mount}/{name}")

    assert secret is not None
    assert secret.path == f"{mount}/{name}"


def test_a_token_that_may_read_one_secret_is_enough_for_it(world: VaultWorld, redactor: Redactor, name: str) -> None:
    world.put(name, {"apiKey": "one"})
    narrow = world.token(
        f'path "secret/metadata/{name}" {{ capabilities = ["read"] }}\n'
        'path "sys/internal/ui/mounts/*" { capabilities = ["deny"] }',
        name=secrets.token_hex(4),
    )

    secret = connect(redactor).secret(world.server(narrow), f"secret/{name}")

    assert secret is not None
    assert secret.current_version == 1


def test_version_1_is_found_when_the_mounts_may_not_be_read(world: VaultWorld, redactor: Redactor, name: str) -> None:
    mount = f"old-{secrets.token_hex(4)}"
    world.mount(mount, version=1)
    world.send("POST", f"{mount}/{name}", {"apiKey": "one"})
    narrow = world.token(
        f'path "{mount}/{name.partition("/")[0]}" {{ capabilities = ["list"] }}\n'
        'path "sys/internal/ui/mounts/*" { capabilities = ["deny"] }',
        name=secrets.token_hex(4),
    )

    secret = connect(redactor).secret(world.server(narrow), f"{mount}/{name}")

    assert secret is not None
    assert secret.kv_version == 1


def test_a_denial_names_the_policy_line_that_is_missing(world: VaultWorld, redactor: Redactor, name: str) -> None:
    world.put(name, {"apiKey": "one"})
    narrow = world.token('path "secret/metadata/other" { capabilities = ["read"] }', name=secrets.token_hex(4))

    with pytest.raises(Denied) as denied:
        connect(redactor).secret(world.server(narrow), f"secret/{name}")

    assert denied.value.permission == f'path "secret/metadata/{name}" {{ capabilities = ["read"] }}'
    assert denied.value.permission in denied.value.next_step
    assert denied.value.message.startswith("prod-vault: ")


def test_the_policy_line_of_a_denial_is_enough(world: VaultWorld, redactor: Redactor, name: str) -> None:
    world.put(name, {"apiKey": "one"})
    with pytest.raises(Denied) as denied:
        connect(redactor).secret(world.server("no-such-token"), f"secret/{name}")

    mended = world.token(denied.value.permission, name=secrets.token_hex(4))

    assert connect(redactor).secret(world.server(mended), f"secret/{name}") is not None


def test_without_a_token_nothing_is_sent(redactor: Redactor) -> None:
    with pytest.raises(Denied, match="there is no token"):
        connect(redactor).secret(VaultServer(name="prod-vault", address="http://127.0.0.1:9"), "secret/quub")


def test_namespaces_are_kept_apart(world: VaultWorld, redactor: Redactor, name: str) -> None:
    space = f"team-{secrets.token_hex(4)}"
    world.send("POST", f"sys/namespaces/{space}", {})
    world.send("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "1"}}, namespace=space)
    world.send("POST", f"secret/{name}", {"apiKey": "one"}, namespace=space)

    inside = connect(redactor).secret(world.server(namespace=space), f"secret/{name}")

    assert inside is not None
    assert inside.kv_version == 1
    assert connect(redactor).secret(world.server(), f"secret/{name}") is None


def test_an_unknown_namespace_is_absent_and_not_a_missing_secret(world: VaultWorld, redactor: Redactor) -> None:
    with pytest.raises(Absent, match="no namespace 'nowhere'"):
        connect(redactor).secret(world.server(namespace="nowhere"), "secret/quub")


def test_fingerprints_are_none_unless_values_may_be_read(world: VaultWorld, redactor: Redactor, name: str) -> None:
    world.put(name, {"apiKey": "one"})

    assert connect(redactor).fingerprints(world.server(), f"secret/{name}") is None


def test_fingerprints_hold_no_value_and_every_value_is_struck(world: VaultWorld, redactor: Redactor, name: str) -> None:
    key, nested = secrets.token_hex(16), secrets.token_hex(16)
    world.put(name, {"apiKey": key, "limits": {"deep": [nested]}, "orgId": 42, "empty": ""})
    ledger = Ledger()

    found = connect(redactor, ledger=ledger).fingerprints(world.server(read_secret_values=True), f"secret/{name}")

    assert found is not None
    assert found["apiKey"].length == 32
    assert found["orgId"].kind == "number"
    assert found["empty"].kind == "empty"
    recorded = str([encode(entry.answer) for _, entry in ledger.answered()])
    assert key not in recorded
    assert nested not in recorded
    assert redactor.clean(f"{key} {nested}") == f"{STRUCK} {STRUCK}"


def test_equal_values_of_two_secrets_have_equal_fingerprints(world: VaultWorld, redactor: Redactor, name: str) -> None:
    world.put(f"{name}/a", {"apiKey": "same value"})
    world.put(f"{name}/b", {"apiKey": "same value"})
    connector, server = connect(redactor), world.server(read_secret_values=True)

    assert connector.fingerprints(server, f"secret/{name}/a") == connector.fingerprints(server, f"secret/{name}/b")


def test_fingerprints_without_the_right_to_read_name_the_data_path(
    world: VaultWorld, redactor: Redactor, name: str
) -> None:
    world.put(name, {"apiKey": "one"})
    narrow = world.token(f'path "secret/metadata/{name}" {{ capabilities = ["read"] }}', name=secrets.token_hex(4))

    with pytest.raises(Denied) as denied:
        connect(redactor).fingerprints(world.server(narrow, read_secret_values=True), f"secret/{name}")

    assert denied.value.permission == f'path "secret/data/{name}" {{ capabilities = ["read"] }}'


def test_values_are_for_connectors_only_where_the_environment_allows_it(
    world: VaultWorld, redactor: Redactor, name: str
) -> None:
    key = secrets.token_hex(16)
    world.put(name, {"apiKey": key})
    reference = SecretReference(store="vault", name=f"secret/{name}", vault="prod-vault")
    ledger = Ledger()

    values = connect(redactor, world.server(read_secret_values=True), ledger=ledger).secret_values(reference)

    assert values == {"apiKey": key}
    assert redactor.clean(key) == STRUCK
    assert not list(ledger.answered())
    with pytest.raises(Refused, match="read_secret_values is not set"):
        connect(redactor, world.server()).secret_values(reference)
    with pytest.raises(Absent, match="no Vault target named 'prod-vault'; declared: none"):
        connect(redactor).secret_values(reference)


def test_a_value_is_read_once_for_all_who_want_it(world: VaultWorld, redactor: Redactor, name: str) -> None:
    world.put(name, {"apiKey": "the-first-value"})
    reference = SecretReference(store="vault", name=f"secret/{name}", vault="prod-vault")
    server = world.server(read_secret_values=True)
    vault = connect(redactor, server)
    marks = vault.fingerprints(server, f"secret/{name}")

    world.put(name, {"apiKey": "another-value"})

    assert vault.secret_values(reference) == {"apiKey": "the-first-value"}
    assert vault.fingerprints(server, f"secret/{name}") == marks


def test_the_token_is_struck_from_outputs_from_the_start(redactor: Redactor) -> None:
    token = "hvs." + secrets.token_hex(12)

    connect(redactor, VaultServer(name="a", address="http://127.0.0.1:9", token=token))

    assert redactor.clean(f"sent {token}") == f"sent {STRUCK}"


def test_facts_survive_the_evidence_bundle(world: VaultWorld, redactor: Redactor, name: str) -> None:
    world.put(name, {"apiKey": "one two three"})
    ledger, server = Ledger(), world.server(read_secret_values=True)
    connector = connect(redactor, ledger=ledger)
    before = connector.secret(server, f"secret/{name}"), connector.fingerprints(server, f"secret/{name}")

    recorded = dict(ledger.answered())
    for entry in recorded.values():
        entry.answer = decode(encode(entry.answer))
    replayed = connect(redactor, ledger=Ledger(recorded))

    assert (replayed.secret(server, f"secret/{name}"), replayed.fingerprints(server, f"secret/{name}")) == before


def test_a_sealed_server_is_unreachable_and_says_so(tmp_path: Path, redactor: Redactor) -> None:
    with vault_world(tmp_path) as world:
        world.send("PUT", "sys/seal")

        with pytest.raises(Unreachable, match="is sealed"):
            connect(redactor).secret(world.server(), "secret/quub")


def test_tls_is_verified_against_the_ca_file(tmp_path: Path, redactor: Redactor) -> None:
    with vault_world(tmp_path, is_tls=True) as world:
        world.put("production/quub", {"apiKey": "one"})

        assert connect(redactor).secret(world.server(), "secret/production/quub") is not None
        with pytest.raises(Unreachable, match="is not trusted") as raised:
            connect(redactor).secret(dataclasses.replace(world.server(), ca_file=""), "secret/production/quub")

    assert "ca_file" in raised.value.next_step
