"""The reader of JTL beside the bare library that reads the same columns: `python -m bench.load [--mb 1000]`.

Writes the file into a temporary folder. Each reader runs in a process of its own, in turns; MB are a million bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = ["timeStamp", "elapsed", "responseCode", "responseMessage", "success", "URL"]
HEADER = (
    "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,failureMessage,bytes,sentBytes,"
    "grpThreads,allThreads,URL,Latency,IdleTime,Connect\n"
)
READERS = ("bare", "reader", "bare-csv", "plain", "k6")


def write_jtl(path: Path, megabytes: int) -> None:
    """Samples 3 ms apart as JMeter writes them, with one error in 200."""
    chance = random.Random(1)
    rows = []
    for number in range(20_000):
        elapsed = int(chance.lognormvariate(4.5, 0.6))
        code, word, ok, why = ("200", "OK", "true", "")
        if chance.random() < 0.005:
            code, word, ok, why = "500", "Server Error", "false", '"Test failed: code expected, ""200"""'
        rows.append(
            f"{elapsed},GET /orders,{code},{word},orders 1-{number % 50},text,{ok},{why},512,128,50,50,"
            f"http://127.0.0.1:8080/orders/{number},{elapsed - 1},0,1\n"
        )
    at, written = 1_795_000_000_000, 0
    with path.open("w", newline="") as file:
        file.write(HEADER)
        while written < megabytes * 1_000_000:
            written += file.write("".join(f"{at + 3 * number},{row}" for number, row in enumerate(rows)))
            at += 3 * len(rows)


def write_k6(path: Path, megabytes: int) -> None:
    """k6's stream: four of the metrics of a request, one request 3 ms."""
    tags = {"expected_response": "true", "method": "GET", "name": "http://127.0.0.1:8080/orders", "status": "200"}
    written, number = 0, 0
    with path.open("w") as file:
        while written < megabytes * 1_000_000:
            at = 1_795_000_000 + number * 0.003
            time_of = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{number * 3 % 1000:03d}000000Z"
            for metric, value in (
                ("http_reqs", 1),
                ("http_req_duration", 5.5 + number % 90),
                ("http_req_failed", 0),
                ("http_req_blocked", 0.01),
                ("http_req_connecting", 0),
                ("http_req_sending", 0.02),
                ("http_req_waiting", 5.1),
                ("http_req_receiving", 0.2),
            ):
                data = {"time": time_of, "value": value, "tags": tags}
                written += file.write(
                    json.dumps({"metric": metric, "type": "Point", "data": data}, separators=(",", ":")) + "\n"
                )
            number += 1


def bare(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    pa.set_cpu_count(1)
    options = pa_csv.ConvertOptions(
        include_columns=COLUMNS, column_types={name: pa.string() for name in COLUMNS[2:]}, strings_can_be_null=False
    )
    with path.open("rb") as stream:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(block_size=8 << 20, use_threads=False),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=options,
        )
        return sum(int(batch.num_rows) for batch in reader)


def bare_csv(path: Path) -> int:
    import csv

    with path.open(newline="") as stream:
        return sum(1 for _ in csv.reader(stream)) - 1


def reader(path: Path, *, is_quick: bool = True) -> int:
    from quub_audit.parsers import load
    from quub_audit.parsers.source import HEAD_BYTES, Source

    if not is_quick:
        sys.modules["quub_audit.parsers.load.jmeter_arrow"] = None  # type: ignore[assignment]
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    (run,) = load.read(Source(name=path.name, open=lambda: path.open("rb"), head=head))
    return run.requests


def measure(name: str, path: Path) -> None:
    """In this process: samples, seconds of CPU, and the peak of memory in MiB, as JSON."""
    began = time.process_time()
    if name in ("bare", "bare-csv"):
        samples = (bare if name == "bare" else bare_csv)(path)
    else:
        samples = reader(path, is_quick=name != "plain")
    taken = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([samples, taken, peak]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--mb", type=int, default=1000, help="size of the file (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of which the median counts (default: 3)")
    parser.add_argument("--measure", nargs=2, metavar=("READER", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure[0], Path(options.measure[1]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        files = {"jtl": Path(folder) / "run.jtl", "k6": Path(folder) / "run.json"}
        write_jtl(files["jtl"], options.mb)
        write_k6(files["k6"], options.mb)
        found: dict[str, list[list[float]]] = {name: [] for name in READERS}
        for _ in range(options.rounds):
            for name in READERS:
                file = files["k6" if name == "k6" else "jtl"]
                command = (sys.executable, "-m", "bench.load", "--measure", name, str(file))
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[name].append([*json.loads(done.stdout), file.stat().st_size / 1e6])
    for name, rounds in found.items():
        samples, peak, size = rounds[0][0], max(each[2] for each in rounds), rounds[0][3]
        speed = size / statistics.median(each[1] for each in rounds)
        print(f"{name:9} {speed:4.0f} MB/s of CPU time, peak {peak:.0f} MiB, {samples:,.0f} samples in {size:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
