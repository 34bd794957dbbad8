"""Short reports of command-line generators: wrk2's and wrk's text, oha's and autocannon's JSON.

None says when it ran. wrk2 sends by a schedule and shows corrected latencies; wrk, oha and autocannon wait for answers.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from quub_audit.facts.artifacts import LoadRun, Origin
from quub_audit.parsers.load.series import host_of, statuses_in
from quub_audit.parsers.source import Format, Source, count, mapping, moment, number, text_of

_RUNNING = re.compile(r"Running \S+ test @ (\S+)")
_TOTAL = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h)\b")
_RATE = re.compile(r"Requests/sec:\s*([\d.]+)")
_REFUSED = re.compile(r"Non-2xx or 3xx responses:\s*(\d+)")
_SOCKETS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_SHORT = re.compile(r"^\s*([\d.]+)%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
_SPECTRUM = re.compile(r"^\s*([\d.]+)\s+(0\.\d+|1\.0+)\s+\d+\s+(?:[\d.]+|inf)\s*$", re.MULTILINE)
_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3.6e6}


def _read_wrk(source: Source) -> tuple[LoadRun, ...]:
    text = source.text()
    # With --u_latency a second, uncorrected block follows.
    corrected = text.partition("Uncorrected Latency")[0]
    total, running = _TOTAL.search(text), _RUNNING.search(text)
    if total is None or _RATE.search(text) is None:
        raise source.malformed("it does not say how many requests were sent: it may be cut off")
    refused, sockets = _REFUSED.search(text), _SOCKETS.search(text)
    unanswered = sum(map(int, sockets.groups())) if sockets else 0
    found = {float(value) / 100: float(time) * _MS[unit] for value, time, unit in _SHORT.findall(corrected)}
    found |= {float(share): float(ms) for ms, share in _SPECTRUM.findall(corrected)}
    shares = sorted(found)

    def at(share: float) -> float | None:
        """The next listed percentile, which is not below it; wrk2 lists no 95 without --latency."""
        place = bisect_left(shares, share)
        return found[shares[place]] if place < len(shares) else None

    host = host_of(running[1]) if running else ""
    is_scheduled = "HdrHistogram" in text or "calibration" in text
    run = LoadRun(
        origin=Origin(file=source.name, tool="wrk2" if is_scheduled else "wrk"),
        requests=int(total[1]) + unanswered,
        errors=(int(refused[1]) if refused else 0) + unanswered,
        duration_s=float(total[2]) * _MS[total[3]] / 1000,
        p50_ms=at(0.5),
        p95_ms=at(0.95),
        p99_ms=at(0.99),
        targets=(host,) if host else (),
        is_open_model=is_scheduled,
    )
    return (run,)


def _read_autocannon(source: Source) -> tuple[LoadRun, ...]:
    report = mapping(source.json(), source, "the report")
    latency = mapping(report.get("latency"), source, "latency")
    requests = count(mapping(report.get("requests"), source, "requests").get("total"), source, "requests.total")
    codes = {
        code: count(mapping(each, source, code).get("count"), source, code)
        for code, each in mapping(report.get("statusCodeStats") or {}, source, "statusCodeStats").items()
    }
    # Time-outs are among the errors.
    errors = count(report.get("errors", 0), source, "errors")
    host = host_of(text_of(report.get("url")))
    run = LoadRun(
        origin=Origin(file=source.name, tool="autocannon", produced_at=moment(report.get("finish"))),
        requests=requests + errors,
        errors=count(report.get("non2xx", 0), source, "non2xx") + errors,
        duration_s=max(number(report.get("duration"), source, "duration"), 0.0),
        started_at=moment(report.get("start")),
        p50_ms=number(latency["p50"], source, "p50") if "p50" in latency else None,
        # It has no 95: the next higher one cannot make it look better.
        p95_ms=number(latency["p97_5"], source, "p97_5") if "p97_5" in latency else None,
        p99_ms=number(latency["p99"], source, "p99") if "p99" in latency else None,
        targets=(host,) if host else (),
        is_open_model=False,
        statuses=statuses_in(codes),
    )
    return (run,)


def _read_oha(source: Source) -> tuple[LoadRun, ...]:
    report = mapping(source.json(), source, "the report")
    summary = mapping(report.get("summary"), source, "summary")
    latency = mapping(report.get("latencyPercentiles") or {}, source, "latencyPercentiles")
    codes = mapping(report.get("statusCodeDistribution") or {}, source, "statusCodeDistribution")
    failed = mapping(report.get("errorDistribution") or {}, source, "errorDistribution")
    answered = {code: count(times, source, code) for code, times in codes.items()}
    # Requests that the end of the run cut off are listed as errors, and are none.
    errors = sum(count(times, source, why) for why, times in failed.items() if why != "aborted due to deadline")
    p50, p95, p99 = (
        number(latency[key], source, key) * 1000 if latency.get(key) is not None else None
        for key in ("p50", "p95", "p99")
    )
    run = LoadRun(
        origin=Origin(file=source.name, tool="oha"),
        requests=sum(answered.values()) + errors,
        errors=errors + sum(times for code, times in answered.items() if code[:1] in "45"),
        duration_s=max(number(summary.get("total"), source, "summary.total"), 0.0),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        is_open_model=False,
        statuses=statuses_in(answered),
    )
    return (run,)


WRK = Format(
    name="wrk2's text (--latency)", recognises=lambda source: bool(_RUNNING.match(source.beginning)), read=_read_wrk
)
AUTOCANNON = Format(
    name="autocannon's JSON",
    recognises=lambda source: source.beginning.startswith("{") and '"p97_5"' in source.beginning,
    read=_read_autocannon,
)
OHA = Format(
    name="oha's JSON",
    recognises=lambda source: source.beginning.startswith("{") and '"latencyPercentiles"' in source.beginning,
    read=_read_oha,
)
