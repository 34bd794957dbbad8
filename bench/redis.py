"""What the audit of a large Redis costs it. `python -m bench.redis [--keys N]`.

Fills a real server, then asks it all that the caching items ask, and prints the time that this took, the commands that
the server was sent, and the slowest of them as the server itself measured it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.redis_server import RedisConnector
from quub_audit.facts.seal import Redactor
from tests.worlds.redis import RedisServer, redis_server

AT_ONCE = 10_000
SAMPLE = 1000
"""Keys, as `performance.caching.ttl-values` samples them by default."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.redis", description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys of the server (default: 1000000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, redis_server(Path(scratch)) as server:
        fill(server, options.keys)
        server.send(("CONFIG", "SET", "slowlog-log-slower-than", 0), ("CONFIG", "SET", "slowlog-max-len", 100_000))
        server.send(("SLOWLOG", "RESET"), ("CONFIG", "RESETSTAT"))
        for keys in (SAMPLE, 10 * SAMPLE, 100 * SAMPLE):
            print(f"{options.keys:,} keys, sample of {keys:,}: {seconds(server, keys):.2f} s", flush=True)
        print(f"slowest command: {slowest_ms(server):.2f} ms")


def fill(server: RedisServer, keys: int) -> None:
    """Sessions, products and carts, with and without expiry."""
    for first in range(0, keys, AT_ONCE):
        server.send(
            *(
                ("SET", f"{('session', 'product', 'cart')[number % 3]}:{number}", "v", "EX", 300 + number % 60)
                for number in range(first, min(first + AT_ONCE, keys))
            )
        )


def seconds(server: RedisServer, keys: int) -> float:
    """The time for the topology, one parameter and a sample."""
    cache = server.cache()
    asked = RedisConnector((cache,), Ledger(), Redactor())
    begun = time.perf_counter()
    asked.topology(cache)
    asked.config(cache, "port")
    found = asked.sample(cache, keys=keys)
    taken = time.perf_counter() - begun
    print(f"  {found.keys:,} keys in {', '.join(each.shape for each in found.classes)}")
    return taken


def slowest_ms(server: RedisServer) -> float:
    """Of what the audit sent, by the server's own clock."""
    logged = server.send(("SLOWLOG", "GET", 100_000))[0]
    assert isinstance(logged, list)
    return max(float(entry[2]) / 1000 for entry in logged if entry[3][0].upper() not in ("SLOWLOG", "CONFIG"))


if __name__ == "__main__":
    main()
