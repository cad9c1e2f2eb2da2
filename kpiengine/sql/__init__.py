"""Plan → statement: steps as named common table expressions, then the engine's dialect, last of all."""

from kpiengine.sql.dialects import in_dialect
from kpiengine.sql.render import RenderedSource, check_statement, met_statement, render

__all__ = ["RenderedSource", "check_statement", "in_dialect", "met_statement", "render"]
