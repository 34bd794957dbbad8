"""What configuration files give a value: every form, at its line; hostile files are told and cost nothing else."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.connectors.repository_assignments import (
    form_of,
    read_compose,
    read_dockerfile,
    read_env,
    read_manifests,
    read_terraform,
    read_workflow,
)
from quub_audit.errors import Malformed
from quub_audit.facts.code import Assignments
from quub_audit.facts.seal import Redactor, Sealer
from tests.connectors.repository.conftest import Connect
from tests.connectors.repository.corpus import LETTERS, Mint
from tests.worlds.checkout import Checkout

NAMES = r"(?i)(api[_-]?key|secret|token|passw)"


def told(found: Assignments) -> list[tuple[str, str, str]]:
    return [(str(entry.location), entry.name, entry.fingerprint.kind) for entry in found.assignments]


@pytest.mark.parametrize(
    ("path", "form"),
    [
        (".env", "env"),
        (".env.production", "env"),
        ("config/prod.env", "env"),
        (".envrc", "env"),
        (".environment", None),
        ("Dockerfile", "dockerfile"),
        ("docker/Dockerfile.prod", "dockerfile"),
        ("api.Dockerfile", "dockerfile"),
        ("Dockerfiles/README.md", None),
        ("docker-compose.yml", "compose"),
        ("compose.prod.yaml", "compose"),
        ("docker-compose-dev.yml", "compose"),
        ("infra/main.tf", "terraform"),
        ("prod.tfvars", "terraform"),
        ("prod.auto.tfvars.json", "terraform"),
        ("k8s/secret.yaml", "kubernetes"),
        ("chart/values.yaml", "kubernetes"),
        (".github/workflows/ci.yml", "workflow"),
        (".gitlab-ci.yml", "workflow"),
        ("src/config.ts", None),
    ],
)
def test_a_file_has_its_form_by_its_path(path: str, form: str | None) -> None:
    assert form_of(path) == form


# Environment files


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("TOKEN=abc", "abc"),
        ("export TOKEN=abc", "abc"),
        ("  TOKEN = abc  ", "abc"),
        ('TOKEN="a b # c"  # comment', "a b # c"),
        ("TOKEN='a\"b'", 'a"b'),
        ("TOKEN=abc # comment", "abc"),
        ("TOKEN=abc#no-comment", "abc#no-comment"),
        ("TOKEN=a=b==", "a=b=="),
        ("TOKEN=", ""),
        ("TOKEN=${OTHER}", "${OTHER}"),
        ('TOKEN="two\nlines"', "two\nlines"),
        ('TOKEN="never closed', "never closed"),
        ("TOKEN='", ""),
        ('TOKEN="a\\"b"', 'a\\"b'),
    ],
)
def test_environment_files_give_values_as_shells_read_them(line: str, value: str) -> None:
    (given_one,) = read_env(f"# TOKEN=commented\n\n{line}\n")

    assert (given_one.name, given_one.value, given_one.line) == ("TOKEN", value, 3)


def test_what_follows_a_value_of_several_lines_is_read_too() -> None:
    text = 'KEY="-----BEGIN\nabc\n-----END"\r\nTOKEN=x\r\nnot an assignment\n'

    assert [(entry.name, entry.value, entry.line) for entry in read_env(text)] == [
        ("KEY", "-----BEGIN\nabc\n-----END", 1),
        ("TOKEN", "x", 4),
    ]


# Dockerfiles


def test_dockerfiles_give_values_by_env_and_arg_in_all_their_spellings() -> None:
    text = (
        "FROM node\n"
        "ARG NPM_TOKEN\n"
        "ARG API_KEY=abc\n"
        'env A_TOKEN=one B_TOKEN="t w o" \\\n'
        "    # a comment between\n"
        "    C_TOKEN='three'\n"
        "ENV OLD_TOKEN the old way\n"
        "RUN export D_TOKEN=not-asked\n"
        "ENV LAST_TOKEN=end"
    )

    assert [(entry.name, entry.value, entry.line) for entry in read_dockerfile(text)] == [
        ("API_KEY", "abc", 3),
        ("A_TOKEN", "one", 4),
        ("B_TOKEN", "t w o", 4),
        ("C_TOKEN", "three", 6),
        ("OLD_TOKEN", "the old way", 7),
        ("LAST_TOKEN", "end", 9),
    ]


# Terraform


def test_terraform_gives_literals_of_attributes_variables_and_containers() -> None:
    text = """# password = "commented"
/* api_key = "commented" */
variable "db_password" {
  type    = string
  default = "from-default"
}
resource "aws_db_instance" "x" {
  password = "literal"
  username = var.user
  tags     = { "api-token" = "quoted", other = 5 }
  secret   = var.secret
  token    = "x" == "y" ? 1 : 2
  api_key  = "${var.a}-suffix"
  key = <<EOT
heredoc value
EOT
}
resource "aws_ecs_task_definition" "t" {
  container_definitions = jsonencode([{
    environment = [
      { name = "A_TOKEN", value = "plain" },
      { value = "first", name = "B_TOKEN" },
    ]
    secrets = [{ name = "C_TOKEN", valueFrom = aws_secretsmanager_secret.c.arn }]
  }])
}
"""

    found = {(entry.name, entry.value, entry.line) for entry in read_terraform(text)}

    assert {
        ("db_password", "from-default", 5),
        ("password", "literal", 8),
        ("api-token", "quoted", 10),
        ("api_key", "${var.a}-suffix", 13),
        ("key", "heredoc value", 14),
        ("A_TOKEN", "plain", 21),
        ("B_TOKEN", "first", 22),
    } <= found
    assert not {"secret", "token", "C_TOKEN", "username"} & {entry[0] for entry in found}
    assert "commented" not in {entry[1] for entry in found}


def test_terraform_written_as_json_is_read_too() -> None:
    text = json.dumps({"variable": {"token": {"default": "abc"}}, "db_password": "lit", "n": 5}, indent=1)

    assert {(entry.name, entry.value) for entry in read_terraform(text)} >= {("db_password", "lit"), ("n", "5")}


# YAML


def test_compose_gives_values_of_environments_and_build_arguments() -> None:
    text = """
x-common: &common
  environment: &env
    A_TOKEN: one
services:
  web:
    build: {context: ., args: {B_TOKEN: two}}
    environment:
      <<: *env
      C_TOKEN: ${C_TOKEN}
      D_TOKEN:
  worker:
    environment:
      - E_TOKEN=three
      - F_TOKEN
      - "G_TOKEN= spaced "
    labels: {H_TOKEN: label}
"""

    found = [(entry.name, entry.value, entry.line) for entry in read_compose(text, "x")]

    assert sorted(found, key=lambda each: each[0]) == [
        ("A_TOKEN", "one", 4),
        ("B_TOKEN", "two", 7),
        ("C_TOKEN", "${C_TOKEN}", 10),
        ("E_TOKEN", "three", 14),
        ("G_TOKEN", "spaced", 16),
    ]


def test_manifests_give_values_of_secrets_maps_and_containers() -> None:
    text = f"""
apiVersion: v1
kind: Secret
data:
  a_token: {base64.b64encode(b"opened").decode()}
  b_token: not base64!
stringData: {{c_token: plain}}
---
apiVersion: v1
kind: ConfigMap
data:
  d_token: mapped
---
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
        - name: web
          env:
            - name: E_TOKEN
              value: literal
            - name: F_TOKEN
              valueFrom: {{secretKeyRef: {{name: x, key: y}}}}
            - {{name: G_TOKEN, value: 5}}
---
apiVersion: v1
kind: List
items:
  - kind: Secret
    data: {{h_token: {base64.b64encode(b"in a list").decode()}}}
"""

    found = {(entry.name, entry.value) for entry in read_manifests(text, "x.yaml") or ()}

    assert found == {
        ("a_token", "opened"),
        ("b_token", "not base64!"),
        ("c_token", "plain"),
        ("d_token", "mapped"),
        ("E_TOKEN", "literal"),
        ("G_TOKEN", "5"),
        ("h_token", "in a list"),
    }


def test_yaml_of_another_purpose_is_no_configuration() -> None:
    assert read_manifests("openapi: 3.1.0\npaths: {}\n", "api.yaml") is None
    assert read_manifests("token: abc\n", "random.yaml") is None


def test_values_of_a_chart_are_read_and_its_templates_are_read_around_their_expressions() -> None:
    template = """{{- if .Values.enabled }}
apiVersion: v1
kind: Secret
stringData:
  a_token: {{ .Values.token | quote }}
  b_token: literal
{{- end }}
"""
    broken = 'kind: Secret\n{{ include "x" . | nindent 2 }}\n   c_token: literal\n {{ d }}: x\n'

    assert [entry.name for entry in read_manifests("auth:\n  token: abc\n", "chart/values.yaml") or ()] == ["token"]
    assert [(entry.name, entry.value) for entry in read_manifests(template, "chart/templates/s.yaml") or ()] == [
        ("a_token", "${TEMPLATE}"),
        ("b_token", "literal"),
    ]
    assert ("c_token", "literal") in [(entry.name, entry.value) for entry in read_manifests(broken, "t.yaml") or ()]


def test_workflows_give_values_of_env_inputs_and_variables() -> None:
    text = """
on: push
env: {A_TOKEN: one}
jobs:
  build:
    env:
      B_TOKEN: ${{ secrets.B }}
    steps:
      - uses: x/y@v1
        with: {token: two}
        env:
          C_TOKEN: three
variables:
  D_TOKEN: {value: four, description: x}
  E_TOKEN: five
"""

    found = {(entry.name, entry.value) for entry in read_workflow(text, "x")}

    assert found == {
        ("A_TOKEN", "one"),
        ("B_TOKEN", "${{ secrets.B }}"),
        ("token", "two"),
        ("C_TOKEN", "three"),
        ("D_TOKEN", "four"),
        ("E_TOKEN", "five"),
    }


def test_an_expression_of_a_workflow_counts_as_a_reference() -> None:
    sealed = Sealer(b"salt", Redactor()).seal("${{ secrets.B }}")

    assert sealed.kind == "reference"


# Whole repositories


def test_names_that_are_asked_for_are_told_by_place_and_sealed(
    checkout: Checkout, connect: Connect, made_up: Mint
) -> None:
    values = [made_up.of(LETTERS, 24) for _ in range(3)]
    checkout.write(
        {
            ".env": f"PORT=3000\nQUUB_API_SECRET={values[0]}\nOTHER_TOKEN=${{OTHER}}\n",
            "infra/main.tf": f'resource "x" "y" {{\n  password = "{values[1]}"\n}}\n',
            "k8s/s.yaml": f"kind: Secret\nstringData:\n  apiKey: {values[2]}\n",
            "api.yaml": "token: abc\n",
            "node_modules/x/.env": "TOKEN=abc\n",
        }
    )
    redactor = Redactor()

    found = connect(redactor=redactor).assignments(checkout.target, names=NAMES)

    assert told(found) == [
        (".env:2:1", "QUUB_API_SECRET", "text"),
        (".env:3:1", "OTHER_TOKEN", "reference"),
        ("infra/main.tf:2:3", "password", "text"),
        ("k8s/s.yaml:3:3", "apiKey", "text"),
    ]
    assert [entry.form for entry in found.assignments] == ["env", "env", "terraform", "kubernetes"]
    assert found.files_read == 3
    assert not [value for value in values if value in repr(found) or redactor.clean(value) != "[redacted]"]
    assert decode(json.loads(json.dumps(encode(found)))) == found


def bomb(levels: int) -> str:
    lines = ["kind: Secret", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("k8s/bomb.yaml", bomb(12), "has more than 200000 parts, aliases counted"),
        ("k8s/aliases.yaml", "kind: x\na: &a 1\nb: [" + "*a, " * 2000 + "]", "uses more than 1000 aliases"),
        ("k8s/cycle.yaml", "kind: Secret\ndata: &a\n  b: *a\n", "nests more than 100 levels"),
        ("k8s/deep.yaml", "kind: x\na: " + "[" * 5000, "is no YAML"),
        ("compose.yaml", "services: {a: [}\n", "is no YAML at line 1"),
        ("compose.yaml", "services: *nowhere\n", "is no YAML at line 1: found undefined alias"),
        ("k8s/control.yaml", "kind: x\na: '\x07'\n", "is no YAML"),
        ("big.env", "A" * (1024 * 1024 + 1), "is too large: more than 1024 KiB"),
        (".env", b"TOKEN=\0\1", "is no text"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_the_others_are_read(
    checkout: Checkout, connector: RepositoryConnector, name: str, content: Any, reason: str
) -> None:
    checkout.write({name: content, "good.env": "TOKEN=here\n"})

    found = connector.assignments(checkout.target, names=NAMES)

    ((file, why),) = found.unreadable
    assert file == name
    assert reason in why
    assert told(found) == [("good.env:1:1", "TOKEN", "text")]


def test_python_objects_in_yaml_are_not_made(checkout: Checkout, connector: RepositoryConnector) -> None:
    made = checkout.path / "was-made"
    checkout.write({"k8s/x.yaml": f'kind: Secret\ndata:\n  token: !!python/object/apply:os.system ["touch {made}"]\n'})

    connector.assignments(checkout.target, names=NAMES)

    assert not made.exists()


def test_a_bad_expression_is_the_programmers_error(checkout: Checkout, connector: RepositoryConnector) -> None:
    with pytest.raises(ValueError, match="is no regular expression"):
        connector.assignments(checkout.target, names="(")


# Laws


PLAIN = st.text(
    st.characters(
        codec="utf-8",
        exclude_characters="'\"`\\#\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029$",
        exclude_categories=("Cc", "Zs", "Zl", "Zp"),
    ),
    min_size=1,
)


@given(value=PLAIN)
def test_whatever_is_quoted_in_any_form_comes_back(value: str) -> None:
    assert [entry.value for entry in read_env(f'A="{value}"\nB={value}\n')] == [value, value]
    assert [entry.value for entry in read_dockerfile(f'ENV A="{value}"\n')] == [value]
    assert [entry.value for entry in read_terraform(f'a = "{value}"\n')] == [value]


@given(text=st.text())
def test_no_text_ends_a_reader_in_another_way_than_malformed(text: str) -> None:
    for reader in (read_env, read_dockerfile, read_terraform):
        places = [(entry.line, entry.column) for entry in reader(text)]
        assert all(line >= 1 and column >= 1 for line, column in places)
    for read in (read_compose, read_workflow, read_manifests):
        with contextlib.suppress(Malformed):
            assert all(entry.line >= 1 for entry in read(f"kind: x\n{text}", "x") or ())


@given(text=st.text(alphabet='{}[]="\\ab:,#/*\n<$', max_size=300))
def test_terraform_made_of_signs_is_read_to_its_end(text: str) -> None:
    lines = text.count("\n") + 1

    assert all(entry.line <= lines for entry in read_terraform(text))
