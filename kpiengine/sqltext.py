"""SQL that users write (formulas, filters, columns), parsed to a tree whose nodes know their place.

DuckDB's dialect, one expression. What is no expression, or reads more than its columns, is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from kpiengine.errors import DefinitionError, Place, Problem, UsageError
from kpiengine.functions import (
    REFUSED_FUNCTIONS,
    REFUSED_NODES,
    function_name,
    is_aggregate,
)
from kpiengine.records import dataclass
from kpiengine.spec.text import Text

_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})

# Between two of these stands a whole operand: a name, even where the word means something else elsewhere.
_SIGNS = frozenset({TokenType.PLUS, TokenType.DASH, TokenType.STAR})
_OPERATORS = _SIGNS | {
    TokenType.COMMA, TokenType.SLASH, TokenType.DIV, TokenType.MOD, TokenType.DPIPE, TokenType.EQ, TokenType.NEQ,
    TokenType.LT, TokenType.LTE, TokenType.GT, TokenType.GTE, TokenType.AND, TokenType.OR, TokenType.THEN,
    TokenType.ELSE,
}  # fmt: skip
_BEFORE_NAME = _OPERATORS | {TokenType.L_PAREN, TokenType.WHEN}
_AFTER_NAME = _OPERATORS | {TokenType.R_PAREN, TokenType.IS, TokenType.IN, TokenType.BETWEEN, TokenType.END}
# Words that a sign may follow: `count(distinct -x)`.
_BEFORE_SIGN = frozenset({
    TokenType.DISTINCT, TokenType.ALL, TokenType.ANY, TokenType.SOME, TokenType.NOT, TokenType.CASE, TokenType.WHERE,
    TokenType.INTERVAL, TokenType.SELECT,
})  # fmt: skip
# Words that are a whole operand of another sort.
_VALUES = frozenset({
    "null", "true", "false", "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp",
    "current_user", "session_user", "current_role", "current_catalog", "current_schema", "user",
})  # fmt: skip


@dataclass(frozen=True)
class Sql:
    """A parsed expression with the text it came from. Equal where the trees are equal, wherever they stand."""

    tree: exp.Expr
    text: Text

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.tree)

    @cached_property
    def has_parameters(self) -> bool:
        """Whether a `$name` stands in it."""
        return any(isinstance(n, exp.Parameter | exp.Placeholder) for n in self.tree.walk())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sql) and self.tree == other.tree

    def place(self, node: exp.Expr | None = None) -> Place:
        """Where `node` (of this tree; the whole where None) stands in the file."""
        start = offset_of(self.tree if node is None else node)
        return self.text.at(start) if start is not None else self.text.at(0)

    def problem(self, message: str, node: exp.Expr | None = None) -> Problem:
        """A problem with `node`, at its place."""
        return Problem(self.place(node), message)


def offset_of(node: exp.Expr) -> int | None:
    """The offset in its text of the first token that `node` was made of."""
    starts = [int(n.meta["start"]) for n in node.walk() if n._meta and "start" in n.meta]
    return min(starts) if starts else None


@lru_cache(maxsize=1)
def _duckdb() -> Any:
    return Dialect.get_or_raise("duckdb")


def parse_sql(text: Text, what: str, *, trailing_where: bool = False) -> Sql:
    """The expression that `text` is. `what` names it in messages ('formula of "revenue"').

    Raises:
        DefinitionError: it does not parse, is more than one expression, or reaches outside its columns.
    """
    try:
        tokens = _tokens(text.value)
    except TokenError as error:
        raise DefinitionError(Problem(text.at(0), f"{what} cannot be read: {_unclosed(error)}")) from None
    tokens = names_made_plain(tokens)
    _refuse_statements(tokens, text, what)
    if trailing_where:
        tokens = filters_made_explicit(tokens)
    try:
        trees = _duckdb().parser().parse_into(exp.Condition, tokens, text.value)
    except ParseError as error:
        raise DefinitionError(_parse_problem(error, tokens, text, what)) from None
    if len(trees) != 1 or trees[0] is None:
        raise DefinitionError(Problem(text.at(0), f"{what} is to be one expression"))
    sql = Sql(trees[0], text)
    refused = [p for node in sql.tree.walk() if (p := _refusal(sql, node, what))]
    if refused:
        raise DefinitionError(*refused)
    return sql


def _tokens(text: str) -> list[Token]:
    """The tokens of an expression. It stands behind a parenthesis, since a statement's word such as `call` or `fetch`
    at the very beginning would take all that follows it for one text."""
    behind = _duckdb().tokenize(f"({text}")[1:]
    return [
        Token(t.token_type, t.text, t.line, t.col - (t.line == 1), t.start - 1, t.end - 1, t.comments) for t in behind
    ]


def parse_condition(text: str, option: str) -> Sql:
    """A condition of a query (`--where`). Raises UsageError: the command line is wrong, not the project."""
    try:
        sql = parse_sql(Text(text), f"{option} {text}")
    except DefinitionError as error:
        raise UsageError(*error.problems) from None
    for node in sql.tree.walk():
        if is_aggregate(node) or isinstance(node, exp.Window | exp.Explode):
            raise UsageError(f"{option} {text}: it looks at one row at a time; an aggregate belongs to --having")
    return sql


def _refuse_statements(tokens: Sequence[Token], text: Text, what: str) -> None:
    if not tokens:
        raise DefinitionError(Problem(text.at(0), f"{what} is empty"))
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            raise DefinitionError(
                Problem(text.at(token.start), f"{what} is to be one expression: no ';' and nothing after it")
            )
    first = tokens[0]
    if first.token_type in (TokenType.SELECT, TokenType.WITH, TokenType.CREATE, TokenType.DROP, TokenType.INSERT):
        message = f"{what} is to be an expression, not a {first.text.upper()} statement"
        raise DefinitionError(Problem(text.at(first.start), message))


def _refusal(sql: Sql, node: exp.Expr, what: str) -> Problem | None:
    if isinstance(node, REFUSED_NODES):
        return sql.problem(
            f"{what} is to be an expression over columns; a query inside it is refused (make it a source: {{sql: …}})",
            node,
        )
    name = function_name(node)
    if name in REFUSED_FUNCTIONS:
        return sql.problem(f"{what} may not call {name}(): it reads files, settings or state outside the columns", node)
    return None


def _parse_problem(error: ParseError, tokens: Sequence[Token], text: Text, what: str) -> Problem:
    detail = error.errors[0] if error.errors else {}
    line, col = detail.get("line"), detail.get("col")
    token = next((t for t in tokens if (t.line, t.col) == (line, col)), None)
    description = _plain(str(detail.get("description", "")))
    near = f' near "{detail.get("highlight")}"' if detail.get("highlight") else ""
    return Problem(text.at(token.start if token else 0), f"{what} cannot be read{near}: {description}")


def _plain(description: str) -> str:
    """sqlglot's description in words for people who have never heard of it."""
    if description.startswith("Required keyword"):
        return "something is missing after it"
    if "Unexpected token" in description:
        return "did not expect this here"
    if description.startswith("Expecting )"):
        return "a closing parenthesis is missing"
    return description[:1].lower() + description[1:] if description else "it is no SQL expression"


def _unclosed(error: TokenError) -> str:
    """What keeps a text from being cut into words; the tokenizer says it in the error before."""
    if "Missing" in f"{error} {error.__context__}":
        return "a quotation mark is not closed"
    return str(error).split("\n", 1)[0]


def names_made_plain(tokens: Sequence[Token]) -> list[Token]:
    """Tokens in which a word of SQL that stands for a whole operand, as in `prior(returning, 1, month)`, is a name."""
    keywords = _duckdb().tokenizer_class.KEYWORDS
    result: list[Token] = []
    for place, token in enumerate(tokens):
        kind = token.token_type
        following = tokens[place + 1].token_type if place + 1 < len(tokens) else None
        stands_alone = (
            (not result or result[-1].token_type in _BEFORE_NAME)
            and (following is None or following in _AFTER_NAME)
            and not (following in _SIGNS and kind in _BEFORE_SIGN)
        )
        word = stands_alone and token.text.isidentifier() and keywords.get(token.text.upper()) == kind
        if word and token.text.lower() not in _VALUES:
            kind = TokenType.IDENTIFIER
        result.append(Token(kind, token.text, token.line, token.col, token.start, token.end, token.comments))
    return result


def filters_made_explicit(tokens: Sequence[Token]) -> list[Token]:
    """Tokens in which `sum(x) where c` reads `sum(x) filter (where c)`.

    The condition runs to the next comma or closing parenthesis that is not its own, or to the end. Inserted
    tokens bear the position of the token before them, so that every place in the text stays right.
    """
    result: list[Token] = []
    pending: list[int] = []  # depths at which an inserted parenthesis is open
    depth = 0
    for token in tokens:
        kind = token.token_type
        ends = kind == TokenType.COMMA or kind in _CLOSING
        while pending and ends and pending[-1] == depth:
            result.append(_like(result[-1], TokenType.R_PAREN, ")"))
            pending.pop()
        if kind in _OPENING:
            depth += 1
        elif kind in _CLOSING:
            depth -= 1
        if kind == TokenType.WHERE and not _in_filter(result):
            before = result[-1] if result else token
            result += [_like(before, TokenType.FILTER, "FILTER"), _like(before, TokenType.L_PAREN, "(")]
            pending.append(depth)
        result.append(token)
    result += [_like(result[-1], TokenType.R_PAREN, ")") for _ in pending]
    return result


def _in_filter(done: Sequence[Token]) -> bool:
    return len(done) >= 2 and done[-1].token_type == TokenType.L_PAREN and done[-2].token_type == TokenType.FILTER


def _like(token: Token, kind: TokenType, text: str) -> Token:
    return Token(kind, text, token.line, token.col, token.start, token.end, [])
