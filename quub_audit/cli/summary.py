"""What a terminal shows of a result: the table, what blocks and what to do about it, what else to know."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

from quub_audit.cli.progress import STATUS_COLUMNS, STYLE, SYMBOL, last_part, subjects_of, word_of
from quub_audit.cli.terminal import UNBOUNDED, Line, Styled, Terminal, cut_to, folded, pad_to, width_of
from quub_audit.model.result import ItemResult, Result
from quub_audit.model.status import Status
from quub_audit.reporters.text import count, one_line
from quub_audit.reporters.view import FindingView, ItemView, View, view_of

BAD = ("fail", "error", "undecided")
"""Kinds of findings that say why an item blocks."""

FINDINGS_SHOWN = 5
"""Of an item, worst first; result.json has all."""

STEPS_SHOWN = 3
"""Of an item; each settles some of its findings."""

READABLE_COLUMNS = 110
"""Text is folded here on wider terminals."""

MARK_COLUMNS = 20
"""What the marks of an item are sure to get on a narrow terminal; longer ones are cut there."""

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
    """One line an item. Where ids do not fit their last part is shown, and where lines do not, no grade of evidence."""
    subject_columns = max((len(_subjects(items[item.id])) for item in view.items), default=0)
    grade_columns = max((len(_grade(items[item.id])) for item in view.items), default=0)
    mark_columns = min(MARK_COLUMNS, max((width_of(_marks(item)) for item in view.items), default=0))
    left = columns - (4 + 2 + STATUS_COLUMNS + 2) - (2 + subject_columns) - (2 + mark_columns if mark_columns else 0)
    names = {item.id: item.id for item in view.items}
    if max(map(width_of, names), default=0) > left - 2 - grade_columns:
        names = {id_: last_part(id_) for id_ in names}
    name_columns = max(12, min(left, max(map(width_of, names.values()), default=0)))
    has_grades = name_columns <= left - 2 - grade_columns
    aside_columns = columns - (4 + 2 + STATUS_COLUMNS + 2) - name_columns - (2 + subject_columns)
    for section in view.sections:
        yield [Styled(section.title, "strong"), Styled(f"  {section.tally}", "faint")]
        for group in section.groups:
            yield [f"  {group.title}"]
            for entry in group.items:
                item = items[entry.id]
                grade = f"  {pad_to(_grade(item), grade_columns)}" if has_grades else ""
                aside = cut_to(f"{grade}  {_marks(entry)}".rstrip(), max(1, aside_columns))
                yield [
                    "    ",
                    Styled(f"{SYMBOL[item.status]} {pad_to(word_of(item.status), STATUS_COLUMNS)}", STYLE[item.status]),
                    f"  {pad_to(cut_to(names[item.id], name_columns), name_columns)}",
                    f"  {pad_to(_subjects(item), subject_columns if aside else 0)}",
                    Styled(aside, "faint"),
                ]
        yield []


def _marks(item: ItemView) -> str:
    return ", ".join(item.marks)


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
    bad = [finding for finding in entry.findings if finding.status.key in BAD]
    if not bad or (item.status is Status.INCONCLUSIVE and entry.reason != bad[0].message):
        yield from folded("  ", entry.reason, columns)
    told = [lines for lines, _ in itertools.groupby(tuple(_finding(finding, columns)) for finding in bad)]
    for lines in told:
        yield from lines
    hidden = sum(found.kind in BAD for found in item.findings) - len(bad)
    if hidden:
        yield [Styled(f"  … and {hidden:,} more in result.json", "faint")]
    if item.status is Status.FAIL and item.remediation:
        yield from _term("mend", item.remediation, columns)
    steps = dict.fromkeys([entry.next_step, *(finding.next_step for finding in bad)])
    for step in [step for step in steps if step and step != item.remediation][:STEPS_SHOWN]:
        yield from _term("next step", step, columns)
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
        for warning in item.warnings:
            said = warning.message or warning.observed
            lines += folded(
                "  ",
                f"{item.id}: {said if said.startswith(warning.subject) else f'{warning.subject}: {said}'}",
                columns,
                lead=Styled("warning  ", "doubtful"),
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
