"""Tables of texts: for results and for lists (`kpi list`), wide letters and Persian texts measured right."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence

import click


def width(text: str) -> int:
    """How many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


class Grid:
    """Headers and rows of texts, numbers to the right. `lines` may be asked for again after more rows."""

    def __init__(self, headers: Sequence[str], right: Sequence[bool] = ()) -> None:
        self.headers = tuple(headers)
        self.right = tuple(right) or (False,) * len(self.headers)
        self.rows: list[tuple[str, ...]] = []
        self._widths: list[int] | None = None

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """More rows, each with a text per header."""
        self.rows.extend(tuple(row) for row in rows)

    def lines(self) -> list[str]:
        """The rows added since the last call, as aligned lines; the header comes with the first call."""
        first = self._widths is None
        widths = self._widths or [width(header) for header in self.headers]
        for position in range(len(widths)):
            widths[position] = max([widths[position], *(width(row[position]) for row in self.rows)])
        self._widths = widths
        found = [self._line(self.headers), "  ".join("-" * size for size in widths)] if first else []
        found += [self._line(row) for row in self.rows]
        self.rows = []
        return found

    def _line(self, row: Sequence[str]) -> str:
        assert self._widths is not None
        padded = (
            " " * (size - width(text)) + text if right else text + " " * (size - width(text))
            for text, size, right in zip(row, self._widths, self.right, strict=True)
        )
        return "  ".join(padded).rstrip()


def rich_lines(grid: Grid) -> list[str]:
    """The grid as rich draws it for this terminal. No cell loses a letter: where the screen is too narrow, texts are
    folded, numbers and short texts never are, and lines may run over the edge."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    least = 0
    for position, (header, right) in enumerate(zip(grid.headers, grid.right, strict=True)):
        whole = max([width(header), *(width(row[position]) for row in grid.rows)])
        fixed = right or whole <= 20
        floor = whole if fixed else 20
        least += floor + 3  # a blank on either side, and the divider
        table.add_column(
            Text(header), justify="right" if right else "left", no_wrap=fixed, min_width=floor, overflow="fold"
        )
    for row in grid.rows:
        table.add_row(*(Text(cell) for cell in row))
    screen = Console()
    drawn = io.StringIO()
    console = Console(
        file=drawn, width=max(screen.width, least), color_system="standard" if screen.color_system else None,
        force_terminal=screen.color_system is not None, no_color=screen.no_color,
    )  # fmt: skip
    console.print(table)
    return [line.rstrip() for line in drawn.getvalue().splitlines()]


def show(grid: Grid) -> None:
    """Print a list on standard output."""
    lines = rich_lines(grid) if sys.stdout is not None and sys.stdout.isatty() else grid.lines()
    click.echo("\n".join(lines))
