"""The built-in calendars: Gregorian, fiscal, retail (4-4-5 and its kin) and Jalali."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    from kpiengine.calendar import Calendar


@hookimpl
def register_calendars() -> Iterable[type[Calendar]]:
    """The calendars of this package."""
    from kpiengine_plugins.calendars.gregorian import Fiscal, Gregorian
    from kpiengine_plugins.calendars.jalali import Jalali
    from kpiengine_plugins.calendars.retail import Retail

    return (Gregorian, Fiscal, Retail, Jalali)
