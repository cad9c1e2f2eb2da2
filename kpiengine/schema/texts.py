"""What an editor says of each key when the mouse is over it."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, Mapping[str, str]] = {
    "project": {
        "name": "The project's name; by default its folder's.",
        "description": "What the project is about.",
        "timezone": "Timestamps with a zone are cut into days here: Europe/Berlin. Default: UTC.",
        "calendar": "gregorian, jalali, {fiscal: {starts: april}}, or one that a plugin brings.",
        "language": "The language of labels and period names where a project has several: en, fa.",
        "week_starts": "The first day of a week. Default: the calendar's.",
        "engine": "What runs the queries, with its settings: {duckdb: {memory_limit: 8GB}}.",
        "engines": "Settings of several engines by name; engine: or --engine chooses one.",
        "sources": "Where the rows come from, by name.",
        "metrics": "Metrics by name; they may stand in files under metrics/, too.",
        "exports": "What `kpi export` writes to Parquet, by name.",
        "tests": "Rows given, a query, and the rows expected of it: what `kpi test` runs.",
    },
    "source": {
        "from": "A path, told by its ending, or {connector: its options}.",
        "key": "The column, or columns, unique per row.",
        "time": "The default time axis: a column with dates or timestamps.",
        "columns": "Name → a raw column, or SQL over the raw columns.",
        "filters": "SQL conditions; rows for which one does not hold are not there.",
        "joins": "Many-to-one joins: {source: column}, or {name: {to: source, on: column}}.",
        "label": "A text for people, or {en: …, fa: …}.",
        "description": "What the rows are.",
    },
    "join": {
        "to": "The source that is joined by its key. Default: the join's name.",
        "on": "The column, or columns, of this source that hold the key of the other.",
    },
    "metric": {
        "source": "The source that the metric aggregates.",
        "formula": "One SQL expression: inside an aggregate names are columns, outside they are metrics.",
        "filters": "SQL conditions on rows, before aggregating.",
        "label": "A text for people, or {en: …, fa: …}.",
        "description": "What the metric says, and what it leaves out.",
        "unit": "EUR, percent (0…1 shown as %), customers, …",
        "better": "Whether more (up) or less (down) is better. Default: up.",
        "owner": "Who answers for the definition.",
        "tags": "Words to find it by.",
        "kind": "A KPI that no formula can say, of a plugin's; its options stand beside.",
        "extends": "Starts from another metric: keys given here replace its own, filters are added.",
        "parameters": "Values that filters and formula name as $name; `--set name=value` replaces them.",
        "grain": "The grain of a query without --by: a period, a dimension, or a list of them.",
        "time": "Another time column than the source's.",
        "fill": "What stands where a group or a period has no rows. Default: 0 for counts, else nothing.",
        "target": "A number at the metric's own grain, {month: 120000}, or {from: targets.csv}.",
        "near": "The share of the target from which the status is near. Default: 0.9.",
        "otherwise": "Another definition, for projects that do not have the source or a column.",
    },
    "query": {
        "metrics": "Names of metrics or kinds.",
        "by": "Periods and dimensions; none asks for the grand total.",
        "where": "SQL conditions on rows.",
        "having": "SQL conditions on the result's rows.",
        "since": "First day: 2026-03-01, 2026-03, today, -90d, jalali:1405-01-01.",
        "until": "The day after the last, written in the same ways.",
        "order": "Columns to sort by: revenue, or revenue:desc.",
        "limit": "At most so many rows.",
        "per": "The columns for each group of which the limit holds.",
        "totals": "Subtotals, computed again from rows; a column says how many dimensions were dropped.",
        "fill": "Periods without rows, too.",
        "complete": "Leaves out a period that is still running.",
        "targets": "Each metric's target, attainment and status.",
        "compare": "Each metric a period before: prior-year.",
        "as_of": "As if no row later than this day existed.",
        "timezone": "Another time zone than the project's.",
        "language": "The language of labels: fa, en.",
        "set": "Values of parameters.",
    },
    "export": {
        "partition_by": "Columns that make folders.",
        "path": "A folder, or one file where it ends in .parquet. Default: out/NAME.",
        "label": "A text for people, or {en: …, fa: …}.",
    },
    "test": {
        "name": "What the test says, as a sentence.",
        "description": "Why.",
        "given": "Source → rows. They stand in place of the sources, and nothing else is read.",
        "query": "What is asked.",
        "expect": "The rows that come, in their order; columns that no row names are not compared.",
    },
}
"""Of what → key → text. An export takes what a query takes, too."""


def text_of(owner: str, key: str) -> str | None:
    """The text of a key, or None."""
    return TEXTS[owner].get(key) or (TEXTS["query"].get(key) if owner == "export" else None)
