"""The HTML report in a real browser: no request, no message, filters, both appearances, both widths, accessibility."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from quub_audit.model.result import Result
from quub_audit.reporters import write
from tests.reporters.results import CASES, hostile, large, not_ready

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

JENKINS = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"
"""What Jenkins sends with archived files; a frame may not run scripts, and no style is inline."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page, what it asked the network for, and what it said on the console."""

    page: Page
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def open_report(browser: Browser, folder: Path, result: Result, *, width: int = 1280, scheme: str = "light") -> Opened:
    write(result, ["html"], folder)
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    opened = Opened(page)
    page.on("request", lambda request: opened.requests.append(request.url))
    page.on("console", lambda message: opened.said.append(message.text))
    page.on("pageerror", lambda error: opened.said.append(str(error)))
    page.goto((folder / "report.html").as_uri())
    return opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("case", ["not-ready", "ready", "refused", "soak", "hostile"])
def test_nothing_is_asked_of_the_network_nothing_is_said_and_nothing_is_wider_than_the_window(
    browser: Browser, tmp_path: Path, case: str, width: int, scheme: str
) -> None:
    opened = open_report(browser, tmp_path, CASES[case](), width=width, scheme=scheme)
    page = opened.page

    assert opened.requests == [(tmp_path / "report.html").as_uri()]
    assert opened.said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 23, 27)" if scheme == "dark" else "rgb(251, 250, 248)")
    page.close()


@pytest.mark.parametrize(
    ("case", "width", "scheme"),
    [
        ("not-ready", 1280, "light"),
        ("not-ready", 400, "dark"),
        ("ready", 1280, "dark"),
        ("inconclusive", 400, "light"),
        ("refused", 1280, "light"),
        ("soak", 1280, "light"),
        ("soak", 400, "dark"),
    ],
)
def test_axe_finds_no_barrier(browser: Browser, tmp_path: Path, case: str, width: int, scheme: str) -> None:
    page = open_report(browser, tmp_path, CASES[case](), width=width, scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach((item) => (item.open = true))")

    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")

    barriers = [(entry["id"], [node["target"] for node in entry["nodes"]]) for entry in found["violations"]]
    assert barriers == []
    assert len(found["passes"]) > 20
    page.close()


@pytest.mark.parametrize("width", [1280, 400])
def test_a_chart_is_as_wide_as_its_row_and_is_told_in_words(browser: Browser, tmp_path: Path, width: int) -> None:
    page = open_report(browser, tmp_path, CASES["soak"](), width=width).page
    curve = page.get_by_role("img", name="95th percentile by half hour: 210 ms at first")

    box = curve.bounding_box()

    assert box is not None
    assert box["height"] == 160
    assert box["width"] > 0.8 * width - 300
    assert page.get_by_text("trend from 240 to 558.5 ms").is_visible()
    page.close()


def shown(page: Page) -> list[str]:
    ids: list[str] = page.eval_on_selector_all(
        "details.item", "all => all.filter(x => x.checkVisibility()).map(x => x.id)"
    )
    return ids


def test_filters_narrow_the_items_and_say_how_many_are_left(browser: Browser, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path, not_ready()).page
    status = page.get_by_role("status")

    assert len(shown(page)) == 11
    page.get_by_label("Status", exact=True).select_option("fail")
    assert len(shown(page)) == 4
    assert status.text_content() == "4 of 11 items"
    page.get_by_label("Severity", exact=True).select_option("critical")
    assert shown(page) == ["security.api-keys.stored-in-secret-manager", "security.network.tls-minimum-version"]
    page.get_by_label("Search", exact=True).fill("LEGACY tlsv1.1")
    assert shown(page) == ["security.network.tls-minimum-version"]
    assert page.get_by_role("heading", name="Testing").count() == 0
    page.get_by_label("Search", exact=True).fill("nothing has this")
    assert status.text_content() == "0 of 11 items"
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("status")).to_have_text("11 of 11 items")
    page.get_by_label("Section", exact=True).select_option(label="Testing")
    assert shown(page) == ["testing.security.penetration-test"]
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("status")).to_have_text("11 of 11 items")
    page.get_by_label("Status", exact=True).select_option("blocks")
    assert len(shown(page)) == len(not_ready().blocking_items)
    page.close()


def test_all_items_open_and_close(browser: Browser, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path, not_ready()).page
    opened = "document.querySelectorAll('details[open]').length"

    page.get_by_role("button", name="Open all").click()
    assert page.evaluate(opened) == 11
    page.get_by_role("button", name="Close all").click()
    assert page.evaluate(opened) == 0
    page.close()


def test_the_address_of_an_item_opens_it(browser: Browser, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path, not_ready()).page

    page.goto(page.url + "#testing.security.penetration-test")

    expect(page.locator("[id='testing.security.penetration-test']")).to_have_attribute("open", "")
    page.close()


def test_the_keyboard_reaches_the_items_and_the_focus_is_seen(browser: Browser, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path, CASES["ready"]()).page

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to all items"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "all-items"
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('details').open")
    page.close()


def test_print_shows_every_item_and_no_controls(browser: Browser, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path, not_ready()).page
    page.emulate_media(media="print")

    assert not page.locator(".filters").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details[open]").count() == 11
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == len(not_ready().blocking_items)
    assert page.pdf().startswith(b"%PDF")
    page.close()


def test_it_reads_in_order_where_styles_and_scripts_are_forbidden(browser: Browser, tmp_path: Path) -> None:
    (file,) = write(not_ready(), ["html"], tmp_path)
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.route(
        "**/*",
        lambda route: route.fulfill(
            body=file.read_text(encoding="utf-8"),
            headers={"content-type": "text/html; charset=utf-8", "content-security-policy": JENKINS},
        ),
    )

    page.goto("http://jenkins.invalid/artifact/report.html")

    tops = page.eval_on_selector_all("h1, h2", "all => all.map(x => [x.textContent, x.getBoundingClientRect().top])")
    assert [top for _, top in tops] == sorted(top for _, top in tops)
    assert [text for text, _ in tops][:3] == [
        not_ready().headline,
        "11 items in all, with 3 warnings",
        "What blocks this release",
    ]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    assert not page.locator(".filters").is_visible()
    page.locator("summary", has_text="HTTPS enforced").click()
    assert page.get_by_text("port 80 refuses the connection").is_visible()
    page.close()


def test_hostile_text_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    opened = open_report(browser, tmp_path, hostile())
    dialogs: list[str] = []
    opened.page.on("dialog", lambda dialog: dialogs.append(dialog.message))

    opened.page.get_by_role("button", name="Open all").click()

    assert dialogs == []
    assert opened.said == []
    opened.page.close()


def test_ten_thousand_findings_open_and_filter(browser: Browser, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path, large()).page

    page.get_by_label("Search", exact=True).fill("bucket-007-00003")

    expect(page.get_by_role("status")).to_have_text("1 of 92 items")
    page.close()
