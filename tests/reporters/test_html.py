from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from quub_audit.model.result import ItemResult, Result
from quub_audit.model.status import Status, Verdict
from quub_audit.reporters.html import FINDINGS_SHOWN, render_html
from quub_audit.reporters.text import clean
from tests.reporters.results import CASES, NASTY, found, hostile, item, large, not_ready, ready, result_of

VOID = {"meta", "link", "input", "rect", "br", "img"}
Attributes = dict[str, str]


class Page(HTMLParser):
    """Every element with its attributes, and every text that is seen; refuses tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes]] = []
        self._texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self._texts.append("" if tag in {"a", "b", "code", "span"} else " ")

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self._texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def all(self, tag: str) -> list[Attributes]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(result: Result) -> Page:
    return Page(render_html(result))


EVERY = {**CASES, "large": large}
every_case = pytest.mark.parametrize("case", sorted(EVERY))


@every_case
def test_the_tags_match_and_ids_are_unique(case: str) -> None:
    ids = [attributes["id"] for _, attributes in page(EVERY[case]()).elements if "id" in attributes]

    assert [name for name, times in Counter(ids).items() if times > 1] == []


@every_case
def test_nothing_is_fetched_and_no_style_or_handler_is_inline(case: str) -> None:
    html = page(EVERY[case]())

    for tag, attributes in html.elements:
        assert tag not in {"img", "iframe", "object", "embed", "video", "audio", "source", "base", "frame"}
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert "src" not in attributes
        if tag == "link":
            assert attributes == {"rel": "icon", "href": "data:,"}
        if tag == "a":
            assert re.match(r"#|https?://", attributes["href"])
    assert len(html.all("script")) == len(html.all("style")) == 1
    assert not re.search(r"url\(|@import", render_html(EVERY[case]()).split("</style>")[0].split("<style>")[1])


def test_the_policy_admits_the_reports_own_style_and_script_by_their_digests_and_nothing_else() -> None:
    html = render_html(not_ready())
    (policy,) = [entry["content"] for entry in Page(html).all("meta") if "http-equiv" in entry]

    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    for tag in ("style", "script"):
        (source,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert directives[f"{tag}-src"] == f"'sha256-{digest}'"


def test_html_in_every_field_is_shown_and_never_obeyed() -> None:
    html = page(hostile())

    assert {tag for tag, _ in html.elements} == {tag for tag, _ in page(not_ready()).elements}
    shown = re.sub(r"\s+", " ", html.text)
    assert re.sub(r"\s+", " ", clean(NASTY)).strip() in shown
    assert "\u202e" not in html.text
    assert "\x1b" not in html.text
    hrefs = [entry["href"] for entry in html.all("a")]
    assert "https://ok.example/?a=1&b=2" in hrefs
    assert not [href for href in hrefs if "javascript" in href and not href.startswith("#")]


def test_the_verdict_comes_first_then_what_blocks_then_the_items() -> None:
    html = render_html(not_ready())

    order = [
        "<h1>Not ready: 3 blocking items failed, and 2 could not be decided</h1>",
        "exit code 1, not ready: at least one blocking item failed",
        ">What blocks this release</h2>",
        ">Notices</h2>",
        ">Since the baseline</h2>",
        ">All items</h2>",
        ">Left out of the checklist</h2>",
        ">This run</h2>",
        ">What the statuses mean</h2>",
    ]
    places = [html.index(text) for text in order]
    assert places == sorted(places)


def test_each_blocking_item_says_why_what_to_do_and_who_can() -> None:
    html = render_html(not_ready())
    section = html.split('id="blocking"')[1].split("</section>")[0]
    blockers = section.split("<li>")[1:]

    assert len(blockers) == len(not_ready().blocking_items) == 5
    for text, entry in zip(blockers, not_ready().blocking_items, strict=True):
        seen = Page(f"<p>{text.replace('</ol>', '').replace('</li>', '')}</p>").text
        assert entry.title in seen
        assert entry.reason.replace("`", "") in seen
        assert f"Next step {entry.next_step.replace('`', '')}" in re.sub(r"\s+", " ", seen)
        assert not entry.owner or f"Who can unblock it {entry.owner}" in re.sub(r"\s+", " ", seen)


def test_everything_about_an_item_is_told() -> None:
    text = re.sub(r"\s+", " ", page(not_ready()).text)

    for told in (
        "legacy.orders.example:443 accepts TLSv1.1 TLSv1.2 or newer live",
        "on attempt 2",
        "1 finding on a retry",
        "certificate ends in 25 days",
        "src/config/secrets.ts:14:9",
        "Serve TLS 1.2 and 1.3 only",
        "RISK-311, until 2026-03-12, requested by maria.lopez, approved by chief.security",
        "waived from fail",
        "RISK-274, until 2026-02-20",
        "waiver expired",
        "Lena Fuchs, Northlight Security, on 2026-01-20, valid until 2026-07-20, reference SEC-882",
        "does not block: the checklist says so",
        "Worse since the baseline",
        "seen at best: live; the checklist asks for control plane",
        "we deploy blue-green",
        "RISK-290: covered nothing; remove it",
        "aws production 123456789012 eu-central-1",
        "sha256:" + "c4" * 32,
        "sha256:" + "e7" * 32,
        "214 questions",
        "4f2a9c1e7b3d5f60718293a4b5c6d7e8f9012345",
        "2026-03-02 09:30:00 UTC",
        "2026-03-02 09:30:41 UTC, after 42 s",
        "quub-audit 1.2.3",
    ):
        assert told in text


def test_every_item_has_its_id_as_anchor_and_blocking_ones_are_open() -> None:
    details = {entry["id"]: "open" in entry for entry in page(not_ready()).all("details")}

    assert list(details) == [entry.id for entry in sorted_by_section(not_ready())]
    assert {item_id for item_id, is_open in details.items() if is_open} == {
        entry.id for entry in not_ready().blocking_items
    }


def sorted_by_section(result: Result) -> list[ItemResult]:
    sections = list(dict.fromkeys(entry.section for entry in result.items))
    groups = list(dict.fromkeys((entry.section, entry.group) for entry in result.items))
    return sorted(
        result.items, key=lambda entry: (sections.index(entry.section), groups.index((entry.section, entry.group)))
    )


def test_findings_of_one_item_are_cut_with_exact_counts() -> None:
    many = [found("fail", f"bucket-{number:05}", "public") for number in range(4_000)]
    many += [found("pass", f"fine-{number:05}", "private") for number in range(6_000)]

    html = render_html(result_of([item("a.b.c", "Buckets", Status.FAIL, many)], Verdict.NOT_READY, "x"))

    assert html.count('<th scope="row">') == FINDINGS_SHOWN
    assert "Findings: 4,000 fail, 6,000 pass" in html
    assert "9,950 more findings (3,950 fail, 6,000 pass) in result.json" in html


def test_ten_thousand_findings_make_at_most_5_mb() -> None:
    assert len(render_html(large()).encode()) < 5_000_000


def test_a_text_of_a_megabyte_is_cut() -> None:
    endless = "A" * 1_000_000
    many = [found("fail", f"{number} {endless}", endless, endless, message=endless) for number in range(9)]

    html = render_html(result_of([item("a.b.c", "Buckets", Status.FAIL, many)], Verdict.NOT_READY, "x"))

    assert len(html) < 200_000


def test_a_table_has_headers_and_a_caption_and_every_control_a_label() -> None:
    html = page(not_ready())

    assert {entry["scope"] for entry in html.all("th")} == {"col", "row"}
    assert len(html.all("caption")) == len(html.all("table"))
    labels = {entry["for"] for entry in html.all("label")}
    assert labels == {entry["id"] for entry in [*html.all("input"), *html.all("select")]}
    assert html.all("html") == [{"lang": "en"}]
    assert len(html.all("main")) == len(html.all("header")) == len(html.all("h1")) == 1


def test_a_ready_run_says_go_and_lists_nothing_as_blocking() -> None:
    text = page(ready()).text

    assert "What blocks this release" not in text
    assert "Go: 1 item not settled, and none of them blocks this release." in text


def test_what_stands_between_backticks_is_code() -> None:
    assert "declare <code>apm:</code> or <code>aws:</code> in environments.yaml" in render_html(not_ready())


def test_an_error_without_observation_says_its_message_in_place_of_it() -> None:
    assert '<td colspan="2">production (123456789012): iam.GenerateCredentialReport was denied' in render_html(
        not_ready()
    )


def test_a_refused_run_says_why_and_shows_no_empty_parts() -> None:
    html = page(CASES["refused"]())

    assert "the credentials belong to account 210987654321" in html.text
    assert "No item was audited." in html.text
    assert html.all("details") == html.all("svg") == html.all("form") == []


def test_an_advisory_run_tells_its_verdict_and_why_the_exit_code_is_0() -> None:
    text = page(CASES["advisory"]()).text

    assert "Not ready: 3 blocking items failed" in text
    assert "exit code 0, advisory run: the verdict stops nothing" in text
    assert "would block" in text
