from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quub_audit.errors import Malformed
from quub_audit.facts.artifacts import LoadRun
from quub_audit.parsers import load
from quub_audit.parsers.load import jmeter
from quub_audit.parsers.load.series import MAX_SLICES, Histogram, Series
from quub_audit.parsers.source import Source
from tests.parsers.sources import DATA, recorded, source

T0 = 1_795_000_000_000
HEADER = "timeStamp,elapsed,label,responseCode,responseMessage,success,URL\n"


def read(content: str | bytes) -> LoadRun:
    (run,) = load.read(source(content))
    return run


def unpacked(name: str) -> Source:
    """A kept file, as it was before it was packed."""
    return source(gzip.decompress((DATA / name).read_bytes()), name) if name.endswith(".gz") else recorded(name)


def jtl(rows: Sequence[tuple[int, int, str, str]]) -> str:
    """A JTL with these rows of milliseconds since `T0`, elapsed, status and success."""
    lines = (f"{T0 + at},{took},GET /,{code},OK,{ok},http://a.example:8080/x\n" for at, took, code, ok in rows)
    return HEADER + "".join(lines)


@pytest.mark.parametrize(
    ("name", "requests", "errors", "duration_s", "p95_ms", "slices"),
    [
        ("k6-1.8.1-summary-export.json", 241, 12, 12.003, 27.9, 0),
        ("k6-1.8.1-handle-summary.json", 81, 5, 4.023, 28.0, 0),
        ("k6-1.8.1-stream.json.gz", 81, 5, 3.974, 28.0, 2),
        ("locust-2.47.0_stats.csv", 372, 0, 12.931, 77.0, 0),
        ("locust-2.47.0_stats_history.csv", 372, 0, 13.0, None, 3),
        ("locust-2.47.0-stats.json", 372, 0, 13.0, 78.0, 3),
        ("locust-2.47.0-report.html", 372, 0, 13.0, 77.0, 0),
        ("jmeter-5.6.3-results.jtl", 220, 1, 11.781, 8.125, 2),
        ("jmeter-5.6.3-results.xml", 27, 0, 1.525, 10.125, 1),
        ("artillery-2.0.21-report.json", 176, 1, 21.78, 19.1, 3),
        ("vegeta-12.13.0-report.json", 150, 1, 4.97, 53.811, 0),
        ("vegeta-12.13.0-limited.json", 300, 200, 4.961, 57.114, 0),
        ("autocannon-9.0.0-report.json", 60, 1, 3.01, 46.0, 0),
        ("wrk-4.1.0.txt", 1398, 96, 3.0, 7.57, 0),
        ("gatling-3.9.5-simulation.log", 144, 5, 7.758, 17.0, 2),
        ("gatling-3.9.5-stats.json", 144, 5, 8.0, 17.0, 0),
        ("gatling-3.12.0-global-stats.json", 144, 5, 8.0, 81.0, 0),
        ("gatling-3.14.5-simulation.log", 144, 4, 7.653, 68.0, 2),
        ("gatling-3.16.0-simulation.log", 42, 8, 2.692, 63.0, 1),
    ],
)
def test_a_report_of_a_real_tool_is_read(
    name: str, requests: int, errors: int, duration_s: float, p95_ms: float | None, slices: int
) -> None:
    (run,) = load.read(unpacked(name))

    assert (run.requests, run.errors, len(run.slices)) == (requests, errors, slices)
    assert run.duration_s == pytest.approx(duration_s, abs=0.001)
    assert run.p95_ms == (p95_ms if p95_ms is None else pytest.approx(p95_ms, rel=0.02))
    assert not run.slices or sum(each.requests for each in run.slices) == requests
    assert not run.slices or -run.slice_s < run.slices[0].start_s <= 0
    assert not run.statuses or sum(run.statuses.values()) == requests


def test_what_each_tool_says_beside_is_kept() -> None:
    (k6,) = load.read(recorded("k6-1.8.1-handle-summary.json"))
    counted = [
        run.own_counters
        for name in ("k6-1.8.1-keys-summary.json", "k6-1.8.1-keys-stream.json.gz")
        for run in load.read(unpacked(name))
    ]
    (vegeta,) = load.read(recorded("vegeta-12.13.0-limited.json"))
    (jmeter_run,) = load.read(recorded("jmeter-5.6.3-results.jtl"))

    assert k6.statuses == {"200": 76, "429": 5, "500": 0}
    assert k6.statuses_with_retry_after == 5
    assert k6.own_counters == {}
    assert counted == [{"other_key_answered": 11, "answered_after_window": 3}] * 2
    assert vegeta.statuses == {"200": 100, "429": 200}
    assert vegeta.is_open_model
    assert vegeta.started_at == datetime(2026, 11, 24, 9, 48, 55, 714093, UTC)
    assert jmeter_run.targets == ("127.0.0.1:18431",)
    assert jmeter_run.is_open_model is False


WRK2 = """Running 30s test @ http://orders.example:8080/index.html
  2 threads and 100 connections
  Thread calibration: mean lat.: 10087 usec, rate sampling interval: 22 msec
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.60ms    1.92ms  12.50ms   68.46%
  Latency Distribution (HdrHistogram - Recorded Latency)
 50.000%    6.67ms
 75.000%    7.78ms
 90.000%    9.14ms
 99.000%   11.18ms
100.000%   1.20s

  Detailed Percentile spectrum:
       Value   Percentile   TotalCount 1/(1-Percentile)

       6.675     0.500000       100         2.00
       9.999     0.950000       190        20.00
      12.503     1.000000       200          inf
----------------------------------------------------------
  60018 requests in 30.00s, 19.81MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 7
Requests/sec:   2000.15
Transfer/sec:    676.14KB
"""
GATLING = {
    "type": "GROUP",
    "stats": {
        "name": "All Requests",
        "numberOfRequests": {"total": "240", "ok": "240", "ko": "-"},
        "percentiles1": {"total": "11"},
        "percentiles3": {"total": "95"},
        "percentiles4": {"total": "99"},
        "meanNumberOfRequestsPerSecond": {"total": "8", "ok": "8", "ko": "-"},
    },
}
LOG = f"RUN\tOrders\torders\t{T0}\t \t3.9.5\nUSER\ta\tSTART\t{T0}\nREQUEST\t\tbuy\t{T0}\t{T0 + 20}\tOK\t \n"
OHA = {
    "summary": {"successRate": 1.0, "total": 10.0, "requestsPerSec": 10.0},
    "latencyPercentiles": {"p50": 0.01, "p95": 0.02, "p99": 0.03},
    "statusCodeDistribution": {"200": 90, "503": 8},
    "errorDistribution": {"aborted due to deadline": 5, "connection refused": 2},
}
V1 = {
    "aggregate": {
        "requestsCompleted": 100,
        "scenariosCreated": 50,
        "codes": {"200": 95, "502": 5},
        "errors": {"ETIMEDOUT": 4},
        "latency": {"median": 10, "p95": 20, "p99": 30},
    },
    "intermediate": [{"timestamp": "2026-11-24T10:00:10.000Z"}, {"timestamp": "2026-11-24T10:00:20.000Z"}],
}
STATISTICS = {
    "Total": {
        "transaction": "Total",
        "sampleCount": 1000,
        "errorCount": 3,
        "throughput": 50.0,
        "medianResTime": 5.0,
        "pct1ResTime": 8.0,
        "pct2ResTime": 9.0,
        "pct3ResTime": 12.0,
    }
}


@pytest.mark.parametrize(
    ("content", "requests", "errors", "duration_s", "p95_ms", "p99_ms"),
    [
        pytest.param(WRK2, 60021, 10, 30.0, 9.999, 11.18, id="wrk2"),
        pytest.param(json.dumps(GATLING), 240, 0, 30.0, 95.0, 99.0, id="gatling-2"),
        pytest.param(f"{LOG}REQUEST\t7\t\tbuy\t{T0 + 9}\t{T0 + 60}\tOK\t\n", 2, 0, 0.06, 51, 51, id="gatling-3.0"),
        pytest.param(json.dumps(OHA), 100, 10, 10.0, 20.0, 30.0, id="oha"),
        pytest.param(json.dumps(V1), 104, 9, 20.0, 20.0, 30.0, id="artillery-1"),
        pytest.param(json.dumps(STATISTICS), 1000, 3, 20.0, 9.0, 12.0, id="jmeter-dashboard"),
    ],
)
def test_a_report_by_its_documentation_is_read(
    content: str, requests: int, errors: int, duration_s: float, p95_ms: float, p99_ms: float
) -> None:
    run = read(content)

    assert (run.requests, run.errors) == (requests, errors)
    assert run.duration_s == pytest.approx(duration_s)
    assert run.p95_ms == pytest.approx(p95_ms, rel=0.02)
    assert run.p99_ms == pytest.approx(p99_ms, rel=0.02)


BINARY = (DATA / "gatling-3.16.0-simulation.log").read_bytes()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(BINARY[:-1], "ends inside a record", id="cut-off"),
        pytest.param(BINARY[:12], "ends inside a record", id="cut-off-at-once"),
        pytest.param(BINARY[:12] + b"\x7f" + BINARY[13:], "a text of 2130706452 bytes", id="endless-text"),
        pytest.param(BINARY + b"\x09", "after request 42 stands a record of kind 9", id="unknown-kind"),
        pytest.param(BINARY + BINARY, "after request 42 stands a record of kind 0", id="glued"),
        pytest.param(BINARY + b"\x04\xff\xff\xff\0", "text number -256 of 7", id="unknown-text"),
        pytest.param(BINARY.replace(b"3.16.0", b"4.16.0", 1), "no known format", id="unknown-version"),
    ],
)
def test_a_damaged_binary_log_says_what_is_wrong_with_it(content: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read(content)


# JTL


def test_a_jtl_without_header_with_quotes_line_breaks_and_a_transaction_is_read_in_the_default_columns() -> None:
    rows = [
        [T0, 10, "a", "200", "OK", "t", "text", "true", "", 1, 1, 1, 1, "http://a.example/x", 9, 0, 1],
        [T0 + 500, 20, "b", "500", 'said "no",\nand why', "t", "text", "false", "x", 1, 1, 1, 1, "null", 9, 0, 1],
        [T0, 530, "c", "", f"{jmeter.TRANSACTION} : 2, number", "t", "", "false", "", 1, 1, 1, 1, "null", 9, 0, 1],
        [T0 + 900, 5, "d", "Non HTTP response code: java.net.X", "", "t", "", "false", "", 1, 1, 1, 1, "null", 0, 0, 1],
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)

    run = read(text.getvalue())

    assert (run.requests, run.errors, run.duration_s) == (3, 2, 0.905)
    assert run.statuses == {"0": 1, "200": 1, "500": 1}
    assert run.targets == ("a.example",)


ROWS = st.lists(
    st.tuples(
        st.integers(0, 40 * 3_600_000),
        st.integers(0, 5000),
        st.sampled_from(["200", "429", "503", "Non HTTP response code: x"]),
        st.sampled_from(["true", "false"]),
    ),
    min_size=1,
    max_size=60,
)


@given(rows=ROWS)
def test_the_quick_reader_and_the_plain_one_read_the_same_and_lose_nothing(
    rows: list[tuple[int, int, str, str]],
) -> None:
    given = source(jtl(rows))
    table = jmeter.Table(columns=tuple(HEADER.strip().split(",")), delimiter=",", has_header=True)
    quick = jmeter._quick(given, table)
    assert quick is not None
    origin = read(jtl(rows)).origin

    run = quick.run(origin)

    assert run == jmeter._collect(jmeter._blocks(given, table), given).run(origin)
    assert run.requests == len(rows) == sum(each.requests for each in run.slices)
    assert run.errors == sum(ok == "false" for *_, ok in rows)
    assert run.duration_s == (max(at + took for at, took, *_ in rows) - min(at for at, *_ in rows)) / 1000
    assert len(run.slices) <= MAX_SLICES + 1


def test_without_pyarrow_a_jtl_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = read(jtl([(0, 10, "200", "true"), (9_000, 20, "500", "false")]))
    monkeypatch.setitem(sys.modules, "quub_audit.parsers.load.jmeter_arrow", None)

    assert read(jtl([(0, 10, "200", "true"), (9_000, 20, "500", "false")])) == with_it


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_are_told_by_the_header(delimiter: str) -> None:
    assert read(jtl([(0, 10, "200", "true")]).replace(",", delimiter)).requests == 1


# Series


@given(durations=st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200), share=st.floats(0.01, 1))
def test_a_quantile_is_never_too_low_and_at_most_two_percent_too_high(durations: list[float], share: float) -> None:
    histogram = Histogram()
    for each in durations:
        histogram.add(each)
    exact = sorted(durations)[max(0, -int(-share * len(durations) // 1)) - 1]

    (found,) = histogram.quantiles(share)

    assert found is not None
    assert exact * 0.999 - 0.001 <= found <= exact * 1.017 + 0.001


@pytest.mark.parametrize(
    ("seconds", "gap"),
    [((0, 1, 2), 0.0), ((0, 1, 301), 300.0), ((301, 0), 301.0), ((5,), 0.0)],
)
def test_the_longest_gap_is_told_to_the_second_whatever_the_order(seconds: tuple[int, ...], gap: float) -> None:
    assert read(jtl([(at * 1000, 10, "200", "true") for at in seconds])).longest_gap_s == gap


def test_a_last_request_that_hangs_is_a_gap_and_no_load() -> None:
    assert read(jtl([(0, 10, "200", "true"), (0, 3_600_000, "200", "true")])).longest_gap_s == 3600.0


def test_a_day_has_slices_of_a_minute_and_a_month_few_of_them() -> None:
    series = Series(source(""))
    for minute in range(24 * 60):
        series.add(T0 + minute * 60_000, 10)
    day = series.run(read(jtl([(0, 1, "200", "true")])).origin)

    assert (day.slice_s, len(day.slices)) in ((60.0, 1440), (60.0, 1441))
    assert read(jtl([(0, 1, "200", "true"), (30 * 86_400_000, 1, "200", "true")])).slice_s == 3600.0


def test_a_locust_run_that_stood_still_has_a_gap() -> None:
    lines = recorded("locust-2.47.0_stats_history.csv").text().splitlines()
    header, row = lines[0], lines[-1].split(",")
    total = header.split(",").index("Total Request Count")
    rows = []
    for second, requests in ((0, 10), (1, 20), (301, 20), (302, 30)):
        row[0], row[total] = str(1_795_000_000 + second), str(requests)
        rows.append(",".join(row))

    run = read("\n".join([header, *rows]))

    assert (run.requests, run.longest_gap_s, run.duration_s) == (30, 301.0, 302.0)


def test_a_day_of_locusts_rows_has_slices_of_a_minute_that_lose_nothing() -> None:
    lines = recorded("locust-2.47.0_stats_history.csv").text().splitlines()
    header, row = lines[0], lines[-1].split(",")
    total = header.split(",").index("Total Request Count")
    rows = []
    for number in range(24 * 360):
        row[0], row[total] = str(1_795_000_000 + number * 10), str(number * 50)
        rows.append(",".join(row))

    run = read("\n".join([header, *rows]))

    assert (run.slice_s, len(run.slices)) in ((60.0, 1440), (60.0, 1441))
    assert run.requests == sum(each.requests for each in run.slices) == 50 * (24 * 360 - 1)
    assert {each.p95_ms for each in run.slices} == {77.0}
    assert -60 < run.slices[0].start_s <= 0


# Input that is broken or hostile


def k6_point(metric: str = "http_reqs", **data: object) -> str:
    return json.dumps({"metric": metric, "type": "Point", "data": {"time": "2026-11-24T10:00:00Z", "value": 1, **data}})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(jtl([(0, 1, "200", "true")]) + "17950", "line 3 has 1 cells, expected 7", id="cut-off"),
        pytest.param(jtl([(0, -5, "200", "true")]), "took -5 ms|from", id="negative"),
        pytest.param(jtl([(0, 1, "200", "yes")]), "success of line 2 is 'yes'", id="no-boolean"),
        pytest.param(
            HEADER + "2026/11/24 10:00:00,1,a,200,OK,true,x\n",
            "line 2 are '2026/11/24 10:00:00' and '1', expected milliseconds",
            id="date",
        ),
        pytest.param(
            jtl([(0, 1, "200", "true"), (90 * 86_400_000, 1, "200", "true")]), "more than 31 days", id="glued"
        ),
        pytest.param(HEADER + f'{T0},1,"a,200,OK,true,x\n', "is no CSV|cells", id="open-quote"),
        pytest.param(k6_point() + '\n{"metric":"http_reqs","type":"Po', "line 2 is no JSON", id="k6-cut-off"),
        pytest.param(k6_point() + "\n" + k6_point(time="yesterday"), "the time of line 2", id="k6-time"),
        pytest.param(k6_point() + "\n" + k6_point(value=-1), "the value of line 2 is -1", id="k6-negative"),
        pytest.param(k6_point() + "\n" + k6_point(value=float("nan")), "line 2 is nan", id="k6-nan"),
        pytest.param('{"metrics": {"http_reqs": {"count": -1, "rate": 1}}}', "is -1, expected a count", id="k6-count"),
        pytest.param(
            '{"metrics": {"http_reqs": {"count": 1, "rate": 1}, "http_req_failed": {"rate": 7}}}',
            "7 failed",
            id="k6-share",
        ),
        pytest.param('{"latencies": {}, "requests": 9, "status_codes": {"200": 1}}', "count 1 requests", id="vegeta"),
        pytest.param(
            '{"aggregate": {"counters": {"http.requests": "many"}}}', "http.requests is 'many'", id="artillery"
        ),
        pytest.param("Running 30s test @ http://a/\n  2 threads", "does not say how many", id="wrk-cut-off"),
        pytest.param(f"RUN\ta\tb\t{T0}\t\t3\nREQUEST\tx\t{T0}", "line 2 is no whole request", id="gatling-cut-off"),
        pytest.param(
            '<!DOCTYPE a [<!ENTITY b "c">]><testResults version="1.2">&b;</testResults>', "no XML", id="jtl-entities"
        ),
        pytest.param("<testResults>" + "<a>" * 300, "inside one another", id="jtl-deep"),
        pytest.param('<testResults><httpSample t="1" ts="1795000000000" s="true"/>', "no XML", id="jtl-cut-off"),
        pytest.param('{"state": {}, "metrics": []}', "no known format", id="no-format"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(content: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        load.read(source(content))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(HEADER, id="jtl"),
        pytest.param('<testResults version="1.2"></testResults>', id="jtl-xml"),
        pytest.param('{"metrics": {"iterations": {"count": 3, "rate": 1}}, "root_group": {}}', id="k6"),
        pytest.param('{"type":"Metric","data":{},"metric":"x"}', id="k6-stream"),
        pytest.param('{"latencies": {}, "requests": 0, "status_codes": {}}', id="vegeta"),
        pytest.param('{"aggregate": {"counters": {"vusers.created": 9}}}', id="artillery"),
    ],
)
def test_a_run_without_a_request_is_a_run_of_volume_0(content: str) -> None:
    assert read(content).requests == 0


STARTS = (
    HEADER,
    '{"metrics":{"http_reqs":',
    '[{"num_reqs_per_sec":',
    "<testResults>",
    '{"aggregate":{"http.requests"',
    f"ASSERTION\ta\nRUN\ta\tb\t{T0}\t\t3\n",
    BINARY[:85].decode("latin-1"),
    "Running 1s test @ ",
    '{"latencies":{},"status_codes":',
    '{"type":"Metric",',
)


@settings(max_examples=200)
@given(start=st.sampled_from(STARTS), rest=st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_no_bytes_make_a_reader_raise_anything_but_malformed(start: str, rest: Any) -> None:
    tail = rest.encode("utf-8", "surrogatepass") if isinstance(rest, str) else rest
    with suppress(Malformed):
        load.read(source(start.encode() + tail))
