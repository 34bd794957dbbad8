from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from quub_audit.cli.terminal import Styled, Terminal, cut_to, fold_to, folded, pad_to, width_of
from tests.cli.shop import COMMAND, Shop, environ


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("shop", 4), ("漢字", 4), ("e\u0301", 1), ("\u200b", 0), ("\uff46\uff55", 4), ("né", 2), ("👍", 2)],
)
def test_columns_are_counted_as_terminals_do(text: str, columns: int) -> None:
    assert width_of(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "cut"),
    [("shop", 4, "shop"), ("shops", 4, "sho…"), ("漢字漢字", 5, "漢字…"), ("漢字漢", 4, "漢…"), ("a b c", 3, "a…")],
)
def test_a_cut_text_never_takes_more_columns_than_it_may(text: str, columns: int, cut: str) -> None:
    assert cut_to(text, columns) == cut
    assert width_of(cut) <= columns


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("abcdefghijk", ["abcdefg", "hijk"]),
        ("漢字漢字", ["漢字漢", "字"]),
        ("a  b", ["a b"]),
    ],
)
def test_text_is_folded_at_blanks_and_else_where_it_must_be(text: str, lines: list[str]) -> None:
    assert fold_to(text, 7) == lines


def test_later_lines_stand_below_the_first() -> None:
    assert [
        "".join(piece if isinstance(piece, str) else piece.text for piece in line)
        for line in folded("  ", "one two three four", 20, lead=Styled(pad_to("mend", 6)))
    ] == ["  mend  one two", "        three four"]


class Screen(io.StringIO):
    """A terminal as a program sees one, of the encoding given."""

    def __init__(self, encoding: str = "utf-8", *, is_terminal: bool = False) -> None:
        super().__init__()
        self._encoding = encoding
        self._is_terminal = is_terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize(
    ("environ", "is_terminal", "is_coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colour_is_the_environments_to_decide_then_the_terminals(
    environ: Mapping[str, str], is_terminal: bool, is_coloured: bool
) -> None:
    screen = Screen(is_terminal=is_terminal)

    Terminal(screen, Screen(), environ).show(Styled("pass", "good"))

    assert ("\x1b[32m" in screen.getvalue()) is is_coloured


@pytest.mark.parametrize(
    ("environ", "is_live"), [({}, True), ({"CI": "true"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, True)]
)
def test_nothing_is_redrawn_where_a_log_is_kept(environ: Mapping[str, str], is_live: bool) -> None:
    assert Terminal(Screen(), Screen(is_terminal=True), environ).is_live is is_live
    assert not Terminal(Screen(is_terminal=True), Screen(), environ).is_live


def test_secrets_and_control_characters_are_struck_from_both_streams() -> None:
    out, err = Screen(), Screen()
    terminal = Terminal(out, err, {})
    terminal.redact = lambda text: text.replace("hunter2-secret", "[redacted]")

    terminal.show("data hunter2-secret \x1b[2J\u202e\nsecond\tline")
    terminal.say(Styled("talk hunter2-secret \x9b1A\r", "bad"))

    assert out.getvalue() == "data [redacted] ⟨U+202E⟩ second line\n"
    assert err.getvalue() == "talk [redacted] 1A \n"


def test_a_terminal_without_unicode_gets_ascii_and_what_it_lacks_by_number() -> None:
    screen = Screen("ascii")

    Terminal(screen, Screen(), {}).show("✓ “pass” … 漢 \ud800")

    assert screen.getvalue() == '+ "pass" ... \\u6f22 \\ufffd\n'


def test_the_same_picture_is_drawn_once_and_taken_back_before_the_next_line() -> None:
    err = Screen(is_terminal=True)
    terminal = Terminal(Screen(), err, {"COLUMNS": "20", "NO_COLOR": "1"})

    terminal.draw([["one " * 10], ["two"]])
    first = err.getvalue()
    terminal.draw([["one " * 10], ["two"]])
    assert err.getvalue() == first == "one one one one on…\x1b[K\ntwo\x1b[K\n\x1b[J"

    terminal.say("done")
    assert err.getvalue() == f"{first}\r\x1b[2A\x1b[Jdone\n"


class Played:
    """What a run showed on a pseudo-terminal."""

    def __init__(self, command: list[str], folder: Path, more: Mapping[str, str], *, columns: int) -> None:
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ(folder, {"TERM": "xterm", **more}),
            stdin=subprocess.DEVNULL,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        self._leader = leader
        self.text = ""

    def read(self, until: str = "", *, at_most_s: float = 60.0) -> str:
        """Everything up to the end, or until a text appears."""
        ends_at = time.monotonic() + at_most_s
        raw = self.text.encode()
        while time.monotonic() < ends_at and not (until and until in raw.decode(errors="ignore")):
            if not select.select([self._leader], [], [], 0.1)[0]:
                continue
            try:
                part = os.read(self._leader, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            raw += part
        self.text = raw.decode(errors="ignore")
        assert until in self.text, self.text
        return self.text

    def end(self) -> int:
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()
            self.process.wait(timeout=60)
            os.close(self._leader)


def on_screen(text: str) -> list[str]:
    """The lines that are left when every control sequence that we use was obeyed."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[\d*[AKJ]|\x1b\[[\d;]*m|\r|\n|[^\x1b\r\n]+", text):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token.endswith("A") and token.startswith("\x1b"):
            row = max(0, row - int(token[2:-1]))
        elif token == "\x1b[K":
            lines[row] = lines[row][:column]
        elif token == "\x1b[J":
            lines[row] = lines[row][:column]
            del lines[row + 1 :]
        elif not token.startswith("\x1b"):
            lines[row] = lines[row][:column].ljust(column) + token + lines[row][column + len(token) :]
            column += len(token)
    return lines


def test_a_terminal_shows_what_is_under_way_and_keeps_none_of_it(shop: Shop) -> None:
    shop.write("holds", "sleeps", "fails")

    played = Played([str(COMMAND), *shop.arguments()], shop.folder, {"NO_COLOR": "1"}, columns=80)
    text = played.read()

    assert played.end() == 1
    assert re.search(r"█+░+ 2/3  0:0\d  1 fail  1 pass\x1b\[K\r\nsleeps\x1b\[K", text)
    left = on_screen(text)
    assert left[0] == "Shop  1 fail, 2 pass"
    assert left[-2:] == ["exit code 1, not ready: at least one blocking item failed", ""]
    assert not any("░" in line or "[1/3]" in line for line in left)
    drawings = text.count("\x1b[J")
    assert drawings < 20, "a picture that did not change was drawn again"


def test_no_line_is_wider_than_a_narrow_terminal(shop: Shop) -> None:
    shop.write("fails", "sleeps", "hostile")

    played = Played([str(COMMAND), *shop.arguments()], shop.folder, {"NO_COLOR": "1"}, columns=50)
    text = played.read()
    played.end()

    drawn = [line.partition("\x1b[K")[0] for line in text.splitlines() if "\x1b[K" in line]
    assert drawn
    assert max(width_of(re.sub(r"\x1b\[\d*[A-Z]|\r", "", line)) for line in drawn) < 50
    assert all(len(line) <= 50 for line in on_screen(text) if "retention" in line)


def test_in_ci_a_terminal_gets_a_plain_log(shop: Shop) -> None:
    shop.write("holds")

    played = Played([str(COMMAND), *shop.arguments()], shop.folder, {"CI": "true", "NO_COLOR": "1"}, columns=80)
    text = played.read()

    assert played.end() == 0
    assert "[1/1] pass            shop.facts.holds" in text
    assert "\x1b" not in text


def test_ctrl_c_on_a_terminal_takes_the_picture_back_and_says_how_it_ended(shop: Shop) -> None:
    shop.write("never")

    played = Played([str(COMMAND), *shop.arguments()], shop.folder, {"NO_COLOR": "1"}, columns=80)
    played.read(until="never\x1b[K")
    played.process.send_signal(signal.SIGINT)
    text = played.read()

    assert played.end() == 130
    assert on_screen(text)[-2] == "exit code 130, interrupted before the audit was complete"
    assert not any("░" in line for line in on_screen(text))
