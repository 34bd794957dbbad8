"""A real PostgreSQL on loopback: TLS alone, passwords by SCRAM, pg_stat_statements."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quub_audit.demo.authority import Identity
from quub_audit.demo.servers import LOOPBACK, NotThere, free_port, last_words, program

if TYPE_CHECKING:
    import psycopg

OPERATOR = "operator"
"""The superuser of each cluster."""

SETTINGS = f"""
listen_addresses = '{LOOPBACK}'
unix_socket_directories = ''
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.max = 5000
shared_buffers = '16MB'
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
lc_messages = 'C'
"""
TLS_ALONE = f"hostssl all all {LOOPBACK}/32 scram-sha-256\n"

_MAKING_S = 60.0
ENVIRON = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """One running server."""

    port: int
    ca_file: str
    password: str = field(repr=False)
    """The operator's."""

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{LOOPBACK}:{self.port}"

    def connect(
        self, database: str = "postgres", *, user: str = OPERATOR, password: str = "", **more: Any
    ) -> psycopg.Connection[Any]:
        """A connection that commits each statement."""
        import psycopg

        return psycopg.connect(
            host=LOOPBACK,
            port=self.port,
            dbname=database,
            user=user,
            password=password or self.password,
            sslmode="verify-full",
            sslrootcert=self.ca_file,
            connect_timeout=10,
            # What these leave empty, libpq would take from the user's environment.
            hostaddr="",
            options="",
            gssencmode="disable",
            autocommit=True,
            **more,
        )

    def run(self, *statements: str, database: str = "postgres", user: str = OPERATOR) -> None:
        """One after the other, over one connection."""
        with self.connect(database, user=user) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def find_programs(search: str) -> Path | None:
    """The folder of `initdb` and `postgres`: the first one of `search` (as PATH is written) that has them."""
    found = shutil.which("initdb", path=search)
    return Path(found).resolve().parent if found else None


def usual_folders() -> str:
    """The PATH, and where Debian puts PostgreSQL's programs, the newest version first."""
    found = (path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit())
    newest_first = sorted(found, key=lambda path: int(path.parent.name), reverse=True)
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *map(str, newest_first)))


@contextlib.contextmanager
def postgres_server(
    programs: Path, folder: Path, identity: Identity, *, ca_file: Path, password: str, settings: str = ""
) -> Iterator[PostgresServer]:
    """A fresh cluster on a free port, made in `folder` or, where its owner may not enter that, in one beside.

    Ended and removed at exit. `settings` are lines of postgresql.conf. Raises NotThere.
    """
    owner = owner_of_servers()
    with tempfile.TemporaryDirectory(prefix="quub-audit-demo-postgres-", dir=_base(folder, owner)) as home:
        data, port = Path(home) / "data", free_port()
        try:
            make_cluster(programs, Path(home), identity, password=password, settings=f"port = {port}\n{settings}")
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise NotThere(f"{programs / 'initdb'} made no cluster: {last_words(said)}") from error
        server = PostgresServer(port=port, ca_file=str(ca_file), password=password)
        command = [str(programs / "postgres"), "-D", str(data)]
        log = folder / "postgres.log"
        with program(command, Path(home), lambda: _is_up(server), environ=ENVIRON, owner=owner, log=log):
            yield server


def make_cluster(
    programs: Path, home: Path, identity: Identity, *, password: str, settings: str, access: str = TLS_ALONE
) -> None:
    """A cluster in `home / "data"`, with the operator and nothing else; owned by `owner_of_servers`.

    `settings` must name the port; `access` is pg_hba.conf. Raises OSError and subprocess.SubprocessError.
    """
    data, secret = home / "data", home / "password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="utf-8")
    _give(home, secret)
    making = ["-A", "scram-sha-256", "-U", OPERATOR, f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync"]
    run_as_owner([str(programs / "initdb"), "-D", str(data), *making])
    secret.unlink()
    _give(*identity.write(data, "server"))
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(SETTINGS + settings)
    (data / "pg_hba.conf").write_text(access, encoding="utf-8")


def run_as_owner(command: Sequence[str], *, said: str = "") -> None:
    """Run to its end, with `said` on its input. Raises OSError and subprocess.SubprocessError."""
    owner = owner_of_servers()
    subprocess.run(
        command,
        input=said,
        text=True,
        check=True,
        timeout=_MAKING_S,
        env=ENVIRON,
        cwd="/",
        capture_output=True,
        user=owner[0] if owner else None,
        group=owner[1] if owner else None,
        extra_groups=[] if owner else None,
    )


def owner_of_servers() -> tuple[int, int] | None:
    """User and group of whom servers run as in place of root, whom PostgreSQL refuses; None where we are not root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise NotThere("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _base(folder: Path, owner: tuple[int, int] | None) -> Path:
    """`folder`, or the first usual one that everybody may enter. Raises NotThere."""
    candidates = (folder, Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"))  # noqa: S108  a folder of our own is made there
    for each in candidates if owner else (folder,):
        if not owner or all(part.stat().st_mode & 0o001 for part in (each.resolve(), *each.resolve().parents)):
            return each
    raise NotThere("PostgreSQL does not run as root, and no temporary folder can be entered by others; set TMPDIR")


def _give(*paths: Path) -> None:
    owner = owner_of_servers()
    for path in paths if owner else ():
        os.chown(path, *owner)  # type: ignore[misc]


def _is_up(server: PostgresServer) -> bool:
    import psycopg

    try:
        server.connect().close()
    except psycopg.OperationalError:
        return False
    return True
