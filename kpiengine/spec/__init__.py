"""What a project's YAML says: read with positions, checked for shape, every problem collected."""

from kpiengine.spec.engines import missing_settings
from kpiengine.spec.extends import resolve_extends
from kpiengine.spec.find import find_project
from kpiengine.spec.known import KnownConnector, KnownKind, KnownOption, KnownPlugins
from kpiengine.spec.library import Library, read_library, read_metrics_package
from kpiengine.spec.options import values_with_defaults
from kpiengine.spec.project import read_project
from kpiengine.spec.specs import (
    CalendarSpec,
    EngineSpec,
    ExportSpec,
    JoinSpec,
    MetricSpec,
    Option,
    ProjectSpec,
    SourceSpec,
    TargetFile,
    TestSpec,
)
from kpiengine.spec.text import Text

__all__ = [
    "CalendarSpec",
    "EngineSpec",
    "ExportSpec",
    "JoinSpec",
    "KnownConnector",
    "KnownKind",
    "KnownOption",
    "KnownPlugins",
    "Library",
    "MetricSpec",
    "Option",
    "ProjectSpec",
    "SourceSpec",
    "TargetFile",
    "TestSpec",
    "Text",
    "find_project",
    "missing_settings",
    "read_library",
    "read_metrics_package",
    "read_project",
    "resolve_extends",
    "values_with_defaults",
]
