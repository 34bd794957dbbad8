"""What a declaration says of a check."""

from __future__ import annotations

from collections.abc import Iterator

from quub_audit.sdk import Check, Clock, Finding, Parameters, Region, check, subjects


class Wanted(Parameters):
    """Of the enumeration."""

    names: tuple[str, ...] = ()
    """What is listed."""


class Own(Parameters):
    """Of a check."""


@subjects(each=Region)
def listed(region: Region, wanted: Wanted) -> Iterator[str]:
    yield from wanted.names


@check("A check without parameters", each=listed)
def bare(subject: str, clock: Clock) -> Finding:
    return Finding.of(True, subject=subject, observed="is listed", expected="listed")


@check("A check with parameters of its own", each=listed)
def owning(subject: str, wanted: Own) -> Finding:
    return Finding.of(True, subject=subject, observed="is listed", expected="listed")


def declared(function: object) -> Check:
    found = vars(function)["__quub_check__"]
    assert isinstance(found, Check)
    return found


def test_the_parameters_of_an_enumeration_are_those_of_a_check_without_its_own() -> None:
    assert declared(bare).parameters is Wanted
    assert declared(owning).parameters is Own
