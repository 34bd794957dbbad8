"""The demo's world until stdin ends: `python -m bench.world FOLDER`. It prints where everything is, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

from quub_audit.demo.world import demo_world


def main() -> None:
    # Without servers beside it: a cache is looked at twice, with a pause between, which would be what is measured.
    with demo_world(Path(sys.argv[1]), healthy=False, search="") as world:
        declared = yaml.safe_load(world.environments_file.read_text(encoding="utf-8"))
        told = {
            "environments": str(world.environments_file),
            "environ": dict(world.environ),
            "address": declared["environments"][world.environment]["aws"][0]["endpoint_url"],
        }
        print(json.dumps(told), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
