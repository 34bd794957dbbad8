"""JMeter: result files (JTL) as CSV and as XML, and `statistics.json` of the dashboard.

Source: https://jmeter.apache.org/usermanual/listeners.html and `CSVSaveService`. Samples of transaction controllers
repeat those below them, and are left out. Threads wait for answers, so it is a closed model.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from quub_audit.errors import Malformed
from quub_audit.facts.artifacts import LoadRun, Origin
from quub_audit.parsers.load.series import Series, status_of
from quub_audit.parsers.source import (
    MAX_DEPTH,
    Format,
    Source,
    count,
    lines_of,
    local_name,
    mapping,
    number,
)

DEFAULT_COLUMNS = [
    *("timeStamp", "elapsed", "label", "responseCode", "responseMessage", "threadName", "dataType", "success"),
    *("failureMessage", "bytes", "sentBytes", "grpThreads", "allThreads", "URL", "Latency", "IdleTime", "Connect"),
]
"""Of a file without a header, as JMeter is set by default."""

NEEDED = ("timeStamp", "elapsed", "success")
READ = (*NEEDED, "responseCode", "responseMessage", "URL")

TRANSACTION = "Number of samples in transaction"
"""What the message of a transaction controller's sample begins with."""

URL_OF_HOST = re.compile(r"^(https?://[^/?#]*).*$", re.DOTALL)
MAX_COUNTS = 100_000
"""Of different rows in a block of the plain reader."""

_ROW_WITHOUT_HEADER = re.compile(r"\d{13},\d+,[^\n]*,(?:true|false),")
_STATISTICS = re.compile(r'\{\s*"[^"]*"\s*:\s*\{\s*"transaction"\s*:')


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a CSV file looks like."""

    columns: tuple[str, ...]
    delimiter: str
    has_header: bool


@dataclass(slots=True)
class Block:
    """Rows of a file, counted where they are equal but for their milliseconds."""

    seconds: set[int] = field(default_factory=set)
    first_ms: int = 1 << 62
    last_ms: int = 0
    counts: dict[tuple[int, int, str, str, str], int] = field(default_factory=dict)
    """By second (of the slice's beginning), elapsed, success, code and the beginning of the URL."""

    def add(self, time: int, elapsed: int, success: str, code: str, url: str) -> None:
        """Count one row."""
        self.seconds.add(time // 1000)
        self.first_ms = min(self.first_ms, time)
        self.last_ms = max(self.last_ms, time + elapsed)
        key = (time // 10_000 * 10, elapsed, success, code, url)
        self.counts[key] = self.counts.get(key, 0) + 1


def _is_csv(source: Source) -> bool:
    first = io.StringIO(source.beginning).readline()
    return _delimiter(first) is not None or bool(_ROW_WITHOUT_HEADER.match(first))


def _delimiter(header: str) -> str | None:
    names = re.split(r"[,;\t|]", header.strip())
    if not all(name in names for name in NEEDED):
        return None
    return header[len(names[0])]


def _read_csv(source: Source) -> tuple[LoadRun, ...]:
    first = io.StringIO(source.beginning).readline()
    found = _delimiter(first)
    delimiter = found or ","
    columns = first.strip().split(delimiter) if found else DEFAULT_COLUMNS
    table = Table(columns=tuple(columns), delimiter=delimiter, has_header=found is not None)
    series = _quick(source, table) or _collect(_blocks(source, table), source)
    origin = Origin(file=source.name, tool="JMeter")
    return (series.run(origin, is_open_model=False, has_statuses="responseCode" in columns),)


def _quick(source: Source, table: Table) -> Series | None:
    """By PyArrow where it is installed; None where it is not, or where anything is out of the ordinary."""
    try:
        from quub_audit.parsers.load.jmeter_arrow import blocks
    except ImportError:
        return None
    try:
        with source.open() as stream:
            return _collect(blocks(stream, table), source)
    except (ValueError, Malformed):
        # PyArrow's errors are ValueErrors. The plain reader says better what is wrong, and where.
        return None


def _collect(blocks: Iterable[Block], source: Source) -> Series:
    series = Series(source)
    for block in blocks:
        series.cover(block.seconds, block.first_ms, block.last_ms)
        for (second, elapsed, success, code, url), times in block.counts.items():
            series.count(second, elapsed, requests=times, errors=times if _failed(success, source) else 0)
            series.statuses[status_of(code)] += times
            series.sent_to(url)
    return series


def _failed(success: str, source: Source, where: str = "") -> bool:
    if success not in ("true", "false"):
        raise source.malformed(f"success{where} is {success[:40]!r}, expected true or false")
    return success == "false"


def _blocks(source: Source, table: Table) -> Iterator[Block]:
    """The rows by the csv module, which is some five times as slow as PyArrow, and says where it stops."""
    places = [table.columns.index(name) if name in table.columns else -1 for name in READ]
    time_at, elapsed_at, success_at, code_at, message_at, url_at = places
    width, block = len(table.columns), Block()
    with source.open() as stream:
        lines = (line.decode("utf-8-sig", "replace") + "\n" for line in lines_of(stream, source))
        reader = csv.reader(lines, delimiter=table.delimiter, strict=True)
        try:
            if table.has_header:
                next(reader)
            for cells in reader:
                if len(cells) != width:
                    if not cells:
                        continue
                    raise source.malformed(f"line {reader.line_num} has {len(cells)} cells, expected {width}")
                if message_at >= 0 and cells[message_at].startswith(TRANSACTION):
                    continue
                try:
                    time, elapsed = int(cells[time_at]), int(cells[elapsed_at])
                except ValueError:
                    raise source.malformed(
                        f"timeStamp and elapsed of line {reader.line_num} are {cells[time_at][:40]!r} and "
                        f"{cells[elapsed_at][:40]!r}, expected milliseconds",
                        "set jmeter.save.saveservice.timestamp_format=ms",
                    ) from None
                success = cells[success_at]
                if success != "true":
                    _failed(success, source, f" of line {reader.line_num}")
                code = cells[code_at] if code_at >= 0 else ""
                url = URL_OF_HOST.sub(r"\1", cells[url_at]) if url_at >= 0 else ""
                block.add(time, elapsed, success, code, url)
                if len(block.counts) > MAX_COUNTS:
                    yield block
                    block = Block()
        except csv.Error as error:
            raise source.malformed(f"line {reader.line_num} is no CSV: {error}") from error
    if block.counts:
        yield block


def _read_xml(source: Source) -> tuple[LoadRun, ...]:
    return (_collect(_blocks_of(source), source).run(Origin(file=source.name, tool="JMeter"), is_open_model=False),)


def _blocks_of(source: Source) -> Iterator[Block]:
    for sample in _top_samples(source):
        below = [each for each in sample if local_name(each) in ("httpSample", "sample")]
        # A transaction controller's own sample repeats its parts; redirects and embedded files repeat their page.
        for each in below if local_name(sample) == "sample" and below else [sample]:
            if each.get("rm", "").startswith(TRANSACTION):
                continue
            url = next((part.text or "" for part in each if local_name(part) == "java.net.URL"), "")
            time, elapsed = (count(each.get(key), source, f"{key} of a sample") for key in ("ts", "t"))
            block = Block()
            block.add(time, elapsed, each.get("s", ""), each.get("rc", ""), url)
            yield block


def _top_samples(source: Source) -> Iterator[Element]:
    """The samples right below the root, as a stream."""
    depth, root = 0, None
    try:
        with source.open() as stream:
            for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
                if event == "start":
                    root = element if root is None else root
                    depth += 1
                    if depth > MAX_DEPTH:
                        raise source.malformed(f"it has more than {MAX_DEPTH} elements inside one another")
                    continue
                depth -= 1
                if depth == 1 and root is not None:
                    if local_name(element) in ("httpSample", "sample"):
                        yield element
                    root.clear()
    except (ParseError, ValueError, LookupError) as error:
        why = "it declares entities, which no report needs" if isinstance(error, DefusedXmlException) else str(error)
        raise source.malformed(f"it is no XML: {why}") from error


def _read_statistics(source: Source) -> tuple[LoadRun, ...]:
    report = mapping(source.json(), source, "the report")
    total = mapping(report.get("Total"), source, "Total")
    requests = count(total.get("sampleCount"), source, "Total.sampleCount")
    rate = number(total.get("throughput"), source, "Total.throughput")
    run = LoadRun(
        origin=Origin(file=source.name, tool="JMeter"),
        requests=requests,
        errors=count(total.get("errorCount"), source, "Total.errorCount"),
        duration_s=requests / rate if rate > 0 else 0.0,
        p50_ms=_time(total, "medianResTime", source),
        # Which percentiles these are can be configured; by default 90, 95 and 99.
        p95_ms=_time(total, "pct2ResTime", source),
        p99_ms=_time(total, "pct3ResTime", source),
        is_open_model=False,
    )
    return (run,)


def _time(total: Mapping[str, object], key: str, source: Source) -> float | None:
    return number(total[key], source, f"Total.{key}") if total.get(key) is not None else None


JMETER_CSV = Format(name="JMeter's JTL as CSV", recognises=_is_csv, read=_read_csv)
JMETER_XML = Format(
    name="JMeter's JTL as XML", recognises=lambda source: source.xml_root == "testResults", read=_read_xml
)
JMETER_STATISTICS = Format(
    name="JMeter's statistics.json",
    recognises=lambda source: bool(_STATISTICS.match(source.beginning)) and '"pct2ResTime"' in source.beginning,
    read=_read_statistics,
)
