"""The types of a CSV file's columns, proved on all its rows.

A sample proposes a type and one pass over the file proves it: a column is what every one of its values is, and a text
where they differ. What would change by being read as a number or a date stays a text: `007`, digits that are more
than a number holds, `1/2/2024` where no other value tells days from months, years before 1700 (dates of another
calendar).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import sqlglot
from sqlglot import exp

from kpiengine.records import dataclass

SAMPLED_ROWS = 2000
TEXT = "VARCHAR"
_YEAR = "(1[7-9]|[2-9][0-9])[0-9]{2}"
_ISO_DAY = f"({_YEAR}-[0-9]{{1,2}}-[0-9]{{1,2}}|{_YEAR}/[0-9]{{1,2}}/[0-9]{{1,2}})"
_CLOCK = "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
_ZONE = "(Z| ?UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
_MATCHES = "REGEXP_FULL_MATCH(v, p)"
# CASE, since AND would try the slow second half on every value, too.
_IF_MATCHED = "CASE WHEN v IS NULL THEN NULL WHEN REGEXP_FULL_MATCH(v, p) THEN {} IS NOT NULL ELSE FALSE END"
_CASTS = {kind: _IF_MATCHED.format(f"TRY_CAST(v AS {kind})") for kind in ("DATE", "TIMESTAMP", "TIMESTAMPTZ")}
_FORMATTED = _IF_MATCHED.format("TRY_STRPTIME(v, f)")
_CLOCKS = {
    "": "",
    " %H:%M": " [0-9]{1,2}:[0-9]{2}",
    " %H:%M:%S": " [0-9]{1,2}:[0-9]{2}:[0-9]{2}",
    " %I:%M %p": " [0-9]{1,2}:[0-9]{2} [AaPp][Mm]",
    " %I:%M:%S %p": " [0-9]{1,2}:[0-9]{2}:[0-9]{2} [AaPp][Mm]",
}

Row = Callable[[exp.Query], Sequence[object]]
"""Runs a query and gives its one row."""


@dataclass(frozen=True)
class ColumnType:
    """A column's type, and the `strptime` format of its values where they are not ISO dates."""

    type: str
    format: str | None = None


@dataclass(frozen=True)
class _Test:
    """Whether a value is of a type: SQL over `v`, with a pattern `p` and a format `f`."""

    found: ColumnType
    sql: str
    pattern: str

    def on(self, column: str) -> exp.Expr:
        """All values of a column pass; NULL where it has none."""
        parts = {
            "v": exp.column(column, quoted=True),
            "p": exp.Literal.string(self.pattern),
            "f": exp.Literal.string(self.found.format or ""),
        }

        def filled(node: exp.Expr) -> exp.Expr:
            return parts[node.name] if isinstance(node, exp.Column) and not node.table else node

        return exp.func("bool_and", _parsed(self.sql).transform(filled), dialect="duckdb")


@functools.cache
def _parsed(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, dialect="duckdb")


def _plain_tests(decimal: str, thousands: str | None) -> list[_Test]:
    """The types that need no format, the strongest first."""
    whole = "(0|[1-9][0-9]{0,17})"
    grouped = f"|[1-9][0-9]{{0,2}}([{thousands}][0-9]{{3}}){{1,5}}" if thousands else ""
    fraction = f"((0|[1-9][0-9]*{grouped})[{decimal}][0-9]*|[{decimal}][0-9]+)"
    scaled = f"({whole}|{fraction})[eE][+-][0-9]{{1,3}}"
    tests = [
        _Test(ColumnType("BIGINT"), _MATCHES, f" *-?({whole}{grouped}) *"),
        _Test(ColumnType("DOUBLE"), _MATCHES, f" *-?({whole}{grouped}|{fraction}|{scaled}) *"),
        _Test(ColumnType("BOOLEAN"), _MATCHES, "(?i)true|false"),
    ]
    days = {"DATE": "", "TIMESTAMP": f"([ T]{_CLOCK})?", "TIMESTAMPTZ": f"([ T]{_CLOCK}{_ZONE}?)?"}
    return tests + [_Test(ColumnType(kind), _CASTS[kind], _ISO_DAY + rest) for kind, rest in days.items()]


def _format_tests() -> list[_Test]:
    """Days before months or months before days, with slashes, hyphens or dots (days first, always)."""
    tests = []
    for sign in "./-":
        for order in ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y") if sign != "." else ("%d{0}%m{0}%Y",):
            for clock, pattern in _CLOCKS.items():
                kind = "TIMESTAMP" if clock else "DATE"
                days = f"[0-9]{{1,2}}[{sign}][0-9]{{1,2}}[{sign}]{_YEAR}"
                tests.append(_Test(ColumnType(kind, order.format(sign) + clock), _FORMATTED, days + pattern))
    return tests


def _given_formats(dateformat: str | None, timestampformat: str | None) -> list[_Test]:
    given = (("DATE", dateformat), ("TIMESTAMP", timestampformat))
    return [_Test(ColumnType(kind, text), _FORMATTED, "(?s).*") for kind, text in given if text]


@dataclass(frozen=True)
class TypeRules:
    """How numbers and dates are written."""

    decimal: str = "."
    thousands: str | None = None
    dateformat: str | None = None
    timestampformat: str | None = None

    def plain(self) -> list[_Test]:
        """What to try first."""
        given = _given_formats(self.dateformat, self.timestampformat)
        return given + _plain_tests(self.decimal, self.thousands)

    def formats(self) -> list[_Test]:
        """What to try where nothing of `plain` holds; nothing where a format is given."""
        return [] if self.dateformat or self.timestampformat else _format_tests()


def column_types(names: Sequence[str], texts: exp.Expr, rules: TypeRules, row: Row) -> dict[str, ColumnType]:
    """The types of the columns `names` of a relation `texts`, all of whose columns are texts.

    Reads the relation once, and again only where a sample's proposal does not hold.
    """
    if not names:
        row(exp.select(exp.Count(this=exp.Star())).from_(texts.copy()))  # errors in any row are found here
        return {}
    left = _proposed(names, texts, rules, row)
    types = dict.fromkeys(names, ColumnType(TEXT))
    while left:
        tries = {name: steps[0] for name, steps in left.items()}
        passed = _passed(tries, texts, row)
        for name, (tests, empty) in passed.items():
            if tests or empty:
                types[name] = _decided(tests)
        left = {n: steps[1:] for n, steps in left.items() if len(steps) > 1 and passed[n] == ([], False)}
    return types


def _proposed(names: Sequence[str], texts: exp.Expr, rules: TypeRules, row: Row) -> dict[str, list[Sequence[_Test]]]:
    """For each column what a sample leaves possible, step by step: the strongest type first."""
    sample = exp.select("*").from_(texts.copy()).limit(SAMPLED_ROWS).subquery("sample")
    plain, formats = rules.plain(), rules.formats()
    steps: dict[str, list[Sequence[_Test]]] = {}
    unknown = {}
    for name, (tests, empty) in _passed(dict.fromkeys(names, plain), sample, row).items():
        steps[name] = [plain, formats] if empty else [[test] for test in tests] or [[]]
        if not tests and not empty:
            unknown[name] = formats
    # Both orders of day and month are proved together, for where both hold neither is known.
    return steps | {name: [tests] for name, (tests, _) in _passed(unknown, sample, row).items()}


def _decided(tests: Sequence[_Test]) -> ColumnType:
    """The strongest type; a text where days and months cannot be told apart."""
    if not tests or {_days_first(t.found.format) for t in tests} >= {True, False}:
        return ColumnType(TEXT)
    return tests[0].found


def _days_first(format_: str | None) -> bool | None:
    return format_.startswith("%d") if format_ else None


def _passed(tries: Mapping[str, Sequence[_Test]], relation: exp.Expr, row: Row) -> dict[str, tuple[list[_Test], bool]]:
    """For each column the tests that all its values pass, and whether it has no values at all."""
    asked: list[exp.Expr] = []
    for name, tests in tries.items():
        asked.append(exp.Count(this=exp.column(name, quoted=True)))
        asked += [test.on(name) for test in tests]
    if not asked:
        return {}
    named = [exp.alias_(e, f"a{n}") for n, e in enumerate(asked)]
    answers = iter(row(exp.select(*named).from_(relation.copy())))
    found = {}
    for name, tests in tries.items():
        empty = next(answers) == 0
        found[name] = ([test for test in tests if next(answers) is True], empty)
    return found
