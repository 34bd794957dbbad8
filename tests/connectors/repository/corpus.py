# ruff: noqa: E501
"""Credentials of many vendors, made up at run time, and harmless things that look like them.

What stands here is no credential, and is put together in such a way that no scanner takes this file for one.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

LETTERS = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + "234567"
LOWER = string.ascii_lowercase + string.digits
HEX = "0123456789abcdef"


@dataclass(frozen=True)
class Planted:
    """One credential in one file."""

    kind: str
    file: str
    text: str
    """The file's content, in which `value` stands."""
    value: str


class Mint:
    """Makes values up that follow from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def of(self, alphabet: str, length: int) -> str:
        return "".join(self._random.choices(alphabet, k=length))

    def bytes(self, length: int) -> bytes:
        return self._random.randbytes(length)

    def base64(self, length: int) -> str:
        return base64.b64encode(self.bytes(length)).decode()

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self.bytes(16), version=4))

    def github(self) -> str:
        """With the checksum that GitHub's tokens end with."""
        body = self.of(LETTERS, 30)
        number, digits = binascii.crc32(body.encode()), ""
        alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
        while number:
            number, rest = divmod(number, 62)
            digits = alphabet[rest] + digits
        return "gh" + "p_" + body + digits.rjust(6, "0")

    def pem(self, name: str, length: int) -> str:
        body = self.base64(length)
        lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
        return f"-----BEGIN {name}-----\n{lines}\n-----END {name}-----\n"

    def jwt(self) -> str:
        def part(value: dict[str, object]) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

        head = part({"alg": "HS256", "typ": "JWT"})
        body = part(
            {"sub": self.of(LETTERS, 12), "iss": "orders", "exp": self._random.randrange(1_700_000_000, 1_900_000_000)}
        )
        return f"{head}.{body}.{base64.urlsafe_b64encode(self.bytes(32)).decode().rstrip('=')}"


def planted(seed: int = 7) -> tuple[Planted, ...]:
    """One file per kind of credential."""
    mint = Mint(seed)
    return tuple(
        Planted(kind, file.format(n=number), text.replace("@", value).replace("%", "@"), value)
        for number, (kind, file, text, make) in enumerate(_KINDS)
        for value in (make(mint),)
    )


def harmless(seed: int = 11) -> dict[str, str]:
    """Files by path in which nothing is secret."""
    mint = Mint(seed)
    return {file: make(mint) for file, make in _HARMLESS.items()}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _made(prefix: str, alphabet: str, length: int, suffix: str = "") -> Callable[[Mint], str]:
    return lambda mint: prefix + mint.of(alphabet, length) + suffix


Kind = tuple[str, str, str, Callable[[Mint], str]]

_KINDS: tuple[Kind, ...] = (
    (
        "aws-access-key",
        "src/aws{n}.ts",
        'const accessKeyId = "@";\nconst secretAccessKey = "' + '";\n',
        _made("AK" + "IA", UPPER, 16),
    ),
    ("aws-secret-key", "deploy{n}.env", "AWS_SECRET_ACCESS_KEY=@\n", lambda m: m.base64(30)),
    ("github-pat", "src/gh{n}.ts", 'const token = "@";\n', lambda m: m.github()),
    (
        "github-fine-grained",
        "ci{n}.yml",
        "token: @\n",
        lambda m: "github" + "_pat_" + m.of(LETTERS, 22) + "_" + m.of(LETTERS, 59),
    ),
    ("gitlab-pat", "ci/gl{n}.yml", 'GITLAB_TOKEN: "@"\n', _made("gl" + "pat-", LETTERS, 20)),
    (
        "slack-bot",
        "src/slack{n}.py",
        'client = WebClient(token="@")\n',
        lambda m: "xo" + "xb-" + m.of(string.digits, 12) + "-" + m.of(string.digits, 13) + "-" + m.of(LETTERS, 24),
    ),
    (
        "slack-webhook",
        "alerts{n}.yaml",
        "url: @\n",
        lambda m: (
            "https://hooks.slack.com/services/T" + m.of(UPPER, 9) + "/B" + m.of(UPPER, 10) + "/" + m.of(LETTERS, 24)
        ),
    ),
    ("stripe-live", "src/pay{n}.js", "const stripe = require('stripe')('@');\n", _made("sk_" + "live_", LETTERS, 99)),
    ("sendgrid", "src/mail{n}.go", 'key := "@"\n', lambda m: "S" + "G." + m.of(LETTERS, 22) + "." + m.of(LETTERS, 43)),
    ("twilio", "src/sms{n}.py", 'TWILIO_AUTH_TOKEN = "@"\n', lambda m: m.of(HEX, 32)),
    ("npm", "cfg{n}/.npmrc", "//registry.npmjs.org/:_authToken=@\n", _made("npm" + "_", LETTERS, 36)),
    (
        "pypi",
        "cfg{n}/.pypirc",
        "[pypi]\nusername = __token__\npassword = @\n",
        lambda m: "pypi-AgEIcHlwaS5vcmc" + m.of(LETTERS + "_-", 160),
    ),
    ("google-api", "src/maps{n}.ts", 'const key = "@";\n', lambda m: "AI" + "za" + "Sy" + m.of(LETTERS, 33)),
    (
        "openai",
        "src/ai{n}.py",
        'client = OpenAI(api_key="@")\n',
        lambda m: "sk-" + "proj-" + m.of(LETTERS, 74) + "T3Blbk" + "FJ" + m.of(LETTERS, 74),
    ),
    ("anthropic", "src/claude{n}.py", 'key = "@"\n', lambda m: "sk-" + "ant-api03-" + m.of(LETTERS, 93) + "AA"),
    (
        "azure-storage",
        "src/blob{n}.cs",
        'var c = "DefaultEndpointsProtocol=https;AccountName=orders;AccountKey=@;EndpointSuffix=core.windows.net";\n',
        lambda m: m.base64(64),
    ),
    (
        "digitalocean",
        "infra/do{n}.tf",
        'provider "digitalocean" {{\n  token = "@"\n}}\n'.replace("{{", "{").replace("}}", "}"),
        _made("do" + "p_v1_", HEX, 64),
    ),
    ("heroku", "src/heroku{n}.sh", "export HEROKU_API_KEY=@\n", lambda m: m.uuid()),
    ("mailgun", "src/mg{n}.rb", "mailgun_api_key = '@'\n", _made("ke" + "y-", HEX, 32)),
    ("datadog", "dd{n}.yaml", "datadog_api_key: @\n", _made("", HEX, 32)),
    (
        "newrelic-user",
        "nr{n}.env",
        "NEW_RELIC_API_KEY=@\n",
        _made("NR" + "AK-", string.ascii_uppercase + string.digits, 27),
    ),
    ("sentry-auth", "sentry{n}.properties", "auth.token=@\n", lambda m: "sntr" + "yu_" + m.of(HEX, 64)),
    ("shopify", "src/shop{n}.ts", 'const token = "@";\n', _made("shp" + "at_", HEX, 32)),
    (
        "telegram",
        "src/tg{n}.py",
        'TELEGRAM_BOT_TOKEN = "@"\n',
        lambda m: m.of("123456789", 10) + ":AA" + m.of(LETTERS + "_-", 33),
    ),
    (
        "atlassian",
        "src/jira{n}.py",
        'JIRA_TOKEN = "@"\n',
        lambda m: "ATA" + "TT3xFfGF0" + m.of(LETTERS + "_-", 171) + "=" + m.of("0123456789ABCDEF", 8),
    ),
    (
        "terraform-cloud",
        "cfg{n}/credentials.tfrc",
        'credentials "app.terraform.io" {\n  token = "@"\n}\n',
        lambda m: m.of(LETTERS, 14) + ".atlas" + "v1." + m.of(LETTERS, 67),
    ),
    ("vault", "src/vault{n}.sh", "export VAULT_TOKEN=@\n", _made("hv" + "s.", LETTERS, 95)),
    ("databricks", "src/db{n}.py", 'token = "@"\n', _made("da" + "pi", HEX, 32)),
    ("huggingface", "src/hf{n}.py", 'login("@")\n', _made("h" + "f_", string.ascii_letters, 34)),
    ("rsa-key", "keys/server{n}.pem", "@", lambda m: m.pem("RSA PRIVATE KEY", 1190).strip() + "\n"),
    ("openssh-key", "keys/deploy{n}", "@", lambda m: m.pem("OPENSSH PRIVATE KEY", 300).strip() + "\n"),
    (
        "gcp-service-account",
        "gcp{n}.json",
        '{"type": "service_account", "private_key": "@", "client_email": "a@b.iam.gserviceaccount.com"}\n'.replace(
            "a@b", "a%b"
        ),
        lambda m: m.pem("PRIVATE KEY", 1218).replace("\n", "\\n"),
    ),
    ("jwt", "src/session{n}.ts", 'const session = "@";\n', lambda m: m.jwt()),
    (
        "postgres-url",
        "db{n}.env",
        "DATABASE_URL=postgresql://orders:@%db.internal:5432/orders\n",
        _made("", LETTERS, 20),
    ),
    (
        "mongodb-url",
        "src/mongo{n}.js",
        'const uri = "mongodb+srv://orders:@%cluster0.ab1cd.mongodb.net/app";\n',
        _made("", LETTERS, 18),
    ),
    ("redis-url", "src/redis{n}.py", 'REDIS_URL = "redis://default:@%cache.internal:6379/0"\n', _made("", LETTERS, 24)),
    ("generic-secret", "src/client{n}.ts", 'const clientSecret = "@";\n', _made("", LETTERS, 40)),
    ("generic-password", "src/login{n}.py", 'password = "@"\n', lambda m: m.of(LETTERS, 14) + "!" + m.of(LETTERS, 3)),
    ("yaml-secret", "values{n}.yaml", "auth:\n  secretKey: @\n", _made("", LETTERS, 40)),
    (
        "terraform-password",
        "infra/rds{n}.tf",
        'resource "aws_db_instance" "x" {\n  password = "@"\n}\n',
        _made("", LETTERS, 22),
    ),
    ("quub-live-key", "src/quub{n}.ts", 'export const key = "@";\n', _made("quub_" + "live_", LETTERS, 32)),
    ("quub-dotenv", "prod{n}.env", "QUUB_PROD_API_SECRET=@\n", _made("", LETTERS, 40)),
    ("quub-secret-literal", "src/config{n}.ts", 'quub: { apiKey: "x", apiSecret: "@" },\n', _made("", LETTERS, 40)),
    ("quub-fallback-js", "src/fall{n}.ts", 'const s = process.env.QUUB_API_SECRET || "@";\n', _made("", LETTERS, 32)),
    (
        "quub-fallback-nullish",
        "src/null{n}.ts",
        "const s = process.env['QUUB_API_SECRET'] ?? '@';\n",
        _made("", LETTERS, 32),
    ),
    (
        "quub-fallback-python",
        "src/fall{n}.py",
        'secret = os.environ.get("QUUB_API_SECRET", "@")\n',
        _made("", LETTERS, 32),
    ),
    ("fallback-password", "src/pw{n}.py", 'password = os.getenv("DB_PASSWORD", default="@")\n', _made("", LETTERS, 24)),
    ("quub-go", "src/main{n}.go", 'quubAPISecret := "@"\n', _made("", LETTERS, 32)),
    (
        "base64-in-manifest",
        "k8s/secret{n}.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  token: @\n",
        lambda m: base64.b64encode(m.github().encode()).decode(),
    ),
)


def _lock(mint: Mint) -> str:
    packages = {
        f"node_modules/{mint.of(LOWER, 8)}": {"version": "1.2.3", "integrity": f"sha512-{mint.base64(64)}"}
        for _ in range(50)
    }
    return json.dumps({"lockfileVersion": 3, "packages": packages}, indent=2)


def _lines(mint: Mint, line: Callable[[Mint], str], count: int = 20) -> str:
    return "".join(f"{line(mint)}\n" for _ in range(count))


_HARMLESS: dict[str, Callable[[Mint], str]] = {
    "package-lock.json": _lock,
    "go.sum": lambda m: _lines(m, lambda m: f"github.com/x/{m.of(LOWER, 6)} v1.0.0 h1:{m.base64(32)}"),
    "yarn.lock": lambda m: _lines(m, lambda m: f"  integrity sha512-{m.base64(64)}"),
    "poetry.lock": lambda m: _lines(m, lambda m: f'    {{file = "x.whl", hash = "sha256:{m.of(HEX, 64)}"}},'),
    "Cargo.lock": lambda m: _lines(m, lambda m: f'checksum = "{m.of(HEX, 64)}"'),
    "src/ids.ts": lambda m: _lines(m, lambda m: f'export const tenant_{m.of(LOWER, 4)} = "{m.uuid()}";'),
    "src/keyids.yaml": lambda m: _lines(m, lambda m: f"kms_key_id: {m.uuid()}", 5),
    "docs/aws.md": lambda m: (
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
    ),
    "docs/setup.md": lambda m: (
        "Set `QUUB_API_KEY=your-api-key-here` and `QUUB_API_SECRET=<your secret>`.\nexport TOKEN=xxxxxxxxxxxxxxxxxxxx\n"
    ),
    "keys/public.pem": lambda m: m.pem("PUBLIC KEY", 294),
    "keys/server.crt": lambda m: m.pem("CERTIFICATE", 900),
    "keys/id_ed25519.pub": lambda m: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{m.base64(32)[:43]} deploy\n",
    ".env.example": lambda m: (
        "QUUB_API_KEY=changeme\nQUUB_API_SECRET=placeholder\nDATABASE_URL=postgresql://user:password"
        + "%localhost/db\n".replace("%", "@")
    ),
    "src/env.ts": lambda m: (
        'export const c = { apiKey: process.env.QUUB_API_KEY, apiSecret: process.env["QUUB_API_SECRET"] ?? "" };\n'
    ),
    "src/names.ts": lambda m: (
        'const secretName = "production/quub/credentials";\nconst tokenHeader = "X-Quub-Api-Token";\nconst secretKeyRef = "quub-credentials";\n'
    ),
    "src/fallbacks.ts": lambda m: (
        'const mode = process.env.TOKEN_MODE ?? "bearer-header";\nconst file = process.env.QUUB_SECRET_FILE || "/run/secrets/quub-credentials";\nconst arn = process.env.QUUB_SECRET_ARN || "arn:aws:secretsmanager:eu-central-1:111122223333:secret:quub-AbCdEf";\n'
    ),
    ".github/workflows/ci.yml": lambda m: (
        f"env:\n  QUUB_API_KEY: ${{{{ secrets.QUUB_API_KEY }}}}\nsteps:\n  - uses: actions/checkout@{m.of(HEX, 40)}\n"
    ),
    "Dockerfile": lambda m: f"FROM node:22@sha256:{m.of(HEX, 64)}\nARG NPM_TOKEN\nENV API_TOKEN=$NPM_TOKEN\n",
    "src/pins.ts": lambda m: _lines(m, lambda m: f'  "sha256/{m.base64(32)}",', 3),
    "public/index.html": lambda m: (
        f'<script src="/a.js" integrity="sha384-{m.base64(48)}"></script>\n<img src="data:image/png;base64,{m.base64(600)}">\n'
    ),
    "src/stripe.ts": lambda m: 'const publishable = "pk_' + f'live_{m.of(LETTERS, 24)}";\n',
    "infra/main.tf": lambda m: (
        'resource "aws_secretsmanager_secret" "quub" {\n  name = "production/quub/credentials"\n}\ndata "aws_secretsmanager_secret_version" "quub" {\n  secret_id = aws_secretsmanager_secret.quub.id\n}\noutput "secret_arn" {\n  value = aws_secretsmanager_secret.quub.arn\n}\n'
    ),
    "k8s/deploy.yaml": lambda m: (
        "env:\n  - name: QUUB_API_SECRET\n    valueFrom:\n      secretKeyRef:\n        name: quub-credentials\n        key: apiSecret\n"
    ),
    "src/i18n.json": lambda m: json.dumps(
        {
            "auth.password.forgotten": "Forgotten your password?",
            "auth.token.expired": "Your token has expired, sign in again",
        }
    ),
    "src/errors.py": lambda m: (
        'INVALID_TOKEN = "invalid_token_error"\nPASSWORD_FIELD = "password_confirmation"\nSECRET_KEY_SETTING = "SECRET_KEY"\n'
    ),
    "CHANGELOG.md": lambda m: _lines(m, lambda m: f"- Fix the token cache ({m.of(HEX, 40)})", 10),
    "src/generated.css": lambda m: _lines(
        m, lambda m: f".token_{m.of(LETTERS, 10)}__{m.of(LETTERS, 5)} {{ color: #{m.of(HEX, 6)} }}"
    ),
    "tests/fixtures/users.json": lambda m: json.dumps(
        [{"id": m.uuid(), "passwordHash": "$2b$12$" + m.of(LETTERS, 53)}]
    ),
}


def files(seed: int = 7) -> Iterator[tuple[str, str]]:
    """Everything, credentials and harmless files, by path."""
    yield from ((each.file, each.text) for each in planted(seed))
    yield from harmless(seed + 4).items()
