"""The laws of folding, and what waivers, attestations and baselines do to an item."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.engine.collect import Circumstances, collect, fold, settle_contradictions
from quub_audit.engine.execute import ItemRun, Run
from quub_audit.engine.plan import LeftOut, Plan, PlannedCheck, PlannedItem, Selection
from quub_audit.model.checklist import Checklist, Item
from quub_audit.model.dispensation import Attestation, Attestations, Waiver
from quub_audit.model.environment import Endpoint, Environment
from quub_audit.model.finding import Finding
from quub_audit.model.result import EvidenceReference, ItemResult, Result
from quub_audit.model.status import ExitCode, FindingStatus, Grade, Severity, Status, Verdict
from quub_audit.sdk.declare import Check, check

TODAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ITEM = Item(
    id="security.network.sample",
    title="Sample",
    section="Security",
    group="Network",
    severity=Severity.HIGH,
    checks=("security.network.sample",),
    remediation="Mend it.",
)

statuses = st.sampled_from(FindingStatus)
grades = st.sampled_from(Grade)
findings = st.builds(
    Finding,
    status=statuses,
    subject=st.sampled_from(["api", "web", "db", "cache"]),
    observed=st.just("seen"),
    grade=grades,
    claim=st.sampled_from(["", "encrypted"]),
)


def finding(status: FindingStatus, subject: str = "api", grade: Grade = Grade.LIVE, claim: str = "") -> Finding:
    return Finding(status=status, subject=subject, observed=f"{subject} seen", grade=grade, claim=claim)


PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING


STALE = Finding.undecided(subject="unit", message="unit: a.xml is of another commit", next_step="run the tests again")


def judge(
    *seen: Finding,
    item: Item = ITEM,
    waivers: tuple[Waiver, ...] = (),
    attestations: tuple[Attestation, ...] = (),
    baseline: Result | None = None,
    **circumstances: object,
) -> Result:
    return judge_runs(
        ItemRun(planned=PlannedItem(item=item), findings=seen),
        waivers=waivers,
        attestations=attestations,
        baseline=baseline,
        **circumstances,
    )


def judge_runs(*runs: ItemRun, **circumstances: object) -> Result:
    planned = tuple(run.planned for run in runs)
    plan = Plan(
        checklist=Checklist(title="T", version="1", items=tuple(entry.item for entry in planned), digest="sha256:0"),
        environment=Environment(service="s", name="production", stage="production"),
        items=planned,
        selection=Selection(),
    )
    facts: dict[str, object] = {
        "today": TODAY,
        "started_at": NOON,
        "finished_at": NOON + timedelta(seconds=2),
        "commit": "",
        "tool_version": "0",
        "evidence": EvidenceReference(digest=""),
        **circumstances,
    }
    return collect(plan, Run(items=runs), Circumstances(**facts))  # type: ignore[arg-type]


def judge_item(*seen: Finding, item: Item = ITEM, waivers: tuple[Waiver, ...] = ()) -> ItemResult:
    return judge(*seen, item=item, waivers=waivers).items[0]


def waiver(days: int = 30, subject: str = "", run: bool = True) -> Waiver:
    return Waiver(
        item=ITEM.id,
        reason="migration under way",
        requester="ana",
        approver="bo",
        ticket="REL-1",
        expires=TODAY + timedelta(days=days),
        subject=subject,
        run=run,
    )


def attestation(days: int = 30) -> Attestation:
    return Attestation(
        item=ITEM.id,
        statement="reviewed",
        by="cy",
        performed_on=TODAY - timedelta(days=10),
        expires=TODAY + timedelta(days=days),
        reference="DOC-1",
    )


@given(st.lists(findings))
def test_a_failing_finding_never_leaves_an_item_anything_but_failed(seen: list[Finding]) -> None:
    assert fold(ITEM, [*seen, finding(FAIL)]).status is Status.FAIL


@given(st.lists(findings))
def test_adding_an_error_never_turns_an_item_to_pass(seen: list[Finding]) -> None:
    assert fold(ITEM, [*seen, finding(ERROR)]).status in (Status.FAIL, Status.ERROR)


@given(st.lists(findings))
def test_warnings_fold_to_nothing(seen: list[Finding]) -> None:
    without = [entry for entry in seen if entry.status is not WARNING]
    assert fold(ITEM, seen).status is fold(ITEM, without).status


@given(st.lists(findings), st.randoms())
def test_the_order_of_findings_does_not_matter(seen: list[Finding], random: object) -> None:
    shuffled = list(seen)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold(ITEM, shuffled) == replace(fold(ITEM, seen), reason=fold(ITEM, shuffled).reason)


@given(st.lists(findings), grades)
def test_a_pass_needs_a_passing_finding_at_or_above_the_floor(seen: list[Finding], floor: Grade) -> None:
    item = replace(ITEM, min_evidence=floor)
    if fold(item, seen).status is Status.PASS:
        assert any(entry.status is PASS and entry.grade and entry.grade.rank >= floor.rank for entry in seen)


@given(st.lists(findings))
def test_settling_contradictions_loses_no_finding_and_never_turns_a_fail_to_a_pass(seen: list[Finding]) -> None:
    settled = settle_contradictions(seen)

    assert [entry.subject for entry in settled] == [entry.subject for entry in seen]
    assert all(after.status in (before.status, WARNING) for before, after in zip(seen, settled, strict=True))
    unclaimed = [entry for entry in seen if not entry.claim]
    assert [entry for entry in settled if not entry.claim] == unclaimed


@given(st.lists(findings))
def test_the_highest_grade_of_a_claim_is_never_set_aside(seen: list[Finding]) -> None:
    for before, after in zip(seen, settle_contradictions(seen), strict=True):
        rivals = [
            other.grade.rank
            for other in seen
            if other.grade
            and (other.subject, other.claim) == (before.subject, before.claim)
            and other.status in (PASS, FAIL)
        ]
        if before.grade and before.status in (PASS, FAIL) and before.grade.rank == max(rivals):
            assert after == before


def test_nothing_seen_is_inconclusive_and_blocks() -> None:
    result = judge()

    assert result.items[0].status is Status.INCONCLUSIVE
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.exit_code is ExitCode.INCONCLUSIVE


def test_warnings_alone_are_inconclusive_and_say_what_was_seen() -> None:
    item = judge_item(
        Finding.warning(subject="orders", observed="statistics are an hour old", expected="a day or more"),
        Finding.warning(subject="users", observed="statistics are off"),
    )

    assert item.status is Status.INCONCLUSIVE
    assert item.reason == (
        "nothing could be judged: orders: statistics are an hour old, expected a day or more (and 1 more)"
    )


@given(st.lists(findings, max_size=6))
def test_what_is_undecided_holds_back_a_pass_and_hides_nothing_worse(seen: list[Finding]) -> None:
    fresh = judge(*seen).items[0].status

    item = judge_item(*seen, STALE)

    assert item.status is (Status.INCONCLUSIVE if fresh is Status.PASS else fresh)
    if item.status is Status.INCONCLUSIVE:
        assert (item.reason, item.next_step) == ("unit: a.xml is of another commit", "run the tests again")


def test_a_waiver_may_cover_what_is_undecided_alone() -> None:
    seen = (finding(PASS), STALE)

    assert judge(*seen, waivers=(waiver(subject="unit"),)).items[0].status is Status.WAIVED
    assert judge(*seen, waivers=(waiver(subject="other"),)).items[0].status is Status.INCONCLUSIVE
    assert judge(*seen, finding(FAIL), waivers=(waiver(subject="unit"),)).items[0].status is Status.FAIL


def test_a_word_for_an_attestable_item_settles_what_is_undecided() -> None:
    item = replace(ITEM, attestable=True)

    assert judge(finding(PASS), STALE, item=item, attestations=(attestation(),)).items[0].status is Status.PASS


def test_no_pass_fail_or_error_is_undecided() -> None:
    with pytest.raises(ValueError, match="is a pass, and undecided"):
        replace(finding(PASS), is_undecided=True)


def test_a_pass_below_the_floor_says_where_it_was_seen() -> None:
    item = judge_item(finding(PASS, grade=Grade.REPOSITORY))

    assert item.status is Status.INCONCLUSIVE
    assert item.reason == "seen in the repository only; the checklist asks for control plane evidence"


def test_a_fail_below_the_floor_fails() -> None:
    assert judge_item(finding(FAIL, grade=Grade.REPOSITORY)).status is Status.FAIL


def test_two_subjects_are_wanted_and_one_was_seen() -> None:
    item = judge_item(finding(PASS), item=replace(ITEM, at_least=2))

    assert item.status is Status.INCONCLUSIVE
    assert "only 1 subject was seen, and the checklist asks for 2" in item.reason


def test_one_subject_seen_twice_does_not_make_two() -> None:
    assert judge_item(finding(PASS), finding(PASS), item=replace(ITEM, at_least=2)).status is Status.INCONCLUSIVE


def test_the_running_system_outweighs_the_repository_and_the_drift_is_said() -> None:
    item = judge_item(
        finding(FAIL, grade=Grade.REPOSITORY, claim="encrypted"), finding(PASS, grade=Grade.LIVE, claim="encrypted")
    )

    assert item.status is Status.PASS
    assert item.of_status(WARNING)[0].message.startswith("drift: the repository says")


def test_findings_without_the_same_claim_do_not_contradict_each_other() -> None:
    item = judge_item(finding(FAIL, grade=Grade.REPOSITORY), finding(PASS, grade=Grade.LIVE))

    assert item.status is Status.FAIL


@pytest.mark.parametrize(("days", "status"), [(1, Status.WAIVED), (0, Status.WAIVED), (-1, Status.FAIL)])
def test_a_waiver_holds_on_its_last_day_and_not_on_the_next(days: int, status: Status) -> None:
    assert judge_item(finding(FAIL), waivers=(waiver(days),)).status is status


def test_an_expired_waiver_is_named_on_its_item_and_in_the_notices() -> None:
    result = judge(finding(FAIL), waivers=(waiver(-1),))

    assert result.items[0].expired_waiver == waiver(-1)
    assert "REL-1 expired on 2026-11-22" in result.items[0].reason
    assert [notice.kind for notice in result.notices] == ["waiver-expired"]


def test_a_waiver_that_covers_nothing_is_listed_as_unused() -> None:
    assert [notice.kind for notice in judge(finding(PASS), waivers=(waiver(),)).notices] == ["waiver-unused"]


@pytest.mark.parametrize(("days", "kinds"), [(15, []), (14, ["waiver-ending"]), (0, ["waiver-ending"])])
def test_a_waiver_is_announced_within_14_days_of_its_end(days: int, kinds: list[str]) -> None:
    assert [notice.kind for notice in judge(finding(FAIL), waivers=(waiver(days),)).notices] == kinds


def test_a_waived_item_keeps_what_it_would_have_been() -> None:
    item = judge_item(finding(FAIL), waivers=(waiver(),))

    assert (item.status, item.waived_from, item.blocks) == (Status.WAIVED, Status.FAIL, False)


def test_a_waiver_for_one_subject_does_not_cover_another() -> None:
    seen = (finding(FAIL, "api"), finding(FAIL, "web"))

    assert judge_item(*seen, waivers=(waiver(subject="api"),)).status is Status.FAIL
    assert judge_item(*seen, waivers=(waiver(subject="api"), waiver(subject="web"))).status is Status.WAIVED


def test_an_item_that_is_not_waivable_stays_failed() -> None:
    assert judge_item(finding(FAIL), item=replace(ITEM, waivable=False), waivers=(waiver(),)).status is Status.FAIL


def test_an_attestation_passes_only_where_the_checklist_takes_a_persons_word() -> None:
    admitted = judge(item=replace(ITEM, attestable=True), attestations=(attestation(),)).items[0]
    refused = judge(attestations=(attestation(),)).items[0]

    assert (admitted.status, admitted.best_evidence) == (Status.PASS, Grade.HUMAN)
    assert admitted.attestation == attestation()
    assert refused.status is Status.INCONCLUSIVE
    assert "the attestation of cy cannot pass it" in refused.reason


def test_an_attestation_alone_passes_no_item_whose_check_weighs_attestations() -> None:
    @check("Weighs them", each=Environment)
    def weighs(subject: Environment, attestations: Attestations) -> None: ...

    planned = PlannedItem(
        item=replace(ITEM, attestable=True, min_evidence=Grade.HUMAN),
        checks=(PlannedCheck(check=weighs.__quub_check__, parameters=None),),  # type: ignore[attr-defined]
    )
    unsatisfied = judge_runs(ItemRun(planned=planned), attestations=(attestation(),)).items[0]
    satisfied = judge_runs(
        ItemRun(planned=planned, findings=(replace(finding(PASS), grade=Grade.HUMAN),)), attestations=(attestation(),)
    ).items[0]

    assert (unsatisfied.status, unsatisfied.attestation) == (Status.INCONCLUSIVE, None)
    assert (satisfied.status, satisfied.attestation) == (Status.PASS, attestation())


@pytest.mark.parametrize("seen", [FAIL, ERROR])
def test_an_attestation_never_outweighs_what_was_observed(seen: FindingStatus) -> None:
    item = judge(finding(seen), item=replace(ITEM, attestable=True), attestations=(attestation(),)).items[0]

    assert item.status in (Status.FAIL, Status.ERROR)
    assert item.attestation is None


def test_an_expired_attestation_says_nothing() -> None:
    result = judge(item=replace(ITEM, attestable=True), attestations=(attestation(-1),))

    assert result.items[0].status is Status.INCONCLUSIVE
    assert [notice.kind for notice in result.notices] == ["attestation"]


@pytest.mark.parametrize(
    ("item", "fail_on", "exit_code"),
    [
        (ITEM, Severity.LOW, ExitCode.NOT_READY),
        (replace(ITEM, blocking=False), Severity.LOW, ExitCode.READY),
        (ITEM, Severity.HIGH, ExitCode.NOT_READY),
        (ITEM, Severity.CRITICAL, ExitCode.READY),
    ],
)
def test_only_blocking_items_at_or_above_fail_on_block(item: Item, fail_on: Severity, exit_code: ExitCode) -> None:
    result = judge(finding(FAIL), item=item, fail_on=fail_on)

    assert result.exit_code is exit_code
    assert result.items[0].status is Status.FAIL


@given(st.lists(findings), st.sampled_from(["all", "new", "none"]))
def test_the_counts_add_up_and_ready_means_that_nothing_blocks(seen: list[Finding], gate: str) -> None:
    result = judge(*seen, gate=gate)

    assert sum(result.summary.values()) == len(result.items)
    assert (result.verdict is Verdict.READY) == (not result.blocking_items)
    if gate == "all" and result.exit_code is ExitCode.READY:
        assert result.items[0].status in (Status.PASS, Status.WAIVED)


def test_gate_new_lets_through_what_was_as_bad_before_and_stops_what_is_worse() -> None:
    before = judge(finding(FAIL, "api"))

    same = judge(finding(FAIL, "api"), gate="new", baseline=before)
    worse = judge(finding(FAIL, "api"), finding(FAIL, "web"), gate="new", baseline=before)
    fixed = judge(finding(PASS, "api"), gate="new", baseline=before)

    assert (same.items[0].change, same.exit_code) == ("same", ExitCode.READY)
    assert (worse.items[0].change, worse.exit_code) == ("worse", ExitCode.NOT_READY)
    assert (fixed.items[0].change, fixed.exit_code) == ("fixed", ExitCode.READY)


def test_gate_new_stops_an_item_that_the_baseline_does_not_know() -> None:
    stranger = replace(ITEM, id="security.network.other")

    assert judge(finding(FAIL), gate="new", baseline=judge(finding(PASS), item=stranger)).exit_code == 1


def test_gate_none_exits_0_and_still_tells_the_verdict() -> None:
    result = judge(finding(FAIL), gate="none")

    assert (result.exit_code, result.verdict) == (ExitCode.READY, Verdict.NOT_READY)
    assert [notice.kind for notice in result.notices] == ["gate"]


def test_a_run_that_was_cut_short_is_never_ready() -> None:
    item = replace(ITEM, blocking=False)
    run = ItemRun(planned=PlannedItem(item=item), unfinished="the run's 5 s were used up")
    plan = Plan(
        checklist=Checklist(title="T", version="1", items=(item,), digest=""),
        environment=Environment(service="s", name="production", stage="production"),
        items=(run.planned,),
        selection=Selection(),
    )
    circumstances = Circumstances(
        today=TODAY,
        started_at=NOON,
        finished_at=NOON,
        commit="",
        tool_version="0",
        evidence=EvidenceReference(digest=""),
    )

    cut = collect(plan, Run(items=(run,), is_cut_short=True), circumstances)
    interrupted = collect(plan, Run(items=(run,), is_interrupted=True), circumstances)

    assert cut.exit_code is ExitCode.INCONCLUSIVE
    assert cut.items[0].status is Status.ERROR
    assert cut.items[0].reason == "not finished: the run's 5 s were used up"
    assert interrupted.exit_code is ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    ("statuses", "headline"),
    [
        ([PASS], "Ready: nothing of 1 item blocks this release"),
        ([FAIL], "Not ready: 1 blocking item failed"),
        ([FAIL, FAIL, ERROR], "Not ready: 2 blocking items failed, and 1 could not be decided"),
        ([PASS, ERROR, ERROR], "Inconclusive: no blocking item failed, but 2 could not be decided"),
    ],
)
@pytest.mark.parametrize("is_more_failing", [False, True])
def test_the_headline_counts_what_blocks(
    statuses: list[FindingStatus], headline: str, *, is_more_failing: bool
) -> None:
    items = [replace(ITEM, id=f"{ITEM.id}-{number}") for number in range(len(statuses))]
    runs = [
        ItemRun(planned=PlannedItem(item=item), findings=(finding(status),))
        for item, status in zip(items, statuses, strict=True)
    ]
    if is_more_failing:
        harmless = replace(ITEM, id="security.network.harmless", blocking=False)
        runs.append(ItemRun(planned=PlannedItem(item=harmless), findings=(finding(FAIL),)))

    result = judge_runs(*runs)

    assert result.headline == headline.replace("of 1 item", "of 2 items" if is_more_failing else "of 1 item")


CHECK = Check(
    name="sample",
    title="Sample",
    each=Endpoint,
    function=lambda subject: None,
    permissions=(),
    needs=(),
    grade=Grade.LIVE,
    is_active=False,
)


def left_out(*missing: str) -> LeftOut:
    return LeftOut(check=CHECK, why=f"the environment declares no {' and '.join(missing)}", missing_kinds=missing)


def test_an_item_that_nothing_could_be_asked_for_says_the_least_to_declare() -> None:
    planned = PlannedItem(
        item=ITEM, left_out=(left_out("aws", "quub"), left_out("quub"), left_out("aws"), left_out("logs"))
    )

    (item,) = judge_runs(ItemRun(planned=planned)).items

    assert item.reason == "nothing could be looked at: the environment declares no `quub:` or `aws:` or `logs:`"
    assert item.next_step == (
        "declare `quub:` or `aws:` or `logs:` in environments.yaml, or say under `not_applicable:` why there is nothing"
    )


def test_an_item_whose_other_checks_found_nothing_says_what_to_declare_too() -> None:
    checks = (PlannedCheck(check=CHECK, parameters=None),)

    (item,) = judge_runs(ItemRun(planned=PlannedItem(item=ITEM, checks=checks, left_out=(left_out("aws"),)))).items

    assert item.reason == "nothing to look at was found, and the environment declares no `aws:`"
    assert item.next_step == "declare `aws:` in environments.yaml, or say under `not_applicable:` why there is nothing"


def test_an_error_never_asks_for_something_to_be_declared() -> None:
    assert judge_item(finding(ERROR)).next_step == "mend what kept it from being asked, and run the audit again"


def test_what_would_settle_an_error_is_not_taken_for_what_mends_a_failure() -> None:
    seen = (finding(FAIL), replace(finding(ERROR, "web"), next_step="grant it"))

    assert judge_item(*seen).next_step == "Mend it."
