"""All that a check may import, beside the standard library and the parser libraries of its domain.

A check module holds a parameters model and one function per way to prove the item:

    @check("Endpoints refuse protocols below the floor", each=Endpoint)
    def endpoint(subject: Endpoint, http: Http, tls: Tls, wanted: TlsParameters) -> Iterator[Finding]: ...

The engine enumerates the subjects, fills the other arguments by their types, and turns whatever the
connectors raise into an error for that subject alone. No subject, or no finding, is inconclusive.
Names in annotations must exist at run time: no `if TYPE_CHECKING` imports.
"""

from quub_audit.facts.asking import (
    Aws,
    Clock,
    Http,
    Identity,
    Logs,
    Postgres,
    Prometheus,
    Redis,
    Repositories,
    Tcp,
    Telemetry,
    Tls,
    Vault,
)
from quub_audit.facts.code import (
    Assignment,
    Assignments,
    CodeFile,
    Head,
    LeakedSecret,
    Match,
    Pattern,
    Search,
    SecretScan,
    Text,
)
from quub_audit.facts.http import Cookie, HttpAnswer, Reach
from quub_audit.facts.identity import Organisation, Person, Realm, RefreshTrial, Token, Tokens
from quub_audit.facts.logs import LogSample, PiiKind, Sighting
from quub_audit.facts.prometheus import Receiver, Rule, Sample, ScrapeTarget, Silence
from quub_audit.facts.redis import KeyClass, KeySample, RedisNode, RedisTopology, RedisTraffic
from quub_audit.facts.seal import Fingerprint
from quub_audit.facts.telemetry import Traces, TrackedProject
from quub_audit.facts.tls import OLDEST_FIRST, Certificate, Deployment, Protocol, TlsScan
from quub_audit.facts.vault import SecretVersion, VaultSecret
from quub_audit.model.environment import (
    Account,
    AlertmanagerServer,
    ApmBackend,
    BackupBucket,
    Cache,
    Database,
    Endpoint,
    Environment,
    ErrorTracker,
    IdentityProvider,
    LogSource,
    PrometheusServer,
    Quub,
    Region,
    Repository,
    SecretReference,
    VaultServer,
)
from quub_audit.model.finding import Finding, Location
from quub_audit.model.status import FindingStatus, Grade
from quub_audit.sdk.addresses import EndpointAddress, endpoint_addresses
from quub_audit.sdk.backups import BackupPlan, backup_plans, database_clusters, database_instances
from quub_audit.sdk.cognito import UserPool, UserPoolClient, user_pool_clients, user_pools
from quub_audit.sdk.declare import Check, Parameters, Subjects, check, subjects
from quub_audit.sdk.load_balancers import (
    Distribution,
    Listener,
    LoadBalancer,
    distributions,
    listeners,
    load_balancers,
)
from quub_audit.sdk.security_groups import Exposure, exposures, prefix_list_reader, security_groups, widest
from quub_audit.sdk.unread import unread
from quub_audit.sdk.wording import cut

__all__ = [
    "OLDEST_FIRST",
    "Account",
    "AlertmanagerServer",
    "ApmBackend",
    "Assignment",
    "Assignments",
    "Aws",
    "BackupBucket",
    "BackupPlan",
    "Cache",
    "Certificate",
    "Check",
    "Clock",
    "CodeFile",
    "Cookie",
    "Database",
    "Deployment",
    "Distribution",
    "Endpoint",
    "EndpointAddress",
    "Environment",
    "ErrorTracker",
    "Exposure",
    "Finding",
    "FindingStatus",
    "Fingerprint",
    "Grade",
    "Head",
    "Http",
    "HttpAnswer",
    "Identity",
    "IdentityProvider",
    "KeyClass",
    "KeySample",
    "LeakedSecret",
    "Listener",
    "LoadBalancer",
    "Location",
    "LogSample",
    "LogSource",
    "Logs",
    "Match",
    "Organisation",
    "Parameters",
    "Pattern",
    "Person",
    "PiiKind",
    "Postgres",
    "Prometheus",
    "PrometheusServer",
    "Protocol",
    "Quub",
    "Reach",
    "Realm",
    "Receiver",
    "Redis",
    "RedisNode",
    "RedisTopology",
    "RedisTraffic",
    "RefreshTrial",
    "Region",
    "Repositories",
    "Repository",
    "Rule",
    "Sample",
    "ScrapeTarget",
    "Search",
    "SecretReference",
    "SecretScan",
    "SecretVersion",
    "Sighting",
    "Silence",
    "Subjects",
    "Tcp",
    "Telemetry",
    "Text",
    "Tls",
    "TlsScan",
    "Token",
    "Tokens",
    "Traces",
    "TrackedProject",
    "UserPool",
    "UserPoolClient",
    "Vault",
    "VaultSecret",
    "VaultServer",
    "backup_plans",
    "check",
    "cut",
    "database_clusters",
    "database_instances",
    "distributions",
    "endpoint_addresses",
    "exposures",
    "listeners",
    "load_balancers",
    "prefix_list_reader",
    "security_groups",
    "subjects",
    "unread",
    "user_pool_clients",
    "user_pools",
    "widest",
]
