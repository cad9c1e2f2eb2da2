"""`dataclass`, made in a fifth of the time: modules make more than a hundred of them before a query can be planned.

    from kpiengine.records import dataclass

The standard library writes and compiles six functions for each frozen class. Here all classes share theirs, which go by
the class's fields. To who uses the classes they are the same; `field`, `replace` and `fields` are the standard ones.
Not here: slots, fields by name alone, and a short form of what holds itself.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(made: type | None = None, /, *, frozen: bool = False, repr: bool = True, order: bool = False) -> Any:
        """The standard decorator, with those of its parameters that are needed here."""
        if made is None:
            return lambda made: dataclass(made, frozen=frozen, repr=repr, order=order)
        if made.__doc__ is None:
            made.__doc__ = made.__name__  # otherwise looked for in a signature, with a parser that takes 10 ms to load
        inherits = dataclasses.is_dataclass(made)
        dataclasses.dataclass(init=False, repr=False, eq=False, frozen=frozen and inherits)(made)
        made.__dataclass_params__.frozen = frozen  # for those that inherit
        fields = dataclasses.fields(made)
        methods = {"__init__": _init(made.__qualname__, fields), "__eq__": _eq(fields)}
        methods["__hash__"] = _hash(fields) if frozen else None
        if repr:
            methods["__repr__"] = _repr(fields)
        if order:
            methods |= {f"__{name}__": _compare(fields, getattr(operator, name)) for name in ("lt", "le", "gt", "ge")}
        if frozen:
            methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        for name, method in methods.items():
            if made.__dict__.get(name) is None:
                setattr(made, name, method)
        return made


_Fields = tuple[dataclasses.Field[Any], ...]


def _init(owner: str, fields: _Fields) -> Callable[..., None]:
    names = [f.name for f in fields if f.init]
    defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
    factories = {f.name: f.default_factory for f in fields if f.default_factory is not dataclasses.MISSING}
    known = {*names, *defaults, *factories}

    def init(self: Any, *given: Any, **named: Any) -> None:
        values = self.__dict__  # past what guards a frozen object
        values.update(defaults)
        values.update(zip(names, given))  # noqa: B905  (too many are refused below)
        values.update(named)
        for name, make in factories.items():
            if name not in values:
                values[name] = make()
        if values.keys() != known or len(given) > len(names) or not named.keys().isdisjoint(names[: len(given)]):
            raise TypeError(f"{owner} takes {', '.join(names)}, each once; given: {len(given)}, {', '.join(named)}")
        if hasattr(self, "__post_init__"):
            self.__post_init__()

    return init


def _eq(fields: _Fields) -> Callable[[Any, object], Any]:
    values = _values([f.name for f in fields if f.compare])
    return lambda self, other: values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented


def _compare(fields: _Fields, holds: Callable[[Any, Any], bool]) -> Callable[[Any, object], Any]:
    values = _values([f.name for f in fields if f.compare])
    return lambda self, other: (
        holds(values(self), values(other)) if other.__class__ is self.__class__ else NotImplemented
    )


def _hash(fields: _Fields) -> Callable[[Any], int]:
    values = _values([f.name for f in fields if (f.compare if f.hash is None else f.hash)])
    return lambda self: hash(values(self))


def _values(names: list[str]) -> Callable[[Any], Any]:
    """What gives an object's values of these names."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda made: tuple([getattr(made, name) for name in names])


def _repr(fields: _Fields) -> Callable[[Any], str]:
    names = [f.name for f in fields if f.repr]

    def show(self: Any) -> str:
        return f"{self.__class__.__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in names])})"

    return show


def _refuse_to_set(self: Any, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
