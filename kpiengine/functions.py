"""The functions that a formula may use: ours outside aggregates, SQL's inside, and those that are refused."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from kpiengine.records import dataclass

TIME_UNITS = ("hour", "day", "week", "month", "quarter", "year")
QUERY_PERIOD = "period"
"""As a unit: the period of the query, whatever it is (`prior(buyers, 1, period)`)."""


@dataclass(frozen=True)
class MetricFunction:
    """A function over metrics. `arguments` are those behind the metric: "int", "unit" or "dims" (any number)."""

    name: str
    arguments: tuple[str, ...]
    needs_period: bool
    usage: str


METRIC_FUNCTIONS = {
    f.name: f
    for f in (
        MetricFunction("prior", ("int", "unit"), True, "prior(metric, n, unit)"),
        MetricFunction("trailing", ("int", "unit"), True, "trailing(metric, n, unit)"),
        MetricFunction("to_date", ("unit",), True, "to_date(metric, unit)"),
        MetricFunction("running", (), False, "running(metric)"),
        MetricFunction("total", ("dims",), False, "total(metric, dimension, …)"),
        MetricFunction("closing", (), False, "closing(metric)"),
        MetricFunction("opening", (), False, "opening(metric)"),
        MetricFunction("target", (), False, "target(metric)"),
    )
}

OVERALL = "overall"

KEYED_FUNCTIONS = {
    "first_time": "first_time(key) or first_time(key, condition)",
    "ever": "ever(key, condition)",
    OVERALL: "overall(key, aggregate)",
}
"""Functions inside aggregates that look at all rows of one key, whatever the query's groups and period: its earliest
time, whether a condition ever held, an aggregate over them."""

PER = "per"

# Aggregates of DuckDB that sqlglot does not know as such.
OTHER_AGGREGATES = frozenset(
    [
        "arbitrary",
        "arg_max_null",
        "arg_min_null",
        "argmax",
        "argmin",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bitstring_agg",
        "bool_and",
        "bool_or",
        "entropy",
        "favg",
        "fsum",
        "histogram",
        "histogram_exact",
        "kahan_sum",
        "kurtosis",
        "kurtosis_pop",
        "mad",
        "mean",
        "mode",
        "product",
        "quantile_cont",
        "quantile_disc",
        "regr_avgx",
        "regr_avgy",
        "regr_count",
        "regr_intercept",
        "regr_r2",
        "regr_slope",
        "regr_sxx",
        "regr_sxy",
        "regr_syy",
        "reservoir_quantile",
        "sem",
        "skewness",
        "sumkahan",
        "geomean",
        "geometric_mean",
        "weighted_avg",
        "max_by",
        "min_by",
    ]
)

REFUSED_FUNCTIONS = frozenset(
    [
        "getenv",
        "current_setting",
        "set_config",
        "getvariable",
        "query",
        "query_table",
        "nextval",
        "currval",
        "setval",
        "write_log",
        "pg_sleep",
        "sleep",
        "current_query",
        "current_query_id",
        "current_connection_id",
        "current_transaction_id",
        "current_database",
        "current_schema",
        "current_schemas",
        "in_search_path",
        "txid_current",
        "read_text",
        "read_blob",
        "read_csv",
        "read_csv_auto",
        "read_parquet",
        "parquet_scan",
        "read_json",
        "read_json_auto",
        "read_ndjson",
        "sniff_csv",
        "glob",
        "sqlite_scan",
        "postgres_scan",
        "duckdb_settings",
        "duckdb_secrets",
        "pragma_table_info",
        "error",
        "which_secret",
        "load_aws_credentials",
        "parquet_metadata",
        "parquet_schema",
        "parquet_file_metadata",
        "parquet_kv_metadata",
        "force_checkpoint",
        "checkpoint",
        "create_sort_key",
    ]
)
"""Functions that read files, settings or state of the machine or the engine: no part of a metric's meaning."""

REFUSED_NODES: tuple[type[exp.Expr], ...] = (
    exp.Query,
    exp.Subquery,
    exp.DDL,
    exp.DML,
    exp.Command,
    exp.Table,
    exp.Exists,
    exp.Rand,
)


PLAIN_TEXT = "plain_text"
"""`plain_text(x)`: x as text that is compared whatever its case, its blanks and the keyboard that wrote it."""

_LETTERS = (("ي", "ی"), ("ى", "ی"), ("ك", "ک"), ("\u00a0", " "), ("\t", " "))
_DIGITS = ("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2)
_DIGITS_BETWEEN = (("٠", "٪"), ("۰", "ۺ"))
"""The first Arabic, the first Persian digit, each with what follows the last in Unicode."""


def is_plain_text(node: exp.Expr) -> bool:
    """Whether `node` is a call of `plain_text` with its one argument."""
    return isinstance(node, exp.Anonymous) and function_name(node) == PLAIN_TEXT and len(node.expressions) == 1


def plain_texts_written_out(tree: exp.Expr) -> exp.Expr:
    """`plain_text(x)` → lower case, no outer blanks, Persian ی and ک for the Arabic letters, numbers in 0 to 9.

    Long, and so done last: for texts that an engine reads. Changes the tree in place and returns its root.
    """
    return _plain_texts_replaced(tree, _written_out)


def plain_texts_as_casts(tree: exp.Expr) -> exp.Expr:
    """What `plain_text(x)` is where types alone count: a text. Changes the tree in place and returns its root."""
    return _plain_texts_replaced(tree, lambda text: exp.cast(text, "VARCHAR"))


def _plain_texts_replaced(tree: exp.Expr, made: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    for node in reversed([n for n in tree.find_all(exp.Anonymous) if is_plain_text(n)]):  # the inmost first
        new = made(node.expressions[0])
        if node is tree:
            return new
        node.replace(new)
    return tree


def _written_out(text: exp.Expr) -> exp.Expr:
    return with_plain_digits(with_plain_letters(text))


def with_plain_letters(text: exp.Expr) -> exp.Expr:
    """The first half of `plain_text(text)`: all but the numbers."""
    text = exp.cast(text, "VARCHAR")
    for letter, other in _LETTERS:
        text = exp.func("REPLACE", text, exp.Literal.string(letter), exp.Literal.string(other), dialect="duckdb")
    return exp.Trim(this=exp.Lower(this=text))


def with_plain_digits(text: exp.Expr) -> exp.Expr:
    """The second half of `plain_text`, of a text with plain letters, which is written five times.

    Texts that begin with another digit are translated; the rest is left alone, which engines do far quicker.
    """
    begins = [
        exp.and_(
            exp.GTE(this=text.copy(), expression=exp.Literal.string(first)),
            exp.LT(this=text.copy(), expression=exp.Literal.string(end)),
        )
        for first, end in _DIGITS_BETWEEN
    ]
    source, target = map(exp.Literal.string, _DIGITS)
    return exp.case().when(exp.or_(*begins), exp.Translate(this=text.copy(), from_=source, to=target)).else_(text)


def function_name(node: exp.Expr) -> str:
    """The lower-case name of a function call, as a user writes it, or "" for anything else."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    if isinstance(node, exp.AnonymousAggFunc):
        return str(node.this).lower()
    if isinstance(node, exp.Func):
        return str(node.sql_name()).lower()
    return ""


def is_aggregate(node: exp.Expr) -> bool:
    """Whether `node` is an aggregate call, with its FILTER or WITHIN GROUP where it has one."""
    if isinstance(node, exp.Filter | exp.WithinGroup | exp.IgnoreNulls | exp.RespectNulls):
        return is_aggregate(node.this)
    if isinstance(node, exp.Array | exp.Struct):
        return False
    if isinstance(node, exp.AggFunc):
        return True
    return isinstance(node, exp.Anonymous) and str(node.this).lower() in OTHER_AGGREGATES
