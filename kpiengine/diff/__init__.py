"""Two versions of a project's definitions: which metrics mean something else now, and how far their numbers moved."""

from __future__ import annotations

from kpiengine.diff.compare import Difference, MetricChange, compare
from kpiengine.diff.meaning import KeyChange
from kpiengine.diff.numbers import Moved, moved
from kpiengine.diff.revision import project_at

__all__ = ["Difference", "KeyChange", "MetricChange", "Moved", "compare", "moved", "project_at"]
