"""Rendered by cmark-gfm, the parser that GitHub uses."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.model.result import ItemResult, Notice
from quub_audit.model.status import Status, Verdict
from quub_audit.reporters import markdown
from quub_audit.reporters.markdown import code, prose, render_markdown
from tests.reporters.results import CASES, NASTY, found, hostile, item, large, not_ready, ready, result_of


def to_html(text: str) -> str:
    html: str = cmarkgfm.github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE)
    return html


class Reader(HTMLParser):
    """Tags, and the texts outside of code and inside."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside = ""
        self.inside = ""
        self._depth = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._depth += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == "code"

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.inside += data
        else:
            self.outside += data


ANY = st.text(st.characters(exclude_categories=()), max_size=40)
PUNCTUATION = st.text(st.sampled_from("`*_[]()<>&|\\~$#@!:/.- \n\tawx1w"), max_size=40)
LINKED = re.compile(r"@[a-z0-9]|https?://\w|www\.\w|(?<!\w)[#!]\d|GH-\d", re.IGNORECASE)


@given(ANY | PUNCTUATION, st.sampled_from(["text {}", "- **{}**: x", "| a | {} |\n| --- | --- |\n| {} | x |"]))
def test_no_foreign_text_becomes_markup(text: str, frame: str) -> None:
    plain = Reader(to_html(frame.replace("{}", "x"))).tags

    tags = Reader(to_html(frame.replace("{}", prose(text) or "x"))).tags

    assert [tag for tag in tags if tag != "code"] == plain or [tag for tag in plain if tag != "strong"] == [
        tag for tag in tags if tag != "code"
    ]


@given(ANY | PUNCTUATION)
def test_no_foreign_text_is_a_mention_a_reference_or_a_link_outside_of_code(text: str) -> None:
    reader = Reader(to_html(f"text {prose(text)} and {code(text)}"))

    assert not LINKED.search(reader.outside)
    assert not {"a", "img"} & set(reader.tags)


@given(st.text(st.sampled_from("abc *_<>&[]$~#."), min_size=1, max_size=30))
def test_a_reader_sees_the_text_as_it_is(text: str) -> None:
    reader = Reader(to_html(f"x{prose(text)}x"))

    assert re.sub(r"\s+", " ", reader.outside).strip() == f"x{re.sub(' +', ' ', text).strip()}x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ask @platform-oncall.", "ask `@platform-oncall`."),
        ("see https://a.example/x_y (twice)", "see `https://a.example/x_y` (twice)"),
        ("me@corp.example", "`me@corp.example`"),
        ("closes #12", "closes `#12`"),
        ("`@team` and `aws:`", "`@team` and `aws:`"),
        ("a`@team", "a\\`@\u200bteam"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("a|b", "a\\|b"),
        ("two\nlines", "two lines"),
    ],
)
def test_prose(text: str, shown: str) -> None:
    assert prose(text) == shown


@pytest.mark.parametrize(("text", "shown"), [("a b", "`a b`"), ("", ""), ("a`b", "a\\`b"), ("a|b", "a\\|b")])
def test_code(text: str, shown: str) -> None:
    assert code(text) == shown


def test_the_verdict_and_what_blocks_come_first() -> None:
    html = to_html(render_markdown(not_ready()))

    headings = re.findall(r"<h[12]>(.*?)</h[12]>", html)
    assert headings == [
        "❌ Not ready: 3 blocking items failed, and 2 could not be decided",
        "What blocks this release",
        "Notices",
        "What else needs attention",
        "Since the baseline",
    ]
    first = html.index("<h2>What blocks")
    assert html.index("exit code 1") < first
    assert "Who can unblock it: cloud access" in html
    assert "Next step: turn on rotation, or ask for the waiver again" in html


def test_the_tables_hold_every_count_and_every_item() -> None:
    html = to_html(render_markdown(not_ready()))

    rows = [
        re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in re.findall(r"<tr>.*?</tr>", html, re.DOTALL)
    ]
    assert rows[0] == ["Fail", "Error", "Inconclusive", "Waived", "Pass", "Not applicable", "All"]
    assert rows[1] == ["4", "1", "1", "1", "3", "1", "11"]
    assert [(row[0], row[2]) for row in rows[3:]] == [
        (entry.status.value.replace("_", " ").capitalize(), entry.title) for entry in not_ready().items
    ]


def test_hostile_text_adds_no_structure() -> None:
    reader = Reader(to_html(render_markdown(hostile())))

    assert set(reader.tags) <= {
        *(
            "h1",
            "h2",
            "p",
            "strong",
            "code",
            "ul",
            "li",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "details",
            "summary",
        )
    }
    assert reader.tags.count("h1") == 1
    assert reader.tags.count("table") == 2
    assert not LINKED.search(reader.outside)


def verbose(items: int) -> list[ItemResult]:
    long = "a_long*word " * 40
    return [
        item(
            f"a.b.c-{number}",
            long,
            Status.FAIL,
            [found("fail", long, long, long, message=long)] * 10,
            reason=long,
            next_step=long,
            owner=long,
        )
        for number in range(items)
    ]


@pytest.mark.parametrize("items", [1, 10, 50, 92, 1000])
def test_it_stays_below_60_kb_whatever_the_size_and_says_what_is_missing(items: int) -> None:
    result = replace(
        result_of(verbose(items), Verdict.NOT_READY, "Not ready"),
        notices=tuple(Notice(kind="run", text=NASTY) for _ in range(items)),
    )

    text = render_markdown(result)

    assert len(text.encode()) < markdown.MAX_BYTES
    shown = text.count("\n  - Why: ")
    missing = re.search(r"Left out here for size: ([\d,]+) more items? under “What blocks", text)
    assert shown + (int(missing[1].replace(",", "")) if missing else 0) == items
    assert shown >= min(items, 5)


def test_the_last_level_of_detail_fits_with_the_longest_texts() -> None:
    smallest = markdown.LEVELS[-1]
    worst = 5 * markdown.TEXT_SHOWN * (3 * smallest.blocking + smallest.notices + 8)

    assert worst < markdown.MAX_BYTES


def test_a_run_of_ten_thousand_findings_fits_with_every_blocking_item() -> None:
    text = render_markdown(large())

    assert len(text.encode()) < markdown.MAX_BYTES
    assert text.count("\n  - Why: ") == len(large().blocking_items)


@pytest.mark.parametrize(
    ("case", "symbol"), [("ready", "✅"), ("not-ready", "❌"), ("inconclusive", "⚠️"), ("refused", "⚠️")]
)
def test_the_symbol_follows_the_verdict(case: str, symbol: str) -> None:
    assert render_markdown(CASES[case]()).startswith(f"# {symbol} ")


def test_a_ready_run_says_what_is_left_without_blocking() -> None:
    text = render_markdown(ready())

    assert "What blocks this release" not in text
    assert "- **Cache entries expire**: Fail" in text
    assert "- **Data retention policy configured**: Pass, 1 warning" in text


def test_a_refused_run_says_why() -> None:
    text = render_markdown(CASES["refused"]())

    assert "- **Target:** production: the credentials belong to account 210987654321" in text
    assert "| Fail |" not in text


def test_what_a_refused_run_does_not_know_leaves_no_marks() -> None:
    text = render_markdown(replace(CASES["refused"](), service="", environment=""))

    assert text.splitlines()[2].startswith("2026-")
    assert "****" not in text
