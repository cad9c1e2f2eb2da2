"""A JSON Schema of kpi.yaml and of metric files, made from the declarations that the files are read by."""

from __future__ import annotations

from kpiengine.schema.document import metrics_schema, project_schema

__all__ = ["metrics_schema", "project_schema"]
