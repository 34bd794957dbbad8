"""Clients of Quub compare certificates with pins that fit the live chain: judged by tables, then on real peers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from quub_audit.checks.security.network.certificate_pinning import (
    Allowed,
    Pin,
    PinningParameters,
    Seen,
    called,
    cut_line,
    judge_code,
    judge_pins,
    look,
    never_refuses,
    read_pin,
)
from quub_audit.connectors.base import Ledger
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.demo.authority import Authority, make_pin
from quub_audit.demo.repository import CLIENT_FILE, PINS_FILE, build
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.facts.tls import Certificate, Deployment
from quub_audit.model.environment import Environment, Quub, Repository
from quub_audit.model.finding import Location
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.testing import audit_item
from tests.worlds import tls as worlds

ITEM = "security.network.certificate-pinning"
HOST = "api.quub.example"
WANTED = PinningParameters()
TODAY = date(2026, 6, 1)
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)
FIRST, SECOND, THIRD = make_pin("first"), make_pin("second"), make_pin("third")


def seen(folder: Path, files: Mapping[str, str], wanted: PinningParameters = WANTED) -> Seen:
    """What the check finds in a folder with these files, through the real connector."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    connector = RepositoryConnector(Ledger(), Sealer(b"salt", Redactor()))
    try:
        return look(Repository(name="app", path=str(folder)), connector, wanted)
    finally:
        connector.close()


def judged(
    folder: Path, files: Mapping[str, str], wanted: PinningParameters = WANTED
) -> list[tuple[FindingStatus, str, str]]:
    """Status, place and what was observed of each finding about the code."""
    return [
        (
            finding.status,
            f"{finding.location.file}:{finding.location.line}" if finding.location else "",
            finding.observed,
        )
        for finding in judge_code(seen(folder, files, wanted), TODAY, wanted)
    ]


# Verification that is switched off

OFF = [
    ("a.ts", "const agent = new https.Agent({\n  rejectUnauthorized: false,\n});\n", 2),
    ("a.js", 'const options = { "rejectUnauthorized": false };\n', 1),
    ("a.js", "const options = { rejectUnauthorized: !1 };\n", 1),
    ("a.mjs", "agent.options.rejectUnauthorized = false;\n", 1),
    ("a.tsx", 'agent["rejectUnauthorized"] = false;\n', 1),
    ("a.ts", 'process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";\n', 1),
    ("a.ts", "process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';\n", 1),
    ("a.js", "request({ url, strictSSL: false });\n", 1),
    ("a.py", "import requests\nrequests.get(url, verify=False)\n", 2),
    ("a.py", "client = httpx.AsyncClient(\n    verify=False,\n)\n", 2),
    ("a.py", "session.verify = False\n", 1),
    ("a.py", "await session.get(url, ssl=False)\n", 1),
    ("a.py", "context = ssl._create_unverified_context()\n", 1),
    ("a.py", "ssl._create_default_https_context = ssl._create_unverified_context\n", 1),
    ("a.py", "context.check_hostname = False\n", 1),
    ("a.py", "context.verify_mode = ssl.CERT_NONE\n", 1),
    ("a.py", 'pool = urllib3.PoolManager(cert_reqs="CERT_NONE")\n', 1),
    ("a.go", "package a\nvar c = &tls.Config{InsecureSkipVerify: true}\n", 2),
    ("a.go", "package a\nfunc f(c *tls.Config) {\n\tc.InsecureSkipVerify = true\n}\n", 3),
    ("A.java", "class A { public void checkServerTrusted(X509Certificate[] c, String t) { } }\n", 1),
    ("A.java", "class A { public void checkServerTrusted(X509Certificate[] c, String t) { // all\n } }\n", 1),
    ("A.java", "class A { public boolean verify(String h, SSLSession s) { return true; } }\n", 1),
    ("A.java", "class A { void a() { b.hostnameVerifier((h, s) -> true); } }\n", 1),
    ("A.java", "class A { Object a = NoopHostnameVerifier.INSTANCE; }\n", 1),
]


@pytest.mark.parametrize(("name", "code", "line"), OFF)
def test_every_way_to_take_any_certificate_fails_with_its_place(
    tmp_path: Path, name: str, code: str, line: int
) -> None:
    found = judged(tmp_path, {f"src/{name}": code})

    assert [(status, place) for status, place, _ in found] == [(FAIL, f"src/{name}:{line}")]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.ts", "const options = { rejectUnauthorized: true };\n"),
        ("a.ts", "// rejectUnauthorized: false\nconst text = 'rejectUnauthorized: false';\n"),
        ("a.ts", 'process.env.NODE_TLS_REJECT_UNAUTHORIZED = "1";\n'),
        ("a.py", "jwt.decode(token, verify=False)\n"),
        ("a.py", 'requests.get(url, verify="/etc/ssl/ca.pem")\n'),
        ("a.py", "context.check_hostname = True\n"),
        ("a.go", "package a\nvar c = &tls.Config{InsecureSkipVerify: false}\n"),
        ("A.java", "class A { public void checkServerTrusted(X509Certificate[] c, String t) { check(c); } }\n"),
        ("A.java", "class A { public boolean verify(String h, SSLSession s) { return h.equals(name); } }\n"),
        ("test/a.ts", "const agent = new https.Agent({ rejectUnauthorized: false });\n"),
    ],
)
def test_what_verifies_is_no_fault(tmp_path: Path, name: str, code: str) -> None:
    assert judged(tmp_path, {f"src/{name}": code}) == []


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("Dockerfile", "FROM node\nENV NODE_TLS_REJECT_UNAUTHORIZED=0\n", 2),
        ("Dockerfile.prod", "ENV NODE_TLS_REJECT_UNAUTHORIZED 0\n", 1),
        ("compose.yaml", 'services:\n  a:\n    environment:\n      NODE_TLS_REJECT_UNAUTHORIZED: "0"\n', 4),
        ("k8s/web.yml", 'env:\n  - name: NODE_TLS_REJECT_UNAUTHORIZED\n    value: "0"\n', 2),
        ("package.json", '{"scripts": {"start": "NODE_TLS_REJECT_UNAUTHORIZED=0 node dist/server.js"}}\n', 1),
        ("main.tf", 'environment = [{ name = "NODE_TLS_REJECT_UNAUTHORIZED", value = "0" }]\n', 1),
        ("start.sh", "export PYTHONHTTPSVERIFY=0\n", 1),
    ],
)
def test_a_variable_that_switches_verification_off_fails_with_its_place(
    tmp_path: Path, name: str, text: str, line: int
) -> None:
    (finding,) = judged(tmp_path, {name: text})

    assert finding[:2] == (FAIL, f"{name}:{line}")
    assert finding[2].endswith(" is 0")


@pytest.mark.parametrize(
    "text",
    [
        "# ENV NODE_TLS_REJECT_UNAUTHORIZED=0\n",
        "ENV NODE_TLS_REJECT_UNAUTHORIZED=1\n",
        "ENV NODE_TLS_REJECT_UNAUTHORIZED=01",
    ],
)
def test_a_comment_and_another_value_switch_nothing_off(tmp_path: Path, text: str) -> None:
    assert judged(tmp_path, {"Dockerfile": text}) == []


def test_an_allowed_place_is_told_with_its_reason(tmp_path: Path) -> None:
    wanted = PinningParameters(allow=(Allowed(place="src/a.py:1", reason="loopback only, see OPS-7"),))

    found = judged(tmp_path, {"src/a.py": "requests.get(url, verify=False)\n"}, wanted)

    assert found == [(WARNING, "src/a.py:1", "verify=False, allowed: loopback only, see OPS-7")]


# Comparisons

AGENT = "export const agent = new https.Agent({ checkServerIdentity: %s });\nfetchAll(agent);\n"
GOOD_CHECK = "(host, cert) => pins.has(cert.fingerprint256) ? undefined : new Error(host)"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("quub.ts", AGENT % "pinned(PINS)"),
        ("quub.ts", AGENT % GOOD_CHECK),
        ("quub.ts", AGENT % "function (host, cert) { if (!ok(cert.raw)) { throw new Error(host); } }"),
        ("quub.js", "https.request({ checkServerIdentity(host, cert) { return compare(cert.pubkey); } });\n"),
        (
            "quub.js",
            "const checkServerIdentity = pinned(PINS);\nnew Agent({ connect: { checkServerIdentity } });\n",
        ),
        ("quub.ts", "options.checkServerIdentity = pinned;\n"),
        ("quub.js", "socket.on('secureConnect', () => { if (c.fingerprint256 !== PIN) socket.destroy(); });\n"),
        ("quub.py", "session.get(url, ssl=aiohttp.Fingerprint(PIN))\n"),
        ("quub.py", "pool = urllib3.HTTPSConnectionPool(host, assert_fingerprint=PIN)\n"),
        ("quub.py", "session.mount(URL, FingerprintAdapter(PIN))\n"),
        ("quub.go", "package a\nvar c = &tls.Config{VerifyConnection: checkPins}\n"),
        (
            "quub.go",
            "package a\nvar c = &tls.Config{VerifyPeerCertificate: func(raw [][]byte) error { return pinned(raw) }}\n",
        ),
        ("Quub.java", "class Quub { Object c = new OkHttpClient.Builder().certificatePinner(pins).build(); }\n"),
    ],
)
def test_every_way_to_compare_passes(tmp_path: Path, name: str, code: str) -> None:
    found = judged(tmp_path, {f"src/{name}": code})

    assert [status for status, _, _ in found] == [PASS], found
    assert f"src/{name}:" in found[0][2]


@pytest.mark.parametrize(
    "check",
    [
        "() => undefined",
        "() => {}",
        "() => null",
        "(host, cert) => true",
        "(host, cert) => { return undefined; }",
        "(host, cert) => { compare(cert.raw); }",
        "(host, cert) => { const isSame = pins.has(cert.raw); return; }",
        "function () { return undefined }",
        "noCheck",
        "makeNoCheck",
    ],
)
def test_a_comparison_whose_result_is_ignored_fails(tmp_path: Path, check: str) -> None:
    elsewhere = "export const noCheck = () => undefined;\nexport function makeNoCheck(host) { log(host); }\n"

    found = judged(tmp_path, {"src/quub/client.ts": AGENT % check, "src/tls.ts": elsewhere})

    assert found == [(FAIL, "src/quub/client.ts:1", "the identity check never refuses")]


def test_a_go_function_that_always_says_nil_fails(tmp_path: Path) -> None:
    code = "package a\nvar c = &tls.Config{VerifyConnection: func(s tls.ConnectionState) error { return nil }}\n"

    assert judged(tmp_path, {"quub.go": code}) == [(FAIL, "quub.go:2", "the identity check never refuses")]


def test_an_agent_that_compares_but_is_used_by_nothing_fails(tmp_path: Path) -> None:
    files = {
        "src/quub/agent.ts": "export const quubAgent = new https.Agent({ checkServerIdentity: pinned(PINS) });\n",
        "src/quub/index.ts": 'export { quubAgent } from "./agent.js";\nimport { quubAgent } from "./agent.js";\n',
    }

    assert judged(tmp_path, files) == [
        (FAIL, "src/quub/agent.ts:1", "quubAgent compares, but nothing uses it"),
    ]
    used = files | {"src/quub/client.ts": "axios.create({ httpsAgent: quubAgent });\n"}
    assert [status for status, _, _ in judged(tmp_path, used)] == [PASS]


def test_a_function_that_is_defined_but_never_wired_is_no_pinning(tmp_path: Path) -> None:
    files = {"src/pinning.ts": "export function checkServerIdentity(host, cert) { return compare(cert.pubkey); }\n"}

    assert judged(tmp_path, files) == []


def test_the_ordinary_check_of_names_is_no_pinning(tmp_path: Path) -> None:
    code = AGENT % "(host, cert) => { return tls.checkServerIdentity(host, cert); }"

    assert judged(tmp_path, {"src/a.ts": code}) == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("src/quub/client.ts", "const http = axios.create({ baseURL });\n"),
        ("src/quub-stream.ts", "const socket = new WebSocket(url);\n"),
        ("src/quub/a.ts", "const agent = new https.Agent({ keepAlive: true });\n"),
        ("src/quub/a.ts", 'new WebSocket(url, { headers: { "User-Agent": name } });\n'),
        ("src/quub/a.js", 'await fetch("https://api.quub.example/v1/orders");\n'),
        ("quub/client.py", "client = httpx.Client(base_url=url)\n"),
        ("quub/client.py", "requests.get(url)\n"),
        ("internal/quub/client.go", "package quub\nvar c = &http.Client{Timeout: t}\n"),
        ("src/QuubClient.java", "class QuubClient { Object c = new OkHttpClient.Builder().build(); }\n"),
    ],
)
def test_a_client_of_quub_without_pins_fails_though_another_has_them(tmp_path: Path, name: str, code: str) -> None:
    alone = judged(tmp_path / "alone", {name: code})
    beside = judged(tmp_path / "beside", {name: code, "src/quub/pinned.ts": AGENT % "pinned(PINS)"})

    for found in (alone, beside):
        assert [status for status, _, _ in found] == [FAIL]
        assert found[0][1].startswith(f"{name}:")
        assert found[0][2].endswith("compares with no pin")


def test_clients_of_others_need_no_pins(tmp_path: Path) -> None:
    assert judged(tmp_path, {"src/mail.ts": "const http = axios.create({ baseURL });\n"}) == []


def test_a_file_that_could_not_be_read_is_an_error() -> None:
    (finding,) = judge_code(Seen(repository="app", unreadable=(("src/a.ts", "too large"),)), TODAY, WANTED)

    assert (finding.status, finding.message) == (ERROR, "app:src/a.ts could not be read: too large")


@pytest.mark.parametrize(
    ("body", "is_harmless"),
    [
        ("() => undefined", True),
        ("async () => ({})", True),
        ("() => { /* throw */ return }", True),
        ("() => { // return new Error()\n}", True),
        ("func(raw [][]byte) error { return nil }", True),
        ("(h, c) => verify(c)", False),
        ("(h, c) => { return verify(c); }", False),
        ("(h, c) => { throw new PinError(h) }", False),
        ('func(s tls.ConnectionState) error { return errors.New("pin") }', False),
        ("pinned(PINS)", False),
        ("", False),
    ],
)
def test_a_function_that_never_refuses_is_known_by_its_answers(body: str, is_harmless: bool) -> None:
    assert never_refuses(body) is is_harmless


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("pinnedIdentity(QUUB_PINS)", "pinnedIdentity"),
        ("checkPins", "checkPins"),
        ("pinning.check", "check"),
        ("this.verify", "verify"),
        ("(host, cert) => undefined", ""),
        ("cert => undefined", ""),
        ("async (host) => undefined", ""),
        ("function (host) {}", ""),
        ("func(raw [][]byte) error { return nil }", ""),
        ("[]", ""),
        ("", ""),
    ],
)
def test_the_function_behind_a_value_is_known_by_name(value: str, name: str) -> None:
    assert called(value) == name


# Pins in code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.ts", f'export const QUUB_PINS = [\n  "{FIRST}",\n  "{SECOND}",\n];\n'),
        ("a.js", f"const options = {{ pins: ['sha256/{FIRST}', 'sha256/{SECOND}'] }};\n"),
        ("a.ts", f'pinnedIdentity(["{FIRST}", "{SECOND}"]);\n'),
        ("a.py", f'PINS = ("{FIRST}", "{SECOND}")\n'),
        ("a.py", f'aiohttp.Fingerprint(bytes.fromhex("{base64.b64decode(FIRST).hex()}"))\nspki = "{SECOND}"\n'),
        ("a.go", f'package a\nvar quubPins = []string{{"{FIRST}", "{SECOND}"}}\n'),
        (
            "A.java",
            f'class A {{ Object a = new CertificatePinner.Builder().add(h, "sha256/{FIRST}", "sha256/{SECOND}"); }}\n',
        ),
    ],
)
def test_pins_are_found_under_their_names(tmp_path: Path, name: str, code: str) -> None:
    pins = seen(tmp_path, {f"src/{name}": code}).pins

    assert [pin.digest for pin in pins] == [base64.b64decode(FIRST), base64.b64decode(SECOND)]
    assert all(pin.location and pin.location.file == f"src/{name}" for pin in pins)


@pytest.mark.parametrize(
    "code",
    [f'const integrity = "sha256-{FIRST}";\n', 'const pins = ["not a pin"];\n', f"// const pins = ['{FIRST}']\n"],
)
def test_other_hashes_and_comments_are_no_pins(tmp_path: Path, code: str) -> None:
    assert seen(tmp_path, {"src/a.ts": code}).pins == ()


def test_a_pin_of_sha_1_fails(tmp_path: Path) -> None:
    old = hashlib.sha1(b"leaf").hexdigest()

    found = judged(tmp_path, {"src/a.py": f'session.mount(URL, FingerprintAdapter("{old}"))\n'})

    assert found == [(FAIL, "src/a.py:1", "a pin is a SHA-1")]


@pytest.mark.parametrize(
    ("end", "status", "observed"),
    [
        ("2026-05-31", FAIL, "the pins ended on 2026-05-31"),
        ("2026-06-01", WARNING, "the pins end in 0 days"),
        ("2026-06-30", WARNING, "the pins end in 29 days"),
        ("2026-07-01", None, ""),
    ],
)
def test_the_end_of_the_pins_is_judged(tmp_path: Path, end: str, status: FindingStatus | None, observed: str) -> None:
    found = judged(tmp_path, {"src/pins.ts": f'export const PINS_EXPIRE_ON = "{end}";\n'})

    assert found == ([(status, "src/pins.ts:1", observed)] if status else [])


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (FIRST, 32),
        (f"sha256/{FIRST}", 32),
        (f"sha256-{FIRST}", 32),
        (f"sha256//{FIRST}", 32),
        (f" {FIRST}\n", 32),
        ("aB" * 32, 32),
        (":".join(["0f"] * 32), 32),
        ("ab" * 20, 20),
        (":".join(["AB"] * 20), 20),
        ("", None),
        (FIRST[:-1], None),
        (FIRST + "=", None),
        ("ab" * 31, None),
        ("<b>", None),
    ],
)
def test_pins_are_read_in_all_their_spellings(text: str, length: int | None) -> None:
    digest = read_pin(text)

    assert (len(digest) if digest else None) == length


@pytest.mark.parametrize("field", ["pins", "root_pins"])
@pytest.mark.parametrize("text", ["", "ab" * 20, FIRST[:-2], "x" * 10_000])
def test_a_declared_pin_that_is_none_is_a_mistake(field: str, text: str) -> None:
    with pytest.raises(ValidationError, match="is no SHA-256"):
        PinningParameters.model_validate({field: [text]})


def test_long_code_is_cut_to_one_line() -> None:
    assert cut_line("a\n  b") == "a b"
    assert len(cut_line("x" * 500)) == 80


# Pins and the chain


def certificate(spki: str, sha256: str = "00" * 32, name: str = HOST) -> Certificate:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    return Certificate(
        subject=f"CN={name}",
        issuer="CN=authority",
        not_before=now,
        not_after=now + timedelta(days=90),
        key="EC",
        key_bits=256,
        signature_hash="sha256",
        sha256=sha256,
        spki_sha256=spki,
    )


LEAF, MIDDLE = certificate(FIRST, "ab" * 32), certificate(SECOND, "cd" * 32, "middle")
CHAIN = Deployment(chain=(LEAF, MIDDLE), is_trusted=True)
OTHER_CHAIN = Deployment(chain=(certificate(make_pin("other")),), is_trusted=True)


def compared(
    pins: Sequence[str], *, chains: Sequence[Deployment] = (CHAIN,), **wanted: Any
) -> list[tuple[FindingStatus, str]]:
    digests = [read_pin(pin) or b"" for pin in pins]
    place = Location(file="src/pins.ts", line=1)
    found = judge_pins(
        "https://q", [Pin(digest=digest, location=place) for digest in digests], chains, PinningParameters(**wanted)
    )
    return [(finding.status, finding.observed) for finding in found]


@pytest.mark.parametrize(
    ("pins", "chains", "wanted", "expected"),
    [
        ((SECOND, THIRD), (CHAIN,), {}, [(PASS, "1 of 2 pins in the live chain, 1 in reserve")]),
        ((FIRST, SECOND, THIRD), (CHAIN,), {}, [(PASS, "2 of 3 pins in the live chain, 1 in reserve")]),
        ((SECOND, SECOND, THIRD), (CHAIN,), {}, [(PASS, "1 of 2 pins in the live chain, 1 in reserve")]),
        ((SECOND,), (CHAIN,), {"backup_pins": 0}, [(PASS, "1 of 1 pins in the live chain, 0 in reserve")]),
        ((SECOND,), (CHAIN,), {}, [(FAIL, "0 of 1 pins are in reserve")]),
        ((FIRST, SECOND), (CHAIN,), {}, [(FAIL, "0 of 2 pins are in reserve")]),
        ((SECOND, THIRD), (CHAIN,), {"backup_pins": 2}, [(FAIL, "1 of 2 pins are in reserve")]),
    ],
)
def test_one_pin_is_in_use_and_one_in_reserve(
    pins: Sequence[str],
    chains: Sequence[Deployment],
    wanted: Mapping[str, Any],
    expected: list[tuple[FindingStatus, str]],
) -> None:
    assert compared(pins, chains=chains, **wanted) == expected


def test_pins_of_another_key_fail_and_name_the_chain() -> None:
    assert compared((THIRD, make_pin("fourth"))) == [
        (FAIL, f"none of 2 pins is in the chain of CN={HOST}, issued by CN=authority")
    ]


def test_every_chain_that_is_shown_needs_a_pin() -> None:
    assert [status for status, _ in compared((SECOND, THIRD), chains=(CHAIN, OTHER_CHAIN))] == [FAIL]


@pytest.mark.parametrize("pin", [FIRST, "ab" * 32])
def test_a_pin_of_the_leaf_alone_is_warned_of(pin: str) -> None:
    assert [status for status, _ in compared((pin, THIRD))] == [WARNING, PASS]


def test_a_pin_of_a_root_that_is_not_sent_counts_where_it_is_declared() -> None:
    pins = (make_pin("root"), THIRD)

    assert [status for status, _ in compared(pins)] == [FAIL]
    assert compared(pins, root_pins=(make_pin("root"),)) == [(PASS, "1 of 2 pins in the live chain, 1 in reserve")]
    assert [status for status, _ in compared((THIRD,), root_pins=(make_pin("root"),))] == [FAIL]


@pytest.mark.parametrize(("pins", "chains"), [((), (CHAIN,)), (("ab" * 20,), (CHAIN,)), ((FIRST,), ())])
def test_nothing_to_compare_is_never_a_pass(pins: Sequence[str], chains: Sequence[Deployment]) -> None:
    with pytest.raises(ValueError, match="to compare"):
        compared(pins, chains=chains)


# Real peers: the sample service's repository, and a server in Quub's place


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quub")


@pytest.fixture(scope="module")
def ca_file(authority: Authority, folder: Path) -> str:
    return str(authority.write_ca(folder))


@pytest.fixture(scope="module")
def quub(authority: Authority, folder: Path) -> Iterator[worlds.Peer]:
    with worlds.tls_server(folder, authority.issue(HOST)) as peer:
        yield peer


def audit(*repositories: Path, at: str, ca_file: str, **more: Any) -> ItemResult:
    """The item, audited on these repositories and the server at `at`."""
    parameters = more.pop("parameters", None)
    quub = Quub(**{"api_url": f"https://{HOST}", "api_connect_to": at, "ca_file": ca_file, **more})
    environment = Environment(
        service="quub-app",
        name="production",
        stage="production",
        quub=quub,
        repositories=tuple(Repository(name=path.name, path=str(path)) for path in repositories),
    )
    return audit_item(ITEM, environment, min_evidence=Grade.LIVE, parameters=parameters)


def told(result: ItemResult, status: FindingStatus) -> list[tuple[str, str]]:
    return [(finding.subject, finding.observed or finding.message) for finding in result.of_status(status)]


@pytest.mark.proof("pass")
def test_a_client_that_pins_the_live_issuer_and_a_key_in_reserve_passes(
    quub: worlds.Peer, authority: Authority, ca_file: str, tmp_path: Path
) -> None:
    app = build(tmp_path / "app", healthy=True, pins=(authority.issuer_pin, make_pin("in reserve")))

    result = audit(app, at=quub.place, ca_file=ca_file)

    assert result.status is Status.PASS
    (live,) = [finding for finding in result.findings if finding.grade is Grade.LIVE]
    (code,) = [finding for finding in result.findings if finding.grade is Grade.REPOSITORY]
    assert (live.status, live.subject) == (PASS, f"https://{HOST}")
    assert live.observed == "1 of 2 pins in the live chain, 1 in reserve"
    assert (code.status, code.subject) == (PASS, "app")
    assert CLIENT_FILE in code.observed


@pytest.mark.proof("fail")
def test_a_client_that_takes_any_certificate_fails_with_file_and_line(
    quub: worlds.Peer, authority: Authority, ca_file: str, tmp_path: Path
) -> None:
    app = build(tmp_path / "app", healthy=False, pins=(authority.issuer_pin, make_pin("in reserve")))

    result = audit(app, at=quub.place, ca_file=ca_file)

    assert result.status is Status.FAIL
    assert told(result, FAIL) == [
        (CLIENT_FILE, "rejectUnauthorized: false"),
        (CLIENT_FILE, "the identity check never refuses"),
    ]
    lines = (app / CLIENT_FILE).read_text().splitlines()
    told_lines = [finding.location.line or 0 for finding in result.of_status(FAIL) if finding.location]
    assert [lines[number - 1].strip() for number in told_lines] == [
        "rejectUnauthorized: false,",
        "checkServerIdentity: () => undefined,",
    ]
    assert told(result, PASS) == []


@pytest.mark.proof("inconclusive")
def test_code_without_a_client_of_quub_and_an_environment_without_code_are_inconclusive(
    quub: worlds.Peer, ca_file: str, tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "index.ts").write_text("export const answer = 42;\n")

    for result in (audit(tmp_path / "app", at=quub.place, ca_file=ca_file), audit(at=quub.place, ca_file=ca_file)):
        assert (result.status, result.findings) == (Status.INCONCLUSIVE, ())


@pytest.mark.proof("error")
def test_a_quub_that_cannot_be_reached_is_an_error(authority: Authority, ca_file: str, tmp_path: Path) -> None:
    app = build(tmp_path / "app", healthy=True, pins=(authority.issuer_pin, make_pin("in reserve")))

    result = audit(app, at=f"127.0.0.1:{worlds.free_port()}", ca_file=ca_file)

    assert result.status is Status.ERROR
    assert any("no connection: Connection refused" in message for _, message in told(result, ERROR))


def test_a_repository_that_is_not_there_is_an_error(quub: worlds.Peer, ca_file: str, tmp_path: Path) -> None:
    assert audit(tmp_path / "nowhere", at=quub.place, ca_file=ca_file).status is Status.ERROR


def test_a_server_without_the_pinned_key_fails_by_its_address(quub: worlds.Peer, ca_file: str, tmp_path: Path) -> None:
    app = build(tmp_path / "app", healthy=True, pins=(make_pin("gone"), make_pin("in reserve")))

    result = audit(app, at=quub.place, ca_file=ca_file)

    assert result.status is Status.FAIL
    ((subject, observed),) = told(result, FAIL)
    assert subject == f"https://{HOST}"
    assert observed.startswith(f"none of 2 pins is in the chain of CN={HOST}")


def test_two_pins_of_the_live_chain_are_no_reserve(
    authority: Authority, folder: Path, ca_file: str, tmp_path: Path
) -> None:
    identity = authority.issue(HOST)
    app = build(tmp_path / "app", healthy=True, pins=(authority.issuer_pin, identity.spki_sha256))
    with worlds.tls_server(folder, identity) as peer:
        result = audit(app, at=peer.place, ca_file=ca_file)

    assert result.status is Status.FAIL
    assert told(result, FAIL) == [(f"https://{HOST}", "0 of 2 pins are in reserve")]


def test_a_pin_of_the_server_s_own_key_passes_with_a_warning(
    authority: Authority, folder: Path, ca_file: str, tmp_path: Path
) -> None:
    identity = authority.issue(HOST)
    app = build(tmp_path / "app", healthy=True, pins=(identity.spki_sha256, make_pin("in reserve")))
    with worlds.tls_server(folder, identity) as peer:
        result = audit(app, at=peer.place, ca_file=ca_file)

    assert result.status is Status.PASS
    assert "own certificate or key alone" in told(result, WARNING)[0][1]


def test_pins_that_stand_in_no_code_are_compared_where_they_are_declared(
    quub: worlds.Peer, authority: Authority, ca_file: str, tmp_path: Path
) -> None:
    app = build(tmp_path / "app", healthy=True, pins=(make_pin("a"), make_pin("b")))
    pins = "export const QUUB_PINS = (process.env.QUUB_PINS ?? '').split(',');\n"
    (app / PINS_FILE).write_text(pins)

    unknown = audit(app, at=quub.place, ca_file=ca_file)
    declared = [authority.issuer_pin, make_pin("in reserve")]
    known = audit(app, at=quub.place, ca_file=ca_file, parameters={"pins": declared})

    assert unknown.status is Status.INCONCLUSIVE
    assert any("stand in no code" in observed for _, observed in told(unknown, WARNING))
    assert "declare them as `pins`" in unknown.reason
    assert known.status is Status.PASS


def test_the_websocket_of_quub_is_compared_too(
    quub: worlds.Peer, authority: Authority, ca_file: str, tmp_path: Path
) -> None:
    app = build(tmp_path / "app", healthy=True, pins=(authority.issuer_pin, make_pin("in reserve")))

    same = audit(app, at=quub.place, ca_file=ca_file, ws_url=f"wss://{HOST}/v1/stream")
    down = audit(app, at=quub.place, ca_file=ca_file, ws_url=f"wss://localhost:{worlds.free_port()}")

    assert same.status is Status.PASS
    assert [subject for subject, _ in told(same, PASS)].count(f"wss://{HOST}/v1/stream") == 1
    assert down.status is Status.ERROR
    assert f"https://{HOST}" in [subject for subject, _ in told(down, PASS)]


def test_what_the_code_says_passes_nothing_where_no_api_is_declared(
    authority: Authority, ca_file: str, tmp_path: Path
) -> None:
    app = build(tmp_path / "app", healthy=True, pins=(authority.issuer_pin, make_pin("in reserve")))

    result = audit(app, at="", ca_file=ca_file, api_url="")

    assert result.status is Status.INCONCLUSIVE
    assert [finding.grade for finding in result.of_status(PASS)] == [Grade.REPOSITORY]
