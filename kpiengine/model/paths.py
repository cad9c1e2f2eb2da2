"""From a fact to a dimension: along many-to-one joins, one way only, or an error that names the ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from kpiengine.errors import listing, suggest
from kpiengine.model.source import Column, Source
from kpiengine.records import dataclass
from kpiengine.spec import JoinSpec, SourceSpec


class OutOfReach(Exception):
    """A name that a source cannot answer: what is wrong (`head`), and why or what would be right (`tail`)."""

    def __init__(self, head: str, tail: str) -> None:
        super().__init__(f"{head}; {tail}")
        self.head = head
        self.tail = tail

    def within(self, what: str) -> str:
        """The message with the thing that names it: `unknown column "x" in formula of "m"; source …`."""
        return f"{self.head} in {what}; {self.tail}"


@dataclass(frozen=True)
class Path:
    """A column and the joins that lead to it (none: the source's own). `source` holds the column."""

    hops: tuple[JoinSpec, ...]
    source: Source
    column: Column

    @property
    def names(self) -> tuple[str, ...]:
        """The names on the way: join, …, column."""
        return (*(hop.name for hop in self.hops), self.column.name)


def find_path(
    start: Source, parts: tuple[str, ...], specs: Mapping[str, SourceSpec], bind: Callable[[str], Source]
) -> Path:
    """The path from `start` to the column that `parts` name (`customers.channel`). Raises OutOfReach."""
    *prefix, name = parts
    if prefix and prefix[0].lower() == start.name.lower() and prefix[0] not in start.spec.joins:
        prefix = prefix[1:]  # a source's own name in front says nothing new to it
    if not prefix:
        column = start.find(name)
        if column is None:
            raise OutOfReach(f'unknown column "{name}"', start.lacks(name))
        return Path((), start, column)
    hops = _hops(start.spec, tuple(prefix), specs)
    target = bind(hops[-1].to)
    column = target.find(name)
    if column is None:
        raise OutOfReach(f'unknown column "{".".join(parts)}"', target.lacks(name))
    return Path(hops, target, column)


def _hops(start: SourceSpec, names: tuple[str, ...], specs: Mapping[str, SourceSpec]) -> tuple[JoinSpec, ...]:
    literal = _follow(start, names, specs)
    if literal is not None:
        return literal
    ways = [way for way in _ways(start, specs) if _answers(way, names)]
    if len(ways) == 1:
        return ways[0]
    wanted = ".".join(names)
    if ways:
        told = " and ".join(f'"{".".join(h.name for h in way)}"' for way in ways)
        head = f'"{wanted}" can be reached from source "{start.name}" in {len(ways)} ways'
        raise OutOfReach(head, f"name one of {told}")
    raise _unreachable(start, wanted, names, specs)


def _follow(start: SourceSpec, names: tuple[str, ...], specs: Mapping[str, SourceSpec]) -> tuple[JoinSpec, ...] | None:
    """The joins of exactly these names, one after the other."""
    hops: list[JoinSpec] = []
    here: SourceSpec | None = start
    for name in names:
        by_lower = {n.lower(): j for n, j in here.joins.items()} if here else {}
        join = by_lower.get(name.lower())
        if join is None:
            return None
        hops.append(join)
        here = specs.get(join.to)
    return tuple(hops)


def _ways(
    here: SourceSpec, specs: Mapping[str, SourceSpec], seen: tuple[str, ...] = ()
) -> Iterator[tuple[JoinSpec, ...]]:
    """Every chain of joins from `here` that visits no source twice."""
    seen = (*seen, here.name)
    for join in here.joins.values():
        if join.to in seen or join.to not in specs:
            continue
        yield (join,)
        for rest in _ways(specs[join.to], specs, seen):
            yield (join, *rest)


def _answers(way: tuple[JoinSpec, ...], names: tuple[str, ...]) -> bool:
    """Whether the way ends in these names, each a join's or, for the last, its source's."""
    if len(way) < len(names):
        return False
    ends = way[len(way) - len(names) :]
    return all(n.lower() in (hop.name.lower(), hop.to.lower()) for n, hop in zip(names, ends, strict=True))


def _unreachable(start: SourceSpec, wanted: str, names: tuple[str, ...], specs: Mapping[str, SourceSpec]) -> OutOfReach:
    target = specs.get(names[-1])
    if target is not None:
        for way in _ways(target, specs):
            if way[-1].to == start.name:
                told = " → ".join([target.name, *(h.to for h in way)])
                why = (
                    f'there are many "{target.name}" to one "{start.name}" ({told}), and joins go from many to one only'
                )
                return OutOfReach(f'"{wanted}" would multiply the rows of source "{start.name}"', why)
    head = f'"{wanted}" is out of reach'
    known = sorted({".".join(h.name for h in way) for way in _ways(start, specs)})
    if not known:
        return OutOfReach(head, f'source "{start.name}" has no joins')
    return OutOfReach(head, f'source "{start.name}" joins {listing(known)}{suggest(wanted, known)}')
