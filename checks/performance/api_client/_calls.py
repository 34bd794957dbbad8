"""Where a service makes HTTP clients and sends requests, found by structural search in its own production code.

Found in JavaScript and TypeScript (axios, fetch, undici, got, ky, node-fetch, http and https of Node), Python
(requests, httpx, aiohttp, urllib3, urllib.request), Go (net/http) and Java (OkHttp, java.net.http, Spring). A client is
followed by its name: within its file, into the files that import it, through a function that makes and returns it, and
by the declared type of a parameter or field. It is not followed further; a request through a client that was not found
is known by its type alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from quub_audit.checks.performance.api_client._source import Names, arguments, uncommented
from quub_audit.sdk import Location, Match, Pattern, Repositories, Repository

JS: Final = ("javascript", "typescript", "tsx")
SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One call or construction in the code."""

    location: Location
    language: str
    text: str
    """At most 2,000 characters."""
    function: str
    """What is called, by the name of its library: `axios.create`, `requests.get`, `http.Client`."""
    written: str
    """What is called, as the code has it."""
    parts: tuple[str, ...] | None = ()
    """Texts of the arguments; None when they could not be read to their end."""
    name: str = ""
    """The name that the result is given (last part of `this.http`), if any."""
    is_kept: bool = False
    """Whether that name is a field, a module's variable or a property, and lives on after the function."""
    within: str = ""
    """The nearest function with a name around it; empty on the level of the module."""
    is_in_function: bool = False
    is_in_loop: bool = False
    is_returned: bool = False
    is_cached: bool = False
    """Whether the function around it remembers its result (`functools.lru_cache`, a Spring bean)."""

    @property
    def shown(self) -> str:
        """The call in one line."""
        line = " ".join(self.text.split())
        return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1].rstrip() + "…"

    @property
    def library(self) -> str:
        """The library that is called."""
        return self.function.partition(".")[0]

    @property
    def method(self) -> str:
        """The last part of the name: `get` of `axios.get`."""
        return self.function.rpartition(".")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A place where requests are sent from."""

    site: Site
    client: Site | None = None
    """The construction of the client that sends it; None for a bare call, and where it was not found."""
    is_through_client: bool = False
    """Whether a client sends it; with no `client`, one that was not found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What the code of one repository holds of HTTP clients."""

    repository: str
    calls: tuple[Call, ...] = ()
    clients: tuple[Site, ...] = ()
    """Constructions of clients, agents, dispatchers, transports and requests."""
    settings: tuple[Site, ...] = ()
    """Assignments that give a library or a client a default: `axios.defaults.timeout = 5000`."""
    aborts: tuple[Site, ...] = ()
    """Timers that abort something, and contexts with a deadline."""
    names: Names = field(default_factory=Names)
    unreadable: tuple[tuple[str, str], ...] = ()


LIBRARIES: Mapping[str, str] = {
    "axios": "axios",
    "got": "got",
    **dict.fromkeys(("ky", "ky-universal"), "ky"),
    "undici": "undici",
    **dict.fromkeys(("node-fetch", "cross-fetch", "isomorphic-fetch", "node-fetch-native"), "fetch"),
    **dict.fromkeys(("http", "https", "node:http", "node:https"), "http"),
    "agentkeepalive": "agent",
    **{name: name for name in ("requests", "httpx", "aiohttp", "urllib3")},
    **dict.fromkeys(("urllib.request", "urllib"), "urllib"),
}
"""Names of libraries by the module that is imported."""

_MODULES = "|".join(sorted(map(re.escape, LIBRARIES), key=len, reverse=True))

METHODS: Mapping[str, frozenset[str]] = {
    "axios": frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request", "postForm", "axios"}),
    "got": frozenset({"get", "post", "put", "patch", "delete", "head", "stream", "paginate", "got"}),
    "ky": frozenset({"get", "post", "put", "patch", "delete", "head", "ky"}),
    "undici": frozenset({"request", "stream", "fetch", "pipeline"}),
    "fetch": frozenset({"fetch"}),
    "http": frozenset({"get", "request"}),
    "requests": frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request", "send"}),
    "httpx": frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request", "stream", "send"}),
    "aiohttp": frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request"}),
    "urllib3": frozenset({"request", "urlopen", "request_encode_body", "request_encode_url"}),
    "urllib": frozenset({"urlopen"}),
    "gohttp": frozenset({"Get", "Post", "PostForm", "Head", "Do"}),
}
"""Functions that send a request, by library; also those of its clients."""

CLIENTS: Mapping[str, frozenset[str]] = {
    "axios": frozenset({"create", "Axios"}),
    "got": frozenset({"extend"}),
    "ky": frozenset({"create", "extend"}),
    "undici": frozenset({"Agent", "Pool", "Client", "ProxyAgent", "RetryAgent", "BalancedPool"}),
    "http": frozenset({"Agent"}),
    "agent": frozenset({"agent", "HttpAgent", "HttpsAgent"}),
    "requests": frozenset({"Session", "session"}),
    "httpx": frozenset({"Client", "AsyncClient"}),
    "aiohttp": frozenset({"ClientSession"}),
    "urllib3": frozenset({"PoolManager", "HTTPSConnectionPool", "HTTPConnectionPool", "ProxyManager"}),
    "gohttp": frozenset({"Client", "Transport"}),
    "okhttp": frozenset({"OkHttpClient"}),
    "jdk": frozenset({"HttpClient", "HttpRequest"}),
    "spring": frozenset({"RestTemplate", "WebClient", "RestClient", "RestTemplateBuilder"}),
}
"""Functions and classes that make a client, or what a client is made of."""

_TYPES: Mapping[str, str] = {
    "AxiosInstance": "axios",
    "Axios": "axios",
    "Got": "got",
    "KyInstance": "ky",
    "requests.Session": "requests",
    "Session": "requests",
    "httpx.Client": "httpx",
    "httpx.AsyncClient": "httpx",
    "AsyncClient": "httpx",
    "aiohttp.ClientSession": "aiohttp",
    "ClientSession": "aiohttp",
    "urllib3.PoolManager": "urllib3",
    "*http.Client": "gohttp",
}
"""Libraries by the declared type of a client; it counts where the library is imported (SQLAlchemy has a `Session`)."""


def quoted(text: str) -> str:
    """The text as a YAML scalar in single quotes."""
    return "'" + text.replace("'", "''") + "'"


# Grammar by language: what is a call, a function, a loop, and what gives a value its name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grammar:
    languages: tuple[str, ...]
    calls: str
    """Rules for calls and constructions whose function matches `WANTED`."""
    declared: str
    """Rules for declarations that name a value for as long as the block lives."""
    kept: str
    """Rules for what names a value that lives on."""
    functions: str
    named: str
    loops: str
    returned: str
    cached: str
    stop: str


_JS_CALLS = """
  - {kind: call_expression, has: {field: function, regex: WANTED}}
  - {kind: new_expression, has: {field: constructor, regex: WANTED}}
"""
_JS_FUNCTIONS = "{kind: function_declaration}, {kind: function_expression}, {kind: arrow_function}, {kind: method_definition}, {kind: generator_function_declaration}"  # noqa: E501
_JS = _Grammar(
    languages=JS,
    calls=_JS_CALLS,
    declared="[{all: [{kind: variable_declarator}, {has: {field: name, pattern: $NAME}}]}]",
    kept="[{all: [{kind: assignment_expression}, {has: {field: left, pattern: $NAME}}]},"
    " {all: [{kind: augmented_assignment_expression}, {has: {field: left, pattern: $NAME}}]},"
    " {all: [{kind: FIELD_DEFINITION}, {has: {field: FIELD_NAME, pattern: $NAME}}]},"
    " {all: [{kind: pair}, {has: {field: key, pattern: $NAME}}]}]",
    functions=f"[{_JS_FUNCTIONS}]",
    named="[{all: [{kind: function_declaration}, {has: {field: name, pattern: $NAME}}]},"
    " {all: [{kind: method_definition}, {has: {field: name, pattern: $NAME}}]},"
    " {all: [{kind: variable_declarator, has: {field: value, any: [{kind: arrow_function}, {kind: function_expression}]}}, {has: {field: name, pattern: $NAME}}]}]",  # noqa: E501
    loops="[{kind: for_statement}, {kind: for_in_statement}, {kind: while_statement}, {kind: do_statement},"
    " {kind: call_expression, has: {field: function, regex: '\\.(map|forEach|flatMap)$'}}]",
    returned="[{kind: return_statement}, {kind: arrow_function}]",
    cached="[{kind: augmented_assignment_expression, regex: '(\\?\\?|\\|\\|)='}]",
    stop="[{kind: arguments}, {kind: statement_block}, {kind: class_body}]",
)
_TS = replace(
    _JS,
    languages=("typescript", "tsx"),
    kept=_JS.kept.replace("FIELD_DEFINITION", "public_field_definition").replace("FIELD_NAME", "name"),
)
_PLAIN_JS = replace(
    _JS,
    languages=("javascript",),
    kept=_JS.kept.replace("FIELD_DEFINITION", "field_definition").replace("FIELD_NAME", "property"),
)
_PYTHON = _Grammar(
    languages=("python",),
    calls="\n  - {kind: call, has: {field: function, regex: WANTED}}\n",
    declared="[{all: [{kind: assignment}, {has: {field: left, pattern: $NAME}}]},"
    " {all: [{kind: named_expression}, {has: {field: name, pattern: $NAME}}]},"
    " {all: [{kind: as_pattern}, {has: {kind: as_pattern_target, pattern: $NAME}}]}]",
    kept="[{all: [{kind: assignment}, {has: {field: left, regex: '\\.', pattern: $NAME}}]},"
    " {all: [{kind: pair}, {has: {field: key, pattern: $NAME}}]}]",
    functions="[{kind: function_definition}, {kind: lambda}]",
    named="[{all: [{kind: function_definition}, {has: {field: name, pattern: $NAME}}]}]",
    loops="[{kind: for_statement}, {kind: while_statement}, {kind: list_comprehension}, {kind: generator_expression}]",
    returned="[{kind: return_statement}, {kind: lambda}, {kind: yield}]",
    cached="[{kind: decorated_definition, has: {kind: decorator, regex: '(?i)cache|bean|singleton'}}]",
    stop="[{kind: argument_list}, {kind: block}]",
)
_GO = _Grammar(
    languages=("go",),
    calls="\n  - {kind: call_expression, has: {field: function, regex: WANTED}}\n"
    "  - {kind: composite_literal, has: {field: type, regex: WANTED}}\n",
    declared="[{all: [{kind: short_var_declaration}, {has: {field: left, pattern: $NAME}}]},"
    " {all: [{kind: var_spec}, {has: {field: name, pattern: $NAME}}]}]",
    kept="[{all: [{kind: assignment_statement}, {has: {field: left, pattern: $NAME}}]},"
    " {all: [{kind: keyed_element}, {has: {nthChild: 1, pattern: $NAME}}]}]",
    functions="[{kind: function_declaration}, {kind: method_declaration}, {kind: func_literal}]",
    named="[{all: [{kind: function_declaration}, {has: {field: name, pattern: $NAME}}]},"
    " {all: [{kind: method_declaration}, {has: {field: name, pattern: $NAME}}]}]",
    loops="[{kind: for_statement}]",
    returned="[{kind: return_statement}]",
    cached="[{kind: call_expression, has: {field: function, regex: '\\.Do$|OnceValue$'}, regex: '(?i)once'}]",
    stop="[{kind: argument_list}, {kind: block}]",
)
_JAVA = _Grammar(
    languages=("java",),
    calls="""
  - {kind: object_creation_expression, regex: '^new\\s+(OkHttpClient|RestTemplate)\\s*\\('}
  - {kind: method_invocation, regex: '(?s)^(new\\s+OkHttpClient\\.Builder|HttpClient\\.newBuilder|HttpRequest\\.newBuilder|WebClient\\.builder|RestClient\\.builder|new\\s+RestTemplateBuilder)\\b.*\\.build\\(\\)$'}
  - {kind: method_invocation, regex: '^(HttpClient\\.newHttpClient|WebClient\\.create|RestClient\\.create)\\([^()]*\\)$'}
  - {kind: method_invocation, has: {field: object, regex: '(?i)resttemplatebuilder$|^builder$|clientBuilder$'}, regex: '(?s)^\\w+\\.build\\(\\)$'}
""",  # noqa: E501
    declared="[{all: [{kind: variable_declarator, inside: {kind: local_variable_declaration}}, {has: {field: name, pattern: $NAME}}]}]",  # noqa: E501
    kept="[{all: [{kind: variable_declarator, inside: {kind: field_declaration}}, {has: {field: name, pattern: $NAME}}]},"  # noqa: E501
    " {all: [{kind: assignment_expression}, {has: {field: left, pattern: $NAME}}]}]",
    functions="[{kind: method_declaration}, {kind: constructor_declaration}, {kind: lambda_expression}]",
    named="[{all: [{kind: method_declaration}, {has: {field: name, pattern: $NAME}}]},"
    " {all: [{kind: constructor_declaration}, {has: {field: name, pattern: $NAME}}]}]",
    loops="[{kind: for_statement}, {kind: enhanced_for_statement}, {kind: while_statement}, {kind: do_statement}]",
    returned="[{kind: return_statement}]",
    cached="[{kind: method_declaration, has: {kind: modifiers, regex: '@(Bean|Singleton|Provides|Produces|ApplicationScoped)'}}]",  # noqa: E501
    stop="[{kind: argument_list}, {kind: block}, {kind: class_body}]",
)
_GRAMMARS = (_PLAIN_JS, _TS, _PYTHON, _GO, _JAVA)


def occurrences(wanted: Mapping[str, str], name: str = "site") -> Iterator[Pattern]:
    """Patterns for calls whose function matches `wanted` (a regular expression by language), and for what is around."""
    for grammar in _GRAMMARS:
        regex = wanted.get(grammar.languages[0], "")
        if not regex:
            continue
        # `all` keeps the order: what is around is looked at for these calls alone.
        calls = "".join(f"      {line}\n" for line in grammar.calls.replace("WANTED", quoted(regex)).splitlines())
        base = f"all:\n  - any:{calls}\n"
        around = {
            "": "",
            ".declared": f"  - inside: {{stopBy: {{any: {grammar.stop}}}, any: {grammar.declared}}}\n",
            ".kept": f"  - inside: {{stopBy: {{any: {grammar.stop}}}, any: {grammar.kept}}}\n",
            ".function": f"  - inside: {{stopBy: end, any: {grammar.functions}}}\n",
            ".named": f"  - inside: {{stopBy: end, any: {grammar.named}}}\n",
            ".loop": f"  - inside: {{stopBy: {{any: {grammar.functions}}}, any: {grammar.loops}}}\n",
            ".returned": f"  - inside: {{stopBy: {{any: {grammar.stop}}}, any: {grammar.returned}}}\n",
            ".cached": f"  - inside: {{stopBy: end, any: {grammar.cached}}}\n",
        }
        for suffix, rule in around.items():
            yield Pattern(name=name + suffix, languages=grammar.languages, rule=base + rule)  # type: ignore[arg-type]


def sites(matches: Sequence[Match], name: str = "site") -> Iterator[Site]:
    """The calls among the matches of `occurrences`, with what is around each; functions as they are written."""
    around: dict[tuple[Location, str], dict[str, str]] = {}
    for match in matches:
        if match.pattern.startswith(name + "."):
            place = around.setdefault((match.location, match.text), {})
            place.setdefault(match.pattern.removeprefix(name + "."), match.capture("NAME") or "yes")
    for match in matches:
        if match.pattern != name:
            continue
        facts = around.get((match.location, match.text), {})
        written = _written(match)
        given = facts.get("kept") or facts.get("declared", "")
        yield Site(
            location=match.location,
            language=match.language,
            text=match.text,
            function=written,
            written=written,
            parts=arguments(uncommented(match.text) if match.language == "python" else match.text, written),
            name=last_part(given),
            is_kept="kept" in facts,
            within=facts.get("named", ""),
            is_in_function="function" in facts,
            is_in_loop="loop" in facts,
            is_returned="returned" in facts,
            is_cached="cached" in facts,
        )


ONCE = r"(?i)^(main|__init__|constructor|init\w*|setup\w*|start\w*|on_?startup|lifespan|bootstrap|configure\w*|register\w*|new[A-Z]\w*|New\w*)$"  # noqa: E501  one expression
"""Names of functions that run once in a process or an object."""


def made_per_call(site: Site, once: str = ONCE) -> str | None:
    """How something that should be shared is made too often; empty when it is made once, None when that is not told."""
    if site.is_in_loop and not site.is_cached and not site.is_kept:
        return "is made in a loop"
    if site.is_kept or site.is_cached or not site.is_in_function or re.search(once, site.within):
        return ""
    if site.is_returned:
        return None
    if site.language == "java" and site.within[:1].isupper():
        return ""
    return f"is made anew by each call of {site.within}" if site.within else "is made anew by each call of a function"


def last_part(name: str) -> str:
    """`http` of `this.http`, `_client` of `self._client`."""
    return re.split(r"[.,\s>]+", name.strip())[-1].strip("#\"'*") if name else ""


_FUNCTION = re.compile(r"^(?:await\s+)?(?:new\s+|&)?((?:[\w$#]+|\([^()]*\))(?:\s*[?!]?\.\s*[\w$#]+)*)")


def _written(match: Match) -> str:
    found = _FUNCTION.match(match.text)
    return re.sub(r"\s+|[?!](?=\.)", "", found[1]) if found else match.text.partition("(")[0]


# What files import


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One name that a file takes from a module."""

    file: str
    local: str
    module: str
    exported: str
    """`*` for the module as a whole, `default` for its default export."""


_IMPORTS = (
    ("import_statement", JS),
    ("import_statement", ("python",)),
    ("import_from_statement", ("python",)),
)
_REQUIRE = r"\brequire\s*\(|await\s+import\s*\("


def import_patterns(regex: str) -> Iterator[Pattern]:
    """Patterns for the imports whose text matches."""
    for kind, languages in _IMPORTS:
        yield Pattern(name="import", languages=languages, rule=f"{{kind: {kind}, regex: {quoted(regex)}}}")  # type: ignore[arg-type]
    yield Pattern(
        name="import",
        languages=JS,
        rule=f"{{all: [{{kind: variable_declarator}}, {{has: {{field: value, regex: {quoted(_REQUIRE)}}}}},"
        f" {{regex: {quoted(regex)}}}]}}",
    )
    yield Pattern(name="import", languages=("go",), rule=f"{{kind: import_spec, regex: {quoted('net/http')}}}")


def read_imports(matches: Iterable[Match]) -> Iterator[Import]:
    """The names that the matched imports bring into their files."""
    for match in matches:
        if match.pattern == "import":
            read = (
                _python_import if match.language == "python" else _go_import if match.language == "go" else _js_import
            )
            for local, module, exported in read(" ".join(match.text.split())):
                yield Import(file=match.location.file, local=local, module=module, exported=exported)


def _js_import(text: str) -> Iterator[tuple[str, str, str]]:
    module = re.search(r"""(?:from|require\s*\(|import\s*\(?)\s*["'`]([^"'`]+)["'`]""", text)
    if module is None:
        return
    head = text[: module.start()].removeprefix("import ").removeprefix("type ")
    for inner in re.findall(r"\{([^}]*)\}", head):
        for part in inner.split(","):
            names = re.split(r"\s+as\s+|\s*:\s*", part.strip().removeprefix("type "))
            if names[0]:
                yield names[-1].partition("=")[0].strip(), module[1], names[0].strip()
    rest = re.sub(r"\{[^}]*\}", "", head)
    if star := re.search(r"\*\s+as\s+([\w$]+)", rest):
        yield star[1], module[1], "*"
    if plain := re.match(r"\s*([\w$]+)\s*(?:,|=|$|:)?", re.sub(r"\*\s+as\s+[\w$]+", "", rest)):
        yield plain[1], module[1], "default"


def _python_import(text: str) -> Iterator[tuple[str, str, str]]:
    if found := re.match(r"from\s+(\S+)\s+import\s+\(?(.*?)\)?$", text):
        for part in found[2].split(","):
            names = re.split(r"\s+as\s+", part.strip())
            if names[0]:
                yield names[-1], found[1], names[0]
        return
    for part in text.removeprefix("import ").split(","):
        names = re.split(r"\s+as\s+", part.strip())
        yield names[-1] if len(names) > 1 else names[0], names[0], "*"


def _go_import(text: str) -> Iterator[tuple[str, str, str]]:
    if found := re.fullmatch(r'(?:(\w+)\s+)?"net/http"', text):
        yield found[1] or "http", "net/http", "*"


_PYTHON_MODULES = "requests|httpx|aiohttp|urllib3|urllib"
_LIBRARY_CODE = rf"""(["']({_MODULES})["'/]|^(from|import)\s+(.*,\s*)?({_PYTHON_MODULES})\b)"""


def canonical(written: str, imports: Mapping[str, Import]) -> str:
    """The name of a function by its library; empty when it belongs to none that is known."""
    longest = max((name for name in imports if written == name or written.startswith(name + ".")), key=len, default="")
    if not longest:
        bare = re.sub(r"^(globalThis|window|self)\.", "", written)
        return "fetch.fetch" if bare == "fetch" else ""
    source = imports[longest]
    rest = written[len(longest) :].lstrip(".")
    if source.module == "net/http":
        return f"gohttp.{rest}"
    library = LIBRARIES.get(source.module) or LIBRARIES.get(source.module.partition("/")[0])
    library = library or LIBRARIES.get(source.module.partition(".")[0], "")
    if not library:
        return ""
    name = "" if source.exported in ("*", "default", library, "HttpsAgent.default") else source.exported
    if source.module.startswith("urllib") and name == "request":
        name = ""
    if source.module == "urllib":
        rest = rest.removeprefix("request.")
    path = ".".join(part for part in (name, rest.removeprefix("default").removeprefix(".")) if part)
    return f"{library}.{path or library}"


# Constants


# Written for ASCII: ast-grep compiles a rule anew for every file, and classes of Unicode are slow to compile.
_CONSTANT = (
    "(?i-u)time_?out|deadline|ttl|wait|delay|limit|retr|attempt|option|config|setting|signal|default|back_?off|_?ms$"
    "|second|agent|dispatcher|duration|interval|policy|adapter|pause|quota|rate|_s$|max|min"
)
_VALUE = (
    r"""^["']?[0-9]|^\{|^\([ \n]*[0-9.]|^\(?[A-Za-z0-9_.$]*[ ]*\*|AbortSignal|[Tt]imeout"""
    r"""|^(Number|parseInt|float|int|os\.)"""
    r"""|^time\.|Duration|Retry\(|\?\?|\|\|| or """
)
CONSTANTS = (
    Pattern(
        name="constant",
        languages=JS,
        rule=f"""
all:
  - any:
    - all: [{{kind: variable_declarator, has: {{field: value, regex: {quoted(_VALUE)}}}}}, {{has: {{field: value, pattern: $VALUE}}}}]
    - all: [{{kind: pair, has: {{field: value, regex: '^[0-9]'}}}}, {{has: {{field: value, pattern: $VALUE}}}}]
  - {{any: [{{has: {{field: name, pattern: $NAME}}}}, {{has: {{field: key, pattern: $NAME}}}}]}}
regex: {quoted(_CONSTANT)}
""",  # noqa: E501
    ),
    Pattern(
        name="constant",
        languages=("python",),
        rule=f"""
all:
  - {{kind: assignment, has: {{field: right, regex: {quoted(_VALUE)}}}}}
  - {{has: {{field: left, pattern: $NAME}}}}
  - {{has: {{field: right, pattern: $VALUE}}}}
regex: {quoted(_CONSTANT)}
""",
    ),
    Pattern(
        name="constant",
        languages=("python",),
        rule=f"""
all:
  - any: [{{kind: default_parameter}}, {{kind: typed_default_parameter}}]
  - {{has: {{field: value, regex: {quoted(_VALUE)}}}}}
  - {{has: {{field: name, pattern: $NAME}}}}
  - {{has: {{field: value, pattern: $VALUE}}}}
regex: {quoted(_CONSTANT)}
""",
    ),
    Pattern(
        name="constant",
        languages=("go",),
        rule=f"""
all:
  - any: [{{kind: const_spec}}, {{kind: var_spec}}, {{kind: short_var_declaration}}]
  - {{any: [{{has: {{field: name, pattern: $NAME}}}}, {{has: {{field: left, pattern: $NAME}}}}]}}
  - {{any: [{{has: {{field: value, pattern: $VALUE}}}}, {{has: {{field: right, pattern: $VALUE}}}}]}}
regex: {quoted(_CONSTANT)}
""",
    ),
    Pattern(
        name="constant",
        languages=("java",),
        rule=f"""
all:
  - {{kind: variable_declarator, has: {{field: value, regex: {quoted(_VALUE)}}}}}
  - {{has: {{field: name, pattern: $NAME}}}}
  - {{has: {{field: value, pattern: $VALUE}}}}
regex: {quoted(_CONSTANT)}
""",
    ),
)


def read_constants(matches: Iterable[Match]) -> Names:
    """Values by file and name; a name that is given two values in one file stands for neither."""
    values: dict[tuple[str, str], str] = {}
    for match in matches:
        if match.pattern == "constant" and match.capture("NAME"):
            key = (match.location.file, last_part(match.capture("NAME")))
            value = match.capture("VALUE")
            if value == key[1]:
                continue
            values[key] = value if values.get(key, value) == value else ""
    return Names(values)


_TYPED = r"^:?\s*(Promise<)?(" + "|".join(re.escape(name) for name in _TYPES) + r")>?$"
TYPED = (
    Pattern(
        name="typed",
        languages=("typescript", "tsx"),
        rule=f"""
all:
  - any: [{{kind: required_parameter}}, {{kind: optional_parameter}}, {{kind: public_field_definition}}, {{kind: variable_declarator}}]
  - {{has: {{kind: type_annotation, regex: {quoted(_TYPED)}}}}}
  - {{any: [{{has: {{field: pattern, pattern: $NAME}}}}, {{has: {{field: name, pattern: $NAME}}}}]}}
  - {{has: {{field: type, pattern: $TYPE}}}}
""",  # noqa: E501
    ),
    Pattern(
        name="typed",
        languages=("python",),
        rule=f"""
any:
  - all: [{{kind: typed_parameter}}, {{has: {{field: type, regex: {quoted(_TYPED)}}}}}, {{has: {{kind: identifier, pattern: $NAME}}}}, {{has: {{field: type, pattern: $TYPE}}}}]
  - all: [{{kind: typed_default_parameter}}, {{has: {{field: type, regex: {quoted(_TYPED)}}}}}, {{has: {{field: name, pattern: $NAME}}}}, {{has: {{field: type, pattern: $TYPE}}}}]
  - all: [{{kind: assignment}}, {{has: {{field: type, regex: {quoted(_TYPED)}}}}}, {{has: {{field: left, pattern: $NAME}}}}, {{has: {{field: type, pattern: $TYPE}}}}]
""",  # noqa: E501
    ),
    Pattern(
        name="typed",
        languages=("go",),
        rule=f"""
all:
  - any: [{{kind: parameter_declaration}}, {{kind: field_declaration}}, {{kind: var_spec}}]
  - {{has: {{field: type, regex: {quoted(_TYPED)}}}}}
  - {{has: {{field: name, pattern: $NAME}}}}
  - {{has: {{field: type, pattern: $TYPE}}}}
""",
    ),
)

SETTINGS = (
    Pattern(name="global", languages=("python",), rule="{kind: global_statement}"),
    Pattern(
        name="setting",
        languages=("python",),
        rule="{kind: assignment, has: {field: left, regex: '[a-z_][.]timeout$'}}",
    ),
    Pattern(
        name="setting",
        languages=JS,
        rule=r"{kind: assignment_expression, has: {field: left, regex: '\.defaults\.(timeout|httpAgent|httpsAgent|signal)$|\.globalAgent$'}}",  # noqa: E501
    ),
    Pattern(
        name="setting",
        languages=JS,
        rule="{kind: call_expression, has: {field: function, regex: 'setGlobalDispatcher$'}}",
    ),
    Pattern(
        name="setting",
        languages=JS,
        rule=r"{kind: call_expression, has: {field: function, regex: '\.setTimeout$'}, regex: '^[^,]*(,[^,]*)?$'}",
    ),
    Pattern(
        name="abort",
        languages=JS,
        rule=r"{kind: call_expression, has: {field: function, regex: '(^|\.)setTimeout$'}, regex: '(?i)abort|destroy|cancel'}",  # noqa: E501
    ),
    Pattern(
        name="abort",
        languages=("go",),
        rule="{kind: call_expression, has: {field: function, regex: '^context\\.WithTimeout$'}}",
    ),
    Pattern(
        name="abort",
        languages=("python",),
        rule=r"{kind: call, has: {field: function, regex: '^(asyncio\.(timeout|wait_for)|async_timeout\.timeout|anyio\.(fail_after|move_on_after))$'}}",  # noqa: E501
    ),
    Pattern(
        name="setting",
        languages=("java",),
        rule=r"{kind: method_invocation, has: {field: name, regex: '^(set)?(connectTimeout|readTimeout|ConnectTimeout|ReadTimeout|ConnectionRequestTimeout|responseTimeout|timeout)$'}}",  # noqa: E501
    ),
)

_JAVA_LIBRARIES = (
    (re.compile(r"OkHttpClient"), "okhttp.OkHttpClient"),
    (re.compile(r"HttpRequest\.newBuilder"), "jdk.HttpRequest"),
    (re.compile(r"HttpClient\."), "jdk.HttpClient"),
    (re.compile(r"WebClient"), "spring.WebClient"),
    (re.compile(r"RestClient"), "spring.RestClient"),
    (re.compile(r"RestTemplateBuilder|(?i:resttemplatebuilder)\."), "spring.RestTemplateBuilder"),
    (re.compile(r"RestTemplate"), "spring.RestTemplate"),
)


def look(repository: Repository, repositories: Repositories) -> Code:
    """Search one repository: its imports, then what is made of them, then the calls of the clients that were made."""
    first = repositories.search(repository, patterns=(*import_patterns(_LIBRARY_CODE), *CONSTANTS, *TYPED, *SETTINGS))
    imports = _by_file(read_imports(first.matches))
    second = repositories.search(repository, patterns=tuple(occurrences(_made_of(imports))))
    found = [_named(site, imports) for site in sites(second.matches)]
    outer = {
        (match.location.file, name.strip())
        for match in first.matches
        if match.pattern == "global"
        for name in match.text.removeprefix("global ").split(",")
    }
    clients = [
        replace(site, is_kept=site.is_kept or (site.location.file, site.name) in outer)
        for site in found
        if site.method in CLIENTS.get(site.library, ())
    ]
    calls = [Call(site=site) for site in found if _is_call(site)]
    typed = {match: _type_of(match, imports) for match in first.matches if match.pattern == "typed"}
    clients, calls = _follow(repository, repositories, clients, calls, {k: v for k, v in typed.items() if v}, imports)
    return Code(
        repository=repository.name,
        calls=tuple(sorted(calls, key=lambda call: _order(call.site))),
        clients=tuple(sorted(clients, key=_order)),
        settings=tuple(plain(match) for match in first.matches if match.pattern == "setting"),
        aborts=tuple(plain(match) for match in first.matches if match.pattern == "abort"),
        names=read_constants(first.matches),
        unreadable=first.unreadable,
    )


def _order(site: Site) -> tuple[str, int, int]:
    return site.location.file, site.location.line or 0, site.location.column or 0


def plain(match: Match) -> Site:
    """A call by itself, without what is around it."""
    written = _written(match)
    return Site(
        location=match.location,
        language=match.language,
        text=match.text,
        function=written,
        written=written,
        parts=arguments(match.text, written),
    )


def _by_file(imports: Iterable[Import]) -> dict[str, dict[str, Import]]:
    files: dict[str, dict[str, Import]] = {}
    for each in imports:
        files.setdefault(each.file, {})[each.local] = each
    return files


def _made_of(imports: Mapping[str, Mapping[str, Import]]) -> dict[str, str]:
    """By language, a regular expression for functions that begin with an imported name."""
    locals_by: dict[str, set[str]] = {"javascript": {"fetch", "globalThis", "window"}, "python": set(), "go": set()}
    for file, names in imports.items():
        locals_by[_family(file)].update(names)
    wanted = {
        language: "^(await )?(" + "|".join(sorted(map(re.escape, names))) + ")([?!]?[ \\t\\r\\n]*[.][ A-Za-z0-9_$]+)*$"
        for language, names in locals_by.items()
        if names
    }
    if "javascript" in wanted:
        wanted["typescript"] = wanted["javascript"]
    return {**wanted, "java": "."}


def _family(file: str) -> str:
    end = file.rpartition(".")[2].lower()
    return {"py": "python", "go": "go"}.get(end, "javascript")


def _named(site: Site, imports: Mapping[str, Mapping[str, Import]]) -> Site:
    if site.language == "java":
        return replace(site, function=next((name for regex, name in _JAVA_LIBRARIES if regex.search(site.text)), ""))
    return replace(site, function=canonical(site.written, imports.get(site.location.file, {})))


def _is_call(site: Site) -> bool:
    if site.library == "gohttp":
        return site.function in {f"gohttp.{name}" for name in ("Get", "Post", "PostForm", "Head")} or (
            site.function.startswith("gohttp.DefaultClient.")
        )
    is_plain = site.function.count(".") == 1 and not site.text.startswith("new ")
    return is_plain and site.method in METHODS.get(site.library, ())


def _type_of(match: Match, imports: Mapping[str, Mapping[str, Import]]) -> str:
    name = re.sub(r"^:?\s*(Promise<)?|>$", "", match.capture("TYPE").strip())
    library = _TYPES.get(name, "")
    modules = {LIBRARIES.get(each.module, each.module) for each in imports.get(match.location.file, {}).values()}
    return library if library in modules or library == "gohttp" else ""


# From the clients to their calls


def _follow(
    repository: Repository,
    repositories: Repositories,
    clients: list[Site],
    calls: list[Call],
    typed: Mapping[Match, str],
    imports: Mapping[str, Mapping[str, Import]],
) -> tuple[list[Site], list[Call]]:
    """The clients with those that factories make, and the calls with those that go through a client."""
    senders = [site for site in clients if METHODS.get(site.library) and site.language != "java"]
    factories = {site.within: site for site in senders if site.is_returned and site.within}
    if factories:
        asked = {language: _calling(factories) for language in ("javascript", "typescript", "python", "go")}
        made = repositories.search(repository, patterns=tuple(occurrences(asked))).matches
        for site in sites(made):
            source = factories.get(last_part(site.written))
            if source is not None and (site.name or site.is_kept):
                senders.append(_made_by(source, site))
    names = {site.name for site in senders if site.name} | {last_part(match.capture("NAME")) for match in typed}
    if not names:
        return clients, calls
    wanted = _sending(sorted(names))
    about = r"\b(" + "|".join(map(re.escape, sorted(names))) + r")\b"
    search = repositories.search(repository, patterns=(*occurrences(wanted), *import_patterns(about)))
    taken = _by_file(read_imports(search.matches))
    known = {call.site.location for call in calls}
    for site in sites(search.matches):
        if site.location in known or canonical(site.written, imports.get(site.location.file, {})):
            continue
        call = _through(site, senders, typed, taken.get(site.location.file, {}))
        if call is not None:
            calls.append(call)
    return clients, calls


def _made_by(source: Site, site: Site) -> Site:
    """The client that `source` makes, under the name that it gets where its factory is called."""
    return replace(
        source,
        name=site.name,
        location=site.location,
        within=site.within,
        is_kept=site.is_kept,
        is_in_function=site.is_in_function,
        is_in_loop=site.is_in_loop,
        is_returned=site.is_returned,
    )


def _calling(names: Iterable[str]) -> str:
    return "^([A-Za-z0-9_$]+[.])*(" + "|".join(sorted(map(re.escape, names))) + ")$"


def _sending(names: Sequence[str]) -> dict[str, str]:
    either = "|".join(map(re.escape, names))
    methods = "|".join(sorted({method for each in METHODS.values() for method in each}))
    # tree-sitter reads `await a.b<T>(c)` as a call of `await a.b`.
    regex = rf"^(await )?([A-Za-z0-9_$#]+[?!]?[ \t\r\n]*[.] *)*#?({either})([?!]?[ \t\r\n]*[.] *({methods}))?$"
    return dict.fromkeys(("javascript", "typescript", "python", "go"), regex)


def _through(
    site: Site, senders: Sequence[Site], typed: Mapping[Match, str], taken: Mapping[str, Import]
) -> Call | None:
    """The call with the client that sends it; None when nothing says that it is a client's."""
    parts = site.written.split(".")
    for owner, method in ((parts[:-1], parts[-1]), (parts, "")):
        if not owner:
            continue
        name = owner[-1].lstrip("#")
        client = _client(site, owner, name, senders, taken)
        library = client.library if client else _typed_library(site, name, typed)
        is_sent = method in METHODS.get(library, ()) if method else library in ("axios", "got", "ky")
        if library and is_sent:
            found = client or _only(library, senders)
            sent = replace(site, function=f"{library}.{method or library}")
            return Call(site=sent, client=found, is_through_client=True)
    return None


def _client(
    site: Site, owner: Sequence[str], name: str, senders: Sequence[Site], taken: Mapping[str, Import]
) -> Site | None:
    here = [each for each in senders if each.name == name and each.location.file == site.location.file]
    if here:
        nearest = [each for each in here if each.within == site.within]
        lasting = [each for each in here if each.is_kept or not each.is_in_function or len(owner) > 1]
        return next(iter((nearest or lasting)[::-1]), None)
    source = taken.get(name) or taken.get(owner[0])
    if source is not None:
        exported = name if source.exported in ("*", "default") else source.exported
        stem = re.sub(r"\.(js|ts|mjs|cjs|py)$", "", source.module).replace(".", "/").rstrip("/").rpartition("/")[2]
        there = [
            each for each in senders if each.name in (exported, name) and _stem(each.location.file) in (stem, exported)
        ]
        there = there or [each for each in senders if each.name == exported]
        return there[0] if there else None
    if len(owner) > 1:
        inside = [each for each in senders if each.name == name and _stem(each.location.file) == owner[-2]]
        if inside:
            return inside[0]
    if site.language == "go":
        folder = site.location.file.rpartition("/")[0]
        near = [each for each in senders if each.name == name and each.location.file.rpartition("/")[0] == folder]
        return near[0] if near else None
    return None


def _stem(file: str) -> str:
    folder, _, base = file.rpartition("/")
    stem = base.partition(".")[0]
    return folder.rpartition("/")[2] if stem in ("index", "__init__") else stem


def _typed_library(site: Site, name: str, typed: Mapping[Match, str]) -> str:
    return next(
        (
            library
            for match, library in typed.items()
            if last_part(match.capture("NAME")) == name and match.location.file == site.location.file
        ),
        "",
    )


def _only(library: str, senders: Sequence[Site]) -> Site | None:
    """The client of that library when the code makes but one."""
    own = {each.text: each for each in senders if each.library == library and each.method != "Transport"}
    return next(iter(own.values())) if len(own) == 1 else None
