"""A real, certified OpenID provider (npm's `oidc-provider`) in a process of Node on loopback.

The package is installed once into a cache folder of the user's: `python -m tests.worlds.oidc` fills it, and the
fixture does so too where it is empty. Needs `node` and `npm`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quub_audit.model.environment import IdentityProvider, TestClient
from tests.worlds.keeper import locked, wait_until
from tests.worlds.keycloak import CACHE

VERSION = "9.13.3"
SECRET = "secret-of-orders-in-the-test-world-0123456789"
PASSWORD = "password-of-ada-in-the-test-world"


@dataclass(frozen=True)
class OpenIdProvider:
    """One running provider, with the client `orders` and the user `ada`."""

    issuer: str

    def provider(self, *, grant: Any = "client_credentials", **more: Any) -> IdentityProvider:
        """The target as an environment would declare it."""
        client = TestClient(
            client_id="orders",
            client_secret=SECRET,
            grant=grant,
            username="ada" if grant == "password" else "",
            password=PASSWORD if grant == "password" else "",
            scope="orders",
        )
        parts: dict[str, Any] = {"name": "login", "type": "oidc", "issuer": self.issuer, "test_client": client}
        return IdentityProvider(**{**parts, **more})


def missing_tools() -> str:
    """What of `node` and `npm` is not installed, in words; empty where nothing is."""
    wanted = ("node",) if _home().exists() else ("node", "npm")
    return " and ".join(f"{tool} is not installed" for tool in wanted if not shutil.which(tool))


@contextlib.contextmanager
def openid_provider(
    folder: Path,
    *,
    access_token_s: int = 600,
    refresh_token_s: int = 86_400,
    is_rotating: bool = True,
    is_jwt: bool = True,
    auth_method: str = "client_secret_basic",
) -> Iterator[OpenIdProvider]:
    """A provider on a free port of 127.0.0.1, ended at exit."""
    wanted = {
        "secret": SECRET,
        "password": PASSWORD,
        "authMethod": auth_method,
        "format": "jwt" if is_jwt else "opaque",
        "accessTokenTTL": access_token_s,
        "refreshTokenTTL": refresh_token_s,
        "rotate": is_rotating,
    }
    said = folder / "oidc.out"
    with said.open("wb") as output:
        server = subprocess.Popen(
            ["node", str(_script(prepare())), json.dumps(wanted)],
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
    try:
        wait_until(lambda: server.poll() is not None or said.read_bytes().endswith(b"\n"), at_most_s=60)
        issuer = said.read_text().strip()
        if not issuer:
            raise RuntimeError("the OpenID provider ended before it listened")
        yield OpenIdProvider(issuer)
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(timeout=10)


def prepare() -> Path:
    """The folder with the package; installed where it is not there yet."""
    home = _home()
    with locked(CACHE / f"{home.name}.lock"):
        if not home.exists():
            making = CACHE / f"{home.name}.making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            (making / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
            options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            subprocess.run(
                ["npm", "install", *options, f"oidc-provider@{VERSION}"],
                cwd=making,
                check=True,
                timeout=600,
                stdin=subprocess.DEVNULL,
            )
            making.rename(home)
    return home


def _home() -> Path:
    return CACHE / f"oidc-provider-{VERSION}"


def _script(home: Path) -> Path:
    """Our script where Node finds the package from; named by what it holds, so that no version disturbs another."""
    source = Path(__file__).with_name("oidc_provider.mjs").read_bytes()
    script = home / f"serve-{hashlib.sha256(source).hexdigest()[:12]}.mjs"
    with locked(CACHE / f"{home.name}.lock"):
        if not script.exists():
            script.write_bytes(source)
    return script


if __name__ == "__main__":
    if missing := missing_tools():
        print(f"Tests with this provider are skipped: {missing}", file=sys.stderr)  # noqa: T201
    else:
        prepare()
