"""The scanner with other programs in sslyze's place: they hang, lie, shout, or do not start."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quub_audit.connectors.tls_answer import Target
from quub_audit.connectors.tls_process import LARGEST_REPORT_BYTES, Scanner
from quub_audit.errors import Malformed, NotTls, Reportable, TimedOut, Unsupported

BEGIN = """
import json, os, subprocess, sys, time
options = sys.argv[1:]
targets = open(options[options.index("--targets_in") + 1]).read().split()
with open({log!r}, "a") as log:
    log.write(json.dumps([os.getpid(), targets, "--certinfo_ca_file" in options, os.getcwd()]) + "\\n")
def write(listed):
    results = []
    for target in listed:
        name, _, rest = target.partition(":")
        port, _, address = rest.partition("{{")
        results.append({{
            "server_location": {{"hostname": name, "port": int(port), "ip_address": address[:-1]}},
            "connectivity_status": "ERROR",
            "connectivity_error_trace": 'sslyze.errors.ServerTlsConfigurationNotSupported: x -> "none".',
            "scan_result": None,
        }})
    print(json.dumps({{"sslyze_version": "0", "server_scan_results": results}}))
"""

Make = Callable[[str], Scanner]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def make(tmp_path: Path, log: Path) -> Iterator[Make]:
    """A scanner whose sslyze is a program with the given end."""
    made: list[Scanner] = []

    def build(end: str) -> Scanner:
        program = tmp_path / "program.py"
        program.write_text(BEGIN.format(log=str(log)) + end)
        made.append(Scanner(processes=1, command=(sys.executable, str(program))))
        return made[-1]

    yield build
    for scanner in made:
        scanner.close()


def calls(log: Path) -> list[tuple[int, list[str], bool, str]]:
    """Process, targets, whether there was a CA file, working directory of each start."""
    return [tuple(json.loads(line)) for line in log.read_text().splitlines()]


def target(number: int = 1) -> Target:
    return Target(f"n{number}.test", "192.0.2.1", 443)


def ask_all(scanner: Scanner, count: int, *, timeout_s: float = 20, ca_files: tuple[str, ...] = ("",)) -> list[object]:
    """What each of `count` threads got."""
    found: dict[int, object] = {}

    def ask(number: int) -> None:
        try:
            found[number] = scanner.scan(target(number), ca_file=ca_files[number % len(ca_files)], timeout_s=timeout_s)
        except Reportable as error:
            found[number] = error

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return [found[number] for number in range(count)]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_targets_that_are_asked_for_together_share_a_process(make: Make, log: Path) -> None:
    found = ask_all(make("write(targets)"), 5)

    assert all(isinstance(each, NotTls) for each in found)
    assert [len(targets) for _, targets, *_ in calls(log)] == [5]


def test_targets_under_different_authorities_share_none(make: Make, log: Path) -> None:
    found = ask_all(make("write(targets)"), 4, ca_files=("", "/a.pem"))

    assert all(isinstance(each, NotTls) for each in found)
    assert sorted((len(targets), has_ca_file) for _, targets, has_ca_file, _ in calls(log)) == [(2, False), (2, True)]


def test_a_process_has_five_targets_at_most(make: Make, log: Path) -> None:
    ask_all(make("write(targets)"), 12)

    assert sum(len(targets) for _, targets, *_ in calls(log)) == 12
    assert max(len(targets) for _, targets, *_ in calls(log)) == 5


@pytest.mark.parametrize("end", ["sys.exit(3) if len(targets) > 1 else write(targets)", "write(targets[:1])"])
def test_what_a_shared_process_did_not_answer_is_tried_alone(make: Make, end: str) -> None:
    found = ask_all(make(end), 4)

    assert all(isinstance(each, NotTls) for each in found), found


def test_one_that_hangs_takes_only_its_own_answer_along(make: Make, log: Path) -> None:
    end = "time.sleep(60) if any(t.startswith('n2.') for t in targets) else write(targets)"

    found = ask_all(make(end), 4, timeout_s=6)

    assert [type(each) for each in found] == [NotTls, NotTls, TimedOut, NotTls]
    assert_all_ended(log)


def assert_all_ended(log: Path) -> None:
    ends_at = time.monotonic() + 10
    while any(is_running(pid) for pid, *_ in calls(log)) and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert not [pid for pid, *_ in calls(log) if is_running(pid)]


def test_a_process_is_ended_with_what_it_started_at_the_deadline(make: Make, log: Path, tmp_path: Path) -> None:
    child = tmp_path / "child"
    scanner = make(f"p = subprocess.Popen(['sleep', '60']); open({str(child)!r}, 'w').write(str(p.pid)); p.wait()")

    with pytest.raises(TimedOut, match=r"n1\.test at 192\.0\.2\.1:443: "):
        scanner.scan(target(), ca_file="", timeout_s=2)

    assert_all_ended(log)
    ends_at = time.monotonic() + 10
    while Path(f"/proc/{child.read_text()}").exists() and time.monotonic() < ends_at:
        state = Path(f"/proc/{child.read_text()}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{child.read_text()}").exists()


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("", "report cannot be read: the text"),
        ("print('boom \\x1b[31m', file=sys.stderr); sys.exit(2)", r"sslyze ended with exit code 2: boom \[31m"),
        ("os.kill(os.getpid(), 9)", "exit code -9: it said nothing"),
        ("write(targets); sys.exit(1)", "exit code 1"),
        ("print('{\"a\"')", "report cannot be read"),
        ("print('<html>')", "report cannot be read"),
        ("write([])", "does not mention the server"),
        (f"sys.stdout.write('x' * {LARGEST_REPORT_BYTES + 1})", "wrote more than 32 MiB"),
        ("sys.stderr.write('x' * 1000000); sys.exit(2)", "xxx"),
    ],
)
def test_a_process_without_a_readable_report_is_malformed(make: Make, end: str, words: str) -> None:
    with pytest.raises(Malformed, match=words) as raised:
        make(end).scan(target(), ca_file="", timeout_s=20)

    assert raised.value.message.startswith("n1.test at 192.0.2.1:443: ")
    assert len(raised.value.message) < 600


def test_a_program_that_does_not_exist_is_unsupported() -> None:
    scanner = Scanner(command=("/nowhere/sslyze",))

    with pytest.raises(Unsupported, match="sslyze could not be started"):
        scanner.scan(target(), ca_file="", timeout_s=20)
    scanner.close()


def test_closing_ends_what_runs_and_what_waits(make: Make, log: Path) -> None:
    scanner = make("time.sleep(60)")
    found: list[object] = []
    asking = threading.Thread(target=lambda: found.extend(ask_all(scanner, 8, timeout_s=30)))
    asking.start()
    ends_at = time.monotonic() + 10
    while not log.exists() and time.monotonic() < ends_at:
        time.sleep(0.05)

    scanner.close()
    asking.join(timeout=20)

    assert [type(each) for each in found] == [TimedOut] * 8
    assert_all_ended(log)
    with pytest.raises(TimedOut, match="the audit has ended"):
        scanner.scan(target(), ca_file="", timeout_s=5)


def test_no_file_is_left_behind(make: Make, log: Path) -> None:
    ask_all(make("write(targets)"), 3)

    ((_, _, _, folder),) = calls(log)
    assert "quub-audit-tls-" in folder
    assert not Path(folder).exists()
