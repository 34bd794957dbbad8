"""How well personal data and secrets in logs are told, and how fast. `python -m bench.pii`.

Precision and recall for each kind on `tests/data/pii/corpus.jsonl`, by line, then the mistakes, then lines a second in
one thread.
"""

from __future__ import annotations

import time

from quub_audit.connectors.log_detector import find_hits
from tests.connectors.logs.corpus import lines, score

ROUNDS = 20
"""Times that the corpus is read for the speed."""


def main() -> None:
    scores = score()
    harmless = sum(not line.kinds for line in lines())
    print(f"{len(lines())} lines, {harmless} of them harmless")
    print(f"{'kind':16} {'lines':>5} {'precision':>9} {'recall':>7}")
    for kind, each in sorted(scores.by_kind.items()):
        print(f"{kind:16} {each.right + each.missed:5} {each.precision:9.3f} {each.recall:7.3f}")
    overall = scores.overall
    print(f"{'overall':16} {overall.right + overall.missed:5} {overall.precision:9.3f} {overall.recall:7.3f}")
    for mistake in scores.mistakes:
        print(mistake)
    print(f"{speed():,.0f} lines a second")


def speed() -> float:
    """Lines a second, of the corpus's lengths."""
    texts = [line.text for line in lines()] * ROUNDS
    begun = time.perf_counter()
    for text in texts:
        find_hits(text)
    return len(texts) / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
