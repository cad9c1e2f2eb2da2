"""Small plots as SVG: lines over two logarithmic axes, readable on white and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 320, 64, 170, 28, 44
COLOURS = ("#3366cc", "#d9534f", "#2e9e5b", "#b8860b", "#7b5ea7", "#00889a", "#8a8a8a", "#c2528b")

Points = Sequence[tuple[float, float]]


def lines(title: str, across: str, up: str, series: Mapping[str, Points]) -> str:
    """A line for each of `series`; a name that ends in "(expert)" is drawn dashed, in the colour of its partner."""
    every = [point for points in series.values() for point in points]
    xs, ys = [math.log10(x) for x, _ in every], [math.log10(y) for _, y in every]
    left, right = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1
    low, high = math.floor(min(ys)), max(math.ceil(max(ys)), math.floor(min(ys)) + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        along = (math.log10(x) - left) / (right - left)
        above = (math.log10(y) - low) / (high - low)
        return LEFT + along * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - above * (HEIGHT - TOP - BOTTOM)

    parts = [_grid(low, high, place, [x for x, _ in every]), _names(title, across, up)]
    partners = list(dict.fromkeys(name.removesuffix(" (expert)") for name in series))
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[partners.index(name.removesuffix(" (expert)")) % len(COLOURS)]
        dashed = ' stroke-dasharray="5 4"' if name.endswith("(expert)") else ""
        path = " ".join(f"{'L' if n else 'M'}{x:.1f},{y:.1f}" for n, (x, y) in enumerate(place(*p) for p in points))
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>')
        parts += [_dot(*place(*point), colour) for point in points]
        height = TOP + 8 + 18 * number
        parts.append(
            f'<path d="M{WIDTH - RIGHT + 12},{height} h18" stroke="{colour}" stroke-width="2"{dashed}/>'
            f'<text x="{WIDTH - RIGHT + 36}" y="{height + 4}">{escape(name)}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif"'
        f' font-size="11" fill="#777"><title>{escape(title)}</title>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _grid(low: int, high: int, place: object, xs: Sequence[float]) -> str:
    assert callable(place)
    found = []
    for power in range(low, high + 1):
        _, y = place(xs[0], 10.0**power)
        found.append(f'<path d="M{LEFT},{y:.1f} H{WIDTH - RIGHT}" stroke="#999" stroke-width=".5" opacity=".5"/>')
        found.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(10.0**power)}</text>')
    for value in sorted(set(xs)):
        x, _ = place(value, 10.0**low)
        found.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_short(value)}</text>')
    return "".join(found)


def _names(title: str, across: str, up: str) -> str:
    middle, height = (LEFT + WIDTH - RIGHT) / 2, HEIGHT / 2
    return (
        f'<text x="{LEFT}" y="16" font-weight="bold">{escape(title)}</text>'
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>'
        f'<text x="14" y="{height}" text-anchor="middle" transform="rotate(-90 14 {height})">{escape(up)}</text>'
    )


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _short(value: float) -> str:
    for size, sign in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{sign}"
    return f"{value:g}"
