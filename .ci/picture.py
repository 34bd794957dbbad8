"""Takes docs/images/report.png, the head of the demo's HTML report: `python .ci/picture.py`. Needs Chromium."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "report.png"
WIDTH, HEIGHT = 1100, 1000
"""CSS pixels: the verdict, and the first of what blocks."""


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        demo = [str(Path(sys.executable).with_name("quub-audit")), "demo", "--format", "html", "--out", scratch, "-qq"]
        subprocess.run(demo, check=False, timeout=300)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.goto((Path(scratch) / "report.html").as_uri())
            PICTURE.parent.mkdir(exist_ok=True)
            page.screenshot(path=PICTURE)
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
