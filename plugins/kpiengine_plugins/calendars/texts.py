"""What the labels of periods are made of: names of months in two languages, and digits."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from kpiengine.calendar import expression
from kpiengine.errors import suggest

PERSIAN_DIGITS = "۰۱۲۳۴۵۶۷۸۹"

GREGORIAN_MONTHS = {
    "en": (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
    "fa": (
        "ژانویه", "فوریه", "مارس", "آوریل", "مه", "ژوئن", "ژوئیه", "اوت", "سپتامبر", "اکتبر", "نوامبر", "دسامبر",
    ),
}  # fmt: skip

WEEK_OF = {"en": "week of ", "fa": "هفتهٔ "}


def language_of(language: str) -> str:
    """`fa` for Persian, written in whatever way (`fa-IR`), and `en` for every other language."""
    return "fa" if language.lower().replace("_", "-").split("-")[0] == "fa" else "en"


def localized(text: str, language: str) -> str:
    """A text with the digits of the language."""
    return text.translate(str.maketrans("0123456789", PERSIAN_DIGITS)) if language == "fa" else text


def localized_sql(text: exp.Expr, language: str) -> exp.Expr:
    """`localized` as an expression."""
    if language != "fa":
        return text
    return expression("translate(text, '0123456789', digits)", text=text, digits=exp.Literal.string(PERSIAN_DIGITS))


def joined(*parts: str | exp.Expr) -> exp.Expr:
    """The concatenation of texts and of expressions: numbers, dates, and what `one_of` and `two_digits` give."""
    texts = [exp.Literal.string(part) if isinstance(part, str) else _text(part) for part in parts if part != ""]
    whole = texts[0]
    for text in texts[1:]:
        whole = exp.DPipe(this=whole, expression=text, safe=True)
    return whole


def _text(part: exp.Expr) -> exp.Expr:
    return part if isinstance(part, (exp.Case, exp.Pad)) else exp.cast(part, "TEXT")


def two_digits(number: exp.Expr) -> exp.Expr:
    """`07`."""
    return expression("lpad(CAST(number AS TEXT), 2, '0')", number=number)


def one_of(index: exp.Expr, first: int, texts: Sequence[str]) -> exp.Expr:
    """The text whose place in `texts`, counted from `first`, is `index`."""
    case = exp.Case(this=index)
    for number, text in enumerate(texts, first):
        case = case.when(exp.Literal.number(number), exp.Literal.string(text), copy=False)
    return case


def month_number(value: object) -> int:
    """The number of a month given as 1–12 or by its English name. ValueError for anything else."""
    names = [name.lower() for name in GREGORIAN_MONTHS["en"]]
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value in range(1, 13):
        return value
    if isinstance(value, str) and value.strip().lower() in names:
        return names.index(value.strip().lower()) + 1
    hint = suggest(value, names) if isinstance(value, str) else ""
    raise ValueError(f"{value!r} is no month; write its English name or 1 to 12{hint}")


def choice(option: str, value: object, choices: Sequence[str]) -> str:
    """An option's value, which is one of `choices`. ValueError for anything else."""
    if isinstance(value, str) and value.lower() in choices:
        return value.lower()
    hint = suggest(value, choices) if isinstance(value, str) else ""
    raise ValueError(f'option "{option}" cannot be {value!r}; there are: {", ".join(choices)}{hint}')
