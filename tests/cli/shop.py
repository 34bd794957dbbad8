"""A small service to audit without any network: its checks are plugins of a folder, each with one way of behaving."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

COMMAND = Path(sys.executable).with_name("quub-audit")
INHERITED = ("PATH", "SYSTEMROOT", "TMPDIR", "COVERAGE_PROCESS_CONFIG")
"""All that a command under test may know of the machine: no CI, NO_COLOR, AWS_*, GITHUB_* or proxy."""

HEAD = """
    import sys, time
    from pathlib import Path
    from quub_audit.sdk import *
"""
PLUGINS: Mapping[str, str] = {
    "holds": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Finding:
            return Finding.of(True, subject="shop-1", observed="retention is 7 days", expected="7 days or more")
    """,
    "fails": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Iterator[Finding]:
            yield Finding.of(True, subject="shop-1", observed="retention is 7 days", expected="7 days or more")
            yield Finding.of(False, subject="shop-2", observed="retention is 1 day", expected="7 days or more")
            yield Finding.warning(subject="shop-1", observed="retention ends in 5 days")
    """,
    "hostile": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Finding:
            return Finding.of(
                False,
                subject="shop\\x1b]0;owned\\x07\\u202egnp.exe",
                observed="\\x1b[31mred\\x1b[0m \\x9b2J bell\\x07 line\\nexit code 0, ready: nothing blocks",
                expected="<script>alert(1)</script> 漢字",
            )
    """,
    "orders": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Iterator[Finding]:
            for subject in ("::add-mask::shop", "##vso[task.setvariable variable=x]y", "##teamcity[x]"):
                yield Finding.of(False, subject=subject, observed=f"saw ##[command]{subject}", expected="::stop::")
                yield Finding.error(subject=subject, message=f" ::error::{subject}")
    """,
    "leaks": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Finding:
            import os
            print(os.environ["VAULT_TOKEN"])
            return Finding.of(False, subject="shop-1", observed=os.environ["VAULT_TOKEN"], expected="nothing")
    """,
    "sabotages": """
        import os
        import quub_audit.engine.audit

        def collect(*anything):
            raise RuntimeError(f"folded with {os.environ['VAULT_TOKEN']}")

        quub_audit.engine.audit.collect = collect

        @check("It is so", each=Environment)
        def here(subject: Environment) -> Finding:
            return Finding.of(True, subject="shop-1", observed="there", expected="there")
    """,
    "nothing": """
        @check("It is so", each=Endpoint)
        def here(subject: Endpoint) -> Finding:
            return Finding.of(True, subject=subject.name, observed="there", expected="there")
    """,
    "crashes": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Finding:
            raise RuntimeError("the plugin's own fault")
    """,
    "exits": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Finding:
            sys.exit(0)
    """,
    "prints": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Finding:
            print("printed by a plugin")
            return Finding.of(True, subject="shop-1", observed="there", expected="there")
    """,
    "sleeps": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Finding:
            time.sleep(1.5)
            return Finding.of(True, subject="shop-1", observed="there", expected="there")
    """,
    "never": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Finding:
            Path(__file__).with_name("begun").touch()
            while True:
                time.sleep(60)
    """,
    "chatters": """
        @check("It is so", each=Environment)
        def here(subject: Environment) -> Finding:
            Path(__file__).with_name("begun").touch()
            while True:
                print("still here")
    """,
    "unreadable": "raise SystemExit('at import')",
}
ENVIRONMENTS = """\
service: shop

environments:
  production:
    stage: production
  staging:
    stage: staging
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.err.splitlines()[-1] if self.err else ""


@dataclass(frozen=True)
class Shop:
    """The folder of the service, and the commands that are run in it."""

    folder: Path

    @property
    def reports(self) -> Path:
        return self.folder / "quub-audit-report"

    @property
    def begun(self) -> Path:
        """There once a plugin that does not come back is under way."""
        return self.folder / "checks" / "shop" / "facts" / "begun"

    def write(self, *names: str, items: Mapping[str, str] | None = None) -> None:
        """A checklist of an item for each plugin; `items` adds lines of YAML to one."""
        entries = "".join(
            f"          - id: shop.facts.{name}\n"
            f"            title: The shop {name}\n"
            f"            severity: high\n"
            f"            tags: [{name}]\n"
            f"            remediation: Mend the shop.\n"
            + "".join(f"            {line}\n" for line in (items or {}).get(name, "").splitlines())
            for name in names
        )
        (self.folder / "checklist.yaml").write_text(
            'version: "1"\ntitle: The shop\nsections:\n  - title: Shop\n    groups:\n'
            f"      - title: Facts\n        items:\n{entries}",
            encoding="utf-8",
        )

    def run(self, *arguments: str, code: int | None = None, **more: str) -> Ran:
        """`quub-audit ARGUMENTS`; `more` goes into its environment."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=environ(self.folder, more),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert code is None or ran.code == code, f"{ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def audit(self, *arguments: str, code: int | None = None, **more: str) -> Ran:
        """`quub-audit run` against the shop's production."""
        return self.run(*self.arguments(*arguments), code=code, **more)

    @staticmethod
    def arguments(*arguments: str) -> tuple[str, ...]:
        given = ("--checklist", "checklist.yaml", "--checks-dir", "checks")
        env = () if "--env" in arguments else ("--env", "production")
        return ("run", *env, *given, *arguments)

    @contextmanager
    def started(self, *arguments: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """A run that is under way: its plugin has begun. It is ended in any case."""
        with subprocess.Popen(
            [COMMAND, *self.arguments(*arguments)],
            cwd=self.folder,
            env=environ(self.folder, more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        ) as process:
            try:
                wait_for(lambda: self.begun.exists() or process.poll() is not None)
                assert process.poll() is None, process.communicate()[1].decode()
                yield process
            finally:
                process.kill()


def make_shop(folder: Path, plugins: Sequence[str] = tuple(PLUGINS)) -> Shop:
    """The service in `folder`, without a checklist."""
    checks = folder / "checks" / "shop" / "facts"
    checks.mkdir(parents=True)
    for name in plugins:
        text = f'"""The shop {name}."""\n' + dedent(HEAD) + "from collections.abc import Iterator\n"
        (checks / f"{name}.py").write_text(text + dedent(PLUGINS[name]), encoding="utf-8")
    (folder / "environments.yaml").write_text(ENVIRONMENTS, encoding="utf-8")
    return Shop(folder)


def environ(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command under test."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**inherited, "HOME": str(home), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **more}


def wait_for(condition: object, *, at_most_s: float = 60.0) -> None:
    """Look again and again until it holds; fails when it does not in time."""
    assert callable(condition)
    ends_at = time.monotonic() + at_most_s
    while not condition():
        assert time.monotonic() < ends_at, "it did not come to pass in time"
        time.sleep(0.02)


def interrupt(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGINT) -> Ran:
    """Send a signal, and see how the command ends."""
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, out.decode(), err.decode())
