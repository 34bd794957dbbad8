"""The connector as a run uses it: each question once, many checks at a time, replay, and nothing left behind."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import pytest

from quub_audit.connectors.base import DEADLINE, Deadline, Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.errors import Absent, Reportable, TimedOut
from quub_audit.facts.asking import Repositories
from quub_audit.facts.code import CodeFile, Pattern
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Repository
from tests.worlds.checkout import Checkout


def connector_on(ledger: Ledger) -> RepositoryConnector:
    return RepositoryConnector(ledger, Sealer(b"salt", Redactor()), cache_dir=None)


def ask_everything(connector: RepositoryConnector, checkout: Checkout) -> list[object]:
    pattern = Pattern(name="number", languages=("typescript",), rule="pattern: export const $NAME = $VALUE")
    return [
        connector.head(checkout.target),
        connector.files(checkout.target, globs=("*.ts",)),
        connector.read(checkout.target, "README.md"),
        connector.search(checkout.target, patterns=(pattern,)),
        connector.secrets(checkout.target),
        connector.assignments(checkout.target, names="token"),
    ]


def test_it_is_what_checks_ask(connector: RepositoryConnector) -> None:
    assert isinstance(connector, Repositories)


def test_it_is_built_without_io() -> None:
    connector_on(Ledger()).close()


def test_each_question_has_one_answer_for_the_whole_run(checkout: Checkout) -> None:
    ledger = Ledger()
    connector = connector_on(ledger)
    before = ask_everything(connector, checkout)
    checkout.write({"src/index.ts": "changed\n", "src/new.ts": "export const more = 1;\n"})

    after = ask_everything(connector, checkout)
    connector.close()

    assert after == before
    assert [question.name for question, _ in ledger.answered()] == [
        "assignments",
        "files",
        "head",
        "read",
        "search",
        "secrets",
    ]


def test_questions_that_differ_are_asked_apart(checkout: Checkout, connector: RepositoryConnector) -> None:
    assert connector.files(checkout.target, globs=("*.ts",)) != connector.files(checkout.target, globs=("*.md",))


def test_a_replay_answers_the_same_without_the_repository(checkout: Checkout) -> None:
    ledger = Ledger()
    connector = connector_on(ledger)
    answers = ask_everything(connector, checkout)
    connector.close()
    recorded = {}
    for question, entry in ledger.answered():
        entry.answer = decode(encode(entry.answer))
        recorded[question] = entry
    gone = Checkout(Path("/nonexistent"))

    replay = connector_on(Ledger(recorded))

    assert ask_everything(replay, gone) == answers
    with pytest.raises(Absent, match="not in the evidence bundle"):
        replay.read(gone.target, "other.txt")


def test_an_error_is_the_same_for_every_check(tmp_path: Path, connector: RepositoryConnector) -> None:
    target = Checkout(tmp_path / "nowhere").target

    for _ in range(2):
        with pytest.raises(Absent, match="does not exist"):
            connector.files(target)


def test_many_checks_may_ask_at_once(checkout: Checkout, connector: RepositoryConnector) -> None:
    answers: list[tuple[CodeFile, ...]] = []
    threads = [
        threading.Thread(target=lambda n=number: answers.append(connector.files(checkout.target, globs=("**", f"{n}"))))
        for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len(answers) == 16
    assert len(set(answers)) == 1


def test_after_close_nothing_can_be_asked_and_nothing_is_left(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    connector = connector_on(Ledger())
    ask_everything(connector, checkout)
    assert list(temporary.iterdir())

    connector.close()

    assert not list(temporary.iterdir())
    with pytest.raises(TimedOut, match="the run is over"):
        connector.head(Repository(name="other", path=str(checkout.path)))
    assert not list(temporary.iterdir())


def test_a_deadline_that_has_passed_is_timed_out_and_the_next_check_is_answered(checkout: Checkout) -> None:
    connector = connector_on(Ledger())
    token = DEADLINE.set(Deadline(0))
    try:
        with pytest.raises(Reportable):
            connector.files(checkout.target)
    finally:
        DEADLINE.reset(token)

    assert len(connector.files(checkout.target, globs=("**", "x"))) == 2
    connector.close()
