"""`python -m bench COMMAND`: what the benchmark can do; `make bench` does the most of it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bench.scale import PARTS


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    data = commands.add_parser("data", help="make the tables, the same on every run")
    data.add_argument("--scale", type=float, default=0.1, help="1 is 10 million orders (default: 0.1)")
    data.add_argument("--out", type=Path, required=True)

    run = commands.add_parser("run", help="our statements against the expert's")
    run.add_argument("--data", type=Path, required=True, help="the folder that `bench data` filled")
    run.add_argument("--only", nargs="+", metavar="WORKLOAD", help="these alone")
    run.add_argument("--pairs", type=int, default=5)
    run.add_argument("--passes", action="append", default=[], help="what KPI_PASSES says; repeat it to compare")
    run.add_argument("--threads", type=int, default=os.cpu_count())
    run.add_argument("--export", action="store_true", help="to Parquet, instead of to Arrow")

    fifty = commands.add_parser("fifty", help="fifty metrics over one source against the dearest alone")
    fifty.add_argument("--data", type=Path, required=True)
    fifty.add_argument("--pairs", type=int, default=5)
    fifty.add_argument("--threads", type=int, default=os.cpu_count())

    others = commands.add_parser("others", help="polars, pandas and ClickHouse on the workloads that they can say")
    others.add_argument("--data", type=Path, required=True)
    others.add_argument("--only", nargs="+", metavar="WORKLOAD")
    others.add_argument("--pairs", type=int, default=5)
    others.add_argument("--threads", type=int, default=os.cpu_count())

    _scale_options(
        commands.add_parser("scale", help="time and memory over rows, metrics, dimensions, periods, projects")
    )

    peers = commands.add_parser("peers", help="other semantic layers, for what they can express")
    peers.add_argument("--data", type=Path, required=True)
    peers.add_argument("--pairs", type=int, default=5)
    peers.add_argument("--threads", type=int, default=os.cpu_count())

    commands.add_parser("report", help="docs/performance.md from what was measured last")

    everything = commands.add_parser("all", help="everything but how it grows; fails where a bound is exceeded")
    everything.add_argument(
        "--scale", type=float, default=1, help="1 is 10 million orders, for which the bounds are (default: 1)"
    )
    everything.add_argument("--pairs", type=int, default=5)
    everything.add_argument("--threads", type=int, default=os.cpu_count())

    startup = commands.add_parser("startup", help="a fresh process against the least that could do the same")
    startup.add_argument("--data", type=Path, required=True)
    startup.add_argument("--turns", type=int, default=11)

    _do(parser.parse_args())


def _scale_options(scale: argparse.ArgumentParser) -> None:
    scale.add_argument("--scales", type=float, nargs="+", default=[0.01, 0.1, 1], help="10 makes 100 million orders")
    scale.add_argument("--middle", type=float, default=0.1, help="the scale of all but the growth over rows")
    scale.add_argument("--times", type=int, default=3)
    scale.add_argument("--parts", nargs="+", choices=PARTS, help="these alone, beside what was measured before")
    scale.add_argument("--threads", type=int, default=os.cpu_count())


def _do(given: argparse.Namespace) -> None:
    if given.command == "data":
        from bench.data import make

        make(given.out, given.scale)
    if given.command == "run":
        from bench.run import run

        run(given.data, given.only, given.pairs, given.passes, given.threads, given.export)
    if given.command == "fifty":
        from bench.fifty import fifty

        fifty(given.data, given.pairs, given.threads)
    if given.command == "others":
        from bench.others.run import others

        others(given.data, given.only, given.pairs, given.threads)
    if given.command == "scale":
        from bench.scale import scale

        scale(given.scales, given.middle, given.threads, given.times, given.parts)
    if given.command == "report":
        from bench.report import report

        report()
    if given.command == "peers":
        from bench.peers.run import peers

        peers(given.data, given.pairs, given.threads)
    if given.command == "startup":
        from bench.startup import starts

        starts(given.data, given.turns)
    if given.command == "all":
        from bench.everything import everything

        sys.exit(everything(given.scale, given.pairs, given.threads))


if __name__ == "__main__":
    main()
