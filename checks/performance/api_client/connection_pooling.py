"""Connections to APIs are used again: clients with a pool are made once, and nothing closes a connection after each call.

Pass          a client, agent or transport that holds connections is made once, by the module, an object or a start-up function, and keeps them alive; a call goes over a pool that the platform shares (fetch, undici, Go, Node from 19 on)
Fail          a client is made in a function that runs for each call, or in a loop; a call has a connection of its own (`requests.get`, `httpx.get`, `urlopen`); an agent has no `keepAlive`, or `Connection: close` is sent
Inconclusive  no client and no call is found; of more than `max_untold` of those of a repository it cannot be told how often they are made, or which Node runs them. Fewer are warned of
Error         the checkout is not there, or a file of it could not be read
Needs         a checkout of the code; for Node, its version in a Dockerfile, .nvmrc, .node-version or `engines` of package.json
Source        the guide, API Client; the documentation of each library: Node's http.Agent, requests' sessions, httpx's and aiohttp's clients, Go's http.Transport, OkHttp
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import Field

from quub_audit.checks.performance.api_client._calls import ONCE, Call, Code, Site, look, made_per_call
from quub_audit.checks.performance.api_client._limits import options_of
from quub_audit.checks.performance.api_client._source import SPREAD, number, pairs
from quub_audit.checks.performance.api_client._untold import tolerated
from quub_audit.sdk import Finding, Parameters, Repositories, Repository, check, unread

POOLED: Final = "is made once and keeps its connections"
NODE_FILES: Final = ("Dockerfile*", ".nvmrc", ".node-version", "package.json")

KEEPS_ALIVE_FROM: Final = 19
"""Release of Node from which on its global agent keeps connections alive."""


class PoolingParameters(Parameters):
    """What the checklist may set under `with:`."""

    min_sockets: int = Field(default=10, ge=1)
    """Connections to one host that a pool with a limit should allow at least; fewer are warned of. House rule."""

    max_sockets: int = Field(default=500, ge=1)
    """Connections to one host that a pool with a limit should allow at most; more are warned of. House rule."""

    max_untold: float = Field(default=0.2, ge=0, le=1)
    """Ratio of the clients and calls of a repository that the code may not tell enough of, 0 to 1. House rule."""

    once: str = ONCE
    """Regular expression for functions that run once in a process or an object."""


@check("Connections are pooled and used again", each=Repository)
def code(subject: Repository, repositories: Repositories, wanted: PoolingParameters) -> Iterator[Finding]:
    """One finding for each client that holds connections, and for each call that goes without one."""
    found = look(subject, repositories)
    runs_node = any(site.language in ("javascript", "typescript", "tsx") for site in _sites(found))
    files = repositories.files(subject, globs=NODE_FILES) if runs_node else ()
    texts = [(file.path, repositories.read(subject, file.path).text) for file in files if file.size_bytes < 200_000]
    yield from tolerated(judge(found, node_release(texts), wanted), wanted.max_untold)
    yield from unread(subject.name, found.unreadable)


def _sites(code: Code) -> Iterator[Site]:
    yield from code.clients
    yield from (call.site for call in code.calls)


def node_release(texts: Iterable[tuple[str, str]]) -> int | None:
    """The oldest release of Node that a Dockerfile names, else a version file, else `engines`; None when none does."""
    told: dict[str, list[int]] = {}
    for path, text in texts:
        name = path.rpartition("/")[2]
        kind = "image" if name.startswith("Dockerfile") else "engines" if name == "package.json" else "version"
        regex = {
            "image": r"(?im)^FROM\s+(?:\S+/)?node:(\d+)",
            "engines": r'"node"\s*:\s*"[^\d"]*(\d+)',
            "version": r"^\s*v?(\d+)",
        }[kind]
        told.setdefault(kind, []).extend(int(found) for found in re.findall(regex, text))
    return next((min(told[kind]) for kind in ("image", "version", "engines") if told.get(kind)), None)


def judge(code: Code, node: int | None, wanted: PoolingParameters) -> Iterator[Finding]:
    """A finding for each client that holds connections, then for each call without a client of that kind."""
    for site in code.clients:
        if _holds_connections(site):
            yield from _judge_client(code, site, wanted)
    for call in code.calls:
        finding = _judge_call(code, call, node, wanted)
        if finding is not None:
            yield finding


def _holds_connections(site: Site) -> bool:
    """Whether the thing itself owns sockets; an axios or got instance leaves them to an agent."""
    if site.library in ("axios", "got", "ky", "spring") or site.function == "jdk.HttpRequest":
        return False
    return site.function != "gohttp.Client"


def _judge_client(code: Code, site: Site, wanted: PoolingParameters) -> Iterator[Finding]:
    fault = _closes(site, code)
    if fault:
        yield _finding(code, site, False, fault, "keep connections alive")
        return
    how_often = made_per_call(site, wanted.once)
    if how_often is None:
        yield _untold(code, site, f"is made by {site.within or 'a function'}, and how often that runs is not told")
        return
    if how_often:
        yield _finding(code, site, False, how_often, "make one for the process and share it")
        return
    yield _finding(code, site, True, POOLED, "")
    yield from _judge_size(code, site, wanted)


def _closes(site: Site, code: Code) -> str:
    """What makes a client close its connections, if anything does."""
    if re.search(r"""(?i)["']?connection["']?\s*[:,]\s*["']close["']""", site.text):
        return "sends Connection: close"
    if site.library == "gohttp" and re.search(r"DisableKeepAlives:\s*true", site.text):
        return "closes its connections (DisableKeepAlives)"
    if re.search(r"force_close\s*=\s*True|max_keepalive_connections\s*=\s*0\b", site.text):
        return "closes its connections"
    if site.function in ("http.Agent", "agent.HttpAgent", "agent.HttpsAgent", "agent.agent"):
        options = options_of(site, code.names)
        asked = (options or {}).get("keepAlive", "")
        if asked == "false" or (site.function == "http.Agent" and options is not None and not asked):
            return "" if SPREAD in (options or {}) else "closes its connections (no keepAlive)"
    return ""


def _judge_size(code: Code, site: Site, wanted: PoolingParameters) -> Iterator[Finding]:
    options = pairs(site.text[site.text.find("{") :]) if "{" in site.text else {}
    for name in ("maxSockets", "connections", "MaxConnsPerHost"):
        value = number(options.get(name, ""), code.names, site.location.file)
        if value is not None and not wanted.min_sockets <= value <= wanted.max_sockets:
            yield Finding.warning(
                subject=_subject(code, site),
                observed=f"{site.shown}: {name} is {options[name]}",
                expected=f"{wanted.min_sockets} to {wanted.max_sockets} connections to one host",
                location=site.location,
            )


def _judge_call(code: Code, call: Call, node: int | None, wanted: PoolingParameters) -> Finding | None:
    """A finding for a call whose connections belong to no client that is judged itself."""
    site = call.site
    if re.search(r"""(?i)["']?connection["']?\s*[:,]\s*["']close["']""", site.text):
        return _finding(code, site, False, "sends Connection: close", "leave the header out")
    if site.language == "python":
        if call.is_through_client:
            return None
        return _finding(code, site, False, "opens a connection of its own", "send it with a shared session or client")
    if site.library in ("fetch", "undici", "gohttp", "ky"):
        return None if call.client else _finding(code, site, True, "goes over the pool of the process", "")
    return _judge_node(code, call, node, wanted)


def _judge_node(code: Code, call: Call, node: int | None, wanted: PoolingParameters) -> Finding:
    """A call over Node's http: by the agent that it is given, else by the global agent of the release that runs."""
    site = call.site
    own, shared = (options_of(each, code.names) or {} if each else {} for each in (site, call.client))
    options = {**shared, **own}
    agent = next((options[name] for name in ("httpsAgent", "agent", "httpAgent") if name in options), "")
    if agent == "false":
        return _finding(code, site, False, "has no agent (agent: false)", "give it a shared agent")
    agents = [each for each in code.clients if each.function == "http.Agent" or each.library == "agent"]
    if agent:
        name = agent.rpartition(".")[2]
        files = {site.location.file, *([call.client.location.file] if call.client else [])}
        named = [
            each
            for each in agents
            if each.text[:40] in agent
            or (each.name == name and (each.location.file in files or not each.is_in_function))
        ]
        faults = [_closes(each, code) or made_per_call(each, wanted.once) for each in named or agents]
        if faults and all(fault == "" for fault in faults):
            return _finding(code, site, True, f"goes over the agent of {(named or agents)[0].location}", "")
        if named and any(faults):
            fault = next(filter(None, faults))
            return _finding(code, site, False, f"goes over an agent that {fault}", "share one agent")
        return _untold(code, site, f"goes over an agent from elsewhere ({agent[:40]})")
    if SPREAD in options or any(each.written.endswith("Agent") or "Agent" in each.text for each in code.settings):
        return _untold(code, site, "may be given an agent from elsewhere")
    if node is None:
        mend = "name the release of Node in .nvmrc, or in the Dockerfile"
        return _untold(code, site, "goes over the global agent of an untold release of Node", mend)
    return _finding(
        code,
        site,
        node >= KEEPS_ALIVE_FROM,
        f"goes over the global agent of Node {node}",
        f"give it an agent with keepAlive: that of Node keeps no connection before {KEEPS_ALIVE_FROM}",
    )


def _subject(code: Code, site: Site) -> str:
    return f"{code.repository}:{site.location}"


def _finding(code: Code, site: Site, holds: bool, observed: str, remedy: str) -> Finding:
    subject = _subject(code, site)
    return Finding.of(
        holds,
        subject=subject,
        observed=f"{site.shown}: {observed}",
        expected=POOLED,
        message="" if holds else f"{subject} {observed}; {remedy}",
        location=site.location,
    )


def _untold(
    code: Code, site: Site, observed: str, mend: str = "make one client for the process where the code tells"
) -> Finding:
    return Finding.undecided(
        subject=_subject(code, site),
        observed=f"{site.shown}: {observed}",
        expected=POOLED,
        location=site.location,
        next_step=f"{mend}, or raise `max_untold` where callers make it",
    )
