"""How long a search of code takes beside ast-grep's own command. `python -m bench.code [--files N] [--rounds N]`.

Builds a repository of services in TypeScript, JavaScript, Python, Go and Java, some 3 KB a file, and searches it for
what checks ask: by a connector of a run, listing and reading included, and by `ast-grep scan` with the same rules,
which writes its matches nowhere. In turns; ends with 1 when ours takes more than twice as long.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import yaml

from bench.timing import Comparison, medians
from quub_audit.checks.performance.api_client._calls import CONSTANTS, SETTINGS, TYPED, import_patterns
from quub_audit.checks.performance.caching import _writes
from quub_audit.checks.security.authentication import jwt_lifetime, refresh_token_rotation
from quub_audit.checks.security.data_protection import pii_masked_in_logs
from quub_audit.checks.security.network import certificate_pinning
from quub_audit.connectors.base import Ledger
from quub_audit.connectors.git import plain_environ
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.connectors.repository_grep import find_program
from quub_audit.facts.code import Pattern, Search
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Repository

LIMIT = 2.0

CLIENTS = (
    *import_patterns(r"""["'](axios|got|undici)["'/]|^(from|import)\s+requests\b"""),
    *CONSTANTS,
    *TYPED,
    *SETTINGS,
)
PINS = certificate_pinning.PATTERNS
EVERYTHING = (
    *(*CLIENTS, *PINS, *_writes.PATTERNS, *pii_masked_in_logs.PATTERNS, *jwt_lifetime.PATTERNS),
    *refresh_token_rotation.PATTERNS,
)
"""As when the items that read code ask at about the same time."""

WORDS = (
    *("order", "price", "client", "account", "invoice", "customer", "payment", "shipping", "session", "product"),
    *("review", "address", "tenant", "ledger", "refund", "basket", "coupon", "stock", "vendor", "report"),
    *("region", "audit", "event", "queue", "worker", "batch", "cursor", "page", "filter", "sorter"),
)

# In the templates `@1` is a word, `^1` the same with a capital, `#` a number.
TYPESCRIPT = (
    """import { ^1Service } from './@1.service';
import type { ^2 } from '../model/@2';
RARE:import axios from 'axios';
RARE:const http = axios.create({ baseURL: process.env.BASE_URL, timeout: 5000 });
const logger = createLogger('@3-#');

export interface ^4Options { readonly @5Limit: number; readonly @6Id?: string; }

/** Keeps the @7 of one @8, and tells who asks. */
export class ^8^9 {
  private readonly known = new Map<string, ^2>();

  constructor(private readonly source: ^1Service, private readonly options: ^4Options) {}
""",
    """
  async @1^2#(@3Id: string, limit = #): Promise<^2[]> {
    const @4s = await this.source.find^5s({ @3Id, limit, order: '@6' });
    if (!@4s.length) {
      logger.warn('no @4 for @3', { @3Id });
      return [];
    }
    const found = @4s
      .filter((each) => each.@7 !== undefined && each.@8 > #)
      .map((each) => ({ ...each, total: # * each.count }));
    for (const each of found) {
      this.known.set(`${each.id}:${@3Id}`, each);
    }
RARE:    await http.get(`/@7/${@3Id}`);
    return found;
  }
""",
    "}\n",
)
JAVASCRIPT = (
    "'use strict';\nRARE:const axios = require('axios');\nconst @1Store = require('./@1-store');\n",
    """
function @1^2#(@3, options = {}) {
  const { @4 = #, @5Name } = options;
  try {
    return @1Store.@6(@3.id, { @4, label: `${@5Name} of @7`, retries: # });
  } catch (error) {
    console.error('@7 failed', error);
    throw new Error('cannot @8 ' + @3.id);
  }
}
module.exports.@1^2# = @1^2#;
""",
    "",
)
PYTHON = (
    '''"""The @1 of a @2."""

from __future__ import annotations

import logging
from dataclasses import dataclass
RARE:import requests

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ^3^4:
    """Tells of each @5 what it holds."""

    @5_id: str
    @6: int = #
''',
    '''
    def @1_@2_#(self, @3: str, limit: int = #) -> list[str]:
        """Those of @3 that are in @4."""
        found = [each for each in self.@5s(@3) if each.@6 is not None and each.total > limit]
        if not found:
            logger.info("no %s for %s", "@4", @3)
            return []
RARE:        requests.get(f"https://api.example.com/{@3}", timeout=5)
        return [f"{each.id}:{each.@7}" for each in found][:limit]
''',
    "",
)
GO = (
    """package @1

import (
	"context"
	"fmt"
RARE:	"net/http"
)

type ^2^3 struct {
	name  string
	limit int
	items map[string]int
}
""",
    """
// ^1^2# adds up what @3 holds.
func (s *^4) ^1^2#(ctx context.Context, @3 string) (int, error) {
	if @3 == "" {
		return 0, fmt.Errorf("no @5 for %q", @3)
	}
	total := #
	for name, count := range s.items {
		if name != @3 && count > s.limit {
			total += count
		}
	}
RARE:	_, _ = (&http.Client{Timeout: 5 * time.Second}).Get("https://api.example.com/" + @3)
	return total, nil
}
""",
    "",
)
JAVA = (
    """package com.example.@1;

import java.util.List;
import java.util.Map;

/** The @2 of one @3. */
public class ^3^4 {
    private final Map<String, ^5> known;

    public ^3^4(Map<String, ^5> given) {
        this.known = given;
    }
""",
    """
    public List<^5> @1^2#(String @3, int limit) {
        if (@3 == null || @3.isEmpty()) {
            throw new IllegalArgumentException("no @4 for " + @3);
        }
        return known.values().stream().filter(each -> each.get^5() > limit).map(each -> each.with^6("@7")).toList();
    }
""",
    "}\n",
)
KINDS = {
    "ts": (TYPESCRIPT, 35),
    "tsx": (TYPESCRIPT, 10),
    "js": (JAVASCRIPT, 15),
    "py": (PYTHON, 20),
    "go": (GO, 10),
    "java": (JAVA, 10),
}
"""Templates and their share of the files in percent."""

RARE_PERCENT = 5
"""Of the files that send requests."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.code", description=__doc__)
    parser.add_argument("--files", type=int, default=20_000, help="files of the repository (default: 20000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of which the median counts (default: 3)")
    options = parser.parse_args()
    questions = {"clients of APIs": CLIENTS, "certificate pins": PINS, "six items at once": EVERYTHING}
    with tempfile.TemporaryDirectory(prefix="quub-audit-bench-") as made:
        repository = build(Path(made) / "repository", options.files)
        held = True
        for name, patterns in questions.items():
            rules = Path(made) / "rules.yml"
            rules.write_text("\n---\n".join(documents(patterns)), encoding="utf-8")
            taken = medians(
                {"ours": partial(audit, repository, patterns), "own": partial(scan, repository, rules)},
                rounds=options.rounds,
            )
            found = audit(repository, patterns)
            compared = Comparison(
                name=f"{name}: {len(patterns)} rules, {len(found.matches)} matches",
                seconds=taken["ours"],
                against="ast-grep scan",
                against_seconds=taken["own"],
                limit=LIMIT,
            )
            print(compared, flush=True)
            held = held and compared.holds
    return 0 if held else 1


def build(checkout: Path, files: int) -> Path:
    """A repository of `files` files with one commit."""
    chance = random.Random(1)
    size = 0
    for number in range(files):
        kind = chance.choices(list(KINDS), [share for _, share in KINDS.values()])[0]
        folder = checkout / "services" / WORDS[number % 7] / "src" / f"part{number % 211}"
        folder.mkdir(parents=True, exist_ok=True)
        text = source(chance, *KINDS[kind][0])
        size += len(text)
        (folder / f"{chance.choice(WORDS)}{number}.{kind}").write_text(text, encoding="utf-8")
    print(f"{files} files, {size / 1e6:.0f} MB")
    who = ["-c", "user.name=A Developer", "-c", "user.email=dev@orders.invalid"]
    for command in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "--message", "Begin"]):
        subprocess.run(["git", *command], cwd=checkout, env=plain_environ(), check=True, capture_output=True)
    return checkout


def source(chance: random.Random, head: str, part: str, foot: str) -> str:
    """One file, with 2 to 9 functions."""
    is_rare = chance.randrange(100) < RARE_PERCENT
    parts = (filled(chance, part) for _ in range(chance.randint(2, 9)))
    text = filled(chance, head) + "".join(parts) + foot
    return re.sub(r"(?m)^RARE:(.*\n)", r"\1" if is_rare else "", text)


def filled(chance: random.Random, template: str) -> str:
    """The template with words and numbers."""
    words = chance.choices(WORDS, k=10)
    named = re.sub(r"([@^])(\d)", lambda at: words[int(at[2])].title() if at[1] == "^" else words[int(at[2])], template)
    return re.sub("#", lambda _: str(chance.randint(1, 500)), named)


def documents(patterns: tuple[Pattern, ...]) -> list[str]:
    """The patterns as rules in a file of ast-grep's."""
    return [
        json.dumps({"id": f"r{number}-{language}", "language": language, "rule": yaml.safe_load(pattern.rule)})
        for number, pattern in enumerate(patterns)
        for language in pattern.languages
    ]


def audit(repository: Path, patterns: tuple[Pattern, ...]) -> Search:
    """What a check gets, from a connector of its own."""
    connector = RepositoryConnector(Ledger(), Sealer(b"bench", Redactor()))
    try:
        return connector.search(Repository(name="bench", path=str(repository)), patterns=patterns)
    finally:
        connector.close()


def scan(repository: Path, rules: Path) -> None:
    """What a user would type."""
    command = [find_program(), "scan", "--rule", str(rules), "--json=stream"]
    subprocess.run(command, cwd=repository, env=plain_environ(), check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
