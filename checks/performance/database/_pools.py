"""Where code makes pools of connections to a relational database, found by structural search, and what bounds them.

Found in JavaScript and TypeScript (pg, knex, Sequelize, TypeORM, Prisma), Python (SQLAlchemy, psycopg_pool,
psycopg2.pool, asyncpg), Go (database/sql, pgxpool) and Java (HikariCP). What a pool is given is followed one level: a
literal, or the constant that stands for it. Pools for other databases are left out where the code names the database.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from quub_audit.checks.performance.api_client._calls import (
    CONSTANTS,
    Import,
    Site,
    import_patterns,
    occurrences,
    plain,
    read_constants,
    read_imports,
    sites,
)
from quub_audit.checks.performance.api_client._source import SPREAD, Names, keywords, number, pairs
from quub_audit.sdk import Match, Pattern, Repositories, Repository

_OTHERS = re.compile(r"(?i)\b(sqlite\w*|mysql\w*|mariadb|mssql|oracledb|oracle\w*|mongo\w*|better-sqlite3)\b")

FACTORY = re.compile(
    r"(?i)^_*(get|make|create|build|connect|open|provide)_?\w*"
    r"(pool|db|database|engine|client|connection|knex|sequelize|prisma|source)\w*$|^connect$"
)
"""Names of functions that make a pool for others: how often they run is not told by their own file."""

SCRIPTS = re.compile(r"(?i)(^|/)(scripts?|migrations?|seeds?|seeders?|bin|tools|jobs|cron|cli|alembic)/")
"""Folders of programs that end by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePool:
    """One pool, or one connection without a pool, as the code has it."""

    site: Site
    max_connections: float | None = None
    """Most connections of one pool, overflow included; infinite for no limit, None where the code does not tell."""
    wait_s: float | None = None
    """Longest wait for a free connection, seconds; infinite for no limit, None where the code does not tell."""
    keeps_connections: bool = True
    """False for one that opens a connection for each use, which is sound behind a pooler alone."""
    is_pool: bool = True
    """False for a single connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePools:
    """What one repository makes."""

    pools: tuple[CodePool, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


_JS_MODULES = "pg|pg-pool|knex|sequelize|sequelize-typescript|typeorm|@nestjs/typeorm|@prisma/client"
_PYTHON_MODULES = r"sqlalchemy(\.ext\.asyncio|\.engine)?|psycopg_pool|psycopg2(\.pool)?|asyncpg"
_IMPORTED = rf"""["']({_JS_MODULES})["']|^(from|import)\s+(.*,\s*)?({_PYTHON_MODULES})\b"""
_GO: Final = "^(sql[.]Open|sql[.]OpenDB|pgxpool[.](New|NewWithConfig|Connect|ConnectConfig))$"

_SETTERS: Final = (
    Pattern(
        name="setter",
        languages=("go",),
        rule="{kind: call_expression, has: {field: function, regex: '[.]SetMaxOpenConns$'}}",
    ),
    Pattern(
        name="hikari",
        languages=("java",),
        rule=r"{kind: object_creation_expression, regex: '^new\s+Hikari(Config\s*\(|DataSource\s*\(\s*\))'}",
    ),
    Pattern(
        name="setter",
        languages=("java",),
        rule="{kind: method_invocation, has: {field: name, regex: '^set(MaximumPoolSize|ConnectionTimeout)$'}}",
    ),
)


def find_pools(repository: Repository, repositories: Repositories) -> CodePools:
    """Every pool, in the order of files and lines."""
    first = repositories.search(repository, patterns=(*import_patterns(_IMPORTED), *CONSTANTS, *_SETTERS))
    names = read_constants(first.matches)
    imports: dict[str, list[Import]] = {}
    for each in read_imports(first.matches):
        imports.setdefault(each.file, []).append(each)
    setters = [plain(match) for match in first.matches if match.pattern == "setter"]
    found = [_hikari(match, setters, names) for match in first.matches if match.pattern == "hikari"]
    wanted = dict(_wanted(imports))
    for site in sites(repositories.search(repository, patterns=tuple(occurrences(wanted))).matches):
        pool = _go(site, setters, names) if site.language == "go" else _by_library(site, imports, names)
        if pool is not None:
            found.append(pool)
    ordered = sorted(found, key=lambda pool: (pool.site.location.file, pool.site.location.line or 0))
    return CodePools(pools=tuple(ordered), unreadable=first.unreadable)


def _wanted(imports: Mapping[str, Sequence[Import]]) -> Iterator[tuple[str, str]]:
    """By language, a regular expression for what may make a pool."""
    for languages, is_python in ((("javascript", "typescript"), False), (("python",), True)):
        files = [file for file in imports if file.endswith((".py", ".pyi")) is is_python]
        locals_ = sorted({re.escape(each.local) for file in files for each in imports[file]})
        if locals_:
            yield from ((language, f"^({'|'.join(locals_)})([.][A-Za-z0-9_]+)*$") for language in languages)
    yield "go", _GO


def _by_library(site: Site, imports: Mapping[str, Sequence[Import]], names: Names) -> CodePool | None:
    here = imports.get(site.location.file, ())
    of_site = [each for each in here if site.written == each.local or site.written.startswith(each.local + ".")]
    if not of_site:
        return None
    source = max(of_site, key=lambda each: len(each.local))
    called = site.written[len(source.local) :].rpartition(".")[2] or source.exported
    for modules, functions, reader in _READERS:
        if re.fullmatch(modules, source.module) and re.fullmatch(functions, called):
            return reader(site, called, names)
    return None


# JavaScript and TypeScript


def _options(site: Site, names: Names) -> dict[str, str]:
    """Options of a call; `SPREAD` when some come from elsewhere."""
    options: dict[str, str] = {}
    for part in (SPREAD,) if site.parts is None else site.parts:
        _merge(part, site, names, options)
    return options


def _merge(text: str, site: Site, names: Names, options: dict[str, str]) -> None:
    told = text if text.startswith("{") else names.value(text, site.location.file)
    if told.startswith("{"):
        options.update(pairs(told))
    elif not re.match(r"""["'`]|process\.env\b""", text):
        options[SPREAD] = text


def _inner(options: Mapping[str, str], key: str, site: Site, names: Names) -> dict[str, str]:
    """The options that stand under a key; nothing where the key is not given."""
    inner: dict[str, str] = {}
    if key in options:
        _merge(options[key], site, names, inner)
    elif SPREAD in options:
        inner[SPREAD] = options[SPREAD]
    return inner


def _told(
    options: Mapping[str, str], key: str, default: float | None, site: Site, names: Names, unit: float = 1
) -> float | None:
    """The number under a key, the default where it is not given, None where the code does not tell."""
    if key in options:
        value = number(options[key], names, site.location.file)
        return None if value is None else value * unit
    return None if SPREAD in options else default


def _endless(value: float | None) -> float | None:
    """For options whose 0 stands for no limit."""
    return math.inf if value == 0 else value


def _pg(site: Site, called: str, names: Names) -> CodePool | None:
    if called == "Client":
        return CodePool(site=site, max_connections=1, wait_s=0, is_pool=False)
    options = _options(site, names)
    return CodePool(
        site=site,
        max_connections=_told(options, "max", 10, site, names),
        wait_s=_endless(_told(options, "connectionTimeoutMillis", math.inf, site, names, 1e-3)),
    )


def _knex(site: Site, _: str, names: Names) -> CodePool | None:
    """Called with a table's name it is a query, and no pool."""
    first = next(iter(site.parts or ()), "")
    if not first.startswith("{") and not names.value(first, site.location.file).startswith("{"):
        return None
    options = _options(site, names)
    if _OTHERS.search(options.get("client", "")):
        return None
    pool = _inner(options, "pool", site, names)
    waits = (
        _told(options, "acquireConnectionTimeout", 60, site, names, 1e-3),
        _told(pool, "acquireTimeoutMillis", math.inf, site, names, 1e-3),
    )
    known = [wait for wait in waits if wait is not None]
    return CodePool(
        site=site,
        max_connections=_told(pool, "max", 10, site, names),
        wait_s=min(known) if len(known) == len(waits) else None,
    )


def _sequelize(site: Site, _: str, names: Names) -> CodePool | None:
    options = _options(site, names)
    if _OTHERS.search(options.get("dialect", "")) or _OTHERS.match((site.parts or ("",))[0].strip("\"'`")):
        return None
    pool = _inner(options, "pool", site, names)
    return CodePool(
        site=site,
        max_connections=_told(pool, "max", 5, site, names),
        wait_s=_endless(_told(pool, "acquire", 60, site, names, 1e-3)),
    )


def _typeorm(site: Site, _: str, names: Names) -> CodePool | None:
    options = _options(site, names)
    if _OTHERS.search(options.get("type", "")):
        return None
    extra = _inner(options, "extra", site, names)
    by_extra = _told(extra, "max", _told(options, "poolSize", 10, site, names), site, names)
    wait = _told(options, "connectTimeoutMS", math.inf, site, names, 1e-3)
    return CodePool(
        site=site,
        max_connections=by_extra,
        wait_s=_endless(_told(extra, "connectionTimeoutMillis", wait, site, names, 1e-3)),
    )


def _prisma(site: Site, _: str, names: Names) -> CodePool | None:
    """Its limits are in the URL, which is told here where it stands in the code."""
    size = re.search(r"[?&]connection_limit=(\d+)", site.text)
    wait = re.search(r"[?&]pool_timeout=(\d+)", site.text)
    return CodePool(
        site=site,
        max_connections=float(size[1]) if size else None,
        wait_s=_endless(float(wait[1])) if wait else 10.0 if size else None,
    )


# Python


def _arguments(site: Site) -> dict[str, str]:
    return {SPREAD: ""} if site.parts is None else keywords(site.parts)


def _sqlalchemy(site: Site, _: str, names: Names) -> CodePool | None:
    options = _arguments(site)
    if _OTHERS.match(next(iter(site.parts or ()), "").lstrip("rRbBuUfF").strip("\"'")):
        return None
    kind = options.get("poolclass", "")
    if "NullPool" in kind:
        return CodePool(site=site, wait_s=0, keeps_connections=False)
    size = _endless(_told(options, "pool_size", 5, site, names))
    overflow = _told(options, "max_overflow", 10, site, names)
    is_usual = not kind or "QueuePool" in kind
    return CodePool(
        site=site,
        max_connections=None if size is None or overflow is None or not is_usual else size + overflow,
        wait_s=_told(options, "pool_timeout", 30, site, names) if is_usual else None,
    )


def _psycopg(site: Site, called: str, names: Names) -> CodePool | None:
    options = _arguments(site)
    least = _told(options, "min_size", 0 if called.endswith("NullConnectionPool") else 4, site, names)
    most = least if options.get("max_size") == "None" else _told(options, "max_size", least, site, names)
    return CodePool(
        site=site,
        max_connections=_endless(most),
        wait_s=_told(options, "timeout", 30, site, names),
        keeps_connections="Null" not in called,
    )


def _psycopg2(site: Site, _: str, names: Names) -> CodePool | None:
    """It raises at once where no connection is free."""
    options = _arguments(site)
    positional = [part for part in site.parts or () if "=" not in part and not part.startswith("*")]
    if len(positional) > 1:
        options.setdefault("maxconn", positional[1])
    return CodePool(site=site, max_connections=_told(options, "maxconn", None, site, names), wait_s=0)


def _asyncpg(site: Site, _: str, names: Names) -> CodePool | None:
    """How long a caller waits is said where it acquires."""
    return CodePool(site=site, max_connections=_told(_arguments(site), "max_size", 10, site, names))


_Reader = Callable[[Site, str, Names], CodePool | None]
_READERS: Final[tuple[tuple[str, str, _Reader], ...]] = (
    (r"pg|pg-pool", r"Pool|Client|default", _pg),
    (r"knex", r"knex|default", _knex),
    (r"sequelize(-typescript)?", r"Sequelize|default", _sequelize),
    (r"typeorm", r"DataSource|createConnection", _typeorm),
    (r"@nestjs/typeorm", r"forRoot", _typeorm),
    (r"@prisma/client", r"PrismaClient", _prisma),
    (r"sqlalchemy(\..*)?", r"create_engine|create_async_engine", _sqlalchemy),
    (r"psycopg_pool", r"(Async)?(Null)?ConnectionPool", _psycopg),
    (r"psycopg2(\.pool)?", r"(Simple|Threaded)ConnectionPool", _psycopg2),
    (r"asyncpg", r"create_pool", _asyncpg),
)
"""Modules, functions and reader: the defaults of each library are in its reader."""


# Go and Java


def _go(site: Site, setters: Sequence[Site], names: Names) -> CodePool | None:
    """database/sql has no limit until one is set; a wait ends with the context of the query."""
    first = next(iter(site.parts or ()), "")
    if site.written.startswith("pgxpool."):
        return CodePool(site=site)
    if _OTHERS.search(first):
        return None
    of_go = [each for each in setters if each.language == "go"]
    here = [each for each in of_go if each.location.file == site.location.file]
    if not of_go:
        return CodePool(site=site, max_connections=math.inf)
    return CodePool(site=site, max_connections=_endless(_only(here, names)))


def _only(setters: Sequence[Site], names: Names) -> float | None:
    """The number that the one setter of a file is given."""
    if len(setters) != 1:
        return None
    return number(next(iter(setters[0].parts or ()), ""), names, setters[0].location.file)


def _hikari(match: Match, setters: Sequence[Site], names: Names) -> CodePool:
    """HikariCP takes 10 connections and waits 30 s, unless setters in the file or a properties file say otherwise."""
    site = plain(match)
    here = [each for each in setters if each.location.file == site.location.file]
    sizes, waits = (
        [each for each in here if each.written.endswith(name)]
        for name in ("setMaximumPoolSize", "setConnectionTimeout")
    )
    is_given_more = re.search(r"\(\s*\)", match.text) is None
    wait = _only(waits, names) if waits else None if is_given_more else 30_000.0
    return CodePool(
        site=site,
        max_connections=_only(sizes, names) if sizes else None if is_given_more else 10.0,
        wait_s=None if wait is None else _endless(wait / 1000),
    )
