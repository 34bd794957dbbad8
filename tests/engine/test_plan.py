"""What a run will look at, decided before anything is asked."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from quub_audit.engine.plan import Plan, Selection, make_plan
from quub_audit.errors import UsageError
from quub_audit.model.checklist import Checklist, Item
from quub_audit.model.environment import Endpoint, Environment, NotApplicable
from quub_audit.model.status import Severity
from quub_audit.registry import BrokenModule, CheckModule, Registry

TODAY = date(2026, 11, 23)
ENDPOINT = Endpoint(name="api", url="https://api.test", host="api.test", port=443)


def item(name: str, section: str = "Security", tags: tuple[str, ...] = ()) -> Item:
    id_ = f"{section.lower()}.group.{name}"
    return Item(id=id_, title=name, section=section, group="Group", severity=Severity.LOW, checks=(id_,), tags=tags)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    folder = tmp_path / "security" / "group"
    folder.mkdir(parents=True)
    head = "from quub_audit.sdk import Aws, Endpoint, Finding, Region, check\n"
    (folder / "live.py").write_text(head + "@check('L', each=Endpoint)\ndef live(subject: Endpoint): ...\n")
    (folder / "cloud.py").write_text(head + "@check('C', each=Region)\ndef cloud(subject: Region, aws: Aws): ...\n")
    (folder / "both.py").write_text(
        head
        + "@check('L', each=Endpoint)\ndef live(subject: Endpoint): ...\n"
        + "@check('C', each=Region)\ndef cloud(subject: Region, aws: Aws): ...\n"
    )
    (folder / "joined.py").write_text(head + "@check('J', each=Endpoint)\ndef j(subject: Endpoint, aws: Aws): ...\n")
    (folder / "active.py").write_text(head + "@check('A', each=Endpoint, active=True)\ndef a(subject: Endpoint): ...\n")
    (folder / "broken.py").write_text("raise SystemExit('no')\n")
    (folder / "empty.py").write_text("")
    (folder / "unfillable.py").write_text(head + "@check('U', each=Endpoint)\ndef u(subject: Endpoint, x: int): ...\n")
    return Registry.discover((tmp_path,))


def plan(registry: Registry, *items: Item, selection: Selection | None = None, allow_active: bool = False) -> Plan:
    checklist = Checklist(title="T", version="1", items=items, digest="")
    environment = Environment(
        service="s",
        name="production",
        stage="production",
        endpoints=(ENDPOINT,),
        not_applicable=(NotApplicable(item="security.group.excused", reason="no such thing here"),),
    )
    return make_plan(checklist, environment, registry, selection=selection, today=TODAY, allow_active=allow_active)


def test_a_check_whose_target_the_environment_lacks_is_left_out_and_the_other_is_kept(registry: Registry) -> None:
    (planned,) = plan(registry, item("both")).items

    assert [check.check.id for check in planned.checks] == ["security.group.both/live"]
    assert [entry.why for entry in planned.left_out] == ["the environment declares no `aws:`"]


def test_a_connector_that_has_no_target_leaves_its_check_out_too(registry: Registry) -> None:
    assert plan(registry, item("joined")).items[0].left_out[0].missing_kinds == ("aws",)


def test_an_active_check_waits_for_leave(registry: Registry) -> None:
    assert plan(registry, item("active")).items[0].checks == ()
    assert len(plan(registry, item("active"), allow_active=True).items[0].checks) == 1


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("broken", "the plugin could not be imported: SystemExit: no"),
        ("empty", "the plugin could not be imported: ImportError: empty.py declares no check; decorate a function"),
        ("unfillable", "the plugin could not be imported: TypeError: u: nothing fills the argument x: <class 'int'>"),
        ("missing", "there is no such check"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named_with_its_problem(registry: Registry, name: str, problem: str) -> None:
    ((module, said),) = plan(registry, item(name)).items[0].broken

    assert module == f"security.group.{name}"
    assert said.startswith(problem)


def test_what_does_not_apply_is_not_looked_at(registry: Registry) -> None:
    (planned,) = plan(registry, item("excused")).items

    assert (planned.not_applicable, planned.checks, planned.broken) == ("no such thing here", (), ())


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        (Selection(only=("security.group.l*",)), ["security.group.live"]),
        (Selection(skip=("*.live",)), ["security.group.cloud"]),
        (Selection(tags=("slow",)), ["security.group.cloud"]),
        (Selection(sections=("SECURITY",)), ["security.group.live", "security.group.cloud"]),
        (Selection(only=("*",), skip=("*.cloud",), sections=("security",)), ["security.group.live"]),
    ],
)
def test_a_selection_narrows_the_run(registry: Registry, selection: Selection, ids: list[str]) -> None:
    planned = plan(registry, item("live"), item("cloud", tags=("slow",)), selection=selection)

    assert [entry.item.id for entry in planned.items] == ids


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(only=("security.group.liv",)), "matches no item; did you mean security.group.live?"),
        (Selection(skip=("nothing.*",)), "--skip nothing.*: matches no item"),
        (Selection(tags=("slwo",)), "--tag slwo: no item carries it; did you mean slow?"),
        (Selection(sections=("Performance",)), "--section Performance: there is no such section"),
        (Selection(skip=("*",)), "no item of “T” is selected with --skip *"),
    ],
)
def test_a_selection_that_takes_nothing_is_a_usage_error(registry: Registry, selection: Selection, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan(registry, item("live"), item("cloud", tags=("slow",)), selection=selection)

    assert said in str(raised.value)


def test_the_registry_knows_every_module_by_its_place_and_imports_it_only_when_asked(registry: Registry) -> None:
    assert {"security.group.live", "security.group.broken"} <= set(registry.ids())
    assert isinstance(registry.load("security.group.live"), CheckModule)
    assert isinstance(registry.load("security.group.broken"), BrokenModule)
    assert registry.load("security.group.nowhere") is None
