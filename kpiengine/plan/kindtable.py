"""A query for a kind's table: its columns as they are, with conditions, order and limit on them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from kpiengine.errors import UsageError, choices
from kpiengine.model import Model
from kpiengine.model.model import KindTableName
from kpiengine.plan.dimensions import read_dimensions
from kpiengine.plan.expressions import column
from kpiengine.plan.kinds import KindBinder
from kpiengine.plan.scans import Workspace
from kpiengine.plan.steps import Named, Output, OutputColumn, Plan, Select, Sorting
from kpiengine.query import Query
from kpiengine.sqltext import parse_condition


def plan_kind_table(model: Model, query: Query, table: KindTableName, kinds: KindBinder) -> Plan:
    """The plan of `kpi query rfm` or `kpi query sales_funnel.members`."""
    metric = model.metric(table.metric)
    kind = model.kind(metric)
    told = table.metric if table.table is None else f"{table.metric}.{table.table}"
    _refuse(query, told)
    by = read_dimensions(query.by or ())
    if by and not kind.takes_by:
        raise UsageError(
            f'"{told}" has its own rows and takes no --by; use its columns with a metric: --by {told}.<column>'
        )
    space = Workspace(model, query.timezone or model.spec.timezone, query.as_of, kinds)
    planned = kinds.plan(space, table, by)
    names = {c.name.lower(): c.name for c in planned.columns}
    filters = tuple(_condition(text, names, told) for text in (*query.where, *query.having))
    asked = [Sorting(_named(o.column, names, told, "--order"), o.descending) for o in query.order]
    order = (*asked, *(Sorting(c) for c in planned.order if c not in {s.column for s in asked}))
    entity_or_by = {planned.entity, *(d.name for d in by)}
    named: list[Named] = []
    columns: list[OutputColumn] = []
    for found in planned.columns:
        role = "dimension" if found.name in entity_or_by else "column"
        named.append(Named(found.name, column(found.name)))
        columns.append(OutputColumn(found.name, role, metric.name, found.unit))
        texts = found.labels.get(query.language or model.spec.language)
        if texts:
            named.append(Named(f"{found.name}_label", _labelled(column(found.name), texts)))
            columns.append(OutputColumn(f"{found.name}_label", "label", metric.name))
    shown = Select("", planned.step, tuple(named))
    per = tuple(_named(c, names, told, "--per") for c in query.per)
    output = Output((shown,), tuple(columns), filters, order, query.limit, per)
    return Plan(tuple(space.shared_steps()), output, space.checks(), space.sources())


def _labelled(value: exp.Expr, texts: Mapping[str, str]) -> exp.Expr:
    """The display text of each value; a value without one stands for itself."""
    ifs = [exp.If(this=exp.Literal.string(v), true=exp.Literal.string(t)) for v, t in texts.items()]
    return exp.Case(this=value, ifs=ifs, default=value.copy())


def _refuse(query: Query, told: str) -> None:
    if query.since is not None or query.until is not None:
        raise UsageError(
            f'"{told}" is computed from all its rows, and --since or --until would cut them:'
            " --as-of moves its end, and filters in its definition narrow it"
        )
    of_metrics = {
        "--totals": query.totals, "--fill": query.fill, "--complete": query.complete, "--targets": query.targets,
        "--compare": query.compare,
    }  # fmt: skip
    for option, asked in of_metrics.items():
        if asked:
            raise UsageError(f'{option} goes with metrics, and "{told}" is a table')


def _named(name: str, names: dict[str, str], told: str, what: str) -> str:
    if name.lower() not in names:
        raise UsageError(f'{what}: "{told}" has no column "{name}"; it has: {choices(name, names.values(), 20)}')
    return names[name.lower()]


def _condition(text: str, names: dict[str, str], told: str) -> exp.Expr:
    tree = parse_condition(text, "--where").tree.copy()
    for node in list(tree.find_all(exp.Column)):
        new = column(_named(node.name, names, told, f"--where {text}"))
        if node is tree:
            return new
        node.replace(new)
    return tree
