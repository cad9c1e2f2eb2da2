"""`${NAME}` and `${NAME:-default}`: the only way from the environment into a project."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kpiengine.records import dataclass
from kpiengine.spec.positions import Fill

REFERENCE = re.compile(r"\$\$|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")
"""`$$` is matched so that it is stepped over; a `${` that is not closed or not a name matches without a name."""


@dataclass(frozen=True)
class Filled:
    """A text with its references replaced: where they stood, what came from the environment, what was wrong
    (offset in the written text and message)."""

    text: str
    fills: tuple[Fill, ...]
    secrets: tuple[str, ...]
    wrong: tuple[tuple[int, str], ...]


def filled(written: str, environment: Mapping[str, str]) -> Filled:
    """`written` with every reference replaced. As in a shell, the default stands for an empty variable too."""
    pieces: list[str] = []
    fills: list[Fill] = []
    secrets: list[str] = []
    wrong: list[tuple[int, str]] = []
    copied = 0
    for match in REFERENCE.finditer(written):
        name, default = match["name"], match["default"]
        if match[0] == "$$":
            continue
        if name is None:
            wrong.append((match.start(), '"${" here begins neither ${NAME} nor ${NAME:-default}'))
            continue
        value = environment.get(name)
        if value is None and default is None:
            message = f'the environment variable "{name}" is not set; set it, or write ${{{name}:-default}}'
            wrong.append((match.start(), message))
            continue
        if value or default is None:
            value = value or ""
            secrets.append(value)
        else:
            value = default
        pieces += [written[copied : match.start()], value]
        fills.append(Fill(match.start(), match.end(), len(value)))
        copied = match.end()
    text = "".join(pieces) + written[copied:]
    return Filled(text, tuple(fills), tuple(secret for secret in secrets if secret), tuple(wrong))
