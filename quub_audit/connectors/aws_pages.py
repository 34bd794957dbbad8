"""All pages of an answer as one, with botocore's own description of how each operation continues."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quub_audit.errors import Malformed

MAX_PAGES = 2000
"""Most pages of one answer; 100,000 rows even where a page holds fifty."""

_TOKEN = re.compile(r"^(next_?|pagination|continuation|nextpage)?(token|marker)$|^position$|^nextpage$", re.IGNORECASE)
"""Members of an answer that say that there is more."""

_INPUTS = {
    "nexttoken": ("nexttoken", "token", "continuationtoken"),
    "nextmarker": ("nextmarker", "marker"),
    "marker": ("marker",),
    "nextpagetoken": ("nextpagetoken", "pagetoken", "nexttoken"),
    "paginationtoken": ("paginationtoken",),
    "continuationtoken": ("continuationtoken",),
    "position": ("position",),
    "nextpage": ("nextpage",),
    "token": ("token",),
}
"""The parameter that takes a token back, lower case, by the member that gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pagination:
    """How an operation continues. Outputs and results are JMESPath."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[Any, ...] = ()
    more: Any = None
    """Whether there is more, where the answer says so beside the token."""
    results: tuple[Any, ...] = ()
    unfollowed: tuple[str, ...] = ()
    """Members of the answer that look like tokens and cannot be sent back."""


def pagination_of(model: Any, described: Mapping[str, Any] | None) -> Pagination:
    """For one operation, from botocore's paginator (`described`), or from the members of question and answer."""
    import jmespath  # type: ignore[import-untyped]

    if not described:
        return _inferred(model)
    inputs, outputs, results = (_listed(described.get(key)) for key in ("input_token", "output_token", "result_key"))
    return Pagination(
        inputs=inputs,
        outputs=tuple(jmespath.compile(text) for text in outputs),
        more=jmespath.compile(described["more_results"]) if described.get("more_results") else None,
        results=tuple(jmespath.compile(text) for text in results),
    )


def merge_pages(
    subject: str, pagination: Pagination, ask: Callable[[Mapping[str, Any]], dict[str, Any]], first: Mapping[str, Any]
) -> dict[str, Any]:
    """Ask with the parameters `first` and then on, until there is no more; results joined in order.

    Of what is no result the last page's word stands, and tokens are left out.

    Raises Malformed for pages without an end, for a token that comes twice, and for one that cannot be followed.
    """
    merged: dict[str, Any] = {}
    for page in each_page(subject, pagination, ask, first):
        merged = _joined(merged, page, pagination) if merged else page
    return merged


def each_page(
    subject: str, pagination: Pagination, ask: Callable[[Mapping[str, Any]], dict[str, Any]], first: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The pages one after another, each asked for when it is wanted. Raises as `merge_pages`."""
    parameters = dict(first)
    sent: set[str] = set()
    for _ in range(MAX_PAGES):
        page = ask(parameters)
        left = [name for name in pagination.unfollowed if page.get(name)]
        if left:
            raise Malformed(f"{subject}: the answer goes on ({left[0]}), and there is no known way to ask for the rest")
        tokens = _tokens(pagination, page)
        for expression in pagination.outputs:
            _drop(page, str(expression.expression))
        yield page
        if tokens is None:
            return
        key = json.dumps(tokens, sort_keys=True, default=str)
        if key in sent:
            raise Malformed(f"{subject}: the answer goes round in a circle: a page leads to one that was read")
        sent.add(key)
        for name, token in tokens.items():
            if token is None:
                parameters.pop(name, None)
            else:
                parameters[name] = token
    raise Malformed(f"{subject}: the answer has more than {MAX_PAGES} pages")


def _tokens(pagination: Pagination, page: Mapping[str, Any]) -> dict[str, Any] | None:
    """What leads to the next page; None on the last."""
    if pagination.more is not None and not pagination.more.search(page):
        return None
    found = [expression.search(page) or None for expression in pagination.outputs]
    tokens = dict(zip(pagination.inputs, found, strict=False))
    return tokens if any(token is not None for token in tokens.values()) else None


def _joined(merged: dict[str, Any], page: dict[str, Any], pagination: Pagination) -> dict[str, Any]:
    """`page` with the results of `merged` before its own."""
    for expression in pagination.results:
        before, here = expression.search(merged), expression.search(page)
        if before is None:
            continue
        if isinstance(before, list) and (here is None or isinstance(here, list)):
            _set(page, expression.expression, before + (here or []))
        elif isinstance(before, int | float) and isinstance(here, int | float) and not isinstance(before, bool):
            _set(page, expression.expression, before + here)
    for name, value in merged.items():
        page.setdefault(name, value)
    return page


def _set(page: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        page = page.setdefault(name, {})
    page[last] = value


def _drop(page: dict[str, Any], path: str) -> None:
    """Take a plain token out; an expression over the results names none."""
    for each in path.split("||"):
        *above, last = each.strip().split(".")
        at: Any = page
        for name in above:
            at = at.get(name) if isinstance(at, dict) else None
        if isinstance(at, dict) and not isinstance(at.get(last), list):
            at.pop(last, None)


def _inferred(model: Any) -> Pagination:
    """A pagination by the names of members: an output token that the input takes back."""
    import jmespath

    outputs = model.output_shape.members if model.output_shape else {}
    takes = {name.lower(): name for name in (model.input_shape.members if model.input_shape else {})}
    tokens = [name for name, shape in outputs.items() if _TOKEN.match(name) and shape.type_name == "string"]
    for token in tokens:
        back = next((takes[name] for name in _INPUTS.get(token.lower(), ()) if name in takes), "")
        if back:
            results = [name for name, shape in outputs.items() if shape.type_name == "list"]
            return Pagination(
                inputs=(back,),
                outputs=(jmespath.compile(token),),
                results=tuple(jmespath.compile(name) for name in results),
            )
    return Pagination(unfollowed=tuple(token for token in tokens if token.lower() != "token"))


def _listed(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else (value,) if value else ()
