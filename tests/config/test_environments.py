"""environments.yaml: what it says, and each mistake with its place."""
# ruff: noqa: E501  each message is a line

from __future__ import annotations

import glob
import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.evidence import read_bundle, write_bundle
from quub_audit.errors import ConfigurationError, UsageError
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import (
    AlertmanagerServer,
    ApmBackend,
    BackupBucket,
    Cache,
    CriticalPath,
    Database,
    ErrorTracker,
    Flow,
    IdentityProvider,
    LogSource,
    PrometheusServer,
    Region,
    Testing,
)
from quub_audit.model.environment import TestClient as ProbeClient
from quub_audit.registry import Registry
from tests.config.folder import SMALLEST, Folder

AWS = """\
    aws:
      - name: production
        account_id: "111122223333"
        regions: [eu-central-1]
"""
KNOWN = (
    "advisories, alertmanager, apm, artifacts, aws, backups, caches, databases, endpoints, error_tracking or 10 more"
)


def below(text: str) -> str:
    """The smallest file with `text` below its environment; its lines are counted from 5."""
    return SMALLEST + "".join(f"    {line}\n" for line in text.strip("\n").splitlines())


MISTAKES = {
    "an unknown key at the top": (
        SMALLEST + "enviroments: {}\n",
        ["environments.yaml:5:1: enviroments: unknown key; did you mean environments?"],
    ),
    "no service": (
        "environments: {production: {stage: production}}\n",
        ["environments.yaml:1:1: service: missing, expected one line of text"],
    ),
    "a service that is a number": (
        SMALLEST.replace("orders", "42"),
        ["environments.yaml:1:10: service: the number 42, expected one line of text: put it in quotes"],
    ),
    "no environment": (
        "service: s\nenvironments: {}\n",
        ["environments.yaml:2:1: environments: an empty mapping, expected at least one entry"],
    ),
    "environments that are nothing": (
        "service: s\nenvironments:\n",
        ["environments.yaml:2:14: environments: nothing, expected at least one entry"],
    ),
    "an environment's name with a space": (
        SMALLEST + "  blue green: {stage: staging}\n",
        ['environments.yaml:5:3: ["blue green"]: "blue green", expected a name of letters, digits, dots and hyphens'],
    ),
    "an environment that is a text": (
        SMALLEST + "  staging: later\n",
        ['environments.yaml:5:12: staging: "later", expected a mapping'],
    ),
    "no stage": (
        SMALLEST + "  staging: {}\n",
        ["environments.yaml:5:3: staging.stage: missing, expected production, staging or development"],
    ),
    "an unknown stage": (
        SMALLEST.replace("stage: production", "stage: prod"),
        [
            'environments.yaml:4:12: production.stage: "prod", expected production, staging or development; did you mean production?'
        ],
    ),
    "a kind of target that this version does not know": (
        below("kubernetes: {context: prod}"),
        [f"environments.yaml:5:5: production.kubernetes: unknown key, expected {KNOWN}"],
    ),
    "an account id that YAML may take for an octal number": (
        below("aws: {account_id: 012345678901, regions: [eu-central-1]}"),
        [
            "environments.yaml:5:23: production.aws.account_id: 012345678901, which YAML readers understand differently, expected 12 digits in quotes"
        ],
    ),
    "an account id without quotes": (
        below("aws: {account_id: 111122223333, regions: [eu-central-1]}"),
        ["environments.yaml:5:23: production.aws.account_id: the number 111122223333, expected 12 digits in quotes"],
    ),
    "an account id of 11 digits": (
        below('aws: [{account_id: "11112222333", regions: [eu-central-1]}]'),
        ["environments.yaml:5:24: production.aws[0].account_id: 11 digits, expected 12 digits in quotes"],
    ),
    "an unknown key of an account": (
        below('aws: {account_id: "111122223333", regions: [eu-central-1], region: eu-west-1}'),
        ["environments.yaml:5:64: production.aws.region: unknown key; did you mean regions?"],
    ),
    "no region, one of another form, and one twice": (
        below(
            """
aws:
  - {name: a, account_id: "111122223333", regions: []}
  - {name: b, account_id: "111122223334", regions: [eu-central, eu-west-1]}
  - {name: c, account_id: "111122223335", regions: [eu-west-1, us-gov-west-1, eu-west-1]}
"""
        ),
        [
            "environments.yaml:6:47: production.aws[0].regions: an empty list, expected a list of texts, at least one",
            'environments.yaml:7:57: production.aws[1].regions[0]: "eu-central", expected a region such as eu-central-1',
            "environments.yaml:8:83: production.aws[2].regions[2]: the same value twice, expected each once",
        ],
    ),
    "a role of another account": (
        below(
            """
aws:
  account_id: "111122223333"
  regions: [eu-central-1]
  role_arn: arn:aws:iam::444455556666:role/audit
"""
        ),
        [
            "environments.yaml:8:17: production.aws.role_arn: a role of another account, expected one of the account in account_id"
        ],
    ),
    "a user instead of a role": (
        below('aws: {account_id: "111122223333", regions: [eu-west-1], role_arn: "arn:aws:iam::111122223333:user/x"}'),
        [
            'environments.yaml:5:71: production.aws.role_arn: "arn:aws:iam::111122223333:user/x", expected the ARN of a role such as arn:aws:iam::111122223333:role/audit'
        ],
    ),
    "a boolean of YAML 1.1": (
        below('aws: {account_id: "111122223333", regions: [eu-west-1], read_secret_values: yes}'),
        ['environments.yaml:5:81: production.aws.read_secret_values: "yes", expected true or false'],
    ),
    "two accounts without names": (
        below(
            'aws: [{account_id: "111122223333", regions: [eu-west-1]}, {name: b, account_id: "111122223334", regions: [eu-west-1]}]'
        ),
        ["environments.yaml:5:11: production.aws[0].name: missing, expected a name, since there are several"],
    ),
    "a name twice in one environment": (
        below("endpoints: [{name: a, url: 'https://a.test'}, {name: a, url: 'https://b.test'}]"),
        ["environments.yaml:5:58: production.endpoints[1].name: the name is there twice, first at endpoints[0]"],
    ),
    "addresses of endpoints": (
        below(
            """
endpoints:
  - {name: a, url: http://a.test}
  - {name: b, url: https://b.test/path}
  - {name: c, url: "https://c.test:70000"}
  - {name: d, url: "https://user@d.test"}
  - {name: e, url: "https://e.test?x=1"}
  - {name: f, url: wss://}
  - {name: g, url: "https://g.test:0"}
"""
        ),
        [
            f'environments.yaml:{line}:24: production.endpoints[{line - 6}].url: "{url}", expected an address such as https://orders.example.com, without a path'
            for line, url in enumerate(
                [
                    "http://a.test",
                    "https://b.test/path",
                    "https://c.test:70000",
                    "https://user@d.test",
                    "https://e.test?x=1",
                    "wss://",
                    "https://g.test:0",
                ],
                start=6,
            )
        ],
    ),
    "details of an endpoint": (
        below(
            """
endpoints:
  - name: api
    url: https://api.test
    audience: browsers
    paths: [health]
    connect_to: 10.0.0.1
    connect_to_plain: "10.0.0.1:99999"
    closed_ports: [0, 70000, "22", 3.5]
"""
        ),
        [
            'environments.yaml:8:19: production.endpoints[0].audience: "browsers", expected api or browser; did you mean browser?',
            'environments.yaml:9:17: production.endpoints[0].paths[0]: "health", expected a path such as /health',
            'environments.yaml:10:21: production.endpoints[0].connect_to: "10.0.0.1", expected a host and port such as 203.0.113.7:443',
            'environments.yaml:11:27: production.endpoints[0].connect_to_plain: "10.0.0.1:99999", expected a host and port such as 203.0.113.7:443',
            "environments.yaml:12:24: production.endpoints[0].closed_ports[0]: the number 0, expected a whole number from 1 to 65535",
            "environments.yaml:12:27: production.endpoints[0].closed_ports[1]: the number 70000, expected a whole number from 1 to 65535",
            'environments.yaml:12:34: production.endpoints[0].closed_ports[2]: "22", expected a whole number from 1 to 65535',
            "environments.yaml:12:40: production.endpoints[0].closed_ports[3]: the number 3.5, expected a whole number from 1 to 65535",
        ],
    ),
    "a list that is a mapping": (
        below("endpoints: {name: a, url: 'https://a.test'}"),
        ["environments.yaml:5:5: production.endpoints: a mapping, expected a list of mappings, at least one"],
    ),
    "networks": (
        below("quub: {egress: [203.0.113.10, 10.0.0.1/8, 10.0.0.0/40, 10.0.0.0/8, 10.0.0.0/8]}"),
        [
            f'environments.yaml:5:{column}: production.quub.egress[{index}]: "{text}", expected a network such as 203.0.113.10/32 or 203.0.113.0/24'
            for index, (column, text) in enumerate([(21, "203.0.113.10"), (35, "10.0.0.1/8"), (47, "10.0.0.0/40")])
        ],
    ),
    "a network twice": (
        below("quub: {egress: [10.0.0.0/8, 10.0.0.0/8]}"),
        ["environments.yaml:5:33: production.quub.egress[1]: the same value twice, expected each once"],
    ),
    "addresses of Quub": (
        below("quub: {api_url: 'wss://api.quub.fi', ws_url: 'https://ws.quub.fi', probe_path: v1/account}"),
        [
            'environments.yaml:5:21: production.quub.api_url: "wss://api.quub.fi", expected an address such as https://api.quub.fi',
            'environments.yaml:5:50: production.quub.ws_url: "https://ws.quub.fi", expected an address such as wss://ws.quub.fi',
            'environments.yaml:5:84: production.quub.probe_path: "v1/account", expected a path such as /health',
        ],
    ),
    "secrets that do not fit their store": (
        below(
            """
quub:
  secrets:
    - {store: vault, name: quub}
    - {store: vault, name: secret/quub, region: eu-central-1}
    - {store: ssm, name: /quub, vault: main}
    - {store: secretsmanager, name: quub}
    - {store: ssm, name: /quub, account: productoin}
    - {name: quub}
"""
        )
        + AWS,
        [
            "environments.yaml:7:32: production.quub.secrets[0].name: no path in Vault, expected the mount and the path such as secret/production/quub",
            "environments.yaml:8:53: production.quub.secrets[1].region: a secret in vault has none, expected no such key",
            "environments.yaml:9:44: production.quub.secrets[2].vault: a secret in ssm has none, expected no such key",
            'environments.yaml:10:19: production.quub.secrets[3].store: "secretsmanager", expected secrets-manager, ssm or vault; did you mean secrets-manager?',
            "environments.yaml:12:11: production.quub.secrets[5].store: missing, expected secrets-manager, ssm or vault",
        ],
    ),
    "secrets of targets that are not declared": (
        below(
            """
quub:
  secrets:
    - {store: ssm, name: /quub, account: productoin}
    - {store: vault, name: secret/quub, vault: main}
    - {store: ssm, name: "arn:aws:ssm:eu-west-1:111122223333:parameter/x", region: eu-west-2}
"""
        )
        + AWS,
        [
            "environments.yaml:7:46: production.quub.secrets[0].account: there is no such target under `aws`; did you mean production?",
            "environments.yaml:8:52: production.quub.secrets[1].vault: there is no such target under `vault`, and none is declared",
            "environments.yaml:9:88: production.quub.secrets[2].region: another region than that of the ARN, expected the same or none",
        ],
    ),
    "a secret of one of several accounts": (
        below("quub: {secrets: [{store: ssm, name: /quub}]}")
        + AWS
        + AWS.partition("\n")[2].replace("name: production", "name: logs").replace("3333", "3334"),
        [
            "environments.yaml:5:22: production.quub.secrets[0].account: missing, expected production or logs, since there are several"
        ],
    ),
    "a Vault server over plain HTTP": (
        below("vault: {address: 'http://vault.internal:8200'}"),
        [
            'environments.yaml:5:22: production.vault.address: "http://vault.internal:8200", expected an address such as https://vault.example.com:8200; http:// only on this machine'
        ],
    ),
    "a token that stands in the file": (
        below("vault: {address: 'https://v.test', token: hunter2}"),
        [
            "environments.yaml:5:47: production.vault.token: a token that stands in the file, expected ${NAME}, with the token in the process environment"
        ],
    ),
    "a token that stands in the file as a default": (
        below("vault: {address: 'https://v.test', token: '${TOKEN:-hunter2}'}"),
        [
            "environments.yaml:5:47: production.vault.token: a token that stands in the file, expected ${NAME}, with the token in the process environment"
        ],
    ),
    "providers that are not of their type": (
        below(
            """
identity:
  - {name: a, type: keycloack, issuer: "https://a.test"}
  - {name: b, type: oidc, issuer: "https://b.test", realm: orders}
  - {name: c, type: github, organisation: orders, admin_token: "${REGION}", test_client: {client_id: p, client_secret: "${REGION}"}}
  - {name: d, type: keycloak, issuer: "https://d.test", organisation: orders}
  - {name: e, type: oidc}
  - {name: f, type: github, organisation: orders}
  - {name: g, type: keycloak, issuer: "https://g.test", admin_client_id: audit}
  - {name: h, type: keycloak, issuer: "https://h.test"}
"""
        ),
        [
            'environments.yaml:6:25: production.identity[0].type: "keycloack", expected keycloak, oidc or github; did you mean keycloak?',
            "environments.yaml:7:64: production.identity[1].realm: a provider of type oidc has none, expected no such key",
            "environments.yaml:8:81: production.identity[2].test_client: a provider of type github has none, expected no such key",
            "environments.yaml:9:75: production.identity[3].organisation: a provider of type keycloak has none, expected no such key",
            "environments.yaml:10:9: production.identity[4].issuer: missing, a provider of type oidc needs it",
            "environments.yaml:11:9: production.identity[5].admin_token: missing, a provider of type github needs it",
            "environments.yaml:12:9: production.identity[6].admin_client_secret: missing, the admin client needs both",
            "environments.yaml:13:43: production.identity[7].issuer: names no realm, expected an address that ends with /realms/NAME, or `realm`",
        ],
    ),
    "two providers of one name": (
        below(
            "identity: [{name: a, type: oidc, issuer: 'https://a.test'}, {name: a, type: oidc, issuer: 'https://b.test'}]"
        ),
        ["environments.yaml:5:72: production.identity[1].name: the name is there twice, first at identity[0]"],
    ),
    "an issuer over plain HTTP": (
        below("identity: [{name: a, type: oidc, issuer: 'http://login.internal/'}]"),
        [
            'environments.yaml:5:46: production.identity[0].issuer: "http://login.internal/", expected an address such as https://login.example.com; http:// only on this machine'
        ],
    ),
    "credentials of providers that stand in the file": (
        below(
            """
identity:
  - {name: a, type: keycloak, issuer: "https://a.test/realms/o", admin_client_id: audit, admin_client_secret: hunter2}
  - {name: b, type: github, organisation: orders, admin_token: "${TOKEN:-hunter2}"}
  - {name: c, type: oidc, issuer: "https://c.test", access_token: "x${REGION}", id_token: hunter2}
  - {name: d, type: oidc, issuer: "https://d.test", test_client: {client_id: p, client_secret: hunter2, grant: password, username: u, password: hunter2}}
"""
        ),
        [
            f"environments.yaml:{line}:{column}: production.identity[{line - 6}].{key}: a {what} that stands in the file, expected ${{NAME}}, with the {what} in the process environment"
            for line, column, key, what in [
                (6, 115, "admin_client_secret", "secret"),
                (7, 68, "admin_token", "token"),
                (8, 71, "access_token", "token"),
                (8, 95, "id_token", "token"),
                (9, 100, "test_client.client_secret", "secret"),
                (9, 149, "test_client.password", "password"),
            ]
        ],
    ),
    "test clients that do not fit their grant": (
        below(
            """
identity:
  - {name: a, type: oidc, issuer: "https://a.test", test_client: {client_id: p}}
  - {name: b, type: oidc, issuer: "https://b.test", test_client: {client_id: p, client_secret: "${REGION}", username: u}}
  - {name: c, type: oidc, issuer: "https://c.test", test_client: {client_id: p, grant: password, username: u}}
  - {name: d, type: oidc, issuer: "https://d.test", test_client: {client_id: p, client_secret: "${REGION}"}, id_token: "${REGION}"}
  - {name: e, type: oidc, issuer: "https://e.test", test_client: {client_id: p, grant: implicit}}
"""
        ),
        [
            "environments.yaml:6:57: production.identity[0].test_client.client_secret: missing, the grant client_credentials needs it",
            "environments.yaml:7:123: production.identity[1].test_client.username: the grant client_credentials has no user, expected no such key",
            "environments.yaml:8:57: production.identity[2].test_client.password: missing, the grant password needs it",
            "environments.yaml:9:57: production.identity[3].test_client: a token is given beside it, expected one of both",
            'environments.yaml:10:92: production.identity[4].test_client.grant: "implicit", expected client_credentials or password',
        ],
    ),
    "logs and dumps": (
        below(
            """
logs:
  - {name: a}
  - {name: b, groups: [/x], files: [x.log]}
  - {name: c, files: [x.log], region: eu-west-1}
  - {name: d, groups: []}
  - {name: e, groups: ["/x y"]}
backups:
  - {bucket: Dumps}
  - {prefix: daily/}
  - {bucket: dumps, account: productoin}
  - {bucket: dumps}
"""
        )
        + AWS,
        [
            "environments.yaml:6:9: production.logs[0]: neither groups nor files, expected one of them",
            "environments.yaml:7:33: production.logs[1].files: there are groups beside them, expected one of both",
            "environments.yaml:8:43: production.logs[2].region: files are in no account, expected no such key",
            "environments.yaml:9:19: production.logs[3].groups: an empty list, expected a list of texts, at least one",
            'environments.yaml:10:28: production.logs[4].groups[0]: "/x y", expected the start of a log group\'s name such as /ecs/orders',
            'environments.yaml:12:18: production.backups[0].bucket: "Dumps", expected the name of a bucket such as orders-dumps',
            "environments.yaml:13:9: production.backups[1].bucket: missing, expected the name of a bucket such as orders-dumps",
        ],
    ),
    "logs and dumps of accounts that are not declared": (
        below(
            """
logs: [{name: a, groups: [/x], account: productoin}, {name: a, groups: [/y]}]
backups: [{bucket: dumps, account: productoin}]
"""
        )
        + AWS,
        [
            "environments.yaml:5:45: production.logs[0].account: there is no such target under `aws`; did you mean production?",
            "environments.yaml:5:65: production.logs[1].name: the name is there twice, first at logs[0]",
            "environments.yaml:6:40: production.backups[0].account: there is no such target under `aws`; did you mean production?",
        ],
    ),
    "logs and dumps where no account is declared": (
        below("logs: [{name: a, groups: [/x]}]\nbackups: [{bucket: dumps}, {bucket: dumps}]"),
        [
            "environments.yaml:6:32: production.backups[1]: the same value twice, expected each once",
        ],
    ),
    "dumps where no account is declared": (
        below("backups: [{bucket: dumps}]"),
        [
            "environments.yaml:5:15: production.backups[0].account: missing, expected the account that it is in under `aws`",
        ],
    ),
    "databases that are no such": (
        below(
            """
databases:
  - {name: a, host: "https://db.test", database: d, user: u}
  - {name: b, host: db.test, database: d, user: u, port: 0}
  - {name: c, host: db.test, database: d, user: u, tls: false}
  - {name: d, host: localhost, database: d, user: u, tls: false, ca_file: ca.pem}
  - {name: e, host: db.test, database: d, user: u, password: hunter2}
  - {name: f, host: db.test, user: u}
  - {name: g, host: "127.0.0.1.db.test", database: d, user: u, tls: false}
"""
        ),
        [
            'environments.yaml:6:25: production.databases[0].host: "https://db.test", expected a host such as db.example.com',
            "environments.yaml:7:62: production.databases[1].port: the number 0, expected a whole number from 1 to 65535",
            "environments.yaml:8:61: production.databases[2].tls: false, expected true: the password and the data would cross the network in clear",
            "environments.yaml:9:79: production.databases[3].ca_file: nothing is verified without TLS, expected no such key",
            "environments.yaml:10:66: production.databases[4].password: a password that stands in the file, expected ${NAME}, with the password in the process environment",
            "environments.yaml:11:9: production.databases[5].database: missing, expected one line of text",
            "environments.yaml:12:73: production.databases[6].tls: false, expected true: the password and the data would cross the network in clear",
        ],
    ),
    "caches that do not fit their mode": (
        below(
            """
caches:
  - {name: a, addresses: ["a.test:6379", "b.test:6379"]}
  - {name: b, addresses: ["a.test:26379"], mode: sentinel}
  - {name: c, addresses: ["a.test:6379"], mode: cluster, master: m}
  - {name: d, addresses: ["127.0.0.1:6379", "a.test:6379"], mode: cluster, tls: false}
  - {name: e, addresses: ["a.test"], purpose: locks}
  - {name: f, addresses: ["a.test:6379"], user: audit}
  - {name: g, addresses: []}
"""
        ),
        [
            "environments.yaml:6:19: production.caches[0].addresses: several, expected one, or `mode` sentinel or cluster",
            "environments.yaml:7:9: production.caches[1].master: missing, sentinels watch it by name",
            "environments.yaml:8:70: production.caches[2].master: a cache of mode cluster has none, expected no such key",
            "environments.yaml:9:85: production.caches[3].tls: false, expected true: the password and the data would cross the network in clear",
            'environments.yaml:10:31: production.caches[4].addresses[0]: "a.test", expected a host and port such as 203.0.113.7:443',
            'environments.yaml:10:51: production.caches[4].purpose: "locks", expected cache, sessions or queue',
            "environments.yaml:11:9: production.caches[5].password: missing, the user needs it",
            "environments.yaml:12:19: production.caches[6].addresses: an empty list, expected a list of texts, at least one",
        ],
    ),
    "what watches the service, with credentials in clear or in the file": (
        below(
            """
prometheus: [{name: a, url: "http://p.test:9090", token: "${REGION}"}, {name: a, url: "ftp://p.test"}]
alertmanager: [{name: a, url: "https://a.test", token: hunter2}]
apm:
  - {name: a, type: datadog, url: "https://d.test", service: s, api_key: "${REGION}"}
  - {name: b, type: newrelic, url: "https://n.test", service: s, api_key: "${REGION}", account: 1234567}
  - {name: c, type: jaeger, url: "http://j.test", service: s, app_key: "${REGION}"}
  - {name: d, type: tempo, url: "http://t.test", service: s, api_key: "${REGION}"}
  - {name: e, type: zipkin, url: "http://z.test", service: s, api_key: "k-${REGION}"}
error_tracking:
  - {name: a, url: "http://s.test", organisation: o, project: p, token: "${REGION}"}
  - {name: b, url: "https://s.test", project: p}
"""
        ),
        [
            "environments.yaml:5:33: production.prometheus[0].url: http://, expected https://: the token would cross the network in clear",
            'environments.yaml:5:91: production.prometheus[1].url: "ftp://p.test", expected an address such as https://prometheus.example.com',
            "environments.yaml:6:60: production.alertmanager[0].token: a token that stands in the file, expected ${NAME}, with the token in the process environment",
            "environments.yaml:8:9: production.apm[0].app_key: missing, a backend of type datadog needs it",
            "environments.yaml:9:101: production.apm[1].account: the number 1234567, expected digits in quotes",
            "environments.yaml:10:76: production.apm[2].app_key: a backend of type jaeger has none, expected no such key",
            "environments.yaml:11:37: production.apm[3].url: http://, expected https://: the api_key would cross the network in clear",
            'environments.yaml:12:25: production.apm[4].type: "zipkin", expected datadog, newrelic, jaeger or tempo',
            "environments.yaml:12:76: production.apm[4].api_key: a key that stands in the file, expected ${NAME}, with the key in the process environment",
            "environments.yaml:14:24: production.error_tracking[0].url: http://, expected https://: the token would cross the network in clear",
            "environments.yaml:15:9: production.error_tracking[1].organisation: missing, expected a name of letters, digits, dots and hyphens",
        ],
    ),
    "what has to be tested": (
        below(
            """
testing:
  critical_paths:
    - {id: order, files: [/src/orders, "!src"], repository: app}
    - {id: order, files: []}
"""
        ),
        [
            'environments.yaml:7:31: production.testing.critical_paths[0].files[0]: "/src/orders", expected a glob of paths in the repository such as src/orders/**',
            'environments.yaml:7:44: production.testing.critical_paths[0].files[1]: "!src", expected a glob of paths in the repository such as src/orders/**',
            "environments.yaml:8:23: production.testing.critical_paths[1].files: an empty list, expected a list of texts, at least one",
        ],
    ),
    "what has to be tested of no repository": (
        below(
            """
testing:
  critical_paths: [{id: order, files: [src], repository: app}]
"""
        ),
        [
            "environments.yaml:6:62: production.testing.critical_paths[0].repository: there is no such target under `repositories`"
        ],
    ),
    "a flow twice": (
        below("testing: {flows: [{id: withdraw}, {id: withdraw}]}"),
        ["environments.yaml:5:44: production.testing.flows[1].id: the id is there twice, expected each once"],
    ),
    "traffic that does not add up": (
        below("traffic: {expected_peak_rps: 100, expected_average_rps: 200, p95_ms: 0}"),
        [
            "environments.yaml:5:74: production.traffic.p95_ms: the number 0, expected a number of more than 0 and at most 3600000"
        ],
    ),
    "an average above the peak": (
        below("traffic: {expected_peak_rps: 100, expected_average_rps: 200}"),
        [
            "environments.yaml:5:61: production.traffic.expected_average_rps: 200 is above expected_peak_rps, expected 100 or less"
        ],
    ),
    "a depth of no commits": (
        below("repositories: [{name: r, path: ., history_depth: 0}]"),
        [
            "environments.yaml:5:54: production.repositories[0].history_depth: the number 0, expected a whole number from 1 to 1000000"
        ],
    ),
    "items that do not apply": (
        below(
            """
not_applicable:
  - {item: security.network.https-enforcd, reason: there is no endpoint}
  - {item: security.network.https-enforced, reason: no}
  - {item: security.network.tls-minimum-version, reason: there is no endpoint}
  - {item: security.network.tls-minimum-version, reason: there is no endpoint}
  - {item: HTTPS, reason: there is no endpoint}
"""
        ),
        [
            "environments.yaml:6:16: production.not_applicable[0].item: there is no such item in the checklist; did you mean security.network.https-enforced?",
            'environments.yaml:7:57: production.not_applicable[1].reason: "no", expected a reason in at least three words',
            "environments.yaml:9:16: production.not_applicable[3].item: the item is there twice",
            'environments.yaml:10:16: production.not_applicable[4].item: "HTTPS", expected an item\'s id such as security.network.https-enforced',
        ],
    ),
    "one name for two accounts and two servers": (
        below(
            "aws: {name: main, account_id: '111122223333', regions: [eu-west-1]}\nvault: {name: v, address: 'https://a.test'}"
        )
        + "  staging:\n    stage: staging\n"
        + "    aws: [{name: main, account_id: '444455556666', regions: [eu-west-1]}]\n"
        + "    vault: {name: v, address: 'https://b.test'}\n",
        [
            'environments.yaml:9:18: staging.aws[0].name: "main" is another target in production, expected one target for one name in the file',
            'environments.yaml:10:19: staging.vault.name: "v" is another target in production, expected one target for one name in the file',
        ],
    ),
    "variables": (
        below(
            """
aws: {account_id: "${ACCOUNT}", regions: ["${REGION}"], profile: "${EMPTY}"}
endpoints:
  - {name: a, url: "https://${HOST", connect_to: "${a b}"}
  - {name: b, url: "https://${HOST}", connect_to: "${ESCAPE}:443"}
"""
        ),
        [
            "environments.yaml:5:23: production.aws.account_id: the variable ACCOUNT is not set or empty, expected a value",
            "environments.yaml:5:47: production.aws.regions[0]: a value from the process environment that does not fit, expected a region such as eu-central-1",
            "environments.yaml:5:70: production.aws.profile: the variable EMPTY is not set or empty, expected a value",
            "environments.yaml:7:24: production.endpoints[0].url: a variable that cannot be read, expected ${NAME} or ${NAME:-default}, or $${ for the characters",
            "environments.yaml:7:54: production.endpoints[0].connect_to: a variable that cannot be read, expected ${NAME} or ${NAME:-default}, or $${ for the characters",
            "environments.yaml:8:55: production.endpoints[1].connect_to: the variable ESCAPE holds a control character, expected one line of text",
        ],
    ),
    "several mistakes in several environments": (
        "service: 1\nenvironments:\n  a: {stage: live, vault: [{}]}\n  b: {quub: []}\n",
        [
            "environments.yaml:1:10: service: the number 1, expected one line of text: put it in quotes",
            'environments.yaml:3:14: a.stage: "live", expected production, staging or development',
            "environments.yaml:3:28: a.vault[0].address: missing, expected an address such as https://vault.example.com:8200; http:// only on this machine",
            "environments.yaml:4:3: b.stage: missing, expected production, staging or development",
            "environments.yaml:4:7: b.quub: a list, expected a mapping",
        ],
    ),
}

ENVIRON = {"REGION": "central", "EMPTY": "", "HOST": "host.test", "ESCAPE": "a\x1b[2J"}


@pytest.mark.parametrize(("text", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_was_expected(folder: Folder, text: str, told: list[str]) -> None:
    folder.write(environments=text)
    first = "a" if text.startswith("service: 1") else "production"

    with pytest.raises(ConfigurationError) as refused:
        folder.load(first, environ=ENVIRON)

    assert list(refused.value.mistakes) == told


def test_everything_that_can_be_declared_arrives(folder: Folder) -> None:
    folder.write(
        environments="""\
service: orders
environments:
  production:
    stage: production
    quub:
      api_url: https://api.quub.fi/v1
      ws_url: wss://ws.quub.fi
      api_connect_to: "[2001:db8::1]:443"
      probe_path: /v1/account?brief=1
      secrets:
        - {store: vault, name: secret/quub}
        - {store: ssm, name: /quub, account: logs, region: eu-west-1}
        - {store: secrets-manager, name: "arn:aws:secretsmanager:eu-north-1:444455556666:secret:quub-a1b2c3"}
        - {store: secrets-manager, name: quub, account: main}
      egress: [203.0.113.10/32, "2001:db8::/48"]
    aws:
      - name: main
        account_id: "111122223333"
        regions: [eu-central-1, eu-west-1]
        profile: audit
        role_arn: arn:aws:iam::111122223333:role/team/audit
        external_id: orders
        endpoint_url: http://127.0.0.1:5000
        read_secret_values: true
      - {name: logs, account_id: "444455556666", regions: [eu-north-1]}
    endpoints:
      - name: web
        url: https://WWW.Orders.test:8443/
        audience: browser
        paths: [/, /login]
        connect_to: 10.0.0.7:8443
        connect_to_plain: 10.0.0.7:8080
        closed_ports: [22, 6379]
        cdn: cloudflare
        load_balancer: orders
        login_path: /login?next=/
      - {name: stream, url: wss://stream.orders.test}
    vault: {address: "https://vault.test:8200/", namespace: team/a, token: "${TOKEN}"}
    repositories:
      - {name: app, path: ., exclude: ["tools/**"], history_depth: 100}
    identity:
      - name: login
        type: keycloak
        issuer: https://login.test/realms/orders
        realm: orders
        admin_url: http://127.0.0.1:8080/auth
        admin_client_id: audit
        admin_client_secret: ${ADMIN}
        test_client: {client_id: probe, client_secret: "${PROBE}", grant: password, username: u, password: "${PASSWORD}"}
        connect_to: 127.0.0.1:8443
        ca_file: ca.pem
      - {name: partners, type: oidc, issuer: "https://partners.test/", access_token: "${ACCESS}", id_token: "${ID}"}
      - {name: code, type: github, organisation: orders-team, admin_token: "${CODE}"}
    logs:
      - {name: cloud, groups: [/ecs/orders, /aws/lambda/orders-], account: main}
      - {name: far, groups: [/ecs/orders], account: main, region: eu-west-1}
      - {name: disk, files: ["../logs/**/*.log", /var/log/orders.log]}
    backups:
      - {bucket: orders-dumps, prefix: daily/, account: logs}
      - {bucket: orders.archive, account: main, region: eu-west-1}
    databases:
      - {name: main, host: db.orders.test, database: orders, user: audit, password: "${DB}", ca_file: rds.pem, instance: orders}
      - {name: here, host: "[::1]", port: 5433, database: orders, user: audit, tls: false}
    caches:
      - {name: main, addresses: ["a.test:6379", "b.test:6379"], mode: cluster, purpose: queue, user: u, password: "${CACHE}", replication_group: g}
      - {name: here, addresses: ["localhost:26379"], mode: sentinel, master: orders, tls: false}
    prometheus:
      - {name: main, url: "http://prometheus.internal:9090/main/"}
      - {name: far, url: "https://prometheus.test", token: "${PROMETHEUS}", ca_file: ca.pem}
    alertmanager:
      - {name: main, url: "http://localhost:9093", token: "${ALERTS}"}
    apm:
      - {name: dogs, type: datadog, url: "https://api.datadoghq.test", service: orders, api_key: "${DOGS}", app_key: "${APP}"}
      - {name: relic, type: newrelic, url: "https://api.newrelic.test", service: orders, api_key: "${RELIC}", account: "1234567"}
      - {name: local, type: tempo, url: "http://tempo.internal:3200", service: orders}
    error_tracking:
      - {name: sentry, url: "https://sentry.test/", organisation: orders, project: api, token: "${SENTRY}"}
    testing:
      critical_paths: [{id: order, files: [src/orders/**], repository: app}, {id: login, files: [src/auth.ts]}]
      flows: [{id: withdraw, title: Withdraw to a bank account}, {id: deposit}]
    not_applicable:
      - {item: security.network.ddos-protection, reason: it faces no network at all}
"""
    )

    names = [
        *("TOKEN", "ADMIN", "PROBE", "PASSWORD", "ACCESS", "ID", "CODE"),
        *("DB", "CACHE", "PROMETHEUS", "ALERTS", "DOGS", "APP", "RELIC", "SENTRY"),
    ]
    given = {name: f"{name.lower()} from outside" for name in names}
    environment = folder.load(environ=given).environment

    main, logs = environment.aws
    web, stream = environment.endpoints
    assert environment.kinds == {
        *("quub", "aws", "endpoints", "vault", "repositories"),
        *("identity", "logs", "backups", "databases", "caches"),
        *("prometheus", "alertmanager", "apm", "error_tracking", "testing"),
    }
    assert environment.testing == Testing(
        critical_paths=(
            CriticalPath(id="order", files=("src/orders/**",), repository="app"),
            CriticalPath(id="login", files=("src/auth.ts",)),
        ),
        flows=(Flow(id="withdraw", title="Withdraw to a bank account"), Flow(id="deposit")),
    )
    assert (main.profile, main.external_id, main.endpoint_url) == ("audit", "orders", "http://127.0.0.1:5000")
    assert main.read_secret_values
    assert not logs.read_secret_values
    assert main.environment == "production"
    assert (web.url, web.host, web.port) == ("https://WWW.Orders.test:8443", "www.orders.test", 8443)
    assert (web.audience, web.paths, web.closed_ports) == ("browser", ("/", "/login"), (22, 6379))
    assert (stream.port, stream.paths, stream.is_websocket) == (443, ("/",), True)
    assert (environment.vault[0].name, environment.vault[0].address) == ("production", "https://vault.test:8200")
    assert environment.vault[0].token == "token from outside"
    assert sorted(environment.credentials) == sorted(given.values())
    assert web.login_path == "/login?next=/"
    assert environment.not_applicable[0].reason == "it faces no network at all"
    assert environment.repositories[0].history_depth == 100
    assert environment.quub is not None
    assert environment.quub.egress == ("203.0.113.10/32", "2001:db8::/48")
    assert [(secret.region, secret.vault, secret.environment) for secret in environment.quub.secrets] == [
        (None, "production", "production"),
        (Region(account="logs", name="eu-west-1"), "", "production"),
        (Region(account="logs", name="eu-north-1"), "", "production"),
        (Region(account="main", name="eu-central-1"), "", "production"),
    ]

    assert environment.identity == (
        IdentityProvider(
            name="login",
            type="keycloak",
            issuer="https://login.test/realms/orders",
            realm="orders",
            admin_url="http://127.0.0.1:8080/auth",
            admin_client_id="audit",
            admin_client_secret="admin from outside",
            test_client=ProbeClient(
                client_id="probe",
                client_secret="probe from outside",
                grant="password",
                username="u",
                password="password from outside",
            ),
            connect_to="127.0.0.1:8443",
            ca_file=str(folder.path / "ca.pem"),
        ),
        IdentityProvider(
            name="partners",
            type="oidc",
            issuer="https://partners.test/",
            access_token="access from outside",
            id_token="id from outside",
        ),
        IdentityProvider(name="code", type="github", organisation="orders-team", admin_token="code from outside"),
    )
    assert environment.logs == (
        LogSource(
            name="cloud",
            region=Region(account="main", name="eu-central-1"),
            groups=("/ecs/orders", "/aws/lambda/orders-"),
        ),
        LogSource(name="far", region=Region(account="main", name="eu-west-1"), groups=("/ecs/orders",)),
        LogSource(
            name="disk",
            files=(f"{glob.escape(str(folder.path.parent))}/logs/**/*.log", "/var/log/orders.log"),
        ),
    )
    assert environment.backups == (
        BackupBucket(region=Region(account="logs", name="eu-north-1"), bucket="orders-dumps", prefix="daily/"),
        BackupBucket(region=Region(account="main", name="eu-west-1"), bucket="orders.archive"),
    )
    assert environment.databases == (
        Database(
            name="main",
            host="db.orders.test",
            database="orders",
            user="audit",
            password="db from outside",
            ca_file=str(folder.path / "rds.pem"),
            instance="orders",
        ),
        Database(name="here", host="[::1]", port=5433, database="orders", user="audit", is_tls=False),
    )
    assert environment.caches == (
        Cache(
            name="main",
            addresses=("a.test:6379", "b.test:6379"),
            mode="cluster",
            purpose="queue",
            user="u",
            password="cache from outside",
            replication_group="g",
        ),
        Cache(name="here", addresses=("localhost:26379",), mode="sentinel", master="orders", is_tls=False),
    )
    assert environment.prometheus == (
        PrometheusServer(name="main", url="http://prometheus.internal:9090/main"),
        PrometheusServer(
            name="far",
            url="https://prometheus.test",
            token="prometheus from outside",
            ca_file=str(folder.path / "ca.pem"),
        ),
    )
    assert environment.alertmanager == (
        AlertmanagerServer(name="main", url="http://localhost:9093", token="alerts from outside"),
    )
    assert environment.apm == (
        ApmBackend(
            name="dogs",
            type="datadog",
            url="https://api.datadoghq.test",
            service="orders",
            api_key="dogs from outside",
            app_key="app from outside",
        ),
        ApmBackend(
            name="relic",
            type="newrelic",
            url="https://api.newrelic.test",
            service="orders",
            api_key="relic from outside",
            account="1234567",
        ),
        ApmBackend(name="local", type="tempo", url="http://tempo.internal:3200", service="orders"),
    )
    assert environment.error_tracking == (
        ErrorTracker(
            name="sentry",
            url="https://sentry.test",
            organisation="orders",
            project="api",
            token="sentry from outside",
        ),
    )


def test_no_credential_of_the_environment_or_its_siblings_goes_into_a_bundle(folder: Folder) -> None:
    provider = "identity: [{name: a, type: oidc, issuer: 'https://a.test', test_client: {client_id: p, client_secret: '${S}'}}]"
    vault = "vault: {address: 'https://v.test', token: '${T}'}"
    folder.write(environments=below(provider) + f"  staging:\n    stage: staging\n    {vault}\n    {provider}\n")
    environment = folder.load(environ={"S": "client secret", "T": "vault token"}).environment
    path = folder.path / "bundle"

    write_bundle(path, Ledger(), Redactor(), environment=environment, recorded_at=datetime.now(UTC), commit="")

    kept = gzip.decompress(path.read_bytes()).decode()
    assert sorted(environment.credentials) == ["client secret", "client secret", "vault token"]
    assert "client secret" not in kept
    assert "vault token" not in kept
    assert read_bundle(path).environment.credentials == ()


def test_a_folder_with_the_characters_of_a_glob_finds_its_own_logs_alone(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "a[b]*"
    odd.mkdir()
    (odd / "x.log").touch()
    monkeypatch.chdir(odd)
    folder = Folder(odd, registry)
    folder.write(environments=below("logs: [{name: disk, files: ['*.log']}]"))

    (source,) = folder.load().environment.logs

    assert glob.glob(source.files[0]) == [str(odd / "x.log")]  # noqa: PTH207  the globs are absolute


def test_the_only_account_takes_the_name_of_its_environment_and_may_stand_alone(folder: Folder) -> None:
    folder.write(environments=below('aws: {account_id: "111122223333", regions: [eu-central-1]}'))

    (account,) = folder.load().environment.aws

    assert account.name == "production"


def test_one_account_may_serve_two_environments_under_one_name(folder: Folder) -> None:
    account = "aws: {name: main, account_id: '111122223333', regions: [eu-west-1]}"
    folder.write(environments=below(account) + f"  staging:\n    stage: staging\n    {account}\n")

    environment = folder.load().environment

    assert environment.aws[0].account_id == environment.siblings[0].aws[0].account_id


def test_siblings_are_the_other_environments_and_have_none_themselves(folder: Folder) -> None:
    folder.write(environments=SMALLEST + "  staging: {stage: staging}\n  dev: {stage: development}\n")

    environment = folder.load("staging").environment

    assert environment.stage == "staging"
    assert [sibling.name for sibling in environment.siblings] == ["production", "dev"]
    assert all(sibling.siblings == () for sibling in environment.siblings)


def test_an_unknown_environment_is_a_usage_error_with_the_nearest_name(folder: Folder) -> None:
    folder.write(environments=SMALLEST + "  staging: {stage: staging}\n")

    with pytest.raises(UsageError) as refused:
        folder.load("prodution")

    assert str(refused.value) == (
        "environments.yaml: there is no environment prodution; did you mean production?; it has production, staging"
    )


class TestVariables:
    """What comes from the process environment."""

    def test_a_value_may_be_put_together_and_have_defaults(self, folder: Folder) -> None:
        folder.write(
            environments=below(
                """
aws: {account_id: "${ACCOUNT}", regions: ["${REGION:-eu-west-1}"], read_secret_values: "${READ:-true}", profile: "${P:-}x"}
endpoints: [{name: a, url: "https://${SUB:-www}.${DOMAIN}:${PORT}", load_balancer: "$${literal}"}]
"""
            )
        )

        environment = folder.load(
            environ={"ACCOUNT": "111122223333", "SUB": "", "DOMAIN": "orders.test", "PORT": "8443"}
        ).environment

        (account,), (endpoint,) = environment.aws, environment.endpoints
        assert (account.account_id, account.region_names, account.profile) == ("111122223333", ("eu-west-1",), "x")
        assert account.read_secret_values
        assert endpoint.url == "https://www.orders.test:8443"
        assert endpoint.load_balancer == "${literal}"

    def test_the_stage_may_come_from_one_and_decides_what_the_checklist_says(self, folder: Folder) -> None:
        folder.write(environments=SMALLEST.replace("stage: production", "stage: ${STAGE:-production}"))

        by_default, chosen = folder.load(), folder.load(environ={"STAGE": "development"})

        assert (by_default.environment.stage, chosen.environment.stage) == ("production", "development")
        assert by_default.checklist == folder.shipped("production")
        assert chosen.checklist == folder.shipped("development")

    def test_a_value_is_put_in_once_and_not_read_again(self, folder: Folder) -> None:
        folder.write(environments=below('endpoints: [{name: a, url: "https://a.test", load_balancer: "${LB}"}]'))

        environment = folder.load(environ={"LB": "${HOME}"}).environment

        assert environment.endpoints[0].load_balancer == "${HOME}"

    def test_what_only_another_environment_needs_may_be_unset(self, folder: Folder) -> None:
        folder.write(
            environments=SMALLEST
            + """\
  staging:
    stage: staging
    aws: {account_id: "${STAGING_ACCOUNT}", regions: [eu-west-1]}
    vault: {address: "https://v.test", token: "${STAGING_TOKEN}", namespace: "${NS}"}
    endpoints:
      - {name: a, url: "${STAGING_URL}"}
      - {name: b, url: "https://b.test", connect_to: "${STAGING_ADDRESS}"}
    repositories: [{name: r, path: "${CHECKOUT}"}]
    identity:
      - {name: a, type: oidc, issuer: "${ISSUER}"}
      - {name: b, type: "${TYPE}", issuer: "https://b.test"}
      - {name: c, type: keycloak, issuer: "https://c.test/realms/c", admin_client_id: audit, admin_client_secret: "${ADMIN}"}
      - {name: d, type: oidc, issuer: "https://d.test", test_client: {client_id: p, grant: "${GRANT}", username: u}}
    logs:
      - {name: l, files: ["${LOGS}/*.log"]}
      - {name: m, groups: ["${GROUP} x"]}
    backups: [{bucket: "${BUCKET}"}]
    databases:
      - {name: a, host: "${DB_HOST}", database: d, user: u}
      - {name: b, host: db.test, database: d, user: u, password: "${DB_PASSWORD}", tls: "${DB_TLS}"}
    caches:
      - {name: a, addresses: ["${CACHE}"]}
      - {name: b, addresses: ["a.test:6379"], purpose: "${PURPOSE}", password: "${CACHE_PASSWORD}"}
    prometheus: [{name: a, url: "${PROMETHEUS}"}]
    alertmanager: [{name: a, url: "https://a.test", token: "${ALERTS}"}]
    apm:
      - {name: a, type: newrelic, url: "https://n.test", service: s, api_key: "${RELIC}", account: "${RELIC_ACCOUNT}"}
      - {name: b, type: newrelic, url: "https://n.test", service: s, api_key: "${RELIC}", account: "1"}
    error_tracking: [{name: a, url: "https://s.test", organisation: "${ORG}", project: p}]
    quub:
      api_url: "${STAGING_QUUB}"
      egress: ["${EGRESS}"]
      secrets: [{store: ssm, name: "${SECRET}"}, {store: vault, name: "${SECRET}"}]
"""
        )

        (staging,) = folder.load().environment.siblings

        assert staging.aws == ()
        assert [(server.token, server.address) for server in staging.vault] == [("", "https://v.test")]
        assert [(endpoint.name, endpoint.connect_to) for endpoint in staging.endpoints] == [("b", "")]
        assert staging.quub is not None
        assert (staging.quub.api_url, staging.quub.egress) == ("", ())
        assert [(each.name, each.admin_client_secret, each.test_client) for each in staging.identity] == [
            ("c", "", None),
            ("d", "", None),
        ]
        assert [source.name for source in staging.logs] == ["l"]
        assert staging.backups == ()
        assert [(each.name, each.password, each.is_tls) for each in staging.databases] == [("b", "", True)]
        assert [(each.name, each.password, each.purpose) for each in staging.caches] == [("b", "", "cache")]
        assert (staging.prometheus, staging.error_tracking) == ((), ())
        assert [(each.name, each.token) for each in staging.alertmanager] == [("a", "")]
        assert [each.name for each in staging.apm] == ["b"]
        assert staging.credentials == ()

    def test_secrets_of_another_environment_stay_by_a_name_that_leads_nowhere(self, folder: Folder) -> None:
        folder.write(
            environments=below(
                'aws: {account_id: "111122223333", regions: [eu-central-1]}\nvault: {address: "https://v.test"}'
            )
            + """\
  staging:
    stage: staging
    aws: [{name: main, account_id: "${A}", regions: [eu-west-1]}, {name: b, account_id: "${B}", regions: [eu-west-1]}]
    vault: {address: "${V}"}
    quub:
      secrets: [{store: ssm, name: "${SECRET}", account: main}, {store: vault, name: secret/quub}]
"""
        )

        (staging,) = folder.load().environment.siblings

        assert staging.quub is not None
        assert [(secret.name, secret.region, secret.vault) for secret in staging.quub.secrets] == [
            ("${SECRET}", Region(account="main", name=""), ""),
            ("secret/quub", None, "staging"),
        ]

    def test_the_store_and_the_region_of_a_secret_must_be_known_everywhere(self, folder: Folder) -> None:
        folder.write(
            environments=SMALLEST
            + '  staging: {stage: staging, quub: {secrets: [{store: "${STORE}", name: a, region: "${REGION}"}]}}\n'
        )

        assert folder.mistakes({"environments": (folder.path / "environments.yaml").read_text()}) == [
            "environments.yaml:5:54: staging.quub.secrets[0].store: a variable that is not set, expected secrets-manager, ssm or vault",
            "environments.yaml:5:83: staging.quub.secrets[0].region: a variable that is not set, expected a region such as eu-central-1",
        ]

    def test_what_does_not_hang_on_the_variable_is_still_a_mistake(self, folder: Folder) -> None:
        text = SMALLEST + '  staging: {stage: staging, endpoints: [{name: a, url: "${URL}", path: /}]}\n'

        assert folder.mistakes({"environments": text}) == []
        assert folder.mistakes({"environments": text}, environ={"URL": "https://a.test"}) == [
            "environments.yaml:5:66: staging.endpoints[0].path: unknown key; did you mean paths?"
        ]
