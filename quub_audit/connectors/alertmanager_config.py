"""Who is told, read from the configuration that an Alertmanager has loaded. No address and no credential is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quub_audit.connectors.identity_http import one_line
from quub_audit.errors import Malformed
from quub_audit.facts.prometheus import Receiver

MAX_ROUTES = 10_000
MAX_DEPTH = 64

_OF_MATCHERS = ("matchers", "match", "match_re")
_SUFFIX = "_configs"


def read_receivers(named: str, text: str) -> tuple[Receiver, ...]:
    """Every receiver, in the order of the file. `text` is `config.original` of `/api/v2/status`.

    Raises Malformed, which quotes nothing of it, for what is no configuration or has more than 10,000 routes.
    """
    document = _parsed(named, text)
    listed = document.get("receivers") or ()
    root = document.get("route")
    if not isinstance(listed, list) or not isinstance(root, dict):
        raise Malformed(f"{named}: its configuration has no route or no list of receivers")
    walk = _Walk(named)
    walk.visit(root, inherited="", is_root=True, depth=0)
    return tuple(_receiver(named, each, walk) for each in listed)


def _parsed(named: str, text: str) -> Mapping[str, Any]:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(text, Loader=loader)  # noqa: S506  one of the safe loaders
    except (yaml.YAMLError, ValueError, RecursionError):
        # Not chained: the library's words quote the line, and that may hold an address with a credential.
        raise Malformed(f"{named}: its configuration is no YAML", next_step="look at /api/v2/status") from None
    if not isinstance(document, dict):
        raise Malformed(f"{named}: its configuration is no mapping")
    return document


def _receiver(named: str, found: Any, walk: _Walk) -> Receiver:
    name = found.get("name") if isinstance(found, dict) else None
    if not isinstance(name, str) or not name:
        raise Malformed(f"{named}: its configuration has a receiver without a name")
    kinds = (key.removesuffix(_SUFFIX) for key, value in found.items() if str(key).endswith(_SUFFIX) and value)
    return Receiver(
        name=one_line(name, 80),
        integrations=tuple(sorted(one_line(kind, 40) for kind in kinds)),
        is_routed=name in walk.reached,
        is_default=name == walk.default,
    )


@dataclass(slots=True)
class _Walk:
    """One way through the tree of routes."""

    named: str
    reached: set[str] = field(default_factory=set)
    default: str = ""
    count: int = 0

    def visit(self, route: Mapping[str, Any], *, inherited: str, is_root: bool, depth: int) -> None:
        """Note who is told below this route, which some alert takes.

        Alertmanager asks a route's children in order, up to the first that matches and does not say `continue`; the
        route's own receiver is told where no child matched (https://prometheus.io/docs/alerting/latest/configuration/).
        """
        self.count += 1
        if self.count > MAX_ROUTES or depth > MAX_DEPTH:
            raise Malformed(f"{self.named}: its configuration has more routes than can be followed")
        receiver = str(route.get("receiver") or inherited)
        falls_through = True
        for child in self._children(route):
            self.visit(child, inherited=receiver, is_root=is_root and _takes_all(child), depth=depth + 1)
            if _takes_all(child):
                falls_through = False
                if not child.get("continue"):
                    break
        if falls_through:
            self.reached.add(receiver)
            self.default = receiver if is_root else self.default

    def _children(self, route: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        children = route.get("routes") or []
        if not isinstance(children, list) or not all(isinstance(child, dict) for child in children):
            raise Malformed(f"{self.named}: the routes of its configuration are no list of routes")
        return children


def _takes_all(route: Mapping[str, Any]) -> bool:
    return not any(route.get(name) for name in _OF_MATCHERS)
