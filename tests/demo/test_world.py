from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from quub_audit.demo.cloud import EGRESS, PRODUCTION, REGION, STAGING
from quub_audit.demo.emulator import Emulator, emulated_aws
from quub_audit.demo.world import DemoWorld, demo_world
from quub_audit.errors import UsageError
from tests.demo.auditing import HAS_POSTGRESQL, HAS_REDIS, emulator_of

ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")


def listening_ports(world: DemoWorld) -> list[int]:
    """Of everything that the file and the lines about the world name."""
    text = world.environments_file.read_text(encoding="utf-8") + "\n".join(world.about)
    return [port for port in sorted({int(port) for port in ADDRESS.findall(text)}) if takes_connections(port)]


def takes_connections(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex(("127.0.0.1", port)) == 0


def secret_names(emulator: Emulator, account_id: str) -> list[str]:
    store = emulator.operator(account_id, REGION)("secretsmanager")
    return [secret["Name"] for secret in store.list_secrets()["SecretList"]]


@pytest.mark.parametrize("healthy", [True, False])
def test_a_world_ends_with_every_port_closed_and_every_thread_joined(tmp_path: Path, healthy: bool) -> None:
    threads, environ = set(threading.enumerate()), dict(os.environ)

    with demo_world(tmp_path, healthy=healthy) as world:
        ports = listening_ports(world)
        during = set(threading.enumerate())

    assert len(ports) == (9 if healthy else 10) + HAS_REDIS + HAS_POSTGRESQL
    assert [port for port in ports if takes_connections(port)] == []
    assert during > threads
    assert set(threading.enumerate()) <= threads
    assert dict(os.environ) == environ


def test_a_world_ends_after_an_exception_too(tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    ports: list[int] = []

    def look_and_break() -> None:
        with demo_world(tmp_path, healthy=True) as world:
            ports.extend(listening_ports(world))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_and_break()

    assert ports
    assert [port for port in ports if takes_connections(port)] == []
    assert set(threading.enumerate()) <= threads


def test_two_worlds_one_after_the_other_share_nothing(tmp_path: Path) -> None:
    def key_of(world: DemoWorld) -> str:
        store = emulator_of(world).operator(PRODUCTION, REGION)("secretsmanager")
        value: str = store.get_secret_value(SecretId="production/quub/credentials")["SecretString"]
        return value

    with demo_world(tmp_path / "first", healthy=False, search="") as world:
        first = key_of(world)
    with demo_world(tmp_path / "second", healthy=True, search="") as world:
        second = key_of(world)
        names = secret_names(emulator_of(world), PRODUCTION)

    assert first != second
    assert sorted(names) == ["production/quub-app/cache-url", "production/quub/credentials"]


def test_nothing_is_left_in_the_emulator(tmp_path: Path) -> None:
    with demo_world(tmp_path, healthy=True, search=""):
        pass

    with emulated_aws() as emulator:
        assert [secret_names(emulator, account) for account in (PRODUCTION, STAGING)] == [[], []]


def test_a_folder_with_files_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept", encoding="utf-8")

    with pytest.raises(UsageError, match="is not empty"), demo_world(tmp_path, healthy=True):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_environment_of_the_audit_holds_nothing_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "the-users-own")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    before = dict(os.environ)

    with demo_world(tmp_path, healthy=True) as world:
        environ = dict(world.environ)

    assert dict(os.environ) == before
    assert {"AWS_PROFILE", "AWS_USE_FIPS_ENDPOINT", "HTTPS_PROXY", "HTTP_PROXY"}.isdisjoint(environ)
    assert environ["AWS_CONFIG_FILE"] == os.devnull


def test_without_the_emulator_the_demo_says_how_to_install_it(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["moto"] = None
from pathlib import Path
from quub_audit.demo.world import demo_world
from quub_audit.errors import MissingExtra
try:
    with demo_world(Path({str(tmp_path)!r}), healthy=True):
        print("up")
except MissingExtra as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout

    assert "pip install 'quub-audit[demo]'" in said


class TestFiles:
    def test_the_environments_file_declares_both_accounts_and_four_endpoints(self, healthy_world: DemoWorld) -> None:
        read = yaml.safe_load(healthy_world.environments_file.read_text(encoding="utf-8"))

        production, staging = read["environments"]["production"], read["environments"]["staging"]

        assert [account["account_id"] for account in production["aws"] + staging["aws"]] == [PRODUCTION, STAGING]
        assert [each["name"] for each in production["endpoints"]] == ["orders", "partners", "console", "stream"]
        assert production["quub"]["egress"] == [f"{address}/32" for address in EGRESS]

    def test_private_keys_are_readable_by_their_owner_alone(self, healthy_world: DemoWorld) -> None:
        keys = list(healthy_world.environments_file.parent.rglob("*.key"))

        assert len(keys) >= 5
        assert {key.stat().st_mode & 0o077 for key in keys} == {0}

    def test_the_lines_about_it_name_everything_that_is_up(self, healthy_world: DemoWorld) -> None:
        about = "\n".join(healthy_world.about)

        for word in (PRODUCTION, STAGING, "orders.quub-app.example", "api.quub.example", "quub-app"):
            assert word in about
        # The console's plain-HTTP port is the only one that stands in the file alone.
        assert len(ADDRESS.findall(about)) == len(listening_ports(healthy_world)) - 1
