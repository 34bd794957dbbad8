"""Policy documents of IAM, read and evaluated as IAM evaluates them, for one caller in one account.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

What a document leaves open is decided against its owner: a condition whose key is unknown here is taken to hold in an
Allow and not to hold in a Deny. Service control policies and session policies are not seen, and can only take away.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

Context = Mapping[str, str | None]
"""Condition keys, lower case, with their value in the request; None where the request has no such key."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = {"*": "?", "?": "?", "$": "$"}
"""`${*}` is a star and no wildcard; as a pattern, one character comes closest."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator with one key and its values."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. Of `actions` and `resources` a `not_` says that they are those it does not speak of."""

    is_allow: bool
    actions: tuple[str, ...] = ()
    not_actions: bool = False
    resources: tuple[str, ...] = ()
    not_resources: bool = False
    principals: tuple[tuple[str, str], ...] = ()
    """Kind (`AWS`, `Service`, `Federated`) and name; only in a trust policy."""
    not_principals: bool = False
    conditions: tuple[Condition, ...] = ()

    def speaks_of(self, action: str) -> bool:
        """Whether the action (`iam:CreateUser`, any case) is one of its actions."""
        return any(matches(pattern, action.lower()) for pattern in self.actions) is not self.not_actions

    def covers(self, resource: str, variables: Mapping[str, str]) -> bool:
        """Whether the resource (an ARN) is one of its resources. An unknown variable matches for an Allow alone.

        In `NotResource` it is the other way round: there a match takes the resource out.
        """
        is_generous = self.is_allow is not self.not_resources
        patterns = (resolve(pattern, variables, is_generous=is_generous) for pattern in self.resources)
        is_listed = any(pattern is not None and matches(pattern, resource) for pattern in patterns)
        return is_listed is not self.not_resources

    def applies(self, context: Context) -> bool:
        """Whether its conditions hold; what cannot be known holds for an Allow alone."""
        held = [holds(condition, context) for condition in self.conditions]
        if False in held:
            return False
        return self.is_allow or None not in held


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy document, under the name by which its owner knows it."""

    name: str
    arn: str = ""
    """Empty for an inline one."""
    statements: tuple[Statement, ...] = ()
    problem: str = ""
    """Why it could not be read; then it has no statements."""


@functools.lru_cache(maxsize=200_000)
def matches(pattern: str, text: str) -> bool:
    """Whether the text matches a pattern of IAM: `*` any characters, `?` exactly one, all else itself.

    Takes at most the product of the lengths, whatever the pattern.
    """
    at = here = mark = 0
    star = -1
    while here < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[here]):
            at += 1
            here += 1
        elif star >= 0:
            mark += 1
            at, here = star + 1, mark
        else:
            return False
    return not pattern[at:].strip("*")


def resolve(pattern: str, variables: Mapping[str, str], *, is_generous: bool) -> str | None:
    """The pattern with its policy variables replaced; None where one is unknown, or `*` in its place if generous."""
    is_known = True

    def replace(found: re.Match[str]) -> str:
        nonlocal is_known
        name = found[1].partition(",")[0].strip().lower()
        if name in _LITERALS:
            return _LITERALS[name]
        is_known &= name in variables
        return variables.get(name, "*")

    resolved = _VARIABLE.sub(replace, pattern)
    return resolved if is_known or is_generous else None


def holds(condition: Condition, context: Context) -> bool | None:
    """Whether one condition holds in a request; None where that cannot be known here.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    operator, key = condition.operator.lower(), condition.key.lower()
    quantifier, separator, rest = operator.partition(":")
    operator = rest if separator else operator
    is_optional = operator.endswith("ifexists")
    operator = operator.removesuffix("ifexists")
    if key not in context:
        return None
    value = context[key]
    if operator == "null":
        return any((text.lower() == "true") is (value is None) for text in condition.values)
    test = _TESTS.get(operator)
    if test is None:
        return None
    is_negative = operator.startswith(("stringnot", "arnnot", "numericnot"))
    if value is None:
        return is_optional or quantifier == "forallvalues" or (is_negative and quantifier != "foranyvalue")
    try:
        is_one = any(test(text, value) for text in condition.values)
    except ValueError:
        return None
    return is_one is not is_negative


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "bool": lambda text, value: text.lower() == value.lower(),
    "stringequals": lambda text, value: text == value,
    "stringnotequals": lambda text, value: text == value,
    "stringequalsignorecase": lambda text, value: text.lower() == value.lower(),
    "stringnotequalsignorecase": lambda text, value: text.lower() == value.lower(),
    "stringlike": matches,
    "stringnotlike": matches,
    "arnequals": matches,
    "arnlike": matches,
    "arnnotequals": matches,
    "arnnotlike": matches,
    "numericequals": lambda text, value: float(value) == float(text),
    "numericnotequals": lambda text, value: float(value) == float(text),
    "numericlessthan": lambda text, value: float(value) < float(text),
    "numericlessthanequals": lambda text, value: float(value) <= float(text),
    "numericgreaterthan": lambda text, value: float(value) > float(text),
    "numericgreaterthanequals": lambda text, value: float(value) >= float(text),
}
"""Of each operator, how one of its values is compared with that of the request."""


def read_policy(name: str, document: Any, *, arn: str = "") -> Policy:
    """A policy from its document: a mapping, or JSON, URL-encoded or not. Never raises; see `Policy.problem`."""
    try:
        if isinstance(document, str):
            document = json.loads(unquote(document) if document.lstrip()[:1] == "%" else document)
        return Policy(name, arn, tuple(_read_statement(each) for each in _listed(document["Statement"])))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return Policy(name, arn, problem=f"the document of {name} cannot be read ({type(error).__name__})")


def _read_statement(told: Mapping[str, Any]) -> Statement:
    effect = told["Effect"]
    if effect not in ("Allow", "Deny"):
        raise ValueError("an effect that is neither Allow nor Deny")
    conditions = tuple(
        Condition(operator, key, tuple(_text(value) for value in _listed(values)))
        for operator, keys in (told.get("Condition") or {}).items()
        for key, values in keys.items()
    )
    return Statement(
        is_allow=effect == "Allow",
        actions=tuple(_text(action).lower() for action in _listed(told.get("Action", told.get("NotAction", ())))),
        not_actions="NotAction" in told,
        resources=tuple(_text(resource) for resource in _listed(told.get("Resource", told.get("NotResource", ())))),
        not_resources="NotResource" in told,
        principals=tuple(_read_principals(told.get("Principal", told.get("NotPrincipal", {})))),
        not_principals="NotPrincipal" in told,
        conditions=conditions,
    )


def _read_principals(told: Any) -> list[tuple[str, str]]:
    if isinstance(told, str):
        return [("AWS", told)]
    return [(kind, _text(name)) for kind, names in told.items() for name in _listed(names)]


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    return [value]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise TypeError("a list or an object where a text belongs")
    return str(value)
