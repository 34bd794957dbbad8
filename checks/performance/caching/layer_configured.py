"""The cache answers, lets in nobody unknown, speaks TLS alone, survives a server, and holds no more than it may.

Pass          each declared cache answers; it refuses whoever has no password, and plaintext; in production it has replicas that are in step, or `min_nodes` servers where it is a cluster whose slots are all served; its memory is bounded, and it evicts as fits its purpose
Fail          anybody is let in; TLS is not declared, or another port of the server takes plaintext; one server alone serves production; slots of a cluster are not served, or one of its servers does not answer; a replica is not in step; the memory is not bounded; a cache evicts nothing, or sessions and jobs are evicted; of the replication group: no automatic failover, one zone, encryption in transit absent or only preferred, neither token nor users
Inconclusive  no cache is declared; in production, nothing that is declared promotes the replica of a single server when that fails; a server with TLS listens for plaintext on a port that cannot be reached from here
Error         the cache cannot be reached or denies what is asked; a declared replication group is in no declared region
Needs         Redis ACL: `+ping +info +cluster|info +cluster|shards +cluster|slots +config|get`; where `replication_group` is declared `elasticache:DescribeReplicationGroups`
Source        the guide, Caching; OWASP ASVS v5.0.0-12.3.1; AWS Well-Architected, REL 10 and PERF 3

Warned of: a server that nobody but the audit is connected to, as a standby is, and a replica that could not be asked, of which its primary tells.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from quub_audit.checks.performance.caching._groups import OF_GROUPS, absent_group, find_group
from quub_audit.sdk import (
    Aws,
    Cache,
    Environment,
    Finding,
    Grade,
    Parameters,
    Reach,
    Redis,
    RedisTopology,
    Tcp,
    check,
    cut,
)

ALL_SLOTS = 16384
"""Slots of a cluster: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/"""

TLS_ALONE = "TLS alone, with a certificate that is trusted"


class LayerParameters(Parameters):
    """What the checklist may set under `with:`."""

    min_nodes: int = Field(default=3, ge=1)
    """Servers per cluster in production; keys are spread over them. The guide: three."""

    min_replicas: int = Field(default=1, ge=0)
    """Replicas in step per primary in production, where it is no cluster. House rule."""

    min_zones: int = Field(default=2, ge=1)
    """Availability zones per replication group in production. AWS Well-Architected, REL 10."""

    tls: bool = True
    """Whether TLS is required."""

    auth: bool = True
    """Whether whoever comes without a password must be refused."""

    promoted_by: str = ""
    """What promotes a replica of a single server when that fails (`Azure`, `an operator`), where neither sentinels nor a replication group are declared; shown in the report."""  # noqa: E501  one paragraph of the page


@check("Caches answer, keep strangers out, and are whole and bounded", each=Cache)
def server(
    subject: Cache, redis: Redis, tcp: Tcp, environment: Environment, wanted: LayerParameters
) -> Iterator[Finding]:
    """What INFO says, what a connection without password and one without TLS come to."""
    topology = redis.topology(subject)
    yield from judge_access(subject, topology, wanted)
    is_production = environment.stage == "production"
    yield from judge_nodes(subject, topology, wanted, is_production=is_production)
    if is_production:
        yield from judge_promotion(subject, topology, wanted)
    yield from judge_memory(subject, topology)
    yield from judge_clients(subject, topology)
    if wanted.tls and topology.is_tls:
        for address, port in sorted((redis.config(subject, "port") or {}).items()):
            if port.isdigit() and int(port):
                reach = tcp.reach(address.rpartition(":")[0].strip("[]"), int(port))
                yield judge_second_port(subject, address, int(port), reach)


@check(
    "The replication group fails over between zones and lets nobody in without TLS and a token",
    each=Cache,
    grade=Grade.CONTROL_PLANE,
    permissions=OF_GROUPS,
)
def replication_group(subject: Cache, aws: Aws, environment: Environment, wanted: LayerParameters) -> Iterator[Finding]:
    """What ElastiCache says of the group that the cache names; nothing where it names none."""
    if not subject.replication_group:
        return
    found = find_group(subject, aws, environment)
    if found is None:
        yield absent_group(subject)
    else:
        yield judge_group(found[1], wanted, is_production=environment.stage == "production")


def judge_access(cache: Cache, topology: RedisTopology, wanted: LayerParameters) -> Iterator[Finding]:
    """Who gets in, and by what."""
    name = cache.name
    if wanted.auth and topology.is_anonymous_refused is None:
        yield Finding.error(subject=name, message=f"{name}: whether it lets in anybody could not be tried")
    elif wanted.auth:
        yield Finding.of(
            topology.is_anonymous_refused is True,
            subject=name,
            observed="whoever has no password is " + ("refused" if topology.is_anonymous_refused else "let in"),
            expected="whoever has no password is refused",
        )
    if not wanted.tls:
        return
    if topology.is_tls and topology.is_plaintext_refused is None:
        yield Finding.error(subject=name, message=f"{name}: whether it takes plaintext could not be tried")
        return
    observed = TLS_ALONE if topology.is_plaintext_refused else "the same port answers without TLS"
    yield Finding.of(
        topology.is_tls and topology.is_plaintext_refused is True,
        subject=name,
        observed=observed if topology.is_tls else "it is used without TLS",
        expected=TLS_ALONE,
    )


def judge_second_port(cache: Cache, address: str, port: int, reach: Reach) -> Finding:
    """A server with TLS that listens on a port without, too; undecided where it cannot be reached from here."""
    if reach is Reach.OPEN:
        return Finding.of(
            False, subject=cache.name, observed=f"{address} takes plaintext on port {port}", expected="`port 0`"
        )
    return Finding.undecided(
        subject=cache.name,
        observed=f"{address} listens for plaintext on port {port}, which cannot be reached from here",
        expected="`port 0`",
        next_step=f"set `port 0` on {address}, or audit from where its clients run",
    )


def judge_nodes(
    cache: Cache, topology: RedisTopology, wanted: LayerParameters, *, is_production: bool
) -> Iterator[Finding]:
    """Whether the cache survives the loss of a server. Outside production one server that answers is enough."""
    primaries = [node for node in topology.nodes if node.role == "master"]
    faults = [f"{address} does not answer" for address, _ in topology.silent if cache.mode == "cluster"]
    if not primaries:
        faults.append("there is no primary")
    if cache.mode == "cluster" and (topology.cluster_state, topology.cluster_slots_ok) != ("ok", ALL_SLOTS):
        faults.append(
            f"the cluster's state is {topology.cluster_state or 'unknown'}, {topology.cluster_slots_ok} slots ok"
        )
    faults.extend(
        f"the replica {node.address} is not in step"
        for node in topology.nodes
        if node.role == "slave" and node.info.get("master_link_status") != "up"
    )
    if is_production and cache.mode == "cluster" and len(topology.nodes) < wanted.min_nodes:
        faults.append(f"{_count(len(topology.nodes), 'server')}, expected {wanted.min_nodes}")
    if is_production and cache.mode != "cluster":
        faults.extend(
            f"{node.address} has {_count(replicas, 'replica')} in step, expected {wanted.min_replicas}"
            for node in primaries
            if (replicas := replicas_in_step(node.info)) < wanted.min_replicas
        )
    yield Finding.of(
        not faults,
        subject=cache.name,
        observed=cut(faults)
        if faults
        else f"{version_of(topology)}, {_count(len(topology.nodes), 'server')}, all in step",
        expected="servers that answer, in step, one more than is needed",
    )
    # Replicas of ElastiCache are named by addresses that no certificate bears; their primary says whether they are up.
    if cache.mode != "cluster" and not cache.replication_group:
        for address, why in topology.silent:
            yield Finding.warning(
                subject=cache.name, observed=f"{address} could not be asked: {why}", expected="every server answers"
            )


def judge_promotion(cache: Cache, topology: RedisTopology, wanted: LayerParameters) -> Iterator[Finding]:
    """Undecided where nothing that is known promotes a replica: then the cache is gone with its primary."""
    if cache.mode != "single" or cache.replication_group or len(topology.nodes) < 2:
        return
    expected = "sentinels, a cluster, or a replication group"
    if wanted.promoted_by:
        observed = f"a replica is promoted by {wanted.promoted_by}, as the checklist says"
        yield Finding.warning(subject=cache.name, observed=observed, expected=expected)
        return
    yield Finding.undecided(
        subject=cache.name,
        observed="nothing that is declared promotes a replica when the primary fails",
        expected=expected,
        next_step=f"declare sentinels or the replication group of caches.{cache}, or say what does it in `promoted_by`",
    )


def version_of(topology: RedisTopology) -> str:
    """`Redis 7.0.15`, `Valkey 8.1.0`, as the first server says."""
    info = topology.nodes[0].info
    if info.get("server_name") == "valkey":
        return f"Valkey {info.get('valkey_version', 'of an unknown version')}"
    return f"Redis {info.get('redis_version', 'of an unknown version')}"


def replicas_in_step(info: Mapping[str, str]) -> int:
    """Replicas that the primary itself sees online."""
    return sum(
        1 for name, value in info.items() if name[:5] == "slave" and name[5:].isdigit() and "state=online" in value
    )


def judge_memory(cache: Cache, topology: RedisTopology) -> Iterator[Finding]:
    """Whether a primary's memory ends somewhere, and what is given up then. A managed service bounds it itself."""
    for node in topology.nodes:
        if node.role != "master":
            continue
        policy = node.info.get("maxmemory_policy", "")
        bound = node.info.get("maxmemory", "")
        if not policy or not bound.isdigit():
            yield Finding.error(subject=cache.name, message=f"{cache}: INFO of {node.address} tells no bound of memory")
            continue
        faults = []
        if int(bound) == 0 and not cache.replication_group:
            faults.append("its memory is not bounded")
        if not is_fit(policy, cache.purpose):
            faults.append(f"the policy is {policy}")
        expected = "noeviction" if cache.purpose != "cache" else "allkeys-* or volatile-*"
        told = f"maxmemory is {int(bound)} bytes, the policy {policy}"
        yield Finding.of(
            not faults,
            subject=cache.name,
            observed=f"{node.address}: {cut(faults) if faults else told}",
            expected=f"maxmemory above 0, the policy {expected} for {cache.purpose}",
        )


def is_fit(policy: str, purpose: str) -> bool:
    """A cache may lose what it holds, sessions and jobs must not."""
    return policy.startswith(("allkeys-", "volatile-")) if purpose == "cache" else policy == "noeviction"


def judge_clients(cache: Cache, topology: RedisTopology) -> Iterator[Finding]:
    """A warning where no primary has a client but the audit."""
    counts = [node.info.get("connected_clients", "") for node in topology.nodes if node.role == "master"]
    if counts and all(count.isdigit() and int(count) <= 1 for count in counts):
        yield Finding.warning(
            subject=cache.name,
            observed="nobody but the audit is connected to it",
            expected="connections of the service, when this is the cache that it uses",
        )


def judge_group(group: Mapping[str, Any], wanted: LayerParameters, *, is_production: bool) -> Finding:
    """One replication group as `DescribeReplicationGroups` shows it."""
    members = [member for shard in group.get("NodeGroups", ()) for member in shard.get("NodeGroupMembers", ())]
    zones = {member["PreferredAvailabilityZone"] for member in members if member.get("PreferredAvailabilityZone")}
    faults = []
    if group.get("Status") not in ("available", "modifying", "snapshotting"):
        faults.append(f"its status is {group.get('Status') or 'unknown'}")
    if is_production and group.get("AutomaticFailover") != "enabled":
        faults.append("automatic failover is not enabled")
    is_spread = len(zones) >= wanted.min_zones or (not zones and group.get("MultiAZ") == "enabled")
    if is_production and not is_spread:
        faults.append(f"{_count(len(zones), 'zone')}, expected {wanted.min_zones}")
    if wanted.tls and not group.get("TransitEncryptionEnabled"):
        faults.append("encryption in transit is off")
    elif wanted.tls and group.get("TransitEncryptionMode") == "preferred":
        faults.append("encryption in transit is only preferred, so plaintext is taken")
    if wanted.auth and not (group.get("AuthTokenEnabled") or group.get("UserGroupIds")):
        faults.append("it has neither a token nor a user group")
    return Finding.of(
        not faults,
        subject=str(group.get("ARN") or group["ReplicationGroupId"]),
        observed=cut(faults) if faults else f"failover between {_count(len(zones), 'zone')}, TLS and authentication",
        expected="automatic failover between zones, TLS required, a token or users",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
