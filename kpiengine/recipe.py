"""What a compiled query stands on: every file, pattern and plugin that it could have come out differently for.

There is a recipe where DuckDB reads the sources' own files itself. A query over anything else (rows by way of Arrow,
views in a database file), one that met a source that cannot be opened, or that holds a value from the environment which
is to stay unseen, has none, and is compiled each time.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlglot import exp

from kpiengine.cache import Identity, identity, tree_stamp, was_changed
from kpiengine.compiled import Asked, Column, CompiledQuery, matching, today_in
from kpiengine.connector import ArrowRelation, SqlRelation, TableRelation
from kpiengine.duck import DuckSession
from kpiengine.hide import hidden
from kpiengine.keycheck import is_of_files
from kpiengine.plan import Plan
from kpiengine.sources import Sources
from kpiengine.spec import ProjectSpec
from kpiengine.sql import check_statement, met_statement

_PATTERN = re.compile(r"[*?\[]")
_FIXED_DATE = re.compile(r"(jalali:)?\d[\d:T .-]*")


def compiled_query(
    asked: Asked, statement: str, plan: Plan, sources: Sources, code: Collection[Path], rows: int,
    definitions: Mapping[str, str],
) -> CompiledQuery | None:  # fmt: skip
    """The query with all that it stands on, or None where that cannot be told. `code` are the plugins' packages."""
    if not _is_of_files(plan, sources) or not asked.is_current():
        return None
    if any(was_changed(place, asked.since) for place in code):
        return None  # what was loaded may be older than what is there now
    spec, session = sources.spec, sources.session
    files, zone = _files(sources, session, asked.since), _zone(asked, spec)
    if files is None:
        return None
    today = None if zone is None else (zone, today_in(zone, asked.since))
    found = CompiledQuery(
        statement,
        tuple(Column(c.name, c.role, c.unit) for c in plan.output.columns),
        tuple(session.setup),
        files,
        tuple((pattern, matching(pattern)) for pattern in _patterns(sources)),
        tuple((str(place), tree_stamp(place)) for place in code),
        today,
        rows,
        tuple(definitions.items()),
    )
    text = json.dumps([found.statement, found.before], ensure_ascii=False)
    return found if hidden(text, spec.secrets) == text and found.holds() else None


def _is_of_files(plan: Plan, sources: Sources) -> bool:
    """Whether nothing but files that DuckDB reads went into the query, and into what was checked of its keys."""
    if sources.elsewhere is not None or not sources.foreseen or sources.has_scratch or sources.session.reads_arrow:
        return False
    if any(isinstance(relation, ArrowRelation | TableRelation) for relation in sources.opened.values()):
        return False
    if not all(sources.is_built_in(name) for name in sources.opened):
        return False
    looked = [check_statement(check, plan, sources.rendered) for check in plan.checks]
    looked += [met_statement(met, plan, sources.rendered) for met in plan.met]
    return all(is_of_files(statement.sql("duckdb")) for statement in looked)


def _files(sources: Sources, session: DuckSession, since: int) -> tuple[Identity, ...] | None:
    """The files of all sources that were opened; None where one was written to since, or hides more than itself."""
    found: list[Identity] = []
    for relation in sources.opened.values():
        if not isinstance(relation, SqlRelation):
            continue
        if any(_log_of(path).exists() for path in relation.attach.values()) or _has_views(session, relation.attach):
            return None
        for path in relation.files:
            known = identity(path, since)
            if known is None:
                return None
            found.append(known)
        if not relation.files:
            return None
    return tuple(dict.fromkeys(found))


def _log_of(database: Path) -> Path:
    """Where DuckDB keeps what it has not yet written to a database's file."""
    return database.with_name(f"{database.name}.wal")


def _has_views(session: DuckSession, databases: Collection[str]) -> bool:
    """Views may read anything, whatever their database's file is."""
    if not databases:
        return False
    names = [exp.Literal.string(name) for name in databases]
    query = exp.select(exp.Count(this=exp.Star())).from_(exp.func("duckdb_views"))
    query = query.where(exp.column("database_name").isin(*names), exp.Not(this=exp.column("internal")))
    return bool(session.rows(query.sql("duckdb"))[0][0])


def _patterns(sources: Sources) -> Iterator[str]:
    """What to look for again: files that a pattern or a folder takes in, and a database's log beside its file."""
    root = Path(sources.spec.root)
    for source in (sources.spec.sources[name] for name in sources.opened):
        option = source.options.get("path")
        given: Any = option.value if option is not None else ()
        for text in given if isinstance(given, list) else [given]:
            path = root / Path(str(text)).expanduser()
            if path.is_dir():
                yield f"{glob.escape(str(path))}/**/*"
            elif _PATTERN.search(str(text)) and not path.exists():
                yield str(path)
            elif source.connector == "duckdb":
                yield glob.escape(str(_log_of(path.resolve())))


def _zone(asked: Asked, spec: ProjectSpec) -> str | None:
    """The time zone whose day dates were counted from; None where no date is."""
    given = [str(asked.options.get(name) or "") for name in ("since", "until", "as_of")]
    if all(not text or _FIXED_DATE.fullmatch(text) for text in given):
        return None
    return str(asked.options.get("timezone") or spec.timezone)
