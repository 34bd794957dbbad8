"""Unit tests answer in place of Quub: by what, what becomes of other requests, and what tests must not hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.testing.unit.api_mocks import PRODUCTION_HOSTS, production_hosts, read_cassette
from quub_audit.model.environment import Environment, Quub, Repository
from quub_audit.model.result import ItemResult
from quub_audit.model.status import Grade
from quub_audit.testing import audit_item
from tests.checks.testing.unit.orders import write

ITEM = "testing.unit.api-mocks"
CLIENT = {"src/quub.ts": "export class QuubClient { get() { return fetch('https://api.quub.fi'); } }\n"}
TEST = "import { QuubClient } from '../src/quub';\n"
NOCK = TEST + "nock('https://api.quub.fi').get('/orders').reply(200);\n"
MSW = "export const server = setupServer(http.get('https://api.quub.fi/orders', () => HttpResponse.json([])));\n"
PYTHON = "from app.quub import QuubClient\n"
GO = "package quub\nfunc TestQuub(t *testing.T) {\n\tserver := httptest.NewServer(nil)\n\tNewQuub(server.URL)\n}\n"
JAVA = "class QuubClientTest {\n  WireMockServer server = new WireMockServer(0);\n  QuubClient client;\n}\n"


def audit(folder: Path, files: Mapping[str, str], *others: Repository) -> ItemResult:
    repositories = (write(folder / "app", files), *others)
    target = Environment(service="orders", name="production", stage="production", repositories=repositories)
    return audit_item(ITEM, target, min_evidence=Grade.REPOSITORY)


SOUND: dict[str, dict[str, str]] = {
    "nock": {"test/a.test.ts": NOCK + "nock.disableNetConnect();\n"},
    "nock, blocked above its package": {
        "package.json": "{}",
        "test/setup.ts": "nock.disableNetConnect();\n",
        "a/package.json": "{}",
        "a/test/a.test.ts": NOCK,
    },
    "nock, blocked in its setup": {"test/a.test.ts": NOCK, "test/setup.ts": "nock.disableNetConnect();\n"},
    "msw": {
        "test/a.test.ts": TEST,
        "test/server.ts": MSW + "beforeAll(() => server.listen({ onUnhandledRequest: 'error' }));\n",
    },
    "undici": {"test/a.test.ts": TEST + "const agent = new MockAgent();\nagent.disableNetConnect();\n"},
    "axios-mock-adapter": {"test/a.test.ts": TEST + "const mock = new MockAdapter(axios);\n"},
    "a module that stands in": {"test/a.test.ts": TEST + "jest.mock('../src/quub');\n"},
    "a fake by hand": {"test/a.test.ts": TEST + "class FakeQuubClient implements QuubClient {}\n"},
    "responses": {"tests/test_a.py": PYTHON + "@responses.activate\ndef test_a(): QuubClient()\n"},
    "respx": {"tests/test_a.py": PYTHON + "@respx.mock\ndef test_a(): QuubClient()\n"},
    "a fixture of pytest-httpx": {"tests/test_a.py": PYTHON + "def test_a(httpx_mock): QuubClient()\n"},
    "a patch": {"tests/test_a.py": PYTHON + "@patch('app.quub.QuubClient')\ndef test_a(client): ...\n"},
    "VCR that records nothing": {
        "tests/test_a.py": PYTHON + "@pytest.mark.vcr\ndef test_a(): QuubClient()\n",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--record-mode=none'\n",
    },
    "VCR without a network": {
        "tests/test_a.py": PYTHON + "@my_vcr.use_cassette('a')\ndef test_a(): QuubClient()\n",
        "tests/conftest.py": "def pytest_runtest_setup():\n    disable_socket()\n",
    },
    "httptest": {"quub_test.go": GO},
    "WireMock": {"src/test/java/QuubClientTest.java": JAVA},
    "a mock object": {
        "src/test/java/QuubClientTest.java": "class QuubClientTest {\n  @Mock\n  QuubClient client;\n}\n"
    },
}


@pytest.mark.proof("pass")
@pytest.mark.parametrize("files", SOUND.values(), ids=SOUND)
def test_something_that_answers_in_the_place_of_quub_passes(tmp_path: Path, files: dict[str, str]) -> None:
    found = audit(tmp_path, CLIENT | files)

    assert [(each.status.value, each.observed) for each in found.findings if each.status.value != "pass"] == []
    assert found.status.value == "pass"


FAULTY: dict[str, tuple[dict[str, str], str, str]] = {
    "a call of production": (
        {"test/a.test.ts": TEST + "jest.mock('axios');\nconst client = new QuubClient('https://api.quub.fi');\n"},
        "names api.quub.fi, and nothing blocks the network",
        "test/a.test.ts:3:31",
    ),
    "a WebSocket of production": (
        {"tests/test_a.py": PYTHON + "URL = 'wss://ws.quub.fi/v1'\n"},
        "names ws.quub.fi, and nothing blocks the network",
        "tests/test_a.py:2:7",
    ),
    "nock that lets the rest out": (
        {"test/a.test.ts": NOCK},
        "requests that nothing answers go out",
        "test/a.test.ts:2:1",
    ),
    "nock that only another test file blocks": (
        {"test/a.test.ts": NOCK + "nock.disableNetConnect();\n", "test/b.test.ts": NOCK},
        "requests that nothing answers go out",
        "test/b.test.ts:2:1",
    ),
    "nock that only another package blocks": (
        {
            "a/package.json": "{}",
            "a/test/setup.ts": "nock.disableNetConnect();\n",
            "a/test/a.test.ts": NOCK,
            "b/package.json": "{}",
            "b/test/b.test.ts": NOCK,
        },
        "requests that nothing answers go out",
        "b/test/b.test.ts:2:1",
    ),
    "a mock that lets the rest out": (
        {"tests/test_a.py": PYTHON + "def test_a():\n    with requests_mock.Mocker(real_http=True): QuubClient()\n"},
        "requests that nothing answers go out",
        "tests/test_a.py:3:31",
    ),
    "an adapter that lets the rest out": (
        {"test/a.test.ts": TEST + "const mock = new MockAdapter(axios, { onNoMatch: 'passthrough' });\n"},
        "requests that nothing answers go out",
        "test/a.test.ts:2:39",
    ),
    "msw that warns": (
        {"test/a.test.ts": TEST, "test/server.ts": MSW + "server.listen({ onUnhandledRequest: 'warn' });\n"},
        "requests that nothing answers go out",
        "test/server.ts:1:23",
    ),
}


@pytest.mark.proof("fail")
@pytest.mark.parametrize(("files", "observed", "location"), FAULTY.values(), ids=FAULTY)
def test_what_reaches_further_fails_and_is_named(
    tmp_path: Path, files: dict[str, str], observed: str, location: str
) -> None:
    found = audit(tmp_path, CLIENT | files)

    assert found.status.value == "fail"
    failed = [(each.observed, str(each.location)) for each in found.findings if each.status.value == "fail"]
    assert failed == [(observed, location)]


@pytest.mark.proof("fail")
def test_a_real_credential_in_a_test_fails_and_is_not_shown(tmp_path: Path) -> None:
    key = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    found = audit(tmp_path, CLIENT | {"test/a.test.ts": TEST + f"jest.mock('../src/quub');\nconst key = '{key}';\n"})

    assert found.status.value == "fail"
    assert key not in repr(found)


UNSHOWN: dict[str, dict[str, str]] = {
    "no test touches Quub": {"test/a.test.ts": "nock('https://partner.test').get('/').reply(200);\n"},
    "nothing answers": {"test/a.test.ts": TEST + "new QuubClient();\n"},
    "a mock of something else in another test": {
        "test/a.test.ts": TEST + "new QuubClient();\n",
        "test/b.test.ts": "const mock = new MockAdapter(axios);\n",
    },
    "VCR that may record": {"tests/test_a.py": PYTHON + "@my_vcr.use_cassette('a')\ndef test_a(): QuubClient()\n"},
    "a cassette that is old": {
        "tests/test_a.py": PYTHON + "@pytest.mark.vcr\ndef test_a(): QuubClient()\n",
        "tests/cassettes/a.yaml": "uri: https://api-sandbox.quub.fi\nDate: ['Tue, 15 Nov 2022 08:12:31 GMT']\n",
        "pytest.ini": "[pytest]\naddopts = --record-mode=none\n",
    },
    "a sandbox": {"test/a.test.ts": TEST + "new QuubClient('https://api-sandbox.quub.fi');\n"},
}


@pytest.mark.proof("inconclusive")
@pytest.mark.parametrize("files", UNSHOWN.values(), ids=UNSHOWN)
def test_what_shows_nothing_is_inconclusive(tmp_path: Path, files: dict[str, str]) -> None:
    assert audit(tmp_path, CLIENT | files).status.value == "inconclusive"


@pytest.mark.proof("error")
def test_a_checkout_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    gone = Repository(name="gone", path=str(tmp_path / "nowhere"))

    assert audit(tmp_path, CLIENT | SOUND["nock"], gone).status.value == "error"


def test_a_repository_whose_client_no_test_touches_holds_back_the_pass_of_another(tmp_path: Path) -> None:
    worker, plain = tmp_path / "worker", tmp_path / "plain"
    others = (
        write(worker, CLIENT),
        write(plain, {"main.tf": "", "src/footer.ts": "export const by = 'Powered by Quub';"}),
    )
    named = tuple(Repository(name=Path(each.path).name, path=each.path) for each in others)

    assert audit(tmp_path, CLIENT | SOUND["nock"], named[1]).status.value == "pass"
    found = audit(tmp_path, CLIENT | SOUND["nock"], *named)
    assert (found.status.value, found.reason) == (
        "inconclusive",
        "worker: no test touches Quub, the code does, expected tests of its client",
    )


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("headers:\n  Authorization:\n  - Bearer aB3dE5gH7jK9mN1pQ3sT5v\n", ("authorization",)),
        ("headers:\n  X-API-Key: [9f8e7d6c5b4a39281706f5e4]\n", ("x-api-key",)),
        ('{"headers": {"Authorization": ["Bearer aB3dE5gH7jK9mN1pQ3sT5v"]}}', ("authorization",)),
        ('{"name": "authorization", "value": "Bearer aB3dE5gH7jK9mN1pQ3sT5v"}', ("authorization",)),
        ("Authorization:\n- Bearer REDACTED-0a1b2c3d4e5f6a7b\n", ()),
        ("Authorization:\n- Bearer test-token-aB3dE5gH7jK9mN1p\n", ()),
        ("Authorization:\n- DUMMY\n", ()),
        ("X-Request-Id: 9f8e7d6c5b4a39281706f5e4\n", ()),
    ],
)
def test_headers_of_cassettes_are_looked_at_for_credentials(text: str, credentials: tuple[str, ...]) -> None:
    assert tuple(read_cassette("a", text).credentials) == credentials


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Date: Tue, 15 Nov 2022 08:12:31 GMT\nDate: Wed, 16 Nov 2022 08:12:31 GMT", 16),
        ("Date: Tue, 99 Nov 2022 08:12:31 GMT", None),
        ("recorded at some time", None),
    ],
)
def test_a_cassette_is_as_new_as_its_newest_answer(text: str, day: int | None) -> None:
    answered_at = read_cassette("a", text).answered_at

    assert (answered_at.day if answered_at else None) == day


def test_hosts_of_production_are_those_that_production_declares_wherever_is_audited() -> None:
    def of(stage: Any, url: str, **more: Any) -> Environment:
        return Environment(service="orders", name=stage, stage=stage, quub=Quub(api_url=url), **more)

    staging = of("staging", "https://sandbox.test", siblings=(of("production", "https://API.Quub.Example:8443/v1"),))

    assert production_hosts(staging, PRODUCTION_HOSTS) == ("api.quub.fi", "ws.quub.fi", "api.quub.example")
