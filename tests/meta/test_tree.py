"""What stands in the repository as a whole: links lead somewhere, and no machine of ours shows."""

from __future__ import annotations

import configparser
import functools
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import quub_audit

ROOT = Path(quub_audit.__file__).parent.parent
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<to>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")
MACHINE_PATH = re.compile(r"(?<![\w.$}-])/(?:work|root|Users|mnt|private/tmp)/\w|\bfile:///(?:work|root|home|tmp)\b")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX):?\s+\w|\bHACK\b")


@functools.cache
def tracked() -> tuple[Path, ...]:
    """Files that git tracks, links not followed."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    paths = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    return tuple(path for path in paths if path.is_file() and not path.is_symlink())


@functools.cache
def texts() -> dict[str, str]:
    """Every text file by its path."""
    found = {}
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content:
            found[path.relative_to(ROOT).as_posix()] = content.decode("utf-8")
    return found


def markdown() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.md")) + sorted(
        path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")
    )


@pytest.mark.parametrize("page", markdown())
def test_every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    broken = []
    for link in LINK.finditer(text):
        to = link["to"] or link["image"]
        if urlsplit(to).scheme:
            continue
        path, _, anchor = to.partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(to)

    assert broken == []


def anchors(page: Path) -> set[str]:
    """Ids that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_that_the_source_names_is_there() -> None:
    named = {
        (path, page)
        for path, text in texts().items()
        if not path.startswith(("tests/", "examples/"))
        for page in re.findall(r"(?<![\w/])docs/[\w/-]+\.md", text)
    }

    assert sorted(each for each in named if not (ROOT / each[1]).is_file()) == []
    assert named


def test_no_path_of_a_machine_stands_in_the_tree() -> None:
    assert _lines_with(MACHINE_PATH) == []


def test_nothing_is_marked_as_unfinished() -> None:
    assert _lines_with(UNFINISHED) == []


def test_no_package_host_of_this_machine_stands_in_the_tree() -> None:
    hosts = configured_hosts()

    assert [(path, host) for path, text in texts().items() for host in hosts if host in text] == []


def configured_hosts() -> set[str]:
    """Hosts that pip and npm are told to use here, beside the public ones."""
    found = set()
    for file in (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        parser = configparser.RawConfigParser()
        parser.read(file)
        urls = [value for section in parser.sections() for _, value in parser.items(section)]
        found |= {urlsplit(url).hostname or "" for line in urls for url in line.split()}
    npmrc = Path.home() / ".npmrc"
    if npmrc.exists():
        found |= {
            urlsplit(url).hostname or "" for url in re.findall(r"https?://\S+", npmrc.read_text(encoding="utf-8"))
        }
    return {host for host in found if "." in host}


def test_every_module_says_what_it_is_for() -> None:
    source = [path for path in texts() if path.startswith(("quub_audit/", "checks/")) and path.endswith(".py")]

    assert [path for path in source if not texts()[path].lstrip().startswith(('"""', 'r"""'))] == []


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:80]}"
        for path, text in texts().items()
        if not path.startswith("tests/data/")
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
