"""A real Keycloak on loopback, and what stands in its realms.

The distribution comes from Maven Central, is built once for a fast start, and is kept in a cache folder of the user's:
`python -m tests.worlds.keycloak` fills it, and the fixtures do so too where it is empty. Needs `mvn` and Java 17.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from quub_audit.model.environment import IdentityProvider, TestClient
from tests.worlds.keeper import Command, locked, shared_server, wait_until

VERSION = "26.4.7"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
ADMIN, PASSWORD = "operator", "operator-of-the-test-world"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quub-audit-tests"
SWITCHED_OFF = "account,account-api,admin,ciba,device-flow,impersonation,kerberos,par,organization"
"""Features that no test needs and that cost time at every start."""

READER = ("view-realm", "view-clients", "view-users")
READY_S = 240.0
"""A start takes 8 seconds on an idle machine."""


def missing_tools() -> str:
    """What of `mvn` and `java` is not installed, in words; empty where nothing is."""
    if _home().exists():
        return "" if shutil.which("java") else "java is not installed"
    return " and ".join(f"{tool} is not installed" for tool in ("java", "mvn") if not shutil.which(tool))


@contextlib.contextmanager
def keycloak(folder: Path) -> Iterator[Keycloak]:
    """The server of a test session: `folder` is the same for all workers of it."""
    with shared_server(folder, lambda: _command(folder), _is_ready, at_most_s=READY_S) as address:
        yield Keycloak(address)


@contextlib.contextmanager
def keycloak_of_session(base: Path) -> Iterator[Keycloak]:
    """The one of this test session; `base` is pytest's base folder, which each worker of xdist has below a common one.

    Skips the test, saying what is missing, where the tools are not installed.
    """
    missing = missing_tools()
    if missing:
        pytest.skip(f"no Keycloak to test against: {missing}")
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with keycloak(shared / "keycloak") as server:
        yield server


class Keycloak:
    """One running server; its methods are the operator's."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._token = ""
        self._ends_at = 0.0

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """One request below `/admin/realms`; the decoded answer, or None where there is no body."""
        if time.monotonic() >= self._ends_at:
            self._log_in()
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.address}/admin/realms{path}", method=method, data=data)
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Content-Type", "application/json")
        return _fetch(request)

    def realm(self, **settings: Any) -> KeycloakRealm:
        """A fresh realm with a reading client for the audit."""
        name = f"shop-{secrets.token_hex(4)}"
        self.send("POST", "", {"realm": name, "enabled": True, "sslRequired": "none", **settings})
        made = KeycloakRealm(server=self, name=name)
        made.reader("audit", READER)
        return made

    def _log_in(self) -> None:
        form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": PASSWORD}
        request = urllib.request.Request(
            f"{self.address}/realms/master/protocol/openid-connect/token", data=urllib.parse.urlencode(form).encode()
        )
        answer = _fetch(request)
        self._token, self._ends_at = answer["access_token"], time.monotonic() + answer["expires_in"] * 0.5


@dataclass
class KeycloakRealm:
    """One realm; its methods are the operator's."""

    server: Keycloak
    name: str
    secrets: dict[str, str] = field(default_factory=dict)
    """Of confidential clients, by client id."""

    @property
    def issuer(self) -> str:
        return f"{self.server.address}/realms/{self.name}"

    def provider(self, *, admin: str = "audit", test_client: TestClient | None = None, **more: Any) -> IdentityProvider:
        """The target as an environment would declare it."""
        parts: dict[str, Any] = {
            "name": "keycloak",
            "type": "keycloak",
            "issuer": self.issuer,
            "realm": self.name,
            "admin_client_id": admin,
            "admin_client_secret": self.secrets.get(admin, ""),
            "test_client": test_client,
        }
        return IdentityProvider(**{**parts, **more})

    def send(self, method: str, path: str = "", body: Any = None) -> Any:
        return self.server.send(method, f"/{self.name}{path}", body)

    def set(self, **settings: Any) -> None:
        """Change the realm; what is not named stays."""
        self.send("PUT", "", {"realm": self.name, **settings})

    def client(self, client_id: str, *, attributes: Mapping[str, str] | None = None, **more: Any) -> str:
        """A client, public where it is not said otherwise, with the refresh and password grants; its uuid."""
        settings: dict[str, Any] = {
            "clientId": client_id,
            "publicClient": True,
            "directAccessGrantsEnabled": True,
            "redirectUris": ["https://shop.example/*"],
            "attributes": dict(attributes or {}),
            **more,
        }
        if not settings["publicClient"]:
            self.secrets[client_id] = settings.setdefault("secret", secrets.token_urlsafe(24))
        self.send("POST", "/clients", settings)
        return self._uuid(client_id)

    def reader(self, client_id: str, roles: Sequence[str]) -> None:
        """A confidential client whose service account has these roles of `realm-management` and nothing else."""
        uuid = self.client(
            client_id,
            publicClient=False,
            serviceAccountsEnabled=True,
            standardFlowEnabled=False,
            directAccessGrantsEnabled=False,
        )
        account = self.send("GET", f"/clients/{uuid}/service-account-user")["id"]
        self.grant(f"/users/{account}", *(f"realm-management/{role}" for role in roles))

    def user(self, name: str, *, factors: Sequence[str] = (), **more: Any) -> str:
        """An account with a password, and with `factors` (`otp`); its id."""
        credentials: list[Mapping[str, Any]] = [{"type": "password", "value": f"password-of-{name}"}]
        credentials += [_FACTORS[factor] for factor in factors]
        person = {
            "username": name,
            "enabled": True,
            "email": f"{name}@shop.example",
            "firstName": name,
            "lastName": "Of Shop",
            "credentials": credentials,
            **more,
        }
        self.send("POST", "/users", person)
        found = self.send("GET", f"/users?username={urllib.parse.quote(name)}&exact=true")
        id_: str = found[0]["id"]
        return id_

    def role(self, name: str, *, of: Sequence[str] = ()) -> str:
        """A realm role, composite of the roles `of`; its name."""
        self.send("POST", "/roles", {"name": name})
        if of:
            self.send(
                "POST", f"/roles/{urllib.parse.quote(name, safe='')}/composites", [self._role(each) for each in of]
            )
        return name

    def group(self, name: str, *, parent: str = "") -> str:
        """A group, below `parent` where it is given; its id."""
        path = f"/groups/{parent}/children" if parent else "/groups"
        self.send("POST", path, {"name": name})
        found = self.send("GET", f"{path}?search={urllib.parse.quote(name)}" if not parent else path)
        id_: str = next(group["id"] for group in found if group["name"] == name)
        return id_

    def join(self, user: str, group: str) -> None:
        self.send("PUT", f"/users/{user}/groups/{group}")

    def grant(self, to: str, *roles: str) -> None:
        """Give roles (`role` of the realm, or `client/role`) to `/users/ID` or `/groups/ID`."""
        for name in roles:
            role = self._role(name)
            kind = f"clients/{role['containerId']}" if role["clientRole"] else "realm"
            self.send("POST", f"{to}/role-mappings/{kind}", [role])

    def test_client(self, client_id: str, *, user: str = "", scope: str = "openid") -> TestClient:
        """The declaration of a test client: of the password grant where there is a user."""
        return TestClient(
            client_id=client_id,
            client_secret=self.secrets.get(client_id, ""),
            grant="password" if user else "client_credentials",
            username=user,
            password=f"password-of-{user}" if user else "",
            scope=scope,
        )

    def _uuid(self, client_id: str) -> str:
        found = self.send("GET", f"/clients?clientId={urllib.parse.quote(client_id)}")
        uuid: str = found[0]["id"]
        return uuid

    def _role(self, name: str) -> Any:
        client, slash, role = name.partition("/")
        if not slash:
            return self.send("GET", f"/roles/{urllib.parse.quote(client, safe='')}")
        return self.send("GET", f"/clients/{self._uuid(client)}/roles/{urllib.parse.quote(role, safe='')}")


_FACTORS: Mapping[str, Mapping[str, Any]] = {
    "otp": {
        "type": "otp",
        "secretData": json.dumps({"value": "JBSWY3DPEHPK3PXPJBSWY3DP"}),
        "credentialData": json.dumps(
            {"subType": "totp", "period": 30, "digits": 6, "algorithm": "HmacSHA1", "counter": 0}
        ),
    },
}


def _fetch(request: urllib.request.Request) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode(errors="replace")[:500]
        raise RuntimeError(f"{request.get_method()} {request.full_url}: {error.code} {said}") from None
    return json.loads(text) if text else None


def _is_ready(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/realms/master", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False


# The distribution


def prepare() -> Path:
    """The home of a Keycloak that is built and has its database; made where it is not there yet."""
    home = _home()
    with locked(CACHE / f"{home.name}.lock"):
        if not home.exists():
            making = CACHE / f"{home.name}.making"
            shutil.rmtree(making, ignore_errors=True)
            _unpack(_download(), making)
            _build(making)
            _start_once(making)
            making.rename(home)
    return home


def _home() -> Path:
    return CACHE / f"keycloak-{VERSION}"


def _download() -> Path:
    folder = Path.home() / ".m2" / "repository" / "org" / "keycloak" / "keycloak-quarkus-dist" / VERSION
    archive = folder / f"keycloak-quarkus-dist-{VERSION}.zip"
    if not archive.exists():
        command = ["mvn", "-q", "-B", "dependency:get", f"-Dartifact={ARTIFACT}", "-Dtransitive=false"]
        subprocess.run(command, check=True, timeout=900, stdin=subprocess.DEVNULL)
    return archive


def _unpack(archive: Path, home: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(home.parent / f"{home.name}.zip")
    (home.parent / f"{home.name}.zip" / f"keycloak-{VERSION}").rename(home)
    (home.parent / f"{home.name}.zip").rmdir()


def _build(home: Path) -> None:
    options = ["--db=dev-file", "--health-enabled=false", "--metrics-enabled=false"]
    command = ["sh", str(home / "bin" / "kc.sh"), "build", *options, f"--features-disabled={SWITCHED_OFF}"]
    subprocess.run(command, check=True, timeout=600, env=_environ(), stdin=subprocess.DEVNULL, capture_output=True)


def _start_once(home: Path) -> None:
    """Makes the schema and the operator's account, which takes longer than all of a later start."""
    port = _free_port()
    server = subprocess.Popen(
        _arguments(home, port),
        env=_environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: server.poll() is not None or _is_ready(f"http://127.0.0.1:{port}"), at_most_s=READY_S)
        Keycloak(f"http://127.0.0.1:{port}").send("GET", "/master")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def _command(folder: Path) -> Command:
    """A home of its own, so that no two sessions share a database; all but that is linked."""
    home = prepare()
    own = folder / "home"
    shutil.copytree(home, own, copy_function=_link, ignore=shutil.ignore_patterns("data"))
    shutil.copytree(home / "data", own / "data")
    port = _free_port()
    return Command(_arguments(own, port), _environ(), f"http://127.0.0.1:{port}")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _arguments(home: Path, port: int) -> list[str]:
    listening = ["--http-enabled=true", "--http-host=127.0.0.1", f"--http-port={port}"]
    return [
        "sh",
        str(home / "bin" / "kc.sh"),
        "start",
        "--optimized",
        "--cache=local",
        "--hostname-strict=false",
        *listening,
    ]


def _environ() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(Path.home()),
        "JAVA_HOME": os.environ.get("JAVA_HOME", ""),
        "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1",
        "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx400m",
        "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
    }


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


if __name__ == "__main__":
    if missing := missing_tools():
        print(f"Tests with this provider are skipped: {missing}", file=sys.stderr)  # noqa: T201
    else:
        prepare()
