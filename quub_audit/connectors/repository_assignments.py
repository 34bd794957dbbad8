"""Names to which configuration gives a value: environment files, Dockerfiles, Compose, Terraform, manifests, workflows.

Each form has a tolerant reader of its own that yields every name with a literal value and its line; what a file says
in other ways (interpolation, templates, references) has no literal and yields a reference or nothing. Terraform is
read by a scanner for `name = "literal"`, `name : "literal"` and `{ name = "N", value = "V" }` in place of a parser of
HCL: python-hcl2 takes 4 s for 150 KB, and what is asked here needs no evaluation.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import yaml

from quub_audit.connectors.base import QUESTION_TIMEOUT_S, seconds_left
from quub_audit.connectors.repository_files import MAX_TEXT_BYTES, Listed, Tree, decode, read_bytes
from quub_audit.errors import Malformed, Reportable
from quub_audit.facts.code import Assignment, Assignments
from quub_audit.facts.seal import Sealer
from quub_audit.model.environment import Repository
from quub_audit.model.finding import Location

Form = Literal["env", "dockerfile", "compose", "terraform", "kubernetes", "workflow"]

MAX_NODES = 200_000
"""Parts of one YAML file that are looked at; aliases count each time they are used."""

MAX_ALIASES = 1000


class Given(NamedTuple):
    """One name with its value, at a line and column counted from 1."""

    name: str
    value: str
    line: int
    column: int


FORMS: tuple[tuple[Form, re.Pattern[str]], ...] = (
    ("workflow", re.compile(r"(^|/)\.github/workflows/[^/]+\.ya?ml$|(^|/)action\.ya?ml$|(^|/)\.gitlab-ci\.ya?ml$")),
    ("compose", re.compile(r"(?i)(^|/)(docker-)?compose([._-][^/]*)?\.ya?ml$")),
    ("dockerfile", re.compile(r"(?i)(^|/)(Dockerfile|Containerfile)([._-][^/]*)?$|\.(dockerfile|containerfile)$")),
    ("terraform", re.compile(r"\.(tf|tfvars|hcl)$|\.(tf|tfvars)\.json$")),
    ("env", re.compile(r"(^|/)\.env(\.[^/]*|rc)?$|(^|/)[^/]+\.env$|(^|/)[^/]*\.env\.(example|sample|template)$")),
    ("kubernetes", re.compile(r"\.ya?ml$")),
)
"""The form of a file by its path; the first that fits. YAML that is no manifest yields nothing."""


def find_assignments(repository: Repository, tree: Tree, names: str, sealer: Sealer) -> Assignments:
    """Every name that matches `names` (searched, not anchored) and is given a value, by file, line and column.

    Raises ValueError when `names` is no regular expression, TimedOut.
    """
    is_asked = _compiled(names)
    found: list[Assignment] = []
    unreadable: list[tuple[str, str]] = []
    read = 0
    for listed in tree.own():
        path = listed.file.path
        form = form_of(path)
        if form is None:
            continue
        seconds_left(QUESTION_TIMEOUT_S)
        try:
            given = _read(repository, tree, listed, form)
        except Reportable as error:
            unreadable.append((path, error.message.removeprefix(f"{repository}:{path} ")))
            continue
        if given is None:
            continue
        read += 1
        found.extend(
            Assignment(
                name=name,
                fingerprint=sealer.seal(value),
                location=Location(file=path, line=line, column=column),
                form=form,
            )
            for name, value, line, column in sorted(given, key=lambda each: (each.line, each.column, each.name))
            if is_asked(name)
        )
    return Assignments(assignments=tuple(found), files_read=read, unreadable=tuple(unreadable))


def form_of(path: str) -> Form | None:
    """What kind of configuration a file is, by its path; None for anything else."""
    return next((form for form, pattern in FORMS if pattern.search(path)), None)


def _compiled(names: str) -> Callable[[str], object]:
    try:
        return re.compile(names).search
    except re.error as error:
        raise ValueError(f"{names!r} is no regular expression: {error}") from error


def _read(repository: Repository, tree: Tree, listed: Listed, form: Form) -> list[Given] | None:
    """What one file gives a value; None for YAML of another purpose. Raises Malformed, Denied, Absent."""
    label = f"{repository}:{listed.file.path}"
    text = decode(read_bytes(tree.root, listed, MAX_TEXT_BYTES, label), label)
    if form == "kubernetes":
        return read_manifests(text, label)
    readers: Mapping[str, Callable[[str, str], Iterable[Given]]] = {
        "env": lambda text, _: read_env(text),
        "dockerfile": lambda text, _: read_dockerfile(text),
        "terraform": lambda text, _: read_terraform(text),
        "compose": read_compose,
        "workflow": read_workflow,
    }
    return list(readers[form](text, label))


# Environment files

_ENV_LINE = re.compile(r"^[ \t]*(?:export[ \t]+|set[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*=[ \t]*(?P<value>.*)$")


def read_env(text: str) -> Iterator[Given]:
    """`NAME=value` lines, `export` before them, quotes around the value, comments after it; quoted lines go on."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        start = number
        number += 1
        found = _ENV_LINE.match(lines[start])
        if found is None:
            continue
        value = found["value"].strip()
        quote = value[:1]
        if quote in ("'", '"', "`") and quote and not _closing(value, quote):
            while number < len(lines) and not _closing(f"{quote}{lines[number]}", quote):
                value += "\n" + lines[number]
                number += 1
            if number < len(lines):
                value += "\n" + lines[number]
                number += 1
        yield Given(found["name"], _unquoted(value), start + 1, found.start("name") + 1)


def _closing(value: str, quote: str) -> int:
    """Where the quote that opens `value` is closed; 0 when it is not."""
    place = 1
    while place < len(value):
        if value[place] == "\\" and quote == '"':
            place += 1
        elif value[place] == quote:
            return place
        place += 1
    return 0


def _unquoted(value: str) -> str:
    quote = value[:1]
    if quote and quote in "'\"`":
        end = _closing(value, quote)
        return value[1:end] if end else value[1:]
    return re.split(r"\s#", value, maxsplit=1)[0].strip()


# Dockerfiles

_INSTRUCTION = re.compile(r"^[ \t]*(?P<word>ENV|ARG)[ \t]+(?P<rest>.*)$", re.IGNORECASE | re.DOTALL)
_PAIR = re.compile(r"""(?P<name>[A-Za-z_][\w.-]*)=(?P<value>"(?:\\.|[^"\\])*"|'[^']*'|(?:\\.|[^\s\\])*)""", re.DOTALL)


def read_dockerfile(text: str) -> Iterator[Given]:
    """ENV (both spellings) and ARG with a default; continued lines, comments between them."""
    for line, instruction in _instructions(text):
        found = _INSTRUCTION.match(instruction)
        if found is None:
            continue
        pairs = list(_PAIR.finditer(found["rest"]))
        if pairs and not found["rest"][: pairs[0].start()].strip():
            for pair in pairs:
                at = line + instruction.count("\n", 0, found.start("rest") + pair.start())
                before = instruction[: found.start("rest") + pair.start()]
                yield Given(pair["name"], _unquoted(pair["value"]), at, len(before) - before.rfind("\n"))
        elif found["word"].upper() == "ENV":
            name, _, value = found["rest"].strip().partition(" ")
            yield Given(name, _unquoted(value.strip()), line, found.start("rest") + 1)


def _instructions(text: str) -> Iterator[tuple[int, str]]:
    """Whole instructions with the line they begin at; line ends stay, so that places can be told."""
    parts: list[str] = []
    start = 1
    for number, line in enumerate(text.splitlines(), start=1):
        if parts and line.lstrip().startswith("#"):
            parts.append("")
            continue
        if not parts:
            start = number
        is_continued = line.rstrip().endswith(("\\", "`"))
        parts.append(line.rstrip()[:-1] if is_continued else line)
        if not is_continued:
            yield start, "\n".join(parts)
            parts = []
    if parts:
        yield start, "\n".join(parts)


# Terraform

_HCL_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z))
      |(?P<heredoc><<-?(?P<mark>\w+)[^\n]*\n.*?^[ \t]*(?P=mark)[ \t]*$)
      |(?P<string>"(?:\\.|\$\{[^}\n]*\}|[^"\\\n])*")
      |(?P<word>[A-Za-z_][\w-]*)
      |(?P<sign>[=:{}\[\](),])
      |(?P<number>-?\d[\w.]*)
      |(?P<newline>\n)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def read_terraform(text: str) -> Iterator[Given]:
    """Attributes with a literal, `default` of variables under their name, `{ name = N, value = V }` under N."""
    tokens = [
        _Token(match.lastgroup or "", match[0], match.start())
        for match in _HCL_TOKEN.finditer(text)
        if match.lastgroup not in ("comment", "mark")
    ]
    tokens = [token for token in tokens if token.kind]
    places = _Places(text)
    blocks: list[_Block] = [_Block("")]
    for position, token in enumerate(tokens):
        if token.text == "{":
            blocks.append(_Block(_header(tokens, position)))
        elif token.text == "}" and len(blocks) > 1:
            yield from blocks.pop().pairs(places)
        elif token.text in ("=", ":") and token.kind == "sign":
            name = _name_before(tokens, position)
            value = _literal_after(tokens, position)
            if name is not None and value is not None:
                yield from blocks[-1].give(name, value, places)
    while blocks:
        yield from blocks.pop().pairs(places)


class _Places:
    """Lines and columns of offsets in a text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        from bisect import bisect_right

        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


class _Block:
    """What stands between two braces: the name of the variable that it declares, and a name and value pair."""

    def __init__(self, header: str) -> None:
        self._variable = header
        self._name: _Token | None = None
        self._value: _Token | None = None

    def give(self, name: _Token, value: _Token, places: _Places) -> Iterator[Given]:
        key, text = _bare(name.text), _bare(value.text)
        if key == "default" and self._variable:
            yield Given(self._variable, text, *places.at(name.at))
        elif key == "name":
            self._name = value
        elif key == "value":
            self._value = value
        else:
            yield Given(key, text, *places.at(name.at))

    def pairs(self, places: _Places) -> Iterator[Given]:
        if self._name is not None and self._value is not None:
            yield Given(_bare(self._name.text), _bare(self._value.text), *places.at(self._value.at))


def _header(tokens: list[_Token], position: int) -> str:
    """The name in `variable "name" {`; empty for any other block."""
    before = tokens[max(0, position - 2) : position]
    if len(before) == 2 and before[0].text == "variable" and before[1].kind in ("string", "word"):
        return _bare(before[1].text)
    if len(before) == 2 and before[0].text == '"variable"':
        return _bare(before[1].text)
    return ""


def _name_before(tokens: list[_Token], position: int) -> _Token | None:
    before = tokens[position - 1] if position else None
    return before if before is not None and before.kind in ("word", "string") else None


def _literal_after(tokens: list[_Token], position: int) -> _Token | None:
    """The literal that stands alone to the right of `=`."""
    if position + 1 >= len(tokens):
        return None
    value = tokens[position + 1]
    if value.kind not in ("string", "number", "heredoc"):
        return None
    after = tokens[position + 2] if position + 2 < len(tokens) else None
    is_alone = after is None or after.kind == "newline" or after.text in ("}", ",", "]", ")")
    return value if is_alone or value.kind == "heredoc" else None


def _bare(text: str) -> str:
    """The text between the quotes; a heredoc without its marks."""
    if text.startswith("<<"):
        return text.partition("\n")[2].rpartition("\n")[0]
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text[1:-1]


# YAML


@dataclass(frozen=True, slots=True)
class _Walk:
    """Limits the parts of one file that are looked at."""

    label: str
    left: list[int]

    def count(self) -> None:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise Malformed(f"{self.label} has more than {MAX_NODES} parts, aliases counted")


def read_compose(text: str, label: str) -> Iterator[Given]:
    """`environment` of services, as mapping or list, and `args` of builds."""
    for node in _documents(text, label):
        for path, key, value in _entries(node, label):
            if path[-1:] in (("environment",), ("args",)) and key is not None:
                yield from _scalar(key, value)
            elif path[-1:] in (("environment",), ("args",)) and isinstance(value, yaml.ScalarNode):
                name, is_given, given = value.value.partition("=")
                if is_given:
                    yield Given(name.strip(), _unquoted(given.strip()), *_place(value))


def read_workflow(text: str, label: str) -> Iterator[Given]:
    """`env` at every level, `with` of steps, `variables` of GitLab; expressions count as references."""
    for node in _documents(text, label):
        for path, key, value in _entries(node, label):
            if key is not None and path[-1:] in (("env",), ("with",), ("variables",)):
                yield from _scalar(key, value)
            elif key is not None and key.value == "value" and path[-2:-1] == ("variables",):
                yield Given(path[-1], _text(value), *_place(value))


def read_manifests(text: str, label: str) -> list[Given] | None:
    """`data` and `stringData` of Secrets, `data` of ConfigMaps, `env` of containers, and values of Helm charts.

    None when no document of the file is one of these.
    """
    is_chart = bool(re.search(r"(^|/)values[^/]*\.ya?ml$", label))
    is_template = "{{" in text
    if not is_chart and not re.search(r"(?m)^\s*kind\s*:", text):
        return None
    try:
        documents = list(_documents(_without_templates(text) if is_template else text, label))
        given = [entry for node in documents for entry in _of_manifest(node, label, is_chart=is_chart)]
    except Malformed:
        if is_template:
            return list(_by_line(text))
        raise
    return given


def _of_manifest(node: yaml.Node, label: str, *, is_chart: bool) -> Iterator[Given]:
    if is_chart:
        for _, key, value in _entries(node, label):
            if key is not None:
                yield from _scalar(key, value)
        return
    kinds = _kinds(node)
    for path, key, value in _entries(node, label):
        if key is not None and path[-1:] in (("data",), ("stringData",)):
            is_encoded = path[-1] == "data" and "Secret" in kinds
            yield from _scalar(key, value, is_encoded=is_encoded)
        elif key is None and path[-1:] in (("env",),) and isinstance(value, yaml.MappingNode):
            parts = {_text(name): part for name, part in value.value}
            if "name" in parts and isinstance(parts.get("value"), yaml.ScalarNode):
                yield Given(_text(parts["name"]), _text(parts["value"]), *_place(parts["value"]))


def _kinds(node: yaml.Node) -> set[str]:
    """The kind of a manifest, and of those that a List holds."""
    found: set[str] = set()
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if _text(key) == "kind":
                found.add(_text(value))
            elif _text(key) == "items" and isinstance(value, yaml.SequenceNode):
                for item in value.value:
                    found |= _kinds(item)
    return found


def _documents(text: str, label: str) -> Iterator[yaml.Node]:
    """The documents of a YAML file as nodes; an alias is the node it stands for. Raises Malformed."""
    if text.count("*") > MAX_ALIASES and len(re.findall(r"(?m)[:\-,\[ ]\s*\*\w", text)) > MAX_ALIASES:
        raise Malformed(f"{label} uses more than {MAX_ALIASES} aliases")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for node in yaml.compose_all(text, Loader=loader):
            if node is not None:
                yield node
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise Malformed(f"{label} is no YAML{where}: {problem}") from error
    except (RecursionError, ValueError) as error:
        raise Malformed(f"{label} is no YAML that can be read: {type(error).__name__}") from error


Entry = tuple[tuple[str, ...], yaml.ScalarNode | None, yaml.Node]


def _entries(node: yaml.Node, label: str) -> Iterator[Entry]:
    """Every entry: the keys that lead to its mapping or list, its own key (None in a list), its value."""
    walk = _Walk(label, [MAX_NODES])
    waiting: list[tuple[tuple[str, ...], yaml.Node]] = [((), node)]
    while waiting:
        path, part = waiting.pop()
        if len(path) > 100:
            raise Malformed(f"{label} nests more than 100 levels")
        if isinstance(part, yaml.MappingNode):
            for key, value in part.value:
                walk.count()
                if isinstance(key, yaml.ScalarNode):
                    yield path, key, value
                    waiting.append(((*path, key.value), value))
        elif isinstance(part, yaml.SequenceNode):
            for value in part.value:
                walk.count()
                yield path, None, value
                waiting.append((path if isinstance(value, yaml.ScalarNode) else (*path, "[]"), value))


def _scalar(key: yaml.ScalarNode, value: yaml.Node, *, is_encoded: bool = False) -> Iterator[Given]:
    """A key with a single value; a key without any passes a variable on and gives it none."""
    if not isinstance(value, yaml.ScalarNode) or value.tag == "tag:yaml.org,2002:null":
        return
    text = _text(value)
    yield Given(key.value, _decoded(text) if is_encoded else text, *_place(key))


def _decoded(text: str) -> str:
    """The value of a Secret; as it stands where it is not base64 of text."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return text


def _text(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _place(node: yaml.Node) -> tuple[int, int]:
    mark = node.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def _without_templates(text: str) -> str:
    """A Helm template as YAML: lines that only steer it are emptied, expressions become references."""
    lines = (
        "" if re.fullmatch(r"\s*(\{\{.*?\}\}\s*)+", line) else _EXPRESSION.sub("${TEMPLATE}", line)
        for line in text.split("\n")
    )
    return "\n".join(lines)


_YAML_LINE = re.compile(r"""^\s*(?:-\s+)?["']?(?P<name>[A-Za-z_][\w.-]*)["']?\s*:\s+(?P<value>\S.*)$""")


def _by_line(text: str) -> Iterator[Given]:
    """`name: value` lines of a template that is no YAML even without its expressions."""
    for number, line in enumerate(text.splitlines(), start=1):
        found = _YAML_LINE.match(line)
        if found is not None and "{{" not in found["value"]:
            yield Given(found["name"], _unquoted(found["value"]), number, found.start("name") + 1)
