"""What a terminal shows of a result: the table, what blocks and what to do about it, what else to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from quub_audit.cli.progress import STATUS_COLUMNS, STYLE, SYMBOL, subjects_of, word_of
from quub_audit.cli.terminal import UNBOUNDED, Line, Styled, Terminal, cut_to, folded, pad_to, width_of
from quub_audit.model.result import ItemResult, Result
from quub_audit.model.status import FindingStatus, Status
from quub_audit.reporters.text import count, one_line
from quub_audit.reporters.view import FindingView, ItemView, View, view_of

FINDINGS_SHOWN = 5
"""Of an item, worst first; result.json has all."""

READABLE_COLUMNS = 110
"""Text is folded here on wider terminals."""

TERM_COLUMNS = len("next step") + 2


def show_summary(terminal: Terminal, result: Result) -> None:
    """Show what the verbosity asks for: everything, with -q what blocks, with -qq nothing."""
    if terminal.verbosity < -1:
        return
    for line in summary(result, columns=terminal.width, is_brief=terminal.verbosity < 0):
        terminal.show(*line)


def summary(result: Result, *, columns: int, is_brief: bool = False) -> Iterator[Line]:
    """The lines of the summary for a terminal of that width."""
    view = view_of(result, findings_shown=FINDINGS_SHOWN)
    items = {item.id: item for item in result.items}
    columns = columns if columns == UNBOUNDED else min(columns, READABLE_COLUMNS)
    if not is_brief:
        yield from _table(view, items, columns)
    yield from _blocking(view, items, columns)
    if not is_brief:
        yield from _attention(view, items, columns)
        yield from _waived(items.values(), columns)
        yield from _changes(view, columns)
        yield from _notices(view, columns)
    yield [Styled(view.headline, "strong")]


def _table(view: View, items: Mapping[str, ItemResult], columns: int) -> Iterator[Line]:
    id_columns = max((width_of(item.id) for item in view.items), default=0)
    subject_columns = max((len(_subjects(items[item.id])) for item in view.items), default=0)
    grade_columns = max((len(_grade(items[item.id])) for item in view.items), default=0)
    fixed = 4 + 2 + STATUS_COLUMNS + 2 + 2 + subject_columns + 2 + grade_columns
    id_columns = max(12, min(id_columns, columns - fixed))
    for section in view.sections:
        yield [Styled(section.title, "strong"), Styled(f"  {section.tally}", "faint")]
        for group in section.groups:
            yield [f"  {group.title}"]
            for entry in group.items:
                item = items[entry.id]
                aside = f"  {pad_to(_grade(item), grade_columns)}  {', '.join(entry.marks)}".rstrip()
                yield [
                    "    ",
                    Styled(f"{SYMBOL[item.status]} {pad_to(word_of(item.status), STATUS_COLUMNS)}", STYLE[item.status]),
                    f"  {pad_to(cut_to(item.id, id_columns), id_columns)}",
                    f"  {pad_to(_subjects(item), subject_columns if aside else 0)}",
                    Styled(aside, "faint"),
                ]
        yield []


def _subjects(item: ItemResult) -> str:
    return count(subjects_of(item.findings), "subject")


def _grade(item: ItemResult) -> str:
    return item.best_evidence.value if item.best_evidence else ""


def _blocking(view: View, items: Mapping[str, ItemResult], columns: int) -> Iterator[Line]:
    if not view.blocking:
        return
    yield [Styled(f"What blocks this release: {count(len(view.blocking), 'item')}", "strong")]
    for entry in view.blocking:
        yield []
        yield from _item(entry, items[entry.id], columns)
    yield []
    yield from folded("", "`quub-audit explain ITEM` says what an item looks at, and how to mend it.", columns)
    yield []


def _item(entry: ItemView, item: ItemResult, columns: int) -> Iterator[Line]:
    yield [
        Styled(f"{SYMBOL[item.status]} {word_of(item.status)}", STYLE[item.status]),
        f"  {entry.id}",
        Styled(f"  {entry.severity.key}{f', {entry.change.label.lower()}' if entry.change else ''}", "faint"),
    ]
    yield [f"  {one_line(entry.title)}"]
    bad = [finding for finding in entry.findings if finding.status.key in ("fail", "error")]
    if item.status is Status.INCONCLUSIVE or not bad:
        yield from folded("  ", entry.reason, columns)
    for finding in bad:
        yield from _finding(finding, columns)
    hidden = sum(found.status in (FindingStatus.FAIL, FindingStatus.ERROR) for found in item.findings) - len(bad)
    if hidden:
        yield [Styled(f"  … and {hidden:,} more in result.json", "faint")]
    if item.status is Status.FAIL and item.remediation:
        yield from _term("mend", item.remediation, columns)
    if entry.next_step and entry.next_step != item.remediation:
        yield from _term("next step", entry.next_step, columns)
    if entry.owner:
        yield from _term("owner", entry.owner, columns)


def _finding(finding: FindingView, columns: int) -> Iterator[Line]:
    if finding.message and finding.subject in finding.message:
        yield from folded("  ", finding.message, columns)
    else:
        place = f" ({finding.place})" if finding.place and finding.place not in finding.subject else ""
        yield from folded("  ", f"{finding.subject}{place}", columns)
        if finding.message:
            yield from folded("    ", finding.message, columns)
    if finding.observed:
        yield from _term("observed", finding.observed, columns, indent="    ")
    if finding.expected:
        yield from _term("expected", finding.expected, columns, indent="    ")
    if finding.retried:
        yield from _term("seen", finding.retried, columns, indent="    ")


def _attention(view: View, items: Mapping[str, ItemResult], columns: int) -> Iterator[Line]:
    """Warnings, and what is unsettled without blocking."""
    lines: list[Line] = []
    for entry in view.attention:
        item = items[entry.id]
        if not item.status.is_settled:
            said = f"{entry.id}: {entry.reason} ({entry.stance})"
            lines += folded("  ", said, columns, lead=Styled(f"{word_of(item.status)}  ", STYLE[item.status]))
    for item in items.values():
        for warning in item.of_status(FindingStatus.WARNING):
            said = warning.message or warning.observed
            lines += folded(
                "  ", f"{item.id}: {warning.subject}: {said}", columns, lead=Styled("warning  ", "doubtful")
            )
    if lines:
        yield [Styled("Does not block", "strong")]
        yield from lines
        yield []


def _waived(items: Iterable[ItemResult], columns: int) -> Iterator[Line]:
    waived = [item for item in items if item.waiver]
    if not waived:
        return
    yield [Styled("Accepted risks", "strong")]
    for item in waived:
        was = f"would be {word_of(item.waived_from)}; " if item.waived_from else ""
        ticket = f" ({item.waiver.ticket})" if item.waiver else ""
        yield from folded("  ", f"{item.id}: {was}{item.reason}{ticket}", columns)
    yield []


def _changes(view: View, columns: int) -> Iterator[Line]:
    """What moved against the baseline, worst first."""
    if not view.changes:
        return
    yield [Styled("Against the baseline", "strong")]
    for change in view.changes:
        for item in change.items:
            yield from _term(change.change.label.lower(), f"{item.href.removeprefix('#')}: {item.text}", columns)
    yield []


def _notices(view: View, columns: int) -> Iterator[Line]:
    notices = [f"{notice.kind.label}: {notice.text}" for notice in view.notices]
    notices += [f"Left out of the checklist: {link.text}" for fact in view.dropped for link in fact.values]
    if not notices:
        return
    yield [Styled("Notices", "strong")]
    for notice in notices:
        yield from folded("  ", notice, columns)
    yield []


def _term(term: str, text: str, columns: int, *, indent: str = "  ") -> Iterator[Line]:
    return folded(indent, text, columns, lead=Styled(pad_to(term, TERM_COLUMNS), "faint"))
