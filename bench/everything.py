"""`make bench`: the bounds where they hold, the rest at a small scale; in some ten minutes. Fails beyond a bound."""

from __future__ import annotations

import time
from pathlib import Path

from bench import bounds
from bench.data import make
from bench.fifty import BOUND, fifty
from bench.others.run import others
from bench.peers.run import peers
from bench.run import run
from bench.startup import BOUNDS, starts
from bench.venvs import BUILD


def everything(scale: float, pairs: int, threads: int) -> int:
    """Prints tables and what exceeds its bound; gives the exit code.

    The bounds are those of `scale` 1: of less, planning is a larger part of the time. What has none is measured on a
    tenth of that, processes that start on a hundredth.
    """
    begun = time.monotonic()
    data, smaller, small = (_made(each) for each in (scale, scale / 10, 0.01))
    told = []

    _title(f"Ours to the expert's SQL, to Arrow ({scale:g} × 10 million orders)")
    told += bounds.beyond_expert(run(data, None, pairs, [], threads))
    _title("The same, each exported to Parquet")
    told += bounds.beyond_expert(run(data, None, pairs, [], threads, export=True), ", exported")
    _title("Fifty metrics over one source")
    told += bounds.beyond("fifty metrics", fifty(data, pairs, threads), BOUND)
    _title("Ours to what a user would pick instead; below 1 ours is faster")
    others(smaller, None, min(pairs, 3), threads)
    _title("Semantic layers to the expert's SQL")
    peers(smaller, min(pairs, 3), threads)
    _title("A fresh process to the least that could do the same")
    told += _starts(small, 2 * pairs + 1)

    _title(f"Done in {(time.monotonic() - begun) / 60:.0f} minutes")
    for line in told:
        print(f"beyond its bound: {line}")
    if not told:
        print("Nothing is beyond its bound.")
    return 1 if told else 0


def _made(scale: float) -> Path:
    data = BUILD / f"data-{scale:g}"
    make(data, scale)
    return data


def _starts(data: Path, turns: int) -> list[str]:
    told = []
    for start in starts(data, turns):
        bound = next(value for name, value in BOUNDS.items() if start.name.startswith(name))
        # Cold, the bound is one for the compiled sqlglot.
        if start.name != "query, cold":
            told += bounds.beyond(start.name, start.wall, bound)
    return told


def _title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)
