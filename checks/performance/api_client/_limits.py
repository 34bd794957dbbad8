"""How long a request may last: what its call, its client and its library say, in seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from quub_audit.checks.performance.api_client._calls import Call, Code, Site
from quub_audit.checks.performance.api_client._source import (
    SPREAD,
    Names,
    chained,
    enclosed,
    java_seconds,
    keywords,
    number,
    pairs,
    split,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What ends a request; infinite for nothing, None where the code does not tell."""

    total_s: float | None = math.inf
    """Seconds for the whole, or between two reads where the library has no limit for the whole."""
    connect_s: float | None = 0.0
    """Seconds for the connection, where it has a limit of its own; 0 where that of the whole covers it."""
    by: str = "its options or its client"
    """What sets it: `timeout of axios.create`, `the default of httpx`."""


NOTHING = Limit()
UNTOLD = Limit(total_s=None, connect_s=None)
FETCH_DEFAULT = Limit(total_s=300.0, connect_s=10.0, by="the default of undici")


def limit_of(call: Call, code: Code) -> Limit:
    """What bounds the requests of one call."""
    reader = _READERS.get(call.site.library)
    return reader(call, code) if reader else UNTOLD


def options_of(site: Site, names: Names) -> dict[str, str] | None:
    """Options of a JavaScript call: object literals among its arguments, or the constants that stand for them.

    None when an argument that may hold options is known by its name alone.
    """
    if site.parts is None:
        return None
    options: dict[str, str] = {}
    is_known = True
    for index, part in enumerate(site.parts):
        text = part if part.startswith("{") else names.value(part, site.location.file)
        if text.startswith("{"):
            options.update(pairs(text))
        elif _may_be_options(part, index, site.library):
            is_known = False
    if not is_known:
        options.setdefault(SPREAD, "an argument")
    return options


def _may_be_options(part: str, index: int, library: str) -> bool:
    """Whether an argument other than the first, or one named like options, may hold them; Node's last is a function."""
    if re.match(r"""^["'`\d]|^(async\b|function\b|\()|=>|^new URL|^(JSON|null|undefined)\b""", part):
        return False
    return bool(re.search(r"(?i)opt|conf|setting|init|req(uest)?$|param|arg", part)) or (
        index >= 1 and library != "http"
    )


# JavaScript


_ABORTS = re.compile(r"AbortSignal\.timeout\s*\(")


def _signal(text: str, site: Site, code: Code) -> Limit | None:
    """The limit that a `signal` sets; None when it has none of its own, untold when it comes from elsewhere."""
    found = _ABORTS.search(text)
    if found is None and re.fullmatch(r"[\w$.]+", text):
        text = code.names.value(text, site.location.file) or text
        found = _ABORTS.search(text)
    if found is not None:
        seconds = _ms(enclosed(text[found.end() - 1 :]) or "", site, code)
        return Limit(total_s=seconds, by="AbortSignal.timeout")
    for timer in code.aborts:
        if timer.location.file == site.location.file and timer.parts and len(timer.parts) > 1:
            return Limit(total_s=_ms(timer.parts[1], timer, code), by="a timer that aborts")
    return replace(UNTOLD, by=f"a signal from elsewhere ({text[:40]})")


def _ms(text: str, site: Site, code: Code) -> float | None:
    value = number(text, code.names, site.location.file)
    return None if value is None else (value / 1000 or math.inf)


def _axios(call: Call, code: Code) -> Limit:
    own = options_of(call.site, code.names)
    if own is None:
        return UNTOLD
    told = [limit for limit in (_timeout(own, call.site, code), _by_signal(own, call.site, code)) if limit]
    if not told and call.client is not None:
        defaults = options_of(call.client, code.names) or {}
        base = _timeout(defaults, call.client, code)
        told = [replace(base, by=f"timeout of {call.client.written}")] if base else []
        own = own | {key: value for key, value in defaults.items() if key == SPREAD}
    if not told:
        told = list(_assigned(call, code))
    return _shortest(told, is_open=SPREAD in own or (call.is_through_client and call.client is None))


def _assigned(call: Call, code: Code) -> Iterable[Limit]:
    """`axios.defaults.timeout = 5000`, or that of the client by its name."""
    names = {"axios", call.client.name if call.client else "", call.site.written.split(".")[0]}
    for site in code.settings:
        left, _, right = site.text.partition("=")
        parts = left.strip().split(".")
        if parts[-2:] == ["defaults", "timeout"] and parts[-3:-2] and parts[-3] in names:
            yield Limit(total_s=_ms(right, site, code), by=left.strip())


def _timeout(options: Mapping[str, str], site: Site, code: Code) -> Limit | None:
    if "timeout" not in options:
        return None
    return Limit(total_s=_ms(options["timeout"], site, code), by="timeout")


def _by_signal(options: Mapping[str, str], site: Site, code: Code) -> Limit | None:
    return _signal(options["signal"], site, code) if "signal" in options else None


def _shortest(told: Iterable[Limit], *, is_open: bool, default: Limit = NOTHING) -> Limit:
    """The shortest of the limits that are known; with none, the default, or untold when options come from elsewhere."""
    limits = list(told)
    known = [limit for limit in limits if limit.total_s is not None]
    if known:
        shortest = min(known, key=lambda limit: limit.total_s or 0.0)
        if math.isfinite(shortest.total_s or 0.0) or len(known) == len(limits):
            return shortest
    if limits:
        return limits[0] if limits[0].total_s is None else replace(UNTOLD, by="options from elsewhere")
    return replace(UNTOLD, by="options from elsewhere") if is_open else default


def _fetch(call: Call, code: Code) -> Limit:
    own = options_of(call.site, code.names)
    if own is None:
        return UNTOLD
    told = [limit for limit in (_by_signal(own, call.site, code),) if limit]
    if call.site.library == "fetch" and call.site.written != "fetch" and "timeout" in own:
        told.extend(limit for limit in (_timeout(own, call.site, code),) if limit)
    if told:
        return _shortest(told, is_open=False)
    if SPREAD in own:
        return replace(UNTOLD, by="options from elsewhere")
    return _dispatched(own, call, code)


def _dispatched(own: Mapping[str, str], call: Call, code: Code) -> Limit:
    """Limits of the dispatcher: that of the call, else that of the process."""
    name = own.get("dispatcher", "")
    for site in code.clients:
        is_global = any(site.name and site.name in each.text for each in code.settings if "Dispatcher" in each.written)
        is_inline = any(site.text[:60] in each.text for each in code.settings if "Dispatcher" in each.written)
        is_named = bool(name) and site.name == name.rpartition(".")[2]
        if site.library == "undici" and (is_named or (not name and (is_global or is_inline))):
            return _undici_agent(site, code)
    if name and not name.startswith("new "):
        return replace(UNTOLD, by=f"a dispatcher from elsewhere ({name[:40]})")
    return FETCH_DEFAULT


def _undici_agent(site: Site, code: Code) -> Limit:
    options = options_of(site, code.names)
    if options is None:
        return UNTOLD
    headers = _ms(options["headersTimeout"], site, code) if "headersTimeout" in options else 300.0
    body = _ms(options["bodyTimeout"], site, code) if "bodyTimeout" in options else 300.0
    connect = pairs(options["connect"]).get("timeout", "") if "connect" in options else ""
    connect_s = _ms(connect, site, code) if connect else 10.0
    if headers is None or body is None:
        return replace(UNTOLD, by=f"{site.written} ({site.location})")
    return Limit(total_s=max(headers, body), connect_s=connect_s, by=f"limits of {site.written}")


def _undici(call: Call, code: Code) -> Limit:
    own = options_of(call.site, code.names)
    if own is None:
        return UNTOLD
    if "signal" in own:
        return _shortest([_signal(own["signal"], call.site, code) or NOTHING], is_open=False)
    if "headersTimeout" in own and "bodyTimeout" in own:
        return replace(_undici_agent(call.site, code), by="headersTimeout and bodyTimeout")
    if call.client is not None:
        return _undici_agent(call.client, code)
    return replace(UNTOLD, by="options from elsewhere") if SPREAD in own else _dispatched(own, call, code)


def _got(call: Call, code: Code) -> Limit:
    layers = [site for site in (call.site, call.client) if site is not None]
    is_open = call.is_through_client and call.client is None
    for site in layers:
        options = options_of(site, code.names)
        if options is None:
            return UNTOLD
        is_open = is_open or SPREAD in options
        if "signal" in options and _ABORTS.search(options["signal"]):
            return _signal(options["signal"], site, code) or NOTHING
        if "timeout" in options:
            parts = pairs(options["timeout"]) if options["timeout"].startswith("{") else {"request": options["timeout"]}
            if "request" not in parts and ("response" in parts or SPREAD in parts):
                parts["request"] = parts.get("response", "")
            connect = _ms(parts["connect"], site, code) if "connect" in parts else 0.0
            return Limit(
                total_s=_ms(parts.get("request", "0"), site, code), connect_s=connect, by=f"timeout of {site.written}"
            )
    default = Limit(total_s=10.0, by="the default of ky") if call.site.library == "ky" else NOTHING
    return replace(UNTOLD, by="options from elsewhere") if is_open else default


def _node(call: Call, code: Code) -> Limit:
    own = options_of(call.site, code.names)
    if own is None:
        return UNTOLD
    told = [limit for limit in (_timeout(own, call.site, code), _by_signal(own, call.site, code)) if limit]
    if not told:
        told.extend(
            Limit(total_s=_ms(site.parts[0], site, code), by="setTimeout")
            for site in code.settings
            if site.written.endswith(".setTimeout") and site.location.file == call.site.location.file and site.parts
        )
    return _shortest(told, is_open=SPREAD in own)


# Python


def _python(
    default: Limit, read: Callable[[str, Site, Code], Limit], made: Limit | None = None
) -> Callable[..., Limit]:
    def limit(call: Call, code: Code) -> Limit:
        layers = [site for site in (call.site, call.client) if site is not None]
        for site in layers:
            if site.parts is None:
                return UNTOLD
            assigned = next(_assigned_to(site, code), "") if site is call.client else ""
            if assigned and made is not None:
                return replace(read(assigned, site, code), by=f"timeout given to {site.name}")
            options = keywords(site.parts)
            if "timeout" in options and (site is call.site or made is not None):
                told = read(options["timeout"], site, code)
                return told if site is call.site else replace(told, by=f"timeout of {site.written}")
            if SPREAD in options:
                return replace(UNTOLD, by=f"**{options[SPREAD]}")
        if call.site.function == "urllib.urlopen" and len(call.site.parts or ()) >= 3:
            return read((call.site.parts or ())[2], call.site, code)
        for site in code.aborts:
            is_near = site.location.file == call.site.location.file and site.language == "python"
            line, at = site.location.line or 0, call.site.location.line or 0
            if is_near and 0 <= at - line <= 3 and site.parts:
                return Limit(total_s=number(site.parts[-1], code.names, site.location.file), by=site.written)
        if made is not None and call.is_through_client and call.client is None:
            return replace(UNTOLD, by="a client from elsewhere")
        return default

    return limit


def _assigned_to(client: Site, code: Code) -> Iterator[str]:
    """What `client.timeout = ...` gives to a client after it was made; the last word first."""
    for site in reversed(code.settings):
        left, _, right = site.text.partition("=")
        owner = left.strip().rpartition(".")[0].rpartition(".")[2]
        if site.language == "python" and site.location.file == client.location.file and owner == client.name:
            yield right.strip()


def _seconds(text: str, site: Site, code: Code) -> Limit:
    """`timeout=5`, `(3.05, 27)`, or a name for either."""
    value = (
        text if text.startswith(("(", "httpx", "aiohttp", "urllib3")) else code.names.value(text, site.location.file)
    )
    if value.startswith("(") and len(split(value[1:-1])) == 2:
        connect, read = split(value[1:-1])
        file = site.location.file
        return Limit(total_s=number(read, code.names, file), connect_s=number(connect, code.names, file), by="timeout")
    return Limit(total_s=number(text, code.names, site.location.file), by="timeout")


def _object(classes: str, total: tuple[str, ...], connect: tuple[str, ...]) -> Callable[[str, Site, Code], Limit]:
    """Reads `Timeout(10, connect=5)` of a library."""

    def read(text: str, site: Site, code: Code) -> Limit:
        file = site.location.file
        value = code.names.value(text, file) if re.fullmatch(r"[\w.]+", text) else text
        if not re.match(rf"^([\w.]*\.)?({classes})\s*\(", value):
            return _seconds(text, site, code)
        parts = split(enclosed(value) or "")
        named = keywords(parts)
        first = parts[0] if parts and "=" not in parts[0] else ""
        given = [named[name] for name in total if name in named] or ([first] if first else [])
        seconds = [number(each, code.names, file) for each in given[:1]]
        tied = [number(named[name], code.names, file) for name in connect if name in named]
        if SPREAD in named:
            return replace(UNTOLD, by=value[:40])
        return Limit(
            total_s=seconds[0] if seconds else math.inf, connect_s=tied[0] if tied else 0.0, by=f"{value[:40]}"
        )

    return read


_HTTPX = _object("Timeout", ("timeout", "read"), ("connect",))
_AIOHTTP = _object("ClientTimeout", ("total", "sock_read"), ("sock_connect", "connect"))
_URLLIB3 = _object("Timeout", ("total", "read"), ("connect",))


# Go and Java


def _go(call: Call, code: Code) -> Limit:
    for site in code.aborts:
        is_same = site.location.file == call.site.location.file and site.language == "go"
        line, at = site.location.line or 0, call.site.location.line or 0
        if is_same and 0 <= at - line <= 25 and site.parts and len(site.parts) == 2 and call.site.method == "Do":
            return Limit(total_s=number(site.parts[1], code.names, site.location.file), by="context.WithTimeout")
    if call.client is None:
        return (
            replace(UNTOLD, by="a client from elsewhere")
            if call.is_through_client
            else replace(NOTHING, by="http.DefaultClient")
        )
    fields = pairs(call.client.text[call.client.text.find("{") :])
    if "Timeout" not in fields:
        return replace(NOTHING, by="a client without Timeout")
    seconds = number(fields["Timeout"], code.names, call.client.location.file)
    return Limit(total_s=seconds if seconds is None else (seconds or math.inf), by="Timeout of http.Client")


_JAVA_DEFAULTS = {
    "okhttp": Limit(total_s=10.0, connect_s=10.0, by="the defaults of OkHttp"),
    "jdk.HttpRequest": replace(NOTHING, by="a request without timeout"),
    "spring": replace(NOTHING, by="the defaults of the request factory"),
}


def java_limit(site: Site, code: Code) -> Limit | None:
    """What bounds the requests of a Java client or request; None for a part that sends nothing by itself."""
    calls = chained(site.text.removeprefix("new ").replace("OkHttpClient.Builder", "Builder", 1))
    file = site.location.file
    if site.library == "okhttp":
        total = calls.get("callTimeout") or calls.get("readTimeout")
        connect = calls.get("connectTimeout")
        return Limit(
            total_s=java_seconds(total, code.names, file) if total else 10.0,
            connect_s=java_seconds(connect, code.names, file) if connect else 10.0,
            by="OkHttpClient" if total or connect else "the defaults of OkHttp",
        )
    if site.function == "jdk.HttpRequest":
        given = calls.get("timeout")
        return (
            Limit(total_s=java_seconds(given, code.names, file), by="timeout")
            if given
            else _JAVA_DEFAULTS[site.function]
        )
    if site.function == "jdk.HttpClient":
        return None
    return _spring(site, calls, code)


def _spring(site: Site, calls: Mapping[str, str], code: Code) -> Limit:
    read = next((calls[name] for name in ("readTimeout", "setReadTimeout") if name in calls), "")
    connect = next((calls[name] for name in ("connectTimeout", "setConnectTimeout") if name in calls), "")
    file = site.location.file
    if read:
        return Limit(
            total_s=java_seconds(read, code.names, file),
            connect_s=java_seconds(connect, code.names, file) if connect else 0.0,
            by=site.method,
        )
    is_plain = site.text.startswith("new RestTemplate()") or re.match(r"^(WebClient|RestClient)\.create\(", site.text)
    has_factory = any(name in calls for name in ("clientConnector", "requestFactory", "setRequestFactory"))
    if is_plain or (site.function in ("spring.WebClient", "spring.RestClient") and not has_factory):
        return _JAVA_DEFAULTS["spring"]
    told: dict[str, list[float | None]] = {"connect": [], "total": []}
    for each in code.settings:
        if each.location.file == file and each.language == "java" and each.parts is not None:
            name = each.text.partition("(")[0]
            inner = ", ".join(chained_last(each.text))
            kind = "connect" if re.search(r"(?i)connect\w*timeout$", last(each.text)) else "total"
            told[kind].append(java_seconds(inner, code.names, file) if name else None)
    if told["total"]:
        return Limit(
            total_s=told["total"][0], connect_s=told["connect"][0] if told["connect"] else 0.0, by="its request factory"
        )
    return replace(UNTOLD, by="a request factory from elsewhere")


def last(text: str) -> str:
    """The name of the outermost method of a Java chain."""
    names = re.findall(r"\.?(\w+)\s*\([^()]*(?:\([^()]*\)[^()]*)*\)$", text)
    return names[-1] if names else ""


def chained_last(text: str) -> tuple[str, ...]:
    """The arguments of the outermost method of a Java chain."""
    name = last(text)
    position = text.rfind(f"{name}(")
    return split(enclosed(text[position:]) or "") if name else ()


_READERS: Mapping[str, Callable[[Call, Code], Limit]] = {
    "axios": _axios,
    "fetch": _fetch,
    "undici": _undici,
    "got": _got,
    "ky": _got,
    "http": _node,
    "requests": _python(NOTHING, _seconds),
    "httpx": _python(Limit(total_s=5.0, connect_s=5.0, by="the default of httpx"), _HTTPX, made=NOTHING),
    "aiohttp": _python(Limit(total_s=300.0, connect_s=30.0, by="the default of aiohttp"), _AIOHTTP, made=NOTHING),
    "urllib3": _python(NOTHING, _URLLIB3, made=NOTHING),
    "urllib": _python(NOTHING, _seconds),
    "gohttp": _go,
}
