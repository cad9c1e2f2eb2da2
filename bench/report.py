"""`python -m bench report`: docs/performance.md and its plots, from what was measured last (build/bench/results)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.measure import geometric_mean
from bench.plot import lines
from bench.results import load
from bench.scale import EXPORTS
from bench.venvs import ROOT

DOCS = ROOT / "docs"
WORDS = Path(__file__).parent / "words"
"""What stands between the tables, by hand: one Markdown file for each section."""

Row = dict[str, Any]


def report() -> None:
    """Writes the page. A measurement that is missing is said to be missing."""
    parts = [_words("head"), _on()]
    for name, table in (
        ("run", _expert), ("exports", _expert), ("fifty", _fifty), ("others", _others), ("peers", _peers),
        ("startup", _startup), ("scale", _scale),
    ):  # fmt: skip
        parts.append(_words(name))
        found = load(name)
        parts.append(table(found["rows"]) if found else "Not measured yet.")
    parts.append(_words("tail"))
    (DOCS / "performance.md").write_text("\n\n".join(part.strip() for part in parts if part.strip()) + "\n")


def _words(name: str) -> str:
    file = WORDS / f"{name}.md"
    return file.read_text() if file.exists() else ""


def _on() -> str:
    found = next((one for name in ("run", "scale", "startup") if (one := load(name))), None)
    if found is None:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items() if version)
    hardware = f"{found['processor']}, {found['processors']} processors, {found['memory_gb']} GB, {found['system']}"
    orders = f", on {found['orders']:,} orders" if "orders" in found else ""
    return (
        f"Measured on {found['day']} at commit {found['commit']}{orders}: {hardware};"
        f" Python {found['python']}, {versions}."
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table; the first columns are texts, the others numbers."""
    marks = ["---" if n < texts else "---:" for n in range(len(heads))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows))


def _ratio(row: Row) -> str:
    return f"{row['ratio']:.2f}"


def _between(row: Row) -> str:
    return f"{row['low']:.2f}–{row['high']:.2f}"


def _expert(rows: list[Row]) -> str:
    heads = ["workload", "ratio", "between", "processor time", "expert s", "ours s", "compile ms"]
    shown = [
        [
            f"{row['workload']} ({row['about']})", f"**{_ratio(row)}**", _between(row), f"{row['cpu']:.2f}",
            f"{row['expert_s']:.2f}", f"{row['ours_s']:.2f}",
            f"{1000 * row['compile_s']:.0f}" if row["compile_s"] is not None else "–",
        ]
        for row in rows
    ]  # fmt: skip
    means = [f"**{geometric_mean([row[name] for row in rows]):.2f}**" for name in ("ratio", "cpu")]
    return table(heads, [*shown, ["geometric mean", means[0], "", means[1], "", "", ""]])


def _fifty(rows: list[Row]) -> str:
    row = rows[0]
    alone = f"{row['dearest']}, the dearest of them, takes alone"
    compiled = f"they are compiled in {1000 * row['compile_s']:.0f} ms"
    return f"{row['metrics']} metrics take {_ratio(row)} × ({_between(row)}) what {alone}; {compiled}."


def _others(rows: list[Row]) -> str:
    libraries = list(dict.fromkeys(row["library"] for row in rows))
    by = {(row["workload"], row["library"]): row for row in rows}
    shown = [
        [
            name,
            *(
                f"{_ratio(by[name, one])} ({_between(by[name, one])})" if (name, one) in by else "–"
                for one in libraries
            ),
        ]
        for name in dict.fromkeys(row["workload"] for row in rows)
    ]
    return table(["ours to", *libraries], shown)


def _peers(rows: list[Row]) -> str:
    shown = [
        [
            row["workload"],
            row["peer"],
            _ratio(row) if "ratio" in row else row["told"],
            _between(row) if "ratio" in row else "",
        ]
        for row in rows
    ]
    return table(["workload", "peer", "to the expert's", "between"], shown, 2)


def _startup(rows: list[Row]) -> str:
    heads = ["fresh process", "ratio", "between", "processor time", "ours ms", "floor ms"]
    return table(
        heads,
        [
            [
                row["start"],
                f"**{_ratio(row)}**",
                _between(row),
                f"{row['cpu']:.2f}",
                f"{row['ms']:.0f}",
                f"{row['floor_ms']:.0f}",
            ]
            for row in rows
        ],
    )


def _scale(rows: list[Row]) -> str:
    by = {name: [row for row in rows if row["over"] == name] for name in dict.fromkeys(row["over"] for row in rows)}
    parts = []
    for name, found in by.items():
        file = _plotted(name, [row for row in found if "wall" in row]) if name != EXPORTS else []
        parts += [f"### Over {name}" if name != EXPORTS else "### Exports with `memory_limit: 2GB`"]
        parts += [_words(f"over-{name.replace(' ', '-')}"), *file, _scale_table(found)]
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _plotted(name: str, rows: list[Row]) -> list[str]:
    """Plots of time and of memory, where the axis is a number."""
    if not rows or not all(isinstance(row["x"], int | float) and row["x"] > 0 for row in rows):
        return []
    (DOCS / "images").mkdir(exist_ok=True)
    found = []
    for what, unit, key in (("time", "seconds", "wall"), ("memory", "MB at most", "peak_mb")):
        series: dict[str, list[tuple[float, float]]] = {}
        for row in rows:
            label = row["what"] + (" (expert)" if row["side"] == "expert" else "")
            series.setdefault(label, []).append((row["x"], row[key]))
        file = f"images/{what}-over-{name}.svg"
        (DOCS / file).write_text(lines(f"{what} over {name}", name, unit, series))
        found.append(f"![{what} over {name}]({file})")
    return ["\n".join(found)]


def _scale_table(rows: list[Row]) -> str:
    heads = ["", "what", "whose", "seconds", "processor s", "peak MB", "open s", "first compile ms", "compile ms"]
    shown = []
    for row in rows:
        at = f"{row['x']:,}" if isinstance(row["x"], int) else str(row["x"])
        cells = [at, row["what"], row["side"]]
        if "failed" in row:
            shown.append([*cells, row["failed"], *("" for _ in heads[4:])])
            continue
        cells += [_number(row, "wall", 1), _number(row, "cpu", 1), f"{row['peak_mb']:,}"]
        shown.append([*cells, _number(row, "opened", 1), _number(row, "first", 1000), _number(row, "compiled", 1000)])
    used = [n for n in range(len(heads)) if n < 3 or any(cells[n] for cells in shown)]
    return table([heads[n] for n in used], [[cells[n] for n in used] for cells in shown], 3)


def _number(row: Row, name: str, times: int) -> str:
    value = row.get(name)
    return "" if value is None else f"{value * times:.0f}" if times > 1 else f"{value:.2f}"
